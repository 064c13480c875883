"""The engine on toy steps: what runs, what is reused, what survives damage and failure."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_chain import chain_step
from toy_engine import HOST, Collect, Toy
from toy_steps import RAN, squares_step

from npudsl.diagnostics import NpuError
from npudsl.engine.memory import Memory, load_memory, save_memory


@pytest.fixture
def build(tmp_path: Path) -> Toy:
    return Toy(tmp_path / "cache")


def plan(numbers, factor=2):
    return [squares_step(numbers), chain_step("squares:squares", factor)]


def test_first_build_runs_everything_and_second_runs_nothing(build):
    values, ran = build.run(plan([1, 2, 3]))
    assert values["chain:chain"] == {"value": 28}
    assert ran == {"square 1": 1, "square 2": 1, "square 3": 1, "join": 1, "copy": 1, "scale": 1, "chain join": 1}
    values, ran = build.run(plan([1, 2, 3]))
    assert values["chain:chain"] == {"value": 28}
    assert ran == {}


def test_one_more_part_runs_that_part_alone(build):
    build.run(plan([1, 2, 3]))
    _, ran = build.run(plan([1, 2, 3, 4]))
    assert {name for name in ran if name.startswith("square")} == {"square 4"}


def test_equal_result_of_a_changed_step_stops_the_rebuild_there(build):
    build.run(plan([3, 4]))
    _, ran = build.run(plan([4, -0, 3]))
    assert "copy" not in ran
    assert ran["join"] == 1


def test_an_earlier_state_is_found_again_without_running(build):
    build.run(plan([1, 2]))
    build.run(plan([1, 5]))
    _, ran = build.run(plan([1, 2]))
    assert ran == {}


def test_a_changed_setting_runs_only_the_part_that_reads_it(build):
    build.run(plan([1, 2]))
    _, ran = build.run(plan([1, 2], factor=3))
    assert ran == {"scale": 1, "chain join": 1}


def test_failure_keeps_what_was_finished(build):
    with pytest.raises(NpuError) as failure:
        build.run(plan([1, 2, -3]), jobs=1)
    assert failure.value.diagnostics[0].message == "-3 is negative"
    _, ran = build.run(plan([1, 2, 3]))
    assert {name for name in ran if name.startswith("square")} == {"square 3"}


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete"])
def test_a_damaged_blob_is_made_again(build, damage):
    build.run(plan([1, 2]))
    folder = build.folder
    for path in [*folder.glob("cas/*/*")]:
        path.chmod(0o644)
        if damage == "truncate":
            path.write_bytes(path.read_bytes()[:-1])
        elif damage == "flip":
            data = bytearray(path.read_bytes())
            data[0] ^= 1
            path.write_bytes(bytes(data))
        else:
            path.unlink()
    values, ran = build.run(plan([1, 2]))
    assert values["chain:chain"] == {"value": 10}
    assert ran["square 1"] == 1
    values, ran = build.run(plan([1, 2]))
    assert ran == {}


def test_a_damaged_record_is_no_record(build):
    build.run(plan([1, 2]))
    for path in build.folder.glob("ac/*/*"):
        path.chmod(0o644)
        path.write_text('{"format": 1, "key": "something else"}')
    values, ran = build.run(plan([1, 2]))
    assert values["chain:chain"] == {"value": 10}
    assert len(ran) == 6


def test_a_deleted_index_costs_nothing_but_checks(build):
    import shutil

    build.run(plan([1, 2]))
    shutil.rmtree(build.folder / "index")
    _, ran = build.run(plan([1, 2]))
    assert ran == {}


def test_a_damaged_index_is_put_aside(build):
    build.run(plan([1, 2]))
    database = build.folder / "index" / "cache.db"
    database.write_bytes(b"not a database" * 100)
    for extra in build.folder.glob("index/cache.db-*"):
        extra.unlink()
    _, ran = build.run(plan([1, 2]))
    assert ran == {}


def test_forced_steps_run_again(build):
    build.run(plan([1]))
    _, ran = build.run(plan([1]), forced=["squares:squares"])
    assert ran == {"square 1": 1, "join": 1}


def test_the_plan_names_the_parts_and_the_cause_before_the_build_runs_them(build):
    build.run(plan([1, 2]))
    said = build.forecast(plan([1, 2], factor=3))
    assert said["squares:squares"].verdict == "reuse"
    assert said["chain:chain"].parts_to_run == ("scale",)
    assert said["chain:chain"].reason == "scale: factor: 2 -> 3"
    _, ran = build.run(plan([1, 2], factor=3))
    assert ran == {"scale": 1, "chain join": 1}


def test_the_plan_of_an_unbuilt_program_says_never_built(build):
    said = build.forecast(plan([1, 2]))
    assert said["squares:squares"].reason == "never built"
    assert said["squares:squares"].parts_to_run == ("square-1", "square-2")
    assert said["chain:chain"].reason == "squares:squares will change"


def test_memory_survives_a_round_trip_and_a_damaged_file_is_empty(build, tmp_path):
    build.run(plan([1, 2]))
    path = tmp_path / "memory.json"
    save_memory(path, build.memory)
    assert load_memory(path) == build.memory
    path.write_text("{")
    assert load_memory(path) == Memory()


def test_events_count_parts(build):
    said = Collect()
    build.run(plan([1, 2]), jobs=1, reporter=said)
    finished = [event for event in said.events if event.kind == "step-finished"]
    assert [(event.step, event.ran, event.total) for event in finished] == [
        ("squares:squares", 2, 2),
        ("chain:chain", 2, 2),
    ]
    assert [(event.steps_done, event.steps_total) for event in finished] == [(1, 2), (2, 2)]


def test_the_time_left_is_known_from_the_last_build(build):
    first = Collect()
    build.run(plan([1, 2, 3]), reporter=first)
    assert first.events[-2].left_seconds is None or first.events[-2].left_seconds >= 0
    steps = {
        id_: replace(step, parts=tuple(replace(part, seconds=10.0) for part in step.parts))
        for id_, step in build.memory.steps.items()
    }
    build.memory = Memory(steps)
    said = Collect()
    build.run(plan([1, 2, 7]), jobs=1, reporter=said)
    left = [event.left_seconds for event in said.events if event.kind == "part-finished" and event.status == "ran"]
    assert left == [20.0, 10.0, 0.0]
    assert said.events[-1].left_seconds == 0.0


def test_reasons_name_what_changed(build):
    build.run(plan([1, 2]))
    outcome = build.outcome(plan([1, 2], factor=3))
    assert outcome.results["chain:chain"].reasons == {"scale": "factor: 2 -> 3"}
    assert outcome.results["squares:squares"].reasons == {}
    outcome = build.outcome(plan([1, 2, 4], factor=3))
    assert outcome.results["squares:squares"].reasons == {"square-4": "new part"}
    (blob,) = outcome.results["chain:chain"].tree.values()
    path = build.folder / "cas" / blob.digest[:2] / blob.digest
    path.unlink()
    reasons = build.outcome(plan([1, 2, 4], factor=3)).results["chain:chain"].reasons
    assert reasons["scale"] == "value is missing in the cache"
    shutil.rmtree(build.folder)
    reasons = build.outcome(plan([1, 2, 4], factor=3)).results["chain:chain"].reasons
    assert reasons == {"copy": "its result is no longer in the cache", "scale": "its result is no longer in the cache"}
    outcome = build.outcome(plan([1, 2, 4], factor=3), forced=["squares:squares"])
    assert set(outcome.results["squares:squares"].reasons.values()) == {"forced"}


def test_keep_going_finishes_what_does_not_need_the_failed_step(build):
    steps = [*plan([1, -2, 3, -4]), squares_step([5], "other"), chain_step("squares:other", name="late")]
    outcome = build.outcome(steps, keep_going=True)
    assert set(outcome.results) == {"squares:other", "chain:late"}
    assert RAN["square 3"] == 1
    with pytest.raises(NpuError) as failure:
        outcome.raise_errors()
    assert [item.message for item in failure.value.diagnostics] == ["-2 is negative", "-4 is negative"]


def test_without_keep_going_nothing_new_starts_after_a_failure(build):
    steps = [*plan([-1]), squares_step(list(range(100)), "other")]
    outcome = build.outcome(steps, jobs=1)
    assert [error.diagnostics[0].message for error in outcome.errors] == ["-1 is negative"]
    assert sum(RAN.values()) <= 2


def test_cached_only_names_the_first_miss_and_runs_nothing(build):
    build.run(plan([1, 2]))
    assert build.outcome(plan([1, 2]), cached_only=True).errors == ()
    outcome = build.outcome(plan([1, 2, 3]), cached_only=True)
    assert RAN == {}
    (error,) = outcome.errors
    assert [(item.code, item.message) for item in error.diagnostics] == [
        ("E0803", "the result of squares:squares square-3 is not in the cache: new part")
    ]


def test_another_salt_disowns_everything(build):
    build.run(plan([1, 2]))
    build.host = replace(HOST, salt="another")
    _, ran = build.run(plan([1, 2]))
    assert len(ran) == 6
    build.host = HOST
    assert build.run(plan([1, 2]))[1] == {}


def test_a_plan_may_be_deep(build):
    steps = [squares_step([1])]
    for number in range(1500):
        steps.append(chain_step(steps[-1].id, name=f"step-{number}", factor=1))
    assert build.run(steps)[0]["chain:step-1499"] == {"value": 1}


def test_a_blob_that_vanishes_while_the_build_runs_is_made_again(build, monkeypatch):
    build.run(plan([1, 2]))
    from npudsl.store.cache import Cache as Store

    lookup = Store.lookup
    removed = []

    def lookup_and_lose(self, key):
        result, why = lookup(self, key)
        if result is not None and "sum" in result.tree and not removed:
            removed.append(self.content.path(result.tree["sum"].digest))
            removed[0].unlink()
        return result, why

    monkeypatch.setattr(Store, "lookup", lookup_and_lose)
    values, ran = build.run(plan([1, 2], factor=5))
    assert values["chain:chain"] == {"value": 25}
    assert ran["join"] == 1
