"""The compiled pass equals its numpy definition bit for bit, whatever the values are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.native import statistics
from npudsl.native.library import Libraries
from npudsl.native.statistics import StatisticsKernel, statistics_kernel
from npudsl.numerics.pattern_counters import NativeCounters, NumpyCounters, Seen, pattern_counters

ODD_VALUES = [0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x0000FFFF, 0x00010000, 0x007FFFFF, 0x00800000]
ODD_VALUES += [0x3F800000, 0xBF800000, 0x40C00000, 0x7F7FFFFF, 0xFF7FFFFF]
NOT_FINITE = [0x7F800000, 0xFF800000, 0x7F800001, 0x7FC00000, 0xFFC00000, 0xFFFFFFFF]

FINITE = st.sampled_from(ODD_VALUES) | st.integers(0, 0x7F7FFFFF) | st.integers(0x80000000, 0xFF7FFFFF)


def values_of(patterns: list[int]) -> np.ndarray:
    return np.array(patterns, dtype=np.uint32).view(np.float32)


@pytest.fixture(scope="module")
def kernel() -> StatisticsKernel:
    found = statistics_kernel()
    if found is None:
        pytest.skip("compiled fast paths are not to be had here")
    return found


def assert_same(found: Seen, expected: Seen) -> None:
    assert np.array(found[:2]).tobytes() == np.array(expected[:2]).tobytes()
    assert found.not_finite == expected.not_finite
    assert {type(value) for value in found[:2]} == {np.float32}


def assert_same_counters(found: NativeCounters, expected: NumpyCounters, tensor: int = 0) -> None:
    for ours, theirs in zip(found.sparse(tensor), expected.sparse(tensor), strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(FINITE, min_size=1, max_size=70), min_size=1, max_size=4))
def test_any_patterns_in_any_number_of_passes(kernel: StatisticsKernel, passes: list[list[int]]) -> None:
    ours, definition = NativeCounters(kernel, 1), NumpyCounters(1)
    for patterns in passes:
        assert_same(ours.add(0, values_of(patterns)), definition.add(0, values_of(patterns)))
    assert_same_counters(ours, definition)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(FINITE, max_size=40),
    st.sampled_from(NOT_FINITE),
    st.lists(FINITE | st.sampled_from(NOT_FINITE), max_size=40),
)
def test_the_first_value_that_is_not_finite(kernel: StatisticsKernel, before, value, after) -> None:
    values = values_of([*before, value, *after])
    ours = NativeCounters(kernel, 2)

    assert_same(ours.add(0, values), NumpyCounters(1).add(0, values))
    assert ours.add(0, values).not_finite == len(before)

    # The lanes are shared: what the spoilt tensor left in them would be counted for the next one.
    definition = NumpyCounters(2)
    assert_same(ours.add(1, values_of([*before, 0])), definition.add(1, values_of([*before, 0])))
    assert_same_counters(ours, definition, 1)


@pytest.mark.parametrize("size", [1, 3, 15, 16, 17, 2047, 2048, 2049, 2048 + 16, 5000, 100_003])
@pytest.mark.parametrize("kind", ["normal", "relu", "relu6", "zeros", "minus zeros", "negative", "tiny", "patterns"])
def test_real_looking_tensors_of_every_size(kernel: StatisticsKernel, kind: str, size: int) -> None:
    random = np.random.default_rng(size)
    normal = random.normal(size=size).astype(np.float32)
    values = {
        "normal": normal,
        "relu": np.maximum(normal, 0),
        "relu6": np.clip(normal * 8, 0, 6),
        "zeros": np.zeros_like(normal),
        "minus zeros": np.copysign(np.zeros_like(normal), -1),
        "negative": -np.abs(normal) - 1,
        "tiny": normal * np.float32(1e-40),
        "patterns": values_of((random.integers(0, 0x7F800000, size) | random.integers(0, 2, size) << 31).tolist()),
    }[kind]
    ours, definition = NativeCounters(kernel, 1), NumpyCounters(1)
    for _ in range(2):
        assert_same(ours.add(0, values), definition.add(0, values))
    assert_same_counters(ours, definition)
    assert int(ours.sparse(0)[1].sum()) == 2 * size


def test_tensors_do_not_mix(kernel: StatisticsKernel) -> None:
    ours, definition = NativeCounters(kernel, 3), NumpyCounters(3)
    for counters in (ours, definition):
        counters.add(0, values_of([0x3F800000] * 5))
        counters.add(2, values_of([0xC0000000, 0x80000000, 7]))
    for tensor in range(3):
        assert_same_counters(ours, definition, tensor)
    assert ours.sparse(1)[0].size == 0


def test_arrays_that_are_not_plain_are_read_as_what_they_are(kernel: StatisticsKernel) -> None:
    normal = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    unaligned = np.frombuffer(b"x" + normal.tobytes(), dtype=np.float32, offset=1)
    for values in (normal.T, normal[::2, 1::3], normal.astype(">f4"), normal.astype(np.float64), unaligned):
        ours, definition = NativeCounters(kernel, 1), NumpyCounters(1)
        assert_same(ours.add(0, values), definition.add(0, values))
        assert_same_counters(ours, definition)


def test_nothing_to_count_is_refused_by_both(kernel: StatisticsKernel) -> None:
    for counters in (NativeCounters(kernel, 1), NumpyCounters(1)):
        with pytest.raises(ValueError):
            counters.add(0, np.zeros((0, 3), dtype=np.float32))


def test_lanes_that_fill_up_are_emptied_in_time(kernel: StatisticsKernel, tmp_path: Path) -> None:
    # Their true limit is two thousand million values of one tensor.
    source = (Path(statistics.__file__).parent / statistics.SOURCE).read_bytes()
    small = source.replace(b"#define LANE_LIMIT 0x80000000u", b"#define LANE_LIMIT 0x1000u")
    assert small != source
    library = Libraries(tmp_path / "native", os.environ).load("small", {"statistics.c": small})
    assert library is not None
    ours, definition = NativeCounters(StatisticsKernel(library), 1), NumpyCounters(1)

    values = np.random.default_rng(1).normal(size=20_000).astype(np.float32)
    assert_same(ours.add(0, values), definition.add(0, values))
    assert_same_counters(ours, definition)


def test_without_a_library_the_definition_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("npudsl.numerics.pattern_counters.statistics_kernel", lambda: None)
    assert isinstance(pattern_counters(1), NumpyCounters)
