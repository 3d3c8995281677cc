"""Random answers of Gemini, and both ways a provider can give them: as one object, and as a stream of chunks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=10) | st.sampled_from(
    ["a", "\n", "\u2028", '"}', "\\", "data: x\n\n", "😀", "\x85", "\x00"]
)
WORDS: Final = st.text("abcxyz_", min_size=1, max_size=6)
SIGNATURES: Final = st.fixed_dictionaries({}, optional={"thoughtSignature": st.just("c2ln")})
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**40) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=5,
)


@dataclass(frozen=True)
class Prose:
    """Text in the pieces that a stream sends; what it is signed with comes with the one and only piece."""

    thought: bool
    pieces: tuple[str, ...]
    signature: dict[str, str]


PROSE: Final = st.builds(
    Prose, st.booleans(), st.lists(TEXTS, min_size=1, max_size=4).map(tuple), st.just({})
) | st.builds(Prose, st.booleans(), st.tuples(TEXTS), st.just({"thoughtSignature": "c2ln"}))
CALLS: Final = st.builds(
    lambda call, beside: {"functionCall": call} | beside,
    st.fixed_dictionaries({"name": WORDS, "args": st.dictionaries(WORDS, JSON, max_size=2)}, optional={"id": WORDS}),
    SIGNATURES,
)
OTHERS: Final = st.sampled_from(
    [
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "thoughtSignature": "c2ln"},
        {"text": "", "thoughtSignature": "c2ln"},
        {"text": "", "thought": True, "thoughtSignature": "c2ln"},
    ]
)
FINISH: Final = st.sampled_from(["STOP", "STOP", "MAX_TOKENS", "SAFETY", "OTHER", "SPII", "CONTINUATION"])


@dataclass(frozen=True)
class Candidate:
    parts: tuple[Any, ...]
    finish: str
    logprobs: tuple[int, ...]
    extra: dict[str, Any]


CANDIDATES: Final = st.builds(
    Candidate,
    st.lists(PROSE | CALLS | OTHERS, max_size=5).map(tuple),
    FINISH,
    st.lists(st.integers(0, 9), max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(["avgLogprobs", "finishMessage"]), st.integers(0, 9), max_size=2),
)


@dataclass(frozen=True)
class Answer:
    described: dict[str, str]
    candidates: tuple[Candidate, ...]
    extra: dict[str, Any]
    usage: dict[str, int] | None


ANSWERS: Final = st.builds(
    Answer,
    st.fixed_dictionaries({"modelVersion": WORDS, "responseId": WORDS}, optional={"createTime": WORDS}),
    st.lists(CANDIDATES, min_size=1, max_size=2).map(tuple),
    st.dictionaries(st.just("modelStatus"), WORDS, max_size=1),
    st.none()
    | st.fixed_dictionaries(
        {"promptTokenCount": st.integers(0, 99), "candidatesTokenCount": st.integers(0, 99)},
        optional={"thoughtsTokenCount": st.integers(0, 9), "toolUsePromptTokenCount": st.integers(0, 9)},
    ),
)


def _prose(prose: Prose, text: str) -> dict[str, Any]:
    return {"text": text} | ({"thought": True} if prose.thought else {}) | prose.signature


def _logprobs(values: tuple[int, ...]) -> dict[str, Any]:
    return {"logprobsResult": {"chosenCandidates": [{"tokenId": value} for value in values]}} if values else {}


def _parts(candidate: Candidate) -> list[list[dict[str, Any]]]:
    """Each part in the pieces of a stream."""
    return [
        [_prose(part, text) for text in part.pieces] if isinstance(part, Prose) else [part] for part in candidate.parts
    ]


def whole_body(answer: Answer) -> bytes:
    candidates = []
    for index, candidate in enumerate(answer.candidates):
        parts = [_prose(part, "".join(part.pieces)) if isinstance(part, Prose) else part for part in candidate.parts]
        shown = {"content": {"parts": parts, "role": "model"}, "finishReason": candidate.finish, "index": index}
        candidates.append(shown | _logprobs(candidate.logprobs) | candidate.extra)
    usage = {"usageMetadata": answer.usage} if answer.usage else {}
    return json.dumps({"candidates": candidates} | usage | answer.described | answer.extra).encode()


def stream_chunks(answer: Answer, draw: st.DrawFn) -> list[dict[str, Any]]:
    """The answer as chunks; the candidates interleave at random."""
    waiting = [_candidate_chunks(index, candidate) for index, candidate in enumerate(answer.candidates)]
    chunks: list[dict[str, Any]] = []
    while any(waiting):
        turn = draw(st.sampled_from([index for index, rest in enumerate(waiting) if rest]))
        chunks.append({"candidates": [waiting[turn].pop(0)]} | answer.described)
    chunks[draw(st.integers(0, len(chunks) - 1))] |= answer.extra
    if answer.usage:
        chunks[-1]["usageMetadata"] = answer.usage
    return chunks


def _candidate_chunks(index: int, candidate: Candidate) -> list[dict[str, Any]]:
    pieces = [piece for part in _parts(candidate) for piece in part]
    chunks: list[dict[str, Any]] = [
        {"content": {"parts": [piece], "role": "model"}, "index": index} for piece in pieces
    ]
    chunks.append({"finishReason": candidate.finish, "index": index} | candidate.extra)
    for number, value in enumerate(candidate.logprobs):
        at = chunks[min(number, len(chunks) - 1)]
        known = at.get("logprobsResult", {"chosenCandidates": []})["chosenCandidates"]
        at["logprobsResult"] = {"chosenCandidates": [*known, {"tokenId": value}]}
    return chunks


def sse(chunks: list[dict[str, Any]], end: str) -> bytes:
    return "".join([f"data: {json.dumps(chunk, ensure_ascii=False)}{end}{end}" for chunk in chunks]).encode()
