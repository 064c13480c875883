"""Write a pipeline for a model file."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from npudsl.diagnostics import Diagnostic, Problem, UserError
from npudsl.language.project import SETTINGS_FILE, find_project, named_roots
from npudsl.steps.import_model.describe import describe_model, initial_program, quoted
from npudsl.store.atomic import write_atomically
from npudsl.targets.load import IDENTITY_KEYS, all_targets, find_target
from npudsl.targets.target import Target

ROOT = "models"
"""Name of the root that a new project file gives to the folder of a model outside of the project."""


def init_program(model: str | Path, target: str, output: str | Path | None = None) -> Path:
    """Write a commented ``.npu`` for ``model`` and the chip ``target``; returns its path.

    Raises ``UserError`` when the model cannot be read, when the chip is
    unknown, or when the file exists already.
    """
    model = Path(model)
    if not model.is_file():
        raise UserError([Diagnostic("E0401", f"there is no model file {model}")])
    chip = _chip(target)
    written = Path(output) if output is not None else Path(f"{model.stem}.npu")
    if written.exists():
        raise UserError(
            [
                Diagnostic(
                    "E0004",
                    f"{written} exists already and is left as it is",
                    helps=("name another file with --output, or remove it first",),
                )
            ]
        )
    shown = _path_text(model.resolve(), written.resolve())
    scheme, type_ = first_type(chip)
    text = initial_program(describe_model(model), chip.id, shown, scheme=scheme, type_=type_)
    write_atomically(written, text.encode())
    return written


def _path_text(model: Path, program: Path) -> str:
    """The model's path as the program writes it.

    A model outside of the project is reached through a named root: one that is there, or a new project file that names
    its folder. An existing project file is not changed (``UserError`` with the line to add).
    """
    project, settings = find_project(program)
    project = project.resolve()
    if model.is_relative_to(project):
        return Path(os.path.relpath(model, program.parent)).as_posix()
    for name, folder in named_roots(project, settings).items():
        if model.is_relative_to(folder):
            return f"@{name}/{model.relative_to(folder).as_posix()}"
    outside = Path(os.path.relpath(model.parent, project)).as_posix()
    settings_file = project / SETTINGS_FILE
    if not settings_file.exists():
        comment = "# Folders outside of this project, by the name that programs call them."
        write_atomically(settings_file, f"{comment}\nroots:\n  {ROOT}: {quoted(outside)}\n".encode())
        return f"@{ROOT}/{model.name}"
    raise UserError(
        [
            Diagnostic(
                "E0216",
                f"the model {model.name} lies outside of the project, which is the folder {project.name}",
                helps=(
                    f"name its folder in {SETTINGS_FILE} of the project: `roots: {{models: {outside}}}`",
                    "or put the model into the project",
                ),
            )
        ]
    )


def first_type(chip: Target) -> tuple[str, str]:
    """Scheme and type to begin with: asymmetric u8 where the chip has it (or nobody says), else its first integers."""
    pairs = [(pair.scheme, pair.type) for pair in chip.types or () if pair.type in ("u8", "i8", "i16")]
    return ("asymmetric_affine", "u8") if not pairs or ("asymmetric_affine", "u8") in pairs else pairs[0]


def _chip(word: str) -> Target:
    """The chip that ``word`` means: an id, a name of a chip or board, a product id or an optimize string."""
    for key in IDENTITY_KEYS:
        value: object = word
        if key == "pid":
            try:
                value = int(word, 0)
            except ValueError:
                continue
        try:
            return find_target({key: value})
        except Problem:
            continue
    known = {name.lower(): name for target in all_targets() for name in (target.id, *target.socs)}
    near = [known[name] for name in difflib.get_close_matches(word.lower(), known, n=3)]
    raise Problem(
        "E0604",
        f"no target is called {word}",
        helps=([f"did you mean {' or '.join(near)}?"] if near else []) + ["list the chips with: npu targets"],
    )
