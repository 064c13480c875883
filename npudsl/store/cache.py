"""The cache folder as one thing: content, results, index, and the version of the layout.

A folder that cannot be written (read-only, no space left) is no reason to fail: collection is tried once where it may
help, then the rest of the build goes to a temporary folder in front of the cache, and ``notes`` says so once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from npudsl.artifacts.blob import Tree
from npudsl.diagnostics import Diagnostic, EnvironmentMissing
from npudsl.store.atomic import write_atomically
from npudsl.store.content import BlobMissing, ContentStore
from npudsl.store.index import Index, MemoryIndex, open_index
from npudsl.store.leases import lease
from npudsl.store.locks import key_lock
from npudsl.store.results import Result, ResultStore, read_result

LAYOUT = "1\n"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
UNWRITABLE = FULL | {errno.EROFS, errno.EACCES, errno.EPERM}


class Cache:
    """A cache folder. Opening it creates it; a folder of another layout is refused, not misread.

    ``limit_bytes`` is how much ``collect`` may leave when the disk is full.
    """

    def __init__(self, root: Path, *, index: Index | None = None, limit_bytes: int | None = None) -> None:
        self.root = root
        self.notes: list[str] = []
        """What the user should know of the cache itself."""
        writable = _prepare(root)
        self._index = index if index is not None else open_index(root / "index") if writable else MemoryIndex()
        self._limit_bytes = limit_bytes
        self._collected = False
        self._overflow: Path | None = None
        self._lock = threading.Lock()
        self.content = ContentStore(root, self._index, on_full=self._make_room)
        self.results = ResultStore(root)
        self.used: dict[str, None] = {}
        """Keys of results that were looked up or published, in order."""
        self._published: list[str] = []
        if not writable:
            self._open_overflow(f"the cache folder {root} is read-only")

    def lookup(self, key: str) -> tuple[Result | None, str]:
        """The result of an action and why there is none: ``never built`` or which blob is missing or damaged."""
        result = self.results.get(key)
        if result is None:
            return None, "never built"
        for name, blob in result.tree.items():
            try:
                self.content.ensure(blob)
            except BlobMissing as missing:
                return None, f"{name} is {missing.why} in the cache"
        if key not in self.used:
            self.results.touch(key)
            self.used[key] = None
        return result, ""

    def publish(self, key: str, tree: Tree, wall_seconds: float) -> Result:
        """Record a finished action; its blobs are already stored. Raises ``OSError``."""
        result = Result(key, dict(tree), wall_seconds)
        while True:
            root = self.results.root
            try:
                self.results.put(result)
                break
            except OSError as error:
                if not self._make_room(error, root):
                    raise
        self.used[key] = None
        self._published.append(key)
        return result

    def forget_published(self) -> None:
        """Drop every result that was published since the cache was opened."""
        for key in self._published:
            self.results.drop(key)

    def verify(self) -> Verified:
        """Hash every blob anew and read every result; what is damaged is put aside or removed."""
        intact, damaged = 0, []
        for path in sorted((self.root / "cas").glob("*/*")):
            try:
                whole = self.content.base.verify(path.name)
            except OSError:
                whole = False
            if whole:
                intact += 1
            else:
                damaged.append(path.name)
        unreadable = []
        for path in sorted((self.root / "ac").glob("*/*")):
            if not path.name.startswith(".") and read_result(path) is None:
                unreadable.append(path.name)
                path.unlink(missing_ok=True)
        return Verified(intact, tuple(damaged), tuple(unreadable))

    @contextmanager
    def computing(self, key: str, waiting: Callable[[str], None]) -> Iterator[Result | None]:
        """Hold the advisory lock of an action; gives the result if another process made it in the meantime."""
        with key_lock(self.root / "locks", key, waiting=waiting, available=lambda: self.results.get(key) is not None):
            yield self.lookup(key)[0]

    @contextmanager
    def leased(self) -> Iterator[None]:
        """Keep garbage collection away from everything that is used from now on."""
        with lease(self.root):
            yield

    def close(self) -> None:
        """Write what the index collected, and drop what could not go to the cache."""
        self._index.close()
        if self._overflow is not None:
            shutil.rmtree(self._overflow, ignore_errors=True)

    def statistics(self) -> CacheStatistics:
        """Counts and sizes, by walking the folder."""
        blobs = sizes = results = 0
        for folder, _, names in os.walk(self.root / "cas"):
            for name in names:
                blobs += 1
                sizes += _size(Path(folder) / name)
        for _, _, names in os.walk(self.root / "ac"):
            results += len(names)
        quarantined = len(list((self.root / "quarantine").iterdir())) if (self.root / "quarantine").is_dir() else 0
        return CacheStatistics(str(self.root), blobs, sizes, results, quarantined)

    # --- a cache that cannot be written ---

    def _make_room(self, error: OSError, root: Path) -> bool:
        """After a failed write below ``root``: whether another try is worth it.

        Raises ``EnvironmentMissing`` when nothing is left to try.
        """
        if error.errno not in UNWRITABLE:
            return False
        with self._lock:
            if root != self.results.root:
                return True
            if self._overflow is not None:
                raise _unusable(f"there is no space left for results: {error.strerror}", "free some disk space")
            if error.errno in FULL and not self._collected and self._limit_bytes is not None:
                from npudsl.store.collect import collect

                self._collected = True
                with contextlib.suppress(OSError):
                    if collect(self, limit_bytes=self._limit_bytes // 2).freed_bytes:
                        return True
            self._open_overflow(f"the cache folder {self.root} cannot be written: {error.strerror}")
            return True

    def detach(self) -> None:
        """Write nothing to the cache folder from now on: what is made lives as long as this object."""
        self._open_overflow("")

    def _open_overflow(self, why: str) -> None:
        try:
            self._overflow = Path(tempfile.mkdtemp(prefix="npudsl-"))
        except OSError as error:
            raise _unusable(why, "make the cache folder writable", "set NPUDSL_CACHE to another folder") from error
        self.content.write_to(self._overflow)
        self.results.write_to(self._overflow)
        if why:
            self.notes.append(f"{why}; what this build computes is not kept for the next one")


@dataclass(frozen=True)
class Verified:
    """What ``verify`` found: digests of damaged blobs, keys of results that could not be read."""

    intact: int
    damaged: tuple[str, ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class CacheStatistics:
    """What ``npu cache stat`` prints."""

    root: str
    blobs: int
    blob_bytes: int
    results: int
    quarantined: int


def memory_cache(root: Path) -> Cache:
    """A cache whose index is not on disk: for read-only checks and tests."""
    return Cache(root, index=MemoryIndex())


def _prepare(root: Path) -> bool:
    """Make the folder or recognise it; says whether it can be written. Raises ``EnvironmentMissing``."""
    version = root / "VERSION"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = version.read_text() if version.exists() else None
        if found is None:
            write_atomically(version, LAYOUT.encode())
            return True
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "VERSION is no text"
        raise _unusable(
            f"the cache folder {root} cannot be used: {reason}", "set NPUDSL_CACHE to a folder you may write to"
        ) from error
    if found != LAYOUT:
        raise _unusable(
            f"the cache folder {root} has layout {found.strip()!r}; this version reads {LAYOUT.strip()!r}",
            "set NPUDSL_CACHE to another folder, or delete this one",
        )
    return os.access(root, os.W_OK)


def _unusable(message: str, *helps: str) -> EnvironmentMissing:
    return EnvironmentMissing([Diagnostic("E0905", message, helps=helps)])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
