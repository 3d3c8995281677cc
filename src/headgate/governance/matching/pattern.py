"""The documented subset of regular expressions: text of a pattern -> a tree of it. What a tree matches is not here.

Everything outside the subset is a `PatternError` that says where. What is inside can be matched while the text still
streams: no captures, no references back, no choice of how greedy, and looking around only one character far, at the
two ends. Invariant: a pattern that is read matches no empty text, and its automaton has at most `POSITIONS_MAX`
positions.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from headgate.governance.matching.folding import fold, literal, small

MATCH_CHARS_MAX: Final = 16_384
"""Of one match, and so of text held back: a private key of 8,192 bits takes 6,400. `*`, `+` and `{n,}` go so far."""

POSITIONS_MAX: Final = 4_096
"""Of one pattern, repetitions written out: `{1,64}` is 64. Compiling stays within milliseconds."""

NESTING_MAX: Final = 32
"""Groups inside groups; the parser recurses."""

ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
CODES: Final = {"x": 2, "u": 4}
"""Hexadecimal digits behind `\\x` and `\\u`."""


class PatternError(ValueError):
    """A pattern outside the subset. Its author is asked to write it otherwise, so `at` says where."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at
        """Offset in the pattern."""


class CharSet(NamedTuple):
    """A set of characters; those of the text are looked up as they stand and as they fold."""

    singles: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    kinds: str = ""
    """Of `dwsDWS`."""
    negated: bool = False
    ignore_case: bool = False

    def contains(self, char: str) -> bool:
        return any(self._lists(form) for form in self._forms(char)) is not self.negated

    def _forms(self, char: str) -> set[str]:
        forms = {char, fold(char)}
        if self.ignore_case:
            forms |= {form for one in tuple(forms) for form in (small(one), fold(small(one)), one.upper(), one.lower())}
        return forms

    def _lists(self, char: str) -> bool:
        return (
            char in self.singles
            or any(first <= char <= last for first, last in self.ranges)
            or any(_is(kind, char) for kind in self.kinds)
        )


WORD: Final = CharSet(kinds="w")
"""What `\\b` and the edges of whole words go by: letters, digits, `_`."""


class Sequence(NamedTuple):
    parts: tuple[Node, ...]


class Choice(NamedTuple):
    parts: tuple[Node, ...]


class Repeat(NamedTuple):
    part: Node
    least: int
    most: int | None


Node = CharSet | Sequence | Choice | Repeat


class Branch(NamedTuple):
    """One alternative of a whole pattern: what it matches, and what must not stand (or must turn) at its edges."""

    body: Node
    not_before: tuple[CharSet, ...] = ()
    not_after: tuple[CharSet, ...] = ()
    edge_before: bool = False
    """`\\b`: a word begins or ends there."""
    edge_after: bool = False


def parse(pattern: str, *, ignore_case: bool = False) -> list[Branch]:
    """The alternatives of a pattern. Raises `PatternError`."""
    return _Parser(pattern, ignore_case).pattern()


def check_bounded(pattern: str) -> None:
    """Raises `PatternError` for a pattern outside the subset, and for one whose matches have no longest."""
    parser = _Parser(pattern, ignore_case=False)
    parser.pattern()
    if parser.unbounded_at is not None:
        raise PatternError("this has no greatest length; write {n,m}", parser.unbounded_at)


def shortest(node: Node) -> int:
    match node:
        case CharSet():
            return 1
        case Repeat(part, least, _):
            return shortest(part) * least
        case Sequence(parts):
            return sum(shortest(part) for part in parts)
        case Choice(parts):
            return min(shortest(part) for part in parts)


def positions(node: Node) -> int:
    """How many positions a node becomes."""
    match node:
        case CharSet():
            return 1
        case Repeat(part, least, most):
            return positions(part) * (max(least, 1) if most is None else most)
        case Sequence(parts) | Choice(parts):
            return sum(positions(part) for part in parts)


class _Parser:
    """Recursive descent over one pattern."""

    def __init__(self, pattern: str, ignore_case: bool) -> None:
        self.unbounded_at: int | None = None
        """Where the first repetition without end is written."""
        self._text = pattern
        self._at = 0
        self._ignore_case = ignore_case

    def pattern(self) -> list[Branch]:
        branches = [self._branch()]
        while self._took("|"):
            branches.append(self._branch())
        if self._at < len(self._text):
            raise self._wrong("nothing is open here that could be closed")
        return branches

    def _branch(self) -> Branch:
        start = self._at
        edge_before, not_before = self._assertions("(?<!")
        body = self._sequence(0)
        edge_after, not_after = self._assertions("(?!")
        if self._at < len(self._text) and self._text[self._at] not in "|)":
            raise self._wrong("this stands only at the ends of a pattern or of one of its alternatives")
        if shortest(body) == 0:
            raise PatternError("this matches the empty text", start)
        if positions(body) > POSITIONS_MAX:
            raise PatternError(f"repetitions written out, this has more than {POSITIONS_MAX:,} characters", start)
        return Branch(body, not_before, not_after, edge_before, edge_after)

    def _assertions(self, opening: str) -> tuple[bool, tuple[CharSet, ...]]:
        """Everything at one end: whether there is a `\\b`, and what must not stand there."""
        edge = False
        excluded = []
        while True:
            if self._took("\\b"):
                edge = True
            elif self._took(opening):
                excluded.append(self._one())
                self._expect(")", "only one character or class can be looked at")
            else:
                return edge, tuple(excluded)

    def _choice(self, depth: int) -> Node:
        if depth > NESTING_MAX:
            raise self._wrong(f"groups are nested more than {NESTING_MAX} deep")
        parts = [self._sequence(depth)]
        while self._took("|"):
            parts.append(self._sequence(depth))
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)" and not self._asserts():
            parts.append(self._repeated(self._atom(depth)))
        if depth and self._asserts():
            raise self._wrong("this stands only at the ends of a pattern, not in a group")
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _asserts(self) -> bool:
        return self._text.startswith(("\\b", "(?!", "(?<!"), self._at)

    def _atom(self, depth: int) -> Node:
        if self._took("(?:"):
            inner = self._choice(depth + 1)
            self._expect(")", "this group is not closed")
            return inner
        return self._one()

    def _repeated(self, node: Node) -> Node:
        at = self._at
        counts = self._counts()
        if counts is None:
            return node
        if self._text[self._at : self._at + 1] in tuple("?*+{"):
            raise self._wrong("lazy, possessive and repeated quantifiers are not known")
        least, most = counts
        if most is not None and (most < least or most == 0):
            raise PatternError("this repeats nothing", at)
        if most is None and self.unbounded_at is None:
            self.unbounded_at = at
        if max(least, most or 0) > MATCH_CHARS_MAX:
            raise PatternError(f"no match is longer than {MATCH_CHARS_MAX:,} characters", at)
        return Repeat(node, least, most)

    def _counts(self) -> tuple[int, int | None] | None:
        for sign, counts in (("?", (0, 1)), ("*", (0, None)), ("+", (1, None))):
            if self._took(sign):
                return counts
        if not self._took("{"):
            return None
        least = self._number()
        most: int | None = least
        if self._took(","):
            most = None if self._text.startswith("}", self._at) else self._number()
        self._expect("}", "a repetition is {n}, {n,} or {n,m}; a brace itself is \\{")
        return least, most

    def _number(self) -> int:
        end = self._at
        while self._text[end : end + 1] in tuple("0123456789"):
            end += 1
        if not 1 <= end - self._at <= 6:
            raise self._wrong("a repetition is {n}, {n,} or {n,m}; a brace itself is \\{")
        number = int(self._text[self._at : end])
        self._at = end
        return number

    def _one(self) -> CharSet:
        """One character, escape or class."""
        at = self._at
        char = self._next()
        if char == ".":
            return CharSet(frozenset("\n"), negated=True)
        if char == "[":
            return self._class(at)
        if char == "\\":
            escaped = self._escape()
            return CharSet(kinds=escaped[1]) if len(escaped) == 2 else self._of({escaped})
        if char in "^$()*+?{":
            raise PatternError(f"{char!r} means nothing here; the character itself is \\{char}", at)
        return self._of({char})

    def _class(self, opened: int) -> CharSet:
        negated = self._took("^")
        singles: set[str] = set()
        ranges: list[tuple[str, str]] = []
        kinds = ""
        while not self._took("]"):
            at = self._at
            first = self._member(opened)
            if len(first) == 2:
                kinds += first[1]
            elif self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                last = self._member(opened)
                if len(last) == 2 or last < first:
                    raise PatternError("this range runs backwards or has no end", at)
                ranges.append((first, last))
            else:
                singles.add(first)
        if not (singles or ranges or kinds):
            raise PatternError("this class is empty", opened)
        return self._of(singles, tuple(ranges), kinds, negated=negated)

    def _member(self, opened: int) -> str:
        if self._at >= len(self._text):
            raise PatternError("this class is not closed", opened)
        char = self._next()
        return self._escape() if char == "\\" else char

    def _escape(self) -> str:
        """The character that is escaped; for a class, the escape itself."""
        at = self._at - 1
        char = self._next()
        if char in "dwsDWS":
            return "\\" + char
        if (digits := CODES.get(char)) is not None:
            code = self._text[self._at : self._at + digits]
            if len(code) < digits or not all(digit in "0123456789abcdefABCDEF" for digit in code):
                raise PatternError(f"\\{char} takes {digits} hexadecimal digits", at)
            self._at += digits
            return chr(int(code, 16))
        if char in ESCAPES:
            return ESCAPES[char]
        if char.isalnum():
            raise PatternError(f"\\{char} is not known here", at)
        return char

    def _of(
        self, singles: set[str], ranges: tuple[tuple[str, str], ...] = (), kinds: str = "", *, negated: bool = False
    ) -> CharSet:
        folded = {literal(char, ignore_case=self._ignore_case) for char in singles}
        return CharSet(frozenset(singles | folded), ranges, kinds, negated, self._ignore_case)

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise self._wrong("the pattern ends in the middle")
        self._at += 1
        return self._text[self._at - 1]

    def _took(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _expect(self, sign: str, otherwise: str) -> None:
        if not self._took(sign):
            raise self._wrong(otherwise)

    def _wrong(self, message: str) -> PatternError:
        return PatternError(message, self._at)


def _is(kind: str, char: str) -> bool:
    match kind.lower():
        case "d":
            found = char.isdecimal()
        case "w":
            found = char.isalnum() or char == "_"
        case _:
            found = char.isspace()
    return found is kind.islower()
