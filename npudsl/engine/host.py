"""The host class: which machines may share results of float arithmetic."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Iterable

from npudsl.plan.action import Host


def host_for(tools: Iterable[str], salt: str = "") -> Host:
    """This machine's class and the versions of ``tools``; ``salt`` is the project's."""
    return Host(_processor(), {name: _version(name) for name in sorted(set(tools))}, salt)


@functools.lru_cache(maxsize=1)
def _processor() -> str:
    return f"{platform.system().lower()}-{platform.machine()}-{_vector_level()}"


def _vector_level() -> str:
    """The widest vector extension that numeric libraries would pick on this processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            flags = next((line for line in stream if line.startswith(("flags", "Features"))), "")
    except OSError:
        return "unknown"
    words = set(flags.replace(":", " ").split())
    for level, needed in (("avx512vnni", "avx512_vnni"), ("avx512", "avx512f"), ("avx2", "avx2"), ("neon", "asimd")):
        if needed in words:
            return level
    return "base"


@functools.cache
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
