"""Operations on pairs, lines and transposed windows: the exported C gives the numpy machine's bytes."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest
from c_project_cases import Cases, compiler, export_to, make, request_for
from c_project_more_layers import MORE_LAYERS

from npudsl.artifacts.quantized_model import Requantization
from npudsl.backends.c_project import export
from npudsl.backends.c_project.graph import build_project
from npudsl.runtime_c import project_sources

pytestmark = pytest.mark.skipif(
    compiler() is None or shutil.which("make") is None, reason="needs gcc and make to build the exported project"
)

STRICT = "CFLAGS=-O2 -pedantic -Wconversion -Wshadow -Wcast-align -Werror"


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Fifteen random layers of every operation, exported and built with all warnings as errors."""
    folder = tmp_path_factory.mktemp("pairs")
    cases = Cases(3)
    for layer in MORE_LAYERS.values():
        for _ in range(15):
            layer(cases)
    export_to(folder, cases.model(), cases.blobs, cases.values)
    built = make(folder, STRICT)
    assert built.status == 0, built.text
    return folder, cases


def test_every_operation_gives_the_bytes_of_the_numpy_machine(batch):
    folder, cases = batch
    checked = make(folder, STRICT, "check")

    assert checked.status == 0, checked.text
    assert f"ok   {len(cases.inputs) + len(cases.layers)} tensors, byte for byte" in checked.text


@pytest.mark.parametrize(
    "arguments", [["CFLAGS=-O3"], ["CFLAGS=-O1 -g", "SANITIZE=address,undefined"]], ids=["O3", "sanitizers"]
)
def test_no_optimization_level_changes_a_byte_and_sanitizers_are_silent(arguments, batch, tmp_path):
    folder, _ = batch
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("build", "cases"))
    checked = make(copy, *arguments, "check")

    assert checked.status == 0, checked.text


def test_every_small_quotient_is_rounded_as_the_numpy_machine_rounds_it(tmp_path):
    cases = Cases(4)
    for rounding in ("half_even", "half_away", "half_up"):
        for shift in (-1, 0, 1):
            rows, columns = cases.input((41, 1), "i8", 0), cases.input((1, 41), "i8", 0)
            cases.values[rows.name] = np.arange(-20, 21, dtype=np.int8).reshape(41, 1)
            cases.values[columns.name] = np.arange(-20, 21, dtype=np.int8).reshape(1, 41)
            rule = Requantization((1,), (shift,), rounding, 3, -128, 127)
            cases.layer("div", [rows, columns], (41, 41), "i8", requantize=rule)
    export_to(tmp_path, cases.model(), cases.blobs, cases.values)
    checked = make(tmp_path, "check", "CFLAGS=-O1")

    assert checked.status == 0, checked.text


def test_the_exporter_reserves_the_scratch_memory_that_the_kernels_ask_for(tmp_path):
    cases = Cases(12)
    for name in ("conv_transpose", "arg", "log_softmax"):
        for _ in range(12):
            MORE_LAYERS[name](cases)
    request = request_for(cases.model(), cases.blobs, cases.values)
    for path, data in export(request).files.items():
        if "/" not in path:
            (tmp_path / path).write_bytes(data)
    layers = build_project(request, "cases", False).layers
    asked = []
    for layer in layers:
        function = re.match(r"(npu_\w+)\(&(\w+)", layer.code.calls[0])
        asked.append(f'    printf("%ld\\n", (long){function[1]}_scratch(&{function[2]}));')
    program = '#include <stdio.h>\n#include "cases.c"\nint main(void)\n{\n' + "\n".join(asked) + "\n    return 0;\n}\n"
    (tmp_path / "sizes.c").write_text(program)
    sources = [name for name in project_sources() if name.endswith(".c") and name != "npu_md5.c"]
    subprocess.run([compiler(), "-std=c99", "sizes.c", *sources, "-o", "sizes"], cwd=tmp_path, check=True)
    done = subprocess.run([str(tmp_path / "sizes")], capture_output=True, text=True, check=True)

    assert [int(line) for line in done.stdout.split()] == [layer.code.scratch for layer in layers]
