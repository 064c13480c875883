"""A quantized variant over a dataset, segment by segment.

A part's record has one digest per layer; the layers themselves travel in the part's context (they would make every key
as long as the program), and the part checks them against the digests before it uses them. Key and explanation stay
exact: "layers.conv1 changed".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.artifacts.float_model import graph_from_record, groups_from_record
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, layer_record
from npudsl.artifacts.trace import SimulationTrace, Storage, TraceLayer, border_name
from npudsl.keys import Json
from npudsl.plan.step import Part, PartOutput
from npudsl.steps.simulate.chunks import Chunk, other_chunks, report_chunks
from npudsl.steps.simulate.dumps import dumped_tensors
from npudsl.steps.simulate.gather import ChunkRows, accumulator_array, gathered
from npudsl.steps.simulate.samples import files_of, fitted_preprocess
from npudsl.steps.simulate.segments import Segment, cut_segments, float_sources, layer_digest, tensor_records

ENTIRE = "entire"
SINGLE = "single"


@dataclass(frozen=True)
class _Plan:
    """What expand and join both know; made of JSON alone."""

    model: QuantizedModel
    dumps: tuple[str, ...]
    segments: tuple[Segment, ...]
    borders: frozenset[str]
    report: Mapping[str, Chunk]
    report_samples: int
    """As many as the float simulation reports."""
    preprocess: Sequence[Json]

    def reported(self, segment: Segment) -> tuple[str, ...]:
        """The tensors of a segment that have float values to be held against."""
        return tuple(name for layer in segment.own_layers for name in layer.outputs if name in self.borders)


MACS_WORTH_COMPILING = 5_000_000_000
"""About two seconds of numpy; compiling the kernels takes about five, once per machine."""


def expand(
    record: Mapping[str, Any], inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """``entire`` parts in the order of segments, then ``single`` parts."""
    plan = _plan(record, inputs, reader, context["dump"])
    others = other_chunks(record["samples"], plan.report_samples, previous)
    digests = {layer.name: layer_digest(layer) for layer in plan.model.layers}
    draft = _Draft(plan, record, inputs, context, digests)
    parts = []
    for index, (name, chunk) in enumerate(plan.report.items()):
        parts += [draft.entire(segment, name, chunk, index) for segment in plan.segments]
    for name, chunk in others.items():
        parts += [draft.entire(segment, name, chunk, None) for segment in plan.segments]
    for index, name in enumerate(plan.report):
        parts += [draft.single(segment, name, index) for segment in plan.segments if plan.reported(segment)]
    return parts


def join(record: Mapping[str, Any], inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """Outputs and dumps in dataset order, error sums in the order of the report's samples."""
    plan = _plan(record, inputs, space, None)
    samples, model = record["samples"], plan.model
    chunks = _chunk_samples(plan, parts, space)
    reported = samples[: plan.report_samples]
    accumulated = tuple(name for segment in plan.segments for name in plan.reported(segment))

    def stacked(name: str) -> Blob:
        key = f"codes/{name}"
        made = [(part.rpartition("/")[2], tree) for part, tree in parts.items() if key in tree]
        return gathered(key, samples, [ChunkRows(chunks[chunk], tree) for chunk, tree in made], space)

    tree = {f"outputs/{name}": stacked(name) for name in model.outputs}
    tree |= {f"dumps/{name}": stacked(name) for name in plan.dumps}
    for mode in (ENTIRE, SINGLE):
        rows = [
            [ChunkRows(chunk, parts[_name(mode, segment, name)]) for segment in plan.segments if plan.reported(segment)]
            for name, chunk in plan.report.items()
        ]
        tree[f"accumulators/{mode}"] = space.write_array(accumulator_array(reported, rows, space))
    trace = SimulationTrace(
        arithmetic="integer",
        samples=tuple(samples),
        report_samples=len(reported),
        outputs=model.outputs,
        dumps=plan.dumps,
        storage={name: _storage(model, name) for name in (*model.outputs, *plan.dumps)},
        layers=_trace_layers(model),
        aliases=dict(space.read_json(inputs["model"]["graph.json"])["aliases"]),
        accumulated=accumulated,
        reference=inputs["reference"]["trace.json"].digest,
        macs_by_label=_macs_by_label(model),
    )
    return {"trace.json": space.write_json(trace.record()), **tree}


@dataclass(frozen=True)
class _Draft:
    """Writes parts; ``digests`` are made once for the program and shared by every chunk."""

    plan: _Plan
    record: Mapping[str, Any]
    inputs: Mapping[str, Tree]
    context: Any
    digests: Mapping[str, str]

    def entire(self, segment: Segment, chunk_name: str, chunk: Chunk, report: int | None) -> Part:
        """The segment on what the segments before it made of this chunk."""
        model = self.plan.model
        from_graph = [name for name in segment.reads if name in model.inputs]
        reported = self.plan.reported(segment) if report is not None else ()
        outputs = [*segment.makes, *(name for name in from_graph if name in self.plan.dumps)]
        part_record = self._program(ENTIRE, segment, segment.layers, segment.tensors)
        part_record |= {"inputs": list(segment.reads), "outputs": outputs, "reported": list(reported)}
        roles = self._constants(segment)
        for name in segment.reads:
            if name not in from_graph:
                maker = next(other for other in self.plan.segments if name in other.makes)
                if maker.number >= segment.number:
                    raise ValueError(f"segment {segment.number} reads {name} of segment {maker.number}")
                roles[f"codes/{name}"] = PartOutput(_name(ENTIRE, maker, chunk_name), f"codes/{name}")
        context = self._context(segment.layers)
        if report is not None:
            roles |= self._borders([*from_graph, *reported], report)
        elif from_graph:
            part_record |= {"samples": list(chunk), "preprocess": self.plan.preprocess}
            context |= {"subject": self.context["subject"], "files": files_of(chunk, self.context)}
        name = _name(ENTIRE, segment, chunk_name)
        return Part(name, part_record, roles, context, tuple(layer.name for layer in segment.layers))

    def single(self, segment: Segment, chunk_name: str, report: int) -> Part:
        """Every layer of the segment on its own float input."""
        layers = segment.own_layers
        read = list(dict.fromkeys(name for layer in layers for name in layer.inputs))
        sources = float_sources(self.plan.model, read, self.plan.borders)
        reported = self.plan.reported(segment)
        tensors = list(dict.fromkeys([*read, *(name for layer in layers for name in layer.outputs)]))
        part_record = self._program(SINGLE, segment, layers, tensors)
        part_record |= {"sources": sources, "reported": list(reported)}
        roles = self._constants(segment) | self._borders(dict.fromkeys([*sources.values(), *reported]), report)
        name = _name(SINGLE, segment, chunk_name)
        return Part(name, part_record, roles, self._context(layers), tuple(layer.name for layer in layers))

    def _program(
        self, mode: str, segment: Segment, layers: Sequence[IntegerLayer], tensors: Sequence[str]
    ) -> dict[str, Json]:
        return {
            "mode": mode,
            "layers": {layer.name: self.digests[layer.name] for layer in layers},
            "tensors": tensor_records(self.plan.model, tensors),
        }

    def _context(self, layers: Sequence[IntegerLayer]) -> dict[str, Json]:
        return {"layers": [layer_record(layer) for layer in layers], "compiled": self._is_worth_compiling()}

    def _is_worth_compiling(self) -> bool:
        """Whether the whole simulation takes numpy longer than a compiler takes for the kernels; bytes are the same."""
        macs = sum(layer.macs for layer in self.plan.model.layers)
        return macs * len(self.record["samples"]) >= MACS_WORTH_COMPILING

    def _constants(self, segment: Segment) -> dict[str, Blob | PartOutput]:
        return {
            f"constants/{layer.name}/{role}": blob for layer in segment.layers for role, blob in layer.constants.items()
        }

    def _borders(self, names: Iterable[str], report: int) -> dict[str, Blob | PartOutput]:
        reference = self.inputs["reference"]
        return {f"float/{name}": reference[border_name(report, name)] for name in names}


def _plan(record: Mapping[str, Any], inputs: Mapping[str, Tree], reader: BlobReader, subject: str | None) -> _Plan:
    graph_record = reader.read_json(inputs["model"]["graph.json"])
    graph, groups = graph_from_record(graph_record, {}), groups_from_record(graph_record)
    model = QuantizedModel.load(inputs["quantized"], reader)
    reference = SimulationTrace.load(inputs["reference"], reader)
    samples, count = record["samples"], reference.report_samples
    if list(reference.samples) != list(samples):
        raise ValueError("the float simulation is of other samples")
    named = dumped_tensors(record["dump"], graph, groups, subject)
    dumps = tuple(name for name in named if name in model.tensors)
    segments = cut_segments(model, [*model.outputs, *dumps])
    report, preprocess = report_chunks(samples, count), fitted_preprocess(record, graph)
    return _Plan(model, dumps, segments, frozenset(reference.borders), report, count, preprocess)


def _chunk_samples(plan: _Plan, parts: Mapping[str, Tree], space: BlobSpace) -> dict[str, Sequence[str]]:
    """By chunk name its samples; those past the report are written down by the parts that read samples."""
    chunks: dict[str, Sequence[str]] = dict(plan.report)
    for name, tree in parts.items():
        if "samples.json" in tree:
            chunks[name.rpartition("/")[2]] = space.read_json(tree["samples.json"])
    return chunks


def _name(mode: str, segment: Segment, chunk: str) -> str:
    return f"{mode}/{segment.number}/{chunk}"


def _storage(model: QuantizedModel, name: str) -> Storage:
    tensor = model.tensors[name]
    return Storage(tensor.shape, tensor.type, tensor.scale, tensor.zero_point)


def _trace_layers(model: QuantizedModel) -> tuple[TraceLayer, ...]:
    return tuple(
        TraceLayer(
            name=layer.name,
            operation=layer.operation,
            tensors=layer.outputs,
            type=model.tensors[layer.outputs[0]].type,
            label=layer.label,
            macs=layer.macs,
        )
        for layer in model.layers
        if layer.sources
    )


def _macs_by_label(model: QuantizedModel) -> dict[str, int]:
    counts: dict[str, int] = {}
    for layer in model.layers:
        if layer.macs:
            counts[layer.label] = counts.get(layer.label, 0) + layer.macs
    return counts
