/* Which drivers the OpenCL loader would load, by the rules of the ICD extension and of the two loaders in use: OCL_ICD_VENDORS names a
 * folder of .icd files, one .icd file, or a library; without it OPENCL_VENDOR_PATH or /etc/OpenCL/vendors is the folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/drivers.h"
#include "base/system.h"

#if defined(__FreeBSD__) || defined(__DragonFly__)
#define USUAL_FOLDER "/usr/local/etc/OpenCL/vendors"
#else
#define USUAL_FOLDER "/etc/OpenCL/vendors"
#endif

typedef struct search {
    cli_driver *list;
    size_t count, capacity;
    const char *folder;
    bool failed;
} search;

static bool ends_in_icd(const char *name) {
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".icd") == 0;
}

/* The first line of an .icd file. */
static void read_library(cli_driver *driver) {
    char *text = NULL;
    if (cli_file_read(driver->path, &text) != CLM_OK) {
        cli_forget();
        return;
    }
    snprintf(driver->library, sizeof driver->library, "%.*s", (int)strcspn(text, "\n"), text);
    free(text);
}

static void add_file(search *s, const char *path) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 8;
        cli_driver *list = realloc(s->list, capacity * sizeof *list);
        if (!list) {
            s->failed = true;
            return;
        }
        s->list = list;
        s->capacity = capacity;
    }
    cli_driver *driver = &s->list[s->count++];
    memset(driver, 0, sizeof *driver);
    snprintf(driver->path, sizeof driver->path, "%s", path);
    if (ends_in_icd(path))
        read_library(driver);
    else
        snprintf(driver->library, sizeof driver->library, "%s", path);
}

static void add_name(void *user, const char *name) {
    search *s = user;
    char path[CLI_PATH_MAX];
    if (ends_in_icd(name) && cli_path(path, s->folder, name) == CLM_OK) add_file(s, path);
}

static void add_folder(search *s, const char *folder) {
    s->folder = folder;
    if (cli_directory_visit(folder, add_name, s) != CLM_OK) cli_forget(); /* no folder, no drivers */
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const cli_driver *)a)->path, ((const cli_driver *)b)->path);
}

clm_status cli_drivers_find(cli_driver **out, size_t *count) {
    const char *vendors = getenv("OCL_ICD_VENDORS"), *folder = getenv("OPENCL_VENDOR_PATH");
    char inside[CLI_PATH_MAX];
    search s = {0};
    if (!folder || !*folder) folder = USUAL_FOLDER;
    if (!vendors || !*vendors)
        add_folder(&s, folder);
    else if (cli_is_directory(vendors))
        add_folder(&s, vendors);
    else if (ends_in_icd(vendors) && !strchr(vendors, '/') && cli_path(inside, folder, vendors) == CLM_OK &&
             cli_path_exists(inside))
        add_file(&s, inside);
    else
        add_file(&s, vendors);
    *out = s.list;
    *count = s.count;
    if (s.failed) return cli_fail(CLM_E_MEMORY, "out of memory");
    if (s.count) qsort(s.list, s.count, sizeof *s.list, by_path);
    return CLM_OK;
}
