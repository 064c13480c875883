"""Whether to write in colour, and program text in colour."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TextIO

CHOICES = ("auto", "always", "never")
_chosen = "auto"


def choose_color(choice: str) -> None:
    """What ``--color`` says; holds for this process."""
    global _chosen
    _chosen = choice


def wants_color(stream: TextIO) -> bool:
    """``--color`` decides; else ``NO_COLOR`` and ``FORCE_COLOR``; else whether the stream is a terminal."""
    if _chosen != "auto":
        return _chosen == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def without_color_option(words: list[str]) -> list[str] | None:
    """The command line without ``--color``, which every command takes; None when its value is missing or unknown."""
    left: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--":
            return [*left, word, *rest]
        if name != "--color":
            left.append(word)
            continue
        choice = value if equals else next(rest, "")
        if choice not in CHOICES:
            return None
        choose_color(choice)
    return left


def code_painter() -> Callable[[str], str]:
    """A function that colours a line of a program."""
    from pygments import highlight
    from pygments.formatters.terminal import TerminalFormatter

    from npudsl.language.lexer_pygments import NpuLexer

    lexer, formatter = NpuLexer(stripnl=False, ensurenl=False), TerminalFormatter()
    return lambda line: highlight(line, lexer, formatter)
