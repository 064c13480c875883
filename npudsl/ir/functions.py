"""Functions of one value that exporters write out as several nodes: SiLU, GELU, Mish, hard swish and their kind.

Where such nodes have one input and one output and nobody else reads what is between them, they are one layer: one
table, one rounding, as on the chips. What the nodes compute is recognised by its values on a grid, not by the shape
of the expression: x * sigmoid(x), x / (1 + exp(-x)) and every order of the factors of GELU are found alike.

Rejected: rewriting the graph (opset 19 has no SiLU and no GELU) and fusing every chain of functions (a table of a whole
chain is no layer that a chip or its converter knows, and the names in between would be lost).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from npudsl.ir.graph import Graph, Node

if TYPE_CHECKING:
    import numpy as np

    Reals = np.ndarray[Any, np.dtype[np.float64]]

LARGEST_FUNCTION = 16
"""Nodes of one written-out function at most; the longest known ones have nine."""

TOLERANCE = 1e-5
"""Allowed difference on the grid: the constants of a file are float32."""

GRID = (-9.0, 9.0, 145)
"""First and last point and their number: steps of 1/8, so zero and all kinks of the hard functions are on it."""


@dataclass(frozen=True)
class WrittenOutFunction:
    """Nodes of a graph, in graph order, that compute a known function of ``source`` into the last one's output."""

    op: str
    nodes: tuple[Node, ...]
    source: str
    attributes: Mapping[str, float | str] = field(default_factory=dict)


def written_out_function(graph: Graph, anchor: Node, taken: frozenset[str] | set[str]) -> WrittenOutFunction | None:
    """The largest known function whose first node is ``anchor``; ``taken`` are names of nodes in other layers."""
    source = _only_variable(graph, anchor)
    if source is None:
        return None
    reached = _reached(graph, source, taken)
    for last in sorted(reached, key=lambda name: -reached[name][0]):
        nodes = _needed_for(graph, source, reached[last][1], reached)
        if len(nodes) < 2 or nodes[0].name != anchor.name or not _is_closed(graph, nodes):
            continue
        known = recognised(graph, nodes, source)
        if known is not None:
            return WrittenOutFunction(known[0], nodes, source, known[1])
    return None


def recognised(graph: Graph, nodes: Sequence[Node], source: str) -> tuple[str, dict[str, float | str]] | None:
    """Name and attributes of what ``nodes`` compute from ``source``; None for a function without a name here."""
    import numpy as np

    grid = np.linspace(*GRID)
    with np.errstate(all="ignore"):
        found = _evaluated(graph, nodes, source, grid)
        if found is None or not np.isfinite(found).all():
            return None
        for op, attributes, expected in _known(grid, found):
            if np.abs(found - expected).max() <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
                return op, attributes
    return None


def _known(x: Reals, found: Reals) -> Iterator[tuple[str, dict[str, float | str], Reals]]:
    """Every known function on the grid; slopes are taken from the values that were found."""
    import numpy as np

    sigmoid = 1.0 / (1.0 + np.exp(-x))
    softplus = np.logaddexp(0.0, x)
    yield "Sigmoid", {}, sigmoid
    yield "Softplus", {}, softplus
    yield "Softsign", {}, x / (1.0 + np.abs(x))
    yield "Silu", {"alpha": 1.0}, x * sigmoid
    yield "Silu", {"alpha": 1.702}, x / (1.0 + np.exp(-1.702 * x))
    yield "Mish", {}, x * np.tanh(softplus)
    yield "Gelu", {"approximate": "none"}, 0.5 * x * (1.0 + _erf(x / np.sqrt(2.0)))
    yield "Gelu", {"approximate": "tanh"}, 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))
    for alpha in (1.0 / 6.0, 0.2):
        yield "HardSigmoid", {"alpha": alpha, "beta": 0.5}, np.clip(alpha * x + 0.5, 0.0, 1.0)
    yield "HardSwish", {}, x * np.clip(x / 6.0 + 0.5, 0.0, 1.0)
    slope = float(found[0] / x[0])
    if 0.0 < slope < 1.0:
        yield "LeakyRelu", {"alpha": slope}, np.where(x < 0, slope * x, x)


def _only_variable(graph: Graph, node: Node) -> str | None:
    """The one activation that an element-wise node reads; its other operands are single numbers."""
    if node.op not in _EVALUATE or len(node.outputs) != 1 or graph.types[node.outputs[0]].dtype != "float32":
        return None
    variables = {name for name in node.inputs if name and not _is_number(graph, name)}
    if len(variables) != 1 or variables & graph.constants.keys():
        return None
    (name,) = variables
    return name if graph.types[name] == graph.types[node.outputs[0]] else None


def _is_number(graph: Graph, name: str) -> bool:
    """Whether a tensor is a constant of one element."""
    return name in graph.constants and graph.types[name].size == 1


def _reached(graph: Graph, source: str, taken: frozenset[str] | set[str]) -> dict[str, tuple[int, Node]]:
    """Element-wise nodes that depend on ``source`` and on numbers only, by name, with their order."""
    position = _positions(graph)
    waiting = [position[node.name] for node in graph.consumers(source)]
    heapq.heapify(waiting)
    values = {source}
    reached: dict[str, tuple[int, Node]] = {}
    while waiting and len(reached) < LARGEST_FUNCTION:
        at = heapq.heappop(waiting)
        node = graph.nodes[at]
        if node.name in reached or node.name in taken or node.op not in _EVALUATE or len(node.outputs) != 1:
            continue
        if any(name and name not in values and not _is_number(graph, name) for name in node.inputs):
            continue
        if graph.types[node.outputs[0]] != graph.types[source]:
            continue
        reached[node.name] = (at, node)
        values.add(node.outputs[0])
        for reader in graph.consumers(node.outputs[0]):
            heapq.heappush(waiting, position[reader.name])
    return reached


def _positions(graph: Graph) -> dict[str, int]:
    cached: dict[str, int] | None = graph.__dict__.get("_position_map")
    if cached is None:
        cached = {node.name: at for at, node in enumerate(graph.nodes)}
        object.__setattr__(graph, "_position_map", cached)
    return cached


def _needed_for(graph: Graph, source: str, last: Node, reached: Mapping[str, tuple[int, Node]]) -> tuple[Node, ...]:
    """``last`` and the reached nodes it depends on, in graph order."""
    makers = {node.outputs[0]: node for _, node in reached.values()}
    kept: dict[str, Node] = {}
    stack = [last]
    while stack:
        node = stack.pop()
        if node.name not in kept:
            kept[node.name] = node
            stack.extend(makers[name] for name in node.inputs if name in makers and name != source)
    return tuple(sorted(kept.values(), key=lambda node: reached[node.name][0]))


def _is_closed(graph: Graph, nodes: Sequence[Node]) -> bool:
    """Whether nobody outside reads what is made inside, but for the last node's output."""
    inside = {node.name for node in nodes}
    return all(
        node.outputs[0] not in graph.outputs
        and all(reader.name in inside for reader in graph.consumers(node.outputs[0]))
        for node in nodes[:-1]
    )


def _evaluated(graph: Graph, nodes: Sequence[Node], source: str, grid: Reals) -> Reals | None:
    """The last node's values in float64; None when a bound or factor is not at hand."""
    import numpy as np

    values: dict[str, Reals] = {source: grid}
    for node in nodes:
        operands = [
            values[name]
            if name in values
            else np.asarray(graph.constants[name], np.float64).reshape(-1)[:1]
            if name
            else None
            for name in node.inputs
        ]
        values[node.outputs[0]] = np.broadcast_to(_EVALUATE[node.op](operands, node.attributes), grid.shape)
    return values[nodes[-1].outputs[0]]


def _erf(x: Reals) -> Reals:
    import math

    import numpy as np

    return np.array([math.erf(value) for value in np.asarray(x).reshape(-1)])


def _clip(operands: list[Any], attributes: Mapping[str, Any]) -> Any:
    import numpy as np

    low = operands[1] if len(operands) > 1 and operands[1] is not None else -np.inf
    high = operands[2] if len(operands) > 2 and operands[2] is not None else np.inf
    return np.minimum(np.maximum(operands[0], low), high)


def _numpy(name: str) -> Callable[[list[Any], Mapping[str, Any]], Any]:
    """A numpy function of all operands, looked up when it is called."""

    def run(operands: list[Any], attributes: Mapping[str, Any]) -> Any:
        import numpy as np

        return getattr(np, name)(*operands)

    return run


def _hard_sigmoid(operands: list[Any], attributes: Mapping[str, Any]) -> Any:
    import numpy as np

    return np.clip(attributes.get("alpha", 0.2) * operands[0] + attributes.get("beta", 0.5), 0.0, 1.0)


def _sigmoid(operands: list[Any], attributes: Mapping[str, Any]) -> Any:
    import numpy as np

    return 1.0 / (1.0 + np.exp(-operands[0]))


def _softplus(operands: list[Any], attributes: Mapping[str, Any]) -> Any:
    import numpy as np

    return np.logaddexp(0.0, operands[0])


def _relu(operands: list[Any], attributes: Mapping[str, Any]) -> Any:
    import numpy as np

    return np.maximum(operands[0], 0.0)


_EVALUATE: Mapping[str, Callable[[list[Any], Mapping[str, Any]], Any]] = {
    "Abs": _numpy("abs"),
    "Add": _numpy("add"),
    "Clip": _clip,
    "Div": _numpy("divide"),
    "Erf": lambda operands, attributes: _erf(operands[0]),
    "Exp": _numpy("exp"),
    "HardSigmoid": _hard_sigmoid,
    "Log": _numpy("log"),
    "Max": _numpy("maximum"),
    "Min": _numpy("minimum"),
    "Mul": _numpy("multiply"),
    "Neg": _numpy("negative"),
    "Pow": _numpy("power"),
    "Reciprocal": _numpy("reciprocal"),
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Sub": _numpy("subtract"),
    "Tanh": _numpy("tanh"),
}
"""Operators of which known functions are made, in float64."""
