"""All rules of a policy as one automaton over the characters of a text, made deterministic while it is used.

A state is what can still become a match: for each start that is open, oldest first, the positions reached from there
(a *generation*). Where those starts lie is not part of the state, so a text that goes on and on inside one match stays
in one state; the step between two states says which generations live on, and the scanner keeps their starts beside.
A position that an older start has reached is not kept for a younger one: leftmost wins. Where the older one comes to
nothing after all, because a match ended in front of the younger or a check failed, the scanner reads again.

An automaton is shared by all responses of a policy. It only ever grows by what it has worked out, up to
`WORK_KEPT_MAX`, and then forgets all of that: texts decide about time here, never about memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from headgate.governance.matching.folding import ZERO_WIDTH, readings
from headgate.governance.matching.pattern import PatternError as PatternError
from headgate.governance.matching.positions import WORD_BIT, Net
from headgate.governance.matching.terms import Span, TermList

WORK_KEPT_MAX: Final = 300_000
"""Steps, texts and positions remembered, of one automaton: some 30 MB. Prose with the built-in detectors takes 2 MB,
and then nothing has to be worked out any more; text full of addresses and file names never comes to an end."""
LEAVING_AT_ONCE: Final = 8
"""States and arrivals taken apart whenever something is worked out: far more than come to be."""
STATE_WEIGHT: Final = 4
"""What a state counts for beside its positions."""

Check = Callable[[str], bool | None]
"""Of one match: True; False, and a shorter one may be; None, and no shorter one of the rule from this start is."""
Mark = tuple[int, int]
"""A match: of which generation, of which rule. `NEW` is the one that this character begins."""
NEW: Final = -1


class Source(NamedTuple):
    """One rule for the automaton."""

    patterns: tuple[str, ...] = ()
    """In the subset of `headgate.governance.matching.pattern`."""
    terms: Sequence[str] = ()
    """Literal texts."""
    words: bool = True
    """Terms match only where neither side is a letter, a digit or `_`; not for scripts without spaces."""
    ignore_case: bool = False
    escapes: bool = False
    """Matches may stand right behind an escape such as ``\\n``, which is no part of them; no pattern begins with one."""
    check: Check | None = None
    """Whether a match is one; pure. Gets the text as it stood. None: it is not, and no shorter one from there is."""


class Kind:
    """What the rules can tell of a character; characters of one kind are one to them, and one object."""

    __slots__ = ("bits", "caseless", "plain")

    def __init__(self, bits: int, plain: tuple[str, ...], caseless: tuple[str, ...]) -> None:
        self.bits = bits
        """The sets it belongs to."""
        self.plain = plain
        """What it may stand for in terms; and where case is ignored."""
        self.caseless = caseless


class Arrival(NamedTuple):
    """What a character makes of a generation."""

    reached: frozenset[int | Span]
    lives: frozenset[int | Span]
    """What of it can go on, or waits."""
    behind: tuple[int, ...]
    """Rules that have a match which ends with the character."""
    in_front: tuple[int, ...] = ()
    """And in front of it, which it decided about."""


class State:
    """What can still become a match, and what is worked out about what comes next."""

    __slots__ = ("before", "ends", "generations", "memo", "steps")

    def __init__(self, generations: tuple[Generation, ...], before: int) -> None:
        self.generations = generations
        self.before = before
        """What is known of the last character, as far as the beginning of a match asks."""
        self.ends: tuple[Mark, ...] | None = None
        """The matches that the end of the text makes, once that is worked out."""
        self.steps: dict[str | Kind, Step] = {}
        self.memo: dict[str, Jump] = {}
        """The scanner's: where whole short texts lead."""

    def ways(self) -> int:
        """In how many ways texts were seen to go on from here."""
        return len(self.steps) + len(self.memo)

    def weight(self) -> int:
        """What it counts for."""
        return STATE_WEIGHT + sum(map(len, self.generations)) + self.ways()

    def forget_except(self, staying: set[State]) -> None:
        """Keep only what leads from one of these states to another."""
        stays = self in staying
        self.steps = {char: step for char, step in self.steps.items() if step[0] in staying} if stays else {}
        self.memo = {text: jump for text, jump in self.memo.items() if jump[0] in staying} if stays else {}


Generation = frozenset[int | Span]
Step = tuple[State, tuple[int, ...] | None, tuple[tuple[Mark, ...], tuple[Mark, ...]] | None]
"""The next state; which generations it took over (None: all, and no new one); and matches, if there are any: those
that end in front of this character, which decided about them, and those that end behind it."""
Jump = tuple[State, int, tuple[int, ...]]


class Automaton:
    """Immutable in effect."""

    def __init__(self, sources: Sequence[Source], *, work_kept_max: int = WORK_KEPT_MAX) -> None:
        """Raises `PatternError`."""
        self._work_kept_max = work_kept_max
        self.checks: tuple[Check | None, ...] = tuple(source.check for source in sources)
        self.escapes: tuple[bool, ...] = tuple(source.escapes for source in sources)
        self._net = Net()
        self._lists: list[TermList] = []
        self._list_rules: list[tuple[int, int | None]] = []
        """By list: its rule, and the wait behind a term."""
        for rule, source in enumerate(sources):
            self._add(rule, source)
        self.empty = not (self._net.bits or self._lists)
        """Whether nothing can match."""
        self._asked_before = WORD_BIT
        for entry in self._net.entries:
            self._asked_before |= entry.without
        self._alphabets = [
            frozenset().union(*(terms.alphabet for terms in self._lists if terms.ignore_case is ignore_case))
            for ignore_case in (False, True)
        ]
        self._within: dict[str, Automaton] = {}
        self._begin()

    def _begin(self) -> None:
        """Nothing is worked out yet."""
        self._kinds: dict[str, Kind] = {}
        self._kind_of: dict[tuple[int, tuple[str, ...], tuple[str, ...]], Kind] = {}
        """Never forgotten: there are no more than sets and terms can tell apart."""
        self._arrivals: dict[tuple[int | Generation, Kind], Arrival] = {}
        """Of a generation; of what the previous character allows to begin, for those that begin."""
        self.start = State((), 0)
        """The state in front of a text."""
        self._states: dict[tuple[tuple[Generation, ...], int], State] = {((), 0): self.start}
        self._leaving: list[State] = []
        self._leaving_arrivals: dict[tuple[int | Generation, Kind], Arrival] = {}
        self._kept = 0

    def within(self, alphabet: str) -> Automaton:
        """The same for texts of these characters alone: what they cannot complete is left out, and most of the work."""
        made = self._within.get(alphabet)
        if made is None:
            allowed = 0
            for char in alphabet:
                allowed |= self._kind(char).bits
            made = self._within[alphabet] = Automaton((), work_kept_max=self._work_kept_max)
            made.checks, made.escapes, made.empty = self.checks, self.escapes, self.empty
            made._net = self._net.within(allowed)
            made._lists, made._list_rules = self._lists, self._list_rules
            made._asked_before, made._alphabets, made._within = self._asked_before, self._alphabets, self._within
            made._begin()
        return made

    def _add(self, rule: int, source: Source) -> None:
        for pattern in source.patterns:
            self._net.add(rule, pattern, ignore_case=source.ignore_case, escapes=source.escapes)
        if source.terms:
            self._lists.append(TermList(len(self._lists), source.terms, ignore_case=source.ignore_case))
            self._list_rules.append((rule, self._net.wait(rule, WORD_BIT) if source.words else None))

    def after(self, char: str) -> State:
        """The state behind a character that belongs to nothing any more."""
        return self._state((), self._kind(char).bits & self._asked_before)

    def step(self, state: State, char: str) -> Step:
        """Where a character leads; looked up in `State.steps` first."""
        if char in ZERO_WIDTH:
            return (state, None, None)
        kind = self._kind(char)
        step = state.steps.get(kind)
        if step is None:
            self._keep(1)
            step = state.steps[kind] = self._worked_out(state, kind)
        self._keep(1)
        state.steps[char] = step
        return step

    def ending(self, state: State) -> tuple[Mark, ...]:
        """The matches that the end of the text makes."""
        if state.ends is None:
            generations = enumerate(state.generations)
            found = [(index, rule) for index, generation in generations for rule in self._waited(generation, 0)]
            state.ends = tuple(found)
        return state.ends

    def remember(self, state: State, text: str, jump: Jump) -> None:
        """Where a text leads from a state, for scanners that come there later."""
        self._keep(1)
        state.memo[text] = jump

    def _keep(self, weight: int) -> None:
        """Count what was worked out; begin anew if it is too much.

        What is forgotten is taken apart a little at a time, so that nobody waits for it. A scanner in a state of old
        goes on from there until that is taken apart, and then to new ones.
        """
        self._kept += weight
        if self._kept > self._work_kept_max:
            self._leaving += self._states.values()
            self._states = {((), 0): self.start}
            self._leaving_arrivals, self._arrivals = self._arrivals, {}
            self._kinds = {}
            self._kept = weight
        for state in self._leaving[-LEAVING_AT_ONCE:]:
            state.steps.clear()
            state.memo.clear()
        del self._leaving[-LEAVING_AT_ONCE:]
        for _ in range(min(LEAVING_AT_ONCE, len(self._leaving_arrivals))):
            self._leaving_arrivals.popitem()

    def _state(self, generations: tuple[Generation, ...], before: int) -> State:
        state = self._states.get((generations, before))
        if state is None:
            self._keep(STATE_WEIGHT + sum(len(generation) for generation in generations))
            state = self._states[generations, before] = State(generations, before)
        return state

    def _kind(self, char: str) -> Kind:
        kind = self._kinds.get(char)
        if kind is None:
            bits = 0
            for chars, bit in self._net.sets.items():
                if chars.contains(char):
                    bits |= bit
            plain, caseless = (
                tuple(form for form in readings(char, ignore_case=ignore_case) if form in alphabet)
                for ignore_case, alphabet in zip((False, True), self._alphabets, strict=True)
            )
            self._keep(1)
            known = Kind(bits, plain, caseless)
            kind = self._kinds[char] = self._kind_of.setdefault((bits, plain, caseless), known)
        return kind

    def _worked_out(self, state: State, kind: Kind) -> Step:
        taken: set[int | Span] = set()
        in_front: list[Mark] = []
        behind: list[Mark] = []
        moves: list[int] = []
        generations: list[Generation] = []
        arrivals = [self._arrival(generation, kind) for generation in state.generations]
        for index, arrival in [*enumerate(arrivals), (NEW, self._entered(state.before, kind))]:
            in_front += [(index, rule) for rule in arrival.in_front]
            if not taken.isdisjoint(arrival.reached):
                arrival = self._arrived(arrival.reached - taken, kind)
            taken |= arrival.reached
            behind += [(index, rule) for rule in arrival.behind]
            if arrival.lives:
                moves.append(index)
                generations.append(arrival.lives)
        following = self._state(tuple(generations), kind.bits & self._asked_before)
        same = moves == list(range(len(state.generations)))
        marks = (tuple(in_front), tuple(behind)) if in_front or behind else None
        return following, None if same else tuple(moves), marks

    def _entered(self, before: int, kind: Kind) -> Arrival:
        """What begins with this character."""
        entered = self._arrivals.get((before, kind))
        if entered is None:
            turns = bool((before ^ kind.bits) & WORD_BIT)
            found: set[int | Span] = set()
            for entry in self._net.entries:
                if not before & entry.without and (turns or not entry.edge):
                    found.update(first for first in entry.firsts if self._net.bits[first] & kind.bits)
            for terms, (_, wait) in zip(self._lists, self._list_rules, strict=True):
                if wait is None or not before & WORD_BIT:
                    found.update(self._narrowed(terms.root, kind))
            self._keep(1)
            entered = self._arrivals[before, kind] = self._arrived(frozenset(found), kind)
        return entered

    def _arrival(self, generation: Generation, kind: Kind) -> Arrival:
        arrival = self._arrivals.get((generation, kind))
        if arrival is None:
            reached: set[int | Span] = set()
            bits, follow = self._net.bits, self._net.follow
            for node in generation:
                if isinstance(node, Span):
                    reached.update(self._narrowed(node, kind))
                else:
                    reached.update(position for position in follow[node] if bits[position] & kind.bits)
            in_front = tuple(self._waited(generation, kind.bits))
            arrival = self._arrived(frozenset(reached), kind)._replace(in_front=in_front)
            self._keep(1)
            self._arrivals[generation, kind] = arrival
        return arrival

    def _waited(self, generation: Generation, bits: int) -> list[int]:
        """Rules that waited for a character like this, or for the end of the text, which belongs to no set."""
        waits = self._net.waits
        found = [waits[node] for node in generation if not isinstance(node, Span) and node in waits]
        return [wait.rule for wait in found if wait.satisfied(bits)]

    def _narrowed(self, span: Span, kind: Kind) -> list[Span]:
        terms = self._lists[span.list_index]
        spans = [terms.narrow(span, char) for char in (kind.caseless if terms.ignore_case else kind.plain)]
        return [span for span in spans if span is not None]

    def _arrived(self, nodes: Generation, kind: Kind) -> Arrival:
        lives: set[int | Span] = set()
        behind: list[int] = []
        for node in nodes:
            if isinstance(node, Span):
                terms = self._lists[node.list_index]
                rule, wait = self._list_rules[node.list_index]
                ends, goes_on = terms.complete(node), terms.goes_on(node)
            else:
                end = self._net.ends.get(node)
                ends, goes_on = end is not None, bool(self._net.follow[node])
                if end is not None:
                    rule, wait = end.rule, end.waits and end.waits[kind.bits & WORD_BIT]
            if goes_on:
                lives.add(node)
            if ends and wait is None:
                behind.append(rule)
            elif ends and wait is not None:
                lives.add(wait)
        return Arrival(nodes, frozenset(lives), tuple(behind))
