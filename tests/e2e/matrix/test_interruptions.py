"""What happens to streams between the gateway and its clients: silence with heartbeats, and the death of the process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import GatewayProcess, until
from tests.e2e.matrix.conftest import configured
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.seen import DIALECTS, Job
from tests.e2e.matrix.words import Ask, said

SLOW = "sim-t3-r0.7-f0"
"""Silent for longer than the gateway stays silent."""
ENDLESS = "sim-t20000-r100-f0"


def test_heartbeats_of_a_slow_stream_harm_no_client(desk: Desk, crossing: GatewayProcess, language: str) -> None:
    jobs = [
        Job(f"{language} {client}", f"{provider}/{model}", said(client, Ask(), stream=stream), stream=stream)
        for model, stream in (("sim-fast-t3", False), (SLOW, True))
        for client in DIALECTS
        for provider in DIALECTS
    ]
    seen = desk.ask(crossing.url, jobs)
    assert [one.error for one in seen] == [None] * len(jobs)
    whole, streamed = seen[: len(jobs) // 2], seen[len(jobs) // 2 :]
    assert [one.text for one in streamed] == [one.text for one in whole]
    assert all(one.finish for one in streamed)


@pytest.mark.parametrize("shape", ["frames", "array"])
def test_heartbeats_are_there(plain: httpx.Client, shape: str) -> None:
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    query = "?alt=sse" if shape == "frames" else ""
    answer = plain.post(f"/v1beta/models/gemini/{SLOW}:streamGenerateContent{query}", json=body)
    assert answer.text.count("\n\n\n" if shape == "frames" else "\n\n") > 0
    if shape == "array":
        chunks = answer.json()
        assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


def test_death_of_the_gateway_is_no_success(desk: Desk, language: str, tmp_path: Path) -> None:
    jobs = [
        Job(f"{language} {client}", f"{provider}/{ENDLESS}", said(client, Ask(), stream=True), stream=True)
        for client in DIALECTS
        for provider in DIALECTS
    ]
    with GatewayProcess.start(configured(), directory=tmp_path) as gateway, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(desk.ask, gateway.url, jobs)
        try:
            until(lambda: open_streams(gateway) == len(jobs), what="every stream has begun")
        finally:
            gateway.kill()
        for job, seen in zip(jobs, asked.result(), strict=True):
            assert seen.error is not None, (job, seen)
            assert not seen.finish


def open_streams(gateway: GatewayProcess) -> float:
    """Streams whose headers have left, which they do with the first token."""
    lines = httpx.get(f"{gateway.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("headgate_open_streams"))
