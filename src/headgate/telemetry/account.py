"""One response's numbers, read off its log as it is committed: metrics, and the log line when it has ended."""

from __future__ import annotations

from typing import Final, cast

from headgate.events import AttemptEnded, Delta, Entry, ResponseStarted, Terminal, Usage
from headgate.log import Log
from headgate.policies import NONE
from headgate.receipts import ReceiptFold
from headgate.telemetry.instruments import Histogram
from headgate.telemetry.logs import info, logger
from headgate.telemetry.series import KnownModels, Series

_logger = logger("response")

_RARE: Final = frozenset({ResponseStarted, Usage, AttemptEnded})
"""What beside text has numbers in it."""
_DELTA: Final = Delta
"""Of this module: a name from an interpreted one is looked up each time, and this is asked for every token."""
_NO_GAPS: Final = Histogram()
"""What stands for a response's gaps until its first text; nothing is counted there."""


class Account:
    """Feed it every committed entry, then `close` it."""

    __slots__ = (
        "_first_at",
        "_gaps",
        "_last_at",
        "_metrics",
        "_model",
        "_models",
        "_provider",
        "_series",
        "_started",
        "_started_at",
        "_text_at",
        "_usage",
    )

    def __init__(self, models: KnownModels, started: ResponseStarted, provider: str, model: str) -> None:
        self._metrics = models.metrics
        self._models = models
        self._started = started
        self._provider = provider
        self._model = model
        self._series: Series | None = models.find(provider, model)  # None: the provider has not answered to it yet
        self._started_at = 0
        self._first_at = 0
        self._text_at = 0  # of the last read that brought text
        self._last_at = 0
        self._usage: Usage | None = None
        self._gaps = _NO_GAPS

    def feed(self, entry: Entry) -> None:
        events = entry.events
        if type(events[0]) is _DELTA and self._first_at:
            at = entry.read_at
            self._gaps.observe((at - self._text_at) / 1e9)
            self._text_at = at
            if type(events[-1]) is _DELTA:
                return
        self._rare(entry)

    def close(self, log: Log, terminal: Terminal) -> None:
        """The log has ended: count it, and write its line."""
        duration_ns = self._last_at - self._started_at
        series, usage = self._series, self._usage
        if series is None:
            series = self._unanswered(usage)
        series.ended(self._started.dialect, terminal, duration_ns / 1e9)
        if usage is not None:
            series.tokens(usage)
            if usage.estimated:
                self._metrics.counter("headgate_estimated_usage_total", self._provider).inc()
        if log.decisions.decided:
            self._decided(log.decisions)
        self._write_line(log, terminal, duration_ns)

    def _decided(self, decisions: ReceiptFold) -> None:
        """What its policy did."""
        counter, policy = self._metrics.counter, self._started.policy
        for (gate, rule, action, dry), count in decisions.governance.items():
            counter("headgate_governance_total", policy, gate, rule, action, "true" if dry else "false").inc(count)
        for (gate, rule, outcome), count in decisions.verdicts.items():
            counter("headgate_verdicts_total", policy, gate, rule, outcome).inc(count)
        if decisions.retractions:
            counter("headgate_retractions_total", policy).inc(decisions.retractions)

    def _rare(self, entry: Entry) -> None:
        """Anything but plain text of a stream that runs."""
        at = self._last_at = entry.read_at
        for event in entry.events:
            kind = type(event)
            if kind is _DELTA:
                if self._text_at != at:
                    self._text(at)
            elif kind not in _RARE:
                continue
            elif kind is ResponseStarted:
                self._started_at = at
            elif kind is Usage:
                self._usage = cast(Usage, event)
            elif kind is AttemptEnded:
                self._attempt_ended(cast(AttemptEnded, event))

    def _attempt_ended(self, event: AttemptEnded) -> None:
        if event.code == "ok":
            if self._series is None:
                self._answered()
        elif event.code != "cancelled":
            self._metrics.counter("headgate_upstream_errors_total", self._provider, event.code).inc()

    def _text(self, at: int) -> None:
        if self._first_at:
            self._gaps.observe((at - self._text_at) / 1e9)
        else:
            self._first_at = at
            self._gaps = self._answered().first_token((at - self._started_at) / 1e9)
        self._text_at = at

    def _answered(self) -> Series:
        """The provider knows the model."""
        series = self._series
        if series is None:
            series = self._series = self._models.learn(self._provider, self._model)
        return series

    def _unanswered(self, usage: Usage | None) -> Series:
        """Where to count what ended without text that passed and without a good end of its attempt."""
        if usage is not None and usage.output_tokens:  # it did answer; a rule let nothing of it pass
            return self._answered()
        return self._models.find(self._provider, self._model) or self._models.other(self._provider)

    def _write_line(self, log: Log, terminal: Terminal, duration_ns: int) -> None:
        usage, policy = self._usage, self._started.policy
        line = {
            "response": log.id,
            "terminal": terminal.status,
            "code": terminal.code or None,
            "provider": self._provider,
            "model": self._model,
            "owner": log.record.owner or None,
            "stream": self._started.stream,
            "ttft_ms": _ms(self._first_at - self._started_at) if self._first_at else None,
            "duration_ms": _ms(duration_ns),
            "input_tokens": usage.input_tokens if usage else None,
            "output_tokens": usage.output_tokens if usage else None,
            "estimated": usage.estimated if usage else None,
            "seq": log.committed_seq,
            "policy": policy if policy != NONE else None,
        }
        info(_logger, "response", line)


def _ms(ns: int) -> float:
    """Milliseconds, to the microsecond."""
    return (ns + 500) // 1000 / 1000
