/* SPDX-License-Identifier: Apache-2.0
 *
 * Transposed convolution, one phase after the other. With s the stride, output positions that leave the same remainder
 * (position + padding) mod s are reached by the same kernel taps: those with tap * dilation mod s equal to it. Every
 * phase is therefore an ordinary convolution with stride 1 and a smaller kernel, whose weights the exporter stores
 * together. A phase without taps is the bias.
 */
#include <string.h>

#include "npu_products.h"

/* Kernel taps of one axis that reach the positions of one phase. */
static int32_t taps_of(int32_t kernel, int32_t dilation, int32_t stride, int32_t phase)
{
    int32_t tap, count = 0;
    for (tap = 0; tap < kernel; tap++)
        count += tap * dilation % stride == phase;
    return count;
}

/* The number-th of these taps. */
static int32_t tap_at(int32_t dilation, int32_t stride, int32_t phase, int32_t number)
{
    int32_t tap;
    for (tap = 0;; tap++)
        if (tap * dilation % stride == phase && number-- == 0)
            return tap;
}

static int32_t most_taps(int32_t kernel, int32_t dilation, int32_t stride)
{
    int32_t phase, most = 0;
    for (phase = 0; phase < stride; phase++)
        most = npu_larger(most, taps_of(kernel, dilation, stride, phase));
    return most;
}

ptrdiff_t npu_conv_transpose_scratch(const npu_conv_layer *layer)
{
    const int32_t wide = npu_is_wide(layer->input.type, layer->weight.type, layer->bias_type);
    const ptrdiff_t taps =
        (ptrdiff_t)most_taps(layer->kernel_height, layer->dilation_height, layer->stride_height) *
        most_taps(layer->kernel_width, layer->dilation_width, layer->stride_width);
    return layer->tile * taps * (layer->input_channels / layer->group) * npu_gathered_size(wide);
}

/* Where a phase stands: remainders, its taps, and its first output position on each axis. */
typedef struct phase {
    int32_t row, column;
    int32_t taps_down, taps_along;
    int32_t first_row, first_column;
} phase;

static phase phase_at(const npu_conv_layer *layer, int32_t row, int32_t column)
{
    phase at;
    at.row = row;
    at.column = column;
    at.taps_down = taps_of(layer->kernel_height, layer->dilation_height, layer->stride_height, row);
    at.taps_along = taps_of(layer->kernel_width, layer->dilation_width, layer->stride_width, column);
    at.first_row = ((row - layer->pad_top) % layer->stride_height + layer->stride_height) % layer->stride_height;
    at.first_column = ((column - layer->pad_left) % layer->stride_width + layer->stride_width) % layer->stride_width;
    return at;
}

/* Gathers `count` positions of an output row for one tap: input values from `source` on, zeros outside. */
static void gather_tap(const npu_conv_layer *layer, const npu_products *products, const void *input,
                       ptrdiff_t input_start, ptrdiff_t source_row, ptrdiff_t source, ptrdiff_t count, void *gathered,
                       ptrdiff_t to)
{
    const ptrdiff_t channels = layer->input_channels / layer->group;
    const ptrdiff_t plane = (ptrdiff_t)layer->input_height * layer->input_width;
    const ptrdiff_t skipped = source < 0 ? -source : 0;
    const ptrdiff_t room = layer->input_width - source;
    const ptrdiff_t end = room < count ? room : count;
    ptrdiff_t channel;

    if (source_row < 0 || source_row >= layer->input_height || end <= skipped)
        return;
    for (channel = 0; channel < channels; channel++)
        npu_gather_codes(products->wide, &layer->input, input,
                         input_start + channel * plane + source_row * layer->input_width + source + skipped, 1,
                         end - skipped, gathered, to + channel + skipped * products->inner, products->inner);
}

static void phase_row(const npu_conv_layer *layer, const npu_products *products, const phase *at, const void *input,
                      ptrdiff_t input_start, ptrdiff_t output_row, void *output, ptrdiff_t output_start, void *gathered)
{
    const ptrdiff_t channels = layer->input_channels / layer->group;
    const ptrdiff_t stride = layer->stride_width;
    const ptrdiff_t columns = (layer->output_width - at->first_column + stride - 1) / stride;
    ptrdiff_t first, count;
    int32_t down, along;

    for (first = 0; first < columns; first += count) {
        const ptrdiff_t column = at->first_column + first * stride;
        ptrdiff_t to = 0;
        count = columns - first < layer->tile ? columns - first : layer->tile;
        memset(gathered, 0, (size_t)(count * products->inner * npu_gathered_size(products->wide)));
        for (down = 0; down < at->taps_down; down++) {
            const ptrdiff_t tap = tap_at(layer->dilation_height, layer->stride_height, at->row, down);
            const ptrdiff_t row = output_row + layer->pad_top - tap * layer->dilation_height;
            for (along = 0; along < at->taps_along; along++, to += channels) {
                const ptrdiff_t beside = tap_at(layer->dilation_width, layer->stride_width, at->column, along);
                const ptrdiff_t reached = column + layer->pad_left - beside * layer->dilation_width;
                if (row >= 0)
                    gather_tap(layer, products, input, input_start, row / layer->stride_height, reached / stride,
                               count, gathered, to);
            }
        }
        npu_multiply(products, gathered, count, output, output_start + output_row * layer->output_width + column);
    }
}

void npu_conv_transpose(const npu_conv_layer *layer, const void *input, const void *weight, const void *bias,
                        const int32_t *multipliers, const int8_t *shifts, void *output, void *scratch)
{
    const ptrdiff_t input_plane = (ptrdiff_t)layer->input_height * layer->input_width;
    const ptrdiff_t output_plane = (ptrdiff_t)layer->output_height * layer->output_width;
    const ptrdiff_t group_inputs = layer->input_channels / layer->group;
    const ptrdiff_t group_outputs = layer->output_channels / layer->group;
    ptrdiff_t image, group, row, stored = 0;
    npu_products products;
    int32_t down, along;

    products.weight = layer->weight;
    products.bias_type = layer->bias_type;
    products.output_type = layer->output_type;
    products.requantize = &layer->requantize;
    products.wide = npu_is_wide(layer->input.type, layer->weight.type, layer->bias_type);
    products.channels = group_outputs;
    products.channel_stride = output_plane;
    products.position_stride = layer->stride_width;
    for (down = 0; down < layer->stride_height; down++) {
        for (along = 0; along < layer->stride_width; along++) {
            const phase at = phase_at(layer, down, along);
            products.inner = (ptrdiff_t)at.taps_down * at.taps_along * group_inputs;
            for (image = 0; image < layer->batch; image++) {
                for (group = 0; group < layer->group; group++) {
                    const ptrdiff_t channel = group * group_outputs;
                    const ptrdiff_t from = (image * layer->input_channels + group * group_inputs) * input_plane;
                    const ptrdiff_t to = (image * layer->output_channels + channel) * output_plane;
                    products.weights = npu_at(weight, layer->weight.type, stored + channel * products.inner);
                    products.bias = bias != NULL ? npu_at(bias, layer->bias_type, channel) : NULL;
                    products.multipliers = multipliers != NULL ? multipliers + channel : NULL;
                    products.shifts = shifts != NULL ? shifts + channel : NULL;
                    for (row = at.first_row; row < layer->output_height; row += layer->stride_height)
                        phase_row(layer, &products, &at, input, from, row, output, to, scratch);
                }
            }
            stored += layer->output_channels * products.inner;
        }
    }
}
