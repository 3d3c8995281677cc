"""Compile the modules that every token and every answer passes, where a C compiler is to be had.

They stay Python: mypyc compiles them from the types that `make check` holds them to, and without a compiler, or with
`HEADGATE_COMPILE=0`, the package is built without and runs interpreted, only slower. What `headgate.compiled` loads is
never anything but what it would have found in the sources: it compares their hashes.

Hatchling calls `CompileHook` for wheels and for `pip install -e`; `make compile` runs this file. Decision 0013 says why.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import sysconfig
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT: Final = Path(__file__).resolve().parent
PACKAGE: Final = ROOT / "src" / "headgate"
TARGET: Final = PACKAGE / "_compiled"
GROUP: Final = "headgate"
"""mypyc puts all of them into one library, `headgate__mypyc`, so that calls between them are calls in C."""

MODULES: Final = """
    assemble delivery endings finish ids lifecycle merkle positions receipts sse stage tally tokens

    dialects/calls dialects/compact dialects/decode dialects/failures dialects/fields dialects/given dialects/headgate
    dialects/response_object dialects/translate dialects/transport
    dialects/anthropic_messages/{answer,blocks,encode,failures,objects,request,tool_input,whole}
    dialects/gemini/{answer,array,decode,encode,failures,given,objects,partial,parts,request,whole}
    dialects/openai_chat/{chunks,decode,encode,failures,objects,parts,reasons,request,template,usage,whole}
    dialects/openai_responses/{answer,decode,encode,failures,grouping,items,objects,output,parts,request}

    governance/judgement governance/masks governance/ruleset governance/texts
    governance/matching/{automaton,escapes,folding,json_grammar,json_text,positions,scanner}
    governance/request/{bodies,gate}
    governance/stream/{actions,allowed,cuts,facts,fields,gate,grouping,joints,lane,outlet,parts,passage}
    governance/stream/{questions,retracting,segments}
    governance/final/{gate,rescan}

    admission api/callers api/creation api/declared api/direct audit/chain channel connection gateway guard journal log
    producer reader reading routing
    screening disconnects sinks stores/sqlite stores/sqlite_audit telemetry/account telemetry/instruments
    telemetry/lines telemetry/series upstream
"""
"""By path below the package. What runs once for a process, or talks to a library all the time, gains nothing here."""


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled modules to a wheel; a pure one where they cannot be made."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What an isolated build installs: mypy needs the types of what the modules import."""
        if os.environ.get("HEADGATE_COMPILE") == "0":
            return []
        return ["mypy[mypyc]>=1.18", "types-jsonschema", "types-regex", *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say what the wheel is. `version` is "standard" or "editable"."""
        if self.target_name != "wheel" or os.environ.get("HEADGATE_COMPILE") == "0":
            return
        try:
            if not is_current():  # for a wheel hooks run twice, the first time for its metadata
                compile_modules()
        except (Exception, SystemExit) as fault:  # noqa: BLE001  the package works without; mypyc leaves by `sys.exit`
            shutil.rmtree(TARGET, ignore_errors=True)
            self.app.display_warning(f"Headgate will run interpreted: its modules could not be compiled ({fault})")
            return
        if version == "standard":
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
        build_data["artifacts"].append("src/headgate/_compiled/**")


def compile_modules() -> None:
    """Replace what is in `TARGET`. Raises whatever mypyc, the compiler or the disk says; then nothing is there."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    shutil.rmtree(TARGET, ignore_errors=True)
    names = module_paths()
    paths = [f"src/headgate/{name}.py" for name in names]
    manifest = manifest_of(names)
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(ROOT):
        extensions = mypycify(
            ["--config-file=pyproject.toml", *paths],
            opt_level="2",
            debug_level="0",
            multi_file=True,
            group_name=GROUP,
            target_dir=scratch,
        )
        for extension in extensions:  # nobody else calls into them: calls among them need no table, data no indirection
            extension.extra_compile_args.append("-fvisibility=hidden")
        command = build_command()(Distribution({"name": GROUP, "ext_modules": extensions}))
        command.build_lib, command.build_temp = f"{scratch}/lib", f"{scratch}/temp"
        command.ensure_finalized()
        command.run()
        shutil.copytree(Path(scratch, "lib"), TARGET)
    (TARGET / "manifest.json").write_text(json.dumps(manifest, indent=1))  # last: without it nothing is used


def manifest_of(names: list[str]) -> dict[str, Any]:
    """What is compiled, from what, and for which interpreter."""
    return {
        "abi": sysconfig.get_config_var("SOABI"),
        "modules": [dotted(name) for name in names],
        # All of them: constants and layouts of interpreted modules are compiled into those that use them.
        "sources": {path.relative_to(PACKAGE).as_posix(): source_hash(path) for path in sorted(PACKAGE.rglob("*.py"))},
    }


def is_current() -> bool:
    """What would be compiled has been."""
    try:
        return bool(json.loads((TARGET / "manifest.json").read_bytes()) == manifest_of(module_paths()))
    except (OSError, ValueError):
        return False


def build_command() -> Any:
    """setuptools' `build_ext`, which compiles files one after the other, with one process for each core."""
    from setuptools.command.build_ext import build_ext

    class Parallel(build_ext):  # type: ignore[misc]
        def build_extension(self, ext: Any) -> None:
            compile_one, link = self.compiler._compile, self.compiler.link_shared_object
            running: list[Future[None]] = []

            def start(*arguments: Any) -> None:
                running.append(pool.submit(compile_one, *arguments))

            def link_when_done(*arguments: Any, **named: Any) -> None:
                for future in running:
                    future.result()
                link(*arguments, **named)

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                self.compiler._compile, self.compiler.link_shared_object = start, link_when_done
                try:
                    super().build_extension(ext)
                finally:
                    self.compiler._compile, self.compiler.link_shared_object = compile_one, link

    return Parallel


def module_paths() -> list[str]:
    """`MODULES`, one by one: "sse", "dialects/openai_chat/chunks"."""
    names = []
    for entry in MODULES.split():
        folder, _, stems = entry.rstrip("}").partition("{")
        names += [folder + stem for stem in stems.split(",")] if stems else [folder]
    return names


def dotted(name: str) -> str:
    return "headgate." + name.replace("/", ".")


def source_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    compile_modules()
    print(f"Compiled {len(module_paths())} modules into {TARGET.relative_to(ROOT)}.", file=sys.stderr)
