"""In what providers that speak Chat Completions differ from OpenAI's own API: data, a row for each.

Not what they answer (decoders take that as it comes), and not what a request wants: only how it has to be written, which
is done in `headgate.dialects.openai_chat`. A row says nothing but differences, and each of them is in the provider's
documentation or in what it answers to those who did not know. The configuration's ``like`` and ``takes`` go before it.
"""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

OutputLimit = Literal["by-model", "max_tokens", "max_completion_tokens"]
SeedField = Literal["seed", "random_seed"]
CallIds = Literal["any", "alphanumeric-9"]
Reasoning = Literal["leave", "send", "strip"]
Lackable = Literal[
    "allowed_tools",
    "frequency_penalty",
    "metadata",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "refusal",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "temperature",
    "top_p",
    "user",
    "verbosity",
]
"""What a request of another dialect may lead to, as Chat Completions calls it, and what a provider may not have."""


class Traits(msgspec.Struct, frozen=True):
    """How one provider wants its requests. The defaults are OpenAI's own API."""

    stream_options: bool = True
    """Whether it knows ``stream_options``; one that does not sends the usage of a stream unasked."""
    output_limit: OutputLimit = "by-model"
    """``max_completion_tokens`` for names of OpenAI's models and ``max_tokens`` for all others, or always one of them."""
    seed: SeedField = "seed"
    call_ids: CallIds = "any"
    reasoning: Reasoning = "leave"
    """Reasoning of earlier turns: left out; sent as ``reasoning_content``, which is missed where a turn had calls; or left
    out, and taken out of requests of the same dialect as well, because the provider refuses a request that has it."""
    lacks: tuple[Lackable, ...] = ()


PLAIN: Final = Traits()

TRAITS: Final[dict[str, Traits]] = {
    "openai": PLAIN,
    "mistral": Traits(  # answers 422 to every field that it does not know
        stream_options=False,
        output_limit="max_tokens",
        seed="random_seed",
        call_ids="alphanumeric-9",
        reasoning="strip",
        lacks=("allowed_tools", "refusal", "service_tier", "user", "verbosity"),
    ),
    # Both refuse the second turn of a tool loop whose first has lost its reasoning.
    "deepseek": Traits(output_limit="max_tokens", reasoning="send"),
    "moonshot": Traits(reasoning="send"),
    # Deployments have any name, and metadata is for stored answers.
    "azure": Traits(output_limit="max_completion_tokens", lacks=("metadata",)),
}
"""By the words that ``like`` of a provider takes."""

_HOSTS: Final = {
    "api.mistral.ai": "mistral",
    "codestral.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.moonshot.ai": "moonshot",
    "api.moonshot.cn": "moonshot",
}
_AZURE_HOSTS: Final = (
    ".openai.azure.com",
    ".openai.azure.us",
    ".cognitiveservices.azure.com",
    ".services.ai.azure.com",
)
_AZURE_INFERENCE_PATH: Final = "/models"
"""Of Azure's other API, for models of all makers: it is not like OpenAI's."""


def like_of(base_url: str) -> str:
    """The row that a provider's address says; ``openai`` where it says nothing."""
    url = urlsplit(base_url)
    host = (url.hostname or "").rstrip(".")
    if "{model}" in url.path:
        return "azure"
    if host.endswith(_AZURE_HOSTS):
        return "openai" if url.path.startswith(_AZURE_INFERENCE_PATH) else "azure"
    return _HOSTS.get(host, "openai")
