"""Matching while the text streams: patterns, terms, the automaton and its scanner."""
