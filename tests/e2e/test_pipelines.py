"""The maintained pipelines on real models and photos: the figures they promise, and what an edit costs there."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from npu_command import Npu

pytestmark = [pytest.mark.slow, pytest.mark.shared]

HYBRID = "mobilenet_v2_hybrid.npu"


@pytest.fixture(scope="module")
def npu(tmp_path_factory, repository: Path, shared: Path) -> Npu:
    """The pipelines in a folder of their own, with the root ``zoo`` where the models are."""
    folder = tmp_path_factory.mktemp("pipelines")
    made = shutil.ignore_patterns("out", ".npudsl", "*.quant", "*.lock")
    shutil.copytree(repository / "pipelines", folder / "pipelines", ignore=made)
    (folder / "pipelines" / "npudsl.yaml").write_text(f"roots:\n  zoo: {shared}\n")
    return Npu(folder / "pipelines", folder / "cache")


def build(npu: Npu, program: str, code: int = 0) -> dict:
    (report,) = json.loads(npu("build", program, "--json", code=code).out)["builds"]
    return report


def parts_ran(report: dict) -> dict[str, int]:
    return {step["step"]: step["parts_ran"] for step in report["steps"] if step["ran"]}


def test_squeezenet_in_u8_keeps_its_classes(npu):
    (comparison,) = build(npu, "squeezenet1.1.npu")["comparisons"]
    (output,) = comparison["outputs"]
    assert output["agreement"]["total"] == 200
    assert output["agreement"]["hits"] >= 0.86 * 200
    assert output["figures"]["cosine"] >= 0.999


def test_mobilenet_in_u8_per_tensor_fails_and_names_the_guilty_depthwise_layers(npu):
    outcome = npu("build", "mobilenet_v2.npu", "-q", code=1)
    assert "error[E0701]" in outcome.err
    table = outcome.out.split("largest own error first")[1].splitlines()[2:4]
    assert all(line.split()[0].startswith("depthwise_") for line in table), table


def test_mobilenet_with_sixteen_bit_depthwise_layers_is_within_two_points_of_float(npu):
    rules = [line for line in (npu.folder / HYBRID).read_text().splitlines() if line.startswith("  layer")]
    assert len(rules) <= 5
    (comparison,) = build(npu, HYBRID)["comparisons"]
    (output,) = comparison["outputs"]
    assert output["candidate_top1"]["hits"] >= output["reference_top1"]["hits"] - 0.02 * 200


def test_mobilenet_with_a_scale_per_channel_agrees_with_float(npu):
    (comparison,) = build(npu, "mobilenet_v2_per_channel.npu")["comparisons"]
    (output,) = comparison["outputs"]
    assert output["agreement"]["hits"] >= 0.97 * 200


def test_a_late_override_costs_the_end_of_the_network_as_the_plan_had_said(npu):
    build(npu, HYBRID)
    npu.edit(HYBRID, "compare accept {", "# nothing yet\ncompare accept {")
    assert parts_ran(build(npu, HYBRID)) == {}
    whole = timed(npu, "--force", "simulate:hybrid/holdout", "--force", "compare", "--until", "compare")
    npu.edit(HYBRID, '  layers "conv_2d_[1-9]"', '  layer "conv_2d_61" type=i16\n  layers "conv_2d_[1-9]"')
    (plan,) = json.loads(npu("plan", HYBRID, "--json").out)["plans"]
    promised = {step["id"]: step["parts_to_run"] for step in plan["steps"] if step["verdict"] == "run"}
    assert promised["quantize:hybrid"] == ["layer/conv_2d_61"]
    late = timed(npu, "--until", "compare")
    report = build(npu, HYBRID)
    assert report["exit_code"] == 0
    memory = json.loads((npu.folder / ".npudsl" / "mobilenet_v2_hybrid.last.json").read_text())
    total = len(memory["steps"]["simulate:hybrid/holdout"]["parts"])
    assert len(promised["simulate:hybrid/holdout"]) < total / 4
    assert late <= 0.4 * whole, f"{late:.1f} s of {whole:.1f} s"


def test_another_algorithm_runs_no_inference(npu):
    build(npu, "squeezenet1.1.npu")
    npu.edit("squeezenet1.1.npu", "algorithm = minmax", "algorithm = kl")
    outcome = npu("plan", "squeezenet1.1.npu", "--json")
    (plan,) = json.loads(outcome.out)["plans"]
    verdicts = {step["id"]: step["verdict"] for step in plan["steps"]}
    assert verdicts["calibrate:calibration"] == "reuse"
    assert verdicts["simulate:float/holdout"] == "reuse"
    assert verdicts["quantize:u8"] == "run"


def timed(npu: Npu, *arguments: str) -> float:
    started = time.monotonic()
    npu("build", HYBRID, "-q", *arguments)
    return time.monotonic() - started
