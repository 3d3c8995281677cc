"""Load modules that were compiled beforehand, instead of interpreting them.

A build with a C compiler leaves the hot modules, compiled from these very sources, in `_compiled` (see `hatch_build.py`
in the repository). They are used only if every one of their sources is still what it was, byte for byte: an edited
module is never shadowed by what it used to be, and since they call each other in C, one edit puts all of them aside.
`HEADGATE_COMPILED=0` puts them aside as well. Either way the program does the same; compiled, it does it faster.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_FOLDER: Final = _PACKAGE / "_compiled"
_LIBRARY: Final = "headgate__mypyc"
"""Where the code of all of them is; each module's own file is only a door to it."""


class _Finder(MetaPathFinder):
    """Finds the compiled modules, and nothing else."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        if file is None:
            return None
        loader = importlib.machinery.ExtensionFileLoader(fullname, str(file))
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


def enable() -> str | None:
    """Use what was compiled. What speaks against it, in words, if anything does."""
    if os.environ.get("HEADGATE_COMPILED") == "0":
        return "HEADGATE_COMPILED=0"
    try:
        manifest = json.loads((_FOLDER / "manifest.json").read_bytes())
        abi, sources = manifest["abi"], manifest["sources"]
    except (OSError, ValueError, KeyError):
        return "nothing was compiled"
    if abi != sysconfig.get_config_var("SOABI"):
        return f"compiled for {abi}"
    suffix = f".{abi}.so"
    files = {_LIBRARY: _FOLDER / (_LIBRARY + suffix)}
    for name, expected in sources.items():
        source = _source(name)
        try:
            if hashlib.sha256(source.read_bytes()).hexdigest() != expected:
                return f"{name} has changed since it was compiled"
        except OSError:
            return f"the source of {name} is missing"
        files[name] = _FOLDER.joinpath(*name.split(".")).with_suffix(suffix)
    if not all(file.is_file() for file in files.values()):
        return "some compiled modules are missing"
    sys.meta_path.insert(0, _Finder(files))
    return None


def _source(name: str) -> Path:
    return _PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py")
