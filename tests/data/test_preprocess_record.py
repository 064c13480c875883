"""Records of preprocessing: equal meaning gives equal records, every difference in the tensor shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from npudsl.data.preprocess import default_layout, fit_records, input_record, preprocess_record
from npudsl.diagnostics import Problem
from npudsl.keys import digest_record
from npudsl.language.program import Call, Input

SHAPE = (1, 3, 8, 8)
PLAIN = Input("data")
CENTER = Call("center", (("height", 8), ("width", 8)))
STRETCH = Call("stretch", (("height", 8), ("width", 8)))
LETTERBOX = Call("letterbox", (("height", 8), ("width", 8)))


def digest(input_: Input, layout: str = "NCHW") -> str:
    return digest_record(preprocess_record(input_, SHAPE, layout))


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"layout": "NHWC", "mean": (0.0,)},
        {"color": "bgr"},
        {"mean": (1.0,)},
        {"mean": (0.0, 0.0, 1.0)},
        {"scale": (0.5,)},
        {"resize": STRETCH},
        {"resize": LETTERBOX},
        {"resize": Call("stretch", (("height", 8), ("width", 9)))},
        {"resize": Call("stretch", (("height", 8), ("width", 8), ("filter", "area")))},
        {"resize": Call("letterbox", (("height", 8), ("width", 8), ("fill", 128)))},
        {"resize": Call("letterbox", (("height", 8), ("width", 8), ("fill", (1, 2, 3))))},
        {"crop": CENTER},
        {"reorder": (2, 1, 0)},
    ],
)
def test_every_setting_that_changes_the_tensor_changes_the_record(changed: dict[str, Any]) -> None:
    assert digest(replace(PLAIN, **changed)) != digest(PLAIN)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"mean": (5.0,)}, {"mean": (5.0, 5.0, 5.0)}),
        ({"layout": "NCHW"}, {}),
        ({"resize": Call("none")}, {}),
        ({"crop": Call("none")}, {}),
        ({"resize": STRETCH}, {"resize": Call("stretch", (*STRETCH.arguments, ("filter", "bilinear")))}),
        ({"resize": LETTERBOX}, {"resize": Call("letterbox", (*LETTERBOX.arguments, ("fill", (0, 0, 0))))}),
    ],
)
def test_the_same_meaning_has_the_same_record(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert digest(replace(PLAIN, **left)) == digest(replace(PLAIN, **right))


def test_the_shape_and_the_models_layout_are_in_the_record() -> None:
    record = preprocess_record(PLAIN, SHAPE, "NHWC")
    assert record["shape"] == [1, 3, 8, 8]
    assert record["layout"] == "NHWC"


def test_layout_follows_the_models_format() -> None:
    assert [default_layout(name) for name in ("onnx", "caffe", "tflite", "keras", "tensorflow")] == [
        "NCHW", "NCHW", "NHWC", "NHWC", "NHWC",
    ]  # fmt: skip


def test_inputs_that_the_program_leaves_out_have_the_defaults() -> None:
    records = fit_records([input_record(Input("b", mean=(1.0,)))], {"a": (1, 4), "b": (1, 2)}, "NCHW")
    assert [record["input"] for record in records] == ["a", "b"]
    assert records[0] == preprocess_record(Input("a"), (1, 4), "NCHW")
    assert records[1]["mean"] == [1.0]


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        ({"mean": (1.0, 2.0)}, "E0404", '2 values for 3 channels of "data"'),
        ({"scale": (1.0, 2.0, 3.0, 4.0)}, "E0404", '4 values for 3 channels of "data"'),
        ({"reorder": (0, 1)}, "E0404", 'reorder = [0, 1] is no order of the 3 channels of "data"'),
        ({"reorder": (0, 1, 3)}, "E0404", 'reorder = [0, 1, 3] is no order of the 3 channels of "data"'),
        ({"resize": Call("squeeze")}, "E0211", "`squeeze` is not resize here"),
        ({"crop": Call("top", (("height", 8), ("width", 8)))}, "E0211", "`top` is not crop here"),
        (
            {"resize": Call("stretch", (*STRETCH.arguments, ("filter", "lanczos")))},
            "E0211",
            "`lanczos` is not a resize",
        ),
        ({"resize": Call("stretch", (("height", 8),))}, "E0212", "stretch takes a height and a width in pixels"),
        ({"resize": Call("stretch", (("height", 0), ("width", 8)))}, "E0212", "not 0 and 8"),
        ({"resize": Call("letterbox", (*LETTERBOX.arguments, ("fill", 256)))}, "E0212", "fill = 256"),
    ],
)
def test_settings_without_meaning_are_refused(changed: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(Exception) as caught:
        preprocess_record(replace(PLAIN, **changed), SHAPE, "NCHW")
    assert isinstance(caught.value, Problem)
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.code == code
    assert message in diagnostic.message
    assert diagnostic.subject is not None
    assert diagnostic.subject.startswith("input[data].")
    assert diagnostic.helps
