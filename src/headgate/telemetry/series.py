"""The counters that responses feed, by provider and model, looked up once and kept; and which models have their own.

Clients choose model names, and a provider refuses most of what is made up. So a name gets counters when a provider has
answered to it, or when a route spells it out, and never by being asked for: until then, and beyond `MODELS_MAX` of a
provider, responses count under the model `OTHER`. Every other label is kept there as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate.events import Terminal, Usage
from headgate.telemetry.instruments import Counter, Histogram
from headgate.telemetry.metrics import MODEL_CHARS_MAX, MODELS_MAX, OTHER, Metrics


class Series:
    """The counters of one model of one provider."""

    __slots__ = ("_labels", "_metrics", "_outcomes", "_text", "_tokens")

    def __init__(self, metrics: Metrics, provider: str, model: str) -> None:
        self._metrics = metrics
        self._labels = (provider, model)
        self._outcomes: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._text: tuple[Histogram, Histogram] | None = None
        self._tokens: tuple[Histogram, Histogram] | None = None

    def first_token(self, seconds: float) -> Histogram:
        """Count the time to the first text; the gaps after it go into the histogram that is returned."""
        found = self._text
        if found is None:
            histogram = self._metrics.histogram
            found = self._text = (
                histogram("gen_ai_server_time_to_first_token_seconds", *self._labels),
                histogram("gen_ai_client_operation_time_per_output_chunk_seconds", *self._labels),
            )
        ttft, gaps = found
        ttft.observe(seconds)
        return gaps

    def tokens(self, usage: Usage) -> None:
        found = self._tokens
        if found is None:
            histogram = self._metrics.histogram
            found = self._tokens = (
                histogram("gen_ai_client_token_usage", *self._labels, "input"),
                histogram("gen_ai_client_token_usage", *self._labels, "output"),
            )
        given, made = found
        given.observe(usage.input_tokens)
        made.observe(usage.output_tokens)

    def ended(self, dialect: str, terminal: Terminal, seconds: float) -> None:
        status, code = str(terminal.status), terminal.code
        outcome = (dialect, status, code)
        found = self._outcomes.get(outcome)
        if found is None:
            found = self._outcomes[outcome] = (
                self._metrics.counter("headgate_responses_total", dialect, *self._labels, status, code),
                self._metrics.histogram("gen_ai_server_request_duration_seconds", *self._labels, status),
            )
        count, duration = found
        count.inc()
        duration.observe(seconds)


class KnownModels:
    """The models that have counters of their own. `named` ones, as ``(provider, model)``, always do."""

    __slots__ = ("_learned", "_named", "_series", "metrics")

    def __init__(self, metrics: Metrics, named: Iterable[tuple[str, str]] = ()) -> None:
        self.metrics = metrics
        self._named = frozenset(named)
        self._series: dict[tuple[str, str], Series] = {}
        self._learned: dict[str, int] = {}  # by provider, how many

    def find(self, provider: str, model: str) -> Series | None:
        """The counters of a model that is known."""
        key = (provider, model)
        series = self._series.get(key)
        if series is None and key in self._named:
            series = self._series[key] = Series(self.metrics, provider, model)
        return series

    def learn(self, provider: str, model: str) -> Series:
        """The counters of a model that has answered: its own from now on, if there is room."""
        series = self.find(provider, model)
        if series is None:
            learned = self._learned.get(provider, 0)
            if learned >= MODELS_MAX or len(model) > MODEL_CHARS_MAX:
                return self.other(provider)
            self._learned[provider] = learned + 1
            series = self._series[provider, model] = Series(self.metrics, provider, model)
        return series

    def other(self, provider: str) -> Series:
        """The counters of a provider's models that are not known."""
        key = (provider, OTHER)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series(self.metrics, provider, OTHER)
        return series
