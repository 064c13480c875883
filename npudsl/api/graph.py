"""The plan or the model of a program as a graph of named boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.api.project import Project, located, open_project
from npudsl.diagnostics import Diagnostic, UserError

if TYPE_CHECKING:
    from npudsl.keys import Json


@dataclass(frozen=True)
class Box:
    """A step or a layer. ``kind`` is the step's kind or the layer's operator, ``note`` a shape; ``type`` its element
    type in a variant, empty where nobody asked."""

    name: str
    kind: str
    note: str = ""
    type: str = ""


@dataclass(frozen=True)
class BoxGraph:
    """Boxes in topological order, ties by name (steps) or as the model has them (layers); edges: from, to, tensor."""

    name: str
    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, str, str], ...]

    def sources(self, name: str) -> list[str]:
        """Names of the boxes that one depends on."""
        return [source for source, target, _ in self.edges if target == name]

    def record(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "nodes": [
                {"name": box.name, "kind": box.kind, "shape": box.note or None, "type": box.type or None}
                for box in self.boxes
            ],
            "edges": [{"from": source, "to": target, "tensor": what or None} for source, target, what in self.edges],
        }


def step_graph(path: str | Path, *, roots: Mapping[str, str] | None = None) -> BoxGraph:
    """The steps of a program's plan; raises what planning raises."""
    project = open_project(path, roots=roots)
    return located(project.program, lambda: _steps(project))


def model_graph(path: str | Path, *, variant: str | None = None, roots: Mapping[str, str] | None = None) -> BoxGraph:
    """The layers of a program's model, with the types that the rules of ``variant`` give; imports what is not there.

    Raises ``UserError`` when there is no such variant.
    """
    project = open_project(path, roots=roots)
    if variant is not None and variant not in project.program.variants:
        from npudsl.language.names import did_you_mean

        known = ", ".join(project.program.variants) or "none"
        message = f"there is no variant `{variant}`; variants are {known}"
        raise UserError([Diagnostic("E0213", message, helps=did_you_mean(variant, project.program.variants))])
    return located(project.program, lambda: _model(project, variant))


def _steps(project: Project) -> BoxGraph:
    import networkx

    from npudsl.api.planned import plan_of

    steps = {step.id: step for step in plan_of(project).pipeline.steps}
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(steps)
    graph.add_edges_from((source, step.id) for step in steps.values() for source in step.inputs.values())
    ordered = list(networkx.lexicographical_topological_sort(graph))
    boxes = tuple(Box(id_, steps[id_].kind.name) for id_ in ordered)
    edges = tuple((source, id_, "") for id_ in ordered for source in dict.fromkeys(steps[id_].inputs.values()))
    return BoxGraph(project.program.name, boxes, edges)


def _model(project: Project, variant: str | None) -> BoxGraph:
    from npudsl.api.imported import imported_structure

    structure = imported_structure(project)
    types = {} if variant is None else dict(_types(project, variant, structure))
    boxes: list[Box] = []
    edges: list[tuple[str, str, str]] = []
    makers: dict[str, str] = {}
    layers = {group.name for group in structure.groups}
    for name in structure.graph.inputs:
        shape = "x".join(map(str, structure.graph.types[name].shape))
        makers[name] = f"input {name}" if name in layers else name
        boxes.append(Box(makers[name], "input", shape, types.get(name, "")))
    for group in structure.groups:
        output = group.outputs[0]
        shape = "x".join(map(str, structure.graph.types[output].shape))
        boxes.append(Box(group.name, group.op, shape, types.get(output, "")))
        edges += [(makers[tensor], group.name, tensor) for tensor in dict.fromkeys(group.inputs) if tensor in makers]
        makers.update(dict.fromkeys(group.outputs, group.name))
    return BoxGraph(project.program.name, tuple(boxes), tuple(edges))


def _types(project: Project, variant: str, structure: object) -> Iterator[tuple[str, str]]:
    from npudsl.language.resolve import resolve
    from npudsl.steps.quantize.resolution import layer_subjects, tensor_aliases
    from npudsl.steps.quantize.structure import Structure

    assert isinstance(structure, Structure)
    resolution = resolve(
        project.program.variants[variant], layer_subjects(structure), structure.tensors, tensor_aliases(structure)
    )
    for name, settings in resolution.tensors.items():
        yield name, str(settings.values["type"])
