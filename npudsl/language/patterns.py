"""Globs and regular expressions over layer and tensor names.

``*`` and ``?`` stay inside one ``/`` segment, ``**`` crosses segments, ``[a-z]`` and ``[!a-z]`` are one character of a
set, ``{a,b}`` is a choice. ``**/`` also stands for nothing, so ``**/conv`` finds ``conv`` at the top. A wildcard is
made literal by ``[*]``.
"""

from __future__ import annotations

import re
from functools import lru_cache


class BadPattern(ValueError):
    """A glob or regular expression that cannot be read; ``position`` counts characters of the pattern from 0."""

    def __init__(self, message: str, position: int) -> None:
        self.message = message
        self.position = position
        super().__init__(f"{message} (character {position + 1})")


@lru_cache(maxsize=512)
def pattern_regex(kind: str, text: str) -> re.Pattern[str]:
    """The compiled form of a selector: ``glob`` matches whole names, ``regex`` is searched, ``exact`` is equality."""
    if kind == "exact":
        return re.compile(rf"\A{re.escape(text)}\Z")
    if kind == "glob":
        return re.compile(rf"(?s)\A{_Glob(text).translate()}\Z")
    try:
        return re.compile(text)
    except re.error as error:
        raise BadPattern(f"the regular expression cannot be read: {error.msg}", error.pos or 0) from error
    except (OverflowError, RecursionError) as error:
        raise BadPattern("the regular expression is too large", 0) from error


def has_wildcard(text: str) -> bool:
    """Whether a name looks like a pattern."""
    return any(character in text for character in "*?[{")


class _Glob:
    """One pass over a glob, writing a regular expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.braces: list[int] = []

    def translate(self) -> str:
        pieces: list[str] = []
        while self.at < len(self.text):
            pieces.append(self._piece())
        if self.braces:
            raise BadPattern("`{` is never closed", self.braces[-1])
        return "".join(pieces)

    def _piece(self) -> str:
        character = self.text[self.at]
        if character == "*":
            return self._stars()
        if character == "[":
            return self._set()
        self.at += 1
        if character == "?":
            return "[^/]"
        if character == "{":
            self.braces.append(self.at - 1)
            return "(?:"
        if character == "}":
            if not self.braces:
                raise BadPattern("`}` closes nothing", self.at - 1)
            self.braces.pop()
            return ")"
        if character == "," and self.braces:
            return "|"
        return re.escape(character)

    def _stars(self) -> str:
        start = self.at
        while self.text[self.at : self.at + 1] == "*":
            self.at += 1
        count = self.at - start
        if count == 1:
            return "[^/]*"
        if count > 2:
            raise BadPattern("`***` has no meaning: `*` stays in a segment, `**` crosses them", start)
        at_segment_start = start == 0 or self.text[start - 1] in "/{,"
        if at_segment_start and self.text[self.at : self.at + 1] == "/":
            self.at += 1
            return "(?:.*/)?"
        return ".*"

    def _set(self) -> str:
        start = self.at
        self.at += 1
        negated = self.text[self.at : self.at + 1] in ("!", "^")
        self.at += negated
        first = self.at
        end = self.text.find("]", first + 1)
        if end < 0:
            raise BadPattern("`[` is never closed", start)
        members = self.text[first:end]
        self.at = end + 1
        body = self._members(members, first)
        return f"[^/{body}]" if negated else f"(?!/)[{body}]"

    def _members(self, members: str, offset: int) -> str:
        pieces: list[str] = []
        index = 0
        while index < len(members):
            if index + 2 < len(members) and members[index + 1] == "-":
                low, high = members[index], members[index + 2]
                if low > high:
                    raise BadPattern(f"`{low}-{high}` runs backwards", offset + index)
                pieces.append(f"{re.escape(low)}-{re.escape(high)}")
                index += 3
            else:
                pieces.append(re.escape(members[index]))
                index += 1
        return "".join(pieces)
