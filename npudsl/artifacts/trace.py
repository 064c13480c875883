"""What a simulation leaves behind: outputs of every sample, and per-layer error sums of the report samples.

Tree: ``trace.json``, ``outputs/<tensor>`` (npy, all samples stacked on a new first axis, in dataset order: float32 of
the float model, codes of an integer program), ``dumps/<tensor>`` (the same for tensors that were asked for), and

- of the float model ``borders/<chunk>/<tensor>``: graph inputs and layer outputs of the report samples, by chunk;
- of an integer program ``accumulators/entire`` and ``accumulators/single`` (float64, tensors x report samples x sums,
  see ``numerics/metrics.py``) against those borders. *Entire* is the error of the whole run up to the layer, *single*
  the layer's own error on float input. The tensors are named, in order, in ``trace.json``.

Invariant: nothing here depends on how samples were cut into chunks for the run; the report's chunks are fixed by
position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from npudsl.artifacts.blob import BlobReader, Tree

if TYPE_CHECKING:
    from npudsl.keys import Json

TRACE_FORMAT = 1

Arithmetic = Literal["float", "integer"]


@dataclass(frozen=True)
class Storage:
    """How the values of one tensor are stored: real = (code - zero_point) * scale; ``f32`` holds the reals.

    ``shape`` is that of one sample's tensor, batch axis included.
    """

    shape: tuple[int, ...]
    type: str = "f32"
    scale: float = 1.0
    zero_point: int = 0


@dataclass(frozen=True)
class TraceLayer:
    """A layer as reports name it. ``label`` says how well its integer arithmetic is known (``float`` has none)."""

    name: str
    operation: str
    tensors: tuple[str, ...]
    type: str = "f32"
    label: str = ""
    macs: int = 0


@dataclass(frozen=True)
class SimulationTrace:
    """``trace.json``."""

    arithmetic: Arithmetic
    samples: tuple[str, ...]
    """Digests, in dataset order; one that occurs twice was run once."""
    report_samples: int
    """The first so many samples have per-layer figures."""
    outputs: tuple[str, ...]
    dumps: tuple[str, ...]
    storage: Mapping[str, Storage]
    """Of every output and dumped tensor."""
    layers: tuple[TraceLayer, ...]
    """In graph order, converters left out."""
    aliases: Mapping[str, str]
    """Every other name of a layer to its name."""
    borders: tuple[str, ...] = ()
    """Float model: tensors whose report values are kept."""
    chunks: tuple[int, ...] = ()
    """Float model: how many samples each report chunk holds."""
    accumulated: tuple[str, ...] = ()
    """Integer program: tensors of the rows of both accumulator arrays."""
    reference: str = ""
    """Integer program: digest of the ``trace.json`` that the sums were made against."""
    macs_by_label: Mapping[str, int] = field(default_factory=dict)

    def record(self) -> dict[str, Json]:
        values = asdict(self)
        return {"format": TRACE_FORMAT, **values}

    @classmethod
    def load(cls, tree: Tree, reader: BlobReader) -> SimulationTrace:
        return cls.from_record(reader.read_json(tree["trace.json"]))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> SimulationTrace:
        if record["format"] != TRACE_FORMAT:
            raise ValueError(f"trace format {record['format']} is not {TRACE_FORMAT}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record.items()
            if name != "format"
        }
        values["storage"] = {
            name: Storage(**{**item, "shape": tuple(item["shape"])}) for name, item in record["storage"].items()
        }
        values["layers"] = tuple(TraceLayer(**{**item, "tensors": tuple(item["tensors"])}) for item in record["layers"])
        return cls(**values)

    def layer_named(self, name: str) -> TraceLayer | None:
        """The layer with this name, this alias, or this output tensor."""
        wanted = self.aliases.get(name, name)
        for layer in self.layers:
            if wanted == layer.name or name in layer.tensors:
                return layer
        return None


def border_name(chunk: int, tensor: str) -> str:
    """Where the tree has the float values of ``tensor`` for one report chunk."""
    return f"borders/{chunk}/{tensor}"
