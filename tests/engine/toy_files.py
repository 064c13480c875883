"""Toy steps over the user's files: the first bytes of a file, and a copy of what another step made."""

from __future__ import annotations

from pathlib import Path

from toy_steps import count

from npudsl.engine.files import FileTracker
from npudsl.plan.step import Part, Step, StepKind

HEAD = StepKind("head", 1, "toy_files", ("npudsl.keys.canonical",))
COPY = StepKind("copy", 1, "toy_files", ("npudsl.keys.canonical",))


def head_and_copy(path: Path, tracker: FileTracker, *, mark: str = "") -> list[Step]:
    """``b`` is the first ten bytes of ``path``, ``c`` a copy of ``b`` with a mark behind it."""
    head = Step(HEAD, "b", {"bytes": 10}, files={"source": tracker.file(path, path.name)})
    return [head, Step(COPY, "c", {"mark": mark}, {"source": head.id})]


def expand(record, inputs, reader, previous, context):
    (blob,) = inputs["source"].values()
    return [Part("only", dict(record), {"source": blob})]


def run_part(record, inputs, context, space):
    data = space.read_bytes(inputs["source"])
    if "bytes" in record:
        count("b")
        return {"value": space.write_json(data[: record["bytes"]].decode())}
    count("c")
    return {"value": space.write_json(space.read_json(inputs["source"]) + record["mark"])}


def join(record, inputs, parts, space):
    return {"value": parts["only"]["value"]}
