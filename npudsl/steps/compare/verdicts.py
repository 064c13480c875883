"""Requirements judged, and the collapse verdict."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from npudsl.artifacts.comparison import (
    AGREEMENT_FLOOR,
    SQNR_FLOOR,
    SQNR_SOUND,
    LayerFigures,
    OutputFigures,
    Verdict,
)
from npudsl.diagnostics import Diagnostic
from npudsl.numerics.metrics import Accumulator
from npudsl.steps.compare.figures import ClassHits, sample_figure, share, summarize

RELATIONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Measured:
    """A metric of one tensor. ``worst_sample`` counts from 1."""

    tensor: str
    value: float
    samples: int
    worst_sample: int | None
    worst_value: float | None = None


def measure_tensor(require: Mapping[str, Any], tensor: str, sums: Sequence[Accumulator]) -> Measured:
    """A metric that every tensor has."""
    metric = require["metric"]
    values = [sample_figure(metric, item) for item in sums]
    worst = max(range(len(values)), key=lambda index: _distance(require, values[index]))
    value: float = getattr(summarize(sums), metric)
    return Measured(tensor, value, len(sums), worst + 1, values[worst])


def measure_classes(require: Mapping[str, Any], tensor: str, hits: ClassHits) -> Measured:
    """A metric of a row of classes; its worst sample is the first that counts against the candidate."""
    metric = require["metric"]
    if metric == "top1_agreement":
        counted: Sequence[bool | None] = hits.agree
        against = [not agrees for agrees in hits.agree]
    elif metric == "top1_drop":
        counted = hits.candidate_top1
        pairs = zip(hits.reference_top1, hits.candidate_top1, strict=True)
        against = [right is True and candidate is False for right, candidate in pairs]
    else:
        counted = hits.candidate_top1 if metric == "top1" else hits.candidate_top5
        against = [hit is False for hit in counted]
    known = share(counted)
    if known is None:
        raise ValueError(f"{metric} without a label")
    value = known.value
    if metric == "top1_drop":
        reference = share(hits.reference_top1)
        assert reference is not None
        # From counts, not from two rounded shares: a drop of exactly the bound meets it.
        value = (reference.hits - known.hits) / known.total
    return Measured(tensor, value, known.total, against.index(True) + 1 if True in against else None)


def judge(require: Mapping[str, Any], measured: Sequence[Measured]) -> Verdict:
    """The verdict of one requirement: that of the tensor which is worst for it."""
    worst = max(measured, key=lambda item: _distance(require, item.value))
    met = not math.isnan(worst.value) and RELATIONS[require["operator"]](worst.value, require["value"])
    return Verdict(
        metric=require["metric"],
        operator=require["operator"],
        bound=require["value"],
        percent=require["percent"],
        on=require["on"],
        met=met,
        value=worst.value,
        tensor=worst.tensor,
        samples=worst.samples,
        worst_sample=worst.worst_sample,
        worst_value=worst.worst_value,
    )


def collapse_verdict(
    outputs: Sequence[OutputFigures], suspects: Sequence[LayerFigures], reference: str, candidate: str
) -> Diagnostic | None:
    """E0702 when an output has little to do with the reference any more."""
    fallen = [output for output in outputs if _collapsed(output)]
    if not fallen:
        return None
    worst = min(fallen, key=lambda output: -math.inf if math.isnan(output.figures.sqnr) else output.figures.sqnr)
    figures = worst.figures
    message = f"{candidate} has collapsed: output {worst.tensor} has {figures.sqnr:.1f} dB SQNR against {reference}"
    if worst.agreement is not None:
        share_ = worst.agreement
        message += f" and the same best class in {share_.hits} of {share_.total} samples ({share_})"
    helps = []
    if suspects:
        helps.append(f"layers with the largest own error: {', '.join(layer.layer for layer in suspects[:3])}")
    helps.append('give them 16 bits (`layer "NAME" type=i16`), or try weights per channel or another algorithm')
    subject = f"quantize[{candidate if candidate != 'float' else reference}]"
    notes = (f"a variant counts as collapsed below {SQNR_FLOOR:g} dB SQNR or {100 * AGREEMENT_FLOOR:g}% agreement",)
    return Diagnostic("E0702", message, notes=notes, helps=tuple(helps), subject=subject)


def _collapsed(output: OutputFigures) -> bool:
    sqnr = output.figures.sqnr
    if math.isnan(sqnr) or sqnr < SQNR_FLOOR:
        return True
    return output.agreement is not None and output.agreement.value < AGREEMENT_FLOOR and sqnr < SQNR_SOUND


def _distance(require: Mapping[str, Any], value: float) -> float:
    """How bad a value is for a requirement, for ranking; NaN is worst."""
    relation, bound = require["operator"], require["value"]
    if math.isnan(value):
        return math.inf
    if relation in {">=", ">"}:
        return -value
    if relation in {"<=", "<"}:
        return value
    apart = 0.0 if value == bound else abs(value - bound)
    return apart if relation == "==" else -apart
