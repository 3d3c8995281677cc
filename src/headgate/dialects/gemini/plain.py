"""The shape of most chunks of a stream, so that they can be read at one go; whatever has more is read field by field."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _Content(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    parts: tuple[_Part]
    role: str = "model"


class _Candidate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: _Content
    index: Annotated[int, msgspec.Meta(ge=0)] = 0


class PlainChunk(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A chunk that is one piece of text of one candidate: no field in it that would have to be kept."""

    candidates: tuple[_Candidate]
    usageMetadata: dict[str, Any] | None = None
    modelVersion: str | None = None
    responseId: str | None = None
    createTime: str | None = None
