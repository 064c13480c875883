"""Types that an operator needs whatever the variant's default is.

Inside a recurrent operator (LSTM, GRU, RNN) tensors have 16 bits unless a rule says otherwise: state is rounded at
every step of a sequence, and 8 bits drift. The same holds for state on its way in and out, as far as it is only moved
or joined (graph inputs and outputs included), because it comes back with the next call. Chips that have such an
operator keep its gates and cells in 16 bits or in float, whatever the type of the network is. Weights keep the
variant's type.

Positions (ArgMax, ArgMin) are counted in the variant's type as far as it goes, then in 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from npudsl.numerics.types import element_type
from npudsl.steps.quantize.settings import Settings
from npudsl.steps.quantize.structure import Structure
from npudsl.steps.quantize.support import INDEX_OPS, LARGEST_INDEX, counts_positions

WIDE_TYPE, WIDE_SCHEME = "i16", "dfp"

BY_RECURRENCE = "recurrent"
"""What the table says of a type that a recurrent operator brought."""

DEFAULT = "default"


def types_of_parts(structure: Structure, activations: Mapping[str, Settings]) -> dict[str, Settings]:
    """Settings of the tensors inside recurrent operators that no rule decided, and of the state's way in and out."""
    wide: dict[str, Settings] = {}

    def widen(name: str) -> bool:
        """Give a tensor 16 bits; False when a rule decided it, or it stays in float."""
        settings = activations[name]
        if settings.is_integer and settings.decided_by == DEFAULT:
            wide[name] = replace(settings, type=WIDE_TYPE, scheme=WIDE_SCHEME, decided_by=BY_RECURRENCE)
        return name in wide

    for group in structure.groups:
        moves = group.passthrough or group.op == "Concat"
        if group.part_of or (moves and group.inputs and all(name in wide for name in group.inputs)):
            for name in group.outputs:
                widen(name)
        if group.part_of and group.passthrough:
            _widen_upwards(structure, group.inputs[0], widen)
    return wide


def _widen_upwards(structure: Structure, tensor: str, widen: Callable[[str], bool]) -> None:
    """A state that comes in: what it is read from, as far as it is only moved."""
    maker = structure.maker(tensor)
    while (maker is None or maker.passthrough) and widen(tensor) and maker is not None:
        tensor = maker.inputs[0]
        maker = structure.maker(tensor)


def types_of_positions(structure: Structure, activations: Mapping[str, Settings]) -> dict[str, Settings]:
    """Settings of positions, and of positions that were moved."""
    graph = structure.graph
    changed: dict[str, Settings] = {}
    for group in structure.groups:
        if group.op in INDEX_OPS:
            extent = graph.types[group.inputs[0]].shape[int(structure.node(group).attributes.get("axis", 0))]
            for name in group.outputs:
                changed[name] = _counting(activations[name], extent - 1)
        elif group.passthrough:
            for name in group.outputs:
                if counts_positions(graph, name) and group.inputs[0] in changed:
                    changed[name] = changed[group.inputs[0]]
    return changed


def _counting(settings: Settings, largest: int) -> Settings:
    """``settings``, or 16 bits where they cannot count to ``largest``."""
    if not settings.is_integer:
        return settings
    element = element_type(settings.type)
    room = element.maximum if settings.scheme == "dfp" else element.maximum - element.minimum
    if largest <= room or largest > LARGEST_INDEX:
        return settings
    return replace(settings, type=WIDE_TYPE, scheme=WIDE_SCHEME)
