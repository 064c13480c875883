"""The chain behind a setting ends with what ``resolve`` decides, whatever the rules are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.language.chain import reaching_rules, setting_chains
from npudsl.language.program import Call, Quantize, Rule, Selector
from npudsl.language.resolve import KIND_ORDER, LayerSubject, resolve

LAYERS = (
    LayerSubject("conv1", "Conv", aliases=("conv1/relu",), weights=("conv1.weight",), outputs=("a",)),
    LayerSubject("block/conv2", "Conv", weights=("conv2.weight", "conv1.weight"), outputs=("b",)),
    LayerSubject("prob", "Softmax", outputs=("prob",)),
)
TENSORS = ("input", "a", "b", "prob")
OF_LAYER = {
    "a": ["conv1"],
    "b": ["block/conv2"],
    "prob": ["prob"],
    "input": [],
    "conv1.weight": ["conv1", "block/conv2"],
    "conv2.weight": ["block/conv2"],
}

SELECTORS = {
    "op": ["Conv", "Softmax"],
    "layers": ["*", "**/conv*", "conv[0-9]"],
    "layer": ["conv1", "conv1/relu", "prob"],
    "tensors": ["*", "conv?.weight", "[ab]"],
    "tensor": ["a", "conv1.weight", "input"],
}

VALUES = {
    "type": st.sampled_from(["u8", "i8", "i16"]),
    "scheme": st.sampled_from(["asymmetric_affine", "dynamic_fixed_point"]),
    "algorithm": st.sampled_from([Call("minmax"), Call("mse"), Call("kl", (("bins", 2048),))]),
    "min": st.sampled_from([-1.0, -2.0]),
    "max": st.sampled_from([1.0, 2.0]),
}


@st.composite
def rules(draw, index: int) -> Rule:
    kind = draw(st.sampled_from(KIND_ORDER))
    keys = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    prefix = draw(st.sampled_from(["", "weights.", "activations."]))
    sets = {prefix + key: draw(VALUES[key]) for key in keys}
    if kind == "layer" and "type" not in sets and draw(st.booleans()):
        sets["skip"] = True
    form = "glob" if kind in ("layers", "tensors") else "exact"
    return Rule(index, kind, Selector(form, draw(st.sampled_from(SELECTORS[kind]))), sets)


@st.composite
def variants(draw) -> Quantize:
    made = tuple(draw(rules(index)) for index in range(draw(st.integers(0, 6))))
    written = {"scheme": "asymmetric_affine", "type": "u8", "algorithm": Call("minmax"), "profile": None}
    extra = draw(st.dictionaries(st.sampled_from(["weights.type", "activations.type"]), VALUES["type"], max_size=2))
    if draw(st.booleans()):
        extra["weights.algorithm"] = Call("mse")
    return Quantize("q", "calib", {**written, **extra}, made)


@settings(max_examples=200, deadline=None)
@given(variants())
def test_the_last_link_is_what_holds(variant):
    resolution = resolve(variant, LAYERS, TENSORS)

    for names, is_weight in ((resolution.tensors, False), (resolution.weights, True)):
        for name, settled in names.items():
            chains = setting_chains(variant, resolution.matches, name, OF_LAYER[name], is_weight=is_weight)
            last = {key: chain[-1].value for key, chain in chains.items()}
            assert {key: last[key] for key in ("algorithm", "min", "max")} == {
                key: settled.values[key] for key in ("algorithm", "min", "max")
            }
            assert settled.values["type"] == last["type"] or settled.values["scheme"] == last["scheme"]
            assert (last["type"] == "f32") == bool(settled.values["skip"])


@settings(max_examples=100, deadline=None)
@given(variants())
def test_every_rule_in_a_chain_reaches_the_tensor_and_stands_in_the_order_of_application(variant):
    resolution = resolve(variant, LAYERS, TENSORS)

    for name in resolution.tensors:
        reaching = reaching_rules(variant, resolution.matches, name, OF_LAYER[name])
        ranks = [(KIND_ORDER.index(rule.kind), rule.index) for rule in reaching]
        assert ranks == sorted(ranks)
        for chain in setting_chains(variant, resolution.matches, name, OF_LAYER[name], is_weight=False).values():
            assert chain[0].rule is None
            assert all(link.rule in reaching for link in chain[1:])


def test_a_link_names_the_part_that_set_the_value():
    made = (
        Rule(0, "op", Selector("exact", "Conv"), {"weights.type": "i8", "type": "i16"}),
        Rule(1, "layer", Selector("exact", "conv1"), {"skip": True}),
    )
    variant = Quantize("q", "calib", {"scheme": "asymmetric_affine", "type": "u8", "weights.type": "i8"}, made)
    matches = resolve(variant, LAYERS, TENSORS).matches

    weight = setting_chains(variant, matches, "conv1.weight", ["conv1"], is_weight=True)["type"]
    output = setting_chains(variant, matches, "a", ["conv1"], is_weight=False)["type"]

    assert [link.subject for link in weight] == [
        "quantize[q].weights.type",
        "quantize[q].rules[0].weights.type",
        "quantize[q].rules[1].skip",
    ]
    assert [(link.value, link.subject) for link in output] == [
        ("u8", "quantize[q].type"),
        ("i16", "quantize[q].rules[0].type"),
        ("f32", "quantize[q].rules[1].skip"),
    ]
