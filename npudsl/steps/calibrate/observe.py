"""What one shard saw, tensor by tensor, and its exact merge.

A shard is stored as ``shard.json`` (samples; per tensor how many patterns) and three arrays over all tensors one behind
the other: ``patterns`` (uint16), ``counts`` (uint32, or int64 when a count needs it) and ``extremes`` (float32
(tensors, samples, 2)).

Merge: counters add, minimum and maximum are taken over the samples' extremes, and extremes are put into dataset order.
Each is associative and commutative, so no bit depends on how samples were dealt out, nor on who finished first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npudsl.artifacts.blob import Blob, BlobReader, BlobWriter, Tree
from npudsl.artifacts.statistics import TensorStatistics
from npudsl.numerics.pattern_counters import pattern_counters
from npudsl.numerics.ranges_counters import PATTERNS, sparse

if TYPE_CHECKING:
    from npudsl.keys import Json

Array = np.ndarray[Any, Any]


class NotFinite(Exception):
    """A tensor holds NaN or infinity: the value and its index."""

    def __init__(self, tensor: str, value: float, index: tuple[int, ...]) -> None:
        super().__init__(tensor)
        self.tensor = tensor
        self.value = value
        self.index = index


class Observer:
    """Counters and extremes of the tensors of one shard, sample by sample. Memory follows the tensors' number only."""

    def __init__(self, tensors: Sequence[str]) -> None:
        self._tensors = tuple(tensors)
        self._counters = pattern_counters(len(self._tensors))
        self._extremes: list[list[tuple[np.float32, np.float32]]] = []

    def add(self, values: Mapping[str, Array]) -> None:
        """Take in one sample. Raises ``NotFinite`` for the first tensor in graph order with such a value."""
        row = []
        for place, name in enumerate(self._tensors):
            low, high, not_finite = self._counters.add(place, values[name])
            if not_finite is not None:
                raise _not_finite(name, values[name], not_finite)
            row.append((low, high))
        self._extremes.append(row)

    def save(self, samples: Sequence[str], writer: BlobWriter) -> dict[str, Blob]:
        """The shard's tree; ``samples`` are the digests of the samples taken in, in order."""
        pairs = [self._counters.sparse(place) for place in range(len(self._tensors))]
        counts = np.concatenate([count for _, count in pairs])
        if counts.max() < 1 << 32:
            counts = counts.astype(np.uint32)
        entries: list[Json] = [[name, pattern.size] for name, (pattern, _) in zip(self._tensors, pairs, strict=True)]
        return {
            "shard.json": writer.write_json({"samples": list(samples), "tensors": entries}),
            "patterns": writer.write_array(np.concatenate([pattern for pattern, _ in pairs])),
            "counts": writer.write_array(counts),
            "extremes": writer.write_array(np.array(self._extremes, dtype=np.float32).transpose(1, 0, 2)),
        }


@dataclass(frozen=True)
class Shard:
    """A shard as it was stored; ``starts`` are the positions of each tensor's patterns."""

    samples: tuple[str, ...]
    starts: Mapping[str, tuple[int, int, int]]
    """Per tensor: its place, and where its patterns begin and end."""
    patterns: Array
    counts: Array
    extremes: Array

    @classmethod
    def load(cls, tree: Tree, reader: BlobReader) -> Shard:
        record = reader.read_json(tree["shard.json"])
        starts = {}
        start = 0
        for place, (name, size) in enumerate(record["tensors"]):
            starts[name] = (place, start, start + size)
            start += size
        arrays = (reader.read_array(tree[name]) for name in ("patterns", "counts", "extremes"))
        return cls(tuple(record["samples"]), starts, *arrays)

    def counters(self, tensor: str) -> tuple[Array, Array]:
        _, start, end = self.starts[tensor]
        return self.patterns[start:end], self.counts[start:end]

    def sample_extremes(self, tensor: str) -> Array:
        """(samples, 2) in the shard's order."""
        extremes: Array = self.extremes[self.starts[tensor][0]]
        return extremes


class Merged(Mapping[str, TensorStatistics]):
    """Statistics of every tensor over all shards, each made when asked for; ``samples`` give the dataset's order."""

    def __init__(self, shards: Sequence[Shard], samples: Sequence[str]) -> None:
        self._shards = shards
        self._order = _positions(shards, samples)

    def __getitem__(self, tensor: str) -> TensorStatistics:
        total = np.zeros(PATTERNS, dtype=np.int64)
        for shard in self._shards:
            patterns, counts = shard.counters(tensor)
            # A pattern occurs once per shard, so plain indexing adds every count.
            total[patterns] += counts.astype(np.int64)
        extremes = np.concatenate([shard.sample_extremes(tensor) for shard in self._shards])[self._order]
        patterns, counts = sparse(total)
        return TensorStatistics(
            minimum=float(extremes[:, 0].min()),
            maximum=float(extremes[:, 1].max()),
            count=int(counts.sum()),
            patterns=patterns,
            counts=counts,
            extremes=np.ascontiguousarray(extremes),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._shards[0].starts)

    def __len__(self) -> int:
        return len(self._shards[0].starts)


def _positions(shards: Sequence[Shard], samples: Sequence[str]) -> list[int]:
    """For each sample of the dataset, which row of the shards' rows laid end to end is its."""
    rows: dict[str, list[int]] = {}
    for position, digest in enumerate(digest for shard in shards for digest in shard.samples):
        rows.setdefault(digest, []).append(position)
    return [rows[digest].pop() for digest in samples]


def _not_finite(name: str, values: Array, flat: int) -> NotFinite:
    index = tuple(int(position) for position in np.unravel_index(flat, values.shape))
    return NotFinite(name, float(values.reshape(-1)[flat]), index)
