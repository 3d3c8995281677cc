"""Writes the reference pages that are made of the code's own tables: ``make docs``.

    python docs/generate.py           write every page that changed
    python docs/generate.py --check   write nothing; exit 1 and name the pages that differ

What a page says stands in the code, beside what it is about: error codes in ``headgate.errors.CODES``, metrics in
``headgate.telemetry.metrics.METRICS``, options in the models of ``headgate.config``. A page is a function that returns
its text; `PAGES` says which file it goes to.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from headgate.errors import CODES, Code

REFERENCE: Final = Path(__file__).parent / "reference"

Schema = Mapping[str, Any]
"""A JSON schema, or a part of one."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells may hold pipes and line breaks."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def page(title: str, source: str, *blocks: str) -> str:
    """A whole page, which says what it is made of."""
    note = f"<!-- Made from `{source}` by `make docs`; change it there. -->"
    return "\n\n".join([f"# {title}", note, *blocks]) + "\n"


# --- errors


ERRORS_LEAD: Final = """\
Every failure Headgate shows anybody has one of these codes: in the body of an HTTP error, in the error frame of a
stream, in the terminal of a log. Codes are stable; messages are for people and may change.

*Status* is the HTTP status where the failure comes before the first byte of the answer, and of a whole answer that
failed; a provider's own status is kept where the meaning says so. *Retry* says whether the same request may succeed
later. *Blame* says who has to change something."""

BLAMED: Final = {
    "caller": "The caller's",
    "upstream": "The provider's",
    "policy": "A policy's",
    "gateway": "The gateway's",
}


def errors_page(codes: Mapping[str, Code] = CODES) -> str:
    """Every error code, by who has to change something."""
    blocks = []
    for blame, title in BLAMED.items():
        rows = [
            (f"`{name}`", str(code.status), "yes" if code.retryable else "no", code.meaning)
            for name, code in codes.items()
            if code.blame.value == blame
        ]
        if rows:
            blocks += [f"## {title} (`{blame}`)", table(["code", "status", "retry", "meaning"], rows)]
    return page("Error codes", "headgate.errors.CODES", ERRORS_LEAD, *blocks)


# --- metrics


METRICS_LEAD: Final = "`GET /metrics` answers with these, in the Prometheus text format."


def metrics_page(metrics: Iterable[Any], labels: Mapping[str, str]) -> str:
    """Every metric, and what each label says. A record has ``name kind help labels unit``."""
    rows = [
        (
            f"`{metric.name}`",
            str(getattr(metric.kind, "value", metric.kind)),
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.unit or "",
            metric.help,
        )
        for metric in metrics
    ]
    header = ["name", "kind", "labels", "unit", "meaning"]
    said = table(["label", "meaning"], [(f"`{label}`", meaning) for label, meaning in labels.items()])
    return page("Metrics", "headgate.telemetry.metrics.METRICS", METRICS_LEAD, table(header, rows), "## Labels", said)


# --- configuration


CONFIGURATION_LEAD: Final = """\
One TOML file. `${NAME}` in any value is replaced by that environment variable; an unknown key is an error. Check a file
with `headgate check FILE`. Without a file every option has the default given here."""


def configuration_page(schema: Schema) -> str:
    """Every option, a section for each TOML table, from the JSON schema of ``headgate.config.Config``."""
    blocks = [block for section in _sections(schema, schema, "", "") for block in section]
    return page("Configuration", "headgate.config.Config", CONFIGURATION_LEAD, *blocks)


def _sections(root: Schema, model: Schema, path: str, header: str) -> Iterator[list[str]]:
    """The section of one table, then those of the tables inside it."""
    rows, inner = [], []
    for key, option in model.get("properties", {}).items():
        child, child_path, child_header = _table_at(root, option, f"{path}.{key}".strip("."))
        if child is None:
            rows.append((f"`{key}`", _type(root, option), _default(model, key, option), option.get("description", "")))
        else:
            inner.append((_described(child, option), child_path, child_header))
    if rows or header:
        yield [
            *([f"## `{header}`"] if header else []),
            *([model["description"]] if _says_more(model, header) else []),
            *([table(["key", "type", "default", "meaning"], rows)] if rows else []),
        ]
    for child, child_path, child_header in inner:
        yield from _sections(root, child, child_path, child_header)


def _table_at(root: Schema, option: Schema, path: str) -> tuple[Schema | None, str, str]:
    """The model of an option that is a TOML table, with its path and the header that opens it; or None."""
    for branch in _branches(root, option):
        if "properties" in branch:
            return branch, path, f"[{path}]"
        item = _resolve(root, branch.get("items", {}))
        if "properties" in item:
            return item, path, f"[[{path}]]"
        named = branch.get("additionalProperties")
        value = _resolve(root, named) if isinstance(named, Mapping) else {}
        if "properties" in value:
            return value, f"{path}.<name>", f"[{path}.<name>]"
    return None, path, ""


def _says_more(model: Schema, header: str) -> bool:
    """Whether a section has a description that is not just its header again."""
    return bool(header) and model.get("description", "").strip("`") not in ("", header)


def _described(model: Schema, option: Schema) -> Schema:
    """The model with what the option that holds it says of it, where it says anything."""
    return {**model, "description": option["description"]} if "description" in option else model


def _branches(root: Schema, option: Schema) -> list[Schema]:
    """The alternatives of an option other than null."""
    found = [_resolve(root, branch) for branch in option.get("anyOf", option.get("oneOf", [option]))]
    return [branch for branch in found if branch.get("type") != "null"]


def _resolve(root: Schema, part: Schema) -> Schema:
    reference = part.get("$ref")
    return root["$defs"][reference.rpartition("/")[2]] if reference else part


def _type(root: Schema, option: Schema) -> str:
    """The type of a value as a reader of TOML would say it."""
    names = {"integer": "integer", "number": "number", "string": "string", "boolean": "boolean", "object": "table"}
    said = []
    for branch in _branches(root, option):
        if "enum" in branch or "const" in branch:
            said += [f"`{json.dumps(value)}`" for value in branch.get("enum", [branch.get("const")])]
        elif branch.get("type") == "array":
            said.append(f"list of {_type(root, branch.get('items', {})) or 'values'}")
        elif branch.get("type") in names:
            said.append(names[branch["type"]] + _bounds(branch))
    return ", ".join(dict.fromkeys(said))


def _bounds(branch: Schema) -> str:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {branch[name]}" for name, sign in signs.items() if name in branch]
    return f" {' and '.join(bounds)}" if bounds else ""


def _default(model: Schema, key: str, option: Schema) -> str:
    """The default as JSON, which for these values is TOML. The schema leaves out what a factory makes: empty ones."""
    if key in model.get("required", []):
        return "*required*"
    value = option.get("default", {"array": [], "object": {}}.get(option.get("type", "")))
    return "unset" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


# --- the pages


def _module(name: str) -> ModuleType | None:
    """A module whose page waits for it to exist."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        return None


def _metrics() -> str | None:
    module = _module("headgate.telemetry.metrics")
    return metrics_page(module.METRICS, module.LABELS) if module else None


def _configuration() -> str | None:
    module = _module("headgate.config")
    return configuration_page(module.Config.model_json_schema()) if module else None


Pages = Mapping[str, Callable[[], str | None]]
"""What makes the text of each file; None while there is nothing to make it of."""

# --- simulator


SIMULATOR_LEAD: Final = """\
What the built-in provider can do wrong, or differently: `sim+<name>` as the model, or `X-Simulate: <name>`, in every
dialect. `@` in a text is the number behind the name (`cut@5`). See [how to use it](../how-to/test-your-client-against-faults.md)."""


def simulator_page(rows: Iterable[Any], dialects: int) -> str:
    """Every fault and quirk, in the dialects where it comes to the same."""
    cells = [
        (
            f"`{row.name}`",
            "all" if len(row.dialects) == dialects else ", ".join(f"`{name}`" for name in row.dialects),
            *row.effect,
        )
        for row in rows
    ]
    header = ["name", "provider's dialect", "streamed", "whole", "a correct client makes of it"]
    return page("Simulator", "headgate.simulator.registry", SIMULATOR_LEAD, table(header, cells))


def _simulator() -> str | None:
    registry = _module("headgate.simulator.registry")
    dialect = _module("headgate.simulator.dialect")
    return None if registry is None or dialect is None else simulator_page(registry.rows(), len(dialect.Dialect))


# --- detectors


DETECTORS_LEAD: Final = """\
What can be told by its form while it streams. A policy names detectors under `stream`, `request` and `final`.

A match never begins or ends inside a longer word or number; `_` and the letter of an escape such as `\\n` belong to none.
Text is compared [as it looks](patterns.md#what-is-compared): full-width characters, digits of other scripts, characters
that cannot be seen and letters that look like ASCII hide nothing. How much is found, and what is not:
[how well the detectors tell](../explanation/how-well-detectors-tell.md)."""


def detectors_page(detectors: Iterable[Any]) -> str:
    """Every built-in detector. A record has ``name about check``."""
    rows = [(f"`{one.name}`", one.about, "form and value" if one.check else "form") for one in detectors]
    header = ["name", "finds", "told by"]
    return page("Detectors", "headgate.governance.detectors.DETECTORS", DETECTORS_LEAD, table(header, rows))


def _detectors() -> str | None:
    module = _module("headgate.governance.detectors")
    return detectors_page(module.DETECTORS.values()) if module else None


PAGES: Final[Pages] = {
    "errors.md": errors_page,
    "metrics.md": _metrics,
    "configuration.md": _configuration,
    "simulator.md": _simulator,
    "detectors.md": _detectors,
}


def drifted(pages: Pages, folder: Path) -> dict[Path, str]:
    """Pages whose file differs from what it should say, with what it should say."""
    wanted = {folder / name: text for name, make in pages.items() if (text := make()) is not None}
    return {path: text for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text}


def main(arguments: Sequence[str], *, pages: Pages = PAGES, folder: Path = REFERENCE) -> int:
    """Write the pages, or check them; the exit status."""
    if set(arguments) - {"--check"}:
        print(__doc__)
        return 2
    differing = drifted(pages, folder)
    for path, text in differing.items():
        name = f"docs/{folder.name}/{path.name}"
        if arguments:
            print(f"{name} is not what the code says: run 'make docs'")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if arguments and differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
