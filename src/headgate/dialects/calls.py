"""Ids of tool calls whose provider gave none; the same in every dialect, so that a client may change its own."""

from __future__ import annotations

from headgate.ids import suffix


def made_up_call_id(response_id: str, choice: int, part: int) -> str:
    return f"call_{suffix(response_id)}_{choice}_{part}"
