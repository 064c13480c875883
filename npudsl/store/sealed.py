"""Small JSON files that notice when they were damaged: results, digests of files, memories of builds.

A sealed file is one JSON object whose first member is the CRC-32 of everything behind it. It stays plain JSON for every
other reader. A file that does not fit its checksum (a flipped bit, a truncation, an edit by hand) is as good as none:
everything kept in this form can be made again. The checksum is against accidents; it does not prove who wrote a file.
"""

from __future__ import annotations

import json
from binascii import crc32
from typing import Any

_START = b'{"crc":"'
_BODY = len(_START) + 8 + len(b'",')


def seal(record: dict[str, Any]) -> bytes:
    """The bytes of a sealed file; ``record`` is not empty."""
    body = json.dumps(record, separators=(",", ":")).encode()[1:]
    return b'%s%08x",%s' % (_START, crc32(body), body)


def unseal(data: bytes) -> dict[str, Any] | None:
    """The record of a sealed file, or None when the file is not whole."""
    body = data[_BODY:]
    if data[:_BODY] != b'%s%08x",' % (_START, crc32(body)):
        return None
    try:
        record = json.loads(b"{" + body)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
