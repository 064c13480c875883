"""Compare: figures from two traces, requirements judged, one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.artifacts.comparison import CLASS_METRICS, ComparisonReport, LayerFigures
from npudsl.artifacts.trace import SimulationTrace
from npudsl.numerics.metrics import Accumulator
from npudsl.plan.step import Part
from npudsl.steps.compare.figures import (
    ClassHits,
    class_hits,
    layer_figures,
    output_figures,
    row_sums,
    tensor_sums,
)
from npudsl.steps.compare.targets import Target, Traces, is_class_row, resolve_targets
from npudsl.steps.compare.verdicts import collapse_verdict, judge, measure_classes, measure_tensor


def expand(
    record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """One part; raises ``UserError`` when a requirement names nothing that is known."""
    roles = {f"{side}/{name}": blob for side in ("reference", "candidate") for name, blob in inputs[side].items()}
    traces = _traces(roles, reader)
    targets = resolve_targets(record["requires"], traces, context["subject"])
    dumps = {target.tensor for found in targets for target in found if target.source == "dumps"}
    needed = {role: blob for role, blob in roles.items() if _is_read(role, dumps, traces)}
    return [Part("compare", record, needed, context)]


def run_part(record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """The report."""
    return _Comparison(record, inputs, context["subject"], space).report().save(space)


def join(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """The report as it is."""
    return parts["compare"]


class _Comparison:
    """One comparison; arrays are read once each and only if a figure needs them."""

    def __init__(self, record: Any, inputs: Mapping[str, Blob], subject: str, space: BlobSpace) -> None:
        self._record = record
        self._inputs = inputs
        self._space = space
        self._traces = _traces(inputs, space)
        self._targets = resolve_targets(record["requires"], self._traces, subject)
        available = len(self._traces.candidate.samples)
        self._samples = available if record["samples"] is None else min(record["samples"], available)
        self._check_samples()
        self._report_samples = min(self._samples, self._traces.candidate.report_samples) if self._traces.layers else 0
        self._sums: dict[Target, Sequence[Accumulator]] = {}
        self._hits: dict[str, ClassHits] = {}

    def report(self) -> ComparisonReport:
        record, traces = self._record, self._traces
        outputs = tuple(
            output_figures(name, self._sums_of(Target("outputs", name)), self._hits_of(name)) for name in traces.outputs
        )
        layers: tuple[LayerFigures, ...] = ()
        if self._report_samples:
            layers = layer_figures(
                traces.candidate, self._accumulators("entire"), self._accumulators("single"), self._report_samples
            )
        report = ComparisonReport(
            name=record["name"],
            reference=record["reference"],
            candidate=record["candidate"],
            samples=self._samples,
            report_samples=self._report_samples,
            outputs=outputs,
            layers=layers,
            macs_by_label=traces.candidate.macs_by_label,
            metrics=tuple(record["metrics"]),
            verdicts=tuple(
                judge(require, [self._measure(require, target) for target in found])
                for require, found in zip(record["requires"], self._targets, strict=True)
            ),
        )
        collapse = collapse_verdict(outputs, report.suspects(), record["reference"], record["candidate"])
        return report if collapse is None else replace(report, collapse=collapse)

    def _measure(self, require: Mapping[str, Any], target: Target) -> Any:
        if require["metric"] in CLASS_METRICS:
            hits = self._hits_of(target.tensor)
            assert hits is not None
            return measure_classes(require, target.tensor, hits)
        return measure_tensor(require, target.tensor, self._sums_of(target))

    def _sums_of(self, target: Target) -> Sequence[Accumulator]:
        if target not in self._sums:
            if target.source == "layers":
                row = self._traces.candidate.accumulated.index(target.tensor)
                self._sums[target] = row_sums(self._accumulators("entire"), row, self._report_samples)
            else:
                stored = self._stored(target.tensor)
                self._sums[target] = tensor_sums(*self._arrays(target), stored, self._samples)
        return self._sums[target]

    def _hits_of(self, tensor: str) -> ClassHits | None:
        if not is_class_row(self._traces.candidate.storage[tensor].shape):
            return None
        if tensor not in self._hits:
            labels = self._record["labels"] or [None] * self._samples
            arrays = self._arrays(Target("outputs", tensor))
            self._hits[tensor] = class_hits(*arrays, self._stored(tensor), labels[: self._samples])
        return self._hits[tensor]

    def _arrays(self, target: Target) -> tuple[Any, Any]:
        left, right = (self._inputs[f"{side}/{target.source}/{target.tensor}"] for side in ("reference", "candidate"))
        return self._space.read_array(left), self._space.read_array(right)

    def _stored(self, tensor: str) -> tuple[Any, Any]:
        return self._traces.reference.storage[tensor], self._traces.candidate.storage[tensor]

    def _accumulators(self, mode: str) -> Any:
        return self._space.read_array(self._inputs[f"candidate/accumulators/{mode}"])

    def _check_samples(self) -> None:
        reference, candidate = self._traces.reference.samples, self._traces.candidate.samples
        if reference[: self._samples] != candidate[: self._samples]:
            raise ValueError("the two simulations are of different samples")
        labels = self._record["labels"]
        if labels is not None and len(labels) < self._samples:
            raise ValueError(f"{len(labels)} labels for {self._samples} samples")


def _traces(inputs: Mapping[str, Blob], reader: BlobReader) -> Traces:
    reference, candidate = (inputs[f"{side}/trace.json"] for side in ("reference", "candidate"))
    trace = SimulationTrace.from_record(reader.read_json(candidate))
    return Traces(SimulationTrace.from_record(reader.read_json(reference)), trace, trace.reference == reference.digest)


def _is_read(role: str, dumps: set[str], traces: Traces) -> bool:
    side, _, name = role.partition("/")
    kind, _, tensor = name.partition("/")
    if kind == "dumps":
        return tensor in dumps
    return kind in {"trace.json", "outputs"} or (kind == "accumulators" and side == "candidate" and traces.layers)
