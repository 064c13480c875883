"""``npu explain``: codes, words of the language, and what decides about a layer, a tensor and a step."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from npu_inside import npu_inside

from npudsl.diagnostics.codes import CODES

LAYER = """\
layer /depthwise/conv/Conv
  Conv, output 1x16x8x8, 9.22 k MACs
  computes /depthwise/conv/Conv and /depthwise/activation/Clip in one
  reads /stem/activation/Clip_output_0

variant u8
  no rule reaches it: the settings of the variant hold
  wgt depthwise.conv.weight
    type       u8                 digits.npu:{line[type]}:10
    scheme     asymmetric_affine  digits.npu:{line[scheme]}:12
    algorithm  minmax             default
    table      {u8[0]}  (digits.u8.quant:5)
  act /depthwise/activation/Clip_output_0
    type       u8                 digits.npu:{line[type]}:10
    scheme     asymmetric_affine  digits.npu:{line[scheme]}:12
    algorithm  minmax             digits.npu:{line[algorithm]}:15
    table      {u8[1]}  (digits.u8.quant:6)

variant hybrid
  rules that reach it, in the order of application
    layer "/depthwise/conv/Conv" type=i16  digits.npu:{line[layer]}:9
      because "scores 28.3 -> 29.8 dB for 0.7% of the MACs"
  wgt depthwise.conv.weight
    type       u8                 digits.npu:{line[type]}:10  overridden by layer "/depthwise/conv/Conv" type=i16
               i16                digits.npu:{line[layer]}:32  by layer "/depthwise/conv/Conv" type=i16
    scheme     asymmetric_affine  digits.npu:{line[scheme]}:12  replaced: dynamic_fixed_point goes with the type
    algorithm  minmax             default
    table      {hybrid[0]}  (digits.hybrid.quant:6)
               step 6.10352e-5 (2 to the power of -14)
  act /depthwise/activation/Clip_output_0
    type       u8                 digits.npu:{line[type]}:10  overridden by layer "/depthwise/conv/Conv" type=i16
               i16                digits.npu:{line[layer]}:32  by layer "/depthwise/conv/Conv" type=i16
    scheme     asymmetric_affine  digits.npu:{line[scheme]}:12  replaced: dynamic_fixed_point goes with the type
    algorithm  minmax             digits.npu:{line[algorithm]}:15
    table      {hybrid[1]}  (digits.hybrid.quant:7)
               step 0.000244141 (2 to the power of -12)
    converter  {hybrid[2]}
"""

ALGORITHM = """\
quantize.algorithm

  How the range of activations is chosen.

  takes    minmax, kl(bins=2048), percentile(keep), mse, max_abs, moving_average(weight=0.01)
  default  minmax

values
  minmax          Smallest and largest value.
"""


def line_numbers(folder) -> dict[str, int]:
    """Where the example writes what the pages point at: first word of a line to its number."""
    lines = (folder / "digits.npu").read_text().splitlines()
    return {line.split()[0]: number for number, line in reversed([*enumerate(lines, start=1)]) if line.strip()}


def explain(folder, *words: str, code: int = 0) -> str:
    return npu_inside(folder, folder / "cache", "explain", *words, code=code).text


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_its_page(code, tmp_path):
    assert explain(tmp_path, code).startswith(f"{code}: {CODES[code].title}\n")


def test_codes_may_be_written_small_and_several_at_once(tmp_path):
    shown = explain(tmp_path, "e0301", "E0602")

    assert "E0301: " in shown
    assert "E0602: " in shown


def test_a_key_has_its_type_default_words_and_other_tools_names(tmp_path):
    shown = explain(tmp_path, "quantize.algorithm")

    assert shown.startswith(ALGORITHM)
    assert "Other tools call it quantized_algorithm" in shown


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("scale", "input.scale\n"),
        ("export.kind", "target.export.kind\n"),
        ("quantize", "block quantize\n"),
        ("layer", "rule quantize.layer\n"),
        ("min", "min: a part of the rules quantize.op, quantize.layers"),
        ("percentile", "percentile: a value of quantize.algorithm"),
        ("QUANT_FEATURE_BIT", "write `activations.type`"),
        ("quantise", "quantise is called `quantize` here"),
        ("bits", "Not available yet"),
    ],
)
def test_a_bare_word_is_found_wherever_it_stands(word, said, tmp_path):
    assert said in explain(tmp_path, word)


@pytest.mark.parametrize(
    ("word", "near"),
    [("quantize.algoritm", "quantize.algorithm"), ("percentil", "percentile")],
)
def test_an_unknown_word_has_a_near_name(word, near, tmp_path):
    shown = explain(tmp_path, word, code=1)

    assert "error[E0213]" in shown
    assert f"`{near}`" in shown


def test_an_unknown_code_lists_those_of_its_group(tmp_path):
    shown = explain(tmp_path, "E0399", code=1)

    assert "there is no error code E0399" in shown
    assert f"codes of this group: E0301 ({CODES['E0301'].title})" in shown
    assert "E0401" not in shown


def test_an_error_code_loads_no_library_but_the_argument_parser():
    probe = (
        "import sys; sys.argv = ['npu', 'explain', 'E0301']\n"
        "from npudsl.cli.start import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'networkx', 'diskcache', 'PIL', 'rich', 'yaml', 'lark'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_a_layer_shows_the_chain_behind_every_setting(digits):
    lines = {
        name: [
            line for line in (digits.folder / f"digits.{name}.quant").read_text().splitlines() if "depthwise" in line
        ]
        for name in ("u8", "hybrid")
    }

    assert digits("explain", "digits.npu", "layer", "/depthwise/conv/Conv") == LAYER.format(
        line=line_numbers(digits.folder), **lines
    )


def test_a_layer_is_found_by_the_names_that_were_fused_into_it(digits):
    shown = digits("explain", "digits.npu", "layer", "/depthwise/activation/Clip")

    assert shown.startswith("layer /depthwise/conv/Conv\n  (/depthwise/activation/Clip is another name of it)\n")


def test_a_bare_name_needs_no_word_in_front_of_it(digits):
    assert digits("explain", "digits.npu", "scores").startswith("tensor scores\n  1x10 float32\n")
    assert digits("explain", "digits.npu", "/classifier/Gemm").startswith("layer /classifier/Gemm\n")


def test_the_only_program_of_the_folder_needs_no_name(digits):
    assert digits("explain", "tensor", "scores").startswith("tensor scores\n")


def test_a_tensor_that_is_handed_on_names_where_its_range_comes_from(digits):
    shown = digits("explain", "digits.npu", "tensor", "/flatten/Flatten_output_0")

    assert "Flatten hands on values: its range is that of /pool/GlobalAveragePool_output_0" in shown


def test_a_weight_names_its_layer(digits):
    shown = digits("explain", "digits.npu", "tensor", "classifier.weight")

    assert shown.startswith("weight classifier.weight\n  10x32 float32\n  of layer /classifier/Gemm\n")


def test_a_step_shows_what_it_needs_and_what_enters_its_key(digits):
    shown = digits("explain", "digits.npu", "quantize:hybrid")

    assert "  needs      import, calibrate:calibration\n" in shown
    assert "  variant.rules[0].sets.type" in shown
    assert "samples" in digits("explain", "digits.npu", "step", "calibrate:calibration")


def test_a_key_in_a_program_is_shown_with_the_values_it_has_there(digits):
    shown = digits("explain", "digits.npu", "quantize.algorithm")

    place = f"digits.npu:{line_numbers(digits.folder)['algorithm']}:15"
    assert f"  quantize[u8].algorithm      minmax  {place}\n" in shown
    assert f"  quantize[hybrid].algorithm  minmax  {place}\n" in shown


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("layer", "/depthwise/conv/conv"), "/depthwise/conv/Conv"),
        (("tensor", "score"), "scores"),
        (("step", "quantize:hybird"), "quantize:hybrid"),
        (("/clasifier/Gemm",), "/classifier/Gemm"),
    ],
)
def test_an_unknown_name_in_a_program_has_a_near_one(words, near, digits):
    shown = digits.run("explain", "digits.npu", *words, code=1).err

    assert "error[E0213]" in shown
    assert f"`{near}`" in shown


def test_later_and_stronger_rules_are_shown_in_the_order_of_application(own_digits):
    own_digits.edit(
        "quantize hybrid from u8 {\n",
        "quantize hybrid from u8 {\n"
        '  tensor "/depthwise/activation/Clip_output_0" max=5\n'
        "  op Conv algorithm=mse optional\n"
        '  layers "/depthwise/**" algorithm=kl\n',
    )

    shown = own_digits("explain", "digits.npu", "layer", "/depthwise/conv/Conv").split("variant hybrid")[1]

    rules = [line.split()[0] for line in shown.splitlines() if line.startswith("    ") and "digits.npu:" in line][:4]
    assert rules == ["op", "layers", "layer", "tensor"]
    assert "overridden by op Conv algorithm=mse optional" in shown
    assert 'overridden by layers "/depthwise/**" algorithm=kl(bins=2048)' in shown
    assert "    max        5" in shown


def test_a_table_of_another_build_is_pointed_out(own_digits):
    own_digits.edit('layer "/depthwise/conv/Conv" type=i16', 'layer "/pointwise/conv/Conv" type=i16')

    shown = own_digits("explain", "digits.npu", "layer", "/depthwise/conv/Conv")

    assert "the committed table says i16: it is of another build, run npu build" in shown


def test_without_a_build_and_without_data_the_model_is_enough(own_digits):
    for file in own_digits.folder.glob("*.quant"):
        file.unlink()
    (own_digits.folder / "labels.txt").unlink()

    shown = own_digits("explain", "digits.npu", "layer", "/classifier/Gemm")

    assert "    table      no line: build to get range and scale\n" in shown


def test_json_has_chains_places_and_the_table_line(digits):
    document = json.loads(digits("explain", "digits.npu", "layer", "/depthwise/conv/Conv", "--json"))

    line = line_numbers(digits.folder)
    (page,) = document["pages"]
    hybrid = page["variants"][1]
    weight, output = hybrid["tensors"]
    assert document["format"] == 1
    assert (page["kind"], page["operator"]) == ("layer", "Conv")
    assert weight["settings"]["type"] == [
        {"value": "u8", "place": f"digits.npu:{line['type']}:10", "by": "quantize hybrid"},
        {"value": "i16", "place": f"digits.npu:{line['layer']}:32", "by": 'layer "/depthwise/conv/Conv" type=i16'},
    ]
    assert output["table"]["fractional_length"] == 12
    assert output["effective"] == {
        "type": "i16",
        "scheme": "dynamic_fixed_point",
        "algorithm": "minmax",
        "by": "layer",
    }


def test_a_program_alone_is_wrong_use(digits):
    assert "say what to explain" in digits.run("explain", "digits.npu", code=2).err
