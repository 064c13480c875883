"""``target`` blocks and their exports."""

from __future__ import annotations

from typing import cast

from npudsl.diagnostics import Label
from npudsl.language.assemble.ledger import Ledger
from npudsl.language.bodies import Body
from npudsl.language.program import Export, PathValue, TargetBlock
from npudsl.language.schema.target import OPTIONS

_IDENTITY = ("vendor", "soc", "id", "optimize", "pid")
_LIMITS = ("types", "hybrid_types")


def target(body: Body, ledger: Ledger, variants: list[str]) -> TargetBlock:
    subject = f"target[{body.label}]"
    ledger.block(subject, body)
    exports = tuple(
        export
        for (_, label), inner in body.blocks.items()
        if (export := _export(inner, f"{subject}.export[{label}]", ledger)) is not None
    )
    return TargetBlock(
        body.label,
        _variant(body, ledger, variants),
        identity={key: body.entries[key].value for key in _IDENTITY if body.has(key)},
        limits={key: body.entries[key].value for key in _LIMITS if body.has(key)},
        exports=exports,
    )


def _variant(body: Body, ledger: Ledger, variants: list[str]) -> str | None:
    if body.has("quantize"):
        name = cast(str, body.entries["quantize"].value)
        if name == "float":
            ledger.error(
                "E0213",
                "`float` is the unquantized model; a target takes a quantized variant",
                body.entries["quantize"].span,
                "name a `quantize` block",
            )
        return name
    if len(variants) == 1:
        ledger.defaults.add(f"target[{body.label}].quantize")
        return variants[0]
    if variants and body.complete and not body.known("quantize"):
        message = f"target `{body.label}` needs `quantize`: there are {len(variants)} variants"
        ledger.error("E0205", message, body.span, f"write `quantize = {variants[0]}`")
    return None


def _export(body: Body, subject: str, ledger: Ledger) -> Export | None:
    ledger.block(subject, body)
    kind = body.value("kind")
    if not isinstance(kind, str):
        return None
    options = {}
    for name, of_kind in OPTIONS.items():
        if not body.has(name):
            continue
        options[name] = body.entries[name].value
        if kind != of_kind:
            others = (Label(body.entries["kind"].span, "this is another kind", primary=False),)
            message = f"`{name}` is an option of `kind = {of_kind}`"
            ledger.error("E0206", message, body.entries[name].span, "leave it out", others=others)
    return Export(body.label, kind, cast("PathValue | None", body.value("out")), options)
