"""``headgate policy``: what is in force at a running gateway, changing it, and trying a policy on a text before that."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from headgate import configfile
from headgate.commands.admin import HERE, Json, Url, ask, failed, printable, time_of
from headgate.errors import ConfigError
from headgate.governance.judgement import Judgement
from headgate.governance.policyset import PolicySet
from headgate.governance.ruleset import ActiveRule, Ruleset
from headgate.places import dotted

if TYPE_CHECKING:
    from headgate.governance.trial import Ask, Trial

ACTED: Final = 3
"""Exit status of a trial in which a rule or a check did anything; 0: nothing did, 2: it could not be tried."""
CHUNK: Final = 4
"""Characters: about a token of English."""

policy_app = typer.Typer(
    help="Policies: what is in force, how it changes, what a policy does to a text.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_out = Console(highlight=False, markup=False, soft_wrap=True)

PoliciesFile = Annotated[Path, typer.Argument(help="TOML file with [policies.*] tables, and nothing else.")]
PolicyFile = Annotated[Path, typer.Argument(help="TOML file: a configuration, or [policies.*] alone.")]


class Gate(StrEnum):
    """What a text may be tried on."""

    REQUEST = "request"
    STREAM = "stream"
    FINAL = "final"


@policy_app.command("test")
def try_policy(
    file: PolicyFile,
    policy: Annotated[str, typer.Option(help="Which policy; unset: the only one of the file.")] = "",
    gate: Annotated[Gate, typer.Option(help="Which gate.")] = Gate.STREAM,
    source: Annotated[
        str, typer.Option("--input", metavar="TEXTFILE", help="The text; - reads it from standard input.")
    ] = "",
    text: Annotated[str | None, typer.Option("--text", help="The text itself.")] = None,
    chunk: Annotated[int, typer.Option(min=1, help="Characters that come at once.")] = CHUNK,
    judge: Annotated[bool, typer.Option("--judge", help="Ask the rules that need meaning, too.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a policy does to a text, and at which character. Exit status 0: nothing; 3: something; 2: an error."""
    from headgate.governance.trial import (
        try_final,
        try_request,
        try_stream,
    )  # the gates, which other commands do without

    if (text is None) == (not source):
        raise failed("give the text: --text TEXT, or --input TEXTFILE", status=2)
    try:
        rules = _chosen(configfile.load_policies(file), policy)
    except ConfigError as error:
        raise failed("\n".join(error.problems), status=2) from None
    given = _read(source) if text is None else text
    with _judges(rules, wanted=judge) as asked:
        match gate:
            case Gate.REQUEST:
                trial = try_request(rules, given, ask=asked)
            case Gate.STREAM:
                trial = try_stream(rules, given, chunk=chunk, ask=asked)
            case Gate.FINAL:
                trial = try_final(rules, given, ask=asked)
    if as_json:
        _print_json({"policy": rules.name, "version": rules.version, **_builtins(trial)})
    else:
        _print_trial(rules, trial)
    raise typer.Exit(ACTED if trial.acted else 0)


@policy_app.command()
def apply(file: PoliciesFile, url: Url = HERE, as_json: Json = False) -> None:
    """Put the policies of a file in force. Any mistake in it, and nothing changes."""
    try:
        text = configfile.read_text(file)
        files = configfile.files_beside(file, text)
    except ConfigError as error:
        raise failed("\n".join(error.problems), status=2) from None
    _print_change(ask(url, "POST", "/policies", {"text": text, "files": files}), as_json=as_json)


@policy_app.command()
def rollback(
    version: Annotated[str, typer.Argument(help="A version that `headgate policy history` shows.")],
    url: Url = HERE,
    as_json: Json = False,
) -> None:
    """Put an earlier version of the policies in force again."""
    _print_change(ask(url, "POST", "/policies/rollback", {"version": version}), as_json=as_json)


@policy_app.command()
def show(url: Url = HERE, as_json: Json = False) -> None:
    """The policies in force, as TOML. Secrets that are written out are masked."""
    answer = ask(url, "GET", "/policies")
    if as_json:
        _print_json(answer)
        return
    change = answer["change"]
    _out.print(f"# version {answer['version']}, since {time_of(change['at'])} ({change['what']} by {change['who']})")
    for name, version in answer["policies"].items():
        _out.print(printable(f"# {name} {version}"))
    if answer["text"]:
        _out.print("\n" + printable(answer["text"]).rstrip())


@policy_app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at the most.")] = 50,
    url: Url = HERE,
    as_json: Json = False,
) -> None:
    """Who changed what, newest first."""
    answer = ask(url, "GET", f"/policies/history?limit={limit}")
    if as_json:
        _print_json(answer)
        return
    table = Table("when", "who", "what", "from", "to", "policies", box=None)
    for change in answer["changes"]:
        words = (time_of(change["at"]), change["who"], change["what"], change["from"], change["to"])
        table.add_row(*(printable(word) for word in (*words, ", ".join(change["changed"]))))
    _out.print(table if answer["changes"] else "Nothing has changed yet.")


def _chosen(policies: PolicySet, name: str) -> Ruleset:
    """The policy of that name, or the only one that the file defines."""
    rulesets = policies.rulesets
    names = [name] if name else sorted(rulesets.keys() - {"default"}) or ["default"]
    if len(names) == 1 and names[0] in rulesets:
        return rulesets[names[0]]
    known = ", ".join(sorted(rulesets))
    raise failed(f"no policy {name!r}; there are: {known}" if name else f"which policy? --policy {known}", status=2)


def _read(source: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return data.decode()
    except OSError as error:
        raise failed(f"cannot read {source}: {error.strerror}", status=2) from None
    except UnicodeDecodeError:
        raise failed(f"{source} is not UTF-8", status=2) from None


@contextmanager
def _judges(rules: Ruleset, *, wanted: bool) -> Iterator[Ask | None]:
    """Who is asked by rules that need meaning."""
    if not wanted:
        yield None
        return
    from headgate.judges import Judges  # they bring a lot along

    async def answer(rule: ActiveRule, text: str) -> Judgement:
        answered: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
        judges.ask(rule, text, answered.set_result)
        return await answered

    judges = Judges()
    with asyncio.Runner() as runner:
        problems = runner.run(judges.prepare({rules.name: rules}))
        if problems:
            raise failed("\n".join(f"policies.{dotted(place)}: {text}" for place, text in problems), status=2)
        try:
            yield lambda rule, text: runner.run(answer(rule, text))
        finally:
            runner.run(judges.close())


def _print_change(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print_json(answer)
    elif answer["change"] is None:
        _out.print(f"Nothing changes: version {answer['version']} is in force.")
    else:
        names = ", ".join(answer["change"]["changed"]) or "nothing but secrets"
        _out.print(
            printable(f"Version {answer['version']} is in force, instead of {answer['change']['from']}: {names}.")
        )


def _print_trial(rules: Ruleset, trial: Trial) -> None:
    dry = ", dry run" if rules.policy.dry_run else ""
    _out.print(printable(f"policy   {rules.name} {rules.version}{dry}, {trial.gate} gate"))
    _out.print(printable(f"outcome  {trial.outcome}{f' by {trial.rule}' if trial.rule else ''}"))
    if trial.ranges:
        table = Table("from", "to", "rule", "action", "becomes", box=None)
        for found in trial.ranges:
            becomes = "" if found.becomes is None else found.becomes
            action = f"{found.action} (dry run)" if found.dry else found.action
            table.add_row(str(found.start), str(found.end), *map(printable, (found.rule, action, becomes)))
        _out.print(table)
    for verdict in trial.verdicts:
        _out.print(printable(f"verdict  {verdict.rule}: {verdict.outcome} {verdict.detail}".rstrip()))
    for name in trial.not_asked:
        _out.print(printable(f"not asked (--judge): {name}"))
    if trial.hold_back is not None:
        held = trial.hold_back
        _out.print(f"held back, in characters: mean {held.mean:.1f}, p99 {held.p99}, at most {held.most}")
    _out.print("--- released")
    _out.print(printable(trial.released))


def _builtins(trial: Trial) -> dict[str, Any]:
    shown = trial._asdict()
    shown["ranges"] = [found._asdict() for found in trial.ranges]
    shown["hold_back"] = trial.hold_back._asdict() if trial.hold_back else None
    names = ("gate", "rule", "outcome", "detail")
    shown["verdicts"] = [{name: getattr(verdict, name) for name in names} for verdict in trial.verdicts]
    return shown


def _print_json(answer: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n")
