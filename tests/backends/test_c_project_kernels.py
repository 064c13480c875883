"""The C kernels as a shared library, called through ctypes: requantization against big integers, scratch sizes."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess

import pytest
from c_project_cases import Cases, compiler, request_for
from c_project_layers import LAYERS
from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.backends.c_project import export
from npudsl.backends.c_project.graph import build_project
from npudsl.runtime_c import KERNEL_FILES, kernel_sources, project_sources

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs gcc to build the kernels")

ROUNDINGS = ("half_even", "half_away", "half_up", "double")


class Requantize(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("rounding", "zero_point", "low", "high", "multiplier", "shift")]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """The kernels compiled with all warnings as errors and run-time checks for undefined behaviour."""
    folder = tmp_path_factory.mktemp("kernels")
    for name, data in kernel_sources().items():
        (folder / name).write_bytes(data)
    sources = [name for name in KERNEL_FILES if name.endswith(".c")]
    flags = ["-std=c99", "-pedantic", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-shared", "-fPIC"]
    flags += ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    subprocess.run([compiler(), *flags, *sources, "-o", "kernels.so"], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "kernels.so"))
    library.npu_requantize_one.argtypes = [
        ctypes.POINTER(Requantize),
        ctypes.c_int32,
        ctypes.c_int32,
        ctypes.c_int64,
    ]
    return library


def rounded(product, shift, rounding):
    """product / 2**shift with unbounded integers, straight from the definition of the rounding."""
    if shift <= 0:
        return product << -shift
    if rounding == "double" and shift > 31:
        return rounded(rounded(product, 31, "half_up"), shift - 31, "half_away")
    floor, rest = product >> shift, product & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    if rest != half:
        return floor + (rest > half)
    if rounding == "half_even":
        return floor + (floor & 1)
    if rounding == "half_away":
        return floor + (product > 0)
    return floor + 1


def near_ties(shift):
    """Values next to the ties of a shift, for multiplier 1."""
    half = (1 << shift) >> 1
    return st.builds(
        lambda whole, step, sign: sign * ((whole << shift) + half + step),
        st.integers(0, 300),
        st.integers(-1, 1),
        st.sampled_from([1, -1]),
    )


SHIFTS = st.integers(-31, 62)
VALUES = st.one_of(
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.integers(-(2**48), 2**48),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-300, 300),
    st.sampled_from([2**31, -(2**31), 2**31 - 1, 2**62, -(2**62)]),
)
MULTIPLIERS = st.one_of(
    st.integers(2**30, 2**31 - 1), st.integers(0, 2**31 - 1), st.sampled_from([0, 1, 2**30, 2**31 - 1])
)


@settings(max_examples=1500, deadline=None)
@given(st.data(), SHIFTS, MULTIPLIERS, st.sampled_from(ROUNDINGS), st.sampled_from([0, 7, -5, 128, -32768]))
def test_requantization_is_exact_for_every_value(kernels, data, shift, multiplier, rounding, zero_point):
    value = data.draw(st.one_of(VALUES, near_ties(max(shift, 0))) if shift < 55 else VALUES)
    low, high = -32768, 32767
    settings_of = Requantize(ROUNDINGS.index(rounding), zero_point, low, high, 0, 0)
    found = kernels.npu_requantize_one(ctypes.byref(settings_of), multiplier, shift, value)
    expected = zero_point + rounded(value * multiplier, shift, rounding)

    assert found == min(max(expected, low), high)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=300),
    SHIFTS,
    MULTIPLIERS,
    st.sampled_from(ROUNDINGS),
)
def test_a_span_is_requantized_as_its_values_are(kernels, values, shift, multiplier, rounding):
    rule = Requantize(ROUNDINGS.index(rounding), 3, -128, 127, multiplier, shift)
    codes = (ctypes.c_int32 * len(values))()
    kernels.npu_requantize_span(
        ctypes.byref(rule),
        ctypes.c_int32(multiplier),
        ctypes.c_int32(shift),
        (ctypes.c_int32 * len(values))(*values),
        ctypes.c_ssize_t(len(values)),
        codes,
    )
    expected = [min(max(3 + rounded(value * multiplier, shift, rounding), -128), 127) for value in values]

    assert list(codes) == expected


def test_the_exporter_reserves_the_scratch_memory_that_the_kernels_ask_for(tmp_path):
    cases = Cases(11)
    for name in ("conv", "linear", "matmul", "softmax", "average_pool", "resize_linear"):
        for _ in range(12):
            LAYERS[name](cases)
    model = cases.model()
    request = request_for(model, cases.blobs, cases.values)
    bundle = export(request)
    for path, data in bundle.files.items():
        if "/" not in path:
            (tmp_path / path).write_bytes(data)
    layers = build_project(request, "cases", False).layers
    asked = []
    for layer in layers:
        struct = re.match(r"static const (npu_\w+)_layer (\w+) =", layer.code.definitions[0])
        function = {"npu_pool": "npu_average_pool", "npu_resize": "npu_resize_linear"}.get(struct[1], struct[1])
        asked.append(f'    printf("%ld\\n", (long){function}_scratch(&{struct[2]}));')
    program = '#include <stdio.h>\n#include "cases.c"\nint main(void)\n{\n' + "\n".join(asked) + "\n    return 0;\n}\n"
    (tmp_path / "sizes.c").write_text(program)
    sources = [name for name in project_sources() if name.endswith(".c") and name != "npu_md5.c"]
    subprocess.run([compiler(), "-std=c99", "sizes.c", *sources, "-o", "sizes"], cwd=tmp_path, check=True)
    done = subprocess.run([str(tmp_path / "sizes")], capture_output=True, text=True, check=True)

    assert [int(line) for line in done.stdout.split()] == [layer.code.scratch for layer in layers]
    assert all(layer.code.scratch > 0 for layer in layers)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_headers_are_good_for_cpp(tmp_path):
    for name, data in project_sources().items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "use.cpp").write_text('#include "npu_kernels.h"\n#include "npu_model.h"\nint main() { return 0; }\n')
    subprocess.run(["g++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "use.cpp"], cwd=tmp_path, check=True)
