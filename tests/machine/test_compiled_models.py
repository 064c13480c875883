"""Whole programs with and without compiled kernels, and machines without a compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from compiled_harness import assert_machines_agree

from npudsl.machine.compiled import library as libraries
from npudsl.machine.execute import Machine

sys.path.append(str(Path(__file__).parent.parent / "steps" / "quantize"))

PHOTOS = 4

ALONE = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from machine_harness import MemoryBlobs, tensor
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, Requantization
from npudsl.machine.compiled.library import kernel_library
from npudsl.machine.execute import Machine
from npudsl.native import why_not

blobs = MemoryBlobs()
weight = blobs.write_array(np.arange(-27, 27, dtype=np.int8).reshape(3, 2, 3, 3))
attributes = {"strides": [1, 1], "pads": [1] * 4, "dilations": [1, 1], "group": 1, "weight_zero_point": 0}
rule = Requantization((2**30 + 5,), (37,), "half_even", 4, 0, 255)
layer = IntegerLayer("conv", "conv", ("x",), ("y",), attributes, {"weight": weight}, (rule,))
tensors = {item.name: item for item in (tensor("x", (1, 2, 5, 6)), tensor("y", (1, 3, 5, 6)))}
machine = Machine(QuantizedModel("m", "v", "exact", ("x",), ("y",), tensors, {}, (layer,)), blobs)
made = machine.run({"x": np.arange(60, dtype=np.uint8).reshape(1, 2, 5, 6)})["y"]
print(json.dumps({"compiled": kernel_library() is not None, "reason": why_not(), "codes": made.ravel().tolist()}))
"""


def run_alone(**environment):
    """A program in a process of its own."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("NPUDSL_")}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(Path(__file__).parent)],
        env={**settings, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_without_a_compiler_numpy_gives_the_same_codes():
    switched_off = run_alone(NPUDSL_NATIVE="off")
    missing = run_alone(NPUDSL_CC="no-such-compiler")

    assert (switched_off["compiled"], missing["compiled"]) == (False, False)
    assert "no-such-compiler" in missing["reason"]
    assert switched_off["codes"] == missing["codes"]
    if libraries.kernel_library() is not None:
        usual = run_alone()
        assert usual == {"compiled": True, "reason": None, "codes": missing["codes"]}


@pytest.fixture(scope="module")
def networks(shared):
    """By name: a bench with the quantized networks, and photos."""
    from quantize_bench import PER_CHANNEL, U8, Bench
    from test_quantize_real_models import imported, photos

    def network(path, name, mean, deviation, settings):
        model = imported(shared / "models" / path)
        samples = photos(shared, name, mean, deviation, PHOTOS)
        bench = Bench.of(model.graph, samples)
        return bench, bench.quantize(**settings), samples

    mobilenet = Path("mobilenet_v2_1.0_224") / "mobilenet_v2_1.0_224.onnx"
    squeezenet = Path("squeezenet1.1") / "squeezenet1.1-7.onnx"
    torchvision = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    return {
        "mobilenet_v2 per channel": network(mobilenet, "input", [127.5] * 3, [127.5] * 3, PER_CHANNEL),
        "squeezenet u8": network(squeezenet, "data", *torchvision, U8),
        "squeezenet tflite": network(squeezenet, "data", *torchvision, {**U8, "profile": "tflite"}),
        "squeezenet rk15": network(squeezenet, "data", *torchvision, {**U8, "profile": "rk15"}),
    }


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", ["mobilenet_v2 per channel", "squeezenet u8", "squeezenet tflite", "squeezenet rk15"])
def test_every_tensor_of_real_networks_is_the_same(networks, name):
    bench, model, samples = networks[name]
    (entering,) = model.inputs
    codes = [Machine(model, bench.space).quantize_input(sample[entering], entering) for sample in samples]
    assert_machines_agree(model, bench.space, {entering: np.concatenate(codes)})
