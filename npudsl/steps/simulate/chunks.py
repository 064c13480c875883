"""Which samples run together.

The first samples are the report's: their chunks are fixed by position, because the quantized variants read the float
values of exactly these chunks. The others are cut so that a chunk that was run before is kept while all of its samples
are still in the dataset; so ten new images are ten images of work, wherever in the list they stand. A result never
depends on the cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from npudsl.keys import digest_record

CHUNK = 16
REPORT_CHUNK = 8

Chunk = tuple[str, ...]
"""Digests of samples."""


def report_chunks(samples: Sequence[str], count: int) -> dict[str, Chunk]:
    """The report's chunks by name: the different ones among the first ``count`` samples, in order."""
    chunks = _cut(list(dict.fromkeys(samples[:count])), REPORT_CHUNK)
    return {f"report-{index}": chunk for index, chunk in enumerate(chunks)}


def other_chunks(samples: Sequence[str], count: int, previous: Iterable[Mapping[str, Any]]) -> dict[str, Chunk]:
    """Chunks by name of the samples that no report chunk holds; ``previous`` are part records."""
    reported = set(samples[:count])
    wanted = [sample for sample in dict.fromkeys(samples) if sample not in reported]
    kept = _kept(wanted, previous)
    left = set(wanted).difference(*kept)
    chunks = kept + _cut([sample for sample in wanted if sample in left], CHUNK)
    fresh = _cut(wanted, CHUNK)
    # Many small additions leave many small chunks; past twice the number needed a fresh cut costs less.
    chosen = chunks if len(chunks) <= 2 * len(fresh) + 1 else fresh
    return {f"samples-{digest_record(list(chunk))[:12]}": chunk for chunk in chosen}


def _kept(wanted: Sequence[str], previous: Iterable[Mapping[str, Any]]) -> list[Chunk]:
    free = set(wanted)
    kept = []
    for chunk in dict.fromkeys(tuple(record["samples"]) for record in previous if record.get("samples")):
        if len(chunk) <= CHUNK and free.issuperset(chunk):
            kept.append(chunk)
            free.difference_update(chunk)
    return kept


def _cut(samples: Sequence[str], size: int) -> list[Chunk]:
    return [tuple(samples[start : start + size]) for start in range(0, len(samples), size)]
