/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of int32_t as two instruction sets have them. A word is a group of codes that are multiplied and added at once:
 * two int16_t everywhere, four bytes (unsigned codes, signed weights) where the processor has such a product.
 */
#ifndef HOST_LANES_H
#define HOST_LANES_H

#include <stdint.h>

#include "host_shape.h"
#include "npu_host.h"

/* How sums become codes: through memory (host_finish), or in registers with one rounding or two. */
enum { BY_MEMORY = 0, BY_ONE = 1, BY_TWO = 2 };

#if LANES == 16
#include <immintrin.h>
typedef __m512i lanes;

static inline lanes lanes_zero(void)
{
    return _mm512_setzero_si512();
}

static inline lanes lanes_load(const void *from)
{
    return _mm512_loadu_si512(from);
}

static inline void lanes_store(void *to, lanes value)
{
    _mm512_storeu_si512(to, value);
}

static inline lanes lanes_all(uint32_t word)
{
    return _mm512_set1_epi32((int32_t)word);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_epi32(a, b);
}

static inline lanes lanes_multiply(lanes a, lanes b)
{
    return _mm512_mullo_epi32(a, b);
}

/* sums + the two products of every word */
static inline lanes lanes_dot2(lanes sums, lanes codes, lanes weights)
{
#if defined(HAVE_BYTE_DOTS)
    return _mm512_dpwssd_epi32(sums, codes, weights);
#else
    return _mm512_add_epi32(sums, _mm512_madd_epi16(codes, weights));
#endif
}

#if defined(HAVE_BYTE_DOTS)
/* sums + the four products of every word, modulo 2^32 */
static inline lanes lanes_dot4(lanes sums, lanes codes, lanes weights)
{
    return _mm512_dpbusd_epi32(sums, codes, weights);
}
#endif

#if defined(HAVE_BYTE_DOTS)
/* Byte i of the result is byte order[i] of `bytes`. */
static inline lanes lanes_choose_bytes(lanes bytes, lanes order)
{
#if defined(__AVX512VBMI__)
    return _mm512_permutexvar_epi8(order, bytes);
#else
    /* Two bytes at a time, the wanted one of each, shifted into place. */
    const __m512i even = _mm512_and_si512(order, _mm512_set1_epi16(0xFF));
    const __m512i odd = _mm512_srli_epi16(order, 8);
    const __m512i one = _mm512_set1_epi16(1);
    const __m512i low_pair = _mm512_permutexvar_epi16(_mm512_srli_epi16(even, 1), bytes);
    const __m512i high_pair = _mm512_permutexvar_epi16(_mm512_srli_epi16(odd, 1), bytes);
    const __m512i low_shift = _mm512_slli_epi16(_mm512_and_si512(even, one), 3);
    const __m512i high_shift = _mm512_slli_epi16(_mm512_andnot_si512(odd, one), 3);
    const __m512i low = _mm512_and_si512(_mm512_srlv_epi16(low_pair, low_shift), _mm512_set1_epi16(0xFF));
    const __m512i high = _mm512_andnot_si512(_mm512_set1_epi16(0xFF), _mm512_sllv_epi16(high_pair, high_shift));
    return _mm512_or_si512(low, high);
#endif
}
#endif

/* The requantization of one channel. */
typedef struct scale {
    lanes multiplier, half, shift, shift_high, again;
} scale;

static inline scale scale_of(const npu_host_rule *rule, ptrdiff_t channel, int32_t way)
{
    const npu_host_scale *from = &rule->scales[channel];
    scale made;
    made.multiplier = _mm512_set1_epi64(from->multiplier);
    made.half = _mm512_set1_epi64(from->half);
    made.shift = _mm512_set1_epi64(from->shift);
    made.shift_high = _mm512_set1_epi64(way == BY_TWO ? from->shift : from->shift - 32);
    made.again = _mm512_set1_epi32((int32_t)from->again);
    return made;
}

/* Sums of even lanes have their results in the low half of 64 bits, those of odd lanes are shifted into the high one. */
static inline lanes lanes_scaled(lanes sums, const scale *by, int32_t way)
{
    const lanes low = _mm512_add_epi64(_mm512_mul_epi32(sums, by->multiplier), by->half);
    const lanes high =
        _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(sums, 32), by->multiplier), by->half);
    const lanes even = _mm512_srav_epi64(low, by->shift);
    lanes odd = _mm512_srav_epi64(high, by->shift_high), both, half;
    if (way == BY_TWO)
        odd = _mm512_slli_epi64(odd, 32);
    both = _mm512_mask_mov_epi32(even, 0xAAAA, odd);
    if (way != BY_TWO)
        return both;
    half = _mm512_srli_epi32(_mm512_sllv_epi32(lanes_all(1), by->again), 1);
    half = _mm512_add_epi32(half, _mm512_srai_epi32(both, 31)); /* one less for negative numbers */
    return _mm512_srav_epi32(_mm512_add_epi32(both, half), by->again);
}

static inline lanes lanes_clamped(lanes values, lanes low, lanes high)
{
    return _mm512_min_epi32(_mm512_max_epi32(values, low), high);
}

/* The lanes that `mask` names, side by side, as codes of `size` bytes. */
static inline void lanes_keep(void *to, lanes codes, uint32_t mask, int32_t count, ptrdiff_t size)
{
    const lanes kept = _mm512_maskz_compress_epi32((__mmask16)mask, codes);
    const uint32_t filled = (1u << count) - 1u;
    if (size == 2)
        _mm512_mask_cvtepi32_storeu_epi16(to, (__mmask16)filled, kept);
    else
        _mm_mask_storeu_epi8(to, (__mmask16)filled, _mm512_cvtepi32_epi8(kept));
}

static inline void lanes_store8(void *to, lanes codes)
{
    _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(codes));
}

static inline void lanes_store16(void *to, lanes codes)
{
    _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16(codes));
}

#elif LANES == 8
#include <immintrin.h>
typedef __m256i lanes;

static inline lanes lanes_zero(void)
{
    return _mm256_setzero_si256();
}

static inline lanes lanes_load(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

static inline void lanes_store(void *to, lanes value)
{
    _mm256_storeu_si256((__m256i *)to, value);
}

static inline lanes lanes_all(uint32_t word)
{
    return _mm256_set1_epi32((int32_t)word);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm256_add_epi32(a, b);
}

static inline lanes lanes_multiply(lanes a, lanes b)
{
    return _mm256_mullo_epi32(a, b);
}

static inline lanes lanes_dot2(lanes sums, lanes codes, lanes weights)
{
    return _mm256_add_epi32(sums, _mm256_madd_epi16(codes, weights));
}

/* The requantization of one channel, in float64: there is no arithmetic shift of 64 bits. */
typedef struct scale {
    __m256d factor, second;
} scale;

static inline scale scale_of(const npu_host_rule *rule, ptrdiff_t channel, int32_t way)
{
    scale made;
    (void)way;
    made.factor = _mm256_set1_pd(rule->factors[channel]);
    made.second = _mm256_set1_pd(rule->seconds[channel]);
    return made;
}

static inline __m128i four_scaled(__m128i sums, const scale *by, int32_t way)
{
    const __m256d half = _mm256_set1_pd(0.5), product = _mm256_mul_pd(_mm256_cvtepi32_pd(sums), by->factor);
    __m256d rounded;
    if (way == BY_ONE)
        return _mm256_cvttpd_epi32(_mm256_round_pd(product, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    rounded = _mm256_mul_pd(_mm256_floor_pd(_mm256_add_pd(product, half)), by->second);
    /* Half away: 0.5 with the sign of the value is added, the conversion cuts the fraction off. */
    rounded = _mm256_add_pd(rounded, _mm256_or_pd(_mm256_and_pd(rounded, _mm256_set1_pd(-0.0)), half));
    return _mm256_cvttpd_epi32(rounded);
}

static inline lanes lanes_scaled(lanes sums, const scale *by, int32_t way)
{
    const __m128i low = four_scaled(_mm256_castsi256_si128(sums), by, way);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low),
                                   four_scaled(_mm256_extracti128_si256(sums, 1), by, way), 1);
}

static inline lanes lanes_clamped(lanes values, lanes low, lanes high)
{
    return _mm256_min_epi32(_mm256_max_epi32(values, low), high);
}

/* The low 16 bits of every lane. */
static inline __m128i low_halves(lanes codes)
{
    const __m256i halves = _mm256_and_si256(codes, _mm256_set1_epi32(0xFFFF));
    return _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

static inline void lanes_store8(void *to, lanes codes)
{
    const __m128i bytes = _mm_and_si128(low_halves(codes), _mm_set1_epi16(0xFF));
    _mm_storel_epi64((__m128i *)to, _mm_packus_epi16(bytes, bytes));
}

static inline void lanes_store16(void *to, lanes codes)
{
    _mm_storeu_si128((__m128i *)to, low_halves(codes));
}
#endif

#endif
