"""``npu report``: what the last build measured, in four forms, without running anything."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

EMPTY_TAGS = {"meta", "line", "rect", "br"}


class Page(HTMLParser):
    """Elements of a page; unbalanced ones are an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in EMPTY_TAGS:
            assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_text_is_what_the_build_printed(digits):
    shown = digits("report", "digits.npu")

    assert shown.startswith("compare plain: u8 against float, 100 samples")
    assert "compare accept: hybrid against float" in shown
    assert "  pass  top1 >= 97%" in shown
    assert digits("build", "digits.npu").startswith("digits: up to date")


def test_top_limits_the_layers_in_every_form(digits):
    assert "7 more layers" in digits("report", "--top", "2")
    assert digits("report", "--top", "2", "--format", "md").count("/conv/Conv`") == 4
    assert len(Page(digits("report", "--top", "2", "--format", "html")).all("rect")) == 2 * 2 + 2


def test_a_report_right_after_the_build_is_not_stale_and_runs_nothing(digits):
    outcome = digits.run("report", "--json")

    document = json.loads(outcome.out)
    assert (document["format"], document["program"], document["stale"]) == (1, "digits", None)
    assert outcome.err == ""


def test_json_has_tables_and_rules_beside_the_figures(digits):
    document = json.loads(digits("report", "--format", "json"))

    accept = next(item for item in document["comparisons"] if item["name"] == "accept")
    layer = next(item for item in accept["layers"] if item["layer"] == "/depthwise/conv/Conv")
    details = accept["details"][layer["tensor"]]
    assert [line["name"] for line in details["table"]] == ["depthwise.conv.weight", layer["tensor"]]
    assert details["rules"][0]["rule"] == 'layer "/depthwise/conv/Conv" type=i16'
    assert details["rules"][0]["because"].startswith("scores 28.3")


def test_a_changed_program_makes_the_report_stale_and_names_the_reason(own_digits):
    own_digits.edit("algorithm = minmax", "algorithm = kl")

    outcome = own_digits.run("report")

    assert "note: this is the build before; quantize:u8 would run: " in outcome.err
    assert "minmax" in outcome.err
    assert outcome.out.startswith("compare plain")


def test_without_a_build_there_is_nothing_to_report(own_digits):
    (own_digits.folder / ".npudsl" / "digits.last.json").unlink()

    said = own_digits.run("report", code=1).err

    assert "error[E0803]" in said
    assert "npu build digits.npu" in said


def test_markdown_has_tables(digits):
    shown = digits("report", "--format", "md")

    assert shown.startswith("# digits\n\n## plain: u8 against float\n")
    assert "| pass | `top1 >= 97%` | 99.0% | `scores` |" in shown
    assert "| `/depthwise/conv/Conv` | i16 |" in shown


def test_the_page_is_one_file_without_a_network(digits, tmp_path):
    place = tmp_path / "report.html"

    digits("report", "--format", "html", "-o", str(place))

    text = place.read_text(encoding="utf-8")
    page = Page(text)
    links = [value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")]
    assert all(link is not None and link.startswith("#layer-") for link in links)
    assert "http" not in re.sub(r'http-equiv="', "", text)
    assert not page.all("link")
    assert not page.all("img")


def test_the_policy_of_the_page_names_its_own_style_and_script(digits):
    text = digits("report", "--format", "html")
    policy = next(item["content"] for item in Page(text).all("meta") if item.get("http-equiv"))

    assert policy.startswith("default-src 'none';")
    for tag in ("style", "script"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL).group(1)
        assert base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() in policy
    assert "unsafe" not in policy
    assert not re.search(r"<[^>]+\s(style|on\w+)=", text)


def test_the_page_has_a_bar_and_a_row_with_details_for_every_layer(digits):
    text = digits("report", "--format", "html")
    page = Page(text)

    bars = [item for item in page.all("rect") if "data-own" in item]
    rows = {item["id"] for item in page.all("tr") if item.get("id")}
    targets = {item["href"].removeprefix("#") for item in page.all("a")}
    assert len(bars) == 18
    assert rows == targets
    assert len(page.all("details")) == 18
    assert {"own", "entire", "cosine"} == {item["data-metric"] for item in page.all("button")}
    assert "because &quot;scores 28.3" in text


def test_the_report_loads_neither_the_model_runtime_nor_the_image_library(digits):
    probe = (
        "import sys; sys.argv = ['npu', 'report', '--format', 'html']\n"
        "from npudsl.cli.start import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'onnxruntime', 'networkx', 'PIL'} & set(sys.modules)), file=sys.stderr)\n"
    )
    environment = {**os.environ, "NPUDSL_CACHE": str(digits.cache)}
    command = [sys.executable, "-c", probe]
    done = subprocess.run(command, cwd=digits.folder, env=environment, capture_output=True, text=True, check=True)

    assert done.stderr.splitlines()[-1] == "[]"
