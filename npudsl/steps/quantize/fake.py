"""``fake_quant``: one half of a variant rounded, everything computed in float. It tells which half costs the accuracy.

``weights``: every weight and constant operand is what its codes say, activations are those of the float model.
``activations``: every activation is rounded to its codes and put back to reals, constants are those of the float model.

The program consists of float layers, so it is simulated and compared like any other, and cannot be exported. What the
table shows of it is the half that is rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from npudsl.artifacts.blob import BlobSpace
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, TensorQuantization
from npudsl.diagnostics import Diagnostic, UserError
from npudsl.ir.groups import LayerGroup
from npudsl.ir.operators import advice
from npudsl.machine.float_ops.table import is_float_op
from npudsl.machine.lowering import lower_quantize
from npudsl.numerics.affine import dequantize
from npudsl.numerics.dfp import DfpClamp
from npudsl.steps.quantize.activations import activation_quantizations
from npudsl.steps.quantize.assemble import assemble
from npudsl.steps.quantize.builder import QuantizedWeight
from npudsl.steps.quantize.layout import constant_layout, from_layout
from npudsl.steps.quantize.plan import QuantizationPlan
from npudsl.steps.quantize.settings import FLOAT_TYPE, Settings
from npudsl.steps.quantize.structure import StoredConstants, Structure

WEIGHTS, ACTIVATIONS = "weights", "activations"

Range = tuple[float, float]


def assemble_half(
    half: str,
    plan: QuantizationPlan,
    variant: str,
    profile: str,
    saturation: DfpClamp,
    ranges: Mapping[str, Range],
    constants: Mapping[tuple[str, str], QuantizedWeight],
    space: BlobSpace,
) -> QuantizedModel:
    """The float program with ``half`` of the plan rounded; raises E0407 for a layer that has no float form."""
    _check_float_forms(plan, variant)
    if half == WEIGHTS:
        model = assemble(_in_float(plan, constants, space), variant, profile, saturation, {}, {}, space)
        return replace(model, weights={name: weight.quantization for (_, name), weight in constants.items()})
    stored = activation_quantizations(plan, ranges, saturation)
    model = assemble(_in_float(plan, {}, space), variant, profile, saturation, {}, {}, space)
    return _with_rounded_activations(model, plan, stored, profile)


def _check_float_forms(plan: QuantizationPlan, variant: str) -> None:
    missing = [group for group in plan.structure.groups if not is_float_op(group.op)]
    if missing:
        raise UserError(
            [
                Diagnostic(
                    "E0407",
                    f"layer `{group.name}` ({group.op}) has no float form here, which `fake_quant` needs",
                    subject=f"quantize[{variant}].fake_quant",
                    helps=tuple(advice(group.name, group.op)),
                )
                for group in missing
            ]
        )


def _in_float(
    plan: QuantizationPlan, constants: Mapping[tuple[str, str], QuantizedWeight], space: BlobSpace
) -> QuantizationPlan:
    """The plan with every layer in float and ``constants`` as their codes say."""
    structure = plan.structure
    blobs = dict(structure.blobs)
    groups = {group.name: group for group in structure.groups}
    for (layer, name), weight in constants.items():
        blobs[name] = space.write_array(_reals(structure, groups[layer], name, weight, space))
    graph = replace(structure.graph, constants=StoredConstants(blobs, space))
    floats = {
        name: Settings(FLOAT_TYPE, "none", decided_by=settings.decided_by)
        for name, settings in plan.activations.items()
    }
    return QuantizationPlan(replace(structure, graph=graph, blobs=blobs), floats, {})


def _reals(
    structure: Structure, group: LayerGroup, name: str, weight: QuantizedWeight, space: BlobSpace
) -> np.ndarray[Any, Any]:
    quantization = weight.quantization
    codes = space.read_array(weight.codes)
    axis = 0 if len(quantization.scales) > 1 else None
    scale = quantization.scales if axis == 0 else quantization.scales[0]
    reals = dequantize(codes, scale, quantization.zero_point, axis)
    shape = structure.graph.types[name].shape
    return from_layout(reals, constant_layout(structure, group, name), shape).astype(np.float32)


def _with_rounded_activations(
    model: QuantizedModel, plan: QuantizationPlan, stored: Mapping[str, TensorQuantization], profile: str
) -> QuantizedModel:
    """Every tensor with a rounding of its own goes through its codes before anybody reads it."""
    passed = {name for group in plan.structure.groups if group.passthrough for name in group.outputs}
    rounded = {name for name, tensor in stored.items() if tensor.type != FLOAT_TYPE and name not in passed}
    tensors: dict[str, TensorQuantization] = {}
    layers: list[IntegerLayer] = []
    renamed: dict[str, str] = {}
    for name in model.inputs:
        tensors[name] = model.tensors[name]
        if name in rounded:
            tensors[name] = stored[name]
            reals = TensorQuantization(f"{name}/reals", stored[name].shape, FLOAT_TYPE, "none", decided_by="converter")
            tensors[reals.name] = reals
            renamed[name] = reals.name
    read_first = dict(renamed)
    for layer in model.layers:
        for name in layer.inputs:
            if name in read_first:
                layers.append(_dequantize(read_first.pop(name), stored[name], layer))
        layer = replace(layer, inputs=tuple(renamed.get(name, name) for name in layer.inputs))
        inner = {name: f"{name}/float" for name in layer.outputs if name in rounded}
        for name in layer.outputs:
            tensor = model.tensors[name]
            tensors[inner.get(name, name)] = replace(tensor, name=inner.get(name, name))
        if inner:
            layer = replace(
                layer, name=f"{layer.name}/float", outputs=tuple(inner.get(name, name) for name in layer.outputs)
            )
        layers.append(layer)
        for name, raw in inner.items():
            codes = replace(stored[name], name=f"{name}/codes")
            tensors[codes.name], tensors[name] = codes, model.tensors[name]
            layers.append(_quantize(raw, codes, layer, profile))
            layers.append(replace(_dequantize(name, codes, layer), sources=layer.sources))
    return replace(model, tensors=tensors, layers=tuple(layers))


def _quantize(raw: str, codes: TensorQuantization, layer: IntegerLayer, profile: str) -> IntegerLayer:
    return IntegerLayer(
        name=codes.name,
        operation="quantize",
        inputs=(raw,),
        outputs=(codes.name,),
        attributes={"scale": codes.scale},
        requantize=(lower_quantize(profile, codes),),
        sources=layer.sources,
        segment=layer.segment,
    )


def _dequantize(output: str, codes: TensorQuantization, layer: IntegerLayer) -> IntegerLayer:
    return IntegerLayer(
        name=output,
        operation="dequantize",
        inputs=(codes.name,),
        outputs=(output,),
        attributes={"scale": codes.scale},
        segment=layer.segment,
    )
