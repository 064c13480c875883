"""The command line as tests use it: a process of its own, a cache of its own, a copy of the example."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "01_digits"


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Npu:
    """Runs ``npu`` in a folder with a private cache."""

    folder: Path
    cache: Path

    def __call__(self, *arguments: str, code: int | None = 0, **environment: str) -> Outcome:
        """Run; unless ``code`` is None the exit code must be it."""
        done = subprocess.run(
            [sys.executable, "-m", "npudsl.cli", *arguments],
            cwd=self.folder,
            env={**os.environ, "NPUDSL_CACHE": str(self.cache), "COLUMNS": "120", **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in outcome.text, outcome.text
        if code is not None:
            ending = outcome.err[-4000:] or outcome.out[-2000:]
            assert done.returncode == code, f"exit code {done.returncode}, expected {code}\n{ending}"
        return outcome

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text that must be there."""
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new))


def digits_copy(folder: Path) -> Npu:
    """The digits example in ``folder/project`` with a cache beside it."""
    project = folder / "project"
    made = shutil.ignore_patterns("out", ".npudsl", "*.quant", "*.lock", "__pycache__")
    shutil.copytree(EXAMPLE, project, ignore=made)
    return Npu(project, folder / "cache")
