"""Lookup tables and the softmax exponential."""

from __future__ import annotations

import math

import numpy as np
import pytest
from machine_harness import tensor

from npudsl.ir.groups import Clamp
from npudsl.machine.tables import (
    UNARY_FUNCTIONS,
    is_unary_function,
    softmax_denominator,
    softmax_exponential,
    table_for,
)

mpmath = pytest.importorskip("mpmath")

ATTRIBUTES = {"PRelu": {"alpha": 0.2}, "Pow": {"exponent": 2.0}, "Clip": {"min": -1.0, "max": 2.0}}


@pytest.mark.parametrize("op", sorted(UNARY_FUNCTIONS))
@pytest.mark.parametrize(("type", "entries"), [("u8", 256), ("i8", 256), ("i16", 65536)])
def test_every_function_has_an_entry_for_every_code(op, type, entries):
    scale = 0.04 if entries == 256 else 0.0002
    source, target = tensor("x", (1,), type, scale, 3), tensor("y", (1,), type, scale, 3)
    table = table_for(op, ATTRIBUTES.get(op, {}), source, target)
    assert table.shape == (entries,)
    assert str(table.dtype) == {"u8": "uint8", "i8": "int8", "i16": "int16"}[type]


PRECISE = {
    "Sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "Tanh": mpmath.tanh,
    "Exp": mpmath.exp,
    "Gelu": lambda x: x * (1 + mpmath.erf(x / mpmath.sqrt(2))) / 2,
    "Mish": lambda x: x * mpmath.tanh(mpmath.log(1 + mpmath.exp(x))),
    "Silu": lambda x: x / (1 + mpmath.exp(-x)),
    "Softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "Elu": lambda x: x if x > 0 else mpmath.expm1(x),
}


@pytest.mark.parametrize("op", PRECISE)
def test_entries_are_the_correctly_rounded_values(op):
    source, target = tensor("x", (1,), "i8", 0.05, 11), tensor("y", (1,), "u8", 0.0173, 40)
    table = table_for(op, {}, source, target)
    with mpmath.workdps(40):
        for code, entry in zip(range(-128, 128), table, strict=True):
            real = PRECISE[op](mpmath.mpf(code - 11) * mpmath.mpf(0.05)) / mpmath.mpf(0.0173)
            assert entry == min(max(int(mpmath.nint(real)) + 40, 0), 255)


def test_hard_sigmoid_gives_the_codes_that_a_vendor_test_lists():
    source, target = tensor("x", (1,), "u8", 0.00228914, 128), tensor("y", (1,), "u8", 0.005, 128)
    table = table_for("HardSigmoid", {"alpha": 0.2, "beta": 0.5}, source, target)
    codes = [65, 255, 140, 92, 142, 122, 117, 167, 132, 44, 99, 109, 96, 216, 222, 135, 126, 113, 100]
    published = [222, 240, 229, 225, 229, 227, 227, 232, 228, 220, 225, 226, 225, 236, 237, 229, 228, 227, 225]
    assert table[codes].tolist() == published


def test_results_without_end_saturate_and_zero_stands_for_what_is_below_it():
    source, target = tensor("x", (1,), "i8", 0.1, 0), tensor("y", (1,), "i8", 0.1, 0)
    assert table_for("Reciprocal", {}, source, target)[128] == 127
    logarithm = table_for("Log", {}, source, target)
    assert logarithm[128] == -128
    assert logarithm[0] == -128
    assert table_for("Sqrt", {}, source, target)[0] == 0
    assert table_for("Pow", {"exponent": 0.5}, source, target)[0] == 0
    assert table_for("Pow", {"exponent": 2.0}, source, target)[118] == 10
    assert table_for("Exp", {}, tensor("x", (1,), "i16", 1.0, 0), target)[-1] == 127


def test_a_result_that_is_no_number_is_refused():
    source, target = tensor("x", (1,), "i8", 0.1, 0), tensor("y", (1,), "i8", 0.1, 0)
    with pytest.raises(ValueError, match="Pow of code -128 of x is not a number"):
        table_for("Pow", {"exponent": float("nan")}, source, target)


def test_a_fused_activation_clamps_the_table():
    source, target = tensor("x", (1,), "i8", 0.1, 0), tensor("y", (1,), "i8", 0.1, 0)
    table = table_for("Neg", {}, source, target, Clamp(0.0, 6.0))
    assert (table.min(), table.max()) == (0, 60)


def test_symmetric_saturation_holds_for_tables_too():
    source = tensor("x", (1,), "i8", 0.1, 0)
    target = tensor("y", (1,), "i8", fractional_length=7, saturation="symmetric")
    assert table_for("Tanh", {}, source, target).min() == -127


def test_only_functions_of_one_value_have_tables():
    assert is_unary_function("HardSwish")
    assert not is_unary_function("Softmax")


def test_the_exponential_starts_at_one_and_ends_where_it_vanishes():
    entries = softmax_exponential(tensor("x", (1,), "u8", 0.2, 9))
    assert entries[0] == 2**24
    assert entries[-1] > 0
    assert round(math.exp(-0.2 * entries.size) * 2**24) == 0
    assert softmax_exponential(tensor("x", (1,), "u8", 0.001, 9)).size == 256
    assert entries.dtype == np.uint32


def test_the_denominator_is_a_whole_number():
    assert softmax_denominator(tensor("y", (1,), "u8", 1 / 256, 0)) == 256
    assert softmax_denominator(tensor("y", (1,), "u8", 1 / 255, 0)) == 255
    with pytest.raises(ValueError, match="whole number"):
        softmax_denominator(tensor("y", (1,), "u8", 0.0038, 0))
