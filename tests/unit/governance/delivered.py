"""The whole way of a provider's answer through the stream gate: bytes, events, governed log, every reader's bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from headgate.assemble import Fold
from headgate.dialects import Decoder, dialects, provider_dialects
from headgate.dialects.response_object import response_object
from headgate.endings import Ending, closing
from headgate.events import AnyEvent, AttemptEnded, AttemptStarted, ChoiceDone, ResponseStarted, Status
from headgate.governance.ruleset import Ruleset
from headgate.governance.stream.gate import StreamGate
from headgate.lifecycle import Lifecycle, terminal_status
from tests.unit.goldens import ROOT


def upstream(dialect: str, case: str) -> tuple[bytes, bool, int]:
    """A golden case: the provider's bytes, whether they are a whole answer, and how many choices were asked for."""
    folder = ROOT / dialect / case
    request = folder / "request.json"
    choices = 1
    if request.exists():
        asked = json.loads(request.read_text(encoding="utf-8"))
        choices = asked.get("n") or asked.get("generationConfig", {}).get("candidateCount") or 1
    whole = folder / "upstream.json"
    if whole.exists():
        return whole.read_bytes(), True, choices
    return (folder / "upstream.sse").read_bytes(), False, choices


def decoder_of(dialect: str, *, whole: bool, choices: int) -> Decoder:
    spoken = provider_dialects()[dialect]
    if whole:
        return spoken.whole_decoder(attempt=1, choices=choices)
    return spoken.stream_decoder(attempt=1, choices=choices)


def governed_log(rules: Ruleset | None, dialect: str, data: bytes, *, whole: bool, choices: int) -> list[AnyEvent]:
    """The log of one answer, as the producer writes it; ungoverned without rules."""
    decoder = decoder_of(dialect, whole=whole, choices=choices)
    gate = StreamGate(rules, json_text=False) if rules is not None else None
    began: list[AnyEvent] = [
        ResponseStarted("resp_" + "0" * 32, "app", dialect, "asked", 1, True, True, choices),
        AttemptStarted(1, "provider", dialect, "model"),
    ]
    log: list[AnyEvent] = gate.feed(began) if gate is not None else [*began]
    decoded = decoder.feed(data)
    if decoder.failure is None:
        decoded += decoder.finish()
    log += decoded if gate is None else gate.feed(decoded) + gate.finish()
    failure = decoder.failure
    if failure is not None and gate is not None:
        failure = gate.failure(failure)
    log.append(AttemptEnded(1, failure.code if failure else "ok", 200, failure.message if failure else ""))
    reasons = [event.reason for event in decoded if isinstance(event, ChoiceDone)]
    if gate is not None and gate.stopped is not None:
        ending = Ending(Status.BLOCKED)
    elif failure is not None:
        ending = Ending(Status.FAILED, failure)
    else:
        ending = Ending(terminal_status(reasons))
    log.append(closing(ending, sha256="", ended_at=2))
    return log


def is_legal(log: Iterable[AnyEvent]) -> bool:
    lifecycle = Lifecycle()
    for event in log:
        lifecycle.feed(event)
    return True


def shown(log: Sequence[AnyEvent]) -> dict[str, bytes]:
    """What every reader of a log gets, by what it is; whole answers as well as streams, and the response object."""
    fold = Fold()
    for seq, event in enumerate(log, 1):
        fold.feed(seq, event)
    assert fold.started is not None
    assert fold.terminal is not None
    found: dict[str, bytes] = {}
    for name, dialect in dialects().items():
        if dialect.choices_max >= fold.started.choices:
            encoder = dialect.encoder()
            found[name] = b"".join([encoder.feed(seq, event) for seq, event in enumerate(log, 1)])
    for name, spoken in provider_dialects().items():
        client = dialects()[name]
        if client.choices_max < fold.started.choices:
            continue
        if fold.terminal.status.successful:
            found[f"{name} whole"] = client.whole(fold)  # type: ignore[attr-defined]
        else:
            same = fold.dialect == spoken.name
            found[f"{name} whole"] = client.terminal_error(fold.terminal, same_dialect=same)  # type: ignore[attr-defined]
    made = response_object(fold, first_output_ms=None, duration_ms=None)
    found["object"] = json.dumps(made, ensure_ascii=False).encode()
    return found
