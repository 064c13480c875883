"""What the engine tells while it works. It never prints; a reporter does (``cli/progress.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

EventKind = Literal["step-started", "part-finished", "step-finished", "note"]


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
    expected_seconds: float | None = None
    text: str = ""


class Reporter(Protocol):
    """Receives events, always from the coordinating thread."""

    def event(self, event: Event) -> None: ...


class SilentReporter:
    """Receives events and does nothing: for Python users and tests."""

    def event(self, event: Event) -> None:
        """Nothing is shown."""
