"""The local index: small facts that are cheap to lose.

It remembers which blob files were verified (with size, times and inode), so that they need not be hashed again by
every process. It may be deleted at any time and is never on the way of an up-to-date check. When a result was last used
is not here: that is the time of the result's own file, which survives a killed process and is right for all of them.

diskcache does the work behind a small interface. By default diskcache pickles values, reads values from files named in
its table, and throws entries out on its own; none of that is possible here: the ``Disk`` below stores bytes in the row
only, refuses every other row on reading, and never touches a file. diskcache also keeps its own settings in a table and
takes them back as attributes, so a damaged table can make it fail in any way: whatever it raises means "I don't know",
and an index that does not open is put aside and a new one started.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any, Protocol


class Index(Protocol):
    """What the store asks of an index. Every answer may be "I don't know"."""

    def verified_stamp(self, digest: str) -> str | None: ...

    def remember_verified(self, digest: str, stamp: str) -> None: ...

    def close(self) -> None: ...


class MemoryIndex:
    """An index that lives as long as the process: for read-only caches, network file systems and tests."""

    def __init__(self) -> None:
        self._verified: dict[str, str] = {}

    def verified_stamp(self, digest: str) -> str | None:
        return self._verified.get(digest)

    def remember_verified(self, digest: str, stamp: str) -> None:
        self._verified[digest] = stamp

    def close(self) -> None:
        """Nothing to close."""


class DiskIndex:
    """The index on disk. New facts are collected and written in one transaction by ``flush`` or ``close``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache = _open(folder)
        self._pending: dict[str, bytes] = {}

    def verified_stamp(self, digest: str) -> str | None:
        return self._get(f"verified:{digest}")

    def remember_verified(self, digest: str, stamp: str) -> None:
        self._pending[f"verified:{digest}"] = stamp.encode()

    def flush(self) -> None:
        """Write what was collected; a full disk or a locked table loses facts, never a build."""
        pending, self._pending = self._pending, {}
        if not pending:
            return
        with contextlib.suppress(Exception), self._cache.transact(retry=False):
            for key, value in pending.items():
                self._cache.set(key, value, retry=False)

    def close(self) -> None:
        self.flush()
        with contextlib.suppress(Exception):
            self._cache.close()

    def _get(self, key: str) -> str | None:
        pending = self._pending.get(key)
        if pending is not None:
            return pending.decode()
        try:
            value = self._cache.get(key)
        except Exception:
            return None
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else None


def open_index(folder: Path) -> Index:
    """The index in ``folder``; a damaged one is moved aside, an unusable place gives an index in memory."""
    try:
        return DiskIndex(folder)
    except OSError:
        return MemoryIndex()
    except Exception:
        try:
            folder.rename(folder.with_name(f"{folder.name}.bad-{int(time.time())}-{os.getpid()}"))
            return DiskIndex(folder)
        except Exception:
            return MemoryIndex()


def _open(folder: Path) -> Any:
    import fcntl

    import diskcache

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"the index {folder} belongs to another user")
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return diskcache.Cache(
            str(folder), disk=_bytes_disk(), eviction_policy="none", cull_limit=0, statistics=0, timeout=1
        )


def _bytes_disk() -> type:
    """The hardened ``Disk``: bytes in rows, text keys, no files, no pickle. Made here so diskcache loads lazily."""
    import diskcache
    from diskcache.core import MODE_RAW

    class BytesDisk(diskcache.Disk):  # type: ignore[misc]
        """Stores bytes in the row and refuses everything else, on writing and on reading."""

        def put(self, key: object) -> tuple[str, bool]:
            if not isinstance(key, str):
                raise TypeError("index keys are text")
            return key, True

        def get(self, key: object, raw: object) -> str:
            if not raw or not isinstance(key, str):
                raise ValueError("a row of the index has a key that is not text")
            return key

        def store(self, value: object, read: bool, key: object = None) -> tuple[int, int, None, bytes]:
            if read or not isinstance(value, bytes):
                raise TypeError("index values are bytes")
            return 0, MODE_RAW, None, value

        def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> bytes:
            if mode != MODE_RAW or filename is not None or read or not isinstance(value, bytes):
                raise ValueError("a row of the index holds something that is not bytes")
            return value

        def remove(self, file_path: str) -> None:
            """Rows never name files, so there is nothing to remove."""

    return BytesDisk
