"""Two program texts statement by statement: what is left when one of them has errors and means nothing.

Comments, spaces and empty lines do not count. Every line carries the blocks it stands in, so it can be read alone.
"""

from __future__ import annotations

import difflib
import re

from npudsl.api.review.program_diff import SourceChange

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|#.*|[^\s"#]+|"')


def diff_texts(old: str, new: str) -> tuple[SourceChange, ...]:
    """Statements that came and went."""
    before, after = statements(old), statements(new)
    changes = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for word, first, last, start, end in matcher.get_opcodes():
        if word != "equal":
            changes += [SourceChange("-", *line) for line in before[first:last]]
            changes += [SourceChange("+", *line) for line in after[start:end]]
    return tuple(changes)


def statements(text: str) -> list[tuple[str, str]]:
    """Every line with something on it: the blocks around it, and its tokens with single spaces between them."""
    found: list[tuple[str, str]] = []
    blocks: list[str] = []
    for line in text.splitlines():
        tokens = [token for token in _TOKEN.findall(line) if not token.startswith("#")]
        if not tokens:
            continue
        if tokens == ["}"]:
            blocks = blocks[:-1]
            continue
        opens = tokens[-1] == "{"
        statement = " ".join(tokens[:-1] if opens else tokens) or "{"
        found.append((" ".join(blocks), statement))
        if opens:
            blocks.append(statement)
    return found
