"""Where ``npu`` starts. Answers "up to date" itself and loads the rest only when there is more to do.

Exit codes: 0 success; 1 the answer is no (errors in the program, a requirement not met); 2 wrong use of the command
line; 3 changes present (only with ``--exit-code``); 4 a step failed; 5 a tool, package or permission is missing;
70 a bug of npudsl; 130 interrupted.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FAST_FLAGS = frozenset({"-q", "--quiet", "--json", "-k", "--keep-going", "--locked", "--explain", "--require-cached"})
"""Options of a build that make no difference when there is nothing to do."""

FAST_FLAGS_WITH_VALUE = frozenset({"-j", "--jobs", "--root"})


def main() -> None:
    """Entry point of the command ``npu``."""
    try:
        arguments = sys.argv[1:]
        if arguments[:1] == ["build"]:
            code = _answer_up_to_date(arguments[1:])
            if code is not None:
                raise SystemExit(code)
        from npudsl.cli.main import run

        code = run(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = 130
    raise SystemExit(code)


def _answer_up_to_date(arguments: list[str]) -> int | None:
    """Print and return the exit code when every named program is up to date; None when the build must look closer."""
    parsed = _simple_build(arguments)
    if parsed is None:
        return None
    programs, roots, as_json = parsed
    from npudsl.engine.snapshot import identity, options_text, up_to_date

    options = options_text(roots)
    tool = identity()
    snapshots = []
    for program in programs:
        snapshot = up_to_date(program, options, tool)
        if snapshot is None:
            return None
        snapshots.append(snapshot)
    if as_json:
        sys.stdout.write(json_document(snapshot.result for snapshot in snapshots) + "\n")
    else:
        sys.stdout.write("".join(f"{snapshot.summary}\n" for snapshot in snapshots))
    return max(snapshot.exit_code for snapshot in snapshots)


def json_document(builds: Iterable[str]) -> str:
    """What ``npu build --json`` prints, from the JSON texts of the programs' reports."""
    return '{"format": 1, "builds": [' + ", ".join(builds) + "]}"


def _simple_build(arguments: list[str]) -> tuple[list[str], list[str], bool] | None:
    """Programs, roots and whether JSON is wanted, when nothing else is asked for."""
    programs: list[str] = []
    roots: list[str] = []
    as_json = False
    rest = iter(arguments)
    for argument in rest:
        if argument in FAST_FLAGS:
            as_json = as_json or argument == "--json"
        elif argument in FAST_FLAGS_WITH_VALUE:
            value = next(rest, None)
            if value is None:
                return None
            if argument == "--root":
                roots.append(value)
        elif argument.endswith(".npu") and not argument.startswith("-"):
            programs.append(argument)
        else:
            return None
    return (programs, roots, as_json) if programs else None
