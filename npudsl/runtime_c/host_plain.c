/* SPDX-License-Identifier: Apache-2.0
 *
 * Where there are no vectors we know, convolutions and linear layers run on the kernels that are exported. Elsewhere
 * nobody calls them, and compiling them takes time. They are here under other names: a .c file would be a unit.
 */
#include "host_shape.h"

#if LANES == 0

#include "npu_products.inc"

#include "npu_convolution.inc"
#include "npu_matrix.inc"

#else

typedef int host_plain_is_empty; /* C99 wants a declaration in every file */

#endif
