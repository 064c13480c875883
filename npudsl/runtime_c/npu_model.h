/* SPDX-License-Identifier: Apache-2.0
 *
 * What every exported model has in common: descriptions of its tensors and constants, and the weights file.
 *
 * A weights file is a header of 32 bytes and a payload, all numbers little endian:
 *     0  "NPUW"    4  format (1)    8  bytes of the payload    12  CRC-32 of the payload    16  number of constants
 * A constant starts at a multiple of 16 bytes of the payload; the gaps are zero. Which constant lies where is known to
 * the model's source, so a file of another model or of another export is refused.
 */
#ifndef NPU_MODEL_H
#define NPU_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "npu_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NPU_WEIGHTS_HEADER 32
#define NPU_WEIGHTS_FORMAT 1

/* What the init function of a model returns. */
enum {
    NPU_OK = 0,
    NPU_NOT_WEIGHTS,     /* no weights file */
    NPU_WEIGHTS_SIZE,    /* cut off or too long */
    NPU_OTHER_WEIGHTS,   /* the weights of another model or of another export of this one */
    NPU_DAMAGED_WEIGHTS, /* checksum error; `damaged` says in which constant */
    NPU_ARENA_SIZE,      /* arena too small */
    NPU_ALIGNMENT        /* arena or weights do not start at a multiple of 8 */
};

const char *npu_status_text(int status);

typedef struct npu_tensor {
    const char *name;
    const char *layer; /* the layer that makes it; "" for an input of the model */
    const char *file;  /* name of its dump */
    int32_t type;
    int32_t zero_point;
    int32_t low; /* smallest and largest code that quantizing gives */
    int32_t high;
    int32_t size;   /* elements */
    uint32_t offset; /* bytes from the start of the arena */
    int32_t rank;
    int32_t shape[NPU_MAX_RANK];
} npu_tensor;

typedef struct npu_constant {
    const char *name; /* layer/role */
    uint32_t offset;  /* bytes from the start of the payload */
    uint32_t count;
    uint32_t element_size;
    uint32_t checksum; /* CRC-32 of its bytes in the file */
} npu_constant;

/* CRC-32 (the one of zip and Ethernet). */
uint32_t npu_checksum(const void *data, size_t size);

/* Checks a weights file in memory and fills `addresses`. On a big-endian machine the constants are turned round in
 * place, so that a file can be loaded once. On NPU_DAMAGED_WEIGHTS `damaged` gets the index of the constant, or -1. */
int npu_load_weights(void *file, size_t size, uint32_t payload_checksum, const npu_constant *constants, int32_t count,
                     const void **addresses, int32_t *damaged);

#ifdef __cplusplus
}
#endif

#endif
