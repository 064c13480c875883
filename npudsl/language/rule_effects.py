"""Rules that do nothing or fight each other on this graph: E0303, E0304 and W0304.

A rule from a preset or another block may be overwritten entirely: that is what deriving a variant is for.
"""

from __future__ import annotations

from collections.abc import Mapping

from npudsl.diagnostics import Diagnostic
from npudsl.language.matching import Matches, describe_selector
from npudsl.language.program import Quantize, Rule

Effects = Mapping[tuple[int, str], Mapping[str, set[str]]]
"""(rule index, key) -> value as text -> places the rule set it at (whether or not it was overwritten)."""

Winners = Mapping[int, set[tuple[str, str]]]
"""Rule index -> (place, key) that the rule decided in the end."""


def effect_problems(variant: Quantize, effects: Effects, winners: Winners, matches: Matches) -> list[Diagnostic]:
    """Errors and warnings about rules of this block, in rule order."""
    problems: list[Diagnostic] = []
    own = [rule for rule in variant.rules if not rule.inherited and matches.by_rule.get(rule.index)]
    for rule in own:
        subject = f"quantize[{variant.name}].rules[{rule.index}]"
        conflicts = _conflicts(rule, own, effects)
        exact = [(other, key) for other, key, _ in conflicts if _is_exact(rule, other)]
        if exact:
            other, key = exact[0]
            problems.append(
                Diagnostic(
                    "E0304",
                    f"two rules of the same kind set `{key}` on the same {_noun(rule)}",
                    subject=f"{subject}.{_written(rule, key)}",
                    notes=(f"the other one is {describe_selector(other)}, before it",),
                    helps=("keep one of them",),
                )
            )
        elif conflicts:
            problems.append(_overlap(rule, conflicts, subject))
    shadowed = [rule for rule in own if not winners.get(rule.index)]
    fought = {other.index for rule in own for other, _, _ in _conflicts(rule, own, effects) if _is_exact(rule, other)}
    for rule in shadowed:
        touched = [key for (index, key) in effects if index == rule.index]
        if touched and rule.index not in fought:
            problems.append(_no_effect(variant, rule, winners, effects))
        elif not touched:
            problems.append(_reaches_nothing(variant, rule))
    return problems


def _is_exact(rule: Rule, other: Rule) -> bool:
    return rule.selector.kind == other.selector.kind == "exact"


def _conflicts(rule: Rule, own: list[Rule], effects: Effects) -> list[tuple[Rule, str, set[str]]]:
    """Earlier rules of the same kind that set the same key differently, with the places where both do."""
    found = []
    mine = {key: values for (index, key), values in effects.items() if index == rule.index}
    for other in own:
        if other.kind != rule.kind or other.index >= rule.index:
            continue
        for key, values in mine.items():
            theirs = effects.get((other.index, key), {})
            places = {
                place
                for value, here in values.items()
                for other_value, there in theirs.items()
                if value != other_value
                for place in here & there
            }
            if places:
                found.append((other, key, places))
    return found


def _overlap(rule: Rule, conflicts: list[tuple[Rule, str, set[str]]], subject: str) -> Diagnostic:
    other, key, places = conflicts[0]
    count = len(places)
    return Diagnostic(
        "W0304",
        f"{describe_selector(other)} and {describe_selector(rule)} set `{key}` differently on {count} "
        f"{'tensor' if count == 1 else 'tensors'}; the later line wins",
        subject=f"{subject}.{_written(rule, key)}",
        helps=("make the patterns exclude each other, or name the exceptions with exact rules",),
        severity="warning",
    )


def _no_effect(variant: Quantize, rule: Rule, winners: Winners, effects: Effects) -> Diagnostic:
    places = {
        (place, key)
        for (index, key), values in effects.items()
        if index == rule.index
        for touched in values.values()
        for place in touched
    }
    by = [other for other in variant.rules if winners.get(other.index, set()) & places]
    winner = max(by, key=lambda other: len(winners[other.index] & places))
    others = f" and {len(by) - 1} more" if len(by) > 1 else ""
    return Diagnostic(
        "E0303",
        f"every value of this rule is overwritten by {describe_selector(winner)}{others}",
        subject=f"quantize[{variant.name}].rules[{rule.index}]",
        helps=("leave one of them out; an exact name beats a pattern, and a later line an earlier one of its kind",),
    )


def _reaches_nothing(variant: Quantize, rule: Rule) -> Diagnostic:
    """The rule matches layers, but sets only what none of them has (weights of a Relu)."""
    keys = ", ".join(f"`{key}`" for key in rule.sets)
    return Diagnostic(
        "E0303",
        f"{describe_selector(rule)} sets {keys}, but nothing it matches has that",
        subject=f"quantize[{variant.name}].rules[{rule.index}]",
        helps=("`weights.` settings need layers with weights",),
    )


def _noun(rule: Rule) -> str:
    return "tensor" if rule.kind in ("tensor", "tensors") else "layer"


def _written(rule: Rule, key: str) -> str:
    """The part of the rule that set ``key``, as it was written."""
    for name in (key, f"activations.{key}", f"weights.{key}"):
        if name in rule.sets:
            return name
    return "skip" if "skip" in rule.sets else key
