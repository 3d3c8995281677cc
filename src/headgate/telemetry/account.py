"""One response's numbers, read off its log as it is committed: metrics, and the log line when it has ended."""

from __future__ import annotations

import logging

from headgate.events import AttemptEnded, Delta, Entry, ResponseStarted, Terminal, Usage
from headgate.log import Log
from headgate.telemetry.logs import fields, logger
from headgate.telemetry.metrics import Metrics

_logger = logger("response")


class Account:
    """Feed it every committed entry, then `close` it."""

    __slots__ = (
        "_first_at",
        "_gaps",
        "_last_at",
        "_metrics",
        "_model",
        "_provider",
        "_started",
        "_started_at",
        "_text_at",
        "_usage",
    )

    def __init__(self, metrics: Metrics, started: ResponseStarted, provider: str, model: str) -> None:
        self._metrics = metrics
        self._started = started
        self._provider = provider
        self._model = model
        self._started_at = 0
        self._first_at = 0
        self._text_at = 0  # of the last read that brought text
        self._last_at = 0
        self._usage: Usage | None = None
        self._gaps = metrics.histogram("gen_ai_client_operation_time_per_output_chunk_seconds", provider, model)

    def feed(self, entry: Entry) -> None:
        events, at = entry.events, entry.read_at
        if type(events[0]) is Delta and self._first_at:
            self._gaps.observe((at - self._text_at) / 1e9)
            self._text_at = at
        elif any(type(event) is Delta for event in events):
            self._text(at)
        if type(events[-1]) is not Delta:
            self._rare(entry)

    def close(self, log: Log, terminal: Terminal) -> None:
        """The log has ended: count it, and write its line."""
        metrics, labels = self._metrics, (self._provider, self._model)
        duration_s = (self._last_at - self._started_at) / 1e9
        metrics.counter(
            "headgate_responses_total", self._started.dialect, *labels, terminal.status, terminal.code
        ).inc()
        metrics.histogram("gen_ai_server_request_duration_seconds", *labels, terminal.status).observe(duration_s)
        if self._usage is not None:
            self._count_tokens(self._usage)
        if _logger.isEnabledFor(logging.INFO):
            self._write_line(log, terminal, duration_s)

    def _text(self, at: int) -> None:
        if self._first_at:
            self._gaps.observe((at - self._text_at) / 1e9)
        else:
            self._first_at = at
            ttft = self._metrics.histogram("gen_ai_server_time_to_first_token_seconds", self._provider, self._model)
            ttft.observe((at - self._started_at) / 1e9)
        self._text_at = at

    def _rare(self, entry: Entry) -> None:
        self._last_at = entry.read_at
        for event in entry.events:
            match event:
                case ResponseStarted():
                    self._started_at = entry.read_at
                case Usage():
                    self._usage = event
                case AttemptEnded() if event.code not in ("ok", "cancelled"):
                    self._metrics.counter("headgate_upstream_errors_total", self._provider, event.code).inc()
                case _:
                    pass

    def _count_tokens(self, usage: Usage) -> None:
        histogram = self._metrics.histogram
        histogram("gen_ai_client_token_usage", self._provider, self._model, "input").observe(usage.input_tokens)
        histogram("gen_ai_client_token_usage", self._provider, self._model, "output").observe(usage.output_tokens)
        if usage.estimated:
            self._metrics.counter("headgate_estimated_usage_total", self._provider).inc()

    def _write_line(self, log: Log, terminal: Terminal, duration_s: float) -> None:
        usage = self._usage
        ttft_ms = round((self._first_at - self._started_at) / 1e6, 3) if self._first_at else None
        line = fields(
            response=log.id,
            terminal=str(terminal.status),
            code=terminal.code or None,
            provider=self._provider,
            model=self._model,
            owner=log.record.owner or None,
            stream=self._started.stream,
            ttft_ms=ttft_ms,
            duration_ms=round(duration_s * 1e3, 3),
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            estimated=usage.estimated if usage else None,
            seq=log.committed_seq,
        )
        _logger.info("response", extra=line)
