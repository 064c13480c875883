/* SPDX-License-Identifier: Apache-2.0
 *
 * Integer kernels for quantized networks: portable C99, no floating point, no allocation, no globals.
 *
 * Every kernel reads a constant description (a plain struct of int32_t), takes the buffers as arguments and writes
 * the output codes. Tensors are dense and row-major (NCHW for images). A kernel whose name has a `_scratch` function
 * needs that many bytes of scratch memory, aligned to 8; all other buffers need the alignment of their element type.
 *
 * Words: x is an input code, z a zero point. `R(v)` of an npu_requantize is
 *     clamp(zero_point + round(v * multiplier / 2^shift), low, high)
 * computed without losing a bit before the rounding; a negative shift multiplies. Sums of 8-bit layers must fit
 * int32_t (whoever makes the network guarantees it); as soon as a 16-bit operand takes part, sums are int64_t.
 */
#ifndef NPU_KERNELS_H
#define NPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NPU_MAX_RANK 8

/* Element types. NPU_I32 and NPU_I64 only occur as type of a bias. */
enum { NPU_U8 = 0, NPU_I8 = 1, NPU_I16 = 2, NPU_I32 = 3, NPU_I64 = 4 };

/* Rounding to nearest; what happens to ties. NPU_DOUBLE rounds twice: half up at bit 31, then half away. */
enum { NPU_HALF_EVEN = 0, NPU_HALF_AWAY = 1, NPU_HALF_UP = 2, NPU_DOUBLE = 3 };

typedef struct npu_codes {
    int32_t type;
    int32_t zero_point;
} npu_codes;

typedef struct npu_requantize {
    int32_t rounding;
    int32_t zero_point; /* of the output */
    int32_t low;
    int32_t high;
    int32_t multiplier; /* ignored where a kernel is given one multiplier and one shift per channel */
    int32_t shift;      /* -31..62 */
} npu_requantize;

/* Bytes of one element of a type; 0 for a number that is no type. */
ptrdiff_t npu_type_size(int32_t type);

/* ---- sums of products ----
 *
 * `multipliers` and `shifts` have one entry per output channel, or are NULL: then the scalars of `requantize` count.
 * `bias` has one entry per output channel of `bias_type` (NPU_I32 or NPU_I64), or is NULL.
 * `tile` is how many output positions are gathered in scratch memory at once (1..NPU_MAX_TILE).
 */
#define NPU_MAX_TILE 64

typedef struct npu_conv_layer {
    npu_codes input;
    npu_codes weight;
    int32_t bias_type;
    int32_t output_type;
    npu_requantize requantize;
    int32_t batch;
    int32_t group;
    int32_t input_channels, input_height, input_width;
    int32_t output_channels, output_height, output_width;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
    int32_t tile;
} npu_conv_layer;

/* Weight order: (output channel, kernel row, kernel column, input channel of the group). */
ptrdiff_t npu_conv_scratch(const npu_conv_layer *layer);
void npu_conv(const npu_conv_layer *layer, const void *input, const void *weight, const void *bias,
              const int32_t *multipliers, const int8_t *shifts, void *output, void *scratch);

/* Transposed convolution: stride, dilation and padding are those of its output. Weight order: phase after phase (rows
 * first), in a phase (output channel, kernel row, kernel column, input channel of the group), taps in order. */
ptrdiff_t npu_conv_transpose_scratch(const npu_conv_layer *layer);
void npu_conv_transpose(const npu_conv_layer *layer, const void *input, const void *weight, const void *bias,
                        const int32_t *multipliers, const int8_t *shifts, void *output, void *scratch);

typedef struct npu_linear_layer {
    npu_codes input;
    npu_codes weight;
    int32_t bias_type;
    int32_t output_type;
    npu_requantize requantize;
    int32_t rows;
    int32_t inputs;
    int32_t outputs;
    int32_t tile;
} npu_linear_layer;

/* input (rows, inputs), weight (outputs, inputs), output (rows, outputs). */
ptrdiff_t npu_linear_scratch(const npu_linear_layer *layer);
void npu_linear(const npu_linear_layer *layer, const void *input, const void *weight, const void *bias,
                const int32_t *multipliers, const int8_t *shifts, void *output, void *scratch);

typedef struct npu_matmul_layer {
    npu_codes a;
    npu_codes b;
    int32_t output_type;
    npu_requantize requantize;
    int32_t rows;    /* of a and of the output */
    int32_t inner;   /* columns of a, rows of b */
    int32_t columns; /* of b and of the output */
    int32_t tile;
    int32_t batch_rank;
    int32_t batch_shape[NPU_MAX_RANK];
    int32_t a_strides[NPU_MAX_RANK]; /* in matrices; 0 where a is broadcast */
    int32_t b_strides[NPU_MAX_RANK];
} npu_matmul_layer;

ptrdiff_t npu_matmul_scratch(const npu_matmul_layer *layer);
void npu_matmul(const npu_matmul_layer *layer, const void *a, const void *b, void *output, void *scratch);

/* ---- element by element ---- */

typedef struct npu_binary_layer {
    npu_codes a;
    npu_codes b;
    int32_t output_type;
    npu_requantize requantize;
    int64_t a_multiplier; /* npu_add only, with the shift of `requantize`; negative to subtract; below 2^44 */
    int64_t b_multiplier;
    int32_t rank; /* 1..NPU_MAX_RANK */
    int32_t shape[NPU_MAX_RANK];
    int32_t a_strides[NPU_MAX_RANK]; /* in elements; 0 where a is broadcast */
    int32_t b_strides[NPU_MAX_RANK];
} npu_binary_layer;

/* clamp(zero_point + round(((a - z_a) * a_multiplier + (b - z_b) * b_multiplier) / 2^shift), low, high) */
void npu_add(const npu_binary_layer *layer, const void *a, const void *b, void *output);
/* R((a - z_a) * (b - z_b)) */
void npu_mul(const npu_binary_layer *layer, const void *a, const void *b, void *output);

typedef struct npu_pair_layer {
    npu_codes a;
    npu_codes b;
    int32_t output_type;
    npu_requantize a_rule; /* of each operand ... */
    npu_requantize b_rule;
    npu_requantize total;  /* ... and of the result; which of them count is said at the function */
    int32_t left_shift;    /* npu_rounded_add only */
    int32_t subtract;
    int32_t rank; /* 1..NPU_MAX_RANK */
    int32_t shape[NPU_MAX_RANK];
    int32_t a_strides[NPU_MAX_RANK]; /* in elements; 0 where a is broadcast */
    int32_t b_strides[NPU_MAX_RANK];
} npu_pair_layer;

/* With u = a - z_a, v = b - z_b, and M, s of `total`: clamp(zero_point + round(u M / (v 2^s)), low, high), rounded as
 * half even, half away or half up; division by zero saturates, 0 / 0 is 0. u M and v 2^s are below 2^62. */
void npu_div(const npu_pair_layer *layer, const void *a, const void *b, void *output);
/* The smaller or larger of a_rule(u) and b_rule(v). */
void npu_minimum(const npu_pair_layer *layer, const void *a, const void *b, void *output);
void npu_maximum(const npu_pair_layer *layer, const void *a, const void *b, void *output);
/* u < 0 ? b_rule(u v) : a_rule(u) */
void npu_prelu(const npu_pair_layer *layer, const void *input, const void *slopes, void *output);
/* total(a_rule(u 2^left_shift) + b_rule(v 2^left_shift)), or their difference; the operands' rules do not clamp. */
void npu_rounded_add(const npu_pair_layer *layer, const void *a, const void *b, void *output);

typedef struct npu_rescale_layer {
    npu_codes input;
    int32_t output_type;
    npu_requantize requantize;
    int32_t blocks;        /* the input is `blocks` runs of `block` elements; ... */
    int32_t block;
    int32_t output_stride; /* ... run i goes to element output_offset + i * output_stride of the output */
    int32_t output_offset;
} npu_rescale_layer;

/* R(x - z); one input of a concatenation when blocks > 1. */
void npu_rescale(const npu_rescale_layer *layer, const void *input, void *output);

typedef struct npu_table_layer {
    int32_t input_type;
    int32_t output_type;
    int32_t count;
} npu_table_layer;

/* table[x - smallest code of the input type]; 256 or 65536 entries of the output type. */
void npu_table(const npu_table_layer *layer, const void *input, const void *table, void *output);

typedef struct npu_softmax_layer {
    int32_t input_type;
    int32_t output_type;
    int32_t zero_point;
    int32_t low;
    int32_t high;
    int32_t denominator;
    int32_t outer, length, inner; /* the input is viewed as (outer, length, inner); softmax over length */
    int32_t exponentials;         /* entries of the table */
} npu_softmax_layer;

/* E = exponential[max - x] (0 beyond the end), S = sum E; clamp(zero_point + (2 E denominator + S) / (2 S), ...) */
ptrdiff_t npu_softmax_scratch(const npu_softmax_layer *layer);
void npu_softmax(const npu_softmax_layer *layer, const void *input, const uint32_t *exponential, void *output,
                 void *scratch);

typedef struct npu_log_softmax_layer {
    int32_t input_type;
    int32_t output_type;
    npu_requantize requantize;
    int32_t log_multiplier; /* with the shift of `requantize` */
    int32_t outer, length, inner;
    int32_t exponentials;
} npu_log_softmax_layer;

/* S = sum exponential[max - x], L = log(S / 2^24) with 16 fraction bits (257 entries of log(1 + i / 256));
 * clamp(zero_point + round(-((max - x) * multiplier + L * log_multiplier) / 2^shift), low, high) */
ptrdiff_t npu_log_softmax_scratch(const npu_log_softmax_layer *layer);
void npu_log_softmax(const npu_log_softmax_layer *layer, const void *input, const uint32_t *exponential,
                     const int32_t *table, void *output, void *scratch);

/* ---- windows and reductions ---- */

typedef struct npu_pool_layer {
    npu_codes input;
    int32_t output_type;
    int32_t planes; /* batch * channels */
    int32_t input_height, input_width;
    int32_t output_height, output_width;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t dilation_height, dilation_width;
} npu_pool_layer;

/* Maximum of the codes of the window that lie inside the input. */
void npu_max_pool(const npu_pool_layer *layer, const void *input, void *output);
/* R_i(sum (x - z)) over the window inside the input; i = divisor_index[output row * output width + column]. */
ptrdiff_t npu_average_pool_scratch(const npu_pool_layer *layer);
void npu_average_pool(const npu_pool_layer *layer, const npu_requantize *requantize, const void *input,
                      const uint8_t *divisor_index, void *output, void *scratch);

typedef struct npu_reduce_layer {
    npu_codes input;
    int32_t output_type;
    npu_requantize requantize; /* npu_reduce_sum only */
    int32_t kept_rank;         /* 0..NPU_MAX_RANK */
    int32_t kept_shape[NPU_MAX_RANK];
    int32_t kept_strides[NPU_MAX_RANK]; /* in elements of the input */
    int32_t reduced_rank;
    int32_t reduced_shape[NPU_MAX_RANK];
    int32_t reduced_strides[NPU_MAX_RANK];
} npu_reduce_layer;

/* R(sum (x - z)) */
void npu_reduce_sum(const npu_reduce_layer *layer, const void *input, void *output);
/* max x, min x */
void npu_reduce_max(const npu_reduce_layer *layer, const void *input, void *output);
void npu_reduce_min(const npu_reduce_layer *layer, const void *input, void *output);

typedef struct npu_arg_layer {
    int32_t input_type;
    int32_t output_type;
    int32_t zero_point; /* added to every position */
    int32_t smallest;   /* 1: position of the smallest code */
    int32_t last;       /* 1: of equal codes the last one */
    int32_t outer, length, inner;
} npu_arg_layer;

/* zero_point + position of the largest (or smallest) code along `length`. */
ptrdiff_t npu_arg_scratch(const npu_arg_layer *layer);
void npu_arg(const npu_arg_layer *layer, const void *input, void *output, void *scratch);

/* ---- data movement ---- */

typedef struct npu_copy_layer {
    int32_t element_size; /* 1 or 2 bytes */
    int32_t rank;         /* 1..NPU_MAX_RANK */
    int32_t shape[NPU_MAX_RANK];
    int32_t input_strides[NPU_MAX_RANK]; /* in elements; may be negative */
    int32_t input_offset;
    int32_t output_strides[NPU_MAX_RANK];
    int32_t output_offset;
} npu_copy_layer;

/* output[output_offset + i . output_strides] = input[input_offset + i . input_strides]: transpose, slice, pad ... */
void npu_copy(const npu_copy_layer *layer, const void *input, void *output);

/* Sets `count` elements of `element_size` (1 or 2) bytes to `code`. */
void npu_fill(int32_t element_size, int32_t count, int32_t code, void *output);

enum { NPU_PAD_EDGE = 0, NPU_PAD_REFLECT = 1 };

typedef struct npu_pad_layer {
    int32_t element_size;
    int32_t mode;
    int32_t rank;
    int32_t input_shape[NPU_MAX_RANK]; /* of the part of the input that is kept and extended */
    int32_t input_strides[NPU_MAX_RANK];
    int32_t input_offset;
    int32_t output_shape[NPU_MAX_RANK];
    int32_t begin[NPU_MAX_RANK]; /* elements added in front */
} npu_pad_layer;

/* Extends every axis by repeating the edge or by mirroring; constant padding is npu_fill and npu_copy. */
void npu_pad(const npu_pad_layer *layer, const void *input, void *output);

typedef struct npu_gather_layer {
    int32_t element_size;
    int32_t outer, extent, inner; /* the input is viewed as (outer, extent, inner) */
    int32_t count;                /* the output as (outer, count, inner) */
} npu_gather_layer;

void npu_gather(const npu_gather_layer *layer, const void *input, const int32_t *indices, void *output);

typedef struct npu_resize_layer {
    npu_codes input;
    int32_t output_type;
    npu_requantize requantize; /* npu_resize_linear only */
    int32_t weight_bits;
    int32_t planes;
    int32_t input_height, input_width;
    int32_t output_height, output_width;
} npu_resize_layer;

/* output[r][c] = input[rows[r]][columns[c]] */
void npu_resize_nearest(const npu_resize_layer *layer, const void *input, const int32_t *rows, const int32_t *columns,
                        void *output);

typedef struct npu_resize_axis {
    const int32_t *low;
    const int32_t *high;
    const int32_t *weight; /* of `high`, 0..2^weight_bits; `low` has the rest */
} npu_resize_axis;

/* R(sum over both axes of weight * weight * (x - z)) */
ptrdiff_t npu_resize_linear_scratch(const npu_resize_layer *layer);
void npu_resize_linear(const npu_resize_layer *layer, const void *input, const npu_resize_axis *rows,
                       const npu_resize_axis *columns, void *output, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
