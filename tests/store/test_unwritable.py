"""A cache that cannot be written (full, read-only) does not end a build; what it computes then is not kept."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from npudsl.diagnostics import EnvironmentMissing
from npudsl.keys import digest_bytes
from npudsl.store.cache import Cache

KEY = digest_bytes(b"key")
MOUNT_BYTES = 400_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with very little space."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MOUNT_BYTES}", "tmpfs", str(folder)]
    if os.getuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs root to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(cache: Cache, count: int, start: int = 0) -> list:
    return [cache.content.write_bytes(os.urandom(20_000) + bytes([index])) for index in range(start, start + count)]


def test_a_full_disk_sends_the_rest_of_a_build_elsewhere(small_disk):
    cache = Cache(small_disk / "cache")
    blobs = fill(cache, 40)
    cache.publish(KEY, {"last": blobs[-1]}, 1.0)
    for blob in blobs:
        assert len(cache.content.read_bytes(blob)) == blob.size
    assert cache.lookup(KEY)[0] is not None
    assert len(cache.notes) == 1
    assert "No space left" in cache.notes[0]
    cache.close()
    again = Cache(small_disk / "cache")
    assert again.lookup(KEY)[0] is None
    assert again.content.read_bytes(blobs[0])
    assert not list((small_disk / "cache" / "tmp").iterdir())
    again.close()


def test_a_full_disk_is_collected_once(small_disk):
    cache = Cache(small_disk / "cache", limit_bytes=200_000)
    keep = fill(cache, 1)
    cache.publish(KEY, {"dear": keep[0]}, 1000.0)
    fill(cache, 12, start=1)
    for path in [*(small_disk / "cache" / "cas").glob("*/*"), *(small_disk / "cache" / "ac").glob("*/*")]:
        os.utime(path, (0, 0))
    fill(cache, 8, start=20)
    assert cache.notes == []
    assert cache.lookup(KEY)[0] is not None
    cache.close()


def test_a_read_only_disk_is_read(small_disk):
    cache = Cache(small_disk / "cache")
    blob = cache.content.write_bytes(b"kept")
    cache.publish(KEY, {"value": blob}, 1.0)
    cache.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    cache = Cache(small_disk / "cache")
    assert cache.lookup(KEY)[0] is not None
    assert cache.content.read_bytes(blob) == b"kept"
    other = cache.content.write_bytes(b"new")
    cache.publish(digest_bytes(b"other"), {"value": other}, 1.0)
    assert cache.lookup(digest_bytes(b"other"))[0] is not None
    assert cache.notes == [
        f"the cache folder {small_disk / 'cache'} is read-only; what this build computes is not kept for the next one"
    ]
    with cache.leased(), cache.computing(digest_bytes(b"third"), lambda holder: None) as made:
        assert made is None
    cache.close()


def test_damage_in_a_read_only_cache_is_passed_over(small_disk):
    cache = Cache(small_disk / "cache")
    blob = cache.content.write_bytes(b"kept")
    cache.publish(KEY, {"value": blob}, 1.0)
    path = cache.content.path(blob.digest)
    cache.close()
    path.chmod(0o644)
    path.write_bytes(b"kepx")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    cache = Cache(small_disk / "cache")
    assert cache.lookup(KEY) == (None, "value is damaged in the cache")
    assert cache.content.read_bytes(cache.content.write_bytes(b"kept")) == b"kept"
    cache.publish(KEY, {"value": blob}, 1.0)
    assert cache.lookup(KEY)[0] is not None
    cache.close()


def test_a_disk_that_is_full_everywhere_is_an_error_with_advice(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = Cache(tmp_path / "cache")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentMissing) as error:
        cache.content.write_bytes(b"too much")
    monkeypatch.undo()
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E0905"
    assert diagnostic.message == "there is no space left for results: No space left on device"
    cache.close()


def test_a_folder_that_cannot_be_made_is_an_error_with_advice(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentMissing) as error:
        Cache(tmp_path / "file" / "cache")
    (diagnostic,) = error.value.diagnostics
    assert (diagnostic.code, diagnostic.helps) == ("E0905", ("set NPUDSL_CACHE to a folder you may write to",))


def test_a_folder_of_another_layout_is_refused(tmp_path):
    Cache(tmp_path / "cache").close()
    (tmp_path / "cache" / "VERSION").write_text("99\n")
    with pytest.raises(EnvironmentMissing) as error:
        Cache(tmp_path / "cache")
    assert error.value.diagnostics[0].code == "E0905"
