"""Quantizing values and summing errors on the compiled kernels. None: numpy has to do it."""

from __future__ import annotations

import ctypes

import numpy as np

from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.machine.compiled import library as libraries
from npudsl.machine.compiled.library import address
from npudsl.machine.compiled.structures import TYPES, Codes, Reals
from npudsl.machine.kernels.context import Array
from npudsl.numerics.metrics import ROW_LENGTH
from npudsl.numerics.types import element_type

FLOAT_TYPE = 5
"""NPU_HOST_F32."""


def quantize_values(values: Array, tensor: TensorQuantization, low: int, high: int) -> Array | None:
    """Codes of float32 values, as ``kernels.boundary.quantize_values``; None without a library, or for NaN."""
    library = libraries.kernel_library()
    if library is None or values.dtype != np.float32:
        return None
    reals = np.ascontiguousarray(values)
    codes = np.empty(reals.shape, dtype=element_type(tensor.type).storage)
    scale = ctypes.c_float(tensor.scale)
    done = library.npu_host_quantize(Codes.of(tensor), low, high, scale, reals.size, address(reals), address(codes))
    return codes if done else None


def error_sums(references: Array, candidates: Array, tensor: TensorQuantization) -> Array | None:
    """``metrics.accumulate`` of every row of float32 references and of the reals of the codes in ``candidates``.

    float64 (rows, sums). None without a library, for other types, and when something is not finite.
    """
    library = libraries.kernel_library()
    storage = element_type(tensor.type).storage
    if library is None or references.dtype != np.float32 or candidates.dtype != np.dtype(storage):
        return None
    left, right = np.ascontiguousarray(references), np.ascontiguousarray(candidates)
    rows = left.shape[0]
    if left.size != right.size or not left.size:
        return None
    sums = np.empty((rows, ROW_LENGTH))
    reals = Reals(TYPES.get(tensor.type, FLOAT_TYPE), tensor.zero_point, tensor.scale)
    done = library.npu_host_errors(reals, rows, left.size // rows, address(left), address(right), address(sums))
    return sums if done else None
