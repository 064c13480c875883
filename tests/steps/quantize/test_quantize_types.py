"""Types side by side: converters, float layers, shared scales, and what passes a range on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from quantize_bench import DFP8, DFP16, I8, PER_CHANNEL, U8, Bench, rule

from npudsl.language.program import Call

RANDOM = np.random.default_rng(8)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


CHAIN = """
    net (float[1,3,8,8] x) => (float[1,4,8,8] y) {
        a = Conv<pads=[1,1,1,1]>(x, w1, b1)
        r = Relu(a)
        c = Conv<pads=[1,1,1,1]>(r, w2, b2)
        s = Sigmoid(r)
        y = Add(c, s)
    }"""


@pytest.fixture(scope="module")
def chain() -> Bench:
    return Bench(CHAIN, w1=floats(4, 3, 3, 3), b1=floats(4), w2=floats(4, 4, 3, 3), b2=floats(4))


def operations(model) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    return [(layer.name, layer.operation, layer.inputs, layer.outputs) for layer in model.layers]


def names(bench: Bench) -> list[str]:
    """Layer names in graph order."""
    return [group.name for group in bench.groups]


def test_a_wider_layer_gets_a_converter_on_each_side(chain):
    first, second, sigmoid, add = names(chain)

    model = chain.quantize(rule("layer", second, type="i16"))

    assert operations(model) == [
        (first, "conv", ("x",), ("r",)),
        ("r/to_i16", "rescale", ("r",), ("r/to_i16",)),
        (second, "conv", ("r/to_i16",), ("c",)),
        (sigmoid, "table", ("r",), ("s",)),
        ("c/to_u8", "rescale", ("c",), ("c/to_u8",)),
        (add, "add", ("c/to_u8", "s"), ("y",)),
    ]
    assert [layer.sources == () for layer in model.layers] == [False, True, False, False, True, False]


def test_a_converter_has_the_range_of_its_tensor_in_the_scheme_of_the_type(chain):
    model = chain.quantize(rule("layer", names(chain)[1], type="i16"))

    narrow, wide = model.tensors["r"], model.tensors["r/to_i16"]
    assert (wide.type, wide.scheme, wide.decided_by) == ("i16", "dfp", "converter")
    assert (wide.low, wide.high) == (narrow.low, narrow.high)
    back = model.tensors["c/to_u8"]
    assert (back.type, back.scheme) == ("u8", "asym")
    assert back.high == pytest.approx(model.tensors["c"].high, rel=1e-5)
    assert model.weights["w2"].type == "i16"
    bias = {layer.name: layer.constants.get("bias") for layer in model.layers}
    assert [chain.space.read_array(bias[name]).dtype for name in names(chain)[:2]] == [np.int32, np.int64]
    assert chain.worst_step(model) < 4


def test_readers_of_one_type_share_a_converter(chain):
    _, second, sigmoid, _ = names(chain)

    model = chain.quantize(rule("layer", second, type="i16"), rule("layer", sigmoid, type="i16"))

    converters = [layer for layer in model.layers if not layer.sources]
    assert [layer.name for layer in converters] == ["r/to_i16", "c/to_u8", "s/to_u8"]
    assert [layer.operation for layer in model.layers if layer.inputs == ("r/to_i16",)] == ["conv", "table"]


def test_a_float_layer_in_the_middle_is_entered_and_left_by_converters(chain):
    first, second, sigmoid, add = names(chain)

    model = chain.quantize(rule("layer", second, skip=True))

    assert operations(model) == [
        (first, "conv", ("x",), ("r",)),
        ("r/to_f32", "dequantize", ("r",), ("r/to_f32",)),
        (second, "float", ("r/to_f32",), ("c",)),
        (sigmoid, "table", ("r",), ("s",)),
        ("c/to_u8", "quantize", ("c",), ("c/to_u8",)),
        (add, "add", ("c/to_u8", "s"), ("y",)),
    ]
    assert "act c f32 by=layer\n" in chain.table
    assert "\nwgt w2 " not in chain.table
    assert "act c/to_u8 u8 asym lo=" in chain.table
    assert chain.worst_step(model) < 2


def test_a_float_input_and_a_float_output_stay_float(chain):
    first, _, _, add = names(chain)

    model = chain.quantize(
        rule("layer", first, skip=True), rule("layer", add, skip=True), rule("tensor", "x", type="f32")
    )

    assert model.tensors["x"].type == model.tensors["y"].type == "f32"
    assert chain.codes(model, chain.samples[0])["y"].dtype == np.float32
    assert chain.worst_step(model) < 0.05


def test_a_whole_network_in_float_is_the_float_network(chain):
    model = chain.quantize(rule("layers", "**", skip=True), rule("tensor", "x", type="f32"))

    assert {layer.operation for layer in model.layers} == {"float"}
    assert model.weights == {}
    assert chain.worst_step(model) < 1e-6


def test_a_float_matmul_keeps_its_bias_and_its_relu():
    bench = Bench(
        "net (float[1,5,6] x) => (float[1,5,4] y) { m = MatMul(x, w) a = Add(m, b) y = Relu(a) }",
        w=floats(6, 4),
        b=floats(4),
    )

    model = bench.quantize(rule("layers", "**", skip=True), rule("tensor", "x", type="f32"))

    assert [layer.attributes["op"] for layer in model.layers] == ["MatMul", "Add"]
    assert bench.worst_step(model) < 1e-6


def test_wider_weights_alone_need_no_converter(chain):
    model = chain.quantize(rule("layer", names(chain)[1], weights__type="i16"))

    assert model.weights["w2"].type == "i16"
    assert {tensor.type for tensor in model.tensors.values()} == {"u8"}
    assert chain.worst_step(model) < 2


def test_a_pool_or_reshape_carries_the_quantization_of_its_input():
    bench = Bench(
        """net (float[1,3,8,8] x) => (float[1,48] y) {
            p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) y = Flatten(p) }"""
    )

    model = bench.quantize()

    given, pooled, flat = (model.tensors[name] for name in ("x", "p", "y"))
    assert pooled == replace(given, name="p", shape=(1, 3, 4, 4), decided_by="passthrough")
    assert (flat.scale, flat.zero_point) == (given.scale, given.zero_point)
    assert bench.runner.ran == ["input/x"]


def test_a_pool_of_another_type_has_a_converter_in_front():
    bench = Bench("net (float[1,3,8,8] x) => (float[1,3,4,4] y) { y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }")

    model = bench.quantize(rule("op", "MaxPool", type="i16"))

    assert [layer.operation for layer in model.layers] == ["rescale", "max_pool"]
    wide, out = model.tensors["x/to_i16"], model.tensors["y"]
    assert (out.scale, out.zero_point, out.type) == (wide.scale, wide.zero_point, "i16")


BRANCHES = """
    net (float[1,3,6,6] x) => (float[1,9,6,6] y, float[1,3,6,6] t) {
        a = Conv(x, w1, b1)
        b = Conv(x, w2, b2)
        t = Conv(x, w3, b3)
        j = Concat<axis=1>(a, b)
        m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(j)
        y = Concat<axis=1>(m, t)
    }"""


@pytest.fixture(scope="module")
def branches() -> Bench:
    weights = {f"w{index}": floats(3, 3, 1, 1) / 4**index for index in (1, 2, 3)}
    return Bench(BRANCHES, **weights, b1=floats(3), b2=floats(3), b3=floats(3))


def test_what_only_goes_into_a_concatenation_is_rounded_to_its_scale_at_once(branches):
    model = branches.quantize()

    joined = model.tensors["y"]
    for name in ("a", "b", "j", "m"):
        tensor = model.tensors[name]
        assert (tensor.scale, tensor.decided_by) == (joined.scale, "passthrough")
    assert model.tensors["t"].scale != joined.scale
    inner, outer = (layer.requantize for layer in model.layers if layer.operation == "concat")
    assert [(item.multipliers, item.shifts) for item in inner] == [((1,), (0,)), ((1,), (0,))]
    assert (outer[0].multipliers, outer[0].shifts) == ((1,), (0,))
    assert outer[1].multipliers != (1,)
    assert branches.worst_step(model) < 1.01


def test_a_rule_on_one_branch_gives_it_its_own_range_back(branches):
    name = next(group.name for group in branches.groups if group.outputs == ("a",))

    model = branches.quantize(rule("layer", name, algorithm=Call("max_abs")))

    assert model.tensors["a"].scale != model.tensors["j"].scale
    assert model.tensors["b"].scale == model.tensors["j"].scale


def test_softmax_has_the_scale_of_its_operation():
    bench = Bench("net (float[1,9] x) => (float[1,9] y) { y = Softmax<axis=1>(x) }")

    found = {}
    for word, settings in {"u8": U8, "i8": I8, "dfp i8": DFP8, "dfp i16": DFP16}.items():
        tensor = bench.quantize(**settings).tensors["y"]
        found[word] = (tensor.scale, tensor.zero_point, tensor.fractional_length, tensor.decided_by)

    assert found == {
        "u8": (1 / 256, 0, None, "fixed"),
        "i8": (1 / 256, -128, None, "fixed"),
        "dfp i8": (1 / 128, 0, 7, "fixed"),
        "dfp i16": (1 / 32768, 0, 15, "fixed"),
    }


def test_a_fixed_end_is_kept_and_the_other_one_calibrated(chain):
    second = names(chain)[1]
    free = chain.quantize().tensors["c"]

    model = chain.quantize(rule("layer", second, max=3.0))

    tensor = model.tensors["c"]
    assert (tensor.low, tensor.high, tensor.algorithm) == (free.low, 3.0, "fixed")
    assert "act c u8 asym" in chain.table
    assert "alg=fixed by=layer" in chain.table


def test_ranges_are_rounded_before_scale_and_zero_point_are_computed(chain):
    for settings, digits in ((U8, 6), (I8, 6), (DFP16, 8)):
        for tensor in chain.quantize(**settings).tensors.values():
            assert float(f"{tensor.low:.{digits}g}") == tensor.low
            assert float(f"{tensor.high:.{digits}g}") == tensor.high
            if tensor.scheme == "asym":
                assert tensor.scale == (tensor.high - tensor.low) / 255


def test_symmetric_saturation_reaches_every_fixed_point_tensor(chain):
    model = chain.quantize(**DFP8, saturation="symmetric")

    assert {tensor.saturation for tensor in model.tensors.values()} == {"symmetric"}
    assert {item.low for layer in model.layers for item in layer.requantize} <= {-127, 0}
    for weight in model.weights.values():
        layer = next(layer for layer in model.layers if layer.name == weight.layer)
        assert chain.space.read_array(layer.constants["weight"]).min() >= -127


def test_dead_channels_keep_their_bias():
    weights = floats(4, 3, 3, 3)
    weights[1] = 0
    weights[2] *= 1e-12
    bench = Bench(
        "net (float[1,3,6,6] x) => (float[1,4,4,4] y) { y = Conv(x, w, b) }",
        w=weights,
        b=np.array([0.1, 2.0, 3.0, -1.0], dtype=np.float32),
    )

    model = bench.quantize(**PER_CHANNEL)

    assert bench.worst_step(model) < 0.51
    scales = model.weights["w"].scales
    assert scales[1] == 1.0
    assert scales[2] > np.abs(weights[2]).max() / 127


@pytest.mark.parametrize("algorithm", ["minmax", "mse", "max_abs"])
@pytest.mark.parametrize("settings", [U8, I8, PER_CHANNEL, DFP16], ids=["u8", "i8", "per channel", "dfp i16"])
def test_weights_follow_their_own_algorithm(chain, algorithm, settings):
    model = chain.quantize(**settings, weights__algorithm=Call(algorithm))

    weight = model.weights["w1"]
    assert weight.algorithm == algorithm
    if algorithm == "max_abs" and weight.scheme == "asym":
        assert weight.low == -weight.high
    if algorithm == "mse" and weight.scheme == "perchannel":
        values = np.abs(chain.graph.constants["w1"]).reshape(4, -1).max(axis=1)
        assert (np.array(weight.scales) * 127 <= values * 1.001).all()


def test_macs_segments_and_labels_come_with_the_layers(chain):
    model = chain.quantize(rule("layer", names(chain)[1], type="i16"), profile="vip16")

    own = {layer.name: layer for layer in model.layers if layer.sources}
    for group in chain.groups:
        assert (own[group.name].segment, own[group.name].macs) == (group.segment, group.macs)
        assert own[group.name].sources == group.nodes
    assert own[names(chain)[0]].label == "inferred"
    assert own[names(chain)[1]].label == "documented"
