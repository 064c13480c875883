"""Garbage collection keeps what is cheap to store and dear to recompute, and never robs a running build."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from npudsl.keys import digest_bytes
from npudsl.store.cache import Cache, memory_cache
from npudsl.store.collect import collect


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return memory_cache(tmp_path)


def add(cache: Cache, name: str, size: int, seconds: float, *, age: float = 7200.0) -> str:
    key = digest_bytes(name.encode())
    blob = cache.content.write_bytes(name.encode().ljust(size, b"."))
    cache.publish(key, {"value": blob}, seconds)
    for path in (cache.results.path(key), cache.content.path(blob.digest)):
        stat = path.stat()
        os.utime(path, (stat.st_atime - age, stat.st_mtime - age))
    return key


def test_the_cheapest_per_byte_goes_first(cache):
    dear = add(cache, "dear", 1000, seconds=100.0)
    cheap = add(cache, "cheap", 1000, seconds=0.1)
    found = collect(cache, limit_bytes=1500)
    assert found.results == 1
    assert cache.results.get(cheap) is None
    assert cache.lookup(dear)[0] is not None


def test_under_the_limit_nothing_goes(cache):
    add(cache, "one", 1000, seconds=1.0)
    assert collect(cache, limit_bytes=10_000).results == 0


def test_a_dry_run_removes_nothing(cache):
    key = add(cache, "one", 1000, seconds=1.0)
    assert collect(cache, limit_bytes=0, dry_run=True).results == 1
    assert cache.lookup(key)[0] is not None


def test_what_was_used_within_the_hour_stays(cache):
    key = add(cache, "fresh", 1000, seconds=1.0, age=0.0)
    assert collect(cache, limit_bytes=0).results == 0
    assert cache.lookup(key)[0] is not None


def test_a_shared_blob_stays_as_long_as_one_result_names_it(cache):
    first = add(cache, "shared", 1000, seconds=0.1)
    blob = cache.results.get(first).tree["value"]
    other = digest_bytes(b"other")
    cache.publish(other, {"value": blob}, 100.0)
    collect(cache, limit_bytes=0)
    assert cache.lookup(other)[0] is not None


def test_blobs_without_a_result_are_swept(cache, tmp_path):
    blob = cache.content.write_bytes(b"orphan")
    os.utime(cache.content.path(blob.digest), (0, 0))
    assert collect(cache, limit_bytes=10_000).blobs == 1
    assert not cache.content.has(blob)
