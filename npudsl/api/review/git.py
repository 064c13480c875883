"""The few questions that are asked of ``git``, by its executable; nothing is ever written to a repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from npudsl.diagnostics import Diagnostic, EnvironmentMissing, UserError

REGULAR_FILES = ("100644", "100755")
LONGEST_ERROR = 2000


class Repository:
    """A working tree. ``top`` is its root folder, ``prefix`` the current folder inside of it (empty: the root)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = run_git(folder, ["rev-parse", "--show-toplevel", "--show-prefix"], may_fail=True)
        if found is None:
            raise UserError(
                [
                    Diagnostic(
                        "E0004",
                        "this folder is in no git repository, so there are no revisions to compare",
                        helps=("name two folders or two .quant files: npu diff OLD NEW",),
                    )
                ]
            )
        lines = found.decode("utf-8", "surrogateescape").split("\n")
        self.top = Path(lines[0])
        self.prefix = lines[1].rstrip("/")

    def commit(self, word: str) -> str | None:
        """The commit that ``word`` means; None when it means none."""
        if word.startswith("-"):
            return None
        found = run_git(self._folder, ["rev-parse", "--verify", "--quiet", f"{word}^{{commit}}"], may_fail=True)
        return None if found is None else found.decode().strip()

    def merge_base(self, first: str, second: str) -> str | None:
        """The newest common ancestor of two commits; None when they have none."""
        found = run_git(self._folder, ["merge-base", first, second], may_fail=True)
        return None if found is None else found.decode().split()[0]

    def references(self) -> list[str]:
        """Names of branches and tags."""
        found = run_git(self._folder, ["for-each-ref", "--format=%(refname:short)"], may_fail=True) or b""
        return found.decode("utf-8", "replace").split()

    def files(self, commit: str) -> dict[str, str]:
        """Path from the top to blob id, of every regular file of a commit."""
        listing = run_git(self.top, ["ls-tree", "-r", "-z", "--full-tree", commit])
        found = {}
        for entry in (listing or b"").decode("utf-8", "surrogateescape").split("\0"):
            about, _, path = entry.partition("\t")
            mode, _, rest = about.partition(" ")
            if mode in REGULAR_FILES and _stays_inside(path):
                found[path] = rest.split(" ")[1]
        return found

    def blobs(self, ids: Sequence[str]) -> list[bytes]:
        """The contents of blobs, in order."""
        if not ids:
            return []
        stream = run_git(self.top, ["cat-file", "--batch"], "".join(f"{id_}\n" for id_ in ids).encode()) or b""
        contents, at = [], 0
        for _ in ids:
            end = stream.index(b"\n", at)
            size = int(stream[at:end].split(b" ")[2])
            contents.append(stream[end + 1 : end + 1 + size])
            at = end + 1 + size + 1
        return contents

    def visible_files(self, folder: Path, pattern: str) -> list[Path]:
        """Files of the working tree below ``folder`` that git knows or would add."""
        listing = run_git(folder, ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", pattern])
        names = (listing or b"").decode("utf-8", "surrogateescape").split("\0")
        return sorted({folder / name for name in names if name and (folder / name).is_file()})


def run_git(folder: Path, arguments: list[str], data: bytes | None = None, *, may_fail: bool = False) -> bytes | None:
    """What git prints; None when it fails and may. Raises ``EnvironmentMissing`` E0901."""
    if shutil.which("git") is None:
        raise EnvironmentMissing(
            [
                Diagnostic(
                    "E0901",
                    "git is not installed, and revisions are read with it",
                    helps=("install git, or name two folders or two .quant files: npu diff OLD NEW",),
                )
            ]
        )
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "--no-pager", "-C", str(folder), *arguments]
    done = subprocess.run(command, input=data, capture_output=True, env=environment, check=False)
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode("utf-8", "replace").strip()[-LONGEST_ERROR:]
    if may_fail and "dubious ownership" not in said:
        return None
    raise EnvironmentMissing(
        [
            Diagnostic(
                "E0901",
                f"git {arguments[0]} failed with exit status {done.returncode}",
                notes=tuple(said.splitlines()[-5:]),
                helps=("npu doctor looks at the tools of this machine",),
            )
        ]
    )


def _stays_inside(path: str) -> bool:
    """Whether a path of a tree may be written below a folder: a tree made by hand may hold anything."""
    parts = path.split("/")
    return bool(path) and not path.startswith("/") and not {"", ".", "..", ".git"} & set(parts) and "\\" not in path
