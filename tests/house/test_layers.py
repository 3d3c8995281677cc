"""Imports point one way: values <- pure core <- IO shell, and the core stays pure.

A new module (or family folder) of ``src/headgate`` is put into `LAYERS`; that is all there is to do. What is imported
only for types counts too: a type is knowledge. Modules in the table need not exist yet.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[2] / "src" / "headgate"

LAYERS: Final = {
    # What everything may know.
    "values": "__init__ compiled events request prompt errors ids section policies config places traits",
    # Decides; never waits, never looks at a clock, touches nothing outside.
    "core": "stage sse lifecycle assemble delivery endings positions tally reading recovery seam configfile models "
    "context leftover tokens merkle receipt receipts links dialects governance",
    # Sockets, files, tasks, time.
    "shell": "clock journal log hub reader sinks connection upstream fetch brake producer guard screening desk "
    "finish judges governor reviews disconnects audit webhooks restart stores telemetry api",
    # Puts the shell together, and may reach for what stands beside it.
    "entry": "__main__ gateway admission oversight routing app channel protocol server cli commands",
    # Beside the gateway: uses it, or stands in for a provider or a client.
    "beside": "simulator client console demo",
}

GOVERNANCE: Final = {
    "matching": "",
    "detectors": "matching",
    "ruleset": "matching detectors",
    "policyset": "ruleset",
    "judgement": "",
    "masks": "matching ruleset",
    "texts": "",
    "request": "matching ruleset judgement masks",
    "stream": "matching ruleset judgement masks texts",
    "final": "matching ruleset judgement texts",
    "people": "",
    "trial": "ruleset judgement texts request stream final",
}
"""What of governance each member of it may import: only what stands above it, and no gate another."""

MAY_IMPORT: Final = {
    "values": {"values"},
    "core": {"values", "core"},
    "shell": {"values", "core", "shell", "entry"},
    "entry": {"values", "core", "shell", "entry", "beside"},
    "beside": {"values", "core", "shell", "entry", "beside"},
}

PURE: Final = {"values", "core"}

IMPURE: Final = (
    "asyncio time random os socket logging secrets pathlib tomllib threading subprocess select selectors ssl sqlite3 "
    "uuid tempfile starlette uvicorn uvloop httptools"
)
"""What values and core must not import."""

EXCEPTIONS: Final = {
    "ids": {"os"},
    "configfile": {"os", "pathlib", "tomllib"},
    "compiled": {"os", "pathlib"},
}
"""Ids are random by definition, a configuration is read from a file and the environment, and a module is found in files."""

LAYER_OF: Final = {module: layer for layer, modules in LAYERS.items() for module in modules.split()}


def sources() -> dict[str, str]:
    """Source text by dotted name below the package, such as ``dialects.openai_chat``."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if len(parts) > 1 and parts[-1] == "__init__":
            parts = parts[:-1]
        found[".".join(parts)] = path.read_text(encoding="utf-8")
    return found


def breaches(modules: dict[str, str], packages: frozenset[str] = frozenset()) -> list[str]:
    """Every way in which these modules go against the tables, each as a sentence."""
    found = []
    for name, source in sorted(modules.items()):
        module = name.partition(".")[0]
        layer = LAYER_OF.get(module)
        if layer is None:
            found.append(f"headgate.{name} is in no layer: add '{module}' to LAYERS in tests/house/test_layers.py")
            continue
        for target in sorted(set(imports(name, source, package=name in packages))):
            found += [f"headgate.{name} {complaint}" for complaint in complaints(module, layer, target)]
            found += [f"headgate.{name} {complaint}" for complaint in governance_complaints(name, target)]
    return found


def complaints(module: str, layer: str, target: str) -> Iterator[str]:
    """What is wrong with one import of a module: ``target`` is dotted, and absolute."""
    root, _, rest = target.partition(".")
    if root != "headgate":
        if layer in PURE and root in IMPURE.split() and root not in EXCEPTIONS.get(module, set()):
            yield f"imports {root}: {layer} is pure; have the shell do it and hand the result in"
        return
    imported = rest.partition(".")[0] or "__init__"
    imported_layer = LAYER_OF.get(imported, "values")  # a name of the package itself, such as __version__
    if imported_layer not in MAY_IMPORT[layer]:
        yield f"({layer}) imports headgate.{imported} ({imported_layer}): imports point the other way"


def governance_complaints(name: str, target: str) -> Iterator[str]:
    """What is wrong with an import from one member of governance to another."""
    here, there = name.split("."), target.split(".")
    if here[0] != "governance" or len(here) == 1 or there[:2] != ["headgate", "governance"] or len(there) == 2:
        return
    member, imported = here[1], there[2]
    if member not in GOVERNANCE:
        yield "is not in GOVERNANCE in tests/house/test_layers.py: say there what it may import"
    elif imported != member and imported not in GOVERNANCE[member].split():
        yield f"imports governance.{imported}: it may import {GOVERNANCE[member] or 'nothing'} of governance"


def imports(name: str, source: str, *, package: bool) -> Iterator[str]:
    """Absolute dotted names of everything a module imports, inside functions too."""
    here = f"headgate.{name}".removesuffix(".__init__").split(".")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = node.level - (1 if package or name == "__init__" else 0)
            base = here[: len(here) - up] if node.level else []
            origin = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            # `from headgate import log` imports the module headgate.log
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def test_imports_of_the_package_point_one_way_and_the_core_is_pure() -> None:
    modules = sources()
    packages = frozenset(name for name in modules if PACKAGE.joinpath(*name.split("."), "__init__.py").exists())
    found = breaches(modules, packages)
    assert not found, "\n" + "\n".join(found)


def test_core_that_imports_the_shell_is_found_however_it_is_written() -> None:
    for source in (
        "import headgate.hub",
        "from headgate import hub",
        "from headgate.hub import Hub",
        "from . import hub",
        "from .hub import Hub",
        "def late():\n    from headgate.hub import Hub",
    ):
        (found,) = breaches({"sse": source})
        assert "headgate.sse (core) imports headgate.hub (shell)" in found, source


def test_family_is_resolved_from_inside_it() -> None:
    assert breaches({"dialects.openai_chat": "from ..events import Delta\nfrom .registry import DIALECTS"}) == []
    assert breaches({"dialects": "from .openai_chat import Decoder"}, frozenset({"dialects"})) == []
    (found,) = breaches({"dialects.openai_chat": "from ..stores import sqlite"})
    assert "headgate.stores (shell)" in found


def test_governance_has_one_direction_and_its_gates_do_not_know_each_other() -> None:
    above: set[str] = set()
    for member, allowed in GOVERNANCE.items():
        assert above.issuperset(allowed.split()), member
        above.add(member)
    for name, source in {
        "governance.matching.scanner": "from headgate.governance.ruleset import ActiveRule",
        "governance.ruleset": "def late():\n    from .masks import Masks",
        "governance.stream.gate": "from headgate.governance.final.gate import FinalGate",
        "governance.final.gate": "from headgate.governance import stream",
        "governance.people.review": "from ..ruleset import ActiveRule",
        "governance.novelty": "from headgate.governance.ruleset import ActiveRule",
    }.items():
        (found,) = breaches({name: source})
        assert "GOVERNANCE" in found or "may import" in found, name
    assert breaches({"governance.stream.gate": "from .lane import Lane\nfrom ..matching.scanner import scan"}) == []


def test_members_of_governance_are_those_of_its_table() -> None:
    members = {name.split(".")[1] for name in sources() if name.startswith("governance.")}
    assert members == set(GOVERNANCE)


def test_impure_import_is_found_except_where_the_module_is_about_it() -> None:
    assert (
        breaches({"ids": "import os", "configfile": "import os\nfrom pathlib import Path", "hub": "import time"}) == []
    )
    (found,) = breaches({"lifecycle": "from os.path import join"})
    assert "headgate.lifecycle imports os" in found
    assert breaches({"ids": "import secrets", "events": "import secrets"}) != []


def test_only_entry_points_reach_for_what_stands_beside() -> None:
    source = "from headgate.simulator import provider"
    assert breaches({"cli": source, "app": source, "server": source, "gateway": source, "demo": source}) == []
    (found,) = breaches({"upstream": source})
    assert "headgate.upstream (shell) imports headgate.simulator (beside)" in found


def test_module_in_no_layer_is_found_and_the_message_says_where_to_add_it() -> None:
    (found,) = breaches({"novelty": ""})
    assert found == "headgate.novelty is in no layer: add 'novelty' to LAYERS in tests/house/test_layers.py"


def test_version_may_be_read_from_anywhere() -> None:
    assert breaches({"receipts": "from headgate import __version__"}) == []
