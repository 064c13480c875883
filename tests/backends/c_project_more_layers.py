"""One random layer of every operation on pairs, lines and transposed windows, for ``Cases``."""

from __future__ import annotations

import numpy as np
from c_project_cases import EIGHT_BITS, TYPES, offset_limit
from c_project_layers import bias_and_bound, binary, moved, reduction, weights

from npudsl.artifacts.quantized_model import Requantization
from npudsl.machine.kernels.reductions import logarithm_table
from npudsl.machine.tables import softmax_exponential
from npudsl.numerics.types import element_type


def conv_transpose(cases):
    wide = cases.number(0, 2) == 0
    flat = cases.number(0, 3) == 0
    kernel = [cases.number(1, 5), cases.number(1, 5)]
    strides = [cases.number(1, 4), cases.number(1, 4)]
    dilations = [cases.pick(1, 1, 2, 3), cases.pick(1, 1, 2)]
    pads = [cases.number(0, 2) for _ in range(4)]
    size = [cases.number(1, 6), cases.number(1, 70 if cases.number(0, 9) == 0 else 7)]
    extra = [cases.number(0, strides[axis] - 1) for axis in (0, 1)]
    if flat:
        kernel[0], strides[0], dilations[0], size[0], extra[0] = 1, 1, 1, 1, 0
        pads[0] = pads[2] = 0
    output = []
    for axis in (0, 1):
        reach = (size[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1
        while reach + extra[axis] - pads[axis] - pads[axis + 2] < 1:
            pads[axis] = pads[axis + 2] = 0
        output.append(reach + extra[axis] - pads[axis] - pads[axis + 2])
    group = cases.pick(1, 1, 2, 3)
    group_inputs, group_outputs = cases.number(1, 5), cases.number(1, 6)
    batch = cases.number(1, 2)
    type_name = cases.pick(*TYPES) if wide else cases.pick(*EIGHT_BITS)
    channels = group * group_inputs
    source = cases.input((batch, channels, size[1]) if flat else (batch, channels, *size), type_name)
    wide = wide or type_name == "i16"
    weight, zero_point = weights(cases, (group * group_outputs, group_inputs, *kernel), wide)
    wide = type_name == "i16" or weight.dtype == np.int16
    bias, largest = bias_and_bound(cases, weight, zero_point, source, wide)
    target = cases.pick(*TYPES)
    outputs = (batch, weight.shape[0], output[1]) if flat else (batch, weight.shape[0], *output)
    attributes = {
        "strides": strides,
        "pads": pads,
        "dilations": dilations,
        "group": group,
        "weight_zero_point": zero_point,
    }
    constants = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    requantize = cases.requantization(target, largest, weight.shape[0] if cases.number(0, 1) else 1)
    cases.layer(
        "conv_transpose", [source], outputs, target, attributes=attributes, constants=constants, requantize=requantize
    )


def div(cases):
    """Often with multiplier 1, so that quotients are ties."""
    inputs, shape, attributes, constants, _ = binary(cases, "div")
    target = cases.pick(*TYPES)
    element = element_type(target)
    style = cases.pick("affine", "affine", "one", "one", "large")
    if style == "one":
        factor, shift = 1, cases.number(-3, 2)
        for tensor in inputs:
            values, point = cases.values[tensor.name], tensor.zero_point
            near = np.clip(values.astype(np.int64) // 16 + point, element_type(tensor.type).minimum, None)
            cases.values[tensor.name] = np.minimum(near, element_type(tensor.type).maximum).astype(values.dtype)
    elif style == "affine":
        shift = cases.number(0, 40)
        factor = cases.number(1 << 20, (1 << 31) - 1)
    else:
        factor, shift = cases.number(1 << 30, (1 << 31) - 1), -cases.number(1, 12)
    rounding = cases.pick("half_even", "half_away", "half_up")
    item = Requantization((factor,), (shift,), rounding, cases.zero_point(target), element.minimum, element.maximum)
    cases.layer("div", inputs, shape, target, attributes=attributes, constants=constants, requantize=item)


def extreme(cases):
    operation = cases.pick("minimum", "maximum")
    inputs, shape, attributes, constants, limits = binary(cases, operation)
    target = cases.pick(*TYPES)
    first = cases.requantization(target, max(limits[0], 1))
    second = cases.requantization(target, max(limits[1], 1), 1, first.rounding, first.zero_point)
    rules = [first, Requantization(*list(vars(second).values())[:4], first.low, first.high)]
    if cases.number(0, 3) == 0:
        rules[0] = Requantization((1,), (0,), first.rounding, first.zero_point, first.low, first.high)
    cases.layer(operation, inputs, shape, target, attributes=attributes, constants=constants, requantize=rules)


def prelu(cases):
    shape = (cases.number(1, 2), cases.number(1, 5), cases.number(1, 6), cases.pick(3, 5, 150))
    source = cases.input(shape, cases.pick(*TYPES))
    slope_type = cases.pick(*TYPES)
    slope_shape = cases.pick((shape[1], 1, 1), (1,), shape[1:], (shape[3],))
    zero_point = cases.zero_point(slope_type)
    slopes = cases.codes(slope_type, slope_shape)
    largest = max(int(np.abs(slopes.astype(np.int64) - zero_point).max()), 1) * offset_limit(source)
    target = cases.pick(*TYPES)
    first = cases.requantization(target, offset_limit(source))
    second = cases.requantization(target, largest, 1, first.rounding, first.zero_point)
    rules = [first, Requantization(*list(vars(second).values())[:4], first.low, first.high)]
    attributes = {"operand_zero_point": zero_point, "operand_position": 1}
    cases.layer(
        "prelu", [source], shape, target, attributes=attributes, constants={"operand": slopes}, requantize=rules
    )


def rounded_add(cases):
    inputs, shape, attributes, constants, _ = binary(cases, "rounded_add")
    types = [tensor.type for tensor in inputs] + ["i16" for array in constants.values() if array.dtype == np.int16]
    shift = 15 if "i16" in types else 20
    target = cases.pick(*TYPES)
    bounds = (-(2**31) + 1, 2**31 - 1)
    operands = [
        Requantization((cases.number(2**30, 2**31 - 1),), (cases.number(31, 36),), "double", 0, *bounds)
        for _ in range(2)
    ]
    total = cases.requantization(target, 2**31, 1, cases.pick("double", "half_even"))
    cases.layer(
        cases.pick("rounded_add", "rounded_sub"),
        inputs,
        shape,
        target,
        attributes={**attributes, "left_shift": shift},
        constants=constants,
        requantize=[*operands, total],
    )


def reduce_sum(cases):
    source, axes, keepdims, shape = reduction(cases)
    target = cases.pick(*TYPES)
    count = int(np.prod([source.shape[axis] for axis in axes]))
    requantize = cases.requantization(target, count * offset_limit(source))
    attributes = {"axes": axes, "keepdims": keepdims}
    cases.layer("reduce_sum", [source], shape, target, attributes=attributes, requantize=requantize)


def reduce_min(cases):
    source, axes, keepdims, shape = reduction(cases)
    attributes = {"axes": axes, "keepdims": keepdims}
    cases.layer("reduce_min", [source], shape, source.type, attributes=attributes, point=source.zero_point)


def lines(cases):
    shape = tuple(cases.number(1, 7) for _ in range(cases.number(1, 4)))
    axis = cases.number(0, len(shape) - 1)
    return (*shape[:axis], cases.number(1, 40), *shape[axis + 1 :]), axis


def arg(cases):
    shape, axis = lines(cases)
    source = cases.input(shape, cases.pick(*TYPES))
    if cases.number(0, 2):
        values = cases.values[source.name]
        cases.values[source.name] = (values // (10000 if source.type == "i16" else 60)).astype(values.dtype)
    keepdims = cases.number(0, 1)
    target, zero_point = cases.pick(("u8", 0), ("i8", -128), ("i16", 0))
    cases.layer(
        cases.pick("arg_max", "arg_min"),
        [source],
        (*shape[:axis], *(1,) * keepdims, *shape[axis + 1 :]),
        target,
        attributes={"axis": axis, "keepdims": keepdims, "last": cases.number(0, 1)},
        point=zero_point,
    )


def log_softmax(cases):
    shape, axis = lines(cases)
    source = cases.input(shape, cases.pick(*TYPES), scale=float(2.0 ** -cases.number(1, 12)))
    target = cases.pick(*TYPES)
    element = element_type(target)
    shift = cases.number(24, 40)
    rounding, zero_point = cases.pick("half_even", "half_away", "half_up", "double"), cases.zero_point(target)
    rules = [
        Requantization((cases.number(1, 2**top - 1),), (shift,), rounding, zero_point, element.minimum, element.maximum)
        for top in (31, 30)
    ]
    cases.layer(
        "log_softmax",
        [source],
        shape,
        target,
        attributes={"axis": axis},
        constants={"exponential": softmax_exponential(source), "logarithm": logarithm_table()},
        requantize=rules,
    )


def tile(cases):
    shape = tuple(cases.number(1, 4) for _ in range(cases.number(1, 3)))
    repeats = [cases.pick(1, 1, 2, 3) for _ in range(len(shape) + cases.number(0, 1))]
    source = cases.input(shape, cases.pick(*TYPES))
    seen = (1,) * (len(repeats) - len(shape)) + shape
    target = tuple(count * extent for count, extent in zip(repeats, seen, strict=True))
    moved(cases, "tile", source, target, {"repeats": repeats})


MORE_LAYERS = {
    "conv_transpose": conv_transpose,
    "div": div,
    "extreme": extreme,
    "prelu": prelu,
    "rounded_add": rounded_add,
    "reduce_sum": reduce_sum,
    "reduce_min": reduce_min,
    "arg": arg,
    "log_softmax": log_softmax,
    "tile": tile,
}
