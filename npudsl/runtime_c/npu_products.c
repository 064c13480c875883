/* SPDX-License-Identifier: Apache-2.0
 *
 * Dot products over contiguous memory, blocked by four weight rows and two positions.
 *
 * Weights are read as they are stored; their zero point is taken out afterwards:
 *     sum x (w - z_w) = sum x w - z_w sum x        (x already without its zero point)
 * A dot product of int16_t values runs over at most DOT_LENGTH terms of magnitude 255 * 255, which int32_t holds; longer
 * rows are summed modulo 2^32, which is exact because the final sum fits. uint32_t totals are read as int32_t: the same
 * bits, and C99 allows it.
 */
#include "npu_products.h"

#define DOT_LENGTH 32768
#define ROWS 4

int32_t npu_is_wide(int32_t input_type, int32_t weight_type, int32_t bias_type)
{
    return input_type == NPU_I16 || weight_type == NPU_I16 || bias_type == NPU_I64;
}

ptrdiff_t npu_gathered_size(int32_t wide)
{
    return wide ? 4 : 2;
}

void npu_gather_codes(int32_t wide, const npu_codes *codes, const void *data, ptrdiff_t start, ptrdiff_t step,
                      ptrdiff_t count, void *to, ptrdiff_t to_start, ptrdiff_t to_step)
{
    const void *from = npu_at(data, codes->type, start);
    if (wide)
        npu_unpack32(codes->type, from, step, codes->zero_point, count, (int32_t *)to + to_start, to_step);
    else
        npu_unpack16(codes->type, from, step, codes->zero_point, count, (int16_t *)to + to_start, to_step);
}

int64_t npu_bias_of(const void *bias, int32_t bias_type, ptrdiff_t channel)
{
    if (bias == NULL)
        return 0;
    return bias_type == NPU_I64 ? ((const int64_t *)bias)[channel] : ((const int32_t *)bias)[channel];
}

void npu_finish(const npu_requantize *requantize, const int32_t *multipliers, const int8_t *shifts, ptrdiff_t channel,
                int32_t wide, const void *sums, ptrdiff_t count, int32_t *codes)
{
    const int32_t multiplier = multipliers != NULL ? multipliers[channel] : requantize->multiplier;
    const int32_t shift = shifts != NULL ? shifts[channel] : requantize->shift;
    ptrdiff_t index;
    if (!wide) {
        npu_requantize_span(requantize, multiplier, shift, (const int32_t *)sums, count, codes);
        return;
    }
    for (index = 0; index < count; index++)
        codes[index] = npu_requantize_one(requantize, multiplier, shift, ((const int64_t *)sums)[index]);
}

/* Four rows by two positions, four rows by one, one by one; x0, x1: positions, w: rows `pitch` apart. */
#define DEFINE_DOTS(SUFFIX, WEIGHT, VALUE, SUM)                                                                  \
    NPU_VECTORIZE static void dot_4x2_##SUFFIX(const WEIGHT *w, ptrdiff_t pitch, const VALUE *x0, const VALUE *x1, \
                                               ptrdiff_t length, SUM *sums)                                      \
    {                                                                                                            \
        const WEIGHT *w0 = w, *w1 = w + pitch, *w2 = w + 2 * pitch, *w3 = w + 3 * pitch;                          \
        SUM a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;                                      \
        ptrdiff_t k;                                                                                             \
        for (k = 0; k < length; k++) {                                                                           \
            const SUM u = x0[k], v = x1[k];                                                                      \
            a0 += u * w0[k];                                                                                     \
            a1 += u * w1[k];                                                                                     \
            a2 += u * w2[k];                                                                                     \
            a3 += u * w3[k];                                                                                     \
            b0 += v * w0[k];                                                                                     \
            b1 += v * w1[k];                                                                                     \
            b2 += v * w2[k];                                                                                     \
            b3 += v * w3[k];                                                                                     \
        }                                                                                                        \
        sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;                                                  \
        sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;                                                  \
    }                                                                                                            \
    NPU_VECTORIZE static void dot_4x1_##SUFFIX(const WEIGHT *w, ptrdiff_t pitch, const VALUE *x, ptrdiff_t length, \
                                               SUM *sums)                                                        \
    {                                                                                                            \
        const WEIGHT *w0 = w, *w1 = w + pitch, *w2 = w + 2 * pitch, *w3 = w + 3 * pitch;                          \
        SUM a0 = 0, a1 = 0, a2 = 0, a3 = 0;                                                                      \
        ptrdiff_t k;                                                                                             \
        for (k = 0; k < length; k++) {                                                                           \
            const SUM u = x[k];                                                                                  \
            a0 += u * w0[k];                                                                                     \
            a1 += u * w1[k];                                                                                     \
            a2 += u * w2[k];                                                                                     \
            a3 += u * w3[k];                                                                                     \
        }                                                                                                        \
        sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;                                                  \
    }                                                                                                            \
    NPU_VECTORIZE static SUM dot_1x1_##SUFFIX(const WEIGHT *w, const VALUE *x, ptrdiff_t length)                  \
    {                                                                                                            \
        SUM sum = 0;                                                                                             \
        ptrdiff_t k;                                                                                             \
        for (k = 0; k < length; k++)                                                                             \
            sum += (SUM)x[k] * w[k];                                                                             \
        return sum;                                                                                              \
    }

DEFINE_DOTS(u8, uint8_t, int16_t, int32_t)
DEFINE_DOTS(i8, int8_t, int16_t, int32_t)
DEFINE_DOTS(wide_u8, uint8_t, int32_t, int64_t)
DEFINE_DOTS(wide_i8, int8_t, int32_t, int64_t)
DEFINE_DOTS(wide_i16, int16_t, int32_t, int64_t)

/* Adds the products of `rows` (4 or 1) weight rows with all positions, terms first..first+length. */
#define DEFINE_BLOCK(SUFFIX, WEIGHT, VALUE, SUM, TOTAL)                                                          \
    static void block_##SUFFIX(const void *weights, ptrdiff_t rows, ptrdiff_t inner, ptrdiff_t first,             \
                               ptrdiff_t length, const void *gathered, ptrdiff_t positions,                       \
                               TOTAL (*totals)[NPU_MAX_TILE])                                                     \
    {                                                                                                            \
        const WEIGHT *w = (const WEIGHT *)weights + first;                                                       \
        const VALUE *x = (const VALUE *)gathered + first;                                                        \
        SUM sums[2 * ROWS];                                                                                      \
        ptrdiff_t p = 0, row;                                                                                    \
        if (rows == ROWS) {                                                                                      \
            for (; p + 1 < positions; p += 2) {                                                                  \
                dot_4x2_##SUFFIX(w, inner, x + p * inner, x + (p + 1) * inner, length, sums);                    \
                for (row = 0; row < ROWS; row++) {                                                               \
                    totals[row][p] += (TOTAL)sums[row];                                                          \
                    totals[row][p + 1] += (TOTAL)sums[ROWS + row];                                               \
                }                                                                                                \
            }                                                                                                    \
            for (; p < positions; p++) {                                                                         \
                dot_4x1_##SUFFIX(w, inner, x + p * inner, length, sums);                                         \
                for (row = 0; row < ROWS; row++)                                                                 \
                    totals[row][p] += (TOTAL)sums[row];                                                          \
            }                                                                                                    \
        } else {                                                                                                 \
            for (; p < positions; p++)                                                                           \
                totals[0][p] += (TOTAL)dot_1x1_##SUFFIX(w, x + p * inner, length);                               \
        }                                                                                                        \
    }

DEFINE_BLOCK(u8, uint8_t, int16_t, int32_t, uint32_t)
DEFINE_BLOCK(i8, int8_t, int16_t, int32_t, uint32_t)
DEFINE_BLOCK(wide_u8, uint8_t, int32_t, int64_t, int64_t)
DEFINE_BLOCK(wide_i8, int8_t, int32_t, int64_t, int64_t)
DEFINE_BLOCK(wide_i16, int16_t, int32_t, int64_t, int64_t)

NPU_VECTORIZE static uint32_t sum_narrow(const int16_t *values, ptrdiff_t count)
{
    uint32_t sum = 0;
    ptrdiff_t index;
    for (index = 0; index < count; index++) {
        const int32_t value = values[index];
        sum += (uint32_t)value;
    }
    return sum;
}

static int64_t sum_wide(const int32_t *values, ptrdiff_t count)
{
    int64_t sum = 0;
    ptrdiff_t index;
    for (index = 0; index < count; index++)
        sum += values[index];
    return sum;
}

static void multiply_narrow(const npu_products *products, const void *gathered, ptrdiff_t positions, void *output,
                            ptrdiff_t output_start)
{
    const ptrdiff_t inner = products->inner;
    const uint32_t weight_zero = (uint32_t)products->weight.zero_point;
    uint32_t position_sums[NPU_MAX_TILE] = {0};
    uint32_t totals[ROWS][NPU_MAX_TILE];
    int32_t codes[NPU_MAX_TILE];
    ptrdiff_t channel, rows, row, p, k;

    if (weight_zero != 0)
        for (p = 0; p < positions; p++)
            position_sums[p] = sum_narrow((const int16_t *)gathered + p * inner, inner);
    for (channel = 0; channel < products->channels; channel += rows) {
        const void *weights = npu_at(products->weights, products->weight.type, channel * inner);
        rows = channel + ROWS <= products->channels ? ROWS : 1;
        for (row = 0; row < rows; row++) {
            const uint32_t bias = (uint32_t)npu_bias_of(products->bias, products->bias_type, channel + row);
            for (p = 0; p < positions; p++)
                totals[row][p] = bias - weight_zero * position_sums[p];
        }
        for (k = 0; k < inner; k += DOT_LENGTH) {
            const ptrdiff_t length = inner - k < DOT_LENGTH ? inner - k : DOT_LENGTH;
            if (products->weight.type == NPU_U8)
                block_u8(weights, rows, inner, k, length, gathered, positions, totals);
            else
                block_i8(weights, rows, inner, k, length, gathered, positions, totals);
        }
        for (row = 0; row < rows; row++) {
            npu_finish(products->requantize, products->multipliers, products->shifts, channel + row, 0, totals[row],
                       positions, codes);
            npu_pack(products->output_type, output, output_start + (channel + row) * products->channel_stride,
                     products->position_stride, codes, positions);
        }
    }
}

static void multiply_wide(const npu_products *products, const void *gathered, ptrdiff_t positions, void *output,
                          ptrdiff_t output_start)
{
    const ptrdiff_t inner = products->inner;
    const int64_t weight_zero = products->weight.zero_point;
    int64_t position_sums[NPU_MAX_TILE] = {0};
    int64_t totals[ROWS][NPU_MAX_TILE];
    int32_t codes[NPU_MAX_TILE];
    ptrdiff_t channel, rows, row, p;

    if (weight_zero != 0)
        for (p = 0; p < positions; p++)
            position_sums[p] = sum_wide((const int32_t *)gathered + p * inner, inner);
    for (channel = 0; channel < products->channels; channel += rows) {
        const void *weights = npu_at(products->weights, products->weight.type, channel * inner);
        rows = channel + ROWS <= products->channels ? ROWS : 1;
        for (row = 0; row < rows; row++) {
            const int64_t bias = npu_bias_of(products->bias, products->bias_type, channel + row);
            for (p = 0; p < positions; p++)
                totals[row][p] = bias - weight_zero * position_sums[p];
        }
        switch (products->weight.type) {
        case NPU_U8:
            block_wide_u8(weights, rows, inner, 0, inner, gathered, positions, totals);
            break;
        case NPU_I8:
            block_wide_i8(weights, rows, inner, 0, inner, gathered, positions, totals);
            break;
        default:
            block_wide_i16(weights, rows, inner, 0, inner, gathered, positions, totals);
        }
        for (row = 0; row < rows; row++) {
            npu_finish(products->requantize, products->multipliers, products->shifts, channel + row, 1, totals[row],
                       positions, codes);
            npu_pack(products->output_type, output, output_start + (channel + row) * products->channel_stride,
                     products->position_stride, codes, positions);
        }
    }
}

void npu_multiply(const npu_products *products, const void *gathered, ptrdiff_t positions, void *output,
                  ptrdiff_t output_start)
{
    if (products->wide)
        multiply_wide(products, gathered, positions, output, output_start);
    else
        multiply_narrow(products, gathered, positions, output, output_start);
}
