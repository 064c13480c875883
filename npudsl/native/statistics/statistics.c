/* One pass over float32 values: exact minimum and maximum, the first value that is not finite, and counters over the
 * upper 16 bits of every pattern. Equals the numpy version in npudsl/numerics/pattern_counters.py bit for bit.
 *
 * Values are read as their bit patterns only: no rounding, no flushing of denormals, whatever the compiler's flags are.
 * They are counted in four interleaved tables (pattern * 4 + lane): neighbours in an activation are often equal, zero
 * above all, and an increment that follows another one of the same word waits for it. Interleaved, because tables a power
 * of two apart would fall into the same sets of the first-level cache. The lanes serve all tensors, so they stay in the
 * cache; what they hold is added to the tensor's own counters at the end, which takes a scan over the patterns that can
 * have occurred. Rejected: lanes per tensor (no scan, but four times the memory, cold whenever a tensor's turn comes: 1.6
 * times as slow over a network); intrinsics that leave zeros out before counting (no gain beside the time of memory);
 * 16-bit lanes (as fast, but must be emptied often).
 * A block is seen twice, first for the extremes (this loop vectorizes), then for the counters; the second loop fetches
 * the next block, else memory would idle in it.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PATTERNS 65536u
#define LANES ((size_t)4)
#define BLOCK ((size_t)2048)
#define GROUP ((size_t)16)
#define LANE_LIMIT 0x80000000u /* values, a multiple of BLOCK, after which a lane could come near its end */

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch((const void *)(address))
#else
#define FETCH(address) ((void)(address))
#endif

/* Patterns as unsigned numbers in the order of the values they stand for; NaN lies beyond the infinities. */
#define MINUS_ZERO 0x80000000u
#define ORDERED(pattern) ((pattern) ^ ((0u - ((pattern) >> 31)) | MINUS_ZERO))
#define PATTERN(ordered) ((ordered) >> 31 ? (ordered) ^ MINUS_ZERO : ~(ordered))
#define ORDERED_INFINITY 0xFF800000u
#define ORDERED_MINUS_INFINITY 0x007FFFFFu

static void count_block(const uint32_t *block, size_t size, uint32_t *lanes)
{
    size_t i = 0;
    for (; i + 16 <= size; i += 16) {
        FETCH((uintptr_t)(block + i) + BLOCK * sizeof *block);
        for (size_t k = i; k < i + 16; k += 4) {
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
        lanes[(size_t)(block[i] >> 16) * LANES]++;
}

/* Add the lanes of the patterns `first` .. `last`, up to whole groups, to the counters, and clear them. Returns `end`,
 * raised behind `last`. */
static uint32_t add_lanes(uint32_t *lanes, uint32_t first, uint32_t last, int64_t *counters, uint32_t end)
{
    for (size_t pattern = first; pattern <= last; pattern += GROUP) {
        uint32_t *group = lanes + pattern * LANES;
        uint32_t any = 0;
        for (size_t k = 0; k < GROUP * LANES; k++)
            any |= group[k];
        if (any == 0)
            continue;
        for (size_t k = 0; k < GROUP; k++)
            counters[pattern + k] +=
                (int64_t)group[LANES * k] + group[LANES * k + 1] + group[LANES * k + 2] + group[LANES * k + 3];
        memset(group, 0, GROUP * LANES * sizeof *group);
    }
    return last < end ? end : last + 1;
}

static uint64_t first_not_finite(const uint32_t *values, uint64_t count)
{
    uint64_t index = 0;
    while (index < count && (values[index] & 0x7F800000u) != 0x7F800000u)
        index++;
    return index;
}

/* Add `count` >= 1 values to `counters` (65536). `lanes` are 65536 * 4 zeros, and are zeros again at the end. `ends` are
 * where the patterns of each sign that have occurred end (at first 0 and 0x8000); they are raised. `extremes` become the
 * patterns of minimum and maximum, with zero for minus zero. Returns the index of the first NaN or infinity, `count` when
 * there is none; if there is one, everything else is as it was or, of more than LANE_LIMIT values, meaningless. */
uint64_t npudsl_observe(const uint32_t *values, uint64_t count, uint32_t *lanes, int64_t *counters, uint32_t *ends,
                        uint32_t *extremes)
{
    uint32_t low = UINT32_MAX, high = 0;
    for (uint64_t start = 0; start < count; start += BLOCK) {
        const uint32_t *block = values + start;
        const size_t size = count - start < BLOCK ? (size_t)(count - start) : BLOCK;
        for (size_t k = 0; k < size; k++) {
            const uint32_t ordered = ORDERED(block[k]);
            low = ordered < low ? ordered : low;
            high = ordered > high ? ordered : high;
        }
        if (start % LANE_LIMIT == 0 && start != 0)
            (void)add_lanes(lanes, 0, PATTERNS - 1, counters, 0);
        count_block(block, size, lanes);
    }
    if (low <= ORDERED_MINUS_INFINITY || high >= ORDERED_INFINITY) {
        memset(lanes, 0, (uint64_t)PATTERNS * LANES * sizeof *lanes);
        return first_not_finite(values, count);
    }
    low = PATTERN(low);
    high = PATTERN(high);
    if (high < MINUS_ZERO)
        ends[0] = add_lanes(lanes, 0, high >> 16, counters, ends[0]);
    if (low >= MINUS_ZERO)
        ends[1] = add_lanes(lanes, MINUS_ZERO >> 16, low >> 16, counters, ends[1]);
    extremes[0] = low == MINUS_ZERO ? 0 : low;
    extremes[1] = high == MINUS_ZERO ? 0 : high;
    return count;
}
