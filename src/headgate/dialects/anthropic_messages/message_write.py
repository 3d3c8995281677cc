"""Anthropic Messages, provider side: the messages of a `Prompt` -> ``system`` and ``messages``.

System and developer messages go to the top, wherever they stood. Neighbours of one role become one message, and in
the user's the results of tools come first: Anthropic wants them right after the turn that called.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from headgate.dialects.anthropic_messages.message_read import PDF
from headgate.dialects.anthropic_messages.tool_input import tool_input
from headgate.dialects.calls import plain
from headgate.dialects.given import invalid
from headgate.prompt import File, Image, Message, Part, Reasoning, Refusal, Role, Text, ToolCall, ToolResult

_IMAGE_TYPES: Final = {kind: kind for kind in ("image/jpeg", "image/png", "image/gif", "image/webp")} | {
    "image/jpg": "image/jpeg"
}
_PROMPTING: Final = frozenset({Role.SYSTEM, Role.DEVELOPER})

System = str | list[dict[str, Any]]


def write_messages(messages: Iterable[Message], unsupported: list[str]) -> tuple[System, list[dict[str, Any]]]:
    """Both, `system` empty for none. Appends to `unsupported` the paths of what has no word here.

    Raises `RequestError` ``invalid_request`` where the last turn says nothing.
    """
    writer = _Writer(unsupported)
    prompting: list[Part] = []
    said: list[Message] = []
    for message in messages:
        if message.name:
            unsupported.append(f"{message.at}.name")
        if message.role in _PROMPTING:
            prompting += message.parts
        else:
            said.append(message)
    written = []
    for role, run in groupby(said, key=lambda message: message.role):
        turn = list(run)
        parts = [part for message in turn for part in message.parts]
        blocks = writer.user(parts) if role is Role.USER else writer.assistant(parts)
        if blocks:
            written.append({"role": role.value, "content": _content(blocks)})
        elif turn[-1] is said[-1] and all(isinstance(part, Text | Reasoning) for part in parts):
            _refuse_silence(turn[-1], written)
    system = _content(writer.texts(prompting))
    if system and not written:  # the dialect wants a message
        return "", [{"role": "user", "content": system}]
    return system, written


def _refuse_silence(last: Message, written: list[dict[str, Any]]) -> None:
    """Refuse what would ask Anthropic for nothing, or to go on with its own words: a last turn of white space alone."""
    if last.role is Role.USER or not written:
        raise invalid(last.at, "more than white space, which Anthropic refuses")


class _Writer:
    """What has to be remembered between messages: ids made up for calls that had none."""

    def __init__(self, unsupported: list[str]) -> None:
        self._unsupported = unsupported
        self._made_up = 0
        self._unanswered: list[tuple[str, str]] = []  # name and id of calls whose id we made up

    def user(self, parts: list[Part]) -> list[dict[str, Any]]:
        results = [self._result(part) for part in parts if isinstance(part, ToolResult)]
        return results + self._blocks([part for part in parts if not isinstance(part, ToolResult)])

    def assistant(self, parts: list[Part]) -> list[dict[str, Any]]:
        """The assistant's turn: text, then calls. Reasoning of another provider's model cannot be used."""
        blocks: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case ToolCall():
                    blocks.append(self._call(part))
                case Refusal():
                    blocks += self.texts([Text(part.text, part.at)])
                case Reasoning():
                    pass
                case _:
                    blocks += self.texts([part])
        return blocks

    def texts(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        """Blocks of parts that may be nothing but text. Text of nothing but white space is refused by Anthropic."""
        blocks = []
        for part in parts:
            if not isinstance(part, Text):
                self._unsupported.append(part.at)
            elif part.text.strip():
                blocks.append({"type": "text", "text": part.text})
        return blocks

    def _blocks(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        """Blocks of what a user may say."""
        blocks: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case Image() if source := _image_source(part):
                    blocks.append({"type": "image", "source": source})
                    if part.detail not in ("", "auto"):
                        self._unsupported.append(f"{part.at}.detail")
                case File() if source := _file_source(part):
                    blocks.append({"type": "document", "source": source} | ({"title": part.name} if part.name else {}))
                case _:
                    blocks += self.texts([part])
        return blocks

    def _call(self, call: ToolCall) -> dict[str, Any]:
        id = plain(call.id)
        if not id:
            id = self._make_up()
            self._unanswered.append((call.name, id))
        return {"type": "tool_use", "id": id, "name": call.name, "input": tool_input(call.arguments)}

    def _result(self, result: ToolResult) -> dict[str, Any]:
        shown: dict[str, Any] = {"type": "tool_result", "tool_use_id": plain(result.call_id) or self._answer(result)}
        blocks = self._blocks(result.content)
        if blocks:
            shown["content"] = _content(blocks)
        return shown | ({"is_error": True} if result.is_error else {})

    def _answer(self, result: ToolResult) -> str:
        """Id of the call that a result without one answers: the first of its name, else the first."""
        named = [call for call in self._unanswered if call[0] == result.name]
        call = next(iter(named or self._unanswered), None)
        if call is None:
            return self._make_up()
        self._unanswered.remove(call)
        return call[1]

    def _make_up(self) -> str:
        self._made_up += 1
        return f"call_made_up_{self._made_up}"


def _content(blocks: list[dict[str, Any]]) -> System:
    """A lone text as the string it is, else the blocks."""
    if not blocks:
        return ""
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0]["type"] == "text" else blocks


def _image_source(image: Image) -> dict[str, Any] | None:
    if image.url:
        return {"type": "url", "url": image.url}
    media_type = _IMAGE_TYPES.get(image.media_type)
    return {"type": "base64", "media_type": media_type, "data": image.data} if media_type else None


def _file_source(file: File) -> dict[str, Any] | None:
    """A PDF by URL or data, or plain text."""
    if file.url:
        return {"type": "url", "url": file.url} if file.media_type in ("", PDF) else None
    if file.media_type == PDF:
        return {"type": "base64", "media_type": PDF, "data": file.data}
    if file.media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": file.data}
    return None
