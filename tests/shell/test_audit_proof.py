"""A receipt proves that a text, or a log, is what was delivered, and no other."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate import receipts
from headgate.assemble import Digester
from headgate.audit import checkpoints, proof, signing
from headgate.dialects.headgate import event_object
from headgate.events import AnyEvent, Delta, PartKind, PartStarted, ResponseStarted, Retracted, Status, Terminal
from tests.shell.auditing import Writer, opened, receipt_of
from tests.shell.scene import run

TEXT = "Grüße aus Oslo, 42 \U0001f600"


def proved(*, text: str = TEXT, count: int = 3) -> tuple[dict[str, Any], Writer]:
    """The receipt of the first of some responses, as a client gets it, and the log it is in."""
    kept: list[Any] = []

    async def make() -> None:
        writer = await opened(None)
        name = await writer.end(text=text)
        await writer.end(count)
        given = await writer.audit.prove(name, "app")
        kept.extend([msgspec.json.decode(msgspec.json.encode(given)), writer])

    run(make)
    return kept[0], kept[1]


def parsed(bundle: dict[str, Any]) -> proof.Receipt:
    return proof.parse(msgspec.json.encode(bundle))


def passed(bundle: dict[str, Any], **more: Any) -> bool:
    checks = proof.check_receipt(parsed(bundle), **({"keys": (), "kept": None} | more))
    return all(check.passed for check in checks)


def ndjson(events: list[AnyEvent]) -> list[bytes]:
    return [msgspec.json.encode(event_object(seq, event)) for seq, event in enumerate(events, 1)]


def test_receipt_is_proved_also_after_somebody_has_formatted_it() -> None:
    bundle, _ = proved()
    assert passed(bundle)
    pretty = msgspec.json.format(msgspec.json.encode(dict(reversed(bundle.items()))), indent=4)
    checks = proof.check_receipt(proof.parse(pretty), keys=(), kept=None)
    assert all(check.passed for check in checks)


def test_any_field_of_a_receipt_that_is_changed_breaks_it() -> None:
    bundle, _ = proved()
    for name in bundle["receipt"]:
        forged = {**bundle, "receipt": {**bundle["receipt"], name: "other"}}
        assert not passed(forged), name
    assert not passed({**bundle, "receipt": {**bundle["receipt"], "more": 1}})
    for name in ("size", "root", "at", "origin", "key"):
        value = bundle["checkpoint"][name]
        other = value + 1 if isinstance(value, int) else value[::-1]
        forged = {**bundle, "checkpoint": {**bundle["checkpoint"], name: other}}
        assert not passed(forged), name
    assert not passed({**bundle, "inclusion": bundle["inclusion"][:-1]})
    assert not passed({**bundle, "inclusion": bundle["inclusion"][::-1]})


def test_receipt_by_somebody_elses_key_is_told_where_the_key_is_known() -> None:
    bundle, _ = proved()
    mine = signing.PublicKey.from_base64(bundle["public_key"])
    assert passed(bundle, keys=[mine])
    assert not passed(bundle, keys=[signing.SigningKey().public])
    signature_of_checkpoint = {**bundle, "signature": bundle["checkpoint"]["signature"]}
    assert not passed(signature_of_checkpoint), "a signature is over one thing only"


def test_checkpoint_that_was_kept_must_be_of_the_same_log() -> None:
    bundle, _ = proved()
    other, _ = proved()
    kept = checkpoints.parse(bundle["checkpoint"])
    assert passed(bundle, kept=kept)
    assert not passed(bundle, kept=checkpoints.parse(other["checkpoint"]))
    statement = checkpoints.read(kept)
    forged = checkpoints.make(
        signing.SigningKey(), size=statement.size, root=b"\x00" * 32, at=1, origin=statement.origin
    )
    assert not passed(bundle, kept=forged)


def test_text_that_was_delivered_is_told_from_any_other() -> None:
    receipt = parsed(proved()[0])
    for good in (TEXT, TEXT + "\n", TEXT + "\r\n"):
        assert proof.check_text(receipt, good.encode())[0].passed
    for bad in ("", TEXT + " ", TEXT[:-1], TEXT.replace("42", "43"), TEXT + "\n\n", " " + TEXT):
        assert not proof.check_text(receipt, bad.encode())[0].passed
    assert not proof.check_text(receipt, b"\xff\xfe")[0].passed


def test_text_that_ends_with_a_line_end_is_itself() -> None:
    receipt = parsed(proved(text="one\n")[0])
    assert proof.check_text(receipt, b"one\n")[0].passed
    assert not proof.check_text(receipt, b"one")[0].passed


def test_each_part_of_an_answer_with_several_is_found_by_its_text() -> None:
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in ("I think", "So it is")]
    digester = Digester()
    for part, (kind, text) in enumerate(((PartKind.REASONING, "I think"), (PartKind.TEXT, "So it is"))):
        digester.feed(PartStarted(0, part, kind))
        digester.feed(Delta(0, part, text))
    parts = [(0, 0, "reasoning", hashes[0]), (0, 1, "text", hashes[1])]
    fold = receipts.ReceiptFold()
    for event in (ResponseStarted("resp_x", "app", "openai-chat", "m", 1), Terminal(Status.COMPLETED)):
        fold.feed(1, event)
    fields = fold.fields(owner="app", sha256=digester.result(), event_count=9, parts=parts)
    bundle = {**proved()[0], "receipt": msgspec.json.decode(receipts.body("response", "resp_x", 1, fields))}
    [found] = proof.check_text(parsed(bundle), b"So it is")
    assert (found.passed, "part 1 of choice 0" in found.text) == (True, True)
    assert not proof.check_text(parsed(bundle), b"So it was")[0].passed
    bundle["receipt"]["parts"][1]["sha256"] = hashlib.sha256(b"So it was").hexdigest()
    assert not proof.check_text(parsed(bundle), b"So it was")[0].passed, "the parts must be those of the whole"


def test_log_that_was_delivered_is_told_from_any_other() -> None:
    bundle, writer = proved()
    receipt = parsed(bundle)
    lines = ndjson(writer.events[bundle["receipt"]["id"]])

    def good(lines: list[bytes]) -> bool:
        return all(check.passed for check in proof.check_events(receipt, lines))

    assert good(lines)
    assert good([*lines, b"", b"\n"])
    assert not good(lines[:-1])
    assert not good([line.replace(b"Oslo", b"Rome") for line in lines])
    assert not good([line.replace(b'"kind":"text"', b'"kind":"reasoning"') for line in lines])
    assert not good([*lines[:5], *lines[6:]])
    assert not good([line.replace(receipt.fields["id"].encode(), b"resp_other") for line in lines])


def test_log_from_which_text_was_taken_back_is_proved_with_and_without_that_text() -> None:
    events: list[AnyEvent] = [
        ResponseStarted("resp_x", "app", "openai-chat", "m", 1, may_retract=True),
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "lives at "),
        Delta(0, 0, "12 Example "),
        Delta(0, 0, "Road"),
        Retracted(0, 0, 9, 4, "home_address", "[address]"),
        Delta(0, 0, ". Yes."),
        Terminal(Status.COMPLETED),
    ]
    bundle = {**proved()[0], "receipt": msgspec.json.decode(receipts.body("response", "resp_x", 1, receipt_of(events)))}
    receipt, lines = parsed(bundle), ndjson(events)
    for given in (lines, [*lines[:3], *lines[5:]]):
        assert all(check.passed for check in proof.check_events(receipt, given))
    assert not all(check.passed for check in proof.check_events(receipt, [*lines[:2], *lines[3:]]))
    assert proof.check_text(receipt, b"lives at [address]. Yes.")[0].passed


@pytest.mark.parametrize(
    "line",
    [
        b"notes",
        b"[]",
        b"{}",
        b'{"seq":1}',
        b'{"seq":"1","type":"delta"}',
        b'{"seq":1,"type":"delta","choice":0,"part":0,"text":"no such part"}',
        b'{"seq":1,"type":"part.started","choice":0,"part":0,"kind":"poem"}',
        b'{"seq":1,"type":"response.started","id":7}',
        b'{"seq":0,"type":"delta"}',
        b'{"seq":99999999999999,"type":"terminal"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_line_that_is_no_event_is_named_and_nothing_else_happens(line: bytes) -> None:
    receipt = parsed(proved()[0])
    with pytest.raises(proof.ProofError, match="line 1"):
        proof.check_events(receipt, [line])


def test_what_is_no_receipt_is_refused() -> None:
    bundle, _ = proved()
    whole = msgspec.json.encode(bundle)
    for data in (b"", b"notes", b"{}", b"[]", whole[:-1], b"\xff", b"[" * 100_000, b'{"receipt":' * 10_000):
        with pytest.raises(proof.ProofError):
            proof.parse(data)
    for name in bundle:
        for value in (None, "x", 1, [], ["zz"], {}, {"signature": "AAAA"}, {"size": 1.5, "signature": "AAAA"}):
            forged = {**bundle, name: value}
            try:
                checks = proof.check_receipt(proof.parse(msgspec.json.encode(forged)), keys=(), kept=None)
            except proof.ProofError:
                continue
            assert not all(check.passed for check in checks), (name, value)


def test_receipt_with_a_number_that_has_no_canonical_form_is_refused() -> None:
    bundle, _ = proved()
    bundle["receipt"]["seq"] = 1.5
    with pytest.raises(proof.ProofError):
        parsed(bundle)
    for seq in (True, None, "2", -1, 0, 10**9):
        bundle["receipt"]["seq"] = seq
        assert not passed(bundle)


def test_bundle_fits_a_file_that_is_written_and_read(tmp_path: Path) -> None:
    bundle, _ = proved(count=1_000)
    path = tmp_path / "receipt.json"
    path.write_bytes(msgspec.json.encode(bundle))
    assert path.stat().st_size < 8_192
    assert all(c.passed for c in proof.check_receipt(proof.parse(path.read_bytes()), keys=(), kept=None))
