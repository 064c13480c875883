"""npudsl: one text file per model for small NPUs.

The package root does no work; the doors for Python users live in :mod:`npudsl.api` and are loaded on first use.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "api"]


def __getattr__(name: str) -> Any:
    if name == "api":
        import importlib

        return importlib.import_module("npudsl.api")
    raise AttributeError(f"module 'npudsl' has no attribute {name!r}")
