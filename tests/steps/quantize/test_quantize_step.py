"""The step as the engine sees it: which part a rule touches, which numbers stick, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from quantize_bench import DFP8, U8, Bench, rule, variant

from npudsl.artifacts.quant_table import read_table
from npudsl.diagnostics import UserError
from npudsl.ir.operators import OPERATORS
from npudsl.keys import digest_record
from npudsl.language.program import Call
from npudsl.language.resolve import quantize_record
from npudsl.plan.step import FileInput
from npudsl.steps.quantize import kind
from npudsl.steps.quantize.assemble import EMITTERS
from npudsl.steps.quantize.kind import QuantizeConfig, predict, quantize_step
from npudsl.steps.quantize.support import CHECKS

RANDOM = np.random.default_rng(3)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


NET = """
    net (float[1,3,8,8] x) => (float[1,5] y) {
        a = Conv<pads=[1,1,1,1]>(x, w1, b1)
        r = Relu(a)
        c = Conv<pads=[1,1,1,1]>(r, w2, b2)
        m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c)
        g = GlobalAveragePool(m)
        f = Flatten(g)
        l = Gemm<transB=1>(f, w3, b3)
        y = Softmax<axis=1>(l)
    }"""


@pytest.fixture(scope="module")
def net() -> Bench:
    return Bench(
        NET,
        w1=floats(4, 3, 3, 3),
        b1=floats(4),
        w2=floats(4, 4, 3, 3),
        b2=floats(4),
        w3=floats(5, 4),
        b3=floats(5),
    )


def layer(bench: Bench, output: str) -> str:
    return next(group.name for group in bench.groups if output in group.outputs)


def refused(bench: Bench, *rules, **settings) -> list[tuple[str, str]]:
    with pytest.raises(UserError) as caught:
        bench.quantize(*rules, **settings)
    return [(diagnostic.code, diagnostic.message) for diagnostic in caught.value.diagnostics]


def test_there_is_a_part_for_each_layer_with_something_to_compute(net):
    net.quantize()

    assert [part.name for part in net.runner.parts] == [
        "input/x",
        f"layer/{layer(net, 'r')}",
        f"layer/{layer(net, 'c')}",
        f"layer/{layer(net, 'g')}",
        f"layer/{layer(net, 'l')}",
    ]
    assert sorted(net.runner.parts[1].inputs) == ["constant/w1", "counters/r", "extremes/r"]


def test_a_second_run_computes_nothing(net):
    net.quantize()
    net.quantize()

    assert net.runner.ran == []


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (lambda net: [rule("layer", layer(net, "c"), type="i16")], ["c"]),
        (lambda net: [rule("layer", layer(net, "c"), algorithm=Call("kl", (("bins", 512),)))], ["c"]),
        (lambda net: [rule("layer", layer(net, "l"), weights__algorithm=Call("mse"))], ["l"]),
        (lambda net: [rule("tensor", "r", max=2.0)], ["r"]),
        (lambda net: [rule("tensor", "g", algorithm=Call("moving_average", (("weight", 0.5),)))], ["g"]),
        (lambda net: [rule("layer", layer(net, "m"), type="i16")], []),
        (lambda net: [rule("layer", layer(net, "y"), type="f32")], []),
    ],
    ids=["type", "algorithm", "weights", "fixed end", "tensor", "passthrough type", "float softmax"],
)
def test_a_rule_runs_the_part_of_its_layer_and_no_other(net, changes, parts):
    net.quantize()

    net.quantize(*changes(net))

    assert net.runner.ran == [f"layer/{layer(net, output)}" for output in parts]


def test_who_decided_a_setting_runs_nothing(net):
    net.quantize()

    net.quantize(rule("op", "Conv", type="u8"))

    assert net.runner.ran == []
    assert " by=op\n" in net.table


def test_parts_are_predicted_by_the_layers_they_cover(net):
    net.quantize()

    assert predict(net.runner.memories, [layer(net, "c")]) == (f"layer/{layer(net, 'c')}",)


def test_every_field_of_the_config_is_in_its_record():
    config = QuantizeConfig(quantize_record(variant()), "exact", "full")
    others = [
        QuantizeConfig(quantize_record(variant(type="i8")), "exact", "full"),
        QuantizeConfig(quantize_record(variant()), "vip16", "full"),
        QuantizeConfig(quantize_record(variant()), "exact", "symmetric"),
    ]

    assert len({digest_record(item.record()) for item in [config, *others]}) == 4


def test_the_step_carries_the_committed_table_as_a_file():
    table = FileInput("0" * 64, 3, "net.v.quant", "net.v.quant")
    config = QuantizeConfig(quantize_record(variant()))

    step = quantize_step(config, variant="v", inputs={"model": "import"}, table=table)

    assert (step.id, step.inputs, step.files) == ("quantize:v", {"model": "import"}, {"table": table})
    assert step.kind is kind.KIND


def test_the_table_names_what_it_was_made_from(net):
    net.quantize()
    first = read_table(net.table, "net.v.quant")
    net.quantize(type="i8")
    second = read_table(net.table, "net.v.quant")

    assert first.header.variant == "v"
    assert first.header.model == net.model["graph.json"].digest[:8]
    assert first.header.calib == digest_record([f"{index:064x}" for index in range(4)])[:8]
    assert (first.header.model, first.header.calib) == (second.header.model, second.header.calib)
    assert first.header.settings != second.header.settings
    assert [(line.kind, line.name) for line in first.lines] == [
        ("act", "x"),
        ("wgt", "w1"),
        ("act", "r"),
        ("wgt", "w2"),
        ("act", "c"),
        ("act", "m"),
        ("act", "g"),
        ("act", "f"),
        ("wgt", "w3"),
        ("act", "l"),
        ("act", "y"),
    ]


def moved(table: str, name: str, factor: float) -> str:
    """The table with the upper end of one activation moved by ``factor`` steps."""
    old = read_table(table, "old").activations[name]
    high = f"{old.high + factor * old.scale:.6g}"
    lines = [
        line.replace(f"hi={old.high:.6g}", f"hi={high}") if line.startswith(f"act {name} ") else line
        for line in table.splitlines()
    ]
    return "\n".join(lines) + "\n"


def test_a_number_within_a_hundredth_of_a_step_stays_what_it_was(net):
    net.quantize()
    nudged = moved(net.table, "c", 0.009)
    assert nudged != net.table

    model = net.quantize(table=nudged)

    kept = read_table(nudged, "old").activations["c"].high
    assert read_table(net.table, "new").activations["c"].high == kept
    assert (model.tensors["c"].high, model.tensors["m"].high) == (kept, kept)
    assert model.tensors["c"].scale == (kept - model.tensors["c"].low) / 255
    assert read_table(net.table, "new").header == read_table(nudged, "old").header
    again = net.table
    net.quantize(table=again)
    assert net.table == again


def test_a_number_that_really_moved_is_written_anew(net):
    net.quantize()
    fresh = net.table

    net.quantize(table=moved(fresh, "c", 0.02))

    assert net.table == fresh


def test_a_fixed_end_is_never_sticky(net):
    net.quantize(rule("tensor", "c", max=5.0))
    old = net.table

    net.quantize(rule("tensor", "c", max=5.0001), table=old)

    assert read_table(net.table, "new").activations["c"].high == 5.0001


def test_a_table_of_other_types_does_not_stick(net):
    net.quantize(type="i8")
    other = net.table
    net.quantize()
    fresh = net.table

    net.quantize(table=moved(other, "c", 0.005))

    assert net.table == fresh


def test_the_range_of_a_converter_behind_a_float_layer_sticks(net):
    net.quantize(rule("layer", layer(net, "c"), skip=True))
    nudged = moved(net.table, "c/to_u8", 0.009)
    assert nudged != net.table

    net.quantize(rule("layer", layer(net, "c"), skip=True), table=nudged)

    old, new = (read_table(table, "x").activations["c/to_u8"] for table in (nudged, net.table))
    assert (old.low, old.high) == (new.low, new.high)


def test_a_damaged_table_is_refused(net):
    net.quantize()

    assert [code for code, _ in refused(net, table=net.table + "<<<<<<< ours\n")] == ["E0802"]


def test_what_has_no_integer_form_names_layer_operator_and_way_out():
    bench = Bench(
        """net (float[1,3,4,4] x) => (float[1,3,4,4] y, float[1,3,4,4] z) {
            y = PRelu(x, x) z = InstanceNormalization(y, s, s) }""",
        s=floats(3) + 2,
    )
    prelu, normalization = (group.name for group in bench.groups)

    with pytest.raises(UserError) as caught:
        bench.quantize()

    first, second = caught.value.diagnostics
    assert (first.code, first.subject) == (second.code, second.subject) == ("E0408", "quantize[v]")
    assert first.message == (f"layer `{prelu}` (PRelu) cannot be computed in integers: its slopes are not constant")
    assert second.message == (
        f"layer `{normalization}` (InstanceNormalization) cannot be computed in integers: "
        "InstanceNormalization has no integer form"
    )
    assert f'keep it in float: layer "{normalization}" skip' in second.helps
    model = bench.quantize(rule("layer", prelu, skip=True), rule("op", "InstanceNormalization", skip=True))
    assert bench.worst_step(model) < 0.05


def test_every_operator_that_is_said_to_run_in_integers_does():
    said = {op for op, support in OPERATORS.items() if support.way not in ("float", "rewritten")} - {"Dropout"}

    assert said <= set(CHECKS)
    assert set(CHECKS) == set(EMITTERS)


def test_an_operator_that_neither_form_has_is_refused():
    bench = Bench("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = LpNormalization<axis=1>(x) }")

    (problem,) = refused(bench)
    assert problem[0] == "E0408"
    assert problem[1].endswith("(LpNormalization) cannot be computed in integers: LpNormalization has no integer form")
    (problem,) = refused(bench, rule("op", "LpNormalization", skip=True))
    assert problem[0] == "E0407"


def test_float_weights_in_an_integer_layer_are_refused(net):
    problems = refused(net, rule("layer", layer(net, "c"), weights__type="f32"))

    assert problems == [
        ("E0601", f"the weights `w2` of layer `{layer(net, 'c')}` are f32, but the layer computes in u8")
    ]


def test_problems_of_the_rules_keep_their_place(net):
    with pytest.raises(UserError) as caught:
        net.quantize(rule("layer", "no such layer", type="i16"))

    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.subject) == ("E0301", "quantize[v].rules[0]")


def test_a_range_for_what_only_hands_values_on_is_refused(net):
    problems = refused(net, rule("tensor", "m", min=0.0, max=6.0))

    assert problems == [("E0303", "MaxPool hands on values, so `m` has the range of `c`")]


def test_a_range_for_a_softmax_is_refused(net):
    problems = refused(net, rule("layer", layer(net, "y"), algorithm=Call("mse")))

    assert problems == [("E0303", "the range of `y` is fixed by Softmax: its values are 0 .. 1")]


def test_a_fixed_end_beyond_what_was_seen_is_refused(net):
    with pytest.raises(UserError) as caught:
        net.quantize(rule("tensor", "r", min=1e6))

    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.subject) == ("E0306", "quantize[v]")
    assert diagnostic.message.startswith("the range of `r` would be 1e+06 .. ")


def test_a_range_that_was_not_observed_is_refused_and_a_fixed_one_needs_no_calibration():
    bench = Bench("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Conv(x, w) }", w=floats(3, 3, 1, 1))

    assert refused(bench, calibrated=False) == [("E0410", "the range of `x` was not observed")]
    fixed = [rule("tensor", name, min=-3.0, max=3.0) for name in ("x", "y")]
    model = bench.quantize(*fixed, calibrated=False)

    assert " calib=- " in bench.table
    assert model.tensors["y"].algorithm == "fixed"


def test_an_accumulator_that_does_not_fit_names_layer_and_bound():
    bench = Bench(
        "net (float[1,66000] x) => (float[1,2] y) { y = Gemm<transB=1>(x, w, b) }",
        w=np.ones((2, 66000), np.float32),
        b=np.zeros(2, np.float32),
    )

    (problem,) = refused(bench, **U8)

    assert problem[0] == "E0611"
    assert problem[1].startswith(f"layer `{bench.groups[0].name}` (Gemm): the sum can reach 2")
    assert problem[1].endswith("which does not fit int32")
    assert bench.quantize(scheme="dynamic_fixed_point", type="i16").layers


def test_a_bias_that_does_not_fit_names_its_layer():
    bench = Bench(
        "net (float[1,4] x) => (float[1,2] y) { y = Gemm<transB=1>(x, w, b) }",
        w=floats(2, 4) * 1e-6,
        b=np.array([0.0, 2e6], np.float32),
    )

    (problem,) = refused(bench, **DFP8)

    assert problem[0] == "E0611"
    assert "bias 1 has code" in problem[1]


def test_weights_that_are_not_finite_are_refused():
    weights = floats(3, 3, 1, 1)
    bench = Bench("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Conv(x, w) }", w=weights)
    broken = bench.space.write_array(np.where(weights == weights[0, 0, 0, 0], np.nan, weights))
    graph = bench.space.read_json(bench.model["graph.json"])
    graph["constants"]["w"] = broken.record()
    bench.model = {**bench.model, "graph.json": bench.space.write_json(graph)}

    assert refused(bench) == [("E0409", "the weights `w` hold values that are not finite")]
