"""`headgate policy`: trying a policy on a text, and asking a running gateway for a change."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headgate.commands.policy import ACTED, policy_app

POLICIES = """\
[policies.team]
request = ["email"]
stream = ["email", "names"]
final = ["length"]
length = { chars_max = 12 }
[[policies.team.rules]]
name = "names"
detector = "terms"
terms_file = "names.txt"
"""
CHANGE = {"at": 0, "who": "ada", "what": "apply", "from": "1" * 12, "to": "2" * 12, "changed": ["team"]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "names.txt").write_text("acme\n")
    path = tmp_path / "policies.toml"
    path.write_text(POLICIES)
    return path


def invoke(*arguments: str, text: str | None = None, **environ: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(policy_app, list(arguments), input=text, env=environ)
    return result.exit_code, result.stdout, result.stderr


def test_exit_status_says_whether_anything_acted(file: Path) -> None:
    assert invoke("test", str(file), "--text", "nothing here")[0] == 0
    assert invoke("test", str(file), "--text", "a@example.com")[0] == ACTED


def test_table_shows_where_what_happens_and_what_is_released(file: Path) -> None:
    _, out, _ = invoke("test", str(file), "--text", "Ask a@example.com at Acme")
    lines = [line.split() for line in out.splitlines()]
    assert ["4", "17", "email", "mask", "[email]"] in lines
    assert ["21", "25", "names", "mask", "[names]"] in lines
    assert out.rstrip().endswith("--- released\nAsk [email] at [names]")
    assert "held back, in characters: mean" in out


def test_text_may_come_from_a_file_or_from_standard_input(file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a@example.com")
    from_file = invoke("test", str(file), "--input", str(tmp_path / "text.txt"), "--json")
    from_stdin = invoke("test", str(file), "--input", "-", "--json", text="a@example.com")
    assert from_file == from_stdin
    assert json.loads(from_file[1])["released"] == "[email]"


@pytest.mark.parametrize(
    ("gate", "outcome", "status"), [("request", "passed", 0), ("stream", "passed", ACTED), ("final", "blocked", ACTED)]
)
def test_each_gate_can_be_tried(file: Path, gate: str, outcome: str, status: int) -> None:
    code, out, _ = invoke("test", str(file), "--gate", gate, "--text", "At Acme, all day long", "--json")
    shown = json.loads(out)
    assert (code, shown["outcome"], shown["gate"], shown["policy"]) == (status, outcome, gate, "team")


def test_released_text_cannot_command_the_terminal(file: Path) -> None:
    _, out, _ = invoke("test", str(file), "--text", "red \x1b[31m text")
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--text", "x", "--policy", "nope"], "no policy 'nope'; there are: default, team"),
        ([], "give the text"),
        (["--text", "x", "--input", "-"], "give the text"),
        (["--input", "no/such/file"], "cannot read no/such/file"),
    ],
)
def test_command_that_cannot_be_carried_out_says_why(file: Path, arguments: list[str], words: str) -> None:
    code, out, err = invoke("test", str(file), *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_file_with_mistakes_is_refused_with_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[policies.a]\nstream = ["x"]\naction = "shout"\n')
    code, _, err = invoke("test", str(path), "--text", "x")
    assert code == 2
    assert ["line 2" in err, "line 3" in err] == [True, True]


def test_several_policies_need_a_choice(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text('[policies.a]\nstream = ["email"]\n[policies.b]\nstream = ["jwt"]\n')
    assert "which policy?" in invoke("test", str(path), "--text", "x")[2]
    assert invoke("test", str(path), "--text", "x@example.com", "--policy", "b")[0] == 0


# a running gateway


@contextmanager
def gateway(status: int, answer: Any) -> Iterator[tuple[str, list[tuple[str, str, Any, str]]]]:
    """Something that answers every request so; its address, and what it was asked: method, path, body, key."""
    asked: list[tuple[str, str, Any, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            asked.append((self.command, self.path, body, self.headers.get("authorization", "")))
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_apply_sends_the_text_with_its_files_and_the_key(file: Path) -> None:
    with gateway(200, {"version": "2" * 12, "change": CHANGE}) as (url, asked):
        code, out, _ = invoke("apply", str(file), HEADGATE_URL=url, HEADGATE_ADMIN_KEY="hg-key")
    assert asked == [
        ("POST", "/admin/v1/policies", {"text": POLICIES, "files": {"names.txt": "acme\n"}}, "Bearer hg-key")
    ]
    assert (code, out) == (0, "Version 222222222222 is in force, instead of 111111111111: team.\n")


def test_apply_of_what_is_in_force_says_so(file: Path) -> None:
    with gateway(200, {"version": "2" * 12, "change": None}) as (url, _):
        assert invoke("apply", str(file), HEADGATE_URL=url)[1].startswith("Nothing changes")


def test_mistakes_that_the_gateway_finds_are_shown_line_by_line(file: Path) -> None:
    with gateway(422, {"code": "policy_invalid", "problems": ["policies: line 1: a", "policies: line 2: b"]}) as (
        url,
        _,
    ):
        code, _, err = invoke("apply", str(file), HEADGATE_URL=url)
    assert (code, err) == (2, "policies: line 1: a\npolicies: line 2: b\n")


def test_rollback_is_one_command() -> None:
    with gateway(200, {"version": "1" * 12, "change": CHANGE}) as (url, asked):
        assert invoke("rollback", "1" * 12, HEADGATE_URL=url)[0] == 0
    assert asked[0][:3] == ("POST", "/admin/v1/policies/rollback", {"version": "1" * 12})


def test_history_is_a_line_a_change() -> None:
    with gateway(200, {"changes": [CHANGE]}) as (url, asked):
        _, out, _ = invoke("history", "--limit", "3", HEADGATE_URL=url)
    assert asked[0][1] == "/admin/v1/policies/history?limit=3"
    assert out.splitlines()[1].split() == ["1970-01-01", "00:00:00Z", "ada", "apply", "1" * 12, "2" * 12, "team"]


def test_show_prints_toml() -> None:
    text = '[policies.team]\nstream = ["email"]\n'
    answer = {"version": "2" * 12, "policies": {"team": "3" * 12}, "change": CHANGE, "text": text}
    with gateway(200, answer) as (url, _):
        _, out, _ = invoke("show", HEADGATE_URL=url)
    assert out.endswith("\n" + text)
    assert out.startswith("# version 222222222222, since 1970-01-01 00:00:00Z (apply by ada)\n# team 333333333333\n")


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (401, {"code": "unauthorized", "detail": "no"}, "HEADGATE_ADMIN_KEY"),
        (404, {"code": "not_found", "detail": "There is no version"}, "not_found: There is no version"),
        (200, b"<html>", "not as a gateway does"),
    ],
)
def test_what_goes_wrong_is_said(status: int, answer: Any, words: str) -> None:
    with gateway(status, answer) as (url, _):
        code, _, err = invoke("history", HEADGATE_URL=url)
    assert code == 1
    assert words in err


def test_gateway_that_is_not_there_is_said() -> None:
    with gateway(200, {}) as (url, _):
        pass
    code, _, err = invoke("history", HEADGATE_URL=url)
    assert code == 1
    assert "cannot reach the gateway" in err
