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
    pooling,
    products,
)
from npudsl.machine.kernels.context import Kernel, LayerContext

Builder = Callable[[LayerContext], Kernel]

OPERATIONS: dict[str, Builder] = {
    "add": elementwise.build_add,
    "average_pool": pooling.build_average_pool,
    "concat": elementwise.build_concat,
    "conv": convolution.build_conv,
    "depth_to_space": movement.build_depth_to_space,
    "dequantize": boundary.build_dequantize,
    "float": float_layer.build_float,
    "gather": movement.build_gather,
    "global_average_pool": pooling.build_global_average_pool,
    "identity": movement.build_reshape,
    "linear": products.build_linear,
    "matmul": products.build_matmul,
    "max_pool": pooling.build_max_pool,
    "mul": elementwise.build_mul,
    "pad": movement.build_pad,
    "quantize": boundary.build_quantize,
    "reduce_max": pooling.build_reduce_max,
    "rescale": elementwise.build_rescale,
    "reshape": movement.build_reshape,
    "resize_linear": interpolation.build_resize_linear,
    "resize_nearest": movement.build_resize_nearest,
    "slice": movement.build_slice,
    "softmax": interpolation.build_softmax,
    "space_to_depth": movement.build_space_to_depth,
    "sub": elementwise.build_sub,
    "table": elementwise.build_table,
    "transpose": movement.build_transpose,
}
