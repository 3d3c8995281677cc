"""Reviews over HTTP, and from the command line through that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from typer.testing import CliRunner

from headgate.api.exchange import Exchange, error_answer
from headgate.api.reviews import ROUTES
from headgate.commands.admin import printable
from headgate.commands.reviews import reviews_app
from headgate.config import Config
from headgate.dialects.headgate import NATIVE
from headgate.errors import RequestError
from headgate.events import Status, Verdict
from headgate.reviews import Reviews
from tests.shell.scene import run
from tests.shell.test_reviews import SECRET, Desk

PREFIX: Final = "/admin/v1/reviews"
JSON: Final = {"content-type": "application/json", "authorization": "Bearer ada"}


class Admin:
    """The routes of reviews, for whoever's key is the reviewer's name."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.config = Config(providers=[], routes=[])

    @property
    def reviews(self) -> Reviews:
        return self.desk.reviews

    async def answer(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        path, _, query = path.partition("?")
        sent: list[dict[str, Any]] = []
        raw = [(name.encode(), value.encode()) for name, value in (JSON if headers is None else headers).items()]
        scope = {"type": "http", "method": method, "headers": raw, "query_string": query.encode()}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        exchange = Exchange(scope, receive, send, path)
        try:
            await self._handle(exchange)
        except RequestError as error:
            await exchange.answer(*error_answer(NATIVE, error))
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], head, sent[1]["body"]

    async def ask(self, method: str, path: str, body: dict[str, Any] | bytes | None = None, by: str = "ada") -> Any:
        """What a request is answered with 200, or the code of its error."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body or {})
        headers = {**JSON, "authorization": f"Bearer {by}"}
        status, head, answer = await self.answer(method, path, data, headers)
        known = msgspec.json.decode(answer)
        if status == 200:
            assert head["cache-control"] == "no-store"
            return known
        assert (head["content-type"], known["status"]) == ("application/problem+json", status)
        return known["code"]

    async def _handle(self, exchange: Exchange) -> None:
        reviewer = (exchange.header(b"authorization") or "").removeprefix("Bearer ")
        if not reviewer:
            raise RequestError("unauthorized", "Who are you?")
        below = exchange.path.removeprefix(PREFIX).strip("/")
        review_id, slash, action = below.partition("/")
        method, handler = ROUTES[f"{{id}}{slash}{action}" if review_id else ""]
        assert exchange.method == method
        await handler(self, exchange, reviewer, review_id)


def test_review_shows_what_is_held_what_is_out_and_why() -> None:
    async def test() -> None:
        desk = Desk()
        admin = Admin(desk)
        held = await desk.hold(risk="high")
        known = await admin.ask("GET", f"{PREFIX}/{held.id}")
        assert (known["id"], known["state"], known["rule"], known["risk"]) == (held.id, "pending", "salary", "high")
        assert known["released"] == [{"choice": 0, "part": 0, "kind": "text", "tool_name": "", "text": "Ada "}]
        assert known["withheld"] == [{"choice": 0, "part": 0, "kind": "text", "tool_name": "", "text": SECRET}]
        assert (known["held"], known["text_available"]) == ({"choice": 0, "part": 0, "offset": 4}, True)
        assert (known["deadline"], known["on_timeout"]) == (held.created_at + 86_400, "reject")

    run(test)


def test_verdicts_of_the_final_gate_are_shown() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        verdict = Verdict("final", "json_schema", "fail", 0, detail="no object")
        again = msgspec.structs.replace(held, id="rev_" + "1" * 32, verdicts=(verdict,))
        await desk.reviews.open(again)
        known = await Admin(desk).ask("GET", f"{PREFIX}/{again.id}")
        (shown,) = known["verdicts"]
        assert (shown["gate"], shown["rule"], shown["outcome"]) == ("final", "json_schema", "fail")

    run(test)


def test_queue_has_no_text_and_is_paged() -> None:
    async def test() -> None:
        desk = Desk()
        admin = Admin(desk)
        ids = [(await desk.hold(risk=risk)).id for risk in ("high", "medium", "low")]
        first = await admin.ask("GET", f"{PREFIX}?limit=2")
        assert [known["id"] for known in first["reviews"]] == ids[:2]
        second = await admin.ask("GET", f"{PREFIX}?limit=2&after={first['after']}")
        assert [known["id"] for known in second["reviews"]] == ids[2:]
        assert second["after"] is None
        assert SECRET not in repr((first, second))
        only = await admin.ask("GET", f"{PREFIX}?risk=low&policy=p&state=pending")
        assert [known["id"] for known in only["reviews"]] == ids[2:]

    run(test)


@pytest.mark.parametrize(
    "query", ["state=lost", "risk=huge", "limit=0", "limit=101", "limit=x", "limit=\u0663", "colour=red"]
)
def test_queue_that_cannot_be_asked_for_is_refused(query: str) -> None:
    async def test() -> None:
        assert await Admin(Desk()).ask("GET", f"{PREFIX}?{query}") == "invalid_request"

    run(test)


def test_reviewer_claims_comments_and_decides_under_their_own_name() -> None:
    async def test() -> None:
        desk = Desk()
        admin = Admin(desk)
        held = await desk.hold()
        here = f"{PREFIX}/{held.id}"
        assert (await admin.ask("POST", f"{here}/claim"))["claim"]["by"] == "ada"
        assert await admin.ask("POST", f"{here}/approve", by="bob") == "review_conflict"
        said = await admin.ask("POST", f"{here}/comment", {"comment": "Mine."}, by="bob")
        assert [(line["by"], line["text"]) for line in said["comments"]] == [("bob", "Mine.")]
        assert (await admin.ask("POST", f"{here}/release"))["state"] == "pending"
        edited = await admin.ask("POST", f"{here}/edit", {"text": "works.", "comment": "Better."}, by="bob")
        assert edited["state"] == "edited"
        assert edited["decision"] == {"decision": "edit", "by": "bob", "at": desk.now, "comment": "Better."}
        assert await admin.ask("POST", f"{here}/reject") == "review_conflict"
        log = desk.live[held.response_id]
        await desk.scene.journal.flush()
        assert log.terminal is not None
        assert log.terminal.status is Status.COMPLETED

    run(test)


def test_approval_and_rejection_need_no_words() -> None:
    async def test() -> None:
        desk = Desk()
        admin = Admin(desk)
        for action, state in (("approve", "approved"), ("reject", "rejected")):
            held = await desk.hold()
            assert (await admin.ask("POST", f"{PREFIX}/{held.id}/{action}"))["state"] == state

    run(test)


@pytest.mark.parametrize(
    ("action", "body", "code"),
    [
        ("edit", b"{}", "invalid_request"),
        ("edit", b'{"text":""}', "invalid_request"),
        ("edit", b'{"text":1}', "invalid_request"),
        ("edit", b'{"text":"\\ud800"}', "invalid_json"),
        ("edit", b'{"text":"\xff"}', "invalid_json"),
        ("approve", b'{"text":"x"}', "invalid_request"),
        ("approve", b"[]", "invalid_request"),
        ("approve", b"", "invalid_json"),
        ("approve", b"{", "invalid_json"),
        ("comment", b"{}", "invalid_request"),
        ("comment", b'{"comment":" "}', "invalid_request"),
        ("claim", b'{"comment":"x"}', "invalid_request"),
    ],
)
def test_body_that_says_something_else_decides_nothing(action: str, body: bytes, code: str) -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        assert await Admin(desk).ask("POST", f"{PREFIX}/{held.id}/{action}", body) == code
        assert (await desk.reviews.show(held.id)).state == "pending"

    run(test)


def test_page_of_another_origin_cannot_decide_without_being_asked() -> None:
    """A browser sends it unasked only as a form or as plain text."""

    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        headers = {"content-type": "text/plain", "authorization": "Bearer ada"}
        status, _, _ = await Admin(desk).answer("POST", f"{PREFIX}/{held.id}/approve", b"{}", headers)
        assert status == 415

    run(test)


def test_unknown_review_is_not_found_whatever_is_done_to_it() -> None:
    async def test() -> None:
        admin = Admin(Desk())
        for review_id in ("rev_" + "0" * 32, "nonsense"):
            assert await admin.ask("GET", f"{PREFIX}/{review_id}") == "not_found"
            for action in ("claim", "release", "approve", "reject"):
                assert await admin.ask("POST", f"{PREFIX}/{review_id}/{action}") == "not_found"

    run(test)


# the command line


@asynccontextmanager
async def served(admin: Admin) -> AsyncIterator[str]:
    """The API on a socket, one request a connection."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        status, head, data = await admin.answer(method, path, body, headers)
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in head.items()), "connection: close"]
        writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(one, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def command(url: str, *words: str, key: str = "ada", stdin: str = "") -> Any:
    variables = {"HEADGATE_URL": url, "HEADGATE_ADMIN_KEY": key, "COLUMNS": "200"}
    return await asyncio.to_thread(CliRunner().invoke, reviews_app, words, input=stdin, env=variables)


def test_reviewer_works_from_the_command_line(tmp_path: Path) -> None:
    async def test() -> None:
        desk = Desk()
        async with served(Admin(desk)) as url:
            assert "Nothing is waiting." in (await command(url, "list")).output
            held, other = await desk.hold(risk="high"), await desk.hold()
            listed = (await command(url, "list", "--limit", "1")).output
            assert held.id in listed
            assert other.id not in listed
            assert "--after" in listed
            shown = (await command(url, "show", held.id)).output
            assert SECRET in shown
            assert "rule salary, risk high" in shown
            assert "by ada" in (await command(url, "claim", held.id)).output
            assert (await command(url, "comment", held.id, "--comment", "Hm.", key="bob")).exit_code == 0
            assert "bob: Hm." in (await command(url, "show", held.id)).output
            refused = await command(url, "approve", held.id, key="bob")
            assert (refused.exit_code, refused.stderr.startswith("review_conflict: ")) == (1, True)
            assert (await command(url, "release", held.id)).exit_code == 0
            text = tmp_path / "text"
            text.write_text("works.")
            assert "(edited)" in (await command(url, "edit", held.id, "--text", str(text), "--comment", "so")).output
            assert "(rejected)" in (await command(url, "reject", other.id)).output

    run(test)


def test_text_of_an_edit_may_come_from_standard_input() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        async with served(Admin(desk)) as url:
            done = await command(url, "edit", held.id, "--text", "-", "--json", stdin="works.")
        assert msgspec.json.decode(done.stdout)["state"] == "edited"
        await desk.scene.journal.flush()
        assert desk.scene.observer.text == "Ada works."

    run(test)


def test_answers_are_json_for_who_asks_for_it() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        async with served(Admin(desk)) as url:
            listed = msgspec.json.decode((await command(url, "list", "--json")).stdout)
            shown = msgspec.json.decode((await command(url, "show", held.id, "--json")).stdout)
            approved = msgspec.json.decode((await command(url, "approve", held.id, "--json")).stdout)
        assert [known["id"] for known in listed["reviews"]] == [held.id]
        assert shown["withheld"][0]["text"] == SECRET
        assert approved["state"] == "approved"

    run(test)


def test_what_goes_wrong_is_said_in_one_line() -> None:
    async def test() -> None:
        async with served(Admin(Desk())) as url:
            missing = await command(url, "show", "rev_" + "0" * 32)
            stranger = await command(url, "list", key="")
        gone = await command(url, "list")
        nowhere = await command("ftp://example.com", "list")
        file = await command(url, "edit", "rev_1", "--text", "does/not/exist")
        said = [(done.exit_code, done.stderr) for done in (missing, stranger, gone, nowhere, file)]
        assert [status for status, _ in said] == [1, 1, 1, 2, 2]
        wanted = (
            "not_found: ",
            "the gateway does not know the key",
            "cannot reach the gateway",
            "'ftp://",
            "cannot read",
        )
        for (_, text), beginning in zip(said, wanted, strict=True):
            assert text.startswith(beginning), text
            assert text.count("\n") == 1

    run(test)


def test_terminal_is_not_sent_what_it_would_obey() -> None:
    assert printable("a\x1b[31mb\r\u202ec\x9b1m\n\td\u0000") == "a\ufffd[31mb\ufffd\ufffdc\ufffd1m\n\td\ufffd"
    assert printable("Grüße, 世界") == "Grüße, 世界"
