/* The cache on disk as a whole.
 *
 * Files are CACHE/FILE and CACHE/FOLDER/FILE, nothing deeper. An entry's time of change is when it was last used: readers touch
 * what they read, and pruning begins with the oldest. Processes prune without knowing of each other, which at worst removes too
 * much. */
#include "base/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"

/* Seconds after which nobody is writing a temporary file any more. */
enum { ABANDONED = 3600 };

typedef struct entry {
    char *path;
    struct timespec used;
    uint64_t bytes;
} entry;

typedef struct entry_list {
    entry *items;
    size_t count, capacity;
    uint64_t bytes;
} entry_list;

/* ---- reading the directory ---- */

static void free_entries(entry_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->items[i].path);
    free(list->items);
}

static clm_status add_entry(entry_list *list, const char *path, const struct stat *st) {
    CLM_TRY(clm_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items));
    char *copy = clm_strdup(path);
    if (!copy) return CLM_E_MEMORY;
    list->items[list->count++] = (entry){.path = copy, .used = st->st_mtim, .bytes = (uint64_t)st->st_size};
    list->bytes += (uint64_t)st->st_size;
    return CLM_OK;
}

static clm_status read_entries(entry_list *list, const char *directory, int depth) {
    char **names = NULL;
    size_t count = 0;
    clm_status status = CLM_OK;
    CLM_TRY(clm_directory_list(directory, &names, &count));
    for (size_t i = 0; i < count && status == CLM_OK; i++) {
        struct stat st;
        char *path = clm_path_join(directory, names[i]);
        if (!path) {
            status = CLM_E_MEMORY;
        } else if (lstat(path, &st) == 0) { /* not the target of a link: what is not ours stays out of it */
            if (S_ISREG(st.st_mode)) status = add_entry(list, path, &st);
            if (S_ISDIR(st.st_mode) && depth > 0) status = read_entries(list, path, depth - 1);
        }
        free(path);
    }
    clm_names_free(names, count);
    return status;
}

/* ---- pruning ---- */

static int oldest_first(const void *a, const void *b) {
    const struct timespec *s = &((const entry *)a)->used, *t = &((const entry *)b)->used;
    if (s->tv_sec != t->tv_sec) return s->tv_sec < t->tv_sec ? -1 : 1;
    return s->tv_nsec < t->tv_nsec ? -1 : s->tv_nsec > t->tv_nsec;
}

static bool is_temporary(const char *path) {
    const char *slash = strrchr(path, '/');
    return strstr(slash ? slash : path, ".tmp-") != NULL;
}

void clm_cache_prune(const char *directory, uint64_t limit) {
    entry_list list = {0};
    struct timespec now;
    size_t removed = 0;
    if (!clm_path_is_directory(directory) || read_entries(&list, directory, 1) != CLM_OK) goto out;
    clock_gettime(CLOCK_REALTIME, &now);
    if (list.count) qsort(list.items, list.count, sizeof *list.items, oldest_first);
    bool too_large = list.bytes > limit;
    for (size_t i = 0; i < list.count; i++) {
        const entry *e = &list.items[i];
        bool temporary = is_temporary(e->path);
        bool goes = temporary ? now.tv_sec - e->used.tv_sec > ABANDONED : too_large && list.bytes > limit / 4 * 3;
        if (!goes || unlink(e->path) != 0) continue;
        list.bytes -= e->bytes;
        removed++;
    }
    if (removed)
        clm_log_write(CLM_LOG_INFO, "cache %s: %zu old files removed, %llu bytes left", directory, removed,
                      (unsigned long long)list.bytes);
out:
    free_entries(&list);
}

void clm_cache_touch(const char *path) { (void)utimensat(AT_FDCWD, path, NULL, 0); }

/* ---- where it is ---- */

static bool switched_off(void) {
    const char *off = getenv("CLMAML_NO_CACHE");
    return off && *off && strcmp(off, "0") != 0;
}

char *clm_cache_place(const char *name) {
    char *root = NULL, *place = NULL;
    if (switched_off())
        (void)clm_fail(CLM_E_STATE, "CLMAML_NO_CACHE is set");
    else if (clm_cache_directory(&root) == CLM_OK && (place = clm_path_join(root, name)) &&
             clm_directory_make(place) != CLM_OK) {
        free(place);
        place = NULL;
    }
    if (!place) clm_log_write(CLM_LOG_INFO, "no cache: %s", clm_last_error());
    free(root);
    return place;
}

/* Of the directory, or of the lowest one above it that exists. */
static bool can_write(const char *directory) {
    char *path = clm_strdup(directory);
    if (!path) return false;
    while (*path && !clm_path_exists(path)) {
        char *slash = strrchr(path, '/');
        if (!slash) break;
        slash[slash == path ? 1 : 0] = 0;
    }
    bool can = clm_path_is_directory(path) && access(path, W_OK | X_OK) == 0;
    free(path);
    return can;
}

clm_status clm_cache_describe(clm_cache_info *out) {
    entry_list list = {0};
    char *root = NULL;
    clm_status status = CLM_OK;
    *out = (clm_cache_info){.limit = CLM_CACHE_LIMIT};
    if (clm_cache_directory(&root) != CLM_OK) return CLM_OK; /* no place for one is a state, not a failure */
    snprintf(out->directory, sizeof out->directory, "%s", root);
    out->enabled = !switched_off();
    out->writable = can_write(root);
    if (clm_path_is_directory(root)) CLM_GOTO(read_entries(&list, root, 1));
    out->files = list.count;
    out->bytes = list.bytes;
out:
    free_entries(&list);
    free(root);
    return status;
}
