"""The QDQ export: loads at every optimization level, and computes what the integer machine computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from onnx_models import weights
from quantize_bench import DFP8, DFP16, I8, KINDS, PER_CHANNEL, U8, Bench, rule

from npudsl.artifacts.export_bundle import ExportBundle, ExportRequest, GoldenRun, load_exporter
from npudsl.artifacts.float_model import FloatModel
from npudsl.artifacts.quantized_model import QuantizedModel
from npudsl.ir.float_run import session
from npudsl.steps.import_model.kind import ImportConfig
from npudsl.steps.import_model.run import import_model

LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)

NETWORK = """net (float[1,8,8,3] x) => (float[1,5] y) {
  t = Transpose<perm=[0,3,1,2]>(x)
  [conv] a = Conv<pads=[1,1,1,1]>(t, k, b)
  r = Relu(a)
  m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
  [act] s = Sigmoid(m)
  [cat] c = Concat<axis=1>(s, m)
  g = GlobalAveragePool(c)
  f = Flatten(g)
  [dense] d = Gemm(f, w, v)
  y = Softmax(d)
}"""


def network() -> Bench:
    return Bench(NETWORK, k=weights(4, 3, 3, 3), b=weights(4), w=weights(8, 5), v=weights(5))


def exported(bench: Bench, program: QuantizedModel) -> ExportBundle:
    model = FloatModel.load(bench.model, bench.space)
    return load_exporter("onnx-qdq")(
        ExportRequest("net", {}, model, program, bench.space, GoldenRun({}), "target[t].export[q]")
    )


def file_of(bundle: ExportBundle) -> onnx.ModelProto:
    assert list(bundle.files) == [""]
    model = onnx.load_model_from_string(bundle.files[""])
    onnx.checker.check_model(model, full_check=True)
    return model


def worst_step(bench: Bench, program: QuantizedModel, data: bytes, level: Any) -> float:
    """Largest difference from the integer machine over the samples, in steps of the output."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    loaded = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for sample in bench.samples:
        expected = bench.reals(program, sample)
        for name, found in zip(program.outputs, loaded.run(list(program.outputs), sample), strict=True):
            worst = max(worst, float(np.abs(found - expected[name]).max()) / program.tensors[name].scale)
    return worst


def initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}


def nodes(model: onnx.ModelProto, op: str) -> list[Any]:
    return [node for node in model.graph.node if node.op_type == op]


@pytest.mark.parametrize("kind", KINDS)
def test_every_level_loads_the_file_and_computes_what_the_integer_machine_does(kind: str) -> None:
    bench = network()
    program = bench.quantize(**KINDS[kind])
    data = exported(bench, program).files[""]
    assert [worst_step(bench, program, data, level) <= 1.001 for level in LEVELS] == [True] * 4


@pytest.mark.parametrize(
    ("rules", "settings"),
    [
        ([rule("op", "Gemm", type="i16")], PER_CHANNEL),
        ([rule("op", "Gemm", type="i16")], I8),
        ([rule("op", "Conv", type="i16")], U8),
        ([rule("op", "Gemm", skip=True)], PER_CHANNEL),
        ([rule("op", "Sigmoid", skip=True), rule("op", "Concat", type="i16")], I8),
        ([rule("op", "Conv", skip=True), rule("op", "Softmax", skip=True)], U8),
        ([rule("op", "Conv", type="i16")], DFP8),
    ],
    ids=lambda value: None if isinstance(value, dict) else "+".join(item.selector.text for item in value),
)
def test_hybrids_convert_where_types_meet(rules: list[Any], settings: dict[str, str]) -> None:
    bench = network()
    program = bench.quantize(*rules, **settings)
    data = exported(bench, program).files[""]
    assert [worst_step(bench, program, data, level) <= 2.001 for level in LEVELS] == [True] * 4


CASES = {
    "one-dimensional convolution": (
        "net (float[1,3,9] x) => (float[1,4,7] y) { a = Conv(x, k, b) y = Clip(a, low, high) }",
        {"k": weights(4, 3, 3), "b": weights(4), "low": np.float32(0), "high": np.float32(6)},
    ),
    "matrix product of rank 3 with bias": (
        "net (float[1,3,6] x) => (float[1,3,4] y) { a = MatMul(x, k) s = Add(a, b) y = Relu(s) }",
        {"k": weights(6, 4), "b": weights(4)},
    ),
    "product of two activations": (
        "net (float[1,3,6] x, float[1,6,2] z) => (float[1,3,2] y) { y = MatMul(x, z) }",
        {},
    ),
    "constant operands on either side": (
        "net (float[1,3,4] x) => (float[1,3,4] y) { a = Sub(c, x) b = Mul(a, d) y = Add(b, c) }",
        {"c": weights(3, 4), "d": weights(4, seed=4)},
    ),
    "division by a constant": (
        "net (float[1,3,4] x) => (float[1,3,4] y) { y = Div(x, d) }",
        {"d": np.array([1.5, 2, -4, 8], np.float32)},
    ),
    "split in two": (
        "net (float[1,4,3] x) => (float[1,2,3] y) { a, b = Split<axis=1>(x) y = Add(a, b) }",
        {},
    ),
    "resize, pad and depth to space": (
        """net (float[1,4,4,4] x) => (float[1,1,h,w] y) {
          a = Resize<mode="linear">(x, , s) p = Pad(a, n) y = DepthToSpace<blocksize=2>(p)
        }""",
        {"s": np.array([1, 1, 2, 2], np.float32), "n": np.array([0, 0, 1, 1, 0, 0, 0, 0])},
    ),
    "a tensor that is an output and is read": (
        "net (float[1,4] x) => (float[1,4] a, float[1,4] y) { a = Sigmoid(x) y = Add(a, a) }",
        {},
    ),
    "pools and means": (
        """net (float[1,2,6,6] x) => (float[1,2] y) {
          a = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x) y = ReduceMean<axes=[2,3],
          keepdims=0>(a)
        }""",
        {},
    ),
}


@pytest.mark.parametrize("kind", ["u8", "per channel", "dfp i16"])
@pytest.mark.parametrize("case", CASES)
def test_layers_of_every_kind_are_within_two_steps(case: str, kind: str) -> None:
    body, constants = CASES[case]
    bench = Bench(body, **constants)
    program = bench.quantize(**KINDS[kind])
    bundle = exported(bench, program)
    file_of(bundle)
    assert [worst_step(bench, program, bundle.files[""], level) <= 2.001 for level in LEVELS] == [True] * 4


def test_opset_is_19_and_21_only_for_16_bit_codes() -> None:
    bench = network()
    versions = {}
    for name, settings in {"i8": PER_CHANNEL, "i16": DFP16}.items():
        model = file_of(exported(bench, bench.quantize(**settings)))
        versions[name] = (model.opset_import[0].version, model.ir_version)
    assert versions == {"i8": (19, 9), "i16": (21, 10)}


def test_scales_per_tensor_are_scalars_of_rank_0() -> None:
    bench = network()
    for settings in KINDS.values():
        model = file_of(exported(bench, bench.quantize(**settings)))
        arrays = initializers(model)
        for node in (*nodes(model, "QuantizeLinear"), *nodes(model, "DequantizeLinear")):
            ranks = {arrays[name].ndim for name in node.input[1:]}
            assert ranks == ({1} if node.attribute else {0})


def test_weights_and_biases_are_the_codes_of_the_program() -> None:
    bench = network()
    program = bench.quantize(**PER_CHANNEL)
    arrays = initializers(file_of(exported(bench, program)))
    layers = {layer.name: layer for layer in program.layers}
    conv = layers["conv"]
    np.testing.assert_array_equal(arrays["conv/weight/codes"], bench.space.read_array(conv.constants["weight"]))
    np.testing.assert_array_equal(arrays["conv/bias/codes"], bench.space.read_array(conv.constants["bias"]))
    assert arrays["conv/bias/codes"].dtype == np.int32
    expected = np.array(program.weights["k"].scales) * program.tensors[conv.inputs[0]].scale
    np.testing.assert_array_equal(arrays["conv/bias/scale"], expected.astype(np.float32))


def test_every_stored_tensor_has_one_pair_with_its_scale_and_zero_point() -> None:
    bench = network()
    program = bench.quantize(**U8)
    model = file_of(exported(bench, program))
    arrays = initializers(model)
    pairs = {node.name.removesuffix("/quantize"): node for node in nodes(model, "QuantizeLinear")}
    assert set(pairs) == set(program.tensors)
    for name, node in pairs.items():
        assert arrays[node.input[1]] == np.float32(program.tensors[name].scale)
        assert arrays[node.input[2]] == np.uint8(program.tensors[name].zero_point)


def test_names_and_operators_of_the_network_stay() -> None:
    bench = network()
    model = file_of(exported(bench, bench.quantize(**U8)))
    assert [item.name for item in model.graph.input] == ["x"]
    assert [item.name for item in model.graph.output] == ["y"]
    own = [(node.name, node.op_type) for node in model.graph.node if "Linear" not in node.op_type]
    assert own == [(node.name, node.op) for node in bench.graph.nodes]


def test_a_layer_in_float_has_its_own_constants_and_no_pair_behind_it() -> None:
    bench = network()
    model = file_of(exported(bench, bench.quantize(rule("op", "Gemm", skip=True), **U8)))
    (gemm,) = nodes(model, "Gemm")
    np.testing.assert_array_equal(initializers(model)[gemm.input[1]], bench.graph.constants["w"])
    assert gemm.output[0] == "d"


def test_the_file_is_deterministic() -> None:
    bench = network()
    program = bench.quantize(**PER_CHANNEL)
    assert exported(bench, program) == exported(bench, program)


def test_notes_say_what_is_not_exact() -> None:
    bench = network()
    notes = exported(bench, bench.quantize(**DFP16, saturation="symmetric")).notes
    assert any("profile exact" in note for note in notes)
    assert any("softmax and table" in note for note in notes)
    assert any("leaves that code out" in note for note in notes)
    assert any("opset 21" in note for note in notes)
    assert len(exported(bench, bench.quantize(**U8)).notes) == 3


@pytest.mark.shared
@pytest.mark.parametrize("kind", ["u8", "per channel"])
def test_a_real_network_keeps_its_answers(shared, kind: str) -> None:
    folder = shared / "models" / "mnist"
    model = import_model(ImportConfig("onnx", "m.onnx").record(), {"m.onnx": (folder / "mnist-8.onnx").read_bytes()})
    samples = [{"Input3": np.load(folder / "expected" / f"input_{number}.npy")} for number in range(3)]
    bench = Bench.of(model.graph, samples)
    program = bench.quantize(**KINDS[kind])
    data = exported(bench, program).files[""]
    assert [worst_step(bench, program, data, level) <= 1.001 for level in LEVELS] == [True] * 4
    loaded = session(data)
    for number, sample in enumerate(samples):
        expected = np.load(folder / "expected" / f"output_{number}.npy")
        assert loaded.run(None, sample)[0].argmax() == expected.argmax()
