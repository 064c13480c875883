"""The difference as plain text: per program its summary first, then source, inputs, tensors, metrics and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npudsl.api.review.sections import sections, summary, unchanged, unchanged_programs

if TYPE_CHECKING:
    from npudsl.api.diff import Difference, ProgramDifference


def render_text(difference: Difference) -> str:
    """The whole difference; programs without one share a line at the end."""
    blocks = [
        _program(program, difference.tolerance) for program in difference.programs if program.changed or program.notes
    ]
    same = [program.name for program in difference.programs if not program.changed and not program.notes]
    if same:
        blocks.append(unchanged_programs(same))
    return "\n\n".join(blocks)


def _program(program: ProgramDifference, tolerance: float) -> str:
    lines = [f"{program.name}  {summary(program)}", *(f"note: {note}" for note in program.notes)]
    found = sections(program)
    if found:
        lines.append("")
    for section in found:
        lines += [section.title, *(f"  {line}" for line in section.lines)]
    stayed = unchanged(program, tolerance) if program.status in ("changed", "same") else ""
    return "\n".join([*lines, *([stayed] if stayed else [])])
