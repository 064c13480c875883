"""The parts: one per layer (and graph input) that has ranges to choose or weights to code.

A part reads the statistics of its own tensors and its own constants, and its record has the settings of these only, so
its key moves with nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.artifacts.quantized_model import WeightQuantization
from npudsl.artifacts.statistics import statistics_of
from npudsl.diagnostics import Problem
from npudsl.ir.groups import LayerGroup
from npudsl.plan.step import Part
from npudsl.steps.quantize.builder import QuantizedWeight
from npudsl.steps.quantize.layout import constant_layout, in_layout
from npudsl.steps.quantize.plan import QuantizationPlan
from npudsl.steps.quantize.ranges import written_range_of
from npudsl.steps.quantize.settings import Settings
from npudsl.steps.quantize.weights import quantize_constant

if TYPE_CHECKING:
    from npudsl.keys import Json

INPUT_PART = "input/"
LAYER_PART = "layer/"


def quantize_parts(
    plan: QuantizationPlan, statistics: Mapping[str, Any] | None, saturation: str, subject: str
) -> list[Part]:
    """The parts of a plan, graph inputs first, then layers in graph order.

    ``statistics`` are the entries of ``statistics.json``, None when ranges come from a committed table. Raises
    ``Problem`` E0410 for a range that was not observed.
    """
    parts = []
    for name in plan.structure.graph.inputs:
        ranges, blobs = _ranges(plan, (name,), statistics, subject)
        if ranges:
            parts.append(Part(INPUT_PART + name, {"ranges": ranges, "constants": {}}, blobs, subject))
    for group in plan.structure.groups:
        ranges, blobs = _ranges(plan, group.outputs, statistics, subject)
        constants, constant_blobs = _constants(plan, group)
        if constants:
            record = {"ranges": ranges, "constants": constants, "saturation": saturation}
        else:
            record = {"ranges": ranges, "constants": {}}
        if ranges or constants:
            parts.append(Part(LAYER_PART + group.name, record, {**blobs, **constant_blobs}, subject, (group.name,)))
    return parts


def _ranges(
    plan: QuantizationPlan, tensors: tuple[str, ...], statistics: Mapping[str, Any] | None, subject: str
) -> tuple[dict[str, Json], dict[str, Blob]]:
    """Records and blobs of those of ``tensors`` that need a range."""
    records: dict[str, Json] = {}
    blobs: dict[str, Blob] = {}
    for tensor in tensors:
        settings = plan.ranges.get(tensor)
        if settings is None or (statistics is None and not settings.is_fixed):
            continue
        observed = None if settings.is_fixed or statistics is None else _observed(tensor, statistics, subject)
        records[tensor] = {"settings": settings.record(), "observed": observed}
        if observed is not None and statistics is not None:
            blobs[f"counters/{tensor}"] = Blob.from_record(statistics[tensor]["counters"])
            blobs[f"extremes/{tensor}"] = Blob.from_record(statistics[tensor]["extremes"])
    return records, blobs


def _constants(plan: QuantizationPlan, group: LayerGroup) -> tuple[dict[str, Json], dict[str, Blob]]:
    """Records and blobs of a layer's weights and operands."""
    records: dict[str, Json] = {}
    blobs: dict[str, Blob] = {}
    for constant in plan.quantized_constants(group):
        blobs[f"constant/{constant}"] = plan.structure.blobs[constant]
        records[constant] = {
            "settings": plan.constants[group.name, constant].record(),
            "layout": constant_layout(plan.structure, group, constant),
        }
    return records, blobs


def _observed(tensor: str, statistics: Mapping[str, Any], subject: str) -> Json:
    """What of a tensor's statistics is not a blob."""
    if tensor not in statistics:
        raise Problem(
            "E0410",
            f"the range of `{tensor}` was not observed",
            subject=subject,
            helps=("name a dataset: `calibrate = ...`", f'or fix the range: `tensor "{tensor}" min=... max=...`'),
        )
    return {key: statistics[tensor][key] for key in ("minimum", "maximum", "count")}


def compute_part(record: Mapping[str, Any], inputs: Mapping[str, Blob], subject: str | None, space: BlobSpace) -> Tree:
    """Ranges and codes of one layer: ``part.json``, and ``codes/<constant>`` per constant."""
    ranges = {name: _range(name, item, inputs, subject, space) for name, item in record["ranges"].items()}
    tree: dict[str, Blob] = {}
    constants: dict[str, Json] = {}
    for name, item in record["constants"].items():
        values = in_layout(space.read_array(inputs[f"constant/{name}"]), item["layout"])
        settings = Settings.from_record(item["settings"])
        result = quantize_constant(name, values, settings, record["saturation"], subject)
        tree[f"codes/{name}"] = space.write_array(result.codes)
        constants[name] = {
            "shape": list(values.shape),
            "scales": list(result.scales),
            "zero_point": result.zero_point,
            "fractional_length": result.fractional_length,
            "low": result.low,
            "high": result.high,
        }
    tree["part.json"] = space.write_json({"ranges": ranges, "constants": constants})
    return tree


def _range(
    name: str, item: Mapping[str, Any], inputs: Mapping[str, Blob], subject: str | None, reader: BlobReader
) -> Json:
    observed = None
    if item["observed"] is not None:
        blobs = {key: inputs[f"{key}/{name}"].record() for key in ("counters", "extremes")}
        observed = statistics_of({**item["observed"], **blobs}, reader)
    return list(written_range_of(name, Settings.from_record(item["settings"]), observed, subject))


def gather_parts(
    plan: QuantizationPlan, parts: Mapping[str, Tree], reader: BlobReader
) -> tuple[dict[str, tuple[float, float]], dict[tuple[str, str], QuantizedWeight]]:
    """All ranges by tensor, and all coded constants by layer and name, from the trees of the parts."""
    ranges: dict[str, tuple[float, float]] = {}
    constants: dict[tuple[str, str], QuantizedWeight] = {}
    for part, tree in parts.items():
        record = reader.read_json(tree["part.json"])
        ranges.update({name: (low, high) for name, (low, high) in record["ranges"].items()})
        for name, item in record["constants"].items():
            layer = part.removeprefix(LAYER_PART)
            settings = plan.constants[layer, name]
            values = {**item, "shape": tuple(item["shape"]), "scales": tuple(item["scales"])}
            weight = WeightQuantization(
                name=name,
                layer=layer,
                type=settings.type,
                scheme=settings.scheme,
                algorithm=settings.shown_algorithm,
                decided_by=settings.decided_by,
                **values,
            )
            constants[layer, name] = QuantizedWeight(weight, tree[f"codes/{name}"])
    return ranges, constants
