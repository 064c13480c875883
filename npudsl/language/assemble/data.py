"""``dataset`` and ``golden`` blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from npudsl.diagnostics import Label
from npudsl.language.assemble.ledger import Ledger
from npudsl.language.bodies import Body, RuleLine
from npudsl.language.paths import PathBase
from npudsl.language.program import Call, Dataset, Feed, Golden, GoldenFile, Labels, PathValue
from npudsl.language.values import Refused

_SOURCES = ("list", "dir", "files", "npz", "idx")


def dataset(body: Body, ledger: Ledger, base: PathBase) -> Dataset:
    subject = f"dataset[{body.label}]"
    ledger.block(subject, body)
    shuffle = cast("Call | None", body.value("shuffle"))
    return Dataset(
        name=body.label,
        feeds=_feeds(body, subject, ledger, base),
        skip=cast(int, body.value("skip")),
        samples=cast("int | None", body.value("samples")),
        batch=cast(int, body.value("batch")),
        shuffle_seed=cast(int, dict(shuffle.arguments)["n"]) if shuffle is not None else None,
        labels=_labels(body, ledger),
    )


def golden(body: Body, ledger: Ledger) -> Golden:
    subject = f"golden[{body.label}]"
    ledger.block(subject, body)
    inputs: list[GoldenFile] = []
    outputs: list[GoldenFile] = []
    for rule in body.rules:
        name = cast(str, rule.selectors[0])
        ledger.origins[f"{subject}.{rule.form.name}[{name}]"] = rule.span
        if "file" not in rule.entries:
            ledger.error("E0205", f"`{rule.form.name}` needs `file=`", rule.line, f"for example `{rule.form.example}`")
            continue
        dtype = rule.entries["dtype"].value if "dtype" in rule.entries else None
        file = GoldenFile(name, cast(PathValue, rule.entries["file"].value), cast("str | None", dtype))
        (inputs if rule.form.name == "input" else outputs).append(file)
    return Golden(body.label, tuple(inputs), tuple(outputs))


def _feeds(body: Body, subject: str, ledger: Ledger, base: PathBase) -> tuple[Feed, ...]:
    rules = [rule for rule in body.rules if rule.form.name == "feed"]
    if body.has("key") and not body.has("npz"):
        ledger.error("E0206", "`key` names an array of `npz`", body.entries["key"].span, 'write `npz = "file.npz"`')
    if not rules:
        feed = _whole_feed(body, ledger, base)
        return (feed,) if feed is not None else ()
    for key in ("list", "idx", "npz", "files"):
        if body.has(key):
            others = (Label(rules[0].span, "this feeds one input", primary=False),)
            message = f"`{key}` feeds all inputs; with `feed` rules it stands in the rule"
            ledger.error("E0206", message, body.entries[key].span, others=others)
    feeds = [_feed(rule, body, subject, ledger, base) for rule in rules]
    return tuple(feed for feed in feeds if feed is not None)


def _whole_feed(body: Body, ledger: Ledger, base: PathBase) -> Feed | None:
    if body.has("files"):
        return _pattern(None, body.entries["files"].value, body.value("dir"), base, body, ledger)
    kinds: tuple[Literal["list", "dir", "idx", "npz"], ...] = ("list", "dir", "idx", "npz")
    for kind in kinds:
        if body.has(kind):
            pattern = cast("str | None", body.value("key")) if kind == "npz" else None
            return Feed(None, kind, _path(body.value(kind)), pattern)
    return None


def _feed(rule: RuleLine, body: Body, subject: str, ledger: Ledger, base: PathBase) -> Feed | None:
    name = cast(str, rule.selectors[0])
    own = f"{subject}.feed[{name}]"
    if own in ledger.origins:
        first = Label(ledger.origins[own], "first fed here", primary=False)
        ledger.error("E0204", f'input "{name}" is fed twice', rule.span, others=(first,))
        return None
    ledger.origins[own] = rule.span
    ledger.origins.update({f"{own}.{key}": entry.span for key, entry in rule.entries.items()})
    written = [source for source in _SOURCES if source in rule.entries]
    if written == ["dir", "files"]:
        written = ["files"]
    if len(written) != 1:
        if not written:
            ledger.error("E0205", "`feed` needs one of `list=`, `dir=`, `files=`, `npz=` and `idx=`", rule.line)
        else:
            ledger.error("E0206", f"`{written[0]}` and `{written[1]}` are two sources; keep one", rule.line)
        return None
    kind = written[0]
    if "key" in rule.entries and kind != "npz":
        ledger.error("E0206", "`key=` names an array of `npz=`", rule.entries["key"].span)
    values = {key: entry.value for key, entry in rule.entries.items()}
    dtype, shape = cast("str | None", values.get("dtype")), cast("tuple[int, ...] | None", values.get("shape"))
    if kind == "files":
        folder = values.get("dir", body.value("dir"))
        feed = _pattern(name, values["files"], folder, base, body, ledger, rule)
        return Feed(name, "files", feed.path, feed.pattern, dtype, shape) if feed is not None else None
    key = cast("str | None", values.get("key"))
    return Feed(name, cast("Literal['list', 'dir', 'npz', 'idx']", kind), _path(values[kind]), key, dtype, shape)


def _pattern(
    name: str | None,
    pattern: object,
    folder: object,
    base: PathBase,
    body: Body,
    ledger: Ledger,
    rule: RuleLine | None = None,
) -> Feed | None:
    """Files by glob: relative to ``folder``, else to the file of the block; the glob itself stays below it."""
    text = cast(str, pattern)
    span = rule.entries["files"].span if rule is not None else body.entries["files"].span
    if isinstance(folder, PathValue):
        if text.startswith(("@", "/")):
            ledger.error("E0216", "with `dir`, `files` is relative to it", span)
            return None
        place = folder
    elif text.startswith("@"):
        root, _, text = text.partition("/")
        try:
            place = base.resolve(root, span)
        except Refused as refused:
            ledger.problems.append(refused.diagnostic)
            return None
    else:
        place = PathValue(".", str(base.folder))
    if ".." in text.split("/") or text.startswith(("/", "~")):
        ledger.error("E0216", "a glob stays below its folder", span, "name the folder with `dir`, or a root: @root/...")
        return None
    return Feed(name, "files", place, text)


def _path(value: object) -> PathValue:
    assert isinstance(value, PathValue)
    return value


def _labels(body: Body, ledger: Ledger) -> Labels | None:
    offset = cast(int, body.value("label_offset"))
    written = body.value("labels")
    if body.has("label_offset") and not body.known("labels"):
        message = "`label_offset` without `labels` does nothing"
        ledger.error("E0206", message, body.entries["label_offset"].span, "write `labels = true` or a file")
    if written is None or written is False:
        return None
    if written is True:
        if body.complete and not body.known("list"):
            ledger.error(
                "E0206",
                "`labels = true` takes the last column of `list`, and there is none",
                body.entries["labels"].span,
                'name a file of "sample index" lines: labels = "labels.txt"',
            )
        return Labels("column", None, offset)
    path = _path(written)
    return Labels("idx" if is_idx_name(path.path) else "file", path, offset)


def is_idx_name(path: str) -> bool:
    """Whether a name is that of an idx file: ``train-labels-idx1-ubyte``, ``labels.idx``, with or without ``.gz``."""
    name = Path(path).name.removesuffix(".gz")
    return name.endswith((".idx", ".idx1", ".idx3", "-ubyte", ".ubyte")) or "-idx1" in name or "-idx3" in name
