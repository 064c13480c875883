"""Running programs: many samples at once, parts of a program, what is kept, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from machine_harness import MemoryBlobs, machine_of, random_codes, tensor

from npudsl.artifacts.quantized_model import IntegerLayer, Requantization, WeightQuantization
from npudsl.diagnostics import Problem
from npudsl.machine.lowering import lower_add, lower_concat, lower_global_average_pool, lower_weighted


@pytest.fixture
def machine():
    """x -> conv -> two branches -> add -> mean over everything but the batch; batch 2."""
    blobs = MemoryBlobs()
    generator = np.random.default_rng(0)
    x = tensor("x", (2, 3, 6, 6), "u8", 0.02, 9)
    c = tensor("c", (2, 4, 6, 6), "u8", 0.2, 100)
    t = tensor("t", (2, 4, 6, 6), "u8", 0.2, 100)
    joined = tensor("joined", (2, 8, 6, 6), "i8", 0.2, 3)
    mean = tensor("mean", (2, 8), "i8", 0.02, 3)
    weights = random_codes(generator, tensor("w", (4, 3, 3, 3), "i8"))
    quantized = WeightQuantization("w", "conv", weights.shape, "i8", "sym", (0.02,))
    constants = {"weight": blobs.write_array(weights), "bias": blobs.write_array(np.arange(4, dtype=np.int32))}
    attributes = {"strides": [1, 1], "pads": [1] * 4, "dilations": [1, 1], "group": 1, "weight_zero_point": 0}
    layers = [
        IntegerLayer(
            "conv", "conv", ("x",), ("c",), attributes, constants, (lower_weighted("exact", "conv", x, quantized, c),)
        ),
        IntegerLayer("turn", "transpose", ("c",), ("t",), {"permutation": [0, 1, 3, 2]}),
        IntegerLayer("join", "concat", ("c", "t"), ("joined",), {"axis": 1}, {}, lower_concat("exact", [c, t], joined)),
        IntegerLayer(
            "mean",
            "global_average_pool",
            ("joined",),
            ("mean",),
            {"axes": [2, 3], "keepdims": False},
            {},
            (lower_global_average_pool("exact", joined, mean, 36),),
        ),
    ]
    return machine_of(layers, [x, c, t, joined, mean], blobs)


def samples(count):
    return random_codes(np.random.default_rng(1), tensor("x", (2, 3, 6, 6)), stack=count)


def test_many_samples_at_once_give_what_each_gives_alone(machine):
    codes = samples(5)
    together = machine.run({"x": codes}, keep="all")
    for index in range(5):
        alone = machine.run({"x": codes[2 * index : 2 * index + 2]}, keep="all")
        assert alone.keys() == together.keys()
        for name, value in alone.items():
            assert np.array_equal(together[name][2 * index : 2 * index + 2], value)


def test_only_outputs_are_kept_unless_all_are_asked_for(machine):
    assert set(machine.run({"x": samples(1)})) == {"mean"}
    assert set(machine.run({"x": samples(1)}, keep="all")) == {"c", "t", "joined", "mean"}


def test_a_part_of_the_program_gives_what_the_rest_reads(machine):
    whole = machine.run({"x": samples(1)}, keep="all")
    first = machine.run({"x": samples(1)}, layers=["conv", "turn"])
    assert set(first) == {"c", "t"}
    second = machine.run(first, layers=["join", "mean"])
    assert np.array_equal(second["mean"], whole["mean"])


def test_layers_run_one_by_one_give_the_same(machine):
    values = {"x": samples(2)}
    for layer in machine.model.layers:
        values.update(machine.run_layer(layer, values))
    assert np.array_equal(values["mean"], machine.run({"x": samples(2)})["mean"])


def test_inputs_are_not_changed(machine):
    codes = samples(2)
    before = codes.copy()
    machine.run({"x": codes})
    assert np.array_equal(codes, before)


def test_an_input_that_is_also_an_output_comes_back():
    x, y = tensor("x", (1, 3)), tensor("y", (3, 1))
    machine = machine_of([IntegerLayer("r", "reshape", ("x",), ("y",))], [x, y], MemoryBlobs(), outputs=("y", "x"))
    found = machine.run({"x": np.array([[1, 2, 3]], np.uint8)})
    assert found["x"].tolist() == [[1, 2, 3]]
    assert found["y"].tolist() == [[1], [2], [3]]


def test_a_scalar_tensor_has_one_value_per_sample():
    x, y = tensor("x", (1, 4), "u8", 1.0), tensor("y", (), "u8", 1.0)
    part = lower_global_average_pool("exact", x, y, 4)
    layer = IntegerLayer("m", "global_average_pool", ("x",), ("y",), {"axes": [0, 1], "keepdims": False}, {}, (part,))
    machine = machine_of([layer], [x, y], MemoryBlobs())
    found = machine.run({"x": np.array([[1, 2, 3, 6], [4, 4, 4, 4]], np.uint8)})
    assert found["y"].tolist() == [3, 4]


def test_constants_of_another_rank_broadcast_over_the_stack():
    x, b, y = tensor("x", (2, 3), "u8", 1.0), tensor("b", (3,), "u8", 1.0), tensor("y", (2, 3), "u8", 1.0)
    layer = IntegerLayer("a", "add", ("x", "b"), ("y",), {}, {}, lower_add("exact", x, b, y))
    machine = machine_of([layer], [x, b, y], MemoryBlobs())
    found = machine.run({"x": np.ones((4, 3), np.uint8), "b": np.arange(6, dtype=np.uint8)})
    assert found["y"].tolist() == [[1, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6]]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((2, 3, 6, 6), np.int8), "holds uint8, not int8"),
        (np.zeros((2, 3, 6, 5), np.uint8), "no multiple"),
        (np.zeros((3, 3, 6, 6), np.uint8), "no multiple"),
        (np.zeros((2, 3, 6), np.uint8), "no multiple"),
    ],
)
def test_values_that_are_not_the_tensor_s_are_refused(machine, codes, message):
    with pytest.raises(ValueError, match=message):
        machine.run({"x": codes})


def test_a_missing_value_is_refused(machine):
    with pytest.raises(KeyError):
        machine.run({})


def test_samples_are_quantized_by_the_rule_of_the_quantize_layer(machine):
    values = np.array([0.0, 0.01, 0.03, 1e9, -1.0])
    assert machine.quantize_input(values, "x").tolist() == [9, 9, 11, 255, 0]
    assert machine.dequantize(np.array([9, 10], np.uint8), "x").tolist() == [0.0, np.float32(0.02)]


def test_symmetric_saturation_leaves_out_the_lowest_code():
    x = tensor("x", (1, 2), "i8", fractional_length=7, saturation="symmetric")
    machine = machine_of([IntegerLayer("i", "identity", ("x",), ("x2",))], [x], MemoryBlobs())
    assert machine.quantize_input(np.array([[-1.0, 1.0]]), x).tolist() == [[-127, 127]]


def test_float_tensors_pass_as_float32():
    x = tensor("x", (1, 2), "f32")
    machine = machine_of([IntegerLayer("i", "identity", ("x",), ("x2",))], [x], MemoryBlobs())
    assert machine.quantize_input(np.array([[0.1, 0.2]]), x).dtype == np.float32
    assert machine.dequantize(np.array([[0.1, 0.2]]), x).dtype == np.float32


def test_an_operator_that_cannot_stay_in_float_is_a_problem_with_a_way_out():
    x, y = tensor("x", (1, 2), "f32"), tensor("y", (1, 2), "f32")
    layer = IntegerLayer("nms", "float", ("x",), ("y",), {"op": "NonMaxSuppression"})
    machine = machine_of([layer], [x, y], MemoryBlobs())
    with pytest.raises(Problem, match="`nms` \\(NonMaxSuppression\\)") as caught:
        machine.run({"x": np.zeros((1, 2), np.float32)})
    assert "integer type" in caught.value.diagnostics[0].helps[0]


def test_every_operation_of_the_description_can_be_built(repository):
    from npudsl.machine.kernels.table import OPERATIONS

    text = (repository / "docs/integer-program.md").read_text()
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    described = {word for cell in cells for word in cell.replace(",", " ").split("`")[1::2]}
    described -= {"permutation", "starts", "ends", "steps"}
    assert described == set(OPERATIONS)


def test_requantization_of_a_table_layer_may_be_empty():
    x, y = tensor("x", (1, 2), "u8"), tensor("y", (1, 2), "u8")
    blobs = MemoryBlobs()
    table = blobs.write_array(np.arange(255, -1, -1).astype(np.uint8))
    machine = machine_of([IntegerLayer("n", "table", ("x",), ("y",), {}, {"table": table})], [x, y], blobs)
    assert machine.run({"x": np.array([[0, 254]], np.uint8)})["y"].tolist() == [[255, 1]]


def test_accumulators_that_leave_64_bits_are_refused_before_anything_runs():
    x, y = tensor("x", (1, 70000), "i16"), tensor("y", (1, 1), "i16")
    blobs = MemoryBlobs()
    constants = {"weight": blobs.write_array(np.full((1, 70000), 32767, np.int16))}
    requantize = Requantization((2**31 - 1,), (40,), "half_even", 0, -32768, 32767)
    layer = IntegerLayer("l", "linear", ("x",), ("y",), {"weight_zero_point": 0}, constants, (requantize,))
    machine = machine_of([layer], [x, y], blobs)
    with pytest.raises(ValueError, match="64 bits"):
        machine.run({"x": np.zeros((1, 70000), np.int16)})
