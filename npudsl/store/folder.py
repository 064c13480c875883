"""One folder of blobs: ``cas/ab/<sha256>`` below a cache folder, with what is known of their condition.

A blob is written to ``tmp/`` on the same file system, synced, made read-only and renamed to its name, so there is never
a half blob under a final name, and two writers of one blob do not disturb each other.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.store.atomic import sync_directory

if TYPE_CHECKING:
    from npudsl.store.index import Index

TOUCH_AFTER_SECONDS = 600.0
"""A blob that is written again gets a new time when its own is older: garbage collection leaves the young alone."""


class BlobFolder:
    """Blobs below one cache folder. Threads may share it. A folder that is only read needs no permission to write."""

    def __init__(self, root: Path, index: Index | None = None) -> None:
        self.root = root
        self._index = index
        self._verified: set[str] = set()
        self._damaged: set[str] = set()
        self._counter = 0
        self._lock = threading.Lock()

    def path(self, digest: str) -> Path:
        """Where the blob lies; says nothing about whether it is there."""
        return self.root / "cas" / digest[:2] / digest

    def size(self, digest: str) -> int | None:
        """The size of a blob that is there and not known to be damaged."""
        if digest in self._damaged:
            return None
        try:
            return self.path(digest).stat().st_size
        except OSError:
            return None

    def is_damaged(self, digest: str) -> bool:
        """Whether a damaged blob was found and put aside (or, where that cannot be done, is passed over)."""
        return digest in self._damaged

    def intact(self, digest: str, size: int) -> bool:
        """Whether the blob is there and has its content; a damaged one is put aside."""
        found = self.size(digest)
        if found is None:
            return False
        try:
            if found == size and (digest in self._verified or self._was_verified(digest)):
                return True
            return self.verify(digest) and found == size
        except OSError:
            return False

    def verify(self, digest: str) -> bool:
        """Hash a blob whatever is remembered of it; a damaged one is put aside. Raises ``OSError``."""
        if file_digest(self.path(digest)) == digest:
            self.mark_verified(digest)
            return True
        self.put_aside(digest)
        return False

    def is_verified(self, digest: str) -> bool:
        """Whether the content was checked in this process (or the index vouches for this very file)."""
        return digest in self._verified

    def mark_verified(self, digest: str) -> None:
        """Believe the content from now on."""
        self._verified.add(digest)
        self._damaged.discard(digest)
        if self._index is not None:
            with contextlib.suppress(OSError):
                self._index.remember_verified(digest, _stamp(self.path(digest)))

    def put_aside(self, digest: str) -> None:
        """Move a damaged blob to ``quarantine/``."""
        self._verified.discard(digest)
        self._damaged.add(digest)
        folder = self.root / "quarantine"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self.path(digest).replace(folder / digest)

    def write(self, digest: str, data: bytes) -> None:
        """Store bytes under their digest; raises ``OSError`` and leaves nothing behind then."""
        with self.temporary() as temporary:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            self.publish(temporary, digest)

    def publish(self, temporary: Path, digest: str) -> None:
        """Give a finished file below ``tmp/`` its name; raises ``OSError``."""
        final = self.path(digest)
        temporary.chmod(0o444)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(final)
        sync_directory(final.parent)
        self.mark_verified(digest)

    def renew(self, digest: str) -> None:
        """Note that the blob is wanted now."""
        path = self.path(digest)
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > TOUCH_AFTER_SECONDS:
                os.utime(path)
                self.mark_verified(digest)

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """The path of a file of this process below ``tmp/``; whatever is left of it at the end is removed."""
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._counter += 1
            counter = self._counter
        path = folder / f"{os.getpid()}-{threading.get_ident()}-{counter}-{os.urandom(4).hex()}"
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _was_verified(self, digest: str) -> bool:
        if self._index is None or self._index.verified_stamp(digest) != _stamp(self.path(digest)):
            return False
        self._verified.add(digest)
        return True


def file_digest(path: Path) -> str:
    """sha256 of a file; raises ``OSError``."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stamp(path: Path) -> str:
    """What tells one file from another under the same name: size, both times, inode."""
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
