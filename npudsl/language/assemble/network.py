"""``model``, ``input`` and ``output`` blocks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

from npudsl.language.assemble.ledger import Ledger
from npudsl.language.bodies import Body
from npudsl.language.program import Call, Input, Model, Output, PathValue


def model(body: Body, ledger: Ledger) -> Model | None:
    ledger.block("model", body)
    format_name, file = body.value("format"), body.value("file")
    if not isinstance(format_name, str) or not isinstance(file, PathValue):
        return None
    return Model(body.label, format_name, file)


def network_input(body: Body, ledger: Ledger) -> Input:
    subject = f"input[{body.label}]"
    ledger.block(subject, body)
    if body.has("std"):
        ledger.origins[f"{subject}.scale"] = body.entries["std"].span
    mean = _floats(body.entries["mean"].value) if body.has("mean") else (0.0,)
    value = Input(
        name=body.label,
        shape=cast("tuple[int, ...] | None", body.value("shape")),
        dtype=cast(str, body.value("dtype")),
        layout=cast("str | None", body.value("layout")),
        color=cast(str, body.value("color")),
        mean=mean,
        scale=_scale(body),
        resize=cast("Call | None", body.value("resize")),
        crop=cast("Call | None", body.value("crop")),
        reorder=cast("tuple[int, ...] | None", body.value("reorder")),
    )
    _check_channels(value, body, ledger)
    _check_reorder(value, body, ledger)
    _check_sizes(value, body, ledger)
    return value


def network_output(body: Body, ledger: Ledger) -> Output:
    ledger.block(f"output[{body.label}]", body)
    return Output(body.label, cast("str | None", body.value("dtype")), cast("Call | None", body.value("postprocess")))


def _scale(body: Body) -> tuple[float, ...]:
    """The factor; from ``std`` as the exact inverse, rounded once."""
    if body.has("std"):
        return tuple(float(1 / value) for value in cast("tuple[Fraction, ...]", body.entries["std"].value))
    return _floats(body.entries["scale"].value) if body.has("scale") else (1.0,)


def _floats(values: object) -> tuple[float, ...]:
    return tuple(float(value) for value in cast("tuple[Fraction, ...]", values))


def channels(value: Input) -> int | None:
    """Number of channels of an image input, where the text tells it."""
    if value.shape is None or len(value.shape) != 4:
        return None
    return value.shape[3] if value.layout == "NHWC" else value.shape[1]


def _check_channels(value: Input, body: Body, ledger: Ledger) -> None:
    expected = channels(value)
    if expected is None:
        return
    for key in ("mean", "scale", "std"):
        if not body.has(key):
            continue
        written = len(cast("tuple[Any, ...]", body.entries[key].value))
        if written not in (1, expected):
            plural = "value" if written == 1 else "values"
            ledger.error(
                "E0404",
                f"{written} {plural} for {expected} {'channel' if expected == 1 else 'channels'}",
                body.entries[key].span,
                "write one number, or one per channel",
                *(() if value.layout else ("the layout is taken as NCHW; write `layout = NHWC` for channels last",)),
            )


def _check_reorder(value: Input, body: Body, ledger: Ledger) -> None:
    if value.reorder is None:
        return
    if sorted(value.reorder) != list(range(len(value.reorder))):
        ledger.error(
            "E0212",
            "`reorder` names every channel once, counted from 0",
            body.entries["reorder"].span,
            "for example [2, 1, 0]",
        )
        return
    expected = channels(value)
    if expected is not None and len(value.reorder) != expected:
        ledger.error("E0404", f"{len(value.reorder)} entries for {expected} channels", body.entries["reorder"].span)


def _check_sizes(value: Input, body: Body, ledger: Ledger) -> None:
    if value.shape is None or len(value.shape) != 4:
        return
    height, width = value.shape[1:3] if value.layout == "NHWC" else value.shape[2:4]
    last = "crop" if value.crop is not None else "resize"
    call = value.crop or value.resize
    if call is None:
        return
    arguments = dict(call.arguments)
    given = (arguments["height"], arguments["width"])
    if given == (width, height) and height != width:
        ledger.error(
            "E0405",
            f"{given[0]}x{given[1]} is height x width; the input is {height}x{width}",
            body.entries[last].span,
            f"write `{last} = {call.name}({height}, {width})`",
        )
