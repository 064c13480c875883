/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution, in three forms:
 *  - pointwise (1x1, stride 1, no padding): positions are gathered straight from the image, channels innermost;
 *  - depthwise (several groups of one input channel): row by row, weight by weight, no gathering;
 *  - general: a ring of the last input rows, stored (column, channel) with the padding in place, from which the window
 *    of a position is a few contiguous pieces.
 * In all of them a stored value is code minus zero point, so padding is 0.
 */
#include <string.h>

#include "npu_products.h"

typedef struct ring {
    unsigned char *rows; /* span rows of width * channels values */
    ptrdiff_t span;
    ptrdiff_t width;
    ptrdiff_t channels;
    ptrdiff_t next; /* first row, counted in the padded image, that has not been loaded */
} ring;

static int32_t wide_of(const npu_conv_layer *layer)
{
    return npu_is_wide(layer->input.type, layer->weight.type, layer->bias_type);
}

static int is_pointwise(const npu_conv_layer *layer)
{
    return layer->kernel_height == 1 && layer->kernel_width == 1 && layer->stride_height == 1 &&
           layer->stride_width == 1 && layer->output_height == layer->input_height &&
           layer->output_width == layer->input_width && layer->pad_top == 0 && layer->pad_left == 0;
}

static int is_depthwise(const npu_conv_layer *layer)
{
    return layer->group > 1 && layer->group == layer->input_channels;
}

static ptrdiff_t ring_span(const npu_conv_layer *layer)
{
    return ((ptrdiff_t)layer->kernel_height - 1) * layer->dilation_height + 1;
}

static ptrdiff_t ring_width(const npu_conv_layer *layer)
{
    return ((ptrdiff_t)layer->output_width - 1) * layer->stride_width +
           ((ptrdiff_t)layer->kernel_width - 1) * layer->dilation_width + 1;
}

ptrdiff_t npu_conv_scratch(const npu_conv_layer *layer)
{
    const ptrdiff_t size = npu_gathered_size(wide_of(layer));
    const ptrdiff_t channels = layer->input_channels / layer->group;
    const ptrdiff_t inner = channels * layer->kernel_height * layer->kernel_width;
    if (is_depthwise(layer))
        return (ptrdiff_t)layer->output_width * 8 + ring_span(layer) * ring_width(layer) * size;
    if (is_pointwise(layer))
        return layer->tile * inner * size;
    return (layer->tile * inner + ring_span(layer) * ring_width(layer) * channels) * size;
}

/* Loads the rows first..first+span of the padded image that are not there yet; `start`: first channel's element. */
static void load_rows(const npu_conv_layer *layer, ring *rows, const void *input, ptrdiff_t start, ptrdiff_t first)
{
    const int32_t wide = wide_of(layer);
    const ptrdiff_t values = rows->width * rows->channels;
    const ptrdiff_t bytes = values * npu_gathered_size(wide);
    const ptrdiff_t plane = (ptrdiff_t)layer->input_height * layer->input_width;
    const ptrdiff_t lead = layer->pad_left > 0 ? layer->pad_left : 0;
    const ptrdiff_t skipped = lead - layer->pad_left; /* a negative padding cuts columns off */
    ptrdiff_t columns = rows->width - lead;
    ptrdiff_t row, channel;

    if (columns > layer->input_width - skipped)
        columns = layer->input_width - skipped;
    for (row = rows->next > first ? rows->next : first; row < first + rows->span; row++) {
        const ptrdiff_t source = row - layer->pad_top;
        unsigned char *to = rows->rows + (row % rows->span) * bytes;
        memset(to, 0, (size_t)bytes);
        if (source < 0 || source >= layer->input_height || columns <= 0)
            continue;
        for (channel = 0; channel < rows->channels; channel++)
            npu_gather_codes(wide, &layer->input, input,
                             start + channel * plane + source * layer->input_width + skipped, 1, columns, to,
                             lead * rows->channels + channel, rows->channels);
    }
    rows->next = first + rows->span;
}

/* Copies the window of one output position out of the ring. */
static void copy_window(const npu_conv_layer *layer, const ring *rows, ptrdiff_t output_row, ptrdiff_t output_column,
                        ptrdiff_t size, unsigned char *to)
{
    const ptrdiff_t pixel = rows->channels * size;
    const ptrdiff_t column = output_column * layer->stride_width;
    ptrdiff_t y, x;
    for (y = 0; y < layer->kernel_height; y++) {
        const ptrdiff_t row = (output_row * layer->stride_height + y * layer->dilation_height) % rows->span;
        const unsigned char *from = rows->rows + (row * rows->width + column) * pixel;
        if (layer->dilation_width == 1) {
            memcpy(to, from, (size_t)(layer->kernel_width * pixel));
            to += layer->kernel_width * pixel;
        } else {
            for (x = 0; x < layer->kernel_width; x++, to += pixel)
                memcpy(to, from + x * layer->dilation_width * pixel, (size_t)pixel);
        }
    }
}

static void conv_pointwise(const npu_conv_layer *layer, const npu_products *products, const void *input,
                           ptrdiff_t input_start, void *output, ptrdiff_t output_start, void *scratch)
{
    const ptrdiff_t plane = (ptrdiff_t)layer->input_height * layer->input_width;
    ptrdiff_t first, channel;
    for (first = 0; first < plane; first += layer->tile) {
        const ptrdiff_t positions = plane - first < layer->tile ? plane - first : layer->tile;
        for (channel = 0; channel < products->inner; channel++)
            npu_gather_codes(products->wide, &layer->input, input, input_start + channel * plane + first, 1,
                             positions, scratch, channel, products->inner);
        npu_multiply(products, scratch, positions, output, output_start + first);
    }
}

static void conv_general(const npu_conv_layer *layer, const npu_products *products, const void *input,
                         ptrdiff_t input_start, void *output, ptrdiff_t output_start, void *scratch)
{
    const ptrdiff_t size = npu_gathered_size(products->wide);
    const ptrdiff_t window = products->inner * size;
    unsigned char *tile = (unsigned char *)scratch;
    ptrdiff_t positions = 0, done = 0, y, x;
    ring rows;

    rows.rows = tile + layer->tile * window;
    rows.span = ring_span(layer);
    rows.width = ring_width(layer);
    rows.channels = layer->input_channels / layer->group;
    rows.next = 0;
    for (y = 0; y < layer->output_height; y++) {
        load_rows(layer, &rows, input, input_start, y * layer->stride_height);
        for (x = 0; x < layer->output_width; x++) {
            copy_window(layer, &rows, y, x, size, tile + positions * window);
            if (++positions == layer->tile) {
                npu_multiply(products, tile, positions, output, output_start + done);
                done += positions;
                positions = 0;
            }
        }
    }
    if (positions > 0)
        npu_multiply(products, tile, positions, output, output_start + done);
}

/* sums[i] += weight * row[i * step], modulo 2^32: exact because the final sums fit int32_t. */
NPU_VECTORIZE static void add_row(uint32_t *restrict sums, const int16_t *restrict row, ptrdiff_t step, int32_t weight,
                                  ptrdiff_t count)
{
    const int16_t factor = (int16_t)weight;
    ptrdiff_t index;
    if (step == 1)
        for (index = 0; index < count; index++)
            sums[index] += (uint32_t)((int32_t)row[index] * factor);
    else if (step == 2)
        for (index = 0; index < count; index++)
            sums[index] += (uint32_t)((int32_t)row[index * 2] * factor);
    else
        for (index = 0; index < count; index++)
            sums[index] += (uint32_t)((int32_t)row[index * step] * factor);
}

static void add_row_wide(int64_t *restrict sums, const int32_t *restrict row, ptrdiff_t step, int32_t weight,
                         ptrdiff_t count)
{
    ptrdiff_t index;
    for (index = 0; index < count; index++)
        sums[index] += (int64_t)row[index * step] * weight;
}

static void set_sums(int32_t wide, void *sums, int64_t value, ptrdiff_t count)
{
    ptrdiff_t index;
    if (wide)
        for (index = 0; index < count; index++)
            ((int64_t *)sums)[index] = value;
    else
        for (index = 0; index < count; index++)
            ((uint32_t *)sums)[index] = (uint32_t)value;
}

static int32_t weight_at(const npu_conv_layer *layer, const void *weight, ptrdiff_t index)
{
    int32_t value;
    npu_unpack32(layer->weight.type, npu_at(weight, layer->weight.type, index), 1, layer->weight.zero_point, 1, &value,
                 1);
    return value;
}

static void depthwise_row(const npu_conv_layer *layer, int32_t wide, const ring *rows, ptrdiff_t output_row,
                          const void *weight, ptrdiff_t first_weight, void *sums)
{
    ptrdiff_t y, x;
    for (y = 0; y < layer->kernel_height; y++) {
        const ptrdiff_t row = (output_row * layer->stride_height + y * layer->dilation_height) % rows->span;
        const ptrdiff_t source = output_row * layer->stride_height + y * layer->dilation_height - layer->pad_top;
        if (source < 0 || source >= layer->input_height)
            continue;
        for (x = 0; x < layer->kernel_width; x++) {
            const int32_t factor = weight_at(layer, weight, first_weight + y * layer->kernel_width + x);
            const ptrdiff_t from = row * rows->width + x * layer->dilation_width;
            if (wide)
                add_row_wide((int64_t *)sums, (const int32_t *)(const void *)rows->rows + from, layer->stride_width,
                             factor, layer->output_width);
            else
                add_row((uint32_t *)sums, (const int16_t *)(const void *)rows->rows + from, layer->stride_width, factor,
                        layer->output_width);
        }
    }
}

static void conv_depthwise(const npu_conv_layer *layer, const npu_products *products, const void *input,
                           ptrdiff_t input_start, void *output, ptrdiff_t output_start, void *scratch)
{
    const int32_t wide = products->wide;
    const ptrdiff_t width = layer->output_width;
    const ptrdiff_t taps = (ptrdiff_t)layer->kernel_height * layer->kernel_width;
    ptrdiff_t channel, y, x;
    int32_t codes[NPU_CHUNK];
    ring rows;

    rows.rows = (unsigned char *)scratch + width * 8;
    rows.span = ring_span(layer);
    rows.width = ring_width(layer);
    rows.channels = 1;
    for (channel = 0; channel < products->channels; channel++) {
        const int64_t bias = npu_bias_of(products->bias, products->bias_type, channel);
        rows.next = 0;
        for (y = 0; y < layer->output_height; y++) {
            load_rows(layer, &rows, input, input_start, y * layer->stride_height);
            set_sums(wide, scratch, bias, width);
            depthwise_row(layer, wide, &rows, y, products->weights, channel * taps, scratch);
            for (x = 0; x < width; x += NPU_CHUNK) {
                const ptrdiff_t count = width - x < NPU_CHUNK ? width - x : NPU_CHUNK;
                const void *sums = wide ? (const void *)((int64_t *)scratch + x) : (const void *)((int32_t *)scratch + x);
                npu_finish(products->requantize, products->multipliers, products->shifts, channel, wide, sums, count,
                           codes);
                npu_pack(products->output_type, output,
                         output_start + channel * products->channel_stride + y * width + x, 1, codes, count);
            }
        }
    }
}

void npu_conv(const npu_conv_layer *layer, const void *input, const void *weight, const void *bias,
              const int32_t *multipliers, const int8_t *shifts, void *output, void *scratch)
{
    const ptrdiff_t input_plane = (ptrdiff_t)layer->input_height * layer->input_width;
    const ptrdiff_t output_plane = (ptrdiff_t)layer->output_height * layer->output_width;
    const ptrdiff_t group_inputs = layer->input_channels / layer->group;
    const ptrdiff_t group_outputs = layer->output_channels / layer->group;
    npu_products products;
    ptrdiff_t image, group;

    products.weight = layer->weight;
    products.bias_type = layer->bias_type;
    products.output_type = layer->output_type;
    products.requantize = &layer->requantize;
    products.wide = wide_of(layer);
    products.channels = group_outputs;
    products.inner = group_inputs * layer->kernel_height * layer->kernel_width;
    products.channel_stride = output_plane;
    products.position_stride = 1;
    for (image = 0; image < layer->batch; image++) {
        for (group = 0; group < layer->group; group++) {
            const ptrdiff_t first = group * group_outputs;
            const ptrdiff_t input_start = (image * layer->input_channels + group * group_inputs) * input_plane;
            const ptrdiff_t output_start = (image * layer->output_channels + first) * output_plane;
            products.weights = npu_at(weight, layer->weight.type, first * products.inner);
            products.bias = bias != NULL ? npu_at(bias, layer->bias_type, first) : NULL;
            products.multipliers = multipliers != NULL ? multipliers + first : NULL;
            products.shifts = shifts != NULL ? shifts + first : NULL;
            if (is_depthwise(layer))
                conv_depthwise(layer, &products, input, input_start, output, output_start, scratch);
            else if (is_pointwise(layer))
                conv_pointwise(layer, &products, input, input_start, output, output_start, scratch);
            else
                conv_general(layer, &products, input, input_start, output, output_start, scratch);
        }
    }
}
