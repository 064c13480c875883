"""The simplification of an imported graph: one file a pass, each ``Graph -> Graph``, in the order of ``PASSES``.

Every pass keeps the values of all tensors that stay (up to the rounding of a folded constant) and says through the
alias map what became of every name. The canonical form they lead to:

- no Identity, Dropout, or operator that hands its input on; no Constant; nothing computable without inputs;
- Conv, ConvTranspose and pools have explicit ``kernel_shape``, ``strides``, ``dilations`` (an AveragePool only when
  they are not 1), ``pads`` and no ``auto_pad``;
- a zero Pad in front of a Conv is part of its ``pads`` (never of a MaxPool's: that pads with minus infinity);
- Gemm with a constant matrix has it as (out, in): ``transB`` 1, ``transA`` 0, ``alpha`` and ``beta`` 1, bias of shape
  (out,) or none;
- MatMul of rank 2 with a constant matrix and a bias is such a Gemm; without a bias, or of a higher rank, it stays a
  MatMul (and a bias of the shape of its last axis stays an Add, with a flat constant, that belongs to the same layer
  group);
- per-channel Mul, Add, Sub, Div by constants and BatchNormalization are folded into the Conv, ConvTranspose or Gemm
  in front;
- a BatchNormalization that cannot be folded is a depthwise 1x1 Conv (rank 3 and 4: one rounding in integer
  arithmetic, and NPUs have it) or Mul and Add (other ranks);
- Softmax works on its tensor as it is, without being flattened and unflattened around it;
- Add, Max and Min have two inputs (Sum and Mean are written with Add); a Max or Min with one number is a Clip; norms
  (ReduceL1, ReduceL2, ReduceSumSquare) are a ReduceSum with functions around it; a constant matrix stands on the right;
- LSTM, GRU and RNN are written out step by step, as far as ``recurrent.py`` can.
"""

from __future__ import annotations

from npudsl.ir.graph import Graph
from npudsl.ir.passes.canonical_gemm import canonical_gemm
from npudsl.ir.passes.explicit_padding import explicit_padding
from npudsl.ir.passes.fold_affine import fold_affine
from npudsl.ir.passes.fold_constants import fold_constants
from npudsl.ir.passes.fold_padding import fold_padding
from npudsl.ir.passes.plain_arithmetic import plain_arithmetic
from npudsl.ir.passes.plain_softmax import plain_softmax
from npudsl.ir.passes.recurrent import write_out_recurrent
from npudsl.ir.passes.remove_identities import remove_identities
from npudsl.ir.passes.replace_batch_norm import replace_batch_norm

PASSES = (
    fold_constants,
    remove_identities,
    explicit_padding,
    fold_padding,
    plain_softmax,
    plain_arithmetic,
    write_out_recurrent,
    canonical_gemm,
    fold_affine,
    replace_batch_norm,
    fold_constants,
)


def simplify(graph: Graph) -> Graph:
    """``graph`` in canonical form."""
    for one_pass in PASSES:
        graph = one_pass(graph)
    return graph
