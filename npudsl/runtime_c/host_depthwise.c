/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution, one channel of one image at a time. The plane is copied with the padding in place.
 *  - bytes: four neighbouring taps of a window row are a word; a shuffle of 64 bytes of the plane makes the words of LANES
 *    positions, and one instruction multiplies and adds them.
 *  - plain: the plane is split into the phases of the stride; then a tap is the plane itself a constant distance further
 *    on, and loops over it vectorize for every type.
 * With stride 1 positions are counted over rows of the padded plane; what is computed between two rows of the output is
 * dropped.
 */
#include <string.h>

#include "host_lanes.h"
#include "host_rounding.h"

/* Positions whose sums are made at once. */
#define SPAN 512

typedef struct plane {
    ptrdiff_t height, width; /* of one phase */
    ptrdiff_t phase_rows, phase_columns;
    ptrdiff_t positions; /* from the first output to the last, over rows of `width` */
} plane;

static ptrdiff_t rounded(ptrdiff_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static int32_t code_at(int32_t type, const void *data, ptrdiff_t index)
{
    switch (type) {
    case NPU_U8:
        return ((const uint8_t *)data)[index];
    case NPU_I8:
        return ((const int8_t *)data)[index];
    default:
        return ((const int16_t *)data)[index];
    }
}

static ptrdiff_t taps_of(const npu_conv_layer *layer)
{
    return (ptrdiff_t)layer->kernel_height * layer->kernel_width;
}

/* Rows or columns of the padded image that some window reaches. */
static ptrdiff_t reach(int32_t outputs, int32_t kernel, int32_t dilation, int32_t stride)
{
    return ((ptrdiff_t)outputs - 1) * stride + ((ptrdiff_t)kernel - 1) * dilation + 1;
}

static plane plane_of(const npu_conv_layer *layer, ptrdiff_t phase_rows, ptrdiff_t phase_columns)
{
    const ptrdiff_t height =
        reach(layer->output_height, layer->kernel_height, layer->dilation_height, layer->stride_height);
    const ptrdiff_t width =
        reach(layer->output_width, layer->kernel_width, layer->dilation_width, layer->stride_width);
    plane shape;
    shape.phase_rows = phase_rows;
    shape.phase_columns = phase_columns;
    shape.height = (height + phase_rows - 1) / phase_rows;
    shape.width = (width + phase_columns - 1) / phase_columns;
    shape.positions = (layer->output_height - 1) * shape.width + layer->output_width;
    return shape;
}

/* ---- plain ---- */

/* Fills every phase with codes minus zero point, and 0 where the image has no code. */
#define DEFINE_PHASES(NAME, VALUE)                                                                               \
    static void NAME(const npu_conv_layer *layer, const plane *shape, const void *image, VALUE *restrict to)      \
    {                                                                                                            \
        const ptrdiff_t step = shape->phase_columns;                                                             \
        ptrdiff_t down, along, row, column;                                                                      \
        for (down = 0; down < shape->phase_rows; down++)                                                         \
            for (along = 0; along < step; along++)                                                               \
                for (row = 0; row < shape->height; row++, to += shape->width) {                                  \
                    const ptrdiff_t y = row * shape->phase_rows + down - layer->pad_top;                         \
                    const ptrdiff_t shift = along - layer->pad_left;                                             \
                    const ptrdiff_t first = shift < 0 ? (-shift + step - 1) / step : 0;                          \
                    ptrdiff_t end = shift < layer->input_width ? (layer->input_width - 1 - shift) / step + 1 : 0; \
                    end = y < 0 || y >= layer->input_height ? 0 : end < shape->width ? end : shape->width;       \
                    for (column = 0; column < shape->width; column++)                                            \
                        to[column] = 0;                                                                          \
                    for (column = first; column < end; column++)                                                 \
                        to[column] = (VALUE)(code_at(layer->input.type, image,                                   \
                                                     y * layer->input_width + shift + column * step) -           \
                                             layer->input.zero_point);                                           \
                }                                                                                                \
    }

DEFINE_PHASES(integer_phases, int32_t)
DEFINE_PHASES(real_phases, double)

/* sums[i] = start + the products of all taps for position first + i */
#define DEFINE_TAPS(NAME, VALUE, SUM)                                                                            \
    static void NAME(const npu_conv_layer *layer, const plane *shape, const VALUE *values,                        \
                     const int32_t *weights, SUM start, ptrdiff_t first, ptrdiff_t count, SUM *restrict sums)     \
    {                                                                                                            \
        ptrdiff_t y, x, i;                                                                                       \
        for (i = 0; i < count; i++)                                                                              \
            sums[i] = start;                                                                                     \
        for (y = 0; y < layer->kernel_height; y++)                                                               \
            for (x = 0; x < layer->kernel_width; x++, weights++) {                                               \
                const ptrdiff_t down = y * layer->dilation_height, along = x * layer->dilation_width;            \
                const ptrdiff_t phase =                                                                          \
                    down % shape->phase_rows * shape->phase_columns + along % shape->phase_columns;              \
                const VALUE *restrict from = values + phase * shape->height * shape->width +                     \
                                             down / shape->phase_rows * shape->width +                           \
                                             along / shape->phase_columns + first;                               \
                const SUM factor = (SUM)*weights;                                                                \
                for (i = 0; i < count; i++)                                                                      \
                    sums[i] += (SUM)from[i] * factor;                                                            \
            }                                                                                                    \
    }

DEFINE_TAPS(add_integers, int32_t, uint32_t)
DEFINE_TAPS(add_reals, double, double)

static ptrdiff_t plain_values(const plane *shape)
{
    return shape->phase_rows * shape->phase_columns * shape->height * shape->width;
}

static ptrdiff_t plain_scratch(const npu_conv_layer *layer, int32_t wide)
{
    const plane shape = plane_of(layer, layer->stride_height, layer->stride_width);
    return rounded(plain_values(&shape) * (wide ? 8 : 4)) + rounded(shape.positions * 2);
}

static void plain_channel(const npu_conv_layer *layer, const npu_host_rule *rule, int32_t wide, const void *image,
                          const int32_t *weights, ptrdiff_t channel, int64_t start, unsigned char *output,
                          unsigned char *scratch)
{
    const plane shape = plane_of(layer, layer->stride_height, layer->stride_width);
    const ptrdiff_t size = npu_type_size(layer->output_type);
    const ptrdiff_t row_bytes = layer->output_width * size;
    unsigned char *codes = scratch + rounded(plain_values(&shape) * (wide ? 8 : 4));
    union {
        uint32_t integers[SPAN];
        double reals[SPAN];
    } sums;
    ptrdiff_t first, row;

    if (wide)
        real_phases(layer, &shape, image, (double *)(void *)scratch);
    else
        integer_phases(layer, &shape, image, (int32_t *)(void *)scratch);
    for (first = 0; first < shape.positions; first += SPAN) {
        const ptrdiff_t count = shape.positions - first < SPAN ? shape.positions - first : SPAN;
        if (wide) {
            add_reals(layer, &shape, (const double *)(void *)scratch, weights, (double)start, first, count, sums.reals);
            host_finish_reals(rule, channel, sums.reals, count, codes + first * size);
        } else {
            add_integers(layer, &shape, (const int32_t *)(void *)scratch, weights, (uint32_t)start, first, count,
                         sums.integers);
            host_finish(rule, channel, (const int32_t *)(const void *)sums.integers, count, codes + first * size);
        }
    }
    for (row = 0; row < layer->output_height; row++)
        memcpy(output + row * row_bytes, codes + row * shape.width * size, (size_t)row_bytes);
}

static void plain_pack(const npu_conv_layer *layer, const void *weight, const int64_t *biases, uint32_t *words,
                       int64_t *starts)
{
    const ptrdiff_t count = layer->output_channels * taps_of(layer);
    ptrdiff_t index;
    for (index = 0; index < count; index++)
        ((int32_t *)words)[index] = code_at(layer->weight.type, weight, index) - layer->weight.zero_point;
    for (index = 0; index < layer->output_channels; index++)
        starts[index] = biases[index];
}

/* ---- bytes ---- */

#if defined(HAVE_BYTE_DOTS)

#define MOST_WORDS 64

/* What windows of all channels have in common. */
typedef struct byte_window {
    int32_t count;                 /* words */
    int32_t correction;            /* -z_w, the zero point of the weights as they stand in words */
    ptrdiff_t offsets[MOST_WORDS]; /* bytes from the first tap of a window to the first one of the word */
    uint32_t ones[MOST_WORDS];
    __m512i order; /* byte m of word p is byte p * stride + m * dilation of what was loaded */
    plane shape;
    unsigned char flip;  /* turns stored codes into those of words */
    unsigned char empty; /* the zero point in words */
} byte_window;

static ptrdiff_t byte_words(const npu_conv_layer *layer)
{
    return (ptrdiff_t)layer->kernel_height * ((layer->kernel_width + 3) / 4);
}

static int is_bytes(const npu_conv_layer *layer, int32_t wide)
{
    return !wide && layer->input.type != NPU_I16 && layer->weight.type != NPU_I16 &&
           (LANES - 1) * layer->stride_width + 3 * layer->dilation_width < 64 && byte_words(layer) <= MOST_WORDS;
}

/* Vectors are read beyond the last position. */
static ptrdiff_t byte_plane_size(const plane *shape)
{
    return rounded(shape->height * shape->width + 256);
}

static ptrdiff_t byte_scratch(const npu_conv_layer *layer)
{
    const plane shape = plane_of(layer, 1, 1);
    return 2 * byte_plane_size(&shape) + (shape.positions / LANES + 1) * (ptrdiff_t)sizeof(uint32_t);
}

static byte_window window_of(const npu_conv_layer *layer)
{
    unsigned char order[64];
    byte_window window;
    int32_t y, x, p, m;
    window.shape = plane_of(layer, 1, 1);
    window.flip = layer->input.type == NPU_I8 ? 0x80 : 0;
    window.empty = (unsigned char)(((uint32_t)layer->input.zero_point & 0xFFu) ^ window.flip);
    window.correction = (layer->weight.type == NPU_U8 ? 128 : 0) - layer->weight.zero_point;
    window.count = 0;
    for (y = 0; y < layer->kernel_height; y++)
        for (x = 0; x < layer->kernel_width; x += 4) {
            const int32_t taps = layer->kernel_width - x < 4 ? layer->kernel_width - x : 4;
            window.offsets[window.count] = y * layer->dilation_height * window.shape.width + x * layer->dilation_width;
            window.ones[window.count++] = 0x01010101u >> (32 - 8 * taps);
        }
    for (p = 0; p < LANES; p++)
        for (m = 0; m < 4; m++)
            order[4 * p + m] = (unsigned char)(p * layer->stride_width + m * layer->dilation_width);
    window.order = lanes_load(order);
    return window;
}

static void byte_pack(const npu_conv_layer *layer, const void *weight, const int64_t *biases, uint32_t *words,
                      int64_t *starts)
{
    const int32_t moved = layer->weight.type == NPU_U8 ? 128 : 0;
    const int64_t input_zero = layer->input.zero_point + (layer->input.type == NPU_I8 ? 128 : 0);
    ptrdiff_t channel, index = 0;
    int32_t y, x;
    memset(words, 0, (size_t)(layer->output_channels * byte_words(layer)) * sizeof *words);
    for (channel = 0; channel < layer->output_channels; channel++) {
        starts[channel] = biases[channel];
        for (y = 0; y < layer->kernel_height; y++)
            for (x = 0; x < layer->kernel_width; x++, index++) {
                const int32_t code = code_at(layer->weight.type, weight, index);
                words[x / 4] |= ((uint32_t)(code - moved) & 0xFFu) << (8 * (x % 4));
                starts[channel] -= input_zero * (code - layer->weight.zero_point);
                if (x == layer->kernel_width - 1)
                    words += x / 4 + 1;
            }
    }
}

/* Copies `count` bytes with some bits turned. Rows of small images are one masked vector. */
static inline void copy_flipped(const unsigned char *from, ptrdiff_t count, __m512i flip, unsigned char *to)
{
    for (; count >= 64; count -= 64, from += 64, to += 64)
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_loadu_si512(from), flip));
    if (count > 0) {
        const __mmask64 mask = ~(__mmask64)0 >> (64 - count);
        _mm512_mask_storeu_epi8(to, mask, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, from), flip));
    }
}

static void fill_plane(const npu_conv_layer *layer, const byte_window *window, const unsigned char *image,
                       unsigned char *to)
{
    const plane *shape = &window->shape;
    const __m512i flip = _mm512_set1_epi8((char)window->flip);
    const ptrdiff_t first = layer->pad_left > 0 ? layer->pad_left : 0;
    const ptrdiff_t skipped = first - layer->pad_left; /* a negative padding cuts columns off */
    const ptrdiff_t end = layer->pad_left + layer->input_width < shape->width ? layer->pad_left + layer->input_width
                                                                              : shape->width;
    ptrdiff_t row;
    memset(to, window->empty, (size_t)(shape->height * shape->width));
    for (row = 0; row < shape->height && end > first; row++) {
        const ptrdiff_t y = row - layer->pad_top;
        if (y >= 0 && y < layer->input_height)
            copy_flipped(image + y * layer->input_width + skipped, end - first, flip, to + row * shape->width + first);
    }
}

static inline lanes words_at(const unsigned char *from, lanes order)
{
    return lanes_choose_bytes(lanes_load(from), order);
}

/* Rows of positions in the plane: those whose codes are wanted are the bits of `kept`, vector by vector. */
typedef struct byte_rows {
    ptrdiff_t rows;
    ptrdiff_t pitch;  /* bytes of the plane from one row to the next */
    ptrdiff_t stride; /* and from one position to the next */
    ptrdiff_t vectors;
    const uint32_t *kept;
} byte_rows;

/* One channel to codes. Constants where this is inlined: `usual` windows have 3 words, `corrected` ones have weights with
 * a zero point, `way` is how to finish (a call or a choice inside the loop costs more than the products). */
static inline __attribute__((always_inline)) void compute_rows(int32_t usual, int32_t corrected, int32_t way,
                                                               const byte_window *window, const uint32_t *words,
                                                               const npu_host_rule *rule, ptrdiff_t channel,
                                                               int32_t start, const byte_rows *shape,
                                                               const unsigned char *plane_start, unsigned char *to)
{
    const lanes order = window->order;
    const lanes zero_point = lanes_all((uint32_t)rule->requantize.zero_point);
    const lanes low = lanes_all((uint32_t)rule->requantize.low);
    const lanes high = lanes_all((uint32_t)rule->requantize.high);
    const lanes correction = lanes_all((uint32_t)window->correction);
    const lanes first = lanes_all((uint32_t)start);
    const lanes weight0 = lanes_all(words[0]);
    const lanes weight1 = lanes_all(usual ? words[1] : 0), weight2 = lanes_all(usual ? words[2] : 0);
    const lanes ones = lanes_all(window->ones[0]);
    const ptrdiff_t offset1 = usual ? window->offsets[1] : 0, offset2 = usual ? window->offsets[2] : 0;
    const scale by = scale_of(rule, channel, way);
    const ptrdiff_t size = rule->output_type == NPU_I16 ? 2 : 1;
    const ptrdiff_t step = LANES * shape->stride, vectors = shape->vectors, rows = shape->rows;
    const uint32_t *kept = shape->kept;
    ptrdiff_t r, v;
    for (r = 0; r < rows; r++) {
        const unsigned char *from = plane_start + r * shape->pitch;
        for (v = 0; v < vectors; v++, from += step) {
            const uint32_t mask = kept[v];
            const int32_t count = __builtin_popcount(mask);
            const lanes codes0 = words_at(from, order);
            lanes sums = lanes_dot4(first, codes0, weight0), added = lanes_zero();
            if (corrected)
                added = lanes_dot4(added, codes0, ones);
            if (usual) {
                const lanes codes1 = words_at(from + offset1, order), codes2 = words_at(from + offset2, order);
                sums = lanes_dot4(lanes_dot4(sums, codes1, weight1), codes2, weight2);
                if (corrected)
                    added = lanes_dot4(lanes_dot4(added, codes1, ones), codes2, ones);
            } else {
                int32_t k;
                for (k = 1; k < window->count; k++) {
                    const lanes codes = words_at(from + window->offsets[k], order);
                    sums = lanes_dot4(sums, codes, lanes_all(words[k]));
                    if (corrected)
                        added = lanes_dot4(added, codes, lanes_all(window->ones[k]));
                }
            }
            if (corrected)
                sums = lanes_add(sums, lanes_multiply(added, correction));
            if (way == BY_MEMORY) {
                int32_t stored[LANES];
                lanes_store(stored, _mm512_maskz_compress_epi32((__mmask16)mask, sums));
                host_finish(rule, channel, stored, count, to);
            } else {
                const lanes rounded = lanes_add(lanes_scaled(sums, &by, way), zero_point);
                lanes_keep(to, lanes_clamped(rounded, low, high), mask, count, size);
            }
            to += count * size;
        }
    }
}

#define DEFINE_ROWS(NAME, USUAL, CORRECTED, WAY)                                                                 \
    static void NAME(const byte_window *window, const uint32_t *words, const npu_host_rule *rule,                 \
                     ptrdiff_t channel, int32_t start, const byte_rows *shape, const unsigned char *from,         \
                     unsigned char *to)                                                                           \
    {                                                                                                            \
        compute_rows(USUAL, CORRECTED, WAY, window, words, rule, channel, start, shape, from, to);               \
    }

DEFINE_ROWS(any_by_memory, 0, 0, BY_MEMORY)
DEFINE_ROWS(any_by_one, 0, 0, BY_ONE)
DEFINE_ROWS(any_by_two, 0, 0, BY_TWO)
DEFINE_ROWS(corrected_by_memory, 0, 1, BY_MEMORY)
DEFINE_ROWS(corrected_by_one, 0, 1, BY_ONE)
DEFINE_ROWS(corrected_by_two, 0, 1, BY_TWO)
DEFINE_ROWS(usual_by_memory, 1, 0, BY_MEMORY)
DEFINE_ROWS(usual_by_one, 1, 0, BY_ONE)
DEFINE_ROWS(usual_by_two, 1, 0, BY_TWO)
DEFINE_ROWS(usual_corrected_by_memory, 1, 1, BY_MEMORY)
DEFINE_ROWS(usual_corrected_by_one, 1, 1, BY_ONE)
DEFINE_ROWS(usual_corrected_by_two, 1, 1, BY_TWO)

typedef void (*rows_function)(const byte_window *window, const uint32_t *words, const npu_host_rule *rule,
                              ptrdiff_t channel, int32_t start, const byte_rows *shape, const unsigned char *from,
                              unsigned char *to);

static rows_function rows_for(int usual, int corrected, const npu_host_rule *rule, ptrdiff_t channel)
{
    static const rows_function functions[2][2][3] = {
        {{any_by_memory, any_by_one, any_by_two},
         {corrected_by_memory, corrected_by_one, corrected_by_two}},
        {{usual_by_memory, usual_by_one, usual_by_two},
         {usual_corrected_by_memory, usual_corrected_by_one, usual_corrected_by_two}},
    };
    const int way = !rule->direct[channel]                       ? BY_MEMORY
                    : rule->requantize.rounding == NPU_DOUBLE ? BY_TWO
                                                              : BY_ONE;
    return functions[usual][corrected][way];
}

/* Which positions are wanted: all of `length`, but for the gaps between rows of `width`. */
static void keep_positions(const npu_conv_layer *layer, ptrdiff_t width, ptrdiff_t length, uint32_t *kept)
{
    ptrdiff_t position, column = 0;
    memset(kept, 0, (size_t)((length + LANES - 1) / LANES) * sizeof *kept);
    for (position = 0; position < length; position++) {
        if (column < layer->output_width)
            kept[position / LANES] |= 1u << (position % LANES);
        column = column + 1 == width ? 0 : column + 1;
    }
}

static void byte_channels(const npu_conv_layer *layer, const npu_host_rule *rule, const unsigned char *input,
                          const uint32_t *words, const int64_t *starts, unsigned char *output, unsigned char *scratch)
{
    const byte_window window = window_of(layer);
    const plane *shape = &window.shape;
    const int usual = layer->kernel_height == 3 && layer->kernel_width <= 4, corrected = window.correction != 0;
    const int flat = layer->stride_height == 1 && layer->stride_width == 1;
    const ptrdiff_t length = flat ? shape->positions : layer->output_width;
    const ptrdiff_t row_bytes = layer->output_width * npu_type_size(layer->output_type);
    const ptrdiff_t input_plane = (ptrdiff_t)layer->input_height * layer->input_width;
    const ptrdiff_t multiplicity = layer->output_channels / layer->group;
    const ptrdiff_t planes = (ptrdiff_t)layer->batch * layer->input_channels;
    const ptrdiff_t pitch = byte_plane_size(shape);
    uint32_t *kept = (uint32_t *)(void *)(scratch + 2 * pitch);
    ptrdiff_t plane_index, index;
    byte_rows rows;

    rows.rows = flat ? 1 : layer->output_height;
    rows.pitch = layer->stride_height * shape->width;
    rows.stride = layer->stride_width;
    rows.vectors = (length + LANES - 1) / LANES;
    rows.kept = kept;
    keep_positions(layer, flat ? shape->width : layer->output_width, length, kept);
    fill_plane(layer, &window, input, scratch);
    for (plane_index = 0; plane_index < planes; plane_index++) {
        const unsigned char *current = scratch + plane_index % 2 * pitch;
        const ptrdiff_t channel = plane_index % layer->input_channels * multiplicity;
        /* One plane ahead: vectors that are loaded right after their bytes were stored one by one have to wait. */
        if (plane_index + 1 < planes)
            fill_plane(layer, &window, input + (plane_index + 1) * input_plane, scratch + (plane_index + 1) % 2 * pitch);
        for (index = channel; index < channel + multiplicity; index++) {
            rows_for(usual, corrected, rule, index)(&window, words + index * window.count, rule, index,
                                                    (int32_t)starts[index], &rows, current, output);
            output += layer->output_height * row_bytes;
        }
    }
}

#endif

/* ---- what is called ---- */

ptrdiff_t npu_host_depthwise_words(const npu_conv_layer *layer, int32_t wide)
{
#if defined(HAVE_BYTE_DOTS)
    if (is_bytes(layer, wide))
        return layer->output_channels * byte_words(layer);
#endif
    (void)wide;
    return layer->output_channels * taps_of(layer);
}

void npu_host_pack_depthwise(const npu_conv_layer *layer, int32_t wide, const void *weight, const int64_t *biases,
                             uint32_t *words, int64_t *starts)
{
#if defined(HAVE_BYTE_DOTS)
    if (is_bytes(layer, wide)) {
        byte_pack(layer, weight, biases, words, starts);
        return;
    }
#endif
    (void)wide;
    plain_pack(layer, weight, biases, words, starts);
}

ptrdiff_t npu_host_depthwise_scratch(const npu_conv_layer *layer, int32_t wide)
{
#if defined(HAVE_BYTE_DOTS)
    if (is_bytes(layer, wide))
        return 64 + byte_scratch(layer);
#endif
    return 64 + plain_scratch(layer, wide);
}

void npu_host_depthwise(const npu_conv_layer *layer, const npu_host_rule *rule, int32_t wide, const void *input,
                        const uint32_t *words, const int64_t *starts, void *output, void *scratch)
{
    const ptrdiff_t input_plane = (ptrdiff_t)layer->input_height * layer->input_width *
                                  npu_type_size(layer->input.type);
    const ptrdiff_t output_plane = (ptrdiff_t)layer->output_height * layer->output_width *
                                   npu_type_size(layer->output_type);
    const ptrdiff_t multiplicity = layer->output_channels / layer->group;
    unsigned char *own = (unsigned char *)scratch;
    unsigned char *to = (unsigned char *)output;
    ptrdiff_t image, channel;

    own += (64 - (uintptr_t)own % 64) % 64;
#if defined(HAVE_BYTE_DOTS)
    if (is_bytes(layer, wide)) {
        byte_channels(layer, rule, (const unsigned char *)input, words, starts, to, own);
        return;
    }
#endif
    for (image = 0; image < layer->batch; image++)
        for (channel = 0; channel < layer->output_channels; channel++, to += output_plane) {
            const unsigned char *from = (const unsigned char *)input +
                                        (image * layer->input_channels + channel / multiplicity) * input_plane;
            plain_channel(layer, rule, wide, from, (const int32_t *)words + channel * taps_of(layer), channel,
                          starts[channel], to, own);
        }
}
