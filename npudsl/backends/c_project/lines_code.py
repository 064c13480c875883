"""C of what works on lines along one axis: positions of extremes, the logarithm of a softmax."""

from __future__ import annotations

from npudsl.backends.c_project.layer_code import (
    C_TYPES,
    Fields,
    LayerCode,
    LayerView,
    Word,
    definition,
    requantize_fields,
    size_of,
)


def arg_code(view: LayerView) -> LayerCode:
    """``arg_max`` and ``arg_min``."""
    fields = {
        **_lines(view),
        "zero_point": view.output.zero_point,
        "smallest": int(view.layer.operation == "arg_min"),
        "last": int(view.attribute("last")),
    }
    places = ", ".join([view.input_place(0), view.output_place, view.scratch])
    return LayerCode(
        (definition("npu_arg_layer", view.descriptor, fields),),
        (f"npu_arg(&{view.descriptor}, {places});",),
        int(fields["length"]) * 4,
    )


def log_softmax_code(view: LayerView) -> LayerCode:
    """Both multipliers belong to one shift, that of the first."""
    exponential, table = view.array("exponential"), view.array("logarithm")
    first, second = view.layer.requantize
    fields = {
        **_lines(view),
        "requantize": requantize_fields(first),
        "log_multiplier": second.multipliers[0],
        "exponentials": exponential.size,
    }
    places = [
        view.input_place(0),
        view.constant("exponential", exponential),
        view.constant("logarithm", table),
        view.output_place,
        view.scratch,
    ]
    return LayerCode(
        (definition("npu_log_softmax_layer", view.descriptor, fields),),
        (f"npu_log_softmax(&{view.descriptor}, {', '.join(places)});",),
        int(fields["length"]) * 4,
    )


def _lines(view: LayerView) -> Fields:
    shape = view.input.shape
    axis = int(view.attribute("axis")) % len(shape)
    return {
        "input_type": Word(C_TYPES[view.input.type]),
        "output_type": Word(C_TYPES[view.output.type]),
        "outer": size_of(shape[:axis]),
        "length": shape[axis],
        "inner": size_of(shape[axis + 1 :]),
    }
