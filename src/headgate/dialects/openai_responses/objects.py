"""The response object: what it says of a log, in streams, in whole answers and for ``GET /v1/responses/{id}``.

Every field that Open Responses (2026-04-24) requires is there, with the specification's default where nobody said
anything: ours first, then what the client asked for (`ResponseStarted.echo`), then what a provider of this dialect
said of its own answer (the envelope), because that is what was used.
"""

from __future__ import annotations

from typing import Any, Final

from headgate.assemble import Fold
from headgate.dialects.openai_responses.output import NAME, Output
from headgate.events import Blame, Status, Terminal, Usage

_FIELDS: Final = "id object created_at completed_at status model output usage error incomplete_details"
CANONICAL: Final = frozenset(_FIELDS.split())
"""Fields of a response object that are made from the log alone."""
_STATUS: Final = {
    Status.COMPLETED: "completed",
    Status.REFUSED: "completed",
    Status.TRUNCATED: "incomplete",
    Status.FILTERED: "incomplete",
    Status.BLOCKED: "incomplete",
    Status.FAILED: "failed",
    Status.EXPIRED: "failed",
    Status.CANCELLED: "cancelled",
}
_INCOMPLETE: Final = {
    Status.TRUNCATED: "max_output_tokens",
    Status.FILTERED: "content_filter",
    Status.BLOCKED: "content_filter",
}
DEFAULTS: Final[dict[str, Any]] = {
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a request that says nothing asks for; the fields a response object ends with."""
_CODES: Final = (
    "server_error rate_limit_exceeded invalid_prompt data_residency_mismatch bio_policy misalignment_policy_violation "
    "vector_store_timeout invalid_image invalid_image_format invalid_base64_image invalid_image_url image_too_large "
    "image_too_small image_parse_error image_content_policy_violation invalid_image_mode image_file_too_large "
    "unsupported_image_media_type empty_image_file failed_to_download_image image_file_not_found"
)
PROVIDERS_CODES: Final = frozenset(_CODES.split())
"""What ``error.code`` of a response may be: a closed list in the official SDK's types."""


def response_fields(fold: Fold, *, cancelled: str) -> dict[str, Any]:
    """The response as far as `fold` knows it. `cancelled` is the status of a cancelled one: no stream ends with that word."""
    started, terminal = fold.started, fold.terminal
    assert started is not None
    status = "in_progress" if terminal is None else _STATUS[terminal.status].replace("cancelled", cancelled)
    failed = terminal is not None and not terminal.status.successful
    fields: dict[str, Any] = {
        "id": started.id,
        "object": "response",
        "created_at": started.created_at,
        "completed_at": (terminal.ended_at or None) if terminal and status == "completed" else None,
        "status": status,
        "model": fold.model or started.model,
        "output": [
            item.shown(ended=terminal is not None) for output in outputs(fold).values() for item in output.in_order()
        ],
        "usage": usage_object(fold.usage, same_dialect=fold.dialect == NAME) if fold.usage else None,
        "error": _error(terminal) if terminal and failed else None,
        "incomplete_details": _incomplete_details(fold, terminal) if terminal and status == "incomplete" else None,
    }
    fields |= DEFAULTS | (started.echo or {})
    if fold.dialect == NAME:
        fields |= {name: value for name, value in fold.envelope.items() if name not in CANONICAL}
    return fields


def _incomplete_details(fold: Fold, terminal: Terminal) -> dict[str, Any]:
    """A provider of this dialect may have had a reason of its own, which is shown as it spelt it."""
    choice = fold.choices.get(0)
    done = choice.done if choice and fold.dialect == NAME and terminal.status is not Status.BLOCKED else None
    known = done is None or done.provider_reason in ("", "incomplete", "completed")
    reason = _INCOMPLETE[terminal.status] if done is None or known else done.provider_reason
    beside = ((done.extra.choice if done and done.extra else None) or {}).get("incomplete_details")
    return {"reason": reason} | (beside if isinstance(beside, dict) else {})


def outputs(fold: Fold) -> dict[int, Output]:
    """The output items of each choice."""
    assert fold.started is not None
    same = fold.dialect == NAME
    found = {}
    for index, choice in sorted(fold.choices.items()):
        found[index] = Output(fold.started.id, index, same_dialect=same)
        found[index].take_all(choice)
    return found


def usage_object(usage: Usage, *, same_dialect: bool) -> dict[str, Any]:
    """The counts every reader is shown; in the same dialect with everything else the provider counted."""
    shown: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if same_dialect and usage.provider:
        for name, value in usage.provider.items():
            known = shown.get(name)
            if isinstance(known, dict):
                value = {**known, **(value if isinstance(value, dict) else {})}
            if value is not None:
                shown[name] = value
    return shown | ({"estimated": True} if usage.estimated else {})


def _error(terminal: Terminal) -> dict[str, Any]:
    """``code`` is a word of the SDK's list, so that typed clients can branch on it; ours stands beside it."""
    given = (terminal.detail or {}).get("code")
    if given not in PROVIDERS_CODES:
        given = "rate_limit_exceeded" if terminal.code == "upstream_rate_limited" else "server_error"
    return {"code": given, "message": terminal.message, "headgate": failure_fields(terminal)}


def failure_fields(terminal: Terminal) -> dict[str, str | bool | Blame | None]:
    """What we say of a failure, in our own words."""
    return {"code": terminal.code, "blame": terminal.blame, "retryable": terminal.retryable}
