"""Words for the shell's completion: files, and names from program text and committed files. No model is loaded.

A completion must never fail: what cannot be read completes to nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_BLOCK = re.compile(r"^(\w+)\s+(?:\"([^\"\n]*)\"|([A-Za-z_][\w-]*))[^\n]*\{", re.MULTILINE)


def programs(incomplete: str) -> list[str]:
    """Program files and the folders on the way to them."""
    return _files(incomplete, ".npu")


def codes(incomplete: str) -> list[str]:
    """Codes of diagnostics."""
    from npudsl.diagnostics.codes import CODES

    return [code for code in CODES if code.startswith(incomplete.upper())]


def warnings(incomplete: str) -> list[str]:
    """Codes of warnings."""
    return [code for code in codes(incomplete) if code.startswith("W")]


def deniable(incomplete: str) -> list[str]:
    """What ``check --deny`` takes."""
    return [word for word in ("warnings", *warnings("")) if word.startswith(incomplete)]


def variants(incomplete: str) -> list[str]:
    """Names of the variants of the programs here."""
    return _matching(incomplete, _labels("quantize"))


def targets(incomplete: str) -> list[str]:
    """Names of the target blocks of the programs here."""
    return _matching(incomplete, _labels("target"))


def steps(incomplete: str) -> list[str]:
    """Kinds of steps, and the steps that the committed locks of this folder know."""
    kinds = ("import_model", "calibrate", "quantize", "simulate", "compare", "export")
    return _matching(incomplete, [*kinds, *_locked_steps()])


def shells(incomplete: str) -> list[str]:
    """Shells that ``npu completion`` knows."""
    from npudsl.cli.cmd_completion import SHELLS

    return _matching(incomplete, SHELLS)


def _labels(keyword: str) -> Iterator[str]:
    for file in sorted(Path().glob("*.npu")):
        for found, quoted, word in _BLOCK.findall(_text(file)):
            if found == keyword:
                yield quoted or word


def _locked_steps() -> Iterator[str]:
    for file in sorted(Path().glob("*.lock")):
        for line in _text(file).splitlines():
            if line.startswith("step "):
                yield line.split(" ")[1]


def _matching(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete)]


def _files(incomplete: str, suffix: str) -> list[str]:
    folder, _, start = incomplete.rpartition("/")
    place = Path(f"{folder}/" if incomplete.startswith("/") or folder else ".")
    try:
        entries = sorted(os.scandir(place), key=lambda entry: entry.name)
    except OSError:
        return []
    prefix = f"{folder}/" if "/" in incomplete else ""
    found = []
    for entry in entries:
        if entry.name.startswith(start) and (start.startswith(".") or not entry.name.startswith(".")):
            if entry.is_dir():
                found.append(f"{prefix}{entry.name}/")
            elif entry.name.endswith(suffix):
                found.append(f"{prefix}{entry.name}")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
