"""A provider on a real socket that speaks every dialect, well or as badly as one asks.

It is the provider of an installation that has no other, and a tool: point any client of OpenAI's, Anthropic's or
Google's at it, ask for the model ``sim-t200-r50+cut@20``, and see what the client makes of a connection that is cut
after 20 tokens. The path of a request says in which dialect it is answered; everything else works in all of them.

    dialect             the wire formats there are
    grammar             model names and ``X-Simulate``  -> Behaviour
    faults, quirks      what every provider can do wrong, and what only some can; `registry` is both in one table
    ask, body           a request, whatever its dialect
    corpus, text, tokens, schema, logprobs              what answers are made of
    plan, planning, ends                                Ask + Behaviour -> Plan: everything about one answer
    chat, responses, messages, gemini                   a dialect each: request -> Ask, Plan -> bytes (a `writer`)
    framing             what all their events have in common
    script (by `stream` and `whole`)                    Plan and writer -> steps: write, wait, end, close, abort
    routes (by `speakers`)                              HTTP request -> steps
    connection, server                                  play steps on sockets

All but the last line is pure. The same request gets the same bytes, always: ids, times and choices come from a digest
of the request; and the same conversation gets the same words in every dialect. It is not a model: it neither
understands nor remembers anything. It imports nothing of the gateway's dialects, so that it can be a judge of them.
"""

from headgate.simulator.config import SimulatorConfig
from headgate.simulator.dialect import Dialect
from headgate.simulator.faults import FAULTS, Argument, FaultName, FaultSpec
from headgate.simulator.grammar import NAMES
from headgate.simulator.quirks import QUIRKS, Quirk
from headgate.simulator.registry import TABLE, Effect, effect
from headgate.simulator.routes import Stats
from headgate.simulator.server import Simulator

__all__ = [
    "FAULTS",
    "NAMES",
    "QUIRKS",
    "TABLE",
    "Argument",
    "Dialect",
    "Effect",
    "FaultName",
    "FaultSpec",
    "Quirk",
    "Simulator",
    "SimulatorConfig",
    "Stats",
    "effect",
]
