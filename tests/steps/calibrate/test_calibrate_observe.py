"""The merge of shards: exact, and blind to how samples were dealt out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.artifacts.statistics import load_statistics, save_statistics, statistics_entries
from npudsl.numerics.ranges_counters import Observation
from npudsl.steps.calibrate.observe import Merged, NotFinite, Observer, Shard

TENSORS = ("conv1", "block/relu:0")


def sample(number: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(number)
    normal = random.normal(size=(1, 4, 5)).astype(np.float32) * np.float32(number + 1)
    return {"conv1": normal, "block/relu:0": np.maximum(normal, 0)}


def observed(space: Any, numbers: list[int]) -> dict[str, Any]:
    observer = Observer(TENSORS)
    for number in numbers:
        observer.add(sample(number))
    return observer.save([f"s{number}" for number in numbers], space)


def merged(space: Any, parts: list[list[int]], order: list[int]) -> dict[str, Any]:
    shards = [Shard.load(observed(space, part), space) for part in parts]
    digests = [f"s{number}" for number in order]
    return save_statistics(digests, Merged(shards, digests), space)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_dealing_out_changes_no_bit(new_space: Any, data: st.DataObject) -> None:
    order = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=9))
    dealt = data.draw(st.permutations(order))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order)), max_size=4)) | {0, len(order)})
    parts = [dealt[start:end] for start, end in pairwise(cuts)]
    space = new_space()
    assert merged(space, data.draw(st.permutations(parts)), order) == merged(space, [order], order)


def test_the_merge_holds_exactly_what_was_seen(space: Any) -> None:
    order = [3, 0, 5, 1]
    tree = merged(space, [[0, 1], [5, 3]], order)
    for tensor in TENSORS:
        everything = np.concatenate([sample(number)[tensor] for number in order])
        expected = Observation.of(everything)
        found = load_statistics(tree, space, tensor)
        assert (found.minimum, found.maximum, found.count) == (expected.minimum, expected.maximum, everything.size)
        assert np.array_equal(found.patterns, expected.patterns)
        assert np.array_equal(found.counts, expected.counts)
        assert found.patterns.dtype == np.uint16
        assert found.counts.dtype == np.int64
        rows = [[sample(number)[tensor].min(), sample(number)[tensor].max()] for number in order]
        assert np.array_equal(found.extremes, np.array(rows, dtype=np.float32))


def test_the_tree_is_as_documented(space: Any) -> None:
    tree = merged(space, [[2, 1]], [1, 2])
    assert set(tree) == {
        "statistics.json",
        *(f"{kind}/{name}" for kind in ("counters", "extremes") for name in TENSORS),
    }
    record = space.read_json(tree["statistics.json"])
    assert record["samples"] == ["s1", "s2"]
    counters = space.read_array(tree["counters/conv1"])
    assert counters.dtype == np.int64
    assert counters.shape[1] == 2
    assert list(statistics_entries(tree, space)) == list(TENSORS)
    with pytest.raises(KeyError):
        load_statistics(tree, space, "conv2")


def test_statistics_of_another_format_are_not_guessed_at(space: Any) -> None:
    tree = {"statistics.json": space.write_json({"format": 0, "samples": [], "tensors": []})}
    with pytest.raises(ValueError, match="format 0"):
        statistics_entries(tree, space)


def test_a_shard_of_many_zeros_is_small(space: Any) -> None:
    observer = Observer(["zeros"])
    observer.add({"zeros": np.zeros(1_000_000, dtype=np.float32)})
    assert sum(blob.size for blob in observer.save(["s0"], space).values()) < 1000


def test_counts_above_four_billion_keep_their_value(space: Any) -> None:
    observer = Observer(["x"])
    observer.add({"x": np.ones(3, dtype=np.float32)})
    observer._counters._counters[0][0x3F80] = 1 << 33
    shard = Shard.load(observer.save(["s0"], space), space)
    assert shard.counts.tolist() == [1 << 33]
    assert Merged([shard, shard], ["s0", "s0"])["x"].count == 1 << 34


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_bad_tensor_is_named_with_its_index(value: float) -> None:
    values = sample(1)
    values["block/relu:0"][0, 2, 3] = value
    with pytest.raises(NotFinite) as caught:
        Observer(TENSORS).add(values)
    assert caught.value.tensor == "block/relu:0"
    assert caught.value.index == (0, 2, 3)
