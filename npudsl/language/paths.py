"""Where a path of a program leads: relative to the file that contains it, inside the project, or under a named root."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from npudsl.diagnostics import Span
from npudsl.language.frozen import frozen
from npudsl.language.names import meant
from npudsl.language.program import PathValue
from npudsl.language.values import refuse


@frozen
class Project:
    """Absolute folder that paths without a root must stay in, and absolute folders of the named roots."""

    root: Path
    roots: Mapping[str, Path] = field(default_factory=dict)


@frozen
class PathBase:
    """The folder of one program file in its project."""

    project: Project
    folder: Path

    def resolve(self, text: str, span: Span) -> PathValue:
        """The path ``text``; raises ``Refused`` when it is absolute or leads out of the project or its root."""
        if not text:
            raise refuse("E0210", "the path is empty", span)
        if "\0" in text:
            raise refuse("E0210", "the path contains a zero character", span)
        if text.startswith("@"):
            return self._under_root(text, span)
        if Path(text).is_absolute() or text.startswith("~"):
            raise refuse(
                "E0216",
                f'"{text}" is a path of one machine',
                span,
                "write a path relative to this file, or name its folder as a root in npudsl.yaml and write @root/...",
            )
        place = Path(os.path.normpath(self.folder / text))
        if not place.is_relative_to(self.project.root):
            raise refuse(
                "E0216",
                f'"{text}" leads out of the project',
                span,
                "name the folder as a root in npudsl.yaml (`roots: {data: ../data}`) and write @data/...",
                notes=(f"the project is the folder {self.project.root.name}",),
            )
        return PathValue(text, str(place))

    def _under_root(self, text: str, span: Span) -> PathValue:
        name, _, rest = text[1:].partition("/")
        root = self.project.roots.get(name)
        if root is None:
            written = Span(span.source, span.start + 2, span.start + 2 + len(name))  # behind the quote and the @
            plain = span.source.text[written.start : written.end] == name
            helps, fixes = meant(name, self.project.roots, written)
            helps = helps or (f"add `roots: {{{name}: path/to/folder}}` to npudsl.yaml",)
            message = f"`@{name}` is not a root of this project"
            raise refuse("E0213", message, span, *helps, fixes=fixes if plain else ())
        place = Path(os.path.normpath(root / rest))
        if not place.is_relative_to(root):
            raise refuse("E0216", f'"{text}" leads out of its root', span, "name the outer folder as a root")
        return PathValue(text, str(place))
