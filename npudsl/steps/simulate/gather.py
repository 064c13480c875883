"""Chunks of samples put back into dataset order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npudsl.artifacts.blob import Blob, BlobSpace, Tree
from npudsl.numerics.metrics import ROW_LENGTH


@dataclass(frozen=True)
class ChunkRows:
    """What one chunk gave: array blobs with one row per sample of ``samples``."""

    samples: Sequence[str]
    tree: Tree


def gathered(name: str, samples: Sequence[str], chunks: Sequence[ChunkRows], space: BlobSpace) -> Blob:
    """One array with a row per sample, in order, out of the blobs called ``name``."""
    places = {sample: (chunk, row) for chunk in chunks for row, sample in enumerate(chunk.samples)}
    arrays = {id(chunk): space.read_array(chunk.tree[name]) for chunk in chunks}
    first = next(iter(arrays.values()))
    rows = np.empty((len(samples), *first.shape[1:]), first.dtype)
    for index, sample in enumerate(samples):
        chunk, row = places[sample]
        rows[index] = arrays[id(chunk)][row]
    return space.write_array(rows)


def accumulator_array(
    samples: Sequence[str], chunks: Sequence[Sequence[ChunkRows]], space: BlobSpace
) -> np.ndarray[Any, Any]:
    """float64 (tensors, samples, sums) of blobs ``accumulators``: per chunk one for each segment, in graph order."""
    if not chunks or not chunks[0]:
        return np.empty((0, len(samples), ROW_LENGTH))
    by_chunk = [np.concatenate([space.read_array(part.tree["accumulators"]) for part in parts]) for parts in chunks]
    column = {sample: index for index, sample in enumerate(name for parts in chunks for name in parts[0].samples)}
    joined = np.concatenate(by_chunk, axis=1)
    return joined[:, [column[sample] for sample in samples]]
