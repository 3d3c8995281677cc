"""Calls of tools and their results, as far as writers of all dialects see them alike: ids, errors, the choice.

What is made of an id depends on that id alone, so that a call and its result get the same one. An id that we make up is
the same in every dialect, so that a client may change its own.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from headgate.assemble import PartFold
from headgate.events import PartKind, Reason
from headgate.ids import suffix
from headgate.prompt import File, Image, Prompt, Text, ToolChoice, ToolMode, ToolResult

ERROR: Final = "Error: "
"""What the text of a result that is an error begins with in dialects that have no field for that."""
NO_ARGUMENTS: Final = "{}"
"""What a call without arguments has in dialects whose arguments are text: their SDKs read it as JSON."""
_WHOLE: Final = frozenset({Reason.STOP, Reason.TOOL_CALLS})
"""Ends of a choice that cut nothing short."""
_HEX_CHARS: Final = 24
"""Of a response's id in an id that we make up. OpenAI takes no id of more than 40 characters; these are the random ones."""
_HASH_CHARS: Final = 8
"""Of the hash that keeps two ids apart whose other characters were replaced."""
_NOT_PLAIN: Final = re.compile(r"[^a-zA-Z0-9_-]")


def made_up_call_id(response_id: str, choice: int, part: int) -> str:
    """The id of a call whose provider gave none."""
    return f"call_{suffix(response_id)[-_HEX_CHARS:]}_{choice}_{part}"


def may_end_without(reason: Reason | None, *, is_last: bool) -> bool:
    """Whether a call that is done and has no arguments was meant so, and not cut before their first character.

    `reason` is None for a choice that has not ended; `is_last` says that no part of it began after the call.
    """
    return not is_last or reason in _WHOLE


def is_silent(part: PartFold) -> bool:
    """Whether a part is a call that is done, and never had any arguments."""
    return part.kind is PartKind.TOOL_CALL and part.done and not part.retracted and not part.text


def within(id: str, chars_max: int) -> str:
    """`id`, or a hash of it where it is longer than a provider takes."""
    return id if len(id) <= chars_max else _hash(id)[:chars_max]


def alphanumeric(id: str, chars: int) -> str:
    """`id` where it is of so many letters and digits, else a hash of it that is."""
    return id if len(id) == chars and id.isascii() and id.isalnum() else _hash(id)[:chars]


def plain(id: str) -> str:
    """`id` in letters, digits, ``_`` and ``-``; with a hash of it where it was in others."""
    shown = _NOT_PLAIN.sub("_", id)
    return id if shown == id else f"{shown}_{_hash(id)[:_HASH_CHARS]}"


def told(result: ToolResult) -> tuple[Text | Image | File, ...]:
    """The content of a result, which says in so many words that it is an error."""
    if not result.is_error:
        return result.content
    first = result.content[0] if result.content else None
    if isinstance(first, Text):
        return msgspec.structs.replace(first, text=ERROR + first.text), *result.content[1:]
    return Text(ERROR, result.at), *result.content


def choice_of(prompt: Prompt, unsupported: list[str]) -> ToolChoice | None:
    """The choice among the tools. Without any there is none, which is a loss only where one had to be called."""
    choice = prompt.tool_choice
    if choice is None or prompt.tools:
        return choice
    if choice.mode is ToolMode.REQUIRED:
        unsupported.append(prompt.place("tool_choice"))
    return None


def _hash(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()
