"""Writes the snapshot that lets the next ``npu build`` answer "up to date" without loading anything."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.api.outputs import PlacedFile
from npudsl.api.project import Project
from npudsl.engine.files import FileTracker
from npudsl.engine.snapshot import (
    Entry,
    Snapshot,
    identity,
    latest_change,
    new_entry,
    options_text,
    save_snapshot,
    state_path,
)
from npudsl.plan.action import Host

if TYPE_CHECKING:
    from npudsl.api.build import BuildReport

PROJECT_FILE = "npudsl.yaml"
TOOL_MODULES = {"pillow": "PIL"}
"""Modules that are not called like their distribution."""

CLOCK_TICK_SECONDS = 0.05
"""A file's time may lie this much before the moment of its change."""


def save_state(
    project: Project,
    tracker: FileTracker,
    report: BuildReport,
    committed: Iterable[PlacedFile] | None,
    host: Host,
    root_options: tuple[str, ...],
    began_at: float,
) -> None:
    """Write the snapshot of a build that began at ``began_at`` (seconds since the epoch) and is finished now.

    An input that changed since may have been read before or after its change, so then there is no snapshot: the next
    build looks again. The same when ``committed`` is None. Nothing is raised: without a snapshot a build is slower and
    as right.
    """
    if committed is None or not _saved(project, tracker, report, committed, host, root_options, began_at):
        with contextlib.suppress(OSError):
            Path(state_path(str(project.path))).unlink(missing_ok=True)


def _saved(
    project: Project,
    tracker: FileTracker,
    report: BuildReport,
    committed: Iterable[PlacedFile],
    host: Host,
    root_options: tuple[str, ...],
    began_at: float,
) -> bool:
    with contextlib.suppress(OSError):
        inputs = dict(tracker.entries)
        inputs |= {str(tool): new_entry(str(tool)) for tool in _tools(host)}
        placed = [*committed, *(file for export in report.exports for file in export.files)]
        outputs: dict[str, Entry] = {os.path.abspath(file.path): list(file.entry) for file in placed}  # noqa: PTH100
        changed = any(_changed_since(began_at, entry) for name, entry in inputs.items() if name not in outputs)
        return not changed and save_snapshot(
            str(project.path),
            identity(),
            options_text(root_options),
            Snapshot(report.exit_code, report.later_summary, json.dumps(report.later_record())),
            inputs | outputs,
            [name for name in (*_absent(project), *tracker.absent) if name not in outputs],
        )
    return False


def _changed_since(began_at: float, entry: Entry) -> bool:
    """Whether a file changed after the build began. A time in the future says nothing; such a file is hashed anew."""
    return began_at - CLOCK_TICK_SECONDS <= latest_change(entry) <= float(str(entry[6])) + CLOCK_TICK_SECONDS


def _tools(host: Host) -> list[Path]:
    """One file of each tool whose version is part of a key: it changes when the tool is replaced."""
    found = []
    for distribution in host.tools:
        spec = importlib.util.find_spec(TOOL_MODULES.get(distribution, distribution))
        if spec is not None and spec.origin is not None:
            found.append(Path(spec.origin))
    return found


def _absent(project: Project) -> list[str]:
    """Project files that are not there and would change the meaning of paths if they were."""
    folder = project.folder.absolute()
    places = [folder, *folder.parents]
    if project.settings_file is not None:
        root = project.settings_file.absolute().parent
        places = places[: places.index(root)] if root in places else places
    return [str(place / PROJECT_FILE) for place in places]
