"""What two tables decide differently, and what is noise."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.artifacts.quant_table import QuantTable, TableHeader, TableLine, read_line
from npudsl.artifacts.table_diff import diff_tables, step_of, step_text, type_text

HEADER = TableHeader("u8", "1f3a09c2", "77b0e41d", "5c02aa17")

RELU = "act relu u8 asym lo=0 hi=6 scale=0.0235294 zp=0 by=default"
WEIGHT = "wgt conv.weight u8 asym lo=-3.51265 hi=4.10973 scale=0.0298917 zp=118 by=default"
CHANNELS = "wgt fc.weight i8 perchannel ch=32 scale=0.00104..0.0213 digest=9ab31c02 by=default"
FIXED_POINT = "act sum i16 dfp lo=0 hi=6 fl=12 alg=kl by=layer"
FLOAT = "act prob f32 by=op"


def table(*lines: str, header: TableHeader = HEADER) -> QuantTable:
    return QuantTable(header, tuple(read_line(line) for line in lines))


def whats(old: str, new: str, tolerance: float = 0.01) -> tuple[str, ...]:
    """What one line's change is called; nothing when it is none."""
    difference = diff_tables("u8", table(old), table(new), tolerance)
    return difference.changes[0].what if difference.changes else ()


def test_the_same_table_has_no_difference():
    both = table(RELU, WEIGHT, CHANNELS, FIXED_POINT, FLOAT)

    difference = diff_tables("u8", both, both)

    assert not difference.changed
    assert (difference.tensors, difference.within_tolerance, difference.header) == (5, 0, ())


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (RELU, RELU.replace("hi=6", "hi=5").replace("0.0235294", "0.0196078"), ("range",)),
        (RELU, FIXED_POINT.replace("sum", "relu"), ("type", "algorithm", "rule")),
        (RELU, RELU.replace("zp=0 ", "zp=1 "), ("zero_point",)),
        (RELU, RELU.replace("zp=0 by", "zp=0 alg=kl by"), ("algorithm",)),
        (RELU, RELU.replace("by=default", "by=layers"), ("rule",)),
        (RELU, RELU.replace("asym", "sym"), ("scheme",)),
        (CHANNELS, CHANNELS.replace("9ab31c02", "9ab31c03"), ("scales",)),
        (CHANNELS, CHANNELS.replace("ch=32", "ch=16"), ("scales",)),
        (WEIGHT, WEIGHT.replace("zp=118", "zp=118 corrected=1f3a09c2"), ("corrected",)),
        (FIXED_POINT, FIXED_POINT.replace("fl=12", "fl=11"), ("zero_point",)),
        (FLOAT, "act prob u8 asym lo=0 hi=1 scale=0.00392157 zp=0 by=default", ("type", "rule")),
    ],
)
def test_every_part_of_a_line_can_change(old, new, what):
    assert whats(old, new) == what


def test_a_range_that_moved_less_than_the_tolerance_is_counted_and_not_told():
    new = RELU.replace("hi=6", "hi=6.0002")

    difference = diff_tables("u8", table(RELU), table(new))

    assert (difference.changes, difference.within_tolerance) == ((), 1)
    assert whats(RELU, new, tolerance=0) == ("range",)


def test_tensors_that_came_and_went_are_told_and_converters_counted():
    converter = "act relu/to_i16 i16 dfp lo=0 hi=6 fl=12 by=converter"

    difference = diff_tables("u8", table(RELU, WEIGHT), table(RELU, converter))

    assert [(change.what, change.line.name) for change in difference.changes] == [
        (("added",), "relu/to_i16"),
        (("removed",), "conv.weight"),
    ]
    assert (difference.converters_added, difference.converters_removed) == (1, 0)
    assert (difference.old_types, difference.new_types) == ((("u8", 1),), ())


def test_a_whole_table_may_be_new_or_gone():
    assert [change.what for change in diff_tables("u8", None, table(RELU)).changes] == [("added",)]
    assert [change.what for change in diff_tables("u8", table(RELU), None).changes] == [("removed",)]


def test_the_order_of_lines_is_no_difference():
    assert not diff_tables("u8", table(RELU, WEIGHT), table(WEIGHT, RELU)).changed


def test_what_a_table_was_made_from_is_told_apart_from_what_it_decides():
    other = table(RELU, header=replace(HEADER, model="00000000", settings="11111111"))

    difference = diff_tables("u8", table(RELU), other)

    assert difference.header == ("model", "settings")
    assert not difference.changed


def test_steps_are_those_of_the_line():
    assert step_of(read_line(FIXED_POINT)) == 2.0**-12
    assert step_of(read_line(FLOAT)) is None
    assert step_text(read_line(CHANNELS)) == "0.00104..0.0213"
    assert (type_text(read_line(FLOAT)), type_text(read_line(RELU))) == ("f32", "u8 asym")


def test_the_record_is_json():
    record = diff_tables("u8", table(RELU, CHANNELS), table(FIXED_POINT, FLOAT)).record()

    assert json.loads(json.dumps(record)) == record
    assert record["weight_bytes"] is None


ENDS = st.floats(0.5, 100, width=32).map(lambda value: float(f"{value:.6g}"))


@settings(max_examples=100, deadline=None)
@given(ENDS, st.floats(-0.5, 0.5))
def test_the_tolerance_is_a_share_of_the_old_step(high, share):
    step = high / 255
    old = TableLine("act", "x", "u8", "asym", 0.0, high, step, 0)
    new = replace(old, high=high + share * step)

    difference = diff_tables("u8", QuantTable(HEADER, (old,)), QuantTable(HEADER, (new,)), tolerance=0.25)

    if abs(abs(share) - 0.25) > 1e-6:
        assert difference.changed == (abs(share) > 0.25)
    if difference.changed:
        assert difference.changes[0].moved == pytest.approx(abs(share), abs=1e-6)
