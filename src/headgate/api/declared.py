"""What a caller declares about its request, beside the prompt: its risk, and the data sources behind it.

Both are Headgate's own: they go into the log and the receipt, and never to a provider, which would refuse them or keep them.
"""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from headgate.config import Risk
from headgate.errors import RequestError
from headgate.request import CreateRequest

SOURCES_BYTES_MAX: Final = 8 * 1024
"""Of ``metadata.sources`` as JSON: some hundred names. They stand in every receipt."""
_LEVELS: Final[tuple[str, ...]] = get_args(Risk)
_OURS: Final = ("sources", "risk")


def declared(request: CreateRequest, risk: str | None) -> CreateRequest:
    """The request with what its body and the header ``Headgate-Risk`` say. Raises `RequestError`."""
    metadata = request.body.get("metadata")
    if type(metadata) is not dict or not any(name in metadata for name in _OURS):
        if risk is None:
            return request
        return msgspec.structs.replace(request, risk=_risk(risk, "Headgate-Risk"))
    level = risk if risk is not None else metadata.get("risk")
    where = "metadata.risk" if risk is None else "Headgate-Risk"
    rest = {name: value for name, value in metadata.items() if name not in _OURS}
    others = {name: value for name, value in request.body.items() if name != "metadata"}
    return msgspec.structs.replace(
        request,
        body=others | {"metadata": rest} if rest else others,
        risk="" if level is None else _risk(level, where),
        sources=_sources(metadata.get("sources")),
    )


def _risk(level: Any, where: str) -> str:
    if level not in _LEVELS:
        raise RequestError("invalid_request", f"'{where}' must be one of {', '.join(_LEVELS)}.", param=where)
    return str(level)


def _sources(given: Any) -> list[Any] | None:
    """A list; or JSON of one in a string, because some SDKs take only strings in metadata; or one source."""
    if given is None:
        return None
    if isinstance(given, str):
        try:
            value = msgspec.json.decode(given)
        except msgspec.DecodeError:
            value = given
        given = value if isinstance(value, list) else given
    sources = given if isinstance(given, list) else [given]
    if len(msgspec.json.encode(sources)) > SOURCES_BYTES_MAX:
        text = f"'metadata.sources' must be at most {SOURCES_BYTES_MAX} bytes of JSON."
        raise RequestError("invalid_request", text, param="metadata.sources")
    return sources
