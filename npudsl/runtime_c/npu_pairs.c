/* SPDX-License-Identifier: Apache-2.0
 *
 * Pairs of values with broadcasting: quotients, minimum and maximum, slopes of negative values, sums of operands that
 * are rounded one by one.
 */
#include "npu_arithmetic.h"

/* What a division by zero gives before the clamp. */
#define BEYOND ((int64_t)1 << 40)

/* Where the walk over all but the last axis of a broadcast stands. */
typedef struct walk {
    ptrdiff_t a;
    ptrdiff_t b;
    int32_t index[NPU_MAX_RANK];
} walk;

static void next_row(const npu_pair_layer *layer, walk *position)
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

/* One pair of values without their zero points to a code. */
typedef int32_t (*pair_function)(const npu_pair_layer *layer, int32_t a, int32_t b);

static void for_each_pair(const npu_pair_layer *layer, pair_function compute, const void *a, const void *b,
                          void *output)
{
    const int32_t last = layer->rank - 1;
    const ptrdiff_t width = layer->shape[last];
    const ptrdiff_t a_step = layer->a_strides[last];
    const ptrdiff_t b_step = layer->b_strides[last];
    int32_t a_values[NPU_CHUNK], b_values[NPU_CHUNK], codes[NPU_CHUNK];
    walk position = {0, 0, {0}};
    ptrdiff_t rows = 1, row, start, index;
    int32_t axis;

    for (axis = 0; axis < last; axis++)
        rows *= layer->shape[axis];
    for (row = 0; row < rows; row++, next_row(layer, &position)) {
        for (start = 0; start < width; start += NPU_CHUNK) {
            const ptrdiff_t count = width - start < NPU_CHUNK ? width - start : NPU_CHUNK;
            npu_unpack32(layer->a.type, npu_at(a, layer->a.type, position.a + start * a_step), a_step,
                         layer->a.zero_point, count, a_values, 1);
            npu_unpack32(layer->b.type, npu_at(b, layer->b.type, position.b + start * b_step), b_step,
                         layer->b.zero_point, count, b_values, 1);
            for (index = 0; index < count; index++)
                codes[index] = compute(layer, a_values[index], b_values[index]);
            npu_pack(layer->output_type, output, row * width + start, 1, codes, count);
        }
    }
}

static int32_t apply(const npu_requantize *rule, int64_t value)
{
    return npu_requantize_one(rule, rule->multiplier, rule->shift, value);
}

/* numerator / denominator to the nearest integer; both below 2^62 in magnitude. */
static int64_t quotient(int64_t numerator, int64_t denominator, int32_t rounding)
{
    const int negative = (numerator < 0) != (denominator < 0);
    const int64_t dividend = numerator < 0 ? -numerator : numerator;
    const int64_t divisor = denominator < 0 ? -denominator : denominator;
    int64_t whole, rest;
    int tie_up;

    if (divisor == 0)
        return dividend == 0 ? 0 : numerator < 0 ? -BEYOND : BEYOND;
    whole = dividend / divisor;
    rest = 2 * (dividend % divisor);
    tie_up = rounding == NPU_HALF_EVEN ? (whole & 1) != 0 : rounding == NPU_HALF_AWAY ? 1 : !negative;
    whole += rest > divisor || (rest == divisor && tie_up);
    return negative ? -whole : whole;
}

static int32_t divide(const npu_pair_layer *layer, int32_t a, int32_t b)
{
    const npu_requantize *rule = &layer->total;
    const int64_t up = rule->shift < 0 ? (int64_t)1 << -rule->shift : 1;
    const int64_t down = rule->shift > 0 ? (int64_t)1 << rule->shift : 1;
    const int64_t result = quotient((int64_t)a * rule->multiplier * up, b * down, rule->rounding);
    return (int32_t)npu_clamp(npu_clamp(result, -BEYOND, BEYOND) + rule->zero_point, rule->low, rule->high);
}

static int32_t smaller(const npu_pair_layer *layer, int32_t a, int32_t b)
{
    return npu_smaller(apply(&layer->a_rule, a), apply(&layer->b_rule, b));
}

static int32_t larger(const npu_pair_layer *layer, int32_t a, int32_t b)
{
    return npu_larger(apply(&layer->a_rule, a), apply(&layer->b_rule, b));
}

static int32_t slope(const npu_pair_layer *layer, int32_t a, int32_t b)
{
    return a >= 0 ? apply(&layer->a_rule, a) : apply(&layer->b_rule, (int64_t)a * b);
}

static int32_t rounded_sum(const npu_pair_layer *layer, int32_t a, int32_t b)
{
    const int64_t unit = (int64_t)1 << layer->left_shift;
    const int64_t left = apply(&layer->a_rule, a * unit);
    const int64_t right = apply(&layer->b_rule, b * unit);
    return apply(&layer->total, layer->subtract ? left - right : left + right);
}

void npu_div(const npu_pair_layer *layer, const void *a, const void *b, void *output)
{
    for_each_pair(layer, divide, a, b, output);
}

void npu_minimum(const npu_pair_layer *layer, const void *a, const void *b, void *output)
{
    for_each_pair(layer, smaller, a, b, output);
}

void npu_maximum(const npu_pair_layer *layer, const void *a, const void *b, void *output)
{
    for_each_pair(layer, larger, a, b, output);
}

void npu_prelu(const npu_pair_layer *layer, const void *input, const void *slopes, void *output)
{
    for_each_pair(layer, slope, input, slopes, output);
}

void npu_rounded_add(const npu_pair_layer *layer, const void *a, const void *b, void *output)
{
    for_each_pair(layer, rounded_sum, a, b, output);
}
