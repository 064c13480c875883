"""The exported project on other compilers and machines: clang, sanitizers, 32 bits, big endian, all the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from c_project_cases import Cases, compiler, export_to, make
from c_project_layers import LAYERS
from c_project_more_layers import MORE_LAYERS
from quantize_bench import PER_CHANNEL, U8, Bench, rule

from npudsl.machine.execute import Machine
from npudsl.steps.import_model.run import import_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(compiler() is None or shutil.which("make") is None, reason="needs make and a C compiler"),
]

STRICT = "-pedantic -Wconversion -Wshadow -Wcast-align -Werror"


def needs(*tools: str) -> None:
    """Skip where a tool is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")


def exported_digits(repository: Path, folder: Path, *rules, **settings) -> SimpleNamespace:
    """The digits example as a project, and how many tensors it compares."""
    model = (repository / "examples" / "01_digits" / "digits.onnx").read_bytes()
    record = {"format": "onnx", "file": "digits.onnx", "inputs": [], "outputs": []}
    graph = import_model(record, {"digits.onnx": model}).graph
    (name,) = graph.inputs
    random = np.random.default_rng(0)
    bench = Bench.of(graph, [{name: random.random(graph.types[name].shape, np.float32)} for _ in range(3)])
    program = bench.quantize(*rules, **settings)
    entering = {name: Machine(program, bench.space, compiled=False).quantize_input(bench.samples[0][name], name)}
    export_to(folder, program, bench.space, entering, "digits")
    return SimpleNamespace(folder=folder, tensors=1 + len(program.layers))


def exported_layers(folder: Path) -> SimpleNamespace:
    """Six random layers of every operation."""
    cases = Cases(21)
    for layer in (*LAYERS.values(), *MORE_LAYERS.values()):
        for _ in range(6):
            layer(cases)
    export_to(folder, cases.model(), cases.blobs, cases.values)
    return SimpleNamespace(folder=folder, tensors=len(cases.inputs) + len(cases.layers))


@pytest.fixture(scope="module", params=["u8", "hybrid", "per channel", "every operation"])
def project(request, repository: Path, tmp_path_factory) -> SimpleNamespace:
    """The digits network in three variants, and all operations."""
    folder = tmp_path_factory.mktemp("project")
    if request.param == "every operation":
        return exported_layers(folder)
    rules, settings = {
        "u8": ((), U8),
        "hybrid": ((rule("op", "Conv", type="i16"),), U8),
        "per channel": ((), PER_CHANNEL),
    }[request.param]
    return exported_digits(repository, folder, *rules, **settings)


def assert_same_bytes(project: SimpleNamespace, folder: Path, *arguments: str) -> None:
    """A copy of the project, built and run with ``arguments``, finds every tensor as the simulator has it."""
    ignored = shutil.ignore_patterns("build", "digits", "cases")
    checked = make(shutil.copytree(project.folder, folder / "copy", ignore=ignored), "check", *arguments)

    assert checked.status == 0, checked.text
    assert f"ok   {project.tensors} tensors, byte for byte" in checked.text


@pytest.mark.parametrize("sanitizers", ["undefined", "address"])
def test_sanitizers_are_silent(sanitizers, project, tmp_path):
    assert_same_bytes(project, tmp_path, f"SANITIZE={sanitizers}", "CFLAGS=-O1 -g")


@pytest.mark.parametrize("flags", [f"-O2 {STRICT}", "-O3"], ids=["strict", "O3"])
def test_clang_gives_the_same_bytes(flags, project, tmp_path):
    needs("clang")
    assert_same_bytes(project, tmp_path, "CC=clang", f"CFLAGS={flags}")


def test_clang_finds_no_undefined_behaviour(project, tmp_path):
    needs("clang")
    assert_same_bytes(project, tmp_path, "CC=clang", "SANITIZE=undefined,integer-divide-by-zero", "CFLAGS=-O1 -g")


@pytest.mark.parametrize(
    ("cross_compiler", "emulator"),
    [
        ("mips-linux-gnu-gcc", "qemu-mips"),
        ("powerpc-linux-gnu-gcc", "qemu-ppc"),
        ("arm-linux-gnueabihf-gcc", "qemu-arm"),
    ],
    ids=["mips", "powerpc", "arm"],
)
def test_a_machine_of_32_bits_gives_the_same_bytes(cross_compiler, emulator, project, tmp_path):
    """mips and powerpc here are big endian."""
    needs(cross_compiler, emulator)
    assert_same_bytes(project, tmp_path, f"CC={cross_compiler}", "LDFLAGS=-static", f"RUN={emulator}")
