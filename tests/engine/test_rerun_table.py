"""What runs again after which event, on the pipeline a -> b (first bytes of a) -> c (copy of b).

Other build tools fail at least one row: they trust times, forget the command, or never look at outputs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_engine import Toy
from toy_files import head_and_copy

from npudsl.engine.files import FileTracker


class Pipeline:
    """The file ``a``, and builds of what follows from it."""

    def __init__(self, folder: Path) -> None:
        self.a = folder / "a"
        self.files = folder / "files.json"
        self.toy = Toy(folder / "cache")
        self.a.write_text("0123456789 and the rest")

    def build(self, *, mark: str = "") -> tuple[str, list[str]]:
        """The value of ``c``, and the steps that ran."""
        tracker = FileTracker(self.files)
        values, ran = self.toy.run(head_and_copy(self.a, tracker, mark=mark))
        tracker.save()
        return values["copy:c"]["value"], sorted(ran)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    pipeline = Pipeline(tmp_path)
    assert pipeline.build() == ("0123456789", ["b", "c"])
    return pipeline


def test_touch_runs_nothing(pipeline):
    os.utime(pipeline.a, (2_000_000_000, 2_000_000_000))
    assert pipeline.build() == ("0123456789", [])


def test_a_change_that_makes_the_same_stops_there(pipeline):
    pipeline.a.write_text("0123456789 and another rest")
    assert pipeline.build() == ("0123456789", ["b"])


def test_a_changed_setting_runs_its_own_step(pipeline):
    assert pipeline.build(mark="!") == ("0123456789!", ["c"])


def test_a_result_overwritten_by_hand_is_noticed_and_made_again(pipeline):
    for path in (pipeline.toy.folder / "cas").glob("*/*"):
        if path.read_bytes() == b'"0123456789"':
            path.chmod(0o644)
            path.write_bytes(b'"garbagegar"')
    value, ran = pipeline.build()
    assert value == "0123456789"
    assert ran[0] == "b"
    assert pipeline.build() == ("0123456789", [])


def test_an_input_put_back_runs_nothing(pipeline):
    pipeline.a.write_text("something else")
    assert pipeline.build() == ("something ", ["b", "c"])
    pipeline.a.write_text("0123456789 and the rest")
    assert pipeline.build() == ("0123456789", [])


def test_a_changed_file_with_its_old_size_and_time_is_noticed(pipeline):
    before = pipeline.a.stat()
    pipeline.a.write_text("9876543210 and the rest")
    os.utime(pipeline.a, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert pipeline.build()[0] == "9876543210"
