"""How many tokens a request has, without making it: the counting endpoints of three dialects."""

from __future__ import annotations

from headgate.api import conversation
from headgate.api.creation import read_body
from headgate.api.exchange import Exchange
from headgate.dialects import CountingDialect
from headgate.gateway import Gateway


async def count_tokens(
    gateway: Gateway, exchange: Exchange, dialect: CountingDialect, owner: str, *, model: str = ""
) -> None:
    """Count here, with the tokenizer of the model's family or by estimate; no provider is asked."""
    request = dialect.read_count(await read_body(gateway, exchange), model=model)
    if conversation.goes_on(request):
        request = await conversation.continued(gateway, request, owner)
    counted = gateway.routing.count(request)
    headers = (("content-type", "application/json"), ("headgate-token-count", counted.method))
    await exchange.answer(200, headers, dialect.count_answer(counted.tokens))
