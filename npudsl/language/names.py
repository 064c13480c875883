"""Names that were probably meant. ``difflib`` is imported when a name is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from npudsl.diagnostics import Fix, Span


def near(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known names closest to ``name``, best first; a name that differs only in case comes before all others."""
    import difflib

    candidates = list(dict.fromkeys(known))
    same = [candidate for candidate in candidates if candidate.lower() == name.lower() and candidate != name]
    lowered: dict[str, str] = {}
    for candidate in candidates:
        lowered.setdefault(candidate.lower(), candidate)
    close = difflib.get_close_matches(name.lower(), lowered, n=most, cutoff=0.6)
    found = list(dict.fromkeys([*same, *(lowered[match] for match in close)]))
    return [candidate for candidate in found if candidate != name][:most]


def meant(name: str, known: Iterable[str], span: Span, quote: str = "") -> tuple[tuple[str, ...], tuple[Fix, ...]]:
    """``did you mean`` for the name at ``span``, and the edit that writes it; both empty when nothing is near."""
    close = near(name, known)
    if not close:
        return (), ()
    return (f"did you mean `{close[0]}`?",), (Fix(span, f"{quote}{close[0]}{quote}", f"write {close[0]}"),)


def did_you_mean(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """``("did you mean `x`?",)`` or nothing."""
    close = near(name, known)
    return (f"did you mean `{close[0]}`?",) if close else ()


def listed(names: Iterable[str]) -> str:
    """``a, b and c`` with each name in backticks."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def with_article(noun: str) -> str:
    """``a dataset``, ``an input``."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
