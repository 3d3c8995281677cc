"""Load modules that were compiled beforehand, instead of interpreting them.

A build with a C compiler leaves the hot modules, compiled from these very sources, in `_compiled` (see `hatch_build.py`
in the repository). They are used only if every module of the package is still what it was, byte for byte: an edited
module is never shadowed by what it used to be. Compiled modules call each other in C, and constants of interpreted ones
stand in them as numbers, so one edit anywhere puts all of them aside. `HEADGATE_COMPILED=0` puts them aside as well.
Either way the program does the same; compiled, it does it faster.
"""

from __future__ import annotations

import hashlib
import importlib
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


def enable(package: Path = _PACKAGE) -> str | None:
    """Use what was compiled for a package. What speaks against it, in words, if anything does; it never raises."""
    if os.environ.get("HEADGATE_COMPILED") == "0":
        return "HEADGATE_COMPILED=0"
    if not (package / "_compiled" / "manifest.json").is_file():
        return "nothing was compiled"
    try:
        files = _files(package)
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError):
        return "the manifest of what was compiled cannot be read"
    return files if isinstance(files, str) else _use(_Finder(files))


def _files(package: Path) -> dict[str, Path] | str:
    """The compiled modules and where they are, or why they are not for us."""
    folder = package / "_compiled"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    abi = manifest["abi"]
    if abi != sysconfig.get_config_var("SOABI"):
        return f"compiled for {abi}"
    for source, expected in manifest["sources"].items():
        path = package / source
        if not path.is_file():
            return f"{source} is missing"
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            return f"{source} has changed since it was compiled"
    files = {name: folder.joinpath(*name.split(".")) for name in (_LIBRARY, *manifest["modules"])}
    files = {name: file.with_suffix(f".{abi}.so") for name, file in files.items()}
    missing = [name for name, file in files.items() if not file.is_file()]
    return f"{missing[0]} is missing among what was compiled" if missing else files


def _use(finder: _Finder) -> str | None:
    """Load the library, which nothing has asked for yet, so that one that cannot be loaded here does no harm."""
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module(_LIBRARY)
    except ImportError as fault:
        sys.meta_path.remove(finder)
        return f"what was compiled cannot be loaded: {fault}"
    return None
