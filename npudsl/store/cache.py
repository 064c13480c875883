"""The cache folder as one thing: content, results, index, and the version of the layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from npudsl.artifacts.blob import Tree
from npudsl.diagnostics import Diagnostic, EnvironmentMissing
from npudsl.store.atomic import write_atomically
from npudsl.store.content import BlobMissing, ContentStore
from npudsl.store.index import Index, MemoryIndex, open_index
from npudsl.store.locks import key_lock
from npudsl.store.results import Result, ResultStore

LAYOUT = "1\n"


class Cache:
    """A cache folder. Opening it creates it; a folder of another layout is refused, not misread."""

    def __init__(self, root: Path, *, index: Index | None = None) -> None:
        self.root = root
        _prepare(root)
        self._index = index if index is not None else open_index(root / "index")
        self.content = ContentStore(root, self._index)
        self.results = ResultStore(root)
        self._used: list[str] = []

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
        self._used.append(key)
        return result, ""

    def publish(self, key: str, tree: Tree, wall_seconds: float) -> Result:
        """Record a finished action; its blobs are already stored."""
        result = Result(key, dict(tree), wall_seconds)
        self.results.put(result)
        self._used.append(key)
        return result

    def last_used(self, key: str) -> float | None:
        """When a result was last used (seconds since the epoch), as far as the index knows."""
        return self._index.last_used(key)

    def verify(self) -> tuple[int, list[str]]:
        """Hash every blob anew; damaged ones are put aside. Returns how many are intact, and the damaged digests."""
        intact, damaged = 0, []
        for path in sorted((self.root / "cas").glob("*/*")):
            if self.content.verify(path.name):
                intact += 1
            else:
                damaged.append(path.name)
        return intact, damaged

    @contextmanager
    def computing(self, key: str, waiting: Callable[[str], None]) -> Iterator[Result | None]:
        """Hold the advisory lock of an action; gives the result if another process made it in the meantime."""
        with key_lock(self.root / "locks", key, waiting=waiting, available=lambda: self.results.get(key) is not None):
            yield self.lookup(key)[0]

    def close(self) -> None:
        """Write what the index collected."""
        self._index.touch(self._used)
        self._used = []
        self._index.close()

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


def _prepare(root: Path) -> None:
    version = root / "VERSION"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = version.read_text() if version.exists() else None
        if found is None:
            write_atomically(version, LAYOUT.encode())
            return
    except OSError as error:
        raise EnvironmentMissing(
            [
                Diagnostic(
                    "E0905",
                    f"the cache folder {root} cannot be used: {error.strerror}",
                    helps=("set NPUDSL_CACHE to a folder you may write to",),
                )
            ]
        ) from error
    if found != LAYOUT:
        raise EnvironmentMissing(
            [
                Diagnostic(
                    "E0905",
                    f"the cache folder {root} has layout {found.strip()!r}; this version reads {LAYOUT.strip()!r}",
                    helps=("set NPUDSL_CACHE to another folder, or delete this one",),
                )
            ]
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
