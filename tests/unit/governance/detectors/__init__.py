"""Tests of the built-in detectors: exact expectations, and the checks behind them."""
