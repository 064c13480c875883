"""Puts exported files in place: only what differs is written, what an earlier build left over is removed.

Each file is written beside its place and renamed. Other files in the folder (objects that ``make`` built, notes) are
the user's and stay, and so does a left-over that was changed by hand. Which files are ours, and with which content, is
remembered in the state folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from npudsl.api.project import Project
from npudsl.artifacts.blob import BlobReader, Tree
from npudsl.diagnostics import Diagnostic, EnvironmentMissing
from npudsl.engine.snapshot import Entry, digest_of, new_entry
from npudsl.keys import digest_bytes
from npudsl.steps.pipeline import PlannedExport
from npudsl.store.atomic import write_atomically
from npudsl.store.sealed import seal, unseal

OUTPUTS_FORMAT = 1


@dataclass(frozen=True)
class PlacedFile:
    """A file that the build answers for."""

    path: Path
    entry: Entry
    """The file as it was when it was in place, for the up-to-date check."""
    written: bool
    """False: it was in place already."""

    @property
    def digest(self) -> str:
        return str(self.entry[5])


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
        path = Path(export.place) / _inside(name) if name else Path(export.place)
        data = reader.read_bytes(tree[f"files/{name}"])
        placed.append(write_if_different(path, data, executable=name in executable, subject=export.subject))
    return PlacedExport(export, tuple(placed), tuple(bundle["notes"]))


def write_if_different(path: Path, data: bytes, *, executable: bool = False, subject: str | None = None) -> PlacedFile:
    """Write a file unless it has these bytes; raises ``EnvironmentMissing`` E0906."""
    digest = digest_bytes(data)
    try:
        if path.is_file() and (not executable or os.access(path, os.X_OK)):
            entry = new_entry(str(path))
            if entry[5] == digest:
                return PlacedFile(path, entry, written=False)
        write_atomically(path, data, mode=0o755 if executable else 0o644)
        return PlacedFile(path, new_entry(str(path), digest), written=True)
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


def remove_left_over(project: Project, placed: Iterable[PlacedFile]) -> None:
    """Remove files that the last build put in place and this one did not; remember this one's.

    A file that is not as it was put in place belongs to the user by now and stays. A memory that came with a copied
    folder is about the files of another project.
    """
    memory = project.state_file("outputs")
    place = str(project.path.absolute())
    current = {str(file.path.absolute()): file.digest for file in placed}
    for name, digest in _remembered(memory, place).items():
        if name not in current:
            with contextlib.suppress(OSError):
                if digest_of(name) == digest:
                    Path(name).unlink()
    with contextlib.suppress(OSError):
        record = {"format": OUTPUTS_FORMAT, "place": place, "files": current}
        write_atomically(memory, seal(record), durable=False)


def _inside(name: str) -> PurePosixPath:
    """A file's name inside its export; raises ``EnvironmentMissing`` for one that leads out of it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        message = f"the cache holds an export with a file called {name!r}, which is outside of the export"
        helps = ("somebody changed the cache; delete it, or set another `salt` in npudsl.yaml",)
        raise EnvironmentMissing([Diagnostic("E0905", message, helps=helps)])
    return path


def _remembered(memory: Path, place: str) -> Mapping[str, str]:
    with contextlib.suppress(OSError, KeyError, TypeError, AttributeError):
        record = unseal(memory.read_bytes())
        if record is not None and record["format"] == OUTPUTS_FORMAT and record["place"] == place:
            return {str(name): str(digest) for name, digest in record["files"].items()}
    return {}
