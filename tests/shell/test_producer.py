"""What a provider does on the wire becomes one honest log: against a raw socket that speaks scripted bytes."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest
from msgspec.structs import replace

from headgate.connection import HEAD_BYTES_MAX
from headgate.errors import CODES
from headgate.events import Blame, Delta, Opaque, Status
from headgate.tally import IDLE_MAX
from tests.shell.asking import ask, gateway, settings
from tests.shell.provider import (
    CHUNKED,
    CLOSED,
    DONE,
    LAST_CHUNK,
    Line,
    Play,
    Request,
    answer,
    chunk,
    finish,
    frame,
    provider,
    reply,
    says,
    says_and_closes,
    says_and_waits,
    usage,
    word,
)
from tests.shell.scene import run, until

HELLO = answer("Hel", "lo")
SILENCE_S = 0.05
"""Timeouts that a test runs into; the gateway looks at them ten times a second."""


def check(
    *plays: Play, status: Status, code: str = "", text: str = "", is_kept: bool = False, **options: object
) -> None:
    """One response against these plays ends like this; a connection whose answer was not complete is closed."""

    async def test() -> None:
        async with provider(*plays) as upstream, gateway(upstream.url, **options) as opened:
            got = ask(opened)
            terminal = await got.ended()
            assert (terminal.status, terminal.code, got.text) == (status, code, text), terminal
            assert [attempt.code for attempt in got.attempts] == [code or "ok"]
            if not status.successful and not is_kept:
                await until(lambda: upstream.open == 0)

    run(test)


# the good case, however it is cut


def test_stream_becomes_a_completed_log() -> None:
    async def test() -> None:
        async with provider(says(HELLO)) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            terminal = await got.ended()
            assert terminal.status is Status.COMPLETED
            assert got.text == "Hello"
            assert got.usage is not None
            assert (got.usage.input_tokens, got.usage.output_tokens, got.usage.estimated) == (5, 2, False)
            [sent] = upstream.requests
            assert sent.line == "POST /v1/chat/completions HTTP/1.1"
            assert sent.body["stream_options"] == {"include_usage": True}
            assert "accept-encoding: identity" in sent.head

    run(test)


def test_answer_in_single_bytes_makes_the_same_log() -> None:
    async def test() -> None:
        plays = says(HELLO), says(*(HELLO[i : i + 1] for i in range(len(HELLO))))
        async with provider(*plays) as upstream, gateway(upstream.url) as opened:
            first = ask(opened)
            await first.ended()
            second = ask(opened)
            await second.ended()
            ends = [replace(answer.seen[-1], ended_at=0) for answer in (first, second)]  # it is no second's business
            assert [*second.seen[1:-1], ends[1]] == [*first.seen[1:-1], ends[0]]

    run(test)


def test_interim_answers_before_the_answer_are_skipped() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n"
    check(says(interim, HELLO), status=Status.COMPLETED, text="Hello")
    check(says(interim + HELLO), status=Status.COMPLETED, text="Hello")


def test_whole_answer_where_a_stream_was_asked_for_is_read_as_one() -> None:
    message = {"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}
    check(says(reply(200, json.dumps({"choices": [message]}).encode())), status=Status.COMPLETED, text="whole")


def test_request_to_a_provider_that_cannot_stream_asks_for_a_whole_answer() -> None:
    async def test() -> None:
        message = {"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}
        body = json.dumps({"choices": [message]}).encode()
        async with provider(says(reply(200, body))) as upstream, gateway(upstream.url, streaming=False) as opened:
            got = ask(opened)
            await got.ended()
            assert got.text == "whole"
            assert "stream" not in upstream.requests[0].body

    run(test)


# no connection


def test_refused_connection_is_a_connect_failure() -> None:
    async def test() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets the port
            async with gateway(f"http://127.0.0.1:{taken.getsockname()[1]}/v1") as opened:
                terminal = await ask(opened).ended()
        assert (terminal.status, terminal.code) == (Status.FAILED, "upstream_connect")
        assert (terminal.blame, terminal.retryable) == (Blame.UPSTREAM, True)

    run(test)


def test_connection_that_is_not_made_in_time_is_a_connect_failure() -> None:
    async def test() -> None:
        with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            for filler in (first, second):  # the backlog is full: further handshakes get no answer
                filler.setblocking(False)
                filler.connect_ex(deaf.getsockname())
            async with gateway(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1", connect_s=SILENCE_S) as opened:
                terminal = await ask(opened).ended()
        assert terminal.code == "upstream_connect"

    run(test)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid", "127.0.0.1:99999"])
def test_host_that_cannot_be_connected_to_is_a_connect_failure(host: str) -> None:
    """One that does not resolve, one that no resolver takes, and a port there is not."""

    try:
        settings(f"http://{host}/v1")
    except ValueError:
        return  # refusing the configuration is just as good

    async def test() -> None:
        async with gateway(f"http://{host}/v1", connect_s=1) as opened, asyncio.timeout(2):
            assert (await ask(opened).ended()).code == "upstream_connect"

    run(test)


# time


def test_provider_that_never_answers_fails_after_the_first_token_timeout() -> None:
    check(says_and_waits(), status=Status.FAILED, code="upstream_first_token_timeout", first_token_s=SILENCE_S)


def test_head_and_role_are_no_first_token() -> None:
    role = frame(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    check(
        says_and_waits(CHUNKED, chunk(b": waiting\n\n"), chunk(role)),
        status=Status.FAILED,
        code="upstream_first_token_timeout",
        first_token_s=SILENCE_S,
    )


def test_lines_of_which_nothing_is_known_are_no_first_token() -> None:
    unknown = b'data: {"position":3}\n\n'
    check(
        says_and_waits(CHUNKED, chunk(unknown), chunk(unknown + unknown)),
        status=Status.FAILED,
        code="upstream_first_token_timeout",
        first_token_s=SILENCE_S,
    )


def test_silence_after_a_token_is_a_stall() -> None:
    check(
        says_and_waits(CHUNKED, chunk(word("Hel"))),
        status=Status.FAILED,
        code="upstream_stalled",
        text="Hel",
        stall_s=SILENCE_S,
    )


def _chatter(*pieces: bytes, first: bytes = word("Hel")) -> Play:
    """A token, and then these again and again until the other side goes."""

    async def play(line: Line, request: Request) -> None:
        await line.send(CHUNKED, chunk(first or b":\n\n"))
        gone = asyncio.create_task(line.gone())
        number = 0
        while not gone.done():
            number += 1
            for piece in pieces:
                await line.send(chunk(piece.replace(b"NUMBER", b"%d" % number)))
            await asyncio.sleep(0.01)

    return play


_EMPTY_DELTA = [{"index": 0, "delta": {}, "finish_reason": None}]


@pytest.mark.parametrize(
    "noise",
    [
        b": keep-alive\n\n",
        b"event: ping\ndata: {}\n\n",
        frame(choices=_EMPTY_DELTA),
        frame(choices=_EMPTY_DELTA, system_fingerprint="fp-NUMBER"),
        frame(choices=_EMPTY_DELTA, model="m-NUMBER"),
        frame(choices=[], usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
        b'data: {"position":NUMBER}\n\n',
        b'data: {"position":NUMBER}\n\n' * 2,
        frame(choices=_EMPTY_DELTA, provider="Acme", position="NUMBER"),
        frame(choices=[], position="NUMBER"),
        frame(choices=[{"index": 0, "delta": {}, "finish_reason": None, "position": "NUMBER"}]),
        frame(choices=[{"index": 0, "delta": {"x_unknown": "tick"}, "finish_reason": None}]),
    ],
    ids=[
        "comments",
        "pings",
        "empty-deltas",
        "new-fingerprints",
        "new-models",
        "usage",
        "unknown",
        "unknown-twice",
        "unknown-at-the-top",
        "unknown-without-choices",
        "unknown-in-the-choice",
        "unknown-in-the-delta-again-and-again",
    ],
)
def test_noise_is_no_progress(noise: bytes) -> None:
    """Only semantic events are: a provider may not keep a dead answer open with anything else."""
    check(_chatter(noise), status=Status.FAILED, code="upstream_stalled", text="Hel", stall_s=0.15, total_s=1.5)


@pytest.mark.parametrize(
    "noise",
    [
        frame(choices=_EMPTY_DELTA, provider="Acme"),
        frame(choices=[], prompt_filter_results=[]),
        frame(choices=[{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None, "position": "NUMBER"}]),
    ],
    ids=["at-the-top", "without-choices", "in-the-choice"],
)
def test_unknown_fields_without_output_are_no_first_token(noise: bytes) -> None:
    async def test() -> None:
        play = _chatter(noise, first=b"")
        async with provider(play) as upstream, gateway(upstream.url, first_token_s=0.15, total_s=1.5) as opened:
            got = ask(opened)
            assert (await got.ended()).code == "upstream_first_token_timeout"
            assert not got.log.opened, "headers left for it"
            kept = [event for event in got.seen if isinstance(event, Opaque)]
            assert kept, "readers of the same dialect see it all the same"
            assert all(event.idle for event in kept)

    run(test)


def test_output_of_an_unknown_kind_is_progress_while_it_changes() -> None:
    async def play(line: Line, request: Request) -> None:
        await line.send(CHUNKED)
        for number in range(6):
            await asyncio.sleep(0.06)
            audio = {"audio": {"data": str(number)}}
            await line.send(chunk(frame(choices=[{"index": 0, "delta": audio, "finish_reason": None}])))
        await line.send(chunk(finish() + DONE), LAST_CHUNK)

    check(play, status=Status.COMPLETED, stall_s=0.2, first_token_s=0.2)


def test_idle_lines_that_a_log_keeps_are_bounded() -> None:
    async def test() -> None:
        play = says(
            CHUNKED,
            chunk(b'data: {"position":3}\n\n' * (IDLE_MAX + 100)),
            chunk(word("x") + finish() + DONE),
            LAST_CHUNK,
        )
        async with provider(play) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            assert (await got.ended()).status is Status.COMPLETED
            assert got.text == "x"
            assert sum(isinstance(event, Opaque) for event in got.seen) <= IDLE_MAX

    run(test)


# an answer that is asked for whole


_WHOLE = json.dumps({"choices": [{"index": 0, "message": {"content": "whole"}, "finish_reason": "stop"}]}).encode()


def _takes(seconds: float, *pieces: bytes) -> Play:
    async def play(line: Line, request: Request) -> None:
        await asyncio.sleep(seconds)
        await line.send(*pieces)

    return play


def test_whole_answer_has_no_first_token_to_be_late() -> None:
    check(
        _takes(0.3, reply(200, _WHOLE)),
        status=Status.COMPLETED,
        text="whole",
        streaming=False,
        first_token_s=SILENCE_S,
        stall_s=SILENCE_S,
    )


def test_whole_answer_in_place_of_a_stream_has_no_first_token_either() -> None:
    async def play(line: Line, request: Request) -> None:
        whole = reply(200, _WHOLE)
        await line.send(whole[:-5])
        await asyncio.sleep(0.3)
        await line.send(whole[-5:])

    check(play, status=Status.COMPLETED, text="whole", first_token_s=0.1, stall_s=SILENCE_S)


@pytest.mark.parametrize(
    "sent", [(), (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n   ",)], ids=["nothing", "its-head"]
)
def test_whole_answer_that_does_not_come_is_given_up(sent: tuple[bytes, ...]) -> None:
    async def test() -> None:
        play = says_and_waits(*sent)
        async with provider(play) as upstream, gateway(upstream.url, streaming=False, whole_s=SILENCE_S) as opened:
            got = ask(opened)
            terminal = await got.ended()
            assert (terminal.code, terminal.http_status or CODES[terminal.code].status) == ("upstream_timeout", 504)
            assert "whole answer" in terminal.message
            assert got.usage is not None, "it may have been generating"
            assert (got.usage.output_tokens, got.usage.estimated) == (0, True)
            await until(lambda: upstream.open == 0)

    run(test)


def test_cancel_before_the_first_token_estimates_the_input() -> None:
    async def test() -> None:
        async with provider(says_and_waits()) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            await until(lambda: len(upstream.requests) == 1)
            assert opened.cancel(got.log)
            assert (await got.ended()).status is Status.CANCELLED
            assert got.usage is not None
            assert got.usage.input_tokens > 0
            assert (got.usage.output_tokens, got.usage.estimated) == (0, True)

    run(test)


def test_refused_request_used_nothing() -> None:
    async def test() -> None:
        async with provider(says(reply(429, b"{}"))) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            await got.ended()
            assert got.usage is None

    run(test)


def test_usage_that_is_no_count_is_estimated() -> None:
    async def test() -> None:
        garbage = frame(choices=[], usage={"prompt_tokens": -5, "completion_tokens": "x", "total_tokens": 1e99})
        play = says(CHUNKED, chunk(word("Hello") + finish() + garbage + DONE), LAST_CHUNK)
        async with provider(play) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            await got.ended()
            assert got.usage is not None
            assert got.usage.input_tokens > 0
            assert (got.usage.output_tokens, got.usage.estimated) == (2, True)

    run(test)


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [SWITCH, SWITCH + HELLO, b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 101 S\r\n\r\n" + HELLO],
    ids=["alone", "with-bytes-of-it", "without-a-protocol", "without-a-protocol-with-bytes"],
)
def test_provider_that_switches_protocols_is_malformed(sent: bytes) -> None:
    async def test() -> None:
        broken: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
        async with provider(says_and_waits(sent)) as upstream, gateway(upstream.url, first_token_s=1) as opened:
            terminal = await ask(opened).ended()
            assert terminal.code == "upstream_malformed"
            await until(lambda: upstream.open == 0)
        assert broken == []

    run(test)


def test_every_token_is_progress() -> None:
    async def play(line: Line, request: Request) -> None:
        await line.send(CHUNKED)
        for _ in range(6):
            await asyncio.sleep(0.06)
            await line.send(chunk(word("x")))
        await line.send(chunk(finish() + DONE), LAST_CHUNK)

    check(play, status=Status.COMPLETED, text="x" * 6, stall_s=0.2)


def test_response_that_is_not_done_by_its_deadline_expires() -> None:
    async def test() -> None:
        play = says_and_waits(CHUNKED, chunk(word("Hel")))
        async with provider(play) as upstream, gateway(upstream.url, total_s=SILENCE_S) as opened:
            got = ask(opened)
            terminal = await got.ended()
            assert (terminal.status, terminal.code) == (Status.EXPIRED, "deadline_exceeded")
            assert got.usage is not None
            assert got.usage.estimated
            await until(lambda: upstream.open == 0)

    run(test)


def test_silence_after_the_finish_reason_completes_after_the_linger() -> None:
    check(
        says_and_waits(CHUNKED, chunk(word("Hello") + finish())),
        status=Status.COMPLETED,
        text="Hello",
        linger_s=SILENCE_S,
        stall_s=60,
    )


def test_usage_that_comes_within_the_linger_is_taken() -> None:
    async def play(line: Line, request: Request) -> None:
        await line.send(CHUNKED, chunk(word("Hello") + finish()))
        await asyncio.sleep(0.02)
        await line.send(chunk(usage(7, 9)))
        await line.gone()

    async def test() -> None:
        async with provider(play) as upstream, gateway(upstream.url, linger_s=0.1) as opened:
            got = ask(opened)
            assert (await got.ended()).status is Status.COMPLETED
            assert got.usage is not None
            assert (got.usage.output_tokens, got.usage.estimated) == (9, False)

    run(test)


# connections are kept, and renewed


def test_connection_is_used_again() -> None:
    async def test() -> None:
        async with provider(says(HELLO)) as upstream, gateway(upstream.url) as opened:
            for _ in range(5):
                got = ask(opened)
                await got.ended()
                await asyncio.sleep(0.01)
            assert [request.connection for request in upstream.requests] == [0] * 5

    run(test)


def test_connection_is_kept_after_an_error_answer_too() -> None:
    async def test() -> None:
        async with provider(says(reply(500, b"{}")), says(HELLO)) as upstream, gateway(upstream.url) as opened:
            assert (await ask(opened).ended()).code == "upstream_error"
            await asyncio.sleep(0.01)
            assert (await ask(opened).ended()).status is Status.COMPLETED
            assert upstream.connections == 1

    run(test)


@pytest.mark.parametrize("reset", [False, True])
def test_stale_connection_is_renewed_once_and_it_is_no_second_attempt(reset: bool) -> None:
    """The provider closes an idle connection at the moment the next request is written to it."""

    async def close(line: Line, request: Request) -> None:
        line.reset() if reset else line.close()

    async def test() -> None:
        async with provider(says(HELLO), close, says(HELLO)) as upstream, gateway(upstream.url) as opened:
            await ask(opened).ended()
            await asyncio.sleep(0.01)
            got = ask(opened)
            assert (await got.ended()).status is Status.COMPLETED
            assert len(got.attempts) == 1
            assert [request.connection for request in upstream.requests] == [0, 0, 1]

    run(test)


def test_renewed_connection_that_closes_as_well_is_a_failure() -> None:
    check_twice: tuple[Play, ...] = (says(HELLO), says_and_closes(), says_and_closes())

    async def test() -> None:
        async with provider(*check_twice) as upstream, gateway(upstream.url) as opened:
            await ask(opened).ended()
            await asyncio.sleep(0.01)
            terminal = await ask(opened).ended()
            assert terminal.code == "upstream_cut"
            assert len(upstream.requests) == 3

    run(test)


def test_fresh_connection_that_is_closed_without_an_answer_is_not_tried_again() -> None:
    async def test() -> None:
        async with provider(says_and_closes()) as upstream, gateway(upstream.url) as opened:
            assert (await ask(opened).ended()).code == "upstream_cut"
            assert len(upstream.requests) == 1, "the provider may have begun to work on it"

    run(test)


def test_stale_connection_that_had_begun_to_answer_is_not_tried_again() -> None:
    async def test() -> None:
        plays = says(HELLO), says_and_closes(b"HTTP/1.1 2")
        async with provider(*plays) as upstream, gateway(upstream.url) as opened:
            await ask(opened).ended()
            await asyncio.sleep(0.01)
            assert (await ask(opened).ended()).code == "upstream_cut"
            assert len(upstream.requests) == 2

    run(test)


def test_idle_connection_that_speaks_is_dropped() -> None:
    async def play(line: Line, request: Request) -> None:
        await line.send(HELLO)
        await asyncio.sleep(0.01)
        await line.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    async def test() -> None:
        async with provider(play, says(HELLO)) as upstream, gateway(upstream.url) as opened:
            await ask(opened).ended()
            await until(lambda: upstream.open == 0)
            assert (await ask(opened).ended()).status is Status.COMPLETED
            assert upstream.connections == 2

    run(test)


def test_connection_that_says_close_is_not_used_again() -> None:
    async def test() -> None:
        closing = HELLO.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
        async with provider(says(closing)) as upstream, gateway(upstream.url) as opened:
            for _ in range(2):
                assert (await ask(opened).ended()).status is Status.COMPLETED
                await asyncio.sleep(0.01)
            assert [request.connection for request in upstream.requests] == [0, 1]

    run(test)


# the end of the body


def test_body_cut_inside_a_chunk_is_a_failure() -> None:
    check(
        says_and_closes(CHUNKED, chunk(word("Hel")), b"ff\r\ndata: {"),
        status=Status.FAILED,
        code="upstream_cut",
        text="Hel",
    )


def test_body_that_ends_cleanly_too_early_is_a_failure() -> None:
    ended = says(CHUNKED, chunk(word("Hel")), LAST_CHUNK)
    check(ended, status=Status.FAILED, code="upstream_cut", text="Hel", is_kept=True)


def test_end_marker_without_a_finish_reason_is_a_failure() -> None:
    check(says(CHUNKED, chunk(word("Hel") + DONE), LAST_CHUNK), status=Status.FAILED, code="upstream_cut", text="Hel")


def test_body_delimited_by_the_connection_is_whole_with_its_finish_reason_and_cut_without() -> None:
    check(says_and_closes(CLOSED, word("Hello"), finish()), status=Status.COMPLETED, text="Hello")
    check(says_and_closes(CLOSED, word("Hel")), status=Status.FAILED, code="upstream_cut", text="Hel")


def test_cut_after_every_choice_was_done_changes_nothing() -> None:
    check(says_and_closes(CHUNKED, chunk(word("Hello") + finish()), b"5\r\nda"), status=Status.COMPLETED, text="Hello")


def test_broken_chunk_framing_is_a_cut_and_what_came_before_it_stays() -> None:
    broken = CHUNKED + chunk(word("Hel")) + b"zz\r\nno chunk\r\n"
    check(says_and_waits(broken), status=Status.FAILED, code="upstream_cut", text="Hel")
    check(says_and_waits(CHUNKED, chunk(word("Hel")), b"zz\r\n"), status=Status.FAILED, code="upstream_cut", text="Hel")


def test_reset_in_the_middle_is_a_cut() -> None:
    async def play(line: Line, request: Request) -> None:
        await line.send(CHUNKED, chunk(word("Hel")))
        await asyncio.sleep(0.02)
        line.reset()

    check(play, status=Status.FAILED, code="upstream_cut", text="Hel")


def test_what_follows_the_end_marker_is_not_read_and_the_connection_is_kept() -> None:
    async def test() -> None:
        after = chunk(word("Hello") + finish() + DONE) + chunk(word(" and more")) + LAST_CHUNK
        async with provider(says(CHUNKED, after), says(HELLO)) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            assert (await got.ended()).status is Status.COMPLETED
            assert got.text == "Hello"
            await asyncio.sleep(0.02)
            assert (await ask(opened).ended()).status is Status.COMPLETED
            assert upstream.connections == 1

    run(test)


def test_tail_that_never_ends_does_not_delay_the_answer() -> None:
    async def test() -> None:
        play = says_and_waits(CHUNKED, chunk(word("Hello") + finish() + DONE))
        async with provider(play, says(HELLO)) as upstream, gateway(upstream.url, linger_s=60) as opened:
            started = time.monotonic()
            assert (await ask(opened).ended()).status is Status.COMPLETED
            assert time.monotonic() - started < 1
            assert (await ask(opened).ended()).status is Status.COMPLETED
            assert upstream.connections == 2, "the unfinished one is not used for another request"

    run(test)


# what is no answer


@pytest.mark.parametrize(
    ("status", "code", "http_status"),
    [
        (400, "upstream_rejected", 400),
        (401, "upstream_auth", 0),
        (404, "upstream_rejected", 404),
        (408, "upstream_error", 0),
        (422, "upstream_rejected", 422),
        (429, "upstream_rate_limited", 0),
        (500, "upstream_error", 0),
        (503, "upstream_error", 503),
        (504, "upstream_error", 504),
        (302, "upstream_error", 0),
    ],
)
def test_http_errors_keep_what_the_provider_said(status: int, code: str, http_status: int) -> None:
    async def test() -> None:
        body = json.dumps({"error": {"message": "No thanks.", "type": "t", "code": "c"}}).encode()
        plays = says(reply(status, body, extra="retry-after: 7\r\n"))
        async with provider(plays) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            terminal = await got.ended()
            assert (terminal.status, terminal.code, terminal.http_status) == (Status.FAILED, code, http_status)
            assert got.attempts[0].http_status == status
            assert got.usage is None, "nothing was used"
            if status in (429, 500, 503, 504):
                assert terminal.retry_after_s == 7
                assert terminal.retryable
            if status != 401:
                assert terminal.message == "No thanks."

    run(test)


def test_error_page_is_read_to_its_limit_only() -> None:
    page = reply(500, b"<html>" + b"x" * 1_000_000, kind="text/html")
    check(says(page), status=Status.FAILED, code="upstream_error", is_kept=True)


def test_rate_limit_inside_a_stream_keeps_its_code() -> None:
    error = b'data: {"error": {"message": "slow down", "type": "rate_limit_error"}}\n\n'
    check(says_and_closes(CLOSED, word("Hel"), error), status=Status.FAILED, code="upstream_rate_limited", text="Hel")


def test_content_that_is_no_stream_is_malformed() -> None:
    check(says(reply(200, b"<html>", kind="text/html")), status=Status.FAILED, code="upstream_malformed")
    check(
        says(reply(200, b"\x1f\x8b", kind="text/event-stream", extra="content-encoding: gzip\r\n")),
        status=Status.FAILED,
        code="upstream_malformed",
    )


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/9.9 oops\r\n\r\n"]
)
def test_peer_that_speaks_no_http_is_malformed(garbage: bytes) -> None:
    check(says_and_waits(garbage), status=Status.FAILED, code="upstream_malformed")


@pytest.mark.parametrize("pieces", [1, 100])
def test_headers_over_the_limit_are_a_failure_however_they_arrive(pieces: int) -> None:
    padding = b"".join(b"x-padding-%d: %b\r\n" % (i, b"." * 1000) for i in range(HEAD_BYTES_MAX // 1000 + 20))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" + padding + b"transfer-encoding: chunked\r\n\r\n"
    whole = head + chunk(word("Hello") + finish() + DONE) + LAST_CHUNK
    size = len(whole) // pieces + 1
    check(
        says_and_waits(*(whole[i : i + size] for i in range(0, len(whole), size))),
        status=Status.FAILED,
        code="upstream_too_large",
    )


def test_line_over_the_limit_is_a_failure() -> None:
    check(says_and_waits(CHUNKED, chunk(b"data: " + b"x" * 9_000_000)), status=Status.FAILED, code="upstream_too_large")


# cancelling


def test_cancel_closes_the_connection_at_once_and_estimates_what_was_used() -> None:
    async def test() -> None:
        play = says_and_waits(CHUNKED, chunk(word("Hello wide world")))
        async with provider(play) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            await until(lambda: got.text)
            started = time.monotonic()
            assert opened.cancel(got.log)
            await until(lambda: upstream.open == 0)
            assert time.monotonic() - started < 0.2
            terminal = await got.ended()
            assert (terminal.status, terminal.code) == (Status.CANCELLED, "cancelled")
            assert got.usage is not None
            assert (got.usage.output_tokens, got.usage.input_tokens, got.usage.estimated) == (4, 4, True)
            assert not opened.cancel(got.log), "it has ended"

    run(test)


def test_cancel_while_connecting_ends_the_log() -> None:
    async def test() -> None:
        async with provider(says(HELLO)) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            assert opened.cancel(got.log)
            assert (await got.ended()).status is Status.CANCELLED
            await asyncio.sleep(0.02)
            assert upstream.requests == []
            assert (await ask(opened).ended()).status is Status.COMPLETED

    run(test)


def test_late_bytes_of_a_cancelled_answer_never_enter_the_log() -> None:
    async def play(line: Line, request: Request) -> None:
        await line.send(CHUNKED, chunk(word("first")))
        for _ in range(200):
            await line.send(chunk(word("late")))

    async def test() -> None:
        async with provider(play) as upstream, gateway(upstream.url) as opened:
            got = ask(opened)
            await until(lambda: got.text)
            opened.cancel(got.log)
            last = got.log.last_seq
            await got.ended()
            await asyncio.sleep(0.03)
            assert got.log.last_seq == last
            assert sum(isinstance(event, Delta) for event in got.seen) <= 201

    run(test)


def test_closing_the_gateway_interrupts_what_is_in_flight() -> None:
    async def test() -> None:
        async with provider(says_and_waits(CHUNKED, chunk(word("Hel")))) as upstream:
            async with gateway(upstream.url) as opened:
                got = ask(opened)
                await until(lambda: got.text)
            terminal = await got.ended()
            assert (terminal.status, terminal.code, terminal.retryable) == (Status.FAILED, "interrupted", True)
            await until(lambda: upstream.open == 0)

    run(test)


def test_hundreds_of_answers_at_once_all_complete() -> None:
    async def test() -> None:
        async with provider(says(HELLO)) as upstream, gateway(upstream.url) as opened:
            answers = [ask(opened) for _ in range(300)]
            terminals = [await got.ended() for got in answers]
            assert {terminal.status for terminal in terminals} == {Status.COMPLETED}
            assert {got.text for got in answers} == {"Hello"}
            assert len(upstream.requests) == 300

    run(test)
