"""Turns everything that can end a command into text and an exit code. No traceback reaches a user."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from npudsl.diagnostics import Diagnostic, NpuError

INTERNAL_ERROR = 70
INTERRUPTED = 130


def guarded(command: Callable[[], int]) -> int:
    """Run a command; print what ended it and return the exit code."""
    try:
        return command()
    except NpuError as error:
        show_diagnostics(error.diagnostics)
        return error.exit_code
    except (KeyboardInterrupt, EOFError):
        _leave(INTERRUPTED, "interrupted; every finished part is kept, the next build goes on from there")
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 141
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except Exception as error:
        usage = _usage_error(error)
        if usage is not None:
            print(usage, file=sys.stderr)
            return 2
        return _internal(error)
    return INTERNAL_ERROR


def show_diagnostics(diagnostics: tuple[Diagnostic, ...], *, as_json: bool = False) -> None:
    """Print diagnostics: text on stderr with one blank line between them, or one JSON document on stdout."""
    from npudsl.cli.color import code_painter, wants_color
    from npudsl.diagnostics.render import render, to_json

    if as_json:
        import json

        print(json.dumps({"format": 1, "diagnostics": [to_json(item) for item in diagnostics]}, indent=2))
        return
    color = wants_color(sys.stderr)
    paint_code = code_painter() if color else None
    print("\n\n".join(render(item, color=color, paint_code=paint_code) for item in diagnostics), file=sys.stderr)


def _usage_error(error: Exception) -> str | None:
    """The text of the argument parser's own errors, which carry an exit code and a formatter."""
    formatted = getattr(error, "format_message", None)
    if not callable(formatted):
        return None
    context = getattr(error, "ctx", None)
    usage = f"{context.get_usage()}\n" if context is not None else ""
    return f"{usage}npu: {formatted()}"


def _internal(error: Exception) -> int:
    import tempfile
    import traceback

    handle, name = tempfile.mkstemp(prefix="npu-bug-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(f"npu {' '.join(sys.argv[1:])}\n\n")
        traceback.print_exception(error, file=stream)
    print(
        f"error[E0999]: npudsl has a bug: {type(error).__name__}: {error}\n"
        f"   = note: details are in {name}\n"
        "   = help: please report it with that file; nothing that was built before is lost",
        file=sys.stderr,
    )
    return INTERNAL_ERROR


def _leave(code: int, text: str) -> None:
    """End now: worker threads may be deep in a computation that cannot be interrupted."""
    print(text, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
