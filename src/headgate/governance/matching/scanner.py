"""Stage: text of one part, as it comes -> text that no rule matches, and matches.

What is given back depends on the text alone, never on how it was cut: at the smallest start where a rule matches, its
longest match there, ties by rule order; then on at its end. Nothing is given back that some continuation would still
make part of a match, and nothing is held that none would.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from headgate.governance.matching.automaton import NEW, Automaton, Jump, Mark, State
from headgate.governance.matching.folding import ZERO_WIDTH
from headgate.governance.matching.pattern import MATCH_CHARS_MAX

MEMO_CHARS_MAX: Final = 20
"""Longest text that is remembered; nearly all tokens of prose are shorter."""
MEMO_HELD_MAX: Final = MATCH_CHARS_MAX - 2 * MEMO_CHARS_MAX
"""With more than this held, every character is looked at, so that none is taken beyond `MATCH_CHARS_MAX`."""
REREAD_FREE: Final = 16 * MATCH_CHARS_MAX
REREAD_PER_CHAR: Final = 256
"""How many characters may be read again, for all and for each that is read: what a text costs is bounded by its length,
whatever it was made to hit. Matches up to some hundred characters long never use this up.
"""
CHECK_COST: Final = 8
CHECK_CHARS: Final = 16
"""A check costs as much as reading so many characters, and one more for so many characters of the match."""

NONE: Final = -1
KEPT: Final = -1
"""Of a `Jump`: everything that was open still is, and nothing else."""
MIXED: Final = -2
"""Of a `Jump`: some of what was open still is."""

WORDS_CHARS_MIN: Final = 64
"""A text as long as this is read word by word: most words are remembered, where a whole answer never is."""

MEMO_UNFIT: Final = frozenset("0123456789@")
"""Texts with one of these are not remembered: what is remembered outlives a response, and may hold no secret."""

_NO_MEMO: Final[dict[str, Jump]] = {}


class Found(NamedTuple):
    """A match. Offsets are code points of the whole text."""

    start: int
    end: int
    rule: int
    """Index of the source."""
    text: str
    """As it stood."""


class Scanner:
    """Reads one text."""

    __slots__ = (
        "_automaton",
        "_candidate",
        "_ends",
        "_held",
        "_memo",
        "_reread",
        "_starts",
        "_state",
        "decided",
        "overlong",
    )

    def __init__(self, automaton: Automaton) -> None:
        self.decided = 0
        """Code points given back so far, matches included."""
        self.overlong = False
        """A candidate outgrew `MATCH_CHARS_MAX`, or all of `REREAD_FREE` and more was used up: what follows `decided` is
        never given back."""
        self._automaton = automaton
        self._state = automaton.start
        self._memo = automaton.start.memo
        self._held = ""
        """What is not decided. It begins with the oldest start that is open."""
        self._starts: tuple[int, ...] = ()
        """Of each generation of the state, its start in what is held."""
        self._candidate = NONE
        """The smallest start in what is held that has a match; another match will begin at its end, or behind its start."""
        self._reread = 0
        self._ends: list[tuple[int, int]] = []
        """Of its matches: end, and minus the rule; the greatest that its check confirms is the one."""

    @property
    def position(self) -> int:
        """Code points fed so far."""
        return self.decided + len(self._held)

    def feed(self, text: str) -> str | list[str | Found]:
        """More of the text; what is decided now. A list only where something was found, without empty strings."""
        jump = self._memo.get(text)
        if jump is None:
            return self._read(text)
        self._state, cut, starts = jump
        if cut < 0:
            return self._jump(text, cut, starts)
        released = self._held + text[:cut]
        self._held = text[cut:]
        self._starts = starts
        self._memo = self._state.memo
        self.decided += len(released)
        return released

    def split(self) -> Scanner:
        """Another scanner takes over what is not decided, as the beginning of its own text; this one has nothing left."""
        other = Scanner(self._automaton)
        for name in ("_candidate", "_ends", "_held", "_memo", "_reread", "_starts", "_state", "overlong"):
            setattr(other, name, getattr(self, name))
        self._held, self._starts, self._ends, self._candidate = "", (), [], NONE
        self._state = self._automaton.start
        self._memo = self._state.memo
        return other

    def finish(self) -> str | list[str | Found]:
        """The text has ended."""
        pieces: list[str | Found] = []
        cut = 0
        while not self.overlong:
            ends = self._automaton.ending(self._state)
            if ends:
                self._note((ends, ()), self._starts, len(self._held))
            if self._candidate == NONE:
                self._starts = ()
                break
            cut, at = self._settle(pieces, cut, len(self._held))
            cut = self._scan(pieces, cut, at)
        return self._release(pieces, cut)

    def _jump(self, text: str, how: int, moves: tuple[int, ...]) -> str:
        """A remembered text that what is open outlives."""
        before = len(self._held)
        held = self._held + text
        oldest = 0
        if how == MIXED:
            starts = [before + move if move >= 0 else self._starts[-1 - move] for move in moves]
            oldest = starts[0]
            self._starts = tuple([start - oldest for start in starts])
        self._held = held[oldest:]
        self._memo = self._state.memo if len(self._held) < MEMO_HELD_MAX else _NO_MEMO
        self.decided += oldest
        return held[:oldest]

    def _read(self, text: str) -> str | list[str | Found]:
        """A text that is not remembered."""
        if self.overlong or not text:
            return ""
        if self._automaton.empty:
            self.decided += len(text)
            return text
        return self._read_words(text) if len(text) >= WORDS_CHARS_MIN else self._read_chars(text)

    def _read_words(self, text: str) -> str | list[str | Found]:
        """Word by word: what is known of a word is not looked up by its characters."""
        pieces: list[str | Found] = []
        clear: list[str] = []  # behind them
        whole = self._held + text
        start, at = 0, len(self._held)  # of what is held; of the word
        done = 0  # up to where pieces were made of it
        state, starts, memo = self._state, self._starts, self._memo
        for number, bare in enumerate(text.split(" ")):
            word = " " + bare if number else bare
            jump = memo.get(word)
            if jump is None:
                self.decided += start - done
                self._state, self._starts, self._held = state, starts, whole[start:at]
                given = self._read_chars(word)
                clear.append(whole[done:start])
                if isinstance(given, str):
                    clear.append(given)
                else:
                    pieces += [*clear, *given]
                    clear.clear()
                at += len(word)
                start = done = at - len(self._held)
                state, starts, memo = self._state, self._starts, self._memo
                if self.overlong:
                    break
                continue
            state, cut, moves = jump
            memo = state.memo
            if cut >= 0:
                start, starts = at + cut, moves
                at += len(word)
                continue
            if cut == MIXED:
                places = [at + move if move >= 0 else start + starts[-1 - move] for move in moves]
                start = places[0]
                starts = tuple([place - start for place in places])
            at += len(word)
            if at - start >= MEMO_HELD_MAX:
                memo = _NO_MEMO
        self.decided += start - done
        self._state, self._starts, self._memo, self._held = state, starts, memo, whole[start:]
        clear.append(whole[done:start])
        return joined([[*pieces, *clear]]) if pieces else "".join(clear)

    def _read_chars(self, text: str) -> str | list[str | Found]:
        """Character by character."""
        if not text:
            return ""
        state, starts, at = self._state, self._starts, len(self._held)
        fit = self._candidate == NONE and len(text) <= MEMO_CHARS_MAX and MEMO_UNFIT.isdisjoint(text)
        self._held += text
        pieces: list[str | Found] = []
        cut = self._scan(pieces, NONE, at)
        if fit and cut == NONE and self._candidate == NONE and not self.overlong:
            self._remember(state, starts, at, text)
        return self._release(pieces, max(cut, 0))

    def _scan(self, pieces: list[str | Found], cut: int, at: int) -> int:
        """Read what is held from `at` on, up to its end. What is found goes to the pieces; the end of the last of them.

        A match is decided once nothing that is still open started before or with it.
        """
        held, size = self._held, len(self._held)
        state, starts = self._state, self._starts
        step_of = self._automaton.step
        limit = starts[0] + MATCH_CHARS_MAX if starts else size + 1
        while at < size and not self.overlong:
            char = held[at]
            state, moves, marks = state.steps.get(char) or step_of(state, char)
            at += 1
            if moves is None and marks is None:  # nothing began, ended or came to nothing
                self.overlong = at >= limit
                continue
            if marks is not None:
                self._note(marks, starts, at - 1)
            if moves is not None:
                if len(moves) == 1:
                    move = moves[0]
                    starts = (starts[move] if move >= 0 else at - 1,)
                else:
                    starts = tuple([starts[move] if move >= 0 else at - 1 for move in moves]) if moves else ()
                limit = starts[0] + MATCH_CHARS_MAX if starts else size + 1
            if self._candidate != NONE and not (starts and starts[0] <= self._candidate):
                cut, at = self._settle(pieces, cut, at)
                state, starts, limit = self._state, self._starts, size + 1
            elif at >= limit:
                self.overlong = True
        self._state, self._starts = state, starts
        return cut

    def _note(self, marks: tuple[tuple[Mark, ...], tuple[Mark, ...]], starts: tuple[int, ...], at: int) -> None:
        """Matches that end in front of the character at `at`, or behind it."""
        in_front, behind = marks
        if in_front:
            end = at
            while self._held[end - 1] in ZERO_WIDTH:  # a match ends with what it matched
                end -= 1
            for index, rule in in_front:
                self._add(starts[index], end, rule)
        for index, rule in behind:
            self._add(at if index == NEW else starts[index], at + 1, rule)

    def _add(self, start: int, end: int, rule: int) -> None:
        if self._candidate == NONE or start < self._candidate:
            self._candidate = start
            self._ends.clear()
        if start == self._candidate:
            if self._automaton.checks[rule] is None:  # nothing behind this one in order will be asked for
                self._ends = [other for other in self._ends if other > (end, -rule)]
            self._ends.append((end, -rule))

    def _settle(self, pieces: list[str | Found], cut: int, read: int) -> tuple[int, int]:
        """Decide about the candidate: the end of what is decided, and where to read again."""
        start, ends = self._candidate, sorted(set(self._ends), reverse=True)
        self._candidate = NONE
        self._ends = []
        at = start + 1
        cut = max(cut, 0)
        out: set[int] = set()
        for end, minus_rule in ends:
            if minus_rule in out:
                continue
            begin = start
            if self._held[start] == "\\" and self._automaton.escapes[-minus_rule]:
                begin = self._behind_escape(start)
            text = self._held[begin:end]
            check = self._automaton.checks[-minus_rule]
            verdict = True if check is None else check(text)
            if verdict is None:
                out.add(minus_rule)
            elif verdict:
                pieces += [self._held[cut:begin], Found(self.decided + begin, self.decided + end, -minus_rule, text)]
                cut = at = end
                break
            self._reread += CHECK_COST + (end - start) // CHECK_CHARS
        self._reread += read - at
        self.overlong = self._reread > REREAD_FREE + REREAD_PER_CHAR * (self.decided + read)
        self._state, self._starts = self._automaton.after(self._held[at - 1]), (at,) if self.overlong else ()
        return cut, at

    def _behind_escape(self, at: int) -> int:
        """The first character behind an escape of two, whatever cannot be seen in between."""
        for _ in range(2):
            at += 1
            while self._held[at] in ZERO_WIDTH:
                at += 1
        return at

    def _release(self, pieces: list[str | Found], cut: int) -> str | list[str | Found]:
        """Give back everything in front of what is open."""
        oldest = len(self._held)
        if self._starts:
            oldest = self._starts[0]
        if self._candidate != NONE:
            oldest = min(oldest, self._candidate)
            if oldest:
                self._candidate -= oldest
                self._ends = [(end - oldest, rule) for end, rule in self._ends]
        if oldest:
            self._starts = tuple([start - oldest for start in self._starts])
        clear = self._held[cut:oldest]
        self._held = self._held[oldest:]
        self.decided += oldest
        simple = self._candidate == NONE and len(self._held) < MEMO_HELD_MAX and not self.overlong
        self._memo = self._state.memo if simple else _NO_MEMO
        if not pieces:
            return clear
        return [piece for piece in (*pieces, clear) if piece]

    def _remember(self, state: State, starts: tuple[int, ...], at: int, text: str) -> None:
        """Where a text without any match led from a state."""
        now = self._starts
        if not now or now[0] >= at:
            cut = now[0] - at if now else len(text)
            jump = (self._state, cut, tuple([start - now[0] for start in now]))
        elif now == starts:
            jump = (self._state, KEPT, ())
        else:
            moves = tuple([start - at if start >= at else -1 - starts.index(start) for start in now])
            jump = (self._state, MIXED, moves)
        self._automaton.remember(state, text, jump)


def scan(automaton: Automaton, text: str) -> list[str | Found]:
    """Read a whole text. What it gives back is shorter than the text only if a match is overlong."""
    scanner = Scanner(automaton)
    return joined([scanner.feed(text), scanner.finish()])


def joined(given: Iterable[str | list[str | Found]]) -> list[str | Found]:
    """What a scanner gave back over time as one list: clear text between matches, in one piece, and matches."""
    pieces: list[str | Found] = []
    for items in given:
        for piece in [items] if isinstance(items, str) else items:
            last = pieces[-1] if pieces else None
            if isinstance(piece, str) and isinstance(last, str):
                pieces[-1] = last + piece
            elif piece:
                pieces.append(piece)
    return pieces
