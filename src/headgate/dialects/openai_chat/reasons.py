"""OpenAI Chat Completions, provider side: what the words of ``finish_reason`` mean.

Compatible servers have words of their own, some those of the API behind them. Words are compared in lower case, up to a
colon (``content_filter: RECITATION`` of Gemini's endpoint). An unknown word is `Reason.STOP`: the provider ended the
choice of its own will. Sources: the servers' API references and code, named at the words.
"""

from __future__ import annotations

from typing import Final

from headgate.events import Reason

_WORDS: Final = {
    # OpenAI's own are stop, length, tool_calls, function_call, content_filter
    Reason.TOOL_CALLS: "tool_calls function_call tool_use",
    # TGI ends with eos_token, Together with eos, xAI with end_turn: all three are unknown words, and so STOP
    Reason.LENGTH: "length max_tokens max_output_tokens"
    " model_length"  # Mistral: the model's own limit
    " model_context_window_exceeded",  # Z.ai
    Reason.CONTENT_FILTER: "content_filter sensitive"  # Z.ai
    " safety recitation blocklist prohibited_content spii image_safety image_prohibited_content image_recitation"
    " model_armor"  # Gemini's endpoint passes its own words through
    " error_toxic",  # Cohere
}
STOP: Final = Reason.STOP
REASONS: Final = {word: reason for reason, words in _WORDS.items() for word in words.split()}

FAILED: Final = {
    "error": "upstream_error",  # Mistral, OpenRouter, vLLM
    "abort": "upstream_error",  # vLLM, SGLang, Z.ai: the server gave the request up
    "network_error": "upstream_error",  # Z.ai
    "insufficient_system_resource": "upstream_error",  # DeepSeek
    # Gemini's endpoint: the model wrote no call that could be read
    "malformed_function_call": "upstream_malformed",
    "malformed_response": "upstream_malformed",
    "unexpected_tool_call": "upstream_malformed",
    "function_call_filter": "upstream_malformed",
}
"""Words for an answer that broke off, and the code of that failure: it must not be taken for a whole answer."""


def normal(word: str) -> str:
    """A finish reason as it stands in the tables above."""
    return word.partition(":")[0].strip().lower()
