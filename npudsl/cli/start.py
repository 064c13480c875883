"""Where ``npu`` starts. Answers "up to date" itself and loads the rest only when there is more to do.

Exit codes: 0 success; 1 the answer is no (errors in the program, a requirement not met); 2 wrong use of the command
line; 3 changes present (only with ``--exit-code``); 4 a step failed; 5 a tool, package or permission is missing;
70 a bug of npudsl; 130 interrupted.
"""

from __future__ import annotations

import sys

FAST_FLAGS = frozenset({"-q", "--quiet", "--json"})
FAST_FLAGS_WITH_VALUE = frozenset({"-j", "--jobs", "--root"})


def main() -> None:
    """Entry point of the command ``npu``."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["build"]:
        code = _answer_up_to_date(arguments[1:])
        if code is not None:
            raise SystemExit(code)
    from npudsl.cli.main import run

    raise SystemExit(run(arguments))


def _answer_up_to_date(arguments: list[str]) -> int | None:
    """Print and return the exit code when every named program is up to date; None when the build must look closer."""
    parsed = _simple_build(arguments)
    if parsed is None:
        return None
    programs, roots, as_json = parsed
    from npudsl.engine.snapshot import up_to_date

    options = " ".join(sorted(roots))
    snapshots = []
    for program in programs:
        snapshot = up_to_date(program, options)
        if snapshot is None:
            return None
        snapshots.append(snapshot)
    if as_json:
        import json

        sys.stdout.write(json.dumps({"format": 1, "builds": [snapshot.result for snapshot in snapshots]}) + "\n")
    else:
        sys.stdout.write("".join(f"{snapshot.summary}\n" for snapshot in snapshots))
    return max(snapshot.exit_code for snapshot in snapshots)


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
