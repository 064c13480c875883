"""The network as values.

Operators carry ONNX names and ONNX semantics (opset 19): that is the one vocabulary every importer can reach and every
engineer can look up. A graph is always simplified, shape-complete and in topological order (ties keep file order), so
code that reads it needs no cases for what the importer already decided; ``ir/passes`` says what the one form is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Attribute = Any
"""int, float, str, or a list of these; tensors never are attributes here (they become constants)."""


@dataclass(frozen=True)
class TensorType:
    """Shape (complete, with the batch) and element type (a numpy name: ``float32``, ``int64`` ...)."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size


@dataclass(frozen=True)
class Node:
    """One operator. ``inputs`` name tensors; an absent optional input is ``""``."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A network. Invariants: node and tensor names are unique, ``nodes`` is topologically sorted, ``types`` knows
    every tensor, ``constants`` holds the value of every tensor that no node makes and that is not an input.

    ``aliases`` maps every name the user may know a node by (original node names that were folded or fused away,
    tensor names) to the name of the node that stands for it now; a node's own name is not listed. ``parts`` has the
    nodes that one operator of the file was written out into, with that operator (``LSTM`` ...).
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    types: Mapping[str, TensorType]
    constants: Mapping[str, np.ndarray[Any, Any]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)

    def producer(self, tensor: str) -> Node | None:
        """The node that makes ``tensor``; None for inputs and constants."""
        return self._producers.get(tensor)

    def consumers(self, tensor: str) -> tuple[Node, ...]:
        """The nodes that read ``tensor``, in graph order."""
        return self._consumers.get(tensor, ())

    @property
    def _producers(self) -> dict[str, Node]:
        cached = self.__dict__.get("_producer_map")
        if cached is None:
            cached = {output: node for node in self.nodes for output in node.outputs}
            object.__setattr__(self, "_producer_map", cached)
        return cached

    @property
    def _consumers(self) -> dict[str, tuple[Node, ...]]:
        cached = self.__dict__.get("_consumer_map")
        if cached is None:
            readers: dict[str, list[Node]] = {}
            for node in self.nodes:
                for name in dict.fromkeys(node.inputs):
                    if name:
                        readers.setdefault(name, []).append(node)
            cached = {name: tuple(nodes) for name, nodes in readers.items()}
            object.__setattr__(self, "_consumer_map", cached)
        return cached
