"""The join: from plan, ranges and coded constants to the integer program and its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from npudsl.artifacts.blob import BlobSpace
from npudsl.artifacts.quant_table import DIGEST_DIGITS, TableHeader
from npudsl.artifacts.quantized_model import QuantizedModel
from npudsl.diagnostics import Problem
from npudsl.ir.groups import LayerGroup
from npudsl.machine.tables import UNARY_FUNCTIONS
from npudsl.numerics.dfp import DfpClamp
from npudsl.steps.quantize.activations import activation_quantizations
from npudsl.steps.quantize.builder import ProgramBuilder, QuantizedWeight
from npudsl.steps.quantize.emit_elementwise import (
    emit_clamp,
    emit_concat,
    emit_mul,
    emit_softmax,
    emit_sum,
    emit_table,
)
from npudsl.steps.quantize.emit_float import emit_float
from npudsl.steps.quantize.emit_lines import emit_log_softmax, emit_position, emit_reduce_min, emit_reduce_sum
from npudsl.steps.quantize.emit_movement import (
    emit_depth_to_space,
    emit_gather,
    emit_identity,
    emit_pad,
    emit_reshape,
    emit_resize,
    emit_slice,
    emit_space_to_depth,
    emit_split,
    emit_tile,
    emit_transpose,
)
from npudsl.steps.quantize.emit_pairs import emit_div, emit_extreme, emit_prelu
from npudsl.steps.quantize.emit_pooling import emit_average_pool, emit_max_pool, emit_mean, emit_reduce_max
from npudsl.steps.quantize.emit_weighted import emit_conv, emit_conv_transpose, emit_linear, emit_matmul
from npudsl.steps.quantize.kind import settings_digest
from npudsl.steps.quantize.plan import QuantizationPlan

Emitter = Callable[[ProgramBuilder, LayerGroup], None]

EMITTERS: dict[str, Emitter] = {
    **dict.fromkeys(UNARY_FUNCTIONS, emit_table),
    "Add": emit_sum,
    "ArgMax": emit_position,
    "ArgMin": emit_position,
    "AveragePool": emit_average_pool,
    "Clip": emit_clamp,
    "Concat": emit_concat,
    "Conv": emit_conv,
    "ConvTranspose": emit_conv_transpose,
    "DepthToSpace": emit_depth_to_space,
    "Div": emit_div,
    "Expand": emit_tile,
    "Flatten": emit_reshape,
    "Gather": emit_gather,
    "Gemm": emit_linear,
    "GlobalAveragePool": emit_mean,
    "GlobalMaxPool": emit_reduce_max,
    "Identity": emit_identity,
    "LogSoftmax": emit_log_softmax,
    "MatMul": emit_matmul,
    "Max": emit_extreme,
    "MaxPool": emit_max_pool,
    "Min": emit_extreme,
    "Mul": emit_mul,
    "PRelu": emit_prelu,
    "Pad": emit_pad,
    "ReduceMax": emit_reduce_max,
    "ReduceMean": emit_mean,
    "ReduceMin": emit_reduce_min,
    "ReduceSum": emit_reduce_sum,
    "Relu": emit_clamp,
    "Reshape": emit_reshape,
    "Resize": emit_resize,
    "Slice": emit_slice,
    "Softmax": emit_softmax,
    "SpaceToDepth": emit_space_to_depth,
    "Split": emit_split,
    "Squeeze": emit_reshape,
    "Sub": emit_sum,
    "Tile": emit_tile,
    "Transpose": emit_transpose,
    "Unsqueeze": emit_reshape,
}
"""Operator of a layer -> how its integer form is written; the same operators as ``support.CHECKS``."""


def assemble(
    plan: QuantizationPlan,
    variant: str,
    profile: str,
    saturation: DfpClamp,
    ranges: Mapping[str, tuple[float, float]],
    constants: Mapping[tuple[str, str], QuantizedWeight],
    space: BlobSpace,
) -> QuantizedModel:
    """The integer program of a plan with these ranges and codes."""
    activations = activation_quantizations(plan, ranges, saturation)
    builder = ProgramBuilder(f"quantize[{variant}]", plan.structure, profile, saturation, activations, constants, space)
    for name in plan.structure.graph.inputs:
        builder.tensors[name] = builder.activations[name]
    for group in plan.structure.groups:
        _emit(builder, plan, group)
    graph = plan.structure.graph
    return QuantizedModel(
        name=graph.name,
        variant=variant,
        profile=profile,
        inputs=graph.inputs,
        outputs=graph.outputs,
        tensors=builder.tensors,
        weights=builder.weights,
        layers=tuple(builder.layers),
    )


def _emit(builder: ProgramBuilder, plan: QuantizationPlan, group: LayerGroup) -> None:
    """Add the layers of one group; what the arithmetic cannot hold is E0611 and names the layer."""
    if plan.is_float(group):
        emit_float(builder, group)
        return
    try:
        EMITTERS[group.op](builder, group)
    except ValueError as error:
        raise Problem(
            "E0611",
            f"layer `{group.name}` ({group.op}): {error}",
            subject=builder.subject,
            helps=(
                "give its tensors ranges that are closer to each other",
                f'or keep the layer in float: `layer "{group.name}" skip`',
            ),
        ) from error


def table_header(plan: QuantizationPlan, variant: str, record: Any, calib: str) -> TableHeader:
    """What the table of this step was made from; ``record`` is ``QuantizeConfig.record``."""
    return TableHeader(
        variant=variant,
        model=plan.structure.digest[:DIGEST_DIGITS],
        calib=calib,
        settings=settings_digest(record),
    )
