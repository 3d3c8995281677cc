"""The Responses dialect, client side: input items -> the messages of a `Prompt`.

Each item becomes one `Message`, or is named by its path. What an item says of itself as a piece of an earlier answer
(its id, its status, its phase, citations and probabilities of its text) is nothing a model reads, and no loss.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from headgate.dialects.given import Given, invalid
from headgate.dialects.media import AUDIO_TYPES, data_url
from headgate.prompt import Audio, File, Image, Message, Part, Reasoning, Refusal, Role, Text, ToolCall, ToolResult

_ROLES: Final = {role.value: role for role in Role}
_FILE_TYPES: Final = {"txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html"}
"""Media type of a file whose data says none, by the ending of its name."""
FILE_TYPE: Final = "application/pdf"
"""Of all others."""


def read_items(body: Given) -> tuple[Message, ...]:
    """All messages. Raises `RequestError` ``invalid_request`` naming the path of what is malformed."""
    text = body.take("input")
    if type(text) is str:
        return (Message(Role.USER, (Text(text, "input"),), at="input"),)
    if text is None:
        return ()
    names: dict[str, str] = {}  # call id -> tool
    items = Given({"input": text}, "", body.unplaced)
    return tuple([message for at, given in items.objects("input") for message in _item(at, given, names)])


def _item(at: str, given: Given, names: dict[str, str]) -> Iterator[Message]:
    kind = given.text("type") or ("message" if given.has("role") else "item_reference")
    read = {
        "message": _message,
        "function_call": _function_call,
        "function_call_output": _function_call_output,
        "reasoning": _reasoning,
    }.get(kind)
    if read is None:
        given.leave()
        return
    for field in ("id", "status", "phase"):
        given.take(field)
    yield read(at, given, names)
    given.end()


def _message(at: str, given: Given, names: dict[str, str]) -> Message:
    role = given.required_text("role")
    if role not in _ROLES:
        raise invalid(f"{at}.role", f"one of {', '.join(_ROLES)}")
    if not given.has("content"):
        raise invalid(f"{at}.content", "a string or an array")
    return Message(_ROLES[role], tuple(_content(given, "content")), at=at)


def _function_call(at: str, given: Given, names: dict[str, str]) -> Message:
    call = ToolCall(given.required_text("call_id"), given.required_text("name"), given.required_text("arguments"), at)
    names[call.id] = call.name
    return Message(Role.ASSISTANT, (call,), at=at)


def _function_call_output(at: str, given: Given, names: dict[str, str]) -> Message:
    call_id, name = given.required_text("call_id"), given.text("name")
    content: list[Text | Image | File] = []
    for part in _content(given, "output"):
        if isinstance(part, Text | Image | File):
            content.append(part)
        else:
            given.unplaced.append(part.at)
    result = ToolResult(call_id, tuple(content), names.get(call_id) or name, at=at)
    return Message(Role.USER, (result,), at=at)


def _reasoning(at: str, given: Given, names: dict[str, str]) -> Message:
    """Its text, or the summary of it; the encrypted form is its own provider's alone."""
    given.take("encrypted_content")
    texts = {}
    for field in ("summary", "content"):
        found = []
        for _, part in given.objects(field):
            part.take("type")
            found.append(part.text("text"))
            part.end()
        texts[field] = "\n\n".join(found)
    return Message(Role.ASSISTANT, (Reasoning(texts["content"] or texts["summary"], at),), at=at)


def _content(given: Given, field: str) -> Iterator[Part]:
    """Parts of a message's content or of a result: a string or an array. Empty text is no part."""
    at, value = given.path(field), given.take(field)
    if type(value) is str:
        if value:
            yield Text(value, at)
        return
    for path, part in Given({field: value}, at.removesuffix(field).removesuffix("."), given.unplaced).objects(field):
        yield from _part(path, part)


def _part(at: str, given: Given) -> Iterator[Part]:
    match given.required_text("type"):
        case "input_text" | "text":
            if text := given.required_text("text"):
                yield Text(text, at)
        case "output_text":
            given.take("annotations")
            given.take("logprobs")
            if text := given.required_text("text"):
                yield Text(text, at)
        case "refusal":
            yield Refusal(given.required_text("refusal"), at)
        case "input_image":
            yield from _image(at, given)
        case "input_file":
            yield from _file(at, given)
        case "input_audio":
            audio = given.object("input_audio")
            format = audio.required_text("format")
            yield Audio(audio.required_text("data"), AUDIO_TYPES.get(format, f"audio/{format}"), at)
            audio.end()
        case _:
            given.leave()
            return
    given.end()


def _image(at: str, given: Given) -> Iterator[Image]:
    """An image by URL or as a ``data:`` URL; one that is only known by a file's id is left, and named by that."""
    detail = given.text("detail")
    if not given.has("image_url"):
        if not given.has("file_id"):
            raise invalid(f"{at}.image_url", "a string")
        return
    url, path = given.required_text("image_url"), f"{at}.image_url"
    if url[:5].lower() == "data:":
        media_type, data = data_url(url, path)
        yield Image(data=data, media_type=media_type, detail=detail, at=at)
    elif url[:8].lower().startswith(("http://", "https://")):
        yield Image(url=url, detail=detail, at=at)
    else:
        raise invalid(path, "an http(s) or data: URL")


def _file(at: str, given: Given) -> Iterator[File]:
    """A file by URL, or as base64 with or without ``data:`` before it; text becomes plain text."""
    name, path = given.text("filename"), f"{at}.file_data"
    if given.text("detail") not in ("", "auto"):
        given.leave(f"{at}.detail")
    if given.has("file_url"):
        yield File(url=given.required_text("file_url"), name=name, at=at)
        return
    if not given.has("file_data"):
        if not given.has("file_id"):
            raise invalid(path, "a string")
        return
    data, media_type = given.required_text("file_data"), _FILE_TYPES.get(name.rpartition(".")[2].lower(), FILE_TYPE)
    if data[:5].lower() == "data:":
        media_type, data = data_url(data, path)
    if media_type.startswith("text/"):
        try:
            data = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, ValueError):
            raise invalid(path, "UTF-8 text as base64, as its media type says") from None
    yield File("", data, media_type, name, at)
