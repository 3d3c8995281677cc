"""Gemini, provider side: the messages of a `Prompt` -> ``systemInstruction`` and ``contents``.

Neighbours of one role are joined, because turns alternate and the results of parallel calls must stand together.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from headgate.dialects.fields import JSON_ERRORS, MalformedError, read_json, storable
from headgate.dialects.gemini.objects import arguments_object
from headgate.dialects.gemini.request import FOREIGN_SIGNATURE
from headgate.prompt import Audio, File, Image, Message, Part, Reasoning, Refusal, Role, Text, ToolCall, ToolResult

_INSTRUCTING: Final = (Role.SYSTEM, Role.DEVELOPER)
_EXTENSIONS: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
}
"""Media types of what came by URL alone."""


def write_messages(messages: Iterable[Message], unsupported: list[str], *, signs: bool) -> dict[str, Any]:
    """``systemInstruction``, if there is one, and ``contents``. Appends the paths of what Gemini has no word for.

    `signs` says that the model wants the first call of a turn signed.
    """
    writer = _Writer(unsupported, signs=signs)
    system: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    spoken = [message for message in messages if message.role not in _INSTRUCTING]
    for message in messages:
        if message.name:
            unsupported.append(f"{message.at}.name")
        if message.role in _INSTRUCTING:
            system += writer.parts(message.parts)
    for role, run in groupby(spoken, key=lambda message: message.role):
        parts = writer.parts([part for message in run for part in message.parts])
        if parts:
            contents.append({"role": "model" if role is Role.ASSISTANT else "user", "parts": parts})
    if system and not contents:  # the dialect wants a turn
        return {"contents": [{"role": "user", "parts": system}]}
    instruction = {"systemInstruction": {"parts": system}} if system else {}
    return instruction | {"contents": contents}


class _Writer:
    """What has to be remembered between messages: names of the functions called."""

    def __init__(self, unsupported: list[str], *, signs: bool) -> None:
        self._unsupported = unsupported
        self._signs = signs
        self._names: dict[str, str] = {}

    def parts(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        """Parts of one turn. Reasoning of an earlier turn is left out: nobody but its model can use it."""
        shown = [self._part(part) for part in parts if not isinstance(part, Reasoning)]
        if self._signs:
            first = next((part for part in shown if "functionCall" in part), None)
            if first is not None:
                first["thoughtSignature"] = FOREIGN_SIGNATURE
        return [part for part in shown if part]

    def _part(self, part: Part) -> dict[str, Any]:
        match part:
            case Text() | Refusal() | Reasoning():
                return {"text": part.text} if part.text else {}
            case Image() | File() | Audio():
                return self._media(part)
            case ToolCall():
                self._names[part.id] = part.name
                return {"functionCall": _named(part.id, part.name) | {"args": arguments_object(part.arguments)}}
            case ToolResult():
                return {"functionResponse": self._result(part)}

    def _media(self, part: Image | File | Audio) -> dict[str, Any]:
        if isinstance(part, Image) and part.detail not in ("", "auto"):
            self._unsupported.append(f"{part.at}.detail")
        if not isinstance(part, Audio) and part.url:
            return {"fileData": _linked(part)}
        data = part.data
        if isinstance(part, File) and part.media_type.startswith("text/"):
            data = base64.b64encode(data.encode()).decode()
        blob = {"mimeType": part.media_type, "data": data}
        return {"inlineData": blob | ({"displayName": part.name} if isinstance(part, File) and part.name else {})}

    def _result(self, result: ToolResult) -> dict[str, Any]:
        text = "".join([part.text for part in result.content if isinstance(part, Text)])
        name = result.name or self._names.get(result.call_id) or result.call_id
        shown = _named(result.call_id, name) | {"response": {"error": text} if result.is_error else _response(text)}
        media = [self._media(part) for part in result.content if not isinstance(part, Text)]
        return shown | ({"parts": media} if media else {})


def _named(id: str, name: str) -> dict[str, Any]:
    return {"id": id, "name": name} if id else {"name": name}


def _linked(part: Image | File) -> dict[str, Any]:
    extension = part.url.partition("?")[0].rpartition(".")[2].lower()
    media_type = part.media_type or _EXTENSIONS.get(extension, "")
    shown = {"mimeType": media_type} if media_type else {}
    shown["fileUri"] = part.url
    return shown | ({"displayName": part.name} if isinstance(part, File) and part.name else {})


def _response(text: str) -> dict[str, Any]:
    """What a function gave back, as the object that Gemini wants: its own if it is one."""
    try:
        value = read_json(text)
        return storable(value) if type(value) is dict and value else {"result": text}
    except (*JSON_ERRORS, MalformedError):
        return {"result": text}
