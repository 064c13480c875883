"""The integer program: what quantize makes, simulate runs, export prints and compare explains.

One artefact, executable as it stands. Every multiplier, shift, clamp and table is already in it, so that the
simulator and the exported C project cannot disagree about how they are derived. See ``docs/integer-program.md`` for
the meaning of each operation, its attributes and its constants.

Layout as a tree: ``program.json`` plus one ``npy`` blob per constant, named ``constants/<layer>/<role>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobWriter, Tree

if TYPE_CHECKING:
    from npudsl.keys import Json

PROGRAM_FORMAT = 1


@dataclass(frozen=True)
class TensorQuantization:
    """How one tensor is stored. real = (code - zero_point) * scale; for dynamic fixed point scale = 2**-fl.

    ``type`` is u8, i8, i16 or f32; ``scheme`` asym, sym, dfp, perchannel (weights only) or none (f32).
    ``low`` and ``high`` are the ends of the range as written in the table; scale is computed from these rounded ends.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    scheme: str
    scale: float = 1.0
    zero_point: int = 0
    fractional_length: int | None = None
    low: float | None = None
    high: float | None = None
    algorithm: str | None = None
    decided_by: str = "default"
    """Kind of the winning rule: default, op, layers, layer, tensors, tensor, converter, passthrough, fixed, auto."""
    saturation: str = "full"
    """``full`` saturates at the ends of the type, ``symmetric`` leaves out the lowest code, as some chips do."""


@dataclass(frozen=True)
class WeightQuantization:
    """How one weight constant is stored; the codes are the layer's ``weight`` constant.

    ``scales`` has one entry per tensor, or one per output channel (axis 0 of the stored weight) for ``perchannel``.
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    type: str
    scheme: str
    scales: tuple[float, ...]
    zero_point: int = 0
    fractional_length: int | None = None
    low: float | None = None
    high: float | None = None
    algorithm: str | None = None
    decided_by: str = "default"
    corrected: str | None = None
    """Digest of codes and bias where these were fitted to samples (``weight_correction``, ``mle``)."""


@dataclass(frozen=True)
class Requantization:
    """``code = clamp(zero_point + R(value * multiplier, shift), low, high)``: R shifts right with ``rounding``.

    ``multipliers`` and ``shifts`` have one entry, or one per output channel. A shift is in -31..62; a negative one
    shifts left (before rounding it is exact, then it saturates). ``rounding`` is ``half_even``, ``half_away``,
    ``half_up`` or ``double`` (docs/numerics.md).
    """

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    rounding: str
    zero_point: int
    low: int
    high: int


@dataclass(frozen=True)
class IntegerLayer:
    """One operation of the integer program."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Blob] = field(default_factory=dict)
    requantize: tuple[Requantization, ...] = ()
    """One, or one per input where inputs are rescaled apart (add, concat)."""
    sources: tuple[str, ...] = ()
    """Nodes of the float model that this layer stands for (empty for converters)."""
    segment: int = 0
    macs: int = 0
    label: str = "exact"
    """exact, documented, inferred or assumed: how well the vendor's arithmetic is known (by profile and operation)."""


@dataclass(frozen=True)
class QuantizedModel:
    """The integer program of one variant."""

    name: str
    variant: str
    profile: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, TensorQuantization]
    """Every tensor that a layer reads or writes, converters included, in graph order."""
    weights: Mapping[str, WeightQuantization]
    """By the name of the weight constant in the float model, in graph order."""
    layers: tuple[IntegerLayer, ...]
    """Topologically sorted; a converter stands right before its first reader."""

    def save(self, writer: BlobWriter) -> Tree:
        """Write the program; constants are already blobs and pass by reference."""
        tree: dict[str, Blob] = {}
        for layer in self.layers:
            for role, blob in layer.constants.items():
                tree[f"constants/{layer.name}/{role}"] = blob
        tree["program.json"] = writer.write_json(self.record())
        return tree

    def record(self) -> dict[str, Json]:
        return {
            "format": PROGRAM_FORMAT,
            "name": self.name,
            "variant": self.variant,
            "profile": self.profile,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "tensors": [_record(tensor) for tensor in self.tensors.values()],
            "weights": [_record(weight) for weight in self.weights.values()],
            "layers": [layer_record(layer) for layer in self.layers],
        }

    @classmethod
    def load(cls, tree: Tree, reader: BlobReader) -> QuantizedModel:
        return cls.from_record(reader.read_json(tree["program.json"]))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> QuantizedModel:
        if record["format"] != PROGRAM_FORMAT:
            raise ValueError(f"integer program format {record['format']} is not {PROGRAM_FORMAT}")
        tensors = [_from_record(TensorQuantization, item) for item in record["tensors"]]
        weights = [_from_record(WeightQuantization, item) for item in record["weights"]]
        return cls(
            name=record["name"],
            variant=record["variant"],
            profile=record["profile"],
            inputs=tuple(record["inputs"]),
            outputs=tuple(record["outputs"]),
            tensors={tensor.name: tensor for tensor in tensors},
            weights={weight.name: weight for weight in weights},
            layers=tuple(layer_from_record(item) for item in record["layers"]),
        )


def layer_record(layer: IntegerLayer) -> dict[str, Json]:
    """The JSON form of one layer; it holds everything the layer's result depends on besides its input values."""
    record = _record(layer)
    record["attributes"] = dict(layer.attributes)
    record["constants"] = {role: blob.record() for role, blob in layer.constants.items()}
    record["requantize"] = [_record(item) for item in layer.requantize]
    return record


def layer_from_record(record: Mapping[str, Any]) -> IntegerLayer:
    values = dict(record)
    values["constants"] = {role: Blob.from_record(blob) for role, blob in record["constants"].items()}
    values["requantize"] = tuple(_from_record(Requantization, item) for item in record["requantize"])
    layer: IntegerLayer = _from_record(IntegerLayer, values)
    return layer


def _record(value: Any) -> dict[str, Json]:
    record: dict[str, Json] = {}
    for item in fields(value):
        field_value = getattr(value, item.name)
        record[item.name] = list(field_value) if isinstance(field_value, tuple) else field_value
    return record


def _from_record(cls: Any, record: Mapping[str, Any]) -> Any:
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    return cls(**values)
