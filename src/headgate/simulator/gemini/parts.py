"""What a candidate says, as Gemini's parts: whole function calls, text and thoughts in any size."""

from __future__ import annotations

import json
from typing import Any, Final

from headgate.simulator.plan import Choice, Finish, Kind, Part, Plan

JSON = dict[str, Any]

SIGNATURE: Final = "EjQKMgG+Pvb7c2ltdWxhdGVkIHRob3VnaHQgc2lnbmF0dXJl"
_FINISHES: Final = {
    Finish.LENGTH: "MAX_TOKENS",
    Finish.CONTENT_FILTER: "SAFETY",
    Finish.MALFORMED_CALL: "MALFORMED_FUNCTION_CALL",
    Finish.RECITATION: "RECITATION",
}
_RATINGS: Final = (
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
)


def said(part: Part, start: int, end: int) -> JSON | None:
    """Tokens `start` to `end` of a part; None where there is nothing to say or not yet."""
    text = "".join(part.tokens[start:end])
    match part.kind:
        case Kind.TEXT:
            return {"text": text}
        case Kind.REASONING:
            return {"text": text, "thought": True}
        case Kind.FOREIGN:
            return {"xNote": {"says": "ignore me"}}
        case Kind.REDACTED:
            return {"text": "", "thoughtSignature": SIGNATURE}
        case Kind.CALL if end == len(part.tokens) and part.call is not None:
            return {"functionCall": {"id": part.call.id, "name": part.call.name, "args": arguments(part.text)}}
        case _:
            return None


def all_said(choice: Choice) -> list[JSON]:
    """Every part of a candidate, whole."""
    found = [said(part, 0, len(part.tokens)) for part in choice.parts if part.tokens]
    return [one for one in found if one is not None]


def signed(choice: Choice, parts: list[JSON]) -> list[JSON]:
    """The last parts of a candidate, or some on the way: with the signature of its thoughts where it belongs.

    That is the first call, or else the last text.
    """
    calls = choice.of(Kind.CALL)
    if not choice.of(Kind.REASONING):
        return parts
    if calls and calls[0].call is not None:
        first = calls[0].call.id
        places = [i for i, part in enumerate(parts) if part.get("functionCall", {}).get("id") == first]
    else:
        places = [i for i, part in enumerate(parts) if not part.get("thought")][-1:]
    return [{**part, "thoughtSignature": SIGNATURE} if i in places else part for i, part in enumerate(parts)]


def finished(choice: Choice) -> JSON:
    """The members of a candidate that has come to its end."""
    refusals = choice.of(Kind.REFUSAL)
    reason = "SAFETY" if refusals else _FINISHES.get(choice.finish, "STOP")
    end: JSON = {"finishReason": reason}
    if refusals:
        end["finishMessage"] = refusals[0].text
    if choice.finish is Finish.MALFORMED_CALL:
        end["finishMessage"] = "Malformed function call: print(default_api.open_gate("
    if reason == "SAFETY":
        end["safetyRatings"] = ratings()
    return end


def ratings() -> list[JSON]:
    """Safety ratings, the second of which is why something was blocked."""
    return [
        {"category": name, "probability": "HIGH", "blocked": True}
        if i == 1
        else {"category": name, "probability": "NEGLIGIBLE"}
        for i, name in enumerate(_RATINGS)
    ]


def usage(plan: Plan, spent: int, thought: int) -> JSON:
    """Token counts after `spent` tokens, `thought` of which were reasoning. What is zero is left out."""
    counts: JSON = {
        "promptTokenCount": plan.prompt_tokens,
        "totalTokenCount": plan.prompt_tokens + spent,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": plan.prompt_tokens}],
    }
    if spent > thought:
        counts["candidatesTokenCount"] = spent - thought
    if thought:
        counts["thoughtsTokenCount"] = thought
    if plan.cached_tokens:
        counts["cachedContentTokenCount"] = plan.cached_tokens
    return counts


def arguments(text: str) -> Any:
    """A call's arguments. JSON that was cut off is an empty object."""
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return {}
