"""Garbage collection: keep what is cheap to store and dear to recompute.

A result's worth is its wall time per byte. Over the limit, results leave in order of worth, lowest first, among equals
the longest unused first, until 80 % of the limit is reached; then every blob that no result names is swept. Results and
blobs younger than an hour stay, and so does everything used since the oldest running build began (its lease says when),
so a running build is never robbed.

Walking a large cache takes a second, so a build does not do it every time: it adds what it wrote to a running total and
collects when the total is over the limit. The total is a hint; when it is missing, damaged or a day old, the cache is
walked.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from npudsl.store.atomic import write_atomically
from npudsl.store.cache import Cache
from npudsl.store.leases import oldest_lease
from npudsl.store.locks import is_held
from npudsl.store.results import TOUCH_AFTER_SECONDS, Result, read_result
from npudsl.store.sealed import seal, unseal

GRACE_SECONDS = 3600.0
FILL_AFTER = 0.8
TOTAL_FILE = "size.json"
TOTAL_TRUSTED_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Collected:
    """What a collection removed, or would remove."""

    results: int
    blobs: int
    freed_bytes: int
    kept_bytes: int


@dataclass(frozen=True)
class _Candidate:
    path: Path
    result: Result
    used: float

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.result.tree.values())

    @property
    def worth(self) -> tuple[float, float]:
        return (self.result.wall_seconds / max(self.size, 1), self.used)


@dataclass(frozen=True)
class _BlobFile:
    path: Path
    size: int
    changed: float


def collect(
    cache: Cache, *, limit_bytes: int, dry_run: bool = False, grace_seconds: float = GRACE_SECONDS
) -> Collected:
    """Bring the blobs under ``limit_bytes`` (0: keep nothing that is older than the grace and the running builds)."""
    now = time.time()
    since = _protected_since(cache.root, now, grace_seconds)
    blobs = {path.name: _BlobFile(path, size, changed) for path, size, changed in _files(cache.root / "cas")}
    total = sum(blob.size for blob in blobs.values())
    unreadable: list[Path] = []
    candidates = sorted(_candidates(cache.root, since, unreadable), key=lambda item: item.worth)
    holders: dict[str, int] = {}
    for item in candidates:
        for digest in _digests(item):
            holders[digest] = holders.get(digest, 0) + 1
    unheld = [digest for digest, blob in blobs.items() if digest not in holders and blob.changed < since]
    kept = total - sum(blobs[digest].size for digest in unheld)
    evicted = []
    goal = limit_bytes * FILL_AFTER if kept > limit_bytes else kept
    for item in candidates:
        if kept <= goal:
            break
        if item.used >= since:
            continue
        evicted.append(item)
        for digest in _digests(item):
            holders[digest] -= 1
            if holders[digest] == 0 and digest in blobs and blobs[digest].changed < since:
                unheld.append(digest)
                kept -= blobs[digest].size
    if not dry_run:
        for path in [*unreadable, *(item.path for item in evicted)]:
            _remove(path)
        for digest in unheld:
            _remove(blobs[digest].path)
        _sweep(cache.root, since)
        _write_total(cache.root, kept, now)
    return Collected(len(evicted), len(unheld), total - kept, kept)


def collect_when_over(cache: Cache, limit_bytes: int) -> Collected | None:
    """At the end of a build: collect if the cache has outgrown its limit. Returns None when it has not."""
    now = time.time()
    total, counted_at = _total(cache.root)
    if now - counted_at > TOTAL_TRUSTED_SECONDS or counted_at > now:
        total, counted_at = sum(size for _, size, _ in _files(cache.root / "cas")), now
    else:
        total += cache.content.written_bytes
    with contextlib.suppress(OSError):
        _write_total(cache.root, total, counted_at)
    return collect(cache, limit_bytes=limit_bytes) if total > limit_bytes else None


def _protected_since(root: Path, now: float, grace_seconds: float) -> float:
    """What was used after this moment stays. A use is noted only every so often, hence the margin."""
    started = oldest_lease(root)
    young = now - grace_seconds
    return young if started is None else min(young, started - TOUCH_AFTER_SECONDS)


def _candidates(root: Path, since: float, unreadable: list[Path]) -> Iterator[_Candidate]:
    """Results; files that are none (damaged, of another format, left by a killed process) go to ``unreadable``."""
    for path, _, used in _files(root / "ac"):
        result = read_result(path)
        if result is not None:
            yield _Candidate(path, result, used)
        elif used < since:
            unreadable.append(path)


def _digests(item: _Candidate) -> set[str]:
    return {blob.digest for blob in item.result.tree.values()}


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Path, size and time of every file two levels down."""
    for path in folder.glob("*/*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            yield path, status.st_size, status.st_mtime


def _sweep(root: Path, since: float) -> None:
    """Remove what killed processes left behind: temporary files, lock files, and blobs put aside long ago."""
    for name in ("tmp", "quarantine", "locks"):
        folder = root / name
        for path in folder.iterdir() if folder.is_dir() else ():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < since and (name != "locks" or not is_held(path)):
                    path.unlink()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _total(root: Path) -> tuple[int, float]:
    """Bytes at the last count and when that was; 0 and 0.0 when nobody knows."""
    with contextlib.suppress(OSError, KeyError, TypeError, ValueError):
        record = unseal((root / TOTAL_FILE).read_bytes())
        if record is not None:
            return int(record["bytes"]), float(record["counted_at"])
    return 0, 0.0


def _write_total(root: Path, total: int, counted_at: float) -> None:
    write_atomically(root / TOTAL_FILE, seal({"bytes": total, "counted_at": counted_at}), durable=False)
