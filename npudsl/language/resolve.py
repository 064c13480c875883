"""The meaning of override rules on one graph: which settings hold for which tensor, and who decided.

For one tensor and one key: start from the variant's settings, then take every matching rule in the order of its kind
(op, layers, layer, tensors, tensor), inside one kind in the order of the lines. The last one that sets the key wins. So
an exact name always beats a pattern, and a later line beats an earlier one of its own kind only.

What a rule sets: ``weights.X`` counts for weights, ``activations.X`` for the other tensors, plain ``X`` for both. An
exception, because a range found for activations means nothing for a constant: plain ``algorithm``, ``min`` and ``max``
speak of activations only, unless a ``tensor`` rule names the weight itself. ``skip`` on a layer is ``type=f32``.

Where scheme and type that come together do not fit, the one decided by the stronger rule stays and brings its partner:
``type=i16`` on an asymmetric variant gives dynamic_fixed_point. Per-channel scales are for weights; activations of such
a variant are asymmetric.

Pure: names in, settings out. Nothing here knows what a graph looks like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from npudsl.diagnostics import Diagnostic
from npudsl.language.matching import Matches, match_rules
from npudsl.language.program import Call, Quantize, Rule
from npudsl.language.records import quantize_from_record, quantize_record
from npudsl.language.rule_effects import Place, effect_problems
from npudsl.language.schema.quantize import COMBINATIONS, SCHEME_OF_TYPE

__all__ = [
    "LayerSubject",
    "Resolution",
    "TensorSettings",
    "quantize_from_record",
    "quantize_record",
    "resolve",
]

KIND_ORDER = ("op", "layers", "layer", "tensors", "tensor")
LAYER_KINDS = ("op", "layers", "layer")
DEFAULT = "default"

TENSOR_KEYS = ("type", "scheme", "algorithm", "min", "max")
OF_ACTIVATIONS = ("algorithm", "min", "max")
"""Plain keys that do not reach weights."""


@dataclass(frozen=True)
class LayerSubject:
    """A layer as rules see it: its names, the constants that are its weights, the tensors it makes."""

    name: str
    op: str
    aliases: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class TensorSettings:
    """Effective settings of one tensor, weight or layer.

    ``values`` has ``type``, ``scheme``, ``algorithm`` (a ``Call``), ``min`` and ``max`` (None: from the data),
    ``granularity`` (``tensor`` or ``channel``) and ``skip`` (True: stays float; then ``type`` is f32). ``decided_by``
    is the kind of the rule that decided the type, else the scheme, the algorithm or the range; ``default`` when no rule
    did.
    """

    values: Mapping[str, object]
    decided_by: str = DEFAULT


@dataclass(frozen=True)
class Resolution:
    """Settings by name, what each rule matched, and what is wrong with the rules on this graph."""

    weights: Mapping[str, TensorSettings]
    tensors: Mapping[str, TensorSettings]
    layers: Mapping[str, TensorSettings]
    """A layer's own settings (rules for tensors left out): ``skip`` says that it stays float."""
    matches: Mapping[int, tuple[str, ...]]
    """Rule index -> matched layers (op, layers, layer) or tensors and weights (tensors, tensor)."""
    problems: tuple[Diagnostic, ...] = ()


@dataclass
class _Decision:
    """The value of one key and who set it: (strength of the kind, position of the rule), (-1, -1) for the variant."""

    value: object
    rank: tuple[int, int] = (-1, -1)
    kind: str = DEFAULT


@dataclass
class _Subject:
    """A tensor, weight or layer while rules are applied to it."""

    name: str
    is_weight: bool
    decisions: dict[str, _Decision] = field(default_factory=dict)


def resolve(
    variant: Quantize,
    layers: Sequence[LayerSubject],
    tensors: Sequence[str],
    tensor_aliases: Mapping[str, str] | None = None,
) -> Resolution:
    """The effective settings of every tensor of ``tensors``, every weight and every layer of ``layers``.

    ``tensors`` are all activation tensors (graph inputs, layer outputs); ``tensor_aliases`` maps other names to them.
    """
    matches = match_rules(variant, layers, tensors, tensor_aliases or {})
    weights = {name: _started(name, variant, is_weight=True) for layer in layers for name in layer.weights}
    activations = {name: _started(name, variant, is_weight=False) for name in tensors}
    own = {layer.name: _started(layer.name, variant, is_weight=False) for layer in layers}
    effects: dict[Place, list[tuple[int, object]]] = {}
    by_name = {layer.name: layer for layer in layers}
    for rule in in_rule_order(variant.rules):
        for subject, named in _subjects(rule, matches, by_name, weights, activations):
            _apply(rule, subject, named)
            _note_effect(rule, subject, named, effects)
        if rule.kind in LAYER_KINDS:
            for name in matches.by_rule.get(rule.index, ()):
                _apply(rule, own[name], named=False)
    problems = (*matches.problems, *effect_problems(variant, effects, _winners(weights, activations, own), matches))
    return Resolution(
        weights={name: _settled(subject) for name, subject in weights.items()},
        tensors={name: _settled(subject) for name, subject in activations.items()},
        layers={name: _settled(subject) for name, subject in own.items()},
        matches=matches.by_rule,
        problems=tuple(sorted(problems, key=_rule_number)),
    )


def in_rule_order(rules: Sequence[Rule]) -> list[Rule]:
    """The rules in the order in which they are applied."""
    return sorted(rules, key=lambda rule: (KIND_ORDER.index(rule.kind), rule.index))


def _rule_number(problem: Diagnostic) -> int:
    match = re.search(r"\]\.rules\[(\d+)\]", problem.subject or "")
    return int(match.group(1)) if match else -1


def _started(name: str, variant: Quantize, *, is_weight: bool) -> _Subject:
    """A subject with the variant's settings."""
    settings = variant.settings
    prefix = "weights." if is_weight else "activations."
    subject = _Subject(name, is_weight)
    for key in TENSOR_KEYS:
        plain = None if is_weight and key in OF_ACTIVATIONS else settings.get(key)
        subject.decisions[key] = _Decision(settings.get(prefix + key, plain))
    if subject.decisions["algorithm"].value is None:
        subject.decisions["algorithm"].value = Call("minmax")
    subject.decisions["scheme"].rank = (-1, 0 if prefix + "scheme" in settings else -1)
    subject.decisions["type"].rank = (-1, 0 if prefix + "type" in settings else -1)
    return subject


def _subjects(
    rule: Rule,
    matches: Matches,
    layers: Mapping[str, LayerSubject],
    weights: Mapping[str, _Subject],
    activations: Mapping[str, _Subject],
) -> list[tuple[_Subject, bool]]:
    """The tensors and weights that a rule applies to, and whether it names a weight itself."""
    names = matches.by_rule.get(rule.index, ())
    if rule.kind in LAYER_KINDS:
        found = []
        for name in names:
            layer = layers[name]
            found += [(weights[constant], False) for constant in layer.weights]
            found += [(activations[tensor], False) for tensor in layer.outputs if tensor in activations]
        return found
    exact = rule.kind == "tensor"
    return [(activations[name], False) if name in activations else (weights[name], exact) for name in names]


def _apply(rule: Rule, subject: _Subject, named: bool) -> None:
    for key, value in sets_for(rule, subject.is_weight, named).items():
        rank = (KIND_ORDER.index(rule.kind), rule.index)
        subject.decisions[key] = _Decision(value, rank, rule.kind)


def _note_effect(rule: Rule, subject: _Subject, named: bool, effects: dict[Place, list[tuple[int, object]]]) -> None:
    for key, value in sets_for(rule, subject.is_weight, named).items():
        effects.setdefault((_place(subject), key), []).append((rule.index, value))


def _place(subject: _Subject) -> str:
    return ("weights:" if subject.is_weight else "tensors:") + subject.name


def sets_for(rule: Rule, is_weight: bool, named: bool) -> dict[str, object]:
    """What a rule sets on a weight or on an activation, prefixes applied."""
    prefix, other = ("weights.", "activations.") if is_weight else ("activations.", "weights.")
    found: dict[str, object] = {}
    if rule.sets.get("skip"):
        found["type"] = "f32"
    for name, value in rule.sets.items():
        if name in TENSOR_KEYS and not (is_weight and name in OF_ACTIVATIONS and not named):
            found.setdefault(name, value)
    for name, value in rule.sets.items():
        if name.startswith(prefix) and not name.startswith(other):
            found[name.removeprefix(prefix)] = value
    return found


def _winners(
    weights: Mapping[str, _Subject], activations: Mapping[str, _Subject], own: Mapping[str, _Subject]
) -> dict[int, set[tuple[str, str]]]:
    """Rule index -> (place, key) that it decided in the end; of a layer itself, whether it stays float counts."""
    winners: dict[int, set[tuple[str, str]]] = {}
    for subject in (*weights.values(), *activations.values()):
        for key, decision in subject.decisions.items():
            if decision.rank[0] >= 0:
                winners.setdefault(decision.rank[1], set()).add((_place(subject), key))
    for layer in own.values():
        decision = layer.decisions["type"]
        if decision.rank[0] >= 0 and decision.value == "f32":
            winners.setdefault(decision.rank[1], set()).add((f"layers:{layer.name}", "type"))
    return winners


def _settled(subject: _Subject) -> TensorSettings:
    """The effective values of a subject, scheme and type brought together."""
    decisions = subject.decisions
    scheme, type_name = _together(decisions["scheme"], decisions["type"], subject.is_weight)
    values = {
        "type": type_name,
        "scheme": scheme,
        "algorithm": decisions["algorithm"].value,
        "min": decisions["min"].value,
        "max": decisions["max"].value,
        "granularity": "channel" if scheme == "perchannel_symmetric_affine" and type_name != "f32" else "tensor",
        "skip": type_name == "f32",
    }
    decided = (decisions[key].kind for key in TENSOR_KEYS)
    return TensorSettings(values, next((kind for kind in decided if kind != DEFAULT), DEFAULT))


def _together(scheme: _Decision, type_: _Decision, is_weight: bool) -> tuple[str, str]:
    chosen, name = str(scheme.value), str(type_.value)
    if name == "f32":
        return chosen, name
    if chosen == "perchannel_symmetric_affine" and not is_weight:
        chosen = "asymmetric_affine"
    if name in COMBINATIONS[chosen]:
        return chosen, name
    if scheme.rank > type_.rank:
        return chosen, COMBINATIONS[chosen][0]
    return SCHEME_OF_TYPE[name], name
