"""The user's files as inputs: digests by a stat cache, and the list of everything a build looked at."""

from __future__ import annotations

import json
from pathlib import Path

from npudsl.engine.snapshot import check_entry, new_entry
from npudsl.plan.step import FileInput
from npudsl.store.atomic import write_atomically

FILES_FORMAT = 1


class FileTracker:
    """Hashes files, remembering digests by stat fields (``snapshot.py`` has the rule) between builds.

    ``entries`` is what the up-to-date check will look at: every file that was asked for in this build.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._old = _load(path)
        self.entries: dict[str, list[object]] = {}

    def digest(self, path: Path) -> str:
        """sha256 of a file; raises ``OSError``."""
        return str(self._entry(path)[5])

    def file(self, path: Path, shown: str) -> FileInput:
        """A file as an input of a step; raises ``OSError``."""
        entry = self._entry(path)
        return FileInput(str(entry[5]), int(str(entry[0])), str(path), shown)

    def watch(self, path: Path) -> None:
        """Let the up-to-date check look at a file or folder that is not hashed for a step; a missing one is ignored."""
        try:
            self._entry(path)
        except OSError:
            return

    def save(self) -> None:
        """Keep the digests for the next build."""
        record = {"format": FILES_FORMAT, "files": {**self._old, **self.entries}}
        write_atomically(self._path, json.dumps(record, separators=(",", ":")).encode(), durable=False)

    def _entry(self, path: Path) -> list[object]:
        name = str(path)
        if name not in self.entries:
            old = self._old.get(name)
            current = check_entry(name, old) if old is not None else None
            self.entries[name] = current if current is not None else new_entry(name)
        return self.entries[name]


def _load(path: Path) -> dict[str, list[object]]:
    try:
        record = json.loads(path.read_bytes())
        if record["format"] != FILES_FORMAT:
            return {}
        return {
            str(name): list(entry) for name, entry in record["files"].items() if len(entry) == 7 and Path(name).exists()
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
