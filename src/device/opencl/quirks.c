/* The table of driver quirks.
 *
 * An entry needs a fault that was seen, the versions that have it, and something that this library does differently. What can
 * be asked of a device (limits, features) does not belong here. */
#include "device/opencl/quirks.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static const clm_cl_quirk quirks[] = {
    {"oclgrind-writes", "Oclgrind", NULL, -1, NULL, "21.10.1", CLM_AVOID_WRITES,
     "once the host has written or filled a part of a buffer, the rest of it counts as uninitialised, also what kernels write"},
    {"oclgrind-freeze", "Oclgrind", NULL, -1, NULL, "21.10.1", CLM_AVOID_OPTIMIZER,
     "the simulator does not know the instruction `freeze`, which LLVM's optimiser makes"},
    {"apple-cpu-groups", "Apple", NULL, CLM_DEVICE_CPU, NULL, NULL, CLM_AVOID_GROUPS,
     "it offers work-groups of 1024 items, and refuses more than one once a kernel has a barrier"},
    {"pocl-binaries", "Portable Computing Language", NULL, -1, NULL, NULL, CLM_AVOID_BINARIES,
     "asked for a binary it compiles every kernel again, for sizes that are never used; what it compiled it keeps on disk "
     "itself"},
    {"pocl-one-compiler", "Portable Computing Language", NULL, CLM_DEVICE_CPU, NULL, NULL, CLM_AVOID_ONE_PROCESS,
     "it compiles a kernel when it is first launched, one at a time in a process; other processes find it on disk"},
    {"pocl-thrice", "Portable Computing Language", NULL, CLM_DEVICE_CPU, NULL, NULL, CLM_AVOID_WHOLE_KERNELS,
     "it makes three functions of a kernel, of which one is called, and compiles all that the kernel does in each"},
    {"pocl-sleep", "Portable Computing Language", NULL, CLM_DEVICE_CPU, NULL, NULL, CLM_AVOID_SLEEP,
     "a thread that has done its share of a launch sleeps, and is woken 10 to 30 microseconds after the next one is there; "
     "threads of sub-devices work independently"},
    {"rusticl-chains", "rusticl", NULL, -1, NULL, NULL, CLM_AVOID_TASK_KERNELS,
     "it compiles a kernel that chooses among buffers for minutes, and warns that its results may be wrong"},
};
enum { QUIRKS = sizeof quirks / sizeof *quirks };

const clm_cl_quirk *clm_cl_quirk_at(size_t index) { return index < QUIRKS ? &quirks[index] : NULL; }

/* ---- matching ---- */

static const char *next_number(const char *text, unsigned long *value) {
    char *end;
    while (*text && !isdigit((unsigned char)*text)) text++;
    *value = strtoul(text, &end, 10);
    return end;
}

int clm_cl_version_compare(const char *a, const char *b) {
    for (int i = 0; i < 4; i++) {
        unsigned long x, y;
        a = next_number(a, &x);
        b = next_number(b, &y);
        if (x != y) return x < y ? -1 : 1;
        if (*a != '.') a = ""; /* what follows is no part of the version */
        if (*b != '.') b = "";
    }
    return 0;
}

bool clm_cl_quirk_matches(const clm_cl_quirk *q, const clm_device_info *info) {
    if (q->platform && !strstr(info->platform, q->platform)) return false;
    if (q->device && !strstr(info->name, q->device)) return false;
    if (q->type >= 0 && (int)info->type != q->type) return false;
    if (q->from && clm_cl_version_compare(info->driver, q->from) < 0) return false;
    return !q->before || clm_cl_version_compare(info->driver, q->before) < 0;
}

/* ---- the user's wish ---- */

static int find(const char *name, size_t length) {
    for (int i = 0; i < QUIRKS; i++) {
        if (strlen(quirks[i].name) == length && !strncmp(quirks[i].name, name, length)) return i;
    }
    return -1;
}

static clm_status fail_word(const char *word, size_t length) {
    char names[512] = "";
    for (int i = 0; i < QUIRKS; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", quirks[i].name);
    }
    return clm_fail(CLM_E_ARG, "CLMAML_QUIRKS: \"%.*s\" is not none, +NAME or -NAME; the names are %s", (int)length, word,
                    names);
}

/* Changes `applies` by a list such as "none,+oclgrind-writes". */
static clm_status apply_wish(const char *text, bool applies[QUIRKS]) {
    while (*text) {
        size_t length = strcspn(text, ",");
        int known = length > 1 ? find(text + 1, length - 1) : -1;
        if (length == 4 && !strncmp(text, "none", length))
            memset(applies, 0, QUIRKS * sizeof *applies);
        else if (known >= 0 && (*text == '+' || *text == '-'))
            applies[known] = *text == '+';
        else
            return fail_word(text, length);
        text += length;
        text += *text == ',';
    }
    return CLM_OK;
}

clm_status clm_cl_quirks(const clm_device_info *info, unsigned *avoid, char *names, size_t size) {
    bool applies[QUIRKS];
    const char *wish = getenv("CLMAML_QUIRKS");
    *avoid = 0;
    names[0] = 0;
    for (int i = 0; i < QUIRKS; i++) applies[i] = clm_cl_quirk_matches(&quirks[i], info);
    if (wish) CLM_TRY(apply_wish(wish, applies));
    for (int i = 0; i < QUIRKS; i++) {
        size_t used = strlen(names);
        if (!applies[i]) continue;
        *avoid |= quirks[i].avoid;
        snprintf(names + used, size - used, "%s%s", used ? " " : "", quirks[i].name);
        clm_log_write(CLM_LOG_INFO, "%s: quirk %s: %s", info->name, quirks[i].name, quirks[i].why);
    }
    return CLM_OK;
}
