"""A small network with two branches, in float and as integer programs made by hand.

Segments: 0 conv1 | 1 conv2, add1 | 2 conv3 | 3 add2, pool, logits. The tensor of add1 is read in segments 2 and 3; in
the mixed program both read it as i16 through one converter.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from npudsl.artifacts.float_model import FloatModel
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, TensorQuantization, WeightQuantization
from npudsl.data.sample import Sample, SampleFile, SampleSet, sample_digest
from npudsl.ir import float_run
from npudsl.ir.graph import Graph, Node, TensorType
from npudsl.ir.groups import Clamp, LayerGroup
from npudsl.ir.onnx_proto import to_onnx
from npudsl.keys import digest_bytes
from npudsl.language.program import Input
from npudsl.machine.lowering import lower_add, lower_global_average_pool, lower_rescale, lower_weighted
from npudsl.numerics.affine import affine_parameters, quantize, quantize_bias

CHANNELS = 3
CLASSES = 5
INPUT = Input("data")
RELU = Clamp(0.0, None)

SHAPES = {
    "data": (1, 2, 6, 6),
    "t1": (1, CHANNELS, 6, 6),
    "t2": (1, CHANNELS, 6, 6),
    "t3": (1, CHANNELS, 6, 6),
    "t4": (1, CHANNELS, 6, 6),
    "t5": (1, CHANNELS, 6, 6),
    "t6": (1, CHANNELS, 1, 1),
    "scores": (1, CLASSES, 1, 1),
}

GROUPS = (
    LayerGroup(
        "conv1", "Conv", ("conv1", "relu1"), ("data",), ("t1",), ("w1",), "b1", clamp=RELU, segment=0, macs=1944
    ),
    LayerGroup("conv2", "Conv", ("conv2",), ("t1",), ("t2",), ("w2",), "b2", segment=1, macs=324),
    LayerGroup("add1", "Add", ("add1", "relu2"), ("t1", "t2"), ("t3",), clamp=RELU, segment=1),
    LayerGroup("conv3", "Conv", ("conv3",), ("t3",), ("t4",), ("w3",), "b3", segment=2, macs=324),
    LayerGroup("add2", "Add", ("add2",), ("t3", "t4"), ("t5",), segment=3),
    LayerGroup("pool", "GlobalAveragePool", ("pool",), ("t5",), ("t6",), segment=3),
    LayerGroup("logits", "Conv", ("logits",), ("t6",), ("scores",), ("w4",), "b4", segment=3, macs=15),
)


def float_model() -> FloatModel:
    """The network with weights that are the same in every run."""
    random = np.random.default_rng(7)

    def weights(*shape: int) -> np.ndarray:
        return random.normal(0, 0.5, shape).astype(np.float32)

    constants = {
        "w1": weights(CHANNELS, 2, 3, 3),
        "b1": weights(CHANNELS),
        "w2": weights(CHANNELS, CHANNELS, 1, 1),
        "b2": weights(CHANNELS),
        "w3": weights(CHANNELS, CHANNELS, 1, 1),
        "b3": weights(CHANNELS),
        "w4": 3 * weights(CLASSES, CHANNELS, 1, 1),
        "b4": weights(CLASSES),
    }
    nodes = (
        Node("conv1", "Conv", ("data", "w1", "b1"), ("c1",), {"pads": [1, 1, 1, 1]}),
        Node("relu1", "Relu", ("c1",), ("t1",)),
        Node("conv2", "Conv", ("t1", "w2", "b2"), ("t2",)),
        Node("add1", "Add", ("t1", "t2"), ("a1",)),
        Node("relu2", "Relu", ("a1",), ("t3",)),
        Node("conv3", "Conv", ("t3", "w3", "b3"), ("t4",)),
        Node("add2", "Add", ("t3", "t4"), ("t5",)),
        Node("pool", "GlobalAveragePool", ("t5",), ("t6",)),
        Node("logits", "Conv", ("t6", "w4", "b4"), ("scores",)),
    )
    shapes = {**SHAPES, "c1": SHAPES["t1"], "a1": SHAPES["t3"], **{name: a.shape for name, a in constants.items()}}
    graph = Graph(
        name="small",
        inputs=("data",),
        outputs=("scores",),
        nodes=nodes,
        types={name: TensorType(shape) for name, shape in shapes.items()},
        constants=constants,
        aliases={"classifier": "logits"},
    )
    return FloatModel(graph, GROUPS, to_onnx(graph))


def float_values(model: FloatModel, data: np.ndarray) -> dict[str, np.ndarray]:
    """Every layer's output for one input tensor."""
    tapped = to_onnx(model.graph, outputs=[name for name in SHAPES if name != "data"])
    return {"data": data, **float_run.run(float_run.session(tapped), {"data": data})}


class ProgramMaker:
    """Makes integer programs of the network; ``types`` overrides u8 for tensors (t3 cannot change its own)."""

    def __init__(self, model: FloatModel, samples: list[np.ndarray], space: object) -> None:
        self._constants = model.graph.constants
        self._space = space
        values = [float_values(model, sample) for sample in samples]
        self._ranges = {
            name: (min(float(v[name].min()) for v in values), max(float(v[name].max()) for v in values))
            for name in SHAPES
        }
        self._tensors: dict[str, TensorQuantization] = {}
        self._weights: dict[str, WeightQuantization] = {}

    def program(self, *, mixed: bool = False, widened: str | None = None) -> QuantizedModel:
        """All u8; ``mixed``: conv3 and add2 read t3 as i16. ``widened`` names a tensor whose range is doubled."""
        self._tensors = {name: self._tensor(name, 2.0 if name == widened else 1.0) for name in SHAPES}
        read = "t3"
        converter = []
        if mixed:
            read = "t3.i16"
            self._tensors[read] = replace(self._tensor("t3", 1.0, "i16"), name=read, decided_by="converter")
            rescale = lower_rescale("exact", self._tensors["t3"], self._tensors[read])
            converter = [IntegerLayer("to_i16", "rescale", ("t3",), (read,), requantize=(rescale,), segment=2)]
        layers = (
            self._conv("conv1", "data", "t1", "w1", "b1", 1, RELU),
            self._conv("conv2", "t1", "t2", "w2", "b2", 0),
            self._add("add1", "t1", "t2", "t3", RELU),
            *converter,
            self._conv("conv3", read, "t4", "w3", "b3", 0),
            self._add("add2", read, "t4", "t5"),
            self._pool("pool", "t5", "t6"),
            self._conv("logits", "t6", "scores", "w4", "b4", 0),
        )
        return QuantizedModel(
            name="small",
            variant="mixed" if mixed else "u8",
            profile="exact",
            inputs=("data",),
            outputs=("scores",),
            tensors=self._tensors,
            weights=dict(self._weights),
            layers=layers,
        )

    def _tensor(self, name: str, widening: float, type_: str = "u8") -> TensorQuantization:
        low, high = (widening * end for end in self._ranges[name])
        scale, zero_point = affine_parameters(low, high, type_)
        return TensorQuantization(name, SHAPES[name], type_, "asym", scale, zero_point, low=low, high=high)

    def _conv(
        self, name: str, source: str, target: str, weight: str, bias: str, pad: int, clamp: Clamp | None = None
    ) -> IntegerLayer:
        values = self._constants[weight]
        scale = float(np.abs(values).max()) / 127
        entering, leaving = self._tensors[source], self._tensors[target]
        codes = quantize(values, scale, 0, "i8")
        bits = 64 if entering.type == "i16" else 32
        constants = {
            "weight": self._space.write_array(codes),
            "bias": self._space.write_array(quantize_bias(self._constants[bias], entering.scale, [scale], bits)),
        }
        quantized = WeightQuantization(weight, name, values.shape, "i8", "sym", (scale,))
        self._weights[weight] = quantized
        attributes = {
            "strides": [1, 1],
            "pads": [pad] * 4,
            "dilations": [1, 1],
            "group": 1,
            "weight_zero_point": 0,
        }
        requantize = lower_weighted("exact", "conv", entering, quantized, leaving, clamp)
        group = next(group for group in GROUPS if group.name == name)
        return IntegerLayer(
            name,
            "conv",
            (source,),
            (target,),
            attributes,
            constants,
            (requantize,),
            group.nodes,
            group.segment,
            group.macs,
            "documented" if name == "conv3" else "exact",
        )

    def _add(self, name: str, first: str, second: str, target: str, clamp: Clamp | None = None) -> IntegerLayer:
        tensors = (self._tensors[tensor] for tensor in (first, second, target))
        group = next(group for group in GROUPS if group.name == name)
        requantize = lower_add("exact", *tensors, clamp)
        return IntegerLayer(
            name, "add", (first, second), (target,), {}, {}, tuple(requantize), group.nodes, group.segment
        )

    def _pool(self, name: str, source: str, target: str) -> IntegerLayer:
        requantize = lower_global_average_pool("exact", self._tensors[source], self._tensors[target], 36)
        attributes = {"axes": [2, 3], "keepdims": 1}
        return IntegerLayer(
            name, "global_average_pool", (source,), (target,), attributes, {}, (requantize,), ("pool",), 3
        )


def write_samples(folder: Path, count: int, first: int = 0) -> tuple[SampleSet, list[np.ndarray]]:
    """``count`` samples as npy files, and their tensors; sample ``n`` is the same in every call."""
    samples, tensors = [], []
    for number in range(first, first + count):
        tensor = np.random.default_rng(100 + number).normal(0, 1, SHAPES["data"]).astype(np.float32)
        path = folder / f"{number}.npy"
        np.save(path, tensor)
        file = SampleFile("data", str(path), path.name, "npy")
        digest = sample_digest([(file, digest_bytes(path.read_bytes()))])
        samples.append(Sample(digest, (file,), label=number % CLASSES))
        tensors.append(tensor)
    return SampleSet("data", tuple(samples), ()), tensors
