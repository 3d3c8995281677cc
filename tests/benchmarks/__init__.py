"""Tests of the benchmark: it must notice wrong answers, or its numbers mean nothing."""
