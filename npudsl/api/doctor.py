"""Look at this machine: what npudsl needs, what some of its commands use, and which vendor tools are around.

Nothing is imported to find out: versions come from the installed metadata, tools from ``PATH``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import locale
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from npudsl.diagnostics import NpuError

if TYPE_CHECKING:
    from npudsl.keys import Json

Status = Literal["ok", "missing", "warning", "absent"]
"""``missing``: npudsl does not work without it. ``warning``: something is worse. ``absent``: nobody minds."""

OLDEST_PYTHON = (3, 11)
LITTLE_DISK = 2 * 2**30
SLOW_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "vboxsf", "drvfs"})

TOOLS = {
    "git": "`npu diff` reads revisions with it",
    "make": "exported C projects are built with it",
}

VENDOR_PROGRAMS = {
    "pegasus": "Acuity (VeriSilicon: Amlogic, Allwinner, NXP)",
    "pegasus.py": "Acuity, run from its source folder",
    "magik-transform-tools": "Magik (Ingenic)",
}

VENDOR_PACKAGES = {"rknn": "RKNN-Toolkit2 (Rockchip)", "rknnlite": "RKNN-Toolkit Lite, on the board"}


@dataclass(frozen=True)
class Finding:
    """One line. ``fix`` is empty where there is nothing to do."""

    name: str
    status: Status
    text: str
    fix: str = ""

    def record(self) -> dict[str, Json]:
        return asdict(self)


def examine() -> list[Finding]:
    """Every finding, what is needed first."""
    return [_python(), *_packages(), *_compiler(), *_tools(), *_cache(), *_encoding(), *_vendors()]


def _python() -> Finding:
    text = f"{platform.python_version()} ({platform.python_implementation()}, {platform.machine()})"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding("python", "missing", f"{text} is too old", "install Python 3.11 or newer")
    return Finding("python", "ok", text)


def _packages() -> Iterator[Finding]:
    try:
        requirements = importlib.metadata.requires("npudsl") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("npudsl", "warning", "runs from a folder, not installed", "pip install -e . in its folder")
        return
    yield Finding("npudsl", "ok", importlib.metadata.version("npudsl"))
    for requirement in requirements:
        if "extra ==" not in requirement:
            yield _package(requirement)


def _package(requirement: str) -> Finding:
    """One requirement such as ``numpy>=2.0``."""
    match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:>=\s*([0-9.]+))?", requirement)
    name, needed = (match.group(1), match.group(2) or "0") if match else (requirement, "0")
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", "is not installed", f"pip install '{requirement}'")
    if _version(found) < _version(needed):
        return Finding(name, "missing", f"{found} is too old, {needed} is needed", f"pip install -U '{requirement}'")
    return Finding(name, "ok", f"{found} (needs {needed})")


def _version(text: str) -> tuple[int, ...]:
    """The numbers a version begins with."""
    numbers = re.match(r"[0-9]+(\.[0-9]+)*", text)
    return tuple(int(part) for part in numbers.group().split(".")) if numbers else ()


def _compiler() -> Iterator[Finding]:
    from npudsl.native.compiler import CannotCompile, Compiler

    try:
        compiler = Compiler.find(os.environ)
    except CannotCompile as problem:
        yield Finding(
            "C compiler",
            "warning",
            f"{problem}; simulation and calibration are slower without one",
            "install gcc or clang, or name one in NPUDSL_CC",
        )
        return
    yield Finding("C compiler", "ok", f"{compiler.command[0]}: {compiler.version.splitlines()[0]}")


def _tools() -> Iterator[Finding]:
    for name, use in TOOLS.items():
        found = shutil.which(name)
        if found is None:
            yield Finding(name, "warning", f"is not in PATH; {use}", f"install {name}")
        else:
            yield Finding(name, "ok", found)


def _cache() -> Iterator[Finding]:
    try:
        from npudsl.api.project import open_cache

        cache, _ = open_cache()
        folder = cache.root
        cache.close()
        with tempfile.TemporaryFile(dir=folder):
            pass
    except NpuError as error:
        problem = error.diagnostics[0]
        yield Finding("cache", "missing", problem.message, next(iter(problem.helps), "set NPUDSL_CACHE to a folder"))
        return
    except ImportError as error:
        yield Finding("cache", "missing", f"cannot be opened: {error}", "install the missing package")
        return
    except OSError as error:
        yield Finding("cache", "missing", f"cannot be written to: {error}", "set NPUDSL_CACHE to another folder")
        return
    system = file_system_of(folder)
    slow = system in SLOW_FILE_SYSTEMS
    yield Finding(
        "cache",
        "warning" if slow else "ok",
        f"{folder} on {system or 'an unknown file system'}" + (", which is slow and locks badly" if slow else ""),
        "set NPUDSL_CACHE to a folder on a local disk" if slow else "",
    )
    yield _disk(folder)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free for the cache"
    if free < LITTLE_DISK:
        return Finding("disk", "warning", text, "npu cache gc, or set NPUDSL_CACHE to a larger disk")
    return Finding("disk", "ok", text)


def file_system_of(folder: Path, mounts: str | None = None) -> str:
    """The type of the file system that holds ``folder``; empty where the system does not say."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
    place = folder.resolve()
    found, longest = "", -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[1])
        if place.is_relative_to(point) and len(point) >= longest:
            found, longest = fields[2], len(point)
    return found


def _encoding() -> Iterator[Finding]:
    spoken = {
        "files": sys.getfilesystemencoding(),
        "texts": locale.getpreferredencoding(False),
        "output": getattr(sys.stdout, "encoding", None) or "unknown",
    }
    strange = [f"{what} {name}" for what, name in spoken.items() if name.lower().replace("-", "") != "utf8"]
    if strange:
        text = f"not UTF-8: {', '.join(strange)}; names with other letters may not be shown"
        yield Finding("locale", "warning", text, "export LC_ALL=C.UTF-8, or PYTHONUTF8=1")
    else:
        yield Finding("locale", "ok", "UTF-8")


def _vendors() -> Iterator[Finding]:
    """Vendor tools: npudsl runs none of them, their exports take what npudsl writes."""
    for name, what in VENDOR_PROGRAMS.items():
        found = shutil.which(name)
        yield Finding(name, "ok" if found else "absent", f"{what}: {found or 'not in PATH; npudsl does not need it'}")
    for name, what in VENDOR_PACKAGES.items():
        there = importlib.util.find_spec(name) is not None
        said = "installed" if there else "not installed; npudsl does not need it"
        yield Finding(name, "ok" if there else "absent", f"{what}: {said}")
