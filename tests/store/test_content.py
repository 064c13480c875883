"""Blobs: written once, never half, checked before they are believed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from npudsl.artifacts.blob import Blob
from npudsl.keys import digest_bytes
from npudsl.store.content import BlobMissing, ContentStore


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.array(5, dtype=np.int64),
        np.zeros((0, 3), dtype=np.uint8),
        np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    ],
    ids=["matrix", "scalar", "empty", "fortran"],
)
def test_arrays_come_back_equal_and_read_only(store, array):
    back = store.read_array(store.write_array(array))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array)


def test_arrays_of_objects_are_refused(store):
    with pytest.raises(TypeError):
        store.write_array(np.array([{}], dtype=object))


def test_equal_content_is_one_blob(store, tmp_path):
    assert store.write_bytes(b"same") == store.write_bytes(b"same")
    assert len(list(tmp_path.glob("cas/*/*"))) == 1


def test_json_of_equal_values_is_one_blob(store):
    assert store.write_json({"a": [1, 2.5]}) == store.write_json({"a": [1, 2.5]})


def test_a_flipped_bit_is_found_and_the_blob_put_aside(tmp_path):
    blob = ContentStore(tmp_path).write_bytes(b"precious")
    path = tmp_path / "cas" / blob.digest[:2] / blob.digest
    path.chmod(0o644)
    path.write_bytes(b"precioux")
    fresh = ContentStore(tmp_path)
    with pytest.raises(BlobMissing, match="damaged"):
        fresh.read_bytes(blob)
    assert (tmp_path / "quarantine" / blob.digest).exists()
    assert fresh.read_bytes(fresh.write_bytes(b"precious")) == b"precious"


def test_a_damaged_blob_is_replaced_when_its_content_is_written_again(tmp_path):
    blob = ContentStore(tmp_path).write_bytes(b"precious")
    path = tmp_path / "cas" / blob.digest[:2] / blob.digest
    path.chmod(0o644)
    path.write_bytes(b"precioux")
    fresh = ContentStore(tmp_path)
    fresh.write_bytes(b"precious")
    assert path.read_bytes() == b"precious"


def test_a_missing_blob_says_so(store):
    with pytest.raises(BlobMissing, match="missing"):
        store.read_bytes(Blob(digest_bytes(b"x"), 1, "bytes"))


def test_many_writers_of_one_blob_do_not_disturb_each_other(store, tmp_path):
    data = os.urandom(1 << 18)
    threads = [threading.Thread(target=store.write_bytes, args=(data,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ContentStore(tmp_path).read_bytes(Blob(digest_bytes(data), len(data), "bytes")) == data
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(store, tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.write_bytes(b"too much")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not list(tmp_path.glob("cas/*/*"))
