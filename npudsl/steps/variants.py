"""The steps of one variant: the plain quantize step alone, or with drafts in front of it.

=========================  ================================================================================
plain                      ``quantize``
weight_correction or mle   ``draft`` -> ``quantize`` (corrected)
hybrid                     ``draft`` -> ``rank`` -> ``quantize`` (with the layers that were chosen)
both                       ``draft`` -> ``rank`` -> ``draft:<variant>/mixed`` -> ``quantize`` (corrected)
=========================  ================================================================================

With ``mle`` the layers to widen are chosen among those that ``mle`` leaves bad: a corrected draft is ranked. The last
step is ``quantize:<variant>`` whatever the variant asks for; who simulates, exports or commits reads that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from npudsl.data.sample import SampleSet
from npudsl.diagnostics import Problem
from npudsl.language.program import Call, Program, Quantize
from npudsl.plan.step import FileInput, Step, StepKind
from npudsl.steps.quantize.correct_kind import CORRECTED, DRAFT, corrected_step
from npudsl.steps.quantize.kind import CHOICE_ROLE, KIND, QuantizeConfig, quantize_step
from npudsl.steps.quantize.rank_kind import rank_step

CORRECTED_DRAFT = replace(CORRECTED, name="corrected")


@dataclass(frozen=True)
class VariantSources:
    """What the steps of a variant are made from. ``statistics`` is a step id; None: there is no calibration.

    ``from_table``: the calibration data is not here, the committed table's ranges and choices are taken as they are.
    """

    program: Program
    config: QuantizeConfig
    model: str
    statistics: str | None
    table: FileInput | None
    from_table: bool
    samples: Callable[[str], SampleSet]


def corrected_on(variant: Quantize) -> str | None:
    """The dataset whose samples correct the weights of a variant; None when nothing does."""
    named = variant.settings.get("weight_correction")
    if named is not None:
        return str(named)
    return variant.calibrate if variant.settings.get("mle") else None


def variant_steps(variant: Quantize, sources: VariantSources) -> list[Step]:
    """The steps of ``variant``, ``quantize:<variant>`` last. Raises ``Problem`` E0206 for settings at odds."""
    at_odds = [key for key in ("hybrid", "mle", "weight_correction") if variant.settings.get(key)]
    if variant.settings.get("fake_quant") and at_odds:
        raise Problem(
            "E0206",
            f"`fake_quant` computes in float, so `{at_odds[0]}` has nothing to work on",
            subject=f"quantize[{variant.name}].{at_odds[0]}",
            helps=("leave one of the two out",),
        )
    return _Variant(variant, sources).steps()


@dataclass(frozen=True)
class _Variant:
    variant: Quantize
    sources: VariantSources

    def steps(self) -> list[Step]:
        data = corrected_on(self.variant)
        hybrid = cast("Call | None", self.variant.settings.get("hybrid"))
        name = self.variant.name
        if hybrid is None or self.sources.from_table or self.variant.calibrate is None:
            if data is None:
                return [self._plain(KIND, name)]
            draft = self._plain(DRAFT, name)
            return [draft, self._corrected(CORRECTED, data, draft)]
        steps = [self._plain(DRAFT, name)]
        if self.variant.settings.get("mle") and data is not None:
            steps.append(self._corrected(CORRECTED_DRAFT, data, steps[-1]))
        steps.append(self._rank(hybrid, steps[-1], recentred=data is not None))
        choice = {CHOICE_ROLE: steps[-1].id}
        if data is None:
            return [*steps, self._plain(KIND, name, choice)]
        mixed = self._plain(DRAFT, f"{name}/mixed", choice)
        return [*steps, mixed, self._corrected(CORRECTED, data, mixed)]

    def _plain(self, kind: StepKind, name: str, more: Mapping[str, str] | None = None) -> Step:
        sources = self.sources
        inputs = {"model": sources.model, **(more or {})}
        if sources.statistics is not None:
            inputs["statistics"] = sources.statistics
        return quantize_step(
            sources.config,
            variant=name,
            inputs=inputs,
            table=sources.table,
            ranges_from_table=sources.from_table,
            kind=kind,
        )

    def _corrected(self, kind: StepKind, data: str, draft: Step) -> Step:
        return corrected_step(
            self.sources.program,
            self.sources.config,
            kind=kind,
            variant=self.variant,
            samples=self.sources.samples(data),
            inputs={"model": self.sources.model, "draft": draft.id},
        )

    def _rank(self, hybrid: Call, draft: Step, *, recentred: bool) -> Step:
        assert self.variant.calibrate is not None
        return rank_step(
            self.sources.program,
            self.sources.samples(self.variant.calibrate),
            variant=self.variant.name,
            inputs={"model": self.sources.model, "draft": draft.id},
            hybrid=hybrid,
            recentred=recentred,
        )
