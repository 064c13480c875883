"""The simplified graph and the untouched model on one sample: import proves its own work, every time.

Both run without any rewriting by the runtime; the simplified one once more with its rewriting on, because that is how
float runs will use it. The sample is pseudo-random and always the same. Differences are relative to the largest
magnitude of the reference output.

The limit is 1e-5. A network can be so steep that float32 rounding alone moves its outputs further than that
(measured: 8e-6 for MobileNetV2 on noise, by the runtime's fusions alone). So when the limit is passed, the reference
itself is run again on the sample changed in its last digits, and what that moves is allowed several times over, up to
1e-3; a wrong rewrite is far beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from npudsl.diagnostics import Problem
from npudsl.ir.float_run import run, session
from npudsl.ir.graph import Graph
from npudsl.ir.onnx_proto import to_onnx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = Mapping[str, NDArray[Any]]
    Runner = Callable[[Values], Values]

LIMIT = 1e-5
"""Allowed difference, relative to the largest magnitude of the output."""

STEEP_LIMIT = 1e-3
"""Never more than this, however steep the network."""

STEEPNESS_MARGIN = 8.0
"""How many times the reference's own movement is allowed."""

LAST_DIGITS = 2.0**-22
"""Relative change of a sample in its last digits: two units of float32."""

SAMPLE_SCALES = (1.0, 1.0, 0.1, 0.01)
"""Standard deviations of the samples tried until one gives finite outputs."""


def check_same_results(reference: bytes, graph: Graph, onnx_bytes: bytes) -> None:
    """Raise ``Problem`` E0409 unless ``onnx_bytes`` (the file of ``graph``) computes what ``reference`` does."""
    untouched = _untouched(reference, next(samples(graph)))
    sample, expected = _finite_run(untouched, graph)
    for optimize in (False, True):
        found = run(session(onnx_bytes, optimize=optimize), sample)
        wrong = _first_difference(expected, found, LIMIT)
        if wrong is None:
            continue
        allowed = _steepness(untouched, sample, expected)
        if _first_difference(expected, found, allowed) is not None:
            raise _differs(reference, graph, sample, optimize, wrong)


def _untouched(reference: bytes, trial: Values) -> Runner:
    """A function that runs the untouched model: with the runtime, or with ONNX's own evaluator where that gives up."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    try:
        loaded = session(reference, optimize=False)
        run(loaded, trial)
        return lambda sample: run(loaded, sample)
    except Exception as error:  # the runtime has a class of its own for each way not to run a model
        refusal = error
    try:
        evaluator = ReferenceEvaluator(onnx.load_model_from_string(reference))
        evaluator.run(None, dict(trial))
    except Exception:
        raise _cannot_run(refusal) from refusal
    return lambda sample: dict(zip(evaluator.output_names, evaluator.run(None, dict(sample)), strict=True))


def samples(graph: Graph) -> Iterator[dict[str, NDArray[Any]]]:
    """Deterministic inputs: normally distributed, at ever smaller scales, then positive."""
    for seed, scale in enumerate(SAMPLE_SCALES):
        generator = np.random.default_rng(seed)
        yield {
            name: (generator.standard_normal(graph.types[name].shape) * scale).astype(np.float32)
            for name in graph.inputs
        }
    generator = np.random.default_rng(len(SAMPLE_SCALES))
    yield {name: generator.random(graph.types[name].shape, np.float32) + np.float32(0.5) for name in graph.inputs}


def _finite_run(untouched: Runner, graph: Graph) -> tuple[dict[str, NDArray[Any]], Values]:
    """The first sample whose outputs are all finite, and they."""
    unusable = ""
    for sample in samples(graph):
        values = untouched(sample)
        broken = [name for name, value in values.items() if value.dtype.kind == "f" and not np.isfinite(value).all()]
        if not broken:
            return sample, values
        unusable = broken[0]
    raise Problem(
        "E0409",
        f"the model gives NaN or infinity in `{unusable}` for every one of {len(SAMPLE_SCALES) + 1} samples",
        subject="model.file",
        notes=["the samples are normally distributed around 0 with different widths, and positive numbers around 1"],
        helps=["check that the exported model works on real data"],
    )


def difference(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """Largest absolute difference relative to the largest magnitude of ``expected``; infinity when shapes differ."""
    if expected.shape != found.shape:
        return float("inf")
    if expected.size == 0:
        return 0.0
    wide, other = expected.astype(np.float64), found.astype(np.float64)
    largest = float(np.abs(wide).max())
    apart = float(np.abs(wide - other).max())
    if np.isnan(apart):
        return float("inf")
    return apart / largest if largest > 0 else apart


def _first_difference(expected: Values, found: Values, limit: float) -> str | None:
    return next((name for name, value in expected.items() if difference(value, found[name]) > limit), None)


def _steepness(untouched: Runner, sample: Values, expected: Values) -> float:
    """How far outputs may be apart: several times what two units in the last place of the sample do to them."""
    generator = np.random.default_rng(7)
    moved = {
        name: (value * (1.0 + LAST_DIGITS * generator.choice([-1.0, 1.0], value.shape))).astype(np.float32)
        for name, value in sample.items()
    }
    values = untouched(moved)
    own = max(difference(value, values[name]) for name, value in expected.items())
    return min(STEEP_LIMIT, max(LIMIT, STEEPNESS_MARGIN * own))


def _differs(reference: bytes, graph: Graph, sample: Values, optimize: bool, output: str) -> Problem:
    """The error, with the first tensor in graph order that is not what it was."""
    expected, found = _common_values(reference, graph, sample, optimize)
    how = "with the runtime's rewriting" if optimize else "as written"
    tensor = next((name for name in expected if difference(expected[name], found[name]) > LIMIT), output)
    notes = [f"compared on one pseudo-random sample, {how}; the limit is {LIMIT:g} of the largest magnitude"]
    message = "the simplified model does not compute what the file does: "
    what = f"output `{output}` differs"
    if tensor in expected:
        at = int(np.argmax(np.abs(expected[tensor].astype(np.float64) - found[tensor].astype(np.float64))))
        before, after = expected[tensor].reshape(-1)[at], found[tensor].reshape(-1)[at]
        node = graph.producer(tensor)
        layer = f", made by layer `{node.name}` ({node.op})," if node is not None else ""
        what = f"`{tensor}`{layer} is {after:g} instead of {before:g}"
        notes.append(
            f"element {at} of {expected[tensor].size}; {difference(expected[tensor], found[tensor]):.2g} of the range"
        )
    return Problem(
        "E0409",
        message + what,
        subject="model.file",
        notes=notes,
        helps=["this is a fault of the import: please report it with the model, or cut the model around that layer"],
    )


def _common_values(reference: bytes, graph: Graph, sample: Values, optimize: bool) -> tuple[Values, Values]:
    """Tensors that both networks have, in graph order, from both."""
    import onnx

    model = onnx.load_model_from_string(reference)
    before = {name for node in model.graph.node for name in node.output if name}
    shared = [
        name for node in graph.nodes for name in node.outputs if name in before and graph.types[name].dtype == "float32"
    ]
    del model.graph.output[:]
    for name in shared:
        info = model.graph.output.add(name=name)
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    expected = _untouched(model.SerializeToString(), sample)(sample)
    found = run(session(to_onnx(graph, outputs=shared), optimize=optimize), sample)
    return expected, found


def _cannot_run(error: Exception) -> Problem:
    return Problem(
        "E0409",
        f"onnxruntime cannot run the model: {' '.join(str(error).split())}",
        subject="model.file",
        helps=["does the model run in onnxruntime by itself? export it again if not"],
    )
