"""The parts of a plan as output items of Responses: which item each belongs to, and how items look whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from headgate.simulator.logprobs import logprob
from headgate.simulator.plan import Finish, Kind, Part, Plan
from headgate.simulator.quirks import Quirk

JSON = dict[str, Any]

SEALED: Final = "gAAAAABsaW11bGF0ZWQ6IG5vYm9keSBtYXkgcmVhZCB0aGlz"
_MESSAGE: Final = (Kind.TEXT, Kind.REFUSAL)
_SUMMARIES: Final = 2
"""A summary of reasoning comes in so many parts."""


@dataclass(frozen=True, slots=True)
class Item:
    """One output item. Text and a refusal that follow each other are parts of one message."""

    index: int
    id: str
    parts: tuple[Part, ...]
    status: str
    """Once it is complete."""

    @property
    def kind(self) -> Kind:
        return self.parts[0].kind

    @property
    def of_message(self) -> bool:
        return self.kind in _MESSAGE


def items(plan: Plan) -> tuple[Item, ...]:
    """The items of a plan's only choice, in order."""
    groups: list[list[Part]] = []
    for part in plan.choices[0].parts:
        if not part.tokens:
            continue
        if groups and part.kind in _MESSAGE and groups[-1][0].kind in _MESSAGE:
            groups[-1].append(part)
        else:
            groups.append([part])
    cut = len(groups) - 1 if plan.choices[0].finish in (Finish.LENGTH, Finish.CONTENT_FILTER) else None
    return tuple(
        Item(i, _id(plan, group[0], i), tuple(group), "incomplete" if i == cut else "completed")
        for i, group in enumerate(groups)
    )


def begun(plan: Plan, item: Item) -> JSON:
    """An item as it is added."""
    shown = complete(plan, item)
    if item.kind is Kind.CALL:
        return {**shown, "arguments": "", "status": "in_progress"}
    if item.of_message:
        return {**shown, "content": [], "status": "in_progress"}
    if item.kind is Kind.REASONING:
        return {**shown, "summary": [], **({"content": []} if "content" in shown else {})}
    return shown


def complete(plan: Plan, item: Item) -> JSON:
    """An item once nothing more comes."""
    part = item.parts[0]
    if item.kind is Kind.CALL:
        assert part.call is not None
        call = {"arguments": part.text, "call_id": f"call_{part.call.id}", "name": part.call.name}
        return {"id": item.id, "type": "function_call", "status": item.status, **call}
    if item.of_message:
        content = [content_part(plan, one) for one in item.parts]
        return {"id": item.id, "type": "message", "status": item.status, "content": content, "role": "assistant"}
    if item.kind is Kind.FOREIGN:
        return {"id": item.id, "type": "x_note_call", "status": "completed", "says": "ignore me"}
    return {"id": item.id, "type": "reasoning", **_reasoning(plan, part)}


def content_part(plan: Plan, part: Part) -> JSON:
    """A part of a message, or reasoning in its own words."""
    if part.kind is Kind.REFUSAL:
        return {"type": "refusal", "refusal": part.text}
    if part.kind is Kind.REASONING:
        return {"type": "reasoning_text", "text": part.text}
    return {"type": "output_text", "annotations": [], "logprobs": logprobs(plan, part), "text": part.text}


def logprobs(plan: Plan, part: Part, index: int | None = None) -> list[JSON]:
    """The entries of all tokens of a text, or of one; none where none were asked for."""
    top = plan.ask.logprobs
    if top is None:
        return []
    indexes = range(len(part.tokens)) if index is None else (index,)
    return [logprob(part.tokens[i], i, top) for i in indexes]


def summary(part: Part, index: int) -> tuple[int, int]:
    """To which part of the summary token `index` of reasoning belongs, and where that part ends."""
    size = -(-len(part.tokens) // _SUMMARIES)
    number = index // size
    return number, min((number + 1) * size, len(part.tokens))


def summary_text(part: Part, number: int) -> str:
    """The text of one part of the summary."""
    size = -(-len(part.tokens) // _SUMMARIES)
    return "".join(part.tokens[number * size : (number + 1) * size])


def _reasoning(plan: Plan, part: Part) -> JSON:
    sealed = {"encrypted_content": SEALED} if plan.ask.sealed or part.kind is Kind.REDACTED else {}
    if part.kind is Kind.REDACTED:
        return {"summary": [], **sealed}
    if plan.has(Quirk.RAW_REASONING):
        return {"summary": [], "content": [content_part(plan, part)], **sealed}
    numbers = range(summary(part, len(part.tokens) - 1)[0] + 1)
    return {"summary": [{"type": "summary_text", "text": summary_text(part, i)} for i in numbers], **sealed}


def _id(plan: Plan, part: Part, index: int) -> str:
    prefix = {Kind.CALL: "fc", Kind.REASONING: "rs", Kind.REDACTED: "rs", Kind.FOREIGN: "xn"}.get(part.kind, "msg")
    return f"{prefix}_{plan.id}{index:04x}"
