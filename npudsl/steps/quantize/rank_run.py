"""The rank step: what each layer alone costs at the output, their order, and the choice within a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.plan.step import Part
from npudsl.steps.quantize.kind import CHOICE_FILE

NOT_ARITHMETIC = frozenset({"name", "low", "high", "algorithm", "decided_by"})

RANK_FILE = "rank.json"


def expand(
    record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """One part per segment that has a layer in integers; none when only entropies are asked for."""
    from npudsl.artifacts.quantized_model import QuantizedModel
    from npudsl.data.preprocess import fit_records
    from npudsl.steps.quantize.structure import load_structure

    if record["by"] == "entropy":
        return []
    structure = load_structure(inputs["model"], reader)
    model = QuantizedModel.load(inputs["draft"], reader)
    graph = structure.graph
    shapes = {name: graph.types[name].shape for name in graph.inputs}
    shared = {
        "samples": record["samples"],
        "preprocess": fit_records(record["inputs"], shapes, record["layout"]),
        "recentred": record["recentred"],
        "modes": record["modes"],
    }
    parts = []
    for number in sorted({group.segment for group in structure.groups}):
        plans: dict[str, Any] = {}
        roles: dict[str, Blob] = {"graph": inputs["model"]["graph.json"]}
        for group in structure.groups:
            if group.segment != number:
                continue
            plan, blobs = _layer_plan(structure, model, group)
            if plan is not None:
                plans[group.name] = plan
                roles |= blobs
        if number == 0 and record["modes"] != ["layer"]:
            plans |= {f"input {name}": _input_plan(model, name) for name in model.inputs}
        if plans:
            parts.append(Part(f"segment/{number}", {**shared, "layers": plans}, roles, context, tuple(plans)))
    return parts


def run_part(record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """``figures.json``: per layer and mode, the figures of every output."""
    from npudsl.steps.quantize.alone import layers_alone

    return {"figures.json": space.write_json(layers_alone(record, inputs, context, space))}


def join(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """``rank.json``, every layer with its figures, worst first; ``choice.json``, the layers to widen and their type."""
    from npudsl.artifacts.quantized_model import QuantizedModel
    from npudsl.steps.quantize.choice import choose, entropy_costs, output_costs

    model = QuantizedModel.load(inputs["draft"], space)
    figures: dict[str, Any] = {}
    for tree in parts.values():
        figures |= space.read_json(tree["figures.json"])
    if record["by"] == "entropy":
        ranked = entropy_costs(space.read_json(inputs["draft"]["entropy.json"]))
    else:
        ranked = output_costs(figures, record["by"], f"quantize[{record['variant']}]")
    layers = [
        {"layer": cost.layer, "cost": list(cost.cost), "figures": figures.get(cost.layer, {}), "text": cost.text}
        for cost in ranked
    ]
    chosen = choose(model, ranked, record["type"], record["budget"])
    return {
        RANK_FILE: space.write_json({"by": record["by"], "layers": layers}),
        CHOICE_FILE: space.write_json({"type": record["type"], "layers": chosen}),
    }


def _layer_plan(structure: Any, model: Any, group: Any) -> tuple[Any, dict[str, Blob]]:
    """What rounds in a layer: its constants and its outputs; None when nothing does."""
    from npudsl.steps.quantize.layout import constant_layout

    layer = next((item for item in model.layers if item.name == group.name), None)
    if layer is None or layer.operation == "float" or group.passthrough:
        return None, {}
    constants: dict[str, Any] = {}
    blobs: dict[str, Blob] = {}
    for name in (*group.weights, *group.operands):
        role = "weight" if name in group.weights else "operand"
        weight = model.weights.get(name)
        if weight is None or role not in layer.constants:
            continue
        constants[name] = {
            "scales": list(weight.scales),
            "zero_point": layer.attributes.get(f"{role}_zero_point", weight.zero_point),
            "layout": constant_layout(structure, group, name),
        }
        blobs[f"codes/{group.name}/{name}"] = layer.constants[role]
    outputs = {name: _tensor(model, name) for name in group.outputs}
    return {"constants": constants, "outputs": outputs, "weighted": bool(group.weights)}, blobs


def _input_plan(model: Any, name: str) -> Any:
    return {"constants": {}, "outputs": {name: _tensor(model, name)}, "weighted": False}


def _tensor(model: Any, name: str) -> dict[str, Any]:
    values = asdict(model.tensors[name])
    values["shape"] = list(values["shape"])
    return {key: value for key, value in values.items() if key not in NOT_ARITHMETIC}
