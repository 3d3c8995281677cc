"""A receipt says who asked what of whom, what was decided, and what was released; it never says a word of it."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import receipts
from headgate.events import (
    NAMES,
    AnyEvent,
    Asked,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Drift,
    Extra,
    Governance,
    Held,
    Marks,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Released,
    ResponseStarted,
    Retracted,
    Reviewed,
    Seam,
    Status,
    Terminal,
    Usage,
    Verdict,
)
from headgate.receipt import Attempt, Counts, End, Receipt
from headgate.receipts import FOLDED, ReceiptFold, canonical

ID = "resp_" + "0" * 32


def started(**more: Any) -> ResponseStarted:
    return ResponseStarted(ID, "app", "openai-chat", "gpt", 1_780_000_000, **more)


def receipt(*events: AnyEvent, sha256: str = "ab" * 32, count: int = 9, **more: Any) -> dict[str, Any]:
    """What a reader of the audit log finds: events are read a millisecond apart."""
    fold = ReceiptFold()
    for at, event in enumerate(events):
        fold.feed(5_000_000 + at * 1_000_000, event)
    fields = fold.fields(owner="app", sha256=sha256, event_count=count, **more)
    found: dict[str, Any] = msgspec.json.decode(receipts.body("response", ID, 7, fields))
    return found


END = Terminal(Status.COMPLETED, ended_at=1_780_000_003)


def test_receipt_of_a_plain_answer_says_what_happened_and_nothing_else() -> None:
    assert receipt(
        started(policy="default", policy_version="p1", config_version="c1", request_sha256="cd" * 32, risk="low"),
        AttemptStarted(1, "openai", "openai-chat", "gpt-5"),
        AttemptDescribed(1, "chatcmpl-1", "gpt-5-2026"),
        PartStarted(0, 0, PartKind.TEXT),
        PartStarted(0, 1, PartKind.TEXT),
        Usage(3, 4, reasoning_tokens=2),
        AttemptEnded(1, "ok", 200),
        END,
    ) == {
        "seq": 7,
        "kind": "response",
        "id": ID,
        "owner": "app",
        "created_at": 1_780_000_000,
        "ended_at": 1_780_000_003,
        "dialect": "openai-chat",
        "route": "*",
        "request_sha256": "cd" * 32,
        "requested_model": "gpt",
        "provider": "openai",
        "model": "gpt-5-2026",
        "attempts": [{"attempt": 1, "provider": "openai", "model": "gpt-5", "code": "ok", "http_status": 200}],
        "attempts_count": 1,
        "policy": "default",
        "policy_version": "p1",
        "config_version": "c1",
        "risk": "low",
        "sha256": "ab" * 32,
        "terminal": {"status": "completed", "code": ""},
        "event_count": 9,
        "first_output_ms": 3,
        "duration_ms": 7,
        "usage": {
            "input_tokens": 3,
            "output_tokens": 4,
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "reasoning_tokens": 2,
            "estimated": False,
        },
    }


def test_request_that_never_reached_a_provider_has_a_receipt() -> None:
    found = receipt(started(), Verdict("request", "canary", "fail"), Terminal(Status.BLOCKED, "request_blocked"))
    assert (found["attempts"], found["provider"], found["model"]) == ([], "", "")
    assert found["terminal"] == {"status": "blocked", "code": "request_blocked"}
    assert found["verdicts"] == [{"gate": "request", "rule": "canary", "outcome": "fail", "count": 1}]
    assert "usage" not in found
    assert "first_output_ms" not in found


def test_model_is_the_one_the_attempt_that_answered_reported() -> None:
    found = receipt(
        started(),
        AttemptStarted(1, "one", "openai-chat", "a"),
        AttemptDescribed(1, "x", "a-2026"),
        AttemptEnded(1, "upstream_cut", 200),
        AttemptStarted(2, "two", "openai-chat", "b"),
        AttemptEnded(2, "ok", 200),
        END,
    )
    assert (found["provider"], found["model"]) == ("two", ""), "what another attempt said is not this one's"
    assert [attempt["code"] for attempt in found["attempts"]] == ["upstream_cut", "ok"]


def test_decisions_are_counted_by_what_they_are() -> None:
    events: list[AnyEvent] = [
        *[Governance(0, 0, "email", "mask", 1, 2)] * 3,
        Governance(0, 0, "email", "mask", 1, 2, dry=True),
        Governance(-1, -1, "email", "mask", 1, 2, gate="request"),
        *[Verdict("lane", "toxic", "pass")] * 2,
        Verdict("lane", "toxic", "error"),
        Retracted(0, 0, 3, 5, "toxic"),
        Drift(0, "aa", "bb", 12, 4),
        Reviewed("rev_1", "edit", "ada", 1_780_000_001, comment="do not say this"),
    ]
    found = receipt(started(), *events, END, retracted_chars=4)
    assert found["governance"] == [
        {"gate": "request", "rule": "email", "action": "mask", "dry": False, "count": 1},
        {"gate": "stream", "rule": "email", "action": "mask", "dry": False, "count": 3},
        {"gate": "stream", "rule": "email", "action": "mask", "dry": True, "count": 1},
    ]
    assert found["verdicts"] == [
        {"gate": "lane", "rule": "toxic", "outcome": "error", "count": 1},
        {"gate": "lane", "rule": "toxic", "outcome": "pass", "count": 2},
    ]
    assert found["retractions"] == {"count": 1, "chars": 4}
    assert found["reviews"] == [{"review": "rev_1", "decision": "edit", "reviewer": "ada", "at": 1_780_000_001}]
    assert found["drift"] == [{"choice": 0, "distance": 12, "retracted": 4, "streamed_sha256": "aa"}]


def test_what_a_peer_can_make_many_of_is_bounded_and_counted() -> None:
    governance = [Governance(0, 0, f"rule{n}", "flag", 0, 1) for n in range(3_000)]
    reviews = [Reviewed(f"r{n}", "approve", "ada", 1) for n in range(500)]
    attempts: list[AnyEvent] = []
    for n in range(1, 301):
        attempts += [AttemptStarted(n, "p", "openai-chat", "m"), AttemptEnded(n, "upstream_error", 500)]
    found = receipt(started(), *attempts, *governance, *governance[:1], *reviews, END)
    assert (len(found["attempts"]), found["attempts_count"], found["attempts"][-1]["attempt"]) == (100, 300, 300)
    assert (len(found["reviews"]), found["reviews_count"]) == (100, 500)
    assert len(found["governance"]) == 1_001
    counts = {row["rule"]: row["count"] for row in found["governance"]}
    assert (counts["rule0"], counts["*"]) == (2, 2_000)


def test_sources_are_there_as_they_were_declared() -> None:
    sources = ["kb://a", {"url": "https://example.org", "title": "é\U0001f600", "pages": [1, 2], "ok": True, "n": None}]
    assert receipt(started(sources=sources), END)["sources"] == sources
    odd = receipt(started(sources=[{"score": 0.25, "big": 2**60}]), END)
    assert odd["sources"] == [{"score": "0.25", "big": str(2**60)}], "no number that languages spell differently"
    assert "sources" not in receipt(started(sources=[]), END)


def test_sources_that_are_too_long_are_there_as_their_hash() -> None:
    sources = ["x" * 100] * 100
    found = receipt(started(sources=sources), END)
    assert "sources" not in found
    assert found["sources_count"] == 100
    assert found["sources_sha256"] == hashlib.sha256(canonical(sources)).hexdigest()
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    found = receipt(started(sources=[deep]), END)
    assert (found["sources_count"], found["sources_sha256"]) == (1, ""), "and never an exception"


def test_receipt_of_a_response_that_outlived_its_process_has_no_times_of_another_clock() -> None:
    fold = ReceiptFold()
    for event in (started(), PartStarted(0, 0, PartKind.TEXT)):
        fold.feed(receipts.ANOTHER_CLOCK, event)
    fold.feed(5, Terminal(Status.FAILED, "interrupted"))
    found = msgspec.json.decode(receipts.body("response", ID, 7, fold.fields(owner="app", sha256="", event_count=3)))
    assert "duration_ms" not in found
    assert "first_output_ms" not in found


def test_parts_are_listed_where_the_hash_of_one_does_not_follow_from_the_whole() -> None:
    parts = [(0, 0, "reasoning", "aa" * 32), (0, 1, "text", "bb" * 32)]
    assert "parts" not in receipt(started(), END, parts=parts[:1])
    assert receipt(started(), END, parts=parts)["parts"][1] == {
        "choice": 0,
        "part": 1,
        "kind": "text",
        "sha256": "bb" * 32,
    }
    assert "parts" not in receipt(started(), END, parts=parts * 100)


SECRET = "the patient's name is Ada"


def planted() -> list[AnyEvent]:
    """Every event there is, with a text in every place where text of a prompt or an answer, or a person's words, can be."""
    extra = Extra({"a": SECRET}, {"b": SECRET}, {"c": SECRET})
    return [
        started(echo={"instructions": SECRET}, input=[{"content": SECRET}], may_retract=True),
        Asked({"instructions": SECRET}, [{"content": SECRET}]),
        AttemptStarted(1, "p", "openai-chat", "m", dropped=(SECRET,)),
        AttemptDescribed(1, SECRET, "m", {"system_fingerprint": SECRET}, extra),
        PartStarted(0, 0, PartKind.TOOL_CALL, SECRET, SECRET, extra),
        Delta(0, 0, SECRET, extra),
        Governance(0, 0, "email", "mask", 0, 5, detail=SECRET),
        Held(0, 0, 3, SECRET, "rev_1"),
        Verdict("final", "rescan", "fail", detail=SECRET),
        Drift(0, "aa", "bb", 1, 2),
        Retracted(0, 0, 0, 5, SECRET, SECRET),
        Reviewed("rev_1", "edit", "ada", 1, comment=SECRET),
        Marks(0, 0, 1, 1, 1),
        Released(3),
        Seam(1, 2, SECRET),
        Opaque(0, extra),
        Usage(1, 2, provider={"text": SECRET}),
        PartDone(0, 0, extra),
        ChoiceDone(0, Reason.STOP, SECRET, extra),
        AttemptEnded(1, "ok", 200, SECRET),
        Terminal(Status.FAILED, "upstream_error", message=SECRET, detail={"error": SECRET}, sha256=SECRET),
    ]


def test_no_text_of_an_answer_or_a_prompt_is_ever_in_a_receipt() -> None:
    events = planted()
    assert {type(event) for event in events} == set(NAMES), "a new kind of event is planted here as well"
    assert SECRET not in str(receipt(*events))
    assert "patient" not in str(receipt(*events))


def test_receipt_is_the_same_whether_it_is_fed_every_event_or_those_it_asks_for() -> None:
    events = [event for event in planted() if type(event) is not Terminal] + [END]
    whole, rare = ReceiptFold(), ReceiptFold()
    for at, event in enumerate(events):
        whole.feed(at, event)
        if type(event) in FOLDED:
            rare.feed(at, event)
    fields = [fold.fields(owner="app", sha256="", event_count=3) for fold in (whole, rare)]
    assert fields[0] == fields[1]
    assert Delta not in FOLDED


def test_numbers_no_other_language_has_do_not_get_in() -> None:
    found = receipt(started(), Usage(2**63, 2**62), END)
    assert found["usage"]["input_tokens"] == receipts.SAFE_INTEGER
    canonical(found)


# canonical JSON


def test_canonical_form_is_that_of_rfc_8785() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\u00f6": 7}
    assert list(msgspec.json.decode(canonical(value)).values()) == [2, 4, 6, 7, 1, 5, 3], "by UTF-16 code units"
    assert canonical('\x00\x0f\b\t\n\f\r"\\/\x7f\u20ac') == '"\\u0000\\u000f\\b\\t\\n\\f\\r\\"\\\\/\x7f\u20ac"'.encode()
    assert canonical([True, None, -1, {}, []]) == b"[true,null,-1,{},[]]"


@pytest.mark.parametrize("value", [0.5, 1.0, 2**53, -(2**53), [1.5], {"a": {1, 2}}, float("nan")])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="canonical"):
        canonical(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-receipts.SAFE_INTEGER, receipts.SAFE_INTEGER) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_canonical_form_says_the_same_and_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    data = canonical(value)
    assert msgspec.json.decode(data) == value
    assert canonical(msgspec.json.decode(data)) == data


@given(st.lists(json_values, max_size=5))
def test_body_as_it_is_written_is_canonical(sources: list[Any]) -> None:
    """The encoder's own order of keys is by code points; it is used where they are ours, and so in ASCII."""
    fold = ReceiptFold()
    for event in (started(sources=sources), Governance(0, 0, "r", "flag", 0, 1), END):
        fold.feed(1, event)
    body = receipts.body("response", ID, 1, fold.fields(owner="ümlaut", sha256="", event_count=3))
    assert canonical(msgspec.json.decode(body)) == body


def test_receipt_that_says_all_there_is_to_say_is_canonical() -> None:
    """Its fields are in their order as they stand in `receipt`; nothing sorts them."""
    fold = ReceiptFold()
    for at, event in enumerate([started(sources=[{"b": 1, "a": 2}]), *planted()[1:]]):
        fold.feed(at, event)
    parts = [(0, 0, "reasoning", "ab"), (0, 1, "text", "cd")]
    said = fold.fields(owner="app", sha256="", event_count=3, parts=parts)
    body = receipts.body("response", ID, 1, said)
    assert canonical(msgspec.json.decode(body)) == body
    silent = {name for name in said.__struct_fields__ if getattr(said, name) is msgspec.UNSET}
    assert silent == {"sources_count", "sources_sha256"}, "which stand in place of `sources`"
    for fields in (Receipt, Attempt, Counts, End):
        assert list(fields.__struct_fields__) == sorted(fields.__struct_fields__)


def test_rows_that_belong_to_no_response_are_canonical() -> None:
    policies = {"at": 1.5, "who": "ada", "what": "apply", "from": "1", "to": "2", "changed": ["default"]}
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("deletion", ID, receipts.deletion(owner="app", at=1)),
        ("key", "signing", receipts.key(key_id="ab", public_key="AAAA", at=1)),
        ("change", "chg_1", receipts.exact(policies)),
    ]
    for seq, (kind, ref, fields) in zip(itertools.count(1), rows, strict=False):
        body = receipts.body(kind, ref, seq, fields)
        assert canonical(msgspec.json.decode(body)) == body
