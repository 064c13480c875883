"""Whether a committed table was made from the settings that the program beside it has.

The table's header holds a digest of the variant's settings; the same digest is made of the program alone. So a table
that somebody forgot to build again is seen in review, without model or data.
"""

from __future__ import annotations

from npudsl import __version__
from npudsl.api.review.program_side import ProgramSide
from npudsl.diagnostics import NpuError
from npudsl.language.program import Program, Quantize
from npudsl.steps.pipeline import quantize_config
from npudsl.steps.quantize.kind import settings_digest


def stale_notes(side: ProgramSide, label: str) -> list[str]:
    """One sentence per table that does not fit its program, and per variant without a table.

    Nothing is said of texts that another npudsl wrote: it may describe the same settings in other words.
    """
    if side.program is None or (side.lock is not None and side.lock.tool != __version__):
        return []
    notes = []
    for variant in side.program.variants.values():
        table = side.tables.get(variant.name)
        if table is None:
            if side.tables:
                notes.append(f"variant {variant.name} of {label} has no table: run npu build")
            continue
        digest = expected_settings(side.program, variant)
        if digest is not None and digest != table.header.settings:
            notes.append(f"the table of variant {variant.name} of {label} is of other settings: run npu build")
    return notes


def expected_settings(program: Program, variant: Quantize) -> str | None:
    """What a table of the variant has in its header as ``settings``; None where targets contradict each other."""
    try:
        return settings_digest(quantize_config(program, variant).record())
    except NpuError:
        return None
