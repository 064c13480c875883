"""A model written as ONNX text, calibrated on random samples, quantized by the step, and run on the integer machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from memory_space import MemorySpace, StepRunner
from onnx_models import parse, simplified

from npudsl.artifacts.float_model import FloatModel
from npudsl.artifacts.quantized_model import QuantizedModel
from npudsl.artifacts.statistics import TensorStatistics, save_statistics
from npudsl.ir.float_run import run as run_float
from npudsl.ir.float_run import session
from npudsl.ir.fusion import layer_groups
from npudsl.ir.graph import Graph
from npudsl.ir.onnx_proto import to_onnx
from npudsl.language.program import Call, Quantize, Rule, Selector
from npudsl.language.resolve import quantize_record
from npudsl.machine.execute import Machine
from npudsl.numerics.affine import dequantize
from npudsl.numerics.ranges_counters import count_patterns, sparse
from npudsl.steps.calibrate.tap import find_taps
from npudsl.steps.quantize import run as quantize_run
from npudsl.steps.quantize.kind import QuantizeConfig, quantize_step
from npudsl.steps.quantize.layout import in_layout

SAMPLES = 4


def rule(kind: str, text: str, **sets: Any) -> Rule:
    """An override; keys with a dot are written with two underscores."""
    selector = Selector("glob" if kind in ("layers", "tensors") else "exact", text)
    return Rule(0, kind, selector, {key.replace("__", "."): value for key, value in sets.items()})


def variant(*rules: Rule, **settings: Any) -> Quantize:
    """A variant as the language gives it."""
    values = {
        "scheme": "asymmetric_affine",
        "type": "u8",
        "algorithm": Call("minmax"),
        "profile": None,
        **{key.replace("__", "."): value for key, value in settings.items()},
    }
    return Quantize("v", "data", values, tuple(replace(item, index=index) for index, item in enumerate(rules)))


U8 = {"scheme": "asymmetric_affine", "type": "u8"}
I8 = {"scheme": "asymmetric_affine", "type": "i8"}
PER_CHANNEL = {"scheme": "perchannel_symmetric_affine", "type": "i8"}
DFP8 = {"scheme": "dynamic_fixed_point", "type": "i8"}
DFP16 = {"scheme": "dynamic_fixed_point", "type": "i16"}
KINDS = {"u8": U8, "i8": I8, "per channel": PER_CHANNEL, "dfp i8": DFP8, "dfp i16": DFP16}


class Bench:
    """One model and its samples."""

    def __init__(self, body: str, *, opset: int = 13, scale: float = 1.0, shift: float = 0.0, **constants: Any) -> None:
        self.take(simplified(parse(body, opset, **constants)), scale, shift)

    @classmethod
    def of(cls, graph: Graph, samples: list[dict[str, np.ndarray]]) -> Bench:
        """A bench for a graph and samples at hand."""
        bench = cls.__new__(cls)
        bench.samples = samples
        bench._calibrate(graph)
        return bench

    def take(self, graph: Graph, scale: float, shift: float) -> None:
        random = np.random.default_rng(1)
        self.samples = [
            {
                name: (random.normal(0, 1, graph.types[name].shape) * scale + shift).astype(np.float32)
                for name in graph.inputs
            }
            for _ in range(SAMPLES)
        ]
        self._calibrate(graph)

    def _calibrate(self, graph: Graph) -> None:
        self.graph = graph
        self.groups = layer_groups(graph)
        self.runner = StepRunner()
        self.space: MemorySpace = self.runner.space
        self.model = FloatModel(graph, self.groups, to_onnx(graph)).save(self.space)
        taps = find_taps(graph, self.groups)
        values = list(self.samples)
        if taps.outputs:
            tapped = session(to_onnx(graph, outputs=taps.outputs))
            values = [{**sample, **run_float(tapped, sample)} for sample in self.samples]
        tensors = {name: _statistics([item[name] for item in values]) for name in taps.tensors}
        self.statistics = save_statistics([f"{index:064x}" for index in range(len(values))], tensors, self.space)

    def quantize(
        self,
        *rules: Rule,
        profile: str = "exact",
        saturation: str = "full",
        table: str | None = None,
        calibrated: bool = True,
        **settings: Any,
    ) -> QuantizedModel:
        """The integer program; ``self.table`` is its table."""
        config = QuantizeConfig(quantize_record(variant(*rules, **settings)), profile, saturation)
        inputs = {"model": self.model}
        if calibrated:
            inputs["statistics"] = self.statistics
        if table is not None:
            inputs["table"] = {"file": self.space.write_bytes(table.encode(), "file")}
        step = quantize_step(config, variant="v", inputs={})
        tree = self.runner.run(quantize_run, step, inputs)
        self.table = self.space.read_bytes(tree["table"]).decode()
        return QuantizedModel.load(tree, self.space)

    def codes(self, model: QuantizedModel, sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All values of a run of the integer machine."""
        machine = Machine(model, self.space)
        entering = {name: machine.quantize_input(sample[name], name) for name in model.inputs}
        return {**entering, **machine.run(entering, keep="all")}

    def reals(self, model: QuantizedModel, sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs of the integer machine as reals."""
        machine = Machine(model, self.space)
        codes = self.codes(model, sample)
        return {name: machine.dequantize(codes[name], name) for name in model.outputs}

    def worst_step(self, model: QuantizedModel) -> float:
        """Largest difference, in steps of the output, between the machine and float arithmetic on the same codes.

        The float network gets the reals of the input codes and of the weight codes, and its output is clipped to what
        the output's codes can hold.
        """
        machine = Machine(model, self.space)
        network = session(to_onnx(self._with_coded_constants(model)), optimize=False)
        worst = 0.0
        for sample in self.samples:
            values = self.codes(model, sample)
            entering = {name: machine.dequantize(values[name], name) for name in model.inputs}
            expected = run_float(network, entering)
            for name in model.outputs:
                tensor = model.tensors[name]
                if tensor.type == "f32":
                    difference = np.abs(values[name] - expected[name]).max() / max(np.abs(expected[name]).max(), 1e-9)
                else:
                    limits = np.iinfo(values[name].dtype)
                    wanted = np.clip(expected[name] / tensor.scale + tensor.zero_point, limits.min, limits.max)
                    difference = np.abs(values[name] - wanted).max()
                worst = max(worst, float(difference))
        return worst

    def _with_coded_constants(self, model: QuantizedModel) -> Graph:
        constants = dict(self.graph.constants)
        for layer in model.layers:
            for weight in model.weights.values():
                if weight.layer == layer.name:
                    role = "weight" if "weight" in layer.constants else "operand"
                    codes = self.space.read_array(layer.constants[role])
                    scales = np.array(weight.scales) if len(weight.scales) > 1 else weight.scales[0]
                    reals = dequantize(codes, scales, weight.zero_point, axis=0 if len(weight.scales) > 1 else None)
                    constants[weight.name] = _in_model_layout(reals, self.graph, layer.name, weight.name)
        return replace(self.graph, constants=constants)


def _in_model_layout(reals: np.ndarray, graph: Graph, layer: str, constant: str) -> np.ndarray:
    """The inverse of ``in_layout``."""
    node = next(node for node in graph.nodes if node.name == layer)
    original = graph.constants[constant]
    if node.op == "Div" and node.inputs[1] == constant:
        reals = in_layout(reals, "reciprocal")
    if node.op == "MatMul":
        reals = reals.T
    if node.op == "ConvTranspose":
        group = node.attributes["group"]
        outputs, inputs, *kernel = reals.shape
        reals = reals.reshape(group, outputs // group, inputs, *kernel).swapaxes(1, 2)
    return reals.reshape(original.shape).astype(np.float32)


def _statistics(values: list[np.ndarray]) -> TensorStatistics:
    patterns, counts = sparse(sum(count_patterns(value) for value in values))
    extremes = np.array([[value.min(), value.max()] for value in values], dtype=np.float32)
    count = sum(value.size for value in values)
    return TensorStatistics(float(extremes.min()), float(extremes.max()), count, patterns, counts, extremes)
