"""Puts exported files in place: only what differs is written, what an earlier build left over is removed.

Each file is written beside its place and renamed. Other files in the folder (objects that ``make`` built, notes) are
the user's and stay. Which files are ours is remembered in the state folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from npudsl.api.project import Project
from npudsl.artifacts.blob import BlobReader, Tree
from npudsl.diagnostics import Diagnostic, EnvironmentMissing
from npudsl.keys import digest_bytes
from npudsl.steps.pipeline import PlannedExport
from npudsl.store.atomic import write_atomically


@dataclass(frozen=True)
class PlacedFile:
    """A file that the build answers for."""

    path: Path
    digest: str
    written: bool
    """False: it was in place already."""


@dataclass(frozen=True)
class PlacedExport:
    """An export in place."""

    export: PlannedExport
    files: tuple[PlacedFile, ...]
    notes: tuple[str, ...]


def place_export(export: PlannedExport, tree: Tree, reader: BlobReader) -> PlacedExport:
    """Bring the files of one export in place; raises ``EnvironmentMissing`` when a file cannot be written."""
    bundle = reader.read_json(tree["bundle.json"])
    executable = set(bundle["executable"])
    placed = []
    for name in bundle["files"]:
        path = Path(export.place) / name if name else Path(export.place)
        data = reader.read_bytes(tree[f"files/{name}"])
        placed.append(write_if_different(path, data, executable=name in executable, subject=export.subject))
    return PlacedExport(export, tuple(placed), tuple(bundle["notes"]))


def write_if_different(path: Path, data: bytes, *, executable: bool = False, subject: str | None = None) -> PlacedFile:
    """Write a file unless it has these bytes; raises ``EnvironmentMissing`` E0906."""
    digest = digest_bytes(data)
    try:
        if path.is_file() and digest_bytes(path.read_bytes()) == digest:
            return PlacedFile(path, digest, written=False)
        write_atomically(path, data, mode=0o755 if executable else 0o644)
    except OSError as error:
        raise EnvironmentMissing(
            [
                Diagnostic(
                    "E0906",
                    f"{path} cannot be written: {error.strerror or error}",
                    subject=subject,
                    notes=("everything that was computed is kept in the cache; what was there before is untouched",),
                    helps=("make the folder writable, or name another one with `out = ...`",),
                )
            ]
        ) from error
    return PlacedFile(path, digest, written=True)


def remove_left_over(project: Project, placed: Iterable[PlacedExport]) -> None:
    """Remove files that the last build put in place and this one did not; remember this one's."""
    memory = project.state_file("outputs")
    current = {str(file.path) for export in placed for file in export.files}
    for name in _remembered(memory) - current:
        Path(name).unlink(missing_ok=True)
    write_atomically(memory, json.dumps(sorted(current)).encode(), durable=False)


def _remembered(memory: Path) -> set[str]:
    try:
        names = json.loads(memory.read_bytes())
        return {name for name in names if isinstance(name, str)}
    except (OSError, ValueError, TypeError):
        return set()
