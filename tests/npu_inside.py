"""The command line run inside of the test process: a hundred times faster than a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from unittest import mock

from npu_command import Outcome

from npudsl.cli.main import run


def npu_inside(folder: Path, cache: Path, *arguments: str, code: int | None = 0) -> Outcome:
    """Run ``npu`` in ``folder``; unless ``code`` is None the exit code must be it."""
    out, err = io.StringIO(), io.StringIO()
    surroundings = {"NPUDSL_CACHE": str(cache), "COLUMNS": "100"}
    with (
        mock.patch.dict(os.environ, surroundings),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        ended = run(list(arguments))
    outcome = Outcome(ended, out.getvalue(), err.getvalue())
    assert "npudsl has a bug" not in outcome.err, outcome.err
    if code is not None:
        assert ended == code, f"exit code {ended}, expected {code}\n{outcome.text}"
    return outcome
