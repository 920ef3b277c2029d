/* Work-group sizes.
 *
 * On a CPU a group is a thread's loop: groups of one item cost least and never pad. On other devices a group is a power of two
 * along the first dimension and divides the others, so that only the first dimension is padded; kernels check their bounds
 * there.
 */
#include "device/opencl/work_group_size.h"

#include <assert.h>
#include <string.h>

/* Enough for any device to hide latency with several groups, small enough for kernels with many registers. */
enum { GROUP = 128 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t round_up(size_t n, size_t multiple) {
    assert(multiple > 0);
    return (n + multiple - 1) / multiple * multiple;
}

static size_t power_below(size_t n) {
    size_t power = 1;
    while (power <= n / 2) power *= 2;
    return power;
}

/* The largest power of two up to `most` that pads n by an eighth at most; `wanted` (a hardware vector) may pad by anything. */
static size_t choose_first(size_t n, size_t most, size_t wanted) {
    size_t power = power_below(most);
    while (power > wanted && (power >= 2 * n || round_up(n, power) - n > n / 8)) power /= 2;
    while (power > 1 && power >= 2 * n) power /= 2;
    return power;
}

static size_t largest_divisor(size_t n, size_t most) {
    size_t divisor = least(n, most);
    while (divisor > 1 && n % divisor) divisor--;
    return divisor ? divisor : 1; /* whatever a driver says of its limits */
}

static void choose(const clm_work_group_limits *limits, const size_t global[3], size_t local[3]) {
    size_t left = least(limits->group, GROUP);
    local[0] = choose_first(global[0], least(left, limits->item[0]), limits->multiple);
    for (int i = 1; i < 3; i++) {
        assert(local[i - 1] > 0);
        left /= local[i - 1];
        local[i] = largest_divisor(global[i], least(left, limits->item[i]));
    }
}

/* The largest dimension first, by its smallest factor, so that a multiple of the old size is one of the new. */
static void shrink(const clm_work_group_limits *limits, size_t local[3]) {
    for (int i = 0; i < 3; i++) local[i] = largest_divisor(local[i] ? local[i] : 1, limits->item[i]);
    while (local[0] * local[1] * local[2] > limits->group) {
        int widest = 0;
        for (int i = 1; i < 3; i++) {
            if (local[i] > local[widest]) widest = i;
        }
        local[widest] = largest_divisor(local[widest], local[widest] - 1);
    }
}

static clm_status check_required(const clm_work_group_limits *limits) {
    const size_t *r = limits->required;
    bool fits = r[0] * r[1] * r[2] <= limits->group;
    for (int i = 0; i < 3; i++) fits = fits && r[i] <= limits->item[i];
    if (fits) return CLM_OK;
    return clm_fail(CLM_E_LIMIT, "needs work-groups of %zu x %zu x %zu items, the device gives %zu", r[0], r[1], r[2],
                    limits->group);
}

clm_status clm_work_group_choose(const clm_work_group_limits *limits, size_t global[3], size_t local[3]) {
    for (int i = 0; i < 3; i++) {
        if (global[i] == 0) global[i] = 1;
    }
    if (limits->required[0]) {
        CLM_TRY(check_required(limits));
        memcpy(local, limits->required, sizeof limits->required);
    } else if (local[0]) {
        shrink(limits, local);
    } else if (limits->type == CLM_DEVICE_CPU) {
        local[0] = local[1] = local[2] = 1;
    } else {
        choose(limits, global, local);
    }
    for (int i = 0; i < 3; i++) global[i] = round_up(global[i], local[i]);
    return CLM_OK;
}
