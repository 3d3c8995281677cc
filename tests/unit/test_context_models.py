"""What is known of models by their names."""

from __future__ import annotations

import fnmatch

import pytest

from headgate.models import UNKNOWN, Limits, limits, table
from headgate.tokens import ENCODINGS


@pytest.mark.parametrize(
    ("model", "context", "shared", "encoding"),
    [
        ("gpt-4o-mini", 128_000, True, "o200k_base"),
        ("openai/GPT-4o", 128_000, True, "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:acme::x", 128_000, True, "o200k_base"),
        ("gpt-4", 128_000, True, "cl100k_base"),
        ("gpt-4.1-nano", 1_047_576, True, "o200k_base"),
        ("gpt-5.1", 400_000, False, "o200k_base"),
        ("o3-mini", 200_000, False, "o200k_base"),
        ("claude-opus-4-5-20251101", 200_000, False, ""),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", 1_000_000, False, ""),
        ("claude-opus-4@20250514", 200_000, False, ""),
        ("claude-opus-4-6", 1_000_000, False, ""),
        ("models/gemini-2.5-flash", 1_048_576, False, ""),
        ("mistral-small-latest", 262_144, True, ""),
        ("meta-llama/Llama-3.3-70B-Instruct", 131_072, False, ""),
        ("llama3.2:3b", 131_072, False, ""),
        ("accounts/fireworks/models/qwen3-235b", 1_010_000, False, ""),
    ],
)
def test_well_known_models_have_limits(model: str, context: int, shared: bool, encoding: str) -> None:
    found = limits(model)
    assert (found.context_tokens, found.shared, found.encoding) == (context, shared, encoding)


@pytest.mark.parametrize(
    "model", ["", "my-own-model", "prod-deployment-7", "claude-99", "gemini-2.5-flash-image", "gpt"]
)
def test_model_that_is_not_known_has_no_limit(model: str) -> None:
    assert limits(model).context_tokens is None


def test_configuration_goes_before_the_table() -> None:
    own = [Limits("gpt-4o*", context_tokens=10), Limits("mine/*", 20, 5), Limits("*", output_tokens_max=7)]
    assert limits("gpt-4o", own).context_tokens == 10
    assert limits("openai/gpt-4o", own).encoding == "o200k_base"
    assert limits("mine/x", own) == Limits("*", 20, 5)
    assert limits("gpt-4.1", own).context_tokens == 1_047_576
    assert limits("gpt-4.1", own).output_tokens_max == 7
    assert limits("claude-opus-4-5", [Limits("claude*", context_tokens=0)]).context_tokens is None


def test_table_is_in_order() -> None:
    """No glob is behind one that takes all of its names, and every word is one the code knows."""
    entries = table()
    assert UNKNOWN.match not in [entry.match for entry in entries]
    for at, entry in enumerate(entries):
        assert entry.match == entry.match.lower()
        hidden = [first.match for first in entries[:at] if fnmatch.fnmatchcase(entry.match, first.match)]
        assert not hidden, f"{entry.match} is never reached: {hidden}"
        assert entry.encoding in ("", *ENCODINGS)
        assert entry.family in ("", "openai", "anthropic", "gemini", "mistral")
        assert (entry.output_tokens_max or 0) <= (entry.context_tokens or 0)
