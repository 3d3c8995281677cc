"""The objects of our own surface as JSON Schemas, for the description of the API (`openapi`).

None is written down here: events are read off their types, everything else off the functions that make it, asked for
samples. What a function would say otherwise in some case, a sample has to show: `of` joins them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import msgspec

from headgate import receipts
from headgate.assemble import Fold
from headgate.audit.checkpoints import Statement
from headgate.dialects import dialects
from headgate.dialects.headgate import shown_fields
from headgate.dialects.openai_responses.objects import DEFAULTS
from headgate.dialects.response_object import response_object
from headgate.errors import CODES, RequestError
from headgate.events import (
    NAMES,
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Drift,
    Extra,
    Governance,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
    Reviewed,
    Status,
    Terminal,
    Usage,
    Verdict,
)

REFERENCE: Final = "#/components/schemas/{name}"
_STARTED: Final = ResponseStarted("resp_" + "0" * 32, "app", "openai-chat", "model", 1)
_ANSWER: Final[tuple[AnyEvent, ...]] = (
    _STARTED,
    AttemptStarted(1, "provider", "openai-chat", "model", ("seed",)),
    PartStarted(0, 0, PartKind.TEXT),
    Delta(0, 0, "Hi"),
    PartDone(0, 0),
    ChoiceDone(0, Reason.STOP, "stop"),
    Usage(1, 1),
    AttemptEnded(1, "ok", 200),
)
_DECIDED: Final[tuple[AnyEvent, ...]] = (
    Governance(0, 0, "rule", "mask", 0, 1),
    Verdict("final", "rule", "pass"),
    Drift(0, "0", "0", 0, 0),
    Reviewed("review", "approve", "ada", 1),
)
_ENDS: Final = (
    Terminal(Status.COMPLETED, sha256="0", ended_at=2),
    Terminal(Status.TRUNCATED, sha256="0", ended_at=2),
    Terminal(
        Status.FAILED, code="upstream_cut", blame=CODES["upstream_cut"].blame, retryable=True, sha256="0", ended_at=2
    ),
)

_LINK: Final = {"object": "response.link", "response": _STARTED.id, "token": "", "url": "", "expires_at": 1}


@cache
def schemas() -> dict[str, Any]:
    """All of them, by name."""
    return {
        **events(),
        "Response": _response(),
        "Receipt": _receipt(),
        "Link": of([_LINK]),
        **{f"Error.{name}": error(name) for name in dialects()},
    }


def events() -> dict[str, Any]:
    """Every event as the dialect ``headgate`` shows it, and ``Event`` for any of them."""
    extra = msgspec.defstruct("Extra", [(field.name, field.type, None) for field in msgspec.structs.fields(Extra)])
    kinds = []
    for kind, name in NAMES.items():
        types = {field.name: field for field in msgspec.structs.fields(kind)}
        fields: list[Any] = [("seq", int)]
        for field, shown, default in shown_fields(kind):
            type = extra | None if types[field].type == (Extra | None) else types[field].type
            type = extra if types[field].type is Extra else type
            fields.append((shown, type) if default is msgspec.NODEFAULT else (shown, type, default))
        kinds.append(
            msgspec.defstruct(
                kind.__name__, fields, tag=name, tag_field="type", kw_only=True, namespace={"__doc__": kind.__doc__}
            )
        )
    found = msgspec.json.schema_components(kinds, ref_template=REFERENCE)[1]
    names = [{"$ref": REFERENCE.format(name=kind.__name__)} for kind in kinds]
    return {**found, "Event": {"oneOf": names, "discriminator": {"propertyName": "type"}}}


def error(dialect: str) -> dict[str, Any]:
    """What a caller of this dialect is told of an error."""
    spoken = dialects()[dialect]
    samples = [RequestError(code, "Why.", param=param) for code in CODES for param in ("field", None)]
    return of([msgspec.json.decode(spoken.error_body(sample)) for sample in samples])


def of(values: Sequence[Any]) -> dict[str, Any]:
    """A schema that these values have in common. A member that only some of them have is not required."""
    types = sorted({_TYPES[type(value)] for value in values})
    if types == ["integer", "number"]:
        types = ["number"]
    schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types} if types else {}
    lists = [value for value in values if isinstance(value, list)]
    if lists:
        schema["items"] = of([item for value in lists for item in value])
    found = [value for value in values if isinstance(value, dict)]
    if any(found):
        names = dict.fromkeys(name for value in found for name in value)
        schema["properties"] = {name: of([value[name] for value in found if name in value]) for name in names}
        schema["required"] = [name for name in names if all(name in value for value in found)]
    return schema


_TYPES: Final[dict[type, str]] = {
    dict: "object",
    list: "array",
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def _response() -> dict[str, Any]:
    samples = []
    for log in ((_STARTED,), *((*_ANSWER, end) for end in _ENDS)):
        fold = Fold()
        for seq, event in enumerate(log, 1):
            fold.feed(seq, event)
        for times in (None, 0.5):
            made = response_object(fold, first_output_ms=times, duration_ms=times)
            samples.append(msgspec.json.decode(msgspec.json.encode(made)))
    schema = of(samples)
    schema["description"] = "An Open Responses object, with what is ours in `headgate`."
    schema["properties"] |= {name: {"description": "Of the request, or what was used."} for name in DEFAULTS}
    schema["properties"]["output"] = {"type": "array", "items": {"type": "object"}}
    return schema


def _receipt() -> dict[str, Any]:
    samples = []
    for log in ((_STARTED, _ENDS[-1]), *((*_ANSWER, end) for end in _ENDS), (*_ANSWER, *_DECIDED, _ENDS[0])):
        fold = receipts.ReceiptFold()
        for event in log:
            if type(event) in receipts.FOLDED:
                fold.feed(0, event)
        fields = fold.fields(owner="app", sha256="0", event_count=len(log))
        samples.append(msgspec.json.decode(receipts.body(receipts.RESPONSE, _STARTED.id, 1, fields)))
    text = {"type": "string"}
    checkpoint = msgspec.json.schema_components([Statement], ref_template=REFERENCE)[1]["Statement"]
    checkpoint = checkpoint | {"properties": checkpoint["properties"] | {"signature": text}}
    properties = {
        "receipt": of(samples),
        "signature": text,
        "public_key": text,
        "inclusion": {"type": "array", "items": text},
        "checkpoint": {key: value for key, value in checkpoint.items() if key != "additionalProperties"},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
