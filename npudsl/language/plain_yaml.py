"""The settings files that nearly everybody has, read without the YAML library, which takes longer than the rest.

Names with a word or a path, and one level of maps: what this reads, it reads as YAML does; for anything else it gives
None, and the library reads the file.
"""

from __future__ import annotations

import re

Settings = dict[str, "str | dict[str, str]"]

_LINE = re.compile(r"( *)([A-Za-z][A-Za-z0-9_-]*):(?: +((?:\.{1,2}/|[A-Za-z/])[A-Za-z0-9_./-]*))?(?: *| +#.*)")
_BLANK = re.compile(r" *(#.*)?")
_NOT_TEXT = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
"""Words that YAML takes for something else than text, in any case."""


def plain_settings(text: str) -> Settings | None:
    """The settings, or None where the text holds more than names with words, paths and maps of them."""
    settings: Settings = {}
    inner: dict[str, str] | None = None
    indent = 0
    for line in text.split("\n"):
        if _BLANK.fullmatch(line):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        depth, name, value = len(match.group(1)), match.group(2), match.group(3)
        if name.lower() in _NOT_TEXT or (value is not None and value.lower() in _NOT_TEXT):
            return None
        if depth == 0 and name not in settings:
            if inner == {}:
                return None
            inner = {} if value is None else None
            indent = 0
            settings[name] = inner if value is None else value  # type: ignore[assignment]
        elif depth and inner is not None and value is not None and name not in inner and indent in (0, depth):
            indent = depth
            inner[name] = value
        else:
            return None
    return None if inner == {} else settings
