"""Advisory locks, so that two builds do not compute the same thing at the same time.

A lock is a hint: correctness never depends on it (results are published by rename, twice is as good as once). So a file
system without locks, a lock that cannot be created and a holder that never ends all mean "run it yourself".
"""

from __future__ import annotations

import contextlib
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
    descriptor = _acquire(path, waiting, available, give_up_seconds)
    try:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
        yield
    finally:
        if descriptor is not None:
            # The name goes while the lock is held: whoever waits for this file finds out that it has no name any more.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock file; a file that cannot be asked counts as held."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _acquire(
    path: Path, waiting: Callable[[str], None], available: Callable[[], bool], give_up_seconds: float
) -> int | None:
    """The descriptor that holds the lock, or None when it is not to be had."""
    deadline = time.monotonic() + give_up_seconds
    told = False
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(descriptor, path):
                return descriptor
            os.close(descriptor)
            continue
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "another build"
            os.close(descriptor)
        except OSError:
            os.close(descriptor)
            return None
        if not told:
            waiting(holder)
            told = True
        if available() or time.monotonic() > deadline:
            return None
        time.sleep(POLL_SECONDS)


def _is_named(descriptor: int, path: Path) -> bool:
    """Whether ``path`` still names the file that was locked: its last holder may have removed it in between."""
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except OSError:
        return False
