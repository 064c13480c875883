"""The quantization table as text: golden lines, round trips, and what the strict reader refuses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.artifacts.quant_table import (
    QuantTable,
    TableHeader,
    TableLine,
    activation_line,
    range_digits,
    read_table,
    render_table,
    table_of,
    weight_line,
)
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, TensorQuantization, WeightQuantization
from npudsl.diagnostics import UserError
from npudsl.numerics.affine import significant_digits
from npudsl.numerics.types import ELEMENT_TYPES

HEADER = TableHeader("hybrid", "1f3a09c2", "77b0e41d", "5c02aa17")

GOLDEN = """\
npu-quant 1 variant=hybrid model=1f3a09c2 calib=77b0e41d settings=5c02aa17
act input u8 asym lo=-1 hi=0.992188 scale=0.0078125 zp=128 by=default
wgt net/Conv/weights u8 asym lo=-3.51265 hi=4.10973 scale=0.0298917 zp=118 by=default
act net/Conv/Relu6 u8 asym lo=0 hi=6 scale=0.0235294 zp=0 alg=kl by=default
wgt net/Conv_1/weights i16 dfp lo=-0.716331 hi=0.682914 fl=15 by=layer
act net/Conv_1/Relu6 i16 dfp lo=0 hi=6 fl=12 alg=kl by=layer
wgt net/Conv_2/weights i8 perchannel ch=2 scale=0.00104..0.0213 digest=f05132e9 by=default
act "net/Conv 2" i8 asym lo=-12 hi=18.5 scale=0.119608 zp=-28 alg=fixed by=tensor
act net/Predictions/Softmax f32 by=op
"""


def _program() -> QuantizedModel:
    tensors = [
        TensorQuantization("input", (1, 3), "u8", "asym", 1.992188 / 255, 128, None, -1.0, 0.992188, "minmax"),
        TensorQuantization("net/Conv/Relu6", (1, 3), "u8", "asym", 6 / 255, 0, None, 0.0, 6.0, "kl"),
        TensorQuantization("net/Conv_1/Relu6", (1, 3), "i16", "dfp", 2**-12, 0, 12, 0.0, 6.0, "kl", "layer"),
        TensorQuantization("net/Conv 2", (1, 3), "i8", "asym", 30.5 / 255, -28, None, -12.0, 18.5, "fixed", "tensor"),
        TensorQuantization("net/Predictions/Softmax", (1, 3), "f32", "none", decided_by="op"),
    ]
    weights = [
        WeightQuantization(
            "net/Conv/weights", "c0", (3, 3), "u8", "asym", (7.62238 / 255,), 118, None, -3.51265, 4.10973
        ),
        WeightQuantization(
            "net/Conv_1/weights", "c1", (3, 3), "i16", "dfp", (2**-15,), 0, 15, -0.716331, 0.682914, "minmax", "layer"
        ),
        WeightQuantization("net/Conv_2/weights", "c2", (2, 3), "i8", "perchannel", (0.0213, 0.00104)),
    ]
    names = ["input", *(tensor.name for tensor in tensors[1:])]
    layers = [IntegerLayer(f"c{at}", "conv", (names[at],), (names[at + 1],)) for at in range(len(names) - 1)]
    return QuantizedModel(
        "net",
        "hybrid",
        "exact",
        ("input",),
        (names[-1],),
        {tensor.name: tensor for tensor in tensors},
        {weight.name: weight for weight in weights},
        tuple(layers),
    )


def test_the_table_of_a_program_has_a_line_per_tensor_in_graph_order():
    assert render_table(table_of(_program(), HEADER)) == GOLDEN


def test_reading_a_table_and_writing_it_gives_the_same_text():
    assert render_table(read_table(GOLDEN, "net.hybrid.quant")) == GOLDEN


def test_what_was_read_is_found_by_name():
    table = read_table(GOLDEN, "net.hybrid.quant")
    assert table.header == HEADER
    assert table.activations["net/Conv 2"].low == -12.0
    assert table.activations["net/Predictions/Softmax"] == TableLine(
        "act", "net/Predictions/Softmax", "f32", decided_by="op"
    )
    assert table.weights["net/Conv_1/weights"].fractional_length == 15
    assert table.weights["net/Conv_2/weights"].scale_range == (0.00104, 0.0213)


def test_a_table_with_line_ends_of_another_system_is_the_same_table():
    assert read_table(GOLDEN.replace("\n", "\r\n"), "x.quant") == read_table(GOLDEN, "x.quant")


def test_ranges_have_as_many_digits_as_the_numbers_they_stand_for():
    assert {name: range_digits(name) for name in ELEMENT_TYPES if name != "f32"} == {
        name: significant_digits(name) for name in ELEMENT_TYPES if name != "f32"
    }


def test_a_merge_conflict_is_named_as_one():
    lines = GOLDEN.splitlines(keepends=True)
    text = "".join([*lines[:2], "<<<<<<< ours\n", lines[2], "=======\n", lines[3], ">>>>>>> theirs\n", *lines[4:]])
    with pytest.raises(UserError) as caught:
        read_table(text, "net.quant")
    assert [(d.code, str(d.places[0])) for d in caught.value.diagnostics] == [
        ("E0802", "net.quant:3"),
        ("E0802", "net.quant:5"),
        ("E0802", "net.quant:7"),
    ]
    assert caught.value.diagnostics[0].message == "the quantization table holds the mark of a merge conflict in line 3"
    assert "npu build" in caught.value.diagnostics[0].helps[0]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("act x u8 asym lo=-1.0 hi=1 scale=0.00784314 zp=128 by=default", "the line is not written as npu writes it"),
        ("act x u8 asym  lo=-1 hi=1 scale=0.00784314 zp=128 by=default", "the line is not written as npu writes it"),
        ("act x u8 asym lo=1 hi=-1 scale=0.00784314 zp=128 by=default", "lo=1 is above hi=-1"),
        ("act x u8 asym lo=nan hi=1 scale=0.00784314 zp=128 by=default", "nan is not a finite number"),
        ("act x u8 asym lo=-1 hi=1 zp=128 by=default", "asym has the fields lo, hi, scale, zp"),
        ("act x u9 asym lo=-1 hi=1 scale=0.00784314 zp=128 by=default", "u9 is not a type"),
        ("act x u8 affine lo=-1 hi=1 scale=0.00784314 zp=128 by=default", "affine is not a scheme"),
        ("act x u8 asym hi=1 lo=-1 scale=0.00784314 zp=128 by=default", "expected lo=..., found hi=1"),
        ("act x i16 dfp lo=0 hi=6 fl=1.5 by=default", "1.5 is not an integer"),
        ("act x f32 asym by=default", "the line is not written as npu writes it"),
        ('act "x u8 asym by=default', "the string is not closed"),
        ("tensor x f32 by=op", "tensor is not act or wgt"),
        ("", "a line has at least kind, name, type and by="),
        (
            "act x u8 asym lo=-1 hi=1 scale=0.00784314 zp=128 alg=minmax by=default",
            "alg= names an algorithm other than",
        ),
    ],
)
def test_a_line_that_npu_did_not_write_is_refused_with_its_number(line, reason):
    with pytest.raises(UserError) as caught:
        read_table(GOLDEN + line + "\n", "net.quant")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0802"
    assert str(diagnostic.places[0]) == "net.quant:10"
    assert diagnostic.message.startswith("line 10 of the quantization table was not written by npu: ")
    assert reason in diagnostic.message


def test_a_repeated_tensor_names_both_lines():
    with pytest.raises(UserError) as caught:
        read_table(GOLDEN + GOLDEN.splitlines()[1] + "\n", "net.quant")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == "line 10 of the quantization table repeats act input of line 2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is no quantization table: its first line does not start with 'npu-quant 1'"),
        ("npu-lock 1 tool=0.1.0 language=1\n", "this is no quantization table"),
        ("npu-quant 2 variant=a\n", "the quantization table has format 2; this npudsl reads format 1"),
    ],
)
def test_another_kind_of_file_or_a_newer_format_is_refused(text, message):
    with pytest.raises(UserError) as caught:
        read_table(text, "net.quant")
    assert caught.value.diagnostics[0].code == "E0801"
    assert caught.value.diagnostics[0].message.startswith(message)


NUMBERS = st.floats(-1e30, 1e30, allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(name=st.text(min_size=1), ends=st.tuples(NUMBERS, NUMBERS), type_name=st.sampled_from(["u8", "i8", "i16"]))
def test_any_name_and_any_range_survive_the_text(name, ends, type_name):
    digits = range_digits(type_name)
    low, high = sorted(float(f"{end:.{digits}g}") for end in ends)
    tensor = TensorQuantization(name, (1,), type_name, "asym", 0.5, 3, None, low, high)
    table = QuantTable(HEADER, (activation_line(tensor),))
    text = render_table(table)
    assert text.count("\n") == 2
    (line,) = read_table(text, "x.quant").lines
    assert (line.name, line.low, line.high) == (name, low, high)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0, "0"),
        (0.0001, "0.0001"),
        (999999.0, "999999"),
        (1e6, "1e6"),
        (0.0000305176, "3.05176e-5"),
        (-4e-40, "-4e-40"),
    ],
)
def test_numbers_have_one_short_spelling(value, text):
    tensor = TensorQuantization("x", (1,), "u8", "asym", 0.5, 3, None, value, 1e9)
    assert f" lo={text} " in render_table(QuantTable(HEADER, (activation_line(tensor),)))


def test_the_digest_of_channel_scales_changes_with_any_of_them():
    def digest(*scales: float) -> str | None:
        return weight_line(WeightQuantization("w", "l", (2, 1), "i8", "perchannel", scales)).digest

    assert digest(0.1, 0.2) != digest(0.1, 0.20000000000000004)
    assert digest(0.1, 0.2) == digest(0.1, 0.2)
