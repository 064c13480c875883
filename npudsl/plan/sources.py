"""The user's files, as the plan sees them: something that hashes a path and remembers that it was looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from npudsl.plan.step import FileInput


class FileSource(Protocol):
    """Gives digests of files; the engine's is stat-cached."""

    def digest(self, path: Path) -> str:
        """sha256 of a file's bytes; raises ``OSError``."""
        ...

    def file(self, path: Path, shown: str) -> FileInput:
        """A file as an input of a step; raises ``OSError``."""
        ...

    def watch(self, path: Path) -> None:
        """Count a file or folder among what the build looked at."""
        ...
