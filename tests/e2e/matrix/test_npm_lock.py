"""What the lock of the npm packages must say, and must not."""

from __future__ import annotations

import json
import re

from tests.e2e.matrix.desk import NPM


def test_lock_pins_every_package_by_hash_and_names_no_registry() -> None:
    lock = json.loads((NPM / "package-lock.json").read_text("utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


def test_sdks_are_asked_for_in_exact_versions() -> None:
    wanted = json.loads((NPM / "package.json").read_text("utf-8"))["dependencies"]
    assert {"openai", "@anthropic-ai/sdk", "@google/genai"} <= set(wanted)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
