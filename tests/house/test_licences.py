"""Whatever is installed with Headgate may be used under a licence that goes with Apache-2.0."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageMetadata, distribution
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT: Final = Path(__file__).parents[2] / "pyproject.toml"

COMPATIBLE: Final = frozenset(
    {"MIT", "MIT-0", "CNRI-Python", "BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "ISC", "MPL-2.0"}
)  # docs/decisions/0001-dependencies.md

CLASSIFIERS: Final = {
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: BSD License": "BSD",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def licence(metadata: PackageMetadata) -> str:
    """The SPDX expression of a package: its own, or made of its classifiers, all of which have to be compatible."""
    fields = metadata.json
    if expression := fields.get("license_expression"):
        return str(expression)
    classifiers = [line for line in fields.get("classifier", []) if line.startswith("License :: ")]
    if classifiers:
        return " AND ".join(CLASSIFIERS.get(line, line) for line in classifiers)
    return str(fields.get("license", "none stated"))


def compatible(expression: str) -> bool:
    """Whether an expression without brackets allows use beside Apache-2.0; one with brackets wants to be read."""
    required = re.split(r"\s+AND\s+", expression)
    return all(any(choice in COMPATIBLE for choice in re.split(r"\s+OR\s+", part)) for part in required)


def runtime_packages() -> set[str]:
    """Canonical names of everything `pip install headgate` brings onto this machine."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    waiting = [Requirement(line) for line in project["dependencies"]]
    found: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
                continue
            found.add(key)
            waiting += required_by(*key)
    return {name for name, _ in found}


def required_by(name: str, extra: str) -> list[Requirement]:
    """What a package requires on this machine, with or without one of its extras. The marker has done its work then."""
    applying = []
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            requirement.marker = None
            applying.append(requirement)
    return applying


def test_every_runtime_dependency_has_a_compatible_licence() -> None:
    found = {name: licence(distribution(name).metadata) for name in sorted(runtime_packages())}
    assert {name: words for name, words in found.items() if not compatible(words)} == {}


def test_dependencies_of_dependencies_are_seen() -> None:
    packages = runtime_packages()
    assert {"starlette", "anyio", "idna", "pydantic-core"} <= packages
    assert "pytest" not in packages


def test_every_dependency_is_explained() -> None:
    """docs/decisions/0001-dependencies.md names everything pyproject.toml asks for."""
    document = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    lines = [*document["project"]["dependencies"], *document["dependency-groups"]["dev"]]
    page = (PYPROJECT.parent / "docs/decisions/0001-dependencies.md").read_text(encoding="utf-8")
    assert [name for line in lines if f"`{(name := Requirement(line).name)}`" not in page] == []


@pytest.mark.parametrize("expression", ["MIT", "Apache-2.0 AND BSD-2-Clause", "GPL-3.0-only OR MIT"])
def test_compatible_expression_is_accepted(expression: str) -> None:
    assert compatible(expression)


@pytest.mark.parametrize(
    "expression", ["GPL-3.0-only", "MIT AND LGPL-2.1-only", "none stated", "MIT AND (Apache-2.0 OR GPL-2.0-only)"]
)
def test_incompatible_or_unclear_expression_is_not(expression: str) -> None:
    assert not compatible(expression)
