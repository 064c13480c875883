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
    "init_program": "npudsl.api.init",
    "list_layers": "npudsl.api.layers",
    "open_project": "npudsl.api.project",
    "plan_program": "npudsl.api.plan",
}

__all__ = sorted(_DOORS)


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'npudsl.api' has no attribute {name!r}")
