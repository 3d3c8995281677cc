"""From a request and the name of a model to the plan of its answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import msgspec

from headgate.errors import RequestError
from headgate.simulator import text
from headgate.simulator.ask import Ask, Calling, Function
from headgate.simulator.config import SimulatorConfig
from headgate.simulator.ends import ended, limited
from headgate.simulator.grammar import TOKENS_MAX, Behaviour, Content, parse
from headgate.simulator.plan import EPOCH, Call, Choice, Finish, Kind, Part, Plan
from headgate.simulator.quirks import Quirk
from headgate.simulator.registry import TABLE
from headgate.simulator.schema import generate
from headgate.simulator.tokens import count, tokenize


def make(ask: Ask, simulate: str, config: SimulatorConfig) -> Plan:
    """What a request and its ``X-Simulate`` header are answered with.

    Raises `RequestError` ``invalid_request`` or ``model_not_found``.
    """
    model = ask.model or config.default_model
    behaviour = parse(model, simulate, config)
    for fault in behaviour.faults:
        if ask.dialect not in TABLE[fault.name].dialects:
            raise RequestError("model_not_found", f"There is no '{fault.name}' in {ask.dialect}.", param="model")
    if behaviour.echo:
        words = text.echo_tokens(_asked(ask), TOKENS_MAX // ask.n)
        behaviour = replace(behaviour, words=words[: behaviour.tokens])
    digest = _digest([ask.body, simulate])
    prompt_tokens = sum(count(turn.text) for turn in ask.turns)
    return Plan(
        id=f"{digest:016x}",
        created=EPOCH + digest % 2**20,
        model=model,
        ask=ask,
        choices=_choices(ask, behaviour, _digest(ask.said)),
        prompt_tokens=prompt_tokens,
        cached_tokens=prompt_tokens // 2 if behaviour.cached else 0,
        rate=behaviour.rate,
        ttft_s=behaviour.ttft_ms / 1000,
        faults=behaviour.faults,
    )


def _digest(value: object) -> int:
    """64 bits that depend on the value alone, not on the order of an object's members."""
    encoded = msgspec.json.encode(value, order="deterministic")
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), "big")


def _choices(ask: Ask, behaviour: Behaviour, digest: int) -> tuple[Choice, ...]:
    if ask.n * max(behaviour.tokens or 0, behaviour.about) > TOKENS_MAX:
        raise RequestError("invalid_request", f"'n' times the tokens asked for is over {TOKENS_MAX}.", param="n")
    calls = _called(ask, behaviour)
    return tuple(_choice(ask, behaviour, calls, digest=digest, index=index) for index in range(ask.n))


def _choice(ask: Ask, behaviour: Behaviour, calls: Sequence[Function], *, digest: int, index: int) -> Choice:
    parts = _before(ask, behaviour, digest + index)
    finish, stop = Finish.STOP, None
    if calls:
        parts += [_call(function, behaviour, digest=digest, choice=index, index=i) for i, function in enumerate(calls)]
        finish = Finish.TOOL_CALLS
    elif behaviour.content is Content.REFUSAL:
        parts.append(Part(Kind.REFUSAL, text.refusal_tokens(digest + index)))
    else:
        tokens, stop = _stopped(_content(ask, behaviour, digest, index), ask.stops)
        parts.append(Part(Kind.TEXT, tokens))
    kept = limited(parts, ask.limit)
    if kept != tuple(parts):
        finish, stop = Finish.LENGTH, None
    return ended(Choice(index, kept, finish, stop), behaviour.faults, text.refusal_tokens(digest + index))


def _before(ask: Ask, behaviour: Behaviour, digest: int) -> list[Part]:
    """What comes before the answer proper."""
    parts: list[Part] = []
    quirks = {fault.name for fault in behaviour.faults}
    if behaviour.reasoning or ask.thinking:
        omitted = Quirk.OMITTED_THINKING in quirks
        parts.append(Part(Kind.REASONING, ("",) if omitted else text.reasoning_tokens(behaviour, digest=digest)))
    if behaviour.redacted:
        parts.append(Part(Kind.REDACTED, ("",)))
    if Quirk.FOREIGN in quirks:
        parts.append(Part(Kind.FOREIGN, ("",)))
    return parts


def _content(ask: Ask, behaviour: Behaviour, digest: int, index: int) -> tuple[str, ...]:
    if not ask.json and behaviour.content is not Content.JSON:
        return text.content_tokens(behaviour, digest=digest, index=index)
    return text.json_tokens(behaviour, ask.schema, digest=digest, index=index)


def _stopped(tokens: tuple[str, ...], stops: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """The tokens before the first occurrence of any stop sequence, which may begin inside a token; and which it was."""
    whole = "".join(tokens)
    end, stop = min(((found, stop) for stop in stops if (found := whole.find(stop)) >= 0), default=(-1, None))
    kept: list[str] = []
    for token in tokens if stop is not None else ():
        if len(token) >= end:
            return ((*kept, token[:end]) if end else tuple(kept)), stop
        kept.append(token)
        end -= len(token)
    return tokens, None


def _called(ask: Ask, behaviour: Behaviour) -> list[Function]:
    """The functions that every choice calls.

    After a tool's result the answer is text, unless a call is forced: else an agent's loop would never end.
    """
    functions, tools = {function.name: function for function in ask.tools.functions}, ask.tools
    if not functions or tools.calling is Calling.NONE:
        return []
    if tools.named is not None:
        return [functions[tools.named]]
    asked = _asked(ask)
    mentioned = [function for name, function in functions.items() if name in asked]
    if tools.calling is not Calling.REQUIRED:
        wanted = bool(mentioned) or behaviour.content is Content.TOOLS
        if not wanted or ask.turns[-1].role == "tool":
            return []
    first = list({function.name: function for function in (*mentioned, *functions.values())}.values())
    return first[: 2 if tools.parallel or behaviour.parallel else 1]


def _asked(ask: Ask) -> str:
    """What the user said last."""
    return next((turn.text for turn in reversed(ask.turns) if turn.role == "user"), "")


def _call(function: Function, behaviour: Behaviour, *, digest: int, choice: int, index: int) -> Part:
    name = f"{_digest([digest, choice, index, function.name]):016x}"
    tokens = behaviour.words or ()
    if not _is_object("".join(tokens)):
        arguments = generate(function.parameters or {"type": "object"}, seed=digest + choice + index)
        tokens = tuple(tokenize(json.dumps(arguments if isinstance(arguments, dict) else {}, ensure_ascii=False)))
    return Part(Kind.CALL, ("", *tokens), Call(index, name, function.name))


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except msgspec.DecodeError:
        return False
