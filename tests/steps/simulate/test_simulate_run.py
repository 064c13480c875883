"""Simulation of the small network, float and integer, part by part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from memory_space import StepRunner
from small_network import INPUT, ProgramMaker, float_model, float_values, write_samples

from npudsl.artifacts.float_model import FloatModel
from npudsl.artifacts.trace import SimulationTrace
from npudsl.data.sample import SampleSet
from npudsl.diagnostics import Problem
from npudsl.ir.onnx_proto import to_onnx
from npudsl.machine.execute import Machine
from npudsl.numerics.metrics import Accumulator, accumulate
from npudsl.steps.simulate import run
from npudsl.steps.simulate.kind import SimulateConfig, context_from, predict, simulate_step


class Bench:
    """The small network, some samples, and the simulate step on them."""

    def __init__(self, folder, count):
        self.runner = StepRunner()
        self.space = self.runner.space
        self.samples, self.tensors = write_samples(folder, count)
        self.float_model = float_model()
        self.model = self.float_model.save(self.space)
        self.maker = ProgramMaker(self.float_model, self.tensors, self.space)

    def step(self, variant, samples=None, **settings):
        samples = samples or self.samples
        digests = tuple(sample.digest for sample in samples.samples)
        config = SimulateConfig(variant, (INPUT,), "NCHW", digests, **settings)
        context = context_from(samples, "simulate[pc]")
        return simulate_step(config, dataset="data", inputs={}, context=context)

    def float_run(self, samples=None, previous=None, **settings):
        return self.runner.run(run, self.step("float", samples, **settings), {"model": self.model}, previous)

    def integer_run(self, program, reference, samples=None, previous=None, **settings):
        inputs = {"model": self.model, "quantized": program.save(self.space), "reference": reference}
        return self.runner.run(run, self.step("u8", samples, **settings), inputs, previous)

    def array(self, tree, name):
        return self.space.read_array(tree[name])

    def trace(self, tree):
        return SimulationTrace.load(tree, self.space)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path, 5)


@pytest.fixture
def large_bench(tmp_path):
    """Enough samples for two report chunks and two others."""
    return Bench(tmp_path, 40)


def subset(samples, indices):
    return SampleSet(samples.name, tuple(samples.samples[index] for index in indices), ())


def stacked_codes(bench, program, tensors):
    """All tensors of all samples by one run of the whole program."""
    machine = Machine(program, bench.space)
    entering = {"data": machine.quantize_input(np.concatenate(tensors), "data")}
    return {**entering, **machine.run(entering, keep="all")}


def test_the_float_run_gives_outputs_in_dataset_order(bench):
    tree = bench.float_run()

    expected = [float_values(bench.float_model, tensor)["scores"] for tensor in bench.tensors]
    assert np.array_equal(bench.array(tree, "outputs/scores"), np.stack(expected))
    assert bench.trace(tree).samples == tuple(sample.digest for sample in bench.samples.samples)


def test_the_float_run_keeps_borders_of_report_samples_only(bench):
    tree = bench.float_run(report_samples=3)

    trace = bench.trace(tree)
    assert trace.chunks == (3,)
    assert trace.borders == ("data", "t1", "t2", "t3", "t4", "t5", "t6", "scores")
    expected = [float_values(bench.float_model, tensor)["t3"] for tensor in bench.tensors[:3]]
    assert np.allclose(bench.array(tree, "borders/0/t3"), np.stack(expected), atol=1e-6)


@pytest.mark.parametrize("mixed", [False, True], ids=["u8", "with converters"])
@pytest.mark.parametrize("report_samples", [0, 2, 16])
def test_segments_give_what_the_whole_program_gives(bench, mixed, report_samples):
    program = bench.maker.program(mixed=mixed)
    reference = bench.float_run(report_samples=report_samples)

    tree = bench.integer_run(program, reference, report_samples=report_samples)

    whole = stacked_codes(bench, program, bench.tensors)
    assert np.array_equal(bench.array(tree, "outputs/scores")[:, 0], whole["scores"])


def test_results_do_not_depend_on_the_chunks(large_bench):
    bench, program = large_bench, large_bench.maker.program(mixed=True)
    odd_first = subset(bench.samples, [*range(16), *range(17, 40, 3)])
    reference = bench.float_run(odd_first)
    other_cut = bench.runner.records
    bench.integer_run(program, reference, odd_first)
    other_integer_cut = bench.runner.records

    fresh_float = bench.float_run()
    fresh_parts = [part.name for part in bench.runner.parts]
    again_float = bench.float_run(previous=other_cut)
    again_parts = [part.name for part in bench.runner.parts]
    fresh = bench.integer_run(program, fresh_float)
    again = bench.integer_run(program, again_float, previous=other_integer_cut)

    assert fresh_parts != again_parts
    assert fresh_float == again_float
    assert fresh == again


def test_a_sample_that_occurs_twice_is_run_once_and_shown_twice(bench):
    twice = subset(bench.samples, [0, 1, 1, 2, 1])
    program = bench.maker.program()
    reference = bench.float_run(twice, report_samples=4)

    tree = bench.integer_run(program, reference, twice, report_samples=4)

    outputs = bench.array(tree, "outputs/scores")
    assert len(outputs) == 5
    assert np.array_equal(outputs[1], outputs[2])
    assert np.array_equal(outputs[1], outputs[4])
    sums = bench.array(tree, "accumulators/entire")
    assert sums.shape[1] == 4
    assert np.array_equal(sums[:, 1], sums[:, 2])


def test_entire_sums_hold_the_whole_runs_error_against_float(bench):
    program = bench.maker.program(mixed=True)
    reference = bench.float_run()
    tree = bench.integer_run(program, reference)

    trace = bench.trace(tree)
    whole = stacked_codes(bench, program, bench.tensors)
    machine = Machine(program, bench.space)
    assert trace.accumulated == ("t1", "t2", "t3", "t4", "t5", "t6", "scores")
    for row, tensor in enumerate(trace.accumulated):
        borders = bench.array(reference, f"borders/0/{tensor}")
        for sample in range(5):
            expected = accumulate(borders[sample], machine.dequantize(whole[tensor][sample], tensor))
            assert Accumulator.from_row(bench.array(tree, "accumulators/entire")[row, sample]) == expected


def test_single_sums_hold_the_error_of_one_layer_on_float_input(bench):
    program = bench.maker.program(mixed=True)
    reference = bench.float_run()
    tree = bench.integer_run(program, reference)

    machine = Machine(program, bench.space)
    floats = {name: bench.array(reference, f"borders/0/{name}") for name in ("t3", "t4", "t5")}
    entering = {
        "t3.i16": machine.quantize_input(floats["t3"][:, 0], "t3.i16"),
        "t4": machine.quantize_input(floats["t4"][:, 0], "t4"),
    }
    made = machine.run_layer("add2", entering)["t5"]
    row = bench.trace(tree).accumulated.index("t5")
    for sample in range(5):
        expected = accumulate(floats["t5"][sample], machine.dequantize(made[sample], "t5"))
        assert Accumulator.from_row(bench.array(tree, "accumulators/single")[row, sample]) == expected


def test_a_layers_own_error_does_not_depend_on_the_layers_before_it(bench):
    reference = bench.float_run()
    good = bench.integer_run(bench.maker.program(), reference)
    bad = bench.integer_run(bench.maker.program(widened="t1"), reference)

    rows = bench.trace(good).accumulated
    for tensor in ("t4", "t5", "t6", "scores"):
        row = rows.index(tensor)
        single = [bench.array(tree, "accumulators/single")[row] for tree in (good, bad)]
        assert np.array_equal(*single)
    entire = [bench.array(tree, "accumulators/entire")[rows.index("t5")] for tree in (good, bad)]
    assert not np.array_equal(*entire)


def test_nothing_runs_twice(large_bench):
    program = large_bench.maker.program()
    reference = large_bench.float_run()
    large_bench.integer_run(program, reference)

    large_bench.float_run()
    assert large_bench.runner.ran == []
    large_bench.integer_run(program, reference)
    assert large_bench.runner.ran == []


def test_a_changed_late_layer_runs_its_segment_and_those_behind(large_bench):
    bench = large_bench
    reference = bench.float_run()
    bench.integer_run(bench.maker.program(), reference)
    remembered = bench.runner.memories

    bench.integer_run(bench.maker.program(widened="t4"), reference)

    ran = set(bench.runner.ran)
    assert {name.split("/")[1] for name in ran} == {"2", "3"}
    assert len([name for name in ran if name.startswith("entire/")]) == 2 * (2 + 2)
    assert ran == set(predict(remembered, ["conv3", "add2"]))


def test_a_prediction_goes_downstream_from_the_changed_layer_only(bench):
    reference = bench.float_run(report_samples=2)
    bench.integer_run(bench.maker.program(), reference, report_samples=2)
    remembered = bench.runner.memories

    assert predict(remembered, []) == ()
    assert {name.rpartition("/")[0] for name in predict(remembered, ["logits"])} == {"entire/3", "single/3"}
    names = predict(remembered, ["conv1"])
    assert {name.rpartition("/")[0] for name in names} == {*(f"entire/{n}" for n in range(4)), "single/0"}
    assert {name.rpartition("/")[2] for name in names if name.startswith("single")} == {"report-0"}


def test_a_change_that_changes_no_code_stops_at_its_segment(bench):
    program = bench.maker.program()
    reference = bench.float_run()
    bench.integer_run(program, reference)

    # An attribute that no kernel reads: the layer is another one for its key, its codes are the same.
    layers = [
        replace(layer, attributes={**layer.attributes, "note": 1}) if layer.name == "conv2" else layer
        for layer in program.layers
    ]
    bench.integer_run(replace(program, layers=tuple(layers)), reference)

    assert {name.rpartition("/")[0] for name in bench.runner.ran} == {"entire/1", "single/1"}


def test_who_decided_a_range_changes_nothing(bench):
    program = bench.maker.program()
    reference = bench.float_run()
    first = bench.integer_run(program, reference)

    tensors = {name: replace(tensor, decided_by="layer") for name, tensor in program.tensors.items()}
    second = bench.integer_run(replace(program, tensors=tensors), reference)

    assert bench.runner.ran == []
    assert first == second


def test_new_samples_run_alone(large_bench):
    bench, program = large_bench, large_bench.maker.program()
    before = subset(bench.samples, range(30))
    reference = bench.float_run(before)
    float_records = bench.runner.records
    bench.integer_run(program, reference, before)
    integer_records = bench.runner.records
    # The new ones come in at place 20, not at the end.
    after = subset(bench.samples, [*range(20), *range(30, 40), *range(20, 30)])

    reference = bench.float_run(after, float_records)
    assert len(bench.runner.ran) == 1
    tree = bench.integer_run(program, reference, after, integer_records)

    assert len(bench.runner.ran) == 4
    whole = stacked_codes(
        bench, program, [bench.tensors[index] for index in [*range(20), *range(30, 40), *range(20, 30)]]
    )
    assert np.array_equal(bench.array(tree, "outputs/scores")[:, 0], whole["scores"])


def test_dumps_are_kept_for_every_sample_under_the_models_names(bench):
    program = bench.maker.program(mixed=True)
    settings = {"report_samples": 2, "dump": ("inputs", "outputs", "conv3", "t3")}
    reference = bench.float_run(**settings)

    tree = bench.integer_run(program, reference, **settings)

    assert bench.trace(tree).dumps == ("data", "t3", "t4")
    whole = stacked_codes(bench, program, bench.tensors)
    for name in ("data", "t3", "t4"):
        assert np.array_equal(bench.array(tree, f"dumps/{name}")[:, 0], whole[name])
        assert bench.array(reference, f"dumps/{name}").shape[0] == 5


def test_all_dumps_every_border(bench):
    tree = bench.float_run(dump=("all",))

    assert bench.trace(tree).dumps == ("data", "t1", "t2", "t3", "t4", "t5", "t6")


def test_a_dump_of_something_unknown_is_refused_with_near_names(bench):
    with pytest.raises(Problem) as caught:
        bench.float_run(dump=("conv33",))

    diagnostic = caught.value.diagnostics[0]
    assert (diagnostic.code, diagnostic.subject) == ("E0213", "simulate[pc].dump")
    assert diagnostic.message == '"conv33" is not a layer or tensor of the model'
    assert '"conv3"' in diagnostic.helps[0]


def test_an_alias_names_its_layer_in_a_dump(bench):
    assert bench.trace(bench.float_run(dump=("pool", "classifier"))).dumps == ("t6",)


def test_layers_that_are_not_those_of_the_key_are_refused(bench):
    program = bench.maker.program()
    bench.integer_run(program, bench.float_run())
    part = bench.runner.parts[0]
    other = [{**part.context["layers"][0], "operation": "identity"}]

    with pytest.raises(ValueError, match="not those of the record"):
        run.run_part(part.record, part.inputs, {**part.context, "layers": other}, bench.space)


def test_a_part_names_the_layers_it_covers(bench):
    bench.integer_run(bench.maker.program(mixed=True), bench.float_run())
    layers = {part.name: part.layers for part in bench.runner.parts}

    assert layers["entire/2/report-0"] == ("to_i16", "conv3")
    assert layers["entire/3/report-0"] == ("to_i16", "add2", "pool", "logits")
    assert layers["single/3/report-0"] == ("add2", "pool", "logits")


def test_a_reference_of_other_samples_is_refused(bench):
    reference = bench.float_run(subset(bench.samples, [0, 1]))

    with pytest.raises(ValueError, match="other samples"):
        bench.integer_run(bench.maker.program(), reference)


def test_a_float_value_that_is_not_finite_names_tensor_and_sample(bench):
    broken = replace(bench.float_model.graph, constants={**bench.float_model.graph.constants})
    broken.constants["b4"] = np.array([1, 2, np.inf, 4, 5], np.float32)
    bench.model = FloatModel(broken, bench.float_model.groups, to_onnx(broken)).save(bench.space)
    with pytest.raises(Problem) as caught:
        bench.float_run()

    diagnostic = caught.value.diagnostics[0]
    assert (diagnostic.code, diagnostic.subject) == ("E0506", "dataset[data]")
    assert diagnostic.message == 'tensor "scores" has inf at index [0, 2, 0, 0] for the sample 0.npy'
