/* SPDX-License-Identifier: Apache-2.0
 *
 * Which vectors this processor has, and the blocks of sums that fill its registers. Apart from host_lanes.h, because the
 * compiler's own header of vector instructions takes longer to read than most of our files.
 */
#ifndef HOST_SHAPE_H
#define HOST_SHAPE_H

/* LANES: int32_t of one vector, 0 where we know no vectors. ROWS, COLUMNS: channels and vectors of positions of a block. */
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define LANES 16
#define ROWS 8 /* 8 * 3 sums, 3 words of codes and one of weights: 28 of 32 registers */
#define COLUMNS 3
#if defined(__AVX512VNNI__)
#define HAVE_BYTE_DOTS 1
#endif
#elif defined(__AVX2__)
#define LANES 8
#define ROWS 4 /* 4 * 2 sums and 3 words: 11 of 16 registers, and room for products */
#define COLUMNS 2
#else
#define LANES 0
#endif

#endif
