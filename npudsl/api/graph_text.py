"""A graph of boxes as text, as DOT (Graphviz) and as Mermaid (forges draw it in Markdown).

Names of layers may hold any character. DOT takes them quoted; Mermaid boxes are numbered and labels written with
numeric character references, which it never reads as syntax.
"""

from __future__ import annotations

from npudsl.api.graph import Box, BoxGraph

COLORS = {"u8": "#cfe0f3", "i8": "#dcd6f2", "i16": "#f6ddb5", "f32": "#dddddd"}
SAFE = frozenset(" -_.:/+*=,")


def render_text(graph: BoxGraph) -> str:
    """One line per box: name, kind, shape, type, and what it depends on."""
    rows = [
        [box.name, box.kind if box.kind != box.name.partition(":")[0] else "", box.note, box.type]
        for box in graph.boxes
    ]
    used = [index for index in range(4) if any(row[index] for row in rows)]
    widths = {index: max(len(row[index]) for row in rows) for index in used}
    lines = []
    for box, row in zip(graph.boxes, rows, strict=True):
        sources = ", ".join(dict.fromkeys(graph.sources(box.name)))
        cells = "  ".join(row[index].ljust(widths[index]) for index in used)
        lines.append(f"{cells}  <- {sources}" if sources else cells.rstrip())
    return "\n".join(lines)


def render_dot(graph: BoxGraph) -> str:
    """A digraph for Graphviz."""
    lines = [f"digraph {_quoted(graph.name)} {{", "  rankdir=TB;", "  node [shape=box, style=filled, fillcolor=white];"]
    for box in graph.boxes:
        color = f', fillcolor="{COLORS[box.type]}"' if box.type in COLORS else ""
        label = "\\n".join(_escaped(part) for part in _label(box))
        lines.append(f'  {_quoted(box.name)} [label="{label}"{color}];')
    lines += [f"  {_quoted(source)} -> {_quoted(target)};" for source, target, _ in graph.edges]
    return "\n".join([*lines, "}"])


def render_mermaid(graph: BoxGraph) -> str:
    """A flowchart."""
    numbers = {box.name: f"n{index}" for index, box in enumerate(graph.boxes)}
    lines = ["flowchart TD"]
    for box in graph.boxes:
        label = "<br/>".join(_referenced(part) for part in _label(box))
        kind = f":::{box.type}" if box.type in COLORS else ""
        lines.append(f'  {numbers[box.name]}["{label}"]{kind}')
    lines += [f"  {numbers[source]} --> {numbers[target]}" for source, target, _ in graph.edges]
    used = dict.fromkeys(box.type for box in graph.boxes if box.type in COLORS)
    lines += [f"  classDef {name} fill:{COLORS[name]},color:#000" for name in used]
    return "\n".join(lines)


def _label(box: Box) -> list[str]:
    kind = "" if box.kind == box.name.partition(":")[0] else box.kind
    return [box.name, *filter(None, [" ".join(filter(None, (kind, box.note, box.type)))])]


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _referenced(text: str) -> str:
    plain = ((character.isascii() and character.isalnum()) or character in SAFE for character in text)
    return "".join(
        character if is_plain else f"#{ord(character)};" for character, is_plain in zip(text, plain, strict=True)
    )
