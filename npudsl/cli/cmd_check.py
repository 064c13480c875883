"""``npu check``: every problem of a pipeline at once, in source order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from npudsl.cli import options
from npudsl.cli.guard import show_diagnostics
from npudsl.cli.options import Option, light
from npudsl.cli.programs import Programs, Roots, chosen_programs, parsed_roots
from npudsl.diagnostics import Diagnostic, UserError

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    options.register(app, name, line, run)


@light
def run(
    programs: Programs = None,
    no_model: Annotated[bool, Option("--no-model", help="Look at the text alone.")] = False,
    root: Roots = None,
    form: Annotated[
        str, Option("--format", help="How findings are printed.", choices=("text", "json", "sarif"))
    ] = "text",
    as_json: Annotated[bool, Option("--json", help="One JSON document on standard output; --format json.")] = False,
    deny: Annotated[
        list[str] | None,
        Option(
            "--deny",
            help="Take `warnings`, or those of one code, as errors.",
            metavar="warnings|CODE",
            complete="deniable",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        Option("--allow", help="Leave out warnings of this code.", metavar="CODE", complete="warnings"),
    ] = None,
    require_reasons: Annotated[
        bool, Option("--require-reasons", help='Every override rule must say why: because "...".')
    ] = False,
) -> int:
    """Check pipelines."""
    from npudsl.api.check import check_program

    form = "json" if as_json else form
    denied, allowed = _warning_codes("--deny", deny, ("warnings",)), _warning_codes("--allow", allow, ())
    roots = parsed_roots(root)
    found = [
        diagnostic
        for program in chosen_programs(programs)
        for diagnostic in check_program(program, roots=roots, with_model=not no_model, require_reasons=require_reasons)
    ]
    found = _judged(found, denied, allowed)
    errors = any(diagnostic.severity == "error" for diagnostic in found)
    if form == "sarif":
        _print_sarif(found)
    elif form == "json" or found:
        show_diagnostics(tuple(found), as_json=form == "json")
    if form == "text" and not errors:
        print("no errors" if found else "no problems")
    return 1 if errors else 0


def _judged(found: Iterable[Diagnostic], denied: set[str], allowed: set[str]) -> list[Diagnostic]:
    """Without allowed warnings; denied ones are errors."""
    judged = []
    for diagnostic in found:
        if diagnostic.severity == "warning":
            if diagnostic.code in allowed:
                continue
            if diagnostic.code in denied or "warnings" in denied:
                diagnostic = replace(diagnostic, severity="error")
        judged.append(diagnostic)
    return judged


def _warning_codes(option: str, words: list[str] | None, others: tuple[str, ...]) -> set[str]:
    """The words, which are codes of warnings or one of ``others``; raises ``UserError``."""
    if not words:
        return set()
    from npudsl.diagnostics.codes import CODES

    for word in words:
        if word not in others and (word not in CODES or not word.startswith("W")):
            known = ", ".join([*others, *(code for code in CODES if code.startswith("W"))])
            help_text = "errors cannot be left out" if word in CODES else f"known: {known}"
            raise UserError(
                [Diagnostic("E0005", f"{option} takes the code of a warning, not {word!r}", helps=(help_text,))]
            )
    return set(words)


def _print_sarif(found: list[Diagnostic]) -> None:
    import json

    from npudsl import __version__
    from npudsl.diagnostics.sarif import to_sarif

    print(json.dumps(to_sarif(found, version=__version__), indent=2))
