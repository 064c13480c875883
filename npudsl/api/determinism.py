"""Does a step make the same from the same? Runs it anew and compares digests, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from npudsl import native
from npudsl.api.build import matching_steps
from npudsl.api.planned import plan_of
from npudsl.api.project import located, open_project
from npudsl.diagnostics import Diagnostic
from npudsl.engine.events import SilentReporter
from npudsl.engine.memory import load_memory
from npudsl.engine.run import Engine, needed_steps

Digests = dict[str, dict[str, dict[str, str]]]
"""By step, by part ("" is the join): digests of what it made, by name."""


def fresh_digests(
    path: str | Path, step: str, *, jobs: int, roots: Mapping[str, str] | None = None
) -> tuple[Digests, Digests]:
    """Run ``step`` (an id or a kind) in this process whatever the cache holds; nothing of it is kept.

    Returns what was made, and what the cache holds for the same keys.
    """
    project = open_project(path, roots=roots)

    def work() -> tuple[Digests, Digests]:
        plan = plan_of(project)
        wanted = matching_steps(plan.pipeline, (step,))
        native.configure(project.cache / "native")
        cache = project.open_cache()
        try:
            held = cache.results
            cache.detach()
            engine = Engine(cache, plan.host, jobs=jobs, reporter=SilentReporter(), forced=wanted)
            steps = needed_steps(plan.pipeline.steps, wanted)
            _, memory = engine.build(steps, load_memory(project.state_file("last")))
            made: Digests = {}
            kept: Digests = {}
            for id_ in wanted:
                remembered = memory.steps[id_]
                keys = {part.name: part.key for part in remembered.parts} | {"": remembered.join_key}
                for name, key in keys.items():
                    for digests, result in ((made, held.get(key)), (kept, held.get_published(key))):
                        if result is not None:
                            tree = {item: blob.digest for item, blob in result.tree.items()}
                            digests.setdefault(id_, {})[name] = tree
            return made, kept
        finally:
            cache.close()

    return located(project.program, work)


def disagreements(runs: Mapping[str, Digests]) -> list[Diagnostic]:
    """E0804 for every part that is not the same in all runs; ``runs`` are named for the message."""
    (first_name, first), *others = runs.items()
    found: dict[tuple[str, str], list[str]] = {}
    for name, run in others:
        for step, parts in first.items():
            for part, tree in parts.items():
                other = run.get(step, {}).get(part)
                if other is None or other == tree:
                    continue
                items = [item for item in sorted({*tree, *other}) if tree.get(item) != other.get(item)]
                found.setdefault((step, part), []).append(f"{first_name} and {name} differ in {', '.join(items[:5])}")
    return [
        Diagnostic(
            "E0804",
            f"{step} {part or 'join'} does not repeat itself",
            notes=tuple(notes),
            helps=("a step reads its record and inputs only: no clock, no random state, no order of a set",),
        )
        for (step, part), notes in found.items()
    ]
