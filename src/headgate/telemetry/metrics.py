"""The registry of metrics: `METRICS` is data; the code, ``/metrics`` and docs/reference/metrics.md are made from it.

Names follow the OpenTelemetry GenAI conventions where those have one (in Prometheus spelling). Counting is done here
and not by prometheus_client's own classes because the per-gap histogram is on the token path: those take a lock and
several calls per observation. Everything runs on one event loop; exposition is prometheus_client's.

TTFT is the first event with text; a gap is between two reads of a stream that brought text, so it may hold several
tokens and is not called inter-token latency: tools disagree on what that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from headgate.telemetry.instruments import Counter, Histogram

Kind = Literal["counter", "gauge", "histogram"]

LABEL_SETS_MAX: Final = 1_000
"""Label sets of one metric: clients choose model names, so what is beyond is counted under ``other``."""

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


class Metrics(Collector):
    """All metrics of one gateway."""

    def __init__(self) -> None:
        self._specs = {spec.name: spec for spec in METRICS}
        self._children: dict[str, dict[tuple[str, ...], Counter | Histogram]] = {spec.name: {} for spec in METRICS}
        self._gauges: dict[str, Callable[[], float]] = {}
        self.series: dict[tuple[str, ...], Any] = {}
        """What those who count often keep of their counters, by labels; at most `LABEL_SETS_MAX`."""
        self._registry = CollectorRegistry()
        self._registry.register(self)

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

    def exposition(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        for spec in METRICS:
            yield self._metric(spec)

    def _child(self, name: str, labels: tuple[str, ...], kind: type[Counter | Histogram]) -> Counter | Histogram:
        children = self._children[name]
        child = children.get(labels)
        if child is None:
            spec = self._specs[name]
            assert len(labels) == len(spec.labels), f"{name} has labels {spec.labels}"
            if len(children) >= LABEL_SETS_MAX:
                labels = ("other",) * len(labels)
            child = children.setdefault(labels, kind(spec.buckets))
        return child

    def _metric(self, spec: MetricSpec) -> Metric:
        children = self._children[spec.name]
        if spec.kind == "gauge":
            read = self._gauges.get(spec.name)
            return GaugeMetricFamily(spec.name, spec.help, value=read() if read else 0)
        if spec.kind == "counter":
            counters = CounterMetricFamily(spec.name, spec.help, labels=spec.labels)
            for labels, child in children.items():
                assert isinstance(child, Counter)
                counters.add_metric(labels, child.value)
            if not spec.labels and not children:
                counters.add_metric((), 0)
            return counters
        histograms = HistogramMetricFamily(spec.name, spec.help, labels=spec.labels)
        for labels, child in children.items():
            assert isinstance(child, Histogram)
            histograms.add_metric(labels, _cumulative(child), sum_value=child.sum)
        return histograms


def _cumulative(child: Histogram) -> list[tuple[str, float]]:
    buckets, total = [], 0
    for bound, count in zip((*child.bounds, float("inf")), child.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return buckets
