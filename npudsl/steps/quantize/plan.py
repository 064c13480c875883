"""What is to be done before anything is computed: effective settings of every tensor, and which ranges are needed.

``expand`` and ``join`` make the same plan from the same two JSON values, so nothing has to travel between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from npudsl.ir.graph import Graph
from npudsl.ir.groups import LayerGroup
from npudsl.steps.quantize.settings import Settings
from npudsl.steps.quantize.structure import Structure

FIXED_OUTPUT_OPS = frozenset({"Softmax", "ArgMax", "ArgMin"})
"""Operators whose integer output has a scale of its own, given by the operation."""


def coded_operands(graph: Graph, group: LayerGroup) -> tuple[str, ...]:
    """The constant operands of a layer that become codes; an exponent or a single slope becomes part of a table."""
    if group.op == "Pow" or (group.op == "PRelu" and all(graph.types[name].size == 1 for name in group.operands)):
        return ()
    return group.operands


@dataclass(frozen=True)
class QuantizationPlan:
    """``activations`` has graph inputs and group outputs; ``constants`` weights and operands by layer and name."""

    structure: Structure
    activations: Mapping[str, Settings]
    constants: Mapping[tuple[str, str], Settings]

    def is_float(self, group: LayerGroup) -> bool:
        """Whether the layer is computed in float32."""
        return any(not self.activations[name].is_integer for name in group.outputs)

    def has_fixed_output(self, group: LayerGroup | None) -> bool:
        """Whether the operation itself gives the range of the layer's output."""
        return group is not None and group.op in FIXED_OUTPUT_OPS and not self.is_float(group)

    def quantized_constants(self, group: LayerGroup) -> tuple[str, ...]:
        """Weights and operands of a layer that become codes."""
        if self.is_float(group):
            return ()
        return (*group.weights, *coded_operands(self.structure.graph, group))

    @cached_property
    def ranges(self) -> dict[str, Settings]:
        """Every tensor that needs a range, with the settings under which it is chosen.

        An integer tensor is chosen under its own settings. A float one needs a range when an integer layer reads it:
        for the type of the first that does.
        """
        wanted: dict[str, Settings] = {}
        for name in self.structure.tensors:
            owner = self.structure.owner(name)
            if owner in wanted or self.has_fixed_output(self.structure.maker(owner)):
                continue
            own = self.activations[owner]
            if own.is_integer:
                wanted[owner] = own
            elif (reader := self._integer_use(name)) is not None:
                wanted[owner] = replace(own, type=reader.type, scheme=reader.scheme)
        return {name: wanted[name] for name in self.structure.tensors if name in wanted}

    def _integer_use(self, tensor: str) -> Settings | None:
        """The settings under which a float tensor becomes integers: its own, or those of the first integer reader."""
        if self.activations[tensor].is_integer:
            return self.activations[tensor]
        for group in self.structure.readers(tensor):
            settings = self.activations[group.outputs[0]]
            if settings.is_integer:
                return settings
        return None

    @cached_property
    def shared(self) -> dict[str, str]:
        """Tensors that take the quantization of the concatenation they go into, by name of its output.

        Only where nothing is lost: the concatenation is the tensor's only reader, and both were to be quantized alike.
        Then its producer rounds to the joined scale at once, and joining moves bytes; otherwise every input keeps its
        range and is requantized a second time. (A concatenation with a fused Relu or Clip has a range that is not its
        inputs'.)
        """
        shared: dict[str, str] = {}
        for group in reversed(self.structure.groups):
            if group.op == "Concat" and group.clamp is None and not self.is_float(group):
                output = group.outputs[0]
                for name in group.inputs:
                    self._share(name, group, shared.get(output, output), shared)
        return shared

    def _share(self, tensor: str, reader: LayerGroup, root: str, shared: dict[str, str]) -> None:
        maker = self.structure.maker(tensor)
        read_elsewhere = self.structure.readers(tensor) != (reader,) or tensor in self.structure.graph.outputs
        if maker is None or read_elsewhere or self.has_fixed_output(maker):
            return
        own, joined = self.activations[tensor], self.activations[root]
        if (own.type, own.scheme) != (joined.type, joined.scheme):
            return
        if maker.passthrough and len(maker.outputs) == 1:
            self._share(maker.inputs[0], maker, root, shared)
        elif not maker.passthrough and own.record() == joined.record():
            shared[tensor] = root
