"""The table of what can run agrees with the code that runs it."""

from __future__ import annotations

import onnx

from npudsl.ir.fusion import CLAMPED_OPS, MOVING_OPS, WEIGHTED_OPS
from npudsl.ir.onnx_proto import OPSET
from npudsl.ir.operators import OPERATORS, advice, operator_support
from npudsl.machine.float_ops.table import is_float_op
from npudsl.machine.tables import is_unary_function


def test_every_operator_is_one_of_the_vocabulary() -> None:
    assert [op for op in OPERATORS if not onnx.defs.has(op, OPSET, "")] == []


def test_an_operator_that_is_said_to_run_in_float_does() -> None:
    assert [op for op, support in OPERATORS.items() if support.float_too and not is_float_op(op)] == []


def test_an_operator_that_is_said_to_be_a_table_is_a_function_of_one_value() -> None:
    assert [op for op, support in OPERATORS.items() if support.way == "table" and not is_unary_function(op)] == []


def test_what_the_table_calls_passthrough_keeps_its_quantization() -> None:
    by_attributes = {"Pad", "Gather", "Dropout"}
    named = {op for op, support in OPERATORS.items() if support.way == "passthrough"}
    assert named - by_attributes <= MOVING_OPS
    assert {op for op in CLAMPED_OPS | WEIGHTED_OPS if OPERATORS[op].way == "passthrough"} == set()


def test_advice_names_the_layer_and_every_way_out() -> None:
    assert advice("nms", "NonMaxSuppression")[0] == (
        "NonMaxSuppression is not an operator that can run here, in integers or in float"
    )
    helps = advice("scale", "PRelu")
    assert "one slope" in helps[0]
    assert 'layer "scale" skip' in helps[1]
    assert advice("norm", "LayerNormalization")[0] == 'keep it in float: layer "norm" skip'
    assert not any("skip" in line for line in advice("lstm", "LSTM"))
    assert operator_support("NonMaxSuppression") is None
