"""The kernels of ``npudsl.runtime_c`` as a loaded library, and what every call of one needs."""

from __future__ import annotations

import ctypes
import functools
import threading
from ctypes import POINTER, c_float, c_int32, c_ssize_t, c_void_p
from typing import Any

import numpy as np

from npudsl.machine.compiled.structures import BinaryLayer, Codes, ConvLayer, LinearLayer, PoolLayer, Reals, Rule
from npudsl.machine.kernels.context import Array
from npudsl.native.library import load
from npudsl.runtime_c import simulation_sources

NAME = "kernels"

_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "npu_host_lanes": (c_int32, ()),
    "npu_host_depthwise_words": (c_ssize_t, (POINTER(ConvLayer), c_int32)),
    "npu_host_pack_depthwise": (None, (POINTER(ConvLayer), c_int32, *(c_void_p,) * 4)),
    "npu_host_depthwise_scratch": (c_ssize_t, (POINTER(ConvLayer), c_int32)),
    "npu_host_depthwise": (None, (POINTER(ConvLayer), POINTER(Rule), c_int32, *(c_void_p,) * 5)),
    "npu_host_binary": (None, (POINTER(BinaryLayer), POINTER(Rule), c_int32, *(c_void_p,) * 3)),
    "npu_host_look_up": (None, (c_int32, c_int32, *(c_ssize_t,) * 3, *(c_void_p,) * 3)),
    "npu_host_pool_scratch": (c_ssize_t, (POINTER(PoolLayer),)),
    "npu_host_max_pool": (None, (POINTER(PoolLayer), *(c_void_p,) * 3)),
    "npu_host_average_pool": (None, (POINTER(PoolLayer), POINTER(Rule), *(c_void_p,) * 4)),
    "npu_host_mean": (None, (POINTER(Codes), POINTER(Rule), c_ssize_t, c_ssize_t, c_void_p, c_void_p)),
    "npu_host_quantize": (c_int32, (POINTER(Codes), c_int32, c_int32, c_float, c_ssize_t, c_void_p, c_void_p)),
    "npu_host_errors": (c_int32, (POINTER(Reals), c_ssize_t, c_ssize_t, *(c_void_p,) * 3)),
}
"""Result and arguments of the functions that are called. A call releases the interpreter lock."""

_VECTOR_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "npu_host_conv_words": (c_ssize_t, (POINTER(ConvLayer),)),
    "npu_host_pack_conv": (None, (POINTER(ConvLayer), *(c_void_p,) * 4)),
    "npu_host_conv_scratch": (c_ssize_t, (POINTER(ConvLayer),)),
    "npu_host_conv": (None, (POINTER(ConvLayer), POINTER(Rule), *(c_void_p,) * 5)),
    "npu_host_linear_words": (c_ssize_t, (POINTER(LinearLayer),)),
    "npu_host_pack_linear": (None, (POINTER(LinearLayer), *(c_void_p,) * 4)),
    "npu_host_linear_scratch": (c_ssize_t, (POINTER(LinearLayer),)),
    "npu_host_linear": (None, (POINTER(LinearLayer), POINTER(Rule), *(c_void_p,) * 5)),
}
"""What only a library with vectors has."""

_PLAIN_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "npu_conv_scratch": (c_ssize_t, (POINTER(ConvLayer),)),
    "npu_conv": (None, (POINTER(ConvLayer), *(c_void_p,) * 7)),
    "npu_linear_scratch": (c_ssize_t, (POINTER(LinearLayer),)),
    "npu_linear": (None, (POINTER(LinearLayer), *(c_void_p,) * 7)),
}
"""What only a library without vectors has."""


@functools.cache
def kernel_library() -> ctypes.CDLL | None:
    """The library, compiled at its first use; None when it cannot be (``npudsl.native.why_not``)."""
    library = load(NAME, simulation_sources())
    return None if library is None else with_signatures(library)


def with_signatures(library: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of its functions."""
    more = _VECTOR_SIGNATURES if library.npu_host_lanes() else _PLAIN_SIGNATURES
    for name, (result, arguments) in (_SIGNATURES | more).items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def address(array: Array) -> int:
    """Where the elements of a C-contiguous array lie; the caller keeps the array alive during the call."""
    return int(array.ctypes.data)


class _Scratch(threading.local):
    memory = np.empty(0, dtype=np.uint8)


_scratch = _Scratch()


def scratch(size: int) -> int:
    """Address of at least ``size`` bytes that belong to this thread until it asks again."""
    if _scratch.memory.size < size:
        _scratch.memory = np.empty(size, dtype=np.uint8)
    return address(_scratch.memory)
