"""Matching: all rules of a group in one pass over a text, wherever it is cut.

    folding       characters as a reader sees them
    pattern       text of a pattern -> its tree
    positions     trees -> one net: which character may follow which
    terms         long lists of literal terms, beside the net
    automaton     all of that, made deterministic while it is used
    scanner       one text, as it comes -> what no rule matches, and matches
    json_grammar  what punctuation JSON allows where
    json_text     one text that is JSON, as it comes: scanners for its values
    escapes       one whole text that may hold some JSON

A rule is a number here. What it is called, what is done about a match and which policy it is of, `ruleset` knows.
"""
