"""What assembly writes down beside the values: origins, defaults, problems, warnings."""

from __future__ import annotations

from npudsl.diagnostics import Diagnostic, Fix, Label, Span
from npudsl.language.bodies import Body


class Ledger:
    """Collects, in one place, where every value of the program comes from."""

    def __init__(self) -> None:
        self.origins: dict[str, Span] = {}
        self.defaults: set[str] = set()
        self.problems: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []

    def block(self, subject: str, body: Body) -> None:
        """Origins of a block and its keys; keys with a default that were not written are noted as defaults."""
        self.origins[subject] = body.span
        for name, entry in body.entries.items():
            self.origins[f"{subject}.{name}"] = entry.span
        for key in body.form.keys.values():
            alternatives = (key.name, *key.excludes)
            if not key.unavailable and _has_default(key.default) and not any(map(body.has, alternatives)):
                self.defaults.add(f"{subject}.{key.name}")

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        *helps: str,
        others: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
        fixes: tuple[Fix, ...] = (),
    ) -> None:
        labels = (Label(span), *others)
        self.problems.append(Diagnostic(code, message, labels=labels, helps=helps, notes=notes, fixes=fixes))

    def warning(
        self,
        code: str,
        message: str,
        span: Span,
        *helps: str,
        others: tuple[Label, ...] = (),
    ) -> None:
        self.warnings.append(Diagnostic(code, message, labels=(Label(span), *others), helps=helps, severity="warning"))


def _has_default(default: object) -> bool:
    return default is not None and isinstance(default, (str, int, float))
