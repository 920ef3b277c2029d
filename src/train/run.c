/* Run directories. */
#include "train/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"

/* A folder that cannot be read is not ours to use. */
static bool is_empty(const char *path) {
    char **names;
    size_t count;
    if (!clm_path_exists(path)) return true;
    if (clm_directory_list(path, &names, &count) != CLM_OK) return false;
    clm_names_free(names, count);
    return count == 0;
}

/* What a run leaves that was killed as it began, before it had a config.json, does not count. */
static bool has_entries(const char *path) {
    static const char begun[] = "config.json.tmp-";
    char **names, inside[CLM_TRAIN_PATH];
    size_t count, others = 0;
    if (!clm_path_exists(path)) return false;
    if (clm_directory_list(path, &names, &count) != CLM_OK) return true;
    for (size_t i = 0; i < count; i++) {
        const bool checkpoints = strcmp(names[i], "checkpoints") == 0;
        if (strncmp(names[i], begun, strlen(begun)) == 0) continue;
        others += !(checkpoints && clm_train_path(inside, path, names[i]) == CLM_OK && is_empty(inside));
    }
    clm_names_free(names, count);
    return others > 0;
}

clm_status clm_train_check_directory(const char *directory) {
    char config[CLM_TRAIN_PATH];
    CLM_TRY(clm_train_path(config, directory, "config.json"));
    if (clm_path_exists(config))
        return clm_fail(CLM_E_STATE, "%s holds a run already; resume it, or choose another directory", directory);
    if (clm_path_exists(directory) && !clm_path_is_directory(directory))
        return clm_fail(CLM_E_IO, "%s is not a directory", directory);
    if (has_entries(directory))
        return clm_fail(CLM_E_STATE, "%s is not empty and holds no run; choose another directory", directory);
    return CLM_OK;
}

/* The model as an object, so that config.json can be read by people. NULL: no memory. */
static json_t *model_object(const clm_model *model) {
    const char *text = clm_model_json(model);
    return text ? json_loads(text, JSON_DECODE_ANY, NULL) : json_null();
}

/* The note as what it is where it is JSON. jansson says of some allocations that failed that the text is wrong, so what cannot be
 * read is tried once more. */
static json_t *note_object(const char *note) {
    json_t *object = json_loads(note, JSON_DECODE_ANY, NULL);
    if (!object) object = json_loads(note, JSON_DECODE_ANY, NULL);
    return object ? object : json_string(note);
}

/* A name, or a list of them where there are several devices. */
static json_t *device_names(const clm_meta_share *shares, size_t n, bool driver) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const clm_device_info *info = clm_device_get_info(shares[i].device);
        json_t *name = json_string(driver ? info->driver : info->name);
        if (n > 1) {
            clm_json_append(list, name);
            continue;
        }
        json_decref(list);
        return name;
    }
    return list;
}

static clm_status write_config(const clm_run *run, const clm_meta_share *shares, size_t n) {
    char path[CLM_TRAIN_PATH];
    CLM_TRY(clm_train_path(path, run->directory, "config.json"));
    json_t *root = json_object();
    clm_json_set(root, "clmaml", json_string(clm_version()));
    if (run->identity) clm_json_set(root, "run", json_string(clm_run_identity_text(run).s));
    clm_json_set(root, "settings", note_object(run->note));
    clm_json_set(root, "source", json_string(clm_source_description(run->source)));
    if (clm_source_notes(run->source)) clm_json_set(root, "notes", clm_json_lines(clm_source_notes(run->source)));
    const char *preparation = clm_archive_meta(run->described, "clmaml.preparation");
    json_t *prepared = preparation ? json_loads(preparation, 0, NULL) : NULL;
    if (prepared) clm_json_set(root, "preparation", prepared);
    clm_json_set(root, "batch_norm", json_string(clm_model_bn_name(run->model, run->bn_mode)));
    clm_json_set(root, "device", device_names(shares, n, false));
    clm_json_set(root, "driver", device_names(shares, n, true));
    clm_json_set(root, "model", model_object(run->model));
    char *text = clm_json_text(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return clm_fail(CLM_E_MEMORY, "out of memory");
    clm_status status = clm_file_write(path, text, strlen(text));
    free(text);
    return status;
}

clm_status clm_run_set(clm_run *run, const char *directory) {
    memset(run, 0, sizeof *run);
    if (strlen(directory) >= sizeof run->directory) return clm_fail(CLM_E_LIMIT, "path too long: %s", directory);
    memcpy(run->directory, directory, strlen(directory) + 1);
    return clm_train_path(run->checkpoints, directory, "checkpoints");
}

clm_status clm_run_lock(clm_run *run) {
    if (run->locked) return CLM_OK;
    CLM_TRY(clm_directory_lock(run->directory, &run->lock));
    run->locked = true;
    return CLM_OK;
}

/* A new run that came while this one planned is not written over. */
static clm_status take_directory(clm_run *run) {
    CLM_TRY(clm_directory_make(run->directory));
    CLM_TRY(clm_run_lock(run));
    return clm_train_check_directory(run->directory);
}

/* What a process that was killed was writing (clm_file_write). Nobody else writes here: the directory is locked. */
static clm_status drop_unfinished(const char *directory) {
    char path[CLM_TRAIN_PATH], **names;
    size_t count;
    CLM_TRY(clm_directory_list(directory, &names, &count));
    for (size_t i = 0; i < count; i++)
        if (strstr(names[i], ".tmp-") && clm_train_path(path, directory, names[i]) == CLM_OK) (void)clm_file_remove(path);
    clm_names_free(names, count);
    return CLM_OK;
}

/* What the run is to write later is looked at before any work. */
static clm_status check_files(const clm_run *run) {
    static const char *const names[] = {
        "result.json", "scores.json", "curve.svg", "fits.svg", "checkpoints/last.safetensors", "checkpoints/best.safetensors"};
    char path[CLM_TRAIN_PATH];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CLM_TRY(clm_train_path(path, run->directory, names[i]));
        if (clm_path_is_directory(path))
            return clm_fail(CLM_E_IO, "%s is a directory, where the run is to write a file: move it away", path);
    }
    return CLM_OK;
}

clm_status clm_run_open(clm_run *run, const clm_meta_share *shares, size_t n_shares, bool continued, uint64_t iteration) {
    if (!run->locked) CLM_TRY(take_directory(run));
    CLM_TRY(check_files(run));
    CLM_TRY(clm_directory_make(run->checkpoints));
    CLM_TRY(drop_unfinished(run->directory));
    CLM_TRY(drop_unfinished(run->checkpoints));
    CLM_TRY(write_config(run, shares, n_shares));
    return clm_metrics_open(&run->metrics, run->directory, continued, iteration);
}

void clm_run_close(clm_run *run) {
    clm_metrics_close(&run->metrics);
    if (run->locked) clm_file_unlock(run->lock);
    run->locked = false;
}

static clm_status load_config(const char *directory, json_t **root) {
    char path[CLM_TRAIN_PATH], *text;
    json_error_t error;
    *root = NULL;
    CLM_TRY(clm_train_path(path, directory, "config.json"));
    if (!clm_path_exists(path)) return clm_fail(CLM_E_STATE, "%s holds no run: there is no %s", directory, path);
    CLM_TRY(clm_file_read(path, &text, NULL));
    *root = json_loads(text, 0, &error);
    free(text);
    return *root ? CLM_OK : clm_fail(CLM_E_FORMAT, "%s: line %d: %s", path, error.line, error.text);
}

clm_run_text clm_run_identity_text(const clm_run *run) {
    clm_run_text text;
    snprintf(text.s, sizeof text.s, "%016llx", (unsigned long long)run->identity);
    return text;
}

uint64_t clm_run_identity_of(const char *directory) {
    json_t *root;
    if (load_config(directory, &root) != CLM_OK) return 0;
    const char *text = json_string_value(json_object_get(root, "run"));
    const uint64_t identity = text ? strtoull(text, NULL, 16) : 0;
    json_decref(root);
    return identity;
}

clm_status clm_run_read_note(const clm_run *run, char **out) {
    json_t *root;
    *out = NULL;
    CLM_TRY(load_config(run->directory, &root));
    *out = clm_json_text(json_object_get(root, "settings"), JSON_ENCODE_ANY);
    json_decref(root);
    return *out ? CLM_OK : clm_fail(CLM_E_FORMAT, "%s/config.json says nothing of its run", run->directory);
}

clm_status clm_run_read_note_of(const char *path, char **out) {
    clm_train_checkpoint said;
    clm_archive *archive;
    *out = NULL;
    CLM_TRY(clm_archive_load(&archive, path));
    clm_status status = clm_train_read_checkpoint(archive, &said);
    if (status != CLM_OK)
        status = clm_fail_in(status, "%s", path);
    else if (!(*out = clm_strdup(said.note)))
        status = CLM_E_MEMORY;
    clm_archive_free(archive);
    return status;
}

/* "A, driver 1 and B, driver 2", of names or lists of them. */
static void add_devices(clm_text *text, const json_t *names, const json_t *drivers) {
    const size_t n = json_is_array(names) ? json_array_size(names) : 1;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(names) ? json_array_get(names, i) : names);
        const char *driver = json_string_value(json_is_array(drivers) ? json_array_get(drivers, i) : drivers);
        clm_text_add(text, "%s%s, driver %s", i ? " and " : "", name ? name : "?", driver ? driver : "?");
    }
}

clm_status clm_run_devices_before(const clm_run *run, const clm_meta_share *shares, size_t n_shares, char **out) {
    json_t *root;
    clm_text text = {0};
    clm_status status = CLM_OK;
    *out = NULL;
    if (load_config(run->directory, &root) != CLM_OK) return CLM_OK;
    const json_t *names = json_object_get(root, "device"), *drivers = json_object_get(root, "driver");
    json_t *names_now = device_names(shares, n_shares, false), *drivers_now = device_names(shares, n_shares, true);
    if (!names_now || !drivers_now)
        status = clm_fail(CLM_E_MEMORY, "out of memory");
    else if (names && !(json_equal(names, names_now) && (!drivers || json_equal(drivers, drivers_now))))
        add_devices(&text, names, drivers);
    json_decref(names_now);
    json_decref(drivers_now);
    json_decref(root);
    if (text.failed)
        clm_text_free(&text), status = clm_fail(CLM_E_MEMORY, "out of memory");
    else
        *out = text.data;
    return status;
}

/* ---- ranked checkpoints ---- */

static clm_status rename_checkpoint(const clm_run *run, const char *from, const char *to) {
    char before[CLM_TRAIN_PATH], after[CLM_TRAIN_PATH];
    CLM_TRY(clm_run_checkpoint_path(before, run->directory, from));
    CLM_TRY(clm_run_checkpoint_path(after, run->directory, to));
    if (!clm_path_exists(before)) return CLM_OK;
    return rename(before, after) == 0 ? CLM_OK : clm_fail(CLM_E_IO, "cannot rename %s to %s", before, after);
}

clm_status clm_run_save_ranked(clm_run *run, size_t rank, clm_meta *meta, const clm_ranking *ranking) {
    if (run->ensemble == 1) return clm_run_save(run, "best", meta, ranking);
    CLM_TRY(clm_run_save(run, "best-new", meta, ranking)); /* a full disk must not cost the others */
    for (size_t k = ranking->count - 1; k > rank; k--)
        CLM_TRY(rename_checkpoint(run, clm_rank_name(k - 1).s, clm_rank_name(k).s));
    return rename_checkpoint(run, "best-new", clm_rank_name(rank).s);
}

static clm_rank_text aside_name(size_t i) {
    clm_rank_text text;
    snprintf(text.s, sizeof text.s, "best-old-%zu", i);
    return text;
}

/* *there: is there a whole checkpoint of this name that was ranked, and for what? */
static clm_status look_up(const clm_run *run, const char *name, bool *there, clm_ranked *ranked) {
    char path[CLM_TRAIN_PATH];
    clm_archive *archive;
    *there = false;
    CLM_TRY(clm_run_checkpoint_path(path, run->directory, name));
    if (!clm_path_exists(path)) return CLM_OK;
    const clm_status status = clm_archive_load(&archive, path);
    if (status != CLM_OK) return status == CLM_E_FORMAT ? CLM_OK : status;
    *there = clm_ranked_of(archive, ranked) && !clm_run_is_foreign(archive, run->identity);
    clm_archive_free(archive);
    return CLM_OK;
}

clm_status clm_run_ranked_there(const clm_run *run, clm_run_ranked *out) {
    const char *const unfinished = "best-new";
    out->count = 0;
    for (size_t i = 0; i < CLM_RANKED_NAMES; i++) {
        const clm_rank_text name = i < CLM_ENSEMBLE_MOST ? clm_rank_name(i) : aside_name(i - CLM_ENSEMBLE_MOST);
        bool there;
        CLM_TRY(look_up(run, i + 1 < CLM_RANKED_NAMES ? name.s : unfinished, &there, &out->entry[out->count]));
        out->count += there;
    }
    return CLM_OK;
}

/* The checkpoint of a name goes to its rank; one that the ranking does not have, or that is damaged, goes. */
static clm_status put_at_rank(const clm_run *run, const char *name, const clm_ranking *ranking) {
    char path[CLM_TRAIN_PATH];
    clm_ranked found;
    bool there;
    CLM_TRY(clm_run_checkpoint_path(path, run->directory, name));
    CLM_TRY(look_up(run, name, &there, &found));
    for (size_t k = 0; k < ranking->count && there; k++)
        if (clm_ranked_equal(&ranking->entry[k], &found)) return rename_checkpoint(run, name, clm_rank_name(k).s);
    return clm_path_exists(path) ? clm_file_remove(path) : CLM_OK;
}

clm_status clm_run_rank(clm_run *run, const clm_ranking *ranking) {
    CLM_TRY(rename_checkpoint(run, "best-new", aside_name(CLM_ENSEMBLE_MOST).s));
    for (size_t k = 0; k < CLM_ENSEMBLE_MOST; k++) CLM_TRY(rename_checkpoint(run, clm_rank_name(k).s, aside_name(k).s));
    for (size_t k = 0; k <= CLM_ENSEMBLE_MOST; k++) CLM_TRY(put_at_rank(run, aside_name(k).s, ranking));
    return CLM_OK;
}

clm_status clm_run_put_back(const clm_run *run, size_t rank, const char *from) {
    char path[CLM_TRAIN_PATH], *data;
    size_t size;
    CLM_TRY(clm_run_checkpoint_path(path, run->directory, clm_rank_name(rank).s));
    CLM_TRY(clm_file_read(from, &data, &size));
    const clm_status status = clm_file_write(path, data, size);
    free(data);
    return status;
}

clm_status clm_run_set_aside(const clm_run *run, size_t rank, char *kept) {
    char path[CLM_TRAIN_PATH], name[32] = "not-chosen";
    kept[0] = 0;
    CLM_TRY(clm_run_checkpoint_path(path, run->directory, clm_rank_name(rank).s));
    if (!clm_path_exists(path)) return CLM_OK;
    for (int i = 2;; i++) {
        CLM_TRY(clm_run_checkpoint_path(kept, run->directory, name));
        if (!clm_path_exists(kept)) return rename_checkpoint(run, clm_rank_name(rank).s, name);
        snprintf(name, sizeof name, "not-chosen-%d", i);
    }
}

/* ---- numbered checkpoints ---- */

/* The oldest numbered checkpoint, and how many there are. */
typedef struct oldest {
    uint64_t iteration;
    size_t count;
    char name[256];
} oldest;

static void find_oldest(oldest *o, const char *name) {
    uint64_t iteration;
    if (!clm_run_numbered(name, &iteration) || strlen(name) >= sizeof o->name) return;
    if (o->count++ > 0 && iteration >= o->iteration) return;
    o->iteration = iteration;
    memcpy(o->name, name, strlen(name) + 1);
}

static clm_status drop_old(const clm_run *run) {
    for (;;) {
        oldest found = {0, 0, ""};
        char path[CLM_TRAIN_PATH], **names;
        size_t count;
        CLM_TRY(clm_directory_list(run->checkpoints, &names, &count));
        for (size_t i = 0; i < count; i++) find_oldest(&found, names[i]);
        clm_names_free(names, count);
        if (found.count <= run->keep) return CLM_OK;
        CLM_TRY(clm_train_path(path, run->checkpoints, found.name));
        if (remove(path) != 0) return CLM_OK; /* an old file that stays harms nobody */
    }
}

clm_status clm_run_save_last(clm_run *run, clm_meta *meta, const clm_ranking *ranking) {
    char name[32];
    snprintf(name, sizeof name, "%08llu", (unsigned long long)clm_meta_iteration(meta));
    if (run->keep > 0) CLM_TRY(clm_run_save(run, name, meta, ranking));
    CLM_TRY(clm_run_save(run, "last", meta, ranking));
    return drop_old(run);
}
