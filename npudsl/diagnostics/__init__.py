"""Errors with carets: what went wrong, where, the measured value, and what to do next."""

from npudsl.diagnostics.diagnostic import Diagnostic, Fix, Label, Place, Severity, Source, Span
from npudsl.diagnostics.errors import (
    EnvironmentMissing,
    NpuError,
    Problem,
    RequirementsNotMet,
    StepFailed,
    UserError,
)

__all__ = [
    "Diagnostic",
    "EnvironmentMissing",
    "Fix",
    "Label",
    "NpuError",
    "Place",
    "Problem",
    "RequirementsNotMet",
    "Severity",
    "Source",
    "Span",
    "StepFailed",
    "UserError",
]
