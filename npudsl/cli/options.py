"""Options and arguments of a light command, told once: in the signature of its function.

The argument library costs five times what Python needs to start, so a light command does not import it for a command
line that is well-formed: ``bound`` reads such a line by the signature. Everything else (help, a misspelt option, a
missing value, completion) goes to the library with a command made from the same signature, by ``register``.

A parameter is annotated ``Annotated[TYPE, Option("--name", help="...")]`` or ``Annotated[TYPE, Argument(help="...")]``;
types are ``bool``, ``str``, ``int``, ``Path``, each also ``| None``, and ``list`` of the last three ``| None``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    import typer

Run = TypeVar("Run", bound=Callable[..., int])


class Argument:
    """A positional argument. ``complete``: a function of ``complete.py``."""

    def __init__(self, *, help: str, metavar: str | None = None, complete: str = "") -> None:
        self.help = help
        self.metavar = metavar
        self.complete = complete


class Option:
    """An option. ``choices`` are all the values it takes; ``complete``: a function of ``complete.py``."""

    def __init__(
        self,
        *names: str,
        help: str,
        choices: tuple[str, ...] = (),
        metavar: str | None = None,
        complete: str = "",
    ) -> None:
        self.names = names
        self.help = help
        self.choices = choices
        self.metavar = metavar or ("|".join(choices) if choices else None)
        self.complete = complete


class Parameter(NamedTuple):
    """One parameter of a command's function. ``kind`` is the type of one value; ``many``: a list of them."""

    name: str
    spec: Argument | Option
    kind: type
    many: bool
    default: object
    annotation: Any


def light(run: Run) -> Run:
    """Mark a command's function as one whose command lines ``bound`` may read."""
    run.is_light = True  # type: ignore[attr-defined]
    return run


def parameters(run: Callable[..., int]) -> list[Parameter]:
    """The parameters of a command's function."""
    hints = get_type_hints(run, include_extras=True)
    return [
        _parameter(name, hints[name], parameter.default)
        for name, parameter in inspect.signature(run).parameters.items()
    ]


def bound(run: Callable[..., int], words: Sequence[str]) -> dict[str, object] | None:
    """The arguments that a command line means; None when it is not well-formed or asks for help."""
    known = parameters(run)
    named = {name: parameter for parameter in known for name in getattr(parameter.spec, "names", ())}
    values: dict[str, Any] = {}
    positional: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            positional += rest
        elif not word.startswith("-") or word == "-":
            positional.append(word)
        elif not _take_option(word, rest, named, values):
            return None
    return values if _take_positional(positional, known, values) else None


def register(app: typer.Typer, name: str, line: str, run: Callable[..., int]) -> None:
    """Add a light command to ``app``."""
    app.command(name, help=line)(_library_form(run))


def _parameter(name: str, hint: Any, default: object) -> Parameter:
    annotation, spec = get_args(hint)
    parts = [part for part in get_args(annotation) if part is not NoneType] if NoneType in get_args(annotation) else []
    inner = parts[0] if parts else annotation
    many = get_origin(inner) is list
    return Parameter(name, spec, get_args(inner)[0] if many else inner, many, default, annotation)


def _take_option(word: str, rest: Iterator[str], named: dict[str, Parameter], values: dict[str, Any]) -> bool:
    name, equals, value = word.partition("=")
    parameter = named.get(name)
    if parameter is None:
        return False
    if parameter.kind is bool:
        values[parameter.name] = True
        return not equals
    written = value if equals else next(rest, None)
    if written is None:
        return False
    return _take(parameter, written, values)


def _take_positional(words: list[str], known: list[Parameter], values: dict[str, Any]) -> bool:
    places = [parameter for parameter in known if isinstance(parameter.spec, Argument)]
    for parameter in places:
        taken, words = (words, []) if parameter.many else (words[:1], words[1:])
        for word in taken:
            if not _take(parameter, word, values):
                return False
        if not taken and parameter.default is inspect.Parameter.empty:
            return False
    return not words


def _take(parameter: Parameter, written: str, values: dict[str, Any]) -> bool:
    if isinstance(parameter.spec, Option) and parameter.spec.choices and written not in parameter.spec.choices:
        return False
    try:
        value = parameter.kind(written)
    except ValueError:
        return False
    if parameter.many:
        values.setdefault(parameter.name, []).append(value)
    else:
        values[parameter.name] = value
    return True


# The argument library's form


def _library_form(run: Callable[..., int]) -> Callable[..., int]:
    """``run`` with a signature that the library reads."""

    def command(**values: object) -> int:
        return run(**values)

    made = [
        inspect.Parameter(
            parameter.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=parameter.default,
            annotation=Annotated[parameter.annotation, _library_parameter(parameter)],
        )
        for parameter in parameters(run)
    ]
    command.__signature__ = inspect.Signature(made)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in made}
    command.__doc__ = run.__doc__
    return command


def _library_parameter(parameter: Parameter) -> Any:
    import typer

    spec = parameter.spec
    completion = _completion(spec)
    if isinstance(spec, Argument):
        return typer.Argument(help=spec.help, metavar=spec.metavar, autocompletion=completion)
    check = _choice_check(spec) if spec.choices else None
    return typer.Option(*spec.names, help=spec.help, metavar=spec.metavar, autocompletion=completion, callback=check)


def _completion(spec: Argument | Option) -> Callable[[str], list[str]] | None:
    if isinstance(spec, Option) and spec.choices:
        return lambda incomplete: [choice for choice in spec.choices if choice.startswith(incomplete)]
    if not spec.complete:
        return None
    from npudsl.cli import complete

    named: Callable[[str], list[str]] = getattr(complete, spec.complete)
    return named


def _choice_check(option: Option) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        import typer

        for word in value if isinstance(value, list) else [value]:
            if word is not None and word not in option.choices:
                raise typer.BadParameter(f"{word!r} is not one of {', '.join(option.choices)}")
        return value

    return check
