"""The page of metrics: what it says, and how much of it is made at once."""

from __future__ import annotations

import asyncio
from collections import Counter as Count

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from headgate.config import Route
from headgate.routing import named_models
from headgate.telemetry.metrics import LABELS, METRICS, PORTION_LINES, Metrics

HEADS = b"# HELP ", b"# TYPE "
RESPONSES = "headgate_responses_total"


def page(metrics: Metrics) -> str:
    return asyncio.run(metrics.exposition()).decode()


def families(metrics: Metrics) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(page(metrics))}


def filled(models: int) -> Metrics:
    """Metrics in which something was counted for every label set of these models."""
    metrics = Metrics()
    for number in range(models):
        for spec in METRICS:
            labels = [f"{label}-{number}" if label == "model" else label for label in spec.labels]
            if spec.kind == "counter":
                metrics.counter(spec.name, *labels).inc(number + 1)
            elif spec.kind == "histogram":
                metrics.histogram(spec.name, *labels).observe(number)
    return metrics


def test_page_in_portions_heads_every_metric_once_and_keeps_its_lines_together() -> None:
    metrics = filled(60)
    lines = page(metrics).splitlines()
    assert [line.split()[2] for line in lines if line.startswith("# HELP ")] == [spec.name for spec in METRICS]
    assert [line.split()[2] for line in lines if line.startswith("# TYPE ")] == [spec.name for spec in METRICS]
    names = [line.split()[2] if line.startswith("#") else line.partition("{")[0].partition(" ")[0] for line in lines]
    owners = [next(spec.name for spec in METRICS if name.startswith(spec.name)) for name in names]
    assert [owner for at, owner in enumerate(owners) if at == 0 or owner != owners[at - 1]] == [m.name for m in METRICS]


def test_page_in_portions_says_every_value_once() -> None:
    models = 60
    found = families(filled(models))
    samples = found["headgate_responses"].samples
    assert {one.labels["model"]: one.value for one in samples} == {f"model-{n}": n + 1 for n in range(models)}
    assert len(samples) == models
    for spec in METRICS:
        if spec.kind != "histogram" or "model" not in spec.labels:
            continue
        kinds = Count((one.name, one.labels["model"]) for one in found[spec.name].samples)
        for number in range(models):
            assert kinds[f"{spec.name}_bucket", f"model-{number}"] == len(spec.buckets) + 1
            assert kinds[f"{spec.name}_count", f"model-{number}"] == kinds[f"{spec.name}_sum", f"model-{number}"] == 1


def test_page_of_a_gateway_that_did_nothing_parses() -> None:
    assert families(Metrics())["headgate_commit_failures"].samples[0].value == 0


def test_name_with_quotes_and_line_breaks_comes_back_as_it_was() -> None:
    metrics, name = Metrics(), 'a"b\\c\nd\N{SNOWMAN}'
    for number in range(3 * PORTION_LINES):
        metrics.counter(RESPONSES, "d", "p", f"{name}{number}", "completed", "").inc()
    samples = families(metrics)["headgate_responses"].samples
    assert [one.labels["model"] for one in samples] == [f"{name}{number}" for number in range(3 * PORTION_LINES)]


@pytest.mark.parametrize("models", [0, 1, 300])
def test_one_turn_makes_a_bounded_number_of_lines(models: int) -> None:
    for portion in filled(models).portions():
        assert sum(not line.startswith(HEADS) for line in portion.splitlines()) <= PORTION_LINES
        assert sum(line.startswith(HEADS) for line in portion.splitlines()) <= 2


def test_loop_has_a_turn_after_every_portion() -> None:
    metrics = filled(300)

    async def turns() -> int:
        count = 0
        scrape = asyncio.create_task(metrics.exposition())
        while not scrape.done():
            await asyncio.sleep(0)
            count += 1
        return count

    assert asyncio.run(turns()) >= len(list(metrics.portions())) > 100


class Watched(Metrics):
    """Notes how many pages were begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0

    def portions(self):  # type: ignore[no-untyped-def]
        self.begun += 1
        yield from super().portions()


def test_many_scrapes_at_once_make_one_page_at_a_time_and_each_shows_what_was_before_it() -> None:
    metrics = Watched()
    requests = metrics.counter(METRICS[0].name, "/", "200")  # on the first lines of the page
    requests.inc()
    for number in range(3 * PORTION_LINES):
        metrics.counter(RESPONSES, "d", "p", f"m-{number}", "completed", "")

    async def scraped() -> list[bytes]:
        first = asyncio.create_task(metrics.exposition())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        requests.inc()
        later = [asyncio.create_task(metrics.exposition()) for _ in range(50)]
        return [await first, *await asyncio.gather(*later)]

    first, *later = asyncio.run(scraped())
    line = f'{METRICS[0].name}{{endpoint="/",status="200"}}'.encode()
    assert line + b" 1.0\n" in first
    assert line + b" 2.0\n" in later[0]
    assert set(later) == {later[0]}
    assert metrics.begun == 2


def test_scrape_that_is_cancelled_leaves_the_next_one_a_whole_page() -> None:
    metrics = filled(50)

    async def scraped() -> bytes:
        gone = asyncio.create_task(metrics.exposition())
        await asyncio.sleep(0)
        waiting = asyncio.create_task(metrics.exposition())
        await asyncio.sleep(0)
        gone.cancel()
        return await waiting

    assert asyncio.run(scraped()) == b"".join(metrics.portions())


def test_every_label_is_described() -> None:
    assert {label for spec in METRICS for label in spec.labels} == set(LABELS)


def test_no_label_but_the_model_is_ever_merged() -> None:
    metrics = Metrics()
    for number in range(1_500):
        metrics.counter("headgate_governance_total", "p", "stream", f"rule-{number}", "mask", "false").inc()
    assert len(families(metrics)["headgate_governance"].samples) == 1_500


def test_routes_name_the_models_that_they_spell_out() -> None:
    routes = [
        Route(model="gpt-5", to=["openai/*"]),
        Route(model="fast", to=["openai/gpt-5-mini"]),
        Route(model="claude*", to=["anthropic/claude-opus"]),
        Route(model="sim*", to=["sim/*"]),
        Route(model="*", to=["openai/*"]),
    ]
    expected = {("openai", "gpt-5"), ("openai", "gpt-5-mini"), ("anthropic", "claude-opus")}
    assert named_models(routes) == expected
