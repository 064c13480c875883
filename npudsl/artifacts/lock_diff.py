"""What two locks say differently: measured values, and the files, data and defaults that took part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from npudsl.artifacts.lock_file import (
    LockedDataset,
    LockedDefault,
    LockedFile,
    LockedMetric,
    LockFile,
    LockLine,
    identity,
)

if TYPE_CHECKING:
    from npudsl.keys import Json


@dataclass(frozen=True)
class MetricPair:
    """One measured value in both locks. ``on`` is the new place, the old one when there is no new value."""

    comparison: str
    metric: str
    on: str
    old: float | None
    new: float | None
    percent: bool

    @property
    def changed(self) -> bool:
        return self.old != self.new


@dataclass(frozen=True)
class InputChange:
    """A file, dataset or default, or the tool's version. Empty text: it is not in that lock."""

    kind: str
    name: str
    old: str
    new: str

    def record(self) -> dict[str, Json]:
        return asdict(self)


def metric_pairs(old: LockFile | None, new: LockFile | None) -> list[MetricPair]:
    """Every measured value of both locks, changed or not.

    The lock names the output that a requirement looked at, the worst one. When a metric stands once in each lock it is
    the same question, whichever output was the worst.
    """
    before, after = _metrics(old), _metrics(new)
    pairs = []
    for question in {**before, **after}:
        left, right = before.get(question, []), after.get(question, [])
        if len(left) == len(right) == 1:
            pairs.append(_pair(left[0], right[0]))
            continue
        known = {line.on: line for line in left}
        pairs += [_pair(known.get(line.on), line) for line in right]
        places = {line.on for line in right}
        pairs += [_pair(line, None) for line in left if line.on not in places]
    return pairs


def input_changes(old: LockFile | None, new: LockFile | None) -> list[InputChange]:
    """Files, datasets and defaults that differ, and the tool's version; nothing when one lock is missing."""
    if old is None or new is None:
        return []
    changes = [] if old.tool == new.tool else [InputChange("tool", "npudsl", old.tool, new.tool)]
    for line_type, kind in ((LockedFile, "file"), (LockedDataset, "dataset"), (LockedDefault, "default")):
        before, after = dict(_by_name(old, line_type)), dict(_by_name(new, line_type))
        for name in dict.fromkeys([*before, *after]):
            left, right = before.get(name), after.get(name)
            if left != right:
                changes.append(InputChange(kind, name, _says(left), _says(right)))
    return changes


def _metrics(lock: LockFile | None) -> dict[tuple[str, str], list[LockedMetric]]:
    found: dict[tuple[str, str], list[LockedMetric]] = {}
    for line in lock.lines if lock is not None else ():
        if isinstance(line, LockedMetric):
            found.setdefault((line.comparison, line.metric), []).append(line)
    return found


def _pair(old: LockedMetric | None, new: LockedMetric | None) -> MetricPair:
    line = new or old
    assert line is not None
    return MetricPair(
        line.comparison,
        line.metric,
        line.on,
        None if old is None else old.value,
        None if new is None else new.value,
        line.percent,
    )


def _by_name(lock: LockFile, line_type: type) -> Iterator[tuple[str, LockLine]]:
    return ((identity(line)[0], line) for line in lock.lines if isinstance(line, line_type))


def _says(line: LockLine | None) -> str:
    if isinstance(line, LockedFile):
        return f"{line.size} bytes, sha256 {line.sha256[:8]}"
    if isinstance(line, LockedDataset):
        return f"{line.samples} samples, sha256 {line.sha256[:8]}"
    return line.value if isinstance(line, LockedDefault) else ""
