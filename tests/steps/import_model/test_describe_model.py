"""The first program for a model file: correct before anybody edits it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_models import parse, weights
from PIL import Image

from npudsl.diagnostics import Problem
from npudsl.language.load import load_program
from npudsl.steps.import_model.describe import (
    describe_model,
    guessed_layout,
    identifier,
    initial_program,
    is_image,
    quoted,
)

TARGET = "amlogic-a311d"


def image_model() -> bytes:
    return parse("net (float[N,3,8,9] pixels) => (float[N,2,6,7] y) { s = Sub(pixels, m) y = Conv(s, k) }",
                 m=np.float32(1), k=weights(2, 3, 3, 3))  # fmt: skip


def written(folder: Path, model: bytes, name: str = "net.onnx", **options: str) -> Path:
    (folder / name).write_bytes(model)
    program = folder / "net.npu"
    program.write_text(initial_program(describe_model(folder / name), TARGET, name, **options), encoding="utf-8")
    return program


def test_an_image_model_gets_a_program_that_passes_the_checker(tmp_path: Path) -> None:
    (tmp_path / "data" / "calib").mkdir(parents=True)
    Image.new("RGB", (9, 8)).save(tmp_path / "data" / "calib" / "one.png")
    program = load_program(written(tmp_path, image_model()))
    (first,) = program.inputs
    assert (first.name, first.shape, first.layout, first.color) == ("pixels", (1, 3, 8, 9), "NCHW", "rgb")
    assert str(first.resize).startswith("stretch(")
    assert [output.name for output in program.outputs] == ["y"]
    assert list(program.variants) == ["u8"]
    assert [export.kind for export in program.targets[TARGET].exports] == ["onnx-qdq", "c-project"]
    assert program.warnings == ()


def test_a_model_with_several_inputs_gets_a_folder_for_each(tmp_path: Path) -> None:
    model = parse(
        "net (float[1,4] x, float[2] state) => (float[1,4] y, float[2] next) { y = Exp(x) next = Exp(state) }"
    )
    for name in ("x", "state"):
        (tmp_path / "data" / "calib" / name).mkdir(parents=True)
        np.save(tmp_path / "data" / "calib" / name / "0.npy", weights(4))
    program = load_program(written(tmp_path, model))
    assert [(item.name, item.shape) for item in program.inputs] == [("x", (1, 4)), ("state", (2,))]
    assert [feed.input for feed in program.datasets["calib"].feeds] == ["x", "state"]


def test_scheme_and_type_of_the_target_are_used(tmp_path: Path) -> None:
    program = load_program(written(tmp_path, image_model(), scheme="dynamic_fixed_point", type_="i16"))
    settings = program.variants["i16"].settings
    assert (settings["scheme"], settings["type"]) == ("dynamic_fixed_point", "i16")


def test_free_extents_are_left_for_the_user_with_their_names(tmp_path: Path) -> None:
    model = parse("net (float[N,3,height,width] x) => (float[a,b,c,d] y) { y = Conv(x, k) }", k=weights(2, 3, 3, 3))
    text = written(tmp_path, model).read_text(encoding="utf-8")
    assert "shape = 1x3x?x?" in text
    assert "height, width" in text


def test_the_same_model_gives_the_same_text(tmp_path: Path) -> None:
    assert written(tmp_path, image_model()).read_text() == written(tmp_path, image_model()).read_text()


def test_a_description_says_what_is_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(image_model())
    description = describe_model(tmp_path / "net.onnx")
    assert description.inputs["pixels"].shape == (0, 3, 8, 9)
    assert description.symbols["pixels"] == ("N", "", "", "")
    assert description.operators == {"Conv": 1, "Sub": 1}
    assert is_image(description, "pixels")
    assert guessed_layout(description.inputs["pixels"]) == "NCHW"


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        describe_model(tmp_path / "net.h5")
    assert caught.value.diagnostics[0].code == "E0401"
    assert ".onnx" in caught.value.diagnostics[0].helps[0]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mobilenet_v2_1.0_224", "mobilenet_v2_1_0_224"),
        ("mnist-8", "mnist-8"),
        ("8bit", "m_8bit"),
        ("a--b-", "a_b"),
        ("from", "m_from"),
        ("größe", "gr_e"),
        ("...", "model"),
    ],
)
def test_file_names_become_names_of_the_language(text: str, name: str) -> None:
    assert identifier(text) == name


def test_strings_are_escaped() -> None:
    assert quoted('a"b\\c$d') == '"a\\"b\\\\c$$d"'
