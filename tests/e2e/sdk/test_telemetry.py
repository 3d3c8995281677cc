"""The numbers and the log lines say what was done, and nothing of what was said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from headgate.telemetry.metrics import METRICS, MODELS_MAX
from tests.e2e.conftest import KINDS, configured
from tests.e2e.harness import GatewayProcess, until
from tests.e2e.sdk.asking import PROMPT, body, key_hash, post, response_id
from tests.e2e.sdk.sockets import ask, creation, head

KEY = "hg-telemetry-key"
SECRET = "the-secret-of-the-third-gate"


@pytest.fixture(scope="module", params=list(KINDS))
def counted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that nobody else talks to."""
    text = configured(keys=f'[[keys]]\nname = "app"\nhash = "{key_hash(KEY)}"\n', level="debug")
    with KINDS[request.param].start(text, directory=tmp_path_factory.mktemp("counted")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def caller(counted: GatewayProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=counted.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as http:
        yield http


@pytest.fixture(scope="module")
def done(caller: httpx.Client) -> dict[str, str]:
    """What was asked, and under which id it is known."""
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "whole": ("sim-fast-t20", {}),
        "streamed": ("sim-fast-t20", {"stream": True}),
        "cut": ("sim-fast-t20+cut@7", {"stream": True}),
        "unusual": ("sim-fast-t20+no-usage", {"stream": True}),
        "refused": ("sim-fast+429", {}),
        "told": ("sim-fast-t3", {"metadata": {"secret": SECRET}, "user": SECRET}),
    }
    return {name: response_id(post(caller, model, **fields)) for name, (model, fields) in asked.items()}


def families(caller: httpx.Client) -> dict[str, Metric]:
    answer = caller.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value(found: dict[str, Metric], sample: str, **labels: str) -> float:
    """The sum over every sample of this name that has these labels."""
    return sum(
        one.value
        for family in found.values()
        for one in family.samples
        if one.name == sample and labels.items() <= one.labels.items()
    )


def test_metrics_parse_and_are_those_that_are_documented(caller: httpx.Client, done: dict[str, str]) -> None:
    known = {spec.name.removesuffix("_total") for spec in METRICS}
    found = families(caller)
    assert done
    assert set(found) <= known
    for family in found.values():
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")


def test_metrics_count_what_was_done(caller: httpx.Client, done: dict[str, str]) -> None:
    found = families(caller)
    responses = "headgate_responses_total"
    assert value(found, responses) == len(done)
    assert value(found, responses, terminal="completed", model="sim-fast-t20", dialect="openai-chat") == 2
    assert value(found, responses, terminal="failed", error_type="upstream_cut", provider="sim") == 1
    assert value(found, responses, terminal="failed", error_type="upstream_rate_limited") == 1
    assert value(found, "headgate_upstream_errors_total") == 2
    assert value(found, "headgate_estimated_usage_total", provider="sim") == 2
    tokens = "gen_ai_client_token_usage"
    assert value(found, f"{tokens}_sum", model="sim-fast-t20", token_type="output") == 40
    assert value(found, f"{tokens}_count", model="sim-fast-t20", token_type="output") == 2
    assert value(found, "gen_ai_server_time_to_first_token_seconds_count") == len(done) - 1
    assert value(found, "gen_ai_server_request_duration_seconds_count") == len(done)
    assert value(found, "headgate_requests_total", endpoint="/v1/chat/completions", status="200") == 5
    assert value(found, "headgate_requests_total", endpoint="/v1/chat/completions", status="429") == 1
    assert value(found, "headgate_open_responses") == 0
    assert value(found, "headgate_readers") == 0


def test_resumes_are_counted_by_dialect(caller: httpx.Client, done: dict[str, str]) -> None:
    before = value(families(caller), "headgate_resumes_total", dialect="openai-chat")
    path = f"/v1/responses/{done['streamed']}/events"
    caller.get(path, params={"after": 5, "dialect": "openai-chat"})
    caller.get(path, params={"dialect": "openai-chat"})
    assert value(families(caller), "headgate_resumes_total", dialect="openai-chat") == before + 1


def test_ids_do_not_become_labels(caller: httpx.Client, done: dict[str, str]) -> None:
    for id_ in done.values():
        caller.get(f"/v1/responses/{id_}")
    caller.get("/v1/responses/resp_" + "0" * 32)
    caller.get("/v1/anything/else")
    text = caller.get("/metrics").text
    assert "resp_" not in text
    assert "anything" not in text


def test_models_that_clients_make_up_do_not_flood_the_metrics(counted: GatewayProcess, caller: httpx.Client) -> None:
    if counted.mount:
        pytest.skip("it takes seconds, and the metrics do not know where they are mounted")
    responses, refused = "headgate_responses_total", {"model": "other", "provider": "sim", "dialect": "openai-chat"}
    refused |= {"terminal": "failed", "error_type": "upstream_rejected"}
    before = value(families(caller), responses, **refused)
    ask_for_all(counted, [f"sim-fast-made-up-{number}" for number in range(1_100)])
    found = families(caller)
    assert value(found, responses, **refused) == before + 1_100
    assert not any("made-up" in one.labels["model"] for one in found["headgate_responses"].samples)

    assert post(caller, "sim-fast-t7").status_code == 200
    ask_for_all(counted, [f"sim-fast-t1-f0.{number:03}" for number in range(2 * MODELS_MAX)])
    found = families(caller)
    assert len({one.labels["model"] for one in found["headgate_responses"].samples}) == MODELS_MAX + 1
    assert value(found, responses, model="sim-fast-t7", terminal="completed") == 1
    assert value(found, responses, model="other", terminal="completed") > 0


def ask_for_all(gateway: GatewayProcess, models: list[str]) -> None:
    for start in range(0, len(models), 100):  # a hundred requests down one connection, then their answers
        requests = [
            creation(gateway, body(model), f"Authorization: Bearer {KEY}", close=False)
            for model in models[start : start + 100]
        ]
        ask(gateway, b"".join(requests) + head(gateway, "GET", "/healthz"))


def lines(gateway: GatewayProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gateway.logs().splitlines()]


def test_every_finished_response_has_one_line_with_its_ids_and_numbers(
    counted: GatewayProcess, done: dict[str, str]
) -> None:
    def found() -> dict[str, list[dict[str, Any]]]:
        about = [line for line in lines(counted) if line["message"] == "response"]
        return {name: [line for line in about if line["response"] == id_] for name, id_ in done.items()}

    until(lambda: all(found().values()))
    assert {len(about) for about in found().values()} == {1}
    streamed, cut = found()["streamed"][0], found()["cut"][0]
    assert (streamed["terminal"], streamed["code"]) == ("completed", None)
    assert (streamed["owner"], streamed["provider"], streamed["model"]) == ("app", "sim", "sim-fast-t20")
    assert (streamed["stream"], streamed["output_tokens"], streamed["estimated"]) == (True, 20, False)
    assert (cut["terminal"], cut["code"], cut["estimated"]) == ("failed", "upstream_cut", True)


def test_no_line_holds_a_prompt_an_answer_or_a_key(
    counted: GatewayProcess, caller: httpx.Client, done: dict[str, str]
) -> None:
    """Also at the level ``debug``, and also where things go wrong."""
    answer = caller.get(f"/v1/responses/{done['whole']}").json()["output"][0]["content"][0]["text"]
    caller.post("/v1/chat/completions", content=SECRET, headers={"content-type": "application/json"})
    caller.get(f"/v1/{SECRET}")
    logs = counted.logs()
    for text in (PROMPT, answer, KEY, SECRET):
        assert text not in logs
    for word in ("canal", "headgate is"):
        assert word not in logs.lower()


def test_logs_of_people_are_lines_too(tmp_path: Path) -> None:
    text = configured().replace('format = "json"', 'format = "human"')
    with KINDS["served"].start(text, directory=tmp_path) as gateway:
        id_ = response_id(
            httpx.post(
                gateway.url + "/v1/chat/completions",
                json={"model": "sim-fast-t3", "messages": [{"role": "user", "content": PROMPT}]},
            )
        )
        until(lambda: id_ in gateway.logs())
        assert PROMPT not in gateway.logs()
