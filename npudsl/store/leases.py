"""Leases: a running build says that it is there, and garbage collection leaves alone what has been used since it began.

A lease is a file ``roots/<host>-<process>-<random>`` whose time is the start of the build, locked as long as the
process lives. A lease that nobody holds any more is removed by the next collection.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from npudsl.store.locks import is_held

FRESH_SECONDS = 60.0
"""A lease this young counts as held: its owner may be between making and locking it."""


@contextmanager
def lease(root: Path) -> Iterator[None]:
    """Hold a lease on the cache folder ``root``; a folder that takes none (read-only) is used without."""
    path = root / "roots" / f"{os.uname().nodename}-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(descriptor)


def oldest_lease(root: Path) -> float | None:
    """When the oldest build that is still running began (seconds since the epoch), None when none is."""
    starts = []
    folder = root / "roots"
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            started = path.stat().st_mtime
            if is_held(path) or time.time() - started < FRESH_SECONDS:
                starts.append(started)
            else:
                path.unlink(missing_ok=True)
    return min(starts, default=None)
