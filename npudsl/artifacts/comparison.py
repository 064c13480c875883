"""What a comparison says: figures per output and layer, verdicts of requirements, and the collapse verdict.

Tree: ``report.json``. Everything a page, a table or a diff shows is in it, so showing needs no arrays. Samples are
counted from 1 in the order of the dataset. JSON has no infinity and no NaN; such a figure is there as a string.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import BlobReader, BlobWriter, Tree
from npudsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from npudsl.keys import Json

REPORT_FORMAT = 1

TENSOR_METRICS = (
    "cosine",
    "cosine_min",
    "cosine_max",
    "euclidean",
    "std_dev",
    "max_abs_error",
    "max_rel_error",
    "sqnr",
)
"""Metrics that every tensor has."""

CLASS_METRICS = ("top1", "top5", "top1_drop", "top1_agreement")
"""Metrics of outputs that are one row of classes."""

LABEL_METRICS = ("top1", "top5", "top1_drop")
"""Metrics that need the dataset's labels."""

METRICS = (*TENSOR_METRICS, *CLASS_METRICS)

REFUTATIONS = {">=": "<", "<=": ">", ">": "<=", "<": ">=", "==": "!=", "!=": "=="}
"""Operator of a requirement to what holds when it is not met."""

AGREEMENT_FLOOR = 0.5
SQNR_FLOOR = 3.0
SQNR_SOUND = 20.0
"""dB. Above it low agreement is not a collapse: the output is no ranking of classes (a mask, a picture), or its best
values lie closer together than a rounding step."""


@dataclass(frozen=True)
class Figures:
    """A tensor over samples: cosine, euclidean and std_dev are means over the samples, the maxima are over all of them,
    sqnr is the ratio of the summed squares in dB. ``worst_sample`` (from 1) has the lowest cosine."""

    samples: int
    cosine: float
    cosine_min: float
    cosine_max: float
    euclidean: float
    std_dev: float
    max_abs_error: float
    max_rel_error: float
    sqnr: float
    worst_sample: int


@dataclass(frozen=True)
class Share:
    """``hits`` of ``total`` samples."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        return self.hits / self.total

    def __str__(self) -> str:
        return f"{100 * self.hits / self.total:.1f}%"


@dataclass(frozen=True)
class OutputFigures:
    """One graph output over all samples; the shares are there for rows of classes, those of labels with labels."""

    tensor: str
    figures: Figures
    cosines: tuple[float, ...]
    """Per sample, in order."""
    agreement: Share | None = None
    reference_top1: Share | None = None
    candidate_top1: Share | None = None
    reference_top5: Share | None = None
    candidate_top5: Share | None = None


@dataclass(frozen=True)
class LayerFigures:
    """One layer output over the report's samples. ``entire``: error accumulated from the input; ``own``: this layer
    alone on float input."""

    layer: str
    tensor: str
    operation: str
    type: str
    label: str
    macs: int
    entire: Figures
    own: Figures


@dataclass(frozen=True)
class Verdict:
    """One requirement. ``value`` is the measured one, of the ``tensor`` that is worst; ``worst_value`` that of the
    worst sample (None where a metric has no value per sample)."""

    metric: str
    operator: str
    bound: float
    percent: bool
    on: str
    met: bool
    value: float
    tensor: str
    samples: int
    worst_sample: int | None = None
    worst_value: float | None = None


@dataclass(frozen=True)
class ComparisonReport:
    """``report.json``."""

    name: str
    reference: str
    candidate: str
    samples: int
    report_samples: int
    """So many samples stand behind the layers' figures; 0: the reference has no layer values."""
    outputs: tuple[OutputFigures, ...]
    layers: tuple[LayerFigures, ...] = ()
    """In graph order."""
    macs_by_label: Mapping[str, int] = field(default_factory=dict)
    """How many multiply-accumulates run in arithmetic that is exact, documented, inferred or assumed."""
    metrics: tuple[str, ...] = ()
    """Metrics that the program asked to see."""
    verdicts: tuple[Verdict, ...] = ()
    collapse: Diagnostic | None = None
    """E0702 when the outputs have little to do with the reference any more."""

    @property
    def passed(self) -> bool:
        """True when every requirement is met (the collapse verdict does not count)."""
        return all(verdict.met for verdict in self.verdicts)

    def suspects(self) -> tuple[LayerFigures, ...]:
        """Layers by own error, largest first; equal ones by the accumulated error, then in graph order."""
        return tuple(sorted(self.layers, key=lambda layer: (_fidelity(layer.own), _fidelity(layer.entire))))

    def save(self, writer: BlobWriter) -> Tree:
        return {"report.json": writer.write_json(self.record())}

    def record(self) -> dict[str, Json]:
        record: dict[str, Json] = {"format": REPORT_FORMAT, **_plain(asdict(self))}
        if self.collapse is not None:
            record["collapse"] = {
                "code": self.collapse.code,
                "message": self.collapse.message,
                "notes": list(self.collapse.notes),
                "helps": list(self.collapse.helps),
                "subject": self.collapse.subject,
            }
        return record

    @classmethod
    def load(cls, tree: Tree, reader: BlobReader) -> ComparisonReport:
        return cls.from_record(reader.read_json(tree["report.json"]))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ComparisonReport:
        if record["format"] != REPORT_FORMAT:
            raise ValueError(f"report format {record['format']} is not {REPORT_FORMAT}")
        collapse = record["collapse"]
        return cls(
            name=record["name"],
            reference=record["reference"],
            candidate=record["candidate"],
            samples=record["samples"],
            report_samples=record["report_samples"],
            outputs=tuple(_output(item) for item in record["outputs"]),
            layers=tuple(_layer(item) for item in record["layers"]),
            macs_by_label=record["macs_by_label"],
            metrics=tuple(record["metrics"]),
            verdicts=tuple(_verdict(item) for item in record["verdicts"]),
            collapse=None
            if collapse is None
            else Diagnostic(
                collapse["code"],
                collapse["message"],
                notes=tuple(collapse["notes"]),
                helps=tuple(collapse["helps"]),
                subject=collapse["subject"],
            ),
        )


def _fidelity(figures: Figures) -> float:
    """Sorting key: low SQNR first, NaN before everything."""
    return float("-inf") if math.isnan(figures.sqnr) else figures.sqnr


def _plain(value: Any) -> Any:
    """JSON: tuples as lists, floats that JSON does not have as their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _figures(record: Mapping[str, Any]) -> Figures:
    values: dict[str, Any] = {name: float(item) for name, item in record.items()}
    return Figures(**{**values, "samples": record["samples"], "worst_sample": record["worst_sample"]})


def _output(record: Mapping[str, Any]) -> OutputFigures:
    shares = {
        name: None if record[name] is None else Share(**record[name])
        for name in ("agreement", "reference_top1", "candidate_top1", "reference_top5", "candidate_top5")
    }
    cosines = tuple(float(value) for value in record["cosines"])
    return OutputFigures(record["tensor"], _figures(record["figures"]), cosines, **shares)


def _layer(record: Mapping[str, Any]) -> LayerFigures:
    return LayerFigures(**{**record, "entire": _figures(record["entire"]), "own": _figures(record["own"])})


def _verdict(record: Mapping[str, Any]) -> Verdict:
    worst = record["worst_value"]
    numbers = {"bound": float(record["bound"]), "value": float(record["value"])}
    return Verdict(**{**record, **numbers, "worst_value": None if worst is None else float(worst)})
