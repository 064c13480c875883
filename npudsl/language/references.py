"""Names that must belong to a block of the program: datasets, variants, recorded values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from npudsl.diagnostics import Diagnostic, Label, Span
from npudsl.language.names import listed, meant
from npudsl.language.schema.types import Reference

_NOUNS = {"dataset": "dataset", "quantize": "variant", "golden": "golden"}
FLOAT = "float"
"""The reserved name of the unquantized model."""


def check_references(references: Iterable[Reference], labels: Mapping[str, Collection[str]]) -> list[Diagnostic]:
    """E0213 for every reference to a block that is not there; each place once."""
    problems: dict[Span, Diagnostic] = {}
    for reference in references:
        known = _known(reference, labels)
        if reference.name not in known and reference.span not in problems:
            problems[reference.span] = _unknown(reference, known, labels)
    return list(problems.values())


def _known(reference: Reference, labels: Mapping[str, Collection[str]]) -> list[str]:
    known = [name for kind in reference.kinds for name in labels.get(kind, ())]
    return [*known, FLOAT] if "quantize" in reference.kinds else known


def _unknown(reference: Reference, known: list[str], labels: Mapping[str, Collection[str]]) -> Diagnostic:
    nouns = " or ".join(_NOUNS[kind] for kind in reference.kinds)
    helps, fixes = meant(reference.name, known, reference.span)
    elsewhere = [kind for kind, names in labels.items() if reference.name in names and kind not in reference.kinds]
    if elsewhere:
        helps, fixes = (f"`{reference.name}` is a {elsewhere[0]} block; `{reference.key}` takes a {nouns}",), ()
    elif not helps:
        helps = (f"there are: {listed(known)}",) if known else (f"write a `{reference.kinds[0]}` block",)
    return Diagnostic(
        "E0213", f"`{reference.name}` is not a {nouns}", (Label(reference.span),), helps=helps, fixes=fixes
    )
