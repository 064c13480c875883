"""Which layers and tensors a rule selects; E0301, E0302 and E0305.

A name that matches nothing is an error: a silent miss would leave the layer as it was, and nobody would notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from npudsl.diagnostics import Diagnostic
from npudsl.language.names import near
from npudsl.language.patterns import BadPattern, has_wildcard, pattern_regex
from npudsl.language.program import Quantize, Rule
from npudsl.language.strings import string_literal

SHOWN = 6
"""Names listed in a message before it says how many more there are."""


class Layer(Protocol):
    """What matching needs of a layer."""

    @property
    def name(self) -> str: ...
    @property
    def op(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def weights(self) -> tuple[str, ...]: ...


@dataclass
class Matches:
    """Rule index -> matched names in graph order, and the problems found."""

    by_rule: dict[int, tuple[str, ...]] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)


def match_rules(
    variant: Quantize, layers: Sequence[Layer], tensors: Sequence[str], tensor_aliases: Mapping[str, str]
) -> Matches:
    """What every rule of the variant selects."""
    weights = list(dict.fromkeys(name for layer in layers for name in layer.weights))
    names = _tensor_names(tensors, weights, tensor_aliases)
    found = Matches()
    for rule in variant.rules:
        subject = f"quantize[{variant.name}].rules[{rule.index}]"
        try:
            matched = _select(rule, layers, names)
        except BadPattern as bad:
            found.problems.append(Diagnostic("E0305", str(bad), subject=subject))
            matched = ()
        else:
            found.problems += _miss(rule, matched, layers, names, subject)
        found.by_rule[rule.index] = matched
    return found


def _tensor_names(
    tensors: Sequence[str], weights: Sequence[str], aliases: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Tensor or weight -> all its names, its own first."""
    names: dict[str, list[str]] = {name: [name] for name in (*tensors, *weights)}
    for alias, name in aliases.items():
        if name in names and alias not in names:
            names[name].append(alias)
    return {name: tuple(known) for name, known in names.items()}


def _select(rule: Rule, layers: Sequence[Layer], tensors: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    text = rule.selector.text
    if rule.kind == "op":
        return tuple(layer.name for layer in layers if layer.op == text)
    candidates: Iterable[tuple[str, tuple[str, ...]]]
    if rule.kind in ("layer", "layers"):
        candidates = [(layer.name, (layer.name, *layer.aliases)) for layer in layers]
    else:
        candidates = list(tensors.items())
    if rule.selector.kind == "exact":
        own = tuple(name for name, _ in candidates if name == text)
        return own or tuple(name for name, known in candidates if text in known)[:1]
    regex = pattern_regex(rule.selector.kind, text)
    return tuple(name for name, known in candidates if any(regex.search(candidate) for candidate in known))


def _miss(
    rule: Rule,
    matched: tuple[str, ...],
    layers: Sequence[Layer],
    tensors: Mapping[str, tuple[str, ...]],
    subject: str,
) -> list[Diagnostic]:
    if not matched:
        return [] if rule.optional else [_no_match(rule, layers, tensors, subject)]
    if rule.matches is not None and rule.matches != len(matched):
        listed = ", ".join(matched[:SHOWN]) + (f" and {len(matched) - SHOWN} more" if len(matched) > SHOWN else "")
        return [
            Diagnostic(
                "E0302",
                f"`matches={rule.matches}`, but {describe_selector(rule)} matches {len(matched)}",
                subject=f"{subject}.matches",
                notes=(f"matched: {listed}",),
                helps=(f"narrow the pattern, or write `matches={len(matched)}`",),
            )
        ]
    return []


def _no_match(rule: Rule, layers: Sequence[Layer], tensors: Mapping[str, tuple[str, ...]], subject: str) -> Diagnostic:
    text = rule.selector.text
    if rule.kind == "op":
        known = list(dict.fromkeys(layer.op for layer in layers))
        what, helps = "operator", [f"operators of this model: {', '.join(sorted(known))}"]
    elif rule.kind in ("layer", "layers"):
        known = [name for layer in layers for name in (layer.name, *layer.aliases)]
        what, helps = "layer", ["`npu layers` lists the names"]
    else:
        known = [name for names in tensors.values() for name in names]
        what, helps = "tensor", ["`npu layers` lists the names"]
    count = len(layers) if what != "tensor" else len(tensors)
    plural = "layer" if what == "operator" else what
    return Diagnostic(
        "E0301",
        f'no {what} matches "{text}"',
        subject=subject,
        notes=(f"0 of {count} {plural}{'' if count == 1 else 's'}",),
        helps=(*_suggestions(rule, text, known, layers, tensors), *helps),
        instead=_instead(rule, text, known),
    )


def _instead(rule: Rule, text: str, known: list[str]) -> str | None:
    """The selector with the name that was probably meant."""
    close = near(text, known) if rule.selector.kind == "exact" and not has_wildcard(text) else []
    if not close:
        return None
    return close[0] if rule.kind == "op" else string_literal(close[0])


def _suggestions(
    rule: Rule, text: str, known: list[str], layers: Sequence[Layer], tensors: Mapping[str, tuple[str, ...]]
) -> list[str]:
    if rule.selector.kind == "exact":
        if rule.kind in ("layer", "tensor") and has_wildcard(text):
            return [f'`{rule.kind}` takes an exact name; for a pattern write `{rule.kind}s "{text}"`']
        close = near(text, known)
        if close:
            case = " names are case-sensitive" if close[0].lower() == text.lower() else ""
            return [f'did you mean "{close[0]}"?{case}']
    elsewhere = _other_kind(rule, text, layers, tensors)
    return [elsewhere] if elsewhere else []


def _other_kind(rule: Rule, text: str, layers: Sequence[Layer], tensors: Mapping[str, tuple[str, ...]]) -> str | None:
    """A help for a tensor's name in a layer rule, and the reverse."""
    layer_names = {name for layer in layers for name in (layer.name, *layer.aliases)}
    tensor_names = {name for names in tensors.values() for name in names}
    if rule.kind == "layer" and text in tensor_names:
        return f'there is a tensor of this name: write `tensor "{text}"`'
    if rule.kind == "tensor" and text in layer_names:
        return f'there is a layer of this name: write `layer "{text}"`'
    return None


def describe_selector(rule: Rule) -> str:
    """The rule's beginning as it would be written: ``layers "**/fc*"``."""
    if rule.kind == "op":
        return f"`op {rule.selector.text}`"
    prefix = "re" if rule.selector.kind == "regex" else ""
    return f'`{rule.kind} {prefix}"{rule.selector.text}"`'
