"""What the files of the repository must say, and must not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headgate import __version__
from headgate.errors import CODES

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("src", "docs", "tests", "benchmarks", "examples", ".ci")
NOT_OURS: Final = frozenset({"__pycache__", "results", "build", "node_modules"})
TEXT: Final = frozenset({"", ".py", ".md", ".toml", ".txt", ".json", ".sql", ".html", ".css", ".js", ".svg", ".lock"})

SOMEBODYS_MACHINE: Final = re.compile(r"(?<![\w.}*-])/(home|root|Users|work|workspace)/\w")
"""Absolute paths that exist on the machine of whoever wrote the line."""


def texts() -> Iterator[tuple[str, str]]:
    """Path and content of every text file that belongs to the project."""
    paths = [path for path in ROOT.iterdir() if path.is_file()]
    paths += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(paths):
        if path.suffix in TEXT and NOT_OURS.isdisjoint(path.relative_to(ROOT).parts):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8", errors="replace")


def machine_paths(text: str) -> list[str]:
    """Lines with a path of somebody's machine in them."""
    return [line for line in text.splitlines() if SOMEBODYS_MACHINE.search(line)]


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [f"{path}: {line}" for path, text in texts() for line in machine_paths(text)]
    assert not found, "\n" + "\n".join(found)


def test_machine_paths_are_told_from_other_slashes() -> None:
    home = "/".join(["", "home", "ada", "headgate"])
    assert machine_paths(f"see {home}\nand ok") == [f"see {home}"]
    assert machine_paths("src/work/x docs/home/y https://example.org/home/z /v1/responses") == []


def test_requirements_lock_has_hashes_and_names_no_package_index() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert not re.search(r"^--?\w", lock, re.MULTILINE), "the lock holds requirements only, no pip options"
    for requirement in re.split(r"\n(?=\S)", lock):
        if "==" in requirement:
            assert "--hash=sha256:" in requirement, requirement


def test_changelog_has_the_current_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}]" in changelog


def test_every_error_code_is_documented() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert [code for code in CODES if f"`{code}`" not in page] == []
