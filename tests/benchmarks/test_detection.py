"""The measurement of detectors: documents are what they say they are, and a wrong match is noticed."""

from __future__ import annotations

import pytest

from benchmarks.detection import Score, judge
from benchmarks.documents import Document, Truth, documents
from benchmarks.specimens import KINDS
from headgate.governance.detectors import DETECTORS
from headgate.governance.matching.scanner import Found

TEXT = "key=abc is not the key xyz here"
DOCUMENT = Document("prose", TEXT, (Truth("api_key", 0, 4, 7, True), Truth("jwt", 23, 23, 26, True)))


def test_documents_are_the_same_every_time_and_other_ones_for_another_seed() -> None:
    assert list(documents(18, 1)) == list(documents(18, 1))
    assert list(documents(18, 1)) != list(documents(18, 2))


def test_every_detector_is_measured_and_values_stand_where_they_are_said_to() -> None:
    assert list(KINDS) == list(DETECTORS)
    corpus = list(documents(270, 1))
    assert {truth.kind for document in corpus for truth in document.truths if truth.claimed} == set(KINDS)
    for document in corpus:
        assert all(0 <= one.lead <= one.start < one.end <= len(document.text) for one in document.truths)
        assert all(
            document.text[one.start :].startswith("-----BEGIN ") for one in document.truths if one.kind == "private_key"
        )


@pytest.mark.parametrize(
    ("start", "end", "found", "elsewhere"),
    [
        (0, 7, 1, {}),
        (4, 7, 1, {}),
        (4, 6, 0, {"harmless": 1}),
        (4, 8, 0, {"harmless": 1}),
        (23, 26, 0, {"jwt": 1}),
        (22, 26, 0, {"harmless": 1}),
        (8, 10, 0, {"harmless": 1}),
    ],
)
def test_match_counts_to_the_character(start: int, end: int, found: int, elsewhere: dict[str, int]) -> None:
    score = Score()
    judge(score, "api_key", DOCUMENT, [Found(start, end, 0, TEXT[start:end])])
    assert (score.values, score.found, score.matches, dict(score.elsewhere)) == (1, found, 1, elsewhere)
    assert score.precision == (0 if "harmless" in elsewhere else 1)


def test_form_that_is_not_claimed_counts_neither_as_missed_nor_as_wrong() -> None:
    gap = Document("prose", TEXT, (Truth("api_key", 0, 4, 7, False),))
    score = Score()
    judge(score, "api_key", gap, [Found(4, 7, 0, "abc")])
    assert (score.values, score.matches, score.gaps, score.gaps_found) == (0, 0, 1, 1)
