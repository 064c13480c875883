"""Damaged, foreign and lying model files are refused with what was found and what was claimed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import MAIN, parse, read, weights

from npudsl.artifacts.model_formats import ReadRequest
from npudsl.backends.onnx_reader import model_files, read_model
from npudsl.diagnostics import Problem

LINEAR = "net (float[1,4] x) => (float[1,3] y) { y = MatMul(x, w) }"


def linear() -> onnx.ModelProto:
    return onnx.load_model_from_string(parse(LINEAR, w=weights(4, 3)))


def with_external_weights(location: str, **entries: int) -> onnx.ModelProto:
    model = linear()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return model


def refusal(data: bytes, **files: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        read_model(
            ReadRequest({MAIN: data, **{name.replace("_dot_", "."): value for name, value in files.items()}}, MAIN)
        )
    return caught.value


def message(problem: Problem) -> str:
    return problem.diagnostics[0].message


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04" + bytes(100), b"hello world\n" * 50, bytes(range(256)) * 4]
)
def test_a_file_that_is_no_onnx_model_is_refused_with_its_size(data: bytes) -> None:
    problem = refusal(data)
    assert problem.diagnostics[0].code == "E0401"
    assert f"{len(data)} bytes" in message(problem)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.8, 0.99])
def test_a_truncated_file_is_refused_wherever_it_was_cut(share: float) -> None:
    data = parse(LINEAR, w=weights(4, 300)[:, :3].copy())
    problem = refusal(data[: int(len(data) * share)])
    assert problem.diagnostics[0].code == "E0401"


def test_a_flipped_byte_never_ends_in_anything_but_a_problem_or_a_graph() -> None:
    data = parse(LINEAR, w=weights(4, 3))
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        try:
            read_model(ReadRequest({MAIN: bytes(damaged)}, MAIN))
        except Problem:
            continue


def test_a_tensor_that_claims_more_than_it_holds_is_refused_with_both_numbers() -> None:
    model = linear()
    model.graph.initializer[0].dims[0] = 1 << 40
    problem = refusal(model.SerializeToString())
    assert "claims 13194139533312 bytes (FLOAT 1099511627776x3) and holds 48" in message(problem)


def test_a_tensor_with_typed_values_is_counted_too() -> None:
    model = linear()
    del model.graph.initializer[:]
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [4, 3], [1.0] * 12))
    model.graph.initializer[0].dims[1] = 5
    assert "claims 20 values (FLOAT 4x5) and holds 12" in message(refusal(model.SerializeToString()))


def test_a_small_constant_cannot_be_blown_up_into_a_huge_one() -> None:
    data = parse(
        "net (float[1,4] x) => (float[1,4] y) { b = ConstantOfShape(n) m = ReduceMax<keepdims=0>(b) y = Add(x, m) }",
        n=np.array([30000, 30000], np.int64),
    )
    problem = refusal(data)
    assert problem.diagnostics[0].code == "E0401"
    assert "900000000" in message(problem)


def test_external_data_is_read_from_the_file_beside_the_model() -> None:
    payload = weights(4, 3)
    model = with_external_weights("net.bin", offset=16, length=48)
    data = bytes(16) + payload.tobytes()
    found = read_model(ReadRequest({MAIN: model.SerializeToString(), "net.bin": data}, MAIN))
    np.testing.assert_array_equal(found.graph.constants["w"], payload)


def test_external_data_without_offset_and_length_is_the_whole_file() -> None:
    payload = weights(4, 3)
    model = with_external_weights("net.bin")
    found = read_model(ReadRequest({MAIN: model.SerializeToString(), "net.bin": payload.tobytes()}, MAIN))
    np.testing.assert_array_equal(found.graph.constants["w"], payload)


def test_external_data_that_is_too_short_is_refused_with_the_bytes_it_claims() -> None:
    model = with_external_weights("net.bin", offset=32, length=48)
    problem = refusal(model.SerializeToString(), net_dot_bin=bytes(40))
    assert "claims bytes 32 to 80 of `net.bin`, which has 40" in message(problem)


@pytest.mark.parametrize("value", ["-1", "1e9", "٣", ""])
def test_an_external_offset_that_is_no_number_is_refused(value: str) -> None:
    model = with_external_weights("net.bin")
    model.graph.initializer[0].external_data.add(key="offset", value=value)
    assert "no size in bytes" in message(refusal(model.SerializeToString(), net_dot_bin=bytes(48)))


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "..\\secret.bin", ""])
def test_external_data_outside_the_folder_of_the_model_is_refused(tmp_path, location: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    (folder / "net.onnx").write_bytes(with_external_weights(location).SerializeToString())
    with pytest.raises(Problem) as caught:
        model_files(folder / "net.onnx")
    assert caught.value.diagnostics[0].code == "E0401"
    assert "outside its own folder" in message(caught.value)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    (folder / "net.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "net.onnx").write_bytes(with_external_weights("net.bin").SerializeToString())
    with pytest.raises(Problem, match="outside its own folder"):
        model_files(folder / "net.onnx")


def test_missing_external_data_is_refused_by_name(tmp_path) -> None:
    (tmp_path / "net.onnx").write_bytes(with_external_weights("weights/net.bin").SerializeToString())
    with pytest.raises(Problem, match=r"`weights/net\.bin`, which is not there"):
        model_files(tmp_path / "net.onnx")


def test_the_files_of_a_model_are_itself_and_each_external_file_once(tmp_path) -> None:
    model = with_external_weights("net.bin")
    model.graph.initializer.append(numpy_helper.from_array(weights(2), "other"))
    model.graph.initializer.append(model.graph.initializer[0])
    model.graph.initializer[2].name = "again"
    (tmp_path / "net.bin").write_bytes(bytes(48))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    assert [path.name for path in model_files(tmp_path / "net.onnx")] == ["net.onnx", "net.bin"]


def test_a_model_file_that_cannot_be_opened_is_a_problem(tmp_path) -> None:
    with pytest.raises(Problem) as caught:
        model_files(tmp_path / "absent.onnx")
    assert caught.value.diagnostics[0].code == "E0401"


def test_an_invalid_graph_is_refused_with_the_reason_of_the_checker() -> None:
    problem = refusal(parse("net (float[1,4] x) => (float[1,3] y) { z = Relu(x) y = MatMul(z, nothing) }"))
    assert problem.diagnostics[0].code == "E0401"
    assert "nothing" in message(problem)


def test_element_types_without_numbers_are_refused_by_name() -> None:
    model = linear()
    model.graph.initializer.append(helper.make_tensor("text", TensorProto.STRING, [1], [b"label"]))
    model.graph.node.append(helper.make_node("Identity", ["text"], ["label"]))
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.STRING, [1]))
    assert "text" in message(refusal(model.SerializeToString()))


def test_a_sound_model_reads_with_every_type_known() -> None:
    graph = read(parse(LINEAR, w=weights(4, 3))).graph
    assert graph.inputs == ("x",)
    assert graph.types["y"].shape == (1, 3)
