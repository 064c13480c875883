"""The generated C: ``<model>.h`` and ``<model>.c``."""

from __future__ import annotations

import textwrap
import zlib

from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.backends.c_project.graph import PlacedLayer, PlacedTensor, Project
from npudsl.backends.c_project.layer_code import C_TYPES
from npudsl.backends.c_project.names import comment_text, string_literal
from npudsl.backends.c_project.weights import HEADER, constant_table

CALL_WIDTH = 108


def header(project: Project) -> str:
    """``<model>.h``: sizes as macros and the functions an application calls."""
    name, upper = project.identifier, project.identifier.upper()
    model = project.model
    weights = 0 if project.embedded else HEADER.size + project.pool.size
    lines = [
        f"/* {comment_text(project.title)}, variant {comment_text(model.variant)}: integer inference.",
        " *",
        f" * Call {name}_init once, write the codes of every input to {name}_input(), call {name}_run, read the",
        f" * outputs at {name}_output(). Inputs have to be written before every run: their memory is used again.",
        " * Nothing is allocated, nothing is global; two models in two arenas may run at the same time.",
        " */",
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "",
        '#include "npu_model.h"',
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"/* Bytes of working memory; {project.plan.bound} is the least that any placement of these tensors needs. */",
        f"#define {upper}_ARENA_SIZE {max(project.plan.size, 16)}u",
        "/* Bytes of the weights file; 0 when the weights are compiled in. */",
        f"#define {upper}_WEIGHTS_SIZE {weights}u",
        f"#define {upper}_EMBEDDED {int(project.embedded)}",
        "",
        f"#define {upper}_INPUT_COUNT {len(model.inputs)}",
        f"#define {upper}_OUTPUT_COUNT {len(model.outputs)}",
        f"#define {upper}_TENSOR_COUNT {len(project.tensors)}",
        f"#define {upper}_CONSTANT_COUNT {len(project.pool.constants)}",
        "",
        *_port_macros(project, "INPUT", model.inputs),
        *_port_macros(project, "OUTPUT", model.outputs),
        f"typedef struct {name}_model {{",
        f"    const void *constants[{max(len(project.pool.constants), 1)}];",
        "    unsigned char *arena;",
        "    int32_t damaged; /* constant with a wrong checksum after NPU_DAMAGED_WEIGHTS, or -1 */",
        "    /* Called, unless NULL, for every input and after every layer; `tensor` is an index for _tensor(). */",
        "    void (*tensor_done)(void *context, int tensor, const void *codes);",
        "    void *context;",
        f"}} {name}_model;",
        "",
        *_init_declaration(project),
        f"void {name}_run({name}_model *model);",
        "",
        f"void *{name}_input(const {name}_model *model, int index);",
        f"const void *{name}_output(const {name}_model *model, int index);",
        "",
        "/* Shape, type and zero point; inputs and outputs by number, or any tensor in the order of the layers. */",
        f"const npu_tensor *{name}_input_tensor(int index);",
        f"const npu_tensor *{name}_output_tensor(int index);",
        f"const npu_tensor *{name}_tensor(int index);",
        "",
        "/* layer/role of a constant. */",
        f"const char *{name}_constant_name(int32_t index);",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def _init_declaration(project: Project) -> list[str]:
    name = project.identifier
    if project.embedded:
        return [
            f"extern const void *const {name}_constants[];",
            "",
            f"/* Returns NPU_OK or what is wrong; `arena` has {name.upper()}_ARENA_SIZE bytes, aligned to 8. */",
            f"int {name}_init({name}_model *model, void *arena, size_t arena_size);",
        ]
    return [
        "/* Returns NPU_OK or what is wrong. `weights` is the content of weights.bin and stays in use; `arena` has",
        f" * {name.upper()}_ARENA_SIZE bytes or more; both are aligned to 8. */",
        f"int {name}_init({name}_model *model, void *weights, size_t weights_size, void *arena, size_t arena_size);",
    ]


def _port_macros(project: Project, kind: str, names: tuple[str, ...]) -> list[str]:
    """Sizes and quantization of inputs or outputs: real = (code - ZERO_POINT) * SCALE."""
    upper = project.identifier.upper()
    lines = []
    for index, name in enumerate(names):
        placed = project.tensors[name]
        prefix = f"#define {upper}_{kind}_{index}"
        lines += [
            f"/* {kind.lower()} {index}: {comment_text(described(placed.tensor))} */",
            f"{prefix}_ELEMENTS {placed.size}",
            f"{prefix}_ZERO_POINT {placed.tensor.zero_point}",
            f"{prefix}_SCALE {float(placed.tensor.scale).hex()} /* {placed.tensor.scale!r} */",
        ]
    scales = ", ".join(f"{upper}_{kind}_{index}_SCALE" for index in range(len(names)))
    lines += [f"#define {upper}_{kind}_SCALES {{{scales}}}", ""]
    return lines


def described(tensor: TensorQuantization) -> str:
    """``name 1x3x32x32 u8 scale 0.5 zero 128``."""
    shape = "x".join(str(extent) for extent in tensor.shape) or "scalar"
    return f"{tensor.name} {shape} {tensor.type} scale {tensor.scale:.9g} zero {tensor.zero_point}"


def source(project: Project) -> str:
    """``<model>.c``."""
    name = project.identifier
    parts = [
        f"/* {comment_text(project.title)}, variant {comment_text(project.model.variant)}, arithmetic profile "
        f"{comment_text(project.model.profile)}.\n"
        f" *\n * {len(project.layers)} layers; arena {project.plan.size} bytes, lower bound {project.plan.bound} "
        f"bytes; constants {project.pool.size} bytes.\n */",
        f'#include "{name}.h"',
        _enumeration("TENSOR_", [placed.symbol for placed in project.tensors.values()]),
        _enumeration("CONSTANT_", [constant.symbol for constant in project.pool.constants]),
        _scratch_enumeration(project),
        _tensor_table(project),
        _constant_names(project) if project.embedded else _constant_table(project),
        _helpers(project),
        *(_layer_definitions(project, layer) for layer in project.layers),
        _init(project),
        _run(project),
        _accessors(project),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _enumeration(prefix: str, symbols: list[str]) -> str:
    if not symbols:
        return ""
    body = "\n".join(f"    {prefix}{symbol}," for symbol in symbols)
    return f"enum {{\n{body}\n}};"


def _scratch_enumeration(project: Project) -> str:
    rows = [
        f"    SCRATCH_{layer.symbol} = {layer.scratch_offset},"
        for layer in project.layers
        if layer.code is not None and layer.code.scratch
    ]
    if not rows:
        return ""
    return "/* Scratch memory of layers, in bytes from the start of the arena. */\nenum {\n" + "\n".join(rows) + "\n};"


def _tensor_table(project: Project) -> str:
    rows = "\n".join(_tensor_row(placed) for placed in project.tensors.values())
    return (
        "/* name, layer, dump file, type, zero point, low, high, elements, offset, rank, shape */\n"
        f"static const npu_tensor tensors[] = {{\n{rows}\n}};"
    )


def _tensor_row(placed: PlacedTensor) -> str:
    tensor = placed.tensor
    shape = ", ".join(str(extent) for extent in tensor.shape) or "0"
    return (
        f"    {{{string_literal(tensor.name)}, {string_literal(placed.layer)}, {string_literal(placed.file)}, "
        f"{C_TYPES[tensor.type]}, {tensor.zero_point}, {placed.low}, {placed.high}, {placed.size}, {placed.offset}u, "
        f"{len(tensor.shape)}, {{{shape}}}}},"
    )


def _constant_table(project: Project) -> str:
    rows = constant_table(project.pool) or '    {"", 0u, 0u, 1u, 0u},'
    return (
        f"/* name, offset, elements, bytes of one, CRC-32 */\nstatic const npu_constant constants[] = {{\n{rows}\n}};"
    )


def _constant_names(project: Project) -> str:
    names = [constant.name for constant in project.pool.constants] or [""]
    body = "\n".join(f"    {string_literal(name)}," for name in names)
    return f"static const char *const constant_names[] = {{\n{body}\n}};"


def _helpers(project: Project) -> str:
    name = project.identifier
    constant = (
        f"static const void *constant(const {name}_model *model, int index)\n"
        "{\n"
        "    return model->constants[index];\n"
        "}\n\n"
    )
    return (constant if project.pool.constants else "") + (
        f"static void *tensor_data(const {name}_model *model, int tensor)\n"
        "{\n"
        "    return model->arena + tensors[tensor].offset;\n"
        "}\n\n"
        f"static void done(const {name}_model *model, int tensor)\n"
        "{\n"
        "    if (model->tensor_done != NULL)\n"
        "        model->tensor_done(model->context, tensor, tensor_data(model, tensor));\n"
        "}"
    )


def _layer_comment(project: Project, layer: PlacedLayer) -> str:
    inputs = ", ".join(described(project.tensors[name].tensor) for name in layer.layer.inputs)
    output = described(project.tensors[layer.layer.outputs[0]].tensor)
    rounding = f", {layer.layer.requantize[0].rounding}" if layer.layer.requantize else ""
    return comment_text(
        f"{layer.layer.name} ({layer.layer.operation}{rounding}, {layer.layer.label}): {inputs} -> {output}"
    )


def _layer_definitions(project: Project, layer: PlacedLayer) -> str:
    if layer.code is None:
        return ""
    return "\n".join([f"/* {_layer_comment(project, layer)} */", *layer.code.definitions])


def _init(project: Project) -> str:
    name, upper = project.identifier, project.identifier.upper()
    common = (
        "    if ((uintptr_t)arena % 8 != 0)\n"
        "        return NPU_ALIGNMENT;\n"
        f"    if (arena_size < {upper}_ARENA_SIZE)\n"
        "        return NPU_ARENA_SIZE;\n"
        "    model->arena = (unsigned char *)arena;\n"
        "    model->damaged = -1;\n"
        "    model->tensor_done = NULL;\n"
        "    model->context = NULL;\n"
    )
    if project.embedded:
        copies = (
            f"    for (index = 0; index < {upper}_CONSTANT_COUNT; index++)\n"
            f"        model->constants[index] = {name}_constants[index];\n"
            if project.pool.constants
            else ""
        )
        index = "    int index;\n" if project.pool.constants else ""
        return (
            f"int {name}_init({name}_model *model, void *arena, size_t arena_size)\n{{\n{index}{common}{copies}"
            "    return NPU_OK;\n}"
        )
    checksum = zlib.crc32(project.pool.payload())
    return (
        f"int {name}_init({name}_model *model, void *weights, size_t weights_size, void *arena, size_t arena_size)\n"
        f"{{\n{common}"
        f"    return npu_load_weights(weights, weights_size, 0x{checksum:08X}u, constants, {upper}_CONSTANT_COUNT,\n"
        "                            model->constants, &model->damaged);\n}"
    )


def _run(project: Project) -> str:
    name = project.identifier
    lines = [f"void {name}_run({name}_model *model)", "{"]
    for tensor in dict.fromkeys(project.model.inputs):
        lines.append(f"    done(model, TENSOR_{project.tensors[tensor].symbol});")
    for layer in project.layers:
        output = project.tensors[layer.layer.outputs[0]]
        lines.append("")
        if layer.code is None:
            lines.append(f"    /* {_layer_comment(project, layer)}: the same memory */")
        else:
            lines.append(f"    /* {comment_text(layer.layer.name)} */")
            lines.extend(_wrapped_call(call) for call in layer.code.calls)
        lines.append(f"    done(model, TENSOR_{output.symbol});")
    lines.append("}")
    return "\n".join(lines)


def _wrapped_call(call: str) -> str:
    return textwrap.fill(
        call,
        CALL_WIDTH,
        initial_indent="    ",
        subsequent_indent="        ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _wrapped_list(words: str) -> str:
    return textwrap.fill(words, CALL_WIDTH, initial_indent="    ", subsequent_indent="    ", break_long_words=False)


def _accessors(project: Project) -> str:
    name = project.identifier
    model = project.model
    inputs = ", ".join(f"TENSOR_{project.tensors[item].symbol}" for item in model.inputs)
    outputs = ", ".join(f"TENSOR_{project.tensors[item].symbol}" for item in model.outputs)
    names = "constant_names[index]" if project.embedded else "constants[index].name"
    return f"""static const int inputs[] = {{
{_wrapped_list(inputs)}
}};
static const int outputs[] = {{
{_wrapped_list(outputs)}
}};

void *{name}_input(const {name}_model *model, int index)
{{
    return tensor_data(model, inputs[index]);
}}

const void *{name}_output(const {name}_model *model, int index)
{{
    return tensor_data(model, outputs[index]);
}}

const npu_tensor *{name}_input_tensor(int index)
{{
    return &tensors[inputs[index]];
}}

const npu_tensor *{name}_output_tensor(int index)
{{
    return &tensors[outputs[index]];
}}

const npu_tensor *{name}_tensor(int index)
{{
    return &tensors[index];
}}

const char *{name}_constant_name(int32_t index)
{{
    return {names};
}}"""
