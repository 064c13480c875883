"""One random layer of every operation, for ``Cases``."""

from __future__ import annotations

import numpy as np
from c_project_cases import EIGHT_BITS, TYPES, offset_limit

from npudsl.artifacts.quantized_model import Requantization
from npudsl.machine.pooling import average_pool_divisors, pool_windows
from npudsl.machine.resampling import linear_positions, nearest_positions
from npudsl.machine.tables import softmax_exponential
from npudsl.numerics.types import element_type


def weights(cases, shape, wide):
    """Codes and zero point of a weight; 16-bit layers sometimes have 8-bit weights and the reverse."""
    type_name = cases.pick("u8", "i8", "i16") if wide else cases.pick(*EIGHT_BITS)
    return cases.codes(type_name, shape), cases.pick(0, 0, cases.zero_point(type_name))


def bias_and_bound(cases, weight, zero_point, source, wide):
    """A bias, or None, and a bound of the sums with it; ``weight`` has the channels first."""
    taps = np.abs(weight.astype(np.int64) - zero_point).reshape(weight.shape[0], -1).sum(axis=1)
    largest = max(int(taps.max()) * offset_limit(source), 1)
    if cases.number(0, 4) == 0:
        return None, largest
    bias = cases.random.integers(-largest // 4, largest // 4 + 1, weight.shape[0])
    return bias.astype(np.int64 if wide else np.int32), largest + largest // 4


def conv(cases):
    wide = cases.number(0, 2) == 0
    kind = cases.pick("general", "general", "pointwise", "grouped", "depthwise", "depthwise", "one dimension")
    kernel = (1, 1) if kind == "pointwise" else (cases.number(1, 4), cases.number(1, 4))
    strides = (1, 1) if kind == "pointwise" and cases.number(0, 3) else (cases.number(1, 3), cases.number(1, 3))
    dilations = (cases.pick(1, 1, 2), cases.pick(1, 1, 3))
    pads = [0] * 4 if kind == "pointwise" and cases.number(0, 3) else [cases.number(0, 3) for _ in range(4)]
    if kind == "general" and cases.number(0, 5) == 0:
        pads = [cases.number(-1, 1) for _ in range(4)]
    if kind == "one dimension":
        kernel, strides, dilations, pads = (1, kernel[1]), (1, strides[1]), (1, dilations[1]), [0, pads[1], 0, pads[3]]
    group = {"grouped": cases.number(2, 3), "depthwise": cases.number(2, 9)}.get(kind, 1)
    group_inputs = 1 if kind == "depthwise" else cases.number(1, 9)
    group_outputs = cases.number(1, 2) if kind == "depthwise" else cases.number(1, 11)
    reach = [dilations[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    size = [max(reach[axis] - pads[axis] - pads[axis + 2], 1) + cases.number(0, 9) for axis in (0, 1)]
    size = [max(extent, 3) for extent in size]
    if kind == "one dimension":
        size[0] = 1
    output = [(size[a] + pads[a] + pads[a + 2] - reach[a]) // strides[a] + 1 for a in (0, 1)]
    batch = cases.number(1, 2)
    type_name = cases.pick(*TYPES) if wide else cases.pick(*EIGHT_BITS)
    flat = kind == "one dimension"
    shape = (batch, group * group_inputs, size[1]) if flat else (batch, group * group_inputs, *size)
    source = cases.input(shape, type_name)
    wide = wide or type_name == "i16"
    weight, zero_point = weights(cases, (group * group_outputs, group_inputs, *kernel), wide)
    wide = type_name == "i16" or weight.dtype == np.int16
    bias, largest = bias_and_bound(cases, weight, zero_point, source, wide)
    target = cases.pick(*TYPES)
    channels = weight.shape[0] if cases.number(0, 1) else 1
    outputs = (batch, weight.shape[0], output[1]) if flat else (batch, weight.shape[0], *output)
    attributes = {
        "strides": list(strides),
        "pads": pads,
        "dilations": list(dilations),
        "group": group,
        "weight_zero_point": zero_point,
    }
    constants = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    requantize = cases.requantization(target, largest, channels)
    cases.layer("conv", [source], outputs, target, attributes=attributes, constants=constants, requantize=requantize)


def linear(cases):
    wide = cases.number(0, 2) == 0
    type_name = "i16" if wide else cases.pick(*EIGHT_BITS)
    rows = cases.pick((), (1,), (3,), (2, 5), (70,))
    inputs, outputs = cases.number(1, 70), cases.number(1, 13)
    source = cases.input((*rows, inputs), type_name)
    weight, zero_point = weights(cases, (outputs, inputs), wide)
    bias, largest = bias_and_bound(cases, weight, zero_point, source, wide)
    constants = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    target = cases.pick(*TYPES)
    cases.layer(
        "linear",
        [source],
        (*rows, outputs),
        target,
        attributes={"weight_zero_point": zero_point},
        constants=constants,
        requantize=cases.requantization(target, largest, cases.pick(1, outputs)),
    )


def matmul(cases):
    inner, rows, columns = cases.number(1, 40), cases.number(1, 9), cases.number(1, 9)
    a_shape, b_shape = cases.pick(
        ((rows, inner), (inner, columns)),
        ((2, 3, rows, inner), (2, 3, inner, columns)),
        ((2, 1, rows, inner), (3, inner, columns)),
        ((2, rows, inner), (inner, columns)),
        ((inner,), (2, inner, columns)),
        ((2, rows, inner), (inner,)),
        ((inner,), (inner,)),
    )
    a, b = cases.input(a_shape, cases.pick(*TYPES)), cases.input(b_shape, cases.pick(*TYPES))
    shape = np.matmul(np.zeros(a_shape), np.zeros(b_shape)).shape
    target = cases.pick(*TYPES)
    largest = inner * offset_limit(a) * offset_limit(b)
    cases.layer("matmul", [a, b], shape, target, requantize=cases.requantization(target, largest))


def shapes_to_broadcast(cases):
    shape = tuple(cases.number(1, 5) for _ in range(cases.number(1, 4)))
    if cases.number(0, 3) == 0:
        shape = (*shape, cases.number(100, 300))
    other = cases.pick(
        shape,
        shape,
        tuple(extent if cases.number(0, 1) else 1 for extent in shape),
        shape[cases.number(0, len(shape) - 1) :],
        (1,) * len(shape),
        (),
    )
    return (shape, other) if cases.number(0, 1) else (other, shape)


def binary(cases, operation):
    """Two inputs, or one and a constant; returns the layer without requantization."""
    first, second = shapes_to_broadcast(cases)
    target = np.broadcast_shapes(first, second)
    if cases.number(0, 2):
        a, b = cases.input(first, cases.pick(*TYPES)), cases.input(second, cases.pick(*TYPES))
        return [a, b], target, {}, {}, (offset_limit(a), offset_limit(b))
    position = cases.number(0, 1)
    shapes = [first, second]
    type_name = cases.pick(*TYPES)
    zero_point = cases.zero_point(type_name)
    operand = cases.codes(type_name, shapes[position])
    source = cases.input(shapes[1 - position], cases.pick(*TYPES))
    attributes = {"operand_zero_point": zero_point, "operand_position": position}
    limits = [offset_limit(source)]
    limits.insert(position, max(int(np.abs(operand.astype(np.int64) - zero_point).max()), 1))
    return [source], target, attributes, {"operand": operand}, tuple(limits)


def add(cases):
    operation = cases.pick("add", "sub")
    inputs, shape, attributes, constants, limits = binary(cases, operation)
    target = cases.pick(*TYPES)
    style = cases.pick("affine", "affine", "one", "fixed point")
    bits = element_type(target).bits
    if style == "one":
        factors, shift = (1, 1), 0
    elif style == "fixed point":
        factors, shift = cases.pick((1, 1 << cases.number(0, 40)), (1 << cases.number(0, 8), 1)), cases.number(-3, 30)
    else:
        shift = 31 + max(int(max(limits)).bit_length() - bits, 0) + cases.number(-1, 1)
        factors = (cases.number(2**29, 2**31 - 1), cases.number(2**20, 2**31 - 1))
    first = cases.requantization(target, 100)
    pair = [
        Requantization((factor,), (shift,), first.rounding, first.zero_point, first.low, first.high)
        for factor in factors
    ]
    cases.layer(operation, inputs, shape, target, attributes=attributes, constants=constants, requantize=pair)


def mul(cases):
    inputs, shape, attributes, constants, limits = binary(cases, "mul")
    target = cases.pick(*TYPES)
    requantize = cases.requantization(target, limits[0] * limits[1])
    cases.layer("mul", inputs, shape, target, attributes=attributes, constants=constants, requantize=requantize)


def rescale(cases):
    shape = cases.pick((7,), (2, 3, 5, 9), (1, 600), ())
    source = cases.input(shape, cases.pick(*TYPES))
    target = cases.pick(*TYPES)
    cases.layer("rescale", [source], shape, target, requantize=cases.requantization(target, offset_limit(source)))


def concat(cases):
    rank = cases.number(1, 4)
    axis = cases.number(0, rank - 1)
    shape = [cases.number(1, 12) for _ in range(rank)]
    target = cases.pick(*TYPES)
    first = cases.requantization(target, 300)
    sources, rules = [], []
    for _ in range(cases.number(1, 3)):
        shape[axis] = cases.number(1, 30)
        source = cases.input(tuple(shape), cases.pick(*TYPES))
        rule = cases.requantization(target, offset_limit(source), zero_point=first.zero_point)
        if source.type == target and cases.number(0, 1):
            rule = Requantization((1,), (0,), rule.rounding, rule.zero_point, rule.low, rule.high)
        sources.append(source)
        rules.append(rule)
    shape[axis] = sum(source.shape[axis] for source in sources)
    cases.layer("concat", sources, tuple(shape), target, attributes={"axis": axis}, requantize=rules)


def table(cases):
    source, target = cases.pick(*TYPES), cases.pick(*TYPES)
    if source == "i16" and cases.number(0, 2):
        source = "i8"
    element = element_type(source)
    shape = (cases.number(1, 3), cases.number(1, 200))
    values = cases.codes(target, (element.maximum - element.minimum + 1,))
    cases.layer("table", [cases.input(shape, source)], shape, target, constants={"table": values}, point=0)


def softmax(cases):
    shape = cases.pick((1, 10), (2, 3, 4), (5,), (2, 200), (1, 4, 3, 3))
    scale = cases.pick(0.001, 0.02, 0.1, 0.5, 3.0)
    source = cases.input(shape, cases.pick(*TYPES), scale=scale)
    target = cases.pick(*TYPES)
    element = element_type(target)
    denominator = cases.pick(255, 256, 127) if element.bits == 8 else cases.pick(32767, 32768)
    point = cases.pick(element.minimum, 0)
    requantize = Requantization((1,), (0,), "half_up", point, element.minimum, element.maximum)
    cases.layer(
        "softmax",
        [source],
        shape,
        target,
        attributes={"axis": cases.number(-len(shape), len(shape) - 1), "denominator": denominator},
        constants={"exponential": softmax_exponential(source)},
        requantize=requantize,
    )


def window(cases):
    kernel = (cases.number(1, 4), cases.number(1, 4))
    size = (cases.number(4, 13), cases.number(4, 13))
    strides = (cases.number(1, 3), cases.number(1, 3))
    pads = tuple(cases.number(0, kernel[axis % 2] - 1) for axis in range(4))
    return size, kernel, strides, pads


def max_pool(cases):
    size, kernel, strides, pads = window(cases)
    dilations = (cases.pick(1, 1, 2), 1) if kernel[0] < 3 and pads[0] == 0 == pads[2] else (1, 1)
    geometry = pool_windows(size, kernel, strides, pads, dilations, bool(cases.number(0, 1)))
    source = cases.input((cases.number(1, 2), 3, *size), cases.pick(*TYPES))
    attributes = {
        "kernel": list(kernel),
        "strides": list(strides),
        "pads": list(geometry.pads),
        "dilations": list(dilations),
    }
    shape = (*source.shape[:2], *geometry.output)
    cases.layer("max_pool", [source], shape, source.type, attributes=attributes, point=source.zero_point)


def average_pool(cases):
    size, kernel, strides, pads = window(cases)
    geometry = pool_windows(size, kernel, strides, pads, ceil_mode=bool(cases.number(0, 1)))
    counted = average_pool_divisors(size, kernel, strides, pads, geometry.output, bool(cases.number(0, 1)))
    source = cases.input((cases.number(1, 2), 3, *size), cases.pick(*TYPES))
    target = cases.pick(*TYPES)
    first = cases.requantization(target, kernel[0] * kernel[1] * offset_limit(source))
    rules = [first] + [
        cases.requantization(target, divisor * offset_limit(source), 1, first.rounding, first.zero_point)
        for divisor in counted.divisors[1:]
    ]
    attributes = {
        "kernel": list(kernel),
        "strides": list(strides),
        "pads": list(geometry.pads),
        "divisors": list(counted.divisors),
    }
    cases.layer(
        "average_pool",
        [source],
        (*source.shape[:2], *geometry.output),
        target,
        attributes=attributes,
        constants={"divisor_index": counted.index},
        requantize=rules,
    )


def reduction(cases):
    shape = tuple(cases.number(1, 6) for _ in range(cases.number(1, 4)))
    if cases.number(0, 2) == 0:
        shape = (2, 3, cases.number(10, 20), cases.number(10, 20))
    axes = sorted(cases.random.permutation(len(shape))[: cases.number(1, len(shape))].tolist())
    keepdims = cases.number(0, 1)
    target = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape) if keepdims or axis not in axes)
    return cases.input(shape, cases.pick(*TYPES)), axes, keepdims, target


def global_average_pool(cases):
    source, axes, keepdims, shape = reduction(cases)
    target = cases.pick(*TYPES)
    count = int(np.prod([source.shape[axis] for axis in axes]))
    requantize = cases.requantization(target, count * offset_limit(source))
    attributes = {"axes": axes, "keepdims": keepdims}
    cases.layer("global_average_pool", [source], shape, target, attributes=attributes, requantize=requantize)


def reduce_max(cases):
    source, axes, keepdims, shape = reduction(cases)
    attributes = {"axes": axes, "keepdims": keepdims}
    cases.layer("reduce_max", [source], shape, source.type, attributes=attributes, point=source.zero_point)


def moved(cases, operation, source, shape, attributes, constants=None):
    cases.layer(
        operation,
        [source],
        shape,
        source.type,
        attributes=attributes,
        constants=constants,
        point=source.zero_point,
    )


def reshape(cases):
    source = cases.input((2, 3, 4), cases.pick(*TYPES))
    operation, shape = cases.pick(("reshape", (4, 6)), ("reshape", (24,)), ("identity", (2, 3, 4)))
    moved(cases, operation, source, shape, {})


def transpose(cases):
    shape = tuple(cases.number(1, 6) for _ in range(cases.number(1, 5)))
    order = cases.random.permutation(len(shape)).tolist()
    source = cases.input(shape, cases.pick(*TYPES))
    moved(cases, "transpose", source, tuple(shape[axis] for axis in order), {"permutation": order})


def slices(cases):
    shape = tuple(cases.number(2, 9) for _ in range(cases.number(1, 4)))
    starts, ends, steps, target = [], [], [], []
    for extent in shape:
        step = cases.pick(1, 1, 2, 3, -1, -2)
        first = cases.number(0, extent - 1)
        start, end = (first, cases.number(first + 1, extent)) if step > 0 else (first, cases.number(-1, first - 1))
        starts.append(start)
        ends.append(end)
        steps.append(step)
        target.append(len(range(start, end, step)))
    source = cases.input(shape, cases.pick(*TYPES))
    moved(cases, "slice", source, tuple(target), {"starts": starts, "ends": ends, "steps": steps})


def pad(cases):
    shape = tuple(cases.number(3, 6) for _ in range(cases.number(1, 4)))
    mode = cases.pick("constant", "edge", "reflect")
    low = -1 if cases.number(0, 2) == 0 else 0
    pads = [cases.number(low, 1 if mode == "reflect" else 3) for _ in range(2 * len(shape))]
    source = cases.input(shape, cases.pick(*TYPES))
    target = tuple(extent + pads[a] + pads[len(shape) + a] for a, extent in enumerate(shape))
    attributes = {"pads": pads, "mode": mode}
    if mode == "constant":
        attributes["code"] = int(cases.codes(source.type, (1,))[0])
    moved(cases, "pad", source, target, attributes)


def gather(cases):
    shape = tuple(cases.number(2, 6) for _ in range(cases.number(1, 3)))
    axis = cases.number(0, len(shape) - 1)
    indices = cases.random.integers(-shape[axis], shape[axis], cases.pick((), (3,), (2, 2)))
    source = cases.input(shape, cases.pick(*TYPES))
    target = (*shape[:axis], *indices.shape, *shape[axis + 1 :])
    moved(cases, "gather", source, target, {"axis": axis}, {"indices": np.asarray(indices, dtype=np.int64)})


def resize_nearest(cases):
    size, target = (cases.number(1, 6), cases.number(1, 6)), (cases.number(1, 9), cases.number(1, 9))
    source = cases.input((2, 3, *size), cases.pick(*TYPES))
    constants = {
        "rows": nearest_positions(size[0], target[0]).astype(np.int32),
        "columns": nearest_positions(size[1], target[1]).astype(np.int32),
    }
    moved(cases, "resize_nearest", source, (2, 3, *target), {}, constants)


def resize_linear(cases):
    size, shape = (cases.number(1, 6), cases.number(1, 6)), (cases.number(1, 9), cases.number(1, 9))
    source = cases.input((1, 2, *size), cases.pick(*TYPES))
    rows, columns = linear_positions(size[0], shape[0]), linear_positions(size[1], shape[1])
    target = cases.pick(*TYPES)
    cases.layer(
        "resize_linear",
        [source],
        (1, 2, *shape),
        target,
        attributes={"weight_bits": 11},
        constants={
            "row_low": rows.low,
            "row_high": rows.high,
            "row_weight": rows.weight,
            "column_low": columns.low,
            "column_high": columns.high,
            "column_weight": columns.weight,
        },
        requantize=cases.requantization(target, offset_limit(source) << 22),
    )


def blocks(cases):
    block = cases.number(1, 3)
    height, width, depth = cases.number(1, 4), cases.number(1, 4), cases.number(1, 3)
    narrow, wide = (2, depth * block * block, height, width), (2, depth, height * block, width * block)
    if cases.number(0, 1):
        source = cases.input(narrow, cases.pick(*TYPES))
        moved(cases, "depth_to_space", source, wide, {"block": block, "mode": cases.pick("DCR", "CRD")})
    else:
        source = cases.input(wide, cases.pick(*TYPES))
        moved(cases, "space_to_depth", source, narrow, {"block": block, "mode": "DCR"})


LAYERS = {
    "conv": conv,
    "linear": linear,
    "matmul": matmul,
    "add": add,
    "mul": mul,
    "rescale": rescale,
    "concat": concat,
    "table": table,
    "softmax": softmax,
    "max_pool": max_pool,
    "average_pool": average_pool,
    "global_average_pool": global_average_pool,
    "reduce_max": reduce_max,
    "reshape": reshape,
    "transpose": transpose,
    "slice": slices,
    "pad": pad,
    "gather": gather,
    "resize_nearest": resize_nearest,
    "resize_linear": resize_linear,
    "blocks": blocks,
}
