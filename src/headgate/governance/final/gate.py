"""The final gate: what has to be true of a whole answer before its log may say `completed`.

    gate.check(texts)                 -> events; the outcome, or questions for judges
    gate.answer(number, judgement)    -> events
    gate.result                       once nothing is `waiting`

Pure. First comes what can be computed: formatting, the deterministic rules of the final group, the re-scan, the JSON
schema, the length. Then what has to be asked, unless the outcome is sealed; last of all the drift, because masks of
judges are part of the final text. Everything is recorded as a verdict, and what is recorded never holds a text.
Invariant (law 5): a check that could not be made has failed. Only a dry run lets everything pass.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from itertools import accumulate
from typing import Final, NamedTuple

from headgate.events import AnyEvent, Governance, PartKind, Verdict
from headgate.governance.final.drift import drift
from headgate.governance.final.formatting import formatted
from headgate.governance.final.rescan import SHOWN, Match, Placeholders, find, is_json, masked, outside
from headgate.governance.final.schema import Schema, SchemaError, Schemas
from headgate.governance.judgement import Judgement, Outcome, Question
from headgate.governance.matching.json_text import JsonFound
from headgate.governance.ruleset import WATCHING, ActiveRule, RuleGroup, Ruleset
from headgate.governance.texts import PartText
from headgate.policies import Action
from headgate.prompt import JsonFormat

FINAL: Final = "final"
BLOCKED: Final = "policy_blocked"
FAILED: Final = "guard_failed"
MATCHES_RECORDED_MAX: Final = 1_000
"""Events for matches of one response; all of them count."""


class Effect(IntEnum):
    """What becomes of the answer. Of several the greatest counts."""

    PASS = 0
    HOLD = 1
    REPLACE = 2
    BLOCK = 3


class FinalResult(NamedTuple):
    """What the final gate came to."""

    effect: Effect
    rule: str = ""
    """The check or the rule that decided."""
    choice: int = -1
    code: str = ""
    """``policy_blocked`` or ``guard_failed``, where the effect is not `PASS`."""
    texts: tuple[PartText, ...] = ()
    """Parts whose final text is not what was streamed: formatting and masks. For `PASS`, and `HOLD` once approved."""


class _Asked(NamedTuple):
    """A question, and the parts whose texts it joins."""

    rule: int
    parts: tuple[PartText, ...]


class FinalGate:
    """Judges one answer. `format` is what the request says of JSON (`prompt.Prompt.format`)."""

    def __init__(self, rules: Ruleset, format: JsonFormat | None, *, schemas: Schemas | None = None) -> None:
        self.questions: list[Question] = []
        """Newly asked, of rules in `Ruleset.final.judged`; whoever asks them takes and clears them."""
        self.waiting = 0
        """Questions whose answer could still change the outcome."""
        self.escalations: list[tuple[ActiveRule, Governance]] = []
        """Newly matched rules that somebody is to be told of; whoever tells them takes and clears them."""
        self._rules = rules
        self._policy = rules.policy
        self._format = format
        self._schemas = schemas or Schemas()
        self._placeholders: Placeholders | None = None  # made when something was found
        self._events: list[AnyEvent] = []
        self._result = FinalResult(Effect.PASS)
        self._choices: dict[int, list[PartText]] = {}
        self._streamed: dict[tuple[int, int], str] = {}
        self._provider: Mapping[tuple[int, int], str] = {}
        self._retracted: Mapping[int, int] = {}
        self._asked: dict[int, _Asked] = {}
        self._ranges: dict[tuple[int, int], list[tuple[int, int, str]]] = {}
        self._failed: set[str] = set()
        self._verdicts: set[Verdict] = set()
        self._escalated: set[tuple[str, int]] = set()
        self._recorded = 0
        on_failure = {"hold": Effect.HOLD, "replace": Effect.REPLACE, "block": Effect.BLOCK}
        self._on_failure = on_failure[self._policy.on_failure]

    def check(
        self,
        texts: Sequence[PartText],
        *,
        provider_final: Mapping[tuple[int, int], str] | None = None,
        retracted: Mapping[int, int] | None = None,
        cut: Collection[int] = (),
    ) -> list[AnyEvent]:
        """Judge the governed texts of all parts.

        `provider_final` has the provider's own final text of the parts where it is not what its deltas gave, governed
        as the stream was; `retracted` by choice how many code points were taken back; `cut` the choices that a limit
        or a filter ended, of which no complete JSON is expected.
        """
        self._streamed = {(part.choice, part.part): part.text for part in texts}
        self._provider, self._retracted = provider_final or {}, retracted or {}
        for part in texts:
            self._choices.setdefault(part.choice, []).append(part)
        if self._policy.may_retract:
            self._choices = {choice: self._formatted(parts) for choice, parts in self._choices.items()}
        self._apply_rules()
        for check, made in (("rescan", self._rescan), ("length", self._length)):
            if check in self._rules.checks:
                for choice, parts in self._choices.items():
                    made(choice, parts)
                self._passed(check)
        if "json_schema" in self._rules.checks and self._format is not None:
            self._json_schema(self._format, cut)
        if self._result.effect < Effect.REPLACE:  # nothing an answer says could make it better, or worse
            self._ask()
        if not self.waiting:
            self._settle()
        return self._taken()

    def answer(self, number: int, judgement: Judgement) -> list[AnyEvent]:
        """Take the answer to a question. One that comes when nothing waits for it any more changes nothing."""
        asked = self._asked.pop(number, None)
        if asked is None or not self.waiting:
            return []
        self.waiting -= 1
        self._judge(self._rules.final.judged[asked.rule], asked, judgement)
        if self._result.effect >= Effect.REPLACE:
            self.waiting = 0
        elif not any(other.rule == asked.rule for other in self._asked.values()):
            self._passed(self._rules.final.judged[asked.rule].name)
        if not self.waiting:
            self._settle()
        return self._taken()

    @property
    def result(self) -> FinalResult:
        """The outcome; it may still get worse while something is `waiting`."""
        return self._result

    # what can be computed

    def _formatted(self, parts: list[PartText]) -> list[PartText]:
        prose = [part for part in parts if part.kind is PartKind.TEXT]
        texts = iter(formatted([part.text for part in prose], self._policy.formatting))
        return [part._replace(text=next(texts)) if part.kind is PartKind.TEXT else part for part in parts]

    def _apply_rules(self) -> None:
        """The deterministic rules of the final group, each with its own action."""
        group = self._rules.final
        for choice, parts in self._choices.items():
            ranges: dict[int, list[tuple[int, int, str]]] = {}
            for rule, match in self._matches(group, choice, parts):
                if rule.action is Action.MASK and self._policy.may_retract and not match.crossing:
                    mask = match.found.spelled(rule.mask) if isinstance(match.found, JsonFound) else rule.mask
                    ranges.setdefault(match.part, []).append((match.start, match.end, mask))
                    self._verdict(rule.name, Outcome.FAIL, choice, "masked")
                    self._record(rule, choice, *match[:3], released=len(mask))
                else:
                    self._fail(rule.name, choice, self._effect(rule), detail="matched")
                    self._record(rule, choice, *match[:3])
            self._choices[choice] = [p._replace(text=masked(p.text, ranges.get(p.part, ()))) for p in parts]
        for rule in (*group.acting_rules, *group.watching_rules):
            self._passed(rule.name)

    def _matches(self, group: RuleGroup, choice: int, parts: list[PartText]) -> list[tuple[ActiveRule, Match]]:
        matches = []
        for automaton, rules in ((group.acting, group.acting_rules), (group.watching, group.watching_rules)):
            found = find(automaton, parts, json_text=self._format is not None)
            matches += [(rules[match.rule], match) for match in self._outside(found.matches, parts)]
            if not found.complete:
                self._fail(FINAL, choice, self._on_failure, code=FAILED, detail="a match without an end")
        return matches

    def _rescan(self, choice: int, parts: list[PartText]) -> None:
        """Nothing that the rules of the stream act upon may be left, whatever parts it is spread over."""
        dry = self._policy.dry_run
        group = self._rules.stream
        rules = group.watching_rules if dry else group.acting_rules
        found = find(group.watching if dry else group.acting, parts, json_text=self._format is not None)
        for match in self._outside(found.matches, parts):
            rule = rules[match.rule]
            # what one part holds alone, the stream has held already, or in a dry run recorded
            known = not match.crossing and (dry or rule.action is Action.HOLD)
            if not known and rule.action not in WATCHING:
                self._record(rule, choice, *match[:3])
                effect = Effect.HOLD if rule.action is Action.HOLD else self._on_failure
                self._fail("rescan", choice, effect, detail=f"the rule {rule.name!r} matches")
        if not found.complete:
            self._fail("rescan", choice, self._on_failure, code=FAILED, detail="a match without an end")

    def _outside(self, matches: list[Match], parts: list[PartText]) -> list[Match]:
        """Without those inside of what masks have left."""
        if not matches:
            return matches
        if self._placeholders is None:
            groups = (self._rules.stream, self._rules.final)
            rules = [rule for group in groups for rule in (*group.acting_rules, *group.watching_rules, *group.judged)]
            self._placeholders = Placeholders(rules)
        return outside(matches, parts, self._placeholders)

    def _length(self, choice: int, parts: list[PartText]) -> None:
        limits = self._policy.length
        chars = sum(len(part.text) for part in parts if part.kind in SHOWN)
        if not chars and any(part.kind is PartKind.TOOL_CALL for part in parts):
            return
        if chars < limits.chars_min:
            self._fail("length", choice, self._on_failure, detail=f"{chars} characters, fewer than {limits.chars_min}")
        elif limits.chars_max is not None and chars > limits.chars_max:
            self._fail("length", choice, self._on_failure, detail=f"{chars} characters, more than {limits.chars_max}")

    def _json_schema(self, wanted: JsonFormat, cut: Collection[int]) -> None:
        try:
            schema = self._schemas.get(wanted.schema)
        except SchemaError as error:
            self._fail("json_schema", -1, self._on_failure, code=FAILED, detail=str(error))
            return
        for choice, parts in self._choices.items():
            text = "".join(part.text for part in parts if part.kind is PartKind.TEXT)
            instead = any(part.kind in (PartKind.TOOL_CALL, PartKind.REFUSAL) for part in parts)
            if choice not in cut and (text or not instead):
                self._json(schema, choice, text)
        self._passed("json_schema")

    def _json(self, schema: Schema, choice: int, text: str) -> None:
        unmet = schema.check(text)
        if unmet is not None:
            code = BLOCKED if unmet.checked else FAILED
            self._fail("json_schema", choice, self._on_failure, code=code, detail=f"{unmet.path} {unmet.message}")

    # what has to be asked

    def _ask(self) -> None:
        """Every text once: what readers see as one, reasoning and arguments of calls each by itself."""
        for rule, active in enumerate(self._rules.final.judged):
            for choice, parts in self._choices.items():
                shown = tuple(part for part in parts if part.kind in SHOWN)
                others = [(part,) for part in parts if part.kind not in SHOWN]
                for asked in (shown, *others):
                    self._put(rule, choice, asked)
            if not any(asked.rule == rule for asked in self._asked.values()):
                self._passed(active.name)

    def _put(self, rule: int, choice: int, parts: tuple[PartText, ...]) -> None:
        text = "".join(part.text for part in parts)
        if text:
            number = len(self._asked)
            self._asked[number] = _Asked(rule, parts)
            self.questions.append(Question(number, rule, text, choice, parts[0].part if len(parts) == 1 else -1))
            self.waiting += 1

    def _judge(self, rule: ActiveRule, asked: _Asked, judgement: Judgement) -> None:
        choice = asked.parts[0].choice
        if judgement.outcome is Outcome.PASS:
            return
        if judgement.outcome is Outcome.ERROR:
            self._fail(rule.name, choice, self._on_failure, code=FAILED, detail=judgement.detail)
            return
        ranges = self._placed(asked.parts, judgement)
        json_text = self._format is not None
        prose = not any(is_json(part, json_text=json_text) for part in asked.parts)
        masks = rule.action is Action.MASK and self._policy.may_retract and prose and bool(ranges)
        for part, start, end in ranges or [(-1, 0, 0)]:
            self._record(rule, choice, part, start, end, released=len(rule.mask) if masks else 0)
        if masks:
            for part, start, end in ranges:
                self._ranges.setdefault((choice, part), []).append((start, end, rule.mask))
            self._verdict(rule.name, Outcome.FAIL, choice, judgement.detail or "masked")
        else:
            self._fail(rule.name, choice, self._effect(rule), detail=judgement.detail)

    @staticmethod
    def _placed(parts: tuple[PartText, ...], judgement: Judgement) -> list[tuple[int, int, int]]:
        """The spans as ranges of the parts; a span across two parts makes two."""
        ranges: list[tuple[int, int, int]] = []
        begins = [0, *accumulate(len(part.text) for part in parts)]
        for span in judgement.spans:
            index = max(bisect_right(begins, span.start) - 1, 0)
            while index < len(parts) and begins[index] < span.end:
                begin, part = begins[index], parts[index]
                start, end = max(span.start - begin, 0), min(span.end - begin, len(part.text))
                if start < end:
                    ranges.append((part.part, start, end))
                index += 1
        return ranges

    # the end

    def _settle(self) -> None:
        """Everything is known but the drift."""
        if self._result.effect >= Effect.REPLACE:
            return
        final = []
        for choice, parts in self._choices.items():
            parts = [part._replace(text=masked(part.text, self._ranges.get((choice, part.part), ()))) for part in parts]
            final += [part for part in parts if part.text != self._streamed[choice, part.part]]
            self._measure(choice, parts)
        if "drift" in self._rules.checks:
            self._passed("drift")
        self._result = self._result._replace(texts=tuple(final))

    def _measure(self, choice: int, parts: list[PartText]) -> None:
        """Streamed against final text."""
        final = self._with_provider(choice, parts)
        pairs = [(self._streamed.get((choice, part), ""), text) for part, text in sorted(final.items())]
        wanted = "drift" in self._rules.checks
        retracted = self._retracted.get(choice, 0)
        if not wanted and not retracted and all(streamed == text for streamed, text in pairs):
            return
        event = drift(choice, pairs, retracted)
        self._events.append(event)
        if wanted and event.distance > self._policy.drift.distance_max:
            detail = f"{event.distance} characters, more than {self._policy.drift.distance_max}"
            self._fail("drift", choice, self._on_failure, detail=detail)

    def _with_provider(self, choice: int, parts: list[PartText]) -> dict[int, str]:
        """The final texts by part. Where the provider's own final text is another, that is the one that counts."""
        own = {part: text for (at, part), text in self._provider.items() if at == choice}
        if not own:
            return {part.part: part.text for part in parts}
        changed = [part._replace(text=own.get(part.part, part.text)) for part in parts]
        if self._policy.may_retract:
            changed = self._formatted(changed)
        return own | {
            part.part: (new if part.part in own else part).text for part, new in zip(parts, changed, strict=True)
        }

    # the record

    def _effect(self, rule: ActiveRule) -> Effect:
        """What a failing rule asks for. Blocking and replacing are one thing to a rule, and the policy says which."""
        match rule.action:
            case Action.FLAG | Action.ESCALATE:
                return Effect.PASS
            case Action.HOLD:
                return Effect.HOLD
            case Action.BLOCK:
                return Effect.REPLACE if self._on_failure is Effect.REPLACE else Effect.BLOCK
            case Action.MASK:
                return self._on_failure

    def _fail(self, name: str, choice: int, effect: Effect, *, code: str = BLOCKED, detail: str = "") -> None:
        self._verdict(name, Outcome.ERROR if code == FAILED else Outcome.FAIL, choice, detail)
        if effect > self._result.effect and not self._policy.dry_run:
            self._result = FinalResult(effect, name, choice, code)

    def _verdict(self, name: str, outcome: Outcome, choice: int, detail: str) -> None:
        verdict = Verdict(FINAL, name, outcome.value, choice, -1, detail)
        if verdict not in self._verdicts:
            self._verdicts.add(verdict)
            self._events.append(verdict)
        self._failed.add(name)

    def _passed(self, name: str) -> None:
        """Nothing was wrong with any choice."""
        if name not in self._failed:
            self._events.append(Verdict(FINAL, name, Outcome.PASS.value))

    def _record(self, rule: ActiveRule, choice: int, part: int, start: int, end: int, *, released: int = 0) -> None:
        event = Governance(
            choice, part, rule.name, rule.action.value, start, end, FINAL, self._policy.dry_run, released=released
        )
        self._recorded += 1
        if self._recorded <= MATCHES_RECORDED_MAX:
            self._events.append(event)
        tells = rule.escalate or rule.action is Action.ESCALATE
        if tells and (rule.name, choice) not in self._escalated:
            self._escalated.add((rule.name, choice))
            self.escalations.append((rule, event))

    def _taken(self) -> list[AnyEvent]:
        taken, self._events = self._events, []
        return taken
