"""Commands that look at text load no parser generator, array, inference, YAML or argument library."""

from __future__ import annotations

import subprocess
import sys

import pytest
from language_project import PROGRAM

HEAVY = (
    "lark",
    "typer",
    "click",
    "rich",
    "numpy",
    "onnx",
    "onnxruntime",
    "networkx",
    "diskcache",
    "yaml",
    "PIL",
    "pygments",
)
TARGET = "\ntarget board {\n  soc = A311D\n  quantize = u8\n}\n"

PROBE = """
import sys
from npudsl.cli.main import run
code = run(sys.argv[2:])
loaded = [name for name in sys.argv[1].split(",") if name in sys.modules]
sys.exit(f"exit code {code}, loaded: {loaded}" if code or loaded else 0)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--no-model", "a.npu"),
        ("check", "--no-model", "--format", "json", "--deny", "warnings", "a.npu"),
        ("fmt", "--check", "a.npu"),
        ("show", "a.npu"),
        ("show", "--flat", "a.npu"),
        ("show", "--json", "a.npu"),
        ("fix", "--no-model", "a.npu"),
        ("schema",),
        ("schema", "--format", "md"),
    ],
    ids=" ".join,
)
def test_a_light_command_stays_light(arguments, tmp_path):
    (tmp_path / "npudsl.yaml").write_text("roots:\n  zoo: ../zoo\n")
    (tmp_path / "a.npu").write_text(PROGRAM + TARGET)
    command = [sys.executable, "-c", PROBE, ",".join(HEAVY), *arguments]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
