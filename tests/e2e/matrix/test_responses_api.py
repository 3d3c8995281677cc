"""What the Responses API has beyond one answer, through the official SDKs: objects, background, turns, cursors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response

from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.seen import DIALECTS, Job
from tests.e2e.matrix.words import PROMPT, SCHEMA, Ask, said

ENDED = ("completed", "incomplete", "failed", "cancelled")
each_provider = pytest.mark.parametrize("provider", DIALECTS)


@pytest.fixture(scope="module")
def sdk(crossing: GatewayProcess) -> Iterator[OpenAI]:
    with OpenAI(base_url=crossing.url + "/v1", api_key="none", max_retries=0, timeout=30) as client:
        yield client


def ended(sdk: OpenAI, response_id: str) -> Response:
    """The response once it has ended."""
    deadline = time.monotonic() + 20
    while True:
        response = sdk.responses.retrieve(response_id)
        if response.status in ENDED:
            return response
        assert time.monotonic() < deadline, "it never ended"
        time.sleep(0.02)


@each_provider
def test_response_can_be_retrieved_as_it_was_answered(sdk: OpenAI, provider: str) -> None:
    created = sdk.responses.create(model=f"{provider}/sim-fast-t10", input=PROMPT)
    shown = sdk.responses.retrieve(created.id)
    assert (shown.id, shown.status, shown.output_text) == (created.id, "completed", created.output_text)
    assert shown.usage == created.usage
    assert shown.model == created.model


@each_provider
def test_response_in_the_background_goes_on_by_itself(sdk: OpenAI, provider: str) -> None:
    model = f"{provider}/sim-t30-r100-f50"
    started = sdk.responses.create(model=model, input=PROMPT, background=True)
    assert started.status in ("queued", "in_progress")
    assert started.background is True
    response = ended(sdk, started.id)
    assert response.status == "completed"
    assert response.output_text == sdk.responses.create(model=model, input=PROMPT).output_text


@each_provider
def test_background_stream_that_breaks_is_resumed_after_its_last_event(sdk: OpenAI, provider: str) -> None:
    model = f"{provider}/sim-t100-r100-f0"
    first: list[Any] = []
    with sdk.responses.create(model=model, input=PROMPT, background=True, stream=True) as stream:
        for event in stream:
            first.append(event)
            if len(first) == 8:
                break
    id_ = first[0].response.id
    rest = list(sdk.responses.retrieve(id_, stream=True, starting_after=first[-1].sequence_number))
    numbers = [event.sequence_number for event in (*first, *rest)]
    assert numbers == list(range(len(numbers)))
    assert rest[-1].type == "response.completed"
    text = "".join(event.delta for event in (*first, *rest) if event.type == "response.output_text.delta")
    assert text == rest[-1].response.output_text == ended(sdk, id_).output_text


@each_provider
def test_cancelled_response_stays_cancelled_and_its_stream_fails(sdk: OpenAI, provider: str) -> None:
    started = sdk.responses.create(model=f"{provider}/sim-t20000-r50-f0", input=PROMPT, background=True)
    assert sdk.responses.cancel(started.id).status == "cancelled"
    assert sdk.responses.cancel(started.id).status == "cancelled"
    events = list(sdk.responses.retrieve(started.id, stream=True))
    assert events[-1].type == "response.failed"
    assert sdk.responses.retrieve(started.id).status == "cancelled"


def test_response_that_has_ended_cannot_be_cancelled(sdk: OpenAI) -> None:
    created = sdk.responses.create(model="gemini/sim-fast-t3", input=PROMPT)
    with pytest.raises(openai.ConflictError):
        sdk.responses.cancel(created.id)


def test_deleted_response_is_gone(sdk: OpenAI) -> None:
    for model in ("gemini/sim-fast-t3", "anthropic-messages/sim-t20000-r50-f0"):
        created = sdk.responses.create(model=model, input=PROMPT, background=True)
        sdk.responses.delete(created.id)
        for ask in (
            lambda id_=created.id: sdk.responses.retrieve(id_),
            lambda id_=created.id: sdk.responses.delete(id_),
            lambda id_=created.id: list(sdk.responses.retrieve(id_, stream=True)),
            lambda id_=created.id: sdk.responses.input_items.list(id_),
        ):
            with pytest.raises(openai.NotFoundError):
                ask()


def test_deleting_ends_what_is_being_read_as_a_failure(sdk: OpenAI) -> None:
    with sdk.responses.create(model="openai-chat/sim-t20000-r50-f0", input=PROMPT, stream=True) as stream:
        events = iter(stream)
        first = next(events)
        assert first.type == "response.created"
        sdk.responses.delete(first.response.id)
        assert [event.type for event in events][-1] == "response.failed"


@each_provider
def test_turn_refers_to_the_one_before_it(sdk: OpenAI, provider: str) -> None:
    model = f"{provider}/sim-fast-parallel"
    tools: Any = [{"type": "function", "name": n, "parameters": SCHEMA, "strict": True} for n in ("open", "close")]
    first = sdk.responses.create(model=model, input=PROMPT, tools=tools)
    calls = [item for item in first.output if item.type == "function_call"]
    assert len(calls) == 2
    results: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "done"} for call in calls]
    second = sdk.responses.create(model=model, input=results, tools=tools, previous_response_id=first.id)
    assert second.output_text
    assert second.previous_response_id == first.id
    third = sdk.responses.create(model=model, input="And then?", previous_response_id=second.id)
    items = sdk.responses.input_items.list(third.id, order="asc", limit=20)
    kinds = [item.type for item in items]
    assert kinds == ["message", "function_call", "function_call"] + ["function_call_output"] * 2 + ["message"] * 2


def test_turn_cannot_refer_to_a_response_that_is_not_there_or_not_done(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        sdk.responses.create(model="gemini/sim", input=PROMPT, previous_response_id="resp_" + "0" * 32)
    running = sdk.responses.create(model="gemini/sim-t20000-r50", input=PROMPT, background=True)
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model="gemini/sim", input=PROMPT, previous_response_id=running.id)
    assert refused.value.param == "previous_response_id"
    sdk.responses.cancel(running.id)


def test_input_that_was_not_to_be_stored_is_not_listed(sdk: OpenAI) -> None:
    created = sdk.responses.create(model="gemini/sim-fast-t3", input=PROMPT, store=False)
    with pytest.raises(openai.NotFoundError):
        list(sdk.responses.input_items.list(created.id))


def test_input_items_are_listed_in_pages(sdk: OpenAI) -> None:
    turns: Any = [{"role": "user", "content": f"turn {number}"} for number in range(7)]
    created = sdk.responses.create(model="gemini/sim-fast-t3", input=turns)
    for order, expected in (("asc", range(7)), ("desc", reversed(range(7)))):
        items: Any = sdk.responses.input_items
        listed = items.list(created.id, limit=3, order=order)
        texts = [item.content[0].text for item in listed]
        assert texts == [f"turn {number}" for number in expected]


@each_provider
def test_tokens_of_an_input_are_counted_without_a_provider(sdk: OpenAI, provider: str) -> None:
    def count(text: str) -> int:
        return sdk.responses.input_tokens.count(model=f"{provider}/sim", input=text).input_tokens

    assert 5 < count(PROMPT) < count(PROMPT * 10)


def test_lifecycle_is_the_same_in_both_languages(desk: Desk, crossing: GatewayProcess, npm: None) -> None:
    job = Job("node openai-responses", "gemini/sim-fast-t20", said("openai-responses", Ask()), act="lifecycle")
    (seen,) = desk.ask(crossing.url, [job])
    assert seen.error is None, seen.error
    value = seen.value
    assert value["first"] in ("queued", "in_progress", "completed")
    assert value["last"] == "completed"
    assert value["text"]
    assert value["numbers"] == list(range(4, 4 + len(value["numbers"])))
    assert value["items"] == ["message"]
    assert value["after"] == 404
