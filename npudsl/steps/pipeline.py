"""From a checked program to the plan: one step per thing the program says, each shared wherever it can be.

=============  =====================================================================================
import_model   one
calibrate      one per dataset that a variant calibrates on
quantize       one per variant, with drafts in front of it where it is corrected (``variants``)
simulate       one per variant and dataset that a ``simulate`` or ``compare`` block asks for
compare        one per ``compare`` block, and one verdict per variant that no block compares
export         one per ``export`` block
=============  =====================================================================================

This is the one module that knows all six kinds. It hashes files through a ``FileSource`` and reads no weights.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from npudsl.artifacts.model_formats import load_reader
from npudsl.data.advice import dataset_advice
from npudsl.data.resolve import resolve_dataset
from npudsl.data.sample import SampleSet
from npudsl.diagnostics import Diagnostic, Problem
from npudsl.language.program import Compare, Export, Program, Quantize, TargetBlock
from npudsl.language.resolve import quantize_record
from npudsl.plan.sources import FileSource
from npudsl.plan.step import FileInput, Step
from npudsl.steps.calibrate.kind import KIND as CALIBRATE
from npudsl.steps.calibrate.kind import config_from as calibrate_config
from npudsl.steps.calibrate.kind import context_from as calibrate_context
from npudsl.steps.compare.kind import KIND as COMPARE
from npudsl.steps.compare.kind import CompareConfig, compare_step
from npudsl.steps.export.kind import config_from as export_config
from npudsl.steps.export.kind import context_from as export_context
from npudsl.steps.export.kind import export_step
from npudsl.steps.import_model.kind import config_from_program, import_step
from npudsl.steps.quantize.kind import QuantizeConfig
from npudsl.steps.simulate.kind import FLOAT, simulate_step
from npudsl.steps.simulate.kind import KIND as SIMULATE
from npudsl.steps.simulate.kind import config_from as simulate_config
from npudsl.steps.simulate.kind import context_from as simulate_context
from npudsl.steps.variants import VariantSources, variant_steps
from npudsl.targets.profiles import resolve_profile, resolve_saturation, variant_of

VERDICT_SAMPLES = 16
"""A variant that no ``compare`` block looks at is compared on this many calibration samples."""


@dataclass(frozen=True)
class PlannedExport:
    """An export step and where its files go."""

    step: str
    target: str
    name: str
    kind: str
    variant: str
    place: str
    shown: str
    subject: str


@dataclass(frozen=True)
class PlannedComparison:
    """A comparison step. ``subject`` is where its verdict points; ``implied`` when no block asked for it."""

    step: str
    name: str
    subject: str
    samples_shown: tuple[str, ...]
    implied: bool = False


@dataclass(frozen=True)
class Pipeline:
    """The plan of a program."""

    steps: tuple[Step, ...]
    exports: tuple[PlannedExport, ...]
    comparisons: tuple[PlannedComparison, ...]
    datasets: Mapping[str, SampleSet]
    warnings: tuple[Diagnostic, ...] = ()
    skipped: tuple[str, ...] = ()
    """Ids of the steps that are left out because their data is not here."""

    def step(self, id_: str) -> Step:
        """The step called ``id_``."""
        return next(step for step in self.steps if step.id == id_)


def pipeline_of(
    program: Program,
    sources: FileSource,
    tables: Mapping[str, FileInput],
    *,
    absent: Collection[str] = (),
    activation_budget: int | None = None,
) -> Pipeline:
    """The plan of ``program``; ``tables`` are the committed tables by variant.

    Of the datasets in ``absent`` nothing is here: variants that are calibrated on one take their committed table's
    ranges as they are, and what only looks at samples of one is left out. ``activation_budget`` is how many bytes of
    float activations the simulations may keep. Raises ``UserError`` for missing files and data, and for settings that
    do not go together.
    """
    return _Planner(program, sources, tables, frozenset(absent), activation_budget).plan()


def quantize_config(program: Program, variant: Quantize) -> QuantizeConfig:
    """The config of a variant's quantize step."""
    return QuantizeConfig(
        quantize_record(variant),
        resolve_profile(program, variant.name),
        resolve_saturation(program, variant.name),
    )


def import_step_of(program: Program, sources: FileSource) -> Step:
    """The import step alone: what needs the model and no data. Raises ``UserError`` when the model file is missing."""
    return _Planner(program, sources, {}).import_model()


@dataclass
class _Simulation:
    samples: int | None = 0
    dump: list[str] = field(default_factory=list)
    subject: str | None = None

    def ask(self, samples: int | None, dump: Iterable[str], subject: str) -> None:
        self.samples = None if samples is None or self.samples is None else max(samples, self.samples)
        self.dump.extend(name for name in dump if name not in self.dump)
        self.subject = self.subject or subject


class _Planner:
    """Collects the steps of one program."""

    def __init__(
        self,
        program: Program,
        sources: FileSource,
        tables: Mapping[str, FileInput],
        absent: frozenset[str] = frozenset(),
        activation_budget: int | None = None,
    ) -> None:
        self._program = program
        self._sources = sources
        self._tables = tables
        self._absent = absent
        self._activation_budget = activation_budget
        self._skipped: list[str] = []
        self._sets: dict[str, SampleSet] = {}
        self._simulations: dict[tuple[str, str], _Simulation] = {}
        self._warnings: list[Diagnostic] = []

    def plan(self) -> Pipeline:
        program = self._program
        import_ = self.import_model()
        calibrations = [
            self._calibrate(name, import_.id)
            for name in self._calibrated_datasets()
            if self._is_here(name, f"{CALIBRATE.name}:{name}")
        ]
        variants = [step for variant in program.variants.values() for step in self._quantize(variant, import_.id)]
        compares = [
            compare
            for compare in (*program.comparisons, *self._implied_comparisons())
            if self._is_here(self._dataset_of(compare), f"{COMPARE.name}:{compare.name}")
        ]
        self._collect_simulations(compares)
        simulations = [self._simulate(*key, import_.id) for key in self._simulations]
        comparisons = [self._compare(compare) for compare in compares]
        exports = [
            self._export(target, export, import_.id) for target in program.targets.values() for export in target.exports
        ]
        steps = (
            import_,
            *calibrations,
            *variants,
            *simulations,
            *(step for step, _ in comparisons),
            *(step for step, _ in exports),
        )
        return Pipeline(
            steps,
            tuple(planned for _, planned in exports),
            tuple(planned for _, planned in comparisons),
            dict(self._sets),
            tuple(self._warnings),
            tuple(dict.fromkeys(self._skipped)),
        )

    # --- data ---

    def _is_here(self, dataset: str, step: str) -> bool:
        """Whether a step has its data; one that has not is left out."""
        if dataset in self._absent:
            self._skipped.append(step)
        return dataset not in self._absent

    def _samples(self, name: str) -> SampleSet:
        if name not in self._sets:
            program = self._program
            inputs = [input_.name for input_ in program.inputs]
            if not inputs:
                raise Problem(
                    "E0503",
                    f'dataset "{name}" has no input to feed: the program has no input block',
                    subject=f"dataset[{name}]",
                    helps=(
                        'write one input block per graph input, for example: input "data" {',
                        "`npu init` writes them",
                    ),
                )
            shapes = {input_.name: input_.shape for input_ in program.inputs if input_.shape and 0 not in input_.shape}
            found = resolve_dataset(program.datasets[name], inputs, self._sources.digest, input_shapes=shapes)
            for path in found.inputs_read:
                self._sources.watch(Path(path))
            self._sets[name] = found
        return self._sets[name]

    def import_model(self) -> Step:
        """The import step with every file of the model; raises E0401 when the model file is not there."""
        file = self._program.model.file
        path = Path(file.path)
        if not path.is_file():
            near = difflib.get_close_matches(path.name, [item.name for item in path.parent.glob("*")], n=1)
            raise Problem(
                "E0401",
                f'there is no model file "{file.text}"',
                subject="model.file",
                helps=((f'did you mean "{near[0]}"?',) if near else ())
                + ("paths are relative to the file that contains them; a named root is written @NAME/...",),
            )
        files = {}
        for part in load_reader(self._program.model.format).model_files(path):
            name = part.relative_to(path.parent).as_posix()
            files[name] = self._sources.file(part, file.text if part == path else name)
        return import_step(config_from_program(self._program), files)

    # --- steps ---

    def _calibrated_datasets(self) -> list[str]:
        names = [variant.calibrate for variant in self._program.variants.values() if variant.calibrate]
        return list(dict.fromkeys(names))

    def _calibrate(self, dataset: str, model: str) -> Step:
        samples = self._samples(dataset)
        used_by = [variant for variant in self._program.variants.values() if variant.calibrate == dataset]
        algorithms = {str(variant.settings.get("algorithm")) for variant in used_by}
        self._warnings.extend(dataset_advice(dataset, len(samples.samples), algorithms))
        config = calibrate_config(self._program, samples)
        return Step(CALIBRATE, dataset, config.record(), {"model": model}, context=calibrate_context(samples))

    def _quantize(self, variant: Quantize, model: str) -> list[Step]:
        absent = variant.calibrate in self._absent
        calibrated = variant.calibrate and not absent
        sources = VariantSources(
            self._program,
            quantize_config(self._program, variant),
            model,
            f"{CALIBRATE.name}:{variant.calibrate}" if calibrated else None,
            self._tables.get(variant.name),
            absent,
            self._samples,
        )
        return variant_steps(variant, sources)

    def _implied_comparisons(self) -> list[Compare]:
        compared = {name for compare in self._program.comparisons for name in (compare.candidate, compare.reference)}
        return [
            Compare(f"verdict-{variant.name}", FLOAT, variant.name, variant.calibrate, VERDICT_SAMPLES)
            for variant in self._program.variants.values()
            if variant.name not in compared and variant.calibrate
        ]

    def _collect_simulations(self, compares: Iterable[Compare]) -> None:
        for block in self._program.simulations:
            for variant in block.of:
                if self._is_here(block.data, f"{SIMULATE.name}:{variant}/{block.data}"):
                    self._ask(variant, block.data, block.samples, block.dump, f"simulate[{block.name}]")
        for compare in compares:
            for variant in (compare.reference, compare.candidate):
                dataset = self._dataset_of(compare)
                self._ask(variant, dataset, compare.samples, (), f"compare[{compare.name}]")

    def _ask(self, variant: str, dataset: str, samples: int | None, dump: Iterable[str], subject: str) -> None:
        if variant != FLOAT:
            self._ask(FLOAT, dataset, samples, (), subject)
        self._simulations.setdefault((variant, dataset), _Simulation()).ask(samples, dump, subject)

    def _dataset_of(self, compare: Compare) -> str:
        if compare.data is not None:
            return compare.data
        variant = self._program.variants.get(compare.candidate)
        if variant is None or variant.calibrate is None:
            raise Problem("E0205", f"compare {compare.name} needs `data`", subject=f"compare[{compare.name}]")
        return variant.calibrate

    def _simulate(self, variant: str, dataset: str, model: str) -> Step:
        asked = self._simulations[variant, dataset]
        reference = self._simulations[FLOAT, dataset]
        found = self._samples(dataset)
        count = _enough(found, reference.samples, reference.subject)
        samples = replace(found, samples=found.samples[:count])
        inputs = {"model": model}
        if variant != FLOAT:
            inputs |= {"quantized": f"quantize:{variant}", "reference": f"simulate:{FLOAT}/{dataset}"}
        return simulate_step(
            simulate_config(
                self._program,
                samples,
                variant,
                asked.dump or ("outputs",),
                activation_bytes=self._activation_share(),
            ),
            dataset=dataset,
            inputs=inputs,
            context=simulate_context(samples, asked.subject),
        )

    def _activation_share(self) -> int | None:
        """The activation budget of one float simulation."""
        if self._activation_budget is None:
            return None
        return self._activation_budget // sum(variant == FLOAT for variant, _ in self._simulations)

    def _compare(self, compare: Compare) -> tuple[Step, PlannedComparison]:
        dataset = self._dataset_of(compare)
        samples = self._samples(dataset)
        count = _enough(samples, compare.samples, f"compare[{compare.name}]")
        chosen = samples.samples[:count]
        labelled = all(sample.label is not None for sample in chosen)
        config = CompareConfig(
            compare.name,
            compare.reference,
            compare.candidate,
            compare.metrics,
            compare.requires,
            count if compare.samples is not None else None,
            tuple(sample.label for sample in chosen) if labelled else None,
        )
        inputs = {
            "reference": f"simulate:{compare.reference}/{dataset}",
            "candidate": f"simulate:{compare.candidate}/{dataset}",
        }
        step = compare_step(config, dataset=dataset, inputs=inputs)
        implied = compare.name.startswith("verdict-") and compare not in self._program.comparisons
        subject = f"quantize[{compare.candidate}]" if implied else f"compare[{compare.name}]"
        shown = tuple(sample.files[0].shown for sample in chosen)
        return step, PlannedComparison(step.id, compare.name, subject, shown, implied)

    def _export(self, target: TargetBlock, export: Export, model: str) -> tuple[Step, PlannedExport]:
        subject = f"target[{target.name}].export[{export.name}]"
        variant = variant_of(self._program, target)
        if variant is None:
            raise Problem(
                "E0205",
                f"target {target.name} exports, and does not say which variant",
                subject=f"target[{target.name}]",
                helps=(f"write `quantize = NAME`; variants are {', '.join(self._program.variants) or 'none'}",),
            )
        if self._program.variants[variant].settings.get("fake_quant"):
            raise Problem(
                "E0206",
                f"variant {variant} computes in float (`fake_quant`), so there is nothing to export",
                subject=subject,
                helps=(f"export a variant without `fake_quant` from target {target.name}",),
            )
        dataset = self._program.variants[variant].calibrate
        sample = self._samples(dataset).samples[0] if dataset and dataset not in self._absent else None
        step = export_step(
            export_config(self._program, export.kind, export.options, sample),
            name=f"{target.name}.{export.name}",
            inputs={"model": model, "quantized": f"quantize:{variant}"},
            context=export_context(sample, subject),
        )
        place, shown = _place(self._program, target, export)
        return step, PlannedExport(step.id, target.name, export.name, export.kind, variant, place, shown, subject)


def _place(program: Program, target: TargetBlock, export: Export) -> tuple[str, str]:
    """Where an export goes: ``out``, else ``out/<target>/<export>`` beside the program (``.onnx`` for a model)."""
    if export.out is not None:
        return export.out.path, export.out.text
    suffix = ".onnx" if export.kind == "onnx-qdq" else ""
    shown = f"out/{target.name}/{export.name}{suffix}"
    return str((Path(program.path).parent / shown).resolve()), shown


def _enough(samples: SampleSet, wanted: int | None, subject: str | None) -> int:
    """How many samples to take; raises E0501 when more are asked for than there are."""
    found = len(samples.samples)
    if wanted is not None and wanted > found:
        raise Problem(
            "E0501",
            f"{wanted} samples are asked for, and dataset {samples.name} has {found}",
            subject=f"{subject}.samples" if subject else None,
            helps=(f"write samples = {found}, or leave it out to take all",),
        )
    return found if wanted is None else wanted
