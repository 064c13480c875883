"""Why a tensor is quantized as it is: the chain behind every setting, and the line of the committed table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.api.committed import table_path
from npudsl.api.project import Project
from npudsl.api.rule_text import rule_text, setting_text
from npudsl.artifacts.quant_table import QuantTable, TableLine, read_table, render_line
from npudsl.diagnostics import UserError
from npudsl.language.chain import ChainLink, reaching_rules, setting_chains
from npudsl.language.program import Program, Quantize, Rule
from npudsl.language.resolve import Resolution, TensorSettings, in_rule_order, resolve

if TYPE_CHECKING:
    from npudsl.keys import Json
    from npudsl.steps.quantize.structure import Structure

DEFAULT_PLACE = "default"


@dataclass(frozen=True)
class Link:
    """A value that a setting was given. ``by`` is the rule, or the variant's block."""

    value: str
    place: str
    by: str


@dataclass(frozen=True)
class TensorView:
    """A tensor or weight in one variant. ``settings``: key to its links, the effective one last; ``effective`` has the
    values that hold in the end, which differ where a type needs another scheme."""

    kind: str
    name: str
    settings: Mapping[str, tuple[Link, ...]]
    effective: Mapping[str, str]
    notes: tuple[str, ...] = ()
    line: TableLine | None = None
    place: str = ""
    """Where the line stands: ``net.u8.quant:7``."""
    converters: tuple[TableLine, ...] = ()

    def record(self) -> dict[str, Json]:
        return {
            "kind": self.kind,
            "name": self.name,
            "settings": {key: [asdict(link) for link in links] for key, links in self.settings.items()},
            "effective": dict(self.effective),
            "notes": list(self.notes),
            "table": None if self.line is None else {**line_record(self.line), "place": self.place},
            "converters": [line_record(line) for line in self.converters],
        }


@dataclass(frozen=True)
class RuleView:
    """A rule that covers the subject."""

    text: str
    place: str
    because: str | None


@dataclass(frozen=True)
class VariantView:
    """One variant of the program seen from a layer or tensor."""

    name: str
    rules: tuple[RuleView, ...]
    tensors: tuple[TensorView, ...]
    problems: tuple[str, ...] = field(default=())
    """What is wrong with the variant's rules on this model."""

    def record(self) -> dict[str, Json]:
        return {
            "variant": self.name,
            "rules": [asdict(rule) for rule in self.rules],
            "tensors": [tensor.record() for tensor in self.tensors],
            "problems": list(self.problems),
        }


class VariantReader:
    """Answers questions about one variant on one model."""

    def __init__(self, project: Project, structure: Structure, variant: Quantize) -> None:
        from npudsl.steps.quantize.resolution import layer_subjects, tensor_aliases

        self._program = project.program
        self._structure = structure
        self._variant = variant
        layers = layer_subjects(structure)
        self._resolution: Resolution = resolve(variant, layers, structure.tensors, tensor_aliases(structure))
        self._layers_of: dict[str, list[str]] = {}
        for layer in layers:
            for name in (*layer.weights, *layer.outputs):
                self._layers_of.setdefault(name, []).append(layer.name)
        self._path = table_path(project, variant.name)
        self._table = _table(self._path)

    def view(self, names: Collection[str]) -> VariantView:
        """The variant as far as the tensors and weights ``names`` are concerned."""
        rules: dict[int, Rule] = {}
        for name in names:
            for rule in reaching_rules(self._variant, self._resolution.matches, name, self._layers(name)):
                rules[rule.index] = rule
        return VariantView(
            self._variant.name,
            tuple(
                RuleView(rule_text(rule), self._rule_place(rule), rule.because)
                for rule in in_rule_order(tuple(rules.values()))
            ),
            tuple(self._tensor(name) for name in names),
            tuple(f"{problem.code}: {problem.message}" for problem in self._resolution.problems),
        )

    def has_weight(self, name: str) -> bool:
        """Whether the constant becomes codes (a constant operand may become part of a table instead)."""
        return name in self._resolution.weights

    def has_tensor(self, name: str) -> bool:
        """Whether it is an activation of the model (and no converter's)."""
        return name in self._resolution.tensors

    def _layers(self, name: str) -> list[str]:
        return self._layers_of.get(name, [])

    def _tensor(self, name: str) -> TensorView:
        is_weight = name in self._resolution.weights
        chains = setting_chains(self._variant, self._resolution.matches, name, self._layers(name), is_weight=is_weight)
        settings = {
            key: tuple(self._link(key, link) for link in chain if link.value is not None)
            for key, chain in chains.items()
        }
        resolved = (self._resolution.weights if is_weight else self._resolution.tensors)[name]
        kind = "wgt" if is_weight else "act"
        line, number = self._line(kind, name)
        return TensorView(
            kind,
            name,
            {key: links for key, links in settings.items() if links},
            _effective(resolved),
            tuple(self._notes(name, is_weight, resolved, line)),
            line,
            f"{self._path.name}:{number}" if line is not None else "",
            self._converters(name) if not is_weight else (),
        )

    def _link(self, key: str, link: ChainLink) -> Link:
        by = f"quantize {self._variant.name}" if link.rule is None else rule_text(link.rule)
        return Link(setting_text(key, link.value), place_of(self._program, link.subject), by)

    def _rule_place(self, rule: Rule) -> str:
        return place_of(self._program, f"quantize[{self._variant.name}].rules[{rule.index}]")

    def _notes(self, name: str, is_weight: bool, resolved: TensorSettings, line: TableLine | None) -> list[str]:
        from npudsl.steps.quantize.plan import FIXED_OUTPUT_OPS
        from npudsl.steps.quantize.resolution import SCHEMES

        notes = []
        if not is_weight:
            owner = self._structure.owner(name)
            maker = self._structure.maker(name)
            if owner != name and maker is not None:
                notes.append(f"{maker.op} hands on values: its range is that of {owner}")
            elif maker is not None and maker.op in FIXED_OUTPUT_OPS and resolved.values["type"] != "f32":
                notes.append(f"{maker.op} itself gives the range: its values are 0 .. 1")
        if line is not None and line.decided_by == "auto":
            notes.append(f"`hybrid = auto` chose {line.type} in the build of the committed table")
        elif line is not None and not notes:
            type_name = str(resolved.values["type"])
            scheme = "none" if type_name == "f32" else SCHEMES[str(resolved.values["scheme"])]
            if line.type != type_name or (scheme != "perchannel" and line.scheme not in (scheme, "perchannel")):
                notes.append(f"the committed table says {line.type}: it is of another build, run npu build")
        return notes

    def _line(self, kind: str, name: str) -> tuple[TableLine | None, int]:
        for number, line in enumerate(self._table.lines if self._table is not None else (), start=2):
            if (line.kind, line.name) == (kind, name):
                return line, number
        return None, 0

    def _converters(self, name: str) -> tuple[TableLine, ...]:
        lines = self._table.lines if self._table is not None else ()
        return tuple(line for line in lines if line.decided_by == "converter" and line.name.startswith(f"{name}/to_"))


def place_of(program: Program, subject: str) -> str:
    """``net.npu:12:3`` where the value is written, else that it is a default."""
    span = program.origins.get(subject)
    return DEFAULT_PLACE if span is None else str(span)


def line_record(line: TableLine) -> dict[str, Json]:
    """A table line as JSON, without what it does not have."""
    record = {key: value for key, value in asdict(line).items() if value is not None}
    if line.scale_range is not None:
        record["scale_range"] = list(line.scale_range)
    return {**record, "text": render_line(line)}


def _effective(resolved: TensorSettings) -> dict[str, str]:
    values = resolved.values
    shown = {key: setting_text(key, values[key]) for key in ("type", "scheme", "algorithm") if values[key] is not None}
    if values["type"] == "f32":
        shown = {"type": "f32"}
    for key in ("min", "max"):
        if values[key] is not None:
            shown[key] = setting_text(key, values[key])
    return {**shown, "by": resolved.decided_by}


def _table(path: Path) -> QuantTable | None:
    """The committed table; None when there is none, or none that can be read."""
    try:
        return read_table(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError, UserError):
        return None
