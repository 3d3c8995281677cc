"""Tests of the simulator: its answers as values and bytes, its faults one by one, and real sockets with the SDK."""
