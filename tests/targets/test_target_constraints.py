"""What a program asks of a chip against what the chip does."""

from __future__ import annotations

import pytest

from npudsl.diagnostics import Problem, Source, Span
from npudsl.language.program import Model, PathValue, Program, Quantize, Rule, Selector, TargetBlock
from npudsl.targets.constraints import CONSTRAINTS, check_targets, resolve_profile, resolve_saturation

DEFAULTS = {"scheme": "asymmetric_affine", "type": "u8", "algorithm": "minmax"}


def variant(name: str = "v", *rules: dict[str, object], **settings: object) -> Quantize:
    numbered = tuple(Rule(index, "layer", Selector("exact", f"conv{index}"), sets) for index, sets in enumerate(rules))
    written = {key.replace("__", "."): value for key, value in settings.items()}
    return Quantize(name, "calibration", {**DEFAULTS, **written}, numbered)


def program(*variants: Quantize, defaults: tuple[str, ...] = (), origins=(), **targets: TargetBlock) -> Program:
    return Program(
        name="net",
        path="net.npu",
        version=1,
        model=Model("net", "onnx", PathValue("net.onnx")),
        variants={variant.name: variant for variant in variants},
        targets=targets,
        defaults=frozenset(defaults),
        origins=dict(origins),
    )


def block(name: str, quantize: str | None = "v", **words: object) -> TargetBlock:
    limits = {key: words.pop(key) for key in ("types", "hybrid_types") if key in words}
    return TargetBlock(name, quantize, words, limits)


def findings(quantize: Quantize, soc: str, **limits: object) -> list[tuple[str, str | None]]:
    checked = check_targets(program(quantize, board=block("board", soc=soc, **limits)))
    return [(finding.code, finding.subject) for finding in checked]


def test_a_plain_u8_variant_fits_the_chips_that_compute_u8():
    assert findings(variant(), "V853") == []
    assert findings(variant(), "A311D") == []


def test_a_type_the_chip_does_not_compute_is_refused_at_its_setting():
    assert findings(variant(), "RK3588") == [("E0602", "quantize[v].type")]


def test_i8_with_per_channel_weights_fits_a_chip_that_has_them():
    assert findings(variant(type="i8", weights__scheme="perchannel_symmetric_affine"), "RK3588") == []
    assert findings(variant(type="i8", scheme="perchannel_symmetric_affine"), "T527") == []


@pytest.mark.parametrize("key", ["scheme", "weights__scheme"])
def test_per_channel_weights_are_refused_where_the_chip_has_none(key):
    settings = {"type": "i8", "scheme": "dynamic_fixed_point", key: "perchannel_symmetric_affine"}

    assert findings(variant(**settings), "A311D") == [("E0603", f"quantize[v].{key.replace('__', '.')}")]


def test_a_scheme_that_the_chip_has_for_other_types_only_is_refused():
    assert findings(variant(type="i8"), "A311D") == [("E0601", "quantize[v].scheme")]
    assert findings(variant(type="i8", scheme="dynamic_fixed_point"), "A311D") == []


def test_i16_without_a_scheme_takes_the_scheme_that_goes_with_it():
    hybrid = variant("v", {"type": "i16"})

    assert findings(hybrid, "V853") == []


def test_a_scheme_of_a_rule_that_the_chip_does_not_know_is_refused_at_the_rule():
    mixed = variant("v", {"weights.scheme": "perchannel_symmetric_affine"}, type="i8", scheme="dynamic_fixed_point")

    assert findings(mixed, "V853") == [("E0601", "quantize[v].rules[0].weights.scheme")]


def test_a_rule_may_use_only_types_that_mix_with_the_variants_type():
    hybrid = variant("v", {"type": "i8"}, {"type": "u8"}, type="i8", scheme="asymmetric_affine")

    assert findings(hybrid, "RK3588") == [("E0602", "quantize[v].rules[1].type")]


def test_a_skipped_layer_counts_as_float():
    skipping = variant("v", {"skip": True}, type="i8")

    assert findings(skipping, "RK3588") == []
    assert findings(skipping, "RV1103") == [("E0602", "quantize[v].rules[0].type")]


def test_a_programs_own_lists_narrow_the_chip():
    assert findings(variant(), "V853", types=["i8", "i16"]) == [("E0602", "quantize[v].type")]
    assert findings(variant("v", {"type": "i16"}), "V853", types=["u8"]) == [("E0602", "quantize[v].rules[0].type")]
    assert findings(variant("v", {"type": "f32"}), "V853", types=["u8"]) == []
    assert findings(variant("v", {"type": "f32"}), "V853", hybrid_types=["i16"]) == [
        ("E0602", "quantize[v].rules[0].type")
    ]


def test_a_programs_own_lists_cannot_add_to_the_chip():
    assert findings(variant(type="i8"), "RK3588", types=["i8", "u8"]) == [("E0602", "target[board].types")]


def test_a_scheme_that_is_only_a_default_is_reported_at_the_type():
    checked = check_targets(
        program(variant(type="i8"), defaults=("quantize[v].scheme",), board=block("board", soc="A311D"))
    )

    assert [(finding.code, finding.subject) for finding in checked] == [("E0601", "quantize[v].type")]


def test_what_nobody_has_published_constrains_nothing():
    assert findings(variant(type="i16", scheme="dynamic_fixed_point"), "STM32MP25") == []


def test_an_unknown_chip_is_one_finding_and_the_other_targets_are_still_checked():
    checked = check_targets(program(variant(), first=block("first", soc="V8533"), second=block("second", soc="RK3588")))

    assert [(finding.code, finding.subject) for finding in checked] == [
        ("E0604", "target[first].soc"),
        ("E0602", "quantize[v].type"),
    ]


def test_the_finding_points_at_the_key_and_at_the_target():
    source = Source("net.npu", "type = u8\nsoc = RK3588\n")
    origins = {"quantize[v].type": Span(source, 0, 9), "target[board].soc": Span(source, 10, 22)}

    (finding,) = check_targets(program(variant(), origins=origins, board=block("board", soc="RK3588")))

    assert [str(label.span) for label in finding.labels] == ["net.npu:1:1", "net.npu:2:1"]
    assert finding.message == "type `u8` is not one that target board (rockchip-rk3588) computes in"
    assert finding.helps == ("use `type=i8`",)


def test_every_constraint_has_a_sentence():
    assert all(constraint.__doc__ for _, constraint in CONSTRAINTS)


def test_the_profile_comes_from_the_targets_that_use_the_variant():
    both = program(variant(), variant("w"), a=block("a", soc="A311D"), b=block("b", "w", soc="V853"))

    assert resolve_profile(both, "v") == "vip16"
    assert resolve_profile(both, "w") == "vip24"


def test_a_variant_without_targets_or_with_an_unpublished_one_is_exact():
    assert resolve_profile(program(variant()), "v") == "exact"
    assert resolve_profile(program(variant(), a=block("a", soc="STM32MP25")), "v") == "exact"


def test_the_only_variant_is_meant_when_a_target_names_none():
    assert resolve_profile(program(variant(), a=block("a", None, soc="A311D")), "v") == "vip16"


def test_two_targets_that_compute_differently_must_be_decided():
    undecided = program(variant(), a=block("a", soc="A311D"), b=block("b", soc="V853"))

    with pytest.raises(Problem) as caught:
        resolve_profile(undecided, "v")

    (finding,) = caught.value.diagnostics
    assert finding.code == "E0606"
    assert finding.notes == ("target a: vip16", "target b: vip24")
    assert "`profile = vip16`" in finding.helps[1]
    assert [finding.code for finding in check_targets(undecided)] == ["E0606"]


def test_a_written_profile_decides_and_the_other_target_gets_a_warning():
    decided = program(variant(profile="vip16"), a=block("a", soc="A311D"), b=block("b", soc="V853"))

    assert resolve_profile(decided, "v") == "vip16"
    assert [(finding.code, finding.severity) for finding in check_targets(decided)] == [("W0606", "warning")]


def test_a_profile_that_is_only_the_tools_default_leaves_it_to_the_target():
    left = program(variant(profile="exact"), defaults=("quantize[v].profile",), a=block("a", soc="A311D"))

    assert resolve_profile(left, "v") == "vip16"


def test_saturation_follows_the_targets():
    assert resolve_saturation(program(variant()), "v") == "full"
    assert resolve_saturation(program(variant(), a=block("a", soc="RK1808")), "v") == "symmetric"
    assert resolve_saturation(program(variant(), a=block("a", soc="A311D")), "v") == "full"

    with pytest.raises(Problem, match="E0606"):
        resolve_saturation(program(variant(), a=block("a", soc="A311D"), b=block("b", soc="RK1808")), "v")
