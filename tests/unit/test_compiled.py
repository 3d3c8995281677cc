"""Compiled modules are used only if they are of these very sources and of this interpreter, and their lack harms nobody."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from typing import Any, Final

import pytest

from headgate import compiled
from tests import needs

PACKAGE: Final = Path(compiled.__file__).parent
ABI: Final = sysconfig.get_config_var("SOABI")
LIBRARY: Final = "headgate__mypyc"
SOURCES: Final = {"__init__.py": "", "one.py": "LIMIT = 1\n", "deep/__init__.py": "", "deep/two.py": "LIMIT = 2\n"}
MODULES: Final = ["headgate.one", "headgate.deep.two"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose modules were compiled, but for what is in the files: nobody could load them."""
    monkeypatch.delenv("HEADGATE_COMPILED", raising=False)
    monkeypatch.delitem(sys.modules, LIBRARY, raising=False)  # this process may be a compiled one
    made = tmp_path / "headgate"
    for name, text in SOURCES.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in (LIBRARY, *MODULES):
        path = binary(made, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no library")
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in SOURCES.items()}
    manifest(made).write_text(json.dumps({"abi": ABI, "modules": MODULES, "sources": hashes}))
    return made


def manifest(package: Path) -> Path:
    return package / "_compiled" / "manifest.json"


def binary(package: Path, module: str) -> Path:
    return package.joinpath("_compiled", *module.split(".")).with_suffix(f".{ABI}.so")


def change(package: Path, **fields: Any) -> None:
    """Say something else in the manifest."""
    said = json.loads(manifest(package).read_bytes())
    manifest(package).write_text(json.dumps({**said, **fields}))


def refused(package: Path) -> str:
    """Why the modules of a package are interpreted; then nothing finds them."""
    before = list(sys.meta_path)
    why = compiled.enable(package)
    assert why is not None
    assert sys.meta_path == before
    return why


def test_intact_package_is_refused_for_nothing_but_what_its_library_is(package: Path) -> None:
    assert refused(package).startswith("what was compiled cannot be loaded: ")


REFUSED: Final[dict[str, tuple[Callable[[Path], object], str]]] = {
    "nothing compiled": (lambda package: manifest(package).unlink(), "nothing was compiled"),
    "another interpreter": (lambda package: change(package, abi="cpython-399-x"), "compiled for cpython-399-x"),
    "a byte changed": (
        lambda package: (package / "one.py").write_text("LIMIT = 3\n"),
        "one.py has changed since it was compiled",
    ),
    "a byte added to what is interpreted": (
        lambda package: (package / "deep/__init__.py").write_text("\n"),
        "deep/__init__.py has changed since it was compiled",
    ),
    "a source gone": (lambda package: (package / "deep/two.py").unlink(), "deep/two.py is missing"),
    "a module gone": (
        lambda package: binary(package, "headgate.deep.two").unlink(),
        "headgate.deep.two is missing among what was compiled",
    ),
    "the library gone": (
        lambda package: binary(package, LIBRARY).unlink(),
        "headgate__mypyc is missing among what was compiled",
    ),
}


@pytest.mark.parametrize(("damage", "why"), REFUSED.values(), ids=list(REFUSED))
def test_modules_that_are_not_of_this_package_and_interpreter_are_put_aside(
    package: Path, damage: Callable[[Path], object], why: str
) -> None:
    damage(package)
    assert refused(package) == why


def test_modules_are_put_aside_on_request_whatever_was_compiled(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_COMPILED", "0")
    assert refused(package) == "HEADGATE_COMPILED=0"
    monkeypatch.setenv("HEADGATE_COMPILED", "1")
    assert refused(package).startswith("what was compiled cannot be loaded: ")


UNREADABLE: Final = "the manifest of what was compiled cannot be read"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe", b"null", b"5", b'"abi"', b"[]", b"{}", b"[" * 100_000, b'{"abi": 1'],
    ids=lambda text: repr(text[:8]),
)
def test_manifest_that_is_none_is_no_reason_to_fail(package: Path, text: bytes) -> None:
    manifest(package).write_bytes(text)
    assert refused(package) == UNREADABLE


@pytest.mark.parametrize(
    "wrong", [None, 5, "one.py", ["one.py"], {"one.py": 5}, {"": ""}, {"\0": ""}, {"x" * 9000: ""}]
)
@pytest.mark.parametrize("field", ["abi", "modules", "sources"])
def test_manifest_of_wrong_types_is_no_reason_to_fail(package: Path, field: str, wrong: Any) -> None:
    change(package, **{field: wrong})
    assert not refused(package).startswith("what was compiled cannot be loaded")


def said_by(code: str, folder: Path = PACKAGE.parent, **environment: str) -> list[str]:
    """What a fresh interpreter prints that imports the package from a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "HEADGATE_COMPILED"}
    env = {**kept, "PYTHONPATH": str(folder), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


WHICH: Final = (
    "import headgate, headgate.log as log; print(headgate.INTERPRETED); print(log.__file__); print(log.__name__)"
)
EVERY: Final = """
import importlib, sys
for name in NAMES:
    importlib.import_module(name)
for name, module in sys.modules.items():
    if name.startswith("headgate."):
        print(name, type(module.__spec__.loader).__name__)
"""


def test_interpreted_on_request_the_modules_are_the_sources() -> None:
    why, file, _ = said_by(WHICH, HEADGATE_COMPILED="0")
    assert (why, Path(file)) == ("HEADGATE_COMPILED=0", PACKAGE / "log.py")


@needs.compiled
def test_compiled_modules_are_loaded_from_what_was_compiled_and_all_others_from_their_sources() -> None:
    why, file, name = said_by(WHICH)
    assert (why, Path(file), name) == ("None", binary(PACKAGE, "headgate.log"), "headgate.log")
    modules = json.loads(manifest(PACKAGE).read_bytes())["modules"]
    loaders = dict(line.split() for line in said_by(EVERY.replace("NAMES", repr(modules))))
    assert {name for name, loader in loaders.items() if loader == ExtensionFileLoader.__name__} == set(modules)
    assert loaders["headgate.events"] == "SourceFileLoader"


@needs.compiled
def test_real_package_with_one_constant_changed_is_interpreted(tmp_path: Path) -> None:
    """One that stands in an interpreted module, and in compiled ones as a number."""
    copy = tmp_path / "headgate"
    for path in PACKAGE.rglob("*.py"):
        there = copy / path.relative_to(PACKAGE)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
    (copy / "_compiled").symlink_to(PACKAGE / "_compiled")
    assert said_by(WHICH, tmp_path)[:2] == ["None", str(binary(copy, "headgate.log"))]
    policies = copy / "policies.py"
    policies.write_text(policies.read_text("utf-8").replace('NONE: Final = "none"', 'NONE: Final = "nope"'), "utf-8")
    assert said_by(WHICH, tmp_path)[:2] == ["policies.py has changed since it was compiled", str(copy / "log.py")]
