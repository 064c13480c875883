"""The chip data saved as JSON is that of the YAML files."""

from __future__ import annotations

import json
import shutil

from npudsl.targets import saved
from npudsl.targets.load import all_targets, sources
from npudsl.targets.read import read_target


def test_the_saved_text_is_that_of_the_files():
    """When this fails: ``python -m npudsl.targets.saved``."""
    assert saved.saved_text() == saved.SAVED.read_text(encoding="utf-8")


def test_every_chip_is_the_same_from_both():
    files = sorted((saved.FOLDER / "data").glob("*.yaml"))
    assert [read_target(file.read_text(encoding="utf-8"), sources()) for file in files] == list(all_targets())


def test_an_edited_file_is_read_itself(tmp_path, monkeypatch):
    shutil.copytree(saved.FOLDER / "data", tmp_path / "data")
    shutil.copy(saved.FOLDER / "sources.yaml", tmp_path)
    monkeypatch.setattr(saved, "FOLDER", tmp_path)
    file = tmp_path / "data" / "amlogic-a311d.yaml"
    file.write_text(file.read_text().replace("boards: [VIM3]", "boards: [VIM4]"))

    record = saved.chip_data()["files"]["amlogic-a311d.yaml"]["record"]

    assert record["boards"] == ["VIM4"]
    assert json.loads(saved.SAVED.read_text())["files"]["amlogic-a311d.yaml"]["record"]["boards"] == ["VIM3"]
