"""The chip data: every file reads strictly, and known figures are what their sources print."""

from __future__ import annotations

from importlib import resources

import pytest

from npudsl.targets.load import all_targets, sources
from npudsl.targets.read import read_target
from npudsl.targets.target import LABELS

FILES = sorted(
    entry.name for entry in resources.files("npudsl.targets").joinpath("data").iterdir() if entry.name.endswith(".yaml")
)


def text_of(file: str) -> str:
    return resources.files("npudsl.targets").joinpath("data", file).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES)
def test_every_file_of_chip_data_reads_strictly(file):
    target = read_target(text_of(file), sources())

    assert f"{target.id}.yaml" == file
    assert target.title
    assert all(figure.label in LABELS and figure.source in sources() for figure in target.figures.values())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("per_channel_weights:", "per_chanel_weights:", "per_chanel_weights"),
        ("label: documented", "label: certain", "certain"),
        ("source: amlogic-faq", "source: hearsay", "hearsay"),
        ("type: i16", "type: int16", "int16"),
        ("schema: 1", "schema: 2", "schema 2"),
        ("i8: full", "i8: wide", "wide"),
        ("value: vip16", "value: vip17", "vip17"),
    ],
)
def test_a_slip_in_a_chips_file_is_refused(old, new, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_target(text_of("amlogic-a311d.yaml").replace(old, new, 1), sources())


def test_ids_and_product_ids_are_unique():
    pids = [target.pid for target in all_targets() if target.pid is not None]

    assert len(pids) == len(set(pids))
    assert [target.id for target in all_targets()] == sorted({target.id for target in all_targets()})


def test_a_chip_name_leads_to_one_family_only():
    names = [name.lower() for target in all_targets() for name in (*target.socs, *target.boards)]

    assert len(names) == len(set(names))


def test_per_channel_types_stand_only_where_the_chip_has_per_channel_weights():
    for target in all_targets():
        schemes = {pair.scheme for pair in target.types or ()}
        assert target.per_channel_weights or "perchannel_symmetric_affine" not in schemes, target.id


def test_every_source_is_used():
    used = {figure.source for target in all_targets() for figure in target.figures.values()}
    used |= {row.source for target in all_targets() for row in (*(target.types or ()), *target.peak, *target.measured)}

    assert used == set(sources())
