"""Sticky numbers: a committed range stays when the new one is the same but for rounding noise.

Another BLAS, thread count or processor changes the last digits of what calibration sees. A new range replaces the one
in the table only when an end moved by more than max(1/100 of a step, 1e-6 of the range); so a table changes when the
model, the data or the settings change, and not because another machine made it.
"""

from __future__ import annotations

from collections.abc import Mapping

from npudsl.artifacts.quant_table import DIGEST_DIGITS, QuantTable, TableLine
from npudsl.diagnostics import Place, Problem
from npudsl.steps.quantize.parameters import parameters_of
from npudsl.steps.quantize.plan import QuantizationPlan
from npudsl.steps.quantize.settings import Settings

STEP_SHARE = 0.01
RANGE_SHARE = 1e-6


def taken_ranges(plan: QuantizationPlan, table: QuantTable, path: str) -> dict[str, tuple[float, float]]:
    """Every range of a plan as the table has it, without looking at data; ``path`` is what the user calls the file.

    Raises ``Problem`` E0801 when the table was made of another model, E0802 when a line is missing.
    """
    if table.header.model != plan.structure.digest[:DIGEST_DIGITS]:
        raise Problem(
            "E0801",
            f"{path} was made of another model, and the data to calibrate this one is not here",
            places=(Place(path, 1),),
            helps=("bring the calibration data here and run npu build",),
        )
    ranges = {}
    for name, settings in plan.ranges.items():
        if settings.is_fixed:
            continue
        line = _line(name, settings, table)
        if line is None or line.low is None or line.high is None:
            raise Problem(
                "E0802",
                f"{path} has no range for {name}, and the data to calibrate again is not here",
                places=(Place(path),),
                helps=("restore the file from version control, or bring the calibration data here",),
            )
        ranges[name] = (line.low, line.high)
    return ranges


def kept_ranges(
    settings: Mapping[str, Settings], new: Mapping[str, tuple[float, float]], table: QuantTable
) -> dict[str, tuple[float, float]]:
    """The ranges of ``table`` that stay although the new ones differ, by tensor."""
    old = {name: kept_range(name, settings[name], range_, table) for name, range_ in new.items()}
    return {name: range_ for name, range_ in old.items() if range_ != new[name]}


def kept_range(
    name: str, settings: Settings, new: tuple[float, float], table: QuantTable | None
) -> tuple[float, float]:
    """The range of activation ``name``: the table's where it is close enough, else ``new``.

    An end that a rule fixes is always the rule's.
    """
    line = None if table is None else _line(name, settings, table)
    if line is None or line.low is None or line.high is None or not _is_close((line.low, line.high), new, settings):
        return new
    return (
        line.low if settings.low is None else new[0],
        line.high if settings.high is None else new[1],
    )


def _line(name: str, settings: Settings, table: QuantTable) -> TableLine | None:
    """The old line of the same kind of number; a float tensor has its range in the line of its converter."""
    for key in (name, f"{name}/to_{settings.type}"):
        line = table.activations.get(key)
        if line is not None and (line.type, line.scheme) == (settings.type, settings.scheme):
            return line
    return None


def _is_close(old: tuple[float, float], new: tuple[float, float], settings: Settings) -> bool:
    step = parameters_of(*new, settings.type, settings.scheme).scale
    tolerance = max(STEP_SHARE * step, RANGE_SHARE * (new[1] - new[0]))
    return all(abs(before - after) <= tolerance for before, after in zip(old, new, strict=True))
