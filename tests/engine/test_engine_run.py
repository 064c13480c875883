"""The engine on toy steps: what runs, what is reused, what survives damage and failure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_chain import chain_step  # noqa: E402
from toy_steps import RAN, squares_step  # noqa: E402

from npudsl.diagnostics import NpuError  # noqa: E402
from npudsl.engine.decide import Decider  # noqa: E402
from npudsl.engine.events import Event, SilentReporter  # noqa: E402
from npudsl.engine.memory import Memory, load_memory, save_memory  # noqa: E402
from npudsl.engine.predict import forecast  # noqa: E402
from npudsl.engine.run import Engine  # noqa: E402
from npudsl.plan.action import Host  # noqa: E402
from npudsl.store.cache import Cache  # noqa: E402

HOST = Host("test", {})


class Build:
    """A cache and a memory; ``run`` builds and says what really ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = Memory()

    def run(self, steps, *, jobs: int = 2, forced=()):
        RAN.clear()
        cache = Cache(self.folder)
        try:
            results, self.memory = Engine(cache, HOST, jobs=jobs, reporter=SilentReporter(), forced=forced).build(
                steps, self.memory
            )
            values = {
                id_: {name: cache.content.read_json(blob) for name, blob in result.tree.items()}
                for id_, result in results.items()
            }
        finally:
            cache.close()
        return values, dict(RAN)

    def forecast(self, steps):
        cache = Cache(self.folder)
        try:
            return {item.id: item for item in forecast(steps, cache, Decider(cache, HOST), self.memory)}
        finally:
            cache.close()


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path / "cache")


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
    events: list[Event] = []

    class Collect:
        def event(self, event: Event) -> None:
            events.append(event)

    cache = Cache(build.folder)
    Engine(cache, HOST, jobs=1, reporter=Collect()).build(plan([1, 2]), Memory())
    cache.close()
    finished = [event for event in events if event.kind == "step-finished"]
    assert [(event.step, event.ran, event.total) for event in finished] == [
        ("squares:squares", 2, 2),
        ("chain:chain", 2, 2),
    ]
