"""One layer rounded, everything else in float: what of it reaches the outputs.

The float model runs once per sample, with every tensor at hand that layers of the segment read. A layer then runs with
its stored weights put back to reals, its output is rounded to codes and back, and from there the rest of the network
runs in float: only what depends on the layer, the other values are those of the float run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.blob import Blob, BlobReader
from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.data.load import load_sample
from npudsl.data.sample import file_from_record
from npudsl.ir import float_run
from npudsl.ir.graph import Graph
from npudsl.ir.groups import LayerGroup
from npudsl.ir.onnx_proto import to_onnx
from npudsl.machine.lowering import output_bounds
from npudsl.numerics.affine import dequantize
from npudsl.numerics.metrics import accumulate, top_k
from npudsl.steps.quantize.bias_correction import LEAST_MOVING, ROUNDS
from npudsl.steps.quantize.correct_means import channel_means
from npudsl.steps.quantize.layout import from_layout
from npudsl.steps.quantize.structure import Structure, load_structure

Array = NDArray[Any]

WEIGHTS, ACTIVATIONS = "weights", "activations"


def layers_alone(
    record: Mapping[str, Any], inputs: Mapping[str, Blob], context: Any, reader: BlobReader
) -> dict[str, Any]:
    """Per layer, per mode, per output: ``cosine``, ``cosine_min``, ``noise`` and ``flips`` (None: no row of
    classes)."""
    structure = load_structure({"graph.json": inputs["graph"]}, reader)
    in_memory = replace(structure.graph, constants=dict(structure.graph.constants))
    return _Alone(replace(structure, graph=in_memory), record, inputs, context, reader).figures()


class _Alone:
    def __init__(
        self,
        structure: Structure,
        record: Mapping[str, Any],
        inputs: Mapping[str, Blob],
        context: Any,
        reader: BlobReader,
    ) -> None:
        self._structure = structure
        self._record = record
        self._inputs = inputs
        self._reader = reader
        self._groups = {group.name: group for group in structure.groups}
        self._suffixes = {name: _suffix(structure, plan["outputs"]) for name, plan in record["layers"].items()}
        self._values = self._float_values(context)

    def figures(self) -> dict[str, Any]:
        found = {}
        for name, plan in self._record["layers"].items():
            if plan["outputs"].keys() <= self._structure.graph.types.keys():
                found[name] = {mode: self._figures(name, plan, mode) for mode in self._modes(plan)}
        return found

    def _modes(self, plan: Mapping[str, Any]) -> Iterable[str]:
        return [mode for mode in self._record["modes"] if mode != WEIGHTS or plan["constants"]]

    def _figures(self, name: str, plan: Mapping[str, Any], mode: str) -> dict[str, Any]:
        made = self._rounded(name, plan, mode)
        graph, suffix = self._structure.graph, self._suffixes[name]
        session = float_run.session(suffix.model) if suffix.model else None
        pairs: dict[str, list[tuple[Array, Array]]] = {output: [] for output in graph.outputs}
        for index, values in enumerate(self._values):
            changed = {tensor: arrays[index] for tensor, arrays in made.items()}
            ends = dict(changed)
            if session is not None:
                feeds = {tensor: changed[tensor] if tensor in changed else values[tensor] for tensor in suffix.reads}
                ends |= float_run.run(session, feeds, suffix.makes)
            for output in graph.outputs:
                pairs[output].append((values[output], ends.get(output, values[output])))
        return {output: output_figures(found) for output, found in pairs.items()}

    def _rounded(self, name: str, plan: Mapping[str, Any], mode: str) -> dict[str, list[Array]]:
        """The layer's outputs, sample by sample, with what ``mode`` says rounded."""
        group = self._groups.get(name)
        made: dict[str, list[Array]] = {}
        if group is not None and mode != ACTIVATIONS and plan["constants"]:
            made = self._with_coded_constants(group, plan)
            if self._record["recentred"] and plan["weighted"]:
                made = self._recentred(group, made)
        for tensor, quantization in plan["outputs"].items():
            arrays = made.get(tensor) or [values[tensor] for values in self._values]
            if mode != WEIGHTS:
                stored = TensorQuantization(name=tensor, **{**quantization, "shape": tuple(quantization["shape"])})
                arrays = [rounded(array, stored) for array in arrays]
            made[tensor] = arrays
        return made

    def _with_coded_constants(self, group: LayerGroup, plan: Mapping[str, Any]) -> dict[str, list[Array]]:
        graph = self._structure.graph
        constants = {}
        for name, item in plan["constants"].items():
            codes = self._reader.read_array(self._inputs[f"codes/{group.name}/{name}"])
            axis = 0 if len(item["scales"]) > 1 else None
            scale = item["scales"] if axis == 0 else item["scales"][0]
            real = dequantize(codes, scale, item["zero_point"], axis)
            if item["layout"] == "reciprocal":
                real = np.where(real == 0, np.finfo(np.float32).tiny, real)
            constants[name] = from_layout(real, item["layout"], graph.types[name].shape).astype(np.float32)
        coded = replace(graph, constants={**graph.constants, **constants})
        piece = to_onnx(coded, nodes=group.nodes, inputs=group.inputs, outputs=group.outputs)
        session = float_run.session(piece)
        rows = [
            float_run.run(session, {tensor: values[tensor] for tensor in group.inputs}, group.outputs)
            for values in self._values
        ]
        return {tensor: [row[tensor] for row in rows] for tensor in group.outputs}

    def _recentred(self, group: LayerGroup, made: Mapping[str, list[Array]]) -> dict[str, list[Array]]:
        """The layer's output with its bias shifted until every channel's mean is that of the float model."""
        (tensor,) = group.outputs
        axis = -1 if group.op in ("Gemm", "MatMul") else 1
        target = np.mean([channel_means(values[tensor], axis) for values in self._values], axis=0)
        low = -np.inf if group.clamp is None or group.clamp.low is None else group.clamp.low
        high = np.inf if group.clamp is None or group.clamp.high is None else group.clamp.high
        shape = [1] * made[tensor][0].ndim
        shape[axis] = -1
        shift = np.zeros(target.shape)
        arrays = made[tensor]
        # Values at a bound stand for everything beyond it, so a shift is only ever a guess there: moved as they are.
        for _ in range(ROUNDS):
            moved = [np.clip(array + shift.reshape(shape), low, high).astype(np.float32) for array in arrays]
            means = np.mean([channel_means(array, axis) for array in moved], axis=0)
            free = np.mean([channel_means((array > low) & (array < high), axis) for array in moved], axis=0)
            shift = shift + (target - means) / np.maximum(free, LEAST_MOVING)
        return {tensor: [np.clip(array + shift.reshape(shape), low, high).astype(np.float32) for array in arrays]}

    def _float_values(self, context: Any) -> list[dict[str, Array]]:
        """Per sample: the outputs, and everything that layers of the part and the networks behind them read."""
        graph = self._structure.graph
        wanted = dict.fromkeys(graph.outputs)
        for name, plan in self._record["layers"].items():
            wanted.update(dict.fromkeys((*self._suffixes[name].reads, *plan["outputs"])))
            if name in self._groups:
                wanted.update(dict.fromkeys(self._groups[name].inputs))
        asked = [name for name in wanted if name not in graph.inputs]
        session = float_run.session(to_onnx(graph, outputs=asked))
        found = []
        for sample in self._record["samples"]:
            files = [file_from_record(file) for file in context["files"][sample]]
            tensors = load_sample(sample, files, self._record["preprocess"])
            feeds = {name: tensors[name].astype(graph.types[name].dtype, copy=False) for name in graph.inputs}
            found.append({**feeds, **float_run.run(session, feeds, asked)})
        return found


@dataclass(frozen=True)
class _Suffix:
    """The network behind some tensors: its ONNX bytes (None: nothing), what it reads, which outputs it makes."""

    model: bytes | None
    reads: tuple[str, ...]
    makes: tuple[str, ...]


def _suffix(structure: Structure, changed: Iterable[str]) -> _Suffix:
    """Whatever of the network depends on ``changed``; all other values are read."""
    graph = structure.graph
    dependent = set(changed)
    behind = []
    for node in graph.nodes:
        if not dependent.isdisjoint(node.inputs) and not set(node.outputs) & set(changed):
            behind.append(node.name)
            dependent.update(tensor for tensor in node.outputs if tensor)
    makes = tuple(name for name in graph.outputs if name in dependent and name not in set(changed))
    if not makes:
        return _Suffix(None, (), ())
    needed, made = _needed_nodes(graph, behind, makes)
    reads = dict.fromkeys(
        tensor
        for node in graph.nodes
        if node.name in needed
        for tensor in node.inputs
        if tensor and tensor not in made and tensor not in graph.constants
    )
    return _Suffix(to_onnx(graph, nodes=needed, inputs=reads, outputs=makes), tuple(reads), makes)


def _needed_nodes(graph: Graph, names: Sequence[str], outputs: Iterable[str]) -> tuple[set[str], set[str]]:
    """Those of the nodes that the outputs need, and what they make."""
    known, wanted = set(names), set(outputs)
    needed: set[str] = set()
    made: set[str] = set()
    for node in reversed(graph.nodes):
        if node.name in known and not wanted.isdisjoint(node.outputs):
            needed.add(node.name)
            made.update(tensor for tensor in node.outputs if tensor)
            wanted.update(tensor for tensor in node.inputs if tensor)
    return needed, made


def rounded(values: Array, tensor: TensorQuantization) -> Array:
    """Reals rounded to the codes of ``tensor`` and put back to reals, float32."""
    if tensor.type == "f32":
        return values
    low, high = output_bounds(tensor)
    scale = np.float32(tensor.scale)
    codes = np.clip(np.rint(values / scale), low - tensor.zero_point, high - tensor.zero_point)
    return (codes * scale).astype(np.float32)


def output_figures(pairs: Sequence[tuple[Array, Array]]) -> dict[str, Any]:
    """Figures of one output over the samples: mean and lowest cosine, power of the error over that of the output, and
    how many samples have another best class."""
    sums = [accumulate(reference, candidate) for reference, candidate in pairs]
    cosines = [item.cosine for item in sums]
    signal, error = sum(item.reference_square for item in sums), sum(item.error_square for item in sums)
    classes = pairs[0][0].size > 1 and pairs[0][0].size == max(pairs[0][0].shape, default=0)
    flips = None
    if classes:
        flips = sum(int(top_k(reference, 1)[0] != top_k(candidate, 1)[0]) for reference, candidate in pairs)
    return {
        "cosine": sum(cosines) / len(cosines),
        "cosine_min": min(cosines),
        "noise": error / signal if signal else float(error > 0),
        "flips": flips,
        "samples": len(pairs),
    }
