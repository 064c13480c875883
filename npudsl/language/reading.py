"""Program text from disk, with its line ends as they are."""

from __future__ import annotations

from pathlib import Path

from npudsl.diagnostics import Diagnostic, Place, UserError


def read_program_text(path: Path) -> str:
    """The text; raises ``OSError`` or ``UnicodeDecodeError``."""
    return path.read_bytes().decode("utf-8")


def program_text(path: Path, shown: str) -> str:
    """The text of the file that the user calls ``shown``; raises ``UserError``."""
    try:
        return read_program_text(path)
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8 (byte {error.start})"
        raise UserError([Diagnostic("E0101", message, places=(Place(shown),), helps=("save it as UTF-8",))]) from error
    except OSError as error:
        message = f"{shown} cannot be read: {error.strerror}"
        raise UserError([Diagnostic("E0214", message, helps=("name a .npu file that exists",))]) from error
