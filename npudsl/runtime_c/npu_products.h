/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner part of convolution, linear layer and matrix product: a tile of gathered positions times weight rows.
 */
#ifndef NPU_PRODUCTS_H
#define NPU_PRODUCTS_H

#include "npu_arithmetic.h"

typedef struct npu_products {
    npu_codes weight;
    int32_t bias_type;
    int32_t output_type;
    const npu_requantize *requantize;
    const void *weights; /* (channels, inner) codes */
    const void *bias;    /* or NULL */
    const int32_t *multipliers;
    const int8_t *shifts;
    int32_t wide; /* 0: positions are int16_t and sums int32_t; 1: int32_t and int64_t */
    ptrdiff_t channels;
    ptrdiff_t inner;
    ptrdiff_t channel_stride; /* of the output, in elements */
    ptrdiff_t position_stride;
} npu_products;

/* 1 when a product of these operands needs wide sums. */
int32_t npu_is_wide(int32_t input_type, int32_t weight_type, int32_t bias_type);

/* Bytes of one gathered value. */
ptrdiff_t npu_gathered_size(int32_t wide);

/* Gathers codes minus zero point: to[to_start + i * to_step] from element start + i * step of data. */
void npu_gather_codes(int32_t wide, const npu_codes *codes, const void *data, ptrdiff_t start, ptrdiff_t step,
                      ptrdiff_t count, void *to, ptrdiff_t to_start, ptrdiff_t to_step);

/* output[output_start + c * channel_stride + p * position_stride] = R(gathered[p] . (weights[c] - z_w) + bias[c]) for
 * up to NPU_MAX_TILE positions of `inner` gathered values each. */
void npu_multiply(const npu_products *products, const void *gathered, ptrdiff_t positions, void *output,
                  ptrdiff_t output_start);

/* Bias of one channel; 0 without bias. */
int64_t npu_bias_of(const void *bias, int32_t bias_type, ptrdiff_t channel);

/* Sums of one channel to codes, from int32_t or (wide) int64_t. */
void npu_finish(const npu_requantize *requantize, const int32_t *multipliers, const int8_t *shifts, ptrdiff_t channel,
                int32_t wide, const void *sums, ptrdiff_t count, int32_t *codes);

#endif
