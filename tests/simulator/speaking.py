"""Ask the same thing in every dialect without a socket, and read what was said whatever dialect it came in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headgate.simulator.config import SimulatorConfig
from headgate.simulator.dialect import Dialect
from headgate.simulator.routes import Request, Stats, answer
from tests.simulator.asking import TOOLS, Transcript, events, play

ASKED: Final = "How is a gate opened?"
FUNCTIONS: Final[list[dict[str, Any]]] = [tool["function"] for tool in TOOLS]  # type: ignore[misc]
JSON = dict[str, Any]


@dataclass
class Said:
    """What an answer says, in nobody's dialect."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: dict[int, list[str]] = field(default_factory=dict)
    """Names and arguments by whatever counts them."""
    finish: str | None = None
    tokens: int | None = None
    """Of the output, as the usage tells."""

    @property
    def called(self) -> list[tuple[str, Any]]:
        return [(name, json.loads(arguments or "{}")) for name, arguments in self.calls.values()]


# --- asking


def asked(dialect: Dialect, model: str = "sim-fast", *, stream: bool = False, **fields: Any) -> Request:
    """A request with one message. Fields: ``tools forced parallel limit stops schema thinking usage system result``."""
    path, body = _BODIES[dialect](model, stream, fields)
    return Request("POST", path, fields.get("simulate", ""), json.dumps(body).encode())


def played(dialect: Dialect, model: str = "sim-fast", *, stream: bool = False, **fields: Any) -> Transcript:
    return play(answer(asked(dialect, model, stream=stream, **fields), SimulatorConfig(), Stats()))


def _chat(model: str, stream: bool, fields: JSON) -> tuple[str, JSON]:
    messages: list[JSON] = [{"role": "user", "content": ASKED}]
    if "system" in fields:
        messages.insert(0, {"role": "system", "content": fields["system"]})
    if "result" in fields:
        messages += [{"role": "assistant", "content": None}, {"role": "tool", "content": fields["result"]}]
    body: JSON = {"model": model, "stream": stream, "messages": messages}
    body |= {"stream_options": {"include_usage": True}} if stream else {}
    _put(body, fields, limit="max_completion_tokens", stops="stop", parallel="parallel_tool_calls")
    if "tools" in fields:
        body["tools"] = [{"type": "function", "function": one} for one in FUNCTIONS]
    if "forced" in fields:
        body["tool_choice"] = {"type": "function", "function": {"name": fields["forced"]}}
    if "schema" in fields:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": fields["schema"]}}
    return "/v1/chat/completions", body


def _responses(model: str, stream: bool, fields: JSON) -> tuple[str, JSON]:
    items: list[JSON] = [{"role": "user", "content": [{"type": "input_text", "text": ASKED}]}]
    if "result" in fields:
        items.append({"type": "function_call", "call_id": "c", "name": "open_gate", "arguments": "{}"})
        items.append({"type": "function_call_output", "call_id": "c", "output": fields["result"]})
    body: JSON = {"model": model, "stream": stream, "input": items}
    _put(body, fields, limit="max_output_tokens", system="instructions", parallel="parallel_tool_calls")
    if "tools" in fields:
        body["tools"] = [{"type": "function", **one} for one in FUNCTIONS]
    if "forced" in fields:
        body["tool_choice"] = {"type": "function", "name": fields["forced"]}
    if "schema" in fields:
        body["text"] = {"format": {"type": "json_schema", "name": "x", "schema": fields["schema"]}}
    if "thinking" in fields:
        body["reasoning"] = {"summary": "auto"}
    return "/v1/responses", body


def _messages(model: str, stream: bool, fields: JSON) -> tuple[str, JSON]:
    messages: list[JSON] = [{"role": "user", "content": [{"type": "text", "text": ASKED}]}]
    if "result" in fields:
        use = {"type": "tool_use", "id": "t", "name": "open_gate", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "t", "content": fields["result"]}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    body: JSON = {"model": model, "stream": stream, "max_tokens": 50_000, "messages": messages}
    _put(body, fields, limit="max_tokens", stops="stop_sequences", system="system")
    if "tools" in fields:
        body["tools"] = [{"name": one["name"], "input_schema": one["parameters"]} for one in FUNCTIONS]
    if "forced" in fields:
        body["tool_choice"] = {"type": "tool", "name": fields["forced"]}
    if fields.get("parallel"):
        body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": False}
    if "schema" in fields:
        body["output_config"] = {"format": {"type": "json_schema", "schema": fields["schema"]}}
    if "thinking" in fields:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    return "/v1/messages", body


def _gemini(model: str, stream: bool, fields: JSON) -> tuple[str, JSON]:
    contents: list[JSON] = [{"role": "user", "parts": [{"text": ASKED}]}]
    if "result" in fields:
        response = {"name": "open_gate", "response": {"output": fields["result"]}}
        contents.append({"role": "model", "parts": [{"functionCall": {"name": "open_gate", "args": {}}}]})
        contents.append({"role": "user", "parts": [{"functionResponse": response}]})
    config: JSON = {}
    _put(config, fields, limit="maxOutputTokens", stops="stopSequences", n="candidateCount")
    body: JSON = {"contents": contents, "generationConfig": config}
    if "system" in fields:
        body["systemInstruction"] = {"parts": [{"text": fields["system"]}]}
    if "tools" in fields:
        declared = [{"name": one["name"], "parametersJsonSchema": one["parameters"]} for one in FUNCTIONS]
        body["tools"] = [{"functionDeclarations": declared}]
    if "forced" in fields:
        calling = {"mode": "ANY", "allowedFunctionNames": [fields["forced"]]}
        body["toolConfig"] = {"functionCallingConfig": calling}
    if "schema" in fields:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": fields["schema"]}
    if "thinking" in fields:
        config["thinkingConfig"] = {"includeThoughts": True}
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    if fields.get("array"):
        method = "streamGenerateContent"
    return f"/v1beta/models/{model}:{method}", body


def _put(body: JSON, fields: JSON, **names: str) -> None:
    body |= {names[key]: value for key, value in fields.items() if key in names}


_BODIES: Final[Mapping[Dialect, Callable[[str, bool, JSON], tuple[str, JSON]]]] = {
    Dialect.CHAT: _chat,
    Dialect.RESPONSES: _responses,
    Dialect.MESSAGES: _messages,
    Dialect.GEMINI: _gemini,
}


# --- reading


def read(dialect: Dialect, transcript: Transcript) -> Said:
    """What was said, streamed or whole."""
    if transcript.headers["content-type"].startswith("text/event-stream"):
        return _STREAMS[dialect](objects(transcript.body))
    value = json.loads(transcript.body)
    return _STREAMS[dialect](value) if isinstance(value, list) else _WHOLES[dialect](value)


def objects(body: bytes) -> list[JSON]:
    """The JSON objects among the data of a stream's events."""
    return [data for data in events(body) if isinstance(data, dict)]


def names(body: bytes) -> list[str]:
    """The ``event:`` lines of a stream."""
    return [line[7:].decode() for line in body.split(b"\n") if line.startswith(b"event: ")]


def _chat_stream(chunks: list[JSON]) -> Said:
    said = Said()
    for chunk in chunks:
        if chunk.get("usage"):
            said.tokens = chunk["usage"]["completion_tokens"]
        for choice in chunk.get("choices", ())[:1]:
            _chat_message(said, choice["delta"])
            said.finish = choice["finish_reason"] or said.finish
    return said


def _chat_whole(answer: JSON) -> Said:
    said = Said(finish=answer["choices"][0]["finish_reason"], tokens=answer.get("usage", {}).get("completion_tokens"))
    _chat_message(said, answer["choices"][0]["message"])
    return said


def _chat_message(said: Said, message: JSON) -> None:
    said.text += message.get("content") or ""
    said.reasoning += message.get("reasoning_content") or ""
    said.refusal += message.get("refusal") or ""
    for position, call in enumerate(message.get("tool_calls", ())):
        one = said.calls.setdefault(call.get("index", position), [call["function"].get("name", ""), ""])
        one[1] += call["function"]["arguments"]


def _responses_stream(stream: list[JSON]) -> Said:
    said = Said()
    for event in stream:
        match event.get("type"):
            case "response.output_text.delta":
                said.text += event["delta"]
            case "response.refusal.delta":
                said.refusal += event["delta"]
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                said.reasoning += event["delta"]
            case "response.output_item.added" if event["item"]["type"] == "function_call":
                said.calls[event["output_index"]] = [event["item"]["name"], event["item"]["arguments"]]
            case "response.function_call_arguments.delta":
                said.calls[event["output_index"]][1] += event["delta"]
            case "response.function_call_arguments.done" if not said.calls[event["output_index"]][1]:
                said.calls[event["output_index"]][1] = event["arguments"]
            case "response.completed" | "response.incomplete" | "response.failed":
                ended = _responses_whole(event["response"])
                said.finish, said.tokens = ended.finish, ended.tokens
    return said


def _responses_whole(response: JSON) -> Said:
    details = response["incomplete_details"]
    said = Said(finish=details["reason"] if details else response["status"])
    said.tokens = response["usage"]["output_tokens"] if response["usage"] else None
    for index, item in enumerate(response["output"]):
        if item["type"] == "function_call":
            said.calls[index] = [item["name"], item["arguments"]]
        for part in (*item.get("summary", ()), *item.get("content", ())):
            if part["type"] == "output_text":
                said.text += part["text"]
            elif part["type"] == "refusal":
                said.refusal += part["refusal"]
            else:
                said.reasoning += part["text"]
    return said


def _messages_stream(stream: list[JSON]) -> Said:
    said = Said()
    for event in stream:
        match event.get("type"):
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                given = event["content_block"]["input"]
                said.calls[event["index"]] = [event["content_block"]["name"], json.dumps(given) if given else ""]
            case "content_block_delta":
                delta = event["delta"]
                said.text += delta.get("text", "")
                said.reasoning += delta.get("thinking", "")
                if "partial_json" in delta:
                    said.calls[event["index"]][1] += delta["partial_json"]
            case "message_delta":
                said.finish = event["delta"]["stop_reason"]
                said.refusal = (event["delta"]["stop_details"] or {}).get("explanation") or ""
                said.tokens = event.get("usage", {}).get("output_tokens")
    return said


def _messages_whole(message: JSON) -> Said:
    said = Said(finish=message["stop_reason"], tokens=message.get("usage", {}).get("output_tokens"))
    said.refusal = (message["stop_details"] or {}).get("explanation") or ""
    for index, block in enumerate(message["content"]):
        said.text += block.get("text", "")
        said.reasoning += block.get("thinking", "")
        if block["type"] == "tool_use":
            said.calls[index] = [block["name"], json.dumps(block["input"])]
    return said


def _gemini_stream(chunks: list[JSON]) -> Said:
    said = Said()
    for part, candidate in _gemini_parts(chunks):
        if "functionCall" in part:
            said.calls[len(said.calls)] = [part["functionCall"]["name"], json.dumps(part["functionCall"]["args"])]
        elif part.get("thought"):
            said.reasoning += part["text"]
        else:
            said.text += part.get("text", "")
        said.finish = candidate.get("finishReason", said.finish)
        said.refusal = candidate.get("finishMessage", said.refusal)
    for chunk in chunks:
        counts = chunk.get("usageMetadata", {})
        said.tokens = counts.get("totalTokenCount", 0) - counts.get("promptTokenCount", 0) if counts else said.tokens
        said.finish = chunk.get("promptFeedback", {}).get("blockReason", said.finish)
    return said


def _gemini_parts(chunks: list[JSON]) -> Iterator[tuple[JSON, JSON]]:
    """Each part of the first candidate with its candidate; one that is empty for a candidate without any."""
    for chunk in chunks:
        for candidate in chunk.get("candidates", ()):
            if candidate["index"] == 0:
                parts = candidate.get("content", {}).get("parts", [{}])
                yield from ((part, candidate) for part in parts)


_STREAMS: Final[Mapping[Dialect, Callable[[list[JSON]], Said]]] = {
    Dialect.CHAT: _chat_stream,
    Dialect.RESPONSES: _responses_stream,
    Dialect.MESSAGES: _messages_stream,
    Dialect.GEMINI: _gemini_stream,
}
_WHOLES: Final[Mapping[Dialect, Callable[[JSON], Said]]] = {
    Dialect.CHAT: _chat_whole,
    Dialect.RESPONSES: _responses_whole,
    Dialect.MESSAGES: _messages_whole,
    Dialect.GEMINI: lambda answer: _gemini_stream([answer]),
}
