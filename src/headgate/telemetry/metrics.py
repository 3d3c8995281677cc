"""The registry of metrics: `METRICS` is data; the code, ``/metrics`` and docs/reference/metrics.md are made from it.

Names follow the OpenTelemetry GenAI conventions where those have one (in Prometheus spelling). Counting is done here
and not by prometheus_client's own classes because the per-gap histogram is on the token path: those take a lock and
several calls per observation. Everything runs on one event loop, so a page is made in portions with a turn of the
loop after each; the text of a portion is prometheus_client's.

TTFT is the first event with text; a gap is between two reads of a stream that brought text, so it may hold several
tokens and is not called inter-token latency: tools disagree on what that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from headgate.telemetry.instruments import Counter, Histogram

Kind = Literal["counter", "gauge", "histogram"]
Children = list[tuple[tuple[str, ...], Counter | Histogram]]
"""Some label sets of one metric, and what was counted there."""

MODELS_MAX: Final = 100
"""Models of one provider that are counted by name because they answered (`series`): some 130 lines of the page each."""
MODEL_CHARS_MAX: Final = 200
"""Of a model's name that is a label; it stands in every one of those lines."""
OTHER: Final = "other"
"""The model of what is not counted by name."""
HEAD_LINES: Final = 2
PORTION_LINES: Final = 200
"""Lines of the page that are made in one turn of the event loop: a millisecond or two."""

DURATION_S: Final = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
    163.84,
    327.68,
)
TTFT_S: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)
GAP_S: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.15,
    0.2,
    0.3,
    0.4,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    10.0,
)
COMMIT_S: Final = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5)
TOKENS: Final = tuple(float(4**power) for power in range(11))


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric. `unit` is what its values are in."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()


METRICS: Final = (
    MetricSpec("headgate_requests_total", "counter", "HTTP requests, by endpoint and status.", ("endpoint", "status")),
    MetricSpec(
        "headgate_responses_total",
        "counter",
        "Responses that ended, by how. error_type is the code of a failure, empty otherwise.",
        ("dialect", "provider", "model", "terminal", "error_type"),
    ),
    MetricSpec(
        "gen_ai_server_time_to_first_token_seconds",
        "histogram",
        "From admission of a request to the first read that brought text.",
        ("provider", "model"),
        "seconds",
        TTFT_S,
    ),
    MetricSpec(
        "gen_ai_client_operation_time_per_output_chunk_seconds",
        "histogram",
        "Gap between two consecutive reads of a stream that brought text.",
        ("provider", "model"),
        "seconds",
        GAP_S,
    ),
    MetricSpec(
        "gen_ai_server_request_duration_seconds",
        "histogram",
        "From admission of a request to its terminal.",
        ("provider", "model", "terminal"),
        "seconds",
        DURATION_S,
    ),
    MetricSpec(
        "gen_ai_client_token_usage",
        "histogram",
        "Tokens of a response, by type (input, output). Estimates count where the provider gave no usage.",
        ("provider", "model", "token_type"),
        "tokens",
        TOKENS,
    ),
    MetricSpec(
        "headgate_estimated_usage_total", "counter", "Responses whose usage had to be estimated.", ("provider",)
    ),
    MetricSpec("headgate_open_responses", "gauge", "Responses in flight: logs without a terminal."),
    MetricSpec("headgate_reviews_open", "gauge", "Responses that are held for a person."),
    MetricSpec("headgate_open_streams", "gauge", "Clients that are being streamed to."),
    MetricSpec("headgate_readers", "gauge", "Readers of all logs in memory, streaming or waiting."),
    MetricSpec("headgate_resumes_total", "counter", "Reads of a log from a cursor.", ("dialect",)),
    MetricSpec(
        "headgate_cancels_total",
        "counter",
        "Responses that were stopped, by why (requested, disconnected, drain).",
        ("reason",),
    ),
    MetricSpec("headgate_disconnects_total", "counter", "Clients that went away before their response had ended."),
    MetricSpec(
        "headgate_client_stalls_total", "counter", "Clients cut because they took nothing for server.write_stall_s."
    ),
    MetricSpec("headgate_commit_seconds", "histogram", "Time of one group commit.", (), "seconds", COMMIT_S),
    MetricSpec("headgate_commit_failures_total", "counter", "Group commits the store refused."),
    MetricSpec(
        "headgate_upstream_errors_total", "counter", "Attempts that failed, by code.", ("provider", "error_type")
    ),
    MetricSpec(
        "headgate_governance_total",
        "counter",
        "What rules did, by gate, rule and action; dry is true where a policy only watches.",
        ("policy", "gate", "rule", "action", "dry"),
    ),
    MetricSpec(
        "headgate_verdicts_total",
        "counter",
        "What checks said of requests, of pieces of text and of whole answers (pass, fail, error).",
        ("policy", "gate", "rule", "outcome"),
    ),
    MetricSpec(
        "headgate_judge_seconds",
        "histogram",
        "From a question to the verdict of a rule that needs meaning, waiting included.",
        ("detector", "outcome"),
        "seconds",
        TTFT_S,
    ),
    MetricSpec("headgate_retractions_total", "counter", "Texts that were taken back.", ("policy",)),
    MetricSpec("headgate_webhooks_total", "counter", "Attempts to deliver a webhook, by how they ended.", ("outcome",)),
    MetricSpec("headgate_expired_responses_total", "counter", "Responses dropped because their retention ended."),
)

LABELS: Final = {
    "endpoint": "A path of this gateway, with `{id}` for ids and names, and `websocket` before it for those; `unknown` for any other.",
    "status": "HTTP status of the answer; `none` if the client left before there was one.",
    "dialect": "The dialect of the client.",
    "provider": "Its name in `[[providers]]`.",
    "model": "The name the provider is asked for, if a route spells it out or the provider has answered to it; "
    f"`{OTHER}` until then. A provider has at most {MODELS_MAX} models that became known by answering, the first "
    f"ones since the start; further ones, and names of more than {MODEL_CHARS_MAX} characters, stay `{OTHER}`. "
    "It is the only label whose values callers choose; the others keep theirs whatever the model is.",
    "terminal": "How a response ended, by the name of its terminal.",
    "error_type": "An [error code](errors.md); empty where there was no error.",
    "token_type": "`input` or `output`.",
    "reason": "`requested`, `disconnected` or `drain`.",
    "policy": "Name of a policy.",
    "gate": "Where it was judged: `request`, `stream`, `lane` (a judge beside the stream) or `final`.",
    "rule": "Name of a rule.",
    "action": "What the rule did.",
    "dry": "`true` or `false`.",
    "outcome": "One of those that the metric's meaning names.",
    "detector": "Name of the detector that was asked.",
}
"""What each label says. All but ``model`` have values that are ours or the configuration's."""


class Metrics:
    """All metrics of one gateway."""

    def __init__(self) -> None:
        self._specs = {spec.name: spec for spec in METRICS}
        self._children: dict[str, dict[tuple[str, ...], Counter | Histogram]] = {spec.name: {} for spec in METRICS}
        self._gauges: dict[str, Callable[[], float]] = {}
        self._rendering = asyncio.Lock()
        self._begun = 0  # pages
        self._page = (0, b"")  # the last complete one, and which it was

    def counter(self, name: str, *labels: str) -> Counter:
        """The counter of these label values; keep it where it is used often."""
        child = self._child(name, labels, Counter)
        assert isinstance(child, Counter)
        return child

    def histogram(self, name: str, *labels: str) -> Histogram:
        child = self._child(name, labels, Histogram)
        assert isinstance(child, Histogram)
        return child

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Let `read` give the gauge's value whenever somebody looks."""
        assert self._specs[name].kind == "gauge"
        self._gauges[name] = read

    async def exposition(self) -> bytes:
        """Prometheus text format, made beside everything else.

        The lines of one label set are of one moment; those of another may be of a later one. However many ask, one page
        is made at a time, and who waited for that is given one that was begun after they asked.
        """
        asked = self._begun
        async with self._rendering:
            if self._page[0] <= asked:
                self._begun = begun = self._begun + 1
                text = []
                for portion in self.portions():
                    text.append(portion)
                    await asyncio.sleep(0)
                self._page = (begun, b"".join(text))
            return self._page[1]

    def portions(self) -> Iterator[bytes]:
        """The page, at most `PORTION_LINES` at a time and what heads them."""
        for spec in METRICS:
            children = list(self._children[spec.name].items())
            step = max(1, PORTION_LINES // _lines_each(spec))
            yield _text(self._metric(spec, children[:step]))
            for start in range(step, len(children), step):
                yield _without_head(_text(self._metric(spec, children[start : start + step])))

    def _child(self, name: str, labels: tuple[str, ...], kind: type[Counter | Histogram]) -> Counter | Histogram:
        children = self._children[name]
        child = children.get(labels)
        if child is None:
            spec = self._specs[name]
            assert len(labels) == len(spec.labels), f"{name} has labels {spec.labels}"
            child = children[labels] = kind(spec.buckets)
        return child

    def _metric(self, spec: MetricSpec, children: Children) -> Metric:
        if spec.kind == "gauge":
            read = self._gauges.get(spec.name)
            return GaugeMetricFamily(spec.name, spec.help, value=read() if read else 0)
        if spec.kind == "counter":
            counters = CounterMetricFamily(spec.name, spec.help, labels=spec.labels)
            for labels, child in children:
                assert isinstance(child, Counter)
                counters.add_metric(labels, child.value)
            if not spec.labels and not children:
                counters.add_metric((), 0)
            return counters
        histograms = HistogramMetricFamily(spec.name, spec.help, labels=spec.labels)
        for labels, child in children:
            assert isinstance(child, Histogram)
            histograms.add_metric(labels, _cumulative(child), sum_value=child.sum)
        return histograms


class _One(Collector):
    """One metric, for a library that takes registries of collectors."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        yield self._metric


def _text(metric: Metric) -> bytes:
    registry = CollectorRegistry()
    registry.register(_One(metric))
    return generate_latest(registry)


def _without_head(text: bytes) -> bytes:
    """A metric is headed once, by the lines ``# HELP`` and ``# TYPE``."""
    return text.split(b"\n", HEAD_LINES)[HEAD_LINES]


def _lines_each(spec: MetricSpec) -> int:
    """Of one label set: a value, or the buckets with the last of them, the count and the sum."""
    return len(spec.buckets) + 3 if spec.kind == "histogram" else 1


def _cumulative(child: Histogram) -> list[tuple[str, float]]:
    buckets, total = [], 0
    for bound, count in zip((*child.bounds, float("inf")), child.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return buckets
