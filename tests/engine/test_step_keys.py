"""A key covers everything a result depends on, and nothing else."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from npu_command import EXAMPLE

from npudsl.api.planned import plan_of
from npudsl.api.project import open_project
from npudsl.artifacts.model_formats import DeclaredInput
from npudsl.diagnostics import Problem
from npudsl.keys import digest_record
from npudsl.language.program import Call, Input, PathValue, Quantize, Requirement, Rule, Selector, Size
from npudsl.language.resolve import quantize_record
from npudsl.plan.action import Host, action_key, action_record
from npudsl.plan.step import StepKind
from npudsl.steps.calibrate.kind import KIND as CALIBRATE
from npudsl.steps.calibrate.kind import CalibrateConfig
from npudsl.steps.compare.kind import CompareConfig
from npudsl.steps.export.kind import ExportConfig, option_value
from npudsl.steps.import_model.kind import ImportConfig
from npudsl.steps.quantize.kind import QuantizeConfig
from npudsl.steps.simulate.kind import SimulateConfig

INPUT = Input(
    "data",
    shape=(1, 3, 8, 8),
    dtype="float32",
    layout="NCHW",
    color="rgb",
    mean=(0.5, 0.25, 0.75),
    scale=(1.0, 2.0, 3.0),
    resize=Call("letterbox", (("height", 8), ("width", 9), ("fill", 7))),
    crop=Call("center", (("height", 8), ("width", 9))),
    reorder=(2, 1, 0),
    options={"mode": "x"},
)

VARIANT = Quantize(
    "u8",
    "calib",
    {"scheme": "asymmetric_affine", "algorithm": Call("kl", (("bins", 2048),)), "size": Size((1, 2))},
    (Rule(0, "layer", Selector("exact", "conv"), {"type": "i16", "min": -1.5}, True, 2, None, True),),
)

CONFIGS = (
    ImportConfig("onnx", "net.onnx", (DeclaredInput("data", (1, 3)),), ("prob",)),
    CalibrateConfig((INPUT,), "NCHW", ("a", "b")),
    QuantizeConfig(VARIANT, "vip24", "full"),
    SimulateConfig("u8", (INPUT,), "NCHW", ("a", "b"), 2, ("outputs",), 1000),
    CompareConfig("accept", "float", "u8", ("cosine",), (Requirement("cosine", ">=", 0.9, "prob", False),), 2, (1, 2)),
    ExportConfig("c-project", "net", {"level": 1, "deep": {"list": [1, "two"]}}, (INPUT,), "NCHW", "a"),
)

WITHOUT_EFFECT = {
    "Input.shape": "the imported model has the shape; it is part of the import's config",
    "Input.dtype": "the imported model has the element type",
    "Input.options": "what is written there and not modelled is refused by check",
    "Requirement.because": "a reason is text for people",
    "Rule.because": "a reason is text for people",
    "Rule.index": "the order of the rules is in the record",
}


def changed_values(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every smallest change of a value, with the path of what was changed; raises ``TypeError`` for an unknown type."""
    if value is None:
        return
    if isinstance(value, bool):
        yield path, not value
    elif isinstance(value, int):
        yield path, value + 1
    elif isinstance(value, float):
        yield path, value + 0.125
    elif isinstance(value, str):
        yield path, value + "x"
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            place = f"{type(value).__name__}.{field.name}"
            for inner, other in changed_values(getattr(value, field.name), place):
                yield inner, dataclasses.replace(value, **{field.name: other})
    elif isinstance(value, tuple):
        yield path, value + value[:1] if value else ("x",)
        for index, item in enumerate(value):
            for inner, other in changed_values(item, path):
                yield inner, (*value[:index], other, *value[index + 1 :])
    elif isinstance(value, Mapping):
        yield path, {**value, "another": 1}
        for key, item in value.items():
            for inner, other in changed_values(item, path):
                yield inner, {**value, key: other}
    elif isinstance(value, list):
        for index, item in enumerate(value):
            for inner, other in changed_values(item, path):
                yield inner, [*value[:index], other, *value[index + 1 :]]
    else:
        raise TypeError(f"{path} has a {type(value).__name__}, and this test does not know how to change one")


def record_of(config: Any) -> str:
    if isinstance(config, QuantizeConfig) and isinstance(config.variant, Quantize):
        config = dataclasses.replace(config, variant=quantize_record(config.variant))
    return digest_record(config.record())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_every_field_of_every_config_moves_the_record(config):
    base = record_of(config)
    walked = set()
    for path, other in changed_values(config, type(config).__name__):
        walked.add(path)
        try:
            moved = record_of(other) != base
        except (Problem, ValueError):
            continue  # a change that makes the value meaningless has no key at all
        if path != "Call.arguments" or isinstance(config, QuantizeConfig):
            assert moved == (path not in WITHOUT_EFFECT), (path, other)
    names = {f"{type(config).__name__}.{field.name}" for field in dataclasses.fields(config)}
    missed = {name for name in names if not any(path == name for path in walked)}
    assert all(dataclasses.is_dataclass(_first(getattr(config, name.partition(".")[2]))) for name in missed), missed


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value


@pytest.mark.parametrize("name", ["resize", "crop"])
def test_geometry_moves_the_record(name):
    base = CalibrateConfig((INPUT,), "NCHW", ("a",))
    call = getattr(INPUT, name)
    key, size = call.arguments[0]
    other = dataclasses.replace(call, arguments=((key, size + 1), *call.arguments[1:]))
    for changed in (other, None):
        config = CalibrateConfig((dataclasses.replace(INPUT, **{name: changed}),), "NCHW", ("a",))
        assert record_of(config) != record_of(base)


def test_an_unknown_type_in_a_config_is_refused():
    with pytest.raises(TypeError):
        list(changed_values(object(), "somewhere"))
    with pytest.raises(TypeError):
        digest_record({"value": object()})


def test_an_option_of_an_export_has_its_written_form():
    assert option_value(PathValue("a/b", "/somewhere/a/b")) == "a/b"
    assert option_value(Size((1, 2))) == [1, 2]


# --- the parts of a key besides the record ---

KIND = StepKind("kind", 1, "nowhere", ("npudsl.keys.canonical",), numeric=True, tools=("numpy",))
HOST = Host("linux-x86_64-avx2", {"numpy": "2.0"}, "salt")


def key(kind: StepKind = KIND, what: str = "part", record: Any = None, inputs=None, host: Host = HOST) -> str:
    return action_key(action_record(kind, what, record or {"a": 1}, inputs or {"x": "0" * 64}, host))


@pytest.mark.parametrize(
    "other",
    [
        {"kind": dataclasses.replace(KIND, name="other")},
        {"kind": dataclasses.replace(KIND, version=2)},
        {"kind": dataclasses.replace(KIND, code=("npudsl.keys.code",))},
        {"what": "join"},
        {"record": {"a": 1.0}},
        {"record": {"a": True}},
        {"record": {"a": "1"}},
        {"inputs": {"x": "1" * 64}},
        {"inputs": {"y": "0" * 64}},
        {"host": dataclasses.replace(HOST, processor="linux-aarch64-neon")},
        {"host": dataclasses.replace(HOST, tools={"numpy": "2.1"})},
        {"host": dataclasses.replace(HOST, salt="another")},
    ],
    ids=str,
)
def test_everything_in_the_action_moves_the_key(other):
    assert key(**other) != key()


def test_tools_that_a_step_does_not_use_and_processors_of_exact_steps_do_not_count():
    tools = {"numpy": "2.0", "onnx": "9"}
    assert key(host=dataclasses.replace(HOST, tools=tools)) == key()
    exact = dataclasses.replace(KIND, numeric=False)
    assert key(exact, host=dataclasses.replace(HOST, processor="other")) == key(exact)


def test_float_steps_say_so():
    assert CALIBRATE.numeric


# --- what must not count ---


def steps_of(folder: Path, text: str | None = None) -> dict[str, tuple[Any, ...]]:
    """By step what its keys are made of."""
    if text is not None:
        (folder / "digits.npu").write_text(text)
    plan = plan_of(open_project(folder / "digits.npu"))
    return {
        step.id: (step.kind, step.record, dict(step.inputs), {role: file.digest for role, file in step.files.items()})
        for step in plan.pipeline.steps
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(
        EXAMPLE, tmp_path / "here", ignore=shutil.ignore_patterns("out", ".npudsl", "*.quant", "*.lock", "__pycache__")
    )
    return tmp_path / "here"


def test_place_name_comments_and_order_of_blocks_do_not_count(project, tmp_path):
    text = (project / "digits.npu").read_text()
    base = steps_of(project)
    shutil.copytree(project, tmp_path / "there" / "deeper")
    assert steps_of(tmp_path / "there" / "deeper") == base
    assert steps_of(project, "# another comment\n" + text.replace("\n\n", "\n\n# and more\n\n")) == base
    head, *blocks = [block for block in text.split("\n\n") if block.strip()]
    assert len(blocks) > 8
    based = [block for block in blocks if block.startswith("quantize")]
    moved = [*based, *reversed([block for block in blocks if block not in based])]
    assert steps_of(project, "\n\n".join([head, *moved]) + "\n") == base


def test_a_rule_counts_in_its_variant_alone(project):
    text = (project / "digits.npu").read_text()
    base = steps_of(project)
    changed = steps_of(
        project, text.replace('layer "/depthwise/conv/Conv" type=i16', 'layer "/stem/conv/Conv" type=i16')
    )
    assert {name for name in base if changed[name] != base[name]} == {"quantize:hybrid"}
