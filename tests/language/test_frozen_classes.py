"""Value classes that cost no compilation: they behave like frozen dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from dataclasses import field

import pytest

from npudsl.language.frozen import frozen


@frozen
class Ours:
    """A value."""

    name: str
    count: int = 3
    extra: Mapping[str, int] = field(default_factory=dict)
    note: str | None = field(compare=False, default=None)


@dataclasses.dataclass(frozen=True)
class Theirs:
    """The same by dataclasses."""

    name: str
    count: int = 3
    extra: Mapping[str, int] = field(default_factory=dict)
    note: str | None = field(compare=False, default=None)


CALLS = [
    (("a",), {}),
    (("a", 4), {}),
    (("a",), {"note": "x"}),
    (("a", 1, {"x": 1}, "n"), {}),
    ((), {"name": "b", "count": 1}),
]


@pytest.mark.parametrize(("values", "named"), CALLS)
def test_a_value_is_made_as_by_dataclasses(values, named):
    assert vars(Ours(*values, **named)) == vars(Theirs(*values, **named))


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), (("a", 1, {}, None, 5), {}), (("a",), {"name": "b"}), (("a",), {"other": 1}), ((), {"count": 1})],
)
def test_wrong_arguments_are_refused(values, named):
    with pytest.raises(TypeError):
        Theirs(*values, **named)
    with pytest.raises(TypeError, match="Ours takes name, count, extra, note"):
        Ours(*values, **named)


def test_equality_and_hash_go_by_value_and_leave_out_what_is_not_compared():
    assert Ours("a", note="x") == Ours("a", note="y")
    assert Ours("a") != Ours("b")
    assert Ours("a") != Theirs("a")
    assert hash(Ours("a", 1, (), "x")) == hash(Ours("a", 1, (), "y"))
    with pytest.raises(TypeError):
        hash(Ours("a"))


def test_a_default_made_by_a_factory_is_not_shared():
    assert Ours("a").extra is not Ours("a").extra


def test_a_value_cannot_be_changed():
    value = Ours("a")
    with pytest.raises(AttributeError):
        value.name = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del value.name


def test_the_tools_of_dataclasses_work():
    value = Ours("a", 1, {"x": 1}, "n")
    assert dataclasses.replace(value, count=2) == Ours("a", 2, {"x": 1})
    assert [item.name for item in dataclasses.fields(value)] == ["name", "count", "extra", "note"]
    assert [item.compare for item in dataclasses.fields(Ours)] == [True, True, True, False]
    assert dataclasses.asdict(value) == dataclasses.asdict(Theirs("a", 1, {"x": 1}, "n"))
    assert dataclasses.is_dataclass(value)


def test_a_value_is_copied_pickled_matched_and_shown():
    value = Ours("a", 1, {"x": 1}, "n")
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value
    assert repr(value) == "Ours(name='a', count=1, extra={'x': 1}, note='n')"
    match value:
        case Ours(name, count):
            assert (name, count) == ("a", 1)
