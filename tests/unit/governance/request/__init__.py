"""Tests of the request gate."""
