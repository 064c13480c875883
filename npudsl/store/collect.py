"""Garbage collection: keep what is cheap to store and dear to recompute.

A result's worth is its wall time per byte. Over the limit, results leave in order of worth, lowest first, among equals
the longest unused first, until 80 % of the limit is reached; then every blob that no result names is swept. Results and
blobs younger than an hour stay, so a running build is never robbed: whatever it read or wrote was touched just now.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from npudsl.store.cache import Cache
from npudsl.store.results import Result

GRACE_SECONDS = 3600.0
FILL_AFTER = 0.8


@dataclass(frozen=True)
class Collected:
    """What a collection removed, or would remove."""

    results: int
    blobs: int
    freed_bytes: int
    kept_bytes: int


@dataclass(frozen=True)
class _Candidate:
    result: Result
    used: float

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.result.tree.values())

    @property
    def worth(self) -> tuple[float, float]:
        return (self.result.wall_seconds / max(self.size, 1), self.used)


def collect(
    cache: Cache, *, limit_bytes: int, dry_run: bool = False, grace_seconds: float = GRACE_SECONDS
) -> Collected:
    """Bring the blobs under ``limit_bytes`` (0: keep nothing that is older than the grace)."""
    now = time.time()
    blobs = dict(_blob_files(cache.root))
    total = sum(size for _, size, _ in blobs.values())
    candidates = sorted(_candidates(cache), key=lambda item: item.worth)
    holders: dict[str, int] = {}
    for item in candidates:
        for digest in {blob.digest for blob in item.result.tree.values()}:
            holders[digest] = holders.get(digest, 0) + 1
    young = {digest for digest, (_, _, changed) in blobs.items() if now - changed < grace_seconds}
    unheld = [digest for digest in blobs if digest not in holders and digest not in young]
    kept = total - sum(blobs[digest][1] for digest in unheld)
    evicted = []
    goal = limit_bytes * FILL_AFTER if kept > limit_bytes else kept
    for item in candidates:
        if kept <= goal:
            break
        if now - item.used < grace_seconds:
            continue
        evicted.append(item)
        for digest in {blob.digest for blob in item.result.tree.values()}:
            holders[digest] -= 1
            if holders[digest] == 0 and digest in blobs and digest not in young:
                unheld.append(digest)
                kept -= blobs[digest][1]
    if not dry_run:
        for item in evicted:
            cache.results.path(item.result.key).unlink(missing_ok=True)
        for digest in unheld:
            blobs[digest][0].unlink(missing_ok=True)
        _sweep_temporary(cache.root, now, grace_seconds)
    return Collected(len(evicted), len(unheld), total - kept, kept)


def _candidates(cache: Cache) -> Iterator[_Candidate]:
    for path in (cache.root / "ac").glob("*/*"):
        result = cache.results.get(path.name)
        if result is None:
            continue
        written = _changed(path)
        yield _Candidate(result, max(cache.last_used(path.name) or 0.0, written))


def _blob_files(root: Path) -> Iterator[tuple[str, tuple[Path, int, float]]]:
    for path in (root / "cas").glob("*/*"):
        try:
            status = path.stat()
        except OSError:
            continue
        yield path.name, (path, status.st_size, status.st_mtime)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _sweep_temporary(root: Path, now: float, grace_seconds: float) -> None:
    folder = root / "tmp"
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if now - _changed(path) > grace_seconds:
            path.unlink(missing_ok=True)
