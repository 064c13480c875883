"""How long the rest of a build will take, from the wall times of the last one.

A step that has started counts what its parts took last time (parts that were not there: the mean of the others). A step
behind it counts the parts that the changed layers will touch, as ``npu plan`` says. While nothing is known of a step
that will run, the whole estimate is unknown: no figure is better than a wrong one.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Iterable, Sequence

from npudsl.engine.memory import Memory, StepMemory
from npudsl.plan.step import Part, Step

Layers = tuple[str, ...]


class Estimate:
    """Seconds of work left. Fed by the engine as steps start and parts finish; costs nothing where nothing runs."""

    def __init__(self, plan: Sequence[Step], memory: Memory) -> None:
        self._memory = memory
        self._behind: dict[str, list[Step]] = {step.id: [] for step in plan}
        for step in plan:
            for source in dict.fromkeys(step.inputs.values()):
                self._behind[source].append(step)
        self._left: dict[str, dict[str, float]] = {}
        self._total = 0.0
        self._unknown: set[str] = set()
        self._changed: dict[str, Layers] = {}
        """Steps that will (probably) make something else than last time, and by which layers."""
        self._started: set[str] = set()

    def seconds(self, jobs: int) -> float | None:
        """The time left when ``jobs`` parts run side by side; None when nothing is known of a step that will run."""
        return None if self._unknown else max(self._total, 0.0) / jobs

    def step_started(self, step: Step, running: Sequence[Part]) -> None:
        """These parts of the step will run (or wait for one that does)."""
        self._started.add(step.id)
        layers = tuple(dict.fromkeys(layer for part in running for layer in part.layers)) if running else None
        self._expect(step, [part.name for part in running])
        self._set_changed(step, layers)

    def part_finished(self, step: str, part: str) -> None:
        """A part is made."""
        self._total -= self._left.get(step, {}).pop(part, 0.0)

    def step_finished(self, step: Step, *, changed: bool) -> None:
        """The step is done; when it made what it had made before, nothing behind it has to run because of it."""
        self._expect(step, ())
        if not changed:
            self._set_changed(step, None)

    def _set_changed(self, step: Step, layers: Layers | None) -> None:
        """Note what will change, and predict the steps behind as far as that is news."""
        news = deque([(step, layers)])
        while news:
            step, layers = news.popleft()
            if layers == self._changed.get(step.id):
                continue
            if layers is None:
                del self._changed[step.id]
            else:
                self._changed[step.id] = layers
            news.extend((behind, self._predict(behind)) for behind in self._behind[step.id] if not self._is_on(behind))

    def _is_on(self, step: Step) -> bool:
        return step.id in self._started

    def _predict(self, step: Step) -> Layers | None:
        """Expect what a step that has not started will run; returns the layers that it will change."""
        changing = [source for source in step.inputs.values() if source in self._changed]
        if not changing:
            self._expect(step, ())
            return None
        layers = tuple(dict.fromkeys(layer for source in changing for layer in self._changed[source]))
        old = self._memory.steps.get(step.id)
        self._expect(step, predicted_parts(step, old, layers) if old is not None else ("unknown",))
        return layers

    def _expect(self, step: Step, names: Sequence[str]) -> None:
        old = self._memory.steps.get(step.id)
        self._total -= sum(self._left.pop(step.id, {}).values())
        self._unknown.discard(step.id)
        if not names:
            return
        if old is None or not old.parts:
            self._unknown.add(step.id)
            return
        self._left[step.id] = part_seconds(names, old)
        self._total += sum(self._left[step.id].values())


def predicted_parts(step: Step, old: StepMemory, layers: Layers) -> tuple[str, ...]:
    """Which parts of the last build will run when these layers change; without layers, or a rule, all of them."""
    if not step.kind.predict or not layers:
        return tuple(part.name for part in old.parts)
    module, _, function = step.kind.predict.partition(":")
    previous = [{"name": part.name, "layers": list(part.layers), "record": part.action["record"]} for part in old.parts]
    return tuple(getattr(importlib.import_module(module), function)(previous, layers))


def part_seconds(names: Iterable[str], old: StepMemory) -> dict[str, float]:
    """Past wall times of parts; for new ones the mean of the others."""
    past = {part.name: part.seconds for part in old.parts}
    mean = sum(past.values()) / len(past)
    return {name: past.get(name, mean) for name in names}
