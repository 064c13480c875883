"""The user's files as inputs: digests by a stat cache, and the list of everything a build looked at."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from npudsl.engine.snapshot import Entry, check_entry, new_entry
from npudsl.plan.step import FileInput
from npudsl.store.atomic import write_atomically
from npudsl.store.sealed import seal, unseal

FILES_FORMAT = 1


class FileTracker:
    """Hashes files, remembering digests by stat fields (``snapshot.py`` has the rule) between builds.

    ``entries`` is what the up-to-date check will look at: every file that was asked for in this build, by absolute
    path. ``absent`` are files that were looked for and not found, and that would matter if they were there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._old = _load(path)
        self.entries: dict[str, Entry] = {}
        self.absent: list[str] = []

    def digest(self, path: Path) -> str:
        """sha256 of a file; raises ``OSError``."""
        return str(self._entry(path)[5])

    def file(self, path: Path, shown: str) -> FileInput:
        """A file as an input of a step; raises ``OSError``."""
        entry = self._entry(path)
        return FileInput(str(entry[5]), int(str(entry[0])), str(path), shown)

    def watch(self, path: Path) -> None:
        """Let the up-to-date check look at a file or folder that is not hashed for a step, there or not."""
        try:
            self._entry(path)
        except OSError:
            self.absent.append(os.path.abspath(path))  # noqa: PTH100

    def save(self) -> None:
        """Keep the digests for the next build, without those of files that are gone; raises ``OSError``."""
        kept = {name: entry for name, entry in self._old.items() if name in self.entries or Path(name).exists()}
        write_atomically(self._path, seal({"format": FILES_FORMAT, "files": kept | self.entries}), durable=False)

    def _entry(self, path: Path) -> Entry:
        name = os.path.abspath(path)  # noqa: PTH100
        if name not in self.entries:
            old = self._old.get(name)
            current = check_entry(name, old) if old is not None else None
            self.entries[name] = current if current is not None else new_entry(name)
        return self.entries[name]


def _load(path: Path) -> dict[str, Entry]:
    with contextlib.suppress(OSError, KeyError, TypeError, AttributeError):
        record = unseal(path.read_bytes())
        if record is not None and record["format"] == FILES_FORMAT:
            return {str(name): list(entry) for name, entry in record["files"].items() if len(entry) == 7}
    return {}
