"""``headgate demo``: the main job on embedded defaults, as a client sees it, with every claim checked.

A real gateway runs as a process of its own, without a configuration file: loopback, SQLite in a temporary folder, the
built-in simulator for a provider. Nothing is said that was not compared: a claim that does not hold is printed as
such, and the exit status is 1.

    client     a chat client on the standard library, and what it compares
    process    the gateway: start it, kill it
    screen     steps, text, claims
"""

from __future__ import annotations

import contextlib
import http.client
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from headgate.demo.client import (
    Client,
    DemoError,
    Received,
    answer_digest,
    difference,
    out_of_order,
    output_text,
    receive,
    short,
)
from headgate.demo.process import Gateway
from headgate.demo.screen import Screen

FIRST: Final = ("sim-t240-r32", "What does a headgate do?")
"""240 tokens at 32 a second: long enough to watch, and to leave in the middle."""
SECOND: Final = ("sim-t400-r32", "And who opens it?")
CUT_AFTER: Final = 80
KILL_AFTER: Final = 70
AWAY_S: Final = 1.5
"""How long nobody reads, while the answer goes on."""
BEFORE: Final = "cyan"
AFTER: Final = "green"


def run(out: Console, *, config: str | None = None) -> int:
    """Show it on `out`; 0 if every claim held. `config` is TOML for the gateway, instead of no file at all."""
    screen = Screen(out)
    out.print("[bold]Headgate[/]: an answer is a log. What that is good for, with a real gateway on this machine.")
    started = time.monotonic()
    try:
        with _terminable(), tempfile.TemporaryDirectory(prefix="headgate-demo-") as folder:
            gateway = Gateway(Path(folder), config)
            try:
                _demonstrate(screen, gateway)
            finally:
                gateway.kill()
    except KeyboardInterrupt:
        screen.say("Stopped. The gateway is down, its files are gone.")
        return 130
    except (DemoError, OSError, http.client.HTTPException) as error:
        screen.claim("The demo ran to its end", str(error))
    out.print()
    if screen.failed:
        out.print(f"[bold red]{len(screen.failed)} of {screen.held + len(screen.failed)} claims did not hold:[/]")
        for said in screen.failed:
            out.print(f"   {said}", soft_wrap=True)
        return 1
    out.print(
        f"[bold green]All {screen.held} claims held[/], in {time.monotonic() - started:.0f} s. "
        "Next: [bold]headgate serve[/], then docs/tutorial/first-answer.md.",
        soft_wrap=True,
    )
    return 0


def _demonstrate(screen: Screen, gateway: Gateway) -> None:
    screen.step("Start the gateway")
    seconds = gateway.start()
    client = Client(gateway.port)
    screen.say(f"headgate serve --port {gateway.port}   process {gateway.pid}, SQLite in a temporary folder, simulator")
    screen.claim(f"Ready after {seconds:.1f} s, without a configuration file or a key")
    stream = _cut_and_resume(screen, client)
    _whole(screen, client, stream)
    _kill_after_the_end(screen, gateway, client, stream)
    _kill_in_the_middle(screen, gateway, client)


def _cut_and_resume(screen: Screen, client: Client) -> Received:
    """Steps 2 and 3; the stream, put together from both connections."""
    screen.step("Stream an answer, and cut the connection in the middle")
    screen.say(f"POST /v1/chat/completions   model {FIRST[0]}, Headgate-Resume: 1")
    frames, before = client.create(*FIRST), Received()
    receive(frames, before, write=lambda text: screen.write(text, BEFORE), upto=CUT_AFTER)
    frames.close()
    cursor = before.cursor
    screen.say(f"first token after {client.first_token_ms:.0f} ms, of which the simulated model takes 200")
    screen.say(f"~~~ cut by us after event {cursor} of {client.response_id}", "bold yellow")
    time.sleep(AWAY_S)
    written = client.show()["headgate"]["seq"]
    screen.claim(
        f"While nobody read, the answer went on: {written - cursor} more events in {AWAY_S} s",
        None if written > cursor else f"the log stands at {written}",
    )

    screen.step("Come back, and go on where it broke")
    screen.say(f"GET /v1/responses/{{id}}/events?dialect=openai-chat   Last-Event-ID: {cursor}")
    after = Received()
    receive(client.events(after=cursor), after, write=lambda text: screen.write(text, AFTER))
    screen.claim(
        f"Every event came once and in order: 1st connection up to {cursor}, 2nd from {cursor + 1} to {after.cursor}",
        out_of_order(before.ids) or out_of_order(after.ids, after=cursor),
    )
    screen.claim("The stream ended with [DONE]", None if after.complete and after.done else "it did not")
    return Received([*before.frames, *after.frames], complete=after.complete)


def _whole(screen: Screen, client: Client, stream: Received) -> None:
    screen.step("Is it whole?")
    shown = client.show()
    screen.claim(
        f"Both pieces are, byte for byte, the stream that was not broken ({len(stream.raw)} bytes, sha256 {short(stream.raw)}...)",
        difference(client.replay().raw, stream.raw),
    )
    text = output_text(shown)
    screen.claim(
        f"The text is that of the complete answer object ({len(text)} characters, status {shown['status']})",
        difference(text.encode(), stream.text.encode())
        or (None if shown["status"] == "completed" else f"the status is {shown['status']}"),
    )
    screen.claim(
        "The hash in the log is the hash of this text, computed here",
        difference(str(shown["headgate"]["sha256"]).encode(), answer_digest(stream.text).encode()),
    )


def _kill_after_the_end(screen: Screen, gateway: Gateway, client: Client, stream: Received) -> None:
    screen.step("Kill the gateway, start it again")
    shown = client.show()
    gateway.kill()
    screen.say(f"kill -9 {gateway.pid}")
    _restart(screen, gateway)
    replay = client.replay()
    screen.claim(
        f"The same bytes after the restart: sha256 {short(replay.raw)}...",
        difference(stream.raw, replay.raw),
    )
    screen.claim(
        "The same answer object", None if client.show() == shown else "it is another one than before the restart"
    )


def _kill_in_the_middle(screen: Screen, gateway: Gateway, client: Client) -> None:
    screen.step("Kill it in the middle of an answer")
    screen.say(f"POST /v1/chat/completions   model {SECOND[0]}, Headgate-Resume: 1")
    frames, seen = client.create(*SECOND), Received()
    receive(frames, seen, write=lambda text: screen.write(text, BEFORE), upto=KILL_AFTER)
    gateway.kill()
    receive(frames, seen, write=lambda text: screen.write(text, BEFORE))
    screen.say(f"~~~ kill -9 {gateway.pid}: the gateway died; the last event received is {seen.cursor}", "bold yellow")
    screen.claim(
        "The client saw a broken connection: no [DONE], no end of the body",
        "the stream looked complete" if seen.complete or seen.done else None,
    )
    _restart(screen, gateway)
    replay = client.replay()
    screen.claim(
        f"Every event the client had seen is still there, under its number: 1 to {seen.cursor}, byte for byte",
        difference(replay.raw[: len(seen.raw)], seen.raw),
    )
    ending = client.show()["headgate"]["terminal"] or {}
    screen.claim(
        f"The answer ended honestly: {ending.get('status')}, {ending.get('code')}, retryable {ending.get('retryable')}",
        None if ending.get("code") == "interrupted" and ending.get("retryable") else f"the terminal is {ending}",
    )
    error = replay.frames[-1].error if replay.frames else None
    screen.claim(
        "Its stream ends with an error, and no [DONE]",
        None if error and error["code"] == "interrupted" else "it does not",
    )


def _restart(screen: Screen, gateway: Gateway) -> None:
    seconds = gateway.start()
    screen.say(
        f"headgate serve --port {gateway.port}   process {gateway.pid} on the same file, ready after {seconds:.1f} s"
    )


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP are taken as Ctrl-C is, so that nothing is left behind."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
