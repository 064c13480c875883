/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops are plain C that compilers vectorize. Clamping comes before the conversion to an integer: the bounds are
 * whole numbers, so it does not matter on which side of the rounding they are.
 */
#include "host_rounding.h"

#include <math.h>

#include "npu_arithmetic.h"

/* Values that are worked on at once; they stay in the first-level cache. */
#define SPAN 512

#define FINISH_LOOP(ROUNDED)                                                                   \
    for (index = 0; index < count; index++) {                                                  \
        const double value = (double)sums[index] * factor;                                     \
        double rounded = (ROUNDED);                                                            \
        rounded = rounded < low ? low : rounded;                                               \
        rounded = rounded > high ? high : rounded;                                             \
        codes[index] = (int32_t)rounded + zero_point;                                          \
    }

/* Half away from zero: 0.5 with the sign of the value is added, the fraction is cut off by the conversion. */
#define AWAY(VALUE) trunc((VALUE) + copysign(0.5, VALUE))

#define DEFINE_FINISH(NAME, SUM)                                                               \
    static void NAME(const npu_host_rule *rule, ptrdiff_t channel, const SUM *sums, ptrdiff_t count, int32_t *codes) \
    {                                                                                          \
        const double factor = rule->factors[channel];                                          \
        const int32_t zero_point = rule->requantize.zero_point;                                \
        const double low = (double)rule->requantize.low - zero_point;                          \
        const double high = (double)rule->requantize.high - zero_point;                        \
        ptrdiff_t index;                                                                       \
        switch (rule->requantize.rounding) {                                                   \
        case NPU_HALF_EVEN:                                                                    \
            FINISH_LOOP(rint(value))                                                           \
            break;                                                                             \
        case NPU_HALF_AWAY:                                                                    \
            FINISH_LOOP(AWAY(value))                                                           \
            break;                                                                             \
        case NPU_HALF_UP:                                                                      \
            FINISH_LOOP(floor(value + 0.5))                                                    \
            break;                                                                             \
        default: {                                                                             \
            const double second = rule->seconds[channel];                                      \
            if (second == 1.0)                                                                 \
                FINISH_LOOP(floor(value + 0.5))                                                \
            else                                                                               \
                FINISH_LOOP(AWAY(floor(value + 0.5) * second))                                 \
        }                                                                                      \
        }                                                                                      \
    }

DEFINE_FINISH(finish_integers, int32_t)
DEFINE_FINISH(finish_reals, double)

static void store(int32_t type, const int32_t *restrict codes, ptrdiff_t count, void *output, ptrdiff_t start)
{
    ptrdiff_t index;
    if (type == NPU_I16) {
        int16_t *restrict to = (int16_t *)output + start;
        for (index = 0; index < count; index++)
            to[index] = (int16_t)codes[index];
    } else {
        uint8_t *restrict to = (uint8_t *)output + start;
        for (index = 0; index < count; index++)
            to[index] = (uint8_t)codes[index];
    }
}

#define DEFINE_HOST_FINISH(NAME, SUM, FAST)                                                                      \
    void NAME(const npu_host_rule *rule, ptrdiff_t channel, const SUM *sums, ptrdiff_t count, void *output)       \
    {                                                                                                            \
        const npu_requantize *requantize = &rule->requantize;                                                    \
        int32_t codes[SPAN];                                                                                     \
        ptrdiff_t start, index;                                                                                  \
        for (start = 0; start < count; start += SPAN) {                                                          \
            const ptrdiff_t size = count - start < SPAN ? count - start : SPAN;                                  \
            if (rule->exact[channel])                                                                            \
                FAST(rule, channel, sums + start, size, codes);                                                  \
            else                                                                                                 \
                for (index = 0; index < size; index++)                                                           \
                    codes[index] = npu_requantize_one(requantize, rule->multipliers[channel],                    \
                                                      rule->shifts[channel], (int64_t)sums[start + index]);      \
            store(rule->output_type, codes, size, output, start);                                                \
        }                                                                                                        \
    }

DEFINE_HOST_FINISH(host_finish, int32_t, finish_integers)
DEFINE_HOST_FINISH(host_finish_reals, double, finish_reals)
