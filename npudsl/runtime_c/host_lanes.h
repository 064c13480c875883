/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of int32_t as two instruction sets have them. A word is a group of codes that are multiplied and added at once:
 * two int16_t everywhere, four bytes (unsigned codes, signed weights) where the processor has such a product.
 */
#ifndef HOST_LANES_H
#define HOST_LANES_H

#include <stdint.h>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include <immintrin.h>
#define LANES 16
#define ROWS 8 /* output channels of one block: 8 * 3 sums, 3 words of codes and one of weights fill 32 registers */
#define COLUMNS 3
typedef __m512i lanes;
typedef __m512d reals;
#if defined(__AVX512VNNI__)
#define HAVE_BYTE_DOTS 1
#endif

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

static inline reals reals_all(double value)
{
    return _mm512_set1_pd(value);
}

/* Ties to even, whatever the rounding mode of the thread is; every product must be an int32_t. */
static inline lanes lanes_scaled(lanes sums, reals factor)
{
    const __m512d low = _mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(sums)), factor);
    const __m512d high = _mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(sums, 1)), factor);
    const __m256i low_codes = _mm512_cvt_roundpd_epi32(low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256i high_codes = _mm512_cvt_roundpd_epi32(high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low_codes), high_codes, 1);
}

static inline lanes lanes_clamped(lanes values, lanes low, lanes high)
{
    return _mm512_min_epi32(_mm512_max_epi32(values, low), high);
}

static inline void lanes_store8(void *to, lanes codes)
{
    _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(codes));
}

static inline void lanes_store16(void *to, lanes codes)
{
    _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16(codes));
}

#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 8
#define ROWS 4
#define COLUMNS 2
typedef __m256i lanes;
typedef __m256d reals;

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

static inline reals reals_all(double value)
{
    return _mm256_set1_pd(value);
}

static inline __m128i four_scaled(__m128i sums, reals factor)
{
    const __m256d product = _mm256_mul_pd(_mm256_cvtepi32_pd(sums), factor);
    return _mm256_cvtpd_epi32(_mm256_round_pd(product, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

static inline lanes lanes_scaled(lanes sums, reals factor)
{
    const __m128i low = four_scaled(_mm256_castsi256_si128(sums), factor);
    const __m128i high = four_scaled(_mm256_extracti128_si256(sums, 1), factor);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
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
