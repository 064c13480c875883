"""Names that a model gives, made safe for C, for file systems and for comments.

A model may call a layer ``int``, ``3x3/conv`` or ``a*/b``. Identifiers get a prefix from who asks (``layer_``,
``TENSOR_``), so a keyword or a library function is never hit; what is left is characters, length and clashes.
"""

from __future__ import annotations

import re

LONGEST_IDENTIFIER = 48
"""C99 compares the first 63 characters; the rest is room for prefixes and numbers."""

LONGEST_FILE_NAME = 100

# fmt: off
KEYWORDS = frozenset(
    {
        "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
        "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
        "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "bool",
        "true", "false", "asm", "typeof", "class", "new", "delete", "this", "template", "operator", "private",
        "public", "protected", "virtual", "namespace", "using", "try", "catch", "throw",
    }
)
# fmt: on
"""Keywords of C and the ones of C++ that a header should avoid."""

TAKEN = frozenset({"main", "all", "check", "clean", "golden", "build", "makefile", "readme", "std", "posix", "linux"})
"""Files and make targets of the project, and names that compilers predefine."""


def model_identifier(name: str) -> str:
    """The prefix of the project's functions and files: a C identifier that is no keyword and hits no file."""
    word = _characters(name) or "model"
    if word[0].isdigit():
        word = f"model_{word}"
    lowered = word.lower()
    if lowered in KEYWORDS or lowered in TAKEN or lowered == "npu" or lowered.startswith("npu_"):
        word = f"model_{word}"
    return word


class Identifiers:
    """Hands out distinct C identifiers; the same request order gives the same names."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, name: str) -> str:
        """``name`` as letters, digits and underscores, numbered when it is taken. Needs a prefix to stand alone."""
        word = _characters(name) or "unnamed"
        return _numbered(word, self._taken, "")


class FileNames:
    """Hands out distinct file names that every file system takes, upper and lower case not told apart."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, name: str, suffix: str) -> str:
        word = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:LONGEST_FILE_NAME].strip("._-") or "unnamed"
        if word.lower() in {"con", "prn", "aux", "nul"} or re.fullmatch(r"(com|lpt)\d", word.lower()):
            word += "_"
        return _numbered(word, self._taken, suffix)


def comment_text(text: str) -> str:
    """Text for the inside of a C comment: one line, no end of comment, no trigraph."""
    line = _one_line(text).replace("*/", "*_/").replace("/*", "/_*").replace("??", "? ?")
    return line + " " if line.endswith("\\") else line


def string_literal(text: str) -> str:
    """A C string literal for any text (as UTF-8)."""
    parts = []
    for byte in text.encode():
        character = chr(byte)
        if character in '\\"?':
            parts.append("\\" + character)
        elif 32 <= byte < 127:
            parts.append(character)
        else:
            parts.append(f"\\{byte:03o}")
    return '"' + "".join(parts) + '"'


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _characters(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:LONGEST_IDENTIFIER].rstrip("_")


def _numbered(word: str, taken: set[str], suffix: str) -> str:
    candidate, number = word, 2
    while candidate.lower() in taken:
        candidate, number = f"{word}_{number}", number + 1
    taken.add(candidate.lower())
    return candidate + suffix
