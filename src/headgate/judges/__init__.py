"""Judges: detectors that need meaning, run for the rules that ask for them. What is done about a verdict is not decided here.

    rule --ask--> lane (bounded, with a deadline) --> judge: a callable, a moderation endpoint, an expression, Presidio

Invariant (law 5): every question is answered exactly once, on the event loop, within the rule's `timeout_s`, whatever
its judge does. An answer that could not be had is `Outcome.ERROR`, in our words: no text that was judged, and nothing
that a judge said, is ever repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from headgate.governance.judgement import Judgement, Outcome
from headgate.governance.ruleset import ActiveRule, Ruleset
from headgate.judges.callables import CallableJudge, resolve
from headgate.judges.expressions import ExpressionJudge, compiled
from headgate.judges.judge import Judge, JudgeError
from headgate.judges.lane import Lane, Observe
from headgate.judges.moderation import ModerationJudge
from headgate.judges.presidio import Analyzers, PresidioJudge
from headgate.places import Problem
from headgate.policies import Detect, Rule

NOT_PREPARED: Final = Judgement(Outcome.ERROR, detail="no judge was prepared for the rule")


class Judges:
    """All judges of a gateway. Use it inside a running event loop; `prepare` before `ask`, `close` at the end."""

    def __init__(self, *, observe: Observe | None = None) -> None:
        self._observe = observe
        self._lanes: dict[int, tuple[Rule, Lane]] = {}
        """By the identity of the rule, which is kept beside it."""
        self._analyzers = Analyzers()
        self._preparing = asyncio.Lock()
        self._closed = False

    async def prepare(self, rulesets: Mapping[str, Ruleset]) -> list[Problem]:
        """Make the judges for the rules of these policies, by policy name; those that are there already stay.

        Returns everything that is wrong, with its place in the configuration; then none was made. It imports what rules
        name, and may take seconds; the event loop goes on meanwhile.
        """
        async with self._preparing:
            return await self._prepare(rulesets)

    async def _prepare(self, rulesets: Mapping[str, Ruleset]) -> list[Problem]:
        problems: list[Problem] = []
        made: dict[int, tuple[Rule, Lane]] = {}
        for name, ruleset in rulesets.items():
            for index, rule in enumerate(ruleset.policy.rules):
                if not rule.judged or id(rule) in self._lanes or id(rule) in made:
                    continue
                try:
                    made[id(rule)] = (rule, Lane(rule, await self._judge(rule), self._observe))
                except JudgeError as error:
                    problems.append((("policies", name, "rules", index, error.key), str(error)))
        if problems or self._closed:
            await _close(lane for _, lane in made.values())
        else:
            self._lanes |= made
        return problems

    async def keep(self, rulesets: Iterable[Ruleset]) -> None:
        """Let go of all judges but those of these policies: the ones in force, and the ones that responses still use."""
        kept = {id(rule) for ruleset in rulesets for rule in ruleset.policy.rules}
        gone = [self._lanes.pop(key)[1] for key in list(self._lanes) if key not in kept]
        await _close(gone)

    def ask(self, rule: ActiveRule, text: str, done: Callable[[Judgement], None]) -> None:
        """Have `text` judged. Never raises; `done` is called once, later, on the event loop, within `Rule.timeout_s`."""
        _, lane = self._lanes.get(id(rule.settings), (None, None))
        if lane is None:
            asyncio.get_running_loop().call_soon(done, NOT_PREPARED)
        else:
            lane.ask(text, done)

    async def close(self) -> None:
        """What waits for an answer is told that there will be none."""
        self._closed = True
        lanes = [lane for _, lane in self._lanes.values()]
        self._lanes.clear()
        await _close(lanes)

    async def _judge(self, rule: Rule) -> Judge:
        match rule.detector:
            case Detect.CALLABLE:
                assert rule.callable is not None
                return CallableJudge(await asyncio.to_thread(resolve, rule.callable), rule.concurrency)
            case Detect.MODERATION:
                return ModerationJudge(rule)
            case Detect.PRESIDIO:
                return PresidioJudge(await asyncio.to_thread(self._analyzers.get, rule), rule)
            case _:
                return ExpressionJudge(await asyncio.to_thread(compiled, rule), rule.concurrency)


async def _close(lanes: Iterable[Lane]) -> None:
    for lane in lanes:
        await lane.close()
