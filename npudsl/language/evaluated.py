"""The evaluated program as blocks of facts: bases merged, constants replaced, defaults filled in.

A fact is a key with its value, or a rule. The blocks have the names and keys of the schema, so that the flat form, the
JSON form and its schema are the same table seen from three sides. What the program does not hold (presets, constants,
which base a key came from) is not here; rules keep the mark that they came from a base, because it counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from npudsl.language.frozen import frozen
from npudsl.language.program import (
    Call,
    Dataset,
    Feed,
    GoldenFile,
    Input,
    Labels,
    Program,
    Quantize,
    Requirement,
    TargetBlock,
)
from npudsl.language.program import Rule as ProgramRule
from npudsl.language.reference import block_forms

Values = Mapping[str, object]


@frozen
class Rule:
    """A rule: its keyword, what it selects (None for ``require``), and what else stands on its line.

    ``pattern`` says how ``selector`` is read: ``exact``, ``glob`` or ``regex``. ``condition``: metric, operator, value.
    """

    keyword: str
    selector: str | None
    values: Values
    flags: tuple[str, ...] = ()
    pattern: str = "exact"
    condition: tuple[str, str, float] | None = None
    because: str | None = None
    inherited: bool = False


@frozen
class Block:
    """A block: ``values`` in the order of the schema, without keys that have none; ``defaults`` names some of them."""

    keyword: str
    label: str
    values: Values
    defaults: frozenset[str]
    rules: tuple[Rule, ...] = ()
    blocks: tuple[Block, ...] = ()


def evaluated(program: Program) -> tuple[Block, ...]:
    """The blocks in the order of the schema.

    Inputs, outputs, simulations, recorded values and comparisons keep the order of the file, which may count; data
    sets, variants and targets are sorted by name.
    """
    return tuple(_blocks(program))


def _blocks(program: Program) -> Iterator[Block]:
    model = program.model
    yield _block(program, "model", "model", model.name, {"format": model.format, "file": model.file})
    for network_input in program.inputs:
        yield _block(program, f"input[{network_input.name}]", "input", network_input.name, _input(network_input))
    for output in program.outputs:
        values = {"dtype": output.dtype, "postprocess": output.postprocess}
        yield _block(program, f"output[{output.name}]", "output", output.name, values)
    for name, dataset in sorted(program.datasets.items()):
        yield _block(program, f"dataset[{name}]", "dataset", name, _dataset(dataset), _feeds(dataset))
    for name, variant in sorted(program.variants.items()):
        settings: Values = {"calibrate": variant.calibrate, **variant.settings}
        yield _block(program, f"quantize[{name}]", "quantize", name, settings, _overrides(variant))
    for simulation in program.simulations:
        runs: Values = {key: getattr(simulation, key) for key in ("of", "data", "samples", "dump")}
        yield _block(program, f"simulate[{simulation.name}]", "simulate", simulation.name, runs)
    for golden in program.goldens:
        rules = (*_recorded("input", golden.inputs), *_recorded("output", golden.outputs))
        yield _block(program, f"golden[{golden.name}]", "golden", golden.name, {}, rules)
    for comparison in program.comparisons:
        keys = ("reference", "candidate", "data", "samples", "metrics")
        values = {key: getattr(comparison, key) or None for key in keys}
        rules = tuple(_requirement(requirement) for requirement in comparison.requires)
        yield _block(program, f"compare[{comparison.name}]", "compare", comparison.name, values, rules)
    for _, target in sorted(program.targets.items()):
        yield _target(program, target)


def _block(
    program: Program,
    subject: str,
    keyword: str,
    label: str,
    values: Values,
    rules: tuple[Rule, ...] = (),
    blocks: tuple[Block, ...] = (),
) -> Block:
    present = {key: value for key, value in values.items() if value is not None}
    form = block_forms()[{"export": "target export"}.get(keyword, keyword)]
    ordered = {key: present[key] for key in form.keys if key in present}
    defaults = frozenset(key for key in ordered if f"{subject}.{key}" in program.defaults)
    return Block(keyword, label, ordered, defaults, rules, blocks)


def _input(value: Input) -> Values:
    keys = ("shape", "dtype", "layout", "color", "mean", "scale", "resize", "crop", "reorder")
    return {key: getattr(value, key) for key in keys}


def _dataset(value: Dataset) -> Values:
    whole = [_feed_values(feed) for feed in value.feeds if feed.input is None]
    return {
        **(whole[0] if whole else {}),
        "skip": value.skip,
        "samples": value.samples,
        "batch": value.batch,
        "shuffle": Call("seed", (("n", value.shuffle_seed),)) if value.shuffle_seed is not None else None,
        **_labels(value.labels),
    }


def _labels(labels: Labels | None) -> Values:
    if labels is None:
        return {}
    return {"labels": True if labels.kind == "column" else labels.path, "label_offset": labels.offset}


def _feeds(value: Dataset) -> tuple[Rule, ...]:
    return tuple(Rule("feed", feed.input, _feed_values(feed)) for feed in value.feeds if feed.input is not None)


def _feed_values(feed: Feed) -> dict[str, object]:
    if feed.kind == "files":
        values: dict[str, object] = {"dir": feed.path, "files": feed.pattern}
    else:
        values = {feed.kind: feed.path, "key": feed.pattern}
    values |= {"dtype": feed.dtype, "shape": feed.shape}
    return {key: value for key, value in values.items() if value is not None}


def _overrides(variant: Quantize) -> tuple[Rule, ...]:
    return tuple(_override(rule) for rule in variant.rules)


def _override(rule: ProgramRule) -> Rule:
    values = {key: value for key, value in rule.sets.items() if key != "skip"}
    if rule.matches is not None:
        values["matches"] = rule.matches
    flags = (*(("skip",) if rule.sets.get("skip") else ()), *(("optional",) if rule.optional else ()))
    return Rule(
        rule.kind,
        rule.selector.text,
        values,
        flags,
        pattern=rule.selector.kind,
        because=rule.because,
        inherited=rule.inherited,
    )


def _recorded(keyword: str, files: tuple[GoldenFile, ...]) -> Iterator[Rule]:
    for file in files:
        values = {"file": file.file, "dtype": file.dtype}
        yield Rule(keyword, file.tensor, {key: value for key, value in values.items() if value is not None})


def _requirement(value: Requirement) -> Rule:
    condition = (value.metric, value.operator, value.value)
    values = {} if value.on == "outputs" else {"on": value.on}
    return Rule("require", None, values, condition=condition, because=value.because)


def _target(program: Program, value: TargetBlock) -> Block:
    subject = f"target[{value.name}]"
    exports = tuple(
        _block(
            program,
            f"{subject}.export[{export.name}]",
            "export",
            export.name,
            {"kind": export.kind, "out": export.out, **export.options},
        )
        for export in value.exports
    )
    values = {**value.identity, **value.limits, "quantize": value.quantize}
    return _block(program, subject, "target", value.name, values, blocks=exports)
