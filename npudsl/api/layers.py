"""The layers of a model as the rules see them, and what a variant makes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from npudsl.api.planned import plan_of
from npudsl.api.project import located, open_project
from npudsl.artifacts.float_model import graph_from_record, groups_from_record
from npudsl.artifacts.quantized_model import QuantizedModel
from npudsl.diagnostics import Diagnostic, UserError
from npudsl.engine.events import SilentReporter
from npudsl.engine.memory import load_memory
from npudsl.engine.run import Engine, needed_steps
from npudsl.language.patterns import BadPattern, pattern_regex


@dataclass(frozen=True)
class LayerRow:
    """One layer. ``type`` is that of its output in the variant asked for."""

    name: str
    operators: tuple[str, ...]
    shape: tuple[int, ...]
    weights: tuple[str, ...]
    outputs: tuple[str, ...]
    aliases: tuple[str, ...]
    macs: int
    type: str | None = None


def list_layers(
    path: str | Path, *, pattern: str | None = None, variant: str | None = None, roots: Mapping[str, str] | None = None
) -> list[LayerRow]:
    """The layers of a program's model, in graph order; imports (and with ``variant`` quantizes) what is not there yet.

    Raises ``UserError`` when ``variant`` is unknown or the pattern is malformed.
    """
    project = open_project(path, roots=roots)

    def work() -> list[LayerRow]:
        plan = plan_of(project)
        wanted = "import" if variant is None else f"quantize:{variant}"
        if variant is not None and variant not in project.program.variants:
            known = ", ".join(project.program.variants) or "none"
            raise UserError([Diagnostic("E0213", f"there is no variant `{variant}`; variants are {known}")])
        cache = project.open_cache()
        try:
            engine = Engine(cache, plan.host, jobs=1, reporter=SilentReporter())
            results, _ = engine.build(
                needed_steps(plan.pipeline.steps, [wanted]), load_memory(project.state_file("last"))
            )
            record = cache.content.read_json(results["import"].tree["graph.json"])
            types = (
                {
                    name: tensor.type
                    for name, tensor in QuantizedModel.load(results[wanted].tree, cache.content).tensors.items()
                }
                if variant is not None
                else {}
            )
        finally:
            cache.close()
        return _rows(record, types, pattern)

    return located(project.program, work)


def _matcher(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return pattern_regex("glob", pattern)
    except BadPattern as error:
        raise UserError([Diagnostic("E0305", f"the pattern {pattern!r} cannot be read: {error}")]) from None


def _rows(record: Mapping[str, object], types: Mapping[str, str], pattern: str | None) -> list[LayerRow]:
    graph = graph_from_record(record, {})
    nodes = {node.name: node for node in graph.nodes}
    aliases: dict[str, list[str]] = {}
    for alias, node in graph.aliases.items():
        aliases.setdefault(node, []).append(alias)
    matches = _matcher(pattern)
    rows = []
    for group in groups_from_record(record):
        names = [name for node in group.nodes for name in (node, *aliases.get(node, ()))]
        if matches is not None and not any(matches.search(name) for name in names):
            continue
        rows.append(
            LayerRow(
                group.name,
                tuple(nodes[node].op for node in group.nodes),
                graph.types[group.outputs[0]].shape,
                group.weights,
                group.outputs,
                tuple(name for name in names if name != group.name),
                group.macs,
                types.get(group.outputs[0]),
            )
        )
    return rows
