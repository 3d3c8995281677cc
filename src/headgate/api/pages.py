"""Pages of the list of models, as the official SDKs turn them.

Not the list itself (`models`). A page begins behind a name, or ends before one, so that a list which changes between
two pages repeats nothing, and a name that is gone is a place in the list all the same.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from headgate.errors import RequestError

ANTHROPIC_LIMIT: Final = 20
GEMINI_LIMIT: Final = 50
LIMIT_MAX: Final = 1_000
"""Defaults and maximum are those of the two APIs."""
DIGITS_MAX: Final = 9


class Page(NamedTuple):
    """Some of the names, in order."""

    names: Sequence[str]
    more: bool
    """There are others, in the direction in which the pages are turned."""


def anthropic_page(names: Sequence[str], query: Mapping[str, str]) -> Page:
    """The page for ``limit``, ``after_id`` and ``before_id``; `names` are sorted. Raises `RequestError` ``invalid_request``."""
    after, before = query.get("after_id"), query.get("before_id")
    limit = _number(query.get("limit"), "limit", default=ANTHROPIC_LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestError("invalid_request", f"'limit' must be 1 to {LIMIT_MAX}.", param="limit")
    if after and before:
        text = "'after_id' and 'before_id' turn pages in two directions: send one of them."
        raise RequestError("invalid_request", text, param="before_id")
    if before:
        end = bisect_left(names, before)
        return Page(names[max(end - limit, 0) : end], end > limit)
    return _behind(names, after, limit)


def gemini_page(names: Sequence[str], query: Mapping[str, str]) -> tuple[Page, str | None]:
    """The page for ``pageSize`` and ``pageToken``, and the token of the next one. Raises as `anthropic_page`."""
    limit = min(_number(query.get("pageSize"), "pageSize", default=0) or GEMINI_LIMIT, LIMIT_MAX)
    token = query.get("pageToken")
    page = _behind(names, _name_in(token) if token else None, limit)
    return page, urlsafe_b64encode(page.names[-1].encode()).decode() if page.more else None


def _behind(names: Sequence[str], name: str | None, limit: int) -> Page:
    start = bisect_right(names, name) if name else 0
    return Page(names[start : start + limit], start + limit < len(names))


def _number(text: str | None, param: str, *, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > DIGITS_MAX:
        raise RequestError(
            "invalid_request", f"'{param}' must be a number of at most {DIGITS_MAX} digits.", param=param
        )
    return int(text)


def _name_in(token: str) -> str:
    try:
        return b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        text = "'pageToken' is not the 'nextPageToken' of a page: leave it out to begin anew."
        raise RequestError("invalid_request", text, param="pageToken") from None
