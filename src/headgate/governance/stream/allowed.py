"""Which fields of a provider hold no text: data, a table per dialect. Everything that is not here does not pass.

A place is ``envelope``, ``usage``, ``failure``, or one of `events.Extra`'s, for events of any kind or (``part.started
delta``) for those of one kind. A path names its steps with dots; ``[]`` is any element of a list and ``(a|b)`` stands for
several names. Where it ends stands a number, a boolean, null or a short word; with ``!`` behind it a signature, which is
long; with ``~`` the empty string.

What looks like a number may still be text: the ids of tokens are the text. What counts them is not.
"""

from __future__ import annotations

from typing import Final

_FILTERS: Final = (
    "(hate|self_harm|sexual|violence|jailbreak|profanity|indirect_attack|protected_material_text|protected_material_code)"
    ".(filtered|detected|severity)"
)
_CHAT_USAGE: Final = (
    "(prompt_tokens|completion_tokens|total_tokens|reasoning_tokens|cached_tokens|prompt_cache_hit_tokens",
    "|prompt_cache_miss_tokens|num_sources_used|cost|queue_time|prompt_time|completion_time|total_time)",
)
_DETAILS: Final = (
    "(cached_tokens|cache_write_tokens|audio_tokens|text_tokens|image_tokens|video_tokens|reasoning_tokens"
    "|accepted_prediction_tokens|rejected_prediction_tokens)"
)
_CHAT_COUNTS: Final = (
    "".join(_CHAT_USAGE),
    f"(prompt_tokens_details|completion_tokens_details).{_DETAILS}",
)
_SAFETY: Final = "safetyRatings[].(category|probability|probabilityScore|severity|severityScore|blocked)"
_ANTHROPIC_COUNTS: Final = (
    "(input_tokens|output_tokens|cache_creation_input_tokens|cache_read_input_tokens|inference_geo|service_tier|speed)",
    "cache_creation.(ephemeral_1h_input_tokens|ephemeral_5m_input_tokens)",
    "server_tool_use.(web_search_requests|web_fetch_requests|code_execution_requests|tool_search_requests)",
    "output_tokens_details.thinking_tokens",
)
_ITERATION: Final = ("type", "model", *_ANTHROPIC_COUNTS)
_ANTHROPIC_USAGE: Final = (*_ANTHROPIC_COUNTS, *(f"iterations[].{path}" for path in _ITERATION))
_ANTHROPIC_STOP: Final = ("stop_sequence", "stop_details.(type|category)", "container.(id|expires_at)")
_ANTHROPIC_BESIDE_STOP: Final = (
    "context_management.applied_edits[].(type|cleared_input_tokens|cleared_tool_uses|cleared_thinking_turns)",
)
_PLACE: Final = ("(output_index|content_index|summary_index|contradicted)",)

ALLOWED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "openai-chat": {
        "envelope": ("(system_fingerprint|service_tier)",),
        "usage": _CHAT_COUNTS,
        "failure": ("(type|param|code)",),
        "response": (
            "provider",
            "x_groq.id",
            *(f"x_groq.usage.{path}" for path in _CHAT_COUNTS),
            "timings.(cache_n|prompt_n|prompt_ms|prompt_per_token_ms|prompt_per_second)",
            "timings.(predicted_n|predicted_ms|predicted_per_token_ms|predicted_per_second)",
            "prompt_filter_results[].prompt_index",
            f"prompt_filter_results[].content_filter_results.{_FILTERS}",
        ),
        "choice": (
            f"content_filter_results.{_FILTERS}",
            "content_filter_offsets.(check_offset|start_offset|end_offset)",
            "(native_finish_reason|stop_reason|matched_stop|seed)",
            *(f"usage.{path}" for path in _CHAT_COUNTS),
        ),
        "delta": ("type", "extra_content.google.thought_signature!"),
        "part.started delta": (
            "(reasoning|reasoning_content)~",
            "type",
            "extra_content.google.thought_signature!",
        ),
    },
    "openai-responses": {
        "envelope": (
            "(service_tier|parallel_tool_calls|temperature|top_p|top_logprobs|truncation|tool_choice)",
            "(max_output_tokens|max_tool_calls|presence_penalty|frequency_penalty)",
            "reasoning.(effort|summary)",
            "billing.payer",
        ),
        "usage": (
            "(input_tokens|output_tokens|total_tokens|cost)",
            f"(input_tokens_details|output_tokens_details).{_DETAILS}",
        ),
        "failure": ("(type|param|code)",),
        "part.started choice": _PLACE,
        "part.started delta": ("(type|id|status)",),
        "part.done choice": _PLACE,
        "part.done delta": ("status",),
        "opaque response": ("(type|output_index)", "item.(type|id|status|role|phase|encrypted_content!)"),
    },
    "anthropic-messages": {
        "envelope": (*(f"usage.{path}" for path in _ANTHROPIC_USAGE), "container.(id|expires_at)"),
        "usage": _ANTHROPIC_USAGE,
        "failure": ("type",),
        "part.started delta": ("caller.(type|tool_id)",),
        "delta delta": ("(type|estimated_tokens)",),
        "part.done delta": ("type", "signature!"),
        "choice.done delta": _ANTHROPIC_STOP,
        "choice.done response": _ANTHROPIC_BESIDE_STOP,
        "opaque delta": _ANTHROPIC_STOP,
        "opaque response": _ANTHROPIC_BESIDE_STOP,
    },
    "gemini": {
        "envelope": ("createTime",),
        "usage": (
            "(promptTokenCount|candidatesTokenCount|totalTokenCount|thoughtsTokenCount|cachedContentTokenCount)",
            "(toolUsePromptTokenCount|trafficType|serviceTier)",
            "(promptTokensDetails|candidatesTokensDetails|cacheTokensDetails|toolUsePromptTokensDetails)[]"
            ".(modality|tokenCount)",
        ),
        "failure": ("status", "details[].(@type|reason|domain|retryDelay)"),
        "response": ("modelStatus.modelStage", "promptFeedback.blockReason", f"promptFeedback.{_SAFETY}"),
        "choice": ("(avgLogprobs|tokenCount)", "continuationToken!", _SAFETY),
        "delta": ("thoughtSignature!",),
    },
}

NEEDED: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("openai-responses", "opaque response"): ("item", "type"),
    ("anthropic-messages", "delta delta"): ("estimated_tokens",),
    ("anthropic-messages", "part.done delta"): ("signature",),
}
"""The field without which the rest of an object says nothing, or would break who reads it: then all of it goes."""

SIGNATURES_OF_TEXT: Final = frozenset({"thoughtSignature"})
"""Signatures that come beside the text they belong to; others come at its end."""

_KNOWN: Final = (
    "annotations arguments citation citationMetadata citations codeExecutionResult content executableCode explanation "
    "finishMessage function functionCall groundingMetadata input logprobs logprobsResult partMetadata queries "
    "reasoning_details result results search_results text tools token_id urlContextMetadata"
)
KNOWN: Final = frozenset(_KNOWN.split())
"""Fields that do not pass and are well known, so that a log may name them. Any other name may be text itself."""
