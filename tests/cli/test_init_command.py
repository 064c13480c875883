"""``npu init``: pipelines that check and build, for every public ONNX model at hand; and git made at home."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from npu_inside import npu_inside
from onnx_models import parse, weights

from npudsl.api.git_setup import ATTRIBUTES, IGNORED

MODELS = {
    "mnist": "models/mnist/mnist-8.onnx",
    "squeezenet": "models/squeezenet1.1/squeezenet1.1-7.onnx",
    "mobilenet_v2": "models/mobilenet_v2_1.0_224/mobilenet_v2_1.0_224.onnx",
    "ultraface": "models/ultraface-rfb320/version-RFB-320.onnx",
    "dtln": "models/dtln/dtln_model_1.onnx",
}

PICTURES = {
    "mnist": "datasets/mnist/png",
    "squeezenet": "datasets/imagenet-cc/images",
    "mobilenet_v2": "datasets/imagenet-cc/images",
    "ultraface": "datasets/faces",
}


def example_model() -> bytes:
    """A network of one convolution."""
    body = "g (float[1,3,8,8] image) => (float[1,4,8,8] scores) { scores = Conv <pads=[1,1,1,1]> (image, w) }"
    return parse(body, w=weights(4, 3, 3, 3))


def started(shared: Path, name: str, folder: Path) -> Path:
    """A project with the model and the pipeline that init writes for it."""
    model = shared / MODELS[name]
    shutil.copy(model, folder)
    npu(folder, "init", model.name, "--target", "V853")
    return folder / f"{model.stem}.npu"


def npu(folder: Path, *arguments: str, code: int | None = 0) -> str:
    return npu_inside(folder, folder / "cache", *arguments, code=code).text


def fill_with_pictures(shared: Path, name: str, folder: Path, most: int) -> None:
    place = folder / "data" / "calib"
    place.mkdir(parents=True)
    for picture in sorted((shared / PICTURES[name]).iterdir())[:most]:
        shutil.copy(picture, place)


@pytest.mark.parametrize("name", MODELS)
def test_the_pipeline_of_every_public_model_has_no_problems(name, shared, tmp_path):
    program = started(shared, name, tmp_path)

    assert npu(tmp_path, "check", program.name, "--no-model").strip() == "no problems"


def test_the_pipeline_builds_as_soon_as_its_folder_is_filled(shared, tmp_path):
    program = started(shared, "mnist", tmp_path)
    fill_with_pictures(shared, "mnist", tmp_path, 10)

    npu(tmp_path, "build", program.name, "-q")

    assert (tmp_path / "out" / "mnist-8" / "Makefile").is_file()
    assert (tmp_path / "mnist-8.u8.quant").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet", "ultraface"])
def test_the_pipelines_of_larger_models_build_too(name, shared, tmp_path):
    program = started(shared, name, tmp_path)
    fill_with_pictures(shared, name, tmp_path, 10)

    npu(tmp_path, "build", program.name, "-q")

    assert (tmp_path / f"{program.stem}.u8.quant").is_file()


@pytest.mark.slow
def test_a_model_that_eight_bits_are_too_few_for_builds_and_fails_its_requirement(shared, tmp_path):
    program = started(shared, "mobilenet_v2", tmp_path)
    fill_with_pictures(shared, "mobilenet_v2", tmp_path, 10)

    said = npu(tmp_path, "build", program.name, "-q", code=1)

    assert "error[E0701]: cosine" in said
    assert "layers with the largest own error: depthwise_conv_2d_" in said
    assert (tmp_path / f"{program.stem}.u8.quant").is_file()


@pytest.mark.slow
def test_a_recurrent_model_with_two_inputs_builds_from_one_folder_for_each(shared, tmp_path):
    program = started(shared, "dtln", tmp_path)
    random = np.random.default_rng(1)
    for name, shape in (("input_2", (1, 1, 257)), ("input_3", (1, 2, 128, 2))):
        place = tmp_path / "data" / "calib" / name
        place.mkdir(parents=True)
        for index in range(10):
            np.save(place / f"{index}.npy", random.normal(size=shape).astype(np.float32))

    said = npu(tmp_path, "build", program.name, "-q")

    assert "verdict: outputs follow the reference" in said


def test_the_model_may_be_named_with_from(tmp_path):
    (tmp_path / "small.onnx").write_bytes(example_model())

    npu(tmp_path, "init", "--from", "small.onnx", "--target", "V853", "-o", "mine.npu")

    assert 'file = "small.onnx"' in (tmp_path / "mine.npu").read_text()


def test_an_existing_pipeline_is_left_as_it_is(tmp_path):
    (tmp_path / "small.onnx").write_bytes(example_model())
    (tmp_path / "small.npu").write_text("# mine\n")

    said = npu(tmp_path, "init", "small.onnx", "--target", "V853", code=1)

    assert "error[E0004]: small.npu exists already" in said
    assert (tmp_path / "small.npu").read_text() == "# mine\n"


def test_a_model_outside_of_a_new_project_gets_a_named_root(tmp_path):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "small.onnx").write_bytes(example_model())
    project = tmp_path / "project"
    project.mkdir()

    npu(project, "init", "../zoo/small.onnx", "--target", "V853")

    assert 'file = "@models/small.onnx"' in (project / "small.npu").read_text()
    assert npu(project, "check", "small.npu", "--no-model").strip() == "no problems"


def test_a_model_outside_of_a_project_with_settings_needs_a_named_root(tmp_path):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "small.onnx").write_bytes(example_model())
    project = tmp_path / "project"
    project.mkdir()
    (project / "npudsl.yaml").write_text("cache: cache\n")

    said = npu(project, "init", "../zoo/small.onnx", "--target", "V853", code=1)
    (project / "npudsl.yaml").write_text("roots: {models: ../zoo}\n")
    npu(project, "init", "../zoo/small.onnx", "--target", "V853")

    assert "error[E0216]" in said
    assert "`roots: {models: ../zoo}`" in said
    assert 'file = "@models/small.onnx"' in (project / "small.npu").read_text()
    assert npu(project, "check", "small.npu", "--no-model").strip() == "no problems"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name the model file"),
        (("small.onnx",), "say which chip"),
        (("--target", "V853", "--git"), "--target and --output are about a model file"),
        (("a.onnx", "--from", "b.onnx", "--target", "V853"), "given twice"),
    ],
)
def test_what_does_not_go_together_is_wrong_use(arguments, said, tmp_path):
    assert said in npu(tmp_path, "init", *arguments, code=2)


# Git


@pytest.fixture
def repository_folder(tmp_path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_git_gets_attributes_ignored_folders_and_configuration(repository_folder):
    said = npu(repository_folder, "init", "--git")

    assert (repository_folder / ".gitattributes").read_text() == "".join(f"{line}\n" for line in ATTRIBUTES)
    assert (repository_folder / ".gitignore").read_text() == "".join(f"{line}\n" for line in IGNORED)
    assert "diff.npu.xfuncname" in git(repository_folder, "config", "--local", "--list")
    assert "git config diff.npu.xfuncname '" in said


def test_a_second_time_changes_nothing(repository_folder):
    npu(repository_folder, "init", "--git")
    before = {name: (repository_folder / name).read_text() for name in (".gitattributes", ".gitignore")}

    said = npu(repository_folder, "init", "--git")

    assert said.startswith(".gitattributes and .gitignore have all they need\n")
    assert {name: (repository_folder / name).read_text() for name in before} == before


def test_lines_and_settings_that_are_there_stay(repository_folder):
    (repository_folder / ".gitattributes").write_text("*.png binary\n*.quant diff=mine")
    (repository_folder / ".gitignore").write_text("/out\n*.o\n")
    git(repository_folder, "config", "diff.npu.xfuncname", "mine")

    said = npu(repository_folder, "init", "--git")

    assert (repository_folder / ".gitattributes").read_text() == (
        "*.png binary\n*.quant diff=mine\n*.npu diff=npu\n*.quant linguist-generated=false\n"
    )
    assert (repository_folder / ".gitignore").read_text() == "/out\n*.o\n.npudsl/\n"
    assert git(repository_folder, "config", "diff.npu.xfuncname").strip() == "mine"
    assert "left as it is: diff.npu.xfuncname = mine\n" in said


def test_outside_of_a_repository_the_commands_are_printed(tmp_path):
    said = npu(tmp_path, "init", "--git")

    assert "in no git repository yet" in said
    assert "git config diff.npuquant.wordRegex" in said
    assert (tmp_path / ".gitattributes").is_file()


def test_json_tells_what_was_done(repository_folder):
    (repository_folder / "small.onnx").write_bytes(example_model())

    document = json.loads(npu(repository_folder, "init", "small.onnx", "--target", "V853", "--git", "--json"))

    assert document["program"] == "small.npu"
    assert document["git"]["added"] == {".gitattributes": list(ATTRIBUTES), ".gitignore": list(IGNORED)}
    assert "diff.npu.xfuncname" in document["git"]["configured"]


def test_hunks_of_a_program_then_name_the_block_they_are_in(repository_folder):
    npu(repository_folder, "init", "--git")
    inner = "".join(f"  # {number}\n" for number in range(10))
    text = f'npu 1\n\nquantize hybrid from base {{ # why\n{inner}  layers "{{a,b}}" type=i16\n}}\n'
    text += f"dataset test {{\n{inner}  skip = 1\n}}\n"
    (repository_folder / "net.npu").write_text(text)
    git(repository_folder, "add", "-A")
    git(repository_folder, "commit", "-q", "-m", "a pipeline")
    (repository_folder / "net.npu").write_text(text.replace("i16", "i8").replace("skip = 1", "skip = 2"))

    hunks = [line for line in git(repository_folder, "diff", "-U0").splitlines() if line.startswith("@@")]

    assert [hunk.rpartition("@@ ")[2] for hunk in hunks] == ["quantize hybrid from base", "dataset test"]
