"""The configuration file: one TOML file, checked in full before anything starts.

``${NAME}`` in any string is replaced from the environment; unknown keys are errors; every problem names its place,
and all are reported at once. Settings are read here and nowhere else.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from headgate.config import SIMULATOR_URL, Config, Provider, Route, is_loopback
from headgate.errors import ConfigError
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


Location = tuple[str | int, ...]
"""Keys and positions that lead to a setting."""
Problem = tuple[Location, str]
"""What is wrong, and where."""

_ENV: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(value: Any, environ: Mapping[str, str], problems: list[str], location: Location = ()) -> Any:
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
            problems.append(f"{dotted(location)}: the environment has no variable {name}")
        return environ.get(name, "unset")

    return _ENV.sub(replace, value)


def dotted(location: Location) -> str:
    """A place in a file as people write it: ``routes[0].to``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Places:
    """Finds the line of a setting, which the TOML parser does not keep."""

    _HEADER: Final = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_.-]+)\s*\]\]?")
    _KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")

    def __init__(self, text: str) -> None:
        self._lines: dict[str, int] = {}
        table, counts = "", dict[str, int]()
        for number, line in enumerate(text.splitlines(), 1):
            header = self._HEADER.match(line)
            key = self._KEY.match(line)
            if header:
                name = header.group(1)
                table = name
                if line.lstrip().startswith("[["):
                    table = f"{name}[{counts.get(name, 0)}]"
                    counts[name] = counts.get(name, 0) + 1
                self._lines.setdefault(table, number)
            elif key:
                self._lines.setdefault(f"{table}.{key.group(1)}" if table else key.group(1), number)

    def of(self, location: Location) -> str:
        for end in range(len(location), 0, -1):
            line = self._lines.get(dotted(location[:end]))
            if line is not None:
                return f"line {line}: {dotted(location)}"
        return dotted(location)


def load(path: Path | str, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check a file. Raises `ConfigError` with all problems, each with its place."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None
    return parse(text, name=str(path), environ=os.environ if environ is None else environ)


def parse(text: str, *, name: str = "config", environ: Mapping[str, str]) -> Config:
    """Check the text of a file; see `load`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{name}: not TOML: {error}"]) from None
    problems: list[str] = []
    places = Places(text)
    data = expand(data, environ, problems)
    problems += [f"{places.of(location)}: {text}" for location, text in _cross_check(data)]
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        problems += [f"{places.of(item['loc'])}: {_say(item)}" for item in error.errors()]
    if problems:
        raise ConfigError([f"{name}: {problem}" for problem in problems])
    return config


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
                raise ConfigError([f"{variable}: {_say(item)}" for item in error.errors()]) from None
            routes += [Route(model=glob, to=[f"{name}/*"]) for glob in (f"{name}/*", *globs)]
    return Config(providers=providers, routes=routes)


def _cross_check(data: dict[str, Any]) -> list[Problem]:
    """What no section can know alone, from the raw data, so that it is found beside other problems."""
    providers, routes, keys = (_tables(data, section) for section in ("providers", "routes", "keys"))
    problems: list[Problem] = []
    for section, tables in (("providers", providers), ("keys", keys)):
        names = [table.get("name") for table in tables]
        twice = [index for index, name in enumerate(names) if name is not None and name in names[:index]]
        problems += [((section, index, "name"), f"{names[index]!r} is there twice") for index in twice]
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
    defined = set(policies) if isinstance(policies, dict) else set()
    asked = [(("routes", index, "policy"), route.get("policy")) for index, route in enumerate(routes)]
    asked += [(("keys", index, "policy"), key.get("policy")) for index, key in enumerate(keys)]
    for index, route in enumerate(routes):
        levels = route.get("risk")
        asked += [(("routes", index, "risk"), name) for name in levels.values()] if isinstance(levels, dict) else []
    known = {NONE, "default"} | defined
    text = f"there are: {', '.join(sorted(known))}"
    problems: list[Problem] = [
        (place, f"no policy {name!r}; {text}") for place, name in asked if name is not None and name not in known
    ]
    if NONE in defined:
        problems.append((("policies", NONE), "'none' is the policy that judges nothing; give yours another name"))
    return problems


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


def _say(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "unknown key"
    return str(item["msg"]).removeprefix("Value error, ")
