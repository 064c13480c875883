/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools: first down the columns into one padded row, where loops run over whole rows of the input, then along the row.
 */
#include <string.h>

#include "host_lanes.h"
#include "host_rounding.h"

/* Elements of a row of windows. */
static ptrdiff_t reach(const npu_pool_layer *layer)
{
    return ((ptrdiff_t)layer->output_width - 1) * layer->stride_width +
           ((ptrdiff_t)layer->kernel_width - 1) * layer->dilation_width + 1;
}

/* The part of a row of the input that windows reach: `first` is its place in the padded row, `skipped` what lies before. */
static ptrdiff_t inside(const npu_pool_layer *layer, ptrdiff_t *first, ptrdiff_t *skipped)
{
    const ptrdiff_t room = reach(layer);
    ptrdiff_t count;
    *first = layer->pad_left > 0 ? layer->pad_left : 0;
    *skipped = *first - layer->pad_left;
    count = layer->input_width - *skipped;
    count = count < room - *first ? count : room - *first;
    return count > 0 ? count : 0;
}

/* Row `y` of the window of an output row in the input, or -1. */
static ptrdiff_t window_row(const npu_pool_layer *layer, ptrdiff_t output_row, ptrdiff_t y)
{
    const ptrdiff_t row = output_row * layer->stride_height + y * layer->dilation_height - layer->pad_top;
    return row >= 0 && row < layer->input_height ? row : -1;
}

#define ALONG(STEP, TAKE)                                                                      \
    for (column = 0; column < count; column++) {                                               \
        TAKE(column, from[column * (STEP)])                                                    \
    }

#define TAKE_LARGER(PLACE, VALUE)                                                              \
    to[PLACE] = to[PLACE] < (VALUE) ? (VALUE) : to[PLACE];

#define TAKE_SUM(PLACE, VALUE) to[PLACE] += (VALUE);

/* to[c] = fold of to[c] and row[c * stride] */
#define DEFINE_ALONG(NAME, VALUE, TAKE)                                                        \
    static void NAME(const VALUE *restrict from, ptrdiff_t stride, ptrdiff_t count, VALUE *restrict to) \
    {                                                                                          \
        ptrdiff_t column;                                                                      \
        if (stride == 1)                                                                       \
            ALONG(1, TAKE)                                                                     \
        else if (stride == 2)                                                                  \
            ALONG(2, TAKE)                                                                     \
        else                                                                                   \
            ALONG(stride, TAKE)                                                                \
    }

DEFINE_ALONG(larger_u8, uint8_t, TAKE_LARGER)
DEFINE_ALONG(larger_i8, int8_t, TAKE_LARGER)
DEFINE_ALONG(larger_i16, int16_t, TAKE_LARGER)
DEFINE_ALONG(sums, int32_t, TAKE_SUM)

#define DEFINE_MAX_POOL(NAME, CODE, SMALLEST, LARGER)                                                            \
    static void NAME(const npu_pool_layer *layer, const CODE *input, CODE *output, CODE *row)                     \
    {                                                                                                            \
        const ptrdiff_t width = reach(layer);                                                                    \
        ptrdiff_t first, skipped, plane, output_row, y, x, index;                                                \
        const ptrdiff_t count = inside(layer, &first, &skipped);                                                 \
        for (index = 0; index < width; index++)                                                                  \
            row[index] = SMALLEST;                                                                               \
        for (plane = 0; plane < layer->planes; plane++) {                                                        \
            for (output_row = 0; output_row < layer->output_height; output_row++) {                              \
                for (index = 0; index < count; index++)                                                          \
                    row[first + index] = SMALLEST;                                                               \
                for (y = 0; y < layer->kernel_height; y++) {                                                     \
                    const ptrdiff_t source = window_row(layer, output_row, y);                                   \
                    if (source >= 0)                                                                             \
                        LARGER(input + source * layer->input_width + skipped, 1, count, row + first);            \
                }                                                                                                \
                for (index = 0; index < layer->output_width; index++)                                            \
                    output[index] = SMALLEST;                                                                    \
                for (x = 0; x < layer->kernel_width; x++)                                                        \
                    LARGER(row + x * layer->dilation_width, layer->stride_width, layer->output_width, output);   \
                output += layer->output_width;                                                                   \
            }                                                                                                    \
            input += (ptrdiff_t)layer->input_height * layer->input_width;                                        \
        }                                                                                                        \
    }

DEFINE_MAX_POOL(max_pool_u8, uint8_t, 0, larger_u8)
DEFINE_MAX_POOL(max_pool_i8, int8_t, INT8_MIN, larger_i8)
DEFINE_MAX_POOL(max_pool_i16, int16_t, INT16_MIN, larger_i16)

#if LANES == 16

static inline __mmask64 first_bytes(ptrdiff_t count)
{
    return count >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1;
}

/* The same for bytes and strides of 1 and 2, with masks instead of loops over what does not fill a vector. `flip` makes
 * unsigned codes of stored ones; 0 is the smallest of them and so the padding. */
static void max_pool_bytes(const npu_pool_layer *layer, const unsigned char *input, unsigned char flip,
                           unsigned char *output, unsigned char *row)
{
    const __m512i flips = _mm512_set1_epi8((char)flip);
    const ptrdiff_t step = layer->stride_width == 1 ? 64 : 32; /* outputs of one vector */
    ptrdiff_t first, skipped, plane, output_row, y, x, column;
    const ptrdiff_t count = inside(layer, &first, &skipped);
    memset(row, 0, (size_t)npu_host_pool_scratch(layer));
    for (plane = 0; plane < layer->planes; plane++) {
        for (output_row = 0; output_row < layer->output_height; output_row++) {
            for (column = 0; column < count; column += 64) {
                const __mmask64 mask = first_bytes(count - column);
                __m512i largest = _mm512_setzero_si512();
                for (y = 0; y < layer->kernel_height; y++) {
                    const ptrdiff_t source = window_row(layer, output_row, y);
                    if (source >= 0)
                        largest = _mm512_max_epu8(
                            largest,
                            _mm512_xor_si512(flips, _mm512_maskz_loadu_epi8(mask, input + source * layer->input_width +
                                                                                      skipped + column)));
                }
                _mm512_mask_storeu_epi8(row + first + column, mask, largest);
            }
            for (column = 0; column < layer->output_width; column += step) {
                const __mmask64 mask = first_bytes(layer->output_width - column);
                const unsigned char *from = row + column * layer->stride_width;
                __m512i largest = _mm512_setzero_si512();
                for (x = 0; x < layer->kernel_width; x++)
                    largest = _mm512_max_epu8(largest, _mm512_loadu_si512(from + x * layer->dilation_width));
                largest = _mm512_xor_si512(largest, flips);
                if (step == 64)
                    _mm512_mask_storeu_epi8(output + column, mask, largest);
                else /* every other byte */
                    _mm256_mask_storeu_epi8(output + column, (__mmask32)mask, _mm512_cvtepi16_epi8(largest));
            }
            output += layer->output_width;
        }
        input += (ptrdiff_t)layer->input_height * layer->input_width;
    }
}

#endif

/* Rows are read a vector beyond their end. */
ptrdiff_t npu_host_pool_scratch(const npu_pool_layer *layer)
{
    return (reach(layer) + layer->output_width + 64) * (ptrdiff_t)sizeof(int32_t);
}

void npu_host_max_pool(const npu_pool_layer *layer, const void *input, void *output, void *scratch)
{
#if LANES == 16
    if (layer->input.type != NPU_I16 && layer->stride_width <= 2) {
        max_pool_bytes(layer, (const unsigned char *)input, layer->input.type == NPU_I8 ? 0x80 : 0,
                       (unsigned char *)output, (unsigned char *)scratch);
        return;
    }
#endif
    if (layer->input.type == NPU_U8)
        max_pool_u8(layer, (const uint8_t *)input, (uint8_t *)output, (uint8_t *)scratch);
    else if (layer->input.type == NPU_I8)
        max_pool_i8(layer, (const int8_t *)input, (int8_t *)output, (int8_t *)scratch);
    else
        max_pool_i16(layer, (const int16_t *)input, (int16_t *)output, (int16_t *)scratch);
}

#define ADD_CODES(CODE)                                                                        \
    {                                                                                          \
        const CODE *restrict from = (const CODE *)data + start;                                \
        for (index = 0; index < count; index++)                                                \
            to[index] += from[index] - zero_point;                                             \
        break;                                                                                 \
    }

/* to[i] += x - z */
static void add_codes(const npu_codes *codes, const void *data, ptrdiff_t start, ptrdiff_t count, int32_t *restrict to)
{
    const int32_t zero_point = codes->zero_point;
    ptrdiff_t index;
    switch (codes->type) {
    case NPU_U8:
        ADD_CODES(uint8_t)
    case NPU_I8:
        ADD_CODES(int8_t)
    default:
        ADD_CODES(int16_t)
    }
}

void npu_host_average_pool(const npu_pool_layer *layer, const npu_host_rule *rule, const void *input,
                           const uint8_t *divisor_index, void *output, void *scratch)
{
    const ptrdiff_t width = layer->output_width, size = npu_type_size(rule->output_type);
    const ptrdiff_t padded = reach(layer);
    int32_t *row = (int32_t *)scratch, *totals = row + padded;
    unsigned char *to = (unsigned char *)output;
    ptrdiff_t first, skipped, plane, output_row, y, x, start, end;
    const ptrdiff_t count = inside(layer, &first, &skipped);
    for (plane = 0; plane < layer->planes; plane++)
        for (output_row = 0; output_row < layer->output_height; output_row++, to += width * size) {
            const uint8_t *divisors = divisor_index + output_row * width;
            memset(row, 0, (size_t)(padded + width) * sizeof *row);
            for (y = 0; y < layer->kernel_height; y++) {
                const ptrdiff_t source = window_row(layer, output_row, y);
                if (source >= 0)
                    add_codes(&layer->input, input,
                              (plane * layer->input_height + source) * layer->input_width + skipped, count,
                              row + first);
            }
            for (x = 0; x < layer->kernel_width; x++)
                sums(row + x * layer->dilation_width, layer->stride_width, width, totals);
            for (start = 0; start < width; start = end) {
                for (end = start + 1; end < width && divisors[end] == divisors[start]; end++)
                    continue;
                host_finish(rule, divisors[start], totals + start, end - start, to + start * size);
            }
        }
}

#define SUM_CODES(CODE)                                                                        \
    {                                                                                          \
        const CODE *restrict from = (const CODE *)data + start;                                \
        for (index = 0; index < count; index++)                                                \
            total += from[index];                                                              \
        break;                                                                                 \
    }

static int32_t sum_codes(int32_t type, const void *data, ptrdiff_t start, ptrdiff_t count)
{
    int32_t total = 0;
    ptrdiff_t index;
    switch (type) {
    case NPU_U8:
        SUM_CODES(uint8_t)
    case NPU_I8:
        SUM_CODES(int8_t)
    default:
        SUM_CODES(int16_t)
    }
    return total;
}

void npu_host_mean(const npu_codes *codes, const npu_host_rule *rule, ptrdiff_t planes, ptrdiff_t length,
                   const void *input, void *output)
{
    const ptrdiff_t size = npu_type_size(rule->output_type);
    ptrdiff_t plane;
    for (plane = 0; plane < planes; plane++) {
        const int32_t total =
            sum_codes(codes->type, input, plane * length, length) - (int32_t)length * codes->zero_point;
        host_finish(rule, 0, &total, 1, (unsigned char *)output + plane * size);
    }
}
