"""The text of a configuration file: where its settings stand, and what the environment fills in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

Location = tuple[str | int, ...]
"""Keys and positions that lead to a setting."""

_ENV: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(value: Any, environ: Mapping[str, str], problems: list[str], location: Location = ()) -> Any:
    """`value` with ``${NAME}`` in its strings filled in; names that the environment does not have are `problems`."""
    if isinstance(value, dict):
        return {key: expand(item, environ, problems, (*location, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, environ, problems, (*location, index)) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environ:
            problems.append(f"{dotted(location)}: the environment has no variable {name}")
        return environ.get(name, "unset")

    return _ENV.sub(replace, value)


def dotted(location: Location) -> str:
    """A place in a file as people write it: ``routes[0].to``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Places:
    """Finds the line of a setting, which the TOML parser does not keep."""

    _HEADER: Final = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_.-]+)\s*\]\]?")
    _KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")

    def __init__(self, text: str) -> None:
        self._lines: dict[str, int] = {}
        table, counts = "", dict[str, int]()
        for number, line in enumerate(text.splitlines(), 1):
            header = self._HEADER.match(line)
            key = self._KEY.match(line)
            if header:
                name = header.group(1)
                table = name
                if line.lstrip().startswith("[["):
                    table = f"{name}[{counts.get(name, 0)}]"
                    counts[name] = counts.get(name, 0) + 1
                self._lines.setdefault(table, number)
            elif key:
                self._lines.setdefault(f"{table}.{key.group(1)}" if table else key.group(1), number)

    def of(self, location: Location) -> str:
        for end in range(len(location), 0, -1):
            line = self._lines.get(dotted(location[:end]))
            if line is not None:
                return f"line {line}: {dotted(location)}"
        return dotted(location)
