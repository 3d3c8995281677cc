"""The shape of most events of a stream, so that they can be read at one go; whatever has more is read field by field."""

from __future__ import annotations

import msgspec


class PlainDelta(
    msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="response.output_text.delta", tag_field="type"
):
    """Text for a part, and nothing beside it that is not said by every event."""

    delta: str
    item_id: str
    output_index: int
    content_index: int
    sequence_number: int = 0
    logprobs: tuple[()] | None = None
    obfuscation: str | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        return self.item_id, self.output_index, self.content_index
