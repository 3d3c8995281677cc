"""A rule that asks a function of the operator's own: ``callable = "package.module:function"``.

It is given the text and says what it thinks of it. What it may return is in docs/how-to/judges.md, and `read` is what
that page says in code: whatever is not on the list is no verdict.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from headgate.governance.judgement import Judgement, Outcome, Span
from headgate.judges.judge import SPANS_MAX, JudgeError, code, error
from headgate.judges.workers import THREADS_MAX, Workers

NONSENSE: Final = error("it returned what is no verdict")
_KEYS: Final = frozenset({"passed", "reason", "spans"})
_SPAN_KEYS: Final = frozenset({"start", "end", "label"})


class _Nonsense(Exception):
    """A return value that is no verdict."""


class CallableJudge:
    """Runs one function: a coroutine function on the event loop, any other in a thread."""

    def __init__(self, function: Callable[[str], Any], concurrency: int) -> None:
        self._function = function
        self._awaits = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  the method itself is looked at
        )
        self._workers = Workers("callable")
        self.at_once = concurrency if self._awaits else THREADS_MAX

    async def judge(self, text: str, timeout_s: float) -> Judgement:
        if self._awaits:
            value = await self._function(text)
        else:
            value = await self._workers.run(partial(self._function, text))
            if inspect.isawaitable(value):
                value = await value
        return read(value, text)

    async def close(self) -> None:
        self._workers.close()


def resolve(path: str) -> Callable[[str], Any]:
    """The function that ``package.module:function`` names. Raises `JudgeError`."""
    module_name, _, names = path.partition(":")
    if not module_name or not names:
        raise JudgeError("callable", "must be written as 'package.module:function'")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as fault:  # importing runs anybody's code
        raise JudgeError("callable", f"cannot import {module_name!r}: {type(fault).__name__}: {fault}") from fault
    for name in names.split("."):
        if not hasattr(found, name):
            raise JudgeError("callable", f"{module_name!r} has no {names!r}")
        found = getattr(found, name)
    if not callable(found) or inspect.isclass(found):
        raise JudgeError("callable", f"{path!r} is no function")
    function: Callable[[str], Any] = found
    return function


def read(value: object, text: str) -> Judgement:
    """The verdict that a return value means."""
    try:
        return _read(value, text)
    except _Nonsense:
        return NONSENSE


def _read(value: object, text: str) -> Judgement:
    match value:
        case None | True:
            return Judgement(Outcome.PASS)
        case False:
            return Judgement(Outcome.FAIL)
        case str():
            return Judgement(Outcome.FAIL, detail=code(value, text))
        case list() | tuple():
            spans = _spans(value, text)
            return Judgement(Outcome.FAIL if spans else Outcome.PASS, spans)
        case Mapping():
            return _mapping(dict(value), text)
        case _:
            raise _Nonsense


def _mapping(value: dict[Any, Any], text: str) -> Judgement:
    if not value or not value.keys() <= _KEYS:
        raise _Nonsense
    spans = _spans(value.get("spans", ()), text)
    reason = value.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise _Nonsense
    fails = bool(spans) or reason is not None
    passed = value.get("passed", not fails)
    if not isinstance(passed, bool) or (passed and fails):
        raise _Nonsense
    return Judgement(Outcome.PASS if passed else Outcome.FAIL, spans, code(reason, text))


def _spans(value: object, text: str) -> tuple[Span, ...]:
    if not isinstance(value, list | tuple) or len(value) > SPANS_MAX:
        raise _Nonsense
    return tuple(sorted(_span(item, text) for item in value))


def _span(item: object, text: str) -> Span:
    match item:
        case Mapping() if {"start", "end"} <= item.keys() <= _SPAN_KEYS:
            start, end, label = item["start"], item["end"], item.get("label", "")
        case [start, end]:
            label = ""
        case [start, end, label]:
            pass
        case _:
            raise _Nonsense
    if type(start) is not int or type(end) is not int or not isinstance(label, str):
        raise _Nonsense
    if not 0 <= start < end <= len(text):
        raise _Nonsense
    return Span(start, end, code(label, text))
