"""Governance: what text may leave, decided while it streams (laws 4 and 5). Pure: no sockets, no clock.

    rules      ruleset (a policy, compiled)  policyset (all of them, and as they were written)  detectors/ (built in)
               trial (a policy tried on a text)
    matching   pattern -> positions, terms -> automaton -> scanner (one text)   folding (characters as a reader sees them)
               json_text, json_grammar (one text that is JSON)   escapes (one that may hold some)
    stream     gate: fields, allowed (what stands beside text)  facts (what is said of the whole)  parts, grouping
               joints (where a text goes on in the next part)
               lane, retracting (text that waits for judges, or is taken back): segments, questions, judgement, cuts, json_values
               actions, masks (what is done about a match) -> outlet (into the log, or withheld)
    request    request: bodies (where its strings are)  unjudgeable (what it may not ask for)
    final      final: rescan  schema, ecma  formatting  drift
    people     review (what waits for somebody)  decision (what becomes of it)

`gate`, `request` and `final` are the three gates, and where to begin; `scanner` is what all of them rest on. What is
found depends on the text alone because nothing between `pattern` and `scanner` knows how it came.
"""
