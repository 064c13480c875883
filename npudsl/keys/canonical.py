"""Canonical form of a record and its sha256.

A record is JSON: ``None``, ``bool``, ``int``, ``float``, ``str``, lists and string-keyed maps. Invariants:

- ``1``, ``1.0``, ``"1"`` and ``True`` have different digests: floats are written as ``{"f": float.hex()}``;
- the order of map keys never counts;
- a value that is none of these raises ``TypeError`` instead of getting a digest that means nothing.

Rejected: hashing ``repr`` or pickles (not stable between versions), hashing floats as decimal text (not exact).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

Json = Any
"""A JSON-like value; see the module docstring for what is allowed."""


def canonical_bytes(record: Json) -> bytes:
    """The one byte string that stands for ``record``; raises ``TypeError`` for a value without canonical form."""
    return json.dumps(_tagged(record), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def digest_bytes(data: bytes | bytearray | memoryview) -> str:
    """sha256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_record(record: Json) -> str:
    """sha256 of the canonical form of a record."""
    return digest_bytes(canonical_bytes(record))


def _tagged(value: Json) -> Json:
    if value is None or isinstance(value, (bool, str)):
        return value
    if type(value) is int:
        return value
    if type(value) is float:
        if not math.isfinite(value):
            return {"f": repr(value)}
        return {"f": value.hex()}
    if isinstance(value, Mapping):
        tagged = {}
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"a record's keys are strings, not {key!r}")
            tagged["=" + key] = _tagged(item)
        return tagged
    if isinstance(value, (list, tuple)):
        return [_tagged(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form: {value!r}")
