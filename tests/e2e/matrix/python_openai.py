"""The openai package of Python as a client."""

from __future__ import annotations

from typing import Any, Final

from openai import AsyncOpenAI
from openai.types.responses import Response

from tests.e2e.matrix.reading import each
from tests.e2e.matrix.seen import Call, Job, Seen

ENDS: Final = ("response.completed", "response.incomplete", "response.failed")


class OpenAIClient:
    """Chat Completions and Responses."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._sdk = AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=60)

    async def close(self) -> None:
        await self._sdk.close()

    async def create(self, job: Job, seen: Seen) -> None:
        chat = job.dialect == "openai-chat"
        api: Any = self._sdk.chat.completions if chat else self._sdk.responses
        raw = await api.with_raw_response.create(**job.params, model=job.model, stream=job.stream)
        seen.id = raw.headers.get("headgate-response-id", "")
        answer = raw.parse()
        if job.stream:
            try:
                await (_chat_stream if chat else _response_stream)(answer, self._url, job, seen)
            finally:
                await answer.close()
        else:
            (_chat if chat else _response)(answer, seen)

    async def pending(self, job: Job, seen: Seen) -> None:
        """A whole answer that is not there yet: its status, where it will be, and all that a user could take for it."""
        chat = job.dialect == "openai-chat"
        api: Any = self._sdk.chat.completions if chat else self._sdk.responses
        raw = await api.with_raw_response.create(**job.params, model=job.model)
        seen.id = raw.headers.get("headgate-response-id", "")
        answer = raw.parse()
        seen.text = "" if chat else answer.output_text
        seen.finish = "" if chat else answer.status
        content = answer.choices if chat else answer.output
        seen.value = [raw.status_code, raw.headers.get("location"), len(content)]

    async def models(self, job: Job, seen: Seen) -> None:
        seen.value = [model.id async for model in self._sdk.models.list()]

    async def count(self, job: Job, seen: Seen) -> None:
        counted = await self._sdk.responses.input_tokens.count(**job.params, model=job.model)
        seen.value = counted.input_tokens


def _chat(answer: Any, seen: Seen) -> None:
    message = answer.choices[0].message
    seen.text, seen.refusal = message.content or "", message.refusal or ""
    seen.reasoning = message.model_dump().get("reasoning_content") or ""
    seen.finish = answer.choices[0].finish_reason or ""
    for call in message.tool_calls or ():
        seen.calls.append(Call(call.id, call.function.name, call.function.arguments))
    seen.usage = (answer.usage.prompt_tokens, answer.usage.completion_tokens) if answer.usage else None
    seen.turn = [message.to_dict()]


async def _chat_stream(stream: Any, url: str, job: Job, seen: Seen) -> None:
    await each(stream, url, job, seen, lambda chunk: _take_chunk(chunk, seen))
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in seen.calls
    ]
    seen.turn = [{"role": "assistant", "content": seen.text or None, **({"tool_calls": calls} if calls else {})}]


def _take_chunk(chunk: Any, seen: Seen) -> None:
    if chunk.usage:
        seen.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
    for choice in chunk.choices:
        delta = choice.delta
        seen.text += delta.content or ""
        seen.refusal += delta.refusal or ""
        seen.reasoning += delta.model_dump().get("reasoning_content") or ""
        seen.finish = choice.finish_reason or seen.finish
        for part in delta.tool_calls or ():
            if part.index == len(seen.calls):
                seen.calls.append(Call())
            call = seen.calls[part.index]
            call.id += part.id or ""
            call.name += part.function.name or ""
            call.arguments += part.function.arguments or ""


def _response(answer: Response, seen: Seen) -> None:
    seen.text = answer.output_text
    why = answer.incomplete_details.reason if answer.incomplete_details else answer.error.code if answer.error else None
    seen.finish = ":".join(filter(None, (answer.status, why)))
    seen.usage = (answer.usage.input_tokens, answer.usage.output_tokens) if answer.usage else None
    seen.turn = [item.to_dict() for item in answer.output]
    for item in answer.output:
        if item.type == "function_call":
            seen.calls.append(Call(item.call_id, item.name, item.arguments))
        for part in getattr(item, "content", None) or ():
            seen.refusal += part.refusal if part.type == "refusal" else ""
            seen.reasoning += part.text if part.type == "reasoning_text" else ""
        for summary in getattr(item, "summary", None) or ():
            seen.reasoning += summary.text


async def _response_stream(stream: Any, url: str, job: Job, seen: Seen) -> None:
    """The last event has the answer; its text must be what the deltas said."""
    deltas: list[str] = []
    finals: list[Response] = []

    def take(event: Any) -> None:
        if event.type == "response.output_text.delta":
            deltas.append(event.delta)
        elif event.type in ENDS:
            finals.append(event.response)

    await each(stream, url, job, seen, take)
    if finals:
        _response(finals[-1], seen)
        assert seen.text == "".join(deltas), "the deltas are not the text"
    seen.text = "".join(deltas)
