"""The difference as a comment for a pull request: the summary first, details folded, never longer than it may be.

Details stand in code fences: names of layers and reasons may hold any character, and in a fence none of them means
anything to the forge. What is too long is cut in the middle of its longest lists, so that their beginning and end, and
every summary, stay.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from npudsl.api.review.sections import Section, sections, summary, unchanged, unchanged_programs

if TYPE_CHECKING:
    from npudsl.api.diff import Difference, ProgramDifference

DEFAULT_MAXIMUM = 60000
SIGNED = ("source", "tensors")
"""Sections whose lines begin with + or -: a forge colours them."""


@dataclass(frozen=True)
class _Block:
    """``lines`` may be cut; what stands around them may not."""

    before: str
    lines: tuple[str, ...] = ()
    after: str = ""
    left_out: int = 0

    @property
    def text(self) -> str:
        lines = list(self.lines)
        if self.left_out:
            middle = (len(lines) + 1) // 2
            lines.insert(middle, f"... {self.left_out} lines left out ...")
        return "\n".join([self.before, *lines, *([self.after] if self.after else [])])

    @property
    def size(self) -> int:
        return len(self.text.encode())

    def shorter(self) -> _Block:
        """The same with about a quarter of its lines less, taken from the middle."""
        drop = max(1, len(self.lines) // 4)
        first = (len(self.lines) - drop + 1) // 2
        kept = (*self.lines[:first], *self.lines[first + drop :])
        return replace(self, lines=kept, left_out=self.left_out + drop)


def render_markdown(difference: Difference, maximum: int = DEFAULT_MAXIMUM) -> str:
    """The comment, at most ``maximum`` bytes of UTF-8 as long as the summaries fit into that."""
    blocks = list(_blocks(difference))
    while sum(block.size + 2 for block in blocks) > maximum:
        longest = max(range(len(blocks)), key=lambda index: len("\n".join(blocks[index].lines)))
        if not blocks[longest].lines:
            return _cut("\n\n".join(block.text for block in blocks) + "\n", maximum)
        blocks[longest] = blocks[longest].shorter()
    return "\n\n".join(block.text for block in blocks) + "\n"


def _cut(text: str, maximum: int) -> str:
    """Whole lines from the beginning: what is left when there is nothing to fold away any more."""
    end = "\n... cut ...\n"
    kept = text.encode()[: max(0, maximum - len(end))].decode("utf-8", "ignore")
    return kept[: kept.rfind("\n") + 1].rstrip("\n") + end


def _blocks(difference: Difference) -> Iterator[_Block]:
    yield _Block(f"### npu diff: {_code(difference.old)} → {_code(difference.new)}")
    changed = [program for program in difference.programs if program.changed or program.notes]
    same = [program for program in difference.programs if not program.changed and not program.notes]
    lines = [f"- **{_escaped(program.name)}**: {_escaped(summary(program))}" for program in changed]
    if same:
        lines.append(f"- {_escaped(unchanged_programs([program.name for program in same]))}")
    yield _Block("\n".join(lines))
    for program in changed:
        yield from _program(program, difference.tolerance, alone=len(changed) == 1)


def _program(program: ProgramDifference, tolerance: float, *, alone: bool) -> Iterator[_Block]:
    found = sections(program)
    if not alone and (found or program.notes):
        yield _Block(f"#### {_escaped(program.name)}")
    for note in program.notes:
        yield _Block(f"> **Note:** {_escaped(note)}")
    for section in found:
        yield _folded(section)
    stayed = unchanged(program, tolerance)
    if stayed and program.status in ("changed", "same"):
        yield _Block(_escaped(stayed))


def _folded(section: Section) -> _Block:
    """A section behind its title; metrics are open, they are what a reviewer came for."""
    fence = _fence(section.lines)
    lines = section.lines
    language = "diff" if section.name in SIGNED else "text"
    state = " open" if section.name == "metrics" else ""
    title = html.escape(section.title)
    return _Block(f"<details{state}><summary>{title}</summary>\n\n{fence}{language}", lines, f"{fence}\n\n</details>")


def _fence(lines: tuple[str, ...]) -> str:
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    return "`" * max(3, longest + 1)


def _code(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    mark = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{mark}{pad}{text}{pad}{mark}"


def _escaped(text: str) -> str:
    """Text in which no character means anything to Markdown or HTML, and nobody is mentioned."""
    line = " ".join(text.split())
    plain = re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", html.escape(line, quote=False))
    return plain.replace("@", "@\u200b")
