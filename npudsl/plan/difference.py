"""What changed between two records, in words: ``rules[3].type: "u8" -> "i16"``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from npudsl.keys import Json


def differences(old: Json, new: Json, *, most: int = 3) -> list[str]:
    """Up to ``most`` changed fields, in field order, and a count of the others."""
    found = list(_walk(old, new, ""))
    lines = found[:most]
    if len(found) > most:
        lines.append(f"{len(found) - most} more")
    return lines


def _walk(old: Json, new: Json, path: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            place = f"{path}.{key}" if path else str(key)
            if key not in new:
                yield f"{place}: {_short(old[key])} -> (gone)"
            elif key not in old:
                yield f"{place}: (none) -> {_short(new[key])}"
            else:
                yield from _walk(old[key], new[key], place)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{path}: {len(old)} -> {len(new)} entries"
            return
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _walk(left, right, f"{path}[{index}]")
    elif old != new or type(old) is not type(new):
        yield f"{path}: {_short(old)} -> {_short(new)}"


def _short(value: Json) -> str:
    if isinstance(value, str) and len(value) == 64:
        return value[:8]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 48 else text[:45] + "..."
