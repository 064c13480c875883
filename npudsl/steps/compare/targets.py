"""What a requirement is about: ``on`` as tensors whose figures are known."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from npudsl.artifacts.comparison import CLASS_METRICS
from npudsl.artifacts.trace import SimulationTrace
from npudsl.diagnostics import Diagnostic, UserError


@dataclass(frozen=True)
class Target:
    """A tensor and where its figures come from: outputs and dumps have all samples, layers the report's samples."""

    source: Literal["outputs", "dumps", "layers"]
    tensor: str


@dataclass(frozen=True)
class Traces:
    """Two traces that are compared. ``layers``: the candidate's error sums were made against this very reference."""

    reference: SimulationTrace
    candidate: SimulationTrace
    layers: bool

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(name for name in self.candidate.outputs if name in self.reference.outputs)


def is_class_row(shape: tuple[int, ...]) -> bool:
    """True for one row of classes: exactly one axis is longer than 1."""
    return sum(extent > 1 for extent in shape) == 1


def resolve_targets(requires: list[Mapping[str, Any]], traces: Traces, subject: str) -> list[tuple[Target, ...]]:
    """The targets of every requirement; raises ``UserError`` with one diagnostic for each that has none."""
    found: list[tuple[Target, ...]] = []
    problems: list[Diagnostic] = []
    for index, require in enumerate(requires):
        place = f"{subject}.require[{index}]"
        result = _class_targets(require, traces, place) if require["metric"] in CLASS_METRICS else None
        if result is None:
            result = _targets(require["on"], traces, place)
        if isinstance(result, Diagnostic):
            problems.append(result)
        else:
            found.append(result)
    if problems:
        raise UserError(problems)
    return found


def _targets(on: str, traces: Traces, place: str) -> tuple[Target, ...] | Diagnostic:
    outputs = tuple(Target("outputs", name) for name in traces.outputs)
    if on == "outputs":
        return outputs
    if on == "all":
        if not traces.layers:
            return _no_layers("all", place)
        inner = (name for name in traces.candidate.accumulated if name not in traces.outputs)
        return (*outputs, *(Target("layers", name) for name in inner))
    return _named(on, traces, place)


def _named(name: str, traces: Traces, place: str) -> tuple[Target, ...] | Diagnostic:
    candidate = traces.candidate
    layer = candidate.layer_named(name)
    tensors = (name,) if layer is None or name in layer.tensors else layer.tensors
    targets: list[Target] = []
    for tensor in tensors:
        if tensor in traces.outputs:
            targets.append(Target("outputs", tensor))
        elif traces.layers and tensor in candidate.accumulated:
            targets.append(Target("layers", tensor))
        elif tensor in candidate.dumps and tensor in traces.reference.dumps:
            targets.append(Target("dumps", tensor))
    if targets:
        return tuple(targets)
    return _no_layers(f'"{name}"', place) if layer is not None else _unknown(name, candidate, place)


def _class_targets(require: Mapping[str, Any], traces: Traces, place: str) -> tuple[Target, ...] | Diagnostic | None:
    """Targets of a metric of classes: outputs that are one row of classes. None: let the name be looked up first."""
    on, metric = require["on"], require["metric"]
    if on in {"outputs", "all"}:
        wanted = traces.outputs
    else:
        targets = _named(on, traces, place)
        if isinstance(targets, Diagnostic):
            return targets
        wanted = tuple(target.tensor for target in targets if target.source == "outputs")
        if not wanted:
            return Diagnostic(
                "E0213",
                f'`{metric}` is a metric of outputs, and "{on}" is none',
                subject=place,
                helps=(f"outputs: {', '.join(traces.outputs)}",),
            )
    rows = tuple(name for name in wanted if is_class_row(traces.candidate.storage[name].shape))
    if rows:
        return tuple(Target("outputs", name) for name in rows)
    shapes = ", ".join(f"{name} {'x'.join(map(str, traces.candidate.storage[name].shape))}" for name in wanted)
    return Diagnostic(
        "E0403",
        f"`{metric}` needs an output that is one row of classes: {shapes}",
        subject=place,
        helps=("use `cosine`, `sqnr` or `max_abs_error` for this output",),
    )


def _no_layers(what: str, place: str) -> Diagnostic:
    return Diagnostic(
        "E0206",
        f"on={what} needs the layers' values, and this reference has outputs only",
        subject=place,
        helps=("compare with `reference = float`", "or name the tensor under `dump` of both simulations"),
    )


def _unknown(name: str, trace: SimulationTrace, place: str) -> Diagnostic:
    names = [*trace.outputs, *(layer.name for layer in trace.layers), *trace.accumulated, *trace.aliases]
    near = difflib.get_close_matches(name, list(dict.fromkeys(names)), n=3)
    quoted = " or ".join(f'"{item}"' for item in near)
    hint = f"; did you mean {quoted}?" if near else ""
    return Diagnostic(
        "E0213",
        f'"{name}" is not a layer or tensor of the model{hint}',
        subject=place,
        helps=("`on` takes outputs, all, or a layer or tensor name in quotes",),
    )
