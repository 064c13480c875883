"""Pages about steps of the plan: what one does, what it needs and who needs it, its settings, whether it would run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from npudsl.api.explanations.page import Page, columns
from npudsl.api.plan import plan_program
from npudsl.api.planned import plan_of
from npudsl.api.project import Project

if TYPE_CHECKING:
    from npudsl.keys import Json
    from npudsl.plan.step import Step

KINDS = {
    "import": "reads the model, fixes its inputs, cuts, simplifies and groups it into layers",
    "calibrate": "runs the float model over a dataset and counts what every tensor holds",
    "draft": "chooses ranges and codes before the variant is corrected or its layers are chosen",
    "rank": "orders the layers of a variant by how much a wider type would help",
    "quantize": "chooses ranges and codes of one variant and makes its integer program and its table",
    "simulate": "runs a variant over a dataset, the integer ones bit by bit as the chip computes",
    "compare": "sets two simulations side by side and judges the requirements",
    "export": "writes a variant in the form that another tool or the chip takes",
}

LONGEST_LIST = 8


class StepPages:
    """The pages of one plan; raises what planning raises (missing data)."""

    def __init__(self, project: Project, roots: Mapping[str, str]) -> None:
        self._project = project
        self._roots = roots
        pipeline = plan_of(project).pipeline
        self._steps: dict[str, Step] = {step.id: step for step in pipeline.steps}

    @property
    def names(self) -> list[str]:
        """Ids of the steps."""
        return list(self._steps)

    def step(self, id_: str) -> Page | None:
        """The page of a step; None when the plan has none of that id."""
        step = self._steps.get(id_)
        if step is None:
            return None
        forecast = next(item for item in plan_program(self._project.path, roots=self._roots).steps if item.id == id_)
        needed_by = [other.id for other in self._steps.values() if id_ in other.inputs.values()]
        rows = [
            ("needs", ", ".join(step.inputs.values()) or "no other step"),
            ("needed by", ", ".join(needed_by) or "no other step"),
            *(("file", f"{file.shown}, {file.size} bytes, sha256 {file.digest[:12]}") for file in step.files.values()),
            ("parts", "not known before the steps it needs" if forecast.parts is None else str(forecast.parts)),
            ("build", "reuses its result" if forecast.verdict == "reuse" else f"runs it: {forecast.reason}"),
        ]
        settings = list(_settings(step.record, ""))
        lines = [f"step {id_}", f"  {KINDS.get(step.kind.name, step.kind.name)}", "", *columns(rows)]
        lines += ["", "settings, as they enter its key", *columns(settings)]
        details: dict[str, Json] = {
            "step_kind": step.kind.name,
            "inputs": dict(step.inputs),
            "needed_by": needed_by,
            "files": [{"file": file.shown, "sha256": file.digest, "bytes": file.size} for file in step.files.values()],
            "verdict": forecast.verdict,
            "reason": forecast.reason,
            "parts": forecast.parts,
            "record": step.record,
        }
        return Page("step", id_, "\n".join(lines), details)


def _settings(record: Json, path: str) -> Iterator[tuple[str, str]]:
    """The leaves of a record; long lists as their length."""
    if isinstance(record, Mapping) and record:
        for key, value in record.items():
            yield from _settings(value, f"{path}.{key}" if path else str(key))
    elif isinstance(record, list) and any(isinstance(item, (Mapping, list)) for item in record):
        for index, value in enumerate(record):
            yield from _settings(value, f"{path}[{index}]")
    elif isinstance(record, list) and len(record) > LONGEST_LIST:
        yield path, f"{len(record)} values"
    else:
        yield path, json.dumps(record, ensure_ascii=False)
