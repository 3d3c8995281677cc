"""The settings, a record for each table of the configuration. `headgate.configfile` reads them."""

from __future__ import annotations

import fnmatch
import hashlib
import ipaddress
import re
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, Field, SecretStr, model_validator

from headgate.policies import DEFAULT, NONE, Policy
from headgate.section import Name, Seconds, Secret, Section
from headgate.traits import TRAITS, CallIds, Lackable, OutputLimit, Reasoning, SeedField, Traits, like_of

SIMULATOR_URL: Final = "simulator:"
"""``base_url`` of the built-in simulator, which the gateway then starts on a free loopback port."""

_NOT_IN_URL: Final = re.compile(r"[{}\s\x00-\x20\x7f]")
_KEY_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOP_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


class OnDisconnect(StrEnum):
    """What becomes of a response when its last reader goes away."""

    CANCEL = "cancel"
    CONTINUE = "continue"
    DRAIN = "drain"


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
    wrong = []
    for name, secret in value.items():
        text = secret.get_secret_value()
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _HOP_HEADERS:
            wrong.append(f"{name!r} cannot be set as a header")
        elif not text.isprintable() or not text.isascii():
            wrong.append(f"the value of header {name!r} must be printable ASCII")
    if wrong:
        raise ValueError("; ".join(wrong))
    return value


def _store_url(value: str) -> str:
    path = value.removeprefix("sqlite:///")
    if path == ":memory:":
        raise ValueError("would be a file of that name: write memory: alone")
    if value != "memory:" and (path == value or not path):
        raise ValueError("must be sqlite:///PATH or memory:")
    return value


def _key_hash(value: str) -> str:
    if not _KEY_HASH.fullmatch(value):
        raise ValueError("must be sha256: and 64 hex digits, as `headgate keys hash` prints it")
    return value


Risk = Literal["low", "medium", "high"]


class Server(Section):
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


class StoreSection(Section):
    """``[store]``"""

    url: Annotated[str, AfterValidator(_store_url)] = Field(
        "sqlite:///headgate.db", description="`sqlite:///PATH`, or `memory:`, which survives nothing."
    )
    durability: Literal["commit", "fsync"] = Field(
        "commit", description="`commit` survives the death of the process, `fsync` a power cut as well."
    )
    retention_s: float = Field(86_400.0, gt=0, description="How long an ended response is kept, seconds.")


class Logging(Section):
    """``[logging]``"""

    format: Literal["human", "json"] = Field("human", description="Log lines for people or for machines.")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is written."
    )


class Takes(Section):
    """``takes`` of a provider"""

    stream_options: bool | None = Field(
        None, description="False for one that refuses `stream_options`; the usage of its streams comes unasked."
    )
    output_limit: OutputLimit | None = Field(
        None,
        description="What a limit of the answer's tokens is called. `by-model`: `max_completion_tokens` for names of "
        "OpenAI's models, `max_tokens` for all others.",
    )
    seed: SeedField | None = Field(None, description="What a seed is called.")
    call_ids: CallIds | None = Field(
        None, description="`alphanumeric-9` for one that takes ids of tool calls of exactly nine letters and digits."
    )
    reasoning: Reasoning | None = Field(
        None,
        description="Reasoning of earlier turns: `leave` it out; `send` it as `reasoning_content`, for models that want it "
        "back with their tool calls; `strip` it from requests of the same dialect as well.",
    )
    lacks: list[Lackable] | None = Field(
        None, description="Fields it does not have; requests with one of them are treated as `on_unsupported` says."
    )


class Provider(Section):
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
    api_key: Secret | None = Field(
        None, description="Sent as the dialect wants it: `Authorization: Bearer`, `x-api-key` or `x-goog-api-key`."
    )
    headers: Annotated[dict[str, SecretStr], AfterValidator(_header)] = Field(
        default_factory=dict, description="More headers for every request; one of the dialect's own is replaced."
    )
    query: dict[str, SecretStr] = Field(
        default_factory=dict, description="Query parameters of every request, such as Azure's `api-version`."
    )
    streaming: bool = Field(True, description="False for a provider that cannot stream: clients still can.")
    like: Literal["openai", "mistral", "deepseek", "moonshot", "azure"] | None = Field(
        None,
        description="Whose habits it has, where it speaks `openai-chat`. Unset, as the host of `base_url` says; with "
        "`{model}` in it, Azure's; else OpenAI's.",
    )
    takes: Takes = Field(
        default_factory=Takes,
        description="What it takes that speaks `openai-chat`, where that is not what `like` says. Requests of clients of "
        "another dialect are written so; those of clients of Chat Completions stay as they are, but for what is "
        "added to them.",
    )

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

    @model_validator(mode="after")
    def _traits_fit(self) -> Self:
        if (self.like or self.takes != Takes()) and "openai-chat" not in (self.dialect, *self.also):
            raise ValueError("'like' and 'takes' are for providers that speak openai-chat")
        return self

    def traits(self) -> Traits:
        """How it wants requests of Chat Completions: as `takes` says, else as providers like it."""
        own: dict[str, Any] = self.takes.model_dump(exclude_none=True)
        if "lacks" in own:
            own["lacks"] = tuple(own["lacks"])
        return msgspec.structs.replace(TRAITS[self.like or like_of(self.base_url)], **own)

    def own_key(self) -> str | None:
        """The key, in clear."""
        return None if self.api_key is None else self.api_key.get_secret_value()


class Timeouts(Section):
    """``timeouts`` of a route"""

    connect_s: Seconds = Field(5.0, description="To connect to the provider, TLS included.")
    first_token_s: Seconds = Field(
        300.0, description="From sending the request to the first semantic event; of an answer that is streamed."
    )
    stall_s: Seconds = Field(60.0, description="Between two semantic events; of an answer that is streamed.")
    whole_s: Seconds = Field(
        600.0,
        description="From sending the request to the end of an answer that is not streamed by the provider: it has no "
        "first token, and comes when all of it was generated.",
    )
    total_s: Seconds | None = Field(None, description="For the whole response; off by default.")
    linger_s: Seconds = Field(2.0, description="For usage and the end marker once every choice has its finish reason.")


class Route(Section):
    """``[[routes]]``"""

    model: str = Field(min_length=1, description="The model names it serves; a glob. The first match wins.")
    to: list[str] = Field(
        min_length=1, description="`provider/model` in order of preference; `*` keeps the asked name."
    )
    policy: Name = Field(NONE, description="Name of a policy; `none` judges nothing.")
    risk: dict[Risk, Name] = Field(
        default_factory=dict,
        description="Policies for requests of a risk level, as `Headgate-Risk` or `metadata.risk` says it.",
    )
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


class Model(Section):
    """``[[models]]``"""

    match: str = Field(
        min_length=1,
        description="Glob on model names at the provider; the first match wins, before the built-in table.",
    )
    context_tokens: int | None = Field(
        None, ge=0, description="Most tokens a request may have; 0: no limit. Unset: as the built-in table says."
    )
    output_tokens_max: int | None = Field(None, ge=0, description="Most tokens of an answer, in the same way.")


class Key(Section):
    """``[[keys]]``"""

    name: Name = Field(description="Whose key it is: the owner of the responses it creates.")
    hash: Annotated[str, AfterValidator(_key_hash)] = Field(
        description="`sha256:...`, as `headgate keys hash` prints it."
    )
    policy: Name | None = Field(None, description="Policy of everything it creates, instead of the route's.")


class AdminKey(Section):
    """``[[admin.keys]]``"""

    name: Name = Field(description="Who it is: reviews and changes are recorded under this name.")
    hash: Annotated[str, AfterValidator(_key_hash)] = Field(
        description="`sha256:...`, as `headgate keys hash` prints it."
    )


class Admin(Section):
    """``[admin]``: reviews, policies, audit; a credential of its own, never a caller's key"""

    keys: list[AdminKey] = Field(
        default_factory=list, description="Who may; none: this machine alone, while there are no `[[keys]]` either."
    )


class Audit(Section):
    """``[audit]``"""

    key_file: str | None = Field(
        None,
        description="Ed25519 private key (PEM) that signs checkpoints and receipts; made where it is missing. "
        "Unset: beside the store, as `<store>.audit-key.pem`.",
    )
    checkpoint_s: Seconds = Field(5.0, description="A checkpoint is signed this often while there is something new.")


class Config(Section):
    """The whole file."""

    server: Server = Field(default_factory=Server)
    store: StoreSection = Field(default_factory=StoreSection)
    logging: Logging = Field(default_factory=Logging)
    providers: list[Provider] = Field(default_factory=list)
    routes: list[Route] = Field(default_factory=list)
    models: list[Model] = Field(default_factory=list)
    keys: list[Key] = Field(default_factory=list)
    admin: Admin = Field(default_factory=Admin)
    audit: Audit = Field(default_factory=Audit)
    policies: dict[Name, Policy] = Field(default_factory=dict)

    def policy(self, name: str) -> Policy:
        """A policy by its name; raises `KeyError` for one that is neither configured nor built in."""
        return self.policies[name] if name != "default" or name in self.policies else DEFAULT

    @property
    def version(self) -> str:
        """12 hex digits that change whenever a setting does. Secrets are not in it."""
        return hashlib.sha256(self.public_json().encode()).hexdigest()[:12]

    def public_json(self) -> str:
        """The settings as JSON, secrets masked."""
        return self.model_dump_json()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def match_route(routes: list[Route], model: str) -> Route | None:
    """The first route whose glob matches the asked model name."""
    return next((route for route in routes if fnmatch.fnmatchcase(model, route.model)), None)


def target_model(target: str, asked: str) -> tuple[str, str]:
    """Provider and model of a route's target. ``*`` keeps the asked name, without a leading ``provider/`` of the same provider."""
    provider, _, model = target.partition("/")
    return provider, model.replace("*", asked.removeprefix(f"{provider}/"))
