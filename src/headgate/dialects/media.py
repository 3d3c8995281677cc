"""Pictures, sound and documents inside requests, as both of OpenAI's dialects write them."""

from __future__ import annotations

from typing import Final

from headgate.dialects.given import invalid

AUDIO_TYPES: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}
"""``input_audio.format`` -> media type; others are ``audio/<format>``."""


def data_url(url: str, at: str) -> tuple[str, str]:
    """Media type and base64 of ``data:<type>[;parameter]*;base64,<data>`` (RFC 2397); other encodings are refused."""
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if not comma or not parameters or parameters[-1].strip().lower() != "base64":
        raise invalid(at, "a data: URL with base64")
    return media_type.strip().lower(), data
