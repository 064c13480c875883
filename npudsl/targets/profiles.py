"""Which arithmetic a variant is simulated in: what the variant writes, else what its targets agree on.

One variant is one integer program. Two targets that compute differently cannot share it in silence (E0606).
"""

from __future__ import annotations

from npudsl.diagnostics import Problem
from npudsl.language.program import Program, TargetBlock
from npudsl.targets.load import find_target
from npudsl.targets.target import Target

DEFAULT_PROFILE = "exact"
DEFAULT_SATURATION = "full"


def targets_of(program: Program, variant: str) -> tuple[tuple[TargetBlock, Target], ...]:
    """The target blocks that use the variant, with their chips; raises ``Problem`` for a chip nobody knows."""
    return tuple(
        (block, find_target(block.identity, f"target[{block.name}]"))
        for block in program.targets.values()
        if variant_of(program, block) == variant
    )


def variant_of(program: Program, block: TargetBlock) -> str | None:
    """The variant that a target block uses: the one it names, else the only one there is."""
    if block.quantize is None and len(program.variants) == 1:
        return next(iter(program.variants))
    return block.quantize


def written_profile(program: Program, variant: str) -> str | None:
    """The ``profile`` that the variant's text sets; None when it is left to the targets."""
    if f"quantize[{variant}].profile" in program.defaults:
        return None
    profile = program.variants[variant].settings.get("profile")
    return None if profile is None else str(profile)


def resolve_profile(program: Program, variant: str) -> str:
    """The arithmetic profile of a variant; ``exact`` when neither the text nor a target names one.

    Raises ``Problem`` E0606 when the variant's targets compute differently and the variant does not decide.
    """
    written = written_profile(program, variant)
    if written is not None:
        return written
    profiles = {block.name: chip.profile for block, chip in targets_of(program, variant) if chip.profile is not None}
    return _agreed(profiles, variant, "arithmetic profile", "profile") or DEFAULT_PROFILE


def resolve_saturation(program: Program, variant: str) -> str:
    """``full`` or ``symmetric``: the range of dynamic fixed point codes on the variant's targets.

    ``full`` when no target says. Raises ``Problem`` E0606 when two targets differ.
    """
    ranges = {
        block.name: range_
        for block, chip in targets_of(program, variant)
        for range_ in sorted(set(chip.saturation.values()))
    }
    return _agreed(ranges, variant, "saturation of dynamic fixed point", None) or DEFAULT_SATURATION


def _agreed(by_target: dict[str, str], variant: str, what: str, key: str | None) -> str | None:
    words = sorted(set(by_target.values()))
    if len(words) < 2:
        return words[0] if words else None
    notes = [f"target {name}: {word}" for name, word in by_target.items()]
    helps = [f"give each target a variant of its own: `quantize {variant}_2 from {variant}`"]
    if key is not None:
        helps.insert(0, f"or decide in `quantize {variant}`: `{key} = {words[0]}`")
        helps.reverse()
    message = f"the targets of `{variant}` differ in {what}: {' and '.join(words)}"
    raise Problem("E0606", message, subject=f"quantize[{variant}]", notes=notes, helps=helps)
