"""Governance of one response in flight: between its decoder and its log.

The decisions are the core's (`governance.stream.gate`, `governance.final.gate`); here they are carried out: questions
go to the judges and their answers back into the gate, a stop ends the response, and once the provider has finished and
nothing is waiting any more, the final gate says how the log may end.

Invariant: nothing reaches the log that the gates have not let through, and however a rule or a gate fails, the response
ends `blocked` (law 5).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

import msgspec

from headgate.endings import GUARD_FAILED, Ending
from headgate.errors import CODES, Failure
from headgate.events import AnyEvent, Delta, Held, PartKind, PartStarted, Retracted, Verdict
from headgate.governance.final.gate import Effect, FinalGate, FinalResult
from headgate.governance.final.schema import Schemas
from headgate.governance.judgement import Judgement
from headgate.governance.masks import Masks
from headgate.governance.ruleset import ActiveRule, Ruleset
from headgate.governance.stream.gate import StreamGate
from headgate.governance.texts import PartText
from headgate.positions import Place
from headgate.prompt import JsonFormat
from headgate.telemetry.logs import fields, logger

QUESTIONS_MAX: Final = 64
"""Questions of one response without an answer, before nothing more is read from its provider."""
GUARD: Final = "guard"
"""What the log calls a gate that broke, where no rule is known to be to blame."""

_logger = logger("guard")


class Ask(Protocol):
    """Put a question to a judge (`judges.Judges.ask`)."""

    def __call__(self, rule: ActiveRule, text: str, done: Callable[[Judgement], None], /) -> None: ...


class Holding(NamedTuple):
    """What a person is to decide about."""

    held: Held
    """As it stands in the log."""
    withheld: list[AnyEvent]
    """Goes into the log on approval."""
    closing: list[AnyEvent]
    """Ends the answer after it."""
    ending: Ending
    """What the response comes to on approval."""
    verdicts: list[Verdict]
    takes_back: bool
    """A rejection takes back everything the log has of the answer."""


class Course(Protocol):
    """What a guard needs of the response it guards (`producer.Producer`)."""

    def append(self, events: Sequence[AnyEvent], /) -> None: ...

    def throttle(self, slower: bool, /) -> None:
        """Read no more from the provider, or go on."""
        ...

    def stop(self, failure: Failure, /) -> None:
        """End it now, as blocked."""
        ...

    def settle(self, ending: Ending, /) -> None:
        """Everything that was said is in the log: end it like this."""
        ...

    def hold(self, holding: Holding, /) -> None:
        """A person has to decide."""
        ...

    def vouch(self, unverified: Sequence[Place], /) -> None:
        """In a log that may retract: everything in it is verified for good, but for what begins at these places."""
        ...

    def retracted(self) -> Mapping[int, int]:
        """Choice -> code points of it that were taken back so far."""
        ...


class Wards(NamedTuple):
    """What all guards share."""

    ask: Ask
    escalate: Callable[[str, Ruleset, ActiveRule], None]
    """Told the response's id, its policy, and a rule that matched."""
    new_review: Callable[[], str]
    schemas: Schemas


class Guard:
    """Feed it what the decoder says; it hands back what may be appended."""

    __slots__ = (
        "_course",
        "_cut",
        "_doubtful",
        "_ending",
        "_final",
        "_gate",
        "_id",
        "_open",
        "_over",
        "_review",
        "_verdicts",
        "_vouches",
        "_wards",
        "rules",
    )

    def __init__(
        self,
        rules: Ruleset,
        course: Course,
        wards: Wards,
        *,
        response_id: str,
        dialect: str,
        format: JsonFormat | None,
        masks: Masks | None = None,
    ) -> None:
        """`dialect` is the provider's, `format` what the request says of JSON, `masks` those of the request."""
        self.rules = rules
        self._course = course
        self._wards = wards
        self._id = response_id
        self._gate = StreamGate(rules, json_text=format is not None, dialect=dialect, masks=masks)
        self._final = FinalGate(rules, format, schemas=wards.schemas)
        self._ending: Ending | None = None  # what the provider's answer came to, once it is over
        self._cut: Collection[int] = ()
        self._review = ""  # id of the review, once something is held
        self._open: list[PartStarted] = []  # in a log that may retract: parts that can be taken back
        self._verdicts: list[Verdict] = []  # of the final gate
        self._doubtful = False  # nothing in the log is known to be passed
        self._over = False
        self._vouches = rules.policy.may_retract and not judges_whole(rules)

    @property
    def holding(self) -> bool:
        """A person is, or will be, asked."""
        return bool(self._review)

    def feed(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        """What of these may be appended now. `attend` afterwards, once that is done."""
        try:
            gate = self._gate
            free = gate.feed(events)
            return self._let_out(free) if gate.eventful else free
        except Exception as fault:  # noqa: BLE001  told of, and it ends the response
            self.broke(fault)
            return []

    def attend(self) -> None:
        """See to what the gates want done: questions, escalations, a stop."""
        if self._gate.eventful and not self._over:
            self._gate.eventful = False
            self._safely(self._attend)

    def conclude(self, ending: Ending, cut: Collection[int] = ()) -> None:
        """The provider's answer is over: let go of what is left, and settle how the log ends, now or once it is known.

        `cut` are the choices that a limit or a filter ended.
        """
        self._ending, self._cut = ending, cut
        self._safely(self._conclude)

    def judge_failure(self, failure: Failure) -> Failure:
        """A failure with nothing in it that a rule would not let through."""
        try:
            return self._gate.failure(failure)
        except Exception as fault:  # noqa: BLE001  told of; our own words stand in its place
            log_fault(self._id, fault)
            return Failure(failure.code, CODES[failure.code].meaning)

    def generated(self) -> dict[Place, int]:
        """How much of each part in the log was read, in code points: choice, part, 0 -> its watermark."""
        return {(marks.choice, marks.part, 0): marks.generated for marks in self._gate.marks}

    def unpassed(self) -> list[Place]:
        """The log ends here: in one that may retract, where the text begins that nobody has passed."""
        if self._over or not self.rules.policy.may_retract:
            return []
        if not self._doubtful:
            return self._gate.unverified
        return [(started.choice, started.part, 0) for started in self._open]

    def broke(self, fault: Exception) -> None:
        """A gate, or what it calls, is at fault: nothing more is let out, and what may be taken back is."""
        log_fault(self._id, fault)
        self._doubtful = True
        gate = "stream" if self._ending is None else "final"
        self._append([Verdict(gate, GUARD, "error", detail=raised(fault))])
        if not self._over:
            self._course.stop(GUARD_FAILED)

    def close(self) -> None:
        """The log has ended, or is somebody else's: answers that still come are nobody's."""
        self._over = True

    def _safely(self, step: Callable[..., None], *arguments: object) -> None:
        """Nobody who calls a guard could do anything about its fault."""
        if not self._over:
            try:
                step(*arguments)
            except Exception as fault:  # noqa: BLE001  told of, and it ends the response
                self.broke(fault)

    # the stream

    def _conclude(self) -> None:
        self._append(self._let_out(self._gate.finish()))
        self.attend()
        self._judge_whole()

    def _attend(self) -> None:
        gate = self._gate
        if gate.escalations:
            rules = list(gate.escalations)
            gate.escalations.clear()
            for rule in rules:
                self._wards.escalate(self._id, self.rules, rule)
        if gate.stopped is not None:
            self._course.stop(_failure(gate.stopped.code, gate.stopped.rule))
            return
        if gate.questions:
            questions = list(gate.questions)
            gate.questions.clear()
            judged = self.rules.stream.judged
            for question in questions:
                self._wards.ask(judged[question.rule], question.text, partial(self._answered, question.number))
            self._course.throttle(gate.waiting >= QUESTIONS_MAX)

    def _answered(self, number: int, judgement: Judgement) -> None:
        self._safely(self._take_answer, number, judgement)

    def _take_answer(self, number: int, judgement: Judgement) -> None:
        self._append(self._let_out(self._gate.answer(number, judgement)))
        if self._vouches and self._gate.stopped is None and self._gate.holding is None:
            self._course.vouch(self._gate.unverified)
        self.attend()
        if self._ending is None:
            self._course.throttle(self._gate.waiting >= QUESTIONS_MAX)
        else:
            self._judge_whole()

    def _let_out(self, events: list[AnyEvent]) -> list[AnyEvent]:
        """Note what a later decision will need: the review that a hold begins, the parts that may be taken back."""
        if self._gate.holding is not None and not self._review:
            self._review = self._wards.new_review()
        if self._review:
            events = [self._reviewed(event) if type(event) is Held else event for event in events]
        if self.rules.policy.may_retract:
            self._open += [event for event in events if type(event) is PartStarted]
        return events

    def _reviewed(self, held: Held) -> Held:
        return msgspec.structs.replace(held, review=self._review)

    def _append(self, events: Sequence[AnyEvent]) -> None:
        if events and not self._over:
            self._course.append(events)

    # the whole

    def _judge_whole(self) -> None:
        """Once nothing of the stream waits for a verdict: the final gate."""
        if self._over or self._ending is None or self._gate.waiting or self._gate.stopped is not None:
            return
        gate, retracted = self._gate, self._course.retracted()
        texts = gate.texts()
        self._take(self._final.check(texts, provider_final=gate.provider_final, retracted=retracted, cut=self._cut))

    def _take(self, events: Sequence[AnyEvent]) -> None:
        """What the final gate said; ask what it wants to know, or do what it came to."""
        final = self._final
        self._verdicts += [event for event in events if type(event) is Verdict]
        self._append(events)
        escalations, final.escalations = final.escalations, []
        for rule, _ in escalations:
            self._wards.escalate(self._id, self.rules, rule)
        questions, final.questions = final.questions, []
        for question in questions:
            rule = self.rules.final.judged[question.rule]
            self._wards.ask(rule, question.text, partial(self._final_answered, question.number))
        if not final.waiting:
            self._do(final.result)

    def _final_answered(self, number: int, judgement: Judgement) -> None:
        self._safely(self._take_final_answer, number, judgement)

    def _take_final_answer(self, number: int, judgement: Judgement) -> None:
        if self._final.waiting:
            self._take(self._final.answer(number, judgement))

    def _do(self, result: FinalResult) -> None:
        if self._over:
            return
        match result.effect:
            case Effect.PASS if self._gate.holding is not None:
                self._hold(self._reviewed(self._gate.holding), result)
            case Effect.PASS:
                assert self._ending is not None
                self._append([*_rewritten(result.texts), *self._gate.seal()])
                self._course.settle(self._ending)
            case Effect.HOLD:
                self._review = self._review or self._wards.new_review()
                held = Held(result.choice, -1, 0, result.rule, self._review)
                self._append([held])
                self._hold(held, result)
            case Effect.REPLACE:
                self._append(self._taken_back(result.rule, self.rules.policy.replacement))
                self._course.stop(_failure(result.code, result.rule))
            case Effect.BLOCK:
                self._append(self._taken_back(result.rule))
                self._course.stop(_failure(result.code, result.rule))

    def _hold(self, held: Held, result: FinalResult) -> None:
        assert self._ending is not None
        withheld = [*self._gate.withheld, *_rewritten(result.texts)]
        self._doubtful = result.effect is Effect.HOLD
        takes_back = self._doubtful and self.rules.policy.may_retract
        self._append([marks for marks in self._gate.marks if marks.generated > marks.released])
        self._course.hold(Holding(held, withheld, self._gate.seal(), self._ending, self._verdicts, takes_back))

    def _taken_back(self, rule: str, replacement: str = "") -> list[AnyEvent]:
        """Everything the log has of the answer, where it may retract; `replacement` stands in place of the prose."""
        events: list[AnyEvent] = []
        for started in self._open:
            stands = replacement if started.kind is PartKind.TEXT else ""
            events.append(Retracted(started.choice, started.part, 0, 0, rule, stands))
            replacement = replacement if not stands else ""
        if replacement and self.rules.policy.may_retract:  # there was no prose
            part = sum(1 for started in self._open if started.choice == 0)
            events += [PartStarted(0, part, PartKind.TEXT), Delta(0, part, replacement)]
        return events


def _rewritten(texts: Sequence[PartText]) -> list[AnyEvent]:
    """Final texts in place of what was streamed."""
    return [Retracted(text.choice, text.part, 0, 0, "final", text.text) for text in texts]


def judges_whole(rules: Ruleset) -> bool:
    """Whether the final gate could still change, or take back, what the stream has let through."""
    return not rules.final.empty or bool(rules.checks or rules.policy.formatting)


def raised(fault: Exception) -> str:
    """What the log says of a fault: never its message, which may hold the text."""
    return f"it raised {type(fault).__name__}"


def log_fault(response_id: str, fault: Exception) -> None:
    """Where a gate broke. Without the message, as `raised`."""
    frames = traceback.extract_tb(fault.__traceback__)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    _logger.error("a gate is at fault", extra=fields(response=response_id, error=type(fault).__name__, at=at))


def _failure(code: str, rule: str) -> Failure:
    if code == "guard_failed":
        return Failure(code, f"The rule {rule!r} of the policy could not be asked.")
    return Failure(code, f"The rule {rule!r} of the policy ended the response.")
