"""The integer program cut into segments that run on their own.

Segments are those of the float model: runs of layers with few tensors between them. A converter (a layer that stands
for no node) belongs to the segment of each of its readers and runs again there. So only tensors of the float model
cross a border, and a layer that changes its type changes nothing upstream of itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, layer_record
from npudsl.keys import digest_record

if TYPE_CHECKING:
    from npudsl.keys import Json

NOT_ARITHMETIC = frozenset({"name", "sources", "segment", "macs", "label", "low", "high", "algorithm", "decided_by"})
"""Fields of layers and tensors that decide no number."""


@dataclass(frozen=True)
class Segment:
    """Layers that run together. ``reads`` come from elsewhere, ``makes`` is what others or the trace need of it."""

    number: int
    layers: tuple[IntegerLayer, ...]
    reads: tuple[str, ...]
    makes: tuple[str, ...]

    @property
    def own_layers(self) -> tuple[IntegerLayer, ...]:
        """The layers without converters."""
        return tuple(layer for layer in self.layers if layer.sources)

    @property
    def tensors(self) -> tuple[str, ...]:
        """Every tensor that is read or written, in order."""
        names = [*self.reads]
        for layer in self.layers:
            names += [*layer.inputs, *layer.outputs]
        return tuple(dict.fromkeys(names))


def cut_segments(model: QuantizedModel, wanted: Iterable[str]) -> tuple[Segment, ...]:
    """The segments of a program in order; ``wanted`` names tensors that must come out besides what others read."""
    producers = {output: layer for layer in model.layers for output in layer.outputs}
    numbers = sorted({layer.segment for layer in model.layers})
    layers = {number: _with_converters(model, number, producers) for number in numbers}
    reads = {number: _reads(members) for number, members in layers.items()}
    needed = {*wanted, *(name for names in reads.values() for name in names)}
    segments = []
    for number in numbers:
        home = [layer for layer in layers[number] if layer.segment == number]
        makes = tuple(name for layer in home for name in layer.outputs if name in needed)
        segments.append(Segment(number, layers[number], reads[number], makes))
    return tuple(segments)


def layer_digest(layer: IntegerLayer) -> str:
    """One digest of all that decides the layer's numbers; what only reports show does not count."""
    return digest_record({name: value for name, value in layer_record(layer).items() if name not in NOT_ARITHMETIC})


def tensor_records(model: QuantizedModel, names: Iterable[str]) -> dict[str, Json]:
    """How each tensor is stored, without who decided it and the range it came from."""
    records: dict[str, Json] = {}
    for name in names:
        record = asdict(model.tensors[name])
        records[name] = {field: value for field, value in record.items() if field not in NOT_ARITHMETIC}
    return records


def float_sources(model: QuantizedModel, names: Iterable[str], borders: Iterable[str]) -> dict[str, str]:
    """By tensor, the float tensor whose values it carries: itself, or what the converters before it read."""
    known = set(borders)
    producers = {output: layer for layer in model.layers for output in layer.outputs}
    sources = {}
    for name in names:
        origin = name
        while origin in producers and not producers[origin].sources:
            origin = producers[origin].inputs[0]
        if origin in known:
            sources[name] = origin
    return sources


def _with_converters(
    model: QuantizedModel, number: int, producers: dict[str, IntegerLayer]
) -> tuple[IntegerLayer, ...]:
    members = {layer.name for layer in model.layers if layer.segment == number}
    for layer in reversed(model.layers):
        if layer.name in members:
            makers = (producers.get(name) for name in layer.inputs)
            members.update(maker.name for maker in makers if maker is not None and not maker.sources)
    return tuple(layer for layer in model.layers if layer.name in members)


def _reads(layers: Iterable[IntegerLayer]) -> tuple[str, ...]:
    made: set[str] = set()
    read: dict[str, None] = {}
    for layer in layers:
        read.update(dict.fromkeys(name for name in layer.inputs if name not in made))
        made.update(layer.outputs)
    return tuple(read)
