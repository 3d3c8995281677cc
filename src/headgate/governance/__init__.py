"""Governance: what text may leave, decided while it streams (laws 4 and 5). Pure: no sockets, no clock.

    matching/     patterns and terms -> one automaton -> a scanner for each text
    detectors/    what is built in
    ruleset       a policy, compiled   policyset (all of them, and as they were written)
    judgement     what judges are asked, and what they answer
    masks         what stands in place of a match
    texts         what one gate hands to the next
    request/      the gate that a request passes
    stream/       the gate that an answer passes while it comes
    final/        the gate that it passes as a whole
    people/       what waits for somebody, and what becomes of it
    trial         a policy tried on a text, through all three gates

Begin with the three modules called `gate`; `matching.scanner` is what all of them rest on.

Imports go up in this list, never down. The gates do not know each other, `people` knows none of the others, and
`matching` knows neither rules nor where a text comes from: that is why what is found depends on the text alone. The
table is `GOVERNANCE` in tests/house/test_layers.py.
"""
