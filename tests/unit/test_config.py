"""The configuration: what is refused, where it stands, and that no message holds a secret."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from headgate.config import Config, Provider
from headgate.configfile import default, parse
from headgate.errors import ConfigError
from headgate.traits import TRAITS

ROUTES = '[[routes]]\nmodel = "*"\nto = ["p/*"]\n'


def provider(*lines: str) -> Config:
    """A file with one provider that has these lines besides its name."""
    return parse("\n".join(["[[providers]]", 'name = "p"', *lines, ROUTES]), environ={})


def problems(*lines: str) -> str:
    with pytest.raises(ConfigError) as refused:
        provider(*lines)
    return "\n".join(refused.value.problems)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://{model}.example.com", "braces"),
        ("http://example.com/{deployment}/v1", "braces"),
        ("http://example.com/a b", "spaces"),
        ("http://user:secret@example.com/v1", "credentials"),
        ("ftp://example.com", "http://"),
        ("http://example.com/v1?x=1", "http://"),
    ],
)
def test_base_url_that_can_never_work_is_refused_with_its_place(url: str, words: str) -> None:
    said = problems(f'base_url = "{url}"')
    assert words in said
    assert "line 3: providers[0].base_url" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "url", ["postgresql://x", "memory", "mysql:x", "sqlite://relative.db", "sqlite:///", "sqlite:///:memory:", ""]
)
def test_store_that_is_none_is_refused_with_its_place(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(f'[store]\nurl = "{url}"\n[[providers]]\nname = "p"\nbase_url = "simulator:"\n{ROUTES}', environ={})
    [said] = refused.value.problems
    assert "line 2: store.url" in said
    assert "memory:" in said


def test_all_headers_that_cannot_be_sent_are_named() -> None:
    said = problems(
        'base_url = "https://example.com"', 'headers = { "bad name" = "x", "x-line" = "a\\nb", "x-ok" = "y" }'
    )
    assert "'bad name'" in said
    assert "'x-line'" in said
    assert "x-ok" not in said


def test_model_may_stand_in_the_path_of_a_base_url() -> None:
    config = provider('base_url = "https://example.com/deployments/{model}"', 'query = { api-version = "2024-10-21" }')
    assert config.providers[0].own_query() == {"api-version": "2024-10-21"}


def test_query_parameters_are_secrets() -> None:
    config = provider('base_url = "https://example.com"', 'query = { key = "sk-secret" }')
    assert "sk-secret" not in config.public_json()


@pytest.mark.parametrize("dialect", ["anthropic-messages", "gemini"])
def test_only_openais_two_dialects_go_together(dialect: str) -> None:
    lines = ['base_url = "https://example.com"', f'dialect = "{dialect}"', 'also = ["openai-chat"]']
    assert "'also' is for" in problems(*lines)


def test_dialect_that_does_not_exist_is_refused_with_those_that_do() -> None:
    said = problems('base_url = "https://example.com"', 'dialect = "smoke-signals"')
    assert "openai-responses" in said


@pytest.mark.parametrize(
    ("variable", "name", "dialect", "models"),
    [
        ("OPENAI_API_KEY", "openai", "openai-chat", "gpt-*"),
        ("ANTHROPIC_API_KEY", "anthropic", "anthropic-messages", "claude-*"),
        ("GEMINI_API_KEY", "gemini", "gemini", "gemini-*"),
    ],
)
def test_provider_comes_in_when_its_key_variable_is_set(variable: str, name: str, dialect: str, models: str) -> None:
    config = default({variable: "sk-secret"})
    [found] = [one for one in config.providers if one.name == name]
    assert (found.dialect, found.own_key()) == (dialect, "sk-secret")
    assert [f"{name}/*"] in [route.to for route in config.routes if route.model == models]
    assert "sk-secret" not in config.public_json()


def test_key_in_the_environment_that_cannot_be_sent_is_named_by_its_variable_and_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        default({"OPENAI_API_KEY": "sk-secret\r"})
    assert "OPENAI_API_KEY: must be printable ASCII" in str(refused.value)
    assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "like"),
    [
        ("OPENAI_API_KEY", "openai"),
        ("MISTRAL_API_KEY", "mistral"),
        ("DEEPSEEK_API_KEY", "deepseek"),
        ("GROQ_API_KEY", "openai"),
        ("OPENROUTER_API_KEY", "openai"),
    ],
)
def test_provider_that_comes_in_by_itself_is_asked_as_it_wants(variable: str, like: str) -> None:
    assert default({variable: "sk-secret"}).providers[-1].traits() == TRAITS[like]


def test_every_row_of_traits_can_be_named_in_the_configuration() -> None:
    [words, _] = get_args(Provider.model_fields["like"].annotation)
    assert set(get_args(words)) == set(TRAITS)


def test_what_a_provider_takes_goes_before_what_those_like_it_do() -> None:
    lines = ['base_url = "https://a.openai.azure.com/openai/v1"', 'takes = { output_limit = "max_tokens", lacks = [] }']
    found = provider(*lines).providers[0].traits()
    assert (found.output_limit, found.lacks) == ("max_tokens", ())
    config = provider('base_url = "http://x/v1"', 'like = "mistral"', "takes = { stream_options = true }")
    assert config.providers[0].traits() == msgspec.structs.replace(TRAITS["mistral"], stream_options=True)
    assert (
        provider('base_url = "https://api.mistral.ai/v1"', 'like = "openai"').providers[0].traits() == TRAITS["openai"]
    )


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ('like = "mistrial"', "line 4: providers[0].like", "'mistral'"),
        ('takes = { lacks = ["users"] }', "line 4: providers[0].takes.lacks[0]", "'user'"),
        ('takes = { seeds = "seed" }', "line 4: providers[0].takes.seeds", "unknown key"),
        ('takes = { call_ids = "short" }', "line 4: providers[0].takes.call_ids", "'alphanumeric-9'"),
        ("takes = { reasoning = true }", "line 4: providers[0].takes.reasoning", "'send'"),
        ('takes = { stream_options = "no" }', "line 4: providers[0].takes.stream_options", "boolean"),
    ],
)
def test_what_no_provider_can_take_is_refused_with_its_place_and_what_can_be(line: str, place: str, words: str) -> None:
    said = problems('base_url = "https://example.com"', line)
    assert place in said
    assert words in said


@pytest.mark.parametrize("line", ['like = "openai"', "takes = { stream_options = false }"])
def test_what_is_of_chat_completions_alone_is_refused_for_other_dialects(line: str) -> None:
    said = problems('base_url = "https://example.com"', 'dialect = "gemini"', line)
    assert "'like' and 'takes' are for providers that speak openai-chat" in said
    provider('base_url = "https://example.com"', 'dialect = "openai-responses"', 'also = ["openai-chat"]', line)
