"""Calibration statistics of tensors: independent of the algorithm that reads them, merged exactly by addition.

Tree: ``statistics.json`` (per tensor: minimum, maximum, count, blobs; and the samples in order), per tensor
``counters/<tensor>`` (npy int64 (K, 2): upper 16 bits of the float32 pattern, how often; sorted by pattern) and
``extremes/<tensor>`` (npy float32 (samples, 2): minimum and maximum of each sample in dataset order).

A part that needs one tensor takes its entry (``statistics_entry``) and its two blobs, so its key does not depend on the
other tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobWriter, Tree

if TYPE_CHECKING:
    import numpy as np

    from npudsl.keys import Json

STATISTICS_FORMAT = 1


@dataclass(frozen=True)
class TensorStatistics:
    """What calibration knows about one tensor; all numbers exact.

    ``patterns`` (uint16, sorted) are the upper 16 bits of the float32 values seen, ``counts`` (int64) how often.
    """

    minimum: float
    maximum: float
    count: int
    patterns: np.ndarray[Any, Any]
    counts: np.ndarray[Any, Any]
    extremes: np.ndarray[Any, Any]
    """float32 (samples, 2): minimum and maximum of each sample."""


def save_statistics(
    samples: Sequence[str], tensors: Mapping[str, TensorStatistics], writer: BlobWriter
) -> dict[str, Blob]:
    """The tree; ``samples`` are the digests in dataset order. A ``tensors`` that makes values on demand stays lean."""
    import numpy as np

    tree: dict[str, Blob] = {}
    entries: list[Json] = []
    for name in tensors:
        tensor = tensors[name]
        counters = np.stack([tensor.patterns.astype(np.int64), tensor.counts.astype(np.int64)], axis=1)
        tree[f"counters/{name}"] = writer.write_array(counters)
        tree[f"extremes/{name}"] = writer.write_array(tensor.extremes)
        entries.append(
            {
                "name": name,
                "minimum": tensor.minimum,
                "maximum": tensor.maximum,
                "count": tensor.count,
                "counters": tree[f"counters/{name}"].record(),
                "extremes": tree[f"extremes/{name}"].record(),
            }
        )
    tree["statistics.json"] = writer.write_json(
        {"format": STATISTICS_FORMAT, "samples": list(samples), "tensors": entries}
    )
    return tree


def statistics_entries(tree: Tree, reader: BlobReader) -> dict[str, Json]:
    """The entries of ``statistics.json`` by tensor name, in graph order, without reading an array."""
    record = reader.read_json(tree["statistics.json"])
    if record["format"] != STATISTICS_FORMAT:
        raise ValueError(f"statistics format {record['format']} is not {STATISTICS_FORMAT}")
    return {entry["name"]: entry for entry in record["tensors"]}


def statistics_of(entry: Mapping[str, Any], reader: BlobReader) -> TensorStatistics:
    """The statistics behind one entry of ``statistics.json``; its blobs are in the entry."""
    counters = reader.read_array(Blob.from_record(entry["counters"]))
    return TensorStatistics(
        minimum=float(entry["minimum"]),
        maximum=float(entry["maximum"]),
        count=int(entry["count"]),
        patterns=counters[:, 0].astype("uint16"),
        counts=counters[:, 1],
        extremes=reader.read_array(Blob.from_record(entry["extremes"])),
    )


def load_statistics(tree: Tree, reader: BlobReader, tensor: str) -> TensorStatistics:
    """The statistics of ``tensor``; raises ``KeyError`` when it was not calibrated."""
    return statistics_of(statistics_entries(tree, reader)[tensor], reader)
