"""Measured values of two locks, held against the requirements of the two programs.

A lock holds five decimals and keeps a value that moved by less than two of the last; a value that close to its bound is
judged by the build and not here.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from npudsl.api.review.facts import bound_text
from npudsl.artifacts.lock_diff import MetricPair
from npudsl.artifacts.lock_file import METRIC_DECIMALS, metric_text
from npudsl.language.program import Program, Requirement

if TYPE_CHECKING:
    from npudsl.keys import Json

PASS, FAIL, OPEN = "pass", "FAIL", ""
BOUND_NOISE = 2.5 * 10**-METRIC_DECIMALS

_OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class MetricChange:
    """A measured value before and after. Verdicts are pass, FAIL, or empty without a requirement or a value."""

    pair: MetricPair
    old_bound: str
    new_bound: str
    old_verdict: str
    new_verdict: str
    close: bool
    """A value is so close to its bound that the lock's digits cannot decide."""

    @property
    def changed(self) -> bool:
        return self.pair.changed or (self.old_bound, self.old_verdict) != (self.new_bound, self.new_verdict)

    @property
    def old_text(self) -> str:
        return _value(self.pair.old, self.pair.percent)

    @property
    def new_text(self) -> str:
        return _value(self.pair.new, self.pair.percent)

    @property
    def delta_text(self) -> str:
        """The difference with its sign; of percentages in points."""
        if self.pair.old is None or self.pair.new is None:
            return ""
        delta = self.pair.new - self.pair.old
        if not delta:
            return ""
        if self.pair.percent:
            return f"{100 * delta:+.3g} points"
        return f"{delta:+.{METRIC_DECIMALS}f}"

    @property
    def bound_text(self) -> str:
        if self.old_bound and self.new_bound and self.old_bound != self.new_bound:
            return f"{self.new_bound} (was {self.old_bound})"
        return self.new_bound or self.old_bound

    @property
    def verdict_text(self) -> str:
        mark = " (at the bound: the build decides)" if self.close else ""
        if self.old_verdict == self.new_verdict:
            return self.new_verdict + mark
        return " -> ".join(word or "none" for word in (self.old_verdict, self.new_verdict)) + mark

    def record(self) -> dict[str, Json]:
        return {
            "compare": self.pair.comparison,
            "metric": self.pair.metric,
            "on": self.pair.on,
            "old": self.pair.old,
            "new": self.pair.new,
            "percent": self.pair.percent,
            "require": {"old": self.old_bound or None, "new": self.new_bound or None},
            "verdict": {"old": self.old_verdict or None, "new": self.new_verdict or None},
            "at_bound": self.close,
        }


def metric_changes(pairs: list[MetricPair], old: Program | None, new: Program | None) -> tuple[MetricChange, ...]:
    """The pairs with bounds and verdicts."""
    return tuple(_judged(pair, _requirement(pair, old), _requirement(pair, new)) for pair in pairs)


def _judged(pair: MetricPair, old: Requirement | None, new: Requirement | None) -> MetricChange:
    close = not pair.percent and (_is_close(pair.old, old) or _is_close(pair.new, new))
    return MetricChange(
        pair,
        "" if old is None else bound_text(old),
        "" if new is None else bound_text(new),
        _verdict(pair.old, old),
        _verdict(pair.new, new),
        close,
    )


def _requirement(pair: MetricPair, program: Program | None) -> Requirement | None:
    """The requirement of a program that a measured value answers: that on the same tensor, else the one on outputs."""
    if program is None:
        return None
    asked = [
        item
        for compare in program.comparisons
        if compare.name == pair.comparison
        for item in compare.requires
        if item.metric == pair.metric
    ]
    exact = [item for item in asked if item.on == pair.on]
    others = [item for item in asked if item.on in ("outputs", "all")]
    return next(iter([*exact, *others, *asked]), None)


def _verdict(value: float | None, requirement: Requirement | None) -> str:
    if value is None or requirement is None:
        return OPEN
    bound = round(requirement.value, METRIC_DECIMALS)
    return PASS if _OPERATORS[requirement.operator](round(value, METRIC_DECIMALS), bound) else FAIL


def _is_close(value: float | None, requirement: Requirement | None) -> bool:
    return value is not None and requirement is not None and abs(value - requirement.value) <= BOUND_NOISE


def _value(value: float | None, percent: bool) -> str:
    return "none" if value is None else metric_text(value, percent)
