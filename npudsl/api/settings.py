"""The settings of ``npudsl.yaml`` that are about building: what they are called, what they mean, their defaults.

``roots`` and ``cache`` say where things lie and are read where places are resolved. Nothing here is ignored: a name
that is not a setting is an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from npudsl.diagnostics import Diagnostic, Place, UserError

UNITS = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "": 1}
NAMES = ("roots", "cache", "salt", "cache_limit", "activation_budget")


@dataclass(frozen=True)
class Settings:
    """What the project file says, or the defaults."""

    salt: str = ""
    """Part of every key: another word disowns everything in the cache."""
    cache_limit: int = 20 * 2**30
    """Bytes that the cache may hold; a build that ends above it collects."""
    activation_budget: int = 2 * 2**30
    """Bytes of float activations that the simulations of one program may keep for their reports."""


def read_settings(settings: Mapping[str, object], file: Path | None) -> Settings:
    """The settings of a project file; raises ``UserError`` E0902 for one that does not exist or cannot be read."""
    unknown = [str(name) for name in settings if name not in NAMES]
    if unknown:
        near = difflib.get_close_matches(unknown[0], NAMES, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise _wrong(file, f"`{unknown[0]}` is not a setting{hint}", f"settings are {', '.join(NAMES)}")
    salt = settings.get("salt", "")
    if not isinstance(salt, (str, int)) or isinstance(salt, bool):
        raise _wrong(file, "`salt` is a word", "for example `salt: 2026-01`")
    return Settings(
        str(salt),
        _size(settings, "cache_limit", Settings.cache_limit, file),
        _size(settings, "activation_budget", Settings.activation_budget, file),
    )


def parse_size(text: str) -> int | None:
    """``20GiB``, ``500 MiB`` or a plain number as bytes; None for anything else."""
    unit = next(unit for unit in UNITS if text.endswith(unit))
    try:
        size = float(text.removesuffix(unit)) * UNITS[unit]
        return int(size) if size >= 0 else None
    except (ValueError, OverflowError):
        return None


def _size(settings: Mapping[str, object], name: str, default: int, file: Path | None) -> int:
    value = settings.get(name, default)
    size = parse_size(str(value)) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None
    if size is None:
        raise _wrong(file, f"`{name}` is a size, not {value!r}", f"for example `{name}: 20GiB`")
    return size


def _wrong(file: Path | None, message: str, *helps: str) -> UserError:
    places = (Place(str(file)),) if file is not None else ()
    return UserError([Diagnostic("E0902", message, places=places, helps=helps)])
