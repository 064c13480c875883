"""Diagnostics as text and as JSON, and program values turned into places.

The text form::

    error[E0213]: `calb` is not a dataset
      --> net.npu:12:15
       |
    12 |   calibrate = calb
       |               ^^^^
       |
       = help: did you mean `calib`?

Path, line and column come first on a line of their own, so editors and terminals link them. Nothing depends on the
width of the terminal; ``color`` only adds escape sequences.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from npudsl.diagnostics.diagnostic import Diagnostic, Fix, Label, Source, Span

_TAB = "    "
_STYLES = {"error": "1;31", "warning": "1;33", "frame": "34", "note": "1", "title": "1"}


def render(diagnostic: Diagnostic, *, color: bool = False, paint_code: Callable[[str], str] | None = None) -> str:
    """The diagnostic as lines of text, without a final line end.

    ``paint_code`` colours a line of program text; it must not change what the line shows.
    """
    paint = _paint if color else _plain
    lines = [
        paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity)
        + paint(f": {diagnostic.message}", "title")
    ]
    groups = _groups(diagnostic.labels)
    last = max((_last_line(labels) for _, labels in groups), default=0)
    gutter = " " * (len(str(last)) if groups else 2)
    for index, (source, labels) in enumerate(groups):
        lines += _excerpt(source, labels, gutter, paint, paint_code, diagnostic.severity, first=index == 0)
    for index, place in enumerate(diagnostic.places):
        arrow = "-->" if index == 0 and not groups else ":::"
        lines.append(paint(f"{gutter}{arrow} ", "frame") + str(place))
    remarks = _remarks(diagnostic)
    if remarks and groups and not diagnostic.places:
        lines.append(paint(f"{gutter} |", "frame"))
    lines += [paint(f"{gutter} = ", "frame") + paint(f"{kind}: ", "note") + text for kind, text in remarks]
    return "\n".join(lines)


def to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """The diagnostic as a JSON object; offsets count characters, lines and columns count from 1."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "subject": diagnostic.subject,
        "labels": [
            {**_span_json(label.span), "text": label.text, "primary": label.primary} for label in diagnostic.labels
        ],
        "places": [{"file": place.path, "line": place.line} for place in diagnostic.places],
        "notes": list(diagnostic.notes),
        "helps": list(diagnostic.helps),
        "fixes": [
            {**_span_json(fix.span), "replacement": fix.replacement, "title": fix.title} for fix in diagnostic.fixes
        ],
    }


def locate(diagnostic: Diagnostic, origins: Mapping[str, Span]) -> Diagnostic:
    """The diagnostic with its subject turned into a label; unchanged when it has labels or no origin is known.

    A subject without an origin of its own (a default, a value of the model) takes that of its nearest parent.
    A ``${name}`` under the label is explained by a note with the constant's text.
    """
    if diagnostic.labels or diagnostic.subject is None:
        return diagnostic
    span = _origin(diagnostic.subject, origins)
    if span is None:
        return diagnostic
    notes = (*diagnostic.notes, *_constants_in(span, origins))
    fixes = diagnostic.fixes
    if diagnostic.instead is not None and diagnostic.subject in origins and not _constants_in(span, origins):
        fixes = (*fixes, Fix(span, diagnostic.instead, f"write {diagnostic.instead}"))
    return replace(diagnostic, labels=(Label(span),), notes=notes, fixes=fixes, instead=None)


def _origin(subject: str, origins: Mapping[str, Span]) -> Span | None:
    """The span of ``subject`` or of its nearest parent: ``a[b].c`` -> ``a[b]``."""
    while subject:
        if subject in origins:
            return origins[subject]
        cut = max(subject.rfind("."), subject.rfind("["))
        subject = subject[:cut] if cut > 0 else ""
    return None


def _constants_in(span: Span, origins: Mapping[str, Span]) -> tuple[str, ...]:
    text = span.source.text[span.start : span.end]
    notes = []
    for piece in text.split("${")[1:]:
        name = piece.partition("}")[0]
        value = origins.get(f"let[{name}]")
        if value is not None:
            place = f"line {value.line}" if value.source == span.source else str(value)
            notes.append(f'"${{{name}}}" is {value.source.text[value.start : value.end]} ({place})')
    return tuple(dict.fromkeys(notes))


def _remarks(diagnostic: Diagnostic) -> list[tuple[str, str]]:
    notes = list(diagnostic.notes)
    if diagnostic.subject is not None and not diagnostic.labels and not diagnostic.places:
        notes.append(f"this is about {diagnostic.subject}")
    return [("note", note) for note in notes] + [("help", text) for text in diagnostic.helps]


def _groups(labels: tuple[Label, ...]) -> list[tuple[Source, list[Label]]]:
    """Labels by source: the source of the primary label first, in source order inside one."""
    ordered = sorted(labels, key=lambda label: not label.primary)
    groups: list[tuple[Source, list[Label]]] = []
    for label in ordered:
        for source, members in groups:
            if source == label.span.source:
                members.append(label)
                break
        else:
            groups.append((label.span.source, [label]))
    return groups


def _last_line(labels: list[Label]) -> int:
    return max(label.span.line for label in labels)


def _excerpt(
    source: Source, labels: list[Label], gutter: str, paint: Any, paint_code: Any, severity: str, *, first: bool
) -> list[str]:
    """One source's arrow line and its labelled lines."""
    head = labels[0].span
    lines = [paint(f"{gutter}{'-->' if first else ':::'} ", "frame") + f"{source.name}:{head.line}:{head.column}"]
    lines.append(paint(f"{gutter} |", "frame"))
    previous = 0
    for number in sorted({label.span.line for label in labels}):
        if previous and number == previous + 2:
            lines.append(_source_line(source, previous + 1, gutter, paint, paint_code))
        elif previous and number > previous + 1:
            lines.append(paint("...", "frame"))
        lines.append(_source_line(source, number, gutter, paint, paint_code))
        here = [label for label in labels if label.span.line == number]
        for label in sorted(here, key=lambda label: label.span.start):
            marker = _marker(source, number, label)
            lines.append(paint(f"{gutter} |", "frame") + paint(marker, severity if label.primary else "frame"))
        previous = number
    return lines


def _source_line(source: Source, number: int, gutter: str, paint: Any, paint_code: Any) -> str:
    text = _printable(source.line(number))
    if paint_code is not None:
        text = paint_code(text)
    frame = paint(f"{number:>{len(gutter)}} |", "frame")
    return f"{frame} {text}" if text else frame


def _marker(source: Source, number: int, label: Label) -> str:
    """Carets (primary) or dashes below the label's characters; a span of several lines ends with its first."""
    line = source.line(number)
    column = label.span.column - 1
    end = min(len(line), column + label.span.end - label.span.start)
    width = max(1, _width(line[column:end]))
    mark = ("^" if label.primary else "-") * width
    return f" {' ' * _width(line[:column])}{mark}{' ' + label.text if label.text else ''}"


def _printable(text: str) -> str:
    """Tabs as spaces; other control characters as a replacement character."""
    return "".join(
        _TAB if character == "\t" else character if character.isprintable() else "\ufffd" for character in text
    )


def _width(text: str) -> int:
    """Columns that a terminal gives to ``text``."""
    columns = 0
    for character in text:
        if character == "\t":
            columns += len(_TAB)
        elif unicodedata.combining(character):
            continue
        else:
            columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return columns


def _span_json(span: Span) -> dict[str, Any]:
    end_line, end_column = span.source.line_column(min(span.end, len(span.source.text)))
    return {
        "file": span.source.name,
        "start": span.start,
        "end": span.end,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _plain(text: str, _style: str) -> str:
    return text


def _paint(text: str, style: str) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"
