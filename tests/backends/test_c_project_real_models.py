"""Trained networks, entirely in integers: quantized, simulated, exported as C, built and compared byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from c_project_cases import compiler, export_to, make
from quantize_bench import DFP16, PER_CHANNEL, U8, Bench, rule

from npudsl.artifacts.quantized_model import QuantizedModel
from npudsl.machine.execute import Machine
from npudsl.steps.import_model.run import import_model

pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(compiler() is None or shutil.which("make") is None, reason="needs gcc and make"),
]


def bench_of(path: Path, samples: list[dict[str, np.ndarray]]) -> Bench:
    record = {"format": "onnx", "file": path.name, "inputs": [], "outputs": []}
    return Bench.of(import_model(record, {path.name: path.read_bytes()}).graph, samples)


def assert_c_gives_the_bytes(
    bench: Bench, program: QuantizedModel, sample: dict[str, np.ndarray], folder: Path
) -> None:
    """No layer in float; the exported project builds and finds every tensor as the simulator has it."""
    machine = Machine(program, bench.space)
    entering = {name: machine.quantize_input(sample[name], name) for name in program.inputs}
    export_to(folder, program, bench.space, entering, "model")
    checked = make(folder, "check")

    assert {tensor.type for tensor in program.tensors.values()} <= {"u8", "i8", "i16"}
    assert checked.status == 0, checked.text
    assert f"ok   {len(program.inputs) + len(program.layers)} tensors, byte for byte" in checked.text


def test_the_digits_of_mnist(shared: Path, tmp_path: Path) -> None:
    folder = shared / "models" / "mnist"
    samples = [{"Input3": np.load(folder / "expected" / f"input_{i}.npy").astype(np.float32)} for i in range(3)]
    bench = bench_of(folder / "mnist-8.onnx", samples)
    program = bench.quantize(**U8)
    wanted = [np.load(folder / "expected" / f"output_{i}.npy").argmax() for i in range(3)]

    assert [bench.reals(program, sample)["Plus214_Output_0"].argmax() for sample in samples] == wanted
    assert_c_gives_the_bytes(bench, program, samples[0], tmp_path)


def test_the_classes_of_squeezenet(shared: Path, tmp_path: Path) -> None:
    folder = shared / "models" / "squeezenet1.1"
    samples = [{"data": np.load(folder / "expected" / f"input_{i}.npy")} for i in range(2)]
    bench = bench_of(folder / "squeezenet1.1-7.onnx", samples)

    assert_c_gives_the_bytes(bench, bench.quantize(**U8), samples[0], tmp_path)


def test_the_classes_of_mobilenet(shared: Path, tmp_path: Path) -> None:
    folder = shared / "models" / "mobilenet_v2_1.0_224"
    sample = {"input": np.load(folder / "expected" / "input_0.npy")}
    bench = bench_of(folder / "mobilenet_v2_1.0_224.onnx", [sample])
    program = bench.quantize(**PER_CHANNEL)

    assert bench.reals(program, sample)["output"].argmax() == np.load(folder / "expected" / "output_0.npy").argmax()
    assert_c_gives_the_bytes(bench, program, sample, tmp_path)


@pytest.fixture(scope="module")
def faces(shared: Path) -> SimpleNamespace:
    """The face detector on the picture that came with it, and which of its boxes are faces."""
    folder = shared / "models" / "ultraface-rfb320"
    sample = {"input": np.load(folder / "expected" / "input_0.npy")}
    scores, boxes = (np.load(folder / "expected" / f"{name}_0.npy") for name in ("scores", "boxes"))
    bench = bench_of(folder / "version-RFB-320.onnx", [sample])
    return SimpleNamespace(bench=bench, sample=sample, boxes=boxes, found=scores[0, :, 1] > 0.7)


BOX_DECODING = [
    rule("layers", "4[67]*", type="i16"),
    rule("layers", "48*", type="i16"),
    rule("layer", "boxes", type="i16"),
]
"""Everything behind the predicted offsets of boxes."""


@pytest.mark.parametrize(
    ("rules", "settings", "limit"),
    [([], U8, 0.01), (BOX_DECODING, U8, 0.008), ([], PER_CHANNEL, 0.012), ([], DFP16, 0.0002)],
    ids=["u8", "u8 with boxes in i16", "per channel", "i16"],
)
def test_the_boxes_of_the_face_detector(rules, settings, limit, faces, tmp_path: Path) -> None:
    program = faces.bench.quantize(*rules, **settings)
    boxes = faces.bench.reals(program, faces.sample)["boxes"]

    assert np.abs(boxes - faces.boxes)[0, faces.found].max() < limit
    assert_c_gives_the_bytes(faces.bench, program, faces.sample, tmp_path)


@pytest.fixture(scope="module")
def denoiser(shared: Path) -> SimpleNamespace:
    """The speech denoiser with eight consecutive frames; each frame's state is what the one before left."""
    folder = shared / "models" / "dtln"
    frames = np.load(folder / "expected" / "sequence_8_frames.npz")
    states = [frames["state_init"].reshape(1, 2, 128, 2), *frames["state_out"]]
    samples = [{"input_2": x, "input_3": state} for x, state in zip(frames["input_2"], states, strict=False)]
    return SimpleNamespace(
        bench=bench_of(folder / "dtln_model_1.onnx", samples), samples=samples, masks=frames["activation_2"]
    )


@pytest.mark.parametrize(
    ("settings", "limit"), [(U8, 0.05), (PER_CHANNEL, 0.035), (DFP16, 0.002)], ids=["u8", "per channel", "i16"]
)
def test_the_denoiser_follows_a_sequence_with_its_own_state(settings, limit, denoiser, tmp_path: Path) -> None:
    program = denoiser.bench.quantize(**settings)
    worst = 0.0
    state = denoiser.samples[0]["input_3"]
    for sample, mask in zip(denoiser.samples, denoiser.masks, strict=True):
        found = denoiser.bench.reals(program, {"input_2": sample["input_2"], "input_3": state})
        worst = max(worst, float(np.abs(found["activation_2"] - mask).max()))
        state = found["tf_op_layer_stack_2"]

    assert worst < limit
    assert program.tensors["tf_op_layer_stack_2"].type == program.tensors["input_3"].type == "i16"
    assert_c_gives_the_bytes(denoiser.bench, program, denoiser.samples[3], tmp_path)
