"""What is wrong with a variant on a model, without statistics: for commands that check and do not build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import BlobReader, Tree
from npudsl.diagnostics import Diagnostic, NpuError

if TYPE_CHECKING:
    from collections.abc import Sequence


def variant_findings(record: Any, model: Tree, reader: BlobReader) -> Sequence[Diagnostic]:
    """Errors and warnings of the variant in ``record`` (``QuantizeConfig.record``) on the imported ``model``."""
    from npudsl.language.resolve import quantize_from_record, resolve
    from npudsl.steps.quantize.resolution import layer_subjects, plan_quantization, tensor_aliases
    from npudsl.steps.quantize.structure import load_structure

    variant = quantize_from_record(record["variant"])
    structure = load_structure(model, reader)
    resolution = resolve(variant, layer_subjects(structure), structure.tensors, tensor_aliases(structure))
    warnings = [problem for problem in resolution.problems if problem.severity == "warning"]
    try:
        plan_quantization(structure, variant)
    except NpuError as error:
        return [*warnings, *error.diagnostics]
    return warnings
