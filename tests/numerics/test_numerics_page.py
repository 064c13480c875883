"""docs/numerics.md and the code say the same."""

from __future__ import annotations

import re

from npudsl.numerics.profiles import PROFILES


def cells(line):
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split(" | ")]


def equations(repository):
    lines = (repository / "docs/numerics.md").read_text().splitlines()
    return [int(match[1]) for line in lines if (match := re.match(r"\| (\d+) \|", line))]


def test_equations_are_numbered_without_gaps(repository):
    numbers = equations(repository)

    assert numbers == list(range(1, len(numbers) + 1))


def test_every_equation_that_the_code_names_is_on_the_page(repository):
    named = {
        int(number)
        for room in ("numerics", "machine")
        for file in (repository / "npudsl" / room).rglob("*.py")
        for number in re.findall(r"\beq\. (\d+)", file.read_text())
    }
    assert named <= set(equations(repository))


def test_functions_on_the_page_exist(repository):
    text = (repository / "docs/numerics.md").read_text()
    for module, name in re.findall(r"`(affine|dfp|requantize|lowering|tables|bounds)\.(\w+)`", text):
        room = "numerics" if module in ("affine", "dfp", "requantize") else "machine"
        assert f"def {name}(" in (repository / "npudsl" / room / f"{module}.py").read_text()


def test_the_profile_table_is_the_table_in_the_code(repository):
    lines = (repository / "docs/numerics.md").read_text().splitlines()
    rows = {cells(line)[0]: cells(line) for line in lines if line.startswith("| `") and cells(line)[0] in PROFILES}
    assert list(rows) == list(PROFILES)
    for name, row in rows.items():
        profile = PROFILES[name]
        assert row[1:5] == [str(profile.width), profile.rule, profile.rounding, profile.product]
