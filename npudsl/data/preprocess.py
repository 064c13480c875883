"""How a sample's bytes become the input tensor, as a record: everything that changes the tensor, and no more.

A record is made in two stages, because a program is read before the model is: ``input_record`` says what the program
says, ``fit_record`` adds the tensor's shape and the layout of the model's format. Two programs that mean the same have
the same record: equal per-channel values are written once, defaults are written out. Definitions:
``docs/preprocessing.md``. Light: no array library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from npudsl.data.formats import shape_text
from npudsl.diagnostics import Problem
from npudsl.language.program import Call, Input

if TYPE_CHECKING:
    from npudsl.keys import Json

PREPROCESS_VERSION = 1
"""Raised when a record comes to mean another tensor."""

FILTERS = ("bilinear", "bilinear_antialias", "nearest", "area")

NHWC_FORMATS = frozenset({"tflite", "tensorflow", "keras"})


def preprocess_record(input_: Input, shape: Sequence[int], layout: str) -> dict[str, Json]:
    """The record of one input with a tensor of ``shape``; ``layout`` is for a block without one. Raises E0404."""
    return fit_record(input_record(input_), shape, layout)


def default_layout(model_format: str) -> str:
    """Layout of inputs that do not say theirs: NHWC for the formats of the TensorFlow family, NCHW else."""
    return "NHWC" if model_format in NHWC_FORMATS else "NCHW"


def input_record(input_: Input) -> dict[str, Json]:
    """What the program says about one input; tensor shape and default layout are still open. Raises E0211, E0212."""
    return {
        "version": PREPROCESS_VERSION,
        "input": input_.name,
        "layout": input_.layout,
        "color": input_.color,
        "resize": _resize_record(input_),
        "crop": _crop_record(input_),
        "reorder": list(input_.reorder) if input_.reorder is not None else None,
        "mean": _once([float(value) for value in input_.mean]),
        "scale": _once([float(value) for value in input_.scale]),
    }


def fit_record(record: Mapping[str, Any], shape: Sequence[int], layout: str) -> dict[str, Json]:
    """``record`` for a tensor of ``shape``. Raises E0404 when per-channel values do not fit its channels."""
    fitted = dict(record)
    fitted["shape"] = list(shape)
    fitted["layout"] = record["layout"] or layout
    channels = channel_count(fitted["shape"], fitted["layout"])
    for name in ("mean", "scale"):
        if len(record[name]) not in (1, channels):
            raise Problem(
                "E0404",
                f'{len(record[name])} values for {_channels(channels)} of "{record["input"]}"',
                subject=f"input[{record['input']}].{name}",
                notes=(f"the tensor is {shape_text(tuple(shape))} ({fitted['layout']})",),
                helps=("give one value, or one per channel; if the axes are read wrongly, set layout",),
            )
    order = record["reorder"]
    if order is not None and sorted(order) != list(range(channels)):
        raise Problem(
            "E0404",
            f'reorder = {order} is no order of the {_channels(channels)} of "{record["input"]}"',
            subject=f"input[{record['input']}].reorder",
            helps=(f"name every channel once: {list(range(channels))[::-1]} turns them around",),
        )
    return fitted


def fit_records(
    records: Sequence[Mapping[str, Any]], shapes: Mapping[str, Sequence[int]], layout: str
) -> list[dict[str, Json]]:
    """One record per graph input (the keys of ``shapes``), in order; defaults for one that the program leaves out."""
    declared = {record["input"]: record for record in records}
    return [
        fit_record(declared.get(name) or input_record(Input(name)), shape, layout) for name, shape in shapes.items()
    ]


def channel_axis(shape: Sequence[int], layout: str) -> int | None:
    """Index of the channel axis: 1 for NCHW, the last one for NHWC; None with less than two axes."""
    if len(shape) < 2:
        return None
    return 1 if layout == "NCHW" else len(shape) - 1


def channel_count(shape: Sequence[int], layout: str) -> int:
    """Number of channels; 1 for a tensor without channel axis."""
    axis = channel_axis(shape, layout)
    return 1 if axis is None else shape[axis]


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _resize_record(input_: Input) -> dict[str, Json] | None:
    call = input_.resize
    if call is None or call.name == "none":
        return None
    subject = f"input[{input_.name}].resize"
    if call.name not in ("stretch", "letterbox"):
        raise _unknown_word(
            call.name, "resize", ("stretch(height, width)", "letterbox(height, width)", "none"), subject
        )
    arguments = dict(call.arguments)
    filter_ = str(arguments.get("filter", FILTERS[0]))
    if filter_ not in FILTERS:
        raise _unknown_word(filter_, "a resize filter", FILTERS, subject)
    record: dict[str, Json] = {"kind": call.name, "size": _size(call, subject), "filter": filter_}
    if call.name == "letterbox":
        record["fill"] = _once(_fill(arguments.get("fill", 0), subject))
    return record


def _crop_record(input_: Input) -> Json:
    call = input_.crop
    if call is None or call.name == "none":
        return None
    subject = f"input[{input_.name}].crop"
    if call.name != "center":
        raise _unknown_word(call.name, "crop", ("center(height, width)", "none"), subject)
    return _size(call, subject)


def _size(call: Call, subject: str) -> list[int]:
    arguments: dict[str, Any] = dict(call.arguments)
    size: list[Any] = [arguments.get("height"), arguments.get("width")]
    if not all(type(extent) is int and extent > 0 for extent in size):
        raise Problem(
            "E0212",
            f"{call.name} takes a height and a width in pixels, not {size[0]} and {size[1]}",
            subject=subject,
            helps=(f"write {call.name}(224, 224): height first",),
        )
    return size


def _fill(value: object, subject: str) -> list[int]:
    values: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
    if not all(type(item) is int and 0 <= item <= 255 for item in values):
        raise Problem(
            "E0212",
            f"fill = {value} is no pixel value",
            subject=subject,
            helps=("fill is a whole number 0 .. 255, or one per channel; it is set before mean and scale",),
        )
    return values


def _unknown_word(word: str, what: str, known: Sequence[str], subject: str) -> Problem:
    return Problem("E0211", f"`{word}` is not {what} here", subject=subject, helps=(f"known: {', '.join(known)}",))


def _once(values: list[Any]) -> list[Any]:
    """Equal values written once, so that one value and its repetition give one key."""
    return values[:1] if all(value == values[0] for value in values) else values
