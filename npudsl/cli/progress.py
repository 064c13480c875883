"""Progress of a build: a live line per running step on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from npudsl.engine.events import Event

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOW_AFTER_SECONDS = 0.5


class PlainProgress:
    """One line per finished step that ran, and a sign of life every ten seconds within a long one."""

    def __init__(self, *, every_seconds: float = 10.0) -> None:
        self._started = time.monotonic()
        self._every = every_seconds
        self._last = self._started

    def event(self, event: Event) -> None:
        now = time.monotonic()
        if event.kind == "note":
            self._line(f"note: {event.text}")
        elif event.kind == "step-finished" and event.status == "ran":
            self._line(f"[{now - self._started:6.1f} s] {event.step}: {_counts(event)}")
            self._last = now
        elif event.kind == "part-finished" and event.status == "ran" and now - self._last > self._every:
            self._line(f"[{now - self._started:6.1f} s] {event.step}: part {event.done} of {event.total}")
            self._last = now

    def close(self) -> None:
        """Nothing to take down."""

    @staticmethod
    def _line(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class TerminalProgress:
    """Bars by rich, one per running step, shown once a build takes longer than half a second."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._open: dict[str, Event] = {}

    def event(self, event: Event) -> None:
        if event.kind in ("step-started", "part-finished"):
            self._open[event.step] = event
        elif event.kind == "step-finished":
            self._open.pop(event.step, None)
        if self._progress is None and time.monotonic() - self._started > SHOW_AFTER_SECONDS:
            self._progress = _bars()
            self._progress.start()
        if self._progress is not None:
            self._show(self._progress, event)

    def close(self) -> None:
        """Take the bars down."""
        if self._progress is not None:
            self._progress.stop()

    def _show(self, progress: Progress, event: Event) -> None:
        for step, latest in self._open.items():
            if step not in self._tasks:
                self._tasks[step] = progress.add_task(step, total=max(latest.total, 1))
            progress.update(self._tasks[step], completed=latest.done)
        if event.kind == "step-finished":
            task = self._tasks.pop(event.step, None)
            if task is not None:
                progress.remove_task(task)
            if event.status == "ran":
                progress.console.print(f"{event.step}: {_counts(event)}", highlight=False)
        elif event.kind == "note":
            progress.console.print(f"note: {event.text}", highlight=False)


class QuietProgress:
    """Shows nothing."""

    def event(self, event: Event) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing to take down."""


def progress_reporter(*, quiet: bool) -> PlainProgress | TerminalProgress | QuietProgress:
    """The reporter that fits the place stderr goes to."""
    if quiet:
        return QuietProgress()
    return TerminalProgress() if sys.stderr.isatty() else PlainProgress()


def _counts(event: Event) -> str:
    parts = f"{event.ran} of {event.total} parts ran" if event.total > 1 else "ran"
    return f"{parts}, {event.seconds:.1f} s"


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
