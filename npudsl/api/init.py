"""Write a pipeline for a model file."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from npudsl.diagnostics import Diagnostic, Problem, UserError
from npudsl.steps.import_model.describe import describe_model, initial_program
from npudsl.store.atomic import write_atomically
from npudsl.targets.load import IDENTITY_KEYS, all_targets, find_target
from npudsl.targets.target import Target


def init_program(model: str | Path, target: str, output: str | Path | None = None) -> Path:
    """Write a commented ``.npu`` for ``model`` and the chip ``target``; returns its path.

    Raises ``UserError`` when the model cannot be read, the chip is unknown or the file exists already.
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
    shown = Path(os.path.relpath(model.resolve(), written.resolve().parent)).as_posix()
    scheme, type_ = first_type(chip)
    text = initial_program(describe_model(model), chip.id, shown, scheme=scheme, type_=type_)
    write_atomically(written, text.encode())
    return written


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
