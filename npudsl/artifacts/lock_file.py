"""The lock ``X.lock``: what the last build saw and measured, one self-contained line per fact, as committed text.

::

    npu-lock 1 tool=0.1.0 language=1
    default algorithm=minmax
    file models/mobilenet_v2.onnx sha256=1f3a09c2... bytes=14191216
    dataset calib samples=500 sha256=77b0e41d...
    step quantize:hybrid key=c83d20b4
    metric accept cosine logits 0.99241
    metric accept top1_agreement * 98.9%
    reason hybrid layer conv_1 "entropy 0.81, cosine 0.962 at u8"

Kinds stand in this order, lines of a kind are sorted by name, no line counts other lines: a merge of two branches
conflicts only where both changed the same fact. Metrics have five decimals and are sticky: a new value within two
units of the last place keeps the old text, so that another machine's last digit is no change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from npudsl.artifacts.text_fields import (
    BadLine,
    body,
    check_format,
    first_line,
    keyed,
    name_text,
    problem,
    raise_all,
    read_hex,
    read_integer,
    read_lines,
    read_name,
    split_fields,
    string_text,
)
from npudsl.diagnostics import Diagnostic, Place, UserError

LOCK_FORMAT = 1
WHAT = "lock"
METRIC_DECIMALS = 5
STICKY_UNITS = 2
"""A metric keeps its old value when the new one differs by at most this many units of the last place."""


@dataclass(frozen=True)
class LockedDefault:
    """A default of the tool that took part: ``algorithm=minmax``."""

    key: str
    value: str


@dataclass(frozen=True)
class LockedFile:
    """A file of the program: path as written, digest, size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class LockedDataset:
    """A dataset: number of samples and the digest of all of them in order."""

    name: str
    samples: int
    sha256: str


@dataclass(frozen=True)
class LockedStep:
    """The key of a step, or its first digits."""

    name: str
    key: str


@dataclass(frozen=True)
class LockedMetric:
    """A measured value; ``on`` is tensor or layer, ``*`` for the whole model; ``percent`` is only how it is written."""

    comparison: str
    metric: str
    on: str
    value: float
    percent: bool = False


@dataclass(frozen=True)
class LockedReason:
    """The ``because`` of a rule: variant, kind of rule, selector as written, reason."""

    variant: str
    kind: str
    selector: str
    because: str


LockLine = LockedDefault | LockedFile | LockedDataset | LockedStep | LockedMetric | LockedReason

_ORDER = (LockedDefault, LockedFile, LockedDataset, LockedStep, LockedMetric, LockedReason)


@dataclass(frozen=True)
class LockFile:
    """The lock: version of tool and language, and the lines in any order."""

    tool: str
    language: int
    lines: tuple[LockLine, ...] = ()


def identity(line: LockLine) -> tuple[str, ...]:
    """What the line is about, without what it says; also the sort key within the kind."""
    if isinstance(line, LockedDefault):
        return (line.key,)
    if isinstance(line, LockedFile):
        return (line.path,)
    if isinstance(line, (LockedDataset, LockedStep)):
        return (line.name,)
    if isinstance(line, LockedMetric):
        return (line.comparison, line.metric, line.on)
    return (line.variant, line.kind, line.selector, line.because)


def merge_sticky(old: LockFile | None, new: LockFile) -> LockFile:
    """``new``, with the old value of every metric that moved by at most two units of the last place."""
    if old is None:
        return new
    known = {identity(line): line for line in old.lines if isinstance(line, LockedMetric)}
    return replace(new, lines=tuple(_sticky(known.get(identity(line)), line) for line in new.lines))


def _sticky(old: LockedMetric | None, new: LockLine) -> LockLine:
    if old is None or not isinstance(new, LockedMetric) or old.percent != new.percent:
        return new
    if not (math.isfinite(old.value) and math.isfinite(new.value)):
        return new
    units = abs(_rounded(old.value) - _rounded(new.value)) * 10**METRIC_DECIMALS
    return replace(new, value=old.value) if round(units) <= STICKY_UNITS else new


def _rounded(value: float) -> float:
    return round(value, METRIC_DECIMALS)


def render_lock(lock: LockFile) -> str:
    """The text of the lock, with one newline at the end."""
    lines = sorted(set(lock.lines), key=lambda line: (_ORDER.index(type(line)), identity(line)))
    return "".join(f"{line}\n" for line in [_render_header(lock), *map(render_line, lines)])


def _render_header(lock: LockFile) -> str:
    return f"npu-lock {LOCK_FORMAT} tool={lock.tool} language={lock.language}"


def render_line(line: LockLine) -> str:
    """One line, without the newline."""
    if isinstance(line, LockedDefault):
        return f"default {line.key}={line.value}"
    if isinstance(line, LockedFile):
        return f"file {name_text(line.path)} sha256={line.sha256} bytes={line.size}"
    if isinstance(line, LockedDataset):
        return f"dataset {name_text(line.name)} samples={line.samples} sha256={line.sha256}"
    if isinstance(line, LockedStep):
        return f"step {name_text(line.name)} key={line.key}"
    if isinstance(line, LockedMetric):
        value = metric_text(line.value, line.percent)
        return f"metric {line.comparison} {line.metric} {name_text(line.on)} {value}"
    return f"reason {line.variant} {line.kind} {name_text(line.selector)} {string_text(line.because)}"


def metric_text(value: float, percent: bool) -> str:
    """A metric with five decimals, or as a percentage with the same resolution and no trailing zeros."""
    if not math.isfinite(value):
        return str(value)
    rounded = _rounded(value) + 0.0
    if not percent:
        return f"{rounded:.{METRIC_DECIMALS}f}"
    return f"{rounded * 100:.{METRIC_DECIMALS - 2}f}".rstrip("0").rstrip(".") + "%"


def read_lock(text: str, path: str) -> LockFile:
    """The lock in ``text``; raises one ``UserError`` with all problems. ``path`` is what the user calls the file."""
    header = first_line(text)
    check_format(header, "npu-lock", LOCK_FORMAT, path, WHAT)
    try:
        lock = _read_header(header)
    except BadLine as error:
        raise UserError([problem(path, 1, WHAT, header, str(error))]) from None
    numbered = read_lines(body(text), path, WHAT, read_line, render_line, first_number=2)
    _check_unique(numbered, path)
    return replace(lock, lines=tuple(line for _, line in numbered))


def _read_header(line: str) -> LockFile:
    fields = split_fields(line)
    if len(fields) != 4:
        raise BadLine("the header has the fields tool and language")
    lock = LockFile(keyed(fields[2], "tool"), read_integer(keyed(fields[3], "language")))
    if _render_header(lock) != line:
        raise BadLine(f"the line is not written as npu writes it, which is: {_render_header(lock)}")
    return lock


def read_line(text: str) -> LockLine:
    """One line as a value; raises ``BadLine``."""
    kind, *fields = split_fields(text) or [""]
    if kind == "default":
        key, mark, value = text.removeprefix("default ").partition("=")
        if not mark:
            raise BadLine("a default is written key=value")
        return LockedDefault(key, value)
    if kind not in _FIELD_COUNTS:
        raise BadLine(f"{kind or 'an empty line'} is not a kind of line; kinds are default, {', '.join(_FIELD_COUNTS)}")
    if len(fields) != _FIELD_COUNTS[kind]:
        raise BadLine(f"a {kind} line has {_FIELD_COUNTS[kind]} fields")
    if kind == "file":
        size = read_integer(keyed(fields[2], "bytes"))
        return LockedFile(read_name(fields[0]), read_hex(keyed(fields[1], "sha256")), size)
    if kind == "dataset":
        samples = read_integer(keyed(fields[1], "samples"))
        return LockedDataset(read_name(fields[0]), samples, read_hex(keyed(fields[2], "sha256")))
    if kind == "step":
        return LockedStep(read_name(fields[0]), read_hex(keyed(fields[1], "key")))
    if kind == "metric":
        measured, percent = _read_metric(fields[3])
        return LockedMetric(fields[0], fields[1], read_name(fields[2]), measured, percent)
    return LockedReason(fields[0], fields[1], read_name(fields[2]), read_name(fields[3]))


_FIELD_COUNTS = {"file": 3, "dataset": 3, "step": 2, "metric": 4, "reason": 4}


def _read_metric(text: str) -> tuple[float, bool]:
    number = text.removesuffix("%")
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?|-?inf|nan", number):
        raise BadLine(f"{text} is not a metric")
    percent = number != text
    return (round(float(number) / 100, METRIC_DECIMALS) if percent else float(number)), percent


def _check_unique(numbered: Iterable[tuple[int, LockLine]], path: str) -> None:
    first: dict[tuple[type, tuple[str, ...]], int] = {}
    problems: list[Diagnostic] = []
    for number, line in numbered:
        earlier = first.setdefault((type(line), identity(line)), number)
        if earlier != number:
            problems.append(
                Diagnostic(
                    "E0802",
                    f"line {number} of the {WHAT} says what line {earlier} already says",
                    places=(Place(path, number), Place(path, earlier)),
                    helps=("delete one of them, or run npu lock --resolve",),
                )
            )
    raise_all(problems)
