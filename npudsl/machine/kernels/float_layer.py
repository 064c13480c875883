"""``float`` layers: an ONNX operator in float32, sample by sample of the stack, and its fused activation."""

from __future__ import annotations

from typing import Any

import numpy as np

from npudsl.diagnostics import Problem
from npudsl.machine.float_ops.table import FLOAT_OPS
from npudsl.machine.kernels.context import Array, Kernel, LayerContext

CONSTANT_INPUT = "input"
"""Role of a constant input: this word and its ONNX position."""


def build_float(context: LayerContext) -> Kernel:
    """``float``: raises Problem for an operator that float_ops does not have."""
    op = context.attribute("op")
    if op not in FLOAT_OPS:
        raise Problem(
            "E0407",
            f"layer `{context.layer.name}` ({op}) cannot be kept in float",
            subject="model.file",
            helps=["give the layer an integer type", f"possible in float: {', '.join(sorted(FLOAT_OPS))}"],
        )
    operator = FLOAT_OPS[op]
    onnx: dict[str, Any] = dict(context.layer.attributes.get("onnx", {}))
    low, high = context.layer.attributes.get("clip_low"), context.layer.attributes.get("clip_high")
    constants = {
        int(role.removeprefix(CONSTANT_INPUT)): np.asarray(context.constant(role))
        for role in context.layer.constants
        if role.startswith(CONSTANT_INPUT)
    }

    def run(values: list[Array]) -> list[Array]:
        rows = [
            [_clipped(item, low, high) for item in operator(_by_position(sample, constants), onnx)]
            for sample in zip(*values, strict=True)
        ]
        return [
            np.stack(column).reshape(len(rows), *tensor.shape)
            for column, tensor in zip(zip(*rows, strict=True), context.outputs, strict=True)
        ]

    return run


def _by_position(sample: tuple[Array, ...], constants: dict[int, Array]) -> list[Array | None]:
    """Activations in order at the positions that no constant takes."""
    count = max(len(sample) + len(constants), max(constants, default=-1) + 1)
    remaining = iter(sample)
    return [constants[index] if index in constants else next(remaining, None) for index in range(count)]


def _clipped(values: Array, low: float | None, high: float | None) -> Array:
    if low is None and high is None:
        return values
    return np.clip(values, low, high).astype(np.float32)
