"""``mle``: the range and the rounding of one layer's weights under which its output errs least.

Candidates are the weight's own range and 2**(-k/4) of it, k = 1 .. 8; power-of-two scales take whole halvings. With one
scale for all weights the sum of the output channels' errors decides, with a scale per channel every channel for itself.
Under each candidate weights are rounded by ``second_order``. Error: mean square of the layer's output in float
arithmetic on the codes that the layer really reads, its mean left out (the corrected bias takes that away).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.quantized_model import WeightQuantization
from npudsl.numerics.affine import code_limits
from npudsl.numerics.dfp import DfpClamp
from npudsl.numerics.types import element_type
from npudsl.steps.quantize.input_moments import moments
from npudsl.steps.quantize.parameters import parameters_of, written_range
from npudsl.steps.quantize.second_order import Grid, SecondOrder

Array = NDArray[Any]

ALGORITHM = "mle"
"""What the table says of a weight whose range and codes were chosen here."""

SHARES = tuple(2.0 ** (-k / 4) for k in range(9))
HALVINGS = (1.0, 0.5, 0.25)


@dataclass(frozen=True)
class LayerInput:
    """What a weighted layer reads: the samples' codes stacked on the first axis, and how the layer reads them."""

    codes: Array
    zero_point: int
    operation: str
    attributes: Mapping[str, Any]


def least_error(
    values: Array, weight: WeightQuantization, input_: LayerInput, saturation: DfpClamp
) -> tuple[WeightQuantization, Array]:
    """The weight as it is stored best, and its codes; ``values`` are the real weights in the stored layout."""
    candidates = [_at_share(weight, share) for share in (HALVINGS if weight.scheme == "dfp" else SHARES)]
    grids = [_grid(candidate, saturation) for candidate in candidates]
    groups = int(input_.attributes["group"]) if input_.operation == "conv" else 1
    rows = values.astype(np.float64).reshape(groups, values.shape[0] // groups, -1)
    codes = [np.empty(rows.shape, dtype=np.int16) for _ in candidates]
    errors = [np.zeros(rows.shape[:2]) for _ in candidates]
    for part, seen in moments(input_.codes, input_.zero_point, input_.operation, values.shape, input_.attributes):
        rounder = SecondOrder(seen)
        for index, grid in enumerate(grids):
            codes[index][:, :, part], error = rounder.rounded(rows[:, :, part], grid)
            errors[index] += error
    chosen = _choose(weight.scheme, errors)
    best = np.choose(chosen[:, :, None], codes) if len(codes) > 1 else codes[0]
    stored = best.reshape(values.shape).astype(element_type(weight.type).storage)
    return replace(_taken(candidates, chosen), algorithm=ALGORITHM), stored


def _at_share(weight: WeightQuantization, share: float) -> WeightQuantization:
    """The weight with its range, or its scales, times ``share``."""
    if weight.scheme == "perchannel":
        return replace(weight, scales=tuple(scale * share for scale in weight.scales))
    assert weight.low is not None
    assert weight.high is not None
    low, high = written_range(weight.low * share, weight.high * share, weight.type)
    parameters = parameters_of(low, high, weight.type, weight.scheme)
    return replace(
        weight,
        low=low,
        high=high,
        scales=(parameters.scale,),
        zero_point=parameters.zero_point,
        fractional_length=parameters.fractional_length,
    )


def _grid(weight: WeightQuantization, saturation: DfpClamp) -> Grid:
    narrow = weight.scheme in ("sym", "perchannel") or (weight.scheme == "dfp" and saturation == "symmetric")
    low, high = code_limits(weight.type, narrow_range=narrow)
    return Grid(np.asarray(weight.scales), weight.zero_point, low, high)


def _choose(scheme: str, errors: Sequence[Array]) -> NDArray[np.int64]:
    """Index of the best candidate of every row (groups, rows); the widest of equal ones."""
    stacked = np.stack(errors)
    if scheme == "perchannel":
        chosen: NDArray[np.int64] = np.argmin(stacked, axis=0)
        return chosen
    best = int(np.argmin(stacked.reshape(len(errors), -1).sum(axis=1)))
    return np.full(stacked.shape[1:], best)


def _taken(candidates: Sequence[WeightQuantization], chosen: NDArray[np.int64]) -> WeightQuantization:
    if candidates[0].scheme != "perchannel":
        return candidates[int(chosen.reshape(-1)[0])]
    scales = np.stack([np.asarray(item.scales) for item in candidates])
    picked = np.take_along_axis(scales, chosen.reshape(1, -1), axis=0)[0]
    return replace(candidates[0], scales=tuple(float(scale) for scale in picked))
