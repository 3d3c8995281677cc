"""A client's request in the words of the provider that will answer it.

Between two sides of one dialect it travels as it came. Otherwise it goes through a `Prompt`, and whatever the
provider's dialect cannot say is refused by name, or dropped by name where the route allows that. Nothing is lost unseen.
"""

from __future__ import annotations

from typing import Final

import msgspec

from headgate.dialects import ClientDialect, ProviderDialect
from headgate.errors import RequestError
from headgate.request import CreateRequest, UpstreamRequest

NAMED_MAX: Final = 20
"""Fields an error names, and a log keeps; a request may have thousands."""


def upstream_request(
    request: CreateRequest,
    client: ClientDialect,
    provider: ProviderDialect,
    *,
    provider_name: str,
    model: str,
    stream: bool,
    may_drop: bool,
) -> UpstreamRequest:
    """What to send. Raises `RequestError` ``unsupported_field`` unless `may_drop`, and what `client` finds wrong."""
    if client.name == provider.name:
        upstream = provider.write_request(request, model=model, stream=stream)
        return msgspec.structs.replace(upstream, headers=request.headers) if request.headers else upstream
    prompt = client.read_prompt(request)
    try:
        written = provider.write_prompt(prompt, model=model, stream=stream)
    except RequestError as error:  # nothing may be left to say because of what has no place
        if not prompt.unplaced:
            raise
        if not may_drop:
            raise _refusal(prompt.unplaced, provider_name, provider.name) from None
        message = f"{error.message} Left out before, as on_unsupported says: {_names(prompt.unplaced)}."
        raise RequestError(error.code, message, param=error.param) from None
    unsupported = tuple(dict.fromkeys((*prompt.unplaced, *written.unsupported)))
    if unsupported and not may_drop:
        raise _refusal(unsupported, provider_name, provider.name)
    dropped = tuple(dict.fromkeys((*unsupported, *written.request.dropped)))
    if len(dropped) > NAMED_MAX:
        dropped = (*dropped[:NAMED_MAX], f"... and {len(dropped) - NAMED_MAX} more")
    return msgspec.structs.replace(written.request, dropped=dropped) if dropped else written.request


def _refusal(unsupported: tuple[str, ...], provider_name: str, dialect: str) -> RequestError:
    return RequestError(
        "unsupported_field",
        f"The provider '{provider_name}' ({dialect}) has no counterpart for {_names(unsupported)}. "
        'Leave it out, ask for a model of another provider, or set on_unsupported = "drop" on the route.',
        param=unsupported[0],
    )


def _names(paths: tuple[str, ...]) -> str:
    names = ", ".join(f"'{path}'" for path in paths[:NAMED_MAX])
    return f"{names} and {len(paths) - NAMED_MAX} more" if len(paths) > NAMED_MAX else names
