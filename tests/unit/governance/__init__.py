"""Tests of governance: patterns and detectors, the three gates, reviews."""
