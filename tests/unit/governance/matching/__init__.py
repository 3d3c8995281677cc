"""Tests of matching: patterns, terms, the automaton and its scanner."""
