"""Where a path of a program leads: relative to the file that contains it, inside the project, or under a named root."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from npudsl.diagnostics import Span
from npudsl.language.frozen import NOTHING, frozen
from npudsl.language.names import did_you_mean
from npudsl.language.program import PathValue
from npudsl.language.values import refuse


@frozen
class Project:
    """Absolute folder that paths without a root must stay in, and absolute folders of the named roots."""

    root: Path
    roots: Mapping[str, Path] = NOTHING


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
            helps = did_you_mean(name, self.project.roots) or (
                f"add `roots: {{{name}: path/to/folder}}` to npudsl.yaml",
            )
            raise refuse("E0213", f"`@{name}` is not a root of this project", span, *helps)
        place = Path(os.path.normpath(root / rest))
        if not place.is_relative_to(root):
            raise refuse("E0216", f'"{text}" leads out of its root', span, "name the outer folder as a root")
        return PathValue(text, str(place))
