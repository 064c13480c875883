"""From the rules of a variant to a plan: effective settings per tensor, and all that cannot be done as written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from npudsl.diagnostics import Diagnostic, UserError
from npudsl.ir.fusion import groups_by_name
from npudsl.ir.groups import LayerGroup
from npudsl.ir.operators import advice
from npudsl.language.program import Call, Quantize, Rule
from npudsl.language.resolve import LayerSubject, Resolution, TensorSettings, resolve
from npudsl.language.schema.quantize import SCHEME_OF_TYPE
from npudsl.machine.float_ops.table import is_float_op
from npudsl.steps.quantize.operator_types import types_of_parts, types_of_positions
from npudsl.steps.quantize.plan import QuantizationPlan, coded_operands
from npudsl.steps.quantize.settings import FLOAT_TYPE, Settings
from npudsl.steps.quantize.structure import Structure
from npudsl.steps.quantize.support import missing_integer_form

SCHEMES = {
    "asymmetric_affine": "asym",
    "dynamic_fixed_point": "dfp",
    "perchannel_symmetric_affine": "perchannel",
}
"""Words of the language -> words of the table."""

SCHEME_OF_OPERANDS = {"u8": "asym", "i8": "asym", "i16": "dfp"}
"""The scheme of a constant operand where the weights have one scale per channel."""

AUTO = "auto"
"""Who decided the type of a layer that ``hybrid`` chose."""

RANGE_KEYS = frozenset(f"{prefix}{key}" for prefix in ("", "activations.") for key in ("algorithm", "min", "max"))


@dataclass(frozen=True)
class Choice:
    """Layers that the tool itself gives another type (``hybrid``)."""

    type: str = "i16"
    layers: tuple[str, ...] = ()


def plan_quantization(structure: Structure, variant: Quantize, choice: Choice = Choice()) -> QuantizationPlan:
    """The plan of a variant; raises one ``UserError`` with everything that is wrong with its rules on this model."""
    resolution = resolve(variant, layer_subjects(structure), structure.tensors, tensor_aliases(structure))
    _raise([problem for problem in resolution.problems if problem.severity == "error"])
    activations = {name: _settings(resolution.tensors[name]) for name in structure.tensors}
    activations.update(types_of_parts(structure, activations))
    activations.update(types_of_positions(structure, activations))
    chosen = [group for group in structure.groups if group.name in choice.layers]
    activations |= {name: _widened(activations[name], choice.type) for group in chosen for name in group.outputs}
    constants = _constants(structure, resolution, activations)
    constants |= {
        (group.name, name): _widened(constants[group.name, name], choice.type)
        for group in chosen
        for name in (*group.weights, *group.operands)
        if (group.name, name) in constants
    }
    plan = QuantizationPlan(structure, activations, constants)
    _raise([*_impossible(plan, variant), *_without_effect(plan, variant, resolution)])
    return plan


def _widened(settings: Settings, type_name: str) -> Settings:
    """The settings in the type that the tool chose, with the scheme that this type brings along."""
    scheme = "none" if type_name == FLOAT_TYPE else SCHEMES[SCHEME_OF_TYPE[type_name]]
    return replace(settings, type=type_name, scheme=scheme, decided_by=AUTO)


def layer_subjects(structure: Structure) -> list[LayerSubject]:
    """The layers as rules see them: every name a user may know, and the constants that become codes."""
    aliases: dict[str, list[str]] = {}
    for name, group in groups_by_name(structure.graph, structure.groups).items():
        if name != group.name:
            aliases.setdefault(group.name, []).append(name)
    return [
        LayerSubject(
            group.name,
            group.op,
            tuple(aliases.get(group.name, ())),
            (*group.weights, *coded_operands(structure.graph, group)),
            group.outputs,
        )
        for group in structure.groups
    ]


def tensor_aliases(structure: Structure) -> dict[str, str]:
    """Other names of tensors: whatever is inside a layer stands for the layer's output."""
    known = {*structure.tensors, *structure.graph.constants}
    return {
        name: group.outputs[0]
        for name, group in groups_by_name(structure.graph, structure.groups).items()
        if name not in known
    }


def _settings(resolved: TensorSettings) -> Settings:
    values = resolved.values
    type_name = str(values["type"])
    algorithm = cast(Call, values["algorithm"])
    return Settings(
        type=type_name,
        scheme="none" if type_name == FLOAT_TYPE else SCHEMES[str(values["scheme"])],
        algorithm=algorithm.name,
        arguments=dict(algorithm.arguments),
        low=_end(values["min"]),
        high=_end(values["max"]),
        decided_by=resolved.decided_by,
    )


def _end(value: object) -> float | None:
    return None if value is None else float(cast(float, value))


def _constants(
    structure: Structure, resolution: Resolution, activations: Mapping[str, Settings]
) -> dict[tuple[str, str], Settings]:
    """Settings of weights and operands by layer and constant; one constant may serve several layers."""
    constants: dict[tuple[str, str], Settings] = {}
    for group in structure.groups:
        output = activations[group.outputs[0]]
        for name in (*group.weights, *group.operands):
            if not output.is_integer or name not in resolution.weights:
                continue
            settings = _settings(resolution.weights[name])
            if name in group.operands:
                settings = _for_operand(settings)
            elif not settings.is_integer and _is_shared_with_float(structure, activations, name):
                settings = Settings(output.type, SCHEME_OF_OPERANDS[output.type])
            constants[group.name, name] = settings
    return constants


def _for_operand(settings: Settings) -> Settings:
    """A constant operand has one scale, whatever the weights have."""
    if settings.scheme != "perchannel":
        return settings
    return Settings(**{**vars(settings), "scheme": SCHEME_OF_OPERANDS[settings.type]})


def _is_shared_with_float(structure: Structure, activations: Mapping[str, Settings], constant: str) -> bool:
    """Whether another layer reads the constant and stays in float."""
    return any(constant in group.weights and not activations[group.outputs[0]].is_integer for group in structure.groups)


def _impossible(plan: QuantizationPlan, variant: Quantize) -> Iterator[Diagnostic]:
    """E0408, E0407 and E0601: layers that cannot be computed as their settings say."""
    graph = plan.structure.graph
    for group in plan.structure.groups:
        if plan.is_float(group):
            if not is_float_op(group.op):
                yield _not_in_float(group, variant)
            continue
        reason = missing_integer_form(graph, plan.structure.node(group), group)
        if reason is not None:
            yield _not_in_integers(group, reason, variant)
        for name in plan.quantized_constants(group):
            settings = plan.constants.get((group.name, name))
            if settings is not None and not settings.is_integer:
                yield _float_weights(group, name, plan.activations[group.outputs[0]].type, variant)


def _not_in_integers(group: LayerGroup, reason: str, variant: Quantize) -> Diagnostic:
    return Diagnostic(
        "E0408",
        f"layer `{group.name}` ({group.op}) cannot be computed in integers: {reason}",
        subject=f"quantize[{variant.name}]",
        helps=tuple(advice(group.name, group.op)),
    )


def _not_in_float(group: LayerGroup, variant: Quantize) -> Diagnostic:
    return Diagnostic(
        "E0407",
        f"layer `{group.name}` ({group.op}) cannot be kept in float: {group.op} has no float form here",
        subject=f"quantize[{variant.name}]",
        helps=tuple(advice(group.name, group.op)),
    )


def _float_weights(group: LayerGroup, name: str, type_name: str, variant: Quantize) -> Diagnostic:
    return Diagnostic(
        "E0601",
        f"the weights `{name}` of layer `{group.name}` are f32, but the layer computes in {type_name}",
        subject=f"quantize[{variant.name}]",
        helps=(f'give the weights an integer type, or keep the layer in float: `layer "{group.name}" skip`',),
    )


def _without_effect(plan: QuantizationPlan, variant: Quantize, resolution: Resolution) -> Iterator[Diagnostic]:
    """E0303: rules that choose a range where the layer has none of its own."""
    for rule in variant.rules:
        if rule.inherited or not rule.sets or not RANGE_KEYS.issuperset(rule.sets):
            continue
        tensors = _tensors_of(plan, rule, resolution)
        if tensors and all(_range_is_given(plan, name) for name in tensors):
            yield _given_range(plan, variant, rule, tensors[0])


def _tensors_of(plan: QuantizationPlan, rule: Rule, resolution: Resolution) -> list[str]:
    """The activations that a rule reaches; none when it reaches a weight as well."""
    matched = resolution.matches[rule.index]
    if rule.kind in ("tensor", "tensors"):
        return list(matched) if all(name in plan.activations for name in matched) else []
    by_name = {group.name: group for group in plan.structure.groups}
    return [output for name in matched for output in by_name[name].outputs]


def _range_is_given(plan: QuantizationPlan, tensor: str) -> bool:
    maker = plan.structure.maker(tensor)
    return maker is not None and (maker.passthrough or plan.has_fixed_output(maker))


def _given_range(plan: QuantizationPlan, variant: Quantize, rule: Rule, tensor: str) -> Diagnostic:
    maker = cast(LayerGroup, plan.structure.maker(tensor))
    if plan.has_fixed_output(maker):
        values = "0 .. 1" if maker.op == "Softmax" else "positions"
        message = f"the range of `{tensor}` is fixed by {maker.op}: its values are {values}"
        helps = ("leave the rule out",)
    else:
        owner = plan.structure.owner(tensor)
        message = f"{maker.op} hands on values, so `{tensor}` has the range of `{owner}`"
        helps = (f'write the rule for `tensor "{owner}"`',)
    return Diagnostic("E0303", message, subject=f"quantize[{variant.name}].rules[{rule.index}]", helps=helps)


def _raise(problems: list[Any]) -> None:
    if problems:
        raise UserError(problems)
