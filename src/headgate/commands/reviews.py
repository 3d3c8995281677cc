"""``headgate reviews``: the queue of a running gateway on the command line, through its admin API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from headgate.commands.admin import HERE, Json, Url, ask, failed, printable, time_of

_PATH: Final = "/reviews"

reviews_app = typer.Typer(
    help="Decide about answers that are held for a person. HEADGATE_ADMIN_KEY holds the reviewer's key.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
TABLE_WIDTH: Final = 400
"""Wider than any table: a terminal folds its lines, and whatever reads a pipe gets whole words."""

_out = Console(highlight=False, markup=False, soft_wrap=True)

ReviewId = Annotated[str, typer.Argument(metavar="ID", help="Id of the review: rev_...")]
Comment = Annotated[str, typer.Option("--comment", help="Why; it stands in the log of the response.")]


@reviews_app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="open, or one state; approved, rejected, ... are decided.")] = "open",
    policy: Annotated[str, typer.Option(help="Of this policy only.")] = "",
    risk: Annotated[str, typer.Option(help="Of this risk only: low, medium, high.")] = "",
    after: Annotated[str, typer.Option(help="Go on behind the page before.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at the most.")] = 50,
    url: Url = HERE,
    as_json: Json = False,
) -> None:
    """What waits for a decision, highest risk and then oldest first."""
    wanted = {"state": state, "policy": policy, "risk": risk, "after": after, "limit": limit}
    page = ask(url, "GET", _PATH + "?" + urlencode({name: value for name, value in wanted.items() if value}))
    if as_json:
        _print_json(page)
        return
    if not page["reviews"]:
        _out.print("Nothing is waiting." if state == "open" else f"No review is {state}.")
        return
    names = ("id", "state", "risk", "policy", "rule", "since", "deadline", "claimed by")
    table = Table(*(Column(name, no_wrap=True) for name in names), box=None)
    for review in page["reviews"]:
        claim = review["claim"]
        words = [review[name] for name in ("id", "state", "risk", "policy", "rule")]
        times = [time_of(review["created_at"]), time_of(review["deadline"])]
        table.add_row(*(printable(str(word)) for word in (*words, *times, claim["by"] if claim else "")))
    Console(width=TABLE_WIDTH, highlight=False, markup=False).print(table)
    if page["after"]:
        _out.print(f"There are more: --after {page['after']}")


@reviews_app.command()
def show(review_id: ReviewId, url: Url = HERE, as_json: Json = False) -> None:
    """One review: what is held, what is out already, what was said about it."""
    review = ask(url, "GET", f"{_PATH}/{quote(review_id, safe='')}")
    if as_json:
        _print_json(review)
        return
    _print_summary(review)
    for verdict in review["verdicts"]:
        _out.print(
            printable(f"verdict    {verdict['gate']} {verdict['rule']}: {verdict['outcome']} {verdict['detail']}")
        )
    for said in review["comments"]:
        _out.print(printable(f"comment    {time_of(said['at'])} {said['by']}: {said['text']}"))
    if not review["text_available"]:
        _out.print("The response has ended; its text is in its log.")
    for title in ("released", "withheld"):
        for part in review[title]:
            _out.print(
                f"\n--- {title}: choice {part['choice']}, {part['kind']} {printable(part['tool_name'])}".rstrip()
            )
            _out.print(printable(part["text"]))


@reviews_app.command()
def claim(review_id: ReviewId, url: Url = HERE, as_json: Json = False) -> None:
    """Keep others from deciding it for a while; again to go on."""
    _act(url, review_id, "claim", {}, as_json=as_json)


@reviews_app.command()
def release(review_id: ReviewId, url: Url = HERE, as_json: Json = False) -> None:
    """Give a claim back."""
    _act(url, review_id, "release", {}, as_json=as_json)


@reviews_app.command()
def comment(
    review_id: ReviewId,
    comment: Annotated[str, typer.Option("--comment", help="For other reviewers; it is not in the log.")],
    url: Url = HERE,
    as_json: Json = False,
) -> None:
    """Say something about it."""
    _act(url, review_id, "comment", {"comment": comment}, as_json=as_json)


@reviews_app.command()
def approve(review_id: ReviewId, comment: Comment = "", url: Url = HERE, as_json: Json = False) -> None:
    """Let it out as it is."""
    _act(url, review_id, "approve", {"comment": comment}, as_json=as_json)


@reviews_app.command()
def edit(
    review_id: ReviewId,
    text: Annotated[str, typer.Option("--text", metavar="FILE", help="The text that goes out; - reads it from stdin.")],
    comment: Comment = "",
    url: Url = HERE,
    as_json: Json = False,
) -> None:
    """Put a text of your own in place of what is held."""
    _act(url, review_id, "edit", {"text": _read(text), "comment": comment}, as_json=as_json)


@reviews_app.command()
def reject(review_id: ReviewId, comment: Comment = "", url: Url = HERE, as_json: Json = False) -> None:
    """Let nothing of it out; the response ends as blocked."""
    _act(url, review_id, "reject", {"comment": comment}, as_json=as_json)


def _act(url: str, review_id: str, action: str, body: dict[str, str], *, as_json: bool) -> None:
    review = ask(url, "POST", f"{_PATH}/{quote(review_id, safe='')}/{action}", body)
    if as_json:
        _print_json(review)
    else:
        _print_summary(review)


def _print_json(answer: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n")


def _print_summary(review: dict[str, Any]) -> None:
    rows = [("review", f"{review['id']} ({review['state']})"), ("response", review["response_id"])]
    rows += [
        ("model", review["model"]),
        ("policy", f"{review['policy']}, rule {review['rule']}, risk {review['risk']}"),
    ]
    rows += [("since", time_of(review["created_at"]))]
    rows += [("deadline", f"{time_of(review['deadline'])}, then {review['on_timeout']}")]
    if review["claim"]:
        rows.append(("claimed", f"by {review['claim']['by']} until {time_of(review['claim']['until'])}"))
    if review["decision"]:
        made = review["decision"]
        rows.append(
            ("decision", f"{made['decision']} by {made['by']}, {time_of(made['at'])} {made.get('comment', '')}")
        )
    for name, value in rows:
        _out.print(printable(f"{name:<10} {value}"))


def _read(source: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return data.decode()
    except OSError as error:
        raise failed(f"cannot read {source}: {error.strerror}", status=2) from None
    except UnicodeDecodeError:
        raise failed(f"{source} is not UTF-8", status=2) from None
