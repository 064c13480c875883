"""Rules that do nothing or fight each other on this graph: E0303, E0304 and W0304.

A rule from a preset or another block may be overwritten entirely: that is what deriving a variant is for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations

from npudsl.diagnostics import Diagnostic
from npudsl.language.matching import Matches, describe_selector
from npudsl.language.program import Quantize, Rule

Place = tuple[str, str]
"""(tensor, weight or layer; key)."""

Effects = Mapping[Place, list[tuple[int, object]]]
"""Place -> (rule index, value) of every rule that set it, weakest first."""

Winners = Mapping[int, set[Place]]
"""Rule index -> places that the rule decided in the end."""

Conflicts = Mapping[int, Mapping[int, list[Place]]]
"""Later rule -> earlier rule of the same kind -> places that both set differently."""


def effect_problems(variant: Quantize, effects: Effects, winners: Winners, matches: Matches) -> list[Diagnostic]:
    """Errors and warnings about rules of this block, in rule order."""
    own = {rule.index: rule for rule in variant.rules if not rule.inherited and matches.by_rule.get(rule.index)}
    conflicts = _conflicts(effects, own)
    touched: dict[int, set[Place]] = defaultdict(set)
    for place, settings in effects.items():
        for index, _ in settings:
            touched[index].add(place)
    problems: list[Diagnostic] = []
    fought: set[int] = set()
    for later, earlier in sorted(conflicts.items()):
        exact = [index for index in earlier if _are_exact(own[later], own[index])]
        if exact:
            fought.update(exact)
            problems.append(_contradiction(variant, own[later], own[exact[0]], earlier[exact[0]]))
        else:
            first = min(earlier)
            problems.append(_overlap(variant, own[later], own[first], earlier[first]))
    for index, rule in own.items():
        if not touched[index]:
            problems.append(_reaches_nothing(variant, rule))
        elif index not in winners and index not in fought:
            problems.append(_no_effect(variant, rule, winners, touched[index]))
    return problems


def _conflicts(effects: Effects, own: Mapping[int, Rule]) -> Conflicts:
    found: dict[int, dict[int, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for place, settings in effects.items():
        mine = [(index, value) for index, value in settings if index in own]
        for (earlier, first), (later, second) in combinations(mine, 2):
            if own[earlier].kind == own[later].kind and first != second:
                found[later][earlier].append(place)
    return found


def _are_exact(rule: Rule, other: Rule) -> bool:
    return rule.selector.kind == other.selector.kind == "exact"


def _contradiction(variant: Quantize, rule: Rule, other: Rule, places: list[Place]) -> Diagnostic:
    key = places[0][1]
    noun = "tensor" if rule.kind in ("tensor", "tensors") else "layer"
    return Diagnostic(
        "E0304",
        f"two rules of the same kind set `{key}` on the same {noun}",
        subject=f"{_subject(variant, rule)}.{_written(rule, key)}",
        notes=(f"the other one is {describe_selector(other)}, before it",),
        helps=("keep one of them",),
    )


def _overlap(variant: Quantize, rule: Rule, other: Rule, places: list[Place]) -> Diagnostic:
    key = places[0][1]
    count = len({tensor for tensor, _ in places})
    return Diagnostic(
        "W0304",
        f"{describe_selector(other)} and {describe_selector(rule)} set `{key}` differently on {count} "
        f"{'tensor' if count == 1 else 'tensors'}; the later line wins",
        subject=f"{_subject(variant, rule)}.{_written(rule, key)}",
        helps=("make the patterns exclude each other, or name the exceptions with exact rules",),
        severity="warning",
    )


def _no_effect(variant: Quantize, rule: Rule, winners: Winners, places: set[Place]) -> Diagnostic:
    by = [other for other in variant.rules if winners.get(other.index, set()) & places]
    winner = max(by, key=lambda other: len(winners[other.index] & places))
    others = f" and {len(by) - 1} more" if len(by) > 1 else ""
    return Diagnostic(
        "E0303",
        f"every value of this rule is overwritten by {describe_selector(winner)}{others}",
        subject=_subject(variant, rule),
        helps=("leave one of them out; an exact name beats a pattern, and a later line an earlier one of its kind",),
    )


def _reaches_nothing(variant: Quantize, rule: Rule) -> Diagnostic:
    """The rule matches layers, but sets only what none of them has (weights of a Relu)."""
    keys = ", ".join(f"`{key}`" for key in rule.sets)
    return Diagnostic(
        "E0303",
        f"{describe_selector(rule)} sets {keys}, but nothing it matches has that",
        subject=_subject(variant, rule),
        helps=("`weights.` settings need layers with weights",),
    )


def _subject(variant: Quantize, rule: Rule) -> str:
    return f"quantize[{variant.name}].rules[{rule.index}]"


def _written(rule: Rule, key: str) -> str:
    """The part of the rule that set ``key``, as it was written."""
    for name in (key, f"activations.{key}", f"weights.{key}"):
        if name in rule.sets:
            return name
    return "skip" if "skip" in rule.sets else key
