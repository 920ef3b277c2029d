/* Which kernels this process has built together, for drivers that keep what they compile under the text of a whole program.
 *
 * Parts of a CPU and the whole are devices of their own, with programs of their own. Where one has built a kernel together with
 * others, the next builds the same program once more, which the driver finds on disk, instead of a program that has the kernel among
 * new ones, where it would be compiled again. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "device/opencl/opencl.h"

enum { MOST = 64 }; /* programs; those of later ones are built as if they were new */

static struct known {
    uint64_t kind; /* of device */
    clm_cl_member *members;
    size_t count;
} known[MOST];
static size_t known_count;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void lock(void) {
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {}
}

static void unlock(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

static bool is_of_use(const clm_cl_device *d) { return d->avoid & CLM_AVOID_ONE_PROCESS; }

uint64_t clm_cl_kind(const clm_cl_device *d) {
    const clm_device_info *info = &d->base.info;
    const int which[] = {info->platform_index, info->device_index};
    const uint64_t h = clm_hash(clm_hash(CLM_HASH_SEED, which, sizeof which), &d->avoid, sizeof d->avoid);
    return clm_hash(h, info->name, clm_cl_name_length(d));
}

static const struct known *find(uint64_t kind, const char *text, const char *defines) {
    for (size_t i = 0; i < known_count; i++)
        for (size_t k = 0; k < known[i].count && known[i].kind == kind; k++)
            if (!strcmp(known[i].members[k].text, text) && !strcmp(known[i].members[k].defines, defines)) return &known[i];
    return NULL;
}

static void free_members(clm_cl_member *members, size_t count) {
    for (size_t i = 0; members && i < count; i++) {
        free((char *)members[i].text);
        free((char *)members[i].defines);
    }
    free(members);
}

void clm_cl_joined_keep(clm_cl_device *d, const clm_cl_member *members, size_t count) {
    if (!is_of_use(d)) return;
    const uint64_t kind = clm_cl_kind(d);
    clm_cl_member *copy = clm_calloc(count + 1, sizeof *copy);
    bool whole = copy != NULL;
    for (size_t i = 0; i < count && whole; i++) {
        copy[i] = members[i];
        copy[i].text = clm_strdup(members[i].text);
        copy[i].defines = clm_strdup(members[i].defines);
        whole = copy[i].text && copy[i].defines;
    }
    lock();
    const bool wanted = whole && known_count < MOST && !find(kind, members[0].text, members[0].defines);
    if (wanted) known[known_count++] = (struct known){.kind = kind, .members = copy, .count = count};
    unlock();
    if (!wanted) free_members(copy, count); /* it can only save time */
}

size_t clm_cl_joined_with(clm_cl_device *d, const char *text, const char *defines, const clm_cl_member **members) {
    if (!is_of_use(d)) return 0;
    const uint64_t kind = clm_cl_kind(d);
    lock();
    const struct known *found = find(kind, text, defines);
    unlock();
    *members = found ? found->members : NULL;
    return found ? found->count : 0;
}
