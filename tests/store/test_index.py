"""The index holds bytes and nothing else; a tampered table can neither run code nor reach a file."""

from __future__ import annotations

import pickle
import sqlite3
from pathlib import Path

import pytest

from npudsl.store.index import DiskIndex, MemoryIndex, open_index


class Payload:
    """Its pickle writes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.write_text, (self.target, "code ran"))


def put_row(folder: Path, *, key: object = "verified:abc", raw: int = 1, mode: int = 1, filename=None, value=b"x"):
    with sqlite3.connect(folder / "cache.db") as table:
        table.execute(
            "INSERT INTO Cache(key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename,"
            " value) VALUES (?, ?, 0, NULL, 0, 0, NULL, 0, ?, ?, ?)",
            (key, raw, mode, filename, value),
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    index = DiskIndex(tmp_path / "index")
    index.remember_verified("good", "1:2:3")
    index.close()
    return tmp_path / "index"


def test_facts_survive_closing(folder):
    index = open_index(folder)
    assert index.verified_stamp("good") == "1:2:3"
    assert index.verified_stamp("other") is None
    index.close()


@pytest.mark.parametrize("mode", [4, 2, 3])
def test_a_pickle_in_a_value_is_not_loaded(folder, tmp_path, mode):
    put_row(folder, mode=mode, value=pickle.dumps(Payload(tmp_path / "ran")))
    index = open_index(folder)
    assert index.verified_stamp("abc") is None
    index.close()
    assert not (tmp_path / "ran").exists()


def test_a_pickle_in_a_key_is_not_loaded(folder, tmp_path):
    put_row(folder, key=pickle.dumps(Payload(tmp_path / "ran")), raw=0)
    index = DiskIndex(folder)
    with pytest.raises(ValueError):
        list(index._cache)
    index.close()
    assert not (tmp_path / "ran").exists()


def test_a_row_that_names_a_file_outside_neither_reads_nor_removes_it(folder, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    put_row(folder, mode=2, filename="../victim", value=None)
    index = DiskIndex(folder)
    assert index.verified_stamp("abc") is None
    index._cache.delete("verified:abc")
    index.close()
    assert victim.read_text() == "precious"


def test_only_bytes_can_be_stored(folder):
    index = DiskIndex(folder)
    with pytest.raises(TypeError):
        index._cache.set("verified:abc", {"not": "bytes"})
    index.close()


def test_a_damaged_table_is_put_aside_and_a_new_one_started(folder):
    for file in folder.glob("cache.db*"):
        file.write_bytes(b"garbage" * 1000)
    index = open_index(folder)
    assert isinstance(index, DiskIndex)
    index.remember_verified("abc", "1:1:1")
    index.close()
    assert len(list(folder.parent.glob("index.bad-*"))) == 1


def test_a_place_that_cannot_be_written_gives_an_index_in_memory(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert isinstance(open_index(blocked / "index"), MemoryIndex)
