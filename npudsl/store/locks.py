"""Advisory locks per action key, so that two builds do not compute the same thing at the same time.

A lock is a hint: correctness never depends on it (results are published by rename, twice is as good as once). So a file
system without locks, a lock that cannot be created and a holder that never ends all mean "run it yourself".
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

GIVE_UP_SECONDS = 600.0
POLL_SECONDS = 0.1


@contextmanager
def key_lock(
    folder: Path,
    key: str,
    *,
    waiting: Callable[[str], None],
    available: Callable[[], bool],
    give_up_seconds: float = GIVE_UP_SECONDS,
) -> Iterator[None]:
    """Hold the lock of ``key`` while computing it.

    ``waiting`` is told once who holds it; the wait ends when the lock is free, when ``available()`` says the result
    is there, or after ``give_up_seconds``.
    """
    path = folder / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        yield
        return
    try:
        if _acquire(descriptor, waiting, available, give_up_seconds):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
        yield
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _acquire(
    descriptor: int, waiting: Callable[[str], None], available: Callable[[], bool], give_up_seconds: float
) -> bool:
    deadline = time.monotonic() + give_up_seconds
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "another build"
                waiting(holder)
                told = True
            if available() or time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        except OSError:
            return False
        else:
            return True
