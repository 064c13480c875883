/* SPDX-License-Identifier: Apache-2.0
 *
 * Where codes meet reals: quantizing values, and the sums from which every error figure is made. Both equal their numpy
 * definitions (npudsl/machine/kernels/boundary.py, npudsl/numerics/metrics.py) bit for bit: the same operations in the
 * same order, and no multiply-add that rounds once (the compiler is told so).
 */
#include <math.h>
#include <string.h>

#include "npu_host.h"

/* ---- quantizing ---- */

#define QUANTIZE(CODE)                                                                         \
    {                                                                                          \
        CODE *restrict to = (CODE *)output;                                                    \
        for (index = 0; index < count; index++) {                                              \
            float code = rintf(values[index] / scale) + zero_point;                            \
            code = code < low ? low : code;                                                    \
            code = code > high ? high : code;                                                  \
            to[index] = (CODE)(int32_t)code;                                                   \
        }                                                                                      \
        break;                                                                                 \
    }

int32_t npu_host_quantize(const npu_codes *codes, int32_t low_code, int32_t high_code, float scale, ptrdiff_t count,
                          const float *restrict values, void *output)
{
    const float zero_point = (float)codes->zero_point, low = (float)low_code, high = (float)high_code;
    int32_t unordered = 0;
    ptrdiff_t index;
    for (index = 0; index < count; index++)
        unordered |= values[index] != values[index];
    if (unordered)
        return 0;
    switch (codes->type) {
    case NPU_U8:
        QUANTIZE(uint8_t)
    case NPU_I8:
        QUANTIZE(int8_t)
    default:
        QUANTIZE(int16_t)
    }
    return 1;
}

/* ---- error sums ---- */

/* Elements whose sums are made apart; lanes that are summed side by side: one chunk at a time goes into them. */
#define BLOCK 32768
#define LANE_COUNT 256

#define MAGNITUDE INT64_MAX
#define INFINITE ((int64_t)0x7FF << 52)

typedef union chunk {
    double reals[LANE_COUNT];
    int64_t bits[LANE_COUNT];
} chunk;

typedef struct totals {
    double count, mean, dot, reference_square, candidate_square, error_square, deviation_square;
    int64_t largest_error, largest_reference; /* bits of the magnitudes; they are in the order of the numbers */
} totals;

typedef struct pair {
    const npu_host_reals *codes;
    const void *candidate;
    const float *reference;
} pair;

#define DEQUANTIZE(CODE)                                                                       \
    {                                                                                          \
        const CODE *restrict from = (const CODE *)data + start;                                \
        for (index = 0; index < count; index++)                                                \
            to[index] = (double)(float)(((double)from[index] - zero_point) * scale);           \
        break;                                                                                 \
    }

static void dequantize(const npu_host_reals *codes, const void *data, ptrdiff_t start, ptrdiff_t count,
                       double *restrict to)
{
    const double zero_point = codes->zero_point, scale = codes->scale;
    ptrdiff_t index;
    switch (codes->type) {
    case NPU_U8:
        DEQUANTIZE(uint8_t)
    case NPU_I8:
        DEQUANTIZE(int8_t)
    case NPU_I16:
        DEQUANTIZE(int16_t)
    default: {
        const float *restrict from = (const float *)data + start;
        for (index = 0; index < count; index++)
            to[index] = from[index];
    }
    }
}

/* What lies behind `count` adds nothing. */
static void load(const pair *both, ptrdiff_t start, ptrdiff_t count, chunk *reference, chunk *candidate, chunk *error)
{
    const float *restrict from = both->reference + start;
    ptrdiff_t index;
    dequantize(both->codes, both->candidate, start, count, candidate->reals);
    for (index = 0; index < count; index++)
        reference->reals[index] = from[index];
    for (index = count; index < LANE_COUNT; index++)
        reference->reals[index] = candidate->reals[index] = 0.0;
    for (index = 0; index < LANE_COUNT; index++)
        error->reals[index] = candidate->reals[index] - reference->reals[index];
}

static void add_values(double *restrict sums, const double *restrict values)
{
    ptrdiff_t index;
    for (index = 0; index < LANE_COUNT; index++)
        sums[index] += values[index];
}

static void add_squares(double *restrict sums, const double *restrict values)
{
    ptrdiff_t index;
    for (index = 0; index < LANE_COUNT; index++)
        sums[index] += values[index] * values[index];
}

static void add_products(double *restrict sums, const double *restrict left, const double *restrict right)
{
    ptrdiff_t index;
    for (index = 0; index < LANE_COUNT; index++)
        sums[index] += left[index] * right[index];
}

/* The lanes in halves: i and i + 128, then i and i + 64, ... */
static double folded(double *lanes)
{
    ptrdiff_t width, index;
    for (width = LANE_COUNT / 2; width > 0; width /= 2)
        for (index = 0; index < width; index++)
            lanes[index] += lanes[index + width];
    return lanes[0];
}

static int64_t larger_magnitude(int64_t largest, const int64_t *bits)
{
    ptrdiff_t index;
    for (index = 0; index < LANE_COUNT; index++) {
        const int64_t magnitude = bits[index] & MAGNITUDE;
        largest = largest < magnitude ? magnitude : largest;
    }
    return largest;
}

/* Sum of (e - mean)^2. */
static double deviations(const pair *both, ptrdiff_t first, ptrdiff_t size, double mean)
{
    chunk reference, candidate, error;
    double sums[LANE_COUNT] = {0};
    ptrdiff_t start, index;
    for (start = 0; start < size; start += LANE_COUNT) {
        const ptrdiff_t count = size - start < LANE_COUNT ? size - start : LANE_COUNT;
        load(both, first + start, count, &reference, &candidate, &error);
        for (index = 0; index < count; index++)
            error.reals[index] -= mean;
        add_squares(sums, error.reals);
    }
    return folded(sums);
}

static totals block_totals(const pair *both, ptrdiff_t first, ptrdiff_t size)
{
    chunk reference, candidate, error;
    double errors[LANE_COUNT] = {0}, dots[LANE_COUNT] = {0}, references[LANE_COUNT] = {0};
    double candidates[LANE_COUNT] = {0}, squares[LANE_COUNT] = {0};
    double shift;
    ptrdiff_t start;
    totals made;
    made.largest_error = made.largest_reference = 0;
    for (start = 0; start < size; start += LANE_COUNT) {
        load(both, first + start, size - start < LANE_COUNT ? size - start : LANE_COUNT, &reference, &candidate, &error);
        add_values(errors, error.reals);
        add_products(dots, reference.reals, candidate.reals);
        add_squares(references, reference.reals);
        add_squares(candidates, candidate.reals);
        add_squares(squares, error.reals);
        made.largest_error = larger_magnitude(made.largest_error, error.bits);
        made.largest_reference = larger_magnitude(made.largest_reference, reference.bits);
    }
    made.count = (double)size;
    made.mean = folded(errors) / made.count;
    made.dot = folded(dots);
    made.reference_square = folded(references);
    made.candidate_square = folded(candidates);
    made.error_square = folded(squares);
    shift = made.count * made.mean * made.mean;
    made.deviation_square =
        shift <= 0.5 * made.error_square ? made.error_square - shift : deviations(both, first, size, made.mean);
    return made;
}

static void take_in(totals *all, const totals *next)
{
    const double count = all->count + next->count;
    const double apart = next->mean - all->mean;
    all->deviation_square += next->deviation_square + apart * apart * all->count * next->count / count;
    all->mean += apart * next->count / count;
    all->count = count;
    all->dot += next->dot;
    all->reference_square += next->reference_square;
    all->candidate_square += next->candidate_square;
    all->error_square += next->error_square;
    if (all->largest_error < next->largest_error)
        all->largest_error = next->largest_error;
    if (all->largest_reference < next->largest_reference)
        all->largest_reference = next->largest_reference;
}

static double real_of(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int32_t npu_host_errors(const npu_host_reals *codes, ptrdiff_t rows, ptrdiff_t length, const float *reference,
                        const void *candidate, double *sums)
{
    const ptrdiff_t size = codes->type == NPU_HOST_F32 ? 4 : npu_type_size(codes->type);
    ptrdiff_t row, first;
    for (row = 0; row < rows; row++, sums += NPU_HOST_ERROR_SUMS) {
        const pair both = {codes, (const unsigned char *)candidate + row * length * size, reference + row * length};
        totals all = {0, 0, 0, 0, 0, 0, 0, 0, 0};
        for (first = 0; first < length; first += BLOCK) {
            const totals next = block_totals(&both, first, length - first < BLOCK ? length - first : BLOCK);
            take_in(&all, &next);
        }
        if (all.largest_error >= INFINITE || all.largest_reference >= INFINITE || !isfinite(all.candidate_square))
            return 0;
        sums[0] = all.count;
        sums[1] = all.dot;
        sums[2] = all.reference_square;
        sums[3] = all.candidate_square;
        sums[4] = all.error_square;
        sums[5] = all.deviation_square;
        sums[6] = real_of(all.largest_error);
        sums[7] = real_of(all.largest_reference);
    }
    return 1;
}
