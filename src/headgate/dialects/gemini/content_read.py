"""Gemini, client side: ``systemInstruction`` and ``contents`` -> the messages of a `Prompt`.

Calls and their results are matched by ``id`` where there is one, else by the function's name in order, as Gemini does
it itself: ids are made up for other dialects, which need them. Signatures are of use to nobody else and go unnamed.
"""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from headgate.dialects.fields import JSON_ERRORS
from headgate.dialects.gemini.given import Given
from headgate.dialects.gemini.objects import INVALID_JSON
from headgate.dialects.given import invalid
from headgate.prompt import Audio, File, Image, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult

_ROLES: Final = {"": Role.USER, "user": Role.USER, "function": Role.USER, "model": Role.ASSISTANT}
_RESULTS: Final = ("result", "output")
"""The one field of a function's response that holds its text; Gemini's own word and that of the official SDK."""


def read_messages(body: Given) -> tuple[Message, ...]:
    """All messages. Raises `RequestError` ``invalid_request`` naming the path of what is malformed."""
    reader = _Reader()
    messages = []
    at = body.path("systemInstruction")
    system = body.maybe("systemInstruction")
    if system is not None:
        system.take("role")
        messages.append(Message(Role.SYSTEM, tuple(reader.parts(system)), at=at))
        system.end()
    for path, content in body.objects("contents"):
        role = content.text("role")
        if role not in _ROLES:
            raise invalid(content.path("role"), "'user' or 'model'")
        messages.append(Message(_ROLES[role], tuple(reader.parts(content)), at=path))
        content.end()
    return tuple(message for message in messages if message.parts)


class _Reader:
    """What has to be remembered between parts: calls that no result was seen for, by function."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, deque[str]] = defaultdict(deque)
        self._names: dict[str, str] = {}

    def parts(self, content: Given) -> Iterator[Part]:
        for at, given in content.objects("parts"):
            given.take("thoughtSignature")
            yield from self._part(at, given)

    def _part(self, at: str, given: Given) -> Iterator[Part]:
        thought = given.flag("thought")
        if given.has("text"):
            text = given.text("text")
            if text:
                yield Reasoning(text, at) if thought else Text(text, at)
        elif (blob := given.maybe("inlineData")) is not None:
            yield _inline(at, blob)
            blob.end()
        elif (file := given.maybe("fileData")) is not None:
            yield _linked(at, file)
            file.end()
        elif (call := given.maybe("functionCall")) is not None:
            yield self._call(at, call)
            call.end()
        elif (response := given.maybe("functionResponse")) is not None:
            yield self._result(at, response)
            response.end()
        given.end()

    def _call(self, at: str, given: Given) -> ToolCall:
        name = given.required_text("name")
        id = given.text("id") or f"call_{len(self._names)}_{name}"
        self._names[id] = name
        self._waiting[name].append(id)
        return ToolCall(id, name, _arguments(given), at)

    def _result(self, at: str, given: Given) -> ToolResult:
        name, id = given.text("name"), given.text("id")
        if not name and not id:
            raise invalid(given.path("name"), "a string")
        name = name or self._names.get(id, "")
        waiting = self._waiting[name]
        if id in waiting:
            waiting.remove(id)
        elif not id:
            id = waiting.popleft() if waiting else f"call_{name}"
        path = given.path("response")
        text, is_error = _response(given.mapping("response") or {}, path)
        content: list[Text | Image | File] = [Text(text, at)] if text else []
        for path, part in given.objects("parts"):
            content += _media(path, part)
        return ToolResult(id, tuple(content), name, is_error, at)


def _arguments(given: Given) -> str:
    """Arguments as JSON text; those that were none are taken out again."""
    path = given.path("args")
    fields = given.mapping("args") or {}
    if fields.keys() == {INVALID_JSON} and type(fields[INVALID_JSON]) is str:
        return str(fields[INVALID_JSON])
    return _json(fields, path)


def _response(fields: dict[str, Any], at: str) -> tuple[str, bool]:
    """Text of a function's response, and whether it is an error: the one field that says so, else the whole object."""
    if len(fields) == 1:
        ((name, value),) = fields.items()
        if type(value) is str and (name == "error" or name in _RESULTS):
            return value, name == "error"
        if name == "error" and value:
            return _json(value, at), True
    return _json(fields, at), False


def _json(value: Any, at: str) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (*JSON_ERRORS, msgspec.EncodeError, OverflowError):
        raise invalid(at, "JSON of the usual depth and numbers") from None


def _media(at: str, given: Given) -> Iterator[Image | File]:
    """A picture or document beside a function's response."""
    if (blob := given.maybe("inlineData")) is not None:
        part = _inline(at, blob)
        if isinstance(part, Audio):
            given.leave()
        else:
            yield part
            blob.end()
    elif (file := given.maybe("fileData")) is not None:
        yield _linked(at, file)
        file.end()
    given.end()


def _inline(at: str, given: Given) -> Image | Audio | File:
    """What came as base64: by its media type a picture, sound, text, or another document."""
    path, media_type, data = given.path("data"), given.text("mimeType").lower(), given.required_text("data")
    if media_type.startswith("audio/"):
        return Audio(data, media_type, at)
    if media_type.startswith("image/"):
        return Image(data=data, media_type=media_type, at=at)
    name = given.text("displayName")
    if media_type.startswith("text/"):
        try:
            data = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, ValueError):
            raise invalid(path, "UTF-8 text as base64, as its media type says") from None
    return File(data=data, media_type=media_type, name=name, at=at)


def _linked(at: str, given: Given) -> Image | File:
    """What came by URL; those of Google's own file store included, which nobody else can read."""
    url, media_type = given.required_text("fileUri"), given.text("mimeType").lower()
    if media_type.startswith("image/"):
        return Image(url=url, media_type=media_type, at=at)
    return File(url=url, media_type=media_type, name=given.text("displayName"), at=at)
