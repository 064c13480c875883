"""The range of one tensor by the algorithm of its settings, as written in the table."""

from __future__ import annotations

from npudsl.diagnostics import Problem
from npudsl.numerics.ranges import range_of
from npudsl.numerics.ranges_counters import Observed
from npudsl.numerics.types import element_type
from npudsl.steps.quantize.parameters import written_range
from npudsl.steps.quantize.settings import Settings

MIRRORED_SCHEMES = frozenset({"sym", "dfp", "perchannel"})
"""Schemes whose codes lie around zero: a search for a range must not move one end alone."""


def written_range_of(
    name: str, settings: Settings, observed: Observed | None, subject: str | None = None
) -> tuple[float, float]:
    """The range of ``name``: fixed ends as they are, the observed value for the others, then as the table writes it.

    ``observed`` may be None when both ends are fixed; ``subject`` is what a problem is about. Raises ``Problem`` E0306
    when a fixed end lies on the wrong side of the observed one.
    """
    low, high = chosen_range(settings, observed) if observed is not None else (0.0, 0.0)
    low = low if settings.low is None else settings.low
    high = high if settings.high is None else settings.high
    if low > high:
        raise Problem(
            "E0306",
            f"the range of `{name}` would be {low:g} .. {high:g}: the fixed end is on the wrong side of what was seen",
            subject=subject,
            helps=("fix both ends, `min=` and `max=`, or leave the rule out",),
        )
    return written_range(low, high, settings.type)


def chosen_range(settings: Settings, observed: Observed) -> tuple[float, float]:
    """What the algorithm chooses, before ends are fixed or rounded.

    A symmetric scheme asks the search (``mse``) for a range around zero; the other algorithms keep both ends as they
    are, because the table shows what was seen.
    """
    symmetric = settings.scheme in MIRRORED_SCHEMES and settings.algorithm == "mse"
    return range_of(settings.algorithm, settings.arguments, observed, symmetric=symmetric, steps=code_steps(settings))


def code_steps(settings: Settings) -> int:
    """Largest code minus the smallest one that the scheme uses."""
    element = element_type(settings.type)
    steps = element.maximum - element.minimum
    return steps - 1 if settings.scheme in MIRRORED_SCHEMES else steps
