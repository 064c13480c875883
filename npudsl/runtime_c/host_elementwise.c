/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums and products of two tensors in float64, where all of them are whole numbers below 2^53, and look-ups.
 */
#include <string.h>

#include "host_rounding.h"

/* Elements that are worked on at once. */
#define SPAN 512

#define UNPACK_LOOP(CODE)                                                                      \
    {                                                                                          \
        const CODE *restrict from = (const CODE *)data + start;                                \
        if (step == 1)                                                                         \
            for (index = 0; index < count; index++)                                            \
                to[index] = ((double)from[index] - zero_point) * factor;                       \
        else                                                                                   \
            for (index = 0; index < count; index++)                                            \
                to[index] = ((double)from[index * step] - zero_point) * factor;                \
        break;                                                                                 \
    }

/* to[i] = (x - z) * factor for the codes from element `start` on, `step` apart */
static void unpack(const npu_codes *codes, const void *data, ptrdiff_t start, ptrdiff_t step, ptrdiff_t count,
                   double factor, double *restrict to)
{
    const double zero_point = codes->zero_point;
    ptrdiff_t index;
    switch (codes->type) {
    case NPU_U8:
        UNPACK_LOOP(uint8_t)
    case NPU_I8:
        UNPACK_LOOP(int8_t)
    default:
        UNPACK_LOOP(int16_t)
    }
}

static void combine(int32_t product, const double *restrict other, ptrdiff_t count, double *restrict values)
{
    ptrdiff_t index;
    if (product)
        for (index = 0; index < count; index++)
            values[index] *= other[index];
    else
        for (index = 0; index < count; index++)
            values[index] += other[index];
}

/* One run along the last axis. */
static void binary_row(const npu_binary_layer *layer, const npu_host_rule *rule, int32_t product, const void *a,
                       ptrdiff_t a_start, const void *b, ptrdiff_t b_start, unsigned char *output)
{
    const ptrdiff_t width = layer->shape[layer->rank - 1];
    const ptrdiff_t a_step = layer->a_strides[layer->rank - 1], b_step = layer->b_strides[layer->rank - 1];
    const double a_factor = product ? 1.0 : (double)layer->a_multiplier;
    const double b_factor = product ? 1.0 : (double)layer->b_multiplier;
    const ptrdiff_t size = npu_type_size(rule->output_type);
    double values[SPAN], others[SPAN];
    ptrdiff_t start;
    for (start = 0; start < width; start += SPAN) {
        const ptrdiff_t count = width - start < SPAN ? width - start : SPAN;
        unpack(&layer->a, a, a_start + start * a_step, a_step, count, a_factor, values);
        unpack(&layer->b, b, b_start + start * b_step, b_step, count, b_factor, others);
        combine(product, others, count, values);
        host_finish_reals(rule, 0, values, count, output + start * size);
    }
}

void npu_host_binary(const npu_binary_layer *layer, const npu_host_rule *rule, int32_t product, const void *a,
                     const void *b, void *output)
{
    const ptrdiff_t row_bytes = layer->shape[layer->rank - 1] * npu_type_size(rule->output_type);
    unsigned char *to = (unsigned char *)output;
    int32_t index[NPU_MAX_RANK] = {0};
    ptrdiff_t a_start = 0, b_start = 0, rows = 1;
    int32_t axis;
    for (axis = 0; axis + 1 < layer->rank; axis++)
        rows *= layer->shape[axis];
    for (; rows > 0; rows--, to += row_bytes) {
        binary_row(layer, rule, product, a, a_start, b, b_start, to);
        for (axis = layer->rank - 2; axis >= 0; axis--) {
            a_start += layer->a_strides[axis];
            b_start += layer->b_strides[axis];
            if (++index[axis] < layer->shape[axis])
                break;
            a_start -= (ptrdiff_t)layer->a_strides[axis] * layer->shape[axis];
            b_start -= (ptrdiff_t)layer->b_strides[axis] * layer->shape[axis];
            index[axis] = 0;
        }
    }
}

#define LOOK_UP(CODE, RESULT)                                                                  \
    {                                                                                          \
        const CODE *restrict from = (const CODE *)input + block * length;                      \
        RESULT *restrict to = (RESULT *)output + block * output_stride;                        \
        for (index = 0; index < length; index++)                                               \
            to[index] = ((const RESULT *)table)[from[index]];                                  \
    }

void npu_host_look_up(int32_t input_size, int32_t output_size, ptrdiff_t blocks, ptrdiff_t length,
                      ptrdiff_t output_stride, const void *table, const void *input, void *output)
{
    ptrdiff_t block, index;
    for (block = 0; block < blocks; block++) {
        if (table == NULL)
            memcpy((unsigned char *)output + block * output_stride * output_size,
                   (const unsigned char *)input + block * length * input_size, (size_t)(length * input_size));
        else if (input_size == 1 && output_size == 1)
            LOOK_UP(uint8_t, uint8_t)
        else if (input_size == 1)
            LOOK_UP(uint8_t, uint16_t)
        else if (output_size == 1)
            LOOK_UP(uint16_t, uint8_t)
        else
            LOOK_UP(uint16_t, uint16_t)
    }
}
