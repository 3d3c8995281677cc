"""Policies in a configuration file: what is refused, where it stands, and what files of policies alone may hold."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from headgate.config import Config
from headgate.configfile import FileConfig, build_policies, load, load_policies, parse, parse_policies
from headgate.errors import ConfigError
from headgate.governance.policyset import MASKED, PolicySet, digest, source_of, toml
from headgate.policies import Policy

BASE = """\
[[providers]]
name = "p"
base_url = "http://127.0.0.1:1/v1"
[[routes]]
model = "*"
to = ["p/*"]
"""
SECRET = "whsec_" + b64encode(b"0123456789abcdef0123456789abcdef").decode()


def problems(text: str, *, environ: dict[str, str] | None = None, folder: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse(BASE + text, environ=environ or {}, folder=folder)
    return [problem.removeprefix("config: ") for problem in refused.value.problems]


def policies(text: str, files: dict[str, str] | None = None, **environ: str) -> PolicySet:
    return parse_policies(text, name="policies", environ=environ, files=files or {})


def refused(text: str, files: dict[str, str] | None = None, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        policies(text, files, **environ)
    return [problem.removeprefix("policies: ") for problem in error.value.problems]


# a file with mistakes


def test_every_mistake_of_a_file_is_reported_at_once_in_order_of_its_lines() -> None:
    found = problems(
        """\
policy = "nowhere"
risk = { high = "nada" }
[policies.a]
stream = [
  "email",
  "unheard",
]
final = ["rescan", "what"]
[[policies.a.rules]]
name = "own"
detector = "regex"
pattern = "a+"
[[policies.a.rules]]
name = "kind"
detector = "smoke"
[[policies.a.rules]]
name = "list"
detector = "terms"
terms_file = "missing.txt"
[policies.a.review]
timeout_s = -5
[policies."b.c"]
extra = 1
"""
    )
    places = [problem.split(": ")[:2] for problem in found]
    assert places == [
        ["line 7", "routes[0].policy"],
        ["line 8", "routes[0].risk.high"],
        ["line 12", "policies.a.stream[1]"],
        ["line 14", "policies.a.final[1]"],
        ["line 18", "policies.a.rules[0].pattern"],
        ["line 21", "policies.a.rules[1].detector"],
        ["line 25", "policies.a.rules[2].terms_file"],
        ["line 27", "policies.a.review.timeout_s"],
        ["line 29", "policies.b.c.extra"],
    ]


def test_environment_that_lacks_a_variable_is_named_with_its_line() -> None:
    assert problems('[policies.a]\nreplacement = "${NOPE}"\n') == [
        "line 8: policies.a.replacement: the environment has no variable NOPE"
    ]


def test_policy_none_cannot_be_defined() -> None:
    (found,) = problems('[policies.none]\nstream = ["email"]\n')
    assert found.startswith("line 7: policies.none: 'none' is the policy that judges nothing")


def test_admin_key_that_a_caller_has_too_is_refused() -> None:
    key = f'name = "k"\nhash = "sha256:{"0" * 64}"\n'
    (found,) = problems(f"[[keys]]\n{key}[[admin.keys]]\n{key}")
    assert found.startswith("line 12: admin.keys[0].hash: a caller has this key")


def test_two_admin_keys_of_one_name_are_refused() -> None:
    keys = [f'[[admin.keys]]\nname = "k"\nhash = "sha256:{digit * 64}"\n' for digit in "01"]
    assert problems("".join(keys)) == ["line 11: admin.keys[1].name: 'k' is there twice"]


@pytest.mark.parametrize("secret", ["whsec_short", "no prefix", "whsec_" + "!" * 40])
def test_webhook_secret_that_cannot_sign_is_refused_and_not_shown(secret: str) -> None:
    hook = f'[policies.a]\nwebhook = {{ url = "https://example.com/x", secret = "{secret}" }}\n'
    (found,) = problems(hook)
    assert found.startswith("line 8: policies.a.webhook.secret: must be whsec_")
    assert secret not in found


def test_webhook_secret_may_come_without_its_padding() -> None:
    built = policies(f'[policies.a.webhook]\nurl = "https://example.com/x"\nsecret = "{SECRET.rstrip("=")}"\n')
    assert built.rulesets["a"].policy.webhook is not None


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://u:p@example.com", "http://x:99999", "http://a b"])
def test_webhook_address_that_can_never_work_is_refused(url: str) -> None:
    hook = f'[policies.a]\nwebhook = {{ url = "{url}", secret = "{SECRET}" }}\n'
    (found,) = problems(hook)
    assert "policies.a.webhook.url" in found


# terms from a file


RULE = '[policies.a]\nstream = ["names"]\n[[policies.a.rules]]\nname = "names"\ndetector = "terms"\n'


def test_terms_of_a_file_beside_the_configuration_are_added_to_those_of_the_rule(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\ufeffAda\n\n  Grace Hopper \n", encoding="utf-8")
    (tmp_path / "headgate.toml").write_text(BASE + RULE + 'terms = ["Alan"]\nterms_file = "names.txt"\n')
    config = load(tmp_path / "headgate.toml", {})
    assert config.policies["a"].rules[0].terms == ["Alan", "Ada", "Grace Hopper"]


def test_terms_are_part_of_the_version(tmp_path: Path) -> None:
    versions = set()
    for names in ("Ada", "Grace"):
        (tmp_path / "names.txt").write_text(names)
        config = parse(BASE + RULE + 'terms_file = "names.txt"\n', environ={}, folder=tmp_path)
        versions.add(config.version)
    assert len(versions) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\n \n", "holds no terms"), (b"x" * 2_000, "more than 1000 characters"), (b"\xff", "it is not UTF-8")],
)
def test_file_that_is_no_list_of_terms_is_refused_with_its_place(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    (found,) = problems(RULE + 'terms_file = "names.txt"\n', folder=tmp_path)
    assert found.startswith("line 12: policies.a.rules[0].terms_file: ")
    assert words in found


# files of policies alone


def test_text_of_policies_alone_is_compiled_with_the_default_among_them() -> None:
    built = policies('[policies.a]\nstream = ["email"]\n')
    assert sorted(built.rulesets) == ["a", "default"]
    assert built.rulesets["a"].stream.acting_rules[0].name == "email"


def test_text_that_holds_more_than_policies_is_refused() -> None:
    (found,) = refused('[server]\nport = 1\n[policies.a]\nstream = ["email"]\n')
    assert found == "line 1: server: only [policies.*] may stand here"


def test_text_without_a_policy_is_refused() -> None:
    assert refused("") == ["policies: there is no policy"]
    assert refused("policies = 3") == ["line 1: policies: there is no policy"]


def test_terms_of_a_file_that_did_not_come_along_are_missed() -> None:
    (found,) = refused(RULE + 'terms_file = "names.txt"\n')
    assert found == "line 6: policies.a.rules[0].terms_file: the text of 'names.txt' is not here"


def test_set_is_the_same_whatever_order_and_spelling_its_policies_have() -> None:
    one = policies('[policies.a]\nstream = ["email"]\n[policies.b]\nstream = ["iban"]\n')
    other = policies("policies.b = {stream = ['iban']}\n[policies.a]\nstream = [ 'email' ]\n")
    assert one.version == other.version
    assert one.version != policies('[policies.a]\nstream = ["email"]\n').version


def test_secret_is_neither_in_a_version_nor_in_what_is_kept_where_the_environment_has_it() -> None:
    hook = '[policies.a]\nwebhook = { url = "https://example.com/x", secret = "${HOOK}" }\n'
    other = "whsec_" + b64encode(b"f" * 32).decode()
    one, two = policies(hook, HOOK=SECRET), policies(hook, HOOK=other)
    assert one.version == two.version
    assert one.source == two.source
    assert SECRET not in str(one.source)


def test_what_is_kept_makes_the_same_set_again() -> None:
    built = policies(RULE + 'terms_file = "n.txt"\n', {"n.txt": "Ada", "other.txt": "not asked for"})
    assert built.source.files == {"n.txt": "Ada"}
    assert build_policies(built.source, {}, name="again").version == built.version


def test_set_is_shown_as_toml_that_makes_it_again() -> None:
    text = """\
[policies.a]
stream = ["email", "names"]
length = { chars_max = 10 }
placeholder = "numbered"
[[policies.a.rules]]
name = "names"
detector = "terms"
terms = ["Ada \\"the\\" Countess", "tab\\there", "\\u007f", "a\u2028b"]
[[policies.a.rules]]
name = "remote"
detector = "moderation"
url = "https://example.com/m"
categories = { "hate/threatening" = 0.5, violence = 1.0 }
[policies."b.c".drift]
distance_max = 3
"""
    built = policies(text)
    assert policies(toml(built.source)).version == built.version


def test_secret_beside_the_name_of_a_variable_is_masked_too() -> None:
    hook = '[policies.a.webhook]\nurl = "https://example.com/x"\nsecret = "{}"\n'
    half = SECRET[:20] + "${REST}"
    assert SECRET[:20] not in toml(policies(hook.format(half), REST=SECRET[20:]).source)
    assert "${ALL}" in toml(policies(hook.format("${ALL}"), ALL=SECRET).source)


def test_secret_that_is_written_out_is_masked_where_the_set_is_shown_and_not_taken_for_one_again() -> None:
    built = policies(f'[policies.a.webhook]\nurl = "https://example.com/x"\nsecret = "{SECRET}"\n')
    shown = toml(built.source)
    assert SECRET not in shown
    assert f'secret = "{MASKED}"' in shown
    (found,) = refused(shown)
    assert found == "line 5: policies.a.webhook.secret: a masked secret: write the secret, or ${NAME}"


def test_configuration_keeps_its_policies_as_they_were_written() -> None:
    config = parse(BASE + '[policies.a]\nreplacement = "${SAFE}"\n', environ={"SAFE": "no"})
    assert isinstance(config, FileConfig)
    assert config.policy_source.tables == {"a": {"replacement": "${SAFE}"}}
    assert config.policies["a"].replacement == "no"
    assert isinstance(config.model_copy(update={"keys": []}), FileConfig)


def test_settings_made_in_code_are_described_without_their_secrets() -> None:
    hook = {"url": "https://example.com/x", "secret": SECRET}
    policy = Policy.model_validate({"stream": ["email"], "webhook": hook}, strict=False)
    source = source_of({"a": policy})
    assert SECRET not in str(source)
    assert source.tables["a"]["stream"] == ["email"]


def test_policies_are_loaded_from_a_configuration_and_from_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("Ada")
    rule = RULE + 'terms_file = "n.txt"\n'
    (tmp_path / "whole.toml").write_text(BASE + rule)
    (tmp_path / "alone.toml").write_text(rule)
    versions = {load_policies(tmp_path / name, {}).version for name in ("whole.toml", "alone.toml")}
    assert len(versions) == 1


def test_default_policy_may_be_redefined() -> None:
    config = parse(BASE + '[policies.default]\nstream = ["iban"]\n', environ={})
    assert isinstance(config, Config)
    assert config.policy("default").stream == ["iban"]


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
