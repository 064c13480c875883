"""``npu doctor``: one line each, a fix where there is one, and an exit code for what is needed."""

from __future__ import annotations

import importlib.metadata
import json
import os

import pytest
from npu_inside import npu_inside

from npudsl.api import doctor


def findings(folder, code: int = 0) -> dict[str, dict]:
    document = json.loads(npu_inside(folder, folder / "cache", "doctor", "--json", code=code).out)
    assert document["format"] == 1
    return {finding["name"]: finding for finding in document["findings"]}


def test_a_machine_that_runs_the_tests_is_well(tmp_path):
    outcome = npu_inside(tmp_path, tmp_path / "cache", "doctor")

    assert outcome.out.startswith("ok       python")
    assert "MISSING" not in outcome.out
    found = findings(tmp_path)
    assert {"numpy", "onnx", "lark", "git", "make", "C compiler", "cache", "disk", "locale", "rknn"} <= found.keys()
    assert found["numpy"]["text"].startswith(importlib.metadata.version("numpy"))


def test_a_missing_package_is_exit_code_5_with_a_fix(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ["numpy>=2.0", "npudsl-nobody-has-this>=1.2"])

    found = findings(tmp_path, code=5)["npudsl-nobody-has-this"]

    assert found["status"] == "missing"
    assert found["fix"] == "pip install 'npudsl-nobody-has-this>=1.2'"


def test_an_old_package_is_exit_code_5_with_both_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ["numpy>=99.1"])

    found = findings(tmp_path, code=5)["numpy"]

    assert found["status"] == "missing"
    assert "is too old, 99.1 is needed" in found["text"]


def test_optional_packages_are_not_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ['nobody-has-this>=1; extra == "train"'])

    assert "nobody-has-this" not in findings(tmp_path)


def test_missing_tools_are_warnings(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("NPUDSL_CC", raising=False)

    found = findings(tmp_path)

    assert {found[name]["status"] for name in ("git", "make", "C compiler")} == {"warning"}
    assert all(found[name]["fix"] for name in ("git", "make", "C compiler"))


def test_a_cache_that_is_no_folder_is_exit_code_5(tmp_path):
    (tmp_path / "cache").write_text("a file")

    found = findings(tmp_path, code=5)["cache"]

    assert found["status"] == "missing"
    assert found["fix"]


def test_vendor_tools_in_the_path_are_found(tmp_path, monkeypatch):
    tool = tmp_path / "magik-transform-tools"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    found = findings(tmp_path)["magik-transform-tools"]

    assert found["status"] == "ok"
    assert str(tool) in found["text"]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("/data/cache", "nfs4"), ("/data", "nfs4"), ("/database", "ext4"), ("/a b/c", "tmpfs"), ("/", "ext4")],
)
def test_the_file_system_is_that_of_the_nearest_mount(folder, expected):
    from pathlib import Path

    mounts = "/dev/sda1 / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\nnone /a\\040b tmpfs rw 0 0\nshort line\n"

    assert doctor.file_system_of(Path(folder), mounts) == expected
