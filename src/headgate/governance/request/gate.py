"""The request gate: a request's strings, judged before anything goes upstream.

What rules can judge at once is masked in a copy of the body, or stops the request. Rules that need meaning are asked
about the text as it is masked by then, in questions of at most `QUESTION_CHARS_MAX`. A request cannot wait for a
person: a rule that holds stops it. Invariants: the client's body is never changed; of a request that is stopped no
body is given; no event holds a text that was judged.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from typing import Any, Final, NamedTuple

from headgate.events import Governance, Verdict
from headgate.governance.judgement import Judgement, Outcome, Question, Span
from headgate.governance.masks import Masks
from headgate.governance.matching.escapes import found_in
from headgate.governance.matching.scanner import Found, scan
from headgate.governance.request.bodies import DATA_KEYS, Place, rewritten
from headgate.governance.ruleset import WATCHING, ActiveRule, Ruleset
from headgate.places import Location, dotted
from headgate.policies import Action

EVENTS_MAX: Final = 1_000
"""Matches of one request that are recorded one by one; those beyond are counted, a line for each rule."""
QUESTION_CHARS_MAX: Final = 20_000
"""Of what a rule that needs meaning is asked at once; as much as the largest window of a stream."""
KEY_CHARS_MAX: Final = 64
"""Of a key that is shown in the path of an event."""
STOPPING: Final = frozenset({Action.BLOCK, Action.HOLD})
OVERLONG: Final = "overlong"
"""Stands for a rule where a text goes on and on inside a match: which rule it would have been is not known."""


class RequestVerdict(NamedTuple):
    """What became of a request."""

    body: dict[str, Any]
    """What may go upstream; empty if nothing may."""
    events: list[Governance | Verdict]
    blocked: str = ""
    """The rule that stops it."""
    code: str = ""
    """``request_blocked``, or ``guard_failed`` where the rule could not be asked."""
    escalations: tuple[tuple[ActiveRule, Governance], ...] = ()
    """Rules that matched and want to be told of, each with its first match."""


class _Piece(NamedTuple):
    """A piece of a string as it is going to stand there, and the range it stands for."""

    text: str
    start: int
    end: int
    masked: bool = False


class _String:
    """One string of the body."""

    def __init__(self, text: str, place: Place) -> None:
        self.text = text
        self.place = place
        self.pieces = [_Piece(text, 0, len(text))]
        """All of it, once rules have judged it."""
        self.cuts: list[tuple[int, int, str]] = []
        """Of the masked text: from, to, mask."""

    @cached_property
    def masked(self) -> str:
        return "".join([piece.text for piece in self.pieces])

    @cached_property
    def _ends(self) -> list[int]:
        """Of the pieces, in the masked text."""
        return list(accumulate([len(piece.text) for piece in self.pieces]))

    def given(self) -> str:
        """What stands there in the end. Of cuts that overlap the first counts."""
        text, done, out = self.masked, 0, []
        for start, end, mask in sorted(self.cuts):
            if start >= done:
                out += [text[done:start], mask]
                done = end
            elif end > done:
                done = end
        return "".join([*out, text[done:]])

    def origin(self, at: int, *, end: bool) -> int:
        """Where a position in the masked text lies in the text."""
        index = (bisect_left if end else bisect_right)(self._ends, at)
        if index == len(self.pieces):
            return len(self.text)
        piece = self.pieces[index]
        if piece.masked:
            return piece.end if end else piece.start
        return piece.end - (self._ends[index] - at)


class _Asked(NamedTuple):
    """A string, or a share of one, in a question."""

    string: _String
    at: int
    """In the question."""
    start: int
    """In the masked text."""
    length: int


def _at(asked: _Asked) -> int:
    return asked.at


class RequestGate:
    """Judges one request. `judge` until it says so, then `answer` the questions, then take the `verdict`."""

    def __init__(self, rules: Ruleset, body: dict[str, Any], *, masks: Masks | None = None) -> None:
        self.questions: list[Question] = []
        """What rules that need meaning are asked; complete once `judge` has returned True."""
        self.masks = masks or Masks(numbered=rules.policy.placeholder == "numbered")
        """The numbers of masked values; the stream of the same response goes on with them."""
        self._rules = rules
        self._dry = rules.policy.dry_run
        self._body = body
        self._strings: list[_String] = []
        self._events: list[Governance | Verdict] = []
        self._path: tuple[Location, str] = (), ""
        """Of the string that was last told of, and as it is shown."""
        self._beyond: dict[tuple[str, str], int] = {}
        self._blocked = self._code = ""
        self._escalations: dict[str, tuple[ActiveRule, Governance]] = {}
        self._asked: dict[int, list[_Asked]] = {}
        self._answered: set[int] = set()
        self._outcomes: dict[int, Outcome] = {}
        """The worst that was said for a rule."""
        self._work = self._run()

    @property
    def stopped(self) -> bool:
        return bool(self._blocked)

    def judge(self, chars: int | None = None) -> bool:
        """Judge about so many characters more, or all there is. True when nothing is left to be judged at once.

        Raises `RequestError` ``invalid_request`` for a body that is nested too deeply.
        """
        left = chars
        for done in self._work:
            if left is not None:
                left -= done
                if left <= 0:
                    return False
        return True

    def answer(self, number: int, judgement: Judgement) -> None:
        """The answer to a question, once for each. What could not be asked stops the request (law 5)."""
        question = self.questions[number]
        self._answered.add(number)
        rule = self._rules.request.judged[question.rule]
        outcome = judgement.outcome
        worst = self._outcomes.get(question.rule, Outcome.PASS)
        self._outcomes[question.rule] = max(outcome, worst, key=list(Outcome).index)
        if outcome is Outcome.ERROR and not self._dry:
            self._stop(rule.name, "guard_failed")
        elif outcome is Outcome.FAIL:
            spans = judgement.spans or (Span(0, len(question.text)),)
            for string, start, end in self._meant(number, spans):
                self._failed(rule, string, start, end)

    def verdict(self) -> RequestVerdict:
        """What becomes of the request, every question answered."""
        events = list(self._events)
        for (rule, action), count in self._beyond.items():
            events.append(Governance(-1, -1, rule, action, 0, 0, "request", self._dry, f"and {count} more"))
        judged = self._rules.request.judged
        events += [
            Verdict("request", judged[rule].name, str(outcome)) for rule, outcome in sorted(self._outcomes.items())
        ]
        unanswered = next((question for question in self.questions if question.number not in self._answered), None)
        if unanswered is not None and not self._dry:
            self._stop(judged[unanswered.rule].name, "guard_failed")
        body = {} if self._blocked else self._rewritten()
        return RequestVerdict(body, events, self._blocked, self._code, tuple(self._escalations.values()))

    # the rules that judge at once

    def _run(self) -> Iterator[int]:
        if self._rules.request.empty:
            return
        rewritten(self._body, self._collect)
        for string in self._strings:
            yield from self._judge(string)
            if self._blocked:
                return
        self._ask()

    def _collect(self, text: str, place: Place) -> str:
        self._strings.append(_String(text, place))
        return text

    def _judge(self, string: _String) -> Iterator[int]:
        group = self._rules.request
        if group.watching_rules:
            found = yield from found_in(group.watching, string.text)
            for match in found.matches:
                self._matched(group.watching_rules[match.rule], string, match.start, match.end, 0)
            if found.end < len(string.text):
                self._record(self._event(OVERLONG, Action.FLAG, string, found.end, len(string.text), 0))
        if group.acting_rules:
            found = yield from found_in(group.acting, string.text)
            string.pieces = []
            at = 0
            for match in found.matches:
                if not self._act(group.acting_rules[match.rule], string, at, match):
                    return
                at = max(at, match.end)
            string.pieces.append(_Piece(string.text[at:], at, len(string.text)))
            if found.end < len(string.text):
                self._record(self._event(OVERLONG, Action.BLOCK, string, found.end, len(string.text), 0))
                self._stop(OVERLONG, "request_blocked")

    def _act(self, rule: ActiveRule, string: _String, at: int, found: Found) -> bool:
        """Deal with a match, and the text from `at` up to it. Whether the request goes on."""
        if rule.action in STOPPING:
            self._matched(rule, string, found.start, found.end, 0)
            self._stop(rule.name, "request_blocked")
            return False
        start = max(at, found.start)
        if start < found.end:  # not masked already, as something else
            mask = self.masks.of(rule, found.text)
            string.pieces.append(_Piece(string.text[at:start], at, start))
            string.pieces.append(_Piece(mask, start, found.end, masked=True))
            self._matched(rule, string, start, found.end, len(mask))
        return True

    # those that are asked

    def _ask(self) -> None:
        judged = self._rules.request.judged
        if not judged:
            return
        for text, asked in _packed([string for string in self._strings if string.place.prose and string.text.strip()]):
            for rule in range(len(judged)):
                number = len(self.questions)
                self._asked[number] = asked
                self.questions.append(Question(number, rule, text, -1, -1))

    def _meant(self, number: int, spans: tuple[Span, ...]) -> Iterator[tuple[_String, int, int]]:
        """The ranges of the masked strings that spans of a question lie in."""
        asked = self._asked[number]
        for span in spans:
            index = max(bisect_right(asked, span.start, key=_at) - 1, 0)
            while index < len(asked) and asked[index].at < span.end:
                string, at, start, length = asked[index]
                first, last = max(span.start, at), min(span.end, at + length)
                if first < last:
                    yield string, first - at + start, last - at + start
                index += 1

    def _failed(self, rule: ActiveRule, string: _String, start: int, end: int) -> None:
        first, last = string.origin(start, end=False), string.origin(end, end=True)
        if self._dry or rule.action in WATCHING:
            self._matched(rule, string, first, last, 0)
        elif rule.action in STOPPING:
            self._matched(rule, string, first, last, 0)
            self._stop(rule.name, "request_blocked")
        else:
            mask = self.masks.of(rule, string.masked[start:end])
            string.cuts.append((start, end, mask))
            self._matched(rule, string, first, last, len(mask))

    # what is said of it

    def _matched(self, rule: ActiveRule, string: _String, start: int, end: int, released: int) -> None:
        event = self._event(rule.name, rule.action, string, start, end, released)
        self._record(event)
        if (rule.escalate or rule.action is Action.ESCALATE) and not self._dry:
            self._escalations.setdefault(rule.name, (rule, event))

    def _record(self, event: Governance) -> None:
        if len(self._events) < EVENTS_MAX:
            self._events.append(event)
        else:
            self._beyond[event.rule, event.action] = self._beyond.get((event.rule, event.action), 0) + 1

    def _event(self, rule: str, action: str, string: _String, start: int, end: int, released: int) -> Governance:
        path = string.place.path
        if self._path[0] is not path:
            self._path = path, dotted(tuple(self._shown(path)))
        return Governance(-1, -1, rule, str(action), start, end, "request", self._dry, self._path[1], released)

    def _shown(self, path: Location) -> Iterator[str | int]:
        """A path without what clients may have written into it: keys of a tool's data, and keys that a rule matches."""
        data = False
        for index, step in enumerate(path):
            yield step if isinstance(step, int) else "*" if data else self._key(step)
            data = data or (index > 0 and step in DATA_KEYS)

    def _key(self, key: str) -> str:
        if len(key) > KEY_CHARS_MAX or not key.isprintable():
            return "*"
        group = self._rules.request
        found = [item for automaton in (group.acting, group.watching) for item in scan(automaton, key)]
        return "*" if any(isinstance(item, Found) for item in found) else key

    def _stop(self, rule: str, code: str) -> None:
        if not self._blocked:
            self._blocked, self._code = rule, code

    def _rewritten(self) -> dict[str, Any]:
        strings = iter(self._strings)
        return rewritten(self._body, lambda text, place: next(strings).given()) if self._strings else self._body


def judge_request(rules: Ruleset, body: dict[str, Any]) -> RequestVerdict:
    """Judge a request at once. Rules that need meaning count as failed: whoever can ask them uses `RequestGate`."""
    gate = RequestGate(rules, body)
    gate.judge()
    return gate.verdict()


def _packed(strings: list[_String]) -> Iterator[tuple[str, list[_Asked]]]:
    """Strings, as they are masked, in texts of at most `QUESTION_CHARS_MAX`; longer ones are cut at white space."""
    text, asked = "", list[_Asked]()
    for string in strings:
        masked, start = string.masked, 0
        while start < len(masked):
            share = _share(masked, start)
            if asked and len(text) + 2 + len(share) > QUESTION_CHARS_MAX:
                yield text, asked
                text, asked = "", []
            text += "\n\n" if asked else ""
            asked.append(_Asked(string, len(text), start, len(share)))
            text += share
            start += len(share)
    if asked:
        yield text, asked


def _share(text: str, start: int) -> str:
    share = text[start : start + QUESTION_CHARS_MAX]
    if start + len(share) == len(text):
        return share
    cut = max(share.rfind(" "), share.rfind("\n"), share.rfind("\t")) + 1
    return share[:cut] if cut > QUESTION_CHARS_MAX // 2 else share
