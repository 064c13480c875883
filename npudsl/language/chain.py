"""Everything that sets one key of one tensor, in the order of application: what an explanation shows.

``resolve`` keeps the winner; here every candidate is kept. Both read the same order and the same reach of rules, so the
last entry of a chain is what ``resolve`` decided, before scheme and type are brought together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from npudsl.language.program import Call, Quantize, Rule
from npudsl.language.resolve import LAYER_KINDS, OF_ACTIVATIONS, TENSOR_KEYS, in_rule_order, sets_for


@dataclass(frozen=True)
class ChainLink:
    """One value that a key was given. ``rule`` None: by the variant. ``subject`` names the value's origin."""

    value: object
    subject: str
    rule: Rule | None = None


def setting_chains(
    variant: Quantize, matches: Mapping[int, tuple[str, ...]], name: str, layers: Collection[str], *, is_weight: bool
) -> dict[str, tuple[ChainLink, ...]]:
    """Key to everything that sets it on the tensor or weight ``name``, the effective one last.

    ``matches`` is that of a ``Resolution``; ``layers`` are the layers that have the weight, or make the tensor.
    """
    prefix = "weights." if is_weight else "activations."
    chains = {key: [_of_variant(variant, key, prefix)] for key in TENSOR_KEYS}
    for rule in reaching_rules(variant, matches, name, layers):
        named = is_weight and rule.kind == "tensor"
        for key, value in sets_for(rule, is_weight, named).items():
            subject = f"quantize[{variant.name}].rules[{rule.index}].{_written(rule, key, prefix)}"
            chains[key].append(ChainLink(value, subject, rule))
    return {key: tuple(chain) for key, chain in chains.items()}


def reaching_rules(
    variant: Quantize, matches: Mapping[int, tuple[str, ...]], name: str, layers: Collection[str]
) -> list[Rule]:
    """The rules whose selector covers the tensor or weight, in the order of application."""
    covering = {True: set(layers), False: {name}}
    return [
        rule
        for rule in in_rule_order(variant.rules)
        if not covering[rule.kind in LAYER_KINDS].isdisjoint(matches.get(rule.index, ()))
    ]


def _of_variant(variant: Quantize, key: str, prefix: str) -> ChainLink:
    """What the variant says: the prefixed key, else the plain one where that reaches."""
    written = f"{prefix}{key}"
    if written not in variant.settings and not (prefix == "weights." and key in OF_ACTIVATIONS):
        written = key
    value = variant.settings.get(written)
    if value is None and key == "algorithm":
        value = Call("minmax")
    return ChainLink(value, f"quantize[{variant.name}].{written}")


def _written(rule: Rule, key: str, prefix: str) -> str:
    """The part of the rule that gave the value."""
    for name in (f"{prefix}{key}", key):
        if name in rule.sets:
            return name
    return "skip"
