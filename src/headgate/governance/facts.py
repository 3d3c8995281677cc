"""What is said of an answer as a whole, beside its text: models, usage, failures; every string in it judged by itself."""

from __future__ import annotations

import dataclasses

import msgspec

from headgate.errors import CODES, Failure
from headgate.events import AnyEvent, AttemptDescribed, AttemptEnded, AttemptStarted, Usage
from headgate.governance.actions import Actions
from headgate.governance.fields import Fields
from headgate.governance.ruleset import RuleGroup
from headgate.governance.scanner import scan
from headgate.policies import Action


class Facts:
    """Of one response."""

    def __init__(self, group: RuleGroup, fields: Fields, actions: Actions, *, dry: bool) -> None:
        self._group = group
        self._fields = fields
        self._actions = actions
        self._dry = dry

    def governed(self, event: AnyEvent) -> AnyEvent:
        """The event as it may be shown; what is none of a provider's facts is ours, and stays as it is."""
        fields = self._fields
        if isinstance(event, AttemptStarted):
            fields.dialect = event.dialect
        made = event
        match event:
            case AttemptDescribed():
                id, model = fields.word(event.provider_id, "provider_id"), fields.word(event.model, "model")
                extra = fields.beside(event, event.extra)
                made = AttemptDescribed(event.attempt, id, model, fields.envelope(event.envelope), extra)
            case AttemptEnded():
                made = msgspec.structs.replace(event, message=self._message(event.message))
            case Usage():
                made = msgspec.structs.replace(event, provider=fields.usage(event.provider))
            case _:
                pass
        return event if self._dry else made

    def failure(self, failure: Failure) -> Failure:
        """A failure as it may be shown. The provider's message is a text like any other.

        Our own words stand in place of one that a rule blocks or holds, or that a judged rule would have to be asked about.
        """
        if self._dry:
            return failure
        message = self._message(failure.message) or CODES[failure.code].meaning
        return dataclasses.replace(failure, message=message, detail=self._fields.failure(failure.detail))

    def _message(self, text: str) -> str:
        """A text that is complete, masked; nothing where the deterministic rules cannot decide alone."""
        given: list[str] = []
        length = 0
        for piece in scan(self._group.acting, text) if text and not self._group.judged else ():
            if isinstance(piece, str):
                given.append(piece)
                length += len(piece)
                continue
            rule = self._group.acting_rules[piece.rule]
            if rule.action is not Action.MASK:
                return ""
            length += len(piece.text)
            given.append(self._actions.mask(rule, piece.text))
        return "".join(given) if length == len(text) else ""
