"""C of ``add``, ``sub``, ``mul``, ``rescale``, ``concat``, ``table`` and ``softmax``."""

from __future__ import annotations

from npudsl.backends.c_project.layer_code import (
    ARRAY_TYPES,
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
    size_of,
)
from npudsl.backends.c_project.products_code import broadcast_strides


def add_code(view: LayerView) -> LayerCode:
    """``add``, and ``sub`` as the addition of a negative multiple."""
    first, second = view.layer.requantize
    sign = -1 if view.layer.operation == "sub" else 1
    factors = {"a_multiplier": first.multipliers[0], "b_multiplier": sign * second.multipliers[0]}
    requantize = {**requantize_fields(first), "multiplier": 1}
    return _binary_code(view, "npu_add", {"requantize": requantize, **factors})


def mul_code(view: LayerView) -> LayerCode:
    return _binary_code(view, "npu_mul", {"requantize": requantize_fields(view.requantize)})


def _binary_code(view: LayerView, function: str, fields: Fields) -> LayerCode:
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
        **fields,
        "rank": len(shape),
        "shape": shape,
        "a_strides": a_strides,
        "b_strides": b_strides,
    }
    return LayerCode(
        (definition("npu_binary_layer", view.descriptor, described),),
        (f"{function}(&{view.descriptor}, {operands[0][2]}, {operands[1][2]}, {view.output_place});",),
    )


def rescale_code(view: LayerView) -> LayerCode:
    return _rescales(view, outer=1)


def concat_code(view: LayerView) -> LayerCode:
    """One rescale per input, each into its part of every run of the output."""
    axis = int(view.attribute("axis")) % len(view.output.shape)
    return _rescales(view, outer=size_of(view.output.shape[:axis]))


def _rescales(view: LayerView, outer: int) -> LayerCode:
    """Every input as ``outer`` runs, laid side by side in the runs of the output."""
    definitions, calls = [], []
    offset = 0
    for index, tensor in enumerate(view.inputs):
        name = view.descriptor if len(view.inputs) == 1 else f"{view.descriptor}_input{index}"
        block = size_of(tensor.shape) // outer
        fields = {
            "input": codes(tensor),
            "output_type": Word(C_TYPES[view.output.type]),
            "requantize": requantize_fields(view.layer.requantize[index]),
            "blocks": outer,
            "block": block,
            "output_stride": size_of(view.output.shape) // outer,
            "output_offset": offset,
        }
        offset += block
        definitions.append(definition("npu_rescale_layer", name, fields))
        calls.append(f"npu_rescale(&{name}, {view.input_place(index)}, {view.output_place});")
    return LayerCode(tuple(definitions), tuple(calls))


def table_code(view: LayerView) -> LayerCode:
    table = view.array("table")
    fields = {
        "input_type": Word(C_TYPES[view.input.type]),
        "output_type": Word(ARRAY_TYPES[table.dtype.name]),
        "count": size_of(view.output.shape),
    }
    places = ", ".join([view.input_place(0), view.constant("table", table), view.output_place])
    return LayerCode(
        (definition("npu_table_layer", view.descriptor, fields),),
        (f"npu_table(&{view.descriptor}, {places});",),
    )


def softmax_code(view: LayerView) -> LayerCode:
    exponential = view.array("exponential")
    shape = view.input.shape
    axis = int(view.attribute("axis")) % len(shape)
    fields = {
        "input_type": Word(C_TYPES[view.input.type]),
        "output_type": Word(C_TYPES[view.output.type]),
        "zero_point": view.requantize.zero_point,
        "low": view.requantize.low,
        "high": view.requantize.high,
        "denominator": view.attribute("denominator"),
        "outer": size_of(shape[:axis]),
        "length": shape[axis],
        "inner": size_of(shape[axis + 1 :]),
        "exponentials": exponential.size,
    }
    places = [view.input_place(0), view.constant("exponential", exponential), view.output_place, view.scratch]
    return LayerCode(
        (definition("npu_softmax_layer", view.descriptor, fields),),
        (f"npu_softmax(&{view.descriptor}, {', '.join(places)});",),
        shape[axis] * 4,
    )
