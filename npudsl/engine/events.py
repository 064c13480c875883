"""What the engine tells while it works. It never prints; a reporter does (``cli/progress.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

EventKind = Literal["step-started", "part-finished", "step-finished", "step-failed", "note"]


@dataclass(frozen=True)
class Event:
    """One thing that happened. ``status`` is ``ran`` or ``reused``; counts are of parts of this step so far."""

    kind: EventKind
    step: str
    part: str = ""
    status: str = ""
    done: int = 0
    total: int = 0
    ran: int = 0
    seconds: float = 0.0
    reason: str = ""
    """Of a part that ran, and of a join that ran alone: why."""
    steps_done: int = 0
    steps_total: int = 0
    left_seconds: float | None = None
    """Time to the end of the build by past wall times, None when that is not known."""
    text: str = ""


class Reporter(Protocol):
    """Receives events, always from the coordinating thread."""

    def event(self, event: Event) -> None: ...


class SilentReporter:
    """Receives events and does nothing: for Python users and tests."""

    def event(self, event: Event) -> None:
        """Nothing is shown."""
