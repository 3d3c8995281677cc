"""Log probabilities as a model would report them: plausible, and the same every time."""

from __future__ import annotations

from typing import Any, Final
from zlib import crc32

_RIVALS: Final = (" the", " a", " and", " of", " water", " in", ",", ".", " gate", " to", " river")


def logprob(token: str, position: int, top: int) -> dict[str, Any]:
    """The entry of one token, with its `top` most likely alternatives, itself first."""
    drawn = crc32(token.encode("utf-8", "replace"), position)
    value = round(-(drawn % 2000) / 1500, 6)
    entries = [_entry(token, value)]
    for i in range(1, top):
        suffix = "" if i <= len(_RIVALS) else str(i)
        rival = _RIVALS[(drawn + i) % len(_RIVALS)] + suffix
        entries.append(_entry(rival if rival != token else rival + "s", round(value - 0.4 * i - 0.1, 6)))
    return {**_entry(token, value), "top_logprobs": entries[:top]}


def _entry(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode("utf-8", "replace"))}
