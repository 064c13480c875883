"""Read one file of chip data, strictly.

An unknown key, label, source or word raises ``ValueError``: a typo in a chip's file must not pass as "unpublished".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npudsl.language.schema.quantize import PROFILES, SCHEMES, TYPES
from npudsl.targets.saved import title_of
from npudsl.targets.target import LABELS, Figure, Measured, Peak, Target, TypePair

SCHEMA = 1
PLAIN_KEYS = ("schema", "id", "vendor", "designer", "socs", "boards", "toolchain", "notes")
FIGURE_KEYS = (
    "npu_family",
    "optimize",
    "pid",
    "chip_id",
    "chip_revision",
    "serial_prefixes",
    "hybrid_types",
    "float_layers",
    "per_channel_weights",
    "weight_bits",
    "activation_bits",
    "saturation",
    "profile",
)
HARDWARE_KEYS = (
    "nn_cores",
    "int16_cores",
    "mad_per_core",
    "int8_mac_per_cycle",
    "tp_cores",
    "tplite_cores",
    "ppu_cores",
    "vip_sram_bytes",
    "axi_sram_bytes",
    "clock_mhz",
    "axi_bus_bytes",
    "tp_ops_per_s",
    "ppu_flops_per_s",
    "ddr_bandwidth_bytes_per_s",
)
FLOAT_SCHEME = "none"
"""Scheme of the pair that says that a chip computes whole models in float."""


def read_target(text: str, sources: Mapping[str, str]) -> Target:
    """One file of chip data; raises ``ValueError`` naming the first key, label or source that is not known."""
    return target_from(read_yaml(text), title_of(text), sources)


def target_from(record: Any, title: str, sources: Mapping[str, str]) -> Target:
    """A chip from the record of its file; raises ``ValueError`` like ``read_target``."""
    _only(record, (*PLAIN_KEYS, *FIGURE_KEYS, "types", "hardware", "peak", "measured"), "file")
    _only(record["hardware"], HARDWARE_KEYS, "hardware")
    if record["schema"] != SCHEMA:
        raise ValueError(f"schema {record['schema']} is not {SCHEMA}")
    figures = {key: _figure(record[key], key, sources) for key in FIGURE_KEYS if record[key] is not None}
    hardware = {
        f"hardware.{key}": _figure(figure, key, sources)
        for key, figure in record["hardware"].items()
        if figure is not None
    }
    value = {key: figure.value for key, figure in figures.items()}
    _one_of(value.get("profile"), PROFILES.words)
    for name in value.get("hybrid_types", ()):
        _one_of(name, TYPES.words)
    return Target(
        id=record["id"],
        title=title,
        vendor=record["vendor"],
        designer=record["designer"],
        socs=tuple(record["socs"]),
        boards=tuple(record["boards"]),
        toolchain=record["toolchain"],
        optimize=tuple(value.get("optimize", ())),
        pid=value.get("pid"),
        serial_prefixes=tuple(value.get("serial_prefixes", ())),
        types=_pairs(record["types"], sources),
        hybrid_types=_tuple(value.get("hybrid_types")),
        float_layers=value.get("float_layers"),
        per_channel_weights=value.get("per_channel_weights"),
        weight_bits=_tuple(value.get("weight_bits")),
        activation_bits=_tuple(value.get("activation_bits")),
        saturation=_saturation(value.get("saturation", {})),
        profile=value.get("profile"),
        peak=tuple(Peak(**_sourced(row, sources)) for row in record["peak"]),
        measured=tuple(Measured(**_sourced(row, sources)) for row in record["measured"]),
        notes=tuple(record["notes"]),
        figures={**figures, **hardware},
    )


def read_yaml(text: str) -> Any:
    """The document of a YAML text; the C parser is used where PyYAML has it."""
    import yaml

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _figure(record: Any, name: str, sources: Mapping[str, str]) -> Any:
    _only(record, ("value", "source", "label"), name)
    return Figure(**_sourced(record, sources))


def _pairs(rows: Any, sources: Mapping[str, str]) -> tuple[TypePair, ...] | None:
    if rows is None:
        return None
    for row in rows:
        _one_of(row["scheme"], (*SCHEMES.words, FLOAT_SCHEME))
        _one_of(row["type"], TYPES.words)
    return tuple(TypePair(**_sourced(row, sources)) for row in rows)


def _saturation(record: Mapping[str, str]) -> Mapping[str, str]:
    for type_, range_ in record.items():
        _one_of(type_, TYPES.words)
        _one_of(range_, ("full", "symmetric"))
    return dict(record)


def _sourced(record: dict[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    _one_of(record["label"], LABELS)
    _one_of(record["source"], sources)
    return record


def _tuple(value: Any) -> tuple[Any, ...] | None:
    return None if value is None else tuple(value)


def _only(record: Mapping[str, object], keys: tuple[str, ...], where: str) -> None:
    if set(record) != set(keys):
        raise ValueError(f"{where}: keys that do not fit: {', '.join(sorted(set(record) ^ set(keys)))}")


def _one_of(word: object, words: Any) -> None:
    if word is not None and word not in words:
        raise ValueError(f"`{word}` is not one of {', '.join(words)}")
