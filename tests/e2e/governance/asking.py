"""Having a text said: by every provider, to every client, in every mode."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import httpx

from tests.e2e.governance.house import House, key_of
from tests.e2e.matrix import raw
from tests.e2e.matrix.seen import DIALECTS, Job, Seen
from tests.e2e.matrix.words import Ask, said

ECHO: Final = "sim-fast-echo"
MODES: Final = (True, False)
BLOCKED: Final = {
    "openai-chat": "content_filter",
    "openai-responses": "incomplete:content_filter",
    "anthropic-messages": "refusal",
    "gemini": "PROHIBITED_CONTENT",
}
"""What each dialect calls the end of an answer that a policy ended."""
COMPLETED: Final = {
    "openai-chat": "stop",
    "openai-responses": "completed",
    "anthropic-messages": "end_turn",
    "gemini": "STOP",
}


def saying(text: str, ask: Ask | None = None) -> Ask:
    """A request for a text that stands nowhere in it as it is."""
    return replace(ask or Ask(), prompt="base64:" + b64encode(text.encode()).decode())


def jobs(
    language: str,
    policy: str,
    ask: Ask,
    *,
    model: str = ECHO,
    providers: Sequence[str] = (),
    modes: Sequence[bool] = MODES,
    act: str = "create",
) -> list[Job]:
    """For every client of a language; `providers` are all, or else that of the client's own dialect."""
    return [
        Job(
            f"{language} {client}",
            f"{provider}/{model}",
            said(client, ask, stream=stream),
            stream=stream,
            key=key_of(policy),
            act=act,
        )
        for client in DIALECTS
        for provider in (providers or (client,))
        for stream in modes
    ]


def wrong(
    asked: Sequence[Job], seen: Sequence[Seen], finishes: dict[str, str], text: str, *, whole: str | None = None
) -> list[str]:
    """Which answers are not this text with this end; empty for none. `whole` is the text of those that were not streamed."""
    wanted = {True: text, False: text if whole is None else whole}
    return [
        f"{job}: {one.finish} {one.error} {one.text!r}"
        for job, one in zip(asked, seen, strict=True)
        if one.error is not None or one.text != wanted[job.stream] or one.finish != finishes[job.dialect]
    ]


def bodies(house: House, policy: str, ask: Ask, *, model: str = ECHO) -> Iterator[tuple[str, httpx.Response]]:
    """The bytes of a stream in each dialect, from each provider."""
    with house.http(policy) as http:
        for client in DIALECTS:
            for provider in DIALECTS:
                yield client, raw.create(http, client, f"{provider}/{model}", ask)
