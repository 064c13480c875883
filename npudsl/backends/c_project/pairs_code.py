"""C of operations on pairs of values: quotients, extremes, slopes, sums of rounded operands."""

from __future__ import annotations

from npudsl.artifacts.quantized_model import Requantization
from npudsl.backends.c_project.layer_code import (
    C_TYPES,
    Fields,
    LayerCode,
    LayerView,
    Word,
    array_codes,
    check_rank,
    codes,
    definition,
    merge_axes,
    requantize_fields,
)
from npudsl.backends.c_project.products_code import broadcast_strides

UNUSED = Requantization((1,), (0,), "half_even", 0, 0, 0)


def div_code(view: LayerView) -> LayerCode:
    return _pair_code(view, "npu_div", {"total": requantize_fields(view.requantize)})


def minimum_code(view: LayerView) -> LayerCode:
    return _pair_code(view, "npu_minimum", _operand_rules(view))


def maximum_code(view: LayerView) -> LayerCode:
    return _pair_code(view, "npu_maximum", _operand_rules(view))


def prelu_code(view: LayerView) -> LayerCode:
    return _pair_code(view, "npu_prelu", _operand_rules(view))


def rounded_add_code(view: LayerView) -> LayerCode:
    """``rounded_add`` and ``rounded_sub``."""
    fields = {
        **_operand_rules(view),
        "total": requantize_fields(view.layer.requantize[2]),
        "left_shift": view.attribute("left_shift"),
        "subtract": int(view.layer.operation == "rounded_sub"),
    }
    return _pair_code(view, "npu_rounded_add", fields)


def _operand_rules(view: LayerView) -> Fields:
    first, second = view.layer.requantize[:2]
    return {"a_rule": requantize_fields(first), "b_rule": requantize_fields(second)}


def _pair_code(view: LayerView, function: str, fields: Fields) -> LayerCode:
    operands = [(codes(tensor), tensor.shape, view.place(tensor.name)) for tensor in view.inputs]
    if "operand" in view.layer.constants:
        array = view.array("operand")
        described = array_codes(array, int(view.attribute("operand_zero_point")))
        place = view.constant("operand", array)
        operands.insert(int(view.attribute("operand_position")), (described, array.shape, place))
    rank = len(view.output.shape)
    shape, (a_strides, b_strides) = merge_axes(
        view.output.shape, *(broadcast_strides(operand[1], rank) for operand in operands)
    )
    check_rank(view, len(shape))
    described = {
        "a": operands[0][0],
        "b": operands[1][0],
        "output_type": Word(C_TYPES[view.output.type]),
        **dict.fromkeys(("a_rule", "b_rule", "total"), requantize_fields(UNUSED)),
        **fields,
        "rank": len(shape),
        "shape": shape,
        "a_strides": a_strides,
        "b_strides": b_strides,
    }
    places = f"{operands[0][2]}, {operands[1][2]}, {view.output_place}"
    return LayerCode(
        (definition("npu_pair_layer", view.descriptor, described),), (f"{function}(&{view.descriptor}, {places});",)
    )
