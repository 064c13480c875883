"""Writes the snapshot that lets the next ``npu build`` answer "up to date" without loading anything."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.api.outputs import PlacedFile
from npudsl.api.project import Project
from npudsl.engine.files import FileTracker
from npudsl.engine.snapshot import SNAPSHOT_FORMAT, identity, new_entry, save_snapshot, state_path
from npudsl.plan.action import Host

if TYPE_CHECKING:
    from npudsl.api.build import BuildReport

PROJECT_FILE = "npudsl.yaml"
TOOL_MODULES = {"pillow": "PIL"}
"""Modules that are not called like their distribution."""


def save_state(
    project: Project,
    tracker: FileTracker,
    report: BuildReport,
    committed: Iterable[PlacedFile],
    host: Host,
    root_options: tuple[str, ...],
) -> None:
    """Write the snapshot of a finished build."""
    placed = [*committed, *(file for export in report.exports for file in export.files)]
    files = dict(tracker.entries)
    for path in [*_texts(project), *_tools(host)]:
        files[str(path)] = new_entry(str(path))
    for file in placed:
        files[str(file.path.resolve())] = new_entry(str(file.path), file.digest)
    record: dict[str, object] = {
        "format": SNAPSHOT_FORMAT,
        "identity": identity(),
        "options": " ".join(sorted(root_options)),
        "program": str(project.path.resolve()),
        "files": files,
        "absent": _absent(project),
        "exit_code": report.exit_code,
        "summary": report.later_summary,
        "result": report.later_record(),
    }
    save_snapshot(state_path(str(project.path)), record)


def _texts(project: Project) -> list[Path]:
    """The program, its fragments and the project file."""
    texts = [path.resolve() for source in project.program.sources if (path := Path(source.name)).is_file()]
    if project.settings_file is not None:
        texts.append(project.settings_file.resolve())
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
    folder = project.folder.resolve()
    places = [folder, *folder.parents]
    if project.settings_file is not None:
        root = project.settings_file.resolve().parent
        places = places[: places.index(root)] if root in places else places
    return [str(place / PROJECT_FILE) for place in places]
