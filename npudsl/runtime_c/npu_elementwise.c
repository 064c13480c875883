/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums and products of two tensors with broadcasting, rescaling, tables, softmax.
 */
#include "npu_arithmetic.h"

/* Where the walk over all but the last axis of a broadcast stands. */
typedef struct walk {
    ptrdiff_t a;
    ptrdiff_t b;
    int32_t index[NPU_MAX_RANK];
} walk;

static ptrdiff_t rows_of(const npu_binary_layer *layer)
{
    ptrdiff_t rows = 1;
    int32_t axis;
    for (axis = 0; axis + 1 < layer->rank; axis++)
        rows *= layer->shape[axis];
    return rows;
}

static void next_row(const npu_binary_layer *layer, walk *position)
{
    int32_t axis;
    for (axis = layer->rank - 2; axis >= 0; axis--) {
        position->a += layer->a_strides[axis];
        position->b += layer->b_strides[axis];
        if (++position->index[axis] < layer->shape[axis])
            return;
        position->a -= (ptrdiff_t)layer->a_strides[axis] * layer->shape[axis];
        position->b -= (ptrdiff_t)layer->b_strides[axis] * layer->shape[axis];
        position->index[axis] = 0;
    }
}

static void load_chunk(const npu_codes *codes, const void *data, ptrdiff_t start, ptrdiff_t step, ptrdiff_t count,
                       int32_t *values)
{
    npu_unpack32(codes->type, npu_at(data, codes->type, start), step, codes->zero_point, count, values, 1);
}

static void add_chunk(const npu_binary_layer *layer, const int32_t *a, const int32_t *b, ptrdiff_t count,
                      int32_t *codes)
{
    int64_t sums[NPU_CHUNK];
    ptrdiff_t index;
    for (index = 0; index < count; index++)
        sums[index] = a[index] * layer->a_multiplier + b[index] * layer->b_multiplier;
    npu_shift_span(&layer->requantize, layer->requantize.shift, sums, count, codes);
}

/* Products of 8-bit codes fit int32_t; with a 16-bit factor they have up to 34 bits. */
static void mul_chunk(const npu_binary_layer *layer, const int32_t *a, const int32_t *b, ptrdiff_t count,
                      int32_t *codes)
{
    const npu_requantize *requantize = &layer->requantize;
    int32_t products[NPU_CHUNK];
    ptrdiff_t index;
    if (layer->a.type == NPU_I16 || layer->b.type == NPU_I16) {
        for (index = 0; index < count; index++)
            codes[index] = npu_requantize_one(requantize, requantize->multiplier, requantize->shift,
                                              (int64_t)a[index] * b[index]);
        return;
    }
    for (index = 0; index < count; index++)
        products[index] = a[index] * b[index];
    npu_requantize_span(requantize, requantize->multiplier, requantize->shift, products, count, codes);
}

typedef void (*chunk_function)(const npu_binary_layer *layer, const int32_t *a, const int32_t *b, ptrdiff_t count,
                               int32_t *codes);

static void for_each_chunk(const npu_binary_layer *layer, chunk_function compute, const void *a, const void *b,
                           void *output)
{
    const ptrdiff_t width = layer->shape[layer->rank - 1];
    const ptrdiff_t a_step = layer->a_strides[layer->rank - 1];
    const ptrdiff_t b_step = layer->b_strides[layer->rank - 1];
    const ptrdiff_t rows = rows_of(layer);
    int32_t a_values[NPU_CHUNK], b_values[NPU_CHUNK], codes[NPU_CHUNK];
    walk position = {0, 0, {0}};
    ptrdiff_t row, start;

    for (row = 0; row < rows; row++, next_row(layer, &position)) {
        for (start = 0; start < width; start += NPU_CHUNK) {
            const ptrdiff_t count = width - start < NPU_CHUNK ? width - start : NPU_CHUNK;
            load_chunk(&layer->a, a, position.a + start * a_step, a_step, count, a_values);
            load_chunk(&layer->b, b, position.b + start * b_step, b_step, count, b_values);
            compute(layer, a_values, b_values, count, codes);
            npu_pack(layer->output_type, output, row * width + start, 1, codes, count);
        }
    }
}

void npu_add(const npu_binary_layer *layer, const void *a, const void *b, void *output)
{
    for_each_chunk(layer, add_chunk, a, b, output);
}

void npu_mul(const npu_binary_layer *layer, const void *a, const void *b, void *output)
{
    for_each_chunk(layer, mul_chunk, a, b, output);
}

/* All 256 results of an 8-bit rescaling, by code minus smallest code. */
static void rescale_table(const npu_rescale_layer *layer, int32_t *table)
{
    const int32_t smallest = layer->input.type == NPU_U8 ? 0 : -128;
    int32_t code;
    for (code = 0; code < 256; code++)
        table[code] = npu_requantize_one(&layer->requantize, layer->requantize.multiplier, layer->requantize.shift,
                                         (int64_t)code + smallest - layer->input.zero_point);
}

void npu_rescale(const npu_rescale_layer *layer, const void *input, void *output)
{
    const npu_requantize *requantize = &layer->requantize;
    const int tabled = layer->input.type != NPU_I16 && (int64_t)layer->blocks * layer->block > 512;
    int32_t table[256], values[NPU_CHUNK], codes[NPU_CHUNK];
    npu_codes source = layer->input;
    ptrdiff_t block, start, index;

    if (tabled) {
        rescale_table(layer, table);
        source.zero_point = source.type == NPU_U8 ? 0 : -128;
    }
    for (block = 0; block < layer->blocks; block++) {
        for (start = 0; start < layer->block; start += NPU_CHUNK) {
            const ptrdiff_t count = layer->block - start < NPU_CHUNK ? layer->block - start : NPU_CHUNK;
            load_chunk(&source, input, block * layer->block + start, 1, count, values);
            if (tabled)
                for (index = 0; index < count; index++)
                    codes[index] = table[values[index]];
            else
                npu_requantize_span(requantize, requantize->multiplier, requantize->shift, values, count, codes);
            npu_pack(layer->output_type, output, layer->output_offset + block * layer->output_stride + start, 1, codes,
                     count);
        }
    }
}

void npu_table(const npu_table_layer *layer, const void *input, const void *table, void *output)
{
    const int32_t smallest = layer->input_type == NPU_U8 ? 0 : layer->input_type == NPU_I8 ? -128 : -32768;
    int32_t values[NPU_CHUNK];
    ptrdiff_t start, index;
    for (start = 0; start < layer->count; start += NPU_CHUNK) {
        const ptrdiff_t count = layer->count - start < NPU_CHUNK ? layer->count - start : NPU_CHUNK;
        npu_unpack32(layer->input_type, npu_at(input, layer->input_type, start), 1, smallest, count, values, 1);
        if (layer->output_type == NPU_I16)
            for (index = 0; index < count; index++)
                ((int16_t *)output)[start + index] = ((const int16_t *)table)[values[index]];
        else
            for (index = 0; index < count; index++)
                ((uint8_t *)output)[start + index] = ((const uint8_t *)table)[values[index]];
    }
}

ptrdiff_t npu_softmax_scratch(const npu_softmax_layer *layer)
{
    return (ptrdiff_t)layer->length * 4;
}

static void softmax_line(const npu_softmax_layer *layer, const uint32_t *exponential, int32_t *values)
{
    const ptrdiff_t length = layer->length;
    const uint64_t denominator = (uint64_t)(uint32_t)layer->denominator;
    int32_t largest = values[0];
    uint64_t sum = 0;
    ptrdiff_t index;

    for (index = 1; index < length; index++)
        largest = npu_larger(largest, values[index]);
    for (index = 0; index < length; index++) {
        const int32_t distance = largest - values[index];
        sum += distance < layer->exponentials ? exponential[distance] : 0;
    }
    for (index = 0; index < length; index++) {
        const int32_t distance = largest - values[index];
        const uint64_t share = distance < layer->exponentials ? exponential[distance] : 0;
        const int64_t code = (int64_t)((2 * share * denominator + sum) / (2 * sum)) + layer->zero_point;
        values[index] = (int32_t)npu_clamp(code, layer->low, layer->high);
    }
}

void npu_softmax(const npu_softmax_layer *layer, const void *input, const uint32_t *exponential, void *output,
                 void *scratch)
{
    int32_t *values = (int32_t *)scratch;
    ptrdiff_t outer, inner;
    for (outer = 0; outer < layer->outer; outer++) {
        for (inner = 0; inner < layer->inner; inner++) {
            const ptrdiff_t start = outer * layer->length * layer->inner + inner;
            npu_unpack32(layer->input_type, npu_at(input, layer->input_type, start), layer->inner, 0, layer->length,
                         values, 1);
            softmax_line(layer, exponential, values);
            npu_pack(layer->output_type, output, start, layer->inner, values, layer->length);
        }
    }
}
