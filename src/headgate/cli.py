"""The command line. It parses, calls, and prints; what the commands do is elsewhere."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from headgate import INTERPRETED, __version__, configfile
from headgate.api.callers import hash_key
from headgate.commands.audit import audit_app
from headgate.commands.policy import policy_app
from headgate.commands.reviews import reviews_app
from headgate.config import Config, is_loopback
from headgate.errors import ConfigError
from headgate.telemetry import logs

app = typer.Typer(
    help="Headgate: a delivery gateway for LLM responses. Every answer is a durable, numbered log; all else reads it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
keys_app = typer.Typer(help="Keys that callers must present.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(keys_app, name="keys")
app.add_typer(policy_app, name="policy")
app.add_typer(reviews_app, name="reviews")
app.add_typer(audit_app, name="audit")

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

ConfigPath = Annotated[
    Path | None,
    typer.Argument(help="TOML file; without one: loopback, SQLite here, the simulator, providers by key variable."),
]


def _version(shown: bool) -> None:
    if shown:
        _out.print(
            f"headgate {__version__} ({f'interpreted: {INTERPRETED}' if INTERPRETED else 'compiled'})", soft_wrap=True
        )
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _load(path: Path | None) -> Config:
    try:
        return configfile.load(path) if path else configfile.default(os.environ)
    except ConfigError as error:
        for problem in error.problems:
            _err.print(problem, markup=False, soft_wrap=True)
        raise typer.Exit(2) from None


def _override(config: Config, host: str | None, port: int | None) -> Config:
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    config = config.model_copy(update={"server": config.server.model_copy(update=changes)})
    if not is_loopback(config.server.host) and not config.keys:
        problem = (
            f"{config.server.host} is not loopback: add [[keys]] to the configuration first, or anybody could use it."
        )
        _err.print(problem, markup=False, soft_wrap=True)
        raise typer.Exit(2)
    return config


@app.command()
def serve(
    config: ConfigPath = None,
    host: Annotated[str | None, typer.Option(help="Listen here instead of server.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Listen here instead of server.port.")] = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    from headgate.server import serve as run

    settings = _override(_load(config), host, port)
    logs.setup(style=settings.logging.format, level=settings.logging.level)
    if not run(settings):
        raise typer.Exit(1)


@app.command()
def check(config: Annotated[Path, typer.Argument(help="TOML file.")]) -> None:
    """Check a configuration: every problem, each with its place."""
    settings = _load(config)
    counts = f"{len(settings.providers)} providers, {len(settings.routes)} routes, {len(settings.keys)} keys"
    counts += f", {len(settings.policies)} policies"
    _out.print(f"{config}: good. Config version {settings.version}: {counts}.", markup=False, soft_wrap=True)


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="Listen here.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 9100,
    faults: Annotated[bool, typer.Option("--faults", help="List model names and faults, and stop.")] = False,
) -> None:
    """Run the provider simulator: deterministic answers, and every fault a provider can have."""
    from headgate.simulator import command

    if faults:
        _out.print(command.table())
        return
    try:
        command.run(host=host, port=port, announce=lambda url: _out.print(f"simulator: {url}", markup=False))
    except OSError as error:
        _err.print(f"cannot listen on {host}:{port}: {error.strerror}", markup=False)
        raise typer.Exit(1) from None


@app.command()
def demo() -> None:
    """Stream, cut, resume, kill, replay: the main job on embedded defaults, in about 10 seconds."""
    from headgate.demo import run

    sys.exit(run(_out))


@keys_app.command("hash")
def keys_hash(
    new: Annotated[bool, typer.Option("--new", help="Make a new key and print it once, with its hash.")] = False,
) -> None:
    """Print the hash of a key, for [[keys]] in the configuration. The key is read from standard input, so no shell keeps it."""
    if new:
        key = "hg-" + secrets.token_urlsafe(32)
        _out.print(f"key:  {key}", markup=False, soft_wrap=True)
    else:
        key = sys.stdin.readline().strip() if not sys.stdin.isatty() else typer.prompt("key", hide_input=True)
    if not key:
        _err.print("no key was given")
        raise typer.Exit(2)
    _out.print(f"hash: {hash_key(key)}" if new else hash_key(key), markup=False, soft_wrap=True)


def main() -> None:
    app()
