"""A request's body, decoded and checked against a type; what is wrong with it, in words that name the field.

Unknown fields are ignored, known ones must have their types: a client that sends ``"n": "two"`` learns so with a 400
that names the field, as from the real thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from headgate.errors import RequestError

T = TypeVar("T")


class Rule(NamedTuple):
    """Something types do not say about a field."""

    param: str
    holds: bool
    rule: str
    """What the field must be, as the end of a sentence."""


def decode(body: bytes) -> Any:
    """The JSON of a body. Raises `RequestError` ``invalid_json``."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RequestError("invalid_json", f"The body is not JSON: {error}") from None


def convert(raw: Any, kind: type[T]) -> T:
    """The JSON as a record. Raises `RequestError` ``invalid_request``, with the field where there is one."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        found = re.search(r"`\$\.?(.*)`$", str(error)) or re.search(r"field `(.*?)`", str(error))
        raise RequestError("invalid_request", str(error), param=found[1] or None if found else None) from None


def check(rules: Iterable[Rule]) -> None:
    """Raise `RequestError` ``invalid_request`` for the first rule that does not hold."""
    for param, holds, rule in rules:
        if not holds:
            raise RequestError("invalid_request", f"'{param}' {rule}.", param=param)


def joined(content: str | list[dict[str, Any]] | None) -> str:
    """The text of a message whose content is text or a list of typed parts."""
    match content:
        case str(text):
            return text
        case list(parts):
            return "\n".join(str(part.get("text", "")) for part in parts)
        case _:
            return ""
