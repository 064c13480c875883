"""One build of the digits example for all commands that look at a build."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from npu_command import digits_copy
from npu_inside import npu_inside


class Built:
    """A built project with its cache. ``copy`` gives one that may be changed."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.cache = cache

    def __call__(self, *arguments: str, code: int | None = 0) -> str:
        """Run ``npu``; what it prints on standard output."""
        return self.run(*arguments, code=code).out

    def run(self, *arguments: str, code: int | None = 0):
        return npu_inside(self.folder, self.cache, *arguments, code=code)

    def edit(self, old: str, new: str) -> None:
        path = self.folder / "digits.npu"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def copy(self, place: Path) -> Built:
        shutil.copytree(self.folder, place / "project")
        return Built(place / "project", self.cache)


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Built:
    """The built example; tests that change it take a copy."""
    npu = digits_copy(tmp_path_factory.mktemp("built-digits"))
    npu("build", "digits.npu", "-q")
    return Built(npu.folder, npu.cache)


@pytest.fixture
def own_digits(digits, tmp_path) -> Built:
    """A copy of the built example that a test may change; the cache is shared."""
    return digits.copy(tmp_path)
