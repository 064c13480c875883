"""The corrected quantize step: float means, then segment after segment, then the program with what they found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.plan.step import Part, PartOutput
from npudsl.steps.quantize.correct_means import MODE as MEANS
from npudsl.steps.quantize.correct_segment import MODE as SEGMENT

if TYPE_CHECKING:
    from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, WeightQuantization
    from npudsl.ir.groups import LayerGroup
    from npudsl.keys import Json
    from npudsl.steps.quantize.structure import Structure

CHUNK = 8
"""Samples of one part of the float model."""

WEIGHTED_OPERATIONS = frozenset({"conv", "linear"})

NOT_ARITHMETIC = frozenset({"name", "low", "high", "algorithm", "decided_by"})
"""Fields of a tensor that decide no number of a run."""

TABLE = "table"


def expand(
    record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """Parts ``means/<n>`` and ``segment/<n>``; raises E0404 when preprocessing does not fit the model."""
    from npudsl.artifacts.quantized_model import QuantizedModel
    from npudsl.data.preprocess import fit_records
    from npudsl.steps.quantize.structure import load_structure

    structure = load_structure(inputs["model"], reader)
    model = QuantizedModel.load(inputs["draft"], reader)
    correction = record["correction"]
    graph = structure.graph
    shapes = {name: graph.types[name].shape for name in graph.inputs}
    preprocess = fit_records(correction["inputs"], shapes, correction["layout"])
    return _Draft(structure, model, record, preprocess, inputs, context).parts()


def run_part(record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """Float means of some samples, or one corrected segment."""
    from npudsl.steps.quantize.correct_means import run_means
    from npudsl.steps.quantize.correct_segment import run_segment

    return {MEANS: run_means, SEGMENT: run_segment}[record["mode"]](record, inputs, context, space)


def join(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """The draft's program with corrected layers, and its table."""
    from npudsl.artifacts.quant_table import read_table, render_table, table_of
    from npudsl.artifacts.quantized_model import QuantizedModel, layer_from_record
    from npudsl.steps.quantize.correct_segment import weight_from_record

    draft = QuantizedModel.load(inputs["draft"], space)
    layers: dict[str, IntegerLayer] = {}
    weights: dict[str, WeightQuantization] = {}
    for tree in parts.values():
        if "layers.json" not in tree:
            continue
        found = space.read_json(tree["layers.json"])
        layers |= {name: layer_from_record(item) for name, item in found["layers"].items()}
        for item in found["weights"].values():
            made = weight_from_record(item)
            corrected = _digest(layers[made.layer])
            weights[made.name] = replace(made, decided_by=draft.weights[made.name].decided_by, corrected=corrected)
    model = replace(
        draft,
        layers=tuple(layers.get(layer.name, layer) for layer in draft.layers),
        weights={name: weights.get(name, weight) for name, weight in draft.weights.items()},
    )
    header = read_table(space.read_bytes(inputs["draft"][TABLE]).decode(), f"{draft.variant}.quant").header
    text = render_table(table_of(model, header)).encode()
    kept = {name: blob for name, blob in inputs["draft"].items() if not name.startswith("constants/")}
    return {**kept, **model.save(space), TABLE: space.write_bytes(text, "text")}


def _digest(layer: IntegerLayer) -> str:
    """What the table shows of corrected integers."""
    from npudsl.artifacts.quant_table import DIGEST_DIGITS
    from npudsl.keys import digest_record

    return digest_record({role: layer.constants[role].digest for role in ("weight", "bias")})[:DIGEST_DIGITS]


@dataclass(frozen=True)
class _Draft:
    """Writes the parts."""

    structure: Structure
    model: QuantizedModel
    record: Any
    preprocess: Sequence[Json]
    inputs: Mapping[str, Tree]
    context: Any

    def parts(self) -> list[Part]:
        samples = self.record["correction"]["samples"]
        chunks = [samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK)]
        means = [self._means(index, chunk) for index, chunk in enumerate(chunks)]
        numbers = sorted({layer.segment for layer in self.model.layers})
        makers: dict[str, int] = {}
        for layer in self.model.layers:
            makers.update(dict.fromkeys(layer.outputs, layer.segment))
        return [*means, *(self._segment(number, makers, len(chunks)) for number in numbers)]

    def _means(self, index: int, chunk: Sequence[str]) -> Part:
        graph = self.structure.graph
        tensors: dict[str, Json] = {
            layer.name: [layer.outputs[0], _axis(layer)] for layer in self.model.layers if self._group(layer)
        }
        record = {
            "mode": MEANS,
            "samples": list(chunk),
            "preprocess": self.preprocess,
            "dtypes": [graph.types[name].dtype for name in graph.inputs],
            "tensors": tensors,
        }
        files = {sample: self.context["files"][sample] for sample in chunk}
        context = {"subject": self.context["subject"], "files": files}
        return Part(f"{MEANS}/{index}", record, {"model": self.inputs["model"]["model.onnx"]}, context)

    def _segment(self, number: int, makers: Mapping[str, int], chunks: int) -> Part:
        from npudsl.artifacts.quantized_model import layer_record
        from npudsl.keys import digest_record

        layers = [layer for layer in self.model.layers if layer.segment == number]
        made = {name for layer in layers for name in layer.outputs}
        reads = list(dict.fromkeys(name for layer in layers for name in layer.inputs if name not in made))
        later = {name for layer in self.model.layers if layer.segment > number for name in layer.inputs}
        makes = [name for layer in layers for name in layer.outputs if name in later]
        records = [layer_record(layer) for layer in layers]
        weighted = {layer.name: group for layer in layers if (group := self._group(layer))}
        roles: dict[str, Blob | PartOutput] = {
            f"constants/{layer.name}/{role}": blob for layer in layers for role, blob in layer.constants.items()
        }
        for name, group in weighted.items():
            roles[f"real/{name}"] = self.structure.blobs[group.weights[0]]
            if group.bias is not None:
                roles[f"bias/{name}"] = self.structure.blobs[group.bias]
            roles |= {
                f"means/{chunk}/{name}": PartOutput(f"{MEANS}/{chunk}", f"means/{name}") for chunk in range(chunks)
            }
        entering = [name for name in reads if name in self.model.inputs]
        for name in reads:
            if name not in entering:
                roles[f"codes/{name}"] = PartOutput(f"{SEGMENT}/{makers[name]}", f"codes/{name}")
        tensors = dict.fromkeys([*reads, *(name for layer in layers for name in (*layer.inputs, *layer.outputs))])
        record = {
            "mode": SEGMENT,
            "subject": f"quantize[{self.model.variant}]",
            "profile": self.model.profile,
            "layers": {item["name"]: digest_record(item) for item in records},
            "tensors": {name: self._tensor(name) for name in tensors},
            "weighted": {name: self._plan(name, group) for name, group in weighted.items()},
            "reads": reads,
            "makes": makes,
            "chunks": list(range(chunks)),
        }
        context: dict[str, Any] = {"layers": records}
        if entering:
            record |= {"samples": self.record["correction"]["samples"], "preprocess": self.preprocess}
            context |= self.context
        return Part(f"{SEGMENT}/{number}", record, roles, context, tuple(layer.name for layer in layers))

    def _group(self, layer: IntegerLayer) -> LayerGroup | None:
        """The group of a layer whose weights are codes, else None."""
        if layer.operation not in WEIGHTED_OPERATIONS:
            return None
        return self._groups[layer.name]

    @property
    def _groups(self) -> Mapping[str, LayerGroup]:
        return {group.name: group for group in self.structure.groups}

    def _plan(self, name: str, group: LayerGroup) -> dict[str, Json]:
        """What a part must know of a weighted layer besides its integers."""
        from dataclasses import asdict

        from npudsl.numerics.types import element_type
        from npudsl.steps.quantize.layout import constant_layout

        weight = self.model.weights[group.weights[0]]
        record = {key: value for key, value in asdict(weight).items() if key != "decided_by"}
        layer = next(item for item in self.model.layers if item.name == name)
        return {
            "weight": {**record, "layer": name, "shape": list(weight.shape), "scales": list(weight.scales)},
            "layout": constant_layout(self.structure, group, weight.name),
            "clamp": None if group.clamp is None else [group.clamp.low, group.clamp.high],
            "op": group.op,
            "axis": _axis(layer),
            "saturation": self.record["saturation"],
            "rounding": self.record["correction"]["rounding"] and element_type(weight.type).bits == 8,
        }

    def _tensor(self, name: str) -> dict[str, Json]:
        from dataclasses import asdict

        values = asdict(self.model.tensors[name])
        values["shape"] = list(values["shape"])
        return {key: value for key, value in values.items() if key not in NOT_ARITHMETIC}


def _axis(layer: IntegerLayer) -> int:
    """The axis of the output channels."""
    return 1 if layer.operation == "conv" else -1
