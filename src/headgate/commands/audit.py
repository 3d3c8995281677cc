"""``headgate audit``: reading and proving the audit log, beside a running gateway or far away from it.

Exit status: 0 everything is what was signed, 1 something is not, 2 what was given cannot be read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec
import typer
from rich.console import Console

from headgate import receipts
from headgate.audit import checkpoints, proof, signing, source, verify
from headgate.errors import ConfigError, StoreError
from headgate.stores import AuditCheckpoint, AuditRow

audit_app = typer.Typer(
    help="The audit log: prove it, export it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

STORE: Final = "sqlite:///headgate.db"
"""Where the gateway keeps its store if no configuration says otherwise."""
FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of a receipt, a checkpoint or a text."""

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

StoreOption = Annotated[str, typer.Option("--store", help="The gateway's store: sqlite:///PATH, or the path.")]
ExportOption = Annotated[Path | None, typer.Option("--export", help="An export, instead of a store.")]
KeysOption = Annotated[
    list[Path] | None,
    typer.Option("--public-key", help="PEM file with a key that may sign; any other is then a fault. Again for more."),
]
KeptOption = Annotated[
    Path | None, typer.Option("--checkpoint", help="A checkpoint you kept, or a receipt, or an export line with one.")
]


@audit_app.command("verify")
def verify_(
    store: StoreOption = STORE,
    export: ExportOption = None,
    public_key: KeysOption = None,
    checkpoint: KeptOption = None,
    logs: Annotated[
        bool, typer.Option("--logs", help="Compare the log of every response that is still in the store, too.")
    ] = False,
    receipt: Annotated[Path | None, typer.Option(help="A receipt to check, instead of a whole log.")] = None,
    text: Annotated[Path | None, typer.Option(help="With --receipt: the text that was delivered.")] = None,
    events: Annotated[Path | None, typer.Option(help="With --receipt: the log that was delivered, as NDJSON.")] = None,
) -> None:
    """Prove offline that no record was changed, removed or reordered, or that a text is what was delivered."""
    keys = [_public_key(path) for path in public_key or ()]
    kept = _kept(checkpoint) if checkpoint else None
    if receipt is not None:
        _verify_receipt(receipt, text, events, keys, kept)
    elif text or events:
        _refuse("--text and --events say what was delivered; the --receipt they belong to is missing")
    else:
        with _reading():
            _tell(verify.verify(_source(store, export), keys=keys, kept=kept, logs=logs))


@audit_app.command("export")
def export_(store: StoreOption = STORE) -> None:
    """Write the whole audit log to standard output, as JSON Lines that `verify --export` reads."""
    with _reading():
        for line in source.lines(_source(store, None)):
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


@audit_app.command("key")
def key_(
    store: StoreOption = STORE,
    export: ExportOption = None,
    key_file: Annotated[Path | None, typer.Option(help="The gateway's private key, instead of its store.")] = None,
) -> None:
    """Print the public key that signs now, in PEM: what `verify --public-key` takes."""
    if key_file is not None:
        if not key_file.is_file():
            _refuse(f"{key_file}: there is no such file")
        try:
            key = signing.load(key_file).public
        except ConfigError as error:
            _refuse(str(error))
    else:
        key = _newest_key(store, export)
    sys.stdout.write(key.pem)


@audit_app.command("checkpoint")
def checkpoint_(store: StoreOption = STORE, export: ExportOption = None) -> None:
    """Print the newest checkpoint. Keep it where nobody who can change the store can change it."""
    with _reading():
        found = [item for item in _source(store, export).items() if isinstance(item, AuditCheckpoint)]
        if not found:
            _refuse("there is no checkpoint yet")
        try:
            shown = checkpoints.shown(found[-1])
        except receipts.UNREADABLE:
            _refuse("the newest checkpoint cannot be read")
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")


def _tell(report: verify.Report) -> None:
    if report.good:
        _say(f"good: {report.rows} rows, {report.checkpoints} checkpoints, each over the ones before it")
        _say(f"  log   {report.origin}")
        _say(f"  keys  {', '.join(report.keys)}")
        _say(f"  rows 1 to {report.signed} are under the checkpoint of {_time(report.signed_at)}")
        if report.logs:
            _say(f"  {report.logs} responses are still in the store, with the text that their receipts speak of")
        if report.rows > report.signed:
            first, last = report.signed + 1, report.rows
            _say(f"  rows {first} to {last} came after it, and are signed by the next one")
        return
    first_fault = report.first
    assert first_fault is not None
    _say(f"NOT what was signed, from row {first_fault.seq} on: {first_fault.text}")
    for finding in report.findings:
        if finding is not first_fault:
            _say(f"  also: {finding.text}")
    if report.more:
        _say(f"  and {report.more} more")
    if report.signed:
        _say(f"  rows 1 to {report.signed} were under the checkpoint of {_time(report.signed_at)}")
    raise typer.Exit(1)


def _verify_receipt(
    path: Path, text: Path | None, events: Path | None, keys: list[signing.PublicKey], kept: AuditCheckpoint | None
) -> None:
    try:
        receipt = proof.parse(_read(path))
        checks = proof.check_receipt(receipt, keys=keys, kept=kept)
        if text is not None:
            checks += proof.check_text(receipt, _read(text))
        if events is not None:
            checks += proof.check_events(receipt, _read(events).splitlines())
    except proof.ProofError as error:
        _refuse(f"{path if 'receipt' in str(error) else events}: {error}")
    for check in checks:
        _say(f"{'NOT ' if not check.passed else 'good' if check.known else '?   '}  {check.text}")
    if not all(check.passed for check in checks):
        raise typer.Exit(1)
    if text is None and events is None:
        _say("?     whether a text is what was delivered: give --text or --events")


def _source(store: str, export: Path | None) -> source.Source:
    """Raises `StoreError`."""
    if export is not None:
        return source.ExportSource(str(export))
    return source.StoreSource(store.removeprefix("sqlite:///"))


def _newest_key(store: str, export: Path | None) -> signing.PublicKey:
    newest: AuditRow | None = None
    with _reading():
        for item in _source(store, export).items():
            if isinstance(item, AuditRow) and item.kind == receipts.KEY:
                newest = item
    if newest is None:
        _refuse("no key has signed anything yet")
    try:
        return signing.PublicKey.from_base64(msgspec.json.decode(newest.body)["public_key"])
    except (*receipts.UNREADABLE, LookupError, TypeError):
        _refuse(f"row {newest.seq} names no key that can be read")


def _public_key(path: Path) -> signing.PublicKey:
    try:
        return signing.PublicKey.from_pem(_read(path))
    except ValueError as error:
        _refuse(f"{path}: {error}")


def _kept(path: Path) -> AuditCheckpoint:
    try:
        fields = msgspec.json.decode(_read(path))
        inner = fields.get("checkpoint") if isinstance(fields, dict) else None
        return checkpoints.parse(fields if inner is None else inner)
    except receipts.UNREADABLE as error:
        _refuse(f"{path}: {error}")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        _refuse(f"{path}: {error.strerror}")


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        _refuse(str(error))
    except BrokenPipeError:
        raise typer.Exit(1) from None


def _refuse(text: str) -> NoReturn:
    _err.print(text, markup=False, soft_wrap=True)
    raise typer.Exit(2)


def _say(text: str) -> None:
    _out.print(text, markup=False, soft_wrap=True)


def _time(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
