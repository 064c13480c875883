/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels share: exact requantization, and moving codes between their storage type and plain integers.
 *
 * Nothing here relies on how a compiler shifts negative numbers or on signed overflow.
 */
#ifndef NPU_ARITHMETIC_H
#define NPU_ARITHMETIC_H

#include "npu_kernels.h"

/* gcc vectorizes plain reductions from -O3 on; the loops that matter ask for it at -O1 and -O2 as well. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#define NPU_VECTORIZE __attribute__((optimize("tree-vectorize", "vect-cost-model=dynamic")))
#else
#define NPU_VECTORIZE
#endif

/* Elements that kernels hold on the stack at once. */
#define NPU_CHUNK 128

static inline int32_t npu_smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t npu_larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int64_t npu_clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static inline const void *npu_at(const void *data, int32_t type, ptrdiff_t index)
{
    return (const unsigned char *)data + index * npu_type_size(type);
}

/* One value through a requantization, exact for every |value| < 2^63. */
int32_t npu_requantize_one(const npu_requantize *requantize, int32_t multiplier, int32_t shift, int64_t value);

/* The same for int32_t values in a row, faster. */
void npu_requantize_span(const npu_requantize *requantize, int32_t multiplier, int32_t shift, const int32_t *values,
                         ptrdiff_t count, int32_t *codes);

/* clamp(zero_point + round(value / 2^shift)) for |value| <= 2^62. */
void npu_shift_span(const npu_requantize *requantize, int32_t shift, const int64_t *values, ptrdiff_t count,
                    int32_t *codes);

/* to[i * to_step] = x - zero_point for the codes x at data[i * step]; 16 bits are for 8-bit codes only. */
void npu_unpack16(int32_t type, const void *data, ptrdiff_t step, int32_t zero_point, ptrdiff_t count,
                  int16_t *restrict to, ptrdiff_t to_step);
void npu_unpack32(int32_t type, const void *data, ptrdiff_t step, int32_t zero_point, ptrdiff_t count,
                  int32_t *restrict to, ptrdiff_t to_step);

/* Stores codes from element `start` on, `step` elements apart. */
void npu_pack(int32_t type, void *data, ptrdiff_t start, ptrdiff_t step, const int32_t *restrict codes,
              ptrdiff_t count);

#endif
