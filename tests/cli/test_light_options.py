"""Command lines of light commands: read by the signature alone, or left to the argument library."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.main import get_command

from npudsl.cli.main import COMMANDS
from npudsl.cli.options import Argument, Option, bound, light, parameters, register


@light
def command(
    files: Annotated[list[Path] | None, Argument(help="Files.")] = None,
    dry: Annotated[bool, Option("--dry", "-n", help="Dry.")] = False,
    jobs: Annotated[int | None, Option("--jobs", "-j", help="Jobs.")] = None,
    form: Annotated[str, Option("--format", help="Form.", choices=("text", "json"))] = "text",
    allow: Annotated[list[str] | None, Option("--allow", help="Allow.")] = None,
) -> int:
    """Do something."""
    return 0


@light
def of_one(
    program: Annotated[Path, Argument(help="A file.")],
    pattern: Annotated[str | None, Argument(help="A pattern.")] = None,
) -> int:
    """Do something with one file."""
    return 0


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([], {}),
        (["a", "b"], {"files": [Path("a"), Path("b")]}),
        (["-"], {"files": [Path("-")]}),
        (["--dry", "a"], {"dry": True, "files": [Path("a")]}),
        (["-n"], {"dry": True}),
        (["-j", "3"], {"jobs": 3}),
        (["--jobs=3"], {"jobs": 3}),
        (["--format", "json"], {"form": "json"}),
        (["--allow", "x", "--allow=y"], {"allow": ["x", "y"]}),
        (["--", "--dry"], {"files": [Path("--dry")]}),
    ],
)
def test_a_well_formed_line_is_read(words, values):
    assert bound(command, words) == values


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["-h"],
        ["--dri"],
        ["--dry=1"],
        ["--jobs"],
        ["--jobs", "x"],
        ["--format", "xml"],
        ["-nj3"],
        ["--no-dry"],
    ],
)
def test_everything_else_is_left_to_the_library(words):
    assert bound(command, words) is None


def test_single_arguments_are_taken_in_order_and_no_more():
    assert bound(of_one, ["a"]) == {"program": Path("a")}
    assert bound(of_one, ["a", "*"]) == {"program": Path("a"), "pattern": "*"}
    assert bound(of_one, []) is None
    assert bound(of_one, ["a", "b", "c"]) is None


def light_commands() -> dict[str, object]:
    modules = {name: importlib.import_module(module) for name, (module, _) in COMMANDS.items()}
    return {
        name: module.run for name, module in modules.items() if getattr(getattr(module, "run", None), "is_light", False)
    }


def test_the_commands_that_look_at_text_alone_are_light():
    assert {"check", "fmt", "fix", "show", "schema"} <= set(light_commands())


@pytest.mark.parametrize("name", sorted(light_commands()))
def test_the_library_knows_a_light_command_by_the_same_options(name):
    run = light_commands()[name]
    app = typer.Typer()
    importlib.import_module(COMMANDS[name][0]).register(app, name, "Line.")
    made = {parameter.name: parameter for parameter in get_command(app).params}
    for parameter in parameters(run):
        theirs = made[parameter.name]
        assert theirs.help == parameter.spec.help
        if isinstance(parameter.spec, Option):
            assert set(theirs.opts) == set(parameter.spec.names)


WORDS = ["--dry", "-n", "--jobs", "3", "x", "--format", "json", "--allow", "--", "-", "=", "--jobs=2"]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(WORDS), max_size=8))
def test_a_line_that_is_read_means_what_it_means_to_the_library(words):
    found = bound(command, words)
    if found is None:
        return
    app = typer.Typer()
    app.callback()(lambda: None)
    seen = {}

    def recorded(**values: object) -> int:
        seen.update(values)
        return 0

    recorded.__signature__ = inspect.signature(command)
    recorded.__annotations__ = command.__annotations__
    register(app, "x", "Line.", recorded)
    get_command(app)(["x", *words], standalone_mode=False)
    defaults = {"files": None, "dry": False, "jobs": None, "form": "text", "allow": None}
    assert {key: value or None for key, value in seen.items()} == {
        key: value or None for key, value in {**defaults, **found}.items()
    }
