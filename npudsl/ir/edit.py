"""Editing a graph: what every pass uses, so that names survive every rewrite.

A pass opens a ``GraphEditor``, changes nodes, and calls ``finish``: dead nodes and unread constants go, the order is
made topological again (ties keep the order of the list), and the alias map is brought up to date. Whoever removes a
node says which node stands for it from then on; a name whose stand-in is removed later follows the chain. A name
without a stand-in left (a branch that no output needs) disappears, so a rule on it is reported instead of ignored.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from npudsl.ir.graph import Graph, Node, TensorType

if TYPE_CHECKING:
    import numpy as np


Place = tuple[int, ...]
"""Where a node stands: position in the graph, then positions among the nodes that took one node's place."""


class GraphEditor:
    """A graph that is being rewritten; who makes and who reads a tensor is kept up to date with every change."""

    def __init__(self, graph: Graph) -> None:
        self.name = graph.name
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        self.types = dict(graph.types)
        self.constants = dict(graph.constants)
        self.parts = dict(graph.parts)
        self._stand_ins = dict(graph.aliases)
        self._nodes: dict[str, Node] = {}
        self._places: dict[str, Place] = {}
        self._makers: dict[str, str] = {}
        self._readers: dict[str, set[str]] = {}
        self.take(graph.nodes)

    @property
    def nodes(self) -> list[Node]:
        """The nodes as they are now, each where it or what it replaced stood."""
        return [self._nodes[name] for name in sorted(self._nodes, key=self._places.__getitem__)]

    def take(self, nodes: Iterable[Node]) -> None:
        """Have ``nodes`` instead of all nodes so far."""
        self._nodes, self._places, self._makers, self._readers = {}, {}, {}, {}
        for position, node in enumerate(nodes):
            self._insert(node, (position,))

    def node(self, name: str) -> Node | None:
        """The node called ``name`` as it is now; None when it is gone."""
        return self._nodes.get(name)

    def producer(self, tensor: str) -> Node | None:
        """The node that makes ``tensor`` now."""
        maker = self._makers.get(tensor)
        return None if maker is None else self._nodes[maker]

    def consumers(self, tensor: str) -> list[Node]:
        """The nodes that read ``tensor`` now, in order."""
        names = self._readers.get(tensor, ())
        return [self._nodes[name] for name in sorted(names, key=self._places.__getitem__)]

    def only_consumer(self, tensor: str) -> Node | None:
        """The node that alone reads ``tensor``; None when there are several, none, or the user reads it too."""
        readers = self.consumers(tensor)
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def constant(self, tensor: str) -> np.ndarray[Any, Any] | None:
        """The value of a constant tensor, else None."""
        return self.constants.get(tensor)

    def add_constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        """Store ``value`` under ``name``, or a free name that starts with it; returns the name."""
        free = self.free_name(name)
        self.constants[free] = value
        self.types[free] = TensorType(tuple(int(extent) for extent in value.shape), value.dtype.name)
        return free

    def change_constant(self, tensor: str, value: np.ndarray[Any, Any]) -> str:
        """A constant with a new value: under its own name when one node alone reads it, else under a new one."""
        if len(self.consumers(tensor)) > 1:
            return self.add_constant(tensor, value)
        del self.constants[tensor]
        del self.types[tensor]
        return self.add_constant(tensor, value)

    def free_name(self, name: str) -> str:
        """``name``, or with the first number that makes it a tensor name not yet taken."""
        if name not in self.types:
            return name
        number = 2
        while f"{name}.{number}" in self.types:
            number += 1
        return f"{name}.{number}"

    def replace(self, node: Node, *new: Node) -> None:
        """Put ``new`` in the place of ``node``; the last of them stands for its name."""
        place = self._remove(node.name)
        for position, item in enumerate(new):
            self._insert(item, place if len(new) == 1 else (*place, position))
        if all(item.name != node.name for item in new):
            self.stands_for(node, new[-1].name)

    def absorb(self, node: Node, into: Node, result: Node) -> None:
        """``result`` takes the place of ``into`` and does what its neighbour ``node`` did as well."""
        self._remove(node.name)
        self._insert(result, self._remove(into.name))
        self.stands_for(into, result.name)
        self.stands_for(node, result.name)

    def stands_for(self, node: Node, name: str) -> None:
        """From now on ``name`` answers for ``node`` and for the tensors it made."""
        for known in (node.name, *node.outputs):
            if known and known != name:
                self._stand_ins[known] = name

    def bypass(self, node: Node) -> bool:
        """Remove a node that only hands its first input on.

        False (nothing done) when the names at both ends are the user's.
        """
        source, result = node.inputs[0], node.outputs[0]
        producer = self.producer(source)
        if result in self.outputs:
            if producer is None or source in self.outputs:
                return False
            self._remove(node.name)
            self.rename_tensor(source, result)
            self.stands_for(node, producer.name)
            self._stand_ins[source] = producer.name
            return True
        self._remove(node.name)
        self._redirect(result, source)
        if producer is not None:
            self.stands_for(node, producer.name)
        elif readers := self.consumers(source):
            self.stands_for(node, readers[0].name)
        return True

    def rename_tensor(self, old: str, new: str) -> None:
        """Give a tensor that a node makes another name everywhere; no node makes ``new``."""
        self.types[new] = self.types.pop(old)
        self._redirect(old, new)
        self.outputs = tuple(new if name == old else name for name in self.outputs)
        maker = self._nodes[self._makers[old]]
        outputs = tuple(new if name == old else name for name in maker.outputs)
        self._insert(replace(maker, outputs=outputs), self._remove(maker.name))

    def finish(self) -> Graph:
        """The graph as it now is."""
        nodes = topological_order(_needed(self.nodes, self.outputs, self.inputs), self.inputs, self.constants)
        read = {tensor for node in nodes for tensor in node.inputs}
        made = {tensor for node in nodes for tensor in node.outputs if tensor}
        constants = {name: value for name, value in self.constants.items() if name in read}
        live = made | set(constants) | set(self.inputs)
        return Graph(
            name=self.name,
            inputs=self.inputs,
            outputs=self.outputs,
            nodes=nodes,
            types={name: type_ for name, type_ in self.types.items() if name in live},
            constants=constants,
            aliases=self._aliases(nodes),
            parts={node.name: self.parts[node.name] for node in nodes if node.name in self.parts},
        )

    def _aliases(self, nodes: tuple[Node, ...]) -> dict[str, str]:
        names = {node.name for node in nodes}
        aliases: dict[str, str] = {}
        for name in self._stand_ins.keys() - names:
            target: str | None = name
            seen = set()
            while target is not None and target not in names and target not in seen:
                seen.add(target)
                target = self._stand_ins.get(target)
            if target is not None and target in names:
                aliases[name] = target
        for node in nodes:
            for tensor in node.outputs:
                if tensor and tensor not in names:
                    aliases[tensor] = node.name
        return dict(sorted(aliases.items()))

    def _redirect(self, old: str, new: str) -> None:
        """Let every reader of ``old`` read ``new``."""
        for node in self.consumers(old):
            inputs = tuple(new if name == old else name for name in node.inputs)
            self._insert(replace(node, inputs=inputs), self._remove(node.name))

    def _insert(self, node: Node, place: Place) -> None:
        self._nodes[node.name] = node
        self._places[node.name] = place
        self._makers.update((tensor, node.name) for tensor in node.outputs if tensor)
        for tensor in node.inputs:
            if tensor:
                self._readers.setdefault(tensor, set()).add(node.name)

    def _remove(self, name: str) -> Place:
        """Take a node out; returns where it stood."""
        node = self._nodes.pop(name)
        for tensor in node.outputs:
            if self._makers.get(tensor) == name:
                del self._makers[tensor]
        for tensor in set(node.inputs):
            self._readers.get(tensor, set()).discard(name)
        return self._places.pop(name)


def topological_order(nodes: Iterable[Node], *sources: Iterable[str]) -> tuple[Node, ...]:
    """``nodes`` sorted so that every tensor is made before it is read; ties keep the given order.

    Raises ``ValueError`` with the name of a node that can never run (a cycle, or a tensor that nobody makes).
    """
    listed = list(nodes)
    known = {name for source in sources for name in source}
    waiting: dict[str, list[int]] = {}
    missing: list[int] = []
    for at, node in enumerate(listed):
        absent = {tensor for tensor in node.inputs if tensor and tensor not in known}
        missing.append(len(absent))
        for tensor in absent:
            waiting.setdefault(tensor, []).append(at)
    ready = [at for at, count in enumerate(missing) if count == 0]
    ordered = []
    while ready:
        node = listed[heapq.heappop(ready)]
        ordered.append(node)
        for tensor in node.outputs:
            for at in waiting.pop(tensor, ()):
                missing[at] -= 1
                if missing[at] == 0:
                    heapq.heappush(ready, at)
    if len(ordered) < len(listed):
        stuck = next(at for at, count in enumerate(missing) if count > 0)
        raise ValueError(listed[stuck].name)
    return tuple(ordered)


def _needed(nodes: Iterable[Node], outputs: Iterable[str], inputs: Iterable[str]) -> list[Node]:
    """The nodes that some output depends on, in the given order (which need not be topological)."""
    makers = {tensor: node for node in nodes for tensor in node.outputs if tensor}
    given = set(inputs)
    stack = [name for name in outputs if name not in given]
    kept: set[str] = set()
    while stack:
        node = makers.get(stack.pop())
        if node is None or node.name in kept:
            continue
        kept.add(node.name)
        stack.extend(tensor for tensor in node.inputs if tensor not in given)
    return [node for node in nodes if node.name in kept]
