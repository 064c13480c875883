"""A program's difference as titled lists of lines, made once for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from npudsl.api.review.metrics import FAIL, PASS
from npudsl.artifacts.quant_table import TableLine
from npudsl.artifacts.table_diff import TableDifference, TensorChange, step_text, type_text
from npudsl.artifacts.text_fields import name_text, number_text, string_text

if TYPE_CHECKING:
    from npudsl.api.diff import ProgramDifference


MOST_NAMES = 5


@dataclass(frozen=True)
class Section:
    """``title`` and its lines; ``name`` is source, inputs, tensors, metrics or cost."""

    name: str
    title: str
    lines: tuple[str, ...]


def summary(program: ProgramDifference) -> str:
    """The difference in one line, without the program's name."""
    if program.status == "added":
        return "new program"
    if program.status == "removed":
        return "program removed"
    parts = [*_table_parts(program.tables), *_verdict_parts(program), *_other_parts(program)]
    return ", ".join(parts) or "no difference"


def sections(program: ProgramDifference) -> list[Section]:
    """What changed, in the order a reviewer asks."""
    found = [_source(program), _inputs(program)]
    found += [_tensors(table, alone=len(program.tables) == 1) for table in program.tables if table.changed]
    found += [*_metrics(program), _cost(program)]
    return [section for section in found if section is not None]


def unchanged(program: ProgramDifference, tolerance: float) -> str:
    """What stayed, as one line; empty when there is nothing to say."""
    same = sum(table.tensors - sum(change.new is not None for change in table.changes) for table in program.tables)
    within = sum(table.within_tolerance for table in program.tables)
    parts = []
    if same:
        noise = f" ({within} moved by less than {tolerance:g} of a step)" if within else ""
        parts.append(f"{same} tensor{'s' if same != 1 else ''}{noise}")
    metrics = sum(not metric.changed for metric in program.metrics)
    if metrics:
        parts.append(f"{metrics} metric{'s' if metrics != 1 else ''}")
    if program.targets:
        parts.append(f"target{'s' if len(program.targets) > 1 else ''} {', '.join(program.targets)}")
    if program.layout_only:
        parts.append("the program's meaning (only its layout or comments changed)")
    return f"unchanged: {', '.join(parts)}" if parts else ""


def unchanged_programs(names: Sequence[str]) -> str:
    """One line for programs without a difference: their names, or how many they are."""
    return f"no difference: {', '.join(names) if len(names) <= MOST_NAMES else f'{len(names)} programs'}"


def columns(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Rows as lines, columns two spaces apart."""
    if not rows:
        return ()
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return tuple("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _table_parts(tables: Sequence[TableDifference]) -> Iterator[str]:
    for table in tables:
        if table.changed:
            plural = "s" if len(table.changes) != 1 else ""
            yield f"{table.variant}: {len(table.changes)} tensor{plural} changed"
    added = sum(table.converters_added for table in tables)
    removed = sum(table.converters_removed for table in tables)
    if added or removed:
        yield f"{_signed(added, removed)} type converter{'s' if max(added, removed) != 1 else ''}"


def _signed(added: int, removed: int) -> str:
    return "/".join([*([f"+{added}"] if added else []), *([f"-{removed}"] if removed else [])])


def _verdict_parts(program: ProgramDifference) -> Iterator[str]:
    moves = [(metric.old_verdict, metric.new_verdict) for metric in program.metrics]
    for count, text in (
        (moves.count((FAIL, PASS)), "requirement{s} now pass{es}"),
        (sum(old != FAIL and new == FAIL for old, new in moves), "requirement{s} now FAIL{fs}"),
        (moves.count((FAIL, FAIL)), "requirement{s} still FAIL{fs}"),
    ):
        if count:
            many = count != 1
            yield f"{count} " + text.format(s="s" if many else "", es="" if many else "es", fs="" if many else "S")


def _other_parts(program: ProgramDifference) -> Iterator[str]:
    kinds = dict.fromkeys(change.kind for change in program.inputs)
    if kinds:
        yield f"{' and '.join({'file': 'model', 'dataset': 'data'}.get(kind, kind) for kind in kinds)} changed"
    moved = sum(metric.pair.changed for metric in program.metrics)
    if moved and not any(metric.old_verdict != metric.new_verdict for metric in program.metrics):
        yield f"{moved} metric{'s' if moved != 1 else ''} moved"
    if program.source and not any(table.changed for table in program.tables):
        yield f"{len(program.source)} change{'s' if len(program.source) != 1 else ''} in the source"


def _source(program: ProgramDifference) -> Section | None:
    if not program.source:
        return None
    lines: list[str] = []
    for change in program.source:
        lines += [change.line, *([f"    {string_text(change.because)}"] if change.because else [])]
    return Section("source", "source (text, not meaning)" if program.source_is_text else "source", tuple(lines))


def _inputs(program: ProgramDifference) -> Section | None:
    rows = [
        (change.kind, change.name, f"{change.old or 'none'} -> {change.new or 'none'}") for change in program.inputs
    ]
    return Section("inputs", "inputs", columns(rows)) if rows else None


def _tensors(table: TableDifference, *, alone: bool) -> Section:
    variant = "" if alone else f" {table.variant}"
    title = f"tensors{variant} ({len(table.changes)} of {table.tensors})"
    return Section("tensors", title, columns([_tensor(change) for change in table.changes]))


def _tensor(change: TensorChange) -> tuple[str, str, str, str]:
    line = change.line
    named = f"{line.kind} {name_text(line.name)}"
    if change.old is None or change.new is None:
        sign = "+" if change.old is None else "-"
        return (
            sign,
            named,
            type_text(line),
            "  ".join(filter(None, [_range(line), _step(line), f"by {line.decided_by}"])),
        )
    old, new = change.old, change.new
    types = type_text(new) if type_text(old) == type_text(new) else f"{type_text(old)} -> {type_text(new)}"
    return "~", named, types, "  ".join(_details(old, new, change))


def _details(old: TableLine, new: TableLine, change: TensorChange) -> Iterator[str]:
    if "range" in change.what:
        moved = f" (moved {change.moved:.3g} steps)" if change.moved is not None else ""
        yield f"range {_range(old)} -> {_range(new)}{moved}"
    if step_text(old) != step_text(new):
        yield f"step {step_text(old) or 'none'} -> {step_text(new) or 'none'}"
    elif "scales" in change.what:
        yield "single channels got other scales (which: only the cache knows)"
    if "zero_point" in change.what and old.zero_point is not None and old.zero_point != new.zero_point:
        yield f"zero point {old.zero_point} -> {new.zero_point}"
    if "corrected" in change.what:
        yield f"fitted codes {old.corrected or 'none'} -> {new.corrected or 'none'}"
    if "algorithm" in change.what:
        yield f"algorithm {old.algorithm} -> {new.algorithm}"
    if "rule" in change.what:
        yield f"by {old.decided_by} -> {new.decided_by}"


def _range(line: TableLine) -> str:
    if line.low is None or line.high is None:
        return ""
    return f"{number_text(line.low, 6)}..{number_text(line.high, 6)}"


def _step(line: TableLine) -> str:
    text = step_text(line)
    return f"step {text}" if text else ""


def _metrics(program: ProgramDifference) -> Iterator[Section]:
    """One section per comparison: what changed, and what fails."""
    comparisons = dict.fromkeys(metric.pair.comparison for metric in program.metrics)
    for comparison in comparisons:
        shown = [
            metric
            for metric in program.metrics
            if metric.pair.comparison == comparison and (metric.changed or metric.new_verdict == FAIL)
        ]
        rows = [
            (
                f"{metric.pair.metric} {name_text(metric.pair.on)}",
                f"{metric.old_text} -> {metric.new_text}",
                metric.delta_text,
                f"require {metric.bound_text}" if metric.bound_text else "",
                metric.verdict_text,
            )
            for metric in shown
        ]
        if rows:
            yield Section("metrics", f"metrics (compare {comparison})", columns(rows))


def _cost(program: ProgramDifference) -> Section | None:
    rows = []
    for table in program.tables:
        old, new = dict(table.old_types), dict(table.new_types)
        types = [
            f"{name} {old.get(name, 0)} -> {new.get(name, 0)}"
            for name in sorted({*old, *new})
            if old.get(name, 0) != new.get(name, 0)
        ]
        said = [f"weight constants {', '.join(types)}"] if types else []
        if table.converters_added or table.converters_removed:
            said.append(f"type converters {_signed(table.converters_added, table.converters_removed)}")
        if said:
            rows.append((table.variant, "; ".join(said)))
    return Section("cost", "cost (static)", columns(rows)) if rows else None
