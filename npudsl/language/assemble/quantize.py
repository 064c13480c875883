"""``quantize`` blocks: settings with defaults, rules in effective order, and what is wrong whatever the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from npudsl.diagnostics import Diagnostic, Fix, Label, Span
from npudsl.language.assemble.ledger import Ledger
from npudsl.language.bodies import Body, RuleLine
from npudsl.language.patterns import BadPattern, has_wildcard, pattern_regex
from npudsl.language.program import Call, Quantize, Rule, RuleKind, Selector
from npudsl.language.schema.quantize import COMBINATIONS, PREFIXES, SCHEME_OF_TYPE
from npudsl.language.values import Pattern, Text

DEFAULT_SCHEME = "asymmetric_affine"
DEFAULT_ALGORITHM = Call("minmax")
MOST_PAIRS = 100
"""More contradictions than this are not looked for in one variant: fewer are shown."""


def variant(body: Body, ledger: Ledger) -> Quantize:
    subject = f"quantize[{body.label}]"
    ledger.block(subject, body)
    settings = _settings(body, subject, ledger)
    rules = tuple(_rule(line, index, subject, ledger) for index, line in enumerate(body.rules))
    _check_pairs(body.rules, rules, ledger)
    calibrate = cast("str | None", body.entries["calibrate"].value if body.has("calibrate") else None)
    return Quantize(body.label, calibrate, settings, rules)


def _settings(body: Body, subject: str, ledger: Ledger) -> dict[str, object]:
    written = {name: entry.value for name, entry in body.entries.items() if name != "calibrate"}
    _check_combinations(written, {name: entry.span for name, entry in body.entries.items()}, ledger)
    settings: dict[str, object] = {
        "scheme": DEFAULT_SCHEME,
        "type": "u8",
        "algorithm": DEFAULT_ALGORITHM,
        "profile": None,
    }
    settings.update(written)
    if "type" in written and "scheme" not in written:
        settings["scheme"] = SCHEME_OF_TYPE.get(cast(str, written["type"]), DEFAULT_SCHEME)
    if "scheme" in written and "type" not in written:
        settings["type"] = COMBINATIONS[cast(str, written["scheme"])][0]
    ledger.defaults.update(f"{subject}.{key}" for key in settings if key not in written and key != "profile")
    for prefix in PREFIXES:
        entry = body.entries.get(f"{prefix}type")
        if entry is not None and entry.value == "f32":
            ledger.error(
                "E0208",
                "a variant in float is not available",
                entry.span,
                "the unquantized model is called `float`; single layers stay float by rules: `op Softmax type=f32`",
            )
    return settings


def _check_combinations(values: Mapping[str, object], spans: Mapping[str, Span], ledger: Ledger) -> None:
    """Scheme and type written together must go together; per-channel scales are for weights."""
    for prefix in PREFIXES:
        scheme, type_name = values.get(f"{prefix}scheme"), values.get(f"{prefix}type")
        if prefix == "activations." and scheme == "perchannel_symmetric_affine":
            ledger.error(
                "E0601",
                "activations have no per-channel scales",
                spans["activations.scheme"],
                "write `activations.scheme = asymmetric_affine`",
            )
        if scheme is None or type_name is None or type_name == "f32":
            continue
        allowed = COMBINATIONS[cast(str, scheme)]
        if type_name not in allowed:
            first, second = sorted((f"{prefix}scheme", f"{prefix}type"), key=lambda key: spans[key].start)
            ledger.error(
                "E0601",
                f"{scheme} takes {' or '.join(allowed)}, not {type_name}",
                spans[second],
                f"write `{prefix}type = {allowed[0]}`, or `{prefix}scheme = {SCHEME_OF_TYPE[cast(str, type_name)]}`",
                others=(Label(spans[first], "this is the other half", primary=False),),
            )


def _rule(line: RuleLine, index: int, subject: str, ledger: Ledger) -> Rule:
    own = f"{subject}.rules[{index}]"
    ledger.origins[own] = line.span
    ledger.origins.update({f"{own}.{name}": entry.span for name, entry in line.entries.items()})
    ledger.origins.update({f"{own}.{name}": span for name, span in line.flags.items()})
    kind = cast(RuleKind, line.form.name)
    selector = _selector(line, kind, ledger)
    sets = {name: entry.value for name, entry in line.entries.items() if name != "matches"}
    if "skip" in line.flags:
        sets["skip"] = True
    _check_sets(line, kind, sets, ledger)
    matches = line.entries["matches"].value if "matches" in line.entries else None
    return Rule(
        index=index,
        kind=kind,
        selector=selector,
        sets=sets,
        optional="optional" in line.flags,
        matches=cast("int | None", matches),
        because=line.because,
        inherited=line.inherited,
    )


def _selector(line: RuleLine, kind: str, ledger: Ledger) -> Selector:
    chosen = line.selectors[0]
    if isinstance(chosen, Pattern):
        selector = Selector("regex", chosen.text)
    else:
        assert isinstance(chosen, Text)
        selector = Selector("glob" if kind in ("layers", "tensors") else "exact", chosen.text)
    if selector.kind != "exact" and not line.inherited:
        try:
            pattern_regex(selector.kind, selector.text)
        except BadPattern as bad:
            offset = line.span.start + (4 if selector.kind == "regex" else 1) + bad.position
            exact = "${" not in line.span.source.text[line.span.start : line.span.end]
            span = Span(line.span.source, offset, min(offset + 1, line.span.end)) if exact else line.span
            ledger.error("E0305", bad.message, span)
    if selector.kind == "glob" and not has_wildcard(selector.text) and not line.inherited:
        keyword = Span(line.line.source, line.line.start, line.line.start + len(kind))
        singular = kind.removesuffix("s")
        ledger.warnings.append(
            Diagnostic(
                "W0305",
                f"`{kind}` without a wildcard selects one name",
                labels=(Label(line.span),),
                helps=(f"write `{singular}`: an exact name beats every pattern",),
                fixes=(Fix(keyword, singular, f"write {singular}"),),
                severity="warning",
            )
        )
    return selector


def _check_sets(line: RuleLine, kind: str, sets: Mapping[str, object], ledger: Ledger) -> None:
    if line.inherited:
        return
    spans = {name: entry.span for name, entry in line.entries.items()} | line.flags
    _check_combinations(sets, spans, ledger)
    _check_ranges(sets, spans, ledger)
    if not sets:
        ledger.error("E0303", "this rule sets nothing", line.line, "for example `type=i16`, or leave the line out")
    if "matches" in line.entries and kind in ("layer", "tensor"):
        message = f"`{kind}` matches exactly one name"
        ledger.error("E0206", message, spans["matches"], "leave out `matches=`")
    is_float = sets.get("type") == "f32"
    if is_float and kind in ("tensor", "tensors"):
        ledger.error(
            "E0208",
            "a single tensor in float is not available yet",
            spans["type"],
            'keep the layers around it in float: `layer "name" type=f32`',
        )
    if "skip" in sets and kind in ("tensor", "tensors"):
        ledger.error("E0208", "`skip` is for layers", spans["skip"], 'write `layer "name" skip`')
    if "skip" in sets and "type" in sets and not is_float:
        others = (Label(spans["skip"], "keeps the layer float", primary=False),)
        ledger.error("E0206", "`skip` and an integer type contradict each other", spans["type"], others=others)
    for prefix in PREFIXES[1:]:
        if sets.get(f"{prefix}type") == "f32":
            message = "half a layer in float is not available"
            ledger.error("E0208", message, spans[f"{prefix}type"], "write `type=f32` for the whole layer")


def _check_ranges(sets: Mapping[str, object], spans: Mapping[str, Span], ledger: Ledger) -> None:
    for prefix in PREFIXES:
        low, high = sets.get(f"{prefix}min"), sets.get(f"{prefix}max")
        if isinstance(low, float) and isinstance(high, float) and not low < high:
            others = (Label(spans[f"{prefix}min"], "not below the other end", primary=False),)
            ledger.error("E0306", f"min {low:g} is not below max {high:g}", spans[f"{prefix}max"], others=others)


def _check_pairs(lines: list[RuleLine], rules: tuple[Rule, ...], ledger: Ledger) -> None:
    """Rules of one block with the same selector text that set the same thing: one of them has no effect there."""
    before = len(ledger.problems)
    same: dict[tuple[str, Selector], list[tuple[RuleLine, Rule]]] = {}
    for later_line, later in zip(lines, rules, strict=True):
        if later.inherited:
            continue
        group = same.setdefault((later.kind, later.selector), [])
        for earlier_line, earlier in group:
            _check_pair(earlier_line, earlier, later_line, later, ledger)
        group.append((later_line, later))
        if len(ledger.problems) - before > MOST_PAIRS:
            return


def _check_pair(earlier_line: RuleLine, earlier: Rule, later_line: RuleLine, later: Rule, ledger: Ledger) -> None:
    first, second = decisions(earlier.sets), decisions(later.sets)
    common = [key for key in first if key in second]
    different = [key for key in common if first[key] != second[key]]
    what = "tensor" if later.kind in ("tensor", "tensors") else "layer"
    if different:
        key = different[0]
        labels = (
            Label(_decider(later_line, key)),
            Label(_decider(earlier_line, key), "first set here", primary=False),
        )
        shown = key[1] if key[0] == "" else f"{key[0]}{key[1]}"
        exact = later.selector.kind == "exact"
        target = f"the same {what}" if exact else f"the same {what}s"
        message = f"two rules of the same kind set `{shown}` on {target}"
        helps = ("keep one of them; `npu fix` removes the first",)
        fixes = (_without(earlier_line, key),)
        ledger.problems.append(Diagnostic("E0304", message, labels=labels, helps=helps, fixes=fixes))
    elif first and len(common) == len(first):
        others = (Label(later_line.line, "by this one", primary=False),)
        message, fixes = "every value of this rule is set again", (_without_line(earlier_line),)
        ledger.error("E0303", message, earlier_line.line, "leave it out", others=others, fixes=fixes)


def _without(line: RuleLine, key: tuple[str, str]) -> Fix:
    """The edit that takes one value out of a rule, with the whole line where it is the only one."""
    place = _decider(line, key)
    if len(line.entries) + ("skip" in line.flags) - ("matches" in line.entries) < 2:
        return _without_line(line)
    start = place.start
    while start > 0 and place.source.text[start - 1] in " \t":
        start -= 1
    return Fix(Span(place.source, start, place.end), "", "remove the first")


def _without_line(line: RuleLine) -> Fix:
    """The edit that removes a rule with its lines; what stands around it on them goes with it (a comment)."""
    text = line.line.source.text
    start = text.rfind("\n", 0, line.line.start) + 1
    end = text.find("\n", line.line.end)
    return Fix(Span(line.line.source, start, len(text) if end < 0 else end + 1), "", "remove the line")


def decisions(sets: Mapping[str, object]) -> dict[tuple[str, str], object]:
    """What a rule decides: (prefix, key) -> value. ``skip`` decides the type: float."""
    found: dict[tuple[str, str], object] = {}
    for name, value in sets.items():
        prefix, dot, key = name.rpartition(".")
        if key == "skip":
            found["", "type"] = "f32"
        else:
            found[prefix + dot, key] = value
    return found


def _decider(line: RuleLine, key: tuple[str, str]) -> Span:
    name = key[0] + key[1]
    if name in line.entries:
        return line.entries[name].span
    return line.flags.get("skip", line.span)
