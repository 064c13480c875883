"""What a build would do, without doing it: the same decisions as the build, as far as digests are known.

A step whose inputs are known is expanded and every part is asked for. Behind a step that will run, digests are not
known; there the last build's parts say which of them touch the layers that change (a step kind may bring a function
for it, ``StepKind.predict``), and the rest is reused unless the layer turns out different.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from npudsl.engine.decide import Decider, Decision, decide_step
from npudsl.engine.estimate import part_seconds, predicted_parts
from npudsl.engine.memory import Memory, StepMemory
from npudsl.engine.reasons import FORCED, NEVER_BUILT, NEW_PART, join_reason, part_reason
from npudsl.plan.step import Step
from npudsl.store.content import BlobMissing

if TYPE_CHECKING:
    from npudsl.artifacts.blob import Tree
    from npudsl.store.cache import Cache


@dataclass(frozen=True)
class StepForecast:
    """What a build would do with one step. ``seconds`` is a guess from past wall times, None when there are none."""

    id: str
    verdict: Literal["reuse", "run"]
    reason: str
    parts: int | None
    parts_to_run: tuple[str, ...] | None
    layers: tuple[str, ...]
    seconds: float | None


@dataclass
class _Known:
    trees: dict[str, Tree] = field(default_factory=dict)
    changed_layers: dict[str, tuple[str, ...]] = field(default_factory=dict)


def forecast(steps: Iterable[Step], cache: Cache, decider: Decider, memory: Memory) -> list[StepForecast]:
    """Forecast every step, in plan order."""
    known = _Known()
    return [_forecast_step(step, cache, decider, memory.steps.get(step.id), known) for step in steps]


def _forecast_step(step: Step, cache: Cache, decider: Decider, old: StepMemory | None, known: _Known) -> StepForecast:
    if all(source in known.trees for source in step.inputs.values()):
        try:
            return _forecast_known(step, cache, decider, old, known)
        except BlobMissing as missing:
            return StepForecast(step.id, "run", str(missing), None, None, (), old.seconds if old else None)
    return _forecast_behind(step, old, known)


def _forecast_known(step: Step, cache: Cache, decider: Decider, old: StepMemory | None, known: _Known) -> StepForecast:
    inputs = {role: known.trees[source] for role, source in step.inputs.items()}
    decided = decide_step(step, inputs, cache, decider, old.part_records if old else [])
    count = len(decided.all_parts)
    if decided.join is not None:
        if decided.join.tree is not None:
            known.trees[step.id] = decided.join.tree
            return StepForecast(step.id, "reuse", "", count, (), (), 0.0)
        reason = join_reason(step, decided.join, inputs, old)
        return StepForecast(step.id, "run", reason, count, (), (), old.join_seconds if old else None)
    layers = tuple(dict.fromkeys(layer for part in decided.to_run for layer in part.layers))
    known.changed_layers[step.id] = layers
    names = tuple(part.name for part in decided.to_run)
    first = next(name for name, decision in decided.parts.items() if decision.tree is None)
    reason = _named_reason(first, decided.parts[first], old)
    return StepForecast(step.id, "run", reason, count, names, layers, _seconds(names, old))


def _forecast_behind(step: Step, old: StepMemory | None, known: _Known) -> StepForecast:
    changing = [source for source in step.inputs.values() if source not in known.trees]
    reason = f"{changing[0]} will change"
    layers = tuple(dict.fromkeys(layer for source in changing for layer in known.changed_layers.get(source, ())))
    if old is None or not old.parts:
        known.changed_layers[step.id] = layers
        return StepForecast(step.id, "run", reason, None, None, layers, None)
    names = predicted_parts(step, old, layers)
    known.changed_layers[step.id] = layers
    seconds = sum(part.seconds for part in old.parts if part.name in names) + old.join_seconds
    return StepForecast(step.id, "run", reason, len(old.parts), names, layers, seconds)


def _named_reason(name: str, decision: Decision, old: StepMemory | None) -> str:
    reason = part_reason(name, decision, old)
    return reason if reason in (NEVER_BUILT, NEW_PART, FORCED) else f"{name}: {reason}"


def _seconds(names: tuple[str, ...], old: StepMemory | None) -> float | None:
    """Past wall times of the same parts; for new ones the mean of the others."""
    if old is None or not old.parts:
        return None
    return sum(part_seconds(names, old).values()) + old.join_seconds
