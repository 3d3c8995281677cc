"""OpenAI Chat Completions, provider side: the messages of a `Prompt` -> ``messages``.

Results of tools become messages of their own, before whatever else the user says in that turn; neighbouring pieces of
the assistant's turn become one message, because results must follow right after all calls of a turn. Of reasoning the
text alone is ever sent, and only to providers that want it back.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from headgate.dialects.calls import alphanumeric, told, within
from headgate.dialects.media import AUDIO_TYPES
from headgate.dialects.openai_chat.parts import REASONING_FIELD
from headgate.prompt import Audio, File, Image, Message, Part, Reasoning, Refusal, Role, Text, ToolCall, ToolResult
from headgate.traits import PLAIN, Traits

_AUDIO_FORMATS: Final = {
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp3": "mp3",
    **{media_type: format for format, media_type in AUDIO_TYPES.items()},
}
ID_CHARS_MAX: Final = 40
"""Of the id of a call: OpenAI takes no longer one."""
_SHORT_ID_CHARS: Final = 9
"""Of an id for a provider whose ids are ``alphanumeric-9``: Mistral's."""
_NO_REASONING: Final = " "
"""Of a turn with calls whose reasoning nobody has, such as one of another provider's. DeepSeek takes an empty text too,
Moonshot takes that for a missing one."""
_EXTENSIONS: Final = {"application/pdf": "pdf", "text/plain": "txt"}


def write_messages(
    messages: Iterable[Message], unsupported: list[str], *, has_developer: bool, traits: Traits = PLAIN
) -> list[dict[str, Any]]:
    """All messages. Appends to `unsupported` the paths of parts that Chat Completions has no word for."""
    written: list[dict[str, Any]] = []
    for (role, name), run in groupby(messages, key=lambda message: (message.role, message.name)):
        if role is Role.ASSISTANT:
            joined = [part for message in run for part in message.parts]
            written += _assistant(joined, name, unsupported, traits)
        elif role is Role.USER:
            turn = [item for message in run for item in _user(message, unsupported, traits)]
            written += sorted(turn, key=lambda item: item["role"] != "tool")
        else:
            word = "developer" if role is Role.DEVELOPER and has_developer else "system"
            written += [_prompting(word, message, unsupported) for message in run]
    return written


def _user(message: Message, unsupported: list[str], traits: Traits) -> Iterator[dict[str, Any]]:
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    said = [part for part in message.parts if not isinstance(part, ToolResult)]
    for result in results:
        yield _result(result, unsupported, traits)
    if said or not results:
        shown = [shown for part in said if (shown := _part(part, unsupported)) is not None]
        yield _named({"role": "user", "content": _content(shown)}, message.name)


def _prompting(role: str, message: Message, unsupported: list[str]) -> dict[str, Any]:
    return _named({"role": role, "content": _content(_texts(message.parts, unsupported))}, message.name)


def _assistant(parts: list[Part], name: str, unsupported: list[str], traits: Traits) -> Iterator[dict[str, Any]]:
    """The assistant's turn, unless it was nothing but reasoning: that alone is no message."""
    if "refusal" in traits.lacks:
        parts = [Text(part.text, part.at) if isinstance(part, Refusal) else part for part in parts]
    said = [part for part in parts if not isinstance(part, Reasoning | Refusal | ToolCall)]
    refusal = "".join([part.text for part in parts if isinstance(part, Refusal)])
    calls = [_call(part, traits) for part in parts if isinstance(part, ToolCall)]
    texts = _texts(said, unsupported)
    if parts and not (texts or refusal or calls):
        return
    message: dict[str, Any] = {"role": "assistant", "content": _content(texts) if texts or not parts else None}
    if refusal:
        message["refusal"] = refusal
    if calls:
        message["tool_calls"] = calls
    reasoning = _reasoning(parts) if traits.reasoning == "send" else ""
    if reasoning or (calls and traits.reasoning == "send"):
        message[REASONING_FIELD] = reasoning or _NO_REASONING
    yield _named(message, name)


def _reasoning(parts: list[Part]) -> str:
    """All reasoning of a turn. Neighbours are pieces of one text (of a stream of Gemini's), others are passages."""
    runs = groupby(parts, key=lambda part: isinstance(part, Reasoning))
    passages = ["".join([part.text for part in run if isinstance(part, Reasoning)]) for thought, run in runs if thought]
    return "\n\n".join([passage for passage in passages if passage])


def _call(call: ToolCall, traits: Traits) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": _id(call.id, traits), "type": "function", "function": function}


def _id(id: str, traits: Traits) -> str:
    return alphanumeric(id, _SHORT_ID_CHARS) if traits.call_ids == "alphanumeric-9" else within(id, ID_CHARS_MAX)


def _result(result: ToolResult, unsupported: list[str], traits: Traits) -> dict[str, Any]:
    return {
        "role": "tool",
        "tool_call_id": _id(result.call_id, traits),
        "content": _content(_texts(told(result), unsupported)),
    }


def _named(message: dict[str, Any], name: str) -> dict[str, Any]:
    return message | {"name": name} if name else message


def _content(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """The string that every server knows where there is nothing but one text, else the parts."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _texts(parts: Iterable[Part], unsupported: list[str]) -> list[dict[str, Any]]:
    """Parts of a message that may hold nothing but text."""
    shown = []
    for part in parts:
        if isinstance(part, Text):
            shown.append({"type": "text", "text": part.text})
        else:
            unsupported.append(part.at)
    return shown


def _part(part: Part, unsupported: list[str]) -> dict[str, Any] | None:
    """One part of a user's message; None for one that has no word."""
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": part.detail} if part.detail else {})}
        case Audio() if part.media_type in _AUDIO_FORMATS:
            audio = {"data": part.data, "format": _AUDIO_FORMATS[part.media_type]}
            return {"type": "input_audio", "input_audio": audio}
        case File() if not part.url:
            return {"type": "file", "file": _file(part)}
        case _:
            unsupported.append(part.at)
            return None


def _file(file: File) -> dict[str, Any]:
    """A file by its data; text is base64 there too."""
    is_text = file.media_type.startswith("text/")
    data = base64.b64encode(file.data.encode()).decode() if is_text else file.data
    name = file.name or f"file.{_EXTENSIONS.get(file.media_type) or file.media_type.rpartition('/')[2]}"
    return {"filename": name, "file_data": f"data:{file.media_type};base64,{data}"}
