"""What may stand in a module that is compiled: the rules of decision 0013 that can be read off the source.

Most of what breaks them also breaks the build, with a message of mypyc's or a crash. This says it before, by name, and on
machines that compile nothing. Those that only a person can see are in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.house.test_layers import PACKAGE, sources

ROOT: Final = PACKAGE.parents[1]

PROTOCOL: Final = "typing.Protocol"
BASES: Final = frozenset(
    {"typing.NamedTuple", PROTOCOL, "enum.Enum", "enum.IntEnum", "enum.StrEnum", "asyncio.Protocol"}
)
"""What a compiled class may inherit from, beside compiled classes and built-in exceptions. With any other base that is
interpreted it does not clear weak references to it when it goes, and the collector finds them."""

Modules = dict[str, str]
"""Source text by dotted name below the package."""


class Class(NamedTuple):
    """A class of ours."""

    module: str
    name: str
    node: ast.ClassDef


class House:
    """The modules, which of them are compiled, and what their names stand for."""

    def __init__(self, modules: Modules, compiled: Iterable[str]) -> None:
        self.trees = {name: ast.parse(source) for name, source in modules.items()}
        self.compiled = frozenset(compiled)
        packages = {name.rpartition(".")[0] for name in modules}
        self.names = {
            name: dict(imported(f"{name}.__init__" if name in packages else name, tree))
            for name, tree in self.trees.items()
        }
        self.classes = {
            f"headgate.{name}.{node.name}": Class(name, node.name, node)
            for name, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        }

    def meant(self, module: str, written: ast.expr) -> str:
        """The full name of what an expression names, such as ``headgate.log.Log`` or ``builtins.Exception``."""
        match written:
            case ast.Subscript(value=generic):
                return self.meant(module, generic)
            case ast.Attribute(value=owner, attr=attribute):
                return self.defined(f"{self.meant(module, owner)}.{attribute}")
            case ast.Name(id=name):
                if f"headgate.{module}.{name}" in self.classes:
                    return f"headgate.{module}.{name}"
                return self.defined(self.names[module].get(name, f"builtins.{name}"))
        return ast.unparse(written)

    def defined(self, name: str) -> str:
        """Where a name is defined that a package, or a module, only passes on."""
        origin, _, last = name.rpartition(".")
        passed_on = self.names.get(origin.removeprefix("headgate."), {})
        if name in self.classes or last not in passed_on or passed_on[last] == name:
            return name
        return self.defined(passed_on[last])


def imported(module: str, tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Names of a module that stand for something else, and the full names of that."""
    here = ["headgate", *module.split(".")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (root, root)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield alias.asname or alias.name, f"{origin}.{alias.name}"


def breaches(modules: Modules, compiled: Iterable[str]) -> list[str]:
    """Every way in which these modules go against the rules, each as a sentence."""
    house = House(modules, compiled)
    found = [f"headgate.{one.module}.{one.name} {text}" for one in house.classes.values() for text in about(house, one)]
    for name in sorted(house.compiled & house.trees.keys()):
        found += [f"headgate.{name} {text}" for text in about_module(house.trees[name])]
    return found


def about(house: House, one: Class) -> Iterator[str]:
    """What is wrong with one class, compiled or not."""
    bases = [house.meant(one.module, base) for base in one.node.bases]
    for meant in bases:
        base_is_compiled = meant in house.classes and house.classes[meant].module in house.compiled
        if one.module not in house.compiled:
            if base_is_compiled and PROTOCOL not in bases:  # of a protocol nothing is ever made
                yield f"is interpreted and inherits from {meant}, which is compiled: compile both or neither"
        elif meant.endswith(".Struct"):
            yield "is a Struct: they stay in modules that are interpreted"
        elif not base_is_compiled and meant not in BASES and not is_builtin_exception(meant):
            yield f"inherits from {meant}, which is not compiled"
    if one.module in house.compiled and one.node.keywords:
        given = ", ".join(ast.unparse(keyword) for keyword in one.node.keywords)
        yield f"is given {given}: compiled classes lose their keywords"


def about_module(tree: ast.Module) -> Iterator[str]:
    """What is wrong with a compiled module beside its classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef) and any(isinstance(one, ast.Yield) for one in own(node)):
            yield f"has the async generator {node.name}, which is not compiled rightly"
        elif isinstance(node, ast.GeneratorExp) and any(part.is_async for part in node.generators):
            yield "has an async generator expression, which is not compiled rightly"
    if any(meant.partition(".")[0] == "copy" for _, meant in imported("", tree)):
        yield "imports copy: a compiled object cannot be copied, make a new one"


def own(function: ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """What stands in a function, and in no function inside it."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            left += ast.iter_child_nodes(node)


def is_builtin_exception(name: str) -> bool:
    kind = getattr(builtins, name.removeprefix("builtins."), None) if name.startswith("builtins.") else None
    return isinstance(kind, type) and issubclass(kind, BaseException)


def patches(tree: ast.AST, compiled: Iterable[str]) -> list[str]:
    """Compiled modules of which a test sets a name: what is compiled does not look there."""
    names = dict(imported("", tree))
    full = {f"headgate.{name}" for name in compiled}
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    set_ = [call.args[0] for call in calls if ast.unparse(call.func).rpartition(".")[2] in {"setattr", "patch"}]
    owners = [names.get(one.id, "") for one in set_ if isinstance(one, ast.Name)]
    paths = [
        one.value.rpartition(".")[0] for one in set_ if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
    return [name for name in (*owners, *paths) if name in full]


@pytest.fixture(scope="module")
def paths() -> list[str]:
    """What the build compiles, by path below the package."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    found = build.module_paths()
    assert isinstance(found, list)
    return found


def unusable(paths: Iterable[str], package: Path = PACKAGE) -> list[str]:
    """Entries that name no module which can be compiled."""
    seen, found = set[str](), []
    for path in paths:
        if path in seen:
            found.append(f"{path} is listed twice")
        elif path.rpartition("/")[2].startswith("__") or (package / path).is_dir():
            found.append(f"{path} is a package or an entry: its __path__ or its name would be another one")
        elif not (package / f"{path}.py").is_file():
            found.append(f"there is no {path}.py")
        seen.add(path)
    return found


def test_everything_that_is_to_be_compiled_is_a_module_of_the_package(paths: list[str]) -> None:
    assert len(paths) > 50, "MODULES in hatch_build.py was not read"
    assert unusable(paths) == []


def test_entries_that_are_no_modules_are_found() -> None:
    assert unusable(["log"]) == []
    for wrong in (["no_such"], ["dialects"], ["dialects/__init__"], ["__main__"], ["log", "log"], ["dialects/{a"]):
        (found,) = unusable(wrong)
        assert wrong[-1] in found


def test_compiled_modules_keep_the_rules(paths: list[str]) -> None:
    found = breaches(sources(), (path.replace("/", ".") for path in paths))
    assert not found, "\n" + "\n".join(found)


def test_no_test_sets_a_name_of_a_compiled_module(paths: list[str]) -> None:
    compiled = [path.replace("/", ".") for path in paths]
    found = [
        f"{file.relative_to(ROOT)} sets a name of {name}: nothing compiled looks there, hand it in instead"
        for file in sorted((ROOT / "tests").rglob("*.py"))
        if "node_modules" not in file.parts
        for name in patches(ast.parse(file.read_text("utf-8")), compiled)
    ]
    assert not found, "\n" + "\n".join(found)


OTHERS: Final = {
    "plain": "class Plain: ...\nclass Open(Plain): ...",
    "fast": "class Fast: ...\nclass Form(Fast): ...",
    "family": "from headgate.fast import Fast\nfrom .plain import Plain as Simple",
    "family.plain": "class Plain: ...",
}
COMPILED: Final = ("fast", "planted")

ALLOWED: Final = (
    "class A: ...\nclass B(A): ...",
    "from typing import NamedTuple, Protocol\nclass A(NamedTuple): ...\nclass B(Protocol[T]): ...",
    "import typing as t\nclass A(t.NamedTuple): ...",
    "from enum import Enum, IntEnum, StrEnum\nclass A(Enum): ...\nclass B(IntEnum): ...\nclass C(StrEnum): ...",
    "import asyncio\nclass A(asyncio.Protocol): ...",
    "class A(ValueError): ...\nclass B(A): ...",
    "from headgate.fast import Fast\nclass A(Fast): ...",
    "from headgate import fast\nclass A(fast.Form): ...",
    "from headgate.family import Fast\nclass A(Fast): ...",
    "from .fast import Fast\nclass A(Fast): ...",
    "async def waits():\n    def inner():\n        yield 1\n    await thing",
    "def generates():\n    yield 1\nvalues = (one for one in range(3))",
    "made = old.copy()",
)

PLANTED: Final = {
    "class A(dict): ...": "inherits from builtins.dict",
    "import logging\nclass A(logging.Handler): ...": "inherits from logging.Handler",
    "from asyncio import BufferedProtocol\nclass A(BufferedProtocol): ...": "inherits from asyncio.BufferedProtocol",
    "from headgate.plain import Plain\nclass A(Plain): ...": "inherits from headgate.plain.Plain",
    "from headgate import plain as p\nclass A(p.Open): ...": "inherits from headgate.plain.Open",
    "from headgate.family import Simple\nclass A(Simple): ...": "inherits from headgate.family.plain.Plain",
    "class A(made()): ...": "inherits from made()",
    "from msgspec import Struct\nclass A(Struct): ...": "is a Struct",
    "import msgspec\nclass A(msgspec.Struct): ...": "is a Struct",
    "class A(metaclass=abc.ABCMeta): ...": "is given metaclass=abc.ABCMeta",
    "class A(ValueError, final=True): ...": "is given final=True",
    "def f():\n    class A(dict): ...": "inherits from builtins.dict",
    "async def gives():\n    for one in two:\n        yield one": "has the async generator gives",
    "async def f():\n    return (one async for one in two)": "has an async generator expression",
    "from copy import copy": "imports copy",
    "def f():\n    import copy as c": "imports copy",
}


@pytest.mark.parametrize("source", ALLOWED)
def test_module_that_keeps_the_rules_is_left_alone(source: str) -> None:
    assert breaches({**OTHERS, "planted": source}, COMPILED) == []


@pytest.mark.parametrize(("source", "sentence"), PLANTED.items())
def test_module_that_breaks_a_rule_is_found_if_it_is_compiled(source: str, sentence: str) -> None:
    (found,) = breaches({**OTHERS, "planted": source}, COMPILED)
    assert found.startswith("headgate.planted")
    assert sentence in found
    assert breaches({**OTHERS, "planted": source}, ("fast",)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from headgate.fast import Fast\nclass A(Fast): ...",
        "from headgate import fast\nclass A(int, fast.Form): ...",
        "import headgate.fast\nclass A(headgate.fast.Fast): ...",
        "from headgate.family import Fast as Quick\nclass A(Quick): ...",
        "def late():\n    from .fast import Fast\n    class A(Fast): ...",
    ],
)
def test_interpreted_class_of_a_compiled_one_is_found_however_it_is_named(source: str) -> None:
    (found,) = breaches({**OTHERS, "planted": source}, ("fast",))
    assert "headgate.planted.A is interpreted and inherits from headgate.fast.F" in found


def test_interpreted_protocol_may_extend_a_compiled_one() -> None:
    source = "from typing import Protocol\nfrom headgate.fast import Fast\nclass A(Fast, Protocol): ..."
    assert breaches({**OTHERS, "planted": source}, ("fast",)) == []


def test_patched_names_of_compiled_modules_are_found() -> None:
    for source in (
        "from headgate import fast\nmonkeypatch.setattr(fast, 'LIMIT', 1)",
        "import headgate.fast as f\nsetattr(f, 'LIMIT', 1)",
        "monkeypatch.setattr('headgate.fast.LIMIT', 1)",
        "with mock.patch('headgate.fast.LIMIT'): ...",
    ):
        assert patches(ast.parse(source), COMPILED) == ["headgate.fast"], source
    assert patches(ast.parse("from headgate import plain\nmonkeypatch.setattr(plain, 'LIMIT', 1)"), COMPILED) == []
