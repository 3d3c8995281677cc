"""Requests of clients: read, refused, echoed, passed on; and the items they leave behind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseItemList
from openai.types.responses.input_token_count_response import InputTokenCountResponse

from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.dialects.openai_responses.items import input_items, output_as_input
from headgate.errors import RequestError
from headgate.events import AnyEvent, ChoiceDone, Delta, PartDone, PartKind, PartStarted, Reason
from tests.unit.openai_responses.wire import HEX, RESPONSE, fold, log, whole

ID = f"resp_{HEX}"


def request(**fields: Any) -> Any:
    return OPENAI_RESPONSES.read_request(json.dumps({"model": "m", "input": "Hi"} | fields).encode())


def test_request_is_read() -> None:
    found = request(instructions="Be brief.", tools=[{"type": "web_search"}], stream=True, background=True)
    assert (found.model, found.stream, found.choices, found.background) == ("m", True, 1, True)
    assert found.text == ["Hi", "Be brief.", [{"type": "web_search"}]]
    assert found.input == [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]


def test_request_that_says_nothing_has_no_echo() -> None:
    assert request().echo is None
    assert request(temperature=None, tools=None).echo is None


def test_input_is_kept_unless_the_client_forbids_it() -> None:
    items = [{"role": "user", "content": "Hi"}]
    assert request(input=items).input == items
    assert request(input=items, store=True).input == items
    assert request(input=items, store=False).input is None


@pytest.mark.parametrize(
    ("field", "given", "shown"),
    [
        ("temperature", 0.2, 0.2),
        ("metadata", {"a": "b"}, {"a": "b"}),
        ("reasoning", {"effort": "low"}, {"effort": "low", "summary": None}),
        ("text", {"verbosity": "low"}, {"verbosity": "low", "format": {"type": "text"}}),
        ("tool_choice", "required", "required"),
        ("tool_choice", {"type": "allowed_tools", "tools": []}, {"type": "allowed_tools", "tools": [], "mode": "auto"}),
        ("conversation", "conv_1", {"id": "conv_1"}),
        ("previous_response_id", ID, ID),
        (
            "tools",
            [{"type": "function", "name": "f"}, {"type": "web_search"}],
            [
                {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None},
                {"type": "web_search"},
            ],
        ),
        (
            "text",
            {"format": {"type": "json_schema", "name": "n", "schema": {}}},
            {"format": {"type": "json_schema", "name": "n", "schema": {}, "description": None, "strict": None}},
        ),
    ],
)
def test_parameters_are_shown_in_full(field: str, given: Any, shown: Any) -> None:
    echo = request(**{field: given}).echo
    assert echo == {field: shown}
    events: list[AnyEvent] = [PartStarted(0, 0, PartKind.TEXT), PartDone(0, 0), ChoiceDone(0, Reason.STOP)]
    response = whole(log(events, provider="openai-chat", started={"echo": echo}))
    assert response[field] == shown
    RESPONSE.validate_python(response)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "Hi"}, "model"),
        ({"model": "", "input": "Hi"}, "model"),
        ({"model": "m" * 300, "input": "Hi"}, "model"),
        ({"model": "a\nb", "input": "Hi"}, "model"),
        ({"model": 7, "input": "Hi"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": None}, "input"),
        ({"model": "m", "input": {"role": "user"}}, "input"),
        ({"model": "m", "input": ["Hi"]}, "input[0]"),
        ({"model": "m", "input": "Hi", "stream": "yes"}, "stream"),
        ({"model": "m", "input": "Hi", "store": 1}, "store"),
        ({"model": "m", "input": "Hi", "background": "no"}, "background"),
        ({"model": "m", "input": "Hi", "previous_response_id": 7}, "previous_response_id"),
        ({"model": "m", "input": "Hi", "tools": {}}, "tools"),
        ({"model": "m", "input": "Hi", "tools": [1]}, "tools[0]"),
        ({"model": "m", "input": "Hi", "temperature": True}, "temperature"),
        ({"model": "m", "input": "Hi", "max_output_tokens": 1.5}, "max_output_tokens"),
        ({"model": "m", "input": "Hi", "text": "json"}, "text"),
        ({"model": "m", "input": "Hi", "metadata": {"a": 2**64}}, "metadata"),
        ({"model": "m", "input": [{"role": "user", "content": 2**64}]}, "input"),
    ],
)
def test_error_names_the_field(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        OPENAI_RESPONSES.read_request(json.dumps(body).encode())
    assert (caught.value.code, caught.value.param) == ("invalid_request", param)


@pytest.mark.parametrize(("body", "code"), [(b"{", "invalid_json"), (b"[]", "invalid_request")])
def test_body_that_is_no_object_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        OPENAI_RESPONSES.read_request(body)
    assert caught.value.code == code


def test_input_may_be_somewhere_else() -> None:
    for field, value in (("previous_response_id", ID), ("prompt", {"id": "p"}), ("conversation", "c")):
        body = json.dumps({"model": "m", field: value}).encode()
        assert OPENAI_RESPONSES.read_request(body).body[field] == value


def test_request_is_passed_on_as_it_came() -> None:
    given = {"input": "Hi", "acme": 1, "store": False, "stream_options": {"include_obfuscation": False}}
    streamed = OPENAI_RESPONSES.write_request(request(**given, background=True), model="up", stream=True)
    assert (streamed.path, streamed.stream) == ("/responses", True)
    assert json.loads(streamed.body) == given | {"model": "up", "stream": True}
    whole = OPENAI_RESPONSES.write_request(request(**given, stream=True), model="up", stream=False)
    assert json.loads(whole.body) == {"input": "Hi", "acme": 1, "store": False, "model": "up"}


def test_ids_of_ours_do_not_reach_a_provider() -> None:
    given = [
        {"type": "message", "id": f"msg_{HEX}_0_1", "role": "assistant", "content": "a"},
        {"type": "message", "id": f"msg_{HEX}_in_0", "role": "user", "content": "b"},
        {"type": "function_call", "id": f"fc_{HEX}_0_2", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "id": f"rs_{HEX}_0_0", "summary": []},
        {"type": "reasoning", "id": "rs_68af", "summary": [], "encrypted_content": "x"},
        {"type": "message", "id": "msg_68af", "role": "assistant", "content": "d"},
    ]
    sent = json.loads(OPENAI_RESPONSES.write_request(request(input=given), model="m", stream=False).body)["input"]
    assert [item.get("id") for item in sent] == [None, None, None, "rs_68af", "msg_68af"]
    assert sent[2] == {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


def test_output_of_a_response_is_input_of_the_next_one() -> None:
    events: list[AnyEvent] = [
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "Hi"),
        PartDone(0, 0),
        PartStarted(0, 1, PartKind.TOOL_CALL, "call_1", "f"),
        Delta(0, 1, "{}"),
        PartDone(0, 1),
        ChoiceDone(0, Reason.TOOL_CALLS),
    ]
    found = output_as_input(fold(log(events, provider="openai-chat")))
    assert [(item["type"], item["id"]) for item in found] == [
        ("message", f"msg_{HEX}_0_0"),
        ("function_call", f"fc_{HEX}_0_1"),
    ]
    prompt = OPENAI_RESPONSES.read_prompt(request(input=found))
    assert [type(message.parts[0]).__name__ for message in prompt.messages] == ["Text", "ToolCall"]
    assert prompt.unplaced == ()


ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi"},
    {"type": "message", "id": "msg_own", "role": "assistant", "content": "Yes"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "1"},
]


def test_input_items_are_listed_in_full() -> None:
    listed = input_items(ID, ITEMS, {"order": "asc"})
    ResponseItemList.model_validate(listed, strict=True)
    assert [item["id"] for item in listed["data"]] == [
        f"msg_{HEX}_in_0",
        "msg_own",
        f"fc_{HEX}_in_2",
        f"fc_{HEX}_in_3",
    ]
    assert listed["data"][0]["content"] == [{"type": "input_text", "text": "Hi"}]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (f"msg_{HEX}_in_0", f"fc_{HEX}_in_3", False)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_input_items_make_the_whole_list(order: str) -> None:
    wanted = [item["id"] for item in input_items(ID, ITEMS, {"order": order})["data"]]
    found: list[str] = []
    after = ""
    while True:
        page = input_items(ID, ITEMS, {"order": order, "limit": "3"} | ({"after": after} if after else {}))
        found += [item["id"] for item in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert found == wanted
    assert input_items(ID, ITEMS, {"after": after, "order": order})["data"] == []


@pytest.mark.parametrize(
    "query", [{"order": "up"}, {"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"limit": "²"}, {"after": "nobody"}]
)
def test_list_that_nobody_can_make_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(RequestError) as caught:
        input_items(ID, ITEMS, query)
    assert caught.value.param == next(iter(query))


def test_tokens_are_counted() -> None:
    found = OPENAI_RESPONSES.read_count(json.dumps({"input": "Hi", "instructions": "Be brief."}).encode())
    assert (found.model, found.text) == ("", ["Hi", "Be brief.", None])
    assert OPENAI_RESPONSES.read_count(b'{"model":"m"}').model == "m"
    InputTokenCountResponse.model_validate_json(OPENAI_RESPONSES.count_answer(7), strict=True)
    with pytest.raises(RequestError):
        OPENAI_RESPONSES.read_count(b'{"model":""}')


def test_dialect_says_what_the_shell_has_to_know() -> None:
    assert OPENAI_RESPONSES.headers(None) == {}
    assert OPENAI_RESPONSES.headers("k") == {"authorization": "Bearer k"}
    assert OPENAI_RESPONSES.read_models(b'{"data":[{"id":"a"}]}') == ["a"]
    error = json.loads(OPENAI_RESPONSES.error_body(RequestError("not_found", "No.", param="x")))["error"]
    assert error == {"message": "No.", "type": "not_found_error", "param": "x", "code": "not_found"}
    failure = OPENAI_RESPONSES.read_failure(400, {}, b'{"error":{"message":"No.","code":"bad"}}')
    assert (failure.code, failure.http_status, failure.message) == ("upstream_rejected", 400, "No.")
