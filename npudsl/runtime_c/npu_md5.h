/* SPDX-License-Identifier: Apache-2.0
 *
 * MD5 (RFC 1321), for comparing layers with the list of an export; not for anything that needs security.
 */
#ifndef NPU_MD5_H
#define NPU_MD5_H

#include <stddef.h>

/* Writes 32 hexadecimal digits and a closing 0. */
void npu_md5(const void *data, size_t size, char text[33]);

#endif
