"""The quantize step: expand into layers, compute each, join them to the integer program and the table.

Value of the step: the tree of ``QuantizedModel`` and ``table``, the text of the ``.quant`` file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.plan.step import Part
from npudsl.steps.quantize.kind import CHOICE_FILE, CHOICE_ROLE, RANGES_ROLE, TABLE_ROLE, calib_digest

if TYPE_CHECKING:
    from npudsl.artifacts.quant_table import QuantTable
    from npudsl.artifacts.quantized_model import QuantizedModel
    from npudsl.steps.quantize.builder import QuantizedWeight
    from npudsl.steps.quantize.plan import QuantizationPlan
    from npudsl.steps.quantize.resolution import Choice
    from npudsl.steps.quantize.structure import Structure

TABLE = "table"
"""Name of the table in the result."""


def expand(
    record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """One part per layer and graph input that has something to compute; ``UserError`` for rules that do not fit."""
    from npudsl.artifacts.statistics import statistics_entries
    from npudsl.steps.quantize.parts import quantize_parts

    plan, variant = _plan(record, inputs, reader)
    statistics = statistics_entries(inputs["statistics"], reader) if "statistics" in inputs else {}
    chosen = None if RANGES_ROLE in inputs else statistics
    return quantize_parts(plan, chosen, record["saturation"], f"quantize[{variant}]")


def run_part(record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """Ranges and codes of one layer."""
    from npudsl.steps.quantize.parts import compute_part

    return compute_part(record, inputs, context, space)


def settle(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], reader: BlobReader) -> Any:
    """What the join takes from the committed table.

    Beside statistics: ranges that stay although the new ones differ, which is usually none on the machine that wrote
    the table, and then the table moves no key. Without statistics: every range, and which samples they were made of.
    """
    from npudsl.steps.quantize.parts import gather_parts
    from npudsl.steps.quantize.sticky import kept_ranges, taken_ranges

    plan, variant = _plan(record, inputs, reader)
    if RANGES_ROLE in inputs:
        table = _table(inputs[RANGES_ROLE], variant, reader)
        ranges = taken_ranges(plan, table, f"{variant}.quant")
        return {"ranges": {name: list(range_) for name, range_ in ranges.items()}, "calib": table.header.calib}
    made, _ = gather_parts(plan, parts, reader)
    ranges = {}
    if TABLE_ROLE in inputs:
        ranges = kept_ranges(plan.ranges, made, _table(inputs[TABLE_ROLE], variant, reader))
    return {"ranges": {name: list(range_) for name, range_ in ranges.items()}, "calib": None}


def join(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """The integer program with its table; ``record["settled"]`` is what ``settle`` gave."""
    from npudsl.artifacts.quant_table import render_table, table_of
    from npudsl.steps.quantize.assemble import assemble, table_header
    from npudsl.steps.quantize.fake import assemble_half
    from npudsl.steps.quantize.parts import gather_parts

    plan, variant = _plan(record, inputs, space)
    ranges, constants = gather_parts(plan, parts, space)
    settled = record["settled"]
    ranges |= {name: (low, high) for name, (low, high) in settled["ranges"].items()}
    settings = record["variant"]["settings"]
    if settings.get("fake_quant"):
        model = assemble_half(
            settings["fake_quant"], plan, variant, record["profile"], record["saturation"], ranges, constants, space
        )
    else:
        model = assemble(plan, variant, record["profile"], record["saturation"], ranges, constants, space)
    samples = space.read_json(inputs["statistics"]["statistics.json"])["samples"] if "statistics" in inputs else None
    config = {name: value for name, value in record.items() if name != "settled"}
    table = table_of(model, table_header(plan, variant, config, settled["calib"] or calib_digest(samples)))
    text = render_table(table).encode()
    tree = {**model.save(space), TABLE: space.write_bytes(text, "text")}
    if wants_entropies(settings) and "statistics" in inputs:
        tree |= _entropies(plan, model, constants, inputs["statistics"], space, bool(settings.get("report_entropy")))
    return tree


def wants_entropies(settings: Mapping[str, Any]) -> bool:
    """Whether the variant reports entropies, or chooses layers by them."""
    hybrid = settings.get("hybrid")
    return bool(settings.get("report_entropy")) or (hybrid is not None and ["by", "entropy"] in hybrid["arguments"])


def _entropies(
    plan: QuantizationPlan,
    model: QuantizedModel,
    constants: Mapping[tuple[str, str], QuantizedWeight],
    statistics: Tree,
    space: BlobSpace,
    report: bool,
) -> Tree:
    """``entropy.json``; for a report also ``entropy.txt`` and the rule lines ``entropy.rules``."""
    from npudsl.artifacts.statistics import statistics_entries, statistics_of
    from npudsl.steps.quantize.entropy import entropies_of

    entries = statistics_entries(statistics, space)
    observed = {name: statistics_of(entry, space) for name, entry in entries.items() if name in model.tensors}
    codes = {name: space.read_array(weight.codes) for (_, name), weight in constants.items()}
    entropies = entropies_of(model, plan.structure.groups, observed, codes)
    tree = {"entropy.json": space.write_json(entropies.record())}
    if report:
        tree["entropy.txt"] = space.write_bytes(entropies.text().encode(), "text")
        tree["entropy.rules"] = space.write_bytes(entropies.suggestions(model.variant).encode(), "text")
    return tree


def _plan(record: Any, inputs: Mapping[str, Tree], reader: BlobReader) -> tuple[QuantizationPlan, str]:
    """The plan, and the variant's name."""
    from npudsl.language.resolve import quantize_from_record
    from npudsl.steps.quantize.resolution import plan_quantization
    from npudsl.steps.quantize.structure import load_structure

    variant = quantize_from_record(record["variant"])
    structure = load_structure(inputs["model"], reader)
    return plan_quantization(structure, variant, _choice(structure, variant.name, inputs, reader)), variant.name


def _choice(structure: Structure, variant: str, inputs: Mapping[str, Tree], reader: BlobReader) -> Choice:
    """The layers that a rank step chose; without its data, those that the committed table says it chose."""
    from npudsl.steps.quantize.resolution import AUTO, Choice

    if CHOICE_ROLE in inputs:
        chosen = reader.read_json(inputs[CHOICE_ROLE][CHOICE_FILE])
        return Choice(chosen["type"], tuple(chosen["layers"]))
    if RANGES_ROLE not in inputs:
        return Choice()
    lines = _table(inputs[RANGES_ROLE], variant, reader).activations
    types = {name: line.type for name, line in lines.items() if line.decided_by == AUTO}
    layers = tuple(group.name for group in structure.groups if not types.keys().isdisjoint(group.outputs))
    return Choice(next(iter(types.values())), layers) if layers else Choice()


def _table(tree: Tree, variant: str, reader: BlobReader) -> QuantTable:
    """A committed table, strictly read."""
    from npudsl.artifacts.quant_table import read_table

    (blob,) = tree.values()
    return read_table(reader.read_bytes(blob).decode("utf-8", errors="replace"), f"{variant}.quant")
