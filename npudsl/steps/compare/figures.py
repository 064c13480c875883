"""Figures of tensors: per sample from the error sums, over the samples from the samples' figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npudsl.artifacts.comparison import Figures, LayerFigures, OutputFigures, Share
from npudsl.artifacts.trace import SimulationTrace, Storage
from npudsl.numerics.affine import dequantize
from npudsl.numerics.metrics import Accumulator, accumulate, sqnr_of, top_k

Array = np.ndarray[Any, Any]

SAMPLE_FIGURES = {"cosine_min": "cosine", "cosine_max": "cosine"}
"""Metrics over samples whose figure of one sample has another name."""


@dataclass(frozen=True)
class ClassHits:
    """Per sample, for one row of classes: does the best class agree; is the label among the best (None: no label)."""

    agree: tuple[bool, ...]
    reference_top1: tuple[bool | None, ...]
    candidate_top1: tuple[bool | None, ...]
    reference_top5: tuple[bool | None, ...]
    candidate_top5: tuple[bool | None, ...]


def reals(rows: Array, storage: Storage, index: int) -> Array:
    """The values of one sample as float32 (or as stored, for values that are no codes)."""
    if storage.type == "f32":
        values: Array = rows[index]
        return values
    return dequantize(rows[index], storage.scale, storage.zero_point).astype(np.float32)


def tensor_sums(reference: Array, candidate: Array, stored: tuple[Storage, Storage], samples: int) -> list[Accumulator]:
    """Error sums of the first ``samples`` rows."""
    left, right = stored
    return [accumulate(reals(reference, left, index), reals(candidate, right, index)) for index in range(samples)]


def sample_figure(metric: str, sums: Accumulator) -> float:
    """A metric of one sample."""
    value: float = getattr(sums, SAMPLE_FIGURES.get(metric, metric))
    return value


def summarize(sums: Sequence[Accumulator]) -> Figures:
    """Figures over samples; see ``Figures`` for what is a mean and what a maximum."""
    cosines = [item.cosine for item in sums]
    worst = min(range(len(sums)), key=lambda index: -math.inf if math.isnan(cosines[index]) else cosines[index])
    return Figures(
        samples=len(sums),
        cosine=_mean(cosines),
        cosine_min=_extreme(min, cosines),
        cosine_max=_extreme(max, cosines),
        euclidean=_mean([item.euclidean for item in sums]),
        std_dev=_mean([item.std_dev for item in sums]),
        max_abs_error=_extreme(max, [item.max_abs_error for item in sums]),
        max_rel_error=_extreme(max, [item.max_rel_error for item in sums]),
        sqnr=sqnr_of(sum(item.reference_square for item in sums), sum(item.error_square for item in sums)),
        worst_sample=worst + 1,
    )


def class_hits(
    reference: Array,
    candidate: Array,
    stored: tuple[Storage, Storage],
    labels: Sequence[int | None],
) -> ClassHits:
    """Best classes of the first ``len(labels)`` samples."""
    rows = []
    for index, label in enumerate(labels):
        left = top_k(reals(reference, stored[0], index), 5)
        right = top_k(reals(candidate, stored[1], index), 5)
        hits = [None if label is None else bool(np.any(best == label)) for best in (left[:1], right[:1], left, right)]
        rows.append((bool(left[0] == right[0]), *hits))
    return ClassHits(*zip(*rows, strict=True))


def share(hits: Sequence[bool | None]) -> Share | None:
    """How many of those that are known; None when none is."""
    known = [hit for hit in hits if hit is not None]
    return Share(sum(known), len(known)) if known else None


def output_figures(tensor: str, sums: Sequence[Accumulator], hits: ClassHits | None) -> OutputFigures:
    """Everything a report says about one output."""
    figures = OutputFigures(tensor, summarize(sums), tuple(item.cosine for item in sums))
    if hits is None:
        return figures
    return OutputFigures(
        tensor,
        figures.figures,
        figures.cosines,
        agreement=share(hits.agree),
        reference_top1=share(hits.reference_top1),
        candidate_top1=share(hits.candidate_top1),
        reference_top5=share(hits.reference_top5),
        candidate_top5=share(hits.candidate_top5),
    )


def layer_figures(trace: SimulationTrace, entire: Array, single: Array, samples: int) -> tuple[LayerFigures, ...]:
    """Figures of every layer output with error sums, over the first ``samples`` of the report, in graph order."""
    rows = {tensor: index for index, tensor in enumerate(trace.accumulated)}
    return tuple(
        LayerFigures(
            layer=layer.name,
            tensor=tensor,
            operation=layer.operation,
            type=layer.type,
            label=layer.label,
            macs=layer.macs,
            entire=summarize(row_sums(entire, rows[tensor], samples)),
            own=summarize(row_sums(single, rows[tensor], samples)),
        )
        for layer in trace.layers
        for tensor in layer.tensors
        if tensor in rows
    )


def row_sums(array: Array, row: int, samples: int) -> list[Accumulator]:
    """The error sums of one tensor out of an accumulator array."""
    return [Accumulator.from_row(array[row, sample]) for sample in range(samples)]


def _mean(values: Sequence[float]) -> float:
    if all(map(math.isfinite, values)):
        return math.fsum(values) / len(values)
    return sum(values) / len(values)


def _extreme(choose: Any, values: Sequence[float]) -> float:
    value: float = math.nan if any(map(math.isnan, values)) else choose(values)
    return value
