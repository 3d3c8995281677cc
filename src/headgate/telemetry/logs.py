"""Structured log lines, for machines (``json``) or people (``human``), on standard error.

One line per finished response. No prompt or answer text, no keys: what a record carries is chosen where it is made,
field by field, and nothing is formatted from a request.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

FIELDS: Final = "headgate_fields"
"""Attribute of a log record that holds its structured fields."""

_STANDARD_LOGGER: Final = "headgate"


def logger(name: str) -> logging.Logger:
    return logging.getLogger(f"{_STANDARD_LOGGER}.{name}")


def fields(**values: Any) -> dict[str, Any]:
    """The ``extra`` of a logging call with these structured fields."""
    return {FIELDS: values}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time level logger message``, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _iso(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def _iso(seconds: float) -> str:
    """RFC 3339 with milliseconds, UTC."""
    return f"{_iso_second(int(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


@lru_cache(maxsize=4)
def _iso_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else HumanFormatter())
    for name in (_STANDARD_LOGGER, "uvicorn"):
        target = logging.getLogger(name)
        target.handlers = [handler]
        target.propagate = False
        target.setLevel(level.upper() if name == _STANDARD_LOGGER else logging.WARNING)
