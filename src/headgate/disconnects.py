"""What becomes of a response that nobody reads any more: its route's policy, after its grace.

Not who notices: readers say that they left, and that they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from headgate.config import OnDisconnect
from headgate.delivery import Departure, Farewell
from headgate.log import Log
from headgate.producer import Producer
from headgate.telemetry.metrics import Metrics


class Disconnects:
    """For every response in flight. `producers` are those of the gateway, by the id of their response."""

    def __init__(self, producers: Mapping[str, Producer], metrics: Metrics) -> None:
        self._producers = producers
        self._metrics = metrics
        self._graces: dict[str, asyncio.TimerHandle] = {}

    def reader_left(self, log: Log, farewell: Farewell) -> None:
        """A reader went away before the end. If it was the last one, the route's policy applies after its grace."""
        if farewell.why is Departure.CLIENT:
            self._metrics.counter("headgate_disconnects_total").inc()
        if log.readers or log.ended or farewell.action is OnDisconnect.CONTINUE:
            return
        if farewell.after_s <= 0:
            self._abandon(log, farewell)
            return
        self.forget(log.id)
        loop = asyncio.get_running_loop()
        self._graces[log.id] = loop.call_later(farewell.after_s, self._abandon, log, farewell)

    def forget(self, response_id: str) -> None:
        """Somebody reads again, or there is nothing more to read: no grace runs any more."""
        if self._graces:
            timer = self._graces.pop(response_id, None)
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        for timer in self._graces.values():
            timer.cancel()
        self._graces.clear()

    def _abandon(self, log: Log, farewell: Farewell) -> None:
        self._graces.pop(log.id, None)
        producer = self._producers.get(log.id)
        if producer is None or producer.held or log.readers or log.ended:
            return
        if farewell.why is Departure.SERVER:
            self._metrics.counter("headgate_cancels_total", "drain").inc()
            producer.interrupt()
            return
        if farewell.why is Departure.CANCELLED:  # the gateway goes on, so it was the client
            self._metrics.counter("headgate_disconnects_total").inc()
        self._metrics.counter("headgate_cancels_total", "disconnected").inc()
        if farewell.action is OnDisconnect.DRAIN:
            producer.mute()
        else:
            producer.cancel("disconnected", "Every reader went away.")
