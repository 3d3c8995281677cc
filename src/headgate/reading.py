"""A provider's answer while it is read: status, headers and bytes in, events out. Whatever is wrong with it is a value.

Which decoder reads it is known with its head; of an answer that is no success only the beginning is kept, which says why.
"""

from __future__ import annotations

from typing import Final

from headgate.dialects import ProviderDialect
from headgate.dialects.decode import AnswerDecoder, WholeDecoder
from headgate.errors import Failure
from headgate.events import AnyEvent

ERROR_BYTES_MAX: Final = 64 * 1024
"""Of an HTTP error answer; what is beyond is an error page."""
ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of a provider's answer to one request: far beyond any model, short of what would fill a disk unseen."""

_STREAM: Final = "text/event-stream"
_MEDIA_TYPES: Final = frozenset({_STREAM, "application/json"})


class Reading:
    """Of one attempt."""

    __slots__ = (
        "_attempt",
        "_choices",
        "_decoder",
        "_dialect",
        "_error_body",
        "_headers",
        "_received",
        "_too_large",
        "status",
    )

    def __init__(self, dialect: ProviderDialect, *, attempt: int, choices: int) -> None:
        self.status = 0
        self._dialect = dialect
        self._attempt = attempt
        self._choices = choices
        self._headers: dict[str, str] = {}
        self._decoder: AnswerDecoder | None = None
        self._error_body = b""
        self._received = 0
        self._too_large: Failure | None = None

    def head(self, status: int, headers: dict[str, str]) -> Failure | None:
        """What came before the body."""
        self.status, self._headers = status, headers
        if not 200 <= status < 300:
            return None
        media_type = headers.get("content-type", "")
        if media_type not in _MEDIA_TYPES:
            media_type = media_type.partition(";")[0].strip().lower()
        if headers.get("content-encoding", "identity") != "identity":
            return Failure("upstream_malformed", "The provider compressed its answer although it was asked not to.")
        if media_type not in _MEDIA_TYPES:
            return Failure("upstream_malformed", f"The provider answered with {media_type or 'no content type'}.")
        make = self._dialect.stream_decoder if media_type == _STREAM else self._dialect.whole_decoder
        self._decoder = make(attempt=self._attempt, choices=self._choices)
        return None

    def feed(self, data: bytes) -> list[AnyEvent]:
        self._received += len(data)
        decoder = self._decoder
        if decoder is None:
            if len(self._error_body) < ERROR_BYTES_MAX:
                self._error_body += data
            return []
        if self._received > ANSWER_BYTES_MAX:
            self._too_large = Failure("upstream_too_large", "The provider's answer is over the limit.")
            return []
        return decoder.feed(data)

    def finish(self) -> list[AnyEvent]:
        """The input has ended."""
        return [] if self._decoder is None else self._decoder.finish()

    @property
    def is_whole(self) -> bool:
        """It does not come as a stream."""
        return isinstance(self._decoder, WholeDecoder)

    @property
    def settled(self) -> bool:
        """One of the three below holds."""
        return (self._decoder is not None and self._decoder.settled) or self._too_large is not None

    @property
    def failure(self) -> Failure | None:
        """What is wrong with it."""
        return self._too_large or (self._decoder.failure if self._decoder is not None else None)

    @property
    def finished(self) -> bool:
        """The answer is whole; only usage or an end marker may follow."""
        return self._decoder is not None and self._decoder.finished

    @property
    def ended(self) -> bool:
        """The end marker was seen."""
        return self._decoder is not None and self._decoder.ended

    @property
    def refusal(self) -> Failure | None:
        """Why there is no answer, once the input has ended."""
        if self._decoder is not None:
            return None
        return self._dialect.read_failure(self.status, self._headers, self._error_body)
