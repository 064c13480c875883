"""A toy step whose second part reads the first: the sum of the input, then its double."""

from __future__ import annotations

from toy_steps import CHAIN, count

from npudsl.plan.step import Part, PartOutput, Step


def chain_step(source: str, factor: int = 2, name: str = "chain") -> Step:
    return Step(CHAIN, name, {"factor": factor}, {"sum": source})


def expand(record, inputs, reader, previous, context):
    first = Part("copy", {"what": "copy"}, {"sum": next(iter(inputs["sum"].values()))})
    second = Part("scale", {"what": "scale", "factor": record["factor"]}, {"value": PartOutput("copy", "value")})
    return [first, second]


def run_part(record, inputs, context, space):
    count(record["what"])
    if record["what"] == "copy":
        return {"value": space.write_json(space.read_json(inputs["sum"]))}
    return {"value": space.write_json(space.read_json(inputs["value"]) * record["factor"])}


def join(record, inputs, parts, space):
    count("chain join")
    return {"value": parts["scale"]["value"]}
