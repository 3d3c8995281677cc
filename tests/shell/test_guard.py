"""The guard: what it asks, what it lets out, and how it says that an answer may, may not, or may not yet, end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pytest

from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.endings import Ending
from headgate.errors import Failure
from headgate.events import (
    AnyEvent,
    ChoiceDone,
    Delta,
    Drift,
    Extra,
    Held,
    Marks,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Retracted,
    Status,
    Verdict,
)
from headgate.governance.final.schema import Schemas
from headgate.governance.judgement import Judgement, Outcome
from headgate.governance.masks import Masks
from headgate.governance.ruleset import ActiveRule, Ruleset, compile_policy
from headgate.guard import QUESTIONS_MAX, Guard, Holding, Wards
from headgate.policies import Action, Policy, Rule
from headgate.positions import Place, Positions

PASS: Final = Judgement(Outcome.PASS)
COMPLETED: Final = Ending(Status.COMPLETED)
CLOSING: Final[tuple[AnyEvent, ...]] = (PartDone(0, 0), ChoiceDone(0, Reason.STOP))


class Course:
    """A response on its way, which writes down what its guard wants."""

    def __init__(self) -> None:
        self.log: list[AnyEvent] = []
        self.positions = Positions()
        self.slower: list[bool] = []
        self.ends: list[Failure | Ending | Holding] = []
        self.vouched: list[list[Place]] = []

    def append(self, events: Sequence[AnyEvent]) -> None:
        self.log += self.positions.place(events, len(self.log) + 1)

    def throttle(self, slower: bool) -> None:
        self.slower.append(slower)

    def stop(self, failure: Failure) -> None:
        self.ends.append(failure)

    def settle(self, ending: Ending) -> None:
        self.ends.append(ending)

    def hold(self, holding: Holding) -> None:
        self.ends.append(holding)

    def vouch(self, unverified: Sequence[Place]) -> None:
        self.vouched.append(list(unverified))

    def retracted(self) -> Mapping[int, int]:
        return self.positions.retracted

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.log if isinstance(event, Delta))


class Bench:
    """A guard, its course, and judges that answer when they are told to."""

    def __init__(self, policy: Policy, *, masks: Masks | None = None, faulty: bool = False) -> None:
        self.course = Course()
        self.asked: list[tuple[str, Callable[[Judgement], None]]] = []
        self.escalated: list[str] = []
        self._faulty = faulty
        wards = Wards(self._ask, self._escalate, lambda: "rev_1", Schemas())
        self.guard = Guard(
            compile_policy("p", policy),
            self.course,
            wards,
            response_id="resp_1",
            dialect="openai-chat",
            format=None,
            masks=masks,
        )

    def _ask(self, rule: ActiveRule, text: str, done: Callable[[Judgement], None]) -> None:
        self.asked.append((text, done))

    def _escalate(self, response_id: str, rules: Ruleset, rule: ActiveRule) -> None:
        if self._faulty:
            raise OSError("hunter2")
        self.escalated.append(rule.name)

    def say(self, *texts: str) -> None:
        self.feed(PartStarted(0, 0, PartKind.TEXT), *[Delta(0, 0, text) for text in texts])

    def feed(self, *events: AnyEvent) -> None:
        for event in events:
            self.course.append(self.guard.feed([event]))
            self.guard.attend()

    def answer(self, judgement: Judgement = PASS) -> None:
        """The oldest question."""
        _, done = self.asked.pop(0)
        done(judgement)

    def finish(self) -> None:
        self.feed(*CLOSING)
        self.guard.conclude(COMPLETED)


def judged(gate: str = "stream", action: Action = Action.BLOCK, **more: Any) -> Policy:
    rule = Rule(name="judge", detector="callable", callable="a:b", action=action)
    return Policy.model_validate({gate: ["judge"], "rules": [rule]} | more)


def test_answer_that_passes_ends_as_its_provider_ended_it() -> None:
    bench = Bench(judged())
    bench.say("It is. ", "So what?")
    assert bench.course.text == ""
    bench.finish()
    assert bench.course.ends == []
    bench.answer()
    assert bench.course.text == "It is. "
    bench.answer()
    assert bench.course.text == "It is. So what?"
    assert bench.course.ends == [COMPLETED]


def test_answers_after_the_end_are_nobodys() -> None:
    bench = Bench(judged())
    bench.say("It is. ", "So what?")
    bench.guard.close()
    before = list(bench.course.log)
    bench.answer(Judgement(Outcome.FAIL))
    assert bench.course.log == before
    assert bench.course.ends == []


def test_provider_waits_while_too_much_is_unanswered() -> None:
    bench = Bench(judged())
    bench.say(*[f"Sentence {n} is here. " for n in range(QUESTIONS_MAX)])
    assert bench.course.slower[-1] is True
    bench.answer()
    assert bench.course.slower[-1] is False


@pytest.mark.parametrize("gate", ["stream", "final"])
def test_rule_that_cannot_be_asked_ends_it_blocked(gate: str) -> None:
    bench = Bench(judged(gate))
    bench.say("It is. ")
    bench.finish()
    bench.answer(Judgement(Outcome.ERROR, detail="no verdict within 5 s"))
    (end,) = bench.course.ends
    assert isinstance(end, Failure)
    assert end.code == "guard_failed"
    assert [event.outcome for event in bench.course.log if isinstance(event, Verdict)] == ["error"]


def test_fault_of_what_it_calls_ends_it_blocked_and_repeats_nothing() -> None:
    rule = Rule(name="word", detector="terms", terms=["salary"], action=Action.MASK, escalate=True)
    webhook = {"url": "https://a.example/", "secret": "whsec_" + "a" * 32}
    policy = Policy.model_validate({"stream": ["word"], "rules": [rule], "webhook": webhook})
    bench = Bench(policy, faulty=True)
    bench.say("Her salary ", "is five.")
    (end,) = bench.course.ends
    assert isinstance(end, Failure)
    assert end.code == "guard_failed"
    verdict = Verdict("stream", "guard", "error", detail="it raised OSError")
    assert verdict in bench.course.log


def test_hold_of_the_final_gate_says_what_a_rejection_takes_back() -> None:
    bench = Bench(judged("final", Action.HOLD, retract=True))
    bench.say("It is.")
    bench.finish()
    bench.answer(Judgement(Outcome.FAIL))
    (holding,) = bench.course.ends
    assert isinstance(holding, Holding)
    assert holding.takes_back
    assert holding.held == Held(0, -1, 0, "judge", "rev_1")
    assert bench.guard.unpassed() == [(0, 0, 0)]


def test_hold_in_the_stream_says_how_much_was_read_in_the_end() -> None:
    rule = Rule(name="word", detector="terms", terms=["salary"], action=Action.HOLD)
    bench = Bench(Policy(stream=["word"], rules=[rule]))
    bench.say("Her salary ", "is five.")
    assert bench.guard.holding
    bench.finish()
    marks = [event for event in bench.course.log if isinstance(event, Marks)]
    assert marks[-1] == Marks(0, 0, len("Her salary is five."), 4, 4)
    assert bench.course.text == "Her "


def test_what_nobody_has_passed_is_named_when_the_log_ends() -> None:
    bench = Bench(judged(retract=True))
    bench.say("It is. ", "So what? ")
    assert bench.course.text == "It is. So what? "
    assert bench.guard.unpassed() == [(0, 0, 0)]
    bench.answer()
    assert bench.course.vouched[-1] == [(0, 0, 7)]
    assert bench.guard.unpassed() == [(0, 0, 7)]
    bench.guard.close()
    assert bench.guard.unpassed() == []


def test_nothing_is_vouched_for_where_the_final_gate_may_take_it_back() -> None:
    bench = Bench(judged(retract=True, final=["rescan"]))
    bench.say("It is. ", "So what? ")
    bench.answer()
    assert bench.course.vouched == []


def test_numbers_of_masks_go_on_where_the_request_ended() -> None:
    policy = Policy(stream=["email"], placeholder="numbered")
    masks = Masks(numbered=True)
    masks.of(compile_policy("p", policy).stream.acting_rules[0], "a@example.com")
    bench = Bench(policy, masks=masks)
    bench.say("Ask b@example.com ", "or a@example.com ", "now.")
    bench.finish()
    assert bench.course.text == "Ask [email_2] or [email_1] now."


# drift


def contradicted(text: Any) -> PartDone:
    return PartDone(0, 0, Extra(choice={"output_index": 0, "contradicted": text}))


def drifted(policy: Policy, said: str, final: str) -> Bench:
    bench = Bench(policy)
    bench.say(said)
    bench.feed(contradicted(final), CLOSING[1])
    bench.guard.conclude(COMPLETED)
    return bench


def test_final_text_of_the_provider_that_is_another_is_drift() -> None:
    bench = drifted(Policy(stream=["email"], final=["drift"]), "It is three.", "It is five!!")
    (drift,) = [event for event in bench.course.log if isinstance(event, Drift)]
    assert (drift.choice, drift.distance, drift.retracted) == (0, 5, 0)
    (end,) = bench.course.ends
    assert isinstance(end, Failure)
    assert end.code == "policy_blocked"
    assert "five" not in repr(bench.course.log)


def test_final_text_that_differs_in_what_is_masked_only_is_no_drift() -> None:
    bench = drifted(Policy(stream=["email"], final=["drift"]), "Ask a@example.com now.", "Ask b@example.com now.")
    assert bench.course.ends == [COMPLETED]
    assert "b@example" not in repr(bench.course.log)


def test_word_of_the_final_text_is_not_given_out_as_a_field() -> None:
    bench = drifted(Policy(stream=["email"]), "No", "salary")
    (done,) = [event for event in bench.course.log if isinstance(event, PartDone)]
    assert "salary" not in repr(done)


def test_text_that_was_taken_back_is_counted() -> None:
    bench = Bench(judged(action=Action.MASK, retract=True))
    bench.say("It is. ", "So what?")
    bench.finish()
    bench.answer(Judgement(Outcome.FAIL))
    bench.answer()
    (drift,) = [event for event in bench.course.log if isinstance(event, Drift)]
    assert any(isinstance(event, Retracted) for event in bench.course.log)
    assert drift.retracted == len("It is. So what?")
    assert bench.course.ends == [COMPLETED]


def test_decoder_of_a_provider_hands_on_the_text_that_contradicts_its_own() -> None:
    frames = (
        b'{"type":"response.created","response":{"id":"resp_1","model":"m","status":"in_progress","output":[]}}',
        b'{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1"}}',
        b'{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"three"}',
        b'{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"five"}',
        b'{"type":"response.content_part.done","output_index":0,"content_index":0,'
        b'"part":{"type":"output_text","text":"five"}}',
    )
    decoder = OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1)
    events = decoder.feed(b"".join(b"data: " + frame + b"\n\n" for frame in frames))
    (done,) = [event for event in events if isinstance(event, PartDone)]
    assert done.extra is not None
    assert done.extra.choice is not None
    assert done.extra.choice["contradicted"] == "five"
