"""Words with arguments, such as ``kl(bins=2048)``: their signatures, and how written arguments are bound to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from npudsl.diagnostics import Fix, Span
from npudsl.language.frozen import frozen
from npudsl.language.names import listed, meant, with_article
from npudsl.language.program import Call, Size
from npudsl.language.schema.types import Shape, Use, ValueType, Words, wrong_type
from npudsl.language.values import Located, RawCall, Text, Word, refuse


@frozen
class Parameter:
    """An argument of a call. Without default it must be given."""

    name: str
    type: ValueType
    default: object = None
    required: bool = False
    positional: bool = True


@frozen
class Signature:
    """A word with arguments, such as ``kl(bins=2048)``; where every argument has a default, the bare word does."""

    name: str
    parameters: tuple[Parameter, ...] = ()
    help: str = ""
    size: bool = False
    """The first two parameters (height, width) may be given as one size: ``center(224x224)``."""


@frozen
class Calls:
    """One of several calls. ``nothing``: the word that stands for None."""

    noun: str
    signatures: Mapping[str, Signature]
    aliases: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    nothing: str = ""

    @property
    def expected(self) -> str:
        return with_article(self.noun)

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if isinstance(value, Word):
            call = RawCall(value.text, located.span, (), ())
        elif isinstance(value, RawCall):
            call = value
        elif isinstance(value, Text) and value.text in self.signatures:
            fix = Fix(located.span, value.text, "write a word")
            raise wrong_type(located, use, "a word", f"write `{use.key} = {value.text}`", fixes=(fix,))
        else:
            names = self._known()
            help_text = f"one of {listed(names)}" if len(names) > 1 else _usage(self.signatures[names[0]])
            raise wrong_type(located, use, self.expected, help_text)
        if self.nothing and call.name == self.nothing and not call.positional and not call.keywords:
            return None
        known = Words(self.noun, dict.fromkeys(self._known(), ""), self.aliases, self.unavailable)
        known.check(call.name, call.name_span)
        return _bind(self.signatures[call.name], call, located.span, use)

    def _known(self) -> tuple[str, ...]:
        return (*self.signatures, self.nothing) if self.nothing else tuple(self.signatures)


def _bind(signature: Signature, call: RawCall, span: Span, use: Use) -> Call:
    """The call with its arguments in the order of the schema, defaults filled in."""
    given: dict[str, object] = {}
    positional = list(call.positional)
    places = [parameter for parameter in signature.parameters if parameter.positional]
    if signature.size and positional and isinstance(positional[0].value, Size):
        size = Shape(ranks=(2,)).convert(positional.pop(0), use.inside(f"{signature.name}()"))
        assert isinstance(size, tuple)
        given.update(height=size[0], width=size[1])
        places = places[2:]
    if len(positional) > len(places):
        extra = positional[len(places)]
        most = "no values" if not places else "one value" if len(places) == 1 else f"at most {len(places)} values"
        raise refuse("E0212", f"`{call.name}` takes {most}", extra.span, _usage(signature))
    for parameter, located in zip(places, positional, strict=False):
        given[parameter.name] = parameter.type.convert(located, use.inside(parameter.name))
    known = {parameter.name: parameter for parameter in signature.parameters}
    for name, name_span, located in call.keywords:
        if name not in known:
            helps, fixes = meant(name, known, name_span)
            message = f"`{name}` is not an argument of `{call.name}`"
            raise refuse("E0202", message, name_span, *helps, _usage(signature), fixes=fixes)
        if name in given:
            raise refuse("E0204", f"`{name}` is given twice", name_span)
        given[name] = known[name].type.convert(located, use.inside(name))
    for parameter in signature.parameters:
        if parameter.name not in given:
            if parameter.required:
                raise refuse("E0205", f"`{call.name}` needs `{parameter.name}`", span, _usage(signature))
            given[parameter.name] = parameter.default
    return Call(call.name, tuple((parameter.name, given[parameter.name]) for parameter in signature.parameters))


def argument_default(parameter: Parameter) -> str:
    """The default of an argument as it would be written."""
    literal = getattr(parameter.type, "literal", str)
    return str(literal(parameter.default))


def _usage(signature: Signature) -> str:
    parts = []
    for parameter in signature.parameters:
        optional = not parameter.required and parameter.default is not None
        example = getattr(parameter.type, "example", parameter.name)
        parts.append(f"{parameter.name}={argument_default(parameter)}" if optional else example)
    return f"write `{signature.name}({', '.join(parts)})`" if parts else f"write `{signature.name}`"
