/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines along one axis: position of the largest or smallest code, logarithm of a softmax.
 */
#include "npu_arithmetic.h"

#define EXPONENTIAL_BITS 24
#define LOG_TABLE_BITS 8
#define INTERPOLATION_BITS 16

ptrdiff_t npu_arg_scratch(const npu_arg_layer *layer)
{
    return (ptrdiff_t)layer->length * 4;
}

static int32_t position_of(const npu_arg_layer *layer, const int32_t *values)
{
    int32_t best = 0, index;
    for (index = 1; index < layer->length; index++) {
        const int32_t ahead = layer->smallest ? values[best] - values[index] : values[index] - values[best];
        if (ahead > 0 || (ahead == 0 && layer->last))
            best = index;
    }
    return best;
}

void npu_arg(const npu_arg_layer *layer, const void *input, void *output, void *scratch)
{
    int32_t *values = (int32_t *)scratch;
    ptrdiff_t outer, inner;
    for (outer = 0; outer < layer->outer; outer++) {
        for (inner = 0; inner < layer->inner; inner++) {
            const ptrdiff_t start = outer * layer->length * layer->inner + inner;
            int32_t code;
            npu_unpack32(layer->input_type, npu_at(input, layer->input_type, start), layer->inner, 0, layer->length,
                         values, 1);
            code = position_of(layer, values) + layer->zero_point;
            npu_pack(layer->output_type, output, outer * layer->inner + inner, 1, &code, 1);
        }
    }
}

/* log(sum / 2^24) with 16 fraction bits, for 2^24 <= sum < 2^53; `table` has log(1 + i / 256), i = 0 .. 256. */
static int64_t logarithm(uint64_t sum, const int32_t *table)
{
    int32_t exponent = EXPONENTIAL_BITS;
    uint64_t fraction;
    int64_t index, share;

    while (sum >> (exponent + 1) != 0)
        exponent++;
    fraction = (sum - ((uint64_t)1 << exponent)) << (52 - exponent);
    index = (int64_t)(fraction >> (52 - LOG_TABLE_BITS));
    share = (int64_t)((fraction >> (52 - LOG_TABLE_BITS - INTERPOLATION_BITS)) & 0xFFFFu);
    share = ((table[index + 1] - table[index]) * share + 0x8000) / 0x10000;
    return (int64_t)(exponent - EXPONENTIAL_BITS) * table[256] + table[index] + share;
}

ptrdiff_t npu_log_softmax_scratch(const npu_log_softmax_layer *layer)
{
    return (ptrdiff_t)layer->length * 4;
}

static void log_softmax_line(const npu_log_softmax_layer *layer, const uint32_t *exponential, const int32_t *table,
                             int32_t *values)
{
    const npu_requantize *rule = &layer->requantize;
    int32_t largest = values[0];
    uint64_t sum = 0;
    int64_t shared, product;
    ptrdiff_t index;

    for (index = 1; index < layer->length; index++)
        largest = npu_larger(largest, values[index]);
    for (index = 0; index < layer->length; index++) {
        const int32_t distance = largest - values[index];
        sum += distance < layer->exponentials ? exponential[distance] : 0;
    }
    shared = logarithm(sum, table) * layer->log_multiplier;
    for (index = 0; index < layer->length; index++) {
        product = -(int64_t)(largest - values[index]) * rule->multiplier - shared;
        npu_shift_span(rule, rule->shift, &product, 1, &values[index]);
    }
}

void npu_log_softmax(const npu_log_softmax_layer *layer, const void *input, const uint32_t *exponential,
                     const int32_t *table, void *output, void *scratch)
{
    int32_t *values = (int32_t *)scratch;
    ptrdiff_t outer, inner;
    for (outer = 0; outer < layer->outer; outer++) {
        for (inner = 0; inner < layer->inner; inner++) {
            const ptrdiff_t start = outer * layer->length * layer->inner + inner;
            npu_unpack32(layer->input_type, npu_at(input, layer->input_type, start), layer->inner, 0, layer->length,
                         values, 1);
            log_softmax_line(layer, exponential, table, values);
            npu_pack(layer->output_type, output, start, layer->inner, values, layer->length);
        }
    }
}
