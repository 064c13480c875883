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

/* The requantization of a layer with one entry per output channel, prepared for float64 (eq. 23 of docs/numerics.md). */
typedef struct npu_host_rule {
    npu_requantize requantize; /* rounding, zero point and bounds; the scalars of multiplier and shift are not read */
    int32_t output_type;
    int32_t direct; /* half even, every channel exact in float64, every rounded value an int32_t */
    const int32_t *multipliers;
    const int8_t *shifts;
    const double *factors; /* multiplier / 2^shift, for NPU_DOUBLE / 2^min(shift, 31) */
    const double *seconds; /* NPU_DOUBLE: 1 / 2^max(shift - 31, 0) */
    const uint8_t *exact;  /* 1: float64 gives the exact result for every sum of this channel */
} npu_host_rule;

/* Values that one vector instruction works on; 0: this library has no kernels of its own for convolutions. */
int32_t npu_host_lanes(void);

/* ---- convolutions and linear layers whose sums fit int32_t ----
 *
 * Weights are packed once: npu_host_pack_* fills npu_host_*_words(layer) words from the stored codes; the zero points are
 * taken out by `starts`: per output channel bias - z * sum(w - z_w), modulo 2^32. */
ptrdiff_t npu_host_conv_words(const npu_conv_layer *layer);
void npu_host_pack_conv(const npu_conv_layer *layer, const void *weight, uint32_t *words);
ptrdiff_t npu_host_conv_scratch(const npu_conv_layer *layer);
void npu_host_conv(const npu_conv_layer *layer, const npu_host_rule *rule, const void *input, const uint32_t *words,
                   const int32_t *starts, void *output, void *scratch);

ptrdiff_t npu_host_linear_words(const npu_linear_layer *layer);
void npu_host_pack_linear(const npu_linear_layer *layer, const void *weight, uint32_t *words);
ptrdiff_t npu_host_linear_scratch(const npu_linear_layer *layer);
void npu_host_linear(const npu_linear_layer *layer, const npu_host_rule *rule, const void *input, const uint32_t *words,
                     const int32_t *starts, void *output, void *scratch);

/* ---- depthwise convolutions: groups of one input channel ----
 *
 * `weight` are the stored codes. With `wide` sums are float64 numbers below 2^53 and `biases` are read, else they are
 * int32_t and `starts` are read. */
ptrdiff_t npu_host_depthwise_scratch(const npu_conv_layer *layer, int32_t wide);
void npu_host_depthwise(const npu_conv_layer *layer, const npu_host_rule *rule, int32_t wide, const void *input,
                        const void *weight, const int32_t *starts, const double *biases, void *output, void *scratch);

#endif
