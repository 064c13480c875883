"""Rules that hold for every file of the repository."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TEXT = {".py", ".npu", ".lark", ".md", ".toml", ".yaml", ".yml", ".c", ".h", ".txt", ".json", ".quant", ".lock", ""}
FOLDERS = ("npudsl", "grammar", "pipelines", "examples", "benchmarks", "tests", "docs", "changelog.d", ".ci")
NOT_OURS = {"out", "__pycache__", ".npudsl"}

MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:home|root|work|opt|srv|mnt|Users|farm)/\w")
REGISTRY = re.compile(
    "|".join([r"pypi\.\w+", r"python" + "hosted", "index" + "-url", "arti" + "factory", r"conda\.io"])
)
EXECUTABLE_FORMATS = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}


def texts(repository: Path) -> list[Path]:
    files = [file for file in repository.iterdir() if file.is_file()]
    files += [file for folder in FOLDERS for file in (repository / folder).rglob("*") if file.is_file()]
    return [file for file in files if file.suffix in TEXT and not NOT_OURS & set(file.relative_to(repository).parts)]


def sources(repository: Path) -> list[Path]:
    return sorted((repository / "npudsl").rglob("*.py"))


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY], ids=["paths of one machine", "package registries"])
def test_no_text_names_a_machine(pattern, repository):
    found = [
        f"{file.relative_to(repository)}:{number}: {line.strip()}"
        for file in texts(repository)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]

    assert found == []


def test_nothing_imports_a_format_that_can_run_code(repository):
    found = []
    for file in sources(repository):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{file.relative_to(repository)}: {name}" for name in names if name in EXECUTABLE_FORMATS]
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", 1):
                found.append(f"{file.relative_to(repository)}: allow_pickle")

    assert found == []


def test_every_module_says_what_it_is_for(repository):
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sources(repository)}
    without = [
        str(file.relative_to(repository)) for file, tree in trees.items() if tree.body and not ast.get_docstring(tree)
    ]

    assert without == []


def test_no_work_is_left_for_later_in_the_source(repository):
    words = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|raise NotImplemented" + r"Error")
    found = [
        f"{file.relative_to(repository)}:{number}"
        for file in sources(repository)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if words.search(line)
    ]

    assert found == []


def test_test_files_have_names_of_their_own(repository):
    names = [file.name for file in (repository / "tests").rglob("test_*.py")]

    assert sorted(set(names)) == sorted(names)


def test_the_readme_has_the_two_commands_that_ci_runs(repository):
    blocks = re.findall(r"^```sh\n(.*?)^```$", (repository / "README.md").read_text(), re.MULTILINE | re.DOTALL)

    assert len(blocks) == 2
    assert "npu build examples/01_digits/digits.npu" in blocks[0]
    assert blocks[1].rstrip().endswith(".venv/bin/pytest")
