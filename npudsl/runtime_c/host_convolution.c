/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions and linear layers as blocks of channels times tiles of positions (host_tiles.h). Two ways to get words:
 *  - flat: 1x1 convolutions without padding or stride, and linear layers. Positions of all images are one list; a few tiles
 *    at a time are packed, each as (word, position), so that products read memory in a row.
 *  - banded: any other window. A band of rows is packed with the padding in place, split into the phases of the stride, so
 *    that the words of a tap are those of the first tap a constant distance further on. Positions are counted over rows of
 *    the band; between two rows of the output a few are computed that nobody reads.
 */
#include <string.h>

#include "host_tiles.h"

#if LANES > 0

/* Bytes of packed words that are worked on at once: they stay in the second-level cache. */
#define FLAT_BYTES 65536
#define BAND_BYTES 196608

/* Vectors of a tile may be read up to here behind the last position. */
#define SLACK (TILE + 16)

typedef struct source {
    const unsigned char *data;
    int32_t type;
    int32_t bytes;
    uint32_t flip;
    ptrdiff_t size;     /* bytes of an element */
    ptrdiff_t channels; /* of the group */
    ptrdiff_t channel_stride;
    ptrdiff_t position_stride;
} source;

static ptrdiff_t words_of(ptrdiff_t channels, int32_t bytes)
{
    return bytes ? (channels + 3) / 4 : (channels + 1) / 2;
}

static ptrdiff_t aligned(ptrdiff_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static unsigned char *align(void *scratch)
{
    unsigned char *start = (unsigned char *)scratch;
    return start + (64 - (uintptr_t)start % 64) % 64;
}

/* to[i] = word of the codes of up to four channels at element i * step */
static void words4(const unsigned char *const *from, ptrdiff_t step, ptrdiff_t count, uint32_t flip,
                   uint32_t *restrict to)
{
    const unsigned char *restrict a = from[0], *restrict b = from[1], *restrict c = from[2], *restrict d = from[3];
    ptrdiff_t i;
    if (step == 1)
        for (i = 0; i < count; i++)
            to[i] = ((uint32_t)a[i] | (uint32_t)b[i] << 8 | (uint32_t)c[i] << 16 | (uint32_t)d[i] << 24) ^ flip;
    else if (step == 2)
        for (i = 0; i < count; i++)
            to[i] = ((uint32_t)a[2 * i] | (uint32_t)b[2 * i] << 8 | (uint32_t)c[2 * i] << 16 |
                     (uint32_t)d[2 * i] << 24) ^ flip;
    else
        for (i = 0; i < count; i++)
            to[i] = ((uint32_t)a[i * step] | (uint32_t)b[i * step] << 8 | (uint32_t)c[i * step] << 16 |
                     (uint32_t)d[i * step] << 24) ^ flip;
}

#define DEFINE_WORDS2(NAME, CODE)                                                              \
    static void NAME(const unsigned char *const *from, ptrdiff_t step, ptrdiff_t count, uint32_t *restrict to) \
    {                                                                                          \
        const CODE *restrict a = (const CODE *)(const void *)from[0];                          \
        const CODE *restrict b = (const CODE *)(const void *)from[1];                          \
        ptrdiff_t i;                                                                           \
        if (step == 1)                                                                         \
            for (i = 0; i < count; i++)                                                        \
                to[i] = ((uint32_t)a[i] & 0xFFFFu) | (uint32_t)b[i] << 16;                     \
        else                                                                                   \
            for (i = 0; i < count; i++)                                                        \
                to[i] = ((uint32_t)a[i * step] & 0xFFFFu) | (uint32_t)b[i * step] << 16;       \
    }

DEFINE_WORDS2(words2_u8, uint8_t)
DEFINE_WORDS2(words2_i8, int8_t)
DEFINE_WORDS2(words2_i16, int16_t)

/* Words of `count` positions, `step` elements apart from element `start` on, of the channels of word `index`. A channel
 * beyond the last one may hold anything, for its weight is 0. */
static void pack_words(const source *from, ptrdiff_t index, ptrdiff_t start, ptrdiff_t step, ptrdiff_t count,
                       uint32_t *to)
{
    const ptrdiff_t codes = from->bytes ? 4 : 2;
    const unsigned char *channels[4];
    ptrdiff_t i;
    for (i = 0; i < codes; i++) {
        const ptrdiff_t channel = index * codes + i < from->channels ? index * codes + i : 0;
        channels[i] = from->data + (channel * from->channel_stride + start) * from->size;
    }
    if (from->bytes)
        words4(channels, step, count, from->flip, to);
    else if (from->type == NPU_U8)
        words2_u8(channels, step, count, to);
    else if (from->type == NPU_I8)
        words2_i8(channels, step, count, to);
    else
        words2_i16(channels, step, count, to);
}

static source source_of(const npu_codes *input, const void *data, int32_t bytes)
{
    source from;
    from.data = (const unsigned char *)data;
    from.type = input->type;
    from.bytes = bytes;
    from.flip = host_word_flip(input->type, bytes);
    from.size = npu_type_size(input->type);
    from.channels = 0;
    from.channel_stride = 1;
    from.position_stride = 1;
    return from;
}

/* ---- flat ---- */

/* Positions of `images` images of `plane` positions each; images are *_image elements apart. */
typedef struct flat {
    ptrdiff_t images;
    ptrdiff_t plane;
    ptrdiff_t input_image;
    ptrdiff_t output_image;
    ptrdiff_t output_position;
    ptrdiff_t output_channel;
} flat;

static ptrdiff_t flat_tiles(ptrdiff_t count, ptrdiff_t positions)
{
    const ptrdiff_t fitting = FLAT_BYTES / (count * TILE * (ptrdiff_t)sizeof(uint32_t));
    const ptrdiff_t needed = (positions + TILE - 1) / TILE;
    return fitting < 1 ? 1 : fitting < needed ? fitting : needed;
}

static ptrdiff_t flat_scratch(ptrdiff_t count, ptrdiff_t positions)
{
    return 64 + aligned(count * (ptrdiff_t)sizeof(ptrdiff_t)) +
           flat_tiles(count, positions) * count * TILE * (ptrdiff_t)sizeof(uint32_t);
}

/* Packs positions first..end into tiles of (word, TILE). */
static void pack_flat(const source *from, const flat *shape, ptrdiff_t count, ptrdiff_t first, ptrdiff_t end,
                      uint32_t *words)
{
    ptrdiff_t position = first;
    while (position < end) {
        const ptrdiff_t image = position / shape->plane, inside = position % shape->plane;
        const ptrdiff_t tile = (position - first) / TILE, offset = (position - first) % TILE;
        const ptrdiff_t start = image * shape->input_image + inside * from->position_stride;
        ptrdiff_t length = shape->plane - inside, k;
        if (length > TILE - offset)
            length = TILE - offset;
        if (length > end - position)
            length = end - position;
        for (k = 0; k < count; k++)
            pack_words(from, k, start, from->position_stride, length, words + (tile * count + k) * TILE + offset);
        position += length;
    }
}

static int32_t flat_runs(const flat *shape, ptrdiff_t first, ptrdiff_t end, run *runs)
{
    ptrdiff_t position = first;
    int32_t count = 0;
    while (position < end) {
        const ptrdiff_t image = position / shape->plane, inside = position % shape->plane;
        ptrdiff_t length = shape->output_position == 1 ? shape->plane - inside : 1;
        if (length > end - position)
            length = end - position;
        runs[count].first = (int32_t)(position - first);
        runs[count].length = (int32_t)length;
        runs[count].element = image * shape->output_image + inside * shape->output_position;
        count++;
        position += length;
    }
    return count;
}

static void multiply_flat(const packed *weights, const source *from, const flat *shape, const npu_host_rule *rule,
                          ptrdiff_t first_channel, const int32_t *starts, void *output, void *scratch)
{
    const ptrdiff_t positions = shape->images * shape->plane;
    const ptrdiff_t band = flat_tiles(weights->count, positions) * TILE;
    ptrdiff_t *offsets = (ptrdiff_t *)(void *)align(scratch);
    uint32_t *words =
        (uint32_t *)(void *)(align(scratch) + aligned(weights->count * (ptrdiff_t)sizeof(ptrdiff_t)));
    ptrdiff_t first, start, k;
    tile part;

    for (k = 0; k < weights->count; k++)
        offsets[k] = k * TILE;
    part.offsets = offsets;
    for (first = 0; first < positions; first += band) {
        const ptrdiff_t end = first + band < positions ? first + band : positions;
        pack_flat(from, shape, weights->count, first, end, words);
        for (start = first; start < end; start += TILE) {
            const ptrdiff_t stop = start + TILE < end ? start + TILE : end;
            part.words = words + (start - first) * weights->count;
            part.vectors = (int32_t)((stop - start + LANES - 1) / LANES);
            part.run_count = flat_runs(shape, start, stop, part.runs);
            host_multiply(weights, &part, rule, first_channel, starts, output, shape->output_channel);
        }
    }
}

/* ---- banded ---- */

/* How the packed rows of one image lie: (word, phase, row, column). */
typedef struct band {
    ptrdiff_t rows;      /* of the output */
    ptrdiff_t halo;      /* rows that a window needs besides its first, in one phase */
    ptrdiff_t width;     /* columns of a phase */
    ptrdiff_t phases;    /* those that some tap reads */
    ptrdiff_t pitch;     /* words from one phase to the next */
} band;

static ptrdiff_t lesser(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

/* Phases of one axis that some tap reads, and how far the taps reach in one of them. */
static ptrdiff_t phases_of(int32_t kernel, int32_t dilation, int32_t stride, ptrdiff_t *reach)
{
    ptrdiff_t phases = 1, tap;
    *reach = 0;
    for (tap = 0; tap < kernel; tap++) {
        if (tap * dilation % stride + 1 > phases)
            phases = tap * dilation % stride + 1;
        if (tap * dilation / stride > *reach)
            *reach = tap * dilation / stride;
    }
    return phases;
}

static band band_of(const npu_conv_layer *layer, ptrdiff_t channel_words)
{
    ptrdiff_t halo, reach, row_bytes;
    band shape;
    shape.phases = phases_of(layer->kernel_height, layer->dilation_height, layer->stride_height, &halo) *
                   phases_of(layer->kernel_width, layer->dilation_width, layer->stride_width, &reach);
    shape.halo = halo;
    shape.width = layer->output_width + reach;
    row_bytes = channel_words * shape.phases * shape.width * (ptrdiff_t)sizeof(uint32_t);
    shape.rows = BAND_BYTES / row_bytes - halo;
    if (shape.rows < 2 * halo + 1) /* else most of the work would be packing the same rows again */
        shape.rows = 2 * halo + 1;
    shape.rows = lesser(shape.rows, layer->output_height);
    /* An odd number of cache lines, so that the words of a position do not all fall into the same set. */
    shape.pitch = ((shape.rows + halo) * shape.width + 15) / 16;
    shape.pitch = (shape.pitch | 1) * 16;
    return shape;
}

static ptrdiff_t band_scratch(const band *shape, ptrdiff_t channel_words, ptrdiff_t count)
{
    return 64 + aligned(count * (ptrdiff_t)sizeof(ptrdiff_t)) +
           (channel_words * shape->phases * shape->pitch + SLACK) * (ptrdiff_t)sizeof(uint32_t);
}

static ptrdiff_t width_phases(const npu_conv_layer *layer)
{
    ptrdiff_t reach;
    return phases_of(layer->kernel_width, layer->dilation_width, layer->stride_width, &reach);
}

static void fill(uint32_t *to, ptrdiff_t count, uint32_t word)
{
    ptrdiff_t i;
    for (i = 0; i < count; i++)
        to[i] = word;
}

/* One row of one phase: columns phase, phase + stride, ... of the padded image. */
static void pack_row(const npu_conv_layer *layer, const source *from, ptrdiff_t index, ptrdiff_t row_start,
                     ptrdiff_t phase, ptrdiff_t width, uint32_t empty, uint32_t *to)
{
    const ptrdiff_t stride = layer->stride_width;
    const ptrdiff_t offset = phase - layer->pad_left; /* source column of the first one */
    ptrdiff_t first = offset < 0 ? (-offset + stride - 1) / stride : 0;
    ptrdiff_t end = offset < layer->input_width ? (layer->input_width - 1 - offset) / stride + 1 : 0;
    first = lesser(first, width);
    end = lesser(end, width);
    if (end < first)
        end = first;
    fill(to, first, empty);
    if (end > first)
        pack_words(from, index, row_start + offset + first * stride, stride, end - first, to + first);
    fill(to + end, width - end, empty);
}

static void pack_band(const npu_conv_layer *layer, const source *from, const band *shape, ptrdiff_t channel_words,
                      ptrdiff_t first_row, ptrdiff_t rows, ptrdiff_t image_start, uint32_t *words)
{
    const uint32_t zero = host_word_of(host_input_zero(&layer->input, from->bytes), from->bytes);
    const ptrdiff_t columns = width_phases(layer);
    ptrdiff_t index, phase, row;
    for (index = 0; index < channel_words; index++) {
        for (phase = 0; phase < shape->phases; phase++) {
            uint32_t *to = words + (index * shape->phases + phase) * shape->pitch;
            for (row = 0; row < rows + shape->halo; row++, to += shape->width) {
                const ptrdiff_t source_row =
                    (first_row + row) * layer->stride_height + phase / columns - layer->pad_top;
                if (source_row < 0 || source_row >= layer->input_height)
                    fill(to, shape->width, zero);
                else
                    pack_row(layer, from, index, image_start + source_row * layer->input_width, phase % columns,
                             shape->width, zero, to);
            }
        }
    }
}

/* Where the words of every tap lie, in the order of the packed weights. */
static void band_offsets(const npu_conv_layer *layer, const band *shape, ptrdiff_t channel_words, ptrdiff_t *offsets)
{
    const ptrdiff_t columns = width_phases(layer);
    ptrdiff_t y, x, index;
    for (y = 0; y < layer->kernel_height; y++)
        for (x = 0; x < layer->kernel_width; x++) {
            const ptrdiff_t down = y * layer->dilation_height, along = x * layer->dilation_width;
            const ptrdiff_t phase =
                down % layer->stride_height * columns + along % layer->stride_width;
            const ptrdiff_t place = down / layer->stride_height * shape->width + along / layer->stride_width;
            for (index = 0; index < channel_words; index++)
                *offsets++ = (index * shape->phases + phase) * shape->pitch + place;
        }
}

static int32_t band_runs(const npu_conv_layer *layer, const band *shape, ptrdiff_t first_row, ptrdiff_t first,
                         ptrdiff_t end, ptrdiff_t output_start, run *runs)
{
    ptrdiff_t position = first;
    int32_t count = 0;
    while (position < end) {
        const ptrdiff_t row = position / shape->width, column = position % shape->width;
        const ptrdiff_t length = lesser(layer->output_width - column, end - position);
        if (length > 0) {
            runs[count].first = (int32_t)(position - first);
            runs[count].length = (int32_t)length;
            runs[count].element = output_start + (first_row + row) * layer->output_width + column;
            count++;
        }
        position = (row + 1) * shape->width;
    }
    return count;
}

static void multiply_banded(const npu_conv_layer *layer, const packed *weights, const source *from,
                            ptrdiff_t image_start, const npu_host_rule *rule, ptrdiff_t first_channel,
                            const int32_t *starts, void *output, ptrdiff_t output_start, void *scratch)
{
    const ptrdiff_t channel_words = words_of(from->channels, from->bytes);
    const band shape = band_of(layer, channel_words);
    ptrdiff_t *offsets = (ptrdiff_t *)(void *)align(scratch);
    uint32_t *words =
        (uint32_t *)(void *)(align(scratch) + aligned(weights->count * (ptrdiff_t)sizeof(ptrdiff_t)));
    ptrdiff_t first_row, first;
    tile part;

    band_offsets(layer, &shape, channel_words, offsets);
    part.offsets = offsets;
    for (first_row = 0; first_row < layer->output_height; first_row += shape.rows) {
        const ptrdiff_t rows = lesser(shape.rows, layer->output_height - first_row);
        const ptrdiff_t positions = (rows - 1) * shape.width + layer->output_width;
        pack_band(layer, from, &shape, channel_words, first_row, rows, image_start, words);
        for (first = 0; first < positions; first += TILE) {
            const ptrdiff_t end = lesser(first + TILE, positions);
            part.words = words + first;
            part.vectors = (int32_t)((end - first + LANES - 1) / LANES);
            part.run_count = band_runs(layer, &shape, first_row, first, end, output_start, part.runs);
            if (part.run_count > 0)
                host_multiply(weights, &part, rule, first_channel, starts, output,
                              (ptrdiff_t)layer->output_height * layer->output_width);
        }
    }
}

/* ---- what is called ---- */

static int is_flat(const npu_conv_layer *layer)
{
    return layer->kernel_height == 1 && layer->kernel_width == 1 && layer->stride_height == 1 &&
           layer->stride_width == 1 && layer->output_height == layer->input_height &&
           layer->output_width == layer->input_width && layer->pad_top == 0 && layer->pad_left == 0;
}

static int32_t is_bytes(int32_t input_type, int32_t weight_type)
{
    return host_word_codes(input_type, weight_type) == 4;
}

/* Words per output channel. */
static ptrdiff_t conv_count(const npu_conv_layer *layer, int32_t bytes)
{
    return (ptrdiff_t)layer->kernel_height * layer->kernel_width *
           words_of(layer->input_channels / layer->group, bytes);
}

static ptrdiff_t conv_group_words(const npu_conv_layer *layer, int32_t bytes)
{
    return host_packed_words(layer->output_channels / layer->group, conv_count(layer, bytes));
}

ptrdiff_t npu_host_conv_words(const npu_conv_layer *layer)
{
    return layer->group * conv_group_words(layer, is_bytes(layer->input.type, layer->weight.type));
}

void npu_host_pack_conv(const npu_conv_layer *layer, const void *weight, const int64_t *biases, uint32_t *words,
                        int32_t *starts)
{
    const ptrdiff_t outputs = layer->output_channels / layer->group;
    const ptrdiff_t inputs = layer->input_channels / layer->group;
    const ptrdiff_t taps = (ptrdiff_t)layer->kernel_height * layer->kernel_width;
    const ptrdiff_t stored = outputs * taps * inputs * npu_type_size(layer->weight.type);
    const ptrdiff_t size = conv_group_words(layer, is_bytes(layer->input.type, layer->weight.type));
    ptrdiff_t group;
    for (group = 0; group < layer->group; group++)
        host_pack(&layer->input, &layer->weight, (const unsigned char *)weight + group * stored, outputs, taps, inputs,
                  biases + group * outputs, words + group * size, starts + group * outputs);
}

ptrdiff_t npu_host_conv_scratch(const npu_conv_layer *layer)
{
    const int32_t bytes = is_bytes(layer->input.type, layer->weight.type);
    const ptrdiff_t channel_words = words_of(layer->input_channels / layer->group, bytes);
    const ptrdiff_t count = conv_count(layer, bytes);
    band shape;
    if (is_flat(layer))
        return flat_scratch(count, (ptrdiff_t)layer->batch * layer->output_height * layer->output_width);
    shape = band_of(layer, channel_words);
    return band_scratch(&shape, channel_words, count);
}

static packed packed_weights(const npu_codes *weight, int32_t bytes, const uint32_t *words, ptrdiff_t channels,
                             ptrdiff_t count)
{
    packed weights;
    weights.words = words;
    weights.count = count;
    weights.channels = channels;
    weights.bytes = bytes;
    weights.zero_point = host_weight_zero(weight, bytes);
    weights.ones = words + host_packed_words(channels, count) - count;
    return weights;
}

void npu_host_conv(const npu_conv_layer *layer, const npu_host_rule *rule, const void *input, const uint32_t *words,
                   const int32_t *starts, void *output, void *scratch)
{
    const int32_t bytes = is_bytes(layer->input.type, layer->weight.type);
    const ptrdiff_t plane = (ptrdiff_t)layer->input_height * layer->input_width;
    const ptrdiff_t output_plane = (ptrdiff_t)layer->output_height * layer->output_width;
    const ptrdiff_t inputs = layer->input_channels / layer->group;
    const ptrdiff_t outputs = layer->output_channels / layer->group;
    source from = source_of(&layer->input, input, bytes);
    ptrdiff_t group, image;
    flat shape;

    from.channels = inputs;
    from.channel_stride = plane;
    shape.images = layer->batch;
    shape.plane = plane;
    shape.input_image = layer->input_channels * plane;
    shape.output_image = layer->output_channels * output_plane;
    shape.output_position = 1;
    shape.output_channel = output_plane;
    for (group = 0; group < layer->group; group++) {
        const packed weights = packed_weights(&layer->weight, bytes, words + group * conv_group_words(layer, bytes),
                                              outputs, conv_count(layer, bytes));
        const ptrdiff_t first = group * outputs;
        from.data = (const unsigned char *)input + group * inputs * plane * from.size;
        if (is_flat(layer)) {
            unsigned char *to = (unsigned char *)output + first * output_plane * npu_type_size(layer->output_type);
            multiply_flat(&weights, &from, &shape, rule, first, starts + first, to, scratch);
            continue;
        }
        for (image = 0; image < layer->batch; image++)
            multiply_banded(layer, &weights, &from, image * shape.input_image, rule, first, starts + first, output,
                            image * shape.output_image + first * output_plane, scratch);
    }
}

ptrdiff_t npu_host_linear_words(const npu_linear_layer *layer)
{
    const int32_t bytes = is_bytes(layer->input.type, layer->weight.type);
    return host_packed_words(layer->outputs, words_of(layer->inputs, bytes));
}

void npu_host_pack_linear(const npu_linear_layer *layer, const void *weight, const int64_t *biases, uint32_t *words,
                          int32_t *starts)
{
    host_pack(&layer->input, &layer->weight, weight, layer->outputs, 1, layer->inputs, biases, words, starts);
}

ptrdiff_t npu_host_linear_scratch(const npu_linear_layer *layer)
{
    return flat_scratch(words_of(layer->inputs, is_bytes(layer->input.type, layer->weight.type)), layer->rows);
}

void npu_host_linear(const npu_linear_layer *layer, const npu_host_rule *rule, const void *input, const uint32_t *words,
                     const int32_t *starts, void *output, void *scratch)
{
    const int32_t bytes = is_bytes(layer->input.type, layer->weight.type);
    const packed weights =
        packed_weights(&layer->weight, bytes, words, layer->outputs, words_of(layer->inputs, bytes));
    source from = source_of(&layer->input, input, bytes);
    flat shape;

    from.channels = layer->inputs;
    from.position_stride = layer->inputs;
    shape.images = 1;
    shape.plane = layer->rows;
    shape.input_image = 0;
    shape.output_image = 0;
    shape.output_position = layer->outputs;
    shape.output_channel = 1;
    multiply_flat(&weights, &from, &shape, rule, 0, starts, output, scratch);
}

#else

typedef int host_convolution_is_empty; /* C99 wants a declaration in every file */

#endif
