/* SPDX-License-Identifier: Apache-2.0
 *
 * Pooling windows and reductions over axes.
 */
#include "npu_arithmetic.h"

/* Output columns whose window column `x` lies inside the input: first..end. */
static void inside_columns(const npu_pool_layer *layer, ptrdiff_t x, ptrdiff_t *first, ptrdiff_t *end)
{
    const ptrdiff_t offset = x * layer->dilation_width - layer->pad_left;
    const ptrdiff_t stride = layer->stride_width;
    *first = offset < 0 ? (-offset + stride - 1) / stride : 0;
    *end = offset < layer->input_width ? (layer->input_width - 1 - offset) / stride + 1 : 0;
    if (*end > layer->output_width)
        *end = layer->output_width;
}

/* One output row; `input` and `output` point at the plane and the row. */
#define DEFINE_MAX_POOL_ROW(SUFFIX, CODE, SMALLEST)                                                              \
    NPU_VECTORIZE static void max_pool_row_##SUFFIX(const npu_pool_layer *layer, const void *input,               \
                                                    ptrdiff_t output_row, void *output)                          \
    {                                                                                                            \
        CODE *restrict to = (CODE *)output;                                                                      \
        const ptrdiff_t stride = layer->stride_width;                                                            \
        ptrdiff_t y, x, column, first, end;                                                                      \
        for (column = 0; column < layer->output_width; column++)                                                 \
            to[column] = SMALLEST;                                                                               \
        for (y = 0; y < layer->kernel_height; y++) {                                                             \
            const ptrdiff_t row = output_row * layer->stride_height + y * layer->dilation_height - layer->pad_top; \
            if (row < 0 || row >= layer->input_height)                                                           \
                continue;                                                                                        \
            for (x = 0; x < layer->kernel_width; x++) {                                                          \
                const CODE *restrict from = (const CODE *)input + row * layer->input_width;                      \
                const ptrdiff_t offset = x * layer->dilation_width - layer->pad_left;                            \
                inside_columns(layer, x, &first, &end);                                                          \
                for (column = first; column < end; column++) {                                                   \
                    const CODE code = from[column * stride + offset];                                            \
                    to[column] = to[column] < code ? code : to[column];                                          \
                }                                                                                                \
            }                                                                                                    \
        }                                                                                                        \
    }

DEFINE_MAX_POOL_ROW(u8, uint8_t, 0)
DEFINE_MAX_POOL_ROW(i8, int8_t, INT8_MIN)
DEFINE_MAX_POOL_ROW(i16, int16_t, INT16_MIN)

void npu_max_pool(const npu_pool_layer *layer, const void *input, void *output)
{
    const ptrdiff_t size = npu_type_size(layer->input.type);
    const ptrdiff_t input_plane = (ptrdiff_t)layer->input_height * layer->input_width;
    unsigned char *to = (unsigned char *)output;
    ptrdiff_t plane, row;
    for (plane = 0; plane < layer->planes; plane++) {
        const void *from = npu_at(input, layer->input.type, plane * input_plane);
        for (row = 0; row < layer->output_height; row++, to += layer->output_width * size) {
            if (layer->input.type == NPU_U8)
                max_pool_row_u8(layer, from, row, to);
            else if (layer->input.type == NPU_I8)
                max_pool_row_i8(layer, from, row, to);
            else
                max_pool_row_i16(layer, from, row, to);
        }
    }
}

ptrdiff_t npu_average_pool_scratch(const npu_pool_layer *layer)
{
    return (ptrdiff_t)layer->output_width * 8 + (ptrdiff_t)layer->input_width * 4;
}

static void average_pool_row(const npu_pool_layer *layer, const void *input, ptrdiff_t plane, ptrdiff_t output_row,
                             int64_t *sums, int32_t *values)
{
    ptrdiff_t y, x, column, first, end;
    for (column = 0; column < layer->output_width; column++)
        sums[column] = 0;
    for (y = 0; y < layer->kernel_height; y++) {
        const ptrdiff_t row = output_row * layer->stride_height + y * layer->dilation_height - layer->pad_top;
        const ptrdiff_t start = (plane * layer->input_height + row) * layer->input_width;
        if (row < 0 || row >= layer->input_height)
            continue;
        npu_unpack32(layer->input.type, npu_at(input, layer->input.type, start), 1, layer->input.zero_point,
                     layer->input_width, values, 1);
        for (x = 0; x < layer->kernel_width; x++) {
            const ptrdiff_t offset = x * layer->dilation_width - layer->pad_left;
            inside_columns(layer, x, &first, &end);
            for (column = first; column < end; column++)
                sums[column] += values[column * layer->stride_width + offset];
        }
    }
}

void npu_average_pool(const npu_pool_layer *layer, const npu_requantize *requantize, const void *input,
                      const uint8_t *divisor_index, void *output, void *scratch)
{
    int64_t *sums = (int64_t *)scratch;
    int32_t *values = (int32_t *)(void *)(sums + layer->output_width);
    const ptrdiff_t width = layer->output_width;
    ptrdiff_t plane, row, column;
    for (plane = 0; plane < layer->planes; plane++) {
        for (row = 0; row < layer->output_height; row++) {
            average_pool_row(layer, input, plane, row, sums, values);
            for (column = 0; column < width; column++) {
                const npu_requantize *rule = &requantize[divisor_index[row * width + column]];
                const int32_t code = npu_requantize_one(rule, rule->multiplier, rule->shift, sums[column]);
                npu_pack(layer->output_type, output, (plane * layer->output_height + row) * width + column, 1, &code,
                         1);
            }
        }
    }
}

/* Element offset of the index-th combination of the given axes. */
static ptrdiff_t offset_of(ptrdiff_t index, int32_t rank, const int32_t *shape, const int32_t *strides)
{
    ptrdiff_t offset = 0;
    int32_t axis;
    for (axis = rank - 1; axis >= 0; axis--) {
        offset += index % shape[axis] * strides[axis];
        index /= shape[axis];
    }
    return offset;
}

static ptrdiff_t product_of(int32_t rank, const int32_t *shape)
{
    ptrdiff_t product = 1;
    int32_t axis;
    for (axis = 0; axis < rank; axis++)
        product *= shape[axis];
    return product;
}

typedef int64_t (*fold_function)(int64_t folded, const int32_t *values, ptrdiff_t count);

static int64_t fold_sum(int64_t folded, const int32_t *values, ptrdiff_t count)
{
    int64_t sum = folded;
    ptrdiff_t index;
    for (index = 0; index < count; index++)
        sum += values[index];
    return sum;
}

static int64_t fold_max(int64_t folded, const int32_t *values, ptrdiff_t count)
{
    int64_t largest = folded;
    ptrdiff_t index;
    for (index = 0; index < count; index++)
        largest = values[index] > largest ? values[index] : largest;
    return largest;
}

static int64_t fold_min(int64_t folded, const int32_t *values, ptrdiff_t count)
{
    int64_t smallest = folded;
    ptrdiff_t index;
    for (index = 0; index < count; index++)
        smallest = values[index] < smallest ? values[index] : smallest;
    return smallest;
}

/* Folds every reduced element (code minus zero point) of one output; the last reduced axis is read in runs. */
static int64_t fold(const npu_reduce_layer *layer, fold_function function, int64_t start_value, const void *input,
                    ptrdiff_t base)
{
    const int32_t last = layer->reduced_rank - 1;
    const ptrdiff_t length = last < 0 ? 1 : layer->reduced_shape[last];
    const ptrdiff_t step = last < 0 ? 1 : layer->reduced_strides[last];
    const ptrdiff_t lines = last < 0 ? 1 : product_of(last, layer->reduced_shape);
    int32_t values[NPU_CHUNK];
    int64_t folded = start_value;
    ptrdiff_t line, start;
    for (line = 0; line < lines; line++) {
        const ptrdiff_t from = base + offset_of(line, last, layer->reduced_shape, layer->reduced_strides);
        for (start = 0; start < length; start += NPU_CHUNK) {
            const ptrdiff_t count = length - start < NPU_CHUNK ? length - start : NPU_CHUNK;
            npu_unpack32(layer->input.type, npu_at(input, layer->input.type, from + start * step), step,
                         layer->input.zero_point, count, values, 1);
            folded = function(folded, values, count);
        }
    }
    return folded;
}

void npu_reduce_sum(const npu_reduce_layer *layer, const void *input, void *output)
{
    const npu_requantize *requantize = &layer->requantize;
    const ptrdiff_t count = product_of(layer->kept_rank, layer->kept_shape);
    ptrdiff_t index;
    for (index = 0; index < count; index++) {
        const ptrdiff_t base = offset_of(index, layer->kept_rank, layer->kept_shape, layer->kept_strides);
        const int64_t sum = fold(layer, fold_sum, 0, input, base);
        const int32_t code = npu_requantize_one(requantize, requantize->multiplier, requantize->shift, sum);
        npu_pack(layer->output_type, output, index, 1, &code, 1);
    }
}

static void reduce_extreme(const npu_reduce_layer *layer, fold_function function, int64_t start_value,
                           const void *input, void *output)
{
    const ptrdiff_t count = product_of(layer->kept_rank, layer->kept_shape);
    ptrdiff_t index;
    for (index = 0; index < count; index++) {
        const ptrdiff_t base = offset_of(index, layer->kept_rank, layer->kept_shape, layer->kept_strides);
        const int32_t code = (int32_t)(fold(layer, function, start_value, input, base) + layer->input.zero_point);
        npu_pack(layer->output_type, output, index, 1, &code, 1);
    }
}

void npu_reduce_max(const npu_reduce_layer *layer, const void *input, void *output)
{
    reduce_extreme(layer, fold_max, INT32_MIN, input, output);
}

void npu_reduce_min(const npu_reduce_layer *layer, const void *input, void *output)
{
    reduce_extreme(layer, fold_min, INT32_MAX, input, output);
}
