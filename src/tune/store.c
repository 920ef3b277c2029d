/* The store of tuning results: see store.h. */
#include "tune/store.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "tune/database.h"

#define FORMAT "clmaml-tune-1"

enum { ENTRIES_MOST = 20 };

/* A file's contents. */
typedef struct record {
    uint64_t hash;
    size_t count; /* 0: nothing stored */
    clm_tune_entry entry[ENTRIES_MOST];
} record;

struct clm_tune_memory {
    uint64_t device_hash;
    char *directory; /* NULL: results are not kept */
    char why[256];   /* then */
    record *records;
    size_t count, capacity;
    clm_database *known; /* NULL: not read yet, or it cannot be */
    bool asked;          /* for it */
    char fault[512];     /* of reading it */
};

int clm_tune_tasks(int tasks) {
    int rounded = 1;
    while (rounded < tasks && rounded < 1 << 30) rounded *= 2;
    return rounded;
}

void clm_tune_forget(clm_device *d) {
    if (!d->tune) return;
    free(d->tune->directory);
    free(d->tune->records);
    clm_database_free(d->tune->known);
    free(d->tune);
    d->tune = NULL;
}

/* NULL: out of memory. */
static struct clm_tune_memory *memory_of(clm_device *d) {
    if (d->tune) return d->tune;
    d->tune = clm_calloc(1, sizeof *d->tune);
    if (!d->tune) return NULL;
    d->tune_free = clm_tune_forget;
    if (!d->backend->device_hash) {
        snprintf(d->tune->why, sizeof d->tune->why, "it has nothing to choose between");
        return d->tune;
    }
    d->tune->device_hash = d->backend->device_hash(d);
    d->tune->directory = clm_cache_place("tune");
    if (!d->tune->directory) snprintf(d->tune->why, sizeof d->tune->why, "%s", clm_last_error());
    return d->tune;
}

bool clm_tune_store_enabled(const clm_device *device) {
    const struct clm_tune_memory *m = memory_of((clm_device *)device);
    return m && m->directory;
}

clm_status clm_tune_store_check(const clm_device *device) {
    if (clm_tune_store_enabled(device)) return CLM_OK;
    const struct clm_tune_memory *m = memory_of((clm_device *)device);
    return m ? clm_fail(CLM_E_STATE, "tune: results cannot be kept for %s: %s", device->info.name, m->why) : CLM_E_MEMORY;
}

/* ---- files ---- */

static uint64_t hash_of(const struct clm_tune_memory *m, const char *key) {
    return clm_hash_text(clm_hash(CLM_HASH_SEED, &m->device_hash, sizeof m->device_hash), key);
}

static char *path_of(const struct clm_tune_memory *m, uint64_t hash) {
    return clm_format("%s/%016" PRIx64 ".json", m->directory, hash);
}

static bool entry_parse(const json_t *from, const char *implementation, clm_tune_entry *e) {
    const json_t *values = json_object_get(from, "values");
    e->tasks = (int)json_integer_value(json_object_get(from, "tasks"));
    e->tried = (int)json_integer_value(json_object_get(from, "tried"));
    e->seconds = json_number_value(json_object_get(from, "seconds"));
    e->default_seconds = json_number_value(json_object_get(from, "default_seconds"));
    snprintf(e->implementation, sizeof e->implementation, "%s", implementation);
    if (e->tasks < 1 || json_array_size(values) != CLM_TUNE_VALUES) return false;
    for (size_t i = 0; i < CLM_TUNE_VALUES; i++) e->value[i] = (int32_t)json_integer_value(json_array_get(values, i));
    return true;
}

/* The contents of a file, empty when there is none that is sound and about `key`. */
static void record_read(const char *path, const char *key, record *r) {
    char *text = NULL;
    size_t size = 0;
    r->count = 0;
    if (!clm_path_exists(path) || clm_file_read(path, &text, &size) != CLM_OK) return;
    clm_cache_touch(path);
    json_t *root = json_loadb(text, size, 0, NULL);
    const char *format = json_string_value(json_object_get(root, "format"));
    const char *about = json_string_value(json_object_get(root, "operation"));
    const char *implementation = json_string_value(json_object_get(root, "implementation"));
    const json_t *entries = json_object_get(root, "choices");
    if (format && about && implementation && !strcmp(format, FORMAT) && !strcmp(about, key)) {
        for (size_t i = 0; i < json_array_size(entries) && r->count < ENTRIES_MOST; i++)
            r->count += entry_parse(json_array_get(entries, i), implementation, &r->entry[r->count]);
    }
    json_decref(root);
    free(text);
}

static clm_status record_write(const clm_device *d, const char *path, const char *key, const record *r) {
    json_t *choices = json_array();
    for (size_t i = 0; i < r->count; i++) {
        const clm_tune_entry *e = &r->entry[i];
        json_t *values = json_array();
        for (size_t k = 0; k < CLM_TUNE_VALUES; k++) clm_json_append(values, json_integer(e->value[k]));
        clm_json_append(choices, json_pack("{s:i, s:o, s:i, s:f, s:f}", "tasks", e->tasks, "values", values, "tried", e->tried,
                                           "seconds", e->seconds, "default_seconds", e->default_seconds));
    }
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "format", FORMAT, "device", d->info.name, "driver", d->info.driver,
                  "operation", key, "implementation", r->entry[0].implementation, "choices", choices);
    char *text = root ? clm_json_text(root, JSON_INDENT(1)) : NULL;
    clm_status status = text ? clm_file_write(path, text, strlen(text)) : clm_fail(CLM_E_MEMORY, "%s: out of memory", path);
    free(text);
    json_decref(root);
    return status;
}

/* ---- looking up and keeping ---- */

static record *record_of(struct clm_tune_memory *m, const char *key) {
    const uint64_t hash = hash_of(m, key);
    for (size_t i = 0; i < m->count; i++)
        if (m->records[i].hash == hash) return &m->records[i];
    if (clm_grow(&m->records, &m->capacity, m->count + 1, sizeof *m->records) != CLM_OK) return NULL;
    record *r = &m->records[m->count++];
    r->hash = hash;
    char *path = path_of(m, hash);
    if (path) record_read(path, key, r);
    free(path);
    return r;
}

static double times_apart(int a, int b) { return a > b ? (double)a / b : (double)b / a; }

/* The entry for the nearest number of tasks, counted in doublings; the smaller of two. */
static const clm_tune_entry *nearest(const record *r, int tasks) {
    const clm_tune_entry *best = NULL;
    for (size_t i = 0; i < r->count; i++) {
        const clm_tune_entry *e = &r->entry[i];
        const double far = times_apart(e->tasks, tasks), so_far = best ? times_apart(best->tasks, tasks) : far;
        if (!best || far < so_far || (far == so_far && e->tasks < best->tasks)) best = e;
    }
    return best;
}

bool clm_tune_find(clm_device *device, const char *key, int tasks, clm_tune_entry *out) {
    if (!clm_tune_store_enabled(device)) return false;
    const record *r = record_of(device->tune, key);
    const clm_tune_entry *e = r ? nearest(r, clm_tune_tasks(tasks)) : NULL;
    if (e) *out = *e;
    return e != NULL;
}

static bool same_entry(const clm_tune_entry *a, const clm_tune_entry *b) {
    return !strcmp(a->implementation, b->implementation) && !memcmp(a->value, b->value, sizeof a->value) &&
           a->seconds == b->seconds && a->default_seconds == b->default_seconds && a->tried == b->tried;
}

/* Puts the entry into the record, or takes what is there instead. True: the record changed. */
static bool record_merge(record *r, clm_tune_entry *entry, bool replace) {
    if (r->count && strcmp(r->entry[0].implementation, entry->implementation) != 0) {
        if (!replace) {
            *entry = *nearest(r, entry->tasks);
            return false;
        }
        r->count = 0; /* parameters of another implementation are of no use */
    }
    for (size_t i = 0; i < r->count; i++) {
        if (r->entry[i].tasks != entry->tasks) continue;
        if (!replace || same_entry(&r->entry[i], entry)) {
            *entry = r->entry[i];
            return false;
        }
        r->entry[i] = *entry;
        return true;
    }
    if (r->count == ENTRIES_MOST) return false;
    r->entry[r->count++] = *entry;
    return true;
}

clm_status clm_tune_keep(clm_device *device, const char *key, clm_tune_entry *entry, bool replace) {
    char *path = NULL, *lock_path = NULL;
    int lock = -1;
    clm_status status = CLM_OK;
    CLM_TRY(clm_tune_store_check(device));
    struct clm_tune_memory *m = device->tune;
    record *r = record_of(m, key);
    if (!r) return CLM_E_MEMORY;
    entry->tasks = clm_tune_tasks(entry->tasks);
    if (!(path = path_of(m, r->hash)) || !(lock_path = clm_path_join(m->directory, "lock"))) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(clm_file_lock(lock_path, &lock));
    record_read(path, key, r);
    if (record_merge(r, entry, replace)) status = record_write(device, path, key, r);
    clm_file_unlock(lock);
out:
    free(lock_path);
    free(path);
    return status;
}

/* ---- listing ---- */

static void list_file(struct clm_tune_memory *m, const char *path, const char *name, clm_tune_entry_fn each, void *user) {
    char *text = NULL;
    size_t size = 0;
    record r;
    if (clm_file_read(path, &text, &size) != CLM_OK) return;
    json_t *root = json_loadb(text, size, 0, NULL);
    const char *key = json_string_value(json_object_get(root, "operation"));
    char expected[32] = "";
    if (key) snprintf(expected, sizeof expected, "%016" PRIx64 ".json", hash_of(m, key));
    if (key && !strcmp(name, expected)) { /* of this device */
        record_read(path, key, &r);
        for (size_t i = 0; i < r.count; i++) each(user, key, &r.entry[i]);
    }
    json_decref(root);
    free(text);
}

clm_status clm_tune_each(clm_device *device, clm_tune_entry_fn each, void *user) {
    char **names = NULL;
    size_t count = 0;
    CLM_TRY(clm_tune_store_check(device));
    if (!clm_path_is_directory(device->tune->directory)) return CLM_OK;
    CLM_TRY(clm_directory_list(device->tune->directory, &names, &count));
    for (size_t i = 0; i < count; i++) {
        char *path = clm_path_join(device->tune->directory, names[i]);
        if (path && strstr(names[i], ".json")) list_file(device->tune, path, names[i], each, user);
        free(path);
    }
    clm_names_free(names, count);
    return CLM_OK;
}

/* ---- what others have measured ---- */

static clm_status read_known(clm_device *device) {
    clm_database **known = &device->tune->known;
    const char *path = getenv("CLMAML_TUNE_DATABASE");
    char *text = NULL;
    size_t size = 0;
    for (const clm_embedded_database *e = clm_embedded_databases; e->name; e++)
        CLM_TRY(clm_database_read(known, e->text, e->name, &device->info));
    if (!path || !*path) return CLM_OK;
    clm_status status = clm_file_read(path, &text, &size);
    if (status == CLM_OK) status = clm_database_read(known, text, path, &device->info);
    free(text);
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "CLMAML_TUNE_DATABASE");
}

/* NULL: the device has none, or no memory. */
static struct clm_tune_memory *known_memory(clm_device *device) {
    if (!device->backend->device_hash) return NULL;
    struct clm_tune_memory *m = memory_of(device);
    if (!m || m->asked) return m;
    m->asked = true;
    if (read_known(device) == CLM_OK) return m;
    snprintf(m->fault, sizeof m->fault, "%s", clm_last_error());
    clm_database_free(m->known);
    m->known = NULL;
    return m;
}

const char *clm_tune_known(clm_device *device, const char *operation, int tasks) {
    const struct clm_tune_memory *m = known_memory(device);
    return m ? clm_database_find(m->known, operation, clm_tune_tasks(tasks)) : NULL;
}

clm_status clm_tune_known_check(clm_device *device) {
    const struct clm_tune_memory *m = known_memory(device);
    return m && m->fault[0] ? clm_fail(CLM_E_ARG, "%s", m->fault) : CLM_OK;
}
