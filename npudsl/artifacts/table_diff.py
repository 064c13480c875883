"""What two quantization tables decide differently: by tensor, with noise below a tolerance left out.

Tables are compared by name, never by position. A range that moved by less than the tolerance (a share of the
quantization step) with everything else equal is no difference: the same codes come out of it. What a table does not
hold cannot be told apart: of per-channel scales there are only the ends of their range and a digest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from npudsl.artifacts.quant_table import QuantTable, TableLine, render_line
from npudsl.artifacts.text_fields import number_text

if TYPE_CHECKING:
    from npudsl.keys import Json

DEFAULT_TOLERANCE = 0.01
"""Of a step: what the table itself takes for noise."""

CONVERTER = "converter"


@dataclass(frozen=True)
class TensorChange:
    """One tensor or weight. ``old`` or ``new`` is None where it is not in that table. ``what`` names the changed
    parts: added, removed, type, scheme, range, scales, zero_point, corrected, algorithm, rule. ``moved``: how far an
    end of the range went at most, in old steps."""

    old: TableLine | None
    new: TableLine | None
    what: tuple[str, ...]
    moved: float | None = None

    @property
    def line(self) -> TableLine:
        """The new line, or the old one of a tensor that is gone."""
        line = self.new or self.old
        assert line is not None
        return line

    def record(self) -> dict[str, Json]:
        return {
            "kind": self.line.kind,
            "name": self.line.name,
            "what": list(self.what),
            "moved_steps": self.moved,
            "old": None if self.old is None else _line_record(self.old),
            "new": None if self.new is None else _line_record(self.new),
        }


@dataclass(frozen=True)
class TableDifference:
    """Two tables of one variant. ``header``: which of model, calib and settings changed. Changes are in graph order,
    what is gone last."""

    variant: str
    changes: tuple[TensorChange, ...]
    tensors: int
    """Lines of the new table (of the old one when there is no new one)."""
    within_tolerance: int
    header: tuple[str, ...] = ()
    old_types: tuple[tuple[str, int], ...] = ()
    """Type to number of weight constants, of the old and of the new table."""
    new_types: tuple[tuple[str, int], ...] = ()
    converters_added: int = 0
    converters_removed: int = 0

    @property
    def changed(self) -> bool:
        """Whether any decision changed (a header alone decides nothing)."""
        return bool(self.changes)

    def record(self) -> dict[str, Json]:
        return {
            "variant": self.variant,
            "changed": len(self.changes),
            "tensors": self.tensors,
            "within_tolerance": self.within_tolerance,
            "made_from_changed": list(self.header),
            "weights_by_type": {"old": dict(self.old_types), "new": dict(self.new_types)},
            "weight_bytes": None,
            "converters": {"added": self.converters_added, "removed": self.converters_removed},
            "changes": [change.record() for change in self.changes],
        }


def diff_tables(
    variant: str, old: QuantTable | None, new: QuantTable | None, tolerance: float = DEFAULT_TOLERANCE
) -> TableDifference:
    """The difference; ``tolerance`` is a share of the old step. One of the tables may be missing."""
    before = {(line.kind, line.name): line for line in (old.lines if old is not None else ())}
    after = {(line.kind, line.name): line for line in (new.lines if new is not None else ())}
    changes: list[TensorChange] = []
    within = 0
    for key, line in after.items():
        known = before.get(key)
        if known is None:
            changes.append(TensorChange(None, line, ("added",)))
            continue
        change = _change(known, line, tolerance)
        if change is not None:
            changes.append(change)
        elif known != line:
            within += 1
    changes += [TensorChange(line, None, ("removed",)) for key, line in before.items() if key not in after]
    return TableDifference(
        variant,
        tuple(changes),
        len(after) if new is not None else len(before),
        within,
        _header(old, new),
        _types(before.values()),
        _types(after.values()),
        _converters(change.new for change in changes if change.old is None),
        _converters(change.old for change in changes if change.new is None),
    )


def step_of(line: TableLine) -> float | None:
    """The distance of two codes; None where the table holds no single one."""
    if line.fractional_length is not None:
        return float(2.0**-line.fractional_length)
    return line.scale


def step_text(line: TableLine) -> str:
    """The step for reading; the ends of per-channel scales; empty for float."""
    if line.scale_range is not None:
        return "..".join(number_text(scale, 6) for scale in line.scale_range)
    step = step_of(line)
    return "" if step is None else number_text(step, 6)


def type_text(line: TableLine) -> str:
    """Type and scheme: ``u8 asym``; ``f32`` alone."""
    return line.type if line.scheme == "none" else f"{line.type} {line.scheme}"


def _change(old: TableLine, new: TableLine, tolerance: float) -> TensorChange | None:
    what = [name for name, differs in _parts(old, new).items() if differs]
    moved = _moved(old, new)
    if moved is not None and moved > tolerance:
        what.append("range")
    if not what:
        return None
    return TensorChange(old, new, tuple(what), moved)


def _parts(old: TableLine, new: TableLine) -> dict[str, bool]:
    """What changed besides the range: that one has a tolerance."""
    same = (old.type, old.scheme) == (new.type, new.scheme)
    return {
        "type": old.type != new.type,
        "scheme": old.type == new.type and old.scheme != new.scheme,
        "scales": same and (old.channels, old.digest) != (new.channels, new.digest),
        "zero_point": same and (old.zero_point, old.fractional_length) != (new.zero_point, new.fractional_length),
        "corrected": same and old.corrected != new.corrected,
        "algorithm": old.algorithm != new.algorithm,
        "rule": old.decided_by != new.decided_by,
    }


def _moved(old: TableLine, new: TableLine) -> float | None:
    """How far an end moved at most, in steps of the old line; None where a line has no range or no step."""
    step = step_of(old)
    if None in (old.low, old.high, new.low, new.high) or not step:
        return None
    assert old.low is not None and old.high is not None and new.low is not None and new.high is not None  # noqa: PT018
    return max(abs(old.low - new.low), abs(old.high - new.high)) / step


def _header(old: QuantTable | None, new: QuantTable | None) -> tuple[str, ...]:
    if old is None or new is None:
        return ()
    pairs = {
        "model": (old.header.model, new.header.model),
        "calib": (old.header.calib, new.header.calib),
        "settings": (old.header.settings, new.header.settings),
    }
    return tuple(name for name, (before, after) in pairs.items() if before != after)


def _types(lines: Iterable[TableLine]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(line.type for line in lines if line.kind == "wgt").items()))


def _converters(lines: Iterable[TableLine | None]) -> int:
    return sum(line is not None and line.decided_by == CONVERTER for line in lines)


def _line_record(line: TableLine) -> dict[str, Json]:
    record = {key: value for key, value in asdict(line).items() if value is not None and key not in ("kind", "name")}
    if line.scale_range is not None:
        record["scale_range"] = list(line.scale_range)
    return {**record, "step": step_of(line), "text": render_line(line)}
