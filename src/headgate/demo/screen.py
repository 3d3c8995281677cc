"""What the demo shows: steps, the answer as it comes, and claims with their verdicts."""

from __future__ import annotations

from typing import Final

from rich.console import Console

LINE_CHARS: Final = 88
MARGIN_CHARS: Final = 8
"""A word may come in several tokens; this much of one fits behind the last break."""
QUIET: Final = "dim"


class Screen:
    """Steps, the answer as it comes, and claims with their verdicts."""

    def __init__(self, out: Console) -> None:
        self.failed: list[str] = []
        self.held = 0
        self._out = out
        self._plain = out.options.ascii_only
        self._column = 0
        self._step = 0

    def step(self, title: str) -> None:
        self._step += 1
        self._out.print(f"\n[bold]{self._step}  {title}[/]", soft_wrap=True)

    def say(self, text: str, style: str = QUIET) -> None:
        self._end_line()
        self._out.print(f"   {self._safe(text)}", style=style, markup=False, soft_wrap=True)

    def write(self, text: str, style: str) -> None:
        """A piece of the answer, wrapped between words."""
        if not text:
            return
        width = min(self._out.width - MARGIN_CHARS, LINE_CHARS)
        for number, line in enumerate(self._safe(text).split("\n")):
            if number:
                self._end_line()
            if self._column == 0 or (line.startswith(" ") and self._column + len(line) > width):
                self._end_line()
                self._column, line = 5, line.lstrip(" ")
                self._out.print("   | ", end="", style=QUIET)
            self._out.print(line, end="", style=style, markup=False, soft_wrap=True)
            self._column += len(line)

    def claim(self, said: str, problem: str | None = None) -> None:
        """A claim that was just verified (`problem` is None), or was not."""
        self._end_line()
        if problem is None:
            self.held += 1
            self._out.print(f"   [bold green]{'ok' if self._plain else '✓'}[/] {said}", soft_wrap=True)
        else:
            self.failed.append(said)
            self._out.print(f"   [bold red]{'NO' if self._plain else '✗'}[/] {said}: not so", soft_wrap=True)
            self._out.print(f"     {self._safe(problem)}", style="red", markup=False, soft_wrap=True)

    def _end_line(self) -> None:
        if self._column:
            self._out.print()
            self._column = 0

    def _safe(self, text: str) -> str:
        return text.encode("ascii", "replace").decode() if self._plain else text
