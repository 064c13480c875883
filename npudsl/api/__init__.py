"""Doors for Python users: the same work as the command line, as functions that return values and raise ``NpuError``.

>>> from npudsl import api
>>> report = api.build_program("model.npu")          # doctest: +SKIP
>>> report.exit_code                                 # doctest: +SKIP
0
"""

from __future__ import annotations

import importlib
from typing import Any

_DOORS = {
    "BuildOptions": "npudsl.api.build",
    "BuildReport": "npudsl.api.build",
    "build_program": "npudsl.api.build",
    "check_program": "npudsl.api.check",
    "diff_revisions": "npudsl.api.diff",
    "diff_table_files": "npudsl.api.diff",
    "examine": "npudsl.api.doctor",
    "explain_in_program": "npudsl.api.explain",
    "explain_word": "npudsl.api.explain",
    "init_program": "npudsl.api.init",
    "last_build": "npudsl.api.report",
    "list_layers": "npudsl.api.layers",
    "model_graph": "npudsl.api.graph",
    "open_project": "npudsl.api.project",
    "plan_program": "npudsl.api.plan",
    "set_up_git": "npudsl.api.git_setup",
    "step_graph": "npudsl.api.graph",
}

__all__ = sorted(_DOORS)


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'npudsl.api' has no attribute {name!r}")
