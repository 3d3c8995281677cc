"""``GET /openapi.json``: the HTTP surface in OpenAPI 3.1.

Paths, methods, who needs a key and whose errors are shown are read off the routes themselves; here is only what these
cannot say: what an operation is for, its parameters, and what it answers with. A test finds a route without that, and
that without a route. The bodies of the four dialects are their owners', and described by those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec

from headgate import __version__
from headgate.api import links
from headgate.api.admin import PREFIX
from headgate.api.callers import KEY_HEADERS
from headgate.api.exchange import Exchange
from headgate.api.objects import REFERENCE, schemas
from headgate.dialects import Dialect, dialects
from headgate.dialects.transport import NDJSON

PATH: Final = "/openapi.json"
STREAM: Final = "text/event-stream"
JSON: Final = "application/json"
_STEP: Final = re.compile(r"\{(\w+)\}")
_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "boolean"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_MODELS: Final = ("limit", "after_id", "before_id", "pageSize", "pageToken")
_LOG: Final = ("dialect", "after", "after_frames", "include_usage", "extensions", "format", "Last-Event-ID")
_CREATED: Final = ("Headgate-Resume", "Headgate-Risk")


class Said(NamedTuple):
    """What is said of an operation beside what its route says."""

    id: str
    summary: str
    body: str = ""
    """Whose body it takes: a dialect's name, or words; empty for none."""
    answers: tuple[tuple[int, str, str], ...] = ((200, JSON, ""),)
    """Status, media type, and name of a schema of ours; an empty name: the dialect's, or in words of PROTOCOL.md."""
    parameters: tuple[str, ...] = ()


_BOTH: Final = ((200, JSON, ""), (200, STREAM, ""), (200, NDJSON.media_type, ""), (202, JSON, ""))
_MODEL: Final = Said("showModel", "One model, in the shape that the caller's SDK reads")
SAID: Final[Mapping[tuple[str, str], Said]] = {
    ("POST", "/v1/chat/completions"): Said("createChatCompletion", "Create", "openai-chat", _BOTH, _CREATED),
    ("POST", "/v1/responses"): Said("createResponse", "Create", "openai-responses", _BOTH, _CREATED),
    ("POST", "/v1/responses/input_tokens"): Said("countResponseTokens", "Count tokens", "openai-responses"),
    ("POST", "/v1/responses/compact"): Said("compactResponse", "Compact a conversation", "openai-responses"),
    ("POST", "/v1/messages"): Said("createMessage", "Create", "anthropic-messages", _BOTH, _CREATED),
    ("POST", "/v1/messages/count_tokens"): Said("countMessageTokens", "Count tokens", "anthropic-messages"),
    ("GET", "/v1/models"): Said("listModels", "The models that can be asked for", parameters=_MODELS),
    ("GET", "/v1beta/models"): Said("listGeminiModels", "The models that can be asked for", parameters=_MODELS[3:]),
    ("GET", "/v1alpha/models"): Said("listAlphaModels", "The models that can be asked for", parameters=_MODELS[3:]),
    ("GET", "/v1/models/{id}"): _MODEL,
    ("GET", "/v1beta/models/{id}"): _MODEL._replace(id="showGeminiModel"),
    ("GET", "/v1alpha/models/{id}"): _MODEL._replace(id="showAlphaModel"),
    ("POST", "/v1/models/{id}"): Said(
        "actOnModel", "Gemini's methods: `{id}` is `<model>:<method>`", "gemini", _BOTH, (*_CREATED, "alt")
    ),
    ("POST", "/v1beta/models/{id}"): Said(
        "actOnGeminiModel", "Gemini's methods: `{id}` is `<model>:<method>`", "gemini", _BOTH, (*_CREATED, "alt")
    ),
    ("POST", "/v1alpha/models/{id}"): Said(
        "actOnAlphaModel", "Gemini's methods: `{id}` is `<model>:<method>`", "gemini", _BOTH, (*_CREATED, "alt")
    ),
    ("GET", "/v1/responses/{id}"): Said(
        "showResponse",
        "What is there of a response, or its stream in the Responses dialect",
        answers=((200, JSON, "Response"), (200, STREAM, "")),
        parameters=("stream", "starting_after"),
    ),
    ("DELETE", "/v1/responses/{id}"): Said("deleteResponse", "Stop it if it runs, and forget it"),
    ("POST", "/v1/responses/{id}/cancel"): Said(
        "cancelResponse", "Stop the generation", answers=((200, JSON, "Response"),)
    ),
    ("GET", "/v1/responses/{id}/receipt"): Said(
        "showReceipt", "Proof of what was delivered", answers=((200, JSON, "Receipt"),)
    ),
    ("GET", "/v1/responses/{id}/input_items"): Said(
        "listInputItems", "The input it was created with", parameters=("after", "limit", "order")
    ),
    ("POST", "/v1/responses/{id}/links"): Said(
        "createLink", "A link that opens it for a while", '`{"expires_in_s"}`, or nothing', ((201, JSON, "Link"),)
    ),
    ("GET", "/v1/responses/{id}/events"): Said(
        "followResponse",
        "Its log, from any cursor, in any dialect; an event a line, or a frame",
        answers=((200, STREAM, "Event"), (200, NDJSON.media_type, "Event"), (204, "", "")),
        parameters=_LOG,
    ),
    ("GET", "/healthz"): Said("health", "Whether the process runs"),
    ("HEAD", "/healthz"): Said("headHealth", "Whether the process runs"),
    ("GET", "/readyz"): Said("readiness", "Whether new work is taken", answers=((200, JSON, ""), (503, JSON, ""))),
    ("HEAD", "/readyz"): Said("headReadiness", "Whether new work is taken", answers=((200, JSON, ""), (503, JSON, ""))),
    ("GET", "/metrics"): Said("metrics", "Prometheus text format", answers=((200, "text/plain", ""),)),
    ("GET", PATH): Said("describe", "This document"),
}


def parameters() -> dict[str, Any]:
    """All parameters but those in paths, by name."""
    named = {"enum": sorted(dialects())}
    found = {
        "dialect": ("query", named | _TEXT, "The dialect to show it in (`headgate`)"),
        "after": ("query", _TEXT, "The cursor: everything after it is wanted"),
        "after_frames": ("query", _COUNT, "So many frames of this dialect are there already"),
        "include_usage": ("query", _FLAG, "Whether the stream ends with usage"),
        "extensions": ("query", _FLAG, "Whether events of ours are wanted among those of the Responses dialect"),
        "format": ("query", {"enum": ["ndjson"]}, "Lines of JSON in place of server-sent events"),
        "stream": ("query", _FLAG, "Whether a stream is wanted"),
        "starting_after": ("query", _COUNT, "The `sequence_number` after which the stream begins"),
        "order": ("query", {"enum": ["asc", "desc"]}, "Oldest or newest first"),
        "limit": ("query", _COUNT, "At most so many"),
        "after_id": ("query", _TEXT, "Anthropic's paging: behind this model"),
        "before_id": ("query", _TEXT, "Anthropic's paging: before this model"),
        "pageSize": ("query", _COUNT, "Gemini's paging: at most so many"),
        "pageToken": ("query", _TEXT, "Gemini's paging: `nextPageToken` of the page before"),
        "alt": ("query", {"enum": ["sse"]}, "Server-sent events in place of an array"),
        "Last-Event-ID": ("header", _TEXT, "The cursor, as `EventSource` sends it"),
        "Headgate-Resume": ("header", {"enum": ["1"]}, "Who leaves will come back"),
        "Headgate-Risk": ("header", {"enum": ["low", "medium", "high"]}, "Risk of the request, as the caller sees it"),
    }
    return {
        name: {"name": name, "in": where, "schema": schema, "description": text}
        for name, (where, schema, text) in found.items()
    }


Routes = Mapping[str, tuple[Dialect | None, Mapping[str, tuple[Any, bool]]]]
"""Path -> dialect of its errors (None: the headers say), and method -> (handler, whether it needs a key)."""


class Description:
    """The document about these routes. `administration` are paths below `PREFIX`, each with its methods."""

    def __init__(self, routes: Routes, administration: Mapping[str, Iterable[str]], *, needs_keys: bool) -> None:
        self._routes = routes
        self._administration = administration
        self._needs_keys = needs_keys

    async def show(self, exchange: Exchange) -> None:
        """``GET /openapi.json``."""
        document = self.document | {"servers": [{"url": exchange.mount or "/"}]}
        await exchange.answer(200, (("content-type", JSON),), msgspec.json.encode(document))

    @cached_property
    def document(self) -> dict[str, Any]:
        """All of it, but for where the server is."""
        paths: dict[str, Any] = {}
        for path, method, operation in self._operations():
            paths.setdefault(path, {"parameters": _steps(path)} if _STEP.search(path) else {})[method] = operation
        keys = {name.decode(): {"type": "apiKey", "in": "header", "name": name.decode()} for name in KEY_HEADERS}
        bearer = {"type": "http", "scheme": "bearer"}
        token = {"type": "apiKey", "in": "query", "name": "token", "description": "Of a read link."}
        about = "What goes over the wire is in PROTOCOL.md. WebSockets are on `/v1/responses` and `/events`."
        return {
            "openapi": "3.1.0",
            "info": {"title": "Headgate", "version": __version__, "description": about},
            "paths": paths,
            "components": {
                "schemas": schemas(),
                "parameters": parameters(),
                "securitySchemes": {"bearer": bearer, **keys, "link": token, "admin": bearer},
            },
        }

    def _operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, (dialect, methods) in self._routes.items():
            for method, (_, needs_key) in methods.items():
                said = SAID.get((method, path), Said(_id(method, path), path))
                readable = method == "GET" and path in links.READABLE
                yield path, method.lower(), _operation(said, dialect, self._security(readable) if needs_key else [])
        native = dialects()["headgate"]
        for path, names in self._administration.items():
            for method in names:
                said = Said(_id(method, path), "Administration: PROTOCOL.md, section 7")
                if method == "POST":
                    said = said._replace(body="JSON; for policies TOML as well")
                yield path, method.lower(), _operation(said, native, [{"admin": []}])

    def _security(self, readable: bool) -> list[dict[str, list[str]]]:
        """One of these; nothing at all while there are no keys."""
        names = ["bearer", *(name.decode() for name in KEY_HEADERS), *(["link"] if readable else [])]
        found: list[dict[str, list[str]]] = [{name: []} for name in names]
        return found if self._needs_keys else [*found, {}]


def _operation(said: Said, dialect: Dialect | None, security: list[dict[str, list[str]]]) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": said.id, "summary": said.summary, "security": security}
    if said.parameters:
        operation["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in said.parameters]
    if said.body:
        text = f"As the API of `{said.body}` takes it." if said.body in dialects() else said.body
        operation["requestBody"] = {"description": text, "content": {JSON: {"schema": {}}}}
    answers: dict[str, Any] = {}
    for status, media_type, name in said.answers:
        answer = answers.setdefault(str(status), {"description": "Nothing more." if status == 204 else said.summary})
        if media_type:
            schema = {"$ref": REFERENCE.format(name=name)} if name else {}
            answer.setdefault("content", {})[media_type] = {"schema": schema}
    return operation | {"responses": answers | {"default": _error(dialect)}}


def _error(dialect: Dialect | None) -> dict[str, Any]:
    """In the dialect's shape; on paths that several SDKs share, in the shape of whoever asks."""
    spoken = [dialect] if dialect is not None else [each for name, each in dialects().items() if name != "headgate"]
    shapes: dict[str, list[Any]] = {}
    for each in spoken:
        shapes.setdefault(each.error_media_type, []).append({"$ref": REFERENCE.format(name=f"Error.{each.name}")})
    content = {kind: {"schema": found[0] if len(found) == 1 else {"anyOf": found}} for kind, found in shapes.items()}
    return {"description": "An error", "content": content}


def _steps(path: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in _STEP.findall(path)]


def _id(method: str, path: str) -> str:
    words = re.findall(r"[a-z]+", path.removeprefix(PREFIX))
    return method.lower() + "".join(word.capitalize() for word in words)
