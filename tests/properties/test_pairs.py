"""Whatever a provider of one dialect answered, a client of another can put its stream together to the whole answer.

The provider's bytes are the golden ones of its dialect; the clients' ways of putting a stream together are written
here once more, from what their SDKs do, and know nothing of the encoders.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from headgate.dialects import ClientDialect, client_dialects, provider_dialects
from headgate.dialects.transport import payloads
from headgate.endings import Ending, closing
from headgate.events import AnyEvent, AttemptEnded, AttemptStarted, ChoiceDone, ResponseStarted, Status, Terminal
from headgate.lifecycle import terminal_status
from tests.unit.goldens import ROOT, cases, fold_of, frames

RESPONSE_ID: Final = "resp_" + "0123456789abcdef" * 2
ERRORS: Final = ("error", "response.failed")


def answered(dialect: str, case: str, client: str) -> list[tuple[int, AnyEvent]]:
    """The whole log of a golden answer."""
    folder = ROOT / dialect / case
    request = folder / "request.json"
    choices = json.loads(request.read_text()).get("n", 1) if request.exists() else 1
    provider = provider_dialects()[dialect]
    whole = folder / "upstream.json"
    make = provider.whole_decoder if whole.exists() else provider.stream_decoder
    decoder = make(attempt=1, choices=choices)
    events = decoder.feed((whole if whole.exists() else folder / "upstream.sse").read_bytes())
    if decoder.failure is None:
        events += decoder.finish()
    started = ResponseStarted(RESPONSE_ID, "", client, "asked", 1_780_000_000, choices=choices, include_usage=True)
    reasons = [event.reason for event in events if isinstance(event, ChoiceDone)]
    status = Status.FAILED if decoder.failure else terminal_status(reasons)
    end = closing(Ending(status, decoder.failure), sha256="", ended_at=1_780_000_009)
    log = [started, AttemptStarted(1, "p", dialect, "theirs"), *events, AttemptEnded(1, "ok", 200), end]
    return list(enumerate(log, 1))


def joined(values: list[str]) -> str | None:
    return "".join(values) if values else None


def chat(chunks: list[Any]) -> dict[str, Any]:
    """What the parts of Chat Completions come to: text, calls and end of every choice, and the usage."""
    assert chunks.pop() == "[DONE]"
    choices: dict[int, dict[str, Any]] = {}
    usage = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for given in chunk["choices"]:
            choice = choices.setdefault(given["index"], {"text": {}, "calls": {}, "end": None})
            choice["end"] = given["finish_reason"] or choice["end"]
            for name in ("content", "refusal", "reasoning_content"):
                if given["delta"].get(name) is not None:
                    choice["text"].setdefault(name, []).append(given["delta"][name])
            for call in given["delta"].get("tool_calls") or []:
                known = choice["calls"].setdefault(call["index"], {"id": call.get("id"), "name": "", "arguments": ""})
                known["name"] += call["function"].get("name", "")
                known["arguments"] += call["function"].get("arguments", "")
    return {"choices": choices, "usage": usage}


def whole_chat(answer: dict[str, Any]) -> dict[str, Any]:
    choices = {}
    for given in answer["choices"]:
        message = given["message"]
        names = [name for name in ("content", "refusal", "reasoning_content") if message.get(name) is not None]
        calls = [{"id": call["id"], **call["function"]} for call in message.get("tool_calls", [])]
        text = {name: [message[name]] for name in names}
        choices[given["index"]] = {"text": text, "calls": dict(enumerate(calls)), "end": given["finish_reason"]}
    return {"choices": choices, "usage": answer.get("usage")}


def responses(events: list[Any]) -> dict[str, Any]:
    """The last response object; that its text is what the deltas said is checked on the way."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    said: dict[tuple[int, int], str] = {}
    for event in events:
        if event["type"] in ("response.output_text.delta", "response.refusal.delta"):
            key = event["output_index"], event["content_index"]
            said[key] = said.get(key, "") + event["delta"]
    final: dict[str, Any] = events[-1]["response"]
    for (output, content), text in said.items():
        part = final["output"][output]["content"][content]
        assert part.get("text", part.get("refusal")) == text
    return final


def messages(events: list[Any]) -> dict[str, Any]:
    """A Message, as the SDK's accumulator makes it."""
    assert events[-1]["type"] == "message_stop"
    message: dict[str, Any] = events[0]["message"]
    arguments: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(event["content_block"])
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "input_json_delta":
                        arguments[event["index"]] = arguments.get(event["index"], "") + delta["partial_json"]
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    for index, text in arguments.items():
        if text:
            message["content"][index]["input"] = parsed(text)
    return message


def parsed(text: str) -> Any:
    """Arguments as an object; a tool that takes text is no tool of this dialect's, and its call is shown wrapped."""
    try:
        return json.loads(text)
    except ValueError:
        return {"INVALID_JSON": text}


def gemini(chunks: list[Any]) -> dict[str, Any]:
    """Text, thoughts and calls of every candidate, how it ended, and the usage."""
    candidates: dict[int, dict[str, Any]] = {}
    usage = None
    for chunk in chunks:
        usage = chunk.get("usageMetadata") or usage
        for given in chunk.get("candidates", []):
            candidate = candidates.setdefault(given["index"], {"text": "", "thoughts": "", "calls": [], "end": None})
            candidate["end"] = given.get("finishReason") or candidate["end"]
            for part in given["content"]["parts"]:
                if "functionCall" in part:
                    candidate["calls"].append(part["functionCall"])
                else:
                    candidate["thoughts" if part.get("thought") else "text"] += part["text"]
    return {"candidates": candidates, "usage": usage}


def same(client: str, stream: list[Any], whole: dict[str, Any]) -> None:
    match client:
        case "openai-chat":
            made, given = chat(stream), whole_chat(whole)
            for choice in made["choices"].values():
                choice["text"] = {name: joined(pieces) for name, pieces in choice["text"].items()}
            for choice in given["choices"].values():
                choice["text"] = {name: joined(pieces) for name, pieces in choice["text"].items()}
            assert made == given
        case "openai-responses":
            assert responses(stream) == whole
        case "anthropic-messages":
            made = messages(stream)
            made["usage"] = {key: made["usage"][key] for key in whole["usage"]}
            made["model"] = whole["model"]  # a stream has to name one before some providers do
            assert made == whole
        case _:
            assert gemini(stream) == gemini([whole])


CASES: Final = [
    pytest.param(client, dialect, case, id=f"{client.name}-{dialect}-{case}")
    for dialect in provider_dialects()
    for case in cases(dialect)
    for client in client_dialects().values()
    if client.name != dialect
]


@pytest.mark.parametrize(("client", "dialect", "case"), CASES)
def test_stream_comes_to_the_whole_answer_or_says_that_it_failed(
    client: ClientDialect, dialect: str, case: str
) -> None:
    log = answered(dialect, case, client.name)
    fold = fold_of(log)
    assert fold.started is not None
    if fold.started.choices > client.choices_max:
        return
    stream = [json.loads(data) for data in payloads(b"".join(frames(client.encoder(), log)))]
    if client.name == "openai-responses":  # what it came to is said before
        assert stream.pop() == "[DONE]"
    terminal = log[-1][1]
    assert isinstance(terminal, Terminal)
    if terminal.status.successful:
        same(client.name, stream, json.loads(client.whole(fold)))
    else:
        assert stream[-1].get("type") in ERRORS or "error" in stream[-1]
        assert "[DONE]" not in stream
        assert b'"message_stop"' not in json.dumps(stream).encode()
        assert json.loads(client.terminal_error(terminal, same_dialect=False))["error"]["message"]
