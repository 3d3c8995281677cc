"""The strings in a request's body: which there are, what they are, and the body again with other strings in their place.

All four dialects are walked by one set of rules, because what is not known to be no text is text. Not visited are names
that are keys, media in base64 at the places where a dialect has it, what providers encrypt or sign, and words of the
dialects themselves. Keys and numbers are visited inside data of tools, where they may be anything; JSON inside
arguments is gone into.
Invariant: both walks over a body visit the same strings in the same order.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from headgate.errors import RequestError

LEVELS_MAX: Final = 100
"""Nesting of a body that is judged. Real ones have less than twenty; the walk recurses."""
MEDIA_KEYS: Final = frozenset(
    {"data", "file_data", "fileData", "url", "image_url", "file_url", "uri", "fileUri", "file_uri"}
)
"""Where base64 may stand, by itself or as a ``data:`` URL."""
SEALED_KEYS: Final = frozenset({"encrypted_content", "signature", "thoughtSignature", "thought_signature"})
"""What providers encrypt or sign, and want back to the byte."""
SEALED_CHARS_FREE: Final = 256
"""What is sealed, or media, and longer is not visited: no key is as long, and no picture shorter."""
DATA_KEYS: Final = frozenset({"arguments", "input", "args", "response", "const", "enum", "default", "examples"})
"""Data of tools, and of their schemas."""
_NAME_KEYS: Final = (
    "type role model name id call_id tool_call_id tool_use_id item_id previous_response_id user user_id "
    "safety_identifier prompt_cache_key url uri fileUri file_uri file_id mimeType mime_type media_type"
)
NAME_KEYS: Final = frozenset(_NAME_KEYS.split())
"""Names rather than prose, but in data of tools: rules that need meaning are not asked about them."""
_WORDS: Final = (
    "user assistant system developer tool function model text input_text output_text input_image image_url input_file "
    "input_audio image file audio refusal reasoning summary_text reasoning_text thinking redacted_thinking tool_use "
    "tool_result function_call function_call_output message document base64 url content custom object string integer "
    "number boolean array null OBJECT STRING INTEGER NUMBER BOOLEAN ARRAY auto none any required AUTO NONE ANY VALIDATED "
    "minimal low medium high xhigh max default flex priority json_object json_schema enabled disabled adaptive ephemeral "
    "concise detailed completed incomplete in_progress TEXT wav mp3 grammar lark regex"
)
WORDS: Final = frozenset(_WORDS.split())
"""Of the dialects themselves, where one is the whole value at one of `WORD_KEYS`. A list of names may hold "Low"."""
_WORD_KEYS: Final = (
    "type role effort detail mode verbosity service_tier format status tool_choice function_call summary truncation "
    "modalities responseModalities response_modalities"
)
WORD_KEYS: Final = frozenset(_WORD_KEYS.split())

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\r\n-]*={0,2}[\r\n]*")
_NAME: Final = re.compile(r"\$?[A-Za-z_]+", re.ASCII)
"""What a key is that dialects and programs give: nothing that can be told by its form is one."""
_NO_TEXT: Final = ("image/", "audio/", "video/")
"""Kinds of media that are never looked into."""
_DATA_URL: Final = re.compile(r"data:([^,;]{0,200})((?:;[^,;]{0,200}){0,8});base64,", re.IGNORECASE)


class Place(NamedTuple):
    """Where a string stands."""

    path: tuple[str | int, ...]
    prose: bool
    """Whether somebody may have written it; else it is a name."""


Visit = Callable[[str, Place], str]
"""Gets every string, and gives what is to stand there."""


def rewritten(body: dict[str, Any], visit: Visit) -> dict[str, Any]:
    """A body with what `visit` gives in place of its strings; untouched parts are shared. Raises `RequestError`."""
    changed: dict[str, Any] = _Walk(visit).value(body, (), data=False)
    return changed


class _Walk:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def value(self, value: Any, path: tuple[str | int, ...], *, data: bool) -> Any:
        if len(path) > LEVELS_MAX:
            raise RequestError("invalid_request", "The request is nested too deeply to be judged.")
        if type(value) is str:
            return self._text(value, path, data=data)
        if type(value) is dict:
            return self._object(value, path, data=data)
        if type(value) is list:
            items = [self.value(item, (*path, index), data=data) for index, item in enumerate(value)]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if data and type(value) in (int, float):
            text = str(value)
            given = self._visit(text, Place(path, prose=True))
            return value if given == text else given
        return value

    def _object(self, value: dict[str, Any], path: tuple[str | int, ...], *, data: bool) -> dict[str, Any]:
        """Two keys that have become one stay two."""
        new: dict[str, Any] = {}
        same = True
        for key, item in value.items():
            at = (*path, key)
            name = self._visit(key, Place(at, prose=data)) if data or _NAME.fullmatch(key) is None else key
            given = self._member(value, key, item, at, data=data)
            same = same and given is item and name == key
            while name in new:
                name += "_"
            new[name] = given
        return value if same else new

    def _member(self, owner: dict[str, Any], key: str, item: Any, path: tuple[str | int, ...], *, data: bool) -> Any:
        if type(item) is not str:
            return self.value(item, path, data=data or (key in DATA_KEYS and len(path) > 1))
        if key in SEALED_KEYS and not data and _BASE64.fullmatch(item):
            return self._sealed(item, 0, path)
        if key in MEDIA_KEYS and not data:
            return self._media(owner, key, item, path)
        if key == "arguments":
            return self._json(item, path)
        return self._text(item, path, data=data)

    def _text(self, text: str, path: tuple[str | int, ...], *, data: bool = False) -> str:
        key = next((step for step in reversed(path) if isinstance(step, str)), "")
        if text in WORDS and key in WORD_KEYS:
            return text
        given = self._visit(text, Place(path, prose=data or key not in NAME_KEYS))
        return text if given == text else given  # untouched is the same object, not one that equals it

    def _media(self, owner: dict[str, Any], key: str, text: str, path: tuple[str | int, ...]) -> str:
        """Base64 stays, but for text in it; everything else at such a place is text."""
        head = _DATA_URL.match(text)
        if head is not None:
            kind, start = head[1], head.end()
        elif key in ("data", "file_data", "fileData") and owner.get("type") != "text":
            kind, start = (
                next((str(owner[name]) for name in ("mimeType", "mime_type", "media_type") if name in owner), ""),
                0,
            )
        else:
            return self._text(text, path)
        if not _BASE64.fullmatch(text, start):
            return self._text(text, path)
        return self._encoded(text, start, path, kind.strip().lower())

    def _encoded(self, text: str, start: int, path: tuple[str | int, ...], kind: str) -> str:
        """Of a kind that may be text, such as JSON: what is UTF-8 is text."""
        if kind.startswith(_NO_TEXT):
            return self._sealed(text, start, path)
        try:
            plain = b64decode(
                text[start:].encode(), altchars=b"-_" if "-" in text[start:] or "_" in text[start:] else None
            )
            inner = plain.decode()
        except (binascii.Error, ValueError):
            return self._text(text, path) if kind.startswith("text/") else self._sealed(text, start, path)
        given = self._visit(inner, Place(path, prose=True))
        return text if given == inner else text[:start] + b64encode(given.encode()).decode()

    def _sealed(self, text: str, start: int, path: tuple[str | int, ...]) -> str:
        """What nobody can read, but for what is short: somebody may have put a key of theirs there."""
        if len(text) - start > SEALED_CHARS_FREE:
            return text
        given = self._visit(text, Place(path, prose=False))
        return text if given == text else given

    def _json(self, text: str, path: tuple[str | int, ...]) -> str:
        """Strings inside JSON, escapes undone. JSON that says a key twice is written again: only one of them was judged."""
        twice: list[str] = []

        def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) < len(pairs):
                twice.append("")
            return found

        try:
            value = json.loads(text, object_pairs_hook=members, parse_constant=_no_number, parse_float=_finite)
        except (ValueError, RecursionError):
            return self._text(text, path)
        given = self.value(value, path, data=True)
        if given is value and not twice:
            return text
        written = json.dumps(given, ensure_ascii=False, separators=(",", ":"))
        return written if _encodable(written) else json.dumps(given, separators=(",", ":"))


def _encodable(text: str) -> bool:
    """Half a surrogate pair is JSON as an escape, and nothing else."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return value
