"""Arguments of a tool call as the object that this dialect wants.

Arguments are text that a model wrote, and may be cut short or be no JSON. What they become is the same in answers and
in the turns of a conversation, so that a client may send back what it got.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pydantic_core import from_json

from headgate.dialects.compact import compact_json
from headgate.dialects.fields import JSON_ERRORS, read_json

INVALID: Final = "INVALID_JSON"
"""Key for arguments that are no object: Anthropic's guide to fine-grained tool streaming has them wrapped in one."""


def tool_input(text: str) -> msgspec.Raw:
    """The object that `text` is, as JSON; nothing is ``{}``.

    Arguments that were cut short become what is whole of them, as in the official SDK (its parser is this one), and
    other text becomes ``{"INVALID_JSON": text}``.
    """
    if not text.strip():
        return msgspec.Raw(b"{}")
    try:
        found = _object(text)
        return msgspec.Raw(compact_json({INVALID: text} if found is None else found))
    except RecursionError:  # nested deeper than anything that is meant
        return msgspec.Raw(compact_json({INVALID: text}))


def _object(text: str) -> dict[str, Any] | None:
    found: Any = None
    try:
        found = read_json(text)
    except JSON_ERRORS:
        try:
            found = from_json(text, allow_partial=True)
        except ValueError:
            return None
    return found if type(found) is dict else None
