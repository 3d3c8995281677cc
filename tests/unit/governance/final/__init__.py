"""Tests of the final gate and its checks."""
