"""A provider on a real socket that speaks OpenAI Chat Completions, well or as badly as one asks.

It is the provider of an installation that has no other, and a tool: point any OpenAI client at it, ask for the model
``sim-t200-r50+cut@20``, and see what the client makes of a connection that is cut after 20 tokens.

    grammar     model names and ``X-Simulate``          -> Behaviour
    faults      every fault, as a table
    request     the body, typed and checked
    corpus, text, tokens, schema, logprobs              what answers are made of
    plan        Behaviour + request                     -> Plan: everything about one answer
    wire        Plan                                    -> the JSON of chunks and answers
    script      Plan (by `stream` and `whole`)          -> steps: write, wait, end, close, abort
    routes      HTTP request                            -> steps
    connection, server                                  play steps on sockets

All but the last line is pure. The same request gets the same bytes, always: ids, times and choices come from a digest
of the request. It is not a model: it neither understands nor remembers anything.
"""

from headgate.simulator.config import SimulatorConfig
from headgate.simulator.faults import FAULTS, Argument, FaultName, FaultSpec
from headgate.simulator.grammar import NAMES
from headgate.simulator.routes import Stats
from headgate.simulator.server import Simulator

__all__ = ["FAULTS", "NAMES", "Argument", "FaultName", "FaultSpec", "Simulator", "SimulatorConfig", "Stats"]
