"""Light modules stay light: importing them loads no array, inference, image or terminal library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("numpy", "onnx", "onnxruntime", "PIL", "networkx", "diskcache", "rich", "typer")

ROOMS = {
    "package": ["npudsl/__init__.py"],
    "language": ["npudsl/language/**/*.py"],
    "diagnostics": ["npudsl/diagnostics/**/*.py"],
    "keys": ["npudsl/keys/**/*.py"],
    "plan": ["npudsl/plan/**/*.py"],
    "targets": ["npudsl/targets/**/*.py"],
    "step kinds": ["npudsl/steps/*/kind.py"],
    "start": ["npudsl/cli/start.py", "npudsl/cli/main.py", "npudsl/engine/snapshot.py"],
}

PROBE = """
import importlib, sys
heavy, modules = sys.argv[1].split(","), sys.argv[2].split(",")
for module in modules:
    importlib.import_module(module)
    loaded = [name for name in heavy if name in sys.modules]
    if loaded:
        sys.exit(f"{module} loads {', '.join(loaded)}")
"""


def modules_of(repository: Path, patterns: list[str]) -> list[str]:
    files = sorted(file for pattern in patterns for file in repository.glob(pattern))
    names = [".".join(file.relative_to(repository).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("room", ROOMS)
def test_a_light_room_loads_no_heavy_library(room, repository):
    modules = modules_of(repository, ROOMS[room])

    done = run("-c", PROBE, ",".join(HEAVY), ",".join(modules))

    assert modules
    assert (done.returncode, done.stderr) == (0, "")


def test_the_door_of_the_command_line_loads_no_parser_either(repository):
    done = run("-c", PROBE, ",".join((*HEAVY, "lark", "yaml")), "npudsl.cli.start,npudsl.engine.snapshot")

    assert (done.returncode, done.stderr) == (0, "")
