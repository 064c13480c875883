"""Make git at home with the committed texts: attributes, ignored folders, and what hunk headers show.

Files get the lines they lack; a line that is there stays, whatever it says. Git reads what a word like ``diff=npu``
means from the configuration of each clone, so that half is set here and printed for everybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from npudsl.api.review.git import Repository, run_git
from npudsl.diagnostics import Diagnostic, EnvironmentMissing, NpuError, UserError
from npudsl.store.atomic import write_atomically

ATTRIBUTES = ("*.npu diff=npu", "*.quant linguist-generated=false diff=npuquant")
IGNORED = (".npudsl/", "out/")

CONFIGURATION = (
    ("diff.npu.xfuncname", r"^[[:space:]]*([a-z].*[^[:space:]])[[:space:]]*\{[[:space:]]*(#.*)?$"),
    ("diff.npuquant.xfuncname", "^(npu-quant .*)$"),
    ("diff.npuquant.wordRegex", "[^[:space:]]+"),
)
"""Hunks of a program show the block they are in; words of a table are its fields."""

HINTS = (
    "to see what a table means instead of its lines in `git diff`: git config diff.npuquant.command 'npu diff --git'",
    "forges do not run such commands; they show the table's text, and `npu diff --markdown` makes a comment for them",
)


@dataclass(frozen=True)
class GitSetup:
    """``added``: file to lines that were added. ``configured`` and ``kept``: configuration set here, or already there
    with another value. ``commands``: the same for another clone."""

    added: dict[str, tuple[str, ...]]
    configured: tuple[str, ...]
    kept: tuple[str, ...]
    commands: tuple[str, ...]
    in_repository: bool


def set_up_git(folder: str | Path) -> GitSetup:
    """Write ``.gitattributes`` and ``.gitignore`` in ``folder`` and configure its repository, if it is in one.

    Raises ``EnvironmentMissing`` when a file cannot be written.
    """
    folder = Path(folder)
    added = {
        name: lines
        for name, wanted in ((".gitattributes", ATTRIBUTES), (".gitignore", IGNORED))
        if (lines := _add_lines(folder / name, wanted))
    }
    commands = tuple(f"git config {key} '{value}'" for key, value in CONFIGURATION)
    try:
        Repository(folder)
    except NpuError:
        return GitSetup(added, (), (), commands, in_repository=False)
    configured, kept = [], []
    for key, value in CONFIGURATION:
        known = run_git(folder, ["config", "--get", key], may_fail=True)
        if known is None:
            run_git(folder, ["config", "--local", key, value])
            configured.append(key)
        elif known.decode("utf-8", "replace").rstrip("\n") != value:
            kept.append(f"{key} = {known.decode('utf-8', 'replace').strip()}")
    return GitSetup(added, tuple(configured), tuple(kept), commands, in_repository=True)


def _add_lines(path: Path, wanted: Sequence[str]) -> tuple[str, ...]:
    """Append the lines that say something the file does not say yet; returns them."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError([Diagnostic("E0004", f"{path} cannot be read: {error}")]) from error
    lines = [line.strip() for line in text.splitlines()]
    missing = tuple(line for item in wanted if (line := _unsaid(lines, item)))
    if missing:
        start = text if not text or text.endswith("\n") else f"{text}\n"
        try:
            write_atomically(path, (start + "".join(f"{line}\n" for line in missing)).encode())
        except OSError as error:
            message = f"{path} cannot be written: {error.strerror or error}"
            raise EnvironmentMissing([Diagnostic("E0906", message, helps=("make it writable",))]) from error
    return missing


def _unsaid(lines: Sequence[str], wanted: str) -> str:
    """What of a line the file does not say yet: all, the attributes it has no opinion on, or nothing."""
    pattern, *attributes = wanted.split()
    if not attributes:
        return "" if any(line.strip("/") == pattern.strip("/") for line in lines) else wanted
    said = {_attribute(word) for line in lines for word in line.split()[1:] if line.split()[0] == pattern}
    return " ".join([pattern, *new]) if (new := [word for word in attributes if _attribute(word) not in said]) else ""


def _attribute(word: str) -> str:
    return word.lstrip("-!").partition("=")[0]
