"""The request gate: every string of a body is judged, wherever a dialect puts it, and nothing else is touched."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import RequestError
from headgate.events import Governance, Verdict
from headgate.governance.judgement import Judgement, Outcome, Span
from headgate.governance.request.bodies import LEVELS_MAX, rewritten
from headgate.governance.request.gate import (
    EVENTS_MAX,
    OVERLONG,
    QUESTION_CHARS_MAX,
    RequestGate,
    RequestVerdict,
    judge_request,
)
from headgate.governance.request.unjudgeable import unjudgeable, without_unjudgeable
from headgate.governance.ruleset import Ruleset, compile_policy
from headgate.policies import Policy

MAIL = "ada@example.com"
WEBHOOK = {"url": "https://example.com/x", "secret": "whsec_" + b64encode(b"0" * 32).decode()}


def rules(*request: str, **settings: Any) -> Ruleset:
    return compile_policy("p", Policy.model_validate({"request": list(request), **settings}, strict=False))


def chat(*contents: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content} for content in contents], **more}


def judged(body: dict[str, Any], *request: str, **settings: Any) -> RequestVerdict:
    return judge_request(rules(*(request or ("email",)), **settings), body)


def governance(verdict: RequestVerdict) -> list[Governance]:
    return [event for event in verdict.events if isinstance(event, Governance)]


# masks


def test_match_is_masked_in_a_copy_and_the_original_stays() -> None:
    body = chat(f"write to {MAIL}, please")
    before = copy.deepcopy(body)
    verdict = judged(body)
    assert verdict.body["messages"][0]["content"] == "write to [email], please"
    assert body == before
    assert governance(verdict) == [
        Governance(-1, -1, "email", "mask", 9, 24, "request", False, "messages[0].content", 7)
    ]


def test_body_without_a_match_is_the_same_object() -> None:
    body = chat("hello")
    assert judged(body).body is body


def test_policy_without_rules_for_requests_changes_nothing() -> None:
    body = chat(MAIL)
    assert judge_request(compile_policy("p", Policy(stream=["email"])), body) == RequestVerdict(body, [])


def test_numbered_masks_are_the_same_for_the_same_value_in_the_whole_request() -> None:
    verdict = judged(chat(f"{MAIL} b@example.com", MAIL), placeholder="numbered")
    assert [message["content"] for message in verdict.body["messages"]] == ["[email_1] [email_2]", "[email_1]"]


@pytest.mark.parametrize(
    "body",
    [
        {"system": f"s {MAIL}"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": MAIL}]}]},
        {"messages": [{"role": "user", "name": MAIL, "content": "x"}]},
        {"messages": [{"role": "assistant", "refusal": MAIL, "reasoning_content": MAIL}]},
        {"messages": [{"role": "tool", "tool_call_id": MAIL, "content": "x"}]},
        {"tools": [{"type": "function", "function": {"name": "f", "description": MAIL}}]},
        {"tools": [{"function": {"parameters": {"properties": {"to": {"default": MAIL, "enum": [MAIL]}}}}}]},
        {"metadata": {"who": MAIL}, "user": MAIL, "stop": [MAIL]},
        {"instructions": MAIL, "input": [{"type": "message", "content": [{"type": "input_text", "text": MAIL}]}]},
        {"input": MAIL},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": MAIL}]},
        {"input": [{"type": "custom_tool_call", "input": MAIL}]},
        {"messages": [{"content": [{"type": "tool_use", "input": {"to": [MAIL, {"x": MAIL}]}}]}]},
        {"messages": [{"content": [{"type": "tool_result", "content": [{"type": "text", "text": MAIL}]}]}]},
        {"messages": [{"content": [{"type": "thinking", "thinking": MAIL, "signature": f"no base64 {MAIL}"}]}]},
        {"messages": [{"content": [{"source": {"type": "text", "media_type": "text/plain", "data": MAIL}}]}]},
        {"contents": [{"role": "user", "parts": [{"text": MAIL}, {"functionCall": {"args": {"a": MAIL}}}]}]},
        {"systemInstruction": {"parts": [{"text": MAIL}]}},
        {"contents": [{"parts": [{"functionResponse": {"response": {"data": MAIL, "signature": MAIL}}}]}]},
        {"image_url": {"url": f"https://example.com/?who={MAIL}"}},
        {"type": MAIL, "role": MAIL},
        {"unheard_of": {"deeply": [[[MAIL]]]}},
    ],
)
def test_string_is_judged_wherever_a_dialect_has_it(body: dict[str, Any]) -> None:
    verdict = judged(body)
    assert MAIL not in json.dumps(verdict.body)
    assert len(governance(verdict)) == json.dumps(body).count(MAIL)


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {MAIL: "x"}},
        {"messages": [{"content": [{"type": "tool_use", "input": {MAIL: {MAIL: 1}}}]}]},
        {"messages": [{"tool_calls": [{"function": {"arguments": f'{{"{MAIL}": 1}}'}}]}]},
        {"contents": [{"parts": [{"functionResponse": {"response": {MAIL: True}}}]}]},
    ],
)
def test_key_that_may_be_text_is_judged(body: dict[str, Any]) -> None:
    verdict = judged(body)
    assert "[email]" in json.dumps(verdict.body)
    assert MAIL not in json.dumps(verdict.body)
    assert MAIL not in repr(verdict.events)


def test_keys_that_dialects_give_are_no_terms_and_those_of_data_are() -> None:
    own = [{"name": "r", "detector": "terms", "terms": ["input", "content", "metadata"]}]
    body = {"metadata": {"content": "x"}, "messages": [{"content": [{"input": {"content": 1}}]}]}
    assert judged(body, "r", rules=own).body == {**body, "messages": [{"content": [{"input": {"[r]": 1}}]}]}


def test_keys_that_become_one_stay_two() -> None:
    body = {"messages": [{"input": {MAIL: 1, "b@example.com": 2}}]}
    assert judged(body).body == {"messages": [{"input": {"[email]": 1, "[email]_": 2}}]}


def test_escapes_of_json_in_a_result_hide_nothing() -> None:
    card = "4111111111111111"
    result = json.dumps({"note": f"card:\n{card}", "to": "x"}).replace('"x"', '"ada\\u0040example.com"')
    verdict = judged({"input": [{"type": "function_call_output", "output": result}]}, "email", "credit_card")
    given = verdict.body["input"][0]["output"]
    assert json.loads(given) == {"note": "card:\n[credit_card]", "to": "[email]"}
    assert [event.end - event.start for event in governance(verdict)] == [16, len("ada\\u0040example.com")]


def test_match_of_either_reading_is_masked() -> None:
    verdict = judged(chat(r"C:\temp\nina@example.com \q \ud83d\ude00 \q" + MAIL))
    assert verdict.body["messages"][0]["content"] == r"C:\temp\n[email] \q \ud83d\ude00 \[email]"


def test_escape_blocks_and_watches_like_text() -> None:
    text = r"\n4111111111111111"
    assert judged(chat(text), "credit_card", action="block").blocked == "credit_card"
    assert [event.action for event in governance(judged(chat(text), "credit_card", action="flag"))] == ["flag"]


def test_stricter_rule_counts_where_what_the_two_readings_find_overlaps() -> None:
    own: list[dict[str, Any]] = [
        {"name": "seen", "detector": "canary", "terms": [r"b\u0040c"]},
        {"name": "mail", "detector": "email"},
    ]
    text = r"to ab\u0040cd.example.com"
    assert judged(chat(text), "seen", "mail", rules=own).body["messages"][0]["content"] == "to [mail]"
    own[1]["action"] = "block"
    assert judged(chat(text), "seen", "mail", rules=own).blocked == "mail"


@pytest.mark.parametrize("key", ["signature", "encrypted_content", "data"])
def test_prose_where_something_sealed_may_stand_is_judged(key: str) -> None:
    own = [{"name": "r", "detector": "terms", "terms": ["falcon"]}]
    assert judged({"messages": [{key: "the falcon flies"}]}, "r", rules=own).body == {
        "messages": [{key: "the [r] flies"}]
    }


@pytest.mark.parametrize("key", ["signature", "thoughtSignature", "data", "file_data"])
def test_key_where_something_sealed_may_stand_is_found(key: str) -> None:
    token = "ghp_" + "a1B2c3D4e5F6" * 3
    assert judged({"messages": [{key: token}]}, "api_key").body == {"messages": [{key: "[api_key]"}]}


@pytest.mark.parametrize("kind", ["application/json", "message/rfc822", ""])
def test_text_in_base64_of_any_kind_is_judged(kind: str) -> None:
    data = b64encode(f'{{"mail": "{MAIL}"}}'.encode()).decode()
    verdict = judged({"inlineData": {"mimeType": kind, "data": data}})
    assert verdict.body["inlineData"]["data"] == b64encode(b'{"mail": "[email]"}').decode()


def test_media_in_base64_is_left_alone_where_dialects_have_it() -> None:
    data = b64encode(b"\x00" * 300).decode()
    body = {
        "a": {"image_url": {"url": f"data:image/png;base64,{data}"}},
        "b": {"source": {"type": "base64", "media_type": "image/png", "data": data}},
        "c": {"inlineData": {"mimeType": "application/pdf", "data": data}},
        "d": {"input_audio": {"data": data, "format": "wav"}},
        "e": {"file": {"file_data": f"data:application/pdf;base64,{data}"}},
        "f": {"type": "reasoning", "encrypted_content": data},
    }
    assert judged(body, "rule", rules=[{"name": "rule", "detector": "canary", "terms": ["AAAAAAAAAA"]}]).body is body


def test_text_in_base64_is_judged_and_encoded_again() -> None:
    data = b64encode(f"mail {MAIL}".encode()).decode()
    url = f"data:text/plain;charset=utf-8;base64,{data}"
    verdict = judged({"a": {"file_data": url}, "b": {"inlineData": {"mimeType": "text/csv", "data": data}}})
    masked = b64encode(b"mail [email]").decode()
    assert verdict.body["a"]["file_data"] == f"data:text/plain;charset=utf-8;base64,{masked}"
    assert verdict.body["b"]["inlineData"]["data"] == masked


@pytest.mark.parametrize("text", [f"data:,{MAIL}", f"data:text/plain;base64,{MAIL}", f"data:image/png;base64,{MAIL}"])
def test_what_only_looks_like_media_is_text(text: str) -> None:
    assert MAIL not in json.dumps(judged({"image_url": {"url": text}}).body)


def test_base64_where_no_dialect_has_media_is_text() -> None:
    own = [{"name": "r", "detector": "canary", "terms": ["c2VjcmV0"]}]
    verdict = judged(chat("data:image/png;base64,c2VjcmV0"), "r", rules=own)
    assert "c2VjcmV0" not in json.dumps(verdict.body)


def test_arguments_of_a_call_stay_json_and_escapes_do_not_hide_a_match() -> None:
    arguments = '{"to": "ada\\u0040example.com", "n": 1.50, "quote": "\\""}'
    body = {"messages": [{"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}]}
    verdict = judged(body)
    given = verdict.body["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(given) == {"to": "[email]", "n": 1.5, "quote": '"'}
    (event,) = governance(verdict)
    assert event.detail == "messages[0].tool_calls[0].function.arguments.*"


def test_arguments_without_a_match_stay_as_they_were_written() -> None:
    body = {"function_call": {"arguments": '{ "a" : 1.0 }'}}
    assert judged(body).body is body


def test_key_that_stands_twice_hides_nothing() -> None:
    body = {"function_call": {"arguments": f'{{"a": "{MAIL}", "a": "x"}}'}}
    assert judged(body).body == {"function_call": {"arguments": '{"a":"x"}'}}


def test_half_a_surrogate_pair_beside_a_match_stays_an_escape() -> None:
    verdict = judged({"arguments": f'["\\ud800", "{MAIL}"]'})
    assert verdict.body == {"arguments": '["\\ud800","[email]"]'}


@pytest.mark.parametrize("arguments", [f'{{"a": "{MAIL}"', f"{MAIL} 1e999", "[NaN, 1e999, " + json.dumps(MAIL) + "]"])
def test_arguments_that_are_no_json_are_text(arguments: str) -> None:
    assert MAIL not in json.dumps(judged({"arguments": arguments}).body)


def test_number_in_data_of_a_tool_is_judged_and_a_parameter_is_not() -> None:
    card = 4111111111111111
    body = {"seed": card, "messages": [{"content": [{"type": "tool_use", "input": {"card": card, "ok": True}}]}]}
    verdict = judged(body, "credit_card")
    assert verdict.body["seed"] == card
    assert verdict.body["messages"][0]["content"][0]["input"] == {"card": "[credit_card]", "ok": True}


@pytest.mark.parametrize("keyword", ["const", "default", "enum", "examples"])
def test_number_that_a_schema_holds_is_judged(keyword: str) -> None:
    schema = {"type": "integer", keyword: [4111111111111111]}
    verdict = judged({"tools": [{"input_schema": {"properties": {"card": schema}}}]}, "credit_card")
    assert verdict.body["tools"][0]["input_schema"]["properties"]["card"][keyword] == ["[credit_card]"]


def test_words_of_a_dialect_are_no_terms() -> None:
    own = [{"name": "names", "detector": "terms", "terms": ["low", "user", "auto", "text"]}]
    body = chat([{"type": "text", "text": "low tide"}], reasoning={"effort": "low"}, tool_choice="auto")
    verdict = judged(body, "names", rules=own)
    assert verdict.body["messages"][0] == {"role": "user", "content": [{"type": "text", "text": "[names] tide"}]}
    assert (verdict.body["reasoning"], verdict.body["tool_choice"]) == ({"effort": "low"}, "auto")


# other actions


@pytest.mark.parametrize("action", ["block", "hold"])
def test_rule_that_blocks_or_holds_stops_the_request_and_nothing_is_left_to_send(action: str) -> None:
    verdict = judged(chat("fine", MAIL, "4111 1111 1111 1111"), "email", "credit_card", action=action)
    assert (verdict.body, verdict.blocked, verdict.code) == ({}, "email", "request_blocked")
    (event,) = governance(verdict)
    assert (event.action, event.detail) == (action, "messages[1].content")


def test_flag_records_and_changes_nothing() -> None:
    body = chat(MAIL)
    verdict = judged(body, action="flag")
    assert verdict.body is body
    assert [(event.action, event.dry) for event in governance(verdict)] == [("flag", False)]


def test_dry_run_records_what_would_have_been_and_changes_nothing() -> None:
    body = chat(MAIL)
    verdict = judged(body, action="block", dry_run=True, webhook=WEBHOOK)
    assert (verdict.body, verdict.blocked, verdict.escalations) == (body, "", ())
    assert [(event.action, event.dry) for event in governance(verdict)] == [("block", True)]


def test_rule_that_escalates_is_told_of_once_with_its_first_match() -> None:
    verdict = judged(chat(MAIL, "b@example.com"), action="escalate", webhook=WEBHOOK)
    ((rule, event),) = verdict.escalations
    assert (rule.name, event.detail) == ("email", "messages[0].content")


def test_masking_rule_may_escalate_too() -> None:
    own = [{"name": "mail", "detector": "email", "escalate": True}]
    verdict = judged(chat(MAIL), "mail", rules=own, webhook=WEBHOOK)
    assert verdict.body["messages"][0]["content"] == "[mail]"
    assert [rule.name for rule, _ in verdict.escalations] == ["mail"]


def test_match_that_only_watches_does_not_hide_one_that_acts() -> None:
    own = [{"name": "seen", "detector": "canary", "terms": [MAIL], "action": "flag"}]
    verdict = judged(chat(MAIL), "seen", "email", rules=own)
    assert verdict.body["messages"][0]["content"] == "[email]"
    assert {event.rule for event in governance(verdict)} == {"seen", "email"}


def test_what_is_recorded_never_holds_what_matched_even_in_the_path() -> None:
    body = {"metadata": {f"x{MAIL}": MAIL}, "messages": [{"content": [{"input": {"Ada Lovelace": MAIL}}]}]}
    verdict = judged(body)
    assert [event.detail for event in governance(verdict)] == [
        "metadata.*",
        "metadata.*",
        "messages[0].content[0].input.*",
    ]
    assert MAIL not in repr(verdict.events)
    assert "Ada" not in repr(verdict.events)


def test_matches_beyond_the_limit_are_counted() -> None:
    verdict = judged(chat(f"{MAIL} " * (EVENTS_MAX + 7)))
    assert len(verdict.events) == EVENTS_MAX + 1
    assert governance(verdict)[-1].detail == "and 7 more"
    assert MAIL not in json.dumps(verdict.body)


def test_match_that_goes_on_and_on_stops_the_request() -> None:
    verdict = judged(chat("-----BEGIN RSA PRIVATE KEY-----\n" + "A" * 40_000), "private_key")
    assert (verdict.body, verdict.blocked, verdict.code) == ({}, OVERLONG, "request_blocked")


def test_body_nested_too_deeply_is_refused() -> None:
    body: dict[str, Any] = {}
    for _ in range(LEVELS_MAX + 2):
        body = {"a": body}
    with pytest.raises(RequestError) as refused:
        judged(body)
    assert refused.value.code == "invalid_request"


@given(st.integers(1, 50), st.integers(0, 30))
def test_judging_in_slices_comes_to_the_same(chars: int, size: int) -> None:
    body = chat(*[f"{'x' * size} {MAIL}"] * 5)
    gate = RequestGate(rules("email"), body)
    while not gate.judge(chars):
        pass
    assert gate.verdict() == judge_request(rules("email"), body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(MAIL),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ab", "arguments", "data", "input"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["messages", "arguments", "input", "x"]), JSON, max_size=4))
def test_no_body_makes_it_raise_or_lets_a_match_through(body: dict[str, Any]) -> None:
    assert MAIL not in json.dumps(judged(body).body)
    assert rewritten(body, lambda text, place: text) == body


# rules that need meaning


MEANING = [{"name": "mean", "detector": "callable", "callable": "m:f"}]


def asked(body: dict[str, Any], *request: str, **settings: Any) -> RequestGate:
    gate = RequestGate(rules(*request, **{"rules": MEANING, **settings}), body)
    assert gate.judge()
    return gate


def test_question_holds_the_prose_of_the_request_as_it_is_masked_by_then() -> None:
    gate = asked(chat(f"mail {MAIL}", "and more"), "email", "mean")
    assert [question.text for question in gate.questions] == ["mail [email]\n\nand more"]


def test_request_passes_when_every_question_is_answered_so() -> None:
    body = chat("hello")
    gate = asked(body, "mean")
    gate.answer(0, Judgement(Outcome.PASS))
    verdict = gate.verdict()
    assert verdict.body == body
    assert verdict.events == [Verdict("request", "mean", "pass")]


def test_span_is_masked_where_it_stands_and_named_by_its_place_in_the_original() -> None:
    gate = asked(chat(f"mail {MAIL} to Ada", "Ada too"), "email", "mean")
    text = gate.questions[0].text
    first, second = text.index("Ada"), text.rindex("Ada")
    gate.answer(0, Judgement(Outcome.FAIL, (Span(first, first + 3), Span(second, second + 3))))
    verdict = gate.verdict()
    assert [message["content"] for message in verdict.body["messages"]] == ["mail [email] to [mean]", "[mean] too"]
    found = [(event.start, event.end, event.detail) for event in governance(verdict) if event.rule == "mean"]
    assert found == [(24, 27, "messages[0].content"), (0, 3, "messages[1].content")]


def test_failure_without_spans_is_about_the_whole_text() -> None:
    gate = asked(chat("one", "two"), "mean")
    gate.answer(0, Judgement(Outcome.FAIL))
    assert [message["content"] for message in gate.verdict().body["messages"]] == ["[mean]", "[mean]"]


def test_spans_that_overlap_are_masked_once() -> None:
    gate = asked(chat("abcdef"), "mean")
    gate.answer(0, Judgement(Outcome.FAIL, (Span(0, 4), Span(2, 5), Span(-3, 99))))
    assert "abcdef" not in json.dumps(gate.verdict().body)


def test_failure_of_a_rule_that_blocks_stops_the_request() -> None:
    gate = asked(chat("x"), "mean", action="block")
    gate.answer(0, Judgement(Outcome.FAIL))
    verdict = gate.verdict()
    assert (verdict.body, verdict.blocked, verdict.code) == ({}, "mean", "request_blocked")


@pytest.mark.parametrize("action", ["mask", "flag", "block", "hold"])
def test_rule_that_could_not_be_asked_stops_the_request_whatever_its_action(action: str) -> None:
    gate = asked(chat("x"), "mean", action=action)
    gate.answer(0, Judgement(Outcome.ERROR))
    verdict = gate.verdict()
    assert (verdict.body, verdict.blocked, verdict.code) == ({}, "mean", "guard_failed")
    assert verdict.events[-1] == Verdict("request", "mean", "error")


def test_question_without_an_answer_counts_as_failed() -> None:
    gate = asked(chat("a" * (QUESTION_CHARS_MAX + 1)), "mean")
    assert len(gate.questions) == 2
    gate.answer(0, Judgement(Outcome.PASS))
    assert gate.verdict().code == "guard_failed"


def test_dry_run_lets_everything_pass_and_records_it() -> None:
    body = chat("x")
    gate = asked(body, "mean", dry_run=True)
    gate.answer(0, Judgement(Outcome.ERROR))
    verdict = gate.verdict()
    assert (verdict.body, verdict.events) == (body, [Verdict("request", "mean", "error")])


@given(st.lists(st.text(alphabet="ab \n", max_size=60), min_size=1, max_size=6), st.integers(1, 3))
def test_questions_hold_every_word_once_however_long_the_texts_are(texts: list[str], factor: int) -> None:
    gate = asked(chat(*[text * factor * 600 for text in texts]), "mean")
    whole = "".join(question.text for question in gate.questions)
    wanted = "".join(text * factor * 600 for text in texts if text.strip())
    assert "".join(whole.split()) == "".join(wanted.split())
    assert all(len(question.text) <= QUESTION_CHARS_MAX for question in gate.questions)


# answers that could not be judged


@pytest.mark.parametrize(
    ("dialect", "body", "paths", "left"),
    [
        ("openai-chat", {"logprobs": True, "top_logprobs": 3}, ["logprobs", "top_logprobs"], {}),
        ("openai-chat", {"logprobs": False, "top_logprobs": 0, "audio": None}, [], None),
        (
            "openai-chat",
            {"modalities": ["text", "audio"], "audio": {"v": 1}},
            ["audio", "modalities[1]"],
            {"modalities": ["text"]},
        ),
        ("openai-chat", {"modalities": ["audio"]}, ["modalities"], {}),
        (
            "openai-responses",
            {"top_logprobs": 2, "include": ["message.output_text.logprobs", "reasoning.encrypted_content"]},
            ["top_logprobs", "include[0]"],
            {"include": ["reasoning.encrypted_content"]},
        ),
        (
            "gemini",
            {"generationConfig": {"responseLogprobs": True, "logprobs": 5, "topK": 1}},
            ["generationConfig.responseLogprobs", "generationConfig.logprobs"],
            {"generationConfig": {"topK": 1}},
        ),
        (
            "gemini",
            {"generation_config": {"response_modalities": ["TEXT", "IMAGE", "AUDIO"]}},
            ["generation_config.response_modalities[1]", "generation_config.response_modalities[2]"],
            {"generation_config": {"response_modalities": ["TEXT"]}},
        ),
        ("anthropic-messages", {"logprobs": True}, [], None),
    ],
)
def test_field_that_asks_for_what_cannot_be_judged_is_named_and_can_be_left_out(
    dialect: str, body: dict[str, Any], paths: list[str], left: dict[str, Any] | None
) -> None:
    before = copy.deepcopy(body)
    assert unjudgeable(dialect, body) == paths
    assert without_unjudgeable(dialect, body) == (body if left is None else left)
    assert body == before


def test_data_of_tools_is_asked_about_whatever_its_keys_are_called() -> None:
    arguments = {"name": "Ada Lovelace", "user": "Ada", "url": "https://ada.example", "number": 491701234567}
    gate = asked({"messages": [{"name": "Grace", "content": [{"type": "tool_use", "input": arguments}]}]}, "mean")
    (question,) = gate.questions
    assert question.text.split("\n\n") == [str(x) for pair in arguments.items() for x in pair]
