"""Throws damaged text at the language: every input ends in a program or in diagnostics, soon, and both hold together.

    PYTHONPATH=.:tests python tests/fuzz/language_fuzz.py --seconds 180 [--kind bytes|words] [--seed 1]

``bytes`` are random bytes and damaged bytes of programs; ``words`` are programs whose tokens, lines and pieces were
left out, doubled, swapped, or replaced by words of the schema. A failing input is kept in the folder ``--keep``.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from language_corpus import GOLDEN, comments_of, right_texts

from npudsl.api.check import check_program
from npudsl.diagnostics import Diagnostic, Source, UserError
from npudsl.diagnostics.codes import CODES
from npudsl.diagnostics.render import render, to_json
from npudsl.diagnostics.sarif import to_sarif
from npudsl.language.fixing import chosen_fixes, with_fixes
from npudsl.language.flat import flat_lines, program_text, read_flat
from npudsl.language.fmt import formatted
from npudsl.language.lexer import lex
from npudsl.language.load import load_program
from npudsl.language.reference import block_forms

LONGEST_SECONDS = 10
"""An input of a few thousand characters that takes longer hangs."""

Kind = Callable[[random.Random], bytes]


class TooLong(Exception):
    """An input took longer than ``LONGEST_SECONDS``."""


def random_bytes(chance: random.Random) -> bytes:
    """Noise, or a program with some bytes overwritten, put in or left out."""
    if chance.random() < 0.3:
        return chance.randbytes(chance.randint(0, 400))
    data = bytearray(chance.choice(corpus()).encode("utf-8"))
    for _ in range(chance.randint(1, 12)):
        place = chance.randrange(len(data) + 1)
        if chance.random() < 0.5:
            signs = [b"\n", b"{", b"}", b'"', b"#", b"\\", chance.randbytes(3), b"\r", b"[", b"("]
            data[place:place] = chance.choice(signs)
        else:
            data[place : place + chance.randint(0, 30)] = b""
    return bytes(data)


def random_words(chance: random.Random) -> bytes:
    """A program with changed words, lines and pieces."""
    pieces = [token.text for token in lex(chance.choice(corpus()))]
    for _ in range(chance.choice([1, 1, 1, 2, 3, 5, 8, 13])):
        chance.choice(MUTATIONS)(pieces, chance)
    text = "".join(pieces)
    if chance.random() < 0.1:
        other = chance.choice(corpus())
        text = text[: chance.randrange(len(text) + 1)] + other[chance.randrange(len(other)) :]
    return text.encode("utf-8", "surrogatepass")


KINDS: dict[str, Kind] = {"bytes": random_bytes, "words": random_words}


@cache
def corpus() -> tuple[str, ...]:
    """Right texts, and the faulty ones of the golden programs."""
    return (*right_texts(), *(file.read_text(encoding="utf-8") for file in sorted(GOLDEN.glob("*.npu"))))


@cache
def vocabulary() -> tuple[str, ...]:
    """Tokens of the corpus, words of the schema, and values that are often wrong."""
    forms = block_forms().values()
    names = {name for form in forms for name in (*form.keys, *form.rules, *form.aliases, *form.blocks, form.name)}
    tokens = {token.text for text in corpus() for token in lex(text)}
    odd = ["0", "-1", "1e400", "1e-400", "99%", "3MiB", "1x0", "?x3", "0x", '""', '"${x}"', '"\\', 're"("', "[]", "()"]
    return tuple(
        sorted({*names, *tokens, *odd, "(" * 400, "[" * 90, "9" * 500, "a" * 300, "\x00", "\u2028", "é", "😀"})
    )


def _drop(pieces: list[str], chance: random.Random) -> None:
    start = chance.randrange(len(pieces) + 1)
    del pieces[start : start + chance.choice([1, 1, 2, 6, 20])]


def _double(pieces: list[str], chance: random.Random) -> None:
    start = chance.randrange(len(pieces) + 1)
    pieces[start:start] = pieces[start : start + chance.choice([1, 2, 6, 20])]


def _swap(pieces: list[str], chance: random.Random) -> None:
    if pieces:
        one, other = chance.randrange(len(pieces)), chance.randrange(len(pieces))
        pieces[one], pieces[other] = pieces[other], pieces[one]


def _replace(pieces: list[str], chance: random.Random) -> None:
    if pieces:
        pieces[chance.randrange(len(pieces))] = chance.choice(vocabulary())


def _insert(pieces: list[str], chance: random.Random) -> None:
    pieces.insert(chance.randrange(len(pieces) + 1), chance.choice(vocabulary()))


def _move(pieces: list[str], chance: random.Random) -> None:
    start = chance.randrange(len(pieces) + 1)
    taken = pieces[start : start + 10]
    del pieces[start : start + 10]
    place = chance.randrange(len(pieces) + 1)
    pieces[place:place] = taken


def _number(pieces: list[str], chance: random.Random) -> None:
    places = [place for place, piece in enumerate(pieces) if piece[:1].isdigit()]
    if places:
        numbers = ["0", "1", "3", "16", "255", "1000000", "0.5", "1e-3", "1e300", "0x88", "99.9%", "2MiB", "1x3x8x8"]
        pieces[chance.choice(places)] = chance.choice(numbers)


def _string(pieces: list[str], chance: random.Random) -> None:
    places = [place for place, piece in enumerate(pieces) if piece[:1] == '"']
    if places:
        strings = [
            '"a"',
            '"a b"',
            '"$$"',
            '"\\u{20AC}"',
            '"**/x"',
            '"[a"',
            '"/abs"',
            '"../up"',
            '"@zoo/x"',
            '"${side}"',
        ]
        pieces[chance.choice(places)] = chance.choice(strings)


def _blank(pieces: list[str], chance: random.Random) -> None:
    places = [place for place, piece in enumerate(pieces) if piece.isspace()]
    if places:
        pieces[chance.choice(places)] += chance.choice([" ", "\n", "# x\n", "\t", "\r\n", "\n\n\n"])


MUTATIONS = (
    *(_drop, _double, _swap, _move, _insert),
    *(_replace, _replace, _number, _number, _string, _string, _blank, _blank),
)


def examine(data: bytes, folder: Path) -> str:
    """Everything the language does with one input; what it came to. Any exception is a bug."""
    path = folder / "fuzz.npu"
    path.write_bytes(data)
    try:
        program = load_program(path)
    except UserError as error:
        examine_findings(error.diagnostics, path)
        _try_layout(data)
        return "refused"
    examine_findings(tuple(check_program(path, with_model=False)), path)
    lines = "".join(f"{line}\n" for line in flat_lines(program))
    assert read_flat(lines, program.name) == program, "the flat form is another program"
    layout = formatted(Source(str(path), data.decode()))
    assert load_program(path, text=layout) == program, "the layout is another program"
    assert formatted(Source("evaluated", program_text(program))) == program_text(program), "show is not in its layout"
    _try_layout(data)
    return "right"


def examine_findings(findings: tuple[Diagnostic, ...], path: Path) -> None:
    """Findings can be shown in every form, are in order, and their edits can be applied."""
    assert findings or path
    assert len([finding for finding in findings if finding.severity == "error"]) <= 20
    for finding in findings:
        assert finding.code in CODES, finding.code
        assert render(finding)
        assert render(finding, color=True)
        for label in finding.labels:
            assert 0 <= label.span.start <= label.span.end, finding
    json.dumps([to_json(finding) for finding in findings])
    json.dumps(to_sarif(findings, version="0"))
    starts = [finding.labels[0].span.start for finding in findings if finding.labels]
    assert starts == sorted(starts), "not in source order"
    fixes = chosen_fixes(findings)
    if fixes:
        try:
            load_program(path, text=with_fixes(fixes[0].span.source, fixes))
        except UserError:
            return


def _try_layout(data: bytes) -> None:
    try:
        text = data.decode("utf-8")
        once = formatted(Source("fuzz.npu", text))
    except (UnicodeDecodeError, UserError):
        return
    assert formatted(Source("fuzz.npu", once)) == once, "the layout is not stable"
    assert comments_of(once) == comments_of(text), "the layout loses a comment"


def inputs(kind: str, seed: int) -> Iterator[tuple[int, bytes]]:
    """Numbered inputs without end; the same for the same seed."""
    while True:
        yield seed, KINDS[kind](random.Random(f"{kind} {seed}"))
        seed += 1


def fuzz(kind: str, *, seconds: float, seed: int = 0, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Examine inputs for so many seconds; counts of what they came to, and a report per failure."""
    ends = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    failures: list[str] = []
    signal.signal(signal.SIGALRM, _stop)
    with tempfile.TemporaryDirectory() as folder:
        for number, data in inputs(kind, seed):
            if time.monotonic() > ends:
                break
            signal.alarm(LONGEST_SECONDS)
            try:
                counts[examine(data, Path(folder))] += 1
            except Exception as error:
                counts["failed"] += 1
                failures.append(f"{kind} {number}: {''.join(traceback.format_exception(error)[-3:])}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{kind}-{number}.npu").write_bytes(data)
            finally:
                signal.alarm(0)
    return counts, failures


def _stop(*_: object) -> None:
    raise TooLong(f"longer than {LONGEST_SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kind", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    faulthandler.enable()
    kinds = list(KINDS) if options.kind == "both" else [options.kind]
    failed = False
    for kind in kinds:
        counts, failures = fuzz(kind, seconds=options.seconds / len(kinds), seed=options.seed, keep=options.keep)
        sys.stdout.write("\n".join([f"{kind}: {dict(counts)}", *failures[:10]]) + "\n")
        failed = failed or bool(failures)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
