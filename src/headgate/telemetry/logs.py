"""Structured log lines, for machines (``json``) or people (``human``), on standard error.

One line per finished response. No prompt or answer text, no keys: what a record carries is chosen where it is made,
field by field, and nothing is formatted from a request.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from datetime import datetime
from typing import Any, Final, TextIO

import msgspec

from headgate.telemetry.lines import info_line, iso

FIELDS: Final = "headgate_fields"
"""Attribute of a log record that holds its structured fields."""

_STANDARD_LOGGER: Final = "headgate"


_ROOT: Final = logging.getLogger(_STANDARD_LOGGER)
_encode: Final = msgspec.json.Encoder().encode


def logger(name: str) -> logging.Logger:
    return logging.getLogger(f"{_STANDARD_LOGGER}.{name}")


def fields(**values: Any) -> dict[str, Any]:
    """The ``extra`` of a logging call with these structured fields."""
    return {FIELDS: values}


def info(target: logging.Logger, message: str, values: dict[str, Any]) -> None:
    """An ``info`` line with these fields, for lines that come by the thousands: past the logging machinery where it is ours."""
    if not target.isEnabledFor(logging.INFO):
        return
    handlers = _ROOT.handlers
    if len(handlers) == 1 and isinstance(handlers[0], LineHandler):
        handlers[0].line(target.name, message, values)
    else:
        target.info(message, extra=fields(**values))


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes JSON lines. Those of `line` are joined and written once per loop iteration: a write costs more than a line."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter())
        self._lines: list[bytes] = []

    def line(self, name: str, message: str, values: dict[str, Any]) -> None:
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(info_line(time.time(), name, message, values))

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines:
            self.flush()
        super().emit(record)

    def flush(self) -> None:
        if self._lines:
            text = b"\n".join(self._lines).decode()
            self._lines.clear()
            try:
                self.stream.write(text + "\n")
            except (OSError, ValueError):
                return  # nobody is left to be told
        super().flush()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time level logger message``, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": iso(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line).decode()


class HumanFormatter(logging.Formatter):
    """``12:00:00 info  message  key=value ...``."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        values = "".join(
            f"  {key}={value}" for key, value in getattr(record, FIELDS, {}).items() if value not in (None, "")
        )
        line = f"{at} {record.levelname.lower():<7} {record.getMessage()}{values}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def setup(*, style: str, level: str) -> None:
    """Send the logs of this process to standard error. Called by the command line only: a mounted app leaves logging alone."""
    # What our formatters do not show is not looked up either ("Optimization" in the logging HOWTO): it was half the cost of a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    handler = LineHandler(sys.stderr) if style == "json" else logging.StreamHandler(sys.stderr)
    if style != "json":
        handler.setFormatter(HumanFormatter())
    for name in (_STANDARD_LOGGER, "uvicorn"):
        target = logging.getLogger(name)
        target.handlers = [handler]
        target.propagate = False
        target.setLevel(level.upper() if name == _STANDARD_LOGGER else logging.WARNING)
