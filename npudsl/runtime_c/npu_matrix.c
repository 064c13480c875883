/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear layers (rows times stored weights) and products of two activation matrices.
 */
#include "npu_products.h"

ptrdiff_t npu_linear_scratch(const npu_linear_layer *layer)
{
    const int32_t wide = npu_is_wide(layer->input.type, layer->weight.type, layer->bias_type);
    return (ptrdiff_t)layer->tile * layer->inputs * npu_gathered_size(wide);
}

void npu_linear(const npu_linear_layer *layer, const void *input, const void *weight, const void *bias,
                const int32_t *multipliers, const int8_t *shifts, void *output, void *scratch)
{
    npu_products products;
    ptrdiff_t first;

    products.weight = layer->weight;
    products.bias_type = layer->bias_type;
    products.output_type = layer->output_type;
    products.requantize = &layer->requantize;
    products.weights = weight;
    products.bias = bias;
    products.multipliers = multipliers;
    products.shifts = shifts;
    products.wide = npu_is_wide(layer->input.type, layer->weight.type, layer->bias_type);
    products.channels = layer->outputs;
    products.inner = layer->inputs;
    products.channel_stride = 1;
    products.position_stride = layer->outputs;
    for (first = 0; first < layer->rows; first += layer->tile) {
        const ptrdiff_t rows = layer->rows - first < layer->tile ? layer->rows - first : layer->tile;
        npu_gather_codes(products.wide, &layer->input, input, first * layer->inputs, 1, rows * layer->inputs, scratch, 0,
                         1);
        npu_multiply(&products, scratch, rows, output, first * layer->outputs);
    }
}

ptrdiff_t npu_matmul_scratch(const npu_matmul_layer *layer)
{
    return (ptrdiff_t)layer->tile * layer->inner *
           npu_gathered_size(npu_is_wide(layer->a.type, layer->b.type, NPU_I32));
}

/* One matrix: the rows of a are the weights, the columns of b the gathered positions. */
static void multiply_matrices(const npu_matmul_layer *layer, npu_products *products, const void *a, const void *b,
                              ptrdiff_t b_start, void *output, ptrdiff_t output_start, void *scratch)
{
    ptrdiff_t first, k;
    products->weights = a;
    for (first = 0; first < layer->columns; first += layer->tile) {
        const ptrdiff_t positions = layer->columns - first < layer->tile ? layer->columns - first : layer->tile;
        for (k = 0; k < layer->inner; k++)
            npu_gather_codes(products->wide, &layer->b, b, b_start + k * layer->columns + first, 1, positions, scratch,
                             k, layer->inner);
        npu_multiply(products, scratch, positions, output, output_start + first);
    }
}

void npu_matmul(const npu_matmul_layer *layer, const void *a, const void *b, void *output, void *scratch)
{
    const ptrdiff_t a_size = (ptrdiff_t)layer->rows * layer->inner;
    const ptrdiff_t b_size = (ptrdiff_t)layer->inner * layer->columns;
    const ptrdiff_t output_size = (ptrdiff_t)layer->rows * layer->columns;
    npu_products products;
    ptrdiff_t batches = 1, batch;
    int32_t axis;

    products.weight = layer->a;
    products.bias_type = NPU_I32;
    products.bias = NULL;
    products.output_type = layer->output_type;
    products.requantize = &layer->requantize;
    products.multipliers = NULL;
    products.shifts = NULL;
    products.wide = npu_is_wide(layer->a.type, layer->b.type, NPU_I32);
    products.channels = layer->rows;
    products.inner = layer->inner;
    products.channel_stride = layer->columns;
    products.position_stride = 1;
    for (axis = 0; axis < layer->batch_rank; axis++)
        batches *= layer->batch_shape[axis];
    for (batch = 0; batch < batches; batch++) {
        ptrdiff_t rest = batch, a_matrix = 0, b_matrix = 0;
        for (axis = layer->batch_rank - 1; axis >= 0; axis--) {
            const ptrdiff_t index = rest % layer->batch_shape[axis];
            rest /= layer->batch_shape[axis];
            a_matrix += index * layer->a_strides[axis];
            b_matrix += index * layer->b_strides[axis];
        }
        multiply_matrices(layer, &products, npu_at(a, layer->a.type, a_matrix * a_size), b, b_matrix * b_size, output,
                          batch * output_size, scratch);
    }
}
