"""The system's C compiler: which one, for which processor, and one call of it.

A library is keyed by everything that its machine code depends on: sources, command, flags, what the compiler says of
itself, and the processor's features, because ``-march=native`` asks for them and home folders are shared by machines.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FLAGS = ("-std=c99", "-O3", "-march=native", "-fno-math-errno", "-ffp-contract=off", "-shared", "-fPIC")
NAMES = ("cc", "gcc", "clang")
SECONDS = 120
"""How long a compiler may take before it counts as broken."""

_PROCESSOR_LINES = ("model name", "flags", "features", "cpu implementer", "cpu part")


class CannotCompile(Exception):
    """There is no compiler, or it failed; the text says which."""


@dataclass(frozen=True)
class Compiler:
    """A compiler as a command, and what it says of itself."""

    command: tuple[str, ...]
    version: str

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> Compiler:
        """The compiler of ``NPUDSL_CC``, else the first there is. Raises ``CannotCompile``."""
        named = environment.get("NPUDSL_CC", "").strip()
        try:
            candidates = [shlex.split(named)] if named else [[name] for name in NAMES]
        except ValueError as error:
            raise CannotCompile(f"NPUDSL_CC cannot be read: {error}") from None
        for words in candidates:
            program = shutil.which(words[0], path=environment.get("PATH"))
            if program is not None:
                command = (program, *words[1:])
                return cls(command, _output([*command, "--version"], Path.cwd()))
        if named:
            raise CannotCompile(f"NPUDSL_CC names {named}, which is no program here")
        raise CannotCompile(f"there is no C compiler ({', '.join(NAMES)}; NPUDSL_CC names another)")

    def key(self, sources: Mapping[str, bytes]) -> str:
        """sha256 over all that decides the machine code."""
        hasher = hashlib.sha256()
        for word in (*self.command, *FLAGS, self.version, processor()):
            hasher.update(hashlib.sha256(word.encode()).digest())
        for name in sorted(sources):
            hasher.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(sources[name]).digest())
        return hasher.hexdigest()

    def build(self, sources: Mapping[str, bytes], folder: Path) -> Path:
        """Write ``sources`` into the empty ``folder``; returns the library made of them. Raises ``CannotCompile``."""
        for name, text in sources.items():
            (folder / name).write_bytes(text)
        library = folder / "library.so"
        units = sorted(name for name in sources if name.endswith(".c"))
        _output([*self.command, *FLAGS, "-o", library.name, *units], folder)
        if not library.is_file():
            raise CannotCompile(f"{self.command[0]} made no library and said nothing of it")
        return library


def processor() -> str:
    """This machine's processor and its features, as the system tells them."""
    lines = [platform.system(), platform.machine(), platform.processor()]
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            described = [line.strip() for line in stream if line.lower().startswith(_PROCESSOR_LINES)]
    except OSError:
        described = []
    return "\n".join(lines + sorted(set(described)))


def _output(command: list[str], folder: Path) -> str:
    """What a command prints; its own text in ``CannotCompile`` when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotCompile(f"{command[0]} did not finish within {SECONDS} s") from None
    except OSError as error:
        raise CannotCompile(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if "error" in line), lines[0] if lines else "no message")
        raise CannotCompile(f"{command[0]} failed ({done.returncode}): {reason}")
    return done.stdout
