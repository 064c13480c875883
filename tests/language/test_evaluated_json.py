"""The JSON form of the evaluated program fits its schema, and the schema refuses what is not of that form."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from language_corpus import EVERYTHING, documented, program_files

from npudsl.language.evaluated_json import json_schema, program_record
from npudsl.language.load import load_program
from npudsl.language.reference import block_forms, reference_page
from npudsl.language.schema import BLOCKS

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def record_of(text: str, folder: Path) -> dict[str, Any]:
    return json.loads(json.dumps(program_record(load_program(folder / "test.npu", text=text))))


def test_the_schema_is_a_json_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("text", [EVERYTHING, *documented()])
def test_the_record_of_a_program_fits_the_schema(text, tmp_path):
    VALIDATOR.validate(record_of(text, tmp_path))


@pytest.mark.parametrize("file", program_files(), ids=lambda file: file.name)
def test_the_record_of_a_maintained_program_fits_the_schema(file):
    VALIDATOR.validate(json.loads(json.dumps(program_record(load_program(file)))))


def changed(record: dict[str, Any], block: int, **settings: Any) -> dict[str, Any]:
    other = copy.deepcopy(record)
    other["blocks"][block]["settings"].update(settings)
    return other


def test_the_schema_refuses_what_the_language_does_not_have(tmp_path):
    record = record_of(EVERYTHING, tmp_path)
    kinds = [block["block"] for block in record["blocks"]]
    wrong = [
        {**record, "format": 2},
        {**record, "more": 1},
        changed(record, kinds.index("model"), format="caffe"),
        changed(record, kinds.index("model"), colour="rgb"),
        changed(record, kinds.index("input"), shape=[1, 0]),
        changed(record, kinds.index("input"), mean=0),
        changed(record, kinds.index("dataset"), samples=0),
        changed(record, kinds.index("quantize"), algorithm={"call": "kl", "bins": 1}),
        changed(record, kinds.index("quantize"), algorithm="minmax"),
        changed(record, kinds.index("target"), types=["u4"]),
    ]
    for other in wrong:
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(other)


def test_values_have_one_shape_however_they_are_written(tmp_path):
    blocks = record_of(EVERYTHING, tmp_path)["blocks"]
    image = next(block for block in blocks if block["name"] == "image data")["settings"]
    base = next(block for block in blocks if block["name"] == "base")
    accept = next(block for block in blocks if block["name"] == "accept")
    assert image["mean"] == [128.0]
    assert image["resize"] == {"call": "letterbox", "height": 32, "width": 32, "fill": [1, 2, 3], "filter": "nearest"}
    assert base["settings"]["algorithm"] == {"call": "percentile", "keep": 0.9999}
    assert base["defaults"] == ["scheme", "type"]
    assert base["rules"][0] == {
        "rule": "op",
        "selector": "Softmax",
        "pattern": "exact",
        "values": {"type": "f32"},
        "flags": [],
        "because": 'runs on the "CPU"',
        "inherited": True,
    }
    assert accept["rules"][1]["condition"] == {"metric": "top1_drop", "operator": "<=", "value": 0.005}


def test_the_schema_has_every_usable_key_of_the_language():
    for name, form in block_forms().items():
        schema = SCHEMA["$defs"][name.replace(" ", "_")]["properties"]["settings"]["properties"]
        assert set(schema) == {key.name for key in form.keys.values() if not key.unavailable}
    references = [item["$ref"] for item in SCHEMA["properties"]["blocks"]["items"]["oneOf"]]
    assert references == [f"#/$defs/{name}" for name in BLOCKS]


def test_the_key_reference_has_every_block_key_and_rule():
    page = reference_page()
    for name, form in block_forms().items():
        assert f"\n## {name}\n" in page
        for key in form.keys.values():
            assert f"`{key.name}`" in page
        for rule in form.rules.values():
            assert rule.unavailable or f"\n### {rule.name}\n" in page
