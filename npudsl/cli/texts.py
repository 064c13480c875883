"""Program files that a command reads and rewrites, and their differences."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from npudsl.diagnostics import Diagnostic, Source, UserError
from npudsl.language.reading import program_text

STANDARD_INPUT = Path("-")


def read_source(path: Path) -> Source:
    """The text of a program file, or of standard input for ``-``; raises ``UserError``."""
    if path != STANDARD_INPUT:
        return Source(str(path), program_text(path, str(path)))
    data = sys.stdin.buffer.read()
    try:
        return Source("<stdin>", data.decode("utf-8"))
    except UnicodeDecodeError as error:
        message = f"standard input is not UTF-8 (byte {error.start})"
        raise UserError([Diagnostic("E0101", message)]) from error


def with_folders(named: Iterable[Path]) -> list[Path]:
    """Files as they are; a folder stands for every program file below it."""
    found: list[Path] = []
    for path in named:
        found += sorted(path.rglob("*.npu")) if path.is_dir() else [path]
    return found


def replace_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one; its permissions stay, and a link stays a link."""
    from npudsl.store.atomic import write_atomically

    target = path.resolve()
    mode = target.stat().st_mode & 0o777
    try:
        write_atomically(target, text.encode("utf-8"), mode=mode)
        target.chmod(mode)
    except OSError as error:
        raise UserError([Diagnostic("E0004", f"{path} cannot be written: {error.strerror}")]) from error


def print_difference(name: str, before: str, after: str) -> None:
    """A unified difference on standard output, in colour on a terminal."""
    import difflib

    from npudsl.cli.color import wants_color

    color = wants_color(sys.stdout)
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"{name} (now)", f"{name} (then)"
    )
    for line in lines:
        text = line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        style = {"+": "32", "-": "31", "@": "36"}.get(text[0]) if color else None
        sys.stdout.write(f"\x1b[{style}m{text[:-1]}\x1b[0m\n" if style else text)
