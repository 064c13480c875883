"""What a variant asks of a chip, read off the checked program line by line.

A variant is its settings and its rules. Each of them becomes up to three *choices* (the plain keys, those with
``weights.``, those with ``activations.``), so that a constraint looks at one line at a time and can point at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from npudsl.language.frozen import frozen
from npudsl.language.program import Program, Quantize
from npudsl.language.schema.quantize import COMBINATIONS, PREFIXES, SCHEME_OF_TYPE


@frozen
class Choice:
    """The type and scheme that one line (or the settings of a variant) gives to one part of a layer."""

    owner: str
    """Subject of the settings or of the rule: ``quantize[u8]``, ``quantize[u8].rules[3]``."""
    part: str
    """``""``, ``weights.`` or ``activations.``"""
    is_rule: bool
    written: frozenset[str]
    """Which of ``type`` and ``scheme`` the line itself says."""
    base_type: str
    """The variant's type."""
    type: str
    scheme: str | None
    """The scheme in force, or the one that the type brings along; None for f32."""

    def subject(self, key: str) -> str:
        """The subject of one of its keys."""
        return f"{self.owner}.{self.part}{key}"


def choices(program: Program, variant: Quantize) -> Iterator[Choice]:
    """The settings of the variant, then its rules, in source order."""
    owner = f"quantize[{variant.name}]"
    base_type = str(variant.settings["type"])
    base_scheme = str(variant.settings["scheme"])
    settings = {
        key: value
        for key, value in variant.settings.items()
        if not (key == "scheme" and f"{owner}.scheme" in program.defaults)
    }
    yield from _by_part(owner, settings, False, base_type, base_scheme)
    for rule in variant.rules:
        sets = {**rule.sets, "type": "f32"} if rule.sets.get("skip") else rule.sets
        yield from _by_part(f"{owner}.rules[{rule.index}]", sets, True, base_type, base_scheme)


def _by_part(
    owner: str, sets: Mapping[str, object], is_rule: bool, base_type: str, base_scheme: str
) -> Iterator[Choice]:
    for part in PREFIXES:
        written = frozenset(key for key in ("type", "scheme") if sets.get(part + key) is not None)
        if not written:
            continue
        type_ = str(sets.get(part + "type", sets.get("type", base_type)))
        scheme = str(sets.get(part + "scheme", sets.get("scheme", base_scheme)))
        if type_ not in COMBINATIONS.get(scheme, ()):
            scheme = SCHEME_OF_TYPE.get(type_, "")
        yield Choice(owner, part, is_rule, written, base_type, type_, scheme or None)
