"""The wheel is complete: installed alone, it builds the example."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    """The wheel of this checkout, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(repository)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_everything_that_is_not_python(wheel, repository):
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [
        str(file.relative_to(repository))
        for pattern in (
            "npudsl/targets/**/*.yaml",
            "npudsl/targets/saved.json",
            "npudsl/language/npu.table",
            "npudsl/runtime_c/**/*.[ch]",
            "npudsl/backends/**/templates/*",
            "npudsl/py.typed",
        )
        for file in repository.glob(pattern)
    ]

    assert {"npudsl/language/npu.lark", *data} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "examples/")) for name in names)


def test_the_installed_wheel_builds_the_example(wheel, repository, tmp_path):
    python = environment_with(wheel, tmp_path / "venv")
    example = tmp_path / "example"
    shutil.copytree(repository / "examples" / "01_digits", example, ignore=shutil.ignore_patterns("out", ".npudsl"))
    surroundings = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}

    where = run([python, "-c", "import npudsl; print(npudsl.__file__)"], tmp_path, surroundings)
    run([python.with_name("npu"), "build", "digits.npu"], example, surroundings)

    assert Path(where.strip()).is_relative_to(tmp_path)
    assert (example / "out" / "digits_hybrid.onnx").is_file()


def environment_with(wheel: Path, folder: Path) -> Path:
    """A virtual environment that has the wheel, and sees this environment's libraries but not its npudsl."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    python = folder / "bin" / "python"
    site = next((folder / "lib").glob("python*/site-packages"))
    # A .pth file adds the folder only: the .pth of an editable install inside of it is not read.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*install, str(wheel)], check=True)
    return python


def run(command: list[object], folder: Path, environment: dict[str, str]) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
