"""Tests of the house itself: layers, words, licences, generated pages, and the suite's own machinery."""
