/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels for the machine that simulates. They compute what the exported kernels of npu_kernels.h compute, bit for bit,
 * with what a large processor has: wide vectors, float64 arithmetic where it is exact, megabytes of scratch memory.
 * They are not part of an exported project.
 *
 * Descriptions of layers are those of npu_kernels.h. Scratch memory may start anywhere; its size is asked for.
 */
#ifndef NPU_HOST_H
#define NPU_HOST_H

#include "npu_kernels.h"

/* What vectors multiply a sum with: (sum * multiplier + half) >> shift, arithmetically, with a multiplier of 31 bits and a
 * shift of 32 to 62; for NPU_DOUBLE a shift of 31, and the result is rounded once more, half away, by `again` bits. */
typedef struct npu_host_scale {
    int64_t multiplier;
    int64_t half;
    int64_t shift;
    int64_t again;
} npu_host_scale;

/* The requantization of a layer with one entry per output channel (eq. 17 and 23 of docs/numerics.md). */
typedef struct npu_host_rule {
    npu_requantize requantize; /* rounding, zero point and bounds; the scalars of multiplier and shift are not read */
    int32_t output_type;
    const int32_t *multipliers;
    const int8_t *shifts;
    const double *factors; /* multiplier / 2^shift, for NPU_DOUBLE / 2^min(shift, 31) */
    const double *seconds; /* NPU_DOUBLE: 1 / 2^max(shift - 31, 0) */
    const npu_host_scale *scales;
    const uint8_t *exact;  /* 1: float64 gives the exact result for every sum of the channel */
    const uint8_t *direct; /* 1: besides, `scales` holds, no sum that can occur is a tie (NPU_DOUBLE: may be one), and
                              every result fits int32_t with the zero point */
} npu_host_rule;

/* Values that one vector instruction works on; 0: this library has no kernels of its own for convolutions. */
int32_t npu_host_lanes(void);

/* ---- convolutions and linear layers whose sums fit int32_t ----
 *
 * Weights are packed once: npu_host_pack_* fills npu_host_*_words(layer) words, and `starts` with one number per output
 * channel: the bias (one int64_t each) with the input's zero point taken out. */
ptrdiff_t npu_host_conv_words(const npu_conv_layer *layer);
void npu_host_pack_conv(const npu_conv_layer *layer, const void *weight, const int64_t *biases, uint32_t *words,
                        int32_t *starts);
ptrdiff_t npu_host_conv_scratch(const npu_conv_layer *layer);
void npu_host_conv(const npu_conv_layer *layer, const npu_host_rule *rule, const void *input, const uint32_t *words,
                   const int32_t *starts, void *output, void *scratch);

ptrdiff_t npu_host_linear_words(const npu_linear_layer *layer);
void npu_host_pack_linear(const npu_linear_layer *layer, const void *weight, const int64_t *biases, uint32_t *words,
                          int32_t *starts);
ptrdiff_t npu_host_linear_scratch(const npu_linear_layer *layer);
void npu_host_linear(const npu_linear_layer *layer, const npu_host_rule *rule, const void *input, const uint32_t *words,
                     const int32_t *starts, void *output, void *scratch);

/* ---- depthwise convolutions: groups of one input channel ----
 *
 * With `wide` sums are float64 numbers below 2^53, else they fit int32_t. Weights are packed as above. */
ptrdiff_t npu_host_depthwise_words(const npu_conv_layer *layer, int32_t wide);
void npu_host_pack_depthwise(const npu_conv_layer *layer, int32_t wide, const void *weight, const int64_t *biases,
                             uint32_t *words, int64_t *starts);
ptrdiff_t npu_host_depthwise_scratch(const npu_conv_layer *layer, int32_t wide);
void npu_host_depthwise(const npu_conv_layer *layer, const npu_host_rule *rule, int32_t wide, const void *input,
                        const uint32_t *words, const int64_t *starts, void *output, void *scratch);

/* ---- element by element; rules of one channel ---- */

/* R((a - z_a) * a_multiplier + (b - z_b) * b_multiplier), or R of the product of (a - z_a) and (b - z_b); everything
 * stays below 2^53. */
void npu_host_binary(const npu_binary_layer *layer, const npu_host_rule *rule, int32_t product, const void *a,
                     const void *b, void *output);

/* `blocks` runs of `length` codes, the i-th to element i * output_stride of the output: table[bits of the code], or the
 * code itself without a table. Sizes are 1 or 2 bytes. */
void npu_host_look_up(int32_t input_size, int32_t output_size, ptrdiff_t blocks, ptrdiff_t length,
                      ptrdiff_t output_stride, const void *table, const void *input, void *output);

/* ---- windows ---- */

ptrdiff_t npu_host_pool_scratch(const npu_pool_layer *layer);
void npu_host_max_pool(const npu_pool_layer *layer, const void *input, void *output, void *scratch);
/* `rule` has one entry per divisor; sums fit int32_t. */
void npu_host_average_pool(const npu_pool_layer *layer, const npu_host_rule *rule, const void *input,
                           const uint8_t *divisor_index, void *output, void *scratch);
/* R(sum (x - z)) over planes of `length` codes in a row; sums of x and of x - z fit int32_t. */
void npu_host_mean(const npu_codes *codes, const npu_host_rule *rule, ptrdiff_t planes, ptrdiff_t length,
                   const void *input, void *output);

/* ---- codes and reals ---- */

/* clamp(round_half_even(x / scale) + z, low, high) in float32; 0 when a value is no number. */
int32_t npu_host_quantize(const npu_codes *codes, int32_t low, int32_t high, float scale, ptrdiff_t count,
                          const float *values, void *output);

#define NPU_HOST_F32 5 /* type of a tensor that holds its reals */
#define NPU_HOST_ERROR_SUMS 8

typedef struct npu_host_reals {
    int32_t type;
    int32_t zero_point;
    double scale;
} npu_host_reals;

/* The eight sums of npudsl/numerics/metrics.py of every row of `length` elements; 0 when something is not finite. */
int32_t npu_host_errors(const npu_host_reals *codes, ptrdiff_t rows, ptrdiff_t length, const float *reference,
                        const void *candidate, double *sums);

#endif
