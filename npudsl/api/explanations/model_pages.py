"""Pages about a layer or a tensor of a program: what it is, which rules reach it, what holds in each variant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from npudsl.api.explanations.decisions import Link, TensorView, VariantReader, VariantView
from npudsl.api.explanations.page import Page, columns
from npudsl.api.project import Project
from npudsl.artifacts.comparison_text import macs_text
from npudsl.artifacts.quant_table import render_line
from npudsl.artifacts.text_fields import number_text, string_text
from npudsl.ir.fusion import groups_by_name

if TYPE_CHECKING:
    from npudsl.ir.groups import LayerGroup
    from npudsl.keys import Json
    from npudsl.steps.quantize.structure import Structure

KEY_WIDTH = 9


class ModelPages:
    """The pages of one program on its imported model."""

    def __init__(self, project: Project, structure: Structure) -> None:
        self._structure = structure
        self._groups = groups_by_name(structure.graph, structure.groups)
        self._tensors = set(structure.tensors)
        self._weights = {
            name: [group for group in structure.groups if name in (*group.weights, *group.operands)]
            for group in structure.groups
            for name in (*group.weights, *group.operands)
        }
        self._readers = [VariantReader(project, structure, variant) for variant in project.program.variants.values()]

    @property
    def layer_names(self) -> list[str]:
        """Every name a layer may be called by."""
        return list(self._groups)

    @property
    def tensor_names(self) -> list[str]:
        """Tensors and weights."""
        return [*self._structure.tensors, *self._weights]

    def layer(self, name: str) -> Page | None:
        """The page of the layer called ``name``; None when there is none."""
        group = self._groups.get(name)
        if group is None:
            return None
        names = (*self._quantized(group), *group.outputs)
        views = [reader.view(names) for reader in self._readers]
        head = [f"layer {group.name}", *(f"  {line}" for line in self._layer_facts(group))]
        if name != group.name:
            head.insert(1, f"  ({name} is another name of it)")
        details = {**self._layer_record(group), "variants": [view.record() for view in views]}
        return Page("layer", group.name, _text(head, views), details)

    def tensor(self, name: str) -> Page | None:
        """The page of a tensor or weight; None when there is none of that name."""
        if name not in self._tensors and name not in self._weights:
            return None
        type_ = self._structure.graph.types[name]
        shape = "x".join(map(str, type_.shape)) or "scalar"
        what = "weight" if name in self._weights else "tensor"
        facts = [f"{shape} {type_.dtype}"]
        record: dict[str, Json] = {"what": what, "shape": list(type_.shape), "dtype": type_.dtype}
        if what == "weight":
            record["layers"] = [group.name for group in self._weights[name]]
            facts.append(f"of layer {', '.join(record['layers'])}")
        else:
            maker = self._structure.maker(name)
            record["maker"] = maker.name if maker is not None else None
            record["readers"] = [group.name for group in self._structure.readers(name)]
            facts.append(f"made by {maker.name} ({maker.op})" if maker is not None else "graph input")
            facts.append(f"read by {', '.join(record['readers']) or 'nobody: graph output'}")
        views = [reader.view((name,)) for reader in self._readers if self._is_quantized(name)]
        text = _text([f"{what} {name}", *(f"  {fact}" for fact in facts)], views)
        return Page("tensor", name, text, {**record, "variants": [view.record() for view in views]})

    def _quantized(self, group: LayerGroup) -> tuple[str, ...]:
        return tuple(name for name in (*group.weights, *group.operands) if self._is_quantized(name))

    def _is_quantized(self, name: str) -> bool:
        return name in self._tensors or all(reader.has_weight(name) for reader in self._readers)

    def _layer_facts(self, group: LayerGroup) -> list[str]:
        types = self._structure.graph.types
        outputs = ", ".join("x".join(map(str, types[name].shape)) for name in group.outputs)
        macs = f", {macs_text(group.macs)} MACs" if group.macs else ""
        facts = [f"{group.op}, output {outputs}{macs}"]
        if len(group.nodes) > 1:
            facts.append(f"computes {' and '.join(group.nodes)} in one")
        if group.inputs:
            facts.append(f"reads {', '.join(group.inputs)}")
        return facts

    def _layer_record(self, group: LayerGroup) -> dict[str, Json]:
        return {
            "operator": group.op,
            "nodes": list(group.nodes),
            "inputs": list(group.inputs),
            "outputs": list(group.outputs),
            "weights": list(self._quantized(group)),
            "macs": group.macs,
            "aliases": [name for name, known in self._groups.items() if known is group and name != group.name],
        }


def _text(head: list[str], views: list[VariantView]) -> str:
    return "\n\n".join("\n".join(block) for block in [head, *map(_variant, views)])


def _variant(view: VariantView) -> list[str]:
    lines = [f"variant {view.name}"]
    if view.rules:
        lines.append("  rules that reach it, in the order of application")
        rows = [(rule.text, rule.place) for rule in view.rules]
        for row, rule in zip(columns(rows, "    "), view.rules, strict=True):
            lines += [row, *([f"      because {string_text(rule.because)}"] if rule.because else [])]
    else:
        lines.append("  no rule reaches it: the settings of the variant hold")
    lines += [f"  problem {problem}" for problem in view.problems]
    for tensor in view.tensors:
        lines += _tensor(tensor)
    return lines


def _tensor(view: TensorView) -> list[str]:
    lines = [f"  {view.kind} {view.name}"]
    links = [link for chain in view.settings.values() for link in chain]
    widths = (max(len(link.value) for link in links), max(len(link.place) for link in links))
    for key, chain in view.settings.items():
        lines += _chain(key, chain, view.effective, widths)
    lines += [f"    {note}" for note in view.notes]
    if view.line is None:
        lines.append(f"    {'table':<{KEY_WIDTH}}  no line: build to get range and scale")
    else:
        lines.append(f"    {'table':<{KEY_WIDTH}}  {render_line(view.line)}  ({view.place})")
        if view.line.fractional_length is not None:
            step = number_text(2.0**-view.line.fractional_length, 6)
            lines.append(f"    {'':<{KEY_WIDTH}}  step {step} (2 to the power of {-view.line.fractional_length})")
    lines += [f"    {'converter':<{KEY_WIDTH}}  {render_line(line)}" for line in view.converters]
    return lines


def _chain(key: str, links: tuple[Link, ...], effective: Mapping[str, str], widths: tuple[int, int]) -> list[str]:
    """One line per value that the key was given; the last one holds, unless scheme or type brought another one."""
    holds = effective.get(key)
    if holds is None:
        return []
    value_width, place_width = widths
    lines = []
    for index, link in enumerate(links):
        last = index == len(links) - 1
        if not last:
            remark = f"overridden by {links[index + 1].by}"
        elif link.value != holds:
            remark = f"replaced: {holds} goes with the {'type' if key == 'scheme' else 'scheme'}"
        else:
            remark = "" if index == 0 else f"by {link.by}"
        name = key if index == 0 else ""
        lines.append(f"    {name:<{KEY_WIDTH}}  {link.value:<{value_width}}  {link.place:<{place_width}}  {remark}")
    return [line.rstrip() for line in lines]
