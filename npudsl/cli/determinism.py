"""``npu build --check-determinism STEP``: build up to the step, then run it twice more and compare.

The two runs are processes of their own, with different hash seeds and numbers of workers: an order that comes from a
set or from a race shows itself only there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from npudsl.api.build import BuildOptions, build_program
from npudsl.api.determinism import Digests, disagreements
from npudsl.cli.guard import show_diagnostics
from npudsl.cli.progress import progress_reporter


def check(program: Path, step: str, wanted: BuildOptions, *, quiet: bool) -> int:
    """Check one program; prints the verdict and returns the exit code."""
    progress = progress_reporter(quiet=quiet)
    try:
        build_program(program, replace(wanted, until=step), progress)
    finally:
        progress.close()
    runs: dict[str, Digests] = {}
    for name, jobs in (("run 1", 1), ("run 2", os.cpu_count() or 2)):
        done = _run(program, step, jobs, wanted.root_options, seed=len(runs) + 1)
        if done.returncode:
            return done.returncode
        runs[name], runs["the cache"] = json.loads(done.stdout)
    found = disagreements(runs)
    if found:
        show_diagnostics(tuple(found))
        return 1
    parts = sum(len(parts) for parts in runs["run 1"].values())
    print(f"{step}: two runs of {parts} parts and joins made the same, and what the cache holds")
    return 0


def _run(program: Path, step: str, jobs: int, roots: tuple[str, ...], *, seed: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "npudsl.cli.digests", str(program), step, str(jobs), *roots]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
