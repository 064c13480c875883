"""Small random networks over operators, shapes, types, zero points and pads, and many of them as one program.

``random_bench(seed)`` is a network that import and calibration accept, ``random_program(seed)`` its integer program
under a random variant and profile, and ``joined`` puts programs side by side in one model, so that one compilation
tests them all. The same seed gives the same network; a failure names ``g<seed>/<tensor>``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx_models import MAIN
from quantize_bench import KINDS, Bench, rule

from npudsl.artifacts.model_formats import ReadRequest
from npudsl.artifacts.quantized_model import QuantizedModel
from npudsl.backends.onnx_reader import read_model
from npudsl.diagnostics import Problem, UserError
from npudsl.ir.passes import simplify
from npudsl.machine.execute import Machine

OPSET = 17
LARGEST = 3000
"""Elements of a tensor at most."""

PROFILES = ("exact", "tflite", "vip16", "vip24", "rk15", "nna")
SAMPLES = 3


@dataclass
class Network:
    """A network under construction. ``shapes`` are those of the activations so far."""

    random: np.random.Generator
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    positions: list[str] = field(default_factory=list)

    def number(self, low: int, high: int) -> int:
        """A random integer, both ends included."""
        return int(self.random.integers(low, high + 1))

    def pick(self, *choices: Any) -> Any:
        return choices[self.number(0, len(choices) - 1)]

    def input(self, shape: tuple[int, ...]) -> str:
        name = f"x{len(self.inputs)}"
        self.inputs.append(name)
        self.shapes[name] = shape
        return name

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def floats(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant((self.random.normal(0, scale, shape)).astype(np.float32))

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def add(self, op: str, inputs: list[str], shape: tuple[int, ...] | None = None, **attributes: Any) -> str:
        """A node; without ``shape`` its output has that of the first input."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"{op.lower()}{len(self.nodes)}", **attributes))
        self.shapes[name] = tuple(self.shapes[inputs[0]] if shape is None else shape)
        return name

    def tensor(self, *ranks: int) -> str | None:
        """A tensor of one of these ranks (any: none given), the later ones more often; None when there is none."""
        fitting = [name for name, shape in self.shapes.items() if not ranks or len(shape) in ranks]
        if not fitting:
            return None
        return fitting[max(self.number(0, len(fitting) - 1), self.number(0, len(fitting) - 1))]

    def model(self) -> bytes:
        read = {name for node in self.nodes for name in node.input}
        outputs = [name for node in self.nodes for name in node.output if name not in read]
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, self.shapes[name]) for name in self.inputs],
            [
                helper.make_tensor_value_info(
                    name,
                    onnx.TensorProto.INT64 if name in self.positions else onnx.TensorProto.FLOAT,
                    self.shapes[name],
                )
                for name in outputs
            ],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        data: bytes = model.SerializeToString()
        return data


def window(net: Network, size: tuple[int, ...], largest: int = 3) -> dict[str, Any]:
    """A window that fits ``size``, as attributes."""
    kernel = [net.number(1, min(largest, extent)) for extent in size]
    return {
        "kernel_shape": kernel,
        "strides": [net.number(1, 2) for _ in size],
        "pads": [net.number(0, kernel[axis % len(size)] - 1) for axis in range(2 * len(size))],
    }


def windowed(size: tuple[int, ...], given: dict[str, Any]) -> list[int]:
    """The extents that a window makes."""
    rank = len(size)
    dilations = given.get("dilations", [1] * rank)
    return [
        (
            extent
            + given["pads"][axis]
            + given["pads"][axis + rank]
            - dilations[axis] * (given["kernel_shape"][axis] - 1)
            - 1
        )
        // given["strides"][axis]
        + 1
        for axis, extent in enumerate(size)
    ]


def conv(net: Network) -> None:
    name = net.tensor(3, 4)
    if name is None:
        return
    batch, channels, *size = net.shapes[name]
    given = window(net, tuple(size))
    group = net.pick(1, channels, 2 if channels % 2 == 0 else 1)
    outputs = group * net.number(1, 3)
    weight = net.floats(outputs, channels // group, *given["kernel_shape"], scale=0.5)
    inputs = [name, weight, *([net.floats(outputs)] if net.number(0, 2) else [])]
    if net.number(0, 3) == 0:
        given["dilations"] = [1] * (len(size) - 1) + [2 if size[-1] + sum(given["pads"]) > 4 else 1]
    if min(windowed(tuple(size), given)) >= 1:
        activation(net, net.add("Conv", inputs, (batch, outputs, *windowed(tuple(size), given)), group=group, **given))


def conv_transpose(net: Network) -> None:
    name = net.tensor(3, 4)
    if name is None:
        return
    batch, channels, *size = net.shapes[name]
    given = window(net, tuple(max(extent, 2) for extent in size))
    given["pads"] = [pad if extent > 2 else 0 for pad, extent in zip(given["pads"], size * 2, strict=True)]
    group = net.pick(1, channels)
    outputs = net.number(1, 3)
    weight = net.floats(channels, outputs, *given["kernel_shape"], scale=0.5)
    extra = [net.number(0, stride - 1) for stride in given["strides"]]
    shape = [
        (extent - 1) * given["strides"][axis] + given["kernel_shape"][axis] + extra[axis] - given["pads"][axis]
        - given["pads"][axis + len(size)]
        for axis, extent in enumerate(size)
    ]  # fmt: skip
    if min(shape) >= 1 and batch * group * outputs * int(np.prod(shape)) < LARGEST:
        inputs = [name, weight, *([net.floats(group * outputs)] if net.number(0, 1) else [])]
        activation(
            net,
            net.add(
                "ConvTranspose", inputs, (batch, group * outputs, *shape), group=group, output_padding=extra, **given
            ),
        )


def activation(net: Network, name: str) -> None:
    """Sometimes a Relu, a Clip, or a function behind a layer."""
    match net.number(0, 4):
        case 0:
            net.add("Relu", [name])
        case 1:
            low, high = net.constant(np.float32(-0.5)), net.constant(np.float32(net.pick(1.0, 6.0)))
            net.add("Clip", [name, low, high])
        case 2:
            swish(net, name)
        case _:
            pass


def swish(net: Network, name: str) -> None:
    gate = net.add(net.pick("Sigmoid", "HardSigmoid"), [name])
    net.add("Mul", [name, gate])


def matrix(net: Network) -> None:
    name = net.tensor(2, 3)
    if name is None:
        return
    shape = net.shapes[name]
    outputs = net.number(1, 9)
    weight = net.floats(shape[-1], outputs, scale=0.5)
    result = net.add("MatMul", [name, weight], (*shape[:-1], outputs))
    if net.number(0, 1):
        activation(net, net.add("Add", [result, net.floats(outputs)]))


def product(net: Network) -> None:
    name = net.tensor(2, 3, 4)
    if name is None:
        return
    shape = net.shapes[name]
    turned = net.add(
        "Transpose",
        [name],
        (*shape[:-2], shape[-1], shape[-2]),
        perm=[*range(len(shape) - 2), len(shape) - 1, len(shape) - 2],
    )
    net.add("MatMul", [name, turned], (*shape[:-1], shape[-2]))


def binary(net: Network) -> None:
    name = net.tensor(1, 2, 3, 4)
    assert name is not None
    shape = net.shapes[name]
    op = net.pick("Add", "Sub", "Mul", "Max", "Min")
    same = [other for other in net.shapes if net.shapes[other] == shape]
    if net.number(0, 1) and len(same) > 1:
        net.add(op, [name, net.pick(*same)])
        return
    narrowed = tuple(extent if net.number(0, 1) else 1 for extent in shape)
    if net.number(0, 1):
        net.add(op, [name, net.floats(*narrowed[net.number(0, len(shape) - 1) :])])
    else:
        axes = [axis for axis in range(len(shape)) if narrowed[axis] == 1]
        mean = net.add("ReduceMean", [name], narrowed, axes=axes, keepdims=1) if axes else name
        net.add(op, [mean, name] if net.number(0, 1) else [name, mean], shape)


def quotient(net: Network) -> None:
    name = net.tensor()
    assert name is not None
    size = net.add("Abs", [name])
    divisor = net.add("Add", [size, net.constant(np.float32(1.0))])
    net.add("Div", [name, divisor] if net.number(0, 2) else [net.floats(*net.shapes[name]), divisor], net.shapes[name])


def unary(net: Network) -> None:
    name = net.tensor()
    assert name is not None
    op = net.pick(
        "Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "Elu", "Abs", "Neg", "Softplus", "Sin", "Relu", "Softsign", "Floor"
    )
    net.add(op, [name])


def slopes(net: Network) -> None:
    name = net.tensor(3, 4)
    if name is not None:
        shape = net.shapes[name]
        net.add("PRelu", [name, net.floats(shape[1], *(1,) * (len(shape) - 2), scale=0.3)])


def softmax(net: Network) -> None:
    name = net.tensor()
    assert name is not None
    net.add(
        net.pick("Softmax", "LogSoftmax"), [name], axis=net.number(-len(net.shapes[name]), len(net.shapes[name]) - 1)
    )


def pool(net: Network) -> None:
    name = net.tensor(3, 4)
    if name is None:
        return
    batch, channels, *size = net.shapes[name]
    given = window(net, tuple(size))
    shape = (batch, channels, *windowed(tuple(size), given))
    if net.number(0, 1):
        net.add("MaxPool", [name], shape, **given)
    else:
        net.add("AveragePool", [name], shape, count_include_pad=net.number(0, 1), **given)


def reduction(net: Network) -> None:
    name = net.tensor(2, 3, 4)
    if name is None:
        return
    shape = net.shapes[name]
    axes = sorted(net.random.permutation(len(shape))[: net.number(1, len(shape) - 1)].tolist())
    keep = net.number(0, 1)
    result = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape) if keep or axis not in axes)
    op = net.pick("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")
    if op == "ReduceSum":
        net.add(op, [name, net.integers(*axes)], result, keepdims=keep)
    else:
        net.add(op, [name], result, axes=axes, keepdims=keep)


def moved(net: Network) -> None:
    name = net.tensor(2, 3, 4)
    if name is None:
        return
    shape = net.shapes[name]
    match net.number(0, 5):
        case 0:
            order = net.random.permutation(len(shape)).tolist()
            net.add("Transpose", [name], tuple(shape[axis] for axis in order), perm=order)
        case 1:
            flat = (shape[0], int(np.prod(shape[1:])))
            net.add("Reshape", [name, net.integers(*flat)], flat)
        case 2:
            axis = net.number(0, len(shape) - 1)
            start = net.number(0, shape[axis] - 1)
            step = net.pick(1, 1, 2, -1)
            end = net.number(start + 1, shape[axis]) if step > 0 else -(2**40)
            extent = len(range(start, end, step)) if step > 0 else start + 1
            bounds = [net.integers(item) for item in (start, end, axis, step)]
            net.add("Slice", [name, *bounds], (*shape[:axis], extent, *shape[axis + 1 :]))
        case 3:
            axis = net.number(0, len(shape) - 1)
            indices = [net.number(-shape[axis], shape[axis] - 1) for _ in range(net.number(1, 3))]
            net.add(
                "Gather", [name, net.integers(*indices)], (*shape[:axis], len(indices), *shape[axis + 1 :]), axis=axis
            )
        case 4:
            repeats = [net.pick(1, 1, 2) for _ in shape]
            result = tuple(count * extent for count, extent in zip(repeats, shape, strict=True))
            if np.prod(result) < LARGEST:
                net.add("Tile", [name, net.integers(*repeats)], result)
        case _:
            padded(net, name)


def padded(net: Network, name: str) -> None:
    shape = net.shapes[name]
    mode = net.pick("constant", "constant", "edge", "reflect")
    if mode == "reflect" and min(shape) < 3:
        mode = "edge"
    pads = [net.number(0, 2) for _ in range(2 * len(shape))]
    result = tuple(extent + pads[axis] + pads[axis + len(shape)] for axis, extent in enumerate(shape))
    inputs = [name, net.integers(*pads)]
    if mode == "constant" and net.number(0, 1):
        inputs.append(net.constant(np.float32(net.random.normal())))
    if np.prod(result) < LARGEST:
        net.add("Pad", inputs, result, mode=mode)


def joined_tensors(net: Network) -> None:
    name = net.tensor(2, 3, 4)
    if name is None:
        return
    shape = net.shapes[name]
    axis = net.number(0, len(shape) - 1)
    fitting = [
        other
        for other, found in net.shapes.items()
        if len(found) == len(shape)
        and all(a == b for at, (a, b) in enumerate(zip(found, shape, strict=True)) if at != axis)
    ]
    chosen = [name, *(net.pick(*fitting) for _ in range(net.number(1, 2)))]
    net.add(
        "Concat",
        chosen,
        (*shape[:axis], sum(net.shapes[item][axis] for item in chosen), *shape[axis + 1 :]),
        axis=axis,
    )


def resized(net: Network) -> None:
    name = net.tensor(4)
    if name is None:
        return
    shape = net.shapes[name]
    size = (net.number(1, 8), net.number(1, 8))
    mode = net.pick("nearest", "linear")
    coordinates = net.pick("half_pixel", "asymmetric", "align_corners")
    net.add(
        "Resize",
        [name, "", "", net.integers(*shape[:2], *size)],
        (*shape[:2], *size),
        mode=mode,
        coordinate_transformation_mode=coordinates,
        nearest_mode="floor",
    )


def blocks(net: Network) -> None:
    name = net.tensor(4)
    if name is None:
        return
    batch, channels, height, width = net.shapes[name]
    if channels % 4 == 0:
        mode = net.pick("DCR", "CRD")
        net.add("DepthToSpace", [name], (batch, channels // 4, height * 2, width * 2), blocksize=2, mode=mode)
    elif height % 2 == 0 and width % 2 == 0:
        net.add("SpaceToDepth", [name], (batch, channels * 4, height // 2, width // 2), blocksize=2)


def recurrent(net: Network) -> None:
    name = net.tensor(3)
    if name is None or net.shapes[name][0] > 4 or any(node.op_type in ("LSTM", "GRU") for node in net.nodes):
        return
    steps, batch, width = net.shapes[name]
    op, gates = net.pick(("LSTM", 4), ("GRU", 3))
    hidden = net.number(1, 4)
    weight, state = net.floats(1, gates * hidden, width, scale=0.5), net.floats(1, gates * hidden, hidden, scale=0.5)
    net.add(op, [name, weight, state, net.floats(1, 2 * gates * hidden)], (steps, 1, batch, hidden), hidden_size=hidden)


def position(net: Network) -> None:
    """A last layer: its positions are read by nobody."""
    name = net.tensor(2, 3, 4)
    if name is None or net.positions:
        return
    shape = net.shapes[name]
    axis = net.number(0, len(shape) - 1)
    made = net.add(net.pick("ArgMax", "ArgMin"), [name], (*shape[:axis], *shape[axis + 1 :]), axis=axis, keepdims=0)
    net.positions.append(made)
    del net.shapes[made]


OPERATORS: tuple[Callable[[Network], None], ...] = (
    conv, conv, conv_transpose, matrix, product, binary, binary, binary, quotient, unary, unary, slopes, softmax, pool,
    reduction, moved, moved, joined_tensors, resized, blocks, recurrent,
)  # fmt: skip


def random_network(seed: int) -> Network:
    """Two to seven layers, sometimes with a position at the end."""
    net = Network(np.random.default_rng(seed))
    rank = net.pick(2, 3, 4, 4, 4)
    for _ in range(net.number(1, 2)):
        net.input(
            (net.pick(1, 1, 2), *(net.number(1, 4) if axis == 0 else net.number(2, 8) for axis in range(rank - 1)))
        )
    count = net.number(2, 7)
    for _ in range(40):
        if len(net.nodes) >= count:
            break
        net.pick(*OPERATORS)(net)
    if net.number(0, 5) == 0:
        shapes = dict(net.shapes)
        position(net)
        net.shapes.update({name: shapes.get(name) or _argmax_shape(net, name) for name in net.positions})
    return net


def _argmax_shape(net: Network, name: str) -> tuple[int, ...]:
    (node,) = (node for node in net.nodes if name in node.output)
    shape = net.shapes[node.input[0]]
    axis = next(item.i for item in node.attribute if item.name == "axis")
    return (*shape[:axis], *shape[axis + 1 :])


def random_bench(seed: int) -> Bench:
    """The network of a seed, simplified and calibrated on random samples."""
    net = random_network(seed)
    graph = simplify(read_model(ReadRequest({MAIN: net.model()}, MAIN, (), ())).graph)
    scales = [float(2.0 ** net.random.uniform(-3, 3)) for _ in graph.inputs]
    shifts = [float(net.pick(0.0, 0.0, net.random.normal(0, 2))) for _ in graph.inputs]
    samples = [
        {
            name: (net.random.normal(0, scale, graph.types[name].shape) + shift).astype(np.float32)
            for name, scale, shift in zip(graph.inputs, scales, shifts, strict=True)
        }
        for _ in range(SAMPLES)
    ]
    return Bench.of(graph, samples)


def random_program(seed: int) -> tuple[Bench, QuantizedModel] | None:
    """The network of a seed under a random variant; None when the variant is refused (numbers that do not fit)."""
    random = np.random.default_rng([seed, 1])
    bench = random_bench(seed)
    kind = KINDS[str(random.choice(list(KINDS)))]
    types = ("i8", "i16") if kind["scheme"].startswith("dynamic") else ("u8", "i8", "i16")
    rules = [
        rule("layer", group.name, **{"activations.type".replace(".", "__"): str(random.choice(types))})
        for group in bench.groups
        if random.random() < 0.25 and not group.passthrough
    ]
    saturation = "symmetric" if random.random() < 0.2 else "full"
    profile = str(random.choice(PROFILES))
    try:
        return bench, bench.quantize(*rules, profile=profile, saturation=saturation, **kind)
    except (UserError, Problem) as error:
        if {item.code for item in error.diagnostics} <= {"E0611"}:
            return None
        raise


@dataclass
class Joined:
    """Several programs as one model, with the codes of their inputs and every value that numpy finds."""

    model: QuantizedModel
    values: dict[str, Any]
    golden: dict[str, Any]
    reader: Any


@dataclass
class _Readers:
    """Constants of all programs; blobs are found by content."""

    readers: list[Any]

    def read_array(self, blob: Any) -> Any:
        for reader in self.readers:
            try:
                return reader.read_array(blob)
            except KeyError:
                continue
        raise KeyError(blob.digest)


def joined(programs: dict[int, tuple[Bench, QuantizedModel]]) -> Joined:
    """The programs side by side; names begin with ``g<seed>/``."""
    tensors, layers, values, golden = {}, [], {}, {}
    inputs, outputs = [], []
    for seed, (bench, model) in programs.items():
        prefix = f"g{seed}/"
        machine = Machine(model, bench.space, compiled=False)
        entering = {name: machine.quantize_input(bench.samples[0][name], name) for name in model.inputs}
        found = {**entering, **machine.run(entering, keep="all")}
        values.update({prefix + name: value for name, value in entering.items()})
        golden.update({prefix + name: value for name, value in found.items()})
        tensors.update({prefix + name: replace(item, name=prefix + name) for name, item in model.tensors.items()})
        inputs += [prefix + name for name in model.inputs]
        outputs += [prefix + name for name in model.outputs]
        layers += [
            replace(
                layer,
                name=prefix + layer.name,
                inputs=tuple(prefix + name for name in layer.inputs),
                outputs=tuple(prefix + name for name in layer.outputs),
            )
            for layer in model.layers
        ]
    model = QuantizedModel("joined", "random", "exact", tuple(inputs), tuple(outputs), tensors, {}, tuple(layers))
    return Joined(model, values, golden, _Readers([bench.space for bench, _ in programs.values()]))
