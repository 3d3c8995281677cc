"""What of a provider's own fields may travel under a policy: only what holds no text (`allowed`).

Text repeats itself in logprobs, annotations, citations and whatever a provider thinks of next; no rule could mask it
there as it is masked in the text. So a field passes because it is known, never because it looks harmless. A word that
stands where one may stand is judged as a text of its own besides.

Invariant: every string that comes out stood at a path of the table, is short or a signature, and no acting rule
matches in it. No key comes out that is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from string import ascii_letters, digits
from typing import Any, Final

from headgate.events import AnyEvent, Extra
from headgate.governance.matching.automaton import Automaton
from headgate.governance.matching.scanner import Scanner
from headgate.governance.stream.allowed import ALLOWED, KNOWN, NEEDED, SIGNATURES_OF_TEXT

WORD_CHARS_MAX: Final = 128
"""Of a word: ids and names of states are shorter."""
SIGNATURE_CHARS_MAX: Final = 65_536
"""Of a provider's signature or encrypted state. The real ones grow with the reasoning they stand for, and each is judged
in one go, which takes up to 1 us a character."""
DIGITS_FREE: Final = 6
"""Numbers with no more characters than this are passed unjudged: counts and probabilities, too short for a secret."""
DROPPED_MAX: Final = 64
"""Paths that are remembered; real answers have less than ten."""
JUDGED_MAX: Final = 256
"""Words that are remembered as judged: those that come with every token."""

_WORD: Final = re.compile(r"[A-Za-z0-9_.:+/=-]+", re.ASCII)
_SEALED: Final = re.compile(r"[A-Za-z0-9_+/=-]+", re.ASCII)
SEALED_CHARS: Final = ascii_letters + digits + "_+/=-"
"""What signatures are written with: base64."""
_GROUP: Final = re.compile(r"\(([^)]*)\)")
_END: Final = ""
_GONE: Final = object()
"""Stands for a value that does not pass."""

_Tree = dict[str, Any]
"""Names of fields -> trees; at an end the empty name -> what may stand there: ``word``, ``signature`` or ``empty``."""


def _spelled_out(path: str) -> Iterator[str]:
    """The paths that ``a.(b|c)`` stands for."""
    pieces = _GROUP.split(path)
    choices = [piece.split("|") if number % 2 else [piece] for number, piece in enumerate(pieces)]
    return ("".join(chosen) for chosen in product(*choices))


def _tree(paths: tuple[str, ...]) -> _Tree:
    tree: _Tree = {}
    for path in [spelled for given in paths for spelled in _spelled_out(given)]:
        kind = {"!": "signature", "~": "empty"}.get(path[-1], "word")
        node = tree
        for step in path.rstrip("!~").replace("[]", ".[]").split("."):
            node = node.setdefault(step, {})
        node[_END] = kind
    return tree


_TREES: Final = {
    (dialect, place): _tree(paths) for dialect, places in ALLOWED.items() for place, paths in places.items()
}


class Fields:
    """The fields of one response. `dialect` is that of the provider that is answering; unknown ones pass nothing."""

    def __init__(self, automaton: Automaton, dialect: str = "", *, words_only: bool = False) -> None:
        """`words_only`: there are rules that nobody asks about names, so that only what can be no prose may be one."""
        self.dialect = dialect
        self._words_only = words_only
        self.dropped: dict[str, None] = {}
        """Paths of what did not pass, in order, as we spell them."""
        self._automaton = automaton
        self._judged: set[str] = set()

    def beside(self, event: AnyEvent, extra: Extra | None, *, signed: bool = True) -> Extra | None:
        """What may stand beside an event. `signed` False: what was signed has changed, so its signature is worthless."""
        if extra is None:
            return None
        name = event.name
        response = self._object(f"{name} response", "response", extra.response, signed=signed)
        choice = self._object(f"{name} choice", "choice", extra.choice, signed=signed)
        delta = self._object(f"{name} delta", "delta", extra.delta, signed=signed)
        if response is choice is delta is None:
            return None
        return Extra(response, choice, delta)

    def envelope(self, fields: dict[str, Any] | None) -> dict[str, Any] | None:
        return self._object("envelope", "envelope", fields)

    def usage(self, fields: dict[str, Any] | None) -> dict[str, Any] | None:
        return self._object("usage", "usage", fields)

    def failure(self, detail: dict[str, Any] | None) -> dict[str, Any] | None:
        """Of a provider's error object, what may be shown to a caller of its dialect."""
        return self._object("failure", "failure", detail)

    def word(self, text: str, path: str) -> str:
        """A name or an id: as it is, or nothing at all if an acting rule matches in it."""
        if not text or (self._is_clean(text) and not (self._words_only and _WORD.fullmatch(text) is None)):
            return text
        self.drop(path)
        return ""

    def drop(self, path: str) -> None:
        """Remember a path that did not pass, in our spelling."""
        if len(self.dropped) < DROPPED_MAX:
            self.dropped[path] = None

    def _object(
        self, place: str, general: str, fields: dict[str, Any] | None, *, signed: bool = True
    ) -> dict[str, Any] | None:
        if fields is None:
            return None
        tree = _TREES.get((self.dialect, place)) or _TREES.get((self.dialect, general)) or {}
        found = self._passed(fields, tree, place.replace(" ", "."), signed=signed)
        needed = NEEDED.get((self.dialect, place), ())
        return found if type(found) is dict and found and all(name in found for name in needed) else None

    def _passed(self, value: Any, tree: _Tree, path: str, *, signed: bool) -> Any:
        """What of a value passes; its path is for the record."""
        if type(value) is dict:
            return self._passed_object(value, tree, path, signed=signed)
        if type(value) is list:
            inner = tree.get("[]")
            if inner is None:
                return self._gone(path)
            items = [self._passed(item, inner, path + "[]", signed=signed) for item in value]
            kept = [item for item in items if item is not _GONE]
            return kept if kept or not value else _GONE
        kind = tree.get(_END)
        if kind is None or not self._may_stand(value, kind, signed=signed):
            return self._gone(path)
        return value

    def _passed_object(self, value: dict[str, Any], tree: _Tree, path: str, *, signed: bool) -> Any:
        found = {}
        for name, item in value.items():
            inner = tree.get(name) if name not in (_END, "[]") else None
            if inner is None:
                self.drop(f"{path}.{name if name in KNOWN else '*'}")
                continue
            passed = self._passed(item, inner, f"{path}.{name}", signed=signed)
            if passed is not _GONE:
                found[name] = passed
        return found if found or (not value and tree) else _GONE

    def _gone(self, path: str) -> object:
        self.drop(path)
        return _GONE

    def _may_stand(self, value: Any, kind: str, *, signed: bool) -> bool:
        if value is None or type(value) is bool:
            return kind != "empty"
        if type(value) is int or type(value) is float:
            text = str(value)
            return kind == "word" and (len(text) <= DIGITS_FREE or self._is_clean(text))
        if type(value) is not str or kind == "empty":
            return bool(value == "")
        longest = SIGNATURE_CHARS_MAX if kind == "signature" else WORD_CHARS_MAX
        if kind == "signature" and not signed:
            return False
        return not value or (len(value) <= longest and _WORD.fullmatch(value) is not None and self._is_clean(value))

    def _is_clean(self, text: str) -> bool:
        """Whether no acting rule matches anywhere in it."""
        if text in self._judged:
            return True
        automaton = self._automaton
        if len(text) > WORD_CHARS_MAX and _SEALED.fullmatch(text):
            automaton = automaton.within(SEALED_CHARS)  # what looks random is what a whole automaton likes least
        scanner = Scanner(automaton)
        given, rest = scanner.feed(text), scanner.finish()
        if type(given) is not str or type(rest) is not str or len(given) + len(rest) != len(text):
            return False
        if len(text) <= WORD_CHARS_MAX and len(self._judged) < JUDGED_MAX:
            self._judged.add(text)
        return True


def is_signature(extra: Extra) -> bool:
    """Whether it holds a signature of the text it came with."""
    return extra.delta is not None and not SIGNATURES_OF_TEXT.isdisjoint(extra.delta)


def failure(automaton: Automaton, dialect: str, detail: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of the error object of a provider of this dialect, what may be shown; for failures before there is a gate."""
    return Fields(automaton, dialect).failure(detail)
