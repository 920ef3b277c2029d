/* Run directories. */
#include "train/run.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/system.h"
#include "config/folders.h"
#include "config/protocol.h"
#include "config/sources.h"

clm_status cli_run_default_name(char *path, const cli_settings *s) {
    char stamp[32] = "";
    const char *base = strrchr(s->source, '/') ? strrchr(s->source, '/') + 1 : s->source;
    time_t now = time(NULL);
    struct tm *local = localtime(&now);
    if (local) strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", local);
    for (int attempt = 1; attempt < 1000; attempt++) {
        char name[256], suffix[16] = "", task[48] = "";
        if (attempt > 1) snprintf(suffix, sizeof suffix, "-%d", attempt);
        if (!cli_source_of(s->source)->regression)
            snprintf(task, sizeof task, "-%lldw%llds", (long long)s->ways, (long long)s->shots);
        snprintf(name, sizeof name, "%.80s%s-%s%s", *base ? base : "folder", task, stamp, suffix);
        CLI_TRY(cli_path(path, "runs", name));
        if (!cli_path_exists(path)) break;
    }
    return CLM_OK;
}

clm_status cli_run_check_new(const char *directory) {
    char config[CLI_PATH_MAX];
    CLI_TRY(cli_path(config, directory, "config.json"));
    if (cli_path_exists(config))
        return cli_fail(CLM_E_STATE,
                        "%s holds a run already; go on with it: clmaml train --resume --run %s, or choose another --run",
                        directory, directory);
    if (cli_path_exists(directory) && !cli_is_directory(directory))
        return cli_fail(CLM_E_IO, "%s is not a directory", directory);
    if (cli_directory_has_entries(directory))
        return cli_fail(CLM_E_STATE, "%s is not empty and holds no run; choose another --run", directory);
    return CLM_OK;
}

/* The model as an object where it is JSON, so that config.json can be read by people. */
static json_t *model_object(const clm_model *model) {
    const char *text = clm_model_json(model);
    json_t *object = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    return object ? object : json_null();
}

/* A name, or a list of them where there are several devices. */
static json_t *device_names(const cli_split *split, bool driver) {
    json_t *list = json_array();
    for (size_t i = 0; i < split->count; i++) {
        const clm_device_info *info = clm_device_get_info(split->devices[i]);
        json_t *name = json_string(driver ? info->driver : info->name);
        if (split->count > 1) {
            json_array_append_new(list, name);
            continue;
        }
        json_decref(list);
        return name;
    }
    return list;
}

static clm_status write_config(const cli_run *run, const cli_settings *s, const clm_source *source, const clm_model *model,
                               const cli_split *split) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_path(path, run->directory, "config.json"));
    json_t *root = json_object();
    json_object_set_new(root, "clmaml", json_string(clm_version()));
    json_object_set_new(root, "settings", cli_settings_to_json(s));
    json_object_set_new(root, "source", json_string(clm_source_description(source)));
    json_t *prepared = cli_preparation_to_json(source);
    if (prepared) json_object_set_new(root, "preparation", prepared);
    json_object_set_new(root, "batch_norm", json_string(clm_model_bn_name(model, (clm_bn_mode)s->bn)));
    json_object_set_new(root, "device", device_names(split, false));
    json_object_set_new(root, "driver", device_names(split, true));
    json_object_set_new(root, "model", model_object(model));
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    clm_status status = cli_file_write(path, text, strlen(text));
    free(text);
    return status;
}

static clm_status set_paths(cli_run *run, const char *directory) {
    memset(run, 0, sizeof *run);
    if (strlen(directory) >= sizeof run->directory) return cli_fail(CLM_E_LIMIT, "path too long: %s", directory);
    memcpy(run->directory, directory, strlen(directory) + 1);
    return cli_path(run->checkpoints, directory, "checkpoints");
}

clm_status cli_run_begin(cli_run *run, const cli_settings *s, const clm_source *source, const clm_model *model,
                         const cli_split *split) {
    CLI_TRY(set_paths(run, s->run));
    CLI_TRY(cli_directory_make(run->checkpoints));
    CLI_TRY(write_config(run, s, source, model, split));
    return cli_metrics_open(&run->metrics, run->directory, false, 0);
}

clm_status cli_run_continue(cli_run *run, const cli_settings *s, const clm_source *source, const clm_model *model,
                            const cli_split *split, uint64_t iteration) {
    CLI_TRY(set_paths(run, s->run));
    CLI_TRY(cli_directory_make(run->checkpoints));
    CLI_TRY(write_config(run, s, source, model, split));
    return cli_metrics_open(&run->metrics, run->directory, true, iteration);
}

void cli_run_close(cli_run *run) { cli_metrics_close(&run->metrics); }

clm_status cli_run_load_settings(const char *directory, cli_settings *settings) {
    char path[CLI_PATH_MAX];
    json_error_t error;
    CLI_TRY(cli_path(path, directory, "config.json"));
    if (!cli_path_exists(path)) return cli_fail(CLM_E_IO, "%s holds no run: there is no %s", directory, path);
    json_t *root = json_load_file(path, 0, &error);
    if (!root) return cli_fail(CLM_E_FORMAT, "%s: line %d: %s", path, error.line, error.text);
    clm_status status = cli_settings_from_json(settings, json_object_get(root, "settings"), path);
    json_decref(root);
    return status;
}

clm_status cli_run_save(cli_run *run, const char *name, clm_meta *meta, const cli_settings *s, const clm_source *source,
                        const clm_model *model, const cli_ranking *ranking) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_run_checkpoint_path(path, run->directory, name));
    return cli_checkpoint_write(path, meta, s, source, model, ranking);
}

/* ---- ranked checkpoints ---- */

static clm_status rename_checkpoint(const cli_run *run, const char *from, const char *to) {
    char before[CLI_PATH_MAX], after[CLI_PATH_MAX];
    CLI_TRY(cli_run_checkpoint_path(before, run->directory, from));
    CLI_TRY(cli_run_checkpoint_path(after, run->directory, to));
    if (!cli_path_exists(before)) return CLM_OK;
    return rename(before, after) == 0 ? CLM_OK : cli_fail(CLM_E_IO, "cannot rename %s to %s", before, after);
}

clm_status cli_run_save_ranked(cli_run *run, size_t rank, clm_meta *meta, const cli_settings *s, const clm_source *source,
                               const clm_model *model, const cli_ranking *ranking) {
    if (s->ensemble == 1) return cli_run_save(run, "best", meta, s, source, model, ranking);
    CLI_TRY(cli_run_save(run, "best-new", meta, s, source, model, ranking)); /* a full disk must not cost the others */
    for (size_t k = ranking->count - 1; k > rank; k--)
        CLI_TRY(rename_checkpoint(run, cli_rank_name(k - 1).s, cli_rank_name(k).s));
    return rename_checkpoint(run, "best-new", cli_rank_name(rank).s);
}

static cli_text aside_name(size_t i) {
    cli_text text;
    snprintf(text.s, sizeof text.s, "best-old-%zu", i);
    return text;
}

/* The checkpoint of a name goes to its rank; one that the ranking does not have goes. */
static clm_status put_at_rank(const cli_run *run, const char *name, const cli_ranking *ranking) {
    char path[CLI_PATH_MAX];
    cli_checkpoint checkpoint;
    CLI_TRY(cli_run_checkpoint_path(path, run->directory, name));
    if (!cli_path_exists(path)) return CLM_OK;
    const clm_status status = cli_checkpoint_load(&checkpoint, path);
    const uint64_t iteration = checkpoint.iteration;
    cli_checkpoint_close(&checkpoint);
    CLI_TRY(status);
    for (size_t k = 0; k < ranking->count; k++)
        if (ranking->entry[k].iteration == iteration) return rename_checkpoint(run, name, cli_rank_name(k).s);
    remove(path);
    return CLM_OK;
}

clm_status cli_run_rank(cli_run *run, const cli_ranking *ranking) {
    CLI_TRY(rename_checkpoint(run, "best-new", aside_name(CLI_MAX_ENSEMBLE).s));
    for (size_t k = 0; k < CLI_MAX_ENSEMBLE; k++) CLI_TRY(rename_checkpoint(run, cli_rank_name(k).s, aside_name(k).s));
    for (size_t k = 0; k <= CLI_MAX_ENSEMBLE; k++) CLI_TRY(put_at_rank(run, aside_name(k).s, ranking));
    return CLM_OK;
}

/* ---- numbered checkpoints ---- */

/* The oldest numbered checkpoint, and how many there are. */
typedef struct oldest {
    uint64_t iteration;
    size_t count;
    char name[256];
} oldest;

static void find_oldest(void *user, const char *name) {
    oldest *o = user;
    char *end;
    if (name[0] < '0' || name[0] > '9' || strlen(name) >= sizeof o->name) return;
    uint64_t iteration = strtoull(name, &end, 10);
    if (strcmp(end, ".safetensors") != 0) return;
    if (o->count++ > 0 && iteration >= o->iteration) return;
    o->iteration = iteration;
    memcpy(o->name, name, strlen(name) + 1);
}

static clm_status drop_old(const cli_run *run, size_t keep) {
    for (;;) {
        oldest found = {0, 0, ""};
        char path[CLI_PATH_MAX];
        CLI_TRY(cli_directory_visit(run->checkpoints, find_oldest, &found));
        if (found.count <= keep) return CLM_OK;
        CLI_TRY(cli_path(path, run->checkpoints, found.name));
        if (remove(path) != 0) return CLM_OK; /* an old file that stays harms nobody */
    }
}

clm_status cli_run_save_last(cli_run *run, clm_meta *meta, const cli_settings *s, const clm_source *source,
                             const clm_model *model, const cli_ranking *ranking) {
    char name[32];
    snprintf(name, sizeof name, "%08llu", (unsigned long long)clm_meta_iteration(meta));
    if (s->keep > 0) CLI_TRY(cli_run_save(run, name, meta, s, source, model, ranking));
    CLI_TRY(cli_run_save(run, "last", meta, s, source, model, ranking));
    return drop_old(run, (size_t)s->keep);
}
