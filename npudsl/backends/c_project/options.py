"""The settings of an export block of this kind."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from npudsl.diagnostics import Problem

BUILD_TYPES = ("release", "debug")


@dataclass(frozen=True)
class Options:
    """``build_type``: what a plain ``make`` builds. ``embed_weights``: constants as C arrays instead of a file."""

    build_type: str = "release"
    embed_weights: bool = False


OPTION_NAMES = ("build_type", "embed_weights")


def read_options(written: Mapping[str, Any], subject: str) -> Options:
    """Check the options. Raises ``Problem`` E0202 for an unknown one, E0211 and E0210 for a wrong value."""
    for name in written:
        if name not in OPTION_NAMES:
            near = difflib.get_close_matches(name, OPTION_NAMES, n=1)
            suggestion = (f"did you mean `{near[0]}`?",) if near else ()
            raise Problem(
                "E0202",
                f"`{name}` is not an option of a c-project; options: {', '.join(OPTION_NAMES)}",
                subject=subject,
                helps=suggestion,
            )
    build_type = written.get("build_type", "release")
    if build_type not in BUILD_TYPES:
        raise Problem(
            "E0211",
            f"`build_type` is {' or '.join(BUILD_TYPES)}, not `{build_type}`",
            subject=subject,
        )
    embed_weights = written.get("embed_weights", False)
    if not isinstance(embed_weights, bool):
        raise Problem("E0210", f"`embed_weights` is true or false, not `{embed_weights}`", subject=subject)
    return Options(str(build_type), embed_weights)
