"""The compiled kernels against numpy: the same bytes, for every operation, type, shape, rounding and processor."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from c_project_cases import Cases, offset_limit
from c_project_layers import LAYERS
from compiled_harness import PROCESSORS, assert_machines_agree, library_for, running_on
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_harness import MemoryBlobs, machine_of, tensor

from npudsl.artifacts.quantized_model import IntegerLayer, Requantization
from npudsl.machine import compiled
from npudsl.machine.compiled import library as libraries
from npudsl.machine.compiled.prepared import PreparedLayers
from npudsl.machine.execute import Machine
from npudsl.numerics.types import element_type

ROUNDINGS = ("half_even", "half_away", "half_up", "double")
HERE = "this processor"
SANITIZED = "with checks for undefined behaviour"

pytestmark = pytest.mark.skipif(libraries.kernel_library() is None, reason="needs a C compiler")


def stacked(cases, generator, stack):
    """The inputs of a case for several samples."""
    values = {}
    for name, codes in cases.values.items():
        first = np.atleast_1d(codes)
        others = [generator.permutation(first.reshape(-1)).reshape(first.shape) for _ in range(stack - 1)]
        values[name] = np.concatenate([first, *others])
    return values


def check_random_layers(seed, names, count):
    generator = np.random.default_rng(seed)
    for index in range(count):
        for name in names:
            cases = Cases(int(generator.integers(2**31)))
            LAYERS[name](cases)
            stack = 1 + index % 3
            assert_machines_agree(cases.model(), cases.blobs, stacked(cases, generator, stack), f"{name} {index}")


@pytest.mark.parametrize("name", LAYERS)
def test_random_layers_of_every_operation(name):
    check_random_layers(5, [name], 60 if name in ("conv", "linear", "add", "mul") else 12)


CONVOLUTIONS = {
    "pointwise, many tiles and channels": {"channels": (37, 43), "size": (19, 23)},
    "pointwise, images smaller than a tile": {"channels": (70, 9), "size": (3, 3), "stack": 7},
    "pointwise, one position": {"channels": (300, 17), "size": (1, 1), "stack": 5},
    "pointwise with stride": {"channels": (9, 10), "size": (15, 14), "strides": (2, 2)},
    "many bands": {"channels": (40, 8), "size": (70, 64), "kernel": (3, 3), "pads": (1, 1, 1, 1)},
    "stride 2": {"channels": (3, 20), "size": (33, 31), "kernel": (3, 3), "strides": (2, 2), "pads": (0, 0, 1, 1)},
    "stride 4, kernel 11": {"channels": (3, 9), "size": (60, 57), "kernel": (11, 11), "strides": (4, 4)},
    "dilated": {"channels": (6, 5), "size": (20, 22), "kernel": (3, 3), "dilations": (3, 2), "pads": (3, 2, 3, 2)},
    "stride 2 and dilation 3": {
        "channels": (5, 6),
        "size": (25, 24),
        "kernel": (3, 3),
        "strides": (2, 2),
        "dilations": (3, 3),
        "pads": (2, 3, 1, 2),
    },
    "stride 3 and dilation 2 with a lonely phase": {
        "channels": (4, 4),
        "size": (19, 19),
        "kernel": (2, 2),
        "strides": (3, 3),
        "dilations": (2, 2),
    },
    "negative padding": {"channels": (4, 6), "size": (12, 13), "kernel": (3, 2), "pads": (-2, 1, -1, -3)},
    "groups": {"channels": (12, 18), "size": (11, 9), "kernel": (3, 3), "group": 3, "pads": (1, 1, 1, 1)},
    "a row": {"channels": (8, 12), "size": (1, 90), "kernel": (1, 5), "pads": (0, 2, 0, 2)},
    "depthwise": {"channels": (11, 11), "size": (30, 29), "kernel": (3, 3), "group": 11, "pads": (1, 1, 1, 1)},
    "depthwise, small images": {"channels": (20, 20), "size": (7, 7), "kernel": (3, 3), "group": 20, "pads": (1,) * 4},
    "depthwise, stride 2": {
        "channels": (9, 9),
        "size": (28, 27),
        "kernel": (3, 3),
        "group": 9,
        "strides": (2, 2),
        "pads": (0, 0, 1, 1),
    },
    "depthwise, 5 x 5": {"channels": (7, 7), "size": (17, 40), "kernel": (5, 5), "group": 7, "pads": (2, 2, 2, 2)},
    "depthwise, two outputs per input": {
        "channels": (5, 10),
        "size": (12, 14),
        "kernel": (3, 3),
        "group": 5,
        "pads": (1, 1, 1, 1),
    },
    "depthwise, far apart": {
        "channels": (6, 6),
        "size": (40, 70),
        "kernel": (3, 3),
        "group": 6,
        "strides": (1, 4),
        "dilations": (2, 6),
        "pads": (1, 3, 0, 2),
    },
    "depthwise, a row": {"channels": (9, 9), "size": (1, 77), "kernel": (1, 9), "group": 9, "pads": (0, 4, 0, 4)},
    "depthwise, cut off": {"channels": (5, 5), "size": (12, 15), "kernel": (3, 3), "group": 5, "pads": (-1, -2, 0, -1)},
}


def convolution(
    seed,
    channels,
    size,
    kernel=(1, 1),
    strides=(1, 1),
    pads=(0, 0, 0, 0),
    dilations=(1, 1),
    group=1,
    stack=2,
    types=("u8", "i8", "u8"),
    rounding="half_even",
    per_channel=True,
    style="affine",
):
    """A program of one convolution with codes of both ends, and inputs for it."""
    cases = Cases(seed)
    reach = [dilations[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    result = [(size[axis] + pads[axis] + pads[axis + 2] - reach[axis]) // strides[axis] + 1 for axis in (0, 1)]
    source = cases.input((1, channels[0], *size), types[0])
    shape = (channels[1], channels[0] // group, *kernel)
    weight, zero_point = cases.codes(types[1], shape), cases.pick(0, cases.zero_point(types[1]))
    taps = np.abs(weight.astype(np.int64) - zero_point).reshape(channels[1], -1).sum(axis=1)
    largest = int(taps.max()) * offset_limit(source) + 1
    dtype = np.int64 if "i16" in types[:2] else np.int32
    bias = cases.random.integers(-largest // 4, largest // 4 + 1, channels[1]).astype(dtype)
    item = requantization(cases, types[2], largest + largest // 4, channels[1] if per_channel else 1, rounding, style)
    attributes = {
        "strides": list(strides),
        "pads": list(pads),
        "dilations": list(dilations),
        "group": group,
        "weight_zero_point": zero_point,
    }
    constants = {"weight": weight, "bias": bias}
    cases.layer(
        "conv",
        [source],
        (1, channels[1], *result),
        types[2],
        attributes=attributes,
        constants=constants,
        requantize=item,
    )
    return cases.model(), cases.blobs, stacked(cases, cases.random, stack)


def requantization(cases, type_name, largest, channels, rounding, style):
    """Multipliers of a style: real ones of 31 or 16 bits, pure shifts, or so small that only a few codes are left."""
    element = element_type(type_name)
    width = {"affine": 31, "narrow": 16, "shift": 1, "dead channels": 31}[style]
    width = min(width, 62 - largest.bit_length())
    multipliers, shifts = [], []
    for channel in range(channels):
        target = 2.0 ** cases.number(element.bits - 4, element.bits + 1)
        if style == "dead channels" and channel % 2:
            target = 2.0 ** -cases.number(0, 12)
        shift = min(width - math.frexp(target / largest)[1], 62)
        multipliers.append(cases.number(1 << (width - 1), (1 << width) - 1))
        shifts.append(max(shift, -31))
    point = cases.zero_point(type_name)
    low, high = (element.minimum, element.maximum) if cases.number(0, 2) else (point, element.maximum)
    return Requantization(tuple(multipliers), tuple(shifts), rounding, point, low, max(low, high))


TYPES = [
    ("u8", "i8", "u8"),
    ("i8", "i8", "i8"),
    ("u8", "u8", "u8"),
    ("i8", "u8", "i16"),
    ("i16", "i8", "i16"),
    ("i16", "i16", "i16"),
    ("u8", "i16", "u8"),
]


def check_convolutions(names, count=1):
    seed = 0
    for name in names:
        for types in TYPES:
            for rounding in ROUNDINGS:
                for _ in range(count):
                    seed += 1
                    style = ("affine", "narrow", "shift", "dead channels")[seed % 4]
                    settings_of = {**CONVOLUTIONS[name], "types": types, "rounding": rounding, "style": style}
                    case = convolution(seed, **settings_of, per_channel=seed % 3 > 0)
                    assert_machines_agree(*case, f"{name} {types} {rounding} {style}")


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_of_every_type_and_rounding(name):
    check_convolutions([name])


@pytest.fixture(scope="module", params=[*PROCESSORS, SANITIZED])
def other_library(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels")
    if request.param == SANITIZED:
        return library_for("-march=native", (), folder, "-fsanitize=undefined", "-fno-sanitize-recover=all")
    return library_for(*PROCESSORS[request.param], folder)


@pytest.mark.slow
def test_kernels_for_other_processors_give_the_same_bytes(other_library):
    with running_on(other_library):
        check_convolutions(CONVOLUTIONS)
        check_random_layers(6, list(LAYERS), 30)


def value_near_a_tie(draw, multiplier, shift):
    """A sum whose product is as close to a tie of the shift as sums come."""
    if shift <= 0 or not multiplier:
        return draw(st.integers(-(2**30), 2**30))
    halves = draw(st.integers(-300, 300)) * 2 + 1
    return round(halves * 2.0 ** (shift - 1) / multiplier) + draw(st.integers(-1, 1))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(ROUNDINGS), st.sampled_from([1, 8, 16, 31]), st.booleans())
def test_every_sum_is_requantized_as_numpy_does_it(data, rounding, width, depthwise):
    multipliers, shifts, sums = [], [], []
    for _ in range(9):
        multiplier = data.draw(st.integers(1 << (width - 1), (1 << width) - 1))
        shift = data.draw(st.integers(max(width - 8, 0), min(width + 24, 62)))
        value = value_near_a_tie(data.draw, multiplier, shift)
        multipliers.append(multiplier)
        shifts.append(shift)
        sums.append(max(-(2**30), min(2**30, value)))
    item = Requantization(tuple(multipliers), tuple(shifts), rounding, 3, -128, 127)
    blobs = MemoryBlobs()
    source, target = tensor("x", (1, 9, 2, 3), "u8", 1.0, 7), tensor("y", (1, 9, 2, 3), "i8", 1.0, 3)
    shape = (9, 1, 1, 1) if depthwise else (9, 9, 1, 1)
    constants = {"weight": np.zeros(shape, np.int8), "bias": np.array(sums, dtype=np.int32)}
    constants["weight"].reshape(9, -1)[:, 0] = 1
    stored = {role: blobs.write_array(array) for role, array in constants.items()}
    attributes = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "weight_zero_point": 0}
    attributes["group"] = 9 if depthwise else 1
    layer = IntegerLayer("layer", "conv", ("x",), ("y",), attributes, stored, (item,))
    model = machine_of([layer], [source, target], blobs).model
    codes = np.full((1, 9, 2, 3), 7, dtype=np.uint8)
    assert_machines_agree(model, blobs, {"x": codes})


def test_threads_do_not_disturb_each_other():
    cases = [convolution(seed, **CONVOLUTIONS[name]) for seed, name in enumerate(CONVOLUTIONS)]
    expected = [Machine(model, blobs, compiled=False).run(values) for model, blobs, values in cases]
    machines = [Machine(model, blobs) for model, blobs, _ in cases]
    work = [(machine, case[2]) for machine, case in zip(machines, cases, strict=True)] * 8
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda item: item[0].run(item[1]), work))
    for found, wanted in zip(made, expected * 8, strict=True):
        for name, codes in wanted.items():
            assert np.array_equal(found[name], codes)


def test_a_layer_is_prepared_once_for_all_machines(monkeypatch):
    model, blobs, values = convolution(3, **CONVOLUTIONS["groups"])
    monkeypatch.setattr(compiled, "_prepared", PreparedLayers())
    built = []
    build = compiled.OPERATIONS["conv"]
    monkeypatch.setitem(compiled.OPERATIONS, "conv", lambda *arguments: built.append(1) or build(*arguments))

    first, second = (Machine(model, blobs).run(values) for _ in range(2))

    assert built == [1]
    assert [np.array_equal(first[name], second[name]) for name in first] == [True]


def test_prepared_layers_that_were_not_used_for_longest_are_dropped():
    kept = PreparedLayers(largest_bytes=3000)
    contexts = []
    for seed in range(4):
        model, blobs, _ = convolution(seed, channels=(30, 30), size=(4, 4))
        contexts.append(Machine(model, blobs).context(model.layers[0]))
    for context in contexts:
        kept.get(context, None, lambda: None)
    built = []
    for context in (contexts[3], contexts[0]):
        kept.get(context, None, lambda: built.append(1))
    assert built == [1]
