"""The step as the engine runs it: one part, a tree that loads again, a record with everything that counts."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from memory_space import MemorySpace, StepRunner
from onnx_models import parse, weights

from npudsl.artifacts.float_model import FloatModel
from npudsl.artifacts.model_formats import DeclaredInput, load_reader, reader_module, reader_names
from npudsl.diagnostics import Problem
from npudsl.keys import digest_bytes, digest_record
from npudsl.language.program import Input, Model, Output, PathValue, Program
from npudsl.plan.step import FileInput
from npudsl.steps.import_model import run
from npudsl.steps.import_model.kind import KIND, ImportConfig, config_from_program, import_step

MODEL = parse(
    """net (float[N,2,6,6] x) => (float[N,4] y) {
      [conv] a = Conv(x, k) [act] r = Relu(a) g = GlobalAveragePool(r) [flat] y = Flatten(g)
    }""",
    k=weights(4, 2, 3, 3),
)


def imported(config: ImportConfig, **files: bytes) -> tuple[FloatModel, StepRunner]:
    space = MemorySpace()
    inputs = {
        f"file:{name.replace('_dot_', '.')}": {"file": space.write_bytes(data, "file")} for name, data in files.items()
    }
    step = import_step(config, {})
    runner = StepRunner(space)
    tree = runner.run(run, step, inputs)
    return FloatModel.load(tree, space), runner


def test_a_model_is_imported_as_one_part_and_loads_from_its_tree() -> None:
    model, runner = imported(ImportConfig("onnx", "net.onnx"), net_dot_onnx=MODEL)
    assert [part.name for part in runner.parts] == ["model"]
    assert [group.name for group in model.groups] == ["conv", "g", "flat"]
    assert model.graph.types["y"].shape == (1, 4)
    np.testing.assert_array_equal(model.graph.constants["k"], weights(4, 2, 3, 3))
    again = run.import_model(ImportConfig("onnx", "net.onnx").record(), {"net.onnx": MODEL})
    assert (again.onnx, again.groups, again.graph.aliases) == (model.onnx, model.groups, model.graph.aliases)


def test_the_tree_does_not_depend_on_names_of_files() -> None:
    first, _ = imported(ImportConfig("onnx", "net.onnx"), net_dot_onnx=MODEL)
    second, _ = imported(ImportConfig("onnx", "other.onnx"), other_dot_onnx=MODEL)
    assert first.onnx == second.onnx


def test_declared_shapes_and_outputs_are_used() -> None:
    config = ImportConfig("onnx", "net.onnx", (DeclaredInput("x", (3, 2, 6, 6)),), ("act",))
    model, _ = imported(config, net_dot_onnx=MODEL)
    assert (model.graph.inputs, model.graph.outputs) == (("x",), ("act",))
    assert model.graph.types["act"].shape == (3, 4, 4, 4)


def test_the_files_of_a_step_are_its_roles() -> None:
    file = FileInput(digest_bytes(MODEL), len(MODEL), "nowhere", "models/net.onnx")
    step = import_step(ImportConfig("onnx", "net.onnx"), {"net.onnx": file, "weights/w.bin": file})
    assert list(step.files) == ["file:net.onnx", "file:weights/w.bin"]
    assert step.id == "import"


def test_every_field_of_the_config_moves_the_key() -> None:
    config = ImportConfig("onnx", "net.onnx")
    others: dict[str, Any] = {
        "format": "tflite",
        "file": "other.onnx",
        "inputs": (DeclaredInput("x"),),
        "outputs": ("y",),
    }
    changed = {digest_record(replace(config, **{item.name: others[item.name]}).record()) for item in fields(config)}
    assert len(changed | {digest_record(config.record())}) == len(others) + 1
    shaped = replace(config, inputs=(DeclaredInput("x", (1, 2)),))
    assert digest_record(shaped.record()) != digest_record(replace(config, inputs=(DeclaredInput("x"),)).record())


def test_the_config_of_a_program_has_its_cuts_and_the_bare_file_name() -> None:
    program = Program(
        name="net",
        path="net.npu",
        version=1,
        model=Model("net", "onnx", PathValue("@zoo/models/net.onnx")),
        inputs=(Input("x", (1, 0, 6, 6)), Input("s")),
        outputs=(Output("y"),),
    )
    config = config_from_program(program)
    assert config == ImportConfig("onnx", "net.onnx", (DeclaredInput("x", (1, 0, 6, 6)), DeclaredInput("s")), ("y",))
    assert json.loads(json.dumps(config.record())) == config.record()


def test_an_input_that_is_not_float_is_refused_with_the_place_behind_it() -> None:
    model = parse("net (uint8[1,4] x) => (float[1,4] y) { f = Cast<to=1>(x) y = Relu(f) }")
    with pytest.raises(Problem) as caught:
        imported(ImportConfig("onnx", "net.onnx"), net_dot_onnx=model)
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.subject) == ("E0403", "input[x]")
    assert "names `f`" in problem.helps[1]


def test_a_format_without_a_reader_is_refused() -> None:
    with pytest.raises(Problem, match="no reader for models of the format `keras`"):
        run.import_model(ImportConfig("keras", "net.h5").record(), {"net.h5": b""})


def test_readers_of_other_packages_are_found_by_the_word_of_their_format(monkeypatch: pytest.MonkeyPatch) -> None:
    point = SimpleNamespace(name="toy", value="json")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point] if group == "npudsl.readers" else [])
    assert reader_names() == ("onnx", "toy")
    assert reader_module("toy") == "json"
    assert load_reader("toy") is json  # type: ignore[comparison-overlap]
    with pytest.raises(KeyError):
        reader_module("none")


def test_the_code_of_the_step_is_all_declared() -> None:
    assert "npudsl.ir" in KIND.code
    assert {"npudsl.backends.onnx_reader", "npudsl.backends.onnx_cut"} <= set(KIND.code)
