"""The commands: a table of name, module and one line of help. A module is imported when its command is called."""

from __future__ import annotations

import importlib
import os
import sys

COMMANDS = {
    "init": ("npudsl.cli.cmd_init", "Write a pipeline for a model file."),
    "check": ("npudsl.cli.cmd_check", "Parse and check a pipeline; with the model also names, shapes and data."),
    "fmt": ("npudsl.cli.cmd_fmt", "Lay out program text."),
    "fix": ("npudsl.cli.cmd_fix", "Apply the edits that findings offer."),
    "show": ("npudsl.cli.cmd_show", "Print the evaluated pipeline."),
    "plan": ("npudsl.cli.cmd_plan", "Say what a build would run and why, without running it."),
    "build": ("npudsl.cli.cmd_build", "Bring a pipeline up to date."),
    "diff": ("npudsl.cli.cmd_diff", "Say what two revisions of a pipeline mean differently."),
    "explain": (
        "npudsl.cli.cmd_explain",
        "Explain a code, a key, or a layer, tensor or step and what decides about it.",
    ),
    "report": ("npudsl.cli.cmd_report", "Show how the last build compares with the float model, layer by layer."),
    "graph": ("npudsl.cli.cmd_graph", "Print the steps or the model as a graph."),
    "layers": ("npudsl.cli.cmd_layers", "List the layers that override rules can name."),
    "completion": ("npudsl.cli.cmd_completion", "Print the completion script of a shell."),
    "lock": ("npudsl.cli.cmd_lock", "Check the committed lock, or mend it after a merge."),
    "targets": ("npudsl.cli.cmd_targets", "List the known chips."),
    "schema": ("npudsl.cli.cmd_schema", "Print the JSON Schema of the evaluated form, or the keys of the language."),
    "doctor": ("npudsl.cli.cmd_doctor", "Look at this machine: packages, tools, cache."),
    "cache": ("npudsl.cli.cmd_cache", "Look at the cache, check it, carry it elsewhere."),
}


def run(arguments: list[str]) -> int:
    """Run a command line; returns the exit code."""
    limit_threads()
    if any(word.startswith("--color") for word in arguments):
        from npudsl.cli.color import CHOICES, without_color_option

        plain = without_color_option(arguments)
        if plain is None:
            print(f"npu: --color takes {', '.join(CHOICES)}", file=sys.stderr)
            return 2
        arguments = plain
    if arguments == ["--version"]:
        from npudsl import __version__

        print(f"npu {__version__} (language 1)")
        return 0
    command = next((word for word in arguments if not word.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        return _unknown_command(command)
    from npudsl.cli.guard import guarded

    return guarded(lambda: _dispatch(arguments, command))


def _dispatch(arguments: list[str], command: str | None) -> int:
    """A well-formed line of a light command at once; everything else through the argument library."""
    completing = completed_words()
    if completing is not None:
        command = next((word for word in completing if word in COMMANDS), None)
    elif command is not None and arguments[0] == command:
        run = getattr(importlib.import_module(COMMANDS[command][0]), "run", None)
        if run is not None and getattr(run, "is_light", False):
            from npudsl.cli.options import bound

            values = bound(run, arguments[1:])
            if values is not None:
                code: int = run(**values)
                return code
    return library_run(arguments, command)


def completed_words() -> list[str] | None:
    """The words of the command line that a shell wants completed; None when this is no completion."""
    if "_NPU_COMPLETE" not in os.environ:
        return None
    return os.environ.get("_TYPER_COMPLETE_ARGS", os.environ.get("COMP_WORDS", "")).split()[1:]


def limit_threads() -> None:
    """One BLAS thread: parts already run side by side, and results must not depend on a thread count.

    Set before the first import of numpy; a user's own setting wins.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def library_run(arguments: list[str], command: str | None) -> int:
    """Run through the argument library, which also prints help and answers a shell's questions."""
    import typer

    app = typer.Typer(
        name="npu",
        help="One text file per model for small NPUs: import, calibrate, quantize, simulate, export, compare.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def group(
        color: str = typer.Option("auto", "--color", metavar="auto|always|never", help="With any command."),
        version: bool = typer.Option(False, "--version", help="Print the version."),
    ) -> None:
        """The options before a command; they are taken from the line before this is called."""

    app.callback()(group)
    for name, (module, line) in COMMANDS.items():
        if command is None:
            app.command(name, help=line)(_listed)
        elif command == name:
            importlib.import_module(module).register(app, name, line)
    result = app(args=arguments, prog_name="npu", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _listed() -> None:
    """Stands for a command in the list of commands."""


def _unknown_command(command: str) -> int:
    import difflib

    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"; did you mean `npu {near[0]}`?" if near else ""
    print(f"npu: there is no command `{command}`{hint} `npu --help` lists them", file=sys.stderr)
    return 2
