"""``@frozen``: small value classes that cost nothing at start-up.

``dataclasses`` writes and compiles six functions per class, 0.6 ms each time Python starts; the eighty classes of this
room would cost more than checking a file does. Here the methods are shared closures. Instances are the same to their
users: positional or named fields, defaults, ``field(compare=False)``, equality and hash by value, no assignment, and
``dataclasses.replace``, ``fields`` and ``asdict`` work: what these ask for is made when they ask.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, dataclass_transform

_Class = TypeVar("_Class", bound=type)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(cls: _Class) -> _Class:
    """Give a class with annotated fields a constructor and value semantics."""
    names = tuple(getattr(cls, "__annotations__", ()))
    specified = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    defaults: dict[str, object] = {}
    factories: dict[str, Callable[[], object]] = {}
    left_out = set()
    for name, value in specified.items():
        if not isinstance(value, dataclasses.Field):
            defaults[name] = value
            continue
        delattr(cls, name)
        if not value.compare:
            left_out.add(name)
        if value.default is not dataclasses.MISSING:
            defaults[name] = value.default
        elif value.default_factory is not dataclasses.MISSING:
            factories[name] = value.default_factory
    methods = {
        "__init__": _constructor(cls.__name__, names, defaults, factories),
        "__match_args__": names,
        "__dataclass_fields__": _Fields(names, specified),
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        **_by_value(cls, tuple(name for name in names if name not in left_out)),
    }
    for name, method in methods.items():
        setattr(cls, name, method)
    return cls


def _constructor(
    title: str, names: tuple[str, ...], defaults: dict[str, object], factories: dict[str, Callable[[], object]]
) -> Callable[..., None]:
    count, known = len(names), frozenset(names)

    def construct(self: Any, *values: object, **named: object) -> None:
        if len(values) == count and not named:
            self.__dict__.update(zip(names, values, strict=True))
            return
        given = dict(zip(names, values, strict=False))
        complete = {**defaults, **given, **named}
        for name, factory in factories.items():
            if name not in complete:
                complete[name] = factory()
        if len(values) > count or given.keys() & named.keys() or complete.keys() != known:
            raise TypeError(f"{title} takes {', '.join(names)}; not {values} and {named}")
        self.__dict__.update(complete)

    return construct


def _by_value(cls: type, compared: tuple[str, ...]) -> dict[str, Callable[..., object]]:
    def equal(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        mine, others = self.__dict__, other.__dict__
        return all(mine[name] == others[name] for name in compared)

    def hashed(self: Any) -> int:
        values = self.__dict__
        return hash(tuple([values[name] for name in compared]))

    def shown(self: Any) -> str:
        return f"{cls.__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"

    return {"__eq__": equal, "__hash__": hashed, "__repr__": shown}


class _Fields:
    """``__dataclass_fields__`` of a class, made by ``dataclasses`` on demand."""

    def __init__(self, names: tuple[str, ...], specified: dict[str, Any]) -> None:
        self.names = names
        self.specified = specified

    def __get__(self, instance: object, owner: type) -> Any:
        body = {"__annotations__": dict.fromkeys(self.names, Any), **self.specified}
        made: Any = dataclasses.dataclass(frozen=True)(type(owner.__name__, (), body))
        return made.__dataclass_fields__


def _refuse(self: Any, *_: object) -> NoReturn:
    raise AttributeError(f"{type(self).__name__} cannot be changed")
