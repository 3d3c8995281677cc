"""The configuration: one TOML file, checked in full before anything starts.

``${NAME}`` in any string is replaced from the environment; unknown keys are errors; every problem names its place,
and all are reported at once. Settings are read here and nowhere else.
"""

from __future__ import annotations

import fnmatch
import hashlib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from headgate.configfile import Places, expand
from headgate.errors import ConfigError

SIMULATOR_URL: Final = "simulator:"
"""``base_url`` of the built-in simulator, which the gateway then starts on a free loopback port."""

_NOT_IN_URL: Final = re.compile(r"[{}\s\x00-\x20\x7f]")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_KEY_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOP_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})

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


class OnDisconnect(StrEnum):
    """What becomes of a response when its last reader goes away."""

    CANCEL = "cancel"
    CONTINUE = "continue"
    DRAIN = "drain"


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("must be 1 to 64 of a-z 0-9 _ . -, beginning with a letter or digit")
    return value


def _base_url(value: str) -> str:
    if value == SIMULATOR_URL:
        return value
    url = urlsplit(value)
    _ = url.port  # raises ValueError for a port that is none
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError("must be http://HOST[:PORT]/PATH or https://..., as the provider's official SDK takes it")
    if url.username or url.password:
        raise ValueError("must not hold credentials: use api_key or headers")
    if _NOT_IN_URL.search(url.netloc + url.path.replace("{model}", "")):
        raise ValueError("may hold {model} in its path, and no other braces, no spaces or control characters")
    return value


def _header(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, secret in value.items():
        text = secret.get_secret_value()
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _HOP_HEADERS:
            raise ValueError(f"{name!r} cannot be set as a header")
        if not text.isprintable() or not text.isascii():
            raise ValueError(f"the value of header {name!r} must be printable ASCII")
    return value


def _printable_secret(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isprintable() or not value.get_secret_value().isascii():
        raise ValueError("must be printable ASCII")
    return value


def _key_hash(value: str) -> str:
    if not _KEY_HASH.fullmatch(value):
        raise ValueError("must be sha256: and 64 hex digits, as `headgate keys hash` prints it")
    return value


def _policy(value: str) -> str:
    if value != "none":
        raise ValueError("only the policy 'none' exists in this version")
    return value


Name = Annotated[str, AfterValidator(_name)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Section(BaseModel):
    # A value in an error message could be a secret.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Server(_Section):
    """``[server]``"""

    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs `[[keys]]`.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    cors_origins: list[str] = Field(default_factory=list, description="Origins whose browsers may call; `*` for all.")
    body_bytes_max: int = Field(32 * 1024 * 1024, ge=1024, description="Largest request body; larger ones get 413.")
    body_timeout_s: Seconds = Field(60.0, description="A request body must be complete within this time, else 408.")
    header_timeout_s: Seconds = Field(
        20.0, description="A new connection must have sent its request headers within this time."
    )
    idle_timeout_s: Seconds = Field(75.0, description="Idle keep-alive connections are closed after this time.")
    open_responses_max: int = Field(10_000, ge=1, description="Responses in flight; more are refused with 503.")
    commit_after_s: Seconds = Field(
        10.0, description="A stream's headers leave after this wait, even if no token came."
    )
    heartbeat_s: Seconds = Field(15.0, description="A silent stream gets a heartbeat this often.")
    write_stall_s: Seconds = Field(60.0, description="A client that takes nothing for this long is cut; it may resume.")
    drain_s: Seconds = Field(30.0, description="After SIGTERM readers may finish for this long.")


class StoreSection(_Section):
    """``[store]``"""

    url: str = Field("sqlite:///headgate.db", description="`sqlite:///PATH`, or `memory:`, which survives nothing.")
    durability: Literal["commit", "fsync"] = Field(
        "commit", description="`commit` survives the death of the process, `fsync` a power cut as well."
    )
    retention_s: float = Field(86_400.0, gt=0, description="How long an ended response is kept, seconds.")


class Logging(_Section):
    """``[logging]``"""

    format: Literal["human", "json"] = Field("human", description="Log lines for people or for machines.")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is written."
    )


class Provider(_Section):
    """``[[providers]]``"""

    name: Name = Field(description="What routes call it.")
    dialect: Literal["openai-chat", "openai-responses", "anthropic-messages", "gemini"] = Field(
        "openai-chat", description="The wire format it speaks."
    )
    also: list[Literal["openai-chat", "openai-responses"]] = Field(
        default_factory=list,
        description="Other wire formats it speaks under the same `base_url`. A client of one of them is answered in it, "
        "so that nothing has to be translated.",
    )
    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        description="As its official SDK takes it; `simulator:` is the built-in simulator. `{model}` in its path becomes "
        "the model's name, for servers that have it there (Azure's deployments)."
    )
    api_key: Annotated[SecretStr, AfterValidator(_printable_secret)] | None = Field(
        None, description="Sent as the dialect wants it: `Authorization: Bearer`, `x-api-key` or `x-goog-api-key`."
    )
    headers: Annotated[dict[str, SecretStr], AfterValidator(_header)] = Field(
        default_factory=dict, description="More headers for every request; one of the dialect's own is replaced."
    )
    query: dict[str, SecretStr] = Field(
        default_factory=dict, description="Query parameters of every request, such as Azure's `api-version`."
    )
    streaming: bool = Field(True, description="False for a provider that cannot stream: clients still can.")

    def own_headers(self) -> dict[str, str]:
        """The headers of its table, secrets in clear; its dialect adds the credential."""
        return {name.lower(): value.get_secret_value() for name, value in self.headers.items()}

    def own_query(self) -> dict[str, str]:
        """Its query parameters, secrets in clear."""
        return {name: value.get_secret_value() for name, value in self.query.items()}

    @model_validator(mode="after")
    def _also_fits(self) -> Self:
        if self.also and not self.dialect.startswith("openai-"):
            raise ValueError("'also' is for providers whose dialect is openai-chat or openai-responses")
        return self

    def own_key(self) -> str | None:
        """The key, in clear."""
        return None if self.api_key is None else self.api_key.get_secret_value()


class Timeouts(_Section):
    """``timeouts`` of a route"""

    connect_s: Seconds = Field(5.0, description="To connect to the provider, TLS included.")
    first_token_s: Seconds = Field(300.0, description="From sending the request to the first semantic event.")
    stall_s: Seconds = Field(60.0, description="Between two semantic events.")
    total_s: Seconds | None = Field(None, description="For the whole response; off by default.")
    linger_s: Seconds = Field(2.0, description="For usage and the end marker once every choice has its finish reason.")


class Route(_Section):
    """``[[routes]]``"""

    model: str = Field(min_length=1, description="The model names it serves; a glob. The first match wins.")
    to: list[str] = Field(
        min_length=1, description="`provider/model` in order of preference; `*` keeps the asked name."
    )
    policy: Annotated[str, AfterValidator(_policy)] = Field("none", description="Name of a policy.")
    upstream: Literal["auto", "stream", "whole"] = Field(
        "auto", description="How to ask the provider: as the client asked, always streamed, or always whole."
    )
    on_unsupported: Literal["error", "drop"] = Field(
        "error",
        description="A field of the request that the provider's dialect has no word for: refuse the request, or leave the "
        "field out and say so in the log.",
    )
    on_disconnect: OnDisconnect = Field(
        OnDisconnect.CANCEL, strict=False, description="When the last reader leaves: `cancel`, `continue` or `drain`."
    )
    grace_s: float | None = Field(
        None,
        ge=0,
        le=86_400,
        description="Before that happens; unset: 0, or 10 for callers that sent `Headgate-Resume: 1`.",
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Timers of this route.")


class Model(_Section):
    """``[[models]]``"""

    match: str = Field(
        min_length=1,
        description="Glob on model names at the provider; the first match wins, before the built-in table.",
    )
    context_tokens: int | None = Field(
        None, ge=0, description="Most tokens a request may have; 0: no limit. Unset: as the built-in table says."
    )
    output_tokens_max: int | None = Field(None, ge=0, description="Most tokens of an answer, in the same way.")


class Key(_Section):
    """``[[keys]]``"""

    name: Name = Field(description="Whose key it is: the owner of the responses it creates.")
    hash: Annotated[str, AfterValidator(_key_hash)] = Field(
        description="`sha256:...`, as `headgate keys hash` prints it."
    )


class Config(_Section):
    """The whole file."""

    server: Server = Field(default_factory=Server)
    store: StoreSection = Field(default_factory=StoreSection)
    logging: Logging = Field(default_factory=Logging)
    providers: list[Provider] = Field(default_factory=list)
    routes: list[Route] = Field(default_factory=list)
    models: list[Model] = Field(default_factory=list)
    keys: list[Key] = Field(default_factory=list)

    @property
    def version(self) -> str:
        """12 hex digits that change whenever a setting does. Secrets are not in it."""
        return hashlib.sha256(self.public_json().encode()).hexdigest()[:12]

    def public_json(self) -> str:
        """The settings as JSON, secrets masked."""
        return self.model_dump_json()


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


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _cross_check(data: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """What no section can know alone, from the raw data, so that it is found beside other problems."""
    providers, routes, keys = (_tables(data, section) for section in ("providers", "routes", "keys"))
    problems: list[tuple[tuple[str | int, ...], str]] = []
    for section, tables in (("providers", providers), ("keys", keys)):
        names = [table.get("name") for table in tables]
        twice = [index for index, name in enumerate(names) if name is not None and name in names[:index]]
        problems += [((section, index, "name"), f"{names[index]!r} is there twice") for index in twice]
    known = {str(provider.get("name")) for provider in providers}
    for index, route in enumerate(routes):
        targets = route.get("to")
        for position, target in enumerate(targets if isinstance(targets, list) else []):
            problems += [(("routes", index, "to", position), text) for text in _target_problems(target, known)]
    if not routes:
        problems.append((("routes",), "there is no route, so no request could be served"))
    server = data.get("server")
    host = server.get("host", "127.0.0.1") if isinstance(server, dict) else "127.0.0.1"
    if isinstance(host, str) and not is_loopback(host) and not keys:
        text = f"{host} is not loopback: add [[keys]] first, or anybody could use your providers"
        problems.append((("server", "host"), text))
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


def match_route(routes: list[Route], model: str) -> Route | None:
    """The first route whose glob matches the asked model name."""
    return next((route for route in routes if fnmatch.fnmatchcase(model, route.model)), None)


def target_model(target: str, asked: str) -> tuple[str, str]:
    """Provider and model of a route's target. ``*`` keeps the asked name, without a leading ``provider/`` of the same provider."""
    provider, _, model = target.partition("/")
    return provider, model.replace("*", asked.removeprefix(f"{provider}/"))
