"""Which of a provider's own fields pass: those that are known to hold no text, and nothing else."""

from __future__ import annotations

import json
from typing import Any, Final

import anthropic.types
import openai.types.responses
import pytest
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter, ValidationError

from headgate.events import ChoiceDone, Delta, Extra, Opaque, PartDone, PartKind, PartStarted, Reason
from headgate.governance.matching.automaton import Automaton, Source
from headgate.governance.ruleset import compile_policy
from headgate.governance.stream.fields import DROPPED_MAX, SIGNATURE_CHARS_MAX, WORD_CHARS_MAX, Fields, failure
from headgate.policies import DEFAULT
from tests.unit.goldens import cases
from tests.unit.governance.delivered import governed_log, is_legal, shown, upstream

AUTOMATON: Final = Automaton([Source(terms=("secret", "4111111"), words=False)])
DELTA: Final = Delta(0, 0, "")
DONE: Final = ChoiceDone(0, Reason.STOP)


def fields_of(dialect: str) -> Fields:
    return Fields(AUTOMATON, dialect)


# what passes


def test_words_numbers_and_booleans_pass_where_they_are_known() -> None:
    choice = {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}, "seed": 7}
    assert fields_of("openai-chat").beside(DELTA, Extra(choice=choice)) == Extra(choice=choice)


def test_field_that_is_not_known_does_not_pass_whatever_it_holds() -> None:
    values: tuple[Any, ...] = (1, True, "x", [], {}, None)
    for value in values:
        assert fields_of("openai-chat").beside(DELTA, Extra(choice={"new": value})) is None


@pytest.mark.parametrize(
    ("dialect", "extra"),
    [
        ("openai-chat", Extra(choice={"logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": [97]}]}})),
        ("openai-chat", Extra(delta={"annotations": [], "reasoning_details": [{"text": "a"}], "token_id": 13347})),
        ("openai-chat", Extra(response={"citations": ["https://example.com/"]})),
        ("openai-responses", Extra(delta={"logprobs": []}, response={"obfuscation": "x"})),
        ("anthropic-messages", Extra(delta={"type": "citations_delta", "citation": {"cited_text": "a"}})),
        ("gemini", Extra(choice={"groundingMetadata": {"webSearchQueries": ["a"]}, "citationMetadata": {}})),
        ("gemini", Extra(delta={"functionCall": {"partialArgs": [{"stringValue": "a"}], "willContinue": True}})),
        ("unknown", Extra(response={"id": "a"})),
        ("", Extra(choice={"seed": 1})),
    ],
)
def test_fields_that_repeat_the_text_do_not_pass(dialect: str, extra: Extra) -> None:
    assert fields_of(dialect).beside(DELTA, extra) is None


@pytest.mark.parametrize("value", ["two words", "a@b", "é", "x" * (WORD_CHARS_MAX + 1), "a-secret-b", ["x"], {"x": 1}])
def test_what_is_no_short_word_does_not_pass_as_one(value: Any) -> None:
    assert fields_of("openai-chat").beside(DELTA, Extra(choice={"native_finish_reason": value})) is None


def test_number_that_a_rule_matches_does_not_pass() -> None:
    usage = {"prompt_tokens": 4111111111111111, "completion_tokens": 7, "total_tokens": 0.4111111}
    assert fields_of("openai-chat").usage(usage) == {"completion_tokens": 7}


def test_signature_may_be_long_and_is_judged_all_the_same() -> None:
    fields = fields_of("gemini")
    signature = Extra(delta={"thoughtSignature": "Eq/+=" * 2_000})
    assert fields.beside(DELTA, signature) == signature
    assert fields.beside(DELTA, signature, signed=False) is None
    assert fields.beside(DELTA, Extra(delta={"thoughtSignature": "A" * (SIGNATURE_CHARS_MAX + 1)})) is None
    assert fields.beside(DELTA, Extra(delta={"thoughtSignature": "abc-secret"})) is None


def test_name_that_a_provider_has_for_reasoning_is_kept() -> None:
    fields = fields_of("openai-chat")
    started = PartStarted(0, 0, PartKind.REASONING)
    assert fields.beside(started, Extra(delta={"reasoning": ""})) == Extra(delta={"reasoning": ""})
    assert fields.beside(started, Extra(delta={"reasoning": "text"})) is None


def test_place_of_a_part_in_its_item_is_kept() -> None:
    place = Extra(choice={"output_index": 1, "content_index": 0})
    fields = fields_of("openai-responses")
    assert fields.beside(PartStarted(0, 0, PartKind.TEXT), place) == place
    done = Extra(
        {"response.output_text.done": {"x": 1}}, {"output_index": 1, "contradicted": True}, {"annotations": []}
    )
    assert fields.beside(PartDone(0, 0), done) == Extra(choice={"output_index": 1, "contradicted": True})


def test_event_about_an_item_passes_only_for_items_whose_text_is_in_parts() -> None:
    fields = fields_of("openai-responses")
    item = {"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1"}}
    passed = fields.beside(Opaque(0, Extra()), Extra(response=item | {"note": "x"}))
    assert passed == Extra(response=item)
    searching = {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"}
    assert fields.beside(Opaque(0, Extra()), Extra(response=searching)) is None


def test_signature_delta_without_its_signature_is_nothing() -> None:
    fields = fields_of("anthropic-messages")
    extra = Extra(delta={"type": "signature_delta", "signature": "not a signature"})
    assert fields.beside(PartDone(0, 0), extra) is None


def test_stop_sequence_that_is_text_does_not_pass() -> None:
    fields = fields_of("anthropic-messages")
    assert fields.beside(DONE, Extra(delta={"stop_sequence": "END"})) == Extra(delta={"stop_sequence": "END"})
    assert fields.beside(DONE, Extra(delta={"stop_sequence": "my secret"})) is None


def test_empty_containers_pass_where_there_may_be_some() -> None:
    fields = fields_of("openai-chat")
    assert fields.beside(DELTA, Extra(choice={"content_filter_results": {}})) == Extra(
        choice={"content_filter_results": {}}
    )


def test_what_was_dropped_is_spelled_by_us_and_bounded() -> None:
    fields = fields_of("openai-chat")
    fields.beside(DELTA, Extra(response={"my secret": 1}, choice={"seed": "two words", "logprobs": {}}))
    assert list(fields.dropped) == ["delta.response.*", "delta.choice.seed", "delta.choice.logprobs"]
    for number in range(2 * DROPPED_MAX):
        fields.drop(str(number))
    assert len(fields.dropped) == DROPPED_MAX


def test_error_object_of_a_provider_keeps_its_words() -> None:
    detail = {
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/x", "retryDelay": "5s", "m": "a b"}],
    }
    wanted = {"status": "RESOURCE_EXHAUSTED", "details": [{"@type": "type.googleapis.com/x", "retryDelay": "5s"}]}
    assert failure(AUTOMATON, "gemini", detail) == wanted
    assert failure(AUTOMATON, "openai-chat", {"message": "a", "code": "secret"}) is None


# what is left

RULES: Final = compile_policy("default", DEFAULT)
STREAMS: Final[dict[str, TypeAdapter[Any]]] = {
    "openai-chat": TypeAdapter(ChatCompletionChunk),
    "openai-responses": TypeAdapter(openai.types.responses.ResponseStreamEvent),
    "anthropic-messages": TypeAdapter(anthropic.types.RawMessageStreamEvent),
    "gemini": TypeAdapter(GenerateContentResponse),
}
WHOLE: Final[dict[str, TypeAdapter[Any]]] = {
    "openai-chat": TypeAdapter(ChatCompletion),
    "openai-responses": TypeAdapter(openai.types.responses.Response),
    "anthropic-messages": TypeAdapter(anthropic.types.Message),
    "gemini": TypeAdapter(GenerateContentResponse),
}


def misfits(given: dict[str, bytes], dialect: str) -> set[str]:
    """What of these bytes the official SDK of the dialect does not take: types of frames, or ``whole``."""
    found = set()
    for line in given[dialect].split(b"\n"):
        if line.startswith(b"data: {"):
            value = json.loads(line[6:])
            try:
                STREAMS[dialect].validate_python(value)
            except ValidationError:
                found.add(str(value.get("type")))
    try:
        WHOLE[dialect].validate_json(given[f"{dialect} whole"])
    except ValidationError:
        found.add("whole")
    return found


@pytest.mark.parametrize(
    ("dialect", "case"),
    [pytest.param(dialect, case, id=f"{dialect}-{case}") for dialect in STREAMS for case in cases(dialect)],
)
def test_what_is_left_of_an_answer_is_as_well_formed_as_it_was(dialect: str, case: str) -> None:
    data, whole, choices = upstream(dialect, case)
    plain = governed_log(None, dialect, data, whole=whole, choices=choices)
    governed = governed_log(RULES, dialect, data, whole=whole, choices=choices)
    assert is_legal(governed)
    before, after = shown(plain), shown(governed)
    assert misfits(after, dialect) <= misfits(before, dialect)
