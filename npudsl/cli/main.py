"""The commands: a table of name, module and one line of help. A module is imported when its command is called."""

from __future__ import annotations

import difflib
import importlib
import os
import sys

COMMANDS = {
    "init": ("npudsl.cli.cmd_init", "Write a pipeline for a model file."),
    "check": ("npudsl.cli.cmd_check", "Parse and check a pipeline; with the model also names, shapes and data."),
    "plan": ("npudsl.cli.cmd_plan", "Say what a build would run and why, without running it."),
    "build": ("npudsl.cli.cmd_build", "Bring a pipeline up to date."),
    "diff": ("npudsl.cli.cmd_diff", "Say what two revisions of a pipeline mean differently."),
    "explain": ("npudsl.cli.cmd_explain", "Explain a code, a key, or a layer, tensor or step and what decides about it."),
    "report": ("npudsl.cli.cmd_report", "Show how the last build compares with the float model, layer by layer."),
    "graph": ("npudsl.cli.cmd_graph", "Print the steps or the model as a graph."),
    "layers": ("npudsl.cli.cmd_layers", "List the layers that override rules can name."),
    "targets": ("npudsl.cli.cmd_targets", "List the known chips."),
    "doctor": ("npudsl.cli.cmd_doctor", "Look at this machine: packages, tools, cache."),
    "cache": ("npudsl.cli.cmd_cache", "Look at the cache."),
}


def run(arguments: list[str]) -> int:
    """Run a command line; returns the exit code."""
    limit_threads()
    if arguments == ["--version"]:
        from npudsl import __version__

        print(f"npu {__version__} (language 1)")
        return 0
    command = next((word for word in arguments if not word.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        return _unknown_command(command)
    from npudsl.cli.guard import guarded

    return guarded(lambda: _typer_run(arguments, command))


def limit_threads() -> None:
    """One BLAS thread: parts already run side by side, and results must not depend on a thread count.

    Set before the first import of numpy; a user's own setting wins.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _typer_run(arguments: list[str], command: str | None) -> int:
    import typer

    app = typer.Typer(
        name="npu",
        help="One text file per model for small NPUs: import, calibrate, quantize, simulate, export, compare.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_group)
    for name, (module, line) in COMMANDS.items():
        if command is None:
            app.command(name, help=line)(_listed)
        elif command == name:
            importlib.import_module(module).register(app, name, line)
    result = app(args=arguments, prog_name="npu", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _group() -> None:
    """One text file per model for small NPUs: import, calibrate, quantize, simulate, export, compare."""


def _listed() -> None:
    """Stands for a command in the list of commands."""


def _unknown_command(command: str) -> int:
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"; did you mean `npu {near[0]}`?" if near else ""
    print(f"npu: there is no command `{command}`{hint} `npu --help` lists them", file=sys.stderr)
    return 2
