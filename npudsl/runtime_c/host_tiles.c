/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums stay in registers from the first product to the finished code. A block is ROWS channels by up to COLUMNS vectors of
 * positions, so that codes come out in the order of the output (channels apart, positions in a row) and a channel's
 * multiplier is the same for a whole vector.
 */
#include <string.h>

#include "host_lanes.h"
#include "host_rounding.h"
#include "host_tiles.h"

int32_t npu_host_lanes(void)
{
    return LANES;
}

#if LANES > 0

#if defined(HAVE_BYTE_DOTS)
#define BYTE_WORDS 1
#else
#define BYTE_WORDS 0
#endif

int32_t host_word_codes(int32_t input_type, int32_t weight_type)
{
    return BYTE_WORDS && input_type != NPU_I16 && weight_type != NPU_I16 ? 4 : 2;
}

int32_t host_input_zero(const npu_codes *input, int32_t bytes)
{
    return bytes && input->type == NPU_I8 ? input->zero_point + 128 : input->zero_point;
}

int32_t host_weight_zero(const npu_codes *weight, int32_t bytes)
{
    return bytes && weight->type == NPU_U8 ? weight->zero_point - 128 : weight->zero_point;
}

uint32_t host_word_of(int32_t code, int32_t bytes)
{
    return bytes ? ((uint32_t)code & 0xFFu) * 0x01010101u : ((uint32_t)code & 0xFFFFu) * 0x00010001u;
}

uint32_t host_word_flip(int32_t input_type, int32_t bytes)
{
    return bytes && input_type == NPU_I8 ? 0x80808080u : 0u;
}

ptrdiff_t host_packed_words(ptrdiff_t channels, ptrdiff_t count)
{
    return ((channels + ROWS - 1) / ROWS * ROWS + 1) * count;
}

static int32_t weight_at(int32_t type, const void *weight, ptrdiff_t index)
{
    switch (type) {
    case NPU_U8:
        return ((const uint8_t *)weight)[index];
    case NPU_I8:
        return ((const int8_t *)weight)[index];
    default:
        return ((const int16_t *)weight)[index];
    }
}

void host_pack(const npu_codes *input, const npu_codes *weight, const void *codes, ptrdiff_t channels, ptrdiff_t taps,
               ptrdiff_t depth, const int64_t *biases, uint32_t *words, int32_t *starts)
{
    const int32_t bytes = host_word_codes(input->type, weight->type) == 4;
    const ptrdiff_t per_word = bytes ? 4 : 2;
    const ptrdiff_t per_tap = (depth + per_word - 1) / per_word;
    const ptrdiff_t count = taps * per_tap;
    const ptrdiff_t padded = (channels + ROWS - 1) / ROWS * ROWS;
    const int32_t moved = bytes && weight->type == NPU_U8 ? 128 : 0;
    const uint32_t mask = bytes ? 0xFFu : 0xFFFFu;
    const uint32_t bits = bytes ? 8u : 16u;
    uint32_t *ones = words + padded * count;
    ptrdiff_t channel, tap, i;

    memset(words, 0, (size_t)((padded + 1) * count) * sizeof *words);
    for (channel = 0; channel < channels; channel++) {
        uint32_t *to = words + channel / ROWS * count * ROWS + channel % ROWS;
        uint32_t sum = 0;
        for (tap = 0; tap < taps; tap++)
            for (i = 0; i < depth; i++) {
                const ptrdiff_t word = tap * per_tap + i / per_word;
                const int32_t code = weight_at(weight->type, codes, (channel * taps + tap) * depth + i);
                const uint32_t place = bits * (uint32_t)(i % per_word);
                to[word * ROWS] |= ((uint32_t)(code - moved) & mask) << place;
                ones[word] |= (uint32_t)1 << place;
                sum += (uint32_t)(code - weight->zero_point);
            }
        starts[channel] = (int32_t)((uint32_t)biases[channel] - (uint32_t)host_input_zero(input, bytes) * sum);
    }
}

#define INLINE static inline __attribute__((always_inline))

INLINE lanes dot(int32_t bytes, lanes sums, lanes codes, lanes weights)
{
#if defined(HAVE_BYTE_DOTS)
    if (bytes)
        return lanes_dot4(sums, codes, weights);
#endif
    (void)bytes;
    return lanes_dot2(sums, codes, weights);
}

typedef struct block {
    const uint32_t *words; /* (word, ROWS) */
    const int32_t *starts;
    const int32_t *corrections; /* per position */
    ptrdiff_t channel;          /* the first one, counted over all groups */
    int32_t channels;           /* 1..ROWS */
    int32_t way;                /* from sums to codes */
    unsigned char *output;      /* code of the first channel and position */
    ptrdiff_t stride;           /* bytes from channel to channel */
} block;

/* Sums are variables with names, three per channel: gcc leaves an array of vectors in memory. */
#if ROWS == 8
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#else
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3)
#endif

#define START(R)                                                                               \
    const lanes start##R = lanes_all((uint32_t)part->starts[R < part->channels ? R : 0]);      \
    lanes a##R = lanes_add(start##R, correction0);                                             \
    lanes b##R = lanes_add(start##R, correction1);                                             \
    lanes c##R = lanes_add(start##R, correction2);

#define ADD_PRODUCTS(R)                                                                        \
    weight = lanes_all(words[R]);                                                              \
    a##R = dot(bytes, a##R, codes0, weight);                                                   \
    if (vectors > 1)                                                                           \
        b##R = dot(bytes, b##R, codes1, weight);                                               \
    if (vectors > 2)                                                                           \
        c##R = dot(bytes, c##R, codes2, weight);

#define FINISH(R, WAY)                                                                              \
    if (R < part->channels) {                                                                  \
        unsigned char *to = part->output + R * part->stride;                                   \
        const scale by = scale_of(rule, part->channel + R, WAY);                               \
        store_codes(&ends, a##R, &by, WAY, to);                                                \
        if (vectors > 1)                                                                       \
            store_codes(&ends, b##R, &by, WAY, to + step);                                     \
        if (vectors > 2)                                                                       \
            store_codes(&ends, c##R, &by, WAY, to + 2 * step);                                 \
    }

#define FINISH_ONE(R) FINISH(R, BY_ONE)
#define FINISH_TWO(R) FINISH(R, BY_TWO)

#define STORE(R)                                                                               \
    lanes_store(stored + R * vectors * LANES, a##R);                                           \
    if (vectors > 1)                                                                           \
        lanes_store(stored + (R * vectors + 1) * LANES, b##R);                                 \
    if (vectors > 2)                                                                           \
        lanes_store(stored + (R * vectors + 2) * LANES, c##R);

typedef struct code_ends {
    lanes zero_point, low, high;
    int32_t wide; /* codes of 16 bits */
} code_ends;

INLINE void store_codes(const code_ends *ends, lanes sums, const scale *by, int32_t way, unsigned char *to)
{
    const lanes rounded = lanes_add(lanes_scaled(sums, by, way), ends->zero_point);
    const lanes codes = lanes_clamped(rounded, ends->low, ends->high);
    if (ends->wide)
        lanes_store16(to, codes);
    else
        lanes_store8(to, codes);
}

/* The codes of one block; `bytes` and `vectors` are constants where this is inlined. */
INLINE void compute_block(int32_t bytes, int32_t vectors, const packed *weights, const tile *positions,
                          const npu_host_rule *rule, const block *part)
{
    const uint32_t *words = part->words, *end = words + weights->count * ROWS;
    const ptrdiff_t *offset = positions->offsets;
    const int32_t *corrections = part->corrections;
    const lanes correction0 = lanes_load(corrections);
    const lanes correction1 = vectors > 1 ? lanes_load(corrections + LANES) : lanes_zero();
    const lanes correction2 = vectors > 2 ? lanes_load(corrections + 2 * LANES) : lanes_zero();
    lanes weight;

    EACH_ROW(START)
    for (; words < end; words += ROWS) {
        const uint32_t *from = positions->words + *offset++;
        const lanes codes0 = lanes_load(from);
        const lanes codes1 = vectors > 1 ? lanes_load(from + LANES) : lanes_zero();
        const lanes codes2 = vectors > 2 ? lanes_load(from + 2 * LANES) : lanes_zero();
        EACH_ROW(ADD_PRODUCTS)
    }
    if (part->way != BY_MEMORY) {
        const int32_t wide = rule->output_type == NPU_I16;
        const ptrdiff_t step = LANES * (wide ? 2 : 1);
        const code_ends ends = {lanes_all((uint32_t)rule->requantize.zero_point),
                                lanes_all((uint32_t)rule->requantize.low),
                                lanes_all((uint32_t)rule->requantize.high), wide};
        if (part->way == BY_ONE) {
            EACH_ROW(FINISH_ONE)
        } else {
            EACH_ROW(FINISH_TWO)
        }
    } else {
        int32_t stored[ROWS * COLUMNS * LANES];
        int32_t row;
        EACH_ROW(STORE)
        for (row = 0; row < part->channels; row++)
            host_finish(rule, part->channel + row, stored + row * vectors * LANES, vectors * LANES,
                        part->output + row * part->stride);
    }
}

#define DEFINE_BLOCK(NAME, BYTES, VECTORS)                                                                       \
    static void NAME(const packed *weights, const tile *positions, const npu_host_rule *rule, const block *part)  \
    {                                                                                                            \
        compute_block(BYTES, VECTORS, weights, positions, rule, part);                                           \
    }

typedef void (*block_function)(const packed *weights, const tile *positions, const npu_host_rule *rule,
                               const block *part);

DEFINE_BLOCK(halves_1, 0, 1)
DEFINE_BLOCK(halves_2, 0, 2)
#if COLUMNS > 2
DEFINE_BLOCK(halves_3, 0, 3)
#endif
#if defined(HAVE_BYTE_DOTS)
DEFINE_BLOCK(bytes_1, 1, 1)
DEFINE_BLOCK(bytes_2, 1, 2)
DEFINE_BLOCK(bytes_3, 1, 3)
#endif

static block_function block_for(int32_t bytes, int32_t vectors)
{
#if defined(HAVE_BYTE_DOTS)
    if (bytes)
        return vectors == 1 ? bytes_1 : vectors == 2 ? bytes_2 : bytes_3;
#endif
    (void)bytes;
#if COLUMNS > 2
    if (vectors > 2)
        return halves_3;
#endif
    return vectors == 1 ? halves_1 : halves_2;
}

/* corrections[p] = -z_w * sum x */
static void correct(const packed *weights, const tile *positions, int32_t *corrections)
{
    const lanes factor = lanes_all(0u - (uint32_t)weights->zero_point);
    int32_t v;
    for (v = 0; v < positions->vectors; v++) {
        lanes sums = lanes_zero();
        ptrdiff_t k;
        for (k = 0; k < weights->count; k++)
            sums = dot(weights->bytes, sums, lanes_load(positions->words + positions->offsets[k] + v * LANES),
                       lanes_all(weights->ones[k]));
        lanes_store(corrections + v * LANES, lanes_multiply(sums, factor));
    }
}

static void scatter(const tile *positions, const unsigned char *codes, ptrdiff_t size, ptrdiff_t stride,
                    int32_t channels, unsigned char *output, ptrdiff_t channel_stride)
{
    int32_t r, index;
    for (r = 0; r < channels; r++, codes += stride, output += channel_stride * size) {
        for (index = 0; index < positions->run_count; index++) {
            const run *part = &positions->runs[index];
            unsigned char *to = output + part->element * size;
            const unsigned char *from = codes + part->first * size;
            if (part->length == 1 && size == 1)
                *to = *from;
            else
                memcpy(to, from, (size_t)(part->length * size));
        }
    }
}

static int32_t way_of(const npu_host_rule *rule, ptrdiff_t channel, int32_t channels)
{
    int32_t r, direct = 1;
    for (r = 0; r < channels; r++)
        direct &= rule->direct[channel + r];
    return !direct ? BY_MEMORY : rule->requantize.rounding == NPU_DOUBLE ? BY_TWO : BY_ONE;
}

void host_multiply(const packed *weights, const tile *positions, const npu_host_rule *rule, ptrdiff_t first_channel,
                   const int32_t *starts, void *output, ptrdiff_t channel_stride)
{
    const ptrdiff_t size = rule->output_type == NPU_I16 ? 2 : 1;
    const block_function compute = block_for(weights->bytes, positions->vectors);
    const int32_t whole = positions->run_count == 1 && positions->runs[0].length == positions->vectors * LANES;
    unsigned char *place = (unsigned char *)output + positions->runs[0].element * size;
    int32_t corrections[TILE] = {0};
    unsigned char codes[ROWS * TILE * 2];
    ptrdiff_t channel;
    block part;

    part.corrections = corrections;
    if (weights->zero_point != 0)
        correct(weights, positions, corrections);
    part.stride = whole ? channel_stride * size : TILE * size;
    for (channel = 0; channel < weights->channels; channel += ROWS) {
        const ptrdiff_t left = weights->channels - channel;
        part.words = weights->words + channel * weights->count;
        part.starts = starts + channel;
        part.channel = first_channel + channel;
        part.channels = left < ROWS ? (int32_t)left : ROWS;
        part.way = way_of(rule, part.channel, part.channels);
        part.output = whole ? place + channel * part.stride : codes;
        compute(weights, positions, rule, &part);
        if (!whole)
            scatter(positions, codes, size, part.stride, part.channels,
                    (unsigned char *)output + channel * channel_stride * size, channel_stride);
    }
}

#else

typedef int host_tiles_are_empty; /* C99 wants a declaration in every file */

#endif
