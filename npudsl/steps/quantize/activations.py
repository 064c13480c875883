"""How every activation is stored: own range, range of the operation, or that of a neighbour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.ir.groups import LayerGroup
from npudsl.numerics.affine import round_to_digits, significant_digits
from npudsl.numerics.dfp import DfpClamp
from npudsl.numerics.types import element_type
from npudsl.steps.quantize.builder import converter_tensor
from npudsl.steps.quantize.parameters import parameters_of
from npudsl.steps.quantize.plan import QuantizationPlan
from npudsl.steps.quantize.settings import FIXED, Settings
from npudsl.steps.quantize.support import INDEX_OPS

Range = tuple[float, float]


def activation_quantizations(
    plan: QuantizationPlan, ranges: Mapping[str, Range], saturation: DfpClamp
) -> dict[str, TensorQuantization]:
    """By name, graph inputs and group outputs in graph order. ``saturation`` says which codes fixed point uses.

    A tensor that stays in float carries the range that its converters need in ``low`` and ``high``.
    """
    stored: dict[str, TensorQuantization] = {}
    for name in plan.structure.graph.inputs:
        stored[name] = _ranged(plan, name, ranges, saturation)
    for group in plan.structure.groups:
        for name in group.outputs:
            stored[name] = _output(plan, group, name, stored, ranges, saturation)
    return stored


def _output(
    plan: QuantizationPlan,
    group: LayerGroup,
    name: str,
    stored: Mapping[str, TensorQuantization],
    ranges: Mapping[str, Range],
    saturation: DfpClamp,
) -> TensorQuantization:
    shape = plan.structure.graph.types[name].shape
    settings = plan.activations[name]
    if plan.has_fixed_output(group) and group.op in INDEX_OPS:
        return positions(name, shape, settings)
    if plan.has_fixed_output(group):
        return unit_interval(name, shape, settings, saturation)
    if group.passthrough:
        return _passed_through(name, shape, settings, stored[group.inputs[0]], saturation)
    if name in plan.shared:
        root = _ranged(plan, plan.shared[name], ranges, saturation)
        return replace(root, name=name, shape=shape, decided_by="passthrough")
    return _ranged(plan, name, ranges, saturation)


def _ranged(plan: QuantizationPlan, name: str, ranges: Mapping[str, Range], saturation: DfpClamp) -> TensorQuantization:
    """A tensor under its own settings and the range that was chosen for it."""
    settings = plan.activations[name]
    low, high = ranges.get(name, (None, None))
    shape = plan.structure.graph.types[name].shape
    if not settings.is_integer or low is None or high is None:
        algorithm = settings.shown_algorithm if low is not None else None
        return TensorQuantization(
            name, shape, settings.type, "none", 1.0, 0, None, low, high, algorithm, settings.decided_by
        )
    parameters = parameters_of(low, high, settings.type, settings.scheme)
    return TensorQuantization(
        name=name,
        shape=shape,
        type=settings.type,
        scheme=settings.scheme,
        scale=parameters.scale,
        zero_point=parameters.zero_point,
        fractional_length=parameters.fractional_length,
        low=low,
        high=high,
        algorithm=settings.shown_algorithm,
        decided_by=settings.decided_by,
        saturation=_saturation(settings, saturation),
    )


def _passed_through(
    name: str, shape: tuple[int, ...], settings: Settings, input_: TensorQuantization, saturation: DfpClamp
) -> TensorQuantization:
    """The input's quantization; in another type, that of the converter in front."""
    if settings.type == input_.type:
        return replace(input_, name=name, shape=shape, decided_by="passthrough")
    if not settings.is_integer:
        return TensorQuantization(
            name,
            shape,
            settings.type,
            "none",
            low=input_.low,
            high=input_.high,
            algorithm=input_.algorithm,
            decided_by=settings.decided_by,
        )
    converted = converter_tensor(input_, settings.type, settings.scheme, saturation)
    return replace(converted, name=name, shape=shape, decided_by=settings.decided_by)


def unit_interval(name: str, shape: tuple[int, ...], settings: Settings, saturation: DfpClamp) -> TensorQuantization:
    """The output of softmax: 0 .. 1 with one over a power of two as step, whatever was seen.

    Codes from the lowest one up for asymmetric types (u8 1/256 and 0, i8 1/256 and -128, i16 1/65536 and -32768);
    the positive half for those around zero (i8 1/128, i16 1/32768).
    """
    element = element_type(settings.type)
    asymmetric = settings.scheme == "asym"
    bits = element.bits if asymmetric else element.bits - 1
    scale = 2.0**-bits
    zero_point = element.minimum if asymmetric else 0
    high = 1.0 - scale if asymmetric else 1.0
    return TensorQuantization(
        name=name,
        shape=shape,
        type=settings.type,
        scheme=settings.scheme,
        scale=scale,
        zero_point=zero_point,
        fractional_length=bits if settings.scheme == "dfp" else None,
        low=0.0,
        high=round_to_digits(high, significant_digits(settings.type)),
        algorithm=FIXED,
        decided_by=FIXED,
        saturation=_saturation(settings, saturation),
    )


def positions(name: str, shape: tuple[int, ...], settings: Settings) -> TensorQuantization:
    """The output of ArgMax: scale 1, and 0 as the lowest code of asymmetric types or as code 0 of fixed point."""
    element = element_type(settings.type)
    fixed_point = settings.scheme == "dfp"
    return TensorQuantization(
        name=name,
        shape=shape,
        type=settings.type,
        scheme=settings.scheme,
        scale=1.0,
        zero_point=0 if fixed_point else element.minimum,
        fractional_length=0 if fixed_point else None,
        low=0.0,
        high=float(element.maximum if fixed_point else element.maximum - element.minimum),
        algorithm=FIXED,
        decided_by=FIXED,
    )


def _saturation(settings: Settings, saturation: DfpClamp) -> DfpClamp:
    """Only dynamic fixed point knows a symmetric range of codes."""
    return saturation if settings.scheme == "dfp" else "full"
