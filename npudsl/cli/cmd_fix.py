"""``npu fix``: apply the edits that findings offer, check again, until nothing is left that mends itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from npudsl.cli import options
from npudsl.cli.guard import show_diagnostics
from npudsl.cli.options import Option, light
from npudsl.cli.programs import Programs, Roots, chosen_programs, parsed_roots
from npudsl.cli.texts import print_difference, replace_text
from npudsl.diagnostics import Diagnostic, Fix, UserError

if TYPE_CHECKING:
    import typer

MOST_ROUNDS = 20
"""A file that is not settled after so many checks is left as it is then."""


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    options.register(app, name, line, run)


@light
def run(
    programs: Programs = None,
    code: Annotated[
        list[str] | None,
        Option("--code", help="Only findings of this code, e.g. E0304.", metavar="CODE", complete="codes"),
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Write nothing; print what would change.")] = False,
    no_model: Annotated[bool, Option("--no-model", help="Look at the text alone.")] = False,
    root: Roots = None,
) -> int:
    """Mend pipelines."""
    wanted = _known_codes(code)
    roots = parsed_roots(root)
    left: list[Diagnostic] = []
    for program in chosen_programs(programs):
        left += _mend(program, wanted, roots, dry_run=dry_run, with_model=not no_model)
    if left:
        show_diagnostics(tuple(left))
    return 1 if any(diagnostic.severity == "error" for diagnostic in left) else 0


def _mend(
    program: Path, wanted: frozenset[str], roots: dict[str, str], *, dry_run: bool, with_model: bool
) -> list[Diagnostic]:
    """Fix one program and the fragments it uses; returns what is left."""
    from npudsl.api.check import check_program
    from npudsl.language.fixing import chosen_fixes, with_fixes

    before: dict[str, str] = {}
    texts: dict[str, str] = {}
    count = 0
    found: list[Diagnostic] = []
    for _ in range(MOST_ROUNDS):
        found = check_program(program, roots=roots, with_model=with_model and not texts, texts=texts)
        fixes = [fix for fix in chosen_fixes(found, wanted) if not fix.span.source.name.startswith("@")]
        if not fixes and (dry_run or not texts):
            break
        if not fixes:  # the text is settled; the check with the model reads it from the disk
            _write(texts)
            texts = {}
            continue
        for source in dict.fromkeys(fix.span.source for fix in fixes):
            before.setdefault(source.name, source.text)
            texts[source.name] = with_fixes(source, fixes)
        count += len(fixes)
        _say(fixes, dry_run=dry_run)
    if dry_run:
        for name, text in texts.items():
            print_difference(name, before[name], text)
    else:
        _write(texts)
    verb = "would make" if dry_run else "made"
    print(f"{program}: {verb} {count} {'change' if count == 1 else 'changes'}, {len(found)} left")
    return found


def _write(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        replace_text(Path(name), text)


def _say(fixes: Iterable[Fix], *, dry_run: bool) -> None:
    if not dry_run:
        for fix in fixes:
            print(f"{fix.span}: {fix.title or 'changed'}")


def _known_codes(codes: list[str] | None) -> frozenset[str]:
    from npudsl.diagnostics.codes import CODES

    for code in codes or ():
        if code not in CODES:
            message = f"--code takes a code such as E0304, not {code!r}"
            raise UserError([Diagnostic("E0005", message, helps=("npu explain CODE shows what one means",))])
    return frozenset(codes or ())
