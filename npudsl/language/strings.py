"""Texts as string literals of the language."""

from __future__ import annotations

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "$": "$$"}


def string_literal(text: str) -> str:
    """``text`` in double quotes, with escapes; characters that cannot be seen as ``\\u{...}``."""
    return f'"{"".join(_character(character) for character in text)}"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\u{{{ord(character):X}}}"
