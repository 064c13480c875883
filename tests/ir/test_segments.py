"""Segments: contiguous, about equal in work, cut where one value crosses if there is such a place."""

from __future__ import annotations

from onnx_models import parse, simplified, weights

from npudsl.ir.fusion import layer_groups
from npudsl.ir.segments import SEGMENTS, crossing_values

BLOCKS = 24


def residual_network():
    """Blocks of two convolutions and an addition around them: only between blocks does one tensor cross."""
    lines, constants, last = [], {}, "x"
    for number in range(BLOCKS):
        constants |= {
            f"k{number}": weights(4, 4, 3, 3, seed=number) / 6,
            f"m{number}": weights(4, 4, 3, 3, seed=number) / 6,
        }
        lines += [
            f"a{number} = Conv<pads=[1,1,1,1]>({last}, k{number})",
            f"b{number} = Conv<pads=[1,1,1,1]>(a{number}, m{number})",
            f"c{number} = Add(b{number}, {last})",
        ]
        last = f"c{number}"
    body = f"net (float[1,4,8,8] x) => (float[1,4,8,8] {last}) {{ {' '.join(lines)} }}"
    graph = simplified(parse(body, **constants))
    return graph, layer_groups(graph)


def test_cuts_lie_where_one_tensor_crosses() -> None:
    graph, groups = residual_network()
    crossing = crossing_values(graph, groups)
    cuts = [at for at in range(1, len(groups)) if groups[at].segment != groups[at - 1].segment]
    assert len(cuts) == SEGMENTS - 1
    assert {crossing[at] for at in cuts} == {(1, 256)}


def test_segments_are_numbered_in_order_without_gaps() -> None:
    _, groups = residual_network()
    numbers = [group.segment for group in groups]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(SEGMENTS))


def test_segments_have_about_equal_work() -> None:
    _, groups = residual_network()
    work = [sum(group.macs for group in groups if group.segment == number) for number in range(SEGMENTS)]
    assert max(work) <= 2 * sum(work) / SEGMENTS


def test_segments_do_not_depend_on_anything_but_the_graph() -> None:
    assert residual_network()[1] == residual_network()[1]


def test_crossing_tensors_include_those_that_skip_layers() -> None:
    body = "net (float[1,4] x) => (float[1,4] y) { a = Exp(x) b = Sigmoid(a) y = Add(b, x) }"
    graph = simplified(parse(body))
    assert crossing_values(graph, layer_groups(graph)) == [(1, 4), (2, 8), (2, 8), (0, 0)]


def test_a_graph_of_one_layer_is_one_segment() -> None:
    graph = simplified(parse("net (float[1,4] x) => (float[1,4] y) { y = Exp(x) }"))
    assert [group.segment for group in layer_groups(graph)] == [0]
