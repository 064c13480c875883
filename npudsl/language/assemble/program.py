"""The whole program from its checked blocks, and the checks that need more than one block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from npudsl.diagnostics import Diagnostic, Fix, Label, Source, Span
from npudsl.language.assemble import data, judge, network, quantize, target
from npudsl.language.assemble.ledger import Ledger
from npudsl.language.bodies import Body
from npudsl.language.files import LANGUAGE_VERSION, ProgramFile
from npudsl.language.names import did_you_mean, near
from npudsl.language.program import Compare, Dataset, Model, Program, Simulate
from npudsl.language.references import FLOAT
from npudsl.language.schema.types import Use
from npudsl.language.strings import string_literal


def in_source_order(problems: Iterable[Diagnostic], sources: Sequence[Source]) -> list[Diagnostic]:
    """Diagnostics by file (in the order they were read) and place; repetitions once."""
    order = {id(source): index for index, source in enumerate(sources)}

    def position(problem: Diagnostic) -> tuple[int, int]:
        if not problem.labels:
            return (-1, 0)
        span = problem.labels[0].span
        return (order.get(id(span.source), len(order)), span.start)

    return sorted(dict.fromkeys(problems), key=position)


class Assembly:
    """The blocks of one program on their way to values."""

    def __init__(self, file: ProgramFile, bodies: Mapping[tuple[str, str], Body], ledger: Ledger) -> None:
        self.file = file
        self.bodies = bodies
        self.ledger = ledger

    def of_kind(self, kind: str) -> list[Body]:
        return [body for (keyword, _), body in self.bodies.items() if keyword == kind]

    def labels(self) -> dict[str, list[str]]:
        kinds = ("dataset", "quantize", "golden")
        return {kind: [body.label for body in self.of_kind(kind)] for kind in kinds}

    def program(self, sources: tuple[Source, ...]) -> Program | None:
        """The program; None when a part of it could not be made (which has been reported)."""
        ledger, base = self.ledger, self.file.base
        model = self._model()
        inputs = tuple(network.network_input(body, ledger) for body in self.of_kind("input"))
        outputs = tuple(network.network_output(body, ledger) for body in self.of_kind("output"))
        datasets = {body.label: data.dataset(body, ledger, base) for body in self.of_kind("dataset")}
        variants = {body.label: quantize.variant(body, ledger) for body in self.of_kind("quantize")}
        goldens = tuple(data.golden(body, ledger) for body in self.of_kind("golden"))
        simulations = self._simulations(list(variants))
        comparisons = self._comparisons([golden.name for golden in goldens], datasets)
        targets = {body.label: target.target(body, ledger, list(variants)) for body in self.of_kind("target")}
        self._check_names()
        self._check_feeds(datasets, [network_input.name for network_input in inputs])
        for name, constant in self.file.constants.items():
            if constant.value is not None:
                ledger.origins[f"let[{name}]"] = constant.value.span
        if model is None:
            return None
        return Program(
            name=self.file.path.stem,
            path=str(self.file.path),
            version=LANGUAGE_VERSION,
            model=model,
            inputs=inputs,
            outputs=outputs,
            datasets=datasets,
            variants=variants,
            simulations=simulations,
            comparisons=comparisons,
            goldens=goldens,
            targets=targets,
            origins=ledger.origins,
            sources=sources,
            defaults=frozenset(ledger.defaults),
            warnings=tuple(in_source_order(ledger.warnings, sources)),
        )

    def _model(self) -> Model | None:
        models = self.of_kind("model")
        for extra in models[1:]:
            others = (Label(models[0].span, "the first one", primary=False),)
            message = "a file describes one model"
            self.ledger.error("E0204", message, extra.span, "write one file per model", others=others)
        if models:
            return network.model(models[0], self.ledger)
        if self.file.complete and not any(block.keyword.text == "model" for block in self.file.blocks):
            length = min(1, len(self.file.source.text))
            helps = ["write `model name {` with `format` and `file`"]
            if not self.file.blocks and self.file.presets:
                helps.append("a file with only `let` and `preset` is a fragment: another file takes it in with `use`")
            self.ledger.error("E0205", "there is no `model` block", Span(self.file.source, 0, length), *helps)
        return None

    def _simulations(self, variants: list[str]) -> tuple[Simulate, ...]:
        made = [judge.simulate(body, self.ledger, variants) for body in self.of_kind("simulate")]
        return tuple(simulation for simulation in made if simulation is not None)

    def _comparisons(self, goldens: list[str], datasets: dict[str, Dataset]) -> tuple[Compare, ...]:
        made = []
        for body in self.of_kind("compare"):
            comparison = judge.compare(body, self.ledger, Use("require", self.file.base), goldens)
            if comparison is not None:
                judge.check_labels(comparison, body, datasets, self.ledger)
                made.append(comparison)
        return tuple(made)

    def _check_names(self) -> None:
        """``float`` is taken; variants and recorded values are named in the same places."""
        variants = {body.label: body for body in self.of_kind("quantize")}
        goldens = {body.label: body for body in self.of_kind("golden")}
        for body in (*variants.values(), *goldens.values()):
            if body.label == FLOAT:
                message = "`float` is the name of the unquantized model"
                self.ledger.error("E0204", message, body.span, "choose another name")
        for name, body in goldens.items():
            if name in variants:
                others = (Label(variants[name].span, "a variant has this name", primary=False),)
                self.ledger.error("E0204", f"`{name}` is both a variant and a golden", body.span, others=others)

    def _check_feeds(self, datasets: Mapping[str, Dataset], inputs: list[str]) -> None:
        """A feed for an input that no ``input`` block names is a slip, once there are such blocks."""
        if not inputs or not self.file.complete:
            return
        for dataset in datasets.values():
            for feed in dataset.feeds:
                if feed.input is not None and feed.input not in inputs:
                    span = self.ledger.origins[f"dataset[{dataset.name}].feed[{feed.input}]"]
                    message = f'"{feed.input}" is not an input of this file'
                    fixes = tuple(Fix(span, string_literal(name), f"write {name}") for name in near(feed.input, inputs))
                    helps = did_you_mean(feed.input, inputs)
                    self.ledger.error("E0213", message, span, *helps, fixes=fixes)
