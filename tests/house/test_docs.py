"""The generated reference pages say what the code says, and the generator reads its tables right."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Literal

import pytest
from pydantic import BaseModel, Field

SCRIPT = Path(__file__).parents[2] / "docs" / "generate.py"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script as a module; docs is a folder of pages, not a package."""
    spec = importlib.util.spec_from_file_location("generate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_pages_are_what_the_code_says() -> None:
    run = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_page_that_differs_is_found_and_written(
    generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = {"one.md": lambda: "right\n", "not-yet.md": lambda: None}
    page = tmp_path / "one.md"
    page.write_text("wrong\n")
    assert generate.main(["--check"], pages=pages, folder=tmp_path) == 1
    assert "one.md" in capsys.readouterr().out
    assert page.read_text() == "wrong\n", "--check must not write"
    assert generate.main([], pages=pages, folder=tmp_path) == 0
    assert page.read_text() == "right\n"
    assert generate.main(["--check"], pages=pages, folder=tmp_path) == 0


def test_metrics_page_has_a_row_for_each_metric(generate: ModuleType) -> None:
    metric = SimpleNamespace(name="ttft_seconds", kind="histogram", help="First | token.", labels=("route",), unit="s")
    assert r"| `ttft_seconds` | histogram | `route` | s | First \| token. |" in generate.metrics_page([metric], {})


def test_metrics_page_has_a_row_for_each_label(generate: ModuleType) -> None:
    assert "| `route` | Which one. |" in generate.metrics_page([], {"route": "Which one."})


class Timeouts(BaseModel):
    stall_s: float = Field(default=60, gt=0, description="No progress for this long.")


class Route(BaseModel):
    """Where a model name leads."""

    model: str = Field(description="What clients ask for.")
    on_disconnect: Literal["cancel", "drain"] = "cancel"
    timeouts: Timeouts = Timeouts()


class Policy(BaseModel):
    """``[policies.<name>]``"""

    stream: list[str] = Field(default_factory=list)


class Toy(BaseModel):
    port: int | None = Field(default=None, ge=1, le=65_535)
    routes: list[Route] = Field(default=[], description="First match wins.")
    policies: dict[str, Policy] = {}


def test_configuration_page_has_a_section_for_each_toml_table(generate: ModuleType) -> None:
    text: str = generate.configuration_page(Toy.model_json_schema())
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## `[[routes]]`", "## `[routes.timeouts]`", "## `[policies.<name>]`"]
    for line in (
        "| `port` | integer >= 1 and <= 65535 | unset |  |",
        "First match wins.",
        "| `model` | string | *required* | What clients ask for. |",
        '| `on_disconnect` | `"cancel"`, `"drain"` | `"cancel"` |  |',
        "| `stall_s` | number > 0 | `60` | No progress for this long. |",
        "| `stream` | list of string | `[]` |  |",
    ):
        assert line in text
    assert "``" not in text, "a docstring that repeats the header says nothing"
