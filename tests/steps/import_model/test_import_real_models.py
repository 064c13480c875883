"""Public models: each imports, computes what its authors recorded, and keeps every name a user may know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from npudsl.artifacts.float_model import FloatModel
from npudsl.ir.float_run import run, session
from npudsl.ir.fusion import groups_by_name
from npudsl.steps.import_model.kind import ImportConfig
from npudsl.steps.import_model.run import import_model

FILES = {
    "mnist": "mnist-8.onnx",
    "squeezenet1.1": "squeezenet1.1-7.onnx",
    "mobilenet_v2_1.0_224": "mobilenet_v2_1.0_224.onnx",
    "ultraface-rfb320": "version-RFB-320.onnx",
    "dtln": "dtln_model_1.onnx",
}

GROUPS = {"mnist": 6, "squeezenet1.1": 39, "mobilenet_v2_1.0_224": 66, "ultraface-rfb320": 91, "dtln": 77}

MACS = {
    "mnist": 786_560,
    "squeezenet1.1": 349_151_936,
    "mobilenet_v2_1.0_224": 300_775_552,
    "ultraface-rfb320": 100_418_560,
    "dtln": 361_088,
}

pytestmark = pytest.mark.shared


def load(shared: Path, name: str) -> tuple[FloatModel, Path]:
    folder = shared / "models" / name
    data = (folder / FILES[name]).read_bytes()
    return import_model(ImportConfig("onnx", FILES[name]).record(), {FILES[name]: data}), folder


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("mnist", [("input_0", {"Plus214_Output_0": "output_0"}), ("input_2", {"Plus214_Output_0": "output_2"})]),
        ("squeezenet1.1", [("input_0", {"squeezenet0_flatten0_reshape0": "output_0"})]),
        ("mobilenet_v2_1.0_224", [("input_0", {"output": "output_0"})]),
        ("ultraface-rfb320", [("input_0", {"scores": "scores_0", "boxes": "boxes_0"})]),
    ],
)
def test_a_model_computes_what_was_recorded(shared: Path, name: str, pairs) -> None:
    model, folder = load(shared, name)
    loaded = session(model.onnx)
    for given, recorded in pairs:
        found = run(loaded, {model.graph.inputs[0]: np.load(folder / "expected" / f"{given}.npy")})
        for output, file in recorded.items():
            expected = np.load(folder / "expected" / f"{file}.npy")
            np.testing.assert_allclose(
                found[output], expected.reshape(found[output].shape), rtol=0, atol=2e-5 * np.abs(expected).max()
            )


def test_a_recurrent_model_carries_its_state(shared: Path) -> None:
    model, folder = load(shared, "dtln")
    recorded = np.load(folder / "expected" / "sequence_8_frames.npz")
    loaded = session(model.onnx)
    state = recorded["state_init"]
    for frame in range(8):
        found = run(loaded, {"input_2": recorded["input_2"][frame], "input_3": state})
        state = found["tf_op_layer_stack_2"]
        np.testing.assert_allclose(found["activation_2"], recorded["activation_2"][frame], atol=1e-5)
        np.testing.assert_allclose(state, recorded["state_out"][frame], atol=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_every_name_of_the_file_that_still_matters_leads_to_a_layer(shared: Path, name: str) -> None:
    model, folder = load(shared, name)
    known = groups_by_name(model.graph, model.groups)
    original = onnx.load(folder / FILES[name])
    assert [
        item for node in original.graph.node for item in (node.name, *node.output) if item and item not in known
    ] == []


@pytest.mark.parametrize("name", FILES)
def test_groups_and_their_work_are_as_known(shared: Path, name: str) -> None:
    model, _ = load(shared, name)
    assert len(model.groups) == GROUPS[name]
    assert sum(group.macs for group in model.groups) == MACS[name]
    nodes = [node for group in model.groups for node in group.nodes]
    assert sorted(nodes) == sorted(node.name for node in model.graph.nodes)


def test_batch_normalizations_and_shape_arithmetic_are_gone(shared: Path) -> None:
    model, _ = load(shared, "ultraface-rfb320")
    left = {node.op for node in model.graph.nodes}
    assert left == {
        "Conv", "Relu", "Transpose", "Reshape", "Concat", "Softmax", "Slice", "Mul", "Add", "Div", "Exp", "Sub"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "segments"), [("squeezenet1.1", 9), ("mobilenet_v2_1.0_224", 10), ("ultraface-rfb320", 10)]
)
def test_large_models_have_about_ten_segments(shared: Path, name: str, segments: int) -> None:
    model, _ = load(shared, name)
    assert model.groups[-1].segment + 1 == segments
