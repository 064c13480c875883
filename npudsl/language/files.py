"""A program and its fragments as a set of files: read, parsed, constants and presets in scope.

Only ``let`` and ``preset`` come out of a fragment, so a fragment builds nothing by itself. Every file has a scope of
its own: a preset is evaluated with the constants of the file that contains it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from npudsl.diagnostics import Diagnostic, Fix, Label, Source, Span
from npudsl.language import syntax
from npudsl.language.evaluate import Constant, Scope, Silent, evaluate, string_text
from npudsl.language.frozen import frozen
from npudsl.language.parse import parse
from npudsl.language.paths import PathBase, Project
from npudsl.language.reading import read_program_text
from npudsl.language.values import Refused, refuse

LANGUAGE_VERSION = 1


@frozen
class PresetSource:
    """A preset with what is needed to evaluate it: its file's scope, the folder of its paths, its file's presets."""

    node: syntax.PresetNode
    file: ProgramFile

    @property
    def span(self) -> Span:
        return self.node.name.span


@dataclass
class ProgramFile:
    """One parsed file."""

    source: Source
    path: Path
    base: PathBase
    constants: dict[str, Constant] = field(default_factory=dict)
    presets: dict[tuple[str, str], PresetSource] = field(default_factory=dict)
    blocks: list[syntax.BlockNode] = field(default_factory=list)
    complete: bool = True

    @property
    def scope(self) -> Scope:
        return Scope(self.constants, self.complete)


class FileReader:
    """Reads a program and everything it uses; problems are collected in reading order."""

    def __init__(self, project: Project, unsaved: Mapping[str, str] | None = None) -> None:
        self.project = project
        self.unsaved = unsaved or {}
        self.problems: list[Diagnostic] = []
        self.files: dict[Path, ProgramFile] = {}
        self.sources: list[Source] = []

    def read(self, path: Path, shown: str, text: str) -> ProgramFile:
        """The program at ``path``."""
        return self._file(path, shown, text, chain=(shown,))

    def _file(self, path: Path, shown: str, text: str, chain: tuple[str, ...]) -> ProgramFile:
        source = Source(shown, text)
        self.sources.append(source)
        parsed = parse(source)
        self.problems.extend(parsed.problems)
        file = ProgramFile(source, path, PathBase(self.project, path.parent), complete=parsed.complete)
        self.files[path] = file
        self._check_version(parsed, file)
        for item in parsed.items:
            try:
                self._item(item, file, chain)
            except Refused as refused:
                self.problems.append(refused.diagnostic)
                file.complete = file.complete and not isinstance(item, (syntax.UseNode, syntax.LetNode))
            except Silent:
                file.complete = False
        return file

    def _item(self, item: syntax.ItemNode, file: ProgramFile, chain: tuple[str, ...]) -> None:
        if isinstance(item, syntax.UseNode):
            self._use(item, file, chain)
        elif isinstance(item, syntax.LetNode):
            self._let(item, file)
        elif isinstance(item, syntax.PresetNode):
            self._add_preset((item.kind.text, item.name.text), PresetSource(item, file), file)
        elif isinstance(item, syntax.BlockNode):
            if len(chain) > 1:
                raise refuse(
                    "E0215",
                    f"{file.source.name} is used by others and may only hold `let` and `preset`",
                    item.keyword.span,
                    f"move the block to {chain[0]}, or write `preset {item.keyword.text} name {{` and `from name`",
                )
            file.blocks.append(item)

    def _check_version(self, parsed: syntax.Parsed, file: ProgramFile) -> None:
        versions = [item for item in parsed.items if isinstance(item, syntax.VersionNode)]
        first = parsed.items[0] if parsed.items else None
        if not versions:
            if not any(problem.labels[0].span.line == 1 for problem in parsed.problems) and parsed.complete:
                span = first.span if first is not None else Span(file.source, 0, 1)
                place = Span(file.source, span.start, min(span.end, span.start + 1))
                fix = Fix(Span(file.source, 0, 0), "npu 1\n\n", "begin with npu 1")
                message = "the first statement is not `npu 1`"
                self._report("E0107", message, place, "begin the file with `npu 1`", fixes=(fix,))
            return
        if versions[0] is not first and parsed.complete:
            self._report("E0107", "`npu` stands first in the file", versions[0].span, "move this line to the top")
        for version in versions[1:]:
            self._report("E0107", "`npu` stands only once in a file", version.span)
        text = versions[0].text
        if not text.isdigit() or int(text) < 1:
            self._report("E0107", f"`{text}` is not a language version", versions[0].span, "write `npu 1`")
        elif int(text) > LANGUAGE_VERSION:
            from npudsl import __version__

            self._report(
                "E0107",
                f"this file needs npu language {text}; this is npudsl {__version__} (language {LANGUAGE_VERSION})",
                versions[0].span,
                "install a newer npudsl",
            )

    def _report(self, code: str, message: str, span: Span, *helps: str, fixes: tuple[Fix, ...] = ()) -> None:
        self.problems.append(Diagnostic(code, message, labels=(Label(span),), helps=helps, fixes=fixes))

    # let and preset

    def _let(self, item: syntax.LetNode, file: ProgramFile) -> None:
        name = item.name.text
        if name != name.lower():
            lowered = name.lower()
            self._report("E0210", "names of constants are lower case", item.name.span, f"write `let {lowered} = ...`")
        if "." in name:
            raise refuse("E0210", "a `.` in a name belongs to a `use ... as` prefix", item.name.span)
        try:
            value = evaluate(item.value, file.scope)
        except (Refused, Silent) as problem:
            self._add_constant(name, Constant(None, item.name.span, item.span.end), file)
            if isinstance(problem, Refused):
                self.problems.append(problem.diagnostic)
            return
        self._add_constant(name, Constant(value, item.name.span, item.span.end), file)

    def _add_constant(self, name: str, constant: Constant, file: ProgramFile) -> None:
        known = file.constants.get(name)
        if known is not None and known.span != constant.span:
            self.problems.append(_clash("constant", name, constant.span, known.span))
            return
        file.constants[name] = constant

    def _add_preset(self, key: tuple[str, str], preset: PresetSource, file: ProgramFile) -> None:
        known = file.presets.get(key)
        if known is not None and known.span != preset.span:
            self.problems.append(_clash(f"{key[0]} preset", key[1], preset.span, known.span))
            return
        file.presets[key] = preset

    # use

    def _use(self, item: syntax.UseNode, file: ProgramFile, chain: tuple[str, ...]) -> None:
        text = string_text(item.path, file.scope)
        try:
            resolved = file.base.resolve(text, item.path.span)
        except Refused as refused:
            diagnostic = refused.diagnostic
            raise refuse(
                "E0214", diagnostic.message, item.path.span, *diagnostic.helps, notes=diagnostic.notes
            ) from refused
        path = Path(resolved.path)
        shown = os.path.normpath(Path(file.source.name).parent / text) if not text.startswith("@") else text
        fragment = self.files.get(path)
        if fragment is None:
            contents = self.unsaved.get(shown)
            if contents is None:
                contents = _fragment_text(path, text, item.path.span)
            fragment = self._file(path, shown, contents, (*chain, shown))
        elif shown in chain or fragment.source.name in chain:
            raise refuse(
                "E0214", "files use each other in a circle", item.path.span, notes=(" -> ".join((*chain, shown)),)
            )
        prefix = f"{item.prefix.text}." if item.prefix is not None else ""
        for name, constant in fragment.constants.items():
            used = Constant(constant.value, constant.span, item.span.end)
            self._import(prefix + name, used, file, item)
        for (kind, name), preset in fragment.presets.items():
            self._import_preset((kind, prefix + name), preset, file, item)
        file.complete = file.complete and fragment.complete

    def _import(self, name: str, constant: Constant, file: ProgramFile, item: syntax.UseNode) -> None:
        known = file.constants.get(name)
        if known is not None and known.span != constant.span:
            self.problems.append(_use_clash("constant", name, item, constant.span, known.span))
        elif known is None:
            file.constants[name] = constant

    def _import_preset(
        self, key: tuple[str, str], preset: PresetSource, file: ProgramFile, item: syntax.UseNode
    ) -> None:
        known = file.presets.get(key)
        if known is not None and known.span != preset.span:
            self.problems.append(_use_clash(f"{key[0]} preset", key[1], item, preset.span, known.span))
        elif known is None:
            file.presets[key] = preset


def _fragment_text(path: Path, text: str, span: Span) -> str:
    try:
        return read_program_text(path)
    except FileNotFoundError as error:
        raise refuse("E0214", f'there is no file "{text}"', span, "paths are relative to this file") from error
    except OSError as error:
        raise refuse("E0214", f'"{text}" cannot be read: {error.strerror}', span) from error
    except UnicodeDecodeError as error:
        raise refuse("E0214", f'"{text}" is not UTF-8 (byte {error.start})', span) from error


def _clash(what: str, name: str, span: Span, first: Span) -> Diagnostic:
    labels = (Label(span), Label(first, "first defined here", primary=False))
    return Diagnostic("E0204", f"{what} `{name}` is defined twice", labels=labels)


def _use_clash(what: str, name: str, item: syntax.UseNode, used: Span, known: Span) -> Diagnostic:
    labels = (
        Label(item.path.span),
        Label(used, "this one comes with `use`", primary=False),
        Label(known, "this one is there already", primary=False),
    )
    help_text = f"give the file a prefix: `use {item.path.text} as name`, then write `name.{name}`"
    return Diagnostic("E0214", f"{what} `{name}` is defined twice", labels=labels, helps=(help_text,))


def visible_presets(file: ProgramFile, kind: str) -> Mapping[str, PresetSource]:
    """The presets for blocks of ``kind`` that a file can name."""
    return {name: preset for (of, name), preset in file.presets.items() if of == kind}
