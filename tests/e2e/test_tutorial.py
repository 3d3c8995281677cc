"""What pages say about governance is true: their files are written, their commands run, and what they show is what comes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from tests.e2e.harness import EXAMPLES, HOST, GatewayProcess

ROOT: Final = EXAMPLES.parent
PAGE: Final = ROOT / "docs" / "tutorial" / "governed-answer.md"
SERVER: Final = "headgate serve"
"""The command that does not end: it is running already."""
WAITING: Final = ("sleep 2", "until headgate reviews list --json | grep -q rev_; do sleep 0.05; done")
"""What a reader waits for, and a test without a guess."""
ACTIVATE: Final = (". .venv/bin/activate", "")
RUN_S: Final = 60.0
MARK: Final = "=== block"
OTHER_EVERY_TIME: Final = re.compile(r"[0-9a-f]{12,}|(?<=row )\d+|\d+(?= rows)|\d+(?= checkpoints)")


class Block(NamedTuple):
    kind: str
    """What stands behind the fence; nothing for what a command says."""
    text: str

    @property
    def file(self) -> str:
        """The name of the file it is, which its first line says."""
        named = re.match(r"# (\S+\.\w+)\n", self.text)
        return named[1] if named else ""


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(*pair) for pair in found]


def lines(text: str) -> list[str]:
    """Without what is another one every time, and without space at the end."""
    return [OTHER_EVERY_TIME.sub("*", line).rstrip() for line in text.splitlines()]


def test_tutorial_about_governance_says_what_happens(tmp_path: Path) -> None:
    page = blocks(PAGE)
    configuration = next(block.text for block in page if block.file == "headgate.toml")
    with GatewayProcess.start(configuration, directory=tmp_path) as gateway:
        for block in page:
            if block.file:
                (tmp_path / block.file).write_text(block.text.replace(":8080", f":{gateway.port}"), "utf-8")
        script = [block.text for block in page if block.kind == "sh" and SERVER not in block.text]
        said = shell(script, tmp_path, port=gateway.port)
        assert gateway.running, gateway.logs()
    shown = [
        (asked.text, expected.text)
        for asked, expected in pairwise(page)
        if (asked.kind, expected.kind) == ("sh", "") and asked.text in script
    ]
    assert len(shown) >= 10
    for asked, expected in shown:
        missing = set(lines(expected)) - set(lines(said[asked]))
        assert not missing, f"after\n{asked}\nthere is no {missing} in\n{said[asked]}"


def test_policy_in_the_readme_does_what_it_says(tmp_path: Path) -> None:
    page = blocks(ROOT / "README.md")
    at = next(number for number, block in enumerate(page) if block.file == "headgate.toml")
    configuration, asked, expected = page[at : at + 3]
    (tmp_path / configuration.file).write_text(configuration.text, "utf-8")
    said = shell([asked.text], tmp_path, port=0)
    assert set(lines(expected.text)) <= set(lines(said[asked.text]))


def shell(script: list[str], folder: Path, *, port: int) -> dict[str, str]:
    """What each of these blocks says, run one after the other in one shell."""
    whole = "".join(f"{block}\necho; echo '{MARK}'\n" for block in script)
    whole = whole.replace(*WAITING).replace(":8080", f":{port}").replace(*ACTIVATE)
    bin_ = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}", "HEADGATE_URL": f"http://{HOST}:{port}"}
    run = subprocess.run(
        ["bash", "-uo", "pipefail", "-c", whole],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    said = run.stdout.split(f"{MARK}\n")
    assert len(said) == len(script) + 1, run.stdout
    return dict(zip(script, said, strict=False))
