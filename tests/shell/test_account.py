"""Whose names stand on the page of metrics: models that have answered, and those of routes."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from headgate.events import AnyEvent, AttemptEnded, Delta, Entry, ResponseStarted, Status, Terminal, Usage
from headgate.log import Log
from headgate.telemetry.account import Account
from headgate.telemetry.metrics import MODEL_CHARS_MAX, MODELS_MAX, OTHER, Metrics
from headgate.telemetry.series import KnownModels
from tests.shell.scene import Scene

REFUSED = AttemptEnded(1, "upstream_rejected", 404)
COMPLETED, FAILED = Terminal(Status.COMPLETED), Terminal(Status.FAILED, "upstream_rejected")


@pytest.fixture
def log() -> Log:
    """One to name in log lines."""

    async def made() -> Log:
        return Scene().log()

    return asyncio.run(made())


def families(metrics: Metrics) -> dict[str, Metric]:
    text = b"".join(metrics.portions()).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


class Calls:
    """A gateway's accounting without the gateway."""

    def __init__(self, log: Log, named: set[tuple[str, str]] | None = None) -> None:
        self.metrics = Metrics()
        self.models = KnownModels(self.metrics, named or ())
        self._log = log

    def begin(self, model: str, provider: str = "p") -> Account:
        started = ResponseStarted("resp_1", "", "openai-chat", model, 0)
        account = Account(self.models, started, provider, model)
        account.feed(Entry(1, 1, (started,)))
        return account

    def end(self, account: Account, terminal: Terminal, events: list[AnyEvent]) -> None:
        account.feed(Entry(2, 2, (*events, terminal)))
        account.close(self._log, terminal)

    def answered(self, model: str, provider: str = "p") -> None:
        self.end(self.begin(model, provider), COMPLETED, [Delta(0, 0, "text"), AttemptEnded(1, "ok", 200), Usage(1, 1)])

    def refused(self, model: str, provider: str = "p") -> None:
        self.end(self.begin(model, provider), FAILED, [REFUSED])

    def responses(self) -> dict[tuple[str, str, str], float]:
        """By provider, model and terminal."""
        return {
            (one.labels["provider"], one.labels["model"], one.labels["terminal"]): one.value
            for one in families(self.metrics)["headgate_responses"].samples
        }


def test_names_that_a_provider_refuses_merge_in_nothing_but_the_model(log: Log) -> None:
    calls = Calls(log)
    for number in range(1_500):
        calls.refused(f"made-up-{number}")
    calls.answered("honest")
    calls.refused("honest")
    assert calls.responses() == {
        ("p", OTHER, "failed"): 1_500,
        ("p", "honest", "completed"): 1,
        ("p", "honest", "failed"): 1,
    }


def test_models_that_answer_have_their_own_numbers_up_to_a_bound_for_each_provider(log: Log) -> None:
    calls = Calls(log, named={("p", "named")})
    for number in range(MODELS_MAX + 50):
        calls.answered(f"m-{number}")
    calls.answered("named")
    calls.answered("elsewhere", "q")
    calls.answered("m-0")
    found = calls.responses()
    assert found["p", OTHER, "completed"] == 50
    assert found["p", "named", "completed"] == found["q", "elsewhere", "completed"] == 1
    assert found["p", "m-0", "completed"] == 2
    assert len(found) == MODELS_MAX + 3


def test_model_that_a_route_names_is_counted_by_name_also_if_it_only_fails(log: Log) -> None:
    calls = Calls(log, named={("p", "named")})
    calls.refused("named")
    assert calls.responses() == {("p", "named", "failed"): 1}


def test_model_is_known_by_its_first_text_and_not_by_its_end(log: Log) -> None:
    calls = Calls(log)
    account = calls.begin("m")
    account.feed(Entry(2, 2, (Delta(0, 0, "a"),)))
    account.feed(Entry(3, 3, (Delta(0, 0, "b"),)))
    calls.refused("m")
    assert calls.responses() == {("p", "m", "failed"): 1}
    gaps = families(calls.metrics)["gen_ai_client_operation_time_per_output_chunk_seconds"].samples
    assert [one.value for one in gaps if one.name.endswith("_count")] == [1]


@pytest.mark.parametrize(
    ("events", "model"),
    [
        ([AttemptEnded(1, "ok", 200)], "m"),
        ([AttemptEnded(1, "cancelled"), Usage(3, 5, estimated=True)], "m"),
        ([AttemptEnded(1, "cancelled")], OTHER),
        ([], OTHER),
    ],
    ids=["an answer without text", "text that a rule kept", "nothing yet", "never sent"],
)
def test_blocked_answer_counts_by_name_if_the_provider_had_answered(
    log: Log, events: list[AnyEvent], model: str
) -> None:
    calls = Calls(log)
    calls.end(calls.begin("m"), Terminal(Status.BLOCKED, "blocked_by_policy"), events)
    assert calls.responses() == {("p", model, "blocked"): 1}


def test_long_name_is_no_label(log: Log) -> None:
    calls = Calls(log)
    calls.answered("x" * MODEL_CHARS_MAX)
    calls.answered("y" * (MODEL_CHARS_MAX + 1))
    assert {model for _, model, _ in calls.responses()} == {"x" * MODEL_CHARS_MAX, OTHER}
