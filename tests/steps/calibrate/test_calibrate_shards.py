"""Which samples share a part: what is there is kept, what is new is dealt out, nothing is lost or doubled."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.steps.calibrate.kind import SHARD_SAMPLES, shards

DIGESTS = st.lists(st.sampled_from([f"s{number}" for number in range(30)]), max_size=60)


def records(parts: list[list[str]]) -> list[dict[str, list[str]]]:
    return [{"samples": part} for part in parts]


def test_a_first_build_deals_out_in_order() -> None:
    samples = [f"s{number}" for number in range(40)]
    assert shards(samples, []) == [samples[:16], samples[16:32], samples[32:]]


def test_adding_sixteen_samples_adds_one_part_with_these() -> None:
    samples = [f"s{number}" for number in range(100)]
    new = [f"n{number}" for number in range(16)]
    before = shards(samples, [])
    for longer in (samples + new, new + samples, samples[:50] + new + samples[50:]):
        assert shards(longer, records(before)) == [*before, new]


def test_removing_a_sample_deals_out_only_the_rest_of_its_part() -> None:
    samples = [f"s{number}" for number in range(48)]
    before = shards(samples, [])
    after = shards([sample for sample in samples if sample != "s20"], records(before))
    assert after == [before[0], before[2], [sample for sample in before[1] if sample != "s20"]]


def test_another_order_of_the_same_samples_keeps_every_part() -> None:
    samples = [f"s{number}" for number in range(40)]
    before = shards(samples, [])
    assert shards(samples[::-1], records(before)) == before


def test_a_sample_that_occurs_twice_is_dealt_out_twice() -> None:
    assert shards(["a", "a"], records([["a"]])) == [["a"], ["a"]]
    assert shards(["a"], records([["a", "a"]])) == [["a"]]


def test_records_of_another_kind_are_passed_over() -> None:
    assert shards(["a"], [{"layers": []}, {"samples": []}]) == [["a"]]


@settings(max_examples=150, deadline=None)
@given(DIGESTS, DIGESTS)
def test_every_sample_is_in_exactly_one_part(before: list[str], after: list[str]) -> None:
    found = shards(after, records(shards(before, [])))
    assert Counter(sample for shard in found for sample in shard) == Counter(after)
    assert all(0 < len(shard) <= SHARD_SAMPLES for shard in found)
