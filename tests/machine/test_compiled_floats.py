"""Quantizing and error sums on the compiled kernels: the bits of numpy, in the order of additions that is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_harness import MemoryBlobs, machine_of, tensor

from npudsl.artifacts.quantized_model import IntegerLayer
from npudsl.machine.compiled import library as libraries
from npudsl.machine.execute import Machine
from npudsl.numerics import metrics
from npudsl.numerics.types import element_type

pytestmark = pytest.mark.skipif(libraries.kernel_library() is None, reason="needs a C compiler")

SIZES = [1, 7, 255, 256, 257, 1000, 32767, 32768, 32769, 100_003]
ZERO_POINTS = {"u8": 117, "i8": -6, "i16": -1234, "f32": 0}


def machines(described):
    """The machine on the kernels, and in numpy."""
    layer = IntegerLayer("layer", "identity", (described.name,), (described.name,))
    model = machine_of([layer], [described], MemoryBlobs()).model
    return Machine(model, MemoryBlobs()), Machine(model, MemoryBlobs(), compiled=False)


@pytest.mark.parametrize("type_name", ["u8", "i8", "i16"])
def test_values_get_the_codes_that_numpy_gives_them(type_name):
    described = tensor("x", (1, 5000), type_name, 0.0371, ZERO_POINTS[type_name])
    generator = np.random.default_rng(1)
    compiled, numpy = machines(described)
    halves = (generator.integers(-400, 400, 5000) + 0.5).astype(np.float32) * np.float32(described.scale)
    for values in (
        generator.normal(0, 3, 5000).astype(np.float32),
        halves,
        np.nextafter(halves, np.float32(np.inf)),
        np.array([0.0, -0.0, np.inf, -np.inf, 1e30, -1e30, 1e-45], dtype=np.float32),
        generator.normal(0, 3, (40, 30)).astype(np.float32).T,
    ):
        found, expected = compiled.quantize_input(values, "x"), numpy.quantize_input(values, "x")
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_a_value_that_is_no_number_has_no_code():
    compiled, _ = machines(tensor("x", (1, 40), "u8"))
    values = np.zeros(40, dtype=np.float32)
    values[33] = np.nan
    with pytest.raises(ValueError, match="not a number"):
        compiled.quantize_input(values, "x")


@pytest.mark.parametrize("type_name", ["u8", "i8", "i16", "f32"])
@pytest.mark.parametrize("bias", [0.0, 5.0, -300.0])
def test_error_sums_are_those_of_numpy_bit_by_bit(type_name, bias):
    generator = np.random.default_rng(2)
    for size in SIZES:
        described = tensor("x", (1, size), type_name, 0.0123 if type_name == "i16" else 0.21, ZERO_POINTS[type_name])
        compiled, numpy = machines(described)
        references = (generator.normal(0, 9, (2, size)) + bias).astype(np.float32)
        candidates = compiled.quantize_input(references + generator.normal(0, 0.1, references.shape), "x")
        found = compiled.error_sums(references, candidates, "x")
        expected = numpy.error_sums(references, candidates, "x")
        assert found.tobytes() == expected.tobytes(), size


def test_equal_tensors_have_no_error():
    described = tensor("x", (1, 600), "u8", 0.5, 10)
    compiled, numpy = machines(described)
    references = np.arange(-10, 90, dtype=np.float32).repeat(12).reshape(2, 600) * np.float32(0.5)
    candidates = compiled.quantize_input(references, "x")
    sums = compiled.error_sums(references, candidates, "x")
    assert sums.tobytes() == numpy.error_sums(references, candidates, "x").tobytes()
    assert metrics.Accumulator.from_row(sums[0]).error_square == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_left_to_numpy(bad):
    described = tensor("x", (1, 600), "f32")
    compiled, numpy = machines(described)
    references, candidates = np.ones((2, 600), np.float32), np.full((2, 600), 1.5, np.float32)
    candidates[1, 400] = bad
    found, expected = (machine.error_sums(references, candidates, "x") for machine in (compiled, numpy))
    assert np.array_equal(found, expected, equal_nan=True)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SIZES[:-1]), st.integers(0, 2**32 - 1))
def test_sums_are_added_in_the_order_that_is_written(size, seed):
    values = np.random.default_rng(seed).normal(0, 1, (2, size)).astype(np.float32)
    reference, candidate = values.astype(np.float64)
    lanes = [0.0] * metrics.LANES
    for index, product in enumerate((reference * candidate)[: metrics.BLOCK].tolist()):
        lanes[index % metrics.LANES] += product
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [lanes[index] + lanes[half + index] for index in range(half)]
    rest = reference[metrics.BLOCK :] * candidate[metrics.BLOCK :]
    assert metrics.accumulate(*values).dot == lanes[0] + (rest[0] if rest.size else 0.0)


@pytest.mark.parametrize("type_name", ["u8", "f32"])
def test_other_number_types_of_references_are_left_to_numpy(type_name):
    described = tensor("x", (1, 30), type_name, 0.1, 3 if type_name == "u8" else 0)
    compiled, numpy = machines(described)
    references = np.linspace(-1, 1, 60).reshape(2, 30)
    candidates = np.zeros((2, 30), element_type(type_name).storage)
    found, expected = (machine.error_sums(references, candidates, "x") for machine in (compiled, numpy))
    assert found.tobytes() == expected.tobytes()
