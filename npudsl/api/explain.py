"""Explain one thing: an error code, a word of the language; in a program a layer, a tensor or a step.

A word that names several things gets all of their pages: nobody should have to know that a name is also a tensor's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.api.explanations.page import Page
from npudsl.diagnostics import Diagnostic, NpuError, UserError

if TYPE_CHECKING:
    from npudsl.api.explanations.model_pages import ModelPages
    from npudsl.api.explanations.step_pages import StepPages
    from npudsl.api.project import Project
    from npudsl.language.program import Program

TYPED = ("layer", "tensor", "step")
"""Words that say what kind of thing the next word names."""


def explain_word(subject: str) -> list[Page]:
    """The pages about a code or a word of the language; raises ``UserError`` with near names when there is none."""
    from npudsl.api.explanations.schema_pages import schema_pages, schema_subjects
    from npudsl.diagnostics.codes import CODES, explain

    code = subject.upper()
    if code in CODES:
        return [Page("code", code, explain(code), {"title": CODES[code].title, "meaning": CODES[code].text})]
    pages = schema_pages(subject)
    if not pages:
        if re.fullmatch(r"[EW]\d+", code):
            group = ", ".join(f"{known} ({page.title})" for known, page in CODES.items() if known[1:3] == code[1:3])
            helps = [f"codes of this group: {group}"] if group else []
            raise _unknown(f"there is no error code {code}", code, (), *helps)
        help_text = "name a code (E0301), a key (quantize.algorithm), or a program and what is in it"
        raise _unknown(f"nothing is called `{subject}`", subject, [*schema_subjects(), *CODES], help_text)
    return pages


def explain_in_program(path: str | Path, words: Sequence[str], *, roots: Mapping[str, str] | None = None) -> list[Page]:
    """The pages about ``words`` in a program: ``layer NAME``, ``tensor NAME``, ``step ID``, or names alone.

    Imports the model if it is not in the cache. Raises ``UserError`` for a name that nothing has.
    """
    from npudsl.api.project import located, open_project

    project = open_project(path, roots=roots)
    return located(project.program, lambda: _Explainer(project, roots or {}).pages(words))


class _Explainer:
    """Looks a program's words up; model and plan are looked at when the first word needs them."""

    def __init__(self, project: Project, roots: Mapping[str, str]) -> None:
        self._project = project
        self._roots = roots
        self._model: ModelPages | None = None
        self._steps: StepPages | None = None

    def pages(self, words: Sequence[str]) -> list[Page]:
        found: list[Page] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            found += self._typed(word, rest.pop(0)) if word in TYPED and rest else self._any(word)
        return found

    def _typed(self, kind: str, name: str) -> list[Page]:
        if kind == "step":
            page, known = self.steps.step(name), self.steps.names
        elif kind == "layer":
            page, known = self.model.layer(name), self.model.layer_names
        else:
            page, known = self.model.tensor(name), self.model.tensor_names
        if page is None:
            helps = [] if kind == "step" else [f"`npu layers {self._project.path}` lists the names"]
            raise _unknown(f"there is no {kind} `{name}`", name, known, *helps)
        return [page]

    def _any(self, word: str) -> list[Page]:
        layer, tensor = self.model.layer(word), self.model.tensor(word)
        if tensor is not None:
            return [layer, tensor] if layer is not None and layer.subject == word else [tensor]
        if layer is not None:
            return [layer]
        if word == "import" or re.fullmatch(r"[a-z]+:\S+", word):
            return self._typed("step", word)
        try:
            return [*explain_word(word), *_in_program(self._project.program, word)]
        except UserError:
            known = [*self.model.layer_names, *self.model.tensor_names]
            raise _unknown(
                f"{self._project.path.name} has no layer, tensor or step `{word}`",
                word,
                known,
                f"`npu layers {self._project.path}` lists the names",
            ) from None

    @property
    def model(self) -> ModelPages:
        if self._model is None:
            from npudsl.api.explanations.model_pages import ModelPages
            from npudsl.api.imported import imported_structure

            self._model = ModelPages(self._project, imported_structure(self._project))
        return self._model

    @property
    def steps(self) -> StepPages:
        if self._steps is None:
            from npudsl.api.explanations.step_pages import StepPages

            self._steps = StepPages(self._project, self._roots)
        return self._steps


def _in_program(program: Program, word: str) -> list[Page]:
    """Where the program writes a key, and what it says there."""
    block, _, key = word.partition(".")
    if not key:
        block, key = "", word
    form = re.compile(rf"{re.escape(block) or '[a-z]+'}(\[[^\]]*\])?(\.export\[[^\]]*\])?\.{re.escape(key)}")
    rows = [
        (subject, span.source.text[span.start : span.end], str(span))
        for subject, span in program.origins.items()
        if form.fullmatch(subject)
    ]
    if not rows:
        return []
    from npudsl.api.explanations.page import columns

    values = [{"subject": subject, "value": value, "place": place} for subject, value, place in rows]
    return [Page("values", word, "\n".join([f"in {program.name}", *columns(rows)]), {"values": values})]


def _unknown(message: str, name: str, known: Iterable[str], *helps: str) -> NpuError:
    from npudsl.language.names import near

    close = near(name, known, most=3)
    meant = (f"did you mean {' or '.join(f'`{item}`' for item in close)}?",) if close else ()
    return UserError([Diagnostic("E0213", message, helps=(*meant, *helps))])
