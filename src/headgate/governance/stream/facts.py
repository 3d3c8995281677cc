"""What is said of an answer as a whole, beside its text: models, usage, failures; every string in it judged by itself."""

from __future__ import annotations

import dataclasses
from typing import Final

import msgspec

from headgate.errors import CODES, Failure
from headgate.events import AnyEvent, AttemptDescribed, AttemptEnded, AttemptStarted, Extra, PartDone, Usage
from headgate.governance.matching.escapes import find_in
from headgate.governance.matching.json_text import JsonFound, JsonScanner
from headgate.governance.matching.scanner import Scanner
from headgate.governance.ruleset import RuleGroup
from headgate.governance.stream.actions import Actions
from headgate.governance.stream.fields import Fields
from headgate.governance.stream.parts import Part
from headgate.policies import Action

CONTRADICTED: Final = "contradicted"
"""Beside the end of a part: its text as the provider says it in the end, where that is not what was streamed."""

MESSAGE_CHARS_WHOLE: Final = 256
"""Messages of providers are cut (`dialects.failures`) at this length or a greater one, maybe in the middle of a secret:
of those that are as long, nothing is shown that might have become a match."""


class Facts:
    """Of one response."""

    def __init__(self, group: RuleGroup, fields: Fields, actions: Actions, *, dry: bool) -> None:
        self._group = group
        self._fields = fields
        self._actions = actions
        self._dry = dry
        self.provider_final: dict[tuple[int, int], str] = {}
        """Choice and part -> the provider's own final text, as it is governed, where it contradicts its deltas."""

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
        if not text or self._group.judged:
            return ""
        cut = len(text) >= MESSAGE_CHARS_WHOLE
        found = find_in(self._group.acting, text, cut=cut)
        if found.end < len(text) and not cut:
            return ""
        given: list[str] = []
        at = 0
        for match in found.matches:
            rule = self._group.acting_rules[match.rule]
            if rule.action is not Action.MASK:
                return ""
            if match.end > at:
                given += [text[at : match.start], self._actions.mask(rule, match.text)]
                at = match.end
        return "".join([*given, text[at : found.end]])

    def uncontradicted(self, part: Part, event: PartDone) -> PartDone:
        """The end of a part without the provider's own final text: nobody is shown it, the final gate measures it."""
        extra = event.extra
        text = extra.choice.get(CONTRADICTED) if extra is not None and extra.choice is not None else None
        if extra is None or extra.choice is None or not isinstance(text, str):
            return event
        self.provider_final[part.choice, part.number] = self._masked(text, is_json=part.is_json)
        said = Extra(extra.response, extra.choice | {CONTRADICTED: True}, extra.delta)
        return PartDone(event.choice, event.part, said)

    def _masked(self, text: str, *, is_json: bool) -> str:
        """A text that is measured only: every match is masked, whatever its rule does, and what cannot be judged is left out."""
        scanner = JsonScanner(self._group.acting) if is_json else Scanner(self._group.acting)
        masked: list[str] = []
        for given in (scanner.feed(text), scanner.finish()):
            for piece in [given] if isinstance(given, str) else given:
                if isinstance(piece, str):
                    masked.append(piece)
                    continue
                mask = self._actions.masks.of(self._group.acting_rules[piece.rule], piece.text)
                masked.append(piece.spelled(mask) if isinstance(piece, JsonFound) else mask)
        return "".join(masked)
