/* SPDX-License-Identifier: Apache-2.0
 *
 * MD5 (RFC 1321). The 64 words are floor(2^32 * |sin(1..64)|).
 */
#include "npu_md5.h"

#include <stdint.h>
#include <string.h>

#define BLOCK 64

static const uint32_t sines[64] = {
    0xD76AA478u, 0xE8C7B756u, 0x242070DBu, 0xC1BDCEEEu, 0xF57C0FAFu, 0x4787C62Au, 0xA8304613u, 0xFD469501u,
    0x698098D8u, 0x8B44F7AFu, 0xFFFF5BB1u, 0x895CD7BEu, 0x6B901122u, 0xFD987193u, 0xA679438Eu, 0x49B40821u,
    0xF61E2562u, 0xC040B340u, 0x265E5A51u, 0xE9B6C7AAu, 0xD62F105Du, 0x02441453u, 0xD8A1E681u, 0xE7D3FBC8u,
    0x21E1CDE6u, 0xC33707D6u, 0xF4D50D87u, 0x455A14EDu, 0xA9E3E905u, 0xFCEFA3F8u, 0x676F02D9u, 0x8D2A4C8Au,
    0xFFFA3942u, 0x8771F681u, 0x6D9D6122u, 0xFDE5380Cu, 0xA4BEEA44u, 0x4BDECFA9u, 0xF6BB4B60u, 0xBEBFBC70u,
    0x289B7EC6u, 0xEAA127FAu, 0xD4EF3085u, 0x04881D05u, 0xD9D4D039u, 0xE6DB99E5u, 0x1FA27CF8u, 0xC4AC5665u,
    0xF4292244u, 0x432AFF97u, 0xAB9423A7u, 0xFC93A039u, 0x655B59C3u, 0x8F0CCC92u, 0xFFEFF47Du, 0x85845DD1u,
    0x6FA87E4Fu, 0xFE2CE6E0u, 0xA3014314u, 0x4E0811A1u, 0xF7537E82u, 0xBD3AF235u, 0x2AD7D2BBu, 0xEB86D391u
};

/* Rotations of the four steps of each round. */
static const unsigned rotations[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static void digest_block(uint32_t state[4], const unsigned char *block)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t words[16];
    unsigned step;

    for (step = 0; step < 16; step++)
        words[step] = (uint32_t)block[4 * step] | (uint32_t)block[4 * step + 1] << 8 |
                      (uint32_t)block[4 * step + 2] << 16 | (uint32_t)block[4 * step + 3] << 24;
    for (step = 0; step < 64; step++) {
        const unsigned round = step / 16;
        const unsigned rotation = rotations[round][step % 4];
        uint32_t mixed, sum;
        unsigned word;
        if (round == 0) {
            mixed = (b & c) | (~b & d);
            word = step;
        } else if (round == 1) {
            mixed = (d & b) | (~d & c);
            word = (5 * step + 1) % 16;
        } else if (round == 2) {
            mixed = b ^ c ^ d;
            word = (3 * step + 5) % 16;
        } else {
            mixed = c ^ (b | ~d);
            word = 7 * step % 16;
        }
        sum = a + mixed + words[word] + sines[step];
        a = d;
        d = c;
        c = b;
        b += (sum << rotation) | (sum >> (32 - rotation));
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

void npu_md5(const void *data, size_t size, char text[33])
{
    const unsigned char *bytes = (const unsigned char *)data;
    const size_t tail = size % BLOCK;
    const size_t tail_blocks = tail < BLOCK - 8 ? 1 : 2;
    const uint64_t bits = (uint64_t)size * 8;
    uint32_t state[4] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u};
    unsigned char last[2 * BLOCK] = {0};
    size_t index;

    for (index = 0; index + BLOCK <= size; index += BLOCK)
        digest_block(state, bytes + index);
    if (tail > 0)
        memcpy(last, bytes + size - tail, tail);
    last[tail] = 0x80;
    for (index = 0; index < 8; index++)
        last[tail_blocks * BLOCK - 8 + index] = (unsigned char)(bits >> (8 * index) & 0xFFu);
    for (index = 0; index < tail_blocks; index++)
        digest_block(state, last + index * BLOCK);
    for (index = 0; index < 32; index++) {
        const uint32_t byte = state[index / 8] >> (8 * (index / 2 % 4));
        text[index] = "0123456789abcdef"[(index % 2 == 0 ? byte >> 4 : byte) & 15u];
    }
    text[32] = '\0';
}
