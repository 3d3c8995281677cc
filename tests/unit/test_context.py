"""Whether a request fits, and how many tokens it has: nothing that might fit is refused."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import tokens
from headgate.context import EXACT_CHARS_MAX, count, may_exceed, refusal
from headgate.models import UNKNOWN, Limits
from headgate.prompt import (
    Audio,
    File,
    Image,
    JsonFormat,
    Message,
    Part,
    Prompt,
    Reasoning,
    Refusal,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

SMALL = Limits("small", context_tokens=100, output_tokens_max=40)
SHARED = Limits("shared", context_tokens=100, output_tokens_max=40, shared=True)
EXACT = Limits("exact", context_tokens=100, encoding="o200k_base", family="openai")


@pytest.fixture(autouse=True)
def _no_package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Estimates, unless a test is marked as having the vocabulary."""
    if request.cls is TestWithTheVocabulary:
        pytest.importorskip("rs_bpe", reason="pip install 'headgate[tokens]'")
        yield
        return
    monkeypatch.setitem(sys.modules, "rs_bpe", None)
    monkeypatch.setitem(sys.modules, "rs_bpe.bpe", None)
    tokens._counter.cache_clear()
    yield
    tokens._counter.cache_clear()


def prompt(*parts: Part, output_tokens_max: int | None = None) -> Prompt:
    return Prompt((Message(Role.USER, parts),), output_tokens_max=output_tokens_max, places={"messages": "contents"})


def words(number: int) -> Text:
    return Text("word " * number)


@pytest.mark.parametrize(
    ("limits", "utf8_bytes", "wanted"),
    [
        (UNKNOWN, 10**9, False),
        (SMALL, 100, False),
        (SMALL, 101, True),
        (SHARED, 60, False),
        (SHARED, 61, True),
    ],
)
def test_fewer_bytes_than_tokens_always_fit(limits: Limits, utf8_bytes: int, wanted: bool) -> None:
    assert may_exceed(utf8_bytes, limits) is wanted


@pytest.mark.parametrize(
    ("limits", "number", "asked", "refused"),
    [
        (SMALL, 100, None, False),
        (SMALL, 101, None, True),
        (SMALL, 100, 10**9, False),  # the provider gives what is left
        (SHARED, 100, None, False),
        (SHARED, 60, 40, False),
        (SHARED, 61, 40, True),
        (UNKNOWN, 10**5, 10**9, False),
    ],
)
def test_only_what_cannot_fit_is_refused(limits: Limits, number: int, asked: int | None, refused: bool) -> None:
    assert (refusal(prompt(words(number), output_tokens_max=asked), limits) is not None) is refused


def test_refusal_names_every_number_and_the_clients_field() -> None:
    error = refusal(prompt(words(200), output_tokens_max=40), SHARED)
    assert error is not None
    assert (error.code, error.status, error.param) == ("context_length_exceeded", 400, "contents")
    assert error.message == (
        "The request has about 257, at least 200 tokens (estimate) and 40 tokens of output were asked for; "
        "the model takes 100."
    )


@pytest.mark.parametrize(
    "part",
    [
        Text(" " * 10**6),
        Text("=" * 10**5),
        Image(data="A" * 10**6, media_type="image/png"),
        File(data="A" * 10**6, media_type="application/pdf"),
        Audio("A" * 10**6, "audio/wav"),
        Reasoning("word " * 10**4),
    ],
)
def test_what_may_be_few_tokens_is_never_refused(part: Part) -> None:
    assert refusal(prompt(part), SMALL) is None


@pytest.mark.parametrize("path", ["truncation", "transforms", "plugins", "context_management.edits"])
def test_request_that_the_provider_shortens_is_never_refused(path: str) -> None:
    given = Prompt((Message(Role.USER, (words(1000),)),), unplaced=("store", path))
    assert refusal(given, SMALL) is None


def test_everything_in_a_prompt_counts() -> None:
    full = Prompt(
        (
            Message(Role.SYSTEM, (Text("a" * 40),)),
            Message(Role.ASSISTANT, (Refusal("b" * 40), ToolCall("id", "f" * 4, "c" * 36), Reasoning("z" * 400))),
            Message(
                Role.USER,
                (
                    ToolResult("id", (Text("d" * 40), Image(url="https://x", detail="low"))),
                    File(data="e" * 40, media_type="text/plain"),
                    File(data="QQ==", media_type="application/pdf"),
                    Audio("A" * 5000, "audio/wav"),
                ),
            ),
        ),
        tools=(Tool("f" * 4, "g" * 36, {"x": "h" * 32}),),
        format=JsonFormat({"y": "i" * 32}),
    )
    text, tools, image, page, audio, marks = 50, 1 + 9 + 10 + 10, 85, 2000, 5, 3 * 4 + 3 + 12
    counted = count(full, UNKNOWN)
    assert counted.tokens == text + tools + image + page + audio + marks
    assert (counted.method, counted.exact) == ("estimate", False)
    assert count(full, Limits("g", family="gemini")).tokens == counted.tokens - page + 258


def test_lone_surrogate_is_a_character_like_any() -> None:
    assert count(prompt(Text("a\ud800")), EXACT).tokens == 4 + 3 + 1


@given(st.lists(st.text(max_size=60), max_size=5), st.integers(0, 300))
def test_whatever_has_fewer_bytes_than_the_limit_has_tokens_is_never_refused(texts: list[str], spare: int) -> None:
    given = prompt(*(Text(text) for text in texts))
    utf8_bytes = sum(map(tokens.utf8_length, texts))
    limits = Limits("m", context_tokens=utf8_bytes + spare)
    assert not may_exceed(utf8_bytes, limits)
    assert refusal(given, limits) is None
    counted = count(given, limits)
    assert 0 <= counted.margin <= 1
    assert counted.least <= counted.tokens


class TestWithTheVocabulary:
    def test_tokens_of_its_own_vocabulary_are_exact(self) -> None:
        counted = count(prompt(Text("2 + 2 = 4")), EXACT)
        assert (counted.exact, counted.method, counted.tokens, counted.least) == (True, "o200k_base", 7 + 4 + 3, 7)
        assert refusal(prompt(words(99)), EXACT) is None
        error = refusal(prompt(words(120)), EXACT)
        assert error is not None
        assert error.message == "The request has 121 tokens (o200k_base); the model takes 100."

    def test_another_familys_vocabulary_has_a_margin(self) -> None:
        counted = count(prompt(words(100)), SMALL)
        assert (counted.exact, counted.method) == (False, "o200k_base, not the model's own")
        assert counted.least == 100

    def test_of_tools_what_every_provider_gives_the_model_is_enough_to_refuse(self) -> None:
        schema = {"type": "object", "properties": {"city": {"type": "string", "description": "word " * 60}}}
        given = Prompt((Message(Role.USER, (Text("Hi"),)),), tools=(Tool("f", "word " * 60, schema),))
        assert refusal(given, Limits("m", context_tokens=124, encoding="o200k_base")) is None
        error = refusal(given, EXACT)
        assert error is not None
        counted = count(given, EXACT)
        assert counted.least == 1 + 61 + 61 + 1, "the text, two descriptions and a name"
        assert error.message == (
            f"The request has about {counted.tokens}, at least 124 tokens (o200k_base); the model takes 100."
        )

    def test_form_of_a_schema_is_an_estimate_and_never_refused_for(self) -> None:
        given = Prompt((Message(Role.USER, (Text("Hi"),)),), tools=(Tool("f", "", {"enum": ["word"] * 1000}),))
        assert count(given, EXACT).tokens > 1000
        assert refusal(given, EXACT) is None

    def test_very_long_text_is_judged_without_counting_all_of_it(self) -> None:
        error = refusal(prompt(Text("word " * (EXACT_CHARS_MAX // 5 + 1))), EXACT)
        assert error is not None
        found = re.fullmatch(r"The request has at least (\d+) tokens; the model takes 100.", error.message)
        assert found is not None
        assert 100 < int(found[1]) < EXACT_CHARS_MAX // 5, "it stopped looking once it knew"
        assert count(prompt(Text("word " * (EXACT_CHARS_MAX // 5 + 1))), EXACT).method == "estimate"

    def test_lone_surrogate_is_counted_as_a_question_mark(self) -> None:
        assert count(prompt(Text("a \ud800")), EXACT).tokens == count(prompt(Text("a ?")), EXACT).tokens

    def test_request_that_is_far_from_the_limit_is_let_through_uncounted(self) -> None:
        digits = Text("7 " * 90)
        assert count(prompt(digits), EXACT).least == 180
        assert refusal(prompt(digits), EXACT) is None
