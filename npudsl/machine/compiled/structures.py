"""The structs of ``npu_kernels.h`` and ``npu_host.h`` as ctypes sees them: fields in the order of the headers."""

from __future__ import annotations

import ctypes
from ctypes import c_double, c_int32, c_int64, c_void_p
from typing import Any, ClassVar

from npudsl.artifacts.quantized_model import Requantization, TensorQuantization
from npudsl.runtime_c import NPU_MAX_RANK

TYPES = {"u8": 0, "i8": 1, "i16": 2}
"""NPU_U8, NPU_I8, NPU_I16."""

STORED_TYPES = {"uint8": 0, "int8": 1, "int16": 2, "int32": 3, "int64": 4}
"""The same by numpy's names, with NPU_I32 and NPU_I64."""

ROUNDINGS = {"half_even": 0, "half_away": 1, "half_up": 2, "double": 3}

Fields = list[tuple[str, Any]]
Axes = c_int32 * NPU_MAX_RANK


def _numbers(*names: str) -> Fields:
    return [(name, c_int32) for name in names]


class Codes(ctypes.Structure):
    """``npu_codes``."""

    _fields_: ClassVar[Fields] = _numbers("type", "zero_point")

    @classmethod
    def of(cls, tensor: TensorQuantization) -> Codes:
        return cls(TYPES[tensor.type], tensor.zero_point)


class Requantize(ctypes.Structure):
    """``npu_requantize``."""

    _fields_: ClassVar[Fields] = _numbers("rounding", "zero_point", "low", "high", "multiplier", "shift")

    @classmethod
    def of(cls, item: Requantization) -> Requantize:
        """With several channels the scalars are those of the first; nobody reads them then."""
        return cls(ROUNDINGS[item.rounding], item.zero_point, item.low, item.high, item.multipliers[0], item.shifts[0])


class Rule(ctypes.Structure):
    """``npu_host_rule``."""

    _fields_: ClassVar[Fields] = [
        ("requantize", Requantize),
        ("output_type", c_int32),
        *((name, c_void_p) for name in ("multipliers", "shifts", "factors", "seconds", "scales", "exact", "direct")),
    ]


class ConvLayer(ctypes.Structure):
    """``npu_conv_layer``."""

    _fields_: ClassVar[Fields] = [
        ("input", Codes),
        ("weight", Codes),
        *_numbers("bias_type", "output_type"),
        ("requantize", Requantize),
        *_numbers("batch", "group"),
        *_numbers("input_channels", "input_height", "input_width"),
        *_numbers("output_channels", "output_height", "output_width"),
        *_numbers("kernel_height", "kernel_width", "stride_height", "stride_width", "pad_top", "pad_left"),
        *_numbers("dilation_height", "dilation_width", "tile"),
    ]


class LinearLayer(ctypes.Structure):
    """``npu_linear_layer``."""

    _fields_: ClassVar[Fields] = [
        ("input", Codes),
        ("weight", Codes),
        *_numbers("bias_type", "output_type"),
        ("requantize", Requantize),
        *_numbers("rows", "inputs", "outputs", "tile"),
    ]


class BinaryLayer(ctypes.Structure):
    """``npu_binary_layer``."""

    _fields_: ClassVar[Fields] = [
        ("a", Codes),
        ("b", Codes),
        ("output_type", c_int32),
        ("requantize", Requantize),
        ("a_multiplier", c_int64),
        ("b_multiplier", c_int64),
        ("rank", c_int32),
        *((name, Axes) for name in ("shape", "a_strides", "b_strides")),
    ]


class PoolLayer(ctypes.Structure):
    """``npu_pool_layer``."""

    _fields_: ClassVar[Fields] = [
        ("input", Codes),
        *_numbers("output_type", "planes", "input_height", "input_width", "output_height", "output_width"),
        *_numbers("kernel_height", "kernel_width", "stride_height", "stride_width", "pad_top", "pad_left"),
        *_numbers("dilation_height", "dilation_width"),
    ]


class Reals(ctypes.Structure):
    """``npu_host_reals``."""

    _fields_: ClassVar[Fields] = [*_numbers("type", "zero_point"), ("scale", c_double)]
