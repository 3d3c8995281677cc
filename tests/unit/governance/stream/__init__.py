"""Tests of the stream gate, and of what stands beside it."""
