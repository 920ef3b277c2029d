/* The table of environment variables with their values. */
#include "doctor/environment.h"

#include <stdlib.h>
#include <string.h>

#include "base/system.h"

/* Of loaders and drivers: they change what is seen here, and are shown when they are set. */
static const char *const foreign[] = {"OCL_ICD_",    "OPENCL_", "POCL_",       "RUSTICL_",
                                      "CLOVER_",     "LP_",     "GALLIUM_",    "CUDA_VISIBLE_",
                                      "CUDA_CACHE_", "ROCR_",   "GPU_DEVICE_", "NEOReadDebugKeys"};

static bool known(const char *name, size_t length) {
    clm_environment_entry e;
    for (size_t i = 0; clm_environment_at(i, &e); i++)
        if (strlen(e.name) == length && strncmp(name, e.name, length) == 0) return true;
    return false;
}

static void print_foreign(void *user, const char *entry) {
    int length = (int)strcspn(entry, "=");
    fprintf(user, "  %-20.*s %s\n", length, entry, entry[length] ? entry + length + 1 : "");
}

static void print_unknown(void *user, const char *entry) {
    size_t length = strcspn(entry, "=");
    if (known(entry, length)) return;
    fprintf(user, "  %-20.*s %s (this program does not know it)\n", (int)length, entry,
            entry[length] ? entry + length + 1 : "");
}

void cli_environment_print(FILE *to, bool meanings) {
    clm_environment_entry e;
    for (size_t i = 0; clm_environment_at(i, &e); i++) {
        fprintf(to, "  %-20s %s\n", e.name, e.value ? e.value : "(not set)");
        if (meanings) fprintf(to, "  %-20s   %s; otherwise: %s\n", "", e.meaning, e.fallback);
    }
    for (size_t i = 0; i < CLI_COUNT(foreign); i++) cli_environment_visit(foreign[i], print_foreign, to);
    cli_environment_visit("CLMAML_", print_unknown, to);
}
