"""``npu cache``: look at the cache, check it, keep it small, carry it elsewhere, ask it why."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from npudsl.api.project import open_cache
from npudsl.api.settings import parse_size
from npudsl.cli.programs import chosen_programs, parsed_roots
from npudsl.diagnostics import Diagnostic, UserError

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Root = Annotated[list[str] | None, typer.Option(help="NAME=FOLDER for paths that start with @NAME.")]
Program = Annotated[Path | None, typer.Argument(help="The .npu file; without one, the only one here.")]


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the group to ``app``."""
    group = typer.Typer(help=line, no_args_is_help=True, rich_markup_mode=None)
    group.callback()(_group)
    group.command("stat", help="Counts and sizes.")(stat)
    group.command("path", help="Where the cache is.")(path)
    group.command("verify", help="Hash every blob again and put damaged ones aside.")(verify)
    group.command("gc", help="Remove what is cheap to make again.")(gc)
    group.command("why", help="Show what stands behind the keys of a step, and what differs from the last build.")(why)
    group.command("export", help="Write what a pipeline's plan uses into one file, for CI.")(export)
    group.command("import", help="Take the results of an exported file into the cache.")(import_)
    app.add_typer(group, name=name)


def _group() -> None:
    """Look at the cache."""


def stat(as_json: AsJson = False) -> int:
    """Counts and sizes."""
    cache, settings = open_cache()
    found = cache.statistics()
    cache.close()
    if as_json:
        print(json.dumps({"format": 1, **asdict(found), "limit_bytes": settings.cache_limit}))
        return 0
    print(f"cache    {found.root}")
    print(f"results  {found.results}")
    print(f"blobs    {found.blobs} ({_mebibytes(found.blob_bytes)} of {_mebibytes(settings.cache_limit)})")
    if found.quarantined:
        print(f"damaged blobs put aside: {found.quarantined} (in quarantine/; they were made again when needed)")
    return 0


def path() -> int:
    """Where the cache is."""
    cache, _ = open_cache()
    print(cache.root)
    cache.close()
    return 0


def verify(as_json: AsJson = False) -> int:
    """Hash every blob again."""
    cache, _ = open_cache()
    found = cache.verify()
    cache.close()
    if as_json:
        print(json.dumps({"format": 1, **asdict(found)}))
    else:
        print(f"{found.intact} blobs intact, {len(found.damaged)} damaged, {len(found.unreadable)} results unreadable")
        for digest in found.damaged:
            print(f"  put aside: {digest} (it is made again when a build needs it)")
        for key in found.unreadable:
            print(f"  removed: the result {key} (it is made again when a build needs it)")
    return 1 if found.damaged or found.unreadable else 0


def gc(
    max_size: Annotated[
        str | None, typer.Option("--max", help="Keep at most this much, e.g. 20GiB, 500MiB or 0; default: the limit.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed and remove nothing.")] = False,
    as_json: AsJson = False,
) -> int:
    """Remove what is cheap to make again."""
    from npudsl.store.collect import collect

    cache, settings = open_cache()
    limit = settings.cache_limit if max_size is None else parse_size(max_size)
    if limit is None:
        raise UserError([Diagnostic("E0005", f"--max takes a size such as 20GiB or 500MiB, not {max_size!r}")])
    found = collect(cache, limit_bytes=limit, dry_run=dry_run)
    cache.close()
    if as_json:
        print(json.dumps({"format": 1, "dry_run": dry_run, **asdict(found)}))
    else:
        verb = "would remove" if dry_run else "removed"
        print(f"{verb} {found.results} results and {found.blobs} blobs ({_mebibytes(found.freed_bytes)});", end=" ")
        print(f"{_mebibytes(found.kept_bytes)} stay")
    return 0


def why(
    step: Annotated[str, typer.Argument(help="A step or a kind of step, e.g. quantize:u8.")],
    program: Program = None,
    root: Root = None,
    part: Annotated[str | None, typer.Option(help="Print the whole record of this part (join: the join's).")] = None,
    as_json: AsJson = False,
) -> int:
    """Show what stands behind the keys of a step."""
    from npudsl.api.why import explain_keys

    (chosen,) = chosen_programs([program] if program else None)
    pages = explain_keys(chosen, step, roots=parsed_roots(root))
    if part is not None:
        pages = [page for page in pages if (page.part or "join") == part]
        if not pages:
            raise UserError([Diagnostic("E0213", f"{step} has no part `{part}`", helps=("leave --part out to list",))])
    if as_json:
        print(json.dumps({"format": 1, "actions": [asdict(page) for page in pages]}))
        return 0
    for page in pages:
        state = "in the cache" if page.here else f"would run: {page.reason}"
        print(f"{page.step} {page.part or 'join'}  {page.key[:12]}  {state}")
        for change in page.changes:
            print(f"    {change}")
        if part is not None:
            print(json.dumps(page.record, indent=2))
    return 0


def export(
    file: Annotated[Path, typer.Argument(help="The bundle to write, e.g. cache.tar.")],
    program: Program = None,
    root: Root = None,
    as_json: AsJson = False,
) -> int:
    """Write what a pipeline's plan uses into one file."""
    from npudsl.api.bundles import export_bundle

    (chosen,) = chosen_programs([program] if program else None)
    found = export_bundle(chosen, file, roots=parsed_roots(root))
    if as_json:
        print(json.dumps({"format": 1, "file": str(file), **asdict(found)}))
    else:
        print(f"{file}: {found.results} results, {found.blobs} blobs ({_mebibytes(found.blob_bytes)})")
    return 0


def import_(
    file: Annotated[Path, typer.Argument(help="A bundle that `npu cache export` wrote.")], as_json: AsJson = False
) -> int:
    """Take the results of an exported file into the cache."""
    from npudsl.store.bundle import read_bundle

    cache, _ = open_cache()
    try:
        found = read_bundle(cache, file)
    finally:
        cache.close()
    if as_json:
        print(json.dumps({"format": 1, "file": str(file), **asdict(found)}))
    else:
        print(f"{found.results} results ({found.known} of them known already), {found.blobs} blobs imported")
    return 0


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
