/* One pass over float32 values: exact minimum and maximum, the first value that is not finite, and counters over the
 * upper 16 bits of every pattern. Equals the numpy version in npudsl/numerics/pattern_counters.py bit for bit.
 *
 * Values are read as their bit patterns only: no rounding, no flushing of denormals, whatever the compiler's flags are.
 * Counters are four interleaved tables (pattern * 4 + lane): neighbours in an activation are often equal, zero above
 * all, and an increment that follows another one of the same word waits for it. Interleaved, because four tables a power
 * of two apart would fall into the same sets of the first-level cache.
 * A block is seen twice, first for the extremes (this loop vectorizes), then for the counters; the second loop fetches
 * the next block, else memory would idle in it. Rejected: intrinsics that leave zeros out before counting (no gain
 * beside the time of memory); 16-bit tables (as fast, but must be emptied often).
 */
#include <stdint.h>
#include <string.h>

#define BLOCK 2048u
#define LANES 4u

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)(address))
#endif

/* Patterns as unsigned numbers in the order of the values they stand for; NaN lies beyond the infinities. */
#define ORDERED(pattern) ((pattern) ^ ((0u - ((pattern) >> 31)) | MINUS_ZERO))
#define PATTERN(ordered) ((ordered) >> 31 ? (ordered) ^ MINUS_ZERO : ~(ordered))
#define MINUS_ZERO 0x80000000u
#define ORDERED_INFINITY 0xFF800000u
#define ORDERED_MINUS_INFINITY 0x007FFFFFu

static uint64_t first_not_finite(const uint32_t *values, uint64_t count)
{
    uint64_t index = 0;
    while (index < count && (values[index] & 0x7F800000u) != 0x7F800000u)
        index++;
    return index;
}

/* Count `count` >= 1 values into `lanes`: 65536 * 4 counters, which are added to; none may pass 2^32 - 1. `ends` are
 * where the patterns of each sign that have occurred end (at first 0 and 0x8000); they are raised. `extremes` become the
 * patterns of minimum and maximum, with zero for minus zero. Returns the index of the first NaN or infinity, `count` when
 * there is none; if there is one, everything else is meaningless. */
uint64_t npudsl_observe(const uint32_t *values, uint64_t count, uint32_t *lanes, uint32_t *ends, uint32_t *extremes)
{
    uint32_t low = UINT32_MAX, high = 0;
    for (uint64_t start = 0; start < count; start += BLOCK) {
        const uint32_t *block = values + start;
        const uint32_t size = count - start < BLOCK ? (uint32_t)(count - start) : BLOCK;
        uint32_t i = 0;
        for (uint32_t k = 0; k < size; k++) {
            const uint32_t ordered = ORDERED(block[k]);
            low = ordered < low ? ordered : low;
            high = ordered > high ? ordered : high;
        }
        for (; i + 16 <= size; i += 16) {
            FETCH(block + i + BLOCK);
            for (uint32_t k = i; k < i + 16; k += 4) {
                uint64_t first, second; /* two values each; which of them comes first does not matter */
                memcpy(&first, block + k, sizeof first);
                memcpy(&second, block + k + 2, sizeof second);
                lanes[((first >> 16) & 0xFFFFu) * LANES]++;
                lanes[(first >> 48) * LANES + 1]++;
                lanes[((second >> 16) & 0xFFFFu) * LANES + 2]++;
                lanes[(second >> 48) * LANES + 3]++;
            }
        }
        for (; i < size; i++)
            lanes[(block[i] >> 16) * LANES]++;
    }
    if (low <= ORDERED_MINUS_INFINITY || high >= ORDERED_INFINITY)
        return first_not_finite(values, count);
    low = PATTERN(low);
    high = PATTERN(high);
    if (high < MINUS_ZERO && (high >> 16) >= ends[0])
        ends[0] = (high >> 16) + 1;
    if (low >= MINUS_ZERO && (low >> 16) >= ends[1])
        ends[1] = (low >> 16) + 1;
    extremes[0] = low == MINUS_ZERO ? 0 : low;
    extremes[1] = high == MINUS_ZERO ? 0 : high;
    return count;
}

static uint64_t collect_half(const uint32_t *lanes, uint32_t first, uint32_t end, uint16_t *patterns, int64_t *counts)
{
    uint64_t found = 0;
    for (uint32_t pattern = first; pattern < end; pattern++) {
        const uint32_t *lane = lanes + (uint64_t)pattern * LANES;
        if ((lane[0] | lane[1] | lane[2] | lane[3]) == 0)
            continue;
        patterns[found] = (uint16_t)pattern;
        counts[found] = (int64_t)((uint64_t)lane[0] + lane[1] + lane[2] + lane[3]);
        found++;
    }
    return found;
}

/* The patterns that occurred, ascending, and how often; there is room for ends[0] + ends[1] - 0x8000 of them. Returns how
 * many there are. Nothing behind the ends is looked at: reading memory that was never written costs a page fault. */
uint64_t npudsl_collect(const uint32_t *lanes, const uint32_t *ends, uint16_t *patterns, int64_t *counts)
{
    const uint64_t found = collect_half(lanes, 0, ends[0], patterns, counts);
    return found + collect_half(lanes, MINUS_ZERO >> 16, ends[1], patterns + found, counts + found);
}
