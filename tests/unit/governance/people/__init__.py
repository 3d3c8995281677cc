"""Tests of reviews, and of what their decisions do to a log."""
