"""Mistakes inside one line: a value or key that is missing, a comma too much, a reserved word."""

from __future__ import annotations

import re

from npudsl.diagnostics import Fix, Span
from npudsl.language.recovery import Mistake, Reader, last_span, shown
from npudsl.language.tokens import NEW_LINE

_RESERVED = {"NPU", "USE", "AS", "LET", "PRESET", "FROM", "BECAUSE", "TRUE", "FALSE"}
_EXAMPLES = {
    "type": "i16",
    "scheme": "asymmetric_affine",
    "algorithm": "minmax",
    "shape": "1x3x224x224",
    "matches": "2",
    "min": "0",
    "max": "6",
    "format": "onnx",
    "samples": "100",
    "file": '"models/net.onnx"',
    "because": '"reason"',
}


def missing_value(reader: Reader) -> Mistake | None:
    if reader.before_kind not in ("EQUAL", "CMP") or reader.index < 2:
        return None
    key = str(reader.tokens[reader.index - 2])
    if reader.kind in (NEW_LINE, "END", "RBRACE", "RPAR", "RSQB", "COMMA", "BECAUSE"):
        operator = str(reader.before)
        example = _EXAMPLES.get(key.rsplit(".", 1)[-1])
        if operator == "=" and len(reader.line) == 2:
            operator = " ="
        helps = (f"for example `{key}{operator}{' ' * operator.startswith(' ')}{example}`",) if example else ()
        return reader.dropping("E0105", f"`{key}{operator}` needs a value", *helps, span=reader.span(reader.index - 1))
    if reader.kind in _RESERVED:
        return reader.dropping("E0105", f"`{reader.text}` is a reserved word and cannot be a value")
    if reader.kind == "EQUAL":
        fix = Fix(reader.span(), "", "remove one `=`")
        return reader.dropping("E0105", "one `=` is enough", f"write `{key} = value`", fixes=(fix,))
    return None


def missing_key(reader: Reader) -> Mistake | None:
    if reader.kind not in ("EQUAL", "CMP"):
        return None
    if reader.starts_line:
        return reader.dropping("E0105", f"the key before `{reader.text}` is missing", "write `key = value`")
    if reader.before_kind in _RESERVED and len(reader.line) == 1:
        return reader.dropping(
            "E0105", f"`{reader.before}` is a reserved word and cannot be a key", span=last_span(reader)
        )
    if reader.kind == "EQUAL" and not reader.depth and len(reader.line) == 1:
        key = str(reader.before)
        message = f"`{key} = ...` stands outside of every block"
        advice = f"a constant is written `let {key} = value`; a setting stands inside a block, between `{{` and `}}`"
        return reader.with_block_before(reader.dropping("E0105", message, advice, span=last_span(reader)))
    return None


def comma_in_rule(reader: Reader) -> Mistake | None:
    if reader.kind != "COMMA":
        return None
    if _is_setting(reader):
        return reader.dropping("E0105", "a setting has one value", "a list is written `[a, b]`")
    fix = Fix(reader.span(), "", "remove the comma")
    return reader.dropping("E0105", "no comma between the parts of a rule", "separate them by spaces", fixes=(fix,))


def _is_setting(reader: Reader) -> bool:
    kinds = [token.type for token in reader.line[:3]]
    return kinds[:2] == ["NAME", "EQUAL"] or (kinds[:1] == ["LET"] and kinds[2:3] == ["EQUAL"])


def quoted_key(reader: Reader) -> Mistake | None:
    if reader.kind != "STRING" or not reader.starts_line:
        return None
    fixes = (Fix(reader.span(), reader.text[1:-1], "remove the quotes"),) if _is_quoted_key(reader) else ()
    advice = "a key stands without quotes: `key = value`"
    return reader.dropping("E0105", "a line does not begin with a string", advice, fixes=fixes)


def _is_quoted_key(reader: Reader) -> bool:
    following = reader.tokens[reader.index + 1].type if reader.index + 1 < len(reader.tokens) else ""
    return following == "EQUAL" and re.fullmatch(r"[A-Za-z_][\w.-]*", reader.text[1:-1]) is not None


def operator_in_rule(reader: Reader) -> Mistake | None:
    if reader.kind not in ("PLUS", "MINUS", "STAR", "SLASH"):
        return None
    if reader.kind == "SLASH" and reader.starts_line:
        end = reader.tokens[reader.index].end_pos
        twice = reader.source.text[end : end + 1] == "/"
        fixes = (Fix(Span(reader.source, end - 1, end + 1), "#", "write `#`"),) if twice else ()
        return reader.dropping("E0101", "comments begin with `#`", fixes=fixes)
    if reader.line and reader.line[0].type == "NAME" and not _is_setting(reader):
        return reader.dropping(
            "E0105", "a rule takes values, not sums or products", "name the result with `let` and write the name here"
        )
    return None


def two_values(reader: Reader) -> Mistake | None:
    if not _is_setting(reader):
        return None
    if reader.kind == "BECAUSE":
        return reader.dropping("E0105", "`because` belongs to rules", "write a comment: `# reason`")
    if reader.before_kind in ("PLUS", "MINUS", "STAR", "SLASH"):
        return reader.dropping("E0105", f"`{reader.before}` needs a value on its right", span=last_span(reader))
    if reader.kind in (NEW_LINE, "END"):
        return None
    key = str(reader.line[0])
    if key in ("layer", "layers", "op", "tensor", "tensors", "require", "feed"):
        first, equals, value = reader.line[:3] if len(reader.line) > 2 else (reader.line[0], None, None)
        fixes = (
            (Fix(Span(reader.source, first.end_pos, value.start_pos), " ", "remove `=`"),)
            if equals is not None and value is not None
            else ()
        )
        advice = f'write `{key} "name" ...` without `=` after `{key}`'
        return reader.dropping("E0203", f"`{key}` is a rule, not a setting", advice, fixes=fixes)
    return reader.dropping(
        "E0105", f"`{shown(reader)}` is too much: a setting has one value", "a list is written `[a, b]`"
    )


def lonely_word(reader: Reader) -> Mistake | None:
    if reader.kind != NEW_LINE or len(reader.line) != 1:
        return None
    word = str(reader.before)
    if reader.before_kind == "NAME":
        return reader.dropping(
            "E0105", f"`{word}` alone says nothing", f"write `{word} = value`", span=last_span(reader)
        )
    if reader.before_kind in ("STRING", "NUMBER", "SIZE", "REGEX", "HEX"):
        return reader.dropping("E0105", "a value alone says nothing", "write `key = value`", span=last_span(reader))
    return None


def unnamed_constant(reader: Reader) -> Mistake | None:
    if not reader.line or reader.line[0].type != "LET":
        return None
    if len(reader.line) == 1:
        return reader.dropping("E0105", "`let` needs a lower-case name", "write `let side = 224`")
    if len(reader.line) == 2:
        return reader.dropping("E0105", "`=` is missing", f"write `let {reader.line[1]} = value`")
    return None


def incomplete_statement(reader: Reader) -> Mistake | None:
    advice = {
        "NPU": ("`npu` takes the language version", "write `npu 1`"),
        "USE": ("`use` takes a path in double quotes", 'write `use "shared/targets.npu"`'),
        "AS": ("`as` takes a name", 'write `use "file.npu" as name`'),
        "FROM": ("`from` takes names of presets or blocks", "write `from name` or `from first, second`"),
        "BECAUSE": ("`because` takes a text in double quotes", 'write `because "reason"`'),
        "PRESET": ("`preset` takes the kind of block and a name", "write `preset target name {`"),
    }.get(reader.before_kind)
    if advice is not None:
        return reader.dropping("E0105", advice[0], advice[1], span=last_span(reader))
    if reader.line and reader.line[0].type == "PRESET" and len(reader.line) == 2:
        return reader.dropping("E0105", "`preset` takes the kind of block and a name", "write `preset target name {`")
    return None


def reserved_word(reader: Reader) -> Mistake | None:
    if reader.kind not in _RESERVED:
        return None
    if reader.starts_line and reader.kind in ("NPU", "USE", "LET", "PRESET"):
        return reader.dropping("E0105", f"`{reader.text}` stands at the top of the file, not inside a block")
    if reader.kind == "BECAUSE":
        return reader.dropping("E0105", "`because` belongs at the end of a rule")
    return reader.dropping("E0105", f"`{reader.text}` is a reserved word and cannot be used here")
