"""Progress of a build: a live line per running step on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Protocol

from npudsl.engine.events import Event, Reporter

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOW_AFTER_SECONDS = 0.5
SIGN_OF_LIFE_SECONDS = 10.0
WORTH_TELLING_SECONDS = 2.0
"""Less time than this is not announced."""


class ProgressReporter(Reporter, Protocol):
    """A reporter that has something to take down at the end."""

    def close(self) -> None: ...


class PlainProgress:
    """One line per finished step that ran, and a sign of life every ten seconds within a long one."""

    def __init__(self, *, explain: bool = False, every_seconds: float = SIGN_OF_LIFE_SECONDS) -> None:
        self._started = time.monotonic()
        self._explain = explain
        self._every = every_seconds
        self._last = self._started

    def event(self, event: Event) -> None:
        now = time.monotonic()
        stamp = f"[{now - self._started:6.1f} s]"
        if event.kind == "note":
            self._line(f"note: {event.text}")
        elif event.kind == "step-failed":
            self._line(f"{stamp} {event.step}: failed: {event.reason}")
        elif event.kind == "step-finished" and event.status == "ran":
            self._line(f"{stamp} {event.step}: {counts(event)}{place(event)}")
            if self._explain and event.reason:
                self._line(f"           because {event.reason}")
            self._last = now
        elif event.kind == "part-finished" and event.status == "ran":
            if self._explain:
                self._line(f"{stamp} {event.step} {event.part}: {event.reason}")
                self._last = now
            elif now - self._last > self._every:
                self._line(f"{stamp} {event.step}: part {event.done} of {event.total}{place(event)}")
                self._last = now

    def close(self) -> None:
        """Nothing to take down."""

    @staticmethod
    def _line(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class TerminalProgress:
    """Bars by rich, one per running step, shown once a build takes longer than half a second."""

    def __init__(self, *, explain: bool = False) -> None:
        self._started = time.monotonic()
        self._explain = explain
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._open: dict[str, Event] = {}

    def event(self, event: Event) -> None:
        if event.kind in ("step-started", "part-finished"):
            self._open[event.step] = event
        elif event.kind in ("step-finished", "step-failed"):
            self._open.pop(event.step, None)
        long_enough = time.monotonic() - self._started > SHOW_AFTER_SECONDS
        if self._progress is None and (long_enough or self._explain or event.kind == "note"):
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
                self._tasks[step] = progress.add_task(step, total=max(latest.total, 1), where="")
            progress.update(self._tasks[step], completed=latest.done, where=place(event).removeprefix(", "))
        if event.kind in ("step-finished", "step-failed"):
            task = self._tasks.pop(event.step, None)
            if task is not None:
                progress.remove_task(task)
        said = self._said(event)
        if said:
            progress.console.print(said, highlight=False, markup=False)

    def _said(self, event: Event) -> str:
        if event.kind == "note":
            return f"note: {event.text}"
        if event.kind == "step-failed":
            return f"{event.step}: failed: {event.reason}"
        if event.status != "ran":
            return ""
        if event.kind == "step-finished":
            because = f"; {event.reason}" if self._explain and event.reason else ""
            return f"{event.step}: {counts(event)}{because}"
        if event.kind == "part-finished" and self._explain:
            return f"{event.step} {event.part}: {event.reason}"
        return ""


class JsonProgress:
    """One JSON object per line on standard output."""

    def event(self, event: Event) -> None:
        record: dict[str, object] = {"event": event.kind, "step": event.step}
        if event.kind == "note":
            record = {"event": "note", "text": event.text}
        elif event.kind == "step-failed":
            record["reason"] = event.reason
        elif event.kind == "step-started":
            record["parts"] = event.total
        else:
            if event.part:
                record["part"] = event.part
            record |= {"status": event.status, "seconds": round(event.seconds, 6), "reason": event.reason}
            record |= {"parts": event.total, "parts_done": event.done, "parts_ran": event.ran}
        if event.kind != "note":
            record |= {"steps": event.steps_total, "steps_done": event.steps_done, "seconds_left": event.left_seconds}
        print(json.dumps(record), flush=True)

    def close(self) -> None:
        """Nothing to take down."""


class QuietProgress:
    """Shows nothing."""

    def event(self, event: Event) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing to take down."""


def progress_reporter(*, quiet: bool, explain: bool = False, events: bool = False) -> ProgressReporter:
    """The reporter that was asked for, or the one that fits the place stderr goes to."""
    if events:
        return JsonProgress()
    if quiet:
        return QuietProgress()
    return TerminalProgress(explain=explain) if sys.stderr.isatty() else PlainProgress(explain=explain)


def counts(event: Event) -> str:
    """What a finished step took."""
    parts = f"{event.ran} of {event.total} parts ran" if event.total > 1 else "ran"
    return f"{parts}, {event.seconds:.1f} s"


def place(event: Event) -> str:
    """How far the build is, and how long the rest takes as far as the last build tells."""
    done = f", step {event.steps_done} of {event.steps_total}" if event.steps_total > 1 else ""
    if event.left_seconds is None or event.left_seconds < WORTH_TELLING_SECONDS:
        return done
    minutes, seconds = divmod(round(event.left_seconds), 60)
    return f"{done}, about {f'{minutes} min ' if minutes else ''}{seconds} s left"


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[where]}"),
        console=Console(stderr=True),
        transient=True,
    )
