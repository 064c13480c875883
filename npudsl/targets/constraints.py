"""What a program asks of its chips against what the chips are known to do.

Each constraint is a function that looks at one choice of a variant; its docstring is the sentence the user sees (and
the row in ``docs/targets.md``), with placeholders for the measured values. It returns None when the choice is fine,
else the values of the placeholders. Unpublished facts (None) constrain nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from npudsl.diagnostics import Diagnostic, Label, Problem
from npudsl.language.frozen import frozen
from npudsl.language.program import Program, TargetBlock
from npudsl.targets.choices import Choice, choices
from npudsl.targets.load import find_target
from npudsl.targets.profiles import resolve_profile, resolve_saturation, variant_of, written_profile
from npudsl.targets.target import Target

__all__ = ["CONSTRAINTS", "Limits", "check_targets", "resolve_profile", "resolve_saturation"]

INTEGER_TYPES = frozenset(("u8", "i8", "i16"))
PER_CHANNEL = "perchannel_symmetric_affine"


@frozen
class Limits:
    """A chip as one target block of a program narrows it. None: unpublished."""

    block: str
    chip: Target
    types: tuple[str, ...] | None
    hybrid_types: tuple[str, ...] | None


Broken = Mapping[str, str]
"""Placeholder values of a broken constraint, with ``help`` and the choice's ``key`` to point at."""


def type_of_the_variant(choice: Choice, limits: Limits) -> Broken | None:
    """type `{type}` is not one that target {target} ({chip}) computes in"""
    if choice.is_rule or "type" not in choice.written or limits.types is None or choice.type in limits.types:
        return None
    return {"type": choice.type, "key": "type", "help": _use_types(limits.types)}


def type_of_a_rule(choice: Choice, limits: Limits) -> Broken | None:
    """type `{type}` cannot be mixed with `{base}` on target {target} ({chip})"""
    if not choice.is_rule or "type" not in choice.written or limits.hybrid_types is None:
        return None
    if choice.type == choice.base_type or choice.type in limits.hybrid_types:
        return None
    return {"type": choice.type, "base": choice.base_type, "key": "type", "help": _use_types(limits.hybrid_types)}


def per_channel_weights(choice: Choice, limits: Limits) -> Broken | None:
    """target {target} ({chip}) has no per-channel weights"""
    if "scheme" not in choice.written or choice.scheme != PER_CHANNEL or limits.chip.per_channel_weights is not False:
        return None
    return {"key": "scheme", "help": "use another scheme; `npu targets` lists the chips with per-channel weights"}


def scheme_with_type(choice: Choice, limits: Limits) -> Broken | None:
    """{scheme} `{type}` is not among what target {target} ({chip}) computes: {pairs}"""
    pairs = limits.chip.types or ()
    schemes = [pair.scheme for pair in pairs if pair.type == choice.type]
    if choice.scheme is None or choice.scheme in schemes or not schemes:
        return None
    if choice.scheme == PER_CHANNEL and limits.chip.per_channel_weights is False:
        return None
    return {
        "scheme": choice.scheme,
        "type": choice.type,
        "pairs": ", ".join(str(pair) for pair in pairs),
        "key": "scheme" if "scheme" in choice.written else "type",
        "help": f"for {choice.type} use {' or '.join(f'`scheme={scheme}`' for scheme in schemes)}",
    }


CONSTRAINTS: tuple[tuple[str, Callable[[Choice, Limits], Broken | None]], ...] = (
    ("E0602", type_of_the_variant),
    ("E0602", type_of_a_rule),
    ("E0603", per_channel_weights),
    ("E0601", scheme_with_type),
)


def check_targets(program: Program) -> list[Diagnostic]:
    """Everything that the program asks of its target chips and that they do not do, target by target."""
    found: list[Diagnostic] = []
    for block in program.targets.values():
        try:
            chip = find_target(block.identity, f"target[{block.name}]")
        except Problem as problem:
            found.extend(problem.diagnostics)
            continue
        found.extend(_check_block(program, block, chip))
    if not any(finding.severity == "error" for finding in found):
        found.extend(_disagreements(program))
    return found


def _check_block(program: Program, block: TargetBlock, chip: Target) -> list[Diagnostic]:
    found = _check_limits(block, chip)
    variant = program.variants.get(variant_of(program, block) or "")
    if variant is None:
        return found
    limits = _narrowed(block, chip)
    for choice in choices(program, variant):
        for code, constraint in CONSTRAINTS:
            broken = constraint(choice, limits)
            if broken is not None:
                found.append(_diagnostic(program, code, constraint, choice, limits, broken))
    found.extend(_check_profile(program, block, chip, variant.name))
    return found


def _check_limits(block: TargetBlock, chip: Target) -> list[Diagnostic]:
    """A target block's own lists narrow what its chip does; they cannot add an integer type to it."""
    found = []
    for key, known in (
        ("types", chip.type_words if chip.types is not None else None),
        ("hybrid_types", chip.hybrid_types),
    ):
        if known is None:
            continue
        for word in sorted(_words(block.limits.get(key)) & INTEGER_TYPES - set(known)):
            message = f"`{key}` names `{word}`, which {chip.id} does not have: {', '.join(known) or 'none'}"
            helps = (f"remove `{word}`; the lists of a target narrow what the chip does, they cannot add to it",)
            found.append(Diagnostic("E0602", message, helps=helps, subject=f"target[{block.name}].{key}"))
    return found


def _check_profile(program: Program, block: TargetBlock, chip: Target, variant: str) -> list[Diagnostic]:
    """A profile that the text sets against the chip's own; a warning, since one variant may serve two chips.

    ``exact`` is the idealised arithmetic of every chip and says nothing wrong about any.
    """
    written = written_profile(program, variant)
    if written in (None, "exact", chip.profile) or chip.profile is None:
        return []
    message = f"variant `{variant}` computes as `{written}`, but target {block.name} ({chip.id}) is `{chip.profile}`"
    helps = (f"leave `profile` out, or write `profile = {chip.profile}`",)
    subject = f"quantize[{variant}].profile"
    return [Diagnostic("W0606", message, helps=helps, severity="warning", subject=subject)]


def _disagreements(program: Program) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    for variant in program.variants:
        for resolve in (resolve_profile, resolve_saturation):
            try:
                resolve(program, variant)
            except Problem as problem:
                found.extend(problem.diagnostics)
    return found


def _narrowed(block: TargetBlock, chip: Target) -> Limits:
    """The chip's types within the lists of the target block; ``types`` alone narrows the integers of a hybrid too."""
    types, hybrid = (chip.type_words if chip.types is not None else None), chip.hybrid_types
    own, own_hybrid = block.limits.get("types"), block.limits.get("hybrid_types")
    if own is not None:
        types = tuple(word for word in _listed(own) if types is None or word in types)
        if hybrid is not None and own_hybrid is None:
            hybrid = tuple(word for word in hybrid if word == "f32" or word in types)
    if own_hybrid is not None:
        hybrid = tuple(word for word in _listed(own_hybrid) if hybrid is None or word in hybrid)
    return Limits(block.name, chip, types, hybrid)


def _diagnostic(
    program: Program,
    code: str,
    constraint: Callable[[Choice, Limits], Broken | None],
    choice: Choice,
    limits: Limits,
    broken: Broken,
) -> Diagnostic:
    message = (constraint.__doc__ or "").format(**broken, target=limits.block, chip=limits.chip.id)
    subject = choice.subject(broken["key"])
    labels = _labels(program, subject, limits.block)
    return Diagnostic(code, message, labels=labels, helps=(broken["help"],), subject=subject)


def _labels(program: Program, subject: str, block: str) -> tuple[Label, ...]:
    """The guilty key (or the rule or block it stands in), and the line that names the chip."""
    place = subject
    while place and place not in program.origins:
        place = place.rpartition(".")[0]
    if not place:
        return ()
    identity = (f"target[{block}].{key}" for key in ("soc", "pid", "optimize", "id", "vendor"))
    chips = [program.origins[key] for key in identity if key in program.origins]
    return (Label(program.origins[place]), *(Label(chip, "the target", primary=False) for chip in chips[:1]))


def _use_types(words: tuple[str, ...]) -> str:
    if not words:
        return "this target mixes no types: remove the rule"
    return "use " + " or ".join(f"`type={word}`" for word in words)


def _listed(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, (list, tuple)) else (str(value),)


def _words(value: object) -> set[str]:
    return set() if value is None else set(_listed(value))
