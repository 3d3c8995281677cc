"""Parts a test can need beside Python: programs and packages that a machine may not have.

Mark a test (or a class, or a module's `pytestmark`) with what it needs; ``conftest`` does the rest::

    from tests import needs

    @needs.nginx
    def test_stream_through_nginx_is_not_buffered() -> None:
        subprocess.run([needs.path_of("nginx"), ...])

Without the part the test is skipped, and the end of the run says how to get it. In CI (``CI=true``) it fails instead:
a machine that is meant to test everything must not quietly test less.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

SYSTEM_DIRS: Final = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where servers such as nginx live, which the PATH of a user who is not root leaves out."""


@dataclass(frozen=True, slots=True)
class Need:
    """Programs and modules a test cannot do without, and how to get them."""

    commands: tuple[str, ...]
    how: str
    modules: tuple[str, ...] = ()
    others: tuple[tuple[str, Callable[[], bool]], ...] = ()
    """What is neither: a name for it, and whether it is there."""

    @property
    def missing(self) -> tuple[str, ...]:
        modules = (module for module in self.modules if importlib.util.find_spec(module) is None)
        others = (name for name, is_there in self.others if not is_there())
        return (*(command for command in self.commands if _which(command) is None), *modules, *others)

    def __str__(self) -> str:
        return f"{', '.join((*self.commands, *self.modules, *dict(self.others)))}: {self.how}"


def needs(*commands: str, how: str) -> pytest.MarkDecorator:
    """Mark a test as needing every one of `commands`; `how` is the command line that installs them."""
    return pytest.mark.needs(Need(commands, how))


def path_of(command: str) -> str:
    """Absolute path of a program that a mark has already said to be there."""
    path = _which(command)
    assert path is not None, f"{command} is not installed; mark the test with what it needs"
    return path


def unmet(item: pytest.Item) -> Iterator[Need]:
    """The needs of a test that this machine does not meet."""
    for mark in item.iter_markers("needs"):
        for need in mark.args:
            if need.missing:
                yield need


def in_ci() -> bool:
    """Whether a missing part is a failure."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


@functools.cache
def _is_compiled() -> bool:
    """Whether a process that starts now would use compiled modules, whatever this one does."""
    environment = {name: value for name, value in os.environ.items() if name != "HEADGATE_COMPILED"}
    code = "import sys, headgate; sys.exit(headgate.INTERPRETED is not None)"
    return subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def _which(command: str) -> str | None:
    return shutil.which(command) or shutil.which(command, path=SYSTEM_DIRS)


nginx = needs("nginx", how="apt-get install nginx")
chromium = needs("chromium", "chromedriver", how="apt-get install chromium chromium-driver")
gcc = needs("gcc", how="apt-get install gcc")
npm = needs("node", "npm", how="apt-get install nodejs npm (Node 18 or newer)")
"""And the packages of ``tests/e2e/npm``, which the tests install there on first use."""
presidio = pytest.mark.needs(
    Need((), how=".venv/bin/pip install presidio-analyzer (some 50 packages)", modules=("presidio_analyzer",))
)
compiled = pytest.mark.needs(
    Need(
        (),
        how="make compile, with a C compiler (apt-get install gcc); again after each change of a module",
        others=(("compiled modules", _is_compiled),),
    )
)
