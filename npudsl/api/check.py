"""Check a program: its text, its targets; with the model also names, rules and data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from npudsl.diagnostics import Diagnostic, Label, NpuError
from npudsl.language.assemble.program import in_source_order
from npudsl.language.load import load_program
from npudsl.language.program import Program
from npudsl.targets.constraints import check_targets


def check_program(
    path: str | Path,
    *,
    roots: Mapping[str, str] | None = None,
    with_model: bool = True,
    require_reasons: bool = False,
    texts: Mapping[str, str] | None = None,
) -> list[Diagnostic]:
    """Every problem found, errors and warnings, in source order; empty when there is none.

    ``with_model`` imports the model (cached). ``require_reasons``: a rule without ``because`` is an error.
    ``texts`` stand for the contents of files, by the names that findings give them; not for the check with the model.
    """
    try:
        program = load_program(path, roots=roots, texts=texts)
    except NpuError as error:
        return list(error.diagnostics)
    found = [*program.warnings, *check_targets(program)]
    if require_reasons:
        found += _without_reason(program)
    if with_model and not any(diagnostic.severity == "error" for diagnostic in found):
        from npudsl.api.model_check import model_findings

        found += model_findings(path, roots=roots)
    if not found:
        return []
    from npudsl.diagnostics.render import locate

    located = [locate(diagnostic, program.origins) for diagnostic in found]
    placed = in_source_order([diagnostic for diagnostic in located if diagnostic.labels], program.sources)
    return [*placed, *dict.fromkeys(diagnostic for diagnostic in located if not diagnostic.labels)]


def _without_reason(program: Program) -> list[Diagnostic]:
    """E0307 for every override rule without ``because``; a rule that several variants inherit once."""
    places = {
        program.origins[f"quantize[{variant.name}].rules[{rule.index}]"]: rule
        for variant in program.variants.values()
        for rule in variant.rules
        if not rule.because
    }
    return [
        Diagnostic(
            "E0307",
            f"this `{rule.kind}` rule gives no reason",
            labels=(Label(place),),
            helps=('end the line with `because "..."`: what was measured, or who decided',),
        )
        for place, rule in places.items()
    ]
