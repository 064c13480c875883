"""The quantize step: expand into layers, compute each, join them to the integer program and the table.

Value of the step: the tree of ``QuantizedModel`` and ``table``, the text of the ``.quant`` file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.plan.step import Part

if TYPE_CHECKING:
    from npudsl.artifacts.quant_table import QuantTable
    from npudsl.steps.quantize.plan import QuantizationPlan

TABLE = "table"
"""Role of the committed table among the inputs, and name of the new one in the result."""


def expand(
    record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """One part per layer and graph input that has something to compute; ``UserError`` for rules that do not fit."""
    from npudsl.artifacts.statistics import statistics_entries
    from npudsl.steps.quantize.parts import quantize_parts

    plan, variant = _plan(record, inputs, reader)
    statistics = statistics_entries(inputs["statistics"], reader) if "statistics" in inputs else {}
    return quantize_parts(plan, statistics, record["saturation"], f"quantize[{variant}]")


def run_part(record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """Ranges and codes of one layer."""
    from npudsl.steps.quantize.parts import compute_part

    return compute_part(record, inputs, context, space)


def settle(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], reader: BlobReader) -> Any:
    """What the join takes from the committed table: ranges that stay although the new ones differ.

    Usually nothing on the machine that wrote the table, and then the table moves no key.
    """
    from npudsl.steps.quantize.parts import gather_parts
    from npudsl.steps.quantize.sticky import kept_ranges

    plan, variant = _plan(record, inputs, reader)
    ranges, _ = gather_parts(plan, parts, reader)
    return {
        name: list(range_) for name, range_ in kept_ranges(plan.ranges, ranges, _table(inputs, variant, reader)).items()
    }


def join(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """The integer program with its table; ``record["settled"]`` is what ``settle`` gave."""
    from npudsl.artifacts.quant_table import render_table, table_of
    from npudsl.steps.quantize.assemble import assemble, table_header
    from npudsl.steps.quantize.parts import gather_parts

    plan, variant = _plan(record, inputs, space)
    ranges, constants = gather_parts(plan, parts, space)
    ranges |= {name: (low, high) for name, (low, high) in record["settled"].items()}
    model = assemble(plan, variant, record["profile"], record["saturation"], ranges, constants, space)
    samples = space.read_json(inputs["statistics"]["statistics.json"])["samples"] if "statistics" in inputs else None
    table = table_of(model, table_header(plan, variant, record, samples))
    text = render_table(table).encode()
    return {**model.save(space), TABLE: space.write_bytes(text, "text")}


def _plan(record: Any, inputs: Mapping[str, Tree], reader: BlobReader) -> tuple[QuantizationPlan, str]:
    """The plan, and the variant's name."""
    from npudsl.language.resolve import quantize_from_record
    from npudsl.steps.quantize.resolution import plan_quantization
    from npudsl.steps.quantize.structure import load_structure

    variant = quantize_from_record(record["variant"])
    return plan_quantization(load_structure(inputs["model"], reader), variant), variant.name


def _table(inputs: Mapping[str, Tree], variant: str, reader: BlobReader) -> QuantTable | None:
    """The committed table, strictly read; None when there is none yet."""
    from npudsl.artifacts.quant_table import read_table

    if TABLE not in inputs:
        return None
    (blob,) = inputs[TABLE].values()
    return read_table(reader.read_bytes(blob).decode("utf-8", errors="replace"), f"{variant}.quant")
