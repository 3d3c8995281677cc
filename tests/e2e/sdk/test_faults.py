"""Every fault the simulator knows, streamed and whole, through the official SDK in both its forms.

The central promise: the SDK never hands its user a cut answer as if it were whole. Everything is asked at once and
only once for each kind of gateway (some faults are silences that only a timeout ends); the tests look at what came.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple

import httpx
import openai
import pytest
from openai import APIError, AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from headgate.simulator import FaultName
from tests.e2e.harness import GatewayProcess
from tests.e2e.sdk.asking import MESSAGES, TEXT, TOOLS


class Outcome(NamedTuple):
    """What a request must come to."""

    terminal: str
    error: type[APIError] | None = None
    """Exactly this class. `APIError` itself is what the SDK makes of an error inside a stream."""
    code: str = ""
    """Of the log's terminal."""


FULL: Final = Outcome("completed")


def in_band(code: str) -> Outcome:
    """The stream had begun."""
    return Outcome("failed", openai.APIError, code)


def status(code: str, error: type[APIError] = openai.InternalServerError) -> Outcome:
    """Nothing had been sent."""
    return Outcome("failed", error, code)


OUTCOMES: Final[Mapping[str, tuple[Outcome, Outcome]]] = {
    # fault: (streamed, whole)
    "429": (status("upstream_rate_limited", openai.RateLimitError),) * 2,
    "500": (status("upstream_error"),) * 2,
    "503": (status("upstream_error"),) * 2,
    "401": (status("upstream_auth"),) * 2,
    "400": (status("upstream_rejected", openai.BadRequestError),) * 2,
    "404": (status("upstream_rejected", openai.NotFoundError),) * 2,
    "hang": (status("upstream_first_token_timeout"), status("upstream_timeout")),
    "slow-headers@0.3": (FULL, FULL),
    "huge-headers": (status("upstream_too_large"),) * 2,
    "html": (status("upstream_malformed"),) * 2,
    "empty": (status("upstream_cut"), status("upstream_malformed")),
    "no-stream": (FULL, FULL),
    "cut": (in_band("upstream_cut"), status("upstream_cut")),
    "reset": (in_band("upstream_cut"), status("upstream_cut")),
    "eof": (in_band("upstream_cut"), status("upstream_malformed")),
    "close": (in_band("upstream_cut"), status("upstream_malformed")),
    "stall": (in_band("upstream_stalled"), status("upstream_timeout")),
    "stall-comments": (in_band("upstream_stalled"), status("upstream_timeout")),
    "bad-length": (FULL, status("upstream_cut")),
    "truncated-json": (in_band("upstream_malformed"), status("upstream_malformed")),
    "garbage": (in_band("upstream_malformed"), status("upstream_malformed")),
    "noise": (FULL, FULL),
    "huge-line": (in_band("upstream_too_large"), FULL),
    "error": (in_band("upstream_error"), status("upstream_error")),
    "error-object": (in_band("upstream_error"), status("upstream_error")),
    "error-event": (in_band("upstream_error"), status("upstream_error")),
    "no-done": (FULL, FULL),
    "no-done-open": (FULL, FULL),
    "no-finish": (in_band("upstream_cut"), status("upstream_cut")),
    "no-usage": (FULL, FULL),
    "length": (Outcome("truncated"),) * 2,
    "content-filter": (Outcome("filtered"),) * 2,
    "split-utf8": (FULL, FULL),
    "drip": (FULL, FULL),
    "crlf": (FULL, FULL),
    "bom": (FULL, FULL),
}
SILENCES: Final = ("hang", "stall", "stall-comments", "no-done-open")
"""Only a timeout ends these. They are asked on a route with short ones, when the machine has nothing else to do."""
FINISHES: Final = {"completed": {"stop", "tool_calls"}, "truncated": {"length"}, "filtered": {"content_filter"}}

SHAPES: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "text": (TEXT, {}),
    "choices": (TEXT, {"n": 2}),
    "tools": ("sim-fast-tools", {"tools": TOOLS, "parallel_tool_calls": True}),
}
CLIENTS: Final = ("async", "sync")

Said = dict[tuple[int, str], str]
"""Text by choice and part: ``content``, ``refusal``, or the name of a called function."""


class Case(NamedTuple):
    client: str
    shape: str
    fault: str
    """Empty for the request without a fault."""
    stream: bool

    @property
    def request(self) -> dict[str, Any]:
        model, fields = SHAPES[self.shape]
        model = f"{model}+{self.fault}" if self.fault else model
        model = f"hasty/{model}" if self.fault in SILENCES else model
        return {"model": model, "messages": MESSAGES, "stream": self.stream, **fields}

    @property
    def outcome(self) -> Outcome:
        return OUTCOMES[self.fault][0 if self.stream else 1] if self.fault else FULL

    def __str__(self) -> str:
        return "-".join((self.client, self.shape, self.fault, "streamed" if self.stream else "whole"))


class Seen:
    """What the SDK made of one request."""

    def __init__(self) -> None:
        self.said: Said = {}
        self.finishes: dict[int, str | None] = {}
        self.error: APIError | None = None
        self.response_id = ""
        self.retry_after: str | None = None
        self.object: dict[str, Any] = {}
        """``GET /v1/responses/{id}`` afterwards."""
        self._names: dict[tuple[int, int], str] = {}

    def take(self, answer: ChatCompletion | ChatCompletionChunk) -> None:
        for choice in answer.choices:
            message = choice.message if hasattr(choice, "message") else choice.delta
            self._say(choice.index, "content", message.content)
            self._say(choice.index, "refusal", message.refusal)
            for position, call in enumerate(message.tool_calls or ()):
                key = (choice.index, getattr(call, "index", position))
                function = getattr(call, "function", None)
                assert function is not None
                self._names.setdefault(key, function.name or "")
                self._say(choice.index, self._names[key], function.arguments)
            self.finishes[choice.index] = choice.finish_reason or self.finishes.get(choice.index)

    def fail(self, error: APIError) -> None:
        self.error = error
        if isinstance(error, openai.APIStatusError):
            self.response_id = error.response.headers.get("headgate-response-id", "")
            self.retry_after = error.response.headers.get("retry-after")

    def _say(self, choice: int, part: str, text: str | None) -> None:
        if text:
            self.said[choice, part] = self.said.get((choice, part), "") + text


def ask(client: OpenAI, case: Case) -> Seen:
    seen = Seen()
    try:
        raw = client.chat.completions.with_raw_response.create(**case.request)
        seen.response_id = raw.headers["headgate-response-id"]
        answer: Any = raw.parse()
        for one in answer if case.stream else (answer,):
            seen.take(one)
    except APIError as error:
        seen.fail(error)
    return seen


async def ask_async(client: AsyncOpenAI, case: Case) -> Seen:
    seen = Seen()
    try:
        raw = await client.chat.completions.with_raw_response.create(**case.request)
        seen.response_id = raw.headers["headgate-response-id"]
        answer: Any = raw.parse()
        if case.stream:
            async for one in answer:
                seen.take(one)
        else:
            seen.take(answer)
    except APIError as error:
        seen.fail(error)
    return seen


CASES: Final = [
    Case(client, shape, fault, stream)
    for client, shapes in (("async", list(SHAPES)), ("sync", ["text"]))
    for shape in shapes
    for fault in ("", *OUTCOMES)
    for stream in (True, False)
]
each_fault = pytest.mark.parametrize("fault", list(OUTCOMES))
each_mode = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


@pytest.fixture(scope="module")
def seen(gateway: GatewayProcess, http: httpx.Client) -> dict[Case, Seen]:
    """Everything, asked once."""
    base_url = gateway.url + "/v1"
    found: dict[Case, Seen] = {}

    async def all_at_once(cases: list[Case]) -> None:
        limit = asyncio.Semaphore(64)

        async def one(sdk: AsyncOpenAI, case: Case) -> None:
            async with limit:
                found[case] = await ask_async(sdk, case)

        async with (
            AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=30) as sdk,
            asyncio.TaskGroup() as group,
        ):
            for case in cases:
                group.create_task(one(sdk, case))

    for silent in (False, True):
        cases = [case for case in CASES if (case.fault in SILENCES) == silent]
        asyncio.run(all_at_once([case for case in cases if case.client == "async"]))
        with (
            OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=30) as sdk,
            ThreadPoolExecutor(16) as pool,
        ):
            mine = [case for case in cases if case.client == "sync"]
            found |= zip(mine, pool.map(partial(ask, sdk), mine), strict=True)
    for case, one in found.items():
        assert one.response_id, f"no id: {case}"
        one.object = http.get(f"/v1/responses/{one.response_id}").json()
    return found


def cases(fault: str, stream: bool) -> list[Case]:
    """One fault in one mode: every client and shape."""
    return [case for case in CASES if case.fault == fault and case.stream == stream]


def unfaulted(seen: dict[Case, Seen], case: Case) -> Said:
    said = seen[case._replace(fault="", stream=False)].said
    assert said
    return said


def in_log(shown: dict[str, Any]) -> Said:
    """What the object of a response says, in the same form."""
    items = {item["id"]: item for item in shown["output"]}
    said: Said = {}
    for choice in shown["headgate"]["choices"]:
        for item in (items[name] for name in choice["items"]):
            if item["type"] == "function_call":
                part, text = item["name"], item["arguments"]
            else:
                (content,) = item["content"]
                part, text = "content", content.get("text") or content.get("refusal") or ""
            if text:
                said[choice["choice"], part] = text
    return said


def test_table_covers_every_fault_the_simulator_lists() -> None:
    assert {fault.partition("@")[0] for fault in OUTCOMES} == set(FaultName)


@each_mode
@each_fault
def test_answer_that_raises_nothing_is_the_whole_answer(seen: dict[Case, Seen], fault: str, stream: bool) -> None:
    for case in cases(fault, stream):
        one = seen[case]
        if one.error is None:
            assert one.said == unfaulted(seen, case), case
            assert all(one.finishes.values())


@each_mode
@each_fault
def test_fault_ends_as_the_table_says(seen: dict[Case, Seen], fault: str, stream: bool) -> None:
    for case in cases(fault, stream):
        one, expected = seen[case], case.outcome
        assert (type(one.error) if one.error else None) is expected.error, (case, one.error)
        terminal = one.object["headgate"]["terminal"]
        assert (terminal["status"], terminal.get("code", "")) == (expected.terminal, expected.code), case
        if expected.error is None:
            assert set(one.finishes.values()) <= FINISHES[expected.terminal]
            assert one.object["error"] is None
        else:
            assert one.object["error"]["headgate"]["code"] == expected.code


@each_mode
@each_fault
def test_log_holds_what_the_client_saw_and_nothing_else(seen: dict[Case, Seen], fault: str, stream: bool) -> None:
    for case in cases(fault, stream):
        one = seen[case]
        kept = in_log(one.object)
        if case.stream or one.error is None:
            assert kept == one.said, case
        for part, text in kept.items():
            assert unfaulted(seen, case)[part].startswith(text)


@each_mode
@each_fault
def test_usage_is_the_providers_or_an_estimate_that_says_so(seen: dict[Case, Seen], fault: str, stream: bool) -> None:
    for case in cases(fault, stream):
        one = seen[case]
        usage, estimated = one.object["usage"], one.object["headgate"]["usage_estimated"]
        text_bytes = sum(len(text.encode()) for text in in_log(one.object).values())
        if usage is None:
            assert one.error is not None
            assert text_bytes == 0
        elif estimated:
            assert case.fault == "no-usage" or one.error is not None
            assert usage["output_tokens"] == math.ceil(text_bytes / 4)
        else:
            reference = seen[case._replace(fault="", stream=False)].object["usage"]
            assert usage == reference


@each_mode
def test_rate_limit_says_when_to_come_back(seen: dict[Case, Seen], stream: bool) -> None:
    assert seen[Case("sync", "text", "429", stream)].retry_after == "1"


@each_mode
def test_a_rejected_request_shows_the_providers_own_words(seen: dict[Case, Seen], stream: bool) -> None:
    error = seen[Case("sync", "text", "400", stream)].error
    assert error is not None
    assert error.code == "invalid_value"
    assert "simulated" in error.message


def test_the_gateways_credentials_are_not_the_callers_business(seen: dict[Case, Seen]) -> None:
    error = seen[Case("sync", "text", "401", True)].error
    assert isinstance(error, openai.InternalServerError)
    assert error.code == "upstream_auth"


def test_a_provider_that_is_not_there_is_an_error_before_the_first_byte(client: OpenAI) -> None:
    for stream in (True, False):
        with pytest.raises(openai.InternalServerError) as refused:
            client.chat.completions.create(model="dead/any", messages=MESSAGES, stream=stream)
        assert (refused.value.status_code, refused.value.code) == (502, "upstream_connect")


@pytest.mark.parametrize("model", ["streamed/sim-fast-t20+cut@5", "hasty/sim-fast+hang"], ids=["cut", "late"])
def test_sdk_does_not_pay_twice_for_a_whole_answer_that_failed_after_tokens(
    gateway: GatewayProcess, model: str
) -> None:
    """With retries on: the header ``x-should-retry: false`` keeps the SDK from asking again."""
    asked = 0

    def count(_: Any) -> None:
        nonlocal asked
        asked += 1

    with OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=3) as sdk:
        sdk._client.event_hooks["request"].append(count)
        with pytest.raises(openai.InternalServerError):
            sdk.chat.completions.create(model=model, messages=MESSAGES)
    assert asked == 1
