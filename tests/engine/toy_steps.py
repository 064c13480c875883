"""Toy steps for the engine: a sum over numbers that has one part per number, and a step that doubles it.

Not about networks on purpose: the engine must work without knowing any.
"""

from __future__ import annotations

import threading
from collections import Counter

from npudsl.plan.step import Part, PartOutput, Step, StepKind

RAN: Counter[str] = Counter()
"""What really ran, by name; a test clears it."""

_LOCK = threading.Lock()

SQUARES = StepKind("squares", 1, "toy_steps", ("npudsl.keys.canonical",), predict="toy_steps:predict")
CHAIN = StepKind("chain", 1, "toy_chain", ("npudsl.keys.canonical",))


def squares_step(numbers: list[int], name: str = "squares") -> Step:
    return Step(SQUARES, name, {"numbers": numbers})


def count(what: str) -> None:
    with _LOCK:
        RAN[what] += 1


def expand(record, inputs, reader, previous, context):
    return [Part(f"square-{number}", {"number": number}, layers=(str(number),)) for number in record["numbers"]]


def run_part(record, inputs, context, space):
    count(f"square {record['number']}")
    if record["number"] < 0:
        from npudsl.diagnostics import Problem

        raise Problem("E0001", f"{record['number']} is negative", subject="numbers")
    return {"square": space.write_json(abs(record["number"]) ** 2)}


def join(record, inputs, parts, space):
    count("join")
    return {"sum": space.write_json(sum(space.read_json(tree["square"]) for tree in parts.values()))}


def predict(parts, layers):
    return [part["name"] for part in parts if set(part["layers"]) & set(layers)]


__all__ = ["CHAIN", "RAN", "SQUARES", "Part", "PartOutput", "expand", "join", "predict", "run_part", "squares_step"]
