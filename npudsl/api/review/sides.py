"""The two sides of a comparison: a revision, the working tree, or a folder, each as a folder of committed texts.

A revision's texts (programs, project files, tables, locks) are written to a temporary folder, so that a side is always
read in one way and fragments and project files are found as they are on disk. Nothing else of a revision is touched:
no model, no data, no cache.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from npudsl.api.review.git import Repository
from npudsl.diagnostics import Diagnostic, UserError
from npudsl.language.project import SETTINGS_FILE

WORKING_TREE = "working tree"
HEAD = "HEAD"


@dataclass(frozen=True)
class Side:
    """``base`` is the folder that paths of programs count from; ``inside`` limits which are looked at unasked."""

    label: str
    base: Path
    programs: tuple[str, ...]
    """Programs with a model block, as paths from ``base``."""

    def path(self, program: str) -> Path:
        return self.base / program


@contextlib.contextmanager
def opened_sides(words: Sequence[str], here: Path) -> Iterator[tuple[Side, Side]]:
    """The sides that ``words`` (none, one or two revisions or folders) mean; raises ``UserError``.

    Missing words are the revision HEAD on the left and the working tree on the right. ``A..B`` stands for two
    revisions, ``A...B`` for their common ancestor and B.
    """
    with contextlib.ExitStack() as stack:
        names, ancestor = _names(words)
        if len(names) == 2 and all(_is_folder(name, here) for name in names):
            yield _folder(here / names[0], names[0]), _folder(here / names[1], names[1])
            return
        repository = Repository(here)
        left = _revision_or_folder(names[0] if names else HEAD, here, repository, stack, ancestor)
        if len(names) == 2:
            right = _revision_or_folder(names[1], here, repository, stack)
        else:
            right = _working_tree(here, repository)
        yield left, right


def _names(words: Sequence[str]) -> tuple[list[str], str | None]:
    """The words, a range taken apart; and the revision whose common ancestor with the first one is meant."""
    if len(words) == 1 and ".." in words[0] and not words[0].startswith("."):
        mark = "..." if "..." in words[0] else ".."
        first, _, second = words[0].partition(mark)
        names = [first or HEAD, second or HEAD]
        return names, names[1] if mark == "..." else None
    if len(words) > 2:
        raise UserError(
            [
                Diagnostic(
                    "E0005",
                    f"{len(words)} revisions or folders are named: {', '.join(words)}",
                    helps=("npu diff [OLD [NEW]] [FILE.npu ...]",),
                )
            ]
        )
    return list(words), None


def _is_folder(name: str, here: Path) -> bool:
    return (here / name).is_dir()


def _revision_or_folder(
    name: str, here: Path, repository: Repository, stack: contextlib.ExitStack, ancestor: str | None = None
) -> Side:
    commit = repository.commit(name)
    folder = _is_folder(name, here)
    if commit is not None and folder and "/" not in name:
        raise UserError(
            [Diagnostic("E0005", f"`{name}` is a revision and a folder", helps=(f"write ./{name} for the folder",))]
        )
    if commit is None and folder:
        return _folder(here / name, name)
    if commit is not None and ancestor is not None:
        other = repository.commit(ancestor)
        commit = repository.merge_base(commit, other) if other is not None else None
        name = f"{name}...{ancestor}"
    if commit is None:
        raise _not_found(name, repository)
    return _revision(name, commit, repository, stack)


def _not_found(name: str, repository: Repository) -> UserError:
    from npudsl.language.names import near

    close = near(name, repository.references())
    meant = (f"did you mean `{close[0]}`?",) if close else ()
    help_text = "npu diff [OLD [NEW]] [FILE.npu ...]; OLD and NEW are revisions, folders or .quant files"
    return UserError([Diagnostic("E0213", f"`{name}` is no revision and no folder", helps=(*meant, help_text))])


def _revision(name: str, commit: str, repository: Repository, stack: contextlib.ExitStack) -> Side:
    """The committed texts of a commit, written to a folder that lives as long as ``stack``."""
    place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="npudsl-diff-")))
    files = repository.files(commit)
    wanted = [path for path in files if _is_text_of_ours(path, files)]
    for path, content in zip(wanted, repository.blobs([files[path] for path in wanted]), strict=True):
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    base = place / repository.prefix
    base.mkdir(parents=True, exist_ok=True)
    return Side(name, base, _programs(base, [place / path for path in wanted if path.endswith(".npu")]))


def _is_text_of_ours(path: str, files: dict[str, str]) -> bool:
    """Programs, tables, project files, and locks beside a program (others' lock files may be large)."""
    name = PurePosixPath(path).name
    if name.endswith(".lock"):
        return f"{path.removesuffix('.lock')}.npu" in files
    return name == SETTINGS_FILE or name.endswith((".npu", ".quant"))


def _working_tree(here: Path, repository: Repository) -> Side:
    return Side(WORKING_TREE, here, _programs(here, repository.visible_files(here, "*.npu")))


def _folder(folder: Path, name: str) -> Side:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(item for item in folders if not item.startswith("."))
        found += [Path(place) / file for file in files if file.endswith(".npu")]
    return Side(name, folder, _programs(folder, found))


def _programs(base: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """The files below ``base`` that have a model block."""
    inside = (file for file in files if file.is_relative_to(base) and _has_model(file))
    return tuple(sorted(file.relative_to(base).as_posix() for file in inside))


def _has_model(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.split(maxsplit=1)[:1] == ["model"] for line in text.splitlines())
