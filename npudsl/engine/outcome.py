"""What a run of the engine gives: finished steps, what to remember, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from npudsl.artifacts.blob import Tree
from npudsl.diagnostics import NpuError
from npudsl.engine.memory import Memory


@dataclass(frozen=True)
class StepResult:
    """A finished step: its value, and what it took."""

    id: str
    tree: Tree
    parts: int
    parts_ran: int
    join_ran: bool
    seconds: float
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why each part ran, by part; the join is called ""."""

    @property
    def ran(self) -> bool:
        """True when anything of the step ran."""
        return self.parts_ran > 0 or self.join_ran


@dataclass(frozen=True)
class Outcome:
    """Everything that finished, and the errors in plan order (none: all steps are in ``results``)."""

    results: Mapping[str, StepResult]
    memory: Memory
    errors: tuple[NpuError, ...] = ()

    def raise_errors(self) -> None:
        """Raise the errors as one, with the exit code of the first."""
        if not self.errors:
            return
        first = self.errors[0]
        first.diagnostics = tuple(dict.fromkeys(item for error in self.errors for item in error.diagnostics))
        raise first
