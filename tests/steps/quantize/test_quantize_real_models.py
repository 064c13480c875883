"""Two trained networks, quantized on a few photos and judged on others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quantize_bench import DFP16, PER_CHANNEL, U8, Bench, rule

from npudsl.artifacts.float_model import FloatModel
from npudsl.artifacts.quantized_model import QuantizedModel
from npudsl.ir.float_run import run as run_float
from npudsl.ir.float_run import session
from npudsl.ir.onnx_proto import to_onnx
from npudsl.steps.import_model.run import import_model

CALIBRATED_ON = 6
JUDGED_ON = 3


def photos(shared: Path, name: str, mean: list[float], deviation: list[float], count: int) -> list[dict]:
    """The first photos, cut to their middle 224 x 224 pixels, as samples of the input ``name``."""
    samples = []
    for path in sorted((shared / "datasets" / "imagenet-cc" / "images").iterdir())[:count]:
        pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)
        top, left = (pixels.shape[0] - 224) // 2, (pixels.shape[1] - 224) // 2
        middle = pixels[top : top + 224, left : left + 224]
        values = (middle - np.array(mean)) / np.array(deviation)
        samples.append({name: values.transpose(2, 0, 1)[None].astype(np.float32)})
    return samples


def imported(path: Path) -> FloatModel:
    record = {"format": "onnx", "file": path.name, "inputs": [], "outputs": []}
    return import_model(record, {path.name: path.read_bytes()})


@pytest.fixture(scope="module")
def squeezenet(shared: Path) -> tuple[Bench, list[dict]]:
    model = imported(shared / "models" / "squeezenet1.1" / "squeezenet1.1-7.onnx")
    samples = photos(shared, "data", [123.675, 116.28, 103.53], [58.395, 57.12, 57.375], CALIBRATED_ON + JUDGED_ON)
    return Bench.of(model.graph, samples[:CALIBRATED_ON]), samples[CALIBRATED_ON:]


@pytest.fixture(scope="module")
def mobilenet(shared: Path) -> tuple[Bench, list[dict]]:
    model = imported(shared / "models" / "mobilenet_v2_1.0_224" / "mobilenet_v2_1.0_224.onnx")
    samples = photos(shared, "input", [127.5] * 3, [127.5] * 3, CALIBRATED_ON + JUDGED_ON)
    return Bench.of(model.graph, samples[:CALIBRATED_ON]), samples[CALIBRATED_ON:]


def worst_cosine(bench: Bench, model: QuantizedModel, samples: list[dict]) -> float:
    network = session(to_onnx(bench.graph))
    (output,) = model.outputs
    cosines = []
    for sample in samples:
        wanted = run_float(network, sample)[output].ravel().astype(np.float64)
        found = bench.reals(model, sample)[output].ravel().astype(np.float64)
        cosines.append(float(wanted @ found / np.sqrt((wanted @ wanted) * (found @ found))))
    return min(cosines)


@pytest.mark.shared
def test_squeezenet_in_u8_keeps_its_logits(squeezenet):
    bench, samples = squeezenet

    model = bench.quantize(**U8)

    assert worst_cosine(bench, model, samples[:2]) > 0.99
    operations = [layer.operation for layer in model.layers]
    assert (operations.count("conv"), operations.count("concat"), operations.count("max_pool")) == (26, 8, 3)
    assert "rescale" not in operations
    concat = next(layer for layer in model.layers if layer.operation == "concat")
    assert {item.multipliers for item in concat.requantize} == {(1,)}


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("settings", [PER_CHANNEL, DFP16], ids=["per channel", "dfp i16"])
def test_squeezenet_in_finer_types_is_finer(squeezenet, settings):
    bench, samples = squeezenet

    assert worst_cosine(bench, bench.quantize(**settings), samples) > 0.999


@pytest.mark.slow
@pytest.mark.shared
def test_a_wider_layer_in_squeezenet_keeps_its_logits(squeezenet):
    bench, samples = squeezenet
    layer = next(group.name for group in bench.groups if group.op == "Conv")

    model = bench.quantize(rule("layer", layer, type="i16"), **U8)

    assert [item.operation for item in model.layers[:3]] == ["rescale", "conv", "rescale"]
    assert worst_cosine(bench, model, samples) > 0.99


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("settings", [PER_CHANNEL, DFP16], ids=["per channel", "dfp i16"])
def test_mobilenet_with_fine_weights_keeps_its_answers(mobilenet, settings):
    bench, samples = mobilenet

    model = bench.quantize(**settings)

    assert worst_cosine(bench, model, samples) > 0.95
    operations = [layer.operation for layer in model.layers]
    assert (operations.count("conv"), operations.count("add")) == (53, 10)
    assert operations[-1] == "softmax"
    relu6 = next(layer for layer in model.layers if layer.operation == "conv")
    (requantize,) = relu6.requantize
    output = model.tensors[relu6.outputs[0]]
    assert output.low == 0.0
    assert (requantize.high - output.zero_point) * output.scale <= 6.0 + output.scale
