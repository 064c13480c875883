/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving codes without changing them, and resizing images.
 */
#include <string.h>

#include "npu_arithmetic.h"

static void copy_line(int32_t element_size, const void *input, ptrdiff_t from, ptrdiff_t from_step, void *output,
                      ptrdiff_t to, ptrdiff_t to_step, ptrdiff_t count)
{
    ptrdiff_t index;
    if (from_step == 1 && to_step == 1) {
        memcpy((unsigned char *)output + to * element_size, (const unsigned char *)input + from * element_size,
               (size_t)(count * element_size));
    } else if (element_size == 1) {
        for (index = 0; index < count; index++)
            ((uint8_t *)output)[to + index * to_step] = ((const uint8_t *)input)[from + index * from_step];
    } else {
        for (index = 0; index < count; index++)
            ((int16_t *)output)[to + index * to_step] = ((const int16_t *)input)[from + index * from_step];
    }
}

void npu_copy(const npu_copy_layer *layer, const void *input, void *output)
{
    const int32_t last = layer->rank - 1;
    int32_t index[NPU_MAX_RANK] = {0};
    ptrdiff_t from = layer->input_offset, to = layer->output_offset, lines = 1;
    int32_t axis;

    for (axis = 0; axis < last; axis++)
        lines *= layer->shape[axis];
    for (; lines > 0; lines--) {
        copy_line(layer->element_size, input, from, layer->input_strides[last], output, to,
                  layer->output_strides[last], layer->shape[last]);
        for (axis = last - 1; axis >= 0; axis--) {
            from += layer->input_strides[axis];
            to += layer->output_strides[axis];
            if (++index[axis] < layer->shape[axis])
                break;
            from -= (ptrdiff_t)layer->input_strides[axis] * layer->shape[axis];
            to -= (ptrdiff_t)layer->output_strides[axis] * layer->shape[axis];
            index[axis] = 0;
        }
    }
}

void npu_fill(int32_t element_size, int32_t count, int32_t code, void *output)
{
    ptrdiff_t index;
    if (element_size == 1)
        memset(output, (int)((uint32_t)code & 0xFFu), (size_t)count);
    else
        for (index = 0; index < count; index++)
            ((int16_t *)output)[index] = (int16_t)code;
}

/* Where position `index` of a padded axis comes from. */
static ptrdiff_t pad_source(int32_t mode, ptrdiff_t index, ptrdiff_t extent)
{
    if (mode == NPU_PAD_EDGE)
        return index < 0 ? 0 : index >= extent ? extent - 1 : index;
    while (extent > 1 && (index < 0 || index >= extent))
        index = index < 0 ? -index : 2 * (extent - 1) - index;
    return extent > 1 ? index : 0;
}

void npu_pad(const npu_pad_layer *layer, const void *input, void *output)
{
    ptrdiff_t count = 1, position;
    int32_t axis;
    for (axis = 0; axis < layer->rank; axis++)
        count *= layer->output_shape[axis];
    for (position = 0; position < count; position++) {
        ptrdiff_t rest = position, from = layer->input_offset;
        for (axis = layer->rank - 1; axis >= 0; axis--) {
            const ptrdiff_t index = rest % layer->output_shape[axis] - layer->begin[axis];
            rest /= layer->output_shape[axis];
            from += pad_source(layer->mode, index, layer->input_shape[axis]) * layer->input_strides[axis];
        }
        copy_line(layer->element_size, input, from, 1, output, position, 1, 1);
    }
}

void npu_gather(const npu_gather_layer *layer, const void *input, const int32_t *indices, void *output)
{
    ptrdiff_t outer, index, to = 0;
    for (outer = 0; outer < layer->outer; outer++) {
        for (index = 0; index < layer->count; index++, to += layer->inner)
            copy_line(layer->element_size, input, (outer * layer->extent + indices[index]) * layer->inner, 1, output,
                      to, 1, layer->inner);
    }
}

void npu_resize_nearest(const npu_resize_layer *layer, const void *input, const int32_t *rows, const int32_t *columns,
                        void *output)
{
    const int32_t element_size = (int32_t)npu_type_size(layer->input.type);
    const ptrdiff_t width = layer->output_width;
    ptrdiff_t plane, row, column, to = 0;
    for (plane = 0; plane < layer->planes; plane++) {
        for (row = 0; row < layer->output_height; row++, to += width) {
            const ptrdiff_t from = (plane * layer->input_height + rows[row]) * layer->input_width;
            if (element_size == 1)
                for (column = 0; column < width; column++)
                    ((uint8_t *)output)[to + column] = ((const uint8_t *)input)[from + columns[column]];
            else
                for (column = 0; column < width; column++)
                    ((int16_t *)output)[to + column] = ((const int16_t *)input)[from + columns[column]];
        }
    }
}

ptrdiff_t npu_resize_linear_scratch(const npu_resize_layer *layer)
{
    return (ptrdiff_t)layer->input_width * 8;
}

void npu_resize_linear(const npu_resize_layer *layer, const void *input, const npu_resize_axis *rows,
                       const npu_resize_axis *columns, void *output, void *scratch)
{
    const npu_requantize *requantize = &layer->requantize;
    const int64_t whole = (int64_t)1 << layer->weight_bits;
    const ptrdiff_t width = layer->input_width;
    int32_t *upper = (int32_t *)scratch;
    int32_t *lower = upper + width;
    ptrdiff_t plane, row, column, to = 0;

    for (plane = 0; plane < layer->planes; plane++) {
        for (row = 0; row < layer->output_height; row++) {
            const ptrdiff_t first = (plane * layer->input_height + rows->low[row]) * width;
            const ptrdiff_t second = (plane * layer->input_height + rows->high[row]) * width;
            const int64_t down = rows->weight[row];
            npu_unpack32(layer->input.type, npu_at(input, layer->input.type, first), 1, layer->input.zero_point, width,
                         upper, 1);
            npu_unpack32(layer->input.type, npu_at(input, layer->input.type, second), 1, layer->input.zero_point,
                         width, lower, 1);
            for (column = 0; column < layer->output_width; column++, to++) {
                const int32_t left = columns->low[column], right = columns->high[column];
                const int64_t across = columns->weight[column];
                const int64_t top = upper[left] * (whole - across) + upper[right] * across;
                const int64_t bottom = lower[left] * (whole - across) + lower[right] * across;
                const int32_t code =
                    npu_requantize_one(requantize, requantize->multiplier, requantize->shift,
                                       top * (whole - down) + bottom * down);
                npu_pack(layer->output_type, output, to, 1, &code, 1);
            }
        }
    }
}
