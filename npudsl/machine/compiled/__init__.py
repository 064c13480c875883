"""The integer machine on compiled kernels: the same bytes as ``npudsl.machine.kernels``, sooner.

``compiled_kernel`` gives the kernel of a layer, or None where numpy runs it: without a compiler, for what only moves
codes (numpy copies memory as fast as anybody), for layers in float, and where numpy has the faster arithmetic.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

from npudsl.machine.compiled import elementwise, weighted, windows
from npudsl.machine.compiled import library as libraries
from npudsl.machine.compiled.prepared import PreparedLayers
from npudsl.machine.kernels.context import Kernel, LayerContext

Builder = Callable[[LayerContext, ctypes.CDLL], Kernel | None]

OPERATIONS: dict[str, Builder] = {
    "add": elementwise.build_add,
    "average_pool": windows.build_average_pool,
    "concat": elementwise.build_concat,
    "conv": weighted.build_conv,
    "global_average_pool": windows.build_global_average_pool,
    "linear": weighted.build_linear,
    "max_pool": windows.build_max_pool,
    "mul": elementwise.build_mul,
    "rescale": elementwise.build_rescale,
    "sub": elementwise.build_sub,
    "table": elementwise.build_table,
}


_prepared = PreparedLayers()


def compiled_kernel(context: LayerContext) -> Kernel | None:
    """The layer on compiled kernels; None when numpy has to run it."""
    builder = OPERATIONS.get(context.layer.operation)
    library = libraries.kernel_library() if builder is not None else None
    if builder is None or library is None:
        return None
    return _prepared.get(context, library, functools.partial(builder, context, library))
