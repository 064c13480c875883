"""The unquantized model over a dataset: the reference of every comparison.

One sample at a time, one thread: a sample's values depend on nothing but the sample. Report chunks run a tapped copy of
the graph that also gives every layer's output.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.artifacts.float_model import graph_from_record, groups_from_record
from npudsl.artifacts.trace import SimulationTrace, Storage, TraceLayer, border_name
from npudsl.ir import float_run
from npudsl.ir.graph import Graph
from npudsl.ir.groups import LayerGroup
from npudsl.plan.step import Part
from npudsl.steps.simulate.chunks import Chunk, other_chunks, report_chunks
from npudsl.steps.simulate.dumps import border_tensors, dumped_tensors
from npudsl.steps.simulate.gather import ChunkRows, gathered
from npudsl.steps.simulate.samples import check_finite, files_of, fitted_preprocess, sample_tensors
from npudsl.steps.simulate.tap import float_session

MODE = "float"
FLOAT_BYTES = 4


def expand(
    record: Mapping[str, Any], inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """One part per chunk."""
    graph_record = reader.read_json(inputs["model"]["graph.json"])
    graph, groups = graph_from_record(graph_record, {}), groups_from_record(graph_record)
    kept = [*graph.outputs, *dumped_tensors(record["dump"], graph, groups, context["dump"])]
    with_borders = list(dict.fromkeys([*kept, *border_tensors(graph, groups)]))
    samples, count = record["samples"], report_count(record, graph, groups)
    shared = {
        "mode": MODE,
        "preprocess": fitted_preprocess(record, graph),
        "dtypes": [graph.types[name].dtype for name in graph.inputs],
    }

    def part(name: str, chunk: Chunk, keep: Sequence[str]) -> Part:
        return Part(
            name=name,
            record={**shared, "samples": list(chunk), "keep": list(keep)},
            inputs={"model": inputs["model"]["model.onnx"]},
            context={"subject": context["subject"], "files": files_of(chunk, context)},
            layers=tuple(group.name for group in groups),
        )

    others = other_chunks(samples, count, [item for item in previous if item.get("mode") == MODE])
    return [
        *(part(name, chunk, with_borders) for name, chunk in report_chunks(samples, count).items()),
        *(part(name, chunk, kept) for name, chunk in others.items()),
    ]


def report_count(record: Mapping[str, Any], graph: Graph, groups: Sequence[LayerGroup]) -> int:
    """So many first samples get figures for every layer: fewer than asked for when their activations take too much."""
    wanted: int = min(record["report_samples"], len(record["samples"]))
    budget: int | None = record["activation_bytes"]
    if budget is None:
        return wanted
    elements = sum(math.prod(graph.types[name].shape) for name in border_tensors(graph, groups))
    return max(1, min(wanted, budget // max(elements * FLOAT_BYTES, 1)))


def run_part(record: Mapping[str, Any], inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """Run a chunk; ``values/<tensor>`` stacks the samples on a new first axis. Raises E0502 to E0506 (see data)."""
    preprocess = record["preprocess"]
    dtypes = {item["input"]: dtype for item, dtype in zip(preprocess, record["dtypes"], strict=True)}
    asked = [name for name in record["keep"] if name not in dtypes]
    session = float_session(inputs["model"], asked, space)
    values: dict[str, list[Any]] = {name: [] for name in record["keep"]}
    for sample in record["samples"]:
        tensors = sample_tensors(sample, preprocess, context)
        feeds = {name: tensors[name].astype(dtype, copy=False) for name, dtype in dtypes.items()}
        made = {**feeds, **float_run.run(session, feeds, asked)}
        check_finite(made, sample, context)
        for name, arrays in values.items():
            arrays.append(made[name])
    tree = {f"values/{name}": space.write_array(np.stack(arrays)) for name, arrays in values.items()}
    tree["samples.json"] = space.write_json(list(record["samples"]))
    return tree


def join(record: Mapping[str, Any], inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """Outputs and dumps in dataset order, borders as the report's chunks hold them."""
    graph_record = space.read_json(inputs["model"]["graph.json"])
    graph, groups = graph_from_record(graph_record, {}), groups_from_record(graph_record)
    samples, count = record["samples"], report_count(record, graph, groups)
    report = report_chunks(samples, count)
    borders = border_tensors(graph, groups)
    dumps = dumped_tensors(record["dump"], graph, groups, None)
    rows = [ChunkRows(space.read_json(tree["samples.json"]), tree) for tree in parts.values()]
    tree = {f"outputs/{name}": gathered(f"values/{name}", samples, rows, space) for name in graph.outputs}
    tree |= {f"dumps/{name}": gathered(f"values/{name}", samples, rows, space) for name in dumps}
    for index, chunk in enumerate(report):
        tree |= {border_name(index, name): parts[chunk][f"values/{name}"] for name in borders}
    trace = SimulationTrace(
        arithmetic="float",
        samples=tuple(samples),
        report_samples=min(count, len(samples)),
        outputs=graph.outputs,
        dumps=dumps,
        storage={name: Storage(graph.types[name].shape) for name in (*graph.outputs, *dumps)},
        layers=tuple(_trace_layer(group) for group in groups),
        aliases=dict(graph.aliases),
        borders=borders,
        chunks=tuple(map(len, report.values())),
    )
    return {"trace.json": space.write_json(trace.record()), **tree}


def _trace_layer(group: LayerGroup) -> TraceLayer:
    return TraceLayer(group.name, group.op, group.outputs, macs=group.macs)
