"""The meaning of override rules on a graph."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.language.program import Call, Quantize, Rule, Selector
from npudsl.language.resolve import KIND_ORDER, LayerSubject, Resolution, resolve

LAYERS = (
    LayerSubject("conv1", "Conv", aliases=("old/conv1", "conv1/relu"), weights=("conv1.weight",), outputs=("a",)),
    LayerSubject("block/conv2", "Conv", weights=("conv2.weight",), outputs=("b",)),
    LayerSubject("block/relu", "Relu", outputs=("c",)),
    LayerSubject("head", "Gemm", weights=("head.weight",), outputs=("logits",)),
    LayerSubject("prob", "Softmax", outputs=("prob",)),
)
TENSORS = ("input", "a", "b", "c", "logits", "prob")
DEFAULTS: dict[str, object] = {
    "scheme": "asymmetric_affine",
    "type": "u8",
    "algorithm": Call("minmax"),
    "profile": None,
}


def rule(kind: str, text: str, *, of: str | None = None, **sets: object) -> Rule:
    options = {name: sets.pop(name) for name in ("optional", "matches", "inherited") if name in sets}
    selector = Selector(of or ("glob" if kind in ("layers", "tensors") else "exact"), text)  # type: ignore[arg-type]
    values = {name.replace("__", "."): value for name, value in sets.items()}
    return Rule(0, kind, selector, values, **options)  # type: ignore[arg-type]


def variant(*rules: Rule, **written: object) -> Quantize:
    values = {name.replace("__", "."): value for name, value in written.items()}
    numbered = tuple(
        Rule(index, item.kind, item.selector, item.sets, item.optional, item.matches, None, item.inherited)
        for index, item in enumerate(rules)
    )
    return Quantize("q", "calib", {**DEFAULTS, **values}, numbered)


def resolved(*rules: Rule, **written: object) -> Resolution:
    return resolve(variant(*rules, **written), LAYERS, TENSORS, {"old_a": "a"})


def codes(resolution: Resolution) -> list[tuple[str, str | None]]:
    return [(problem.code, problem.subject) for problem in resolution.problems]


# What holds


def test_without_rules_the_variant_decides_everything():
    result = resolved()
    assert set(result.tensors) == set(TENSORS)
    assert set(result.weights) == {"conv1.weight", "conv2.weight", "head.weight"}
    assert dict(result.tensors["a"].values) == {
        "type": "u8",
        "scheme": "asymmetric_affine",
        "algorithm": Call("minmax"),
        "min": None,
        "max": None,
        "granularity": "tensor",
        "skip": False,
    }
    assert result.tensors["a"].decided_by == "default"
    assert result.problems == ()


def test_a_layer_rule_covers_weights_and_outputs_and_not_the_inputs():
    result = resolved(rule("layer", "block/conv2", type="i16"))
    assert result.weights["conv2.weight"].values["type"] == "i16"
    assert result.tensors["b"].values["type"] == "i16"
    assert result.tensors["a"].values["type"] == "u8"
    assert result.tensors["b"].decided_by == "layer"


def test_i16_on_an_asymmetric_variant_is_dynamic_fixed_point():
    result = resolved(rule("layer", "conv1", type="i16"))
    assert result.tensors["a"].values["scheme"] == "dynamic_fixed_point"
    assert result.weights["conv1.weight"].values["scheme"] == "dynamic_fixed_point"


def test_a_scheme_brings_the_type_it_has():
    result = resolved(rule("layer", "conv1", scheme="dynamic_fixed_point"))
    assert result.tensors["a"].values["type"] == "i8"


def test_u8_on_a_dynamic_fixed_point_variant_is_asymmetric():
    result = resolved(rule("layer", "conv1", type="u8"), scheme="dynamic_fixed_point", type="i8")
    assert result.tensors["a"].values["scheme"] == "asymmetric_affine"


def test_per_channel_is_for_weights_and_activations_are_asymmetric_i8():
    result = resolved(scheme="perchannel_symmetric_affine", type="i8")
    assert result.weights["conv1.weight"].values["granularity"] == "channel"
    assert result.tensors["a"].values["scheme"] == "asymmetric_affine"
    assert result.tensors["a"].values["type"] == "i8"
    assert result.tensors["a"].values["granularity"] == "tensor"


def test_per_channel_for_weights_alone_leaves_activations_as_they_are():
    result = resolved(weights__scheme="perchannel_symmetric_affine")
    assert result.weights["conv1.weight"].values["type"] == "i8"
    assert result.tensors["a"].values["type"] == "u8"


def test_a_prefix_reaches_one_half():
    result = resolved(rule("layer", "conv1", type="i8", weights__type="i16"))
    assert result.weights["conv1.weight"].values["type"] == "i16"
    assert result.tensors["a"].values["type"] == "i8"


def test_plain_algorithm_and_range_speak_of_activations():
    result = resolved(rule("layer", "conv1", min=-1.0, max=1.0), algorithm=Call("kl", (("bins", 2048),)))
    assert result.tensors["a"].values["min"] == -1.0
    assert result.weights["conv1.weight"].values["min"] is None
    assert result.weights["conv1.weight"].values["algorithm"] == Call("minmax")


def test_a_tensor_rule_may_name_a_weight_itself():
    result = resolved(rule("tensor", "conv1.weight", min=-1.0, max=1.0))
    assert result.weights["conv1.weight"].values["max"] == 1.0
    assert result.weights["conv1.weight"].decided_by == "tensor"


def test_skip_and_f32_both_keep_a_layer_float():
    result = resolved(rule("op", "Softmax", skip=True), rule("layer", "head", type="f32"))
    for layer, tensor in (("prob", "prob"), ("head", "logits")):
        assert result.layers[layer].values["skip"] is True
        assert result.tensors[tensor].values["type"] == "f32"
    assert result.weights["head.weight"].values["type"] == "f32"


def test_an_exact_name_takes_a_layer_back_from_a_skipped_operator():
    result = resolved(rule("op", "Conv", skip=True), rule("layer", "conv1", type="i16"))
    assert result.layers["conv1"].values["skip"] is False
    assert result.layers["block/conv2"].values["skip"] is True


@pytest.mark.parametrize("stronger", range(1, len(KIND_ORDER)))
def test_a_more_specific_kind_wins_whatever_the_order_of_lines(stronger):
    selectors = {"op": "Conv", "layers": "conv*", "layer": "conv1", "tensors": "[a]", "tensor": "a"}
    for weaker in range(stronger):
        strong, weak = KIND_ORDER[stronger], KIND_ORDER[weaker]
        first = resolved(rule(strong, selectors[strong], max=1.0), rule(weak, selectors[weak], max=2.0))
        second = resolved(rule(weak, selectors[weak], max=2.0), rule(strong, selectors[strong], max=1.0))
        assert first.tensors["a"].values["max"] == second.tensors["a"].values["max"] == 1.0
        assert first.tensors["a"].decided_by == strong


def test_inside_one_kind_the_last_line_wins_key_by_key():
    result = resolved(rule("layers", "**", type="i8", max=6.0), rule("layers", "conv*", type="i16"))
    assert result.tensors["a"].values["type"] == "i16"
    assert result.tensors["a"].values["max"] == 6.0
    assert result.tensors["b"].values["type"] == "i8"


def test_names_that_layers_and_tensors_had_before_are_accepted():
    result = resolved(
        rule("layer", "old/conv1", type="i16"), rule("layers", "*/relu", type="i8"), rule("tensor", "old_a", max=3.0)
    )
    assert result.matches == {0: ("conv1",), 1: ("conv1", "block/relu"), 2: ("a",)}
    assert result.tensors["a"].values["max"] == 3.0


def test_a_graph_input_is_reached_as_a_tensor():
    assert resolved(rule("tensor", "input", max=255.0)).tensors["input"].values["max"] == 255.0


def test_a_regular_expression_is_searched_in_the_whole_name():
    assert resolved(rule("layers", "conv[12]$", of="regex", type="i16")).matches[0] == ("conv1", "block/conv2")


# What is wrong


def test_no_match_names_the_nearest_layer_and_the_count():
    (problem,) = resolved(rule("layer", "Conv1", type="i16")).problems
    assert (problem.code, problem.subject) == ("E0301", "quantize[q].rules[0]")
    assert problem.message == 'no layer matches "Conv1"'
    assert problem.notes == ("0 of 5 layers",)
    assert problem.helps[0] == 'did you mean "conv1"? names are case-sensitive'


@pytest.mark.parametrize(
    ("item", "help_text"),
    [
        (rule("layer", "block/*", type="i16"), 'for a pattern write `layers "block/*"`'),
        (rule("layer", "logits", type="i16"), 'there is a tensor of this name: write `tensor "logits"`'),
        (rule("tensor", "head", max=3.0), 'there is a layer of this name: write `layer "head"`'),
        (rule("op", "Sigmoid", type="i16"), "operators of this model: Conv, Gemm, Relu, Softmax"),
    ],
)
def test_no_match_says_what_to_write(item, help_text):
    (problem,) = resolved(item).problems
    assert problem.code == "E0301"
    assert any(help_text in text for text in problem.helps)


def test_an_optional_rule_may_match_nothing():
    assert resolved(rule("layers", "**/NonMax*", skip=True, optional=True)).problems == ()


def test_a_pinned_count_that_is_not_met_lists_the_matches():
    (problem,) = resolved(rule("layers", "**/conv*", type="i16", matches=3)).problems
    assert (problem.code, problem.subject) == ("E0302", "quantize[q].rules[0].matches")
    assert problem.notes == ("matched: conv1, block/conv2",)


def test_a_rule_that_is_overwritten_entirely_is_an_error():
    result = resolved(rule("op", "Gemm", type="i16"), rule("layer", "head", type="i8"))
    assert codes(result) == [("E0303", "quantize[q].rules[0]")]
    assert 'overwritten by `layer "head"`' in result.problems[0].message


def test_a_rule_that_sets_something_somewhere_is_fine():
    assert resolved(rule("op", "Conv", type="i16"), rule("layer", "conv1", type="i8")).problems == ()


def test_a_rule_for_weights_on_layers_without_weights_is_an_error():
    assert codes(resolved(rule("op", "Relu", weights__type="i16"))) == [("E0303", "quantize[q].rules[0]")]


def test_an_inherited_rule_may_be_overwritten():
    result = resolved(rule("layer", "head", type="i16", inherited=True), rule("layer", "head", type="i8"))
    assert result.problems == ()


def test_two_exact_names_of_one_layer_that_disagree_are_an_error():
    result = resolved(rule("layer", "conv1", type="i16"), rule("layer", "old/conv1", type="i8"))
    assert codes(result) == [("E0304", "quantize[q].rules[1].type")]


def test_overlapping_patterns_that_disagree_are_a_warning_with_a_count():
    result = resolved(rule("layers", "**/conv*", type="i8"), rule("layers", "block/*", type="i16"))
    (problem,) = result.problems
    assert (problem.code, problem.severity, problem.subject) == ("W0304", "warning", "quantize[q].rules[1].type")
    assert "on 2 tensors" in problem.message


def test_a_bad_pattern_is_reported_where_the_text_was_not_checked():
    assert codes(resolved(rule("layers", "conv[", type="i16"))) == [("E0305", "quantize[q].rules[0]")]


# Properties

KINDS = {
    "op": st.sampled_from(["Conv", "Relu", "Gemm", "Softmax"]),
    "layers": st.sampled_from(["**", "conv*", "block/*", "**/conv?", "{head,prob}"]),
    "layer": st.sampled_from(["conv1", "old/conv1", "block/relu", "head"]),
    "tensors": st.sampled_from(["*", "[ab]", "log*", "**.weight"]),
    "tensor": st.sampled_from(["input", "a", "logits", "conv1.weight", "old_a"]),
}
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["u8", "i8", "i16"]),
        "scheme": st.sampled_from(["asymmetric_affine", "dynamic_fixed_point", "perchannel_symmetric_affine"]),
        "weights.type": st.sampled_from(["i8", "i16"]),
        "activations.max": st.floats(0.5, 8.0),
        "max": st.floats(0.5, 8.0),
    },
)


@st.composite
def some_rules(draw):
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=6))
    rules = []
    for kind in kinds:
        selector = Selector("glob" if kind in ("layers", "tensors") else "exact", draw(KINDS[kind]))
        rules.append(Rule(0, kind, selector, draw(VALUES)))
    return rules


def slowly(rules: list[Rule], name: str, key: str) -> tuple[object, str]:
    """The value of one key of one activation tensor by the sentence of the reference, with no cleverness."""
    makers = [layer for layer in LAYERS if name in layer.outputs]
    value, kind = None, "default"
    for strength in KIND_ORDER:
        for item in (item for item in rules if item.kind == strength):
            matched = resolved(item).matches[0]
            applies = name in matched or any(layer.name in matched for layer in makers)
            found = item.sets.get(f"activations.{key}", item.sets.get(key))
            if applies and found is not None:
                value, kind = found, strength
    return value, kind


@settings(max_examples=80, deadline=None)
@given(some_rules())
def test_the_effective_range_is_the_one_of_the_plain_sentence(rules):
    result = resolved(*rules)
    for name in TENSORS:
        assert result.tensors[name].values["max"] == slowly(rules, name, "max")[0]


@settings(max_examples=80, deadline=None)
@given(some_rules())
def test_scheme_and_type_always_go_together(rules):
    result = resolved(*rules)
    allowed = {("asymmetric_affine", "u8"), ("asymmetric_affine", "i8"), ("dynamic_fixed_point", "i8")}
    allowed |= {("dynamic_fixed_point", "i16")}
    for found in result.tensors.values():
        assert (found.values["scheme"], found.values["type"]) in allowed
    for found in result.weights.values():
        pair = (found.values["scheme"], found.values["type"])
        assert pair in allowed | {("perchannel_symmetric_affine", "i8")}
