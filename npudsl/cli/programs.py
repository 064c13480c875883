"""Which programs a command is about, and the roots given on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from npudsl.cli.options import Argument, Option
from npudsl.diagnostics import Diagnostic, UserError

Programs = Annotated[
    list[Path] | None,
    Argument(help="The .npu files; without one, the only one here.", metavar="[FILE.npu ...]", complete="programs"),
]
Roots = Annotated[
    list[str] | None, Option("--root", help="NAME=FOLDER for paths that start with @NAME.", metavar="NAME=FOLDER")
]


def chosen_programs(named: list[Path] | None) -> list[Path]:
    """The programs named, or the only one in this folder that has a model; raises ``UserError``."""
    if named:
        for path in named:
            if not path.is_file():
                raise UserError(
                    [Diagnostic("E0004", f"there is no file {path}", helps=("name a .npu file that exists",))]
                )
        return named
    candidates = sorted(path for path in Path().glob("*.npu") if _has_model(path))
    if len(candidates) == 1:
        return candidates
    if not candidates:
        raise UserError(
            [
                Diagnostic(
                    "E0004",
                    "there is no .npu file with a model block in this folder",
                    helps=("name the file", "or write one from a model: npu init MODEL.onnx --target CHIP"),
                )
            ]
        )
    names = ", ".join(str(path) for path in candidates)
    raise UserError([Diagnostic("E0004", f"there are several programs here: {names}", helps=("name one of them",))])


def parsed_roots(given: list[str] | None) -> dict[str, str]:
    """``NAME=FOLDER`` words as a map; folders become absolute. Raises ``UserError``."""
    roots = {}
    for word in given or ():
        name, equals, folder = word.partition("=")
        if not equals or not name or not folder:
            raise UserError(
                [
                    Diagnostic(
                        "E0005", f"--root takes NAME=FOLDER, not {word!r}", helps=("for example --root zoo=../zoo",)
                    )
                ]
            )
        if not Path(folder).is_dir():
            raise UserError([Diagnostic("E0005", f"--root {name}: there is no folder {folder}")])
        roots[name] = str(Path(folder).resolve())
    return roots


def _has_model(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.split(maxsplit=1)[:1] == ["model"] for line in text.splitlines())
