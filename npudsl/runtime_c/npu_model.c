/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading and checking a weights file; see npu_model.h.
 */
#include "npu_model.h"

#include <string.h>

const char *npu_status_text(int status)
{
    switch (status) {
    case NPU_OK:
        return "no error";
    case NPU_NOT_WEIGHTS:
        return "not a weights file";
    case NPU_WEIGHTS_SIZE:
        return "the weights file is cut off or too long";
    case NPU_OTHER_WEIGHTS:
        return "the weights belong to another model or to another export of this one";
    case NPU_DAMAGED_WEIGHTS:
        return "the weights are damaged (checksum)";
    case NPU_ARENA_SIZE:
        return "the arena is too small";
    case NPU_ALIGNMENT:
        return "the arena and the weights have to start at a multiple of 8 bytes";
    default:
        return "unknown error";
    }
}

uint32_t npu_checksum(const void *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    uint32_t table[256];
    uint32_t checksum = UINT32_MAX;
    uint32_t value, entry;
    int bit;
    for (entry = 0; entry < 256; entry++) {
        value = entry;
        for (bit = 0; bit < 8; bit++)
            value = (value & 1u) != 0 ? (value >> 1) ^ 0xEDB88320u : value >> 1;
        table[entry] = value;
    }
    for (; size > 0; size--)
        checksum = (checksum >> 8) ^ table[(checksum ^ *bytes++) & 0xFFu];
    return checksum ^ UINT32_MAX;
}

static uint32_t read_word(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static int is_big_endian(void)
{
    const uint16_t probe = 1;
    unsigned char first;
    memcpy(&first, &probe, 1);
    return first == 0;
}

static void turn_round(unsigned char *bytes, uint32_t count, uint32_t element_size)
{
    uint32_t index;
    for (; count > 0; count--, bytes += element_size) {
        for (index = 0; index < element_size / 2; index++) {
            const unsigned char byte = bytes[index];
            bytes[index] = bytes[element_size - 1 - index];
            bytes[element_size - 1 - index] = byte;
        }
    }
}

static int32_t first_damaged(const unsigned char *payload, const npu_constant *constants, int32_t count)
{
    int32_t index;
    for (index = 0; index < count; index++) {
        const size_t size = (size_t)constants[index].count * constants[index].element_size;
        if (npu_checksum(payload + constants[index].offset, size) != constants[index].checksum)
            return index;
    }
    return -1;
}

int npu_load_weights(void *file, size_t size, uint32_t payload_checksum, const npu_constant *constants, int32_t count,
                     const void **addresses, int32_t *damaged)
{
    unsigned char *header = (unsigned char *)file;
    unsigned char *payload = header + NPU_WEIGHTS_HEADER;
    int32_t index;

    *damaged = -1;
    if ((uintptr_t)file % 8 != 0)
        return NPU_ALIGNMENT;
    if (size < NPU_WEIGHTS_HEADER || memcmp(header, "NPUW", 4) != 0 || read_word(header + 4) != NPU_WEIGHTS_FORMAT)
        return NPU_NOT_WEIGHTS;
    if (size - NPU_WEIGHTS_HEADER != read_word(header + 8))
        return NPU_WEIGHTS_SIZE;
    if (read_word(header + 12) != payload_checksum || read_word(header + 16) != (uint32_t)count)
        return NPU_OTHER_WEIGHTS;
    if (npu_checksum(payload, size - NPU_WEIGHTS_HEADER) != payload_checksum) {
        *damaged = first_damaged(payload, constants, count);
        return NPU_DAMAGED_WEIGHTS;
    }
    for (index = 0; index < count; index++) {
        if (is_big_endian())
            turn_round(payload + constants[index].offset, constants[index].count, constants[index].element_size);
        addresses[index] = payload + constants[index].offset;
    }
    return NPU_OK;
}
