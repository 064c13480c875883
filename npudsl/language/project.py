"""The project around a program: its root folder and the settings file ``npudsl.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from npudsl.diagnostics import Diagnostic, Place, UserError
from npudsl.language.plain_yaml import plain_settings

SETTINGS_FILE = "npudsl.yaml"


def find_project(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """The project folder of a program and its settings.

    The folder is the nearest one from the program's upwards that holds ``npudsl.yaml``, else the program's own, and the
    settings are empty. Raises ``UserError`` (E0902) when the file is there but cannot be used.
    """
    folder = Path(path).absolute().parent
    for candidate in (folder, *folder.parents):
        file = candidate / SETTINGS_FILE
        if file.is_file():
            return candidate, _settings(file)
    return folder, {}


def named_roots(project: Path, settings: dict[str, Any]) -> dict[str, Path]:
    """The absolute folders of ``roots: {name: path}``; paths are relative to the settings file."""
    roots = settings.get("roots") or {}
    place = Place(str(project / SETTINGS_FILE))
    if not isinstance(roots, dict) or not all(isinstance(item, str) for pair in roots.items() for item in pair):
        raise _unusable("`roots` maps names to folders", place, "write `roots: {zoo: ../models}`")
    return {name: (project / folder).resolve() for name, folder in roots.items()}


def _settings(file: Path) -> dict[str, Any]:
    place = Place(str(file))
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(f"{SETTINGS_FILE} cannot be read: {error}", place) from error
    plain = plain_settings(text)
    return _any_settings(text, place) if plain is None else dict(plain)


def _any_settings(text: str, place: Place) -> dict[str, Any]:
    import yaml

    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        problem = getattr(error, "problem", None) or "malformed"
        raise _unusable(f"{SETTINGS_FILE} is not YAML: {problem}", Place(place.path, line)) from error
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise _unusable(f"{SETTINGS_FILE} holds no settings", place, "write `name: value` lines, for example `roots:`")
    return settings


def _unusable(message: str, place: Place, *helps: str) -> UserError:
    return UserError([Diagnostic("E0902", message, places=(place,), helps=helps)])
