"""What enters the keys of simulate, compare and export."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace

import pytest

from npudsl.keys import digest_record
from npudsl.language.program import Input, Requirement
from npudsl.steps.compare import kind as compare
from npudsl.steps.export import kind as export
from npudsl.steps.simulate import kind as simulate
from npudsl.steps.simulate.chunks import CHUNK, other_chunks, report_chunks

CONFIGS = (
    simulate.SimulateConfig("u8", (Input("data"),), "NCHW", ("a", "b"), 2, ("outputs",)),
    compare.CompareConfig("accept", "float", "u8", ("cosine",), (Requirement("cosine", ">=", 0.9),), 2, (1, None)),
    export.ExportConfig("c-project", "lenet", {"level": 1}, (Input("data"),), "NCHW", "a"),
)

OTHER = {
    "variant": "i16",
    "inputs": (Input("data", mean=(1.0,)),),
    "layout": "NHWC",
    "samples": ("b", "a"),
    "report_samples": 1,
    "activation_bytes": 1,
    "dump": ("all",),
    "name": "other",
    "reference": "i16",
    "candidate": "i16",
    "metrics": ("sqnr",),
    "requires": (Requirement("cosine", ">", 0.9),),
    "labels": (1, 2),
    "kind": "onnx-qdq",
    "options": {"level": 1.0},
    "sample": None,
}

# Modules that carry no arithmetic of a result: how steps, blobs and problems are written down.
PLUMBING = (
    "npudsl.diagnostics",
    "npudsl.keys",
    "npudsl.language",
    "npudsl.native",  # the compiler's flags are in the key, where libraries are kept is not
    "npudsl.plan",
    "npudsl.artifacts.blob",
)

PROBE = """
import importlib, json, sys
for module in sys.argv[1].split(","):
    importlib.import_module(module)
print(json.dumps([name for name, module in sys.modules.items() if name.startswith("npudsl") and module.__file__]))
"""


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_every_field_moves_the_key(config):
    for field in fields(config):
        other = 1 if (field.name, type(config)) == ("samples", compare.CompareConfig) else OTHER[field.name]
        changed = replace(config, **{field.name: other})

        assert digest_record(changed.record()) != digest_record(config.record()), field.name


@pytest.mark.parametrize(
    ("kind", "modules"),
    [
        (simulate.KIND, simulate.KIND.run_module),
        (compare.KIND, compare.KIND.run_module),
        (export.export_kind("c-project"), f"{export.export_kind('c-project').run_module},npudsl.backends.c_project"),
    ],
    ids=["simulate", "compare", "export"],
)
def test_all_code_that_a_step_runs_is_in_its_key(kind, modules):
    done = subprocess.run([sys.executable, "-c", PROBE, modules], capture_output=True, text=True, check=True)
    packages = {"npudsl", "npudsl.artifacts", "npudsl.data", "npudsl.ir", "npudsl.steps", "npudsl.numerics"}

    def covered(module: str) -> bool:
        return any(module == name or module.startswith(f"{name}.") for name in (*kind.code, *PLUMBING))

    assert [name for name in json.loads(done.stdout) if name not in packages and not covered(name)] == []


def test_the_reason_of_a_requirement_is_not_part_of_the_key():
    config = CONFIGS[1]
    reasoned = replace(config, requires=(replace(config.requires[0], because="we say so"),))

    assert reasoned.record() == config.record()


def test_report_chunks_are_fixed_by_position():
    samples = [f"{index}" for index in range(30)]

    assert list(report_chunks(samples, 16).items()) == [
        ("report-0", tuple(samples[:8])),
        ("report-1", tuple(samples[8:16])),
    ]
    assert report_chunks(samples, 0) == {}
    assert report_chunks(samples[:3], 16) == {"report-0": ("0", "1", "2")}


def test_other_chunks_hold_every_other_sample_once():
    samples = [f"{index % 50}" for index in range(120)]

    chunks = other_chunks(samples, 16, [])

    held = [sample for chunk in chunks.values() for sample in chunk]
    assert sorted(held) == sorted({f"{index}" for index in range(16, 50)})
    assert max(map(len, chunks.values())) <= CHUNK


def test_a_chunk_that_lost_a_sample_is_cut_again():
    samples = [f"{index}" for index in range(48)]
    before = other_chunks(samples, 0, [])
    records = [{"samples": list(chunk)} for chunk in before.values()]

    after = other_chunks([sample for sample in samples if sample != "20"], 0, records)

    assert len(before.keys() & after.keys()) == 2
    assert len(after) == 3


def test_many_small_chunks_are_cut_afresh():
    samples = [f"{index}" for index in range(40)]
    records = [{"samples": [sample]} for sample in samples]

    assert other_chunks(samples, 0, records) == other_chunks(samples, 0, [])


def test_records_of_something_else_are_passed_over():
    samples = [f"{index}" for index in range(20)]
    strange = [{"samples": []}, {"layers": {}}, {"samples": ["elsewhere"]}, {"samples": [*samples[:17]]}]

    assert other_chunks(samples, 0, strange) == other_chunks(samples, 0, [])
