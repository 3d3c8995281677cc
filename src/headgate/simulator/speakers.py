"""Who speaks which dialect: for each its writer, the shape of its errors, and the header that names a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from headgate.simulator import chat, gemini, messages, responses
from headgate.simulator.dialect import Dialect
from headgate.simulator.plan import Plan
from headgate.simulator.writer import Problem, Writer


class Speaker(NamedTuple):
    """What the rest of the simulator needs of a dialect."""

    writer: Callable[[Plan], Writer]
    error: Callable[[Problem], bytes]
    request_id: str
    """Header of an answer."""


SPEAKERS: Final[Mapping[Dialect, Speaker]] = {
    Dialect.CHAT: Speaker(chat.ChatWriter, chat.error, "x-request-id"),
    Dialect.RESPONSES: Speaker(responses.ResponsesWriter, chat.error, "x-request-id"),
    Dialect.MESSAGES: Speaker(messages.MessagesWriter, messages.error, "request-id"),
    Dialect.GEMINI: Speaker(gemini.GeminiWriter, gemini.error, "x-request-id"),
}
