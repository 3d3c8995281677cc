"""The anthropic and google-genai packages of Python as clients."""

from __future__ import annotations

import json
from typing import Any

from anthropic import AsyncAnthropic
from google import genai
from google.genai import types

from tests.e2e.matrix.reading import each
from tests.e2e.matrix.seen import Call, Job, Seen


class AnthropicClient:
    """Messages."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._sdk = AsyncAnthropic(base_url=url, api_key=key, max_retries=0, timeout=60)

    async def close(self) -> None:
        await self._sdk.close()

    async def create(self, job: Job, seen: Seen) -> None:
        if not job.stream:
            _message(await self._sdk.messages.create(**job.params, model=job.model), seen)
            return
        async with self._sdk.messages.stream(**job.params, model=job.model) as stream:
            seen.id = stream.response.headers.get("headgate-response-id", "")
            if await each(stream, self._url, job, seen, lambda _: None):
                _message(await stream.get_final_message(), seen)
            else:
                seen.text = _text_so_far(stream)

    async def pending(self, job: Job, seen: Seen) -> None:
        """As of `OpenAIClient`."""
        raw = await self._sdk.messages.with_raw_response.create(**job.params, model=job.model)
        seen.id = raw.headers.get("headgate-response-id", "")
        answer = await raw.parse()
        seen.finish = answer.stop_reason or ""
        seen.value = [raw.status_code, raw.headers.get("location"), len(answer.content)]

    async def models(self, job: Job, seen: Seen) -> None:
        seen.value = [model.id async for model in self._sdk.models.list()]

    async def count(self, job: Job, seen: Seen) -> None:
        params = {name: value for name, value in job.params.items() if name != "max_tokens"}
        seen.value = (await self._sdk.messages.count_tokens(**params, model=job.model)).input_tokens


def _text_so_far(stream: Any) -> str:
    return "".join(block.text for block in stream.current_message_snapshot.content if block.type == "text")


def _message(answer: Any, seen: Seen) -> None:
    seen.id, seen.finish = answer.id, answer.stop_reason or ""
    seen.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
    seen.turn = [{"role": "assistant", "content": [block.to_dict() for block in answer.content]}]
    for block in answer.content:
        match block.type:
            case "text":
                seen.text += block.text
            case "thinking":
                seen.reasoning += block.thinking
            case "tool_use":
                seen.calls.append(Call(block.id, block.name, json.dumps(block.input)))


class GeminiClient:
    """``generate_content`` and its relations."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self._sdk = self._opened()

    def _opened(self) -> genai.Client:
        return genai.Client(api_key=self._key, http_options=types.HttpOptions(base_url=self._url, timeout=60_000))

    async def close(self) -> None:
        await self._sdk.aio.aclose()
        self._sdk.close()

    async def create(self, job: Job, seen: Seen) -> None:
        if not job.stream:
            take(await self._sdk.aio.models.generate_content(model=job.model, **job.params), seen)
            return
        sdk = self._opened() if job.leave else self._sdk
        stream = await sdk.aio.models.generate_content_stream(model=job.model, **job.params)
        if not await each(stream, self._url, job, seen, lambda chunk: take(chunk, seen)):
            await sdk.aio.aclose()  # leaving the iterator hangs up only once it is collected
            sdk.close()

    async def chat(self, job: Job, seen: Seen) -> None:
        """Turns of the SDK's own chat, which drops one that it finds incomplete."""
        talk = self._sdk.aio.chats.create(model=job.model)
        for message in job.params["messages"]:
            if job.stream:
                async for chunk in await talk.send_message_stream(message):
                    take(chunk, seen)
            else:
                take(await talk.send_message(message), seen)
        seen.value = [content.role for content in talk.get_history(curated=True)]

    async def pending(self, job: Job, seen: Seen) -> None:
        """As of `OpenAIClient`; the SDK does not show the status."""
        answer = await self._sdk.aio.models.generate_content(model=job.model, **job.params)
        take(answer, seen)
        seen.text = answer.text or ""
        headers = (answer.sdk_http_response.headers if answer.sdk_http_response else None) or {}
        seen.value = [202, headers.get("location"), len(answer.candidates or ())]

    async def models(self, job: Job, seen: Seen) -> None:
        seen.value = [model.name async for model in await self._sdk.aio.models.list()]

    async def count(self, job: Job, seen: Seen) -> None:
        counted = await self._sdk.aio.models.count_tokens(model=job.model, contents=job.params["contents"])
        seen.value = counted.total_tokens


def take(answer: types.GenerateContentResponse, seen: Seen) -> None:
    """A whole answer, or a chunk of one."""
    seen.id = answer.response_id or seen.id
    if answer.usage_metadata:
        usage = answer.usage_metadata
        output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        seen.usage = (usage.prompt_token_count or 0, output)
    if answer.prompt_feedback and answer.prompt_feedback.block_reason:
        seen.finish = answer.prompt_feedback.block_reason.value
    for candidate in (answer.candidates or ())[:1]:
        seen.finish = candidate.finish_reason.value if candidate.finish_reason else seen.finish
        for part in (candidate.content.parts if candidate.content else None) or ():
            _take_part(part, seen)


def _take_part(part: types.Part, seen: Seen) -> None:
    if part.function_call:
        call = part.function_call
        seen.calls.append(Call(call.id or "", call.name or "", json.dumps(call.args or {})))
    elif part.thought:
        seen.reasoning += part.text or ""
    else:
        seen.text += part.text or ""
    seen.turn = seen.turn or [{"role": "model", "parts": []}]
    seen.turn[0]["parts"].append(part.model_dump(mode="json", by_alias=True, exclude_none=True))
