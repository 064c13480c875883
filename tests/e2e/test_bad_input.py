"""Every way to be wrong has a diagnostic with a code, a place and an exit code, and loses nothing that was there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from npu_command import Npu, digits_copy

PROGRAM = "digits.npu"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Npu:
    npu = digits_copy(tmp_path_factory.mktemp("bad"))
    npu("build", PROGRAM, "-q")
    return npu


def state_of(npu: Npu) -> dict[str, bytes]:
    names = ["digits.u8.quant", "digits.hybrid.quant", "digits.lock", "out/digits_hybrid.onnx", "out/digits_c/Makefile"]
    return {name: (npu.folder / name).read_bytes() for name in names}


@pytest.fixture
def npu(built: Npu):
    """The built project; texts are put back afterwards, and outputs must not have changed."""
    texts = {name: (built.folder / name).read_bytes() for name in (PROGRAM, "labels.txt", "digits.onnx")}
    before = state_of(built)
    yield built
    for name, data in texts.items():
        (built.folder / name).write_bytes(data)
    assert state_of(built) == before


def failing(npu: Npu, code: str, exit_code: int = 1) -> str:
    outcome = npu("build", PROGRAM, "-q", code=exit_code)
    assert f"error[{code}]" in outcome.err, outcome.err
    return outcome.err


@pytest.mark.parametrize(
    ("edit", "code", "words"),
    [
        (("  samples = 50\n", "  samples = = 50\n"), "E0105", "digits.npu:"),
        (("  samples = 50\n", "  sampels = 50\n"), "E0202", "samples"),
        (("algorithm = minmax", "algorithm = minmx"), "E0211", "minmax"),
        (('"/depthwise/conv/Conv"', '"/depthwise/conv/conv"'), "E0301", "/depthwise/conv/Conv"),
        (("soc = V853", "soc = V835"), "E0604", "V853"),
        (("type = u8", "type = f16"), None, "f16"),
        (('file = "digits.onnx"', 'file = "digit.onnx"'), "E0401", "digits.onnx"),
        (('output "scores"', 'output "scroes"'), "E0402", "scores"),
        (("shape = 1x1x16x16", "shape = 1x1x28x28"), None, "28"),
        (("samples = 50", "samples = 500"), "E0501", "150"),
        (("data = test", "data = tset"), "E0213", "test"),
    ],
)
def test_a_slip_in_the_program_is_named_with_its_place(npu, edit, code, words):
    npu.edit(PROGRAM, *edit)
    outcome = npu("build", PROGRAM, "-q", code=1)
    assert "--> digits.npu:" in outcome.err, outcome.err
    assert words in outcome.err
    if code:
        assert f"error[{code}]" in outcome.err, outcome.err


def test_a_missing_image_is_named_with_the_line_of_the_list(npu):
    path = npu.folder / "labels.txt"
    path.write_text(path.read_text().replace("images/0003.png", "images/nowhere.png"))
    error = failing(npu, "E0501")
    assert "nowhere.png" in error
    assert "labels.txt:" in error


def test_a_raw_file_of_the_wrong_size_is_named_with_both_sizes(npu):
    (npu.folder / "short.bin").write_bytes(b"\0" * 100)
    (npu.folder / "labels.txt").write_text("short.bin 0\n" * 60)
    error = failing(npu, "E0502")
    assert "100 bytes" in error
    assert "1024 bytes" in error


def test_a_truncated_model_is_refused(npu):
    path = npu.folder / "digits.onnx"
    path.write_bytes(path.read_bytes()[:5000])
    assert "digits.onnx" in failing(npu, "E0401")


def test_a_file_that_is_no_model_is_refused(npu):
    (npu.folder / "digits.onnx").write_bytes(b"#!/bin/sh\nexit 0\n" * 50)
    failing(npu, "E0401")


def test_an_operator_that_cannot_run_is_named_with_its_layer(npu):
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], name="flat"),
        helper.make_node("Det", ["image"], ["determinant"], name="odd_one"),
        helper.make_node("Reshape", ["determinant", "shape"], ["square"], name="square"),
        helper.make_node("Add", ["flat", "square"], ["scores"], name="sum"),
    ]
    graph = helper.make_graph(
        nodes,
        "odd",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 256])],
        [helper.make_tensor("shape", TensorProto.INT64, [2], [1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (npu.folder / "digits.onnx").write_bytes(model.SerializeToString())
    npu.edit(PROGRAM, '  layer "/depthwise/conv/Conv" type=i16', '  layer "sum" type=i16')
    onnx.checker.check_model(model)
    outcome = npu("build", PROGRAM, "-q", code=1)
    assert "error[E0408]" in outcome.err, outcome.err
    assert "odd_one" in outcome.err
    assert "Det" in outcome.err


def test_nan_in_an_activation_is_named_with_tensor_and_sample(npu):
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Log", ["image"], ["logs"], name="logs"),
        helper.make_node("Flatten", ["logs"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "weights"], ["scores"], name="sum"),
    ]
    graph = helper.make_graph(
        nodes,
        "nan",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 10])],
        [helper.make_tensor("weights", TensorProto.FLOAT, [256, 10], np.ones(2560, np.float32))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (npu.folder / "digits.onnx").write_bytes(model.SerializeToString())
    npu.edit(PROGRAM, '  layer "/depthwise/conv/Conv" type=i16', '  layer "sum" type=i16')
    npu.edit(PROGRAM, "mean = 0", "mean = 40")
    outcome = npu("build", PROGRAM, "-q", code=1)
    assert "error[E0506]" in outcome.err, outcome.err
    assert '"logs"' in outcome.err
    assert "images/" in outcome.err


def test_a_type_that_the_chip_does_not_have_is_refused_with_the_ones_it_has(npu):
    npu.edit(PROGRAM, "soc = V853", "soc = RK3588")
    npu.edit(PROGRAM, "vendor = allwinner", "vendor = rockchip")
    outcome = npu("build", PROGRAM, "-q", code=1)
    assert "error[E0602]" in outcome.err or "error[E0601]" in outcome.err, outcome.err
    assert "i8" in outcome.err


def test_a_place_that_cannot_be_written_is_named_and_the_work_is_kept(npu, tmp_path):
    blocked = npu.folder / "blocked"
    blocked.write_text("a file, not a folder")
    npu.edit(PROGRAM, 'out = "out/digits_c"', 'out = "blocked/digits_c"')
    try:
        outcome = npu("build", PROGRAM, "-q", code=5)
    finally:
        blocked.unlink()
    assert "error[E0906]" in outcome.err, outcome.err
    assert "digits.npu:" in outcome.err


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_named(npu):
    folder = npu.folder / "out"
    Path(folder / "digits_c" / "Makefile").unlink()
    (folder / "digits_c").chmod(0o555)
    try:
        failing(npu, "E0906", exit_code=5)
    finally:
        (folder / "digits_c").chmod(0o755)
        npu("build", PROGRAM, "-q")


def test_a_file_that_is_not_there(npu):
    assert "error[E0004]" in npu("build", "nowhere.npu", code=1).err


def test_a_command_that_does_not_exist_has_a_near_name(npu):
    assert "npu build" in npu("biuld", code=2).err


def test_an_option_that_does_not_exist_is_wrong_use(npu):
    assert "--colour" in npu("build", PROGRAM, "--colour", code=2).err
