"""Operation -> builder: the rows of docs/integer-program.md."""

from __future__ import annotations

from collections.abc import Callable

from npudsl.machine.kernels import (
    boundary,
    convolution,
    elementwise,
    float_layer,
    interpolation,
    movement,
    pairs,
    pooling,
    products,
    reductions,
    transposed,
)
from npudsl.machine.kernels.context import Kernel, LayerContext

Builder = Callable[[LayerContext], Kernel]

OPERATIONS: dict[str, Builder] = {
    "add": elementwise.build_add,
    "arg_max": reductions.build_arg_max,
    "arg_min": reductions.build_arg_min,
    "average_pool": pooling.build_average_pool,
    "concat": elementwise.build_concat,
    "conv": convolution.build_conv,
    "conv_transpose": transposed.build_conv_transpose,
    "depth_to_space": movement.build_depth_to_space,
    "dequantize": boundary.build_dequantize,
    "div": pairs.build_div,
    "float": float_layer.build_float,
    "gather": movement.build_gather,
    "global_average_pool": pooling.build_global_average_pool,
    "identity": movement.build_reshape,
    "linear": products.build_linear,
    "log_softmax": reductions.build_log_softmax,
    "matmul": products.build_matmul,
    "max_pool": pooling.build_max_pool,
    "maximum": pairs.build_maximum,
    "minimum": pairs.build_minimum,
    "mul": elementwise.build_mul,
    "pad": movement.build_pad,
    "prelu": pairs.build_prelu,
    "quantize": boundary.build_quantize,
    "reduce_max": pooling.build_reduce_max,
    "reduce_min": reductions.build_reduce_min,
    "reduce_sum": reductions.build_reduce_sum,
    "rescale": elementwise.build_rescale,
    "reshape": movement.build_reshape,
    "resize_linear": interpolation.build_resize_linear,
    "resize_nearest": movement.build_resize_nearest,
    "rounded_add": pairs.build_rounded_add,
    "rounded_sub": pairs.build_rounded_sub,
    "slice": movement.build_slice,
    "softmax": interpolation.build_softmax,
    "space_to_depth": movement.build_space_to_depth,
    "sub": elementwise.build_sub,
    "table": elementwise.build_table,
    "tile": movement.build_tile,
    "transpose": movement.build_transpose,
}
