"""Simulate: which of the two ways a variant runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.plan.step import Part
from npudsl.steps.simulate import float_variant, integer_variant
from npudsl.steps.simulate.integer_parts import run_entire, run_single
from npudsl.steps.simulate.kind import FLOAT

RUNNERS = {
    float_variant.MODE: float_variant.run_part,
    integer_variant.ENTIRE: run_entire,
    integer_variant.SINGLE: run_single,
}


def expand(
    record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """Chunks of samples; of a quantized variant times segments."""
    if record["variant"] == FLOAT:
        return float_variant.expand(record, inputs, reader, previous, context)
    return integer_variant.expand(record, inputs, reader, previous, context)


def run_part(record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """One chunk of the float model, or of one segment of an integer program."""
    return RUNNERS[record["mode"]](record, inputs, context, space)


def join(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """The trace."""
    if record["variant"] == FLOAT:
        return float_variant.join(record, inputs, parts, space)
    return integer_variant.join(record, inputs, parts, space)
