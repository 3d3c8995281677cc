"""The demo shows what it says, says so when it does not, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from headgate import demo
from headgate.demo.client import Frame, Received, answer_digest, difference, out_of_order

COMMAND = (sys.executable, "-m", "headgate", "demo")
FORGETFUL = """
[store]
url = "memory:"
[[providers]]
name = "simulator"
base_url = "simulator:"
[[routes]]
model = "sim*"
to = ["simulator/sim-t300-r200"]
"""


def environment(folder: Path) -> dict[str, str]:
    """Temporary files in `folder`, so that what is left of them can be seen."""
    return {**os.environ, "TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}


def gateways(text: str) -> list[int]:
    """Processes the demo says it started."""
    return [int(pid) for pid in re.findall(r"process (\d+)", text)]


def assert_gone(pids: list[int]) -> None:
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_demo_shows_the_main_job_and_every_claim_holds(tmp_path: Path) -> None:
    run = subprocess.run(COMMAND, env=environment(tmp_path), capture_output=True, text=True, timeout=120, check=False)
    said = run.stdout
    assert run.returncode == 0, said + run.stderr
    for claim in (
        "~~~ cut by us after event",
        "Every event came once and in order",
        "Both pieces are, byte for byte, the stream that was not broken",
        "The same bytes after the restart",
        "Every event the client had seen is still there, under its number",
        "The answer ended honestly: failed, interrupted, retryable True",
        "All 13 claims held",
    ):
        assert claim in said, claim
    assert "✗" not in said
    assert list(tmp_path.iterdir()) == []
    assert len(gateways(said)) == 3
    assert_gone(gateways(said))


def test_demo_of_a_gateway_that_forgets_says_what_did_not_hold() -> None:
    out = Console(file=io.StringIO(), width=100)
    assert demo.run(out, config=FORGETFUL) == 1
    said = out.file.getvalue()  # type: ignore[attr-defined]
    assert "did not hold" in said
    assert "404" in said, "after the restart nobody knows the answer"
    assert_gone(gateways(said))


def test_demo_that_is_stopped_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    with subprocess.Popen(
        COMMAND, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout is not None
        said = ""
        while "POST /v1/chat/completions" not in said:
            line = run.stdout.readline()
            assert line, said
            said += line
        run.send_signal(signal.SIGTERM)
        said += run.stdout.read()
        assert run.wait(timeout=30) == 130, said
    assert list(tmp_path.iterdir()) == []
    assert len(gateways(said)) == 1
    assert_gone(gateways(said))


def test_bytes_that_differ_are_noticed() -> None:
    assert difference(b"the same", b"the same") is None
    assert difference(b"the same", b"the sane") == "8 bytes instead of 8, different from byte 6 on"
    assert difference(b"the whole", b"the who") == "7 bytes instead of 9, different from byte 7 on"
    assert difference(b"", b"more") == "4 bytes instead of 0, different from byte 0 on"


@pytest.mark.parametrize(
    ("ids", "after", "problem"),
    [
        ((4, 5, 6), 0, None),
        ((10, 11, 14), 9, None),
        ((), 0, "no event came"),
        ((11, 12), 9, "the first event is 11 instead of 10"),
        ((9, 10), 9, "the first event is 9 instead of 10"),
        ((4, 5, 5), 0, "event 5 came out of order"),
        ((4, 6, 5), 0, "event 5 came out of order"),
    ],
)
def test_events_that_are_missing_or_come_twice_are_noticed(
    ids: tuple[int, ...], after: int, problem: str | None
) -> None:
    assert out_of_order(ids, after=after) == problem


def test_digest_of_another_text_is_another() -> None:
    assert answer_digest("42 is even.") == "3cb57e7b83394dd33a29a1a0fcb55c57764575311999dfe9e110845b35a6e961"
    assert answer_digest("42 is odd.") != answer_digest("42 is even.")


def test_stream_without_its_end_marker_is_not_taken_for_done() -> None:
    text = Frame(
        b'id: 5\ndata: {"choices":[{"delta":{"content":"Hi"}}]}\n\n', 5, b'{"choices":[{"delta":{"content":"Hi"}}]}'
    )
    end = Frame(b"id: 9\ndata: [DONE]\n\n", 9, b"[DONE]")
    assert not Received([text]).done
    assert Received([text, end]).done
    assert (Received([text, end]).text, Received([text, end]).cursor) == ("Hi", 9)
