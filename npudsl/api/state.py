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
    committed: Iterable[PlacedFile],
    host: Host,
    root_options: tuple[str, ...],
    began_at: float,
) -> None:
    """Write the snapshot of a build that began at ``began_at`` (seconds since the epoch) and is finished now.

    An input that changed since may have been read before or after its change, so then there is no snapshot: the next
    build looks again. Nothing is raised: without a snapshot a build is slower and as right.
    """
    path = state_path(str(project.path))
    with contextlib.suppress(OSError):
        inputs = dict(tracker.entries)
        for source in [*_texts(project), *_tools(host)]:
            inputs[str(source)] = new_entry(str(source))
        placed = [*committed, *(file for export in report.exports for file in export.files)]
        outputs: dict[str, Entry] = {os.path.abspath(file.path): list(file.entry) for file in placed}  # noqa: PTH100
        changed = any(
            latest_change(entry) >= began_at - CLOCK_TICK_SECONDS
            for name, entry in inputs.items()
            if name not in outputs
        )
        if not changed and save_snapshot(
            path,
            identity(),
            " ".join(sorted(root_options)),
            Snapshot(report.exit_code, report.later_summary, json.dumps(report.record())),
            inputs | outputs,
            [*_absent(project), *tracker.absent],
        ):
            return
        Path(path).unlink(missing_ok=True)


def _texts(project: Project) -> list[Path]:
    """The program, its fragments and the project file."""
    texts = [path.absolute() for source in project.program.sources if (path := Path(source.name)).is_file()]
    if project.settings_file is not None:
        texts.append(project.settings_file.absolute())
    return list(dict.fromkeys(texts))


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
