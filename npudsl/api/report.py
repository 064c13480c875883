"""The report of the last build: nothing runs, what the build measured is read back from the cache.

When the program, its data or the tool changed since, the report says so and why; it is then of the build before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.api.explanations.decisions import RuleView, VariantReader, line_record
from npudsl.api.plan import plan_program
from npudsl.api.project import Project, located, open_project
from npudsl.artifacts.comparison import ComparisonReport, LayerFigures
from npudsl.artifacts.quant_table import QuantTable, TableLine, read_table
from npudsl.diagnostics import Diagnostic, NpuError, UserError
from npudsl.engine.memory import load_memory

if TYPE_CHECKING:
    from npudsl.artifacts.blob import Tree
    from npudsl.keys import Json
    from npudsl.store.cache import Cache


@dataclass(frozen=True)
class LayerDetails:
    """How one layer of a comparison is quantized: its table lines, weights first, and the rules that reach it."""

    lines: tuple[TableLine, ...]
    rules: tuple[RuleView, ...]

    def record(self) -> dict[str, Json]:
        return {
            "table": [line_record(line) for line in self.lines],
            "rules": [{"rule": rule.text, "place": rule.place, "because": rule.because} for rule in self.rules],
        }


@dataclass(frozen=True)
class ReportedComparison:
    """One comparison with the details of its layers, by the tensor they make."""

    report: ComparisonReport
    details: Mapping[str, LayerDetails]

    def record(self) -> dict[str, Json]:
        return {**self.report.record(), "details": {name: item.record() for name, item in self.details.items()}}


@dataclass(frozen=True)
class BuildView:
    """The last build. ``stale`` says why it is not what a build would make now; empty when it is."""

    program: str
    comparisons: tuple[ReportedComparison, ...]
    stale: str = ""

    def record(self) -> dict[str, Json]:
        return {
            "program": self.program,
            "stale": self.stale or None,
            "comparisons": [comparison.record() for comparison in self.comparisons],
        }


def last_build(path: str | Path, *, roots: Mapping[str, str] | None = None) -> BuildView:
    """What the last build of a program measured; raises ``UserError`` E0803 when nothing of it is there any more."""
    project = open_project(path, roots=roots)

    def work() -> BuildView:
        cache = project.open_cache()
        try:
            comparisons = tuple(_comparisons(project, cache))
        finally:
            cache.close()
        if not comparisons:
            raise _nothing(project)
        return BuildView(project.program.name, comparisons, _stale(path, roots))

    return located(project.program, work)


def _comparisons(project: Project, cache: Cache) -> Iterable[ReportedComparison]:
    """The comparisons of the last build that the program still has, and the verdicts of variants that none judges."""
    trees = _LastTrees(project, cache)
    written = {compare.name for compare in project.program.comparisons}
    implied = {f"verdict-{name}" for name in project.program.variants}
    for name in trees.names("compare"):
        tree = trees.tree(f"compare:{name}")
        if tree is None or name not in written | implied:
            continue
        report = ComparisonReport.load(tree, cache.content)
        yield ReportedComparison(report, _details(project, trees, report, cache))


class _LastTrees:
    """Results of the last build, by step."""

    def __init__(self, project: Project, cache: Cache) -> None:
        self._memory = load_memory(project.state_file("last"))
        self._cache = cache

    def names(self, kind: str) -> list[str]:
        return [id_.partition(":")[2] for id_ in self._memory.steps if id_.partition(":")[0] == kind]

    def tree(self, id_: str) -> Tree | None:
        step = self._memory.steps.get(id_)
        result = self._cache.lookup(step.join_key)[0] if step is not None else None
        return None if result is None else result.tree


def _details(project: Project, trees: _LastTrees, report: ComparisonReport, cache: Cache) -> dict[str, LayerDetails]:
    """Details of the candidate's layers; none when it is the float model or its table is not in the cache."""
    from npudsl.steps.quantize.structure import load_structure

    variant = project.program.variants.get(report.candidate)
    model, quantized = trees.tree("import"), trees.tree(f"quantize:{report.candidate}")
    if variant is None or model is None or quantized is None:
        return {}
    table = read_table(cache.content.read_bytes(quantized["table"]).decode("utf-8"), f"{report.candidate}.quant")
    structure = load_structure(model, cache.content)
    reader = VariantReader(project, structure, variant)
    weights = {group.name: (*group.weights, *group.operands) for group in structure.groups}
    return {
        layer.tensor: LayerDetails(tuple(_lines(table, layer, weights)), _rules(reader, layer, weights))
        for layer in report.layers
    }


def _lines(table: QuantTable, layer: LayerFigures, weights: Mapping[str, tuple[str, ...]]) -> Iterable[TableLine]:
    for name in weights.get(layer.layer, ()):
        if name in table.weights:
            yield table.weights[name]
    if layer.tensor in table.activations:
        yield table.activations[layer.tensor]


def _rules(reader: VariantReader, layer: LayerFigures, weights: Mapping[str, tuple[str, ...]]) -> tuple[RuleView, ...]:
    names = [name for name in weights.get(layer.layer, ()) if reader.has_weight(name)]
    names += [layer.tensor] if reader.has_tensor(layer.tensor) else []
    return reader.view(names).rules


def _stale(path: str | Path, roots: Mapping[str, str] | None) -> str:
    """Why a build would make something else now; empty when it would not."""
    try:
        steps = plan_program(path, roots=roots).steps
    except NpuError as error:
        return f"a build would stop: {error.diagnostics[0].message}"
    first = next((step for step in steps if step.verdict == "run"), None)
    return "" if first is None else f"{first.id} would run: {first.reason}"


def _nothing(project: Project) -> NpuError:
    diagnostic = Diagnostic(
        "E0803",
        f"no comparison of the last build of {project.program.name} is in the cache",
        notes=("it was not built here, or the cache was emptied",),
        helps=(f"npu build {project.path}",),
    )
    return UserError([diagnostic])
