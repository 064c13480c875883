/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of output channels times tiles of output positions: what convolution and linear layers have in common.
 *
 * Codes are taken as they are stored, in words of 4 bytes (signed ones moved up by 128) or 2 int16_t. With x, w the codes
 * in words and z, z_w their zero points
 *     sum (x - z)(w - z_w) = sum x w - z_w sum x - z sum (w - z_w)
 * where padding is x = z. The last term is part of `starts`, the middle one is the same for every channel of a position.
 */
#ifndef HOST_TILES_H
#define HOST_TILES_H

#include "host_shape.h"
#include "npu_host.h"

#if LANES > 0

#define TILE (LANES * COLUMNS)

/* A stretch of neighbouring positions of a tile that are neighbours in the output as well. */
typedef struct run {
    int32_t first; /* in the tile */
    int32_t length;
    ptrdiff_t element; /* of the output, for channel 0 */
} run;

/* The weights of one group: words (block of ROWS channels, word, channel), then the words of ones that add up codes. */
typedef struct packed {
    const uint32_t *words;
    const uint32_t *ones;
    ptrdiff_t count; /* words per channel */
    ptrdiff_t channels;
    int32_t bytes; /* 1: words of four bytes, 0: of two int16_t */
    int32_t zero_point; /* of the weights in words */
} packed;

typedef struct tile {
    const uint32_t *words;    /* of its first position */
    const ptrdiff_t *offsets; /* per word of a channel: where the word of the first position lies */
    int32_t vectors;          /* 1..COLUMNS */
    int32_t run_count;
    run runs[TILE];
} tile;

/* Codes per word: 4 or 2. */
int32_t host_word_codes(int32_t input_type, int32_t weight_type);

/* The zero points of codes as they stand in words. */
int32_t host_input_zero(const npu_codes *input, int32_t bytes);
int32_t host_weight_zero(const npu_codes *weight, int32_t bytes);

/* A word that holds one code everywhere, and what turns stored codes into those of words. */
uint32_t host_word_of(int32_t code, int32_t bytes);
uint32_t host_word_flip(int32_t input_type, int32_t bytes);

/* Size of the packed weights of one group. */
ptrdiff_t host_packed_words(ptrdiff_t channels, ptrdiff_t count);

/* Weight codes w[channel * inner + tap * depth + i] into words, word `tap * ceil(depth / codes) + i / codes`, and
 * starts[channel] = bias - z * sum (w - z_w), modulo 2^32. */
void host_pack(const npu_codes *input, const npu_codes *weight, const void *codes, ptrdiff_t channels, ptrdiff_t taps,
               ptrdiff_t depth, const int64_t *biases, uint32_t *words, int32_t *starts);

/* The codes of all channels of a tile, stored `channel_stride` elements apart. */
void host_multiply(const packed *weights, const tile *positions, const npu_host_rule *rule, ptrdiff_t first_channel,
                   const int32_t *starts, void *output, ptrdiff_t channel_stride);

#endif

#endif
