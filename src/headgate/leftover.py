"""What a request holds beyond its `Prompt`, as far as a model reads it: blocks, items and fields of one dialect alone.

    found(prompt.unplaced, body) -> Leftover

Every path in ``unplaced`` leads to a value in the client's body, and what stands there is looked through for text and
for pictures, sound and documents. The invariant: nothing counts twice (what lies inside another path is that path's),
and nothing counts as text that is none: ids, types and settings, signatures and what is encrypted, base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from headgate.prompt import Audio, File, Image

ENCODED_CHARS_MIN: Final = 256
"""Characters of base64 in a field that is not known to be text; what is shorter is a word, an id or a number."""

PATHS_MAX: Final = 50_000
NODES_MAX: Final = 200_000
"""Paths, and values below them, that are looked at: 0.2 s each. A body is the client's to choose; what is beyond counts as
nothing, so that nothing is refused for it."""
PATH_CHARS_MAX: Final = 512
"""Of a path that is followed; real ones are far shorter, and names of fields are the client's to choose."""

_TALK: Final = frozenset({"messages", "system", "input", "contents", "systemInstruction", "system_instruction"})
"""Fields of bodies that hold the conversation."""
_TOOLS: Final = frozenset({"tools", "functions"})
_OTHERS: Final = frozenset({"prompt", "response_format", "text", "output_config", "output_format"})
"""Fields that a model may be given something of: the variables of a stored prompt, the format of the answer."""
_READ: Final = frozenset(
    [
        "source",
        "context",
        "content",
        "output",
        "executableCode",
        "executable_code",
        "codeExecutionResult",
        "code_execution_result",
        "toolCall",
        "tool_call",
        "toolResponse",
        "tool_response",
    ]
)
"""Fields of known blocks whose text the model is certain to be given. Of whole blocks and items that holds anyway."""
_UNSURE: Final = frozenset(
    ["web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_list_tools"]
)
"""Items that say what a provider's own tool did: what of them comes before the model again is the provider's choice."""
_REASONING: Final = frozenset({"thinking", "redacted_thinking", "reasoning"})
_SETTINGS: Final = frozenset(
    [
        "type",
        "id",
        "role",
        "status",
        "phase",
        "object",
        "format",
        "detail",
        "caller",
        "cache_control",
        "annotations",
        "logprobs",
        "signature",
        "thoughtSignature",
        "thought_signature",
        "media_type",
        "mimeType",
        "mime_type",
        "defer_loading",
        "server_label",
    ]
)
"""Fields that no model reads as text, as those whose names end with ``_id`` or begin with ``encrypted_``."""
_TEXT: Final = frozenset(["text", "output", "content", "input", "code", "arguments", "stdout", "stderr", "description"])
"""Fields that are text however they look."""
_PICTURES: Final = frozenset({"image", "input_image", "image_url", "computer_screenshot"})
_DATA: Final = ("data", "file_data")
_MEDIA_TYPES: Final = ("media_type", "mimeType", "mime_type")
_STEP: Final = re.compile(r"\[(\d+)\]|\.?([^.\[]+)")
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/_=-]+")


class Leftover(msgspec.Struct):
    """What there is; the lists are in the order of the paths."""

    read: list[str] = []
    """Text that the model is certain to be given."""
    maybe: list[str] = []
    """Text that it may be given."""
    tools: list[Any] = []
    """What tools say of themselves that no `Tool` has a place for, in the client's own words."""
    media: list[Image | File | Audio] = []


def found(unplaced: tuple[str, ...], body: dict[str, Any]) -> Leftover:
    """What stands at these paths of a body. Never raises; a path that leads nowhere is nothing."""
    left = Leftover()
    pending: list[tuple[str, Any, list[str]]] = []
    for path in _outermost(unplaced[:PATHS_MAX]):
        root = _root(path)
        if root not in _TALK and root not in _TOOLS and root not in _OTHERS:
            continue
        name, value = path.rpartition(".")[2], _at(body, path)
        if type(value) not in (str, list, dict) or name in _SETTINGS or name.startswith("reasoning"):
            continue
        if root in _TOOLS:
            left.tools.append(value)
            continue
        sure = root in _TALK and (path.endswith("]") or name in _READ)
        if sure and type(value) is dict and value.get("type") in _UNSURE:
            sure = False
        pending.append((name, value, left.read if sure else left.maybe))
    _look_through(pending, left.media)
    return left


def described(value: Any) -> Iterator[str]:
    """What a schema or a tool says in words that no provider leaves out: descriptions, and the names of properties.

    Not what stands in ``$defs``, since nothing may refer to it; nor a tool that the model is given only once it has been
    searched for.
    """
    pending = [value]
    for item in pending:  # grows on the way
        if type(item) is dict and item.get("defer_loading") is not True:
            words = item.get("description")
            if type(words) is str:
                yield words
            named = item.get("properties")
            if type(named) is dict:
                yield from named
                item = {**item, "properties": list(named.values())}
            item = [inner for name, inner in item.items() if name not in ("$defs", "definitions")]
        if type(item) is list:
            pending.extend(item[: max(NODES_MAX - len(pending), 0)])


def _outermost(paths: tuple[str, ...]) -> Iterator[str]:
    """Paths that lie in no other one, each once. The name of a tool's type stands for the tool."""
    known = [path for path in paths if len(path) <= PATH_CHARS_MAX]
    whole = dict.fromkeys(path.removesuffix(".type") if _root(path) in _TOOLS else path for path in known)
    for path in whole:
        cuts = [at for at, sign in enumerate(path) if sign in ".["]
        if not any(path[:at] in whole for at in cuts):
            yield path


def _root(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _at(body: dict[str, Any], path: str) -> Any:
    """The value at a path such as ``messages[0].content[1].source``; None for none."""
    value: Any = body
    at = 0
    while at < len(path):
        if type(value) is dict and path[at:].removeprefix(".") in value:  # also where the name has a dot in it
            return value[path[at:].removeprefix(".")]
        step = _STEP.match(path, at)
        if step is None:
            return None
        index, name = step.groups()
        if index is not None:
            if type(value) is not list or int(index) >= len(value):
                return None
            value = value[int(index)]
        else:
            if type(value) is not dict:
                return None
            value = value.get(name)
        at = step.end()
    return value


def _look_through(pending: list[tuple[str, Any, list[str]]], media: list[Image | File | Audio]) -> None:
    """Everything in values that is text goes to the list beside them, what is a picture, sound or a document to `media`."""
    for field, item, texts in pending:  # grows on the way
        kind, room = type(item), max(NODES_MAX - len(pending), 0)
        if kind is str:
            if item and _is_text(field, item):
                texts.append(item)
        elif kind is list:
            pending.extend([(field, inner, texts) for inner in item[:room]])
        elif kind is dict and item.get("type") not in _REASONING:
            taken = _medium(item, texts, media)
            pending.extend([(inner, item[inner], texts) for inner in list(item)[:room] if inner not in taken])


def _medium(item: dict[str, Any], texts: list[str], media: list[Image | File | Audio]) -> tuple[str, ...]:
    """What an object is if it is no text, with the fields that say so: nothing else is read in these."""
    kind = item.get("type")
    if type(kind) is str and kind in _PICTURES:
        media.append(Image(detail=detail if type(detail := item.get("detail")) is str else ""))
        return ("source", "image_url", "url", *_DATA)
    field = next((field for field in _DATA if type(item.get(field)) is str), "")
    if not field or kind == "text":
        return ()
    data: str = item[field]
    media_type = next((item[name] for name in _MEDIA_TYPES if type(item.get(name)) is str), "").lower()
    if media_type.startswith("image/"):
        media.append(Image(data=data, media_type=media_type))
    elif media_type.startswith("audio/") or (not media_type and field == "data" and "format" in item):
        media.append(Audio(data, media_type))
    elif media_type.startswith("text/"):
        texts.append(_plain(data))
    elif media_type or field == "file_data":
        media.append(File(data=data, media_type=media_type))
    else:
        return ()
    return (field,)


def _plain(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _is_text(field: str, text: str) -> bool:
    if field in _SETTINGS or field.endswith("_id") or field.startswith("encrypted_"):
        return False
    if text[:5].lower() == "data:":
        return False
    return field in _TEXT or len(text) < ENCODED_CHARS_MIN or _ENCODED.fullmatch(text) is None
