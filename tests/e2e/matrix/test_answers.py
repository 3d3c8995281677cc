"""What a user asks for, in every SDK and from every provider dialect, streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.outcomes import FINISHES
from tests.e2e.matrix.seen import DIALECTS, Job, Seen
from tests.e2e.matrix.words import Ask, results, said

pytestmark = [
    pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"]),
    pytest.mark.parametrize("provider", DIALECTS),
    pytest.mark.parametrize("client", DIALECTS),
]

ASKS: dict[str, tuple[str, Ask]] = {
    # what: (model, request)
    "text": ("sim-fast-unicode-t40", Ask(system=True)),
    "tools": ("sim-fast-parallel", Ask(tools=True)),
    "reasoning": ("sim-fast-reasoning-t20", Ask(reasoning=True)),
    "reasoned tools": ("sim-fast-reasoning-parallel", Ask(tools=True, reasoning=True)),
    "schema": ("sim-fast", Ask(schema=True)),
    "limit": ("sim-fast-t60", Ask(tokens_max=20)),
    "long": ("sim-fast-t60", Ask()),
    "refusal": ("sim-fast-refusal", Ask()),
}
Answers = dict[tuple[str, str, str, bool], Seen]
"""By what was asked, client dialect, provider dialect and mode."""


def job(language: str, client: str, provider: str, what: str, stream: bool) -> Job:
    model, ask = ASKS[what]
    return Job(f"{language} {client}", f"{provider}/{model}", said(client, ask, stream=stream), stream=stream)


@pytest.fixture(scope="module")
def answers(language: str, desk: Desk, crossing: GatewayProcess) -> Answers:
    """Everything, asked once."""
    keys = [(what, c, p, stream) for what in ASKS for c in DIALECTS for p in DIALECTS for stream in (True, False)]
    jobs = [job(language, client, provider, what, stream) for what, client, provider, stream in keys]
    return dict(zip(keys, desk.ask(crossing.url, jobs), strict=True))


@pytest.fixture
def answer(answers: Answers, client: str, provider: str, stream: bool) -> Callable[[str], Seen]:
    """The answer to something that was asked."""

    def of(what: str) -> Seen:
        seen = answers[what, client, provider, stream]
        assert seen.error is None, seen.error
        return seen

    return of


def test_text_is_the_same_in_every_mode_and_its_tokens_are_counted(
    answer: Callable[[str], Seen], answers: Answers, client: str, provider: str
) -> None:
    seen = answer("text")
    assert len(seen.text) > 40
    assert seen.text == answers["text", client, provider, True].text == answers["text", client, provider, False].text
    assert seen.usage is not None
    assert seen.usage[0] > 5
    assert seen.usage[1] == 40
    assert seen.finish in FINISHES[client]["completed"]
    assert seen.response_id.startswith("resp_")


def test_parallel_tool_calls_arrive_with_ids_and_arguments(answer: Callable[[str], Seen], client: str) -> None:
    seen = answer("tools")
    assert [call.name for call in seen.calls] == ["open_gate", "close_gate"]
    for call in seen.calls:
        assert set(call.given) == {"gate", "inches"}
        assert isinstance(call.given["inches"], int)
        assert call.id
    assert len({call.id for call in seen.calls}) == len(seen.calls)
    assert seen.finish in FINISHES[client]["completed"] - {"stop", "end_turn"}


def test_results_of_tools_lead_to_an_answer(
    answer: Callable[[str], Seen],
    desk: Desk,
    crossing: GatewayProcess,
    language: str,
    client: str,
    provider: str,
    stream: bool,
) -> None:
    jobs = []
    for what in ("tools", "reasoned tools"):
        model, ask = ASKS[what]
        next_turn = Ask(tools=True, reasoning=ask.reasoning, turns=results(client, answer(what)))
        params = said(client, next_turn, stream=stream)
        jobs.append(Job(f"{language} {client}", f"{provider}/{model}", params, stream=stream))
    for seen in desk.ask(crossing.url, jobs):
        assert seen.error is None, seen.error
        assert not seen.calls
        assert seen.text
        assert seen.finish in FINISHES[client]["completed"]


def test_reasoning_is_shown_beside_the_text(answer: Callable[[str], Seen], answers: Answers) -> None:
    seen = answer("reasoning")
    assert seen.reasoning
    assert seen.text
    assert seen.reasoning not in seen.text
    assert answer("reasoned tools").reasoning
    assert [call.name for call in answer("reasoned tools").calls] == ["open_gate", "close_gate"]


def test_structured_output_is_of_the_schema(answer: Callable[[str], Seen]) -> None:
    gate = json.loads(answer("schema").text)
    assert set(gate) == {"gate", "inches"}
    assert isinstance(gate["inches"], int)


def test_answer_that_runs_into_its_limit_is_marked_as_truncated(answer: Callable[[str], Seen], client: str) -> None:
    seen = answer("limit")
    assert seen.finish in FINISHES[client]["truncated"]
    assert answer("long").text.startswith(seen.text)
    assert len(seen.text) < len(answer("long").text)
    assert seen.usage is not None
    assert seen.usage[1] == 20


def test_stop_sequence_ends_the_answer(
    answer: Callable[[str], Seen],
    desk: Desk,
    crossing: GatewayProcess,
    language: str,
    client: str,
    provider: str,
    stream: bool,
) -> None:
    if "openai-responses" in (client, provider):
        pytest.skip("the Responses API has no stop sequences")
    word = answer("long").text.split()[7]
    params = said(client, Ask(stop=word), stream=stream)
    (seen,) = desk.ask(crossing.url, [Job(f"{language} {client}", f"{provider}/sim-fast-t60", params, stream=stream)])
    assert seen.error is None
    assert seen.text == answer("long").text.partition(word)[0]
    assert seen.finish in FINISHES[client]["completed"]


def test_refusal_is_shown_as_one(answer: Callable[[str], Seen], client: str, provider: str) -> None:
    """Gemini has no refusals of the model's own: it says that the answer was filtered."""
    seen = answer("refusal")
    assert seen.finish in FINISHES[client]["filtered" if provider == "gemini" else "refused"]
    if client.startswith("openai") and provider != "gemini":
        assert seen.refusal
        assert not seen.text


def test_answer_does_not_depend_on_how_the_provider_was_asked(
    answer: Callable[[str], Seen],
    desk: Desk,
    crossing: GatewayProcess,
    language: str,
    client: str,
    provider: str,
    stream: bool,
) -> None:
    """A whole answer made of a provider's stream, and a stream made of a provider's whole answer."""
    kind = "whole-" if stream else "streamed-"
    whats = ("text", "tools", "reasoning", "limit", "refusal")
    jobs = [job(language, client, kind + provider, what, stream) for what in whats]
    for what, seen in zip(whats, desk.ask(crossing.url, jobs), strict=True):
        expected = answer(what)
        assert seen.error is None, seen.error
        assert (seen.text, seen.reasoning, seen.refusal) == (expected.text, expected.reasoning, expected.refusal), what
        assert [(call.name, call.given) for call in seen.calls] == [(c.name, c.given) for c in expected.calls]
        assert (seen.finish, seen.usage) == (expected.finish, expected.usage), what
