"""The tree of exceptions.

::

    NpuError                    has diagnostics and an exit code
    ├── UserError               the user's text or files                        exit 1
    ├── RequirementsNotMet      a ``require`` line or the collapse verdict      exit 1
    ├── StepFailed              a step could not finish                         exit 4
    ├── EnvironmentMissing      a tool, package or permission is missing        exit 5
    └── Problem                 raised by steps: a UserError whose place is still a subject name

A ``Problem`` is what pure code raises: it names the program value it is about (``subject``), and the room that
holds the program turns that name into file, line and column. Anything else that escapes is our bug (exit 70).
"""

from __future__ import annotations

from collections.abc import Iterable

from npudsl.diagnostics.diagnostic import Diagnostic, Place


class NpuError(Exception):
    """An error the user is shown as diagnostics, never as a traceback."""

    exit_code = 1

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(f"[{d.code}] {d.message}" for d in self.diagnostics))

    def __reduce__(self) -> tuple[type[NpuError], tuple[tuple[Diagnostic, ...]]]:
        return (type(self), (self.diagnostics,))


class UserError(NpuError):
    """The user's text or files are wrong."""


class RequirementsNotMet(NpuError):
    """A requirement of a comparison failed."""


class StepFailed(NpuError):
    """A step could not finish for a reason that is not in the user's text."""

    exit_code = 4


class EnvironmentMissing(NpuError):
    """A tool, a package or a permission is missing on this machine."""

    exit_code = 5


class Problem(UserError):
    """One diagnostic raised by a step, about ``subject`` (a program value such as ``"dataset[calib].list"``)."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        subject: str | None = None,
        places: Iterable[Place] = (),
        notes: Iterable[str] = (),
        helps: Iterable[str] = (),
    ) -> None:
        diagnostic = Diagnostic(
            code, message, subject=subject, places=tuple(places), notes=tuple(notes), helps=tuple(helps)
        )
        super().__init__([diagnostic])

    def __reduce__(self) -> tuple[type[NpuError], tuple[tuple[Diagnostic, ...]]]:
        return (UserError, (self.diagnostics,))
