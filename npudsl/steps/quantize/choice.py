"""From what layers cost to which of them are widened: worst first, until the budget is used up.

A layer that does not fit into what is left of the budget is passed over, and the next is looked at. Layers that a rule
of the variant speaks of are left to the rule. Costs are compared after rounding to four digits and ties go by graph
order, so that the last bits of a float run decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from npudsl.diagnostics import Problem
from npudsl.numerics.affine import round_to_digits
from npudsl.numerics.types import element_type

if TYPE_CHECKING:
    from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel

COST_DIGITS = 4
UNDECIDED = frozenset({"default", "passthrough", "fixed"})
"""Who decided the type of a layer that no rule speaks of."""


@dataclass(frozen=True)
class LayerCost:
    """What a layer costs, first number first; ``text`` says it in words."""

    layer: str
    cost: tuple[float, ...]
    text: str


def output_costs(figures: Mapping[str, Any], by: str, subject: str) -> list[LayerCost]:
    """Layers by what they cost at the outputs when they alone are rounded, worst first.

    Raises ``Problem`` E0205 for ``agreement`` where no output is a row of classes.
    """
    costs = [_output_cost(name, next(iter(modes.values())), by, subject) for name, modes in figures.items()]
    return sorted(costs, key=lambda cost: tuple(-number for number in cost.cost))


def _output_cost(layer: str, outputs: Mapping[str, Any], by: str, subject: str) -> LayerCost:
    worst = min(outputs.values(), key=lambda figures: figures["cosine"])
    cosine_cost = round_to_digits(1.0 - worst["cosine"], COST_DIGITS)
    text = f"cosine {worst['cosine']:.5f} at the output with this layer alone in integers"
    if by != "agreement":
        return LayerCost(layer, (cosine_cost,), text)
    flips = [figures["flips"] for figures in outputs.values() if figures["flips"] is not None]
    if not flips:
        raise Problem(
            "E0205",
            "by=agreement needs an output that is one row of classes, and the model has none",
            subject=f"{subject}.hybrid",
            helps=("write by=cosine",),
        )
    changed = f"{max(flips)} of {worst['samples']} best classes change with this layer alone in integers"
    return LayerCost(layer, (float(max(flips)), cosine_cost), f"{changed}, cosine {worst['cosine']:.5f}")


def entropy_costs(entropies: Mapping[str, Any]) -> list[LayerCost]:
    """Layers by the entropy of their weights and outputs, worst first.

    Weights and outputs are measured on scales of their own, so each is compared with its kind: the cost is how many
    standard deviations the worse of both lies above the mean, and a layer below it costs nothing.
    """
    from npudsl.steps.quantize.entropy import standing

    outputs = {layer: item["outputs"] for layer, item in entropies["layers"].items()}
    weights = {layer: item["weights"] for layer, item in entropies["layers"].items()}
    costs = []
    for layer, items in standing(outputs, weights).items():
        worst = max(items, key=lambda item: item.deviations)
        cost = max(0.0, round_to_digits(worst.deviations, COST_DIGITS))
        costs.append(LayerCost(layer, (cost,), f"entropy {worst.value:.2f} ({worst.kind})"))
    order = {layer: index for index, layer in enumerate(outputs)}
    return sorted(costs, key=lambda cost: (-cost.cost[0], order[cost.layer]))


def choose(model: QuantizedModel, ranked: Sequence[LayerCost], type_name: str, budget: tuple[str, float]) -> list[str]:
    """The layers to widen, in graph order."""
    unit, allowed = budget
    total = sum(layer.macs for layer in model.layers)
    by_name = {layer.name: layer for layer in model.layers}
    used = 0.0
    chosen = set()
    for cost in ranked:
        layer = by_name.get(cost.layer)
        if layer is None or not any(cost.cost) or not _is_free(model, layer, type_name):
            continue
        price = _price(model, layer, type_name, unit, total)
        if used + price <= allowed:
            used += price
            chosen.add(layer.name)
    return [layer.name for layer in model.layers if layer.name in chosen]


def _is_free(model: QuantizedModel, layer: IntegerLayer, type_name: str) -> bool:
    outputs = [model.tensors[name] for name in layer.outputs]
    return all(tensor.type not in (type_name, "f32") and tensor.decided_by in UNDECIDED for tensor in outputs)


def _price(model: QuantizedModel, layer: IntegerLayer, type_name: str, unit: str, total: int) -> float:
    if unit == "layers":
        return 1.0
    if unit == "share":
        return layer.macs / total if total else 0.0
    bits = 32 if type_name == "f32" else element_type(type_name).bits
    added = 0
    for weight in model.weights.values():
        if weight.layer == layer.name:
            size = 1
            for extent in weight.shape:
                size *= extent
            added += size * (bits - element_type(weight.type).bits) // 8
    return float(max(added, 0))
