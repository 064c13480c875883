"""Arithmetic profiles: how wide the multiplier of a target is, how it is cut, and how the shift rounds.

One table for the arithmetic, one for what is known about it. A label says how well a row is known: ``exact`` was
compared bit by bit with an implementation that is not ours, ``documented`` is stated by the vendor, ``inferred`` was
read from an open driver, ``assumed`` is our choice because nothing is published. docs/numerics.md explains each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from npudsl.numerics.rounding import Rounding

MultiplierRule = Literal["nearest", "truncate", "truncate_plus_one"]
ProductRule = Literal["float64", "float32", "tflite"]
FidelityLabel = Literal["exact", "documented", "inferred", "assumed"]


@dataclass(frozen=True)
class Profile:
    """``width`` counts the bits of a normalized multiplier with its leading one.

    ``product`` says in which precision s_in * s_w / s_out is formed: ``tflite`` multiplies in float32 for one weight
    scale and in float64 for one per channel.
    """

    name: str
    width: int
    rule: MultiplierRule
    rounding: Rounding
    product: ProductRule
    summary: str


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("exact", 31, "nearest", "half_even", "float64", "one rounding of the exact product"),
        Profile("tflite", 31, "nearest", "double", "tflite", "TensorFlow Lite reference kernels"),
        Profile("vip16", 16, "truncate", "half_even", "float32", "VeriSilicon VIP V7 and toolkit-1 Rockchip"),
        Profile("vip24", 24, "truncate", "half_even", "float32", "VeriSilicon VIP V8 and VIP9000"),
        Profile("rk15", 15, "truncate_plus_one", "half_away", "float32", "Rockchip RKNPU2"),
        Profile("nna", 31, "nearest", "half_even", "float64", "Ingenic NNA (formula unpublished)"),
    )
}

_SPECIAL_ROUNDINGS: dict[tuple[str, str], Rounding] = {
    ("tflite", "linear"): "half_up",
    ("tflite", "matmul"): "half_up",
    ("tflite", "add"): "half_away",
    ("tflite", "sub"): "half_away",
    ("tflite", "average_pool"): "half_away",
    ("tflite", "global_average_pool"): "half_away",
    ("tflite", "resize_linear"): "half_away",
    ("tflite", "div"): "half_away",
    ("tflite", "log_softmax"): "half_away",
}


@dataclass(frozen=True)
class Fidelity:
    """How well the arithmetic of one operation under one profile is known, and where that is written."""

    label: FidelityLabel
    source: str


def profile_named(name: str) -> Profile:
    """The profile called ``name``; raises ValueError listing the names."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"profile {name!r} is none of {', '.join(PROFILES)}") from None


def rounding_of(profile: str, operation: str) -> Rounding:
    """The rounding of an operation's shift under a profile."""
    return _SPECIAL_ROUNDINGS.get((profile, operation), profile_named(profile).rounding)


DATA_MOVEMENT = frozenset(
    {
        "reshape", "transpose", "slice", "identity", "pad", "gather", "max_pool", "reduce_max", "resize_nearest",
        "depth_to_space", "space_to_depth", "reduce_min", "arg_max", "arg_min", "tile",
    }
)  # fmt: skip
"""Operations that only move or select codes: there is nothing to round, so there is nothing to be wrong about."""

_MOVES = Fidelity("exact", "moves or selects codes without arithmetic")
_FLOAT = Fidelity("assumed", "float32 on the vendor's float unit; order of additions unpublished")
_MESA_VIP = "mesa: src/gallium/drivers/etnaviv/etnaviv_ml_nn.c"
_MESA_ROCKET = "mesa: src/gallium/drivers/rocket/rkt_regcmd.c"

_FIDELITY: dict[tuple[str, str], Fidelity] = {
    ("exact", "*"): Fidelity("exact", "one rounding; within 1e-5 of the outputs of onnxruntime QLinear operators"),
    ("exact", "div"): Fidelity("assumed", "one rounding of the exact quotient; by zero it saturates"),
    ("exact", "log_softmax"): Fidelity("assumed", "integer logarithm within 2e-5, then one rounding"),
    ("exact", "add"): Fidelity("exact", "one rounding of both products; onnxruntime QLinearAdd within one code"),
    ("tflite", "*"): Fidelity("exact", "gemmlowp: fixedpoint/fixedpoint.h; LiteRT reference kernels, bit for bit"),
    ("tflite", "add"): Fidelity("assumed", "16 bits or fixed point: one rounding, LiteRT has three"),
    ("tflite", "sub"): Fidelity("assumed", "16 bits or fixed point: one rounding, LiteRT has three"),
    ("tflite", "global_average_pool"): Fidelity("assumed", "a mean; LiteRT has several, with one or two roundings"),
    ("tflite", "reduce_sum"): Fidelity("assumed", "one rounding of the exact sum"),
    ("tflite", "rounded_add"): Fidelity("exact", "LiteRT reference kernel: three roundings, bit for bit"),
    ("tflite", "rounded_sub"): Fidelity("exact", "LiteRT reference kernel: three roundings, bit for bit"),
    ("tflite", "div"): Fidelity("assumed", "LiteRT multiplies with a rounded reciprocal, this divides"),
    ("tflite", "log_softmax"): Fidelity("documented", "LiteRT log softmax in fixed point; this rounds once"),
    ("tflite", "table"): Fidelity("exact", "correctly rounded table; LiteRT sigmoid and tanh, bit for bit"),
    ("tflite", "softmax"): Fidelity("documented", "LiteRT table softmax; 1 output in 102400 differs by one code"),
    ("tflite", "resize_linear"): Fidelity("documented", "LiteRT: i8 with equal scales bit for bit; u8 is float there"),
    ("vip16", "*"): Fidelity("inferred", f"{_MESA_VIP}: 16-bit multiplier; ties to even assumed"),
    ("vip16", "add"): Fidelity("inferred", f"{_MESA_VIP}: newer firmware may use 8-bit scale ratios"),
    ("vip16", "div"): Fidelity("documented", "TIM-VX: src/tim/vx/ops/div_test.cc: saturates at zero; ties to even"),
    ("vip16", "log_softmax"): Fidelity("assumed", "computed in float on the vendor's shader unit"),
    ("vip16", "prelu"): Fidelity("assumed", "computed in float on the vendor's shader unit"),
    ("vip16", "table"): Fidelity("assumed", "correctly rounded table; the unit interpolates 1024 points"),
    ("vip16", "softmax"): Fidelity("assumed", "computed in float on the vendor's shader unit"),
    ("vip24", "*"): Fidelity("inferred", f"{_MESA_VIP}: 24-bit multiplier; ties to even assumed"),
    ("vip24", "div"): Fidelity("documented", "TIM-VX: src/tim/vx/ops/div_test.cc: saturates at zero; ties to even"),
    ("vip24", "log_softmax"): Fidelity("assumed", "computed in float on the vendor's shader unit"),
    ("vip24", "prelu"): Fidelity("assumed", "computed in float on the vendor's shader unit"),
    ("vip24", "table"): Fidelity("assumed", "correctly rounded table; the unit interpolates 1024 points"),
    ("vip24", "softmax"): Fidelity("assumed", "computed in float on the vendor's shader unit"),
    ("rk15", "*"): Fidelity("inferred", f"{_MESA_ROCKET}: 14 mantissa bits plus one; ties away assumed"),
    ("rk15", "add"): Fidelity("assumed", f"{_MESA_ROCKET} has tables of observed constants, no formula"),
    ("rk15", "sub"): Fidelity("assumed", f"{_MESA_ROCKET} has tables of observed constants, no formula"),
    ("rk15", "div"): Fidelity("assumed", "in float16 on the chip (operator list 2.3.2); no formula published"),
    ("rk15", "log_softmax"): Fidelity("assumed", "no formula published"),
    ("rk15", "prelu"): Fidelity("assumed", "no formula published"),
    ("rk15", "table"): Fidelity("assumed", "correctly rounded table; the unit's interpolation is unpublished"),
    ("rk15", "softmax"): Fidelity("assumed", "no formula published"),
    ("nna", "*"): Fidelity("assumed", "no requantization formula published by Ingenic"),
}

_FIXED_POINT: dict[str, Fidelity] = {
    "vip16": Fidelity("documented", "ovxlib: dynamic fixed point is a pure shift; tie rule assumed"),
    "vip24": Fidelity("documented", "ovxlib: dynamic fixed point is a pure shift; tie rule assumed"),
    "rk15": Fidelity("documented", "RKNN FAQ 1.9: dynamic fixed point is a pure shift; tie rule assumed"),
}


def fidelity(profile: str, operation: str, fixed_point: bool = False) -> Fidelity:
    """How well ``operation`` under ``profile`` is known; ``fixed_point`` when input and output are fixed point."""
    profile_named(profile)
    if operation in DATA_MOVEMENT:
        return _MOVES
    if operation in {"float", "dequantize"}:
        return _FLOAT if operation == "float" else Fidelity("exact", "float32 of an exact product")
    if operation == "quantize":
        return Fidelity("documented", "division, ties to even (ONNX QuantizeLinear, ovxlib)")
    if fixed_point and operation in {"conv", "conv_transpose", "linear", "rescale"} and profile in _FIXED_POINT:
        return _FIXED_POINT[profile]
    return _FIDELITY.get((profile, operation), _FIDELITY[(profile, "*")])
