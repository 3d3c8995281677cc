"""Every fault of every provider dialect, through every SDK, streamed and whole.

The central promise: no SDK hands its user a cut, failed or cancelled answer as if it were whole. Everything is asked
at once and only once for each language (some faults are silences that only a timeout ends); the tests look at what
came. In an ordinary run the two languages share the work; `make soak` has both do all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

import httpx
import pytest

from headgate.simulator.registry import TABLE
from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.outcomes import EVERYWHERE, QUIRKS, SILENCES, complaint, faults, name_of, outcome
from tests.e2e.matrix.seen import DIALECTS, LANGUAGES, Job, Seen
from tests.e2e.matrix.words import Ask, said
from tests.soak import soaking

SHAPES: Final = {"text": ("sim-fast-unicode-t40", Ask()), "tools": ("sim-fast-reasoning-parallel", Ask(tools=True))}
EACH_SHAPE: Final = (
    "cut",
    "eof",
    "truncated-json",
    "garbage",
    "error",
    "no-stream",
    "no-finish",
    "split-utf8",
    *QUIRKS,
)
"""Faults to which it can matter what the answer is made of."""
RETHOUGHT: Final = ("thinking-in-text", "omitted-thinking")
"""The reasoning is not that of the answer without the fault, and is not the answer either."""
UNCOUNTED: Final = ("no-usage", "foreign", "drip", "omitted-thinking")
"""Usage that is not that of the answer without the fault: estimated, of more parts, or too late on a busy machine."""
MODES: Final = (True, False)

each_mode = pytest.mark.parametrize("stream", MODES, ids=["streamed", "whole"])
each_provider = pytest.mark.parametrize("provider", DIALECTS)
each_client = pytest.mark.parametrize("client", DIALECTS)


class Case(NamedTuple):
    client: str
    provider: str
    stream: bool
    shape: str
    fault: str
    """Empty for none."""

    def job(self, language: str) -> Job:
        model, ask = SHAPES[self.shape]
        kind = "hasty-" if self.fault in SILENCES else ""
        model = f"{kind}{self.provider}/{model}" + (f"+{self.fault}" if self.fault else "")
        return Job(f"{language} {self.client}", model, said(self.client, ask, stream=self.stream), stream=self.stream)


def cases(language: str) -> Iterator[Case]:
    """What this language asks: everything under soak, else every second case, the other language the others."""
    for provider, shape in product(DIALECTS, SHAPES):
        known = ("", *(fault for fault in faults(provider) if shape == "text" or fault in EACH_SHAPE))
        for (turn, fault), stream, client in product(enumerate(known), MODES, DIALECTS):
            turn += stream + DIALECTS.index(client) + LANGUAGES.index(language)
            if soaking() or not fault or turn % len(LANGUAGES):
                yield Case(client, provider, stream, shape, fault)


@pytest.fixture(scope="module")
def answers(language: str, desk: Desk, crossing: GatewayProcess) -> dict[Case, Seen]:
    """Everything, asked once; the silences last, when nothing else is being done."""
    found: dict[Case, Seen] = {}
    for silent in (False, True):
        batch = [case for case in cases(language) if (case.fault in SILENCES) == silent]
        found |= zip(batch, desk.ask(crossing.url, [case.job(language) for case in batch]), strict=True)
    return found


@pytest.fixture
def asked(answers: dict[Case, Seen], client: str, provider: str, stream: bool) -> dict[Case, Seen]:
    """One client and one provider in one mode."""
    mine = {case: seen for case, seen in answers.items() if case[:3] == (client, provider, stream) and case.fault}
    assert len(mine) > 20
    return mine


def test_table_covers_every_fault_the_simulator_lists() -> None:
    assert {name_of(fault) for fault in (*EVERYWHERE, *QUIRKS)} == set(TABLE)


def test_two_languages_together_ask_everything() -> None:
    both = {case for language in LANGUAGES for case in cases(language)}
    assert {(case.client, case.provider, case.stream, case.fault) for case in both if case.shape == "text"} == {
        (client, provider, stream, fault)
        for client in DIALECTS
        for provider in DIALECTS
        for stream in MODES
        for fault in ("", *faults(provider))
    }


@each_mode
@each_provider
@each_client
def test_fault_ends_as_the_oracle_says(asked: dict[Case, Seen], language: str) -> None:
    wrong = {}
    for case, seen in asked.items():
        expected = outcome(case.provider, case.fault, stream=case.stream, client=case.client)
        if found := complaint(case.job(language), seen, expected):
            wrong[case.shape, case.fault] = found
    assert not wrong


@each_mode
@each_provider
@each_client
def test_answer_that_is_shown_as_complete_is_the_whole_answer(
    answers: dict[Case, Seen], asked: dict[Case, Seen]
) -> None:
    wrong: dict[tuple[str, ...], object] = {}
    for case, seen in asked.items():
        whole = answers[case._replace(fault="", stream=False)]
        assert whole.text or whole.calls
        if outcome(case.provider, case.fault, stream=case.stream, client=case.client).terminal != "completed":
            continue
        thought = case.fault in RETHOUGHT or seen.reasoning == whole.reasoning
        if seen.text != whole.text or called(seen) != called(whole) or not thought:
            wrong[case.shape, case.fault] = (seen, whole)
        if seen.usage != whole.usage and case.fault not in UNCOUNTED:
            wrong[case.shape, case.fault, "usage"] = (seen.usage, whole.usage)
    assert not wrong


def called(seen: Seen) -> list[tuple[str, object]]:
    return [(call.name, call.given) for call in seen.calls]


@each_mode
@each_provider
@each_client
def test_log_ends_as_the_oracle_says(asked: dict[Case, Seen], plain: httpx.Client) -> None:
    wrong = {}
    for case, seen in asked.items():
        expected = outcome(case.provider, case.fault, stream=case.stream, client=case.client)
        if not seen.response_id:  # some SDKs hide the headers of errors
            assert expected.terminal == "failed"
            continue
        terminal = plain.get(f"/v1/responses/{seen.response_id}").json()["headgate"]["terminal"]
        if (terminal["status"], terminal.get("code", "")) != (expected.terminal, expected.code):
            wrong[case.shape, case.fault] = terminal
    assert not wrong


def test_rate_limit_says_when_to_come_back(answers: dict[Case, Seen]) -> None:
    limited = {case: seen.error for case, seen in answers.items() if case.fault == "429"}
    for case, error in limited.items():
        assert error is not None
        assert error.retry_after in (("1",) if case.client != "gemini" else ("1", "")), case  # it hides the headers


def test_providers_words_are_shown_for_a_request_it_rejects(answers: dict[Case, Seen]) -> None:
    rejected = {case: seen.error for case, seen in answers.items() if case.fault == "400"}
    for case, error in rejected.items():
        assert error is not None
        assert "simulated" in error.message, case
