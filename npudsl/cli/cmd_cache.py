"""``npu cache``: look at the cache, check it, and keep it small."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from npudsl.api.project import open_cache
from npudsl.diagnostics import Diagnostic, UserError


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the group to ``app``."""
    group = typer.Typer(help=line, no_args_is_help=True, rich_markup_mode=None)
    group.callback()(_group)
    group.command("stat", help="Counts and sizes.")(stat)
    group.command("path", help="Where the cache is.")(path)
    group.command("verify", help="Hash every blob again and put damaged ones aside.")(verify)
    group.command("gc", help="Remove what is cheap to make again.")(gc)
    app.add_typer(group, name=name)


def _group() -> None:
    """Look at the cache."""


def stat(as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False) -> int:
    """Counts and sizes."""
    cache = open_cache()
    found = cache.statistics()
    cache.close()
    if as_json:
        print(json.dumps({"format": 1, **found.__dict__}))
        return 0
    print(f"cache    {found.root}")
    print(f"results  {found.results}")
    print(f"blobs    {found.blobs} ({found.blob_bytes / 2**20:.1f} MiB)")
    if found.quarantined:
        print(f"damaged blobs put aside: {found.quarantined} (in quarantine/; they were made again when needed)")
    return 0


def path() -> int:
    """Where the cache is."""
    cache = open_cache()
    print(cache.root)
    cache.close()
    return 0


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Hash every blob again."""
    cache = open_cache()
    intact, damaged = cache.verify()
    cache.close()
    if as_json:
        print(json.dumps({"format": 1, "intact": intact, "damaged": damaged}))
    else:
        print(f"{intact} blobs intact, {len(damaged)} damaged")
        for digest in damaged:
            print(f"  put aside: {digest} (it is made again when a build needs it)")
    return 1 if damaged else 0


def gc(
    max_size: Annotated[str, typer.Option("--max", help="Keep at most this much, e.g. 20GiB, 500MiB or 0.")] = "20GiB",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed and remove nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Remove what is cheap to make again."""
    from npudsl.store.collect import collect

    limit = _bytes(max_size)
    cache = open_cache()
    found = collect(cache, limit_bytes=limit, dry_run=dry_run)
    cache.close()
    if as_json:
        print(json.dumps({"format": 1, "dry_run": dry_run, **found.__dict__}))
    else:
        verb = "would remove" if dry_run else "removed"
        print(f"{verb} {found.results} results and {found.blobs} blobs ({found.freed_bytes / 2**20:.1f} MiB);", end=" ")
        print(f"{found.kept_bytes / 2**20:.1f} MiB stay")
    return 0


def _bytes(text: str) -> int:
    """``20GiB`` as bytes; raises ``UserError``."""
    units = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "": 1}
    for unit, factor in units.items():
        number = text.removesuffix(unit) if unit else text
        if (unit and text.endswith(unit)) or not unit:
            try:
                return int(float(number) * factor)
            except ValueError:
                break
    raise UserError([Diagnostic("E0005", f"--max takes a size such as 20GiB or 500MiB, not {text!r}")])
