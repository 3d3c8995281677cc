"""OpenAI Chat Completions, client side: ``messages`` -> the messages of a `Prompt`.

Each of the client's messages becomes one `Message`. Results of tools (roles ``tool`` and the older ``function``) are
the user's. What stands in a message without a word of ours is named by its path.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final

import msgspec

from headgate.dialects.given import Given, invalid
from headgate.dialects.media import AUDIO_TYPES, data_url
from headgate.prompt import Audio, File, Image, Message, Part, Reasoning, Refusal, Role, Text, ToolCall, ToolResult

FILE_TYPE: Final = "application/pdf"
"""Of a file whose data came without a media type: the only kind Chat Completions takes everywhere."""
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning")
_BESIDE_TEXT: Final = ("reasoning_details", "annotations")
"""What stood beside the text of an answer, and no model reads: OpenRouter's own form of reasoning, and citations."""
_BESIDE_CALL: Final = ("index", "extra_content")
"""The same of a call: where it stood in deltas, and what Gemini's endpoint wants to see again."""
_PROMPTING: Final = {"system": Role.SYSTEM, "developer": Role.DEVELOPER, "user": Role.USER}


def read_messages(body: Given) -> tuple[Message, ...]:
    """All messages. Raises `RequestError` ``invalid_request`` naming the path of what is malformed."""
    reader = _Reader(body.unplaced)
    return tuple([message for at, given in body.objects("messages") for message in reader.message(at, given)])


class _Reader:
    """What has to be remembered between messages: names and ids of the tools' calls."""

    def __init__(self, unplaced: list[str]) -> None:
        self._unplaced = unplaced
        self._names: dict[str, str] = {}  # call id -> tool
        self._left: set[str] = set()  # ids of calls that are unplaced, and with them their results
        self._legacy: dict[str, str] = {}  # function name -> id made up for its last call
        self._legacy_calls = 0

    def message(self, at: str, given: Given) -> Iterator[Message]:
        role = given.required_text("role")
        if role in _PROMPTING:
            yield self._prompting(_PROMPTING[role], at, given)
        elif role == "assistant":
            yield self._assistant(at, given)
        elif role == "tool":
            yield from self._tool(at, given)
        elif role == "function":
            yield self._function(at, given)
        else:
            raise invalid(f"{at}.role", "one of system, developer, user, assistant, tool, function")
        given.end()

    def _prompting(self, role: Role, at: str, given: Given) -> Message:
        if not given.has("content"):
            raise invalid(f"{at}.content", "a string or an array")
        return Message(role, tuple(self._content(at, given)), given.text("name"), at)

    def _assistant(self, at: str, given: Given) -> Message:
        for field in _BESIDE_TEXT:
            given.take(field)
        thought = [(name, given.text(name)) for name in _REASONING_FIELDS]
        parts: list[Part] = []
        parts += [Reasoning(text, f"{at}.{name}") for name, text in thought if text][:1]
        parts += self._content(at, given)
        if refusal := given.text("refusal"):
            parts.append(Refusal(refusal, f"{at}.refusal"))
        parts += [call for path, item in given.objects("tool_calls") for call in self._call(path, item)]
        if given.has("function_call"):
            parts.append(self._legacy_call(f"{at}.function_call", given.object("function_call")))
        return Message(Role.ASSISTANT, tuple(parts), given.text("name"), at)

    def _call(self, at: str, given: Given) -> Iterator[ToolCall]:
        id, kind = given.required_text("id"), given.text("type") or "function"
        if kind != "function":
            self._left.add(id)
            given.leave()
            return
        for field in _BESIDE_CALL:
            given.take(field)
        function = given.object("function")
        call = ToolCall(id, function.required_text("name"), _arguments(function), at)
        self._names[id] = call.name
        function.end()
        given.end()
        yield call

    def _legacy_call(self, at: str, given: Given) -> ToolCall:
        name = given.required_text("name")
        id = self._legacy[name] = f"call_{self._legacy_calls}_{name}"
        self._legacy_calls += 1
        call = ToolCall(id, name, _arguments(given), at)
        given.end()
        return call

    def _tool(self, at: str, given: Given) -> Iterator[Message]:
        id, name = given.required_text("tool_call_id"), given.text("name")
        content = tuple(self._result(at, given))
        if id in self._left:
            self._unplaced.append(at)
            return
        yield Message(Role.USER, (ToolResult(id, content, self._names.get(id) or name, at=at),), at=at)

    def _function(self, at: str, given: Given) -> Message:
        name = given.required_text("name")
        content = tuple(self._result(at, given))
        id = self._legacy.get(name) or f"call_{name}"
        return Message(Role.USER, (ToolResult(id, content, name, at=at),), at=at)

    def _result(self, at: str, given: Given) -> Iterator[Text | Image | File]:
        for part in self._content(at, given):
            if isinstance(part, Text | Image | File):
                yield part
            else:
                self._unplaced.append(part.at)

    def _content(self, at: str, given: Given) -> Iterator[Part]:
        """Parts of a message's ``content``: a string, null, or an array. Empty text is no part."""
        content, at = given.take("content"), f"{at}.content"
        if type(content) is str:
            if content:
                yield Text(content, at)
        elif type(content) is list:
            for index, item in enumerate(content):
                path = f"{at}[{index}]"
                yield from self._part(path, Given(item, path, self._unplaced))
        elif content is not None:
            raise invalid(at, "a string or an array")

    def _part(self, at: str, given: Given) -> Iterator[Part]:
        match given.required_text("type"):
            case "text":
                if text := given.required_text("text"):
                    yield Text(text, at)
            case "image_url":
                yield _image(at, given)
            case "input_audio":
                audio = given.object("input_audio")
                yield Audio(audio.required_text("data"), _audio_type(audio.required_text("format")), at)
                audio.end()
            case "file":
                yield from _file(at, given.object("file"))
            case "refusal":
                yield Refusal(given.required_text("refusal"), at)
            case _:
                given.leave()
                return
        given.end()


def _arguments(given: Given) -> str:
    """Arguments as JSON text; some clients send the object itself."""
    value = given.take("arguments")
    if type(value) is dict:
        return msgspec.json.encode(value).decode()
    if type(value) is not str:
        raise invalid(given.path("arguments"), "a string")
    return value


def _audio_type(format: str) -> str:
    return AUDIO_TYPES.get(format, f"audio/{format}")


def _image(at: str, given: Given) -> Image:
    """An image by URL or as a ``data:`` URL. Mistral's clients give the URL without the object around it."""
    if type(url := given.take("image_url")) is str:
        path, detail = f"{at}.image_url", ""
    else:
        inner = Given(url, f"{at}.image_url", given.unplaced)
        path, url, detail = inner.path("url"), inner.required_text("url"), inner.text("detail")
        inner.end()
    if url[:5].lower() == "data:":
        media_type, data = data_url(url, path)
        return Image(data=data, media_type=media_type, detail=detail, at=f"{at}.image_url")
    return Image(url=_http_url(url, path), detail=detail, at=f"{at}.image_url")


def _file(at: str, given: Given) -> Iterator[File]:
    name, path = given.text("filename"), given.path("file_data")
    if not given.has("file_data"):
        if not given.has("file_id"):
            raise invalid(path, "a string")
        given.end()  # names the id
        return
    data, media_type, url = given.required_text("file_data"), FILE_TYPE, ""
    if data[:5].lower() == "data:":
        media_type, data = data_url(data, path)
    elif data[:8].lower().startswith(("http://", "https://")):  # OpenRouter takes a URL here
        data, media_type, url = "", "", data
    if media_type.startswith("text/"):
        data = _plain(data, path)
    yield File(url, data, media_type, name, at)
    given.end()


def _plain(data: str, at: str) -> str:
    """Text that came as base64."""
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid(at, "UTF-8 text as base64, as its media type says") from None


def _http_url(url: str, at: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise invalid(at, "an http(s) or data: URL")
    return url
