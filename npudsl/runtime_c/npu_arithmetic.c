/* SPDX-License-Identifier: Apache-2.0
 *
 * Requantization. With f(v) = floor(v / 2^n) and h = 2^(n-1), rounding to nearest is one addition and one floor:
 *     half up    f(v + h)
 *     half away  f(v + h - [v < 0])
 *     half even  f(v + h - 1 + (f(v) mod 2))
 * floor is a logical shift of v + 2^63, which is never negative, minus 2^(63-n).
 */
#include "npu_arithmetic.h"

#define SIGN_BIT ((uint64_t)1 << 63)

/* Results beyond this are outside of every clamp range; a saturated value is replaced by it. */
#define BEYOND ((int64_t)1 << 40)

ptrdiff_t npu_type_size(int32_t type)
{
    switch (type) {
    case NPU_U8:
    case NPU_I8:
        return 1;
    case NPU_I16:
        return 2;
    case NPU_I32:
        return 4;
    case NPU_I64:
        return 8;
    default:
        return 0;
    }
}

/* floor(value / 2^shift), shift 1..63; -2^63 <= value < 2^63. */
static inline int64_t floor_shift(uint64_t value, int32_t shift)
{
    return (int64_t)((value + SIGN_BIT) >> shift) - (int64_t)(SIGN_BIT >> shift);
}

static inline int64_t round_up(int64_t value, int32_t shift)
{
    return floor_shift((uint64_t)value + ((uint64_t)1 << (shift - 1)), shift);
}

static inline int64_t round_away(int64_t value, int32_t shift)
{
    return floor_shift((uint64_t)value + ((uint64_t)1 << (shift - 1)) - (uint64_t)(value < 0), shift);
}

static inline int64_t round_even(int64_t value, int32_t shift)
{
    const uint64_t odd = ((uint64_t)value >> shift) & 1u;
    return floor_shift((uint64_t)value + ((uint64_t)1 << (shift - 1)) - 1u + odd, shift);
}

static int64_t shift_left(int64_t value, int32_t shift)
{
    const int64_t limit = BEYOND >> shift;
    return value > limit ? BEYOND : value < -limit ? -BEYOND : value * ((int64_t)1 << shift);
}

/* round(value / 2^shift) for |value| <= 2^62. */
static int64_t round_shift(int64_t value, int32_t shift, int32_t rounding)
{
    if (shift <= 0)
        return shift_left(value, -shift);
    switch (rounding) {
    case NPU_HALF_EVEN:
        return round_even(value, shift);
    case NPU_HALF_AWAY:
        return round_away(value, shift);
    case NPU_DOUBLE:
        return shift <= 31 ? round_up(value, shift) : round_away(round_up(value, 31), shift - 31);
    default:
        return round_up(value, shift);
    }
}

/* round(+-magnitude * factor / 2^shift) for magnitude >= 2^31; the product has up to 94 bits: high * 2^32 + low.
 *
 * Results of 2^24 and more are out of every range. What is left either fits 62 bits or is shifted by more than 38:
 * then the low 32 bits only matter for whether there is a tie, and one bit stands for them. */
static int64_t round_product(uint64_t magnitude, uint32_t factor, int negative, int32_t shift, int32_t rounding)
{
    const uint64_t partial = (magnitude & UINT32_MAX) * factor;
    const uint64_t high = (magnitude >> 32) * factor + (partial >> 32);
    const uint64_t low = partial & UINT32_MAX;
    int64_t value;

    if (factor == 0)
        return 0;
    if (shift < 8 || high >> (shift - 8) != 0)
        return negative ? -BEYOND : BEYOND;
    if (shift <= 38) {
        value = (int64_t)((high << 32) | low);
        return round_shift(negative ? -value : value, shift, rounding);
    }
    if (rounding == NPU_DOUBLE) {
        const uint64_t rest = low & INT32_MAX;
        const uint64_t half = (uint64_t)1 << 30;
        value = (int64_t)((high << 1) | (low >> 31));
        value += rest > half || (rest == half && !negative);
        return round_away(negative ? -value : value, shift - 31);
    }
    value = (int64_t)(high | (uint64_t)(low != 0));
    return round_shift(negative ? -value : value, shift - 32, rounding);
}

int32_t npu_requantize_one(const npu_requantize *requantize, int32_t multiplier, int32_t shift, int64_t value)
{
    int64_t rounded;
    if (value >= -(int64_t)INT32_MAX && value <= (int64_t)INT32_MAX) {
        rounded = round_shift(value * multiplier, shift, requantize->rounding);
    } else {
        const uint64_t magnitude = value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
        const uint32_t factor = multiplier < 0 ? 0u - (uint32_t)multiplier : (uint32_t)multiplier;
        rounded = round_product(magnitude, factor, (value < 0) != (multiplier < 0), shift, requantize->rounding);
    }
    return (int32_t)npu_clamp(npu_clamp(rounded, -BEYOND, BEYOND) + requantize->zero_point, requantize->low,
                              requantize->high);
}

#define SHIFT_LOOP(ROUNDED)                                                                    \
    for (index = 0; index < count; index++) {                                                  \
        const int64_t value = values[index];                                                   \
        codes[index] = (int32_t)npu_clamp((ROUNDED) + zero_point, low, high);                  \
    }

NPU_VECTORIZE void npu_shift_span(const npu_requantize *requantize, int32_t shift, const int64_t *values,
                                  ptrdiff_t count, int32_t *codes)
{
    const int32_t rounding = requantize->rounding;
    const int64_t zero_point = requantize->zero_point;
    const int64_t low = requantize->low;
    const int64_t high = requantize->high;
    ptrdiff_t index;

    if (shift <= 0 || (rounding == NPU_DOUBLE && shift > 31)) {
        SHIFT_LOOP(round_shift(value, shift, rounding))
    } else if (rounding == NPU_HALF_EVEN) {
        SHIFT_LOOP(round_even(value, shift))
    } else if (rounding == NPU_HALF_AWAY) {
        SHIFT_LOOP(round_away(value, shift))
    } else {
        SHIFT_LOOP(round_up(value, shift))
    }
}

NPU_VECTORIZE void npu_requantize_span(const npu_requantize *requantize, int32_t multiplier, int32_t shift,
                                       const int32_t *values, ptrdiff_t count, int32_t *codes)
{
    int64_t products[NPU_CHUNK];
    ptrdiff_t start, index;
    for (start = 0; start < count; start += NPU_CHUNK) {
        const ptrdiff_t size = count - start < NPU_CHUNK ? count - start : NPU_CHUNK;
        for (index = 0; index < size; index++)
            products[index] = (int64_t)values[start + index] * multiplier;
        npu_shift_span(requantize, shift, products, size, codes + start);
    }
}

#define UNPACK(SOURCE, TARGET)                                                                 \
    {                                                                                          \
        const SOURCE *restrict from = (const SOURCE *)data;                                    \
        if (step == 1 && to_step == 1)                                                         \
            for (index = 0; index < count; index++)                                            \
                to[index] = (TARGET)(from[index] - zero_point);                                \
        else                                                                                   \
            for (index = 0; index < count; index++)                                            \
                to[index * to_step] = (TARGET)(from[index * step] - zero_point);               \
        break;                                                                                 \
    }

NPU_VECTORIZE void npu_unpack16(int32_t type, const void *data, ptrdiff_t step, int32_t zero_point, ptrdiff_t count,
                                int16_t *restrict to, ptrdiff_t to_step)
{
    ptrdiff_t index;
    switch (type) {
    case NPU_U8:
        UNPACK(uint8_t, int16_t)
    default:
        UNPACK(int8_t, int16_t)
    }
}

NPU_VECTORIZE void npu_unpack32(int32_t type, const void *data, ptrdiff_t step, int32_t zero_point, ptrdiff_t count,
                                int32_t *restrict to, ptrdiff_t to_step)
{
    ptrdiff_t index;
    switch (type) {
    case NPU_U8:
        UNPACK(uint8_t, int32_t)
    case NPU_I8:
        UNPACK(int8_t, int32_t)
    default:
        UNPACK(int16_t, int32_t)
    }
}

#define PACK(TARGET)                                                                           \
    {                                                                                          \
        TARGET *restrict to = (TARGET *)data + start;                                          \
        if (step == 1)                                                                         \
            for (index = 0; index < count; index++)                                            \
                to[index] = (TARGET)codes[index];                                              \
        else                                                                                   \
            for (index = 0; index < count; index++)                                            \
                to[index * step] = (TARGET)codes[index];                                       \
        break;                                                                                 \
    }

NPU_VECTORIZE void npu_pack(int32_t type, void *data, ptrdiff_t start, ptrdiff_t step, const int32_t *restrict codes,
                            ptrdiff_t count)
{
    ptrdiff_t index;
    switch (type) {
    case NPU_U8:
        PACK(uint8_t)
    case NPU_I8:
        PACK(int8_t)
    default:
        PACK(int16_t)
    }
}
