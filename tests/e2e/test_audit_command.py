"""`headgate audit` as somebody uses it who has a file and no gateway, or a gateway that runs."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from typer.testing import CliRunner

from headgate.commands.audit import audit_app
from headgate.dialects.headgate import event_object
from tests.shell.auditing import closed, opened
from tests.shell.scene import run

TEXT = "Grüße aus Oslo"


class Said(NamedTuple):
    """What a command said, and how it ended."""

    status: int
    out: str
    err: str


def audit(*arguments: str | Path) -> Said:
    result = CliRunner().invoke(audit_app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, its key, a receipt, the text and the log that it speaks of."""
    folder = tmp_path_factory.mktemp("made")

    async def make() -> None:
        writer = await opened(folder / "headgate.db")
        name = await writer.end(text=TEXT)
        await writer.audit.checkpoint()
        await writer.end(300)
        proved = await writer.audit.prove(name, "app")
        (folder / "receipt.json").write_bytes(msgspec.json.encode(proved))
        (folder / "answer.txt").write_text(TEXT + "\n", "utf-8")
        lines = [msgspec.json.encode(event_object(seq, e)) for seq, e in enumerate(writer.events[name], 1)]
        (folder / "log.ndjson").write_bytes(b"\n".join(lines) + b"\n")
        await closed(writer)

    run(make)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "here"))


def damage(store: Path, statement: str) -> None:
    connection = sqlite3.connect(store)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_log_that_nobody_touched_is_good_wherever_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = folder / "headgate.db"
    for given in (("--store", store), ("--store", f"sqlite:///{store}")):
        said = audit("verify", *given)
        assert said.status == 0, said
        assert "good: 302 rows, 2 checkpoints" in said.out
    monkeypatch.chdir(folder)
    assert audit("verify").status == 0, "the store of a gateway without a configuration"
    export = audit("export")
    (folder / "export.jsonl").write_text(export.out, "utf-8")
    said = audit("verify", "--export", "export.jsonl")
    assert said.status == 0, said
    assert "good: 302 rows" in said.out


def test_log_that_was_touched_says_where_and_ends_with_1(folder: Path) -> None:
    forged = """CAST(replace(CAST(body AS TEXT), '"owner":"app"', '"owner":"eve"') AS BLOB)"""
    damage(folder / "headgate.db", f"UPDATE audit SET body = {forged} WHERE seq = 77")
    said = audit("verify", "--store", folder / "headgate.db")
    assert said.status == 1
    assert said.out.startswith("NOT what was signed, from row 77 on: row 77 was changed")


def test_many_faults_are_not_all_listed(folder: Path) -> None:
    damage(folder / "headgate.db", "UPDATE audit SET leaf = x'00' WHERE seq > 100")
    said = audit("verify", "--store", folder / "headgate.db")
    assert said.status == 1
    assert "from row 101 on" in said.out
    assert "more" in said.out.splitlines()[-2]
    assert len(said.out.splitlines()) < 30


def test_key_is_printed_as_verify_takes_it(folder: Path) -> None:
    printed = audit("key", "--store", folder / "headgate.db")
    assert printed.status == 0
    assert printed.out == audit("key", "--key-file", folder / "key.pem").out
    (folder / "public.pem").write_text(printed.out, "utf-8")
    key = ("--public-key", folder / "public.pem")
    assert audit("verify", "--store", folder / "headgate.db", *key).status == 0
    assert audit("verify", "--receipt", folder / "receipt.json", *key).status == 0
    other = audit("key", "--key-file", made_key(folder / "other.pem"))
    (folder / "public.pem").write_text(other.out, "utf-8")
    said = audit("verify", "--store", folder / "headgate.db", *key)
    assert (said.status, "row 1" in said.out) == (1, True)
    assert audit("verify", "--receipt", folder / "receipt.json", *key).status == 1


def made_key(path: Path) -> Path:
    from headgate.audit import signing

    signing.load(path)
    return path


def test_checkpoint_that_was_kept_tells_of_a_cut(folder: Path) -> None:
    store, kept = folder / "headgate.db", folder / "kept.json"
    kept.write_text(audit("checkpoint", "--store", store).out, "utf-8")
    assert audit("verify", "--store", store, "--checkpoint", kept).status == 0
    assert audit("verify", "--store", store, "--checkpoint", folder / "receipt.json").status == 0, "a receipt has one"
    for statement in (
        "DELETE FROM audit WHERE seq > 2",
        "DELETE FROM audit_checkpoints WHERE size > 2",
        "DELETE FROM audit_tiles",
        "DELETE FROM responses",
    ):
        damage(store, statement)
    assert audit("verify", "--store", store).status == 0, "by itself it is good"
    said = audit("verify", "--store", store, "--checkpoint", kept)
    assert said.status == 1
    assert "from row 3 on" in said.out


def test_receipt_proves_the_text_and_the_log_that_were_delivered(folder: Path) -> None:
    receipt = ("--receipt", folder / "receipt.json")
    for more in ((), ("--text", folder / "answer.txt"), ("--events", folder / "log.ndjson")):
        said = audit("verify", *receipt, *more)
        assert said.status == 0, said
        assert "NOT" not in said.out
    (folder / "answer.txt").write_text("Grüße aus Rom", "utf-8")
    said = audit("verify", *receipt, "--text", folder / "answer.txt")
    assert said.status == 1
    assert "NOT   the text is not what was delivered" in said.out
    log = (folder / "log.ndjson").read_text("utf-8")
    (folder / "log.ndjson").write_text(log.replace("Oslo", "Rom"), "utf-8")
    assert audit("verify", *receipt, "--events", folder / "log.ndjson").status == 1


def test_input_that_cannot_be_read_is_said_in_a_line_and_ends_with_2(folder: Path) -> None:
    notes, missing = folder / "notes", folder / "missing"
    notes.write_bytes(b"these are somebody's notes \xff\xfe\n" * 300)
    receipt = ("--receipt", folder / "receipt.json")
    for arguments in (
        ("verify", "--store", missing),
        ("verify", "--store", notes),
        ("verify", "--store", folder),
        ("verify", "--export", missing),
        ("verify", "--export", notes),
        ("verify", "--public-key", notes),
        ("verify", "--public-key", folder / "key.pem"),
        ("verify", "--checkpoint", notes),
        ("verify", "--checkpoint", folder / "key.pem"),
        ("verify", "--receipt", notes),
        ("verify", "--receipt", missing),
        ("verify", *receipt, "--text", missing),
        ("verify", *receipt, "--events", notes),
        ("verify", "--text", notes),
        ("export", "--store", notes),
        ("key", "--store", missing),
        ("key", "--key-file", missing),
        ("key", "--key-file", notes),
        ("checkpoint", "--export", notes),
    ):
        said = audit(*arguments)
        assert said.status == 2, (arguments, said)
        assert said.err.count("\n") == 1, said.err
        assert said.out == ""


_WRITER = """
import asyncio, sys
from pathlib import Path
from tests.shell.auditing import opened, closed

async def main():
    writer = await opened(Path(sys.argv[1]))
    await writer.end(50)
    await writer.audit.checkpoint()
    await writer.end(3)
    print("ready", flush=True)
    sys.stdin.readline()
    await writer.end()
    await closed(writer)

asyncio.run(main())
"""


def test_log_is_exported_and_verified_beside_the_process_that_writes_it(tmp_path: Path) -> None:
    """The store is locked by its process; whoever only reads does not ask for the lock."""
    store = tmp_path / "live.db"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _WRITER, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        said = audit("verify", "--store", store)
        assert said.status == 0, said
        assert "rows 52 to 54 came after it" in said.out
        export = audit("export", "--store", store)
        assert export.out.count('{"row"') == 54
        process.stdin.write("\n")
        process.stdin.close()
    assert process.returncode == 0
    assert "good: 55 rows" in audit("verify", "--store", store).out


def test_reader_of_an_export_that_goes_away_makes_no_noise(folder: Path) -> None:
    program = "from headgate.commands.audit import audit_app; audit_app()"
    command = [sys.executable, "-c", program, "export", "--store", str(folder / "headgate.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"headgate_audit" in process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
