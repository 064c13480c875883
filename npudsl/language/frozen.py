"""``@frozen``: small value classes that cost nothing at start-up.

``dataclasses`` writes and compiles six functions per class, 0.6 ms each time Python starts; the eighty classes of this
room would cost more than checking a file does. Here the methods are shared closures. Instances are the same to their
users: positional or named fields, defaults, ``field(compare=False)``, equality and hash by value, no assignment, and
``dataclasses.replace``, ``fields`` and ``asdict`` work: what these ask for is made when they ask.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar, dataclass_transform

NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""An empty mapping, as a default."""

_Class = TypeVar("_Class", bound=type)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(cls: _Class) -> _Class:
    """Give a class with annotated fields a constructor and value semantics. Defaults must be immutable."""
    names = tuple(getattr(cls, "__annotations__", ()))
    specified = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    defaults: dict[str, object] = {}
    compared = list(names)
    for name, value in specified.items():
        if isinstance(value, dataclasses.Field):
            delattr(cls, name)
            if not value.compare:
                compared.remove(name)
            value = value.default
        if value is not dataclasses.MISSING:
            defaults[name] = value
    cls.__init__ = _constructor(cls.__name__, names, defaults)  # type: ignore[misc]
    cls.__match_args__ = names  # type: ignore[attr-defined]
    cls._compared = tuple(compared)  # type: ignore[attr-defined]
    cls.__dataclass_fields__ = _Fields(names, specified)  # type: ignore[attr-defined]
    cls.__eq__ = _equal  # type: ignore[method-assign, assignment]
    cls.__hash__ = _hash  # type: ignore[method-assign, assignment]
    cls.__repr__ = _shown  # type: ignore[method-assign, assignment]
    cls.__setattr__ = _refuse  # type: ignore[method-assign, assignment]
    cls.__delattr__ = _refuse  # type: ignore[method-assign, assignment]
    return cls


def _constructor(title: str, names: tuple[str, ...], defaults: dict[str, object]) -> Callable[..., None]:
    count, known = len(names), frozenset(names)

    def construct(self: Any, *values: object, **named: object) -> None:
        if len(values) == count and not named:
            self.__dict__.update(zip(names, values, strict=True))
            return
        given = dict(zip(names, values, strict=False))
        complete = {**defaults, **given, **named}
        if len(values) > count or given.keys() & named.keys() or complete.keys() != known:
            raise TypeError(f"{title} takes {', '.join(names)}; not {values} and {named}")
        self.__dict__.update(complete)

    return construct


class _Fields:
    """``__dataclass_fields__`` of a class, made by ``dataclasses`` on demand."""

    def __init__(self, names: tuple[str, ...], specified: dict[str, Any]) -> None:
        self.names = names
        self.specified = specified

    def __get__(self, instance: object, owner: type) -> object:
        body = {"__annotations__": dict.fromkeys(self.names, Any), **self.specified}
        made = dataclasses.dataclass(frozen=True)(type(owner.__name__, (), body))
        return made.__dataclass_fields__  # type: ignore[attr-defined]


def _equal(self: Any, other: object) -> bool:
    if other.__class__ is not self.__class__:
        return NotImplemented
    mine, others = self.__dict__, other.__dict__
    return all(mine[name] == others[name] for name in self._compared)


def _hash(self: Any) -> int:
    values = self.__dict__
    return hash(tuple(values[name] for name in self._compared))


def _shown(self: Any) -> str:
    fields = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self.__match_args__)
    return f"{type(self).__name__}({fields})"


def _refuse(self: Any, *_: object) -> NoReturn:
    raise AttributeError(f"{type(self).__name__} cannot be changed")
