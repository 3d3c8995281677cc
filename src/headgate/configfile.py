"""The configuration file: one TOML file, checked in full before anything starts.

``${NAME}`` in any string is replaced from the environment; unknown keys are errors; every problem names its place,
and all are reported at once. Settings are read here and nowhere else.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import PrivateAttr, ValidationError

from headgate.config import SIMULATOR_URL, Config, Provider, Route, is_loopback
from headgate.errors import ConfigError
from headgate.governance.policyset import (
    PolicySet,
    PolicySource,
    build,
    compile_problems,
    said,
    terms_files,
    with_terms,
)
from headgate.places import Location, Places, Problem
from headgate.policies import NONE

KNOWN_PROVIDERS: Final = (
    # name, dialects, key variable, base URL, model globs that lead there without a prefix
    (
        "openai",
        ("openai-chat", "openai-responses"),
        "OPENAI_API_KEY",
        "https://api.openai.com/v1",
        ("gpt-*", "o1*", "o3*", "o4*", "chatgpt-*"),
    ),
    ("anthropic", ("anthropic-messages",), "ANTHROPIC_API_KEY", "https://api.anthropic.com", ("claude-*",)),
    ("gemini", ("gemini",), "GEMINI_API_KEY", "https://generativelanguage.googleapis.com", ("gemini-*", "gemma-*")),
    ("groq", ("openai-chat",), "GROQ_API_KEY", "https://api.groq.com/openai/v1", ()),
    ("mistral", ("openai-chat",), "MISTRAL_API_KEY", "https://api.mistral.ai/v1", ("mistral-*", "codestral-*")),
    ("deepseek", ("openai-chat",), "DEEPSEEK_API_KEY", "https://api.deepseek.com/v1", ("deepseek-*",)),
    ("openrouter", ("openai-chat",), "OPENROUTER_API_KEY", "https://openrouter.ai/api/v1", ()),
)
"""Providers that come in by themselves, without a configuration file, when their usual key variable is set."""
TERMS_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of one file with terms: a million of them have about 20 MB."""


_ENV: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(value: Any, environ: Mapping[str, str], problems: list[Problem], location: Location = ()) -> Any:
    """`value` with ``${NAME}`` in its strings filled in; names that the environment does not have are `problems`."""
    if isinstance(value, dict):
        return {key: expand(item, environ, problems, (*location, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, environ, problems, (*location, index)) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environ:
            problems.append((location, f"the environment has no variable {name}"))
        return environ.get(name, "unset")

    return _ENV.sub(replace, value)


class FileConfig(Config):
    """A configuration that was read from a text, with what of it is needed again when policies change."""

    _policy_source: PolicySource = PrivateAttr(default=PolicySource({}, {}))

    @property
    def policy_source(self) -> PolicySource:
        """``[policies.*]`` as they were written."""
        return self._policy_source


def load(path: Path | str, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check a file. Raises `ConfigError` with all problems, each with its place."""
    text, environ = read_text(path), os.environ if environ is None else environ
    return parse(text, name=str(path), environ=environ, folder=Path(path).parent)


def read_text(path: Path | str) -> str:
    """The text of a file. Raises `ConfigError`."""
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None


def parse(text: str, *, name: str = "config", environ: Mapping[str, str], folder: Path | None = None) -> Config:
    """Check the text of a file; see `load`. Files that it names are relative to `folder`, unset: to where we are."""
    written = _toml(text, name)
    problems: list[Problem] = []
    data = expand(written, environ, problems)
    problems += _cross_check(data)
    source = PolicySource(written.get("policies", {}), {})
    tables = data.get("policies")
    if isinstance(tables, dict):
        source = source._replace(files=read_terms(tables, folder or Path(), problems))
        data["policies"] = with_terms(tables, source.files, problems)
    try:
        config = FileConfig.model_validate(data)
    except ValidationError as error:
        problems += [(item["loc"], said(item)) for item in error.errors()]
    problems += compile_problems(data.get("policies"))
    if problems:
        raise ConfigError(placed(problems, text, name))
    config._policy_source = source
    return config


def parse_policies(text: str, *, name: str, environ: Mapping[str, str], files: Mapping[str, str]) -> PolicySet:
    """Check a text that holds ``[policies.*]`` and nothing else. Raises `ConfigError` with all problems."""
    written = _toml(text, name)
    problems: list[Problem] = [((key,), "only [policies.*] may stand here") for key in written if key != "policies"]
    tables = written.get("policies")
    if not isinstance(tables, dict) or not tables:
        problems.append((("policies",), "there is no policy"))
        raise ConfigError(placed(problems, text, name))
    problems += _reserved(tables)
    source = PolicySource(tables, dict(files))
    built, found = _built(source, environ)
    if built is None or problems:
        raise ConfigError(placed(problems + found, text, name))
    return built


def build_policies(source: PolicySource, environ: Mapping[str, str], *, name: str) -> PolicySet:
    """A set again, of what was kept of it. Raises `ConfigError`."""
    built, problems = _built(source, environ)
    if built is None:
        raise ConfigError(placed(problems, "", name))
    return built


def _built(source: PolicySource, environ: Mapping[str, str]) -> tuple[PolicySet | None, list[Problem]]:
    problems: list[Problem] = []
    tables = expand(source.tables, environ, problems, ("policies",))
    wanted = list(terms_files(tables))
    problems += [(at, f"the text of {name!r} is not here") for at, name in wanted if name not in source.files]
    names = {name for _, name in wanted}
    built, found = build(tables, PolicySource(source.tables, {n: t for n, t in source.files.items() if n in names}))
    return (None if problems else built), problems + found


def load_policies(path: Path | str, environ: Mapping[str, str] | None = None) -> PolicySet:
    """The policies of a configuration, or of a file that holds nothing else. Raises `ConfigError`."""
    text, environ = read_text(path), os.environ if environ is None else environ
    if _toml(text, str(path)).keys() <= {"policies"}:
        return parse_policies(text, name=str(path), environ=environ, files=files_beside(path, text))
    config = parse(text, name=str(path), environ=environ, folder=Path(path).parent)
    return PolicySet.of(config.policies, PolicySource({}, {}))


def files_beside(path: Path | str, text: str) -> dict[str, str]:
    """Text of the files with terms that a text of policies names, from the folder of its file. Raises `ConfigError`."""
    tables = _toml(text, str(path)).get("policies")
    problems: list[Problem] = []
    files = read_terms(tables, Path(path).parent, problems) if isinstance(tables, dict) else {}
    if problems:
        raise ConfigError(placed(problems, text, str(path)))
    return files


def read_terms(tables: Mapping[str, Any], folder: Path, problems: list[Problem]) -> dict[str, str]:
    """Text of the files with terms that policies ask for, by name."""
    texts: dict[str, str] = {}
    for at, wanted in terms_files(tables):
        try:
            path = folder / wanted
            if path.stat().st_size > TERMS_FILE_BYTES_MAX:
                problems.append((at, f"{wanted!r} has more than {TERMS_FILE_BYTES_MAX} bytes"))
            else:
                texts[wanted] = path.read_text("utf-8-sig")
        except (OSError, ValueError) as error:
            why = (error.strerror or "unknown") if isinstance(error, OSError) else "it is not UTF-8"
            problems.append((at, f"{wanted!r} cannot be read: {why}"))
    return texts


def placed(problems: Sequence[Problem], text: str, name: str) -> list[str]:
    """Problems as lines, each with its place in the text. Of several about one setting the first, which the others follow from."""
    places = Places(text)
    first: dict[Location, str] = {}
    for location, problem in problems:
        first.setdefault(location, problem)
    ordered = sorted(first.items(), key=lambda found: places.line(found[0]))
    return [f"{name}: {places.of(location)}: {problem}" for location, problem in ordered]


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError([f"{name}: not TOML: {error}"]) from None


def default(environ: Mapping[str, str]) -> Config:
    """The configuration without a file: loopback, SQLite here, the simulator, and every provider whose key variable is set."""
    providers = [Provider(name="simulator", base_url=SIMULATOR_URL)]
    routes = [Route(model="sim*", to=["simulator/*"]), Route(model="simulator/*", to=["simulator/*"])]
    for name, dialects, variable, url, globs in KNOWN_PROVIDERS:
        if environ.get(variable):
            own, *also = dialects
            settings = {"name": name, "dialect": own, "also": also, "base_url": url, "api_key": environ[variable]}
            try:
                providers.append(Provider.model_validate(settings, strict=False))
            except ValidationError as error:
                raise ConfigError([f"{variable}: {said(item)}" for item in error.errors()]) from None
            routes += [Route(model=glob, to=[f"{name}/*"]) for glob in (f"{name}/*", *globs)]
    return Config(providers=providers, routes=routes)


def _cross_check(data: dict[str, Any]) -> list[Problem]:
    """What no section can know alone, from the raw data, so that it is found beside other problems."""
    providers, routes, keys = (_tables(data, section) for section in ("providers", "routes", "keys"))
    problems: list[Problem] = []
    admins = _admin_tables(data)
    for section, tables in ((("providers",), providers), (("keys",), keys), (("admin", "keys"), admins)):
        names = [table.get("name") for table in tables]
        twice = [index for index, name in enumerate(names) if name is not None and name in names[:index]]
        problems += [((*section, index, "name"), f"{names[index]!r} is there twice") for index in twice]
    callers = {key.get("hash") for key in keys}
    problems += [
        (("admin", "keys", index, "hash"), "a caller has this key: administration needs one of its own")
        for index, key in enumerate(admins)
        if key.get("hash") in callers
    ]
    known = {str(provider.get("name")) for provider in providers}
    for index, route in enumerate(routes):
        targets = route.get("to")
        for position, target in enumerate(targets if isinstance(targets, list) else []):
            problems += [(("routes", index, "to", position), text) for text in _target_problems(target, known)]
    problems += _policy_problems(data, routes, keys)
    if not routes:
        problems.append((("routes",), "there is no route, so no request could be served"))
    server = data.get("server")
    host = server.get("host", "127.0.0.1") if isinstance(server, dict) else "127.0.0.1"
    if isinstance(host, str) and not is_loopback(host) and not keys:
        text = f"{host} is not loopback: add [[keys]] first, or anybody could use your providers"
        problems.append((("server", "host"), text))
    return problems


def _policy_problems(data: dict[str, Any], routes: list[dict[str, Any]], keys: list[dict[str, Any]]) -> list[Problem]:
    """Names of policies that do not exist, and a definition of the one that cannot be defined."""
    policies = data.get("policies")
    defined = policies if isinstance(policies, dict) else {}
    known = {NONE, "default"} | set(defined)
    text = f"there are: {', '.join(sorted(known))}"
    asked = policies_asked(routes, keys)
    problems: list[Problem] = [(place, f"no policy {name!r}; {text}") for place, name in asked if name not in known]
    return problems + _reserved(defined)


def policies_asked(routes: list[dict[str, Any]], keys: list[dict[str, Any]]) -> Iterator[tuple[Location, str]]:
    """Where routes and keys name a policy, from their raw tables."""
    for section, tables in (("routes", routes), ("keys", keys)):
        for index, table in enumerate(tables):
            if isinstance(name := table.get("policy"), str):
                yield (section, index, "policy"), name
            levels = table.get("risk")
            for level, name in levels.items() if isinstance(levels, dict) else ():
                if isinstance(name, str):
                    yield (section, index, "risk", level), name


def _reserved(tables: Mapping[str, Any]) -> list[Problem]:
    text = "'none' is the policy that judges nothing; give yours another name"
    return [(("policies", NONE), text)] if NONE in tables else []


def _admin_tables(data: dict[str, Any]) -> list[dict[str, Any]]:
    admin = data.get("admin")
    return _tables(admin, "keys") if isinstance(admin, dict) else []


def _tables(data: dict[str, Any], section: str) -> list[dict[str, Any]]:
    tables = data.get(section)
    return [table if isinstance(table, dict) else {} for table in tables] if isinstance(tables, list) else []


def _target_problems(target: Any, known: set[str]) -> list[str]:
    provider, slash, model = target.partition("/") if isinstance(target, str) else ("", "", "")
    if not slash or not model:
        return [f"{target!r} is not provider/model"]
    if provider not in known:
        return [f"no provider {provider!r}; there are: {', '.join(sorted(known)) or 'none'}"]
    return []
