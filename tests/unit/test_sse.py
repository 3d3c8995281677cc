"""The traps of Server-Sent Events (WHATWG HTML section 9.2)."""

from __future__ import annotations

import pytest

from headgate.sse import Frame, SseDecoder


def frames(*pieces: bytes) -> list[Frame]:
    decoder = SseDecoder()
    found = [frame for piece in pieces for frame in decoder.feed(piece)]
    return found + decoder.finish()


def data(*pieces: bytes) -> list[bytes]:
    return [data for _, data in frames(*pieces)]


def test_frame_is_dispatched_at_its_blank_line() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [(b"", b"a")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_every_line_end_of_the_specification_ends_a_line(end: bytes) -> None:
    assert frames(end.join([b"event: e", b"data: a", b"data: b", b"", b"data: c", b"", b""])) == [
        (b"e", b"a\nb"),
        (b"", b"c"),
    ]


@pytest.mark.parametrize(
    "other",
    ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"],
    ids=lambda text: f"U+{ord(text):04X}",
)
def test_no_other_character_ends_a_line(other: str) -> None:
    text = f"a{other}b".encode()
    assert data(b"data: " + text + b"\n\n") == [text]


def test_cr_at_the_end_of_a_piece_is_half_of_a_crlf_or_an_end_of_its_own() -> None:
    assert data(b"data: a\r", b"\ndata: b\r\n\r\n") == [b"a\nb"]
    assert data(b"data: a\r", b"data: b\r", b"\r") == [b"a\nb"]
    assert data(b"data: a\r\n\r", b"\ndata: b\n\n") == [b"a", b"b"]


def test_one_leading_bom_is_skipped_also_when_it_comes_in_pieces() -> None:
    bom = b"\xef\xbb\xbf"
    assert data(bom + b"data: a\n\n") == [b"a"]
    assert data(bom[:1], bom[1:2], bom[2:] + b"data: a\n\n") == [b"a"]
    assert data(bom + bom + b"data: a\n\n") == []
    assert data(b"data: a\n\n" + bom + b"data: b\n\n") == [b"a"]


def test_last_event_without_its_blank_line_was_never_an_event() -> None:
    assert data(b"data: a\n\ndata: b\n") == [b"a"]
    assert data(b"data: a\n\ndata: b") == [b"a"]


def test_comments_and_unknown_fields_are_nothing() -> None:
    assert data(b": ping\n\n:\n\nretry: 10\nid: 7\nnonsense\ndata: a\n: within\n\n") == [b"a"]


def test_frame_without_data_is_not_dispatched_and_forgets_its_event() -> None:
    assert frames(b"event: e\n\ndata: a\n\n") == [(b"", b"a")]


def test_one_space_after_the_colon_is_not_part_of_the_value() -> None:
    assert data(b"data:a\n\ndata: a\n\ndata:  a\n\n") == [b"a", b"a", b" a"]


def test_data_may_be_empty_or_have_no_colon() -> None:
    assert data(b"data:\n\ndata\n\ndata\ndata\n\n") == [b"", b"", b"\n"]


def test_blank_lines_between_frames_are_nothing() -> None:
    assert data(b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n") == [b"a", b"b"]


def test_field_name_must_match_exactly() -> None:
    assert data(b"Data: a\n data: b\ndataa: c\ndata : d\n\n") == []


def test_frame_over_the_limit_overflows_however_it_comes() -> None:
    stream = b"data: ok\n\ndata: 0123456789\n\ndata: late\n\n"
    for cut in range(len(stream) + 1):
        decoder = SseDecoder(pending_bytes_max=12)
        found = decoder.feed(stream[:cut]) + decoder.feed(stream[cut:])
        assert (found, decoder.overflowed) == ([(b"", b"ok")], True), cut


def test_limit_is_for_a_frame_and_not_for_a_read() -> None:
    decoder = SseDecoder(pending_bytes_max=12)
    assert len(decoder.feed(b"data: 012345\n\n" * 20)) == 20
    assert not decoder.overflowed


def test_lines_of_one_frame_count_together() -> None:
    decoder = SseDecoder(pending_bytes_max=40)
    for _ in range(20):
        decoder.feed(b"data: 0123456789\n")
    assert decoder.overflowed
    assert decoder.feed(b"\ndata: late\n\n") == []
