/* SPDX-License-Identifier: Apache-2.0
 *
 * Requantization of rows of sums in float64, with int64_t for the channels whose results float64 cannot promise.
 */
#ifndef HOST_ROUNDING_H
#define HOST_ROUNDING_H

#include "npu_host.h"

/* Stores the codes of `count` sums of one channel from `output` on. */
void host_finish(const npu_host_rule *rule, ptrdiff_t channel, const int32_t *sums, ptrdiff_t count, void *output);

/* The same for sums that are whole float64 numbers below 2^53. */
void host_finish_reals(const npu_host_rule *rule, ptrdiff_t channel, const double *sums, ptrdiff_t count, void *output);

#endif
