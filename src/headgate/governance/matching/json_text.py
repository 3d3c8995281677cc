"""Stage: JSON text, as it comes -> the same text, and matches inside its values.

What is judged is what a reader of the JSON will see: every string, key or value, by its *decoded* contents, and every
number and literal; each is a text of its own. What is given back is the text as it came, byte for byte, so that where
nothing matches nothing changes, and a mask put where `JsonFound.spelled` says keeps it JSON of the same structure.

Any text at all is governed. From the first thing that JSON does not allow, what stands outside of quotes is judged as
prose: one text from quote to quote, begun where the value in question began. A match there is replaced as it stands.

Two things are out of scope. A secret that is spread over several values, with punctuation of JSON between its pieces,
is none to this stage. And one level of JSON is decoded, no more: where a string holds JSON that is itself escaped, a
secret in it is found unless its inner escapes hide it (``jo\\u0068n@example.com`` two levels down).

Offsets are code points of the raw text.
"""

from __future__ import annotations

import re
from collections import deque
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from headgate.governance.matching.automaton import Automaton
from headgate.governance.matching.json_grammar import Grammar
from headgate.governance.matching.scanner import Found, Scanner, scan

SCALAR_CHARS_MAX: Final = 512
"""Of a number with the white space behind it; what is longer is judged as prose, so that it need not wait for its end."""

_SPACE: Final = " \t\n\r"
_OUTSIDE: Final = re.compile(r'[{}\[\],:"]')
_QUOTE: Final = re.compile('"')
_INSIDE: Final = re.compile(r'["\\]')
_SCALAR: Final = re.compile(r"(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)", re.ASCII)
_MAYBE_SCALAR: Final = re.compile(r"(?:-?\d*(?:\.\d*)?(?:[eE][+-]?\d*)?|tr?u?e?|fa?l?s?e?|nu?l?l?)[ \t\n\r]*", re.ASCII)
"""What may still become a scalar; it lets some through that never do, which costs a wait."""
_HEX: Final = "[0-9a-fA-F]"
ESCAPE: Final = re.compile(
    rf"\\(?:u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|u{_HEX}{{4}}|[^u])", re.ASCII | re.DOTALL
)
_ESCAPE_BEGUN: Final = re.compile(
    rf"\\(?:u{_HEX}{{0,3}}|u[dD][89abAB]{_HEX}{{2}}(?:\\(?:u(?:[dD](?:[c-fC-F]{_HEX}?)?)?)?)?)?", re.ASCII
)
ESCAPE_CHARS_MAX: Final = 12
"""Two halves of a surrogate pair."""
_MEANINGS: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Form(Enum):
    """What stands around a match."""

    INSIDE = "inside"
    """The match lies in a string."""
    WHOLE = "whole"
    """The match is a number or a literal, all of it."""
    BARE = "bare"
    """The text is no JSON here."""


class JsonFound(NamedTuple):
    """A match. Offsets are code points of the raw text, and the range is what is to be replaced."""

    start: int
    end: int
    rule: int
    text: str
    """Decoded, as it stood."""
    form: Form
    raw: str
    """What stands in the range."""

    def spelled(self, mask: str) -> str:
        """What has to stand in place of the range."""
        if self.form is Form.BARE:
            return mask
        quoted = msgspec.json.encode(mask).decode()
        return quoted if self.form is Form.WHOLE else quoted[1:-1]


class JsonScanner:
    """Reads one text. Never raises on what it is fed."""

    __slots__ = (
        "_automaton",
        "_grammar",
        "_made",
        "_prose",
        "_scalar",
        "_string",
        "_tail",
        "decided",
        "overlong",
        "position",
    )

    def __init__(self, automaton: Automaton) -> None:
        self.position = 0
        """Code points fed so far."""
        self.decided = 0
        """Code points given back so far, matches included."""
        self.overlong = False
        """As `Scanner.overlong`, of any value."""
        self._automaton = automaton
        self._grammar = Grammar()
        self._string: _String | None = None
        self._prose: Scanner | None = None
        """Judges what stands outside of quotes, once the text is known to be no JSON."""
        self._scalar = ""
        """A number or a literal that may go on."""
        self._tail = ""
        """An escape that may go on."""
        self._made: list[str | JsonFound] = []

    def feed(self, text: str) -> str | list[str | JsonFound]:
        """More of the text; what is decided now. A list only where something was found, without empty strings."""
        self.position += len(text)
        self._read(self._tail + text, final=False)
        return self._given()

    def finish(self) -> str | list[str | JsonFound]:
        """The text has ended."""
        self._read(self._tail, final=True)
        if self._string is not None:
            self._take_string(self._string.finish())
        elif self._is_whole_scalar() and self._grammar.value():
            self._judge_scalar()
        elif self._scalar or self._prose is not None:
            self._take_prose(self._to_prose().finish())
        return self._given()

    def _given(self) -> str | list[str | JsonFound]:
        if not self._made:
            return ""
        made, self._made = self._made, []
        texts = [piece for piece in made if isinstance(piece, str)]
        return "".join(texts) if len(texts) == len(made) else made

    def _read(self, text: str, *, final: bool) -> None:
        self._tail = ""
        at = 0
        while at < len(text) and not self.overlong:
            string = self._string
            at = self._outside(text, at) if string is None else self._inside(string, text, at, final=final)

    def _inside(self, string: _String, text: str, at: int, *, final: bool) -> int:
        """A run of a string, an escape, or its end; returns where to go on."""
        special = _INSIDE.search(text, at)
        upto = special.start() if special is not None else len(text)
        if upto > at:
            run = text[at:upto]
            self._take_string(string.feed(run, run))
        if special is None or self.overlong:
            return len(text)
        if text[upto] == '"':
            self._take_string(string.finish())
            if not self.overlong:
                self._string = None
                self._keep('"')
            return upto + 1
        window = text[upto : upto + ESCAPE_CHARS_MAX]
        if not final and _ESCAPE_BEGUN.fullmatch(window):
            self._tail = window
            return len(text)
        escape = ESCAPE.match(window)
        raw = escape[0] if escape is not None else "\\"
        self._take_string(string.feed(decoded(raw), raw))
        return upto + len(raw)

    def _outside(self, text: str, at: int) -> int:
        """A run between quotes and punctuation, and what ends it; returns where to go on."""
        ends = (_OUTSIDE if self._prose is None else _QUOTE).search(text, at)
        upto = ends.start() if ends is not None else len(text)
        if upto > at:
            self._run(text[at:upto])
        if ends is None or self.overlong:
            return len(text)
        mark = text[upto]
        if mark == '"':
            self._open_string()
        elif self._prose is None and self._punctuation(mark):
            self._keep(mark)
        else:
            self._take_prose(self._to_prose().feed(mark))
        return upto + 1

    def _run(self, run: str) -> None:
        if self._prose is None:
            if not self._scalar:
                bare = run.lstrip(_SPACE)
                self._keep(run[: len(run) - len(bare)])
                run = bare
            self._scalar += run
            if len(self._scalar) <= SCALAR_CHARS_MAX and _MAYBE_SCALAR.fullmatch(self._scalar):
                return
            self._to_prose()
        else:
            self._take_prose(self._prose.feed(run))

    def _punctuation(self, mark: str) -> bool:
        """Whether JSON allows it here. The scalar in front of it is judged then."""
        if self._scalar:
            if not (self._is_whole_scalar() and self._grammar.value_then(mark)):
                return False
            self._judge_scalar()
            return True
        return self._grammar.mark(mark)

    def _open_string(self) -> None:
        if self._prose is None and (self._scalar or not self._grammar.string()):
            self._to_prose()
        if self._prose is not None:
            self._take_prose(self._prose.finish())
            self._prose = Scanner(self._automaton)
        if not self.overlong:
            self._keep('"')
            self._string = _String(Scanner(self._automaton))

    def _to_prose(self) -> Scanner:
        """From here on this is no JSON: what was taken for a scalar is the beginning of prose."""
        if self._prose is None:
            self._prose = Scanner(self._automaton)
            scalar, self._scalar = self._scalar, ""
            self._take_prose(self._prose.feed(scalar))
        return self._prose

    def _is_whole_scalar(self) -> bool:
        return _SCALAR.fullmatch(self._scalar.rstrip(_SPACE)) is not None

    def _judge_scalar(self) -> None:
        """A match anywhere in a number or a literal replaces all of it: half of one would be no JSON."""
        scalar = self._scalar.rstrip(_SPACE)
        space, self._scalar = self._scalar[len(scalar) :], ""
        found = next((piece for piece in scan(self._automaton, scalar) if isinstance(piece, Found)), None)
        if found is None:
            self._keep(scalar)
        else:
            self._find(found, scalar, Form.WHOLE)
        self._keep(space)

    def _take_string(self, given: list[tuple[str, Found | None]]) -> None:
        for raw, found in given:
            if found is None:
                self._keep(raw)
            else:
                self._find(found, raw, Form.INSIDE)
        if self._string is not None and self._string.scanner.overlong:
            self.overlong = True

    def _take_prose(self, given: str | list[str | Found]) -> None:
        for piece in [given] if isinstance(given, str) else given:
            if isinstance(piece, Found):
                self._find(piece, piece.text, Form.BARE)
            else:
                self._keep(piece)
        if self._prose is not None and self._prose.overlong:
            self.overlong = True

    def _keep(self, raw: str) -> None:
        if raw:
            self.decided += len(raw)
            self._made.append(raw)

    def _find(self, found: Found, raw: str, form: Form) -> None:
        start, self.decided = self.decided, self.decided + len(raw)
        self._made.append(JsonFound(start, self.decided, found.rule, found.text, form, raw))


class _String:
    """A string that is open: judged decoded, given back raw."""

    __slots__ = ("_given", "_undecided", "scanner")

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self._undecided: deque[tuple[int, str]] = deque()
        """Decoded length and raw text of what the scanner has not given back; an escape is one character and never split."""
        self._given = 0
        """Of the first of these, a plain run, what was given back."""

    def feed(self, decoded: str, raw: str) -> list[tuple[str, Found | None]]:
        self._undecided.append((len(decoded), raw))
        return self._raw(self.scanner.feed(decoded))

    def finish(self) -> list[tuple[str, Found | None]]:
        return self._raw(self.scanner.finish())

    def _raw(self, given: str | list[str | Found]) -> list[tuple[str, Found | None]]:
        """What the scanner gave back, as it came."""
        if isinstance(given, str):
            return [(self._pop(len(given)), None)] if given else []
        return [
            (self._pop(len(piece)), None) if isinstance(piece, str) else (self._pop(piece.end - piece.start), piece)
            for piece in given
        ]

    def _pop(self, count: int) -> str:
        taken = []
        while count:
            size, raw = self._undecided[0]
            begin = self._given
            if size - begin > count:  # a plain run, in which raw and decoded are one
                self._given += count
                taken.append(raw[begin : self._given])
                break
            self._undecided.popleft()
            self._given = 0
            count -= size - begin
            taken.append(raw[begin:] if begin else raw)
        return "".join(taken)


def decoded(escape: str) -> str:
    """What an escape means. One that JSON does not know means itself."""
    if escape[1:2] != "u":
        return _MEANINGS.get(escape[1:], escape)
    code = int(escape[2:6], 16)
    if len(escape) == ESCAPE_CHARS_MAX:
        return chr(0x10000 + ((code - 0xD800) << 10) + int(escape[8:], 16) - 0xDC00)
    return chr(code)
