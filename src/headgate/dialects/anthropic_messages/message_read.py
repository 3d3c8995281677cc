"""Anthropic Messages, client side: ``system`` and ``messages`` -> the messages of a `Prompt`.

Each of the client's messages becomes one `Message`, each block of it a part. A block without a word of ours is named
by its path, and so are the fields of a block (``cache_control``) that have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from headgate.dialects.given import Given, invalid
from headgate.prompt import File, Image, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult

PDF: Final = "application/pdf"
_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_DIRECT: Final = {"type": "direct"}
"""``caller`` of a tool call that the model made itself, as answers have it."""
_OFF: Final = {"enabled": False}
"""``citations`` that nobody asks for."""


def read_system(body: Given) -> Iterator[Message]:
    """``system``, a string or blocks of text; no message where it is empty."""
    parts = _Reader(body.unplaced).content("system", body)
    if parts:
        yield Message(Role.SYSTEM, parts, at="system")


def read_messages(body: Given) -> tuple[Message, ...]:
    """All messages. Raises `RequestError` ``invalid_request`` naming the path of what is malformed."""
    reader = _Reader(body.unplaced)
    return tuple([reader.message(at, given) for at, given in body.objects("messages")])


class _Reader:
    """What has to be remembered between messages: the names of the tools' calls."""

    def __init__(self, unplaced: list[str]) -> None:
        self._unplaced = unplaced
        self._names: dict[str, str] = {}

    def message(self, at: str, given: Given) -> Message:
        role = given.required_text("role")
        if role not in _ROLES:
            raise invalid(f"{at}.role", f"one of {', '.join(_ROLES)}")
        message = Message(_ROLES[role], self.content("content", given), at=at)
        given.end()
        return message

    def content(self, field: str, given: Given) -> tuple[Part, ...]:
        """Parts of a string or of an array of blocks. Empty text is no part."""
        value, at = given.take(field), given.path(field)
        if type(value) is str:
            return (Text(value, at),) if value else ()
        if value is not None and type(value) is not list:
            raise invalid(at, "a string or an array")
        found: list[Part] = []
        for index, item in enumerate(value or ()):
            block = Given(item, f"{at}[{index}]", self._unplaced)
            found += self._part(f"{at}[{index}]", block)
        return tuple(found)

    def _part(self, at: str, given: Given) -> Iterator[Part]:
        """The part that a block is, if it is one. Whatever of a block is not taken is named."""
        match given.required_text("type"):
            case "text":
                given.take("citations")  # of an earlier answer; no model reads them
                text = given.required_text("text")
                if text:
                    yield Text(text, at)
            case "thinking":
                given.take("signature")
                yield Reasoning(given.text("thinking"), at)
            case "redacted_thinking":
                given.take("data")
                yield Reasoning("", at)
            case "image":
                yield from _image(at, given)
            case "document":
                yield from _document(at, given)
            case "tool_use":
                yield self._call(at, given)
            case "tool_result":
                yield self._result(at, given)
            case _:
                given.leave()
                return
        given.end()

    def _call(self, at: str, given: Given) -> ToolCall:
        id, name = given.required_text("id"), given.required_text("name")
        self._names[id] = name
        caller = given.take("caller")
        if caller is not None and caller != _DIRECT:
            given.leave(given.path("caller"))
        return ToolCall(id, name, _json(given.mapping("input") or {}, given.path("input")), at)

    def _result(self, at: str, given: Given) -> ToolResult:
        id, is_error = given.required_text("tool_use_id"), given.flag("is_error")
        content: list[Text | Image | File] = []
        for part in self.content("content", given):
            if isinstance(part, Text | Image | File):
                content.append(part)
            else:
                self._unplaced.append(part.at)
        return ToolResult(id, tuple(content), self._names.get(id, ""), bool(is_error), at)


def _image(at: str, given: Given) -> Iterator[Image]:
    source = given.object("source")
    match source.required_text("type"):
        case "base64":
            yield Image(data=source.required_text("data"), media_type=source.required_text("media_type"), at=at)
        case "url":
            yield Image(url=source.required_text("url"), at=at)
        case _:  # a file of the provider's
            source.leave()
            return
    source.end()


def _document(at: str, given: Given) -> Iterator[File]:
    name = given.text("title")
    if given.has("citations") and given.take("citations") != _OFF:
        given.leave(given.path("citations"))
    source = given.object("source")
    match source.required_text("type"):
        case "base64":
            data, media_type = source.required_text("data"), source.text("media_type") or PDF
            yield File(data=data, media_type=media_type, name=name, at=at)
        case "text":
            data, media_type = source.required_text("data"), source.text("media_type") or "text/plain"
            yield File(data=data, media_type=media_type, name=name, at=at)
        case "url":
            yield File(url=source.required_text("url"), media_type=PDF, name=name, at=at)
        case _:  # a file of the provider's, or blocks to be cited
            source.leave()
            return
    source.end()


def _json(value: dict[str, Any], at: str) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        raise invalid(at, "nested less deeply") from None
