"""What requests hold beside text, from every client dialect to every provider dialect."""

from __future__ import annotations

import pytest

from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.seen import DIALECTS, Job, Seen
from tests.e2e.matrix.words import TOOLS, Ask, picture, results, said

each_client = pytest.mark.parametrize("client", DIALECTS)
each_mode = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


@pytest.fixture
def everywhere(desk: Desk, crossing: GatewayProcess, language: str, client: str, stream: bool) -> Everywhere:
    return Everywhere(desk, crossing, f"{language} {client}", stream)


class Everywhere:
    """Asks every provider the same."""

    def __init__(self, desk: Desk, gateway: GatewayProcess, client: str, stream: bool) -> None:
        self._desk = desk
        self._gateway = gateway
        self._client = client
        self._stream = stream

    def ask(self, model: str, *asks: Ask) -> list[Seen]:
        """The answers, without errors; one request for all providers, or one for each."""
        _, _, dialect = self._client.partition(" ")
        each = asks if len(asks) > 1 else asks * len(DIALECTS)
        jobs = [
            Job(self._client, f"{p}/{model}", said(dialect, ask, stream=self._stream), stream=self._stream)
            for p, ask in zip(DIALECTS, each, strict=True)
        ]
        seen = self._desk.ask(self._gateway.url, jobs)
        assert {p: one.error for p, one in zip(DIALECTS, seen, strict=True) if one.error} == {}
        return seen


@each_mode
@each_client
def test_picture_reaches_the_provider(everywhere: Everywhere, client: str) -> None:
    for seen in everywhere.ask("sim-fast-t5", Ask(turns=(picture(client),))):
        assert seen.text


@each_mode
@each_client
def test_tools_are_called_as_the_request_says(everywhere: Everywhere) -> None:
    """The model would call nothing by itself."""
    for seen in everywhere.ask("sim-fast", Ask(tools=True, choice="required")):
        assert seen.calls
    for seen in everywhere.ask("sim-fast", Ask(tools=True, choice=TOOLS[1])):
        assert [call.name for call in seen.calls] == [TOOLS[1]]
    for seen in everywhere.ask("sim-fast-tools", Ask(tools=True, choice="none")):
        assert not seen.calls
        assert seen.text


@each_mode
@each_client
def test_reasoning_that_nobody_may_read_goes_round_with_the_tools(everywhere: Everywhere, client: str) -> None:
    first = everywhere.ask("sim-fast-redacted-parallel", Ask(tools=True))
    assert [[call.name for call in seen.calls] for seen in first] == [list(TOOLS)] * len(DIALECTS)
    again = [Ask(tools=True, turns=results(client, seen)) for seen in first]
    for seen in everywhere.ask("sim-fast-redacted-parallel", *again):
        assert seen.text
        assert not seen.calls


@each_mode
@each_client
def test_conversation_may_go_on_with_a_provider_of_another_dialect(everywhere: Everywhere, client: str) -> None:
    """Each answer, reasoning and calls and all, is the next provider's history."""
    first = everywhere.ask("sim-fast-reasoning-parallel", Ask(tools=True, reasoning=True))
    moved = [Ask(tools=True, reasoning=True, turns=results(client, seen)) for seen in (*first[1:], first[0])]
    for seen in everywhere.ask("sim-fast-reasoning-parallel", *moved):
        assert seen.text
        assert not seen.calls


@each_mode
@each_client
def test_tokens_read_from_a_cache_are_counted_as_the_client_dialect_does(everywhere: Everywhere, client: str) -> None:
    plain, cached = everywhere.ask("sim-fast-t5", Ask()), everywhere.ask("sim-fast-cached-t5", Ask())
    for one, other in zip(plain, cached, strict=True):
        assert one.usage is not None
        assert other.usage is not None
        if client == "anthropic-messages":  # which does not count them as input
            assert 0 < other.usage[0] < one.usage[0]
        else:
            assert other.usage[0] == one.usage[0]
