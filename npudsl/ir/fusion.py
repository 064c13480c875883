"""Layer groups of a graph: which nodes one kernel computes, so where activations are rounded and where not.

A group is an anchor and what is fused behind it, as long as nobody else sees the tensor between them: for MatMul with
a constant matrix an Add of a flat bias, then any number of Relu and Clip. Relu and Clip behind anything else are
groups of their own. Nodes that write out a known function of one value (``functions.py``) are one group as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from npudsl.ir.functions import WrittenOutFunction, written_out_function
from npudsl.ir.graph import Graph, Node
from npudsl.ir.groups import Clamp, LayerGroup
from npudsl.ir.macs import node_macs
from npudsl.ir.segments import assign_segments

if TYPE_CHECKING:
    import numpy as np

CLAMPED_OPS = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "AveragePool", "GlobalAveragePool", "Concat"}
)
"""Anchors whose requantization can clamp as well."""

WEIGHTED_OPS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

OPERAND_OPS = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "PRelu", "Concat", "Sum", "Mean", "Mod"})
"""Operators whose constant float inputs are values like their activations."""

MOVING_OPS = frozenset(
    {
        "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Identity", "Expand", "Tile",
        "MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin", "DepthToSpace", "SpaceToDepth",
    }
)  # fmt: skip
"""Operators that only move or select values, whatever their attributes say."""


def layer_groups(graph: Graph) -> tuple[LayerGroup, ...]:
    """Every node of ``graph`` in exactly one group; groups in graph order, each with its segment."""
    taken: set[str] = set()
    groups = []
    for node in graph.nodes:
        if node.name in taken:
            continue
        function = written_out_function(graph, node, taken)
        if function is not None:
            taken.update(item.name for item in function.nodes)
            groups.append(_function_group(function))
            continue
        fused = _fuse(graph, node)
        taken.update(item.name for item in fused.nodes)
        groups.append(_group(graph, fused))
    return assign_segments(graph, tuple(groups))


def groups_by_name(graph: Graph, groups: tuple[LayerGroup, ...]) -> dict[str, LayerGroup]:
    """Every name a user may call a layer by: its group's, of any node in it, and every alias of those."""
    of_node = {name: group for group in groups for name in group.nodes}
    known = {name: of_node[target] for name, target in graph.aliases.items() if target in of_node}
    return {**known, **of_node, **{group.name: group for group in groups}}


@dataclass(frozen=True)
class _Fused:
    nodes: tuple[Node, ...]
    bias: str | None = None
    clamp: Clamp | None = None


def _fuse(graph: Graph, anchor: Node) -> _Fused:
    """``anchor`` and the nodes behind it that its kernel computes too."""
    fused = _Fused((anchor,))
    if anchor.op == "MatMul":
        fused = _with_bias(graph, fused)
    while anchor.op in CLAMPED_OPS:
        behind = _only_reader(graph, fused.nodes[-1])
        bounds = clamp_of(graph, behind) if behind is not None else None
        if behind is None or bounds is None:
            break
        fused = replace(fused, nodes=(*fused.nodes, behind), clamp=_narrower(fused.clamp, bounds))
    return fused


def _only_reader(graph: Graph, node: Node) -> Node | None:
    """The one node that reads the one output of ``node``; None when the user or somebody else reads it too."""
    if len(node.outputs) != 1 or node.outputs[0] in graph.outputs:
        return None
    readers = graph.consumers(node.outputs[0])
    return readers[0] if len(readers) == 1 else None


def _with_bias(graph: Graph, fused: _Fused) -> _Fused:
    anchor = fused.nodes[0]
    behind = _only_reader(graph, anchor)
    if behind is None or behind.op != "Add" or not any(name in graph.constants for name in anchor.inputs):
        return fused
    other = next((name for name in behind.inputs if name != anchor.outputs[0]), "")
    if other not in graph.constants or graph.types[other].shape != graph.types[anchor.outputs[0]].shape[-1:]:
        return fused
    return _Fused((anchor, behind), bias=other)


def clamp_of(graph: Graph, node: Node) -> Clamp | None:
    """What ``node`` clamps to when it is a Relu, or a Clip with constant bounds; None for anything else."""
    if node.op == "Relu":
        return Clamp(0.0, None)
    if node.op != "Clip":
        return None
    bounds: list[float | None] = []
    for position in (1, 2):
        name = node.inputs[position] if len(node.inputs) > position else ""
        if name and name not in graph.constants:
            return None
        value = float(graph.constants[name].reshape(())[()]) if name else None
        bounds.append(value if value is not None and math.isfinite(value) and abs(value) < FLOAT32_MAX else None)
    return Clamp(bounds[0], bounds[1])


FLOAT32_MAX = 3.4028234e38
"""Exporters write a bound at the end of float32 for no bound at all."""


def _narrower(first: Clamp | None, second: Clamp) -> Clamp:
    """Clamping to ``first`` and then to ``second``, as one clamp."""
    if first is None:
        return second
    low, high = first.low, first.high
    if second.low is not None:
        low = second.low if low is None else max(low, second.low)
        high = None if high is None else max(high, second.low)
    if second.high is not None:
        high = second.high if high is None else min(high, second.high)
        low = None if low is None else min(low, second.high)
    return Clamp(low, high)


def _group(graph: Graph, fused: _Fused) -> LayerGroup:
    anchor = fused.nodes[0]
    weights: tuple[str, ...] = ()
    bias = fused.bias
    operands: tuple[str, ...] = ()
    if anchor.op in WEIGHTED_OPS:
        weights = tuple(name for name in anchor.inputs[:2] if name in graph.constants)
        third = anchor.inputs[2] if len(anchor.inputs) > 2 else ""
        bias = third if third in graph.constants else bias
    elif anchor.op in OPERAND_OPS:
        operands = tuple(name for name in anchor.inputs if name in graph.constants)
    return LayerGroup(
        name=anchor.name,
        op=anchor.op,
        nodes=tuple(node.name for node in fused.nodes),
        inputs=tuple(name for name in anchor.inputs if name and name not in graph.constants),
        outputs=tuple(name for name in fused.nodes[-1].outputs if name),
        weights=weights,
        bias=bias,
        operands=operands,
        clamp=fused.clamp,
        passthrough=is_passthrough(anchor, graph.types, graph.constants),
        macs=node_macs(anchor, graph.types),
        part_of=graph.parts.get(anchor.name, ""),
    )


def _function_group(function: WrittenOutFunction) -> LayerGroup:
    return LayerGroup(
        name=function.nodes[0].name,
        op=function.op,
        nodes=tuple(node.name for node in function.nodes),
        inputs=(function.source,),
        outputs=function.nodes[-1].outputs,
        attributes=function.attributes,
    )


def is_passthrough(node: Node, types: Mapping[str, Any], constants: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    """Whether every value that ``node`` makes is a value it read (or a zero), so that its output keeps the
    quantization."""
    if types[node.inputs[0]].dtype != types[node.outputs[0]].dtype or node.inputs[0] in constants:
        return False
    if node.op in MOVING_OPS:
        return True
    if node.op == "Resize":
        return bool(node.attributes.get("mode", "nearest") == "nearest")
    if node.op == "Gather":
        return node.inputs[1] in constants
    if node.op == "Pad":
        return _pads_with_known_values(node, constants)
    return False


def _pads_with_known_values(node: Node, constants: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    if node.attributes.get("mode", "constant") != "constant" or len(node.inputs) < 3 or not node.inputs[2]:
        return True
    value = constants.get(node.inputs[2])
    return value is not None and not value.any()
