/* The run directory of a policy's training, and checkpoints. A checkpoint holds parameters, the optimiser's state and counters:
 * all else is a function of the seed and the number of the iteration. Nothing in it tells of time, so the checkpoints of a
 * resumed run are those of one never stopped, bit for bit. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "clmaml/train.h"
#include "policy/train.h"

static const char key_record[] = "clmaml.policy", key_note[] = "clmaml.note", key_iteration[] = "clmaml.iteration",
                  key_best[] = "clmaml.best", key_version[] = "clmaml.version";

static clm_status checkpoint_path(char *path, const char *directory, const char *name) {
    char file[64];
    snprintf(file, sizeof file, "checkpoints/%s.safetensors", name);
    return clm_policy_path(path, directory, file);
}

bool clm_policy_run_has_checkpoint(const char *directory) {
    char path[CLM_POLICY_PATH];
    return checkpoint_path(path, directory, "last") == CLM_OK && clm_path_exists(path);
}

/* ---- config.json and result.json ---- */

static clm_status write_json(const char *directory, const char *name, json_t *root) {
    char path[CLM_POLICY_PATH], *text = clm_json_text(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return clm_fail(CLM_E_MEMORY, "out of memory");
    clm_status status = clm_policy_path(path, directory, name);
    if (status == CLM_OK) status = clm_file_write(path, text, strlen(text));
    free(text);
    return status;
}

static clm_status write_config(const clm_policy_trainer *t) {
    const clm_device_info *info = clm_device_get_info(t->device);
    json_t *root = json_object();
    clm_json_set(root, "clmaml", json_string(clm_version()));
    clm_json_set(root, "settings", t->options.note ? json_loads(t->options.note, JSON_DECODE_ANY, NULL) : json_null());
    clm_json_set(root, "policy", json_loads(t->record, 0, NULL));
    clm_json_set(root, "iterations", json_integer((json_int_t)t->options.iterations));
    clm_json_set(root, "device", json_string(info->name));
    clm_json_set(root, "driver", json_string(info->driver));
    return write_json(t->log.directory, "config.json", root);
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

clm_status clm_policy_run_write_result(const clm_policy_trainer *t) {
    const clm_policy_result *r = &t->result;
    json_t *root = json_object(), *means = json_array(), *halves = json_array();
    for (int k = 0; k <= r->test_steps; k++) {
        clm_json_append(means, number(r->test_return[k]));
        clm_json_append(halves, number(r->test_half[k]));
    }
    clm_json_set(root, "metric", json_string("return"));
    clm_json_set(root, "iteration", json_integer((json_int_t)r->best_iteration));
    clm_json_set(root, "tasks", json_integer(r->test_tasks));
    clm_json_set(root, "steps", json_integer(r->test_steps));
    clm_json_set(root, "mean", number(r->test_return[r->test_steps]));
    clm_json_set(root, "interval", number(r->test_half[r->test_steps]));
    clm_json_set(root, "returns", means);
    clm_json_set(root, "intervals", halves);
    return write_json(t->log.directory, "result.json", root);
}

/* ---- opening ---- */

clm_status clm_policy_run_open(clm_policy_trainer *t, bool resumed) {
    const char *directory = t->options.directory;
    char checkpoints[CLM_POLICY_PATH];
    if (strlen(directory) >= sizeof t->log.directory) return clm_fail(CLM_E_LIMIT, "path too long: %s", directory);
    memcpy(t->log.directory, directory, strlen(directory) + 1);
    CLM_TRY(clm_directory_make(directory));
    CLM_TRY(clm_directory_lock(directory, &t->log.lock));
    t->log.locked = true;
    CLM_TRY(clm_policy_path(checkpoints, directory, "checkpoints"));
    CLM_TRY(clm_directory_make(checkpoints));
    CLM_TRY(write_config(t));
    CLM_TRY(clm_policy_log_open(&t->log, directory, resumed, t->iteration));
    const double seconds = t->log.count ? t->log.rows[t->log.count - 1].value[CLM_POLICY_METRIC_SECONDS] : 0;
    t->seconds_before = isfinite(seconds) ? seconds : 0;
    return CLM_OK;
}

/* ---- checkpoints ---- */

static clm_status describe(clm_archive *archive, const clm_policy_trainer *t) {
    char iteration[32];
    snprintf(iteration, sizeof iteration, "%llu", (unsigned long long)t->iteration);
    CLM_TRY(clm_archive_set_meta(archive, key_version, clm_version()));
    CLM_TRY(clm_archive_set_meta(archive, key_record, t->record));
    CLM_TRY(clm_archive_set_meta(archive, key_note, t->options.note ? t->options.note : ""));
    return clm_archive_set_meta(archive, key_iteration, iteration);
}

/* {"return": .., "iteration": ..}, or null: with all digits. */
static clm_status describe_best(clm_archive *archive, const clm_policy_trainer *t) {
    json_t *best = isnan(t->best_return) ? json_null() : json_object();
    if (json_is_object(best)) {
        clm_json_set(best, "return", json_real(t->best_return));
        clm_json_set(best, "iteration", json_integer((json_int_t)t->best_iteration));
    }
    char *text = clm_json_text(best, JSON_ENCODE_ANY);
    json_decref(best);
    if (!text) return clm_fail(CLM_E_MEMORY, "out of memory");
    const clm_status status = clm_archive_set_meta(archive, key_best, text);
    free(text);
    return status;
}

clm_status clm_policy_run_save(clm_policy_trainer *t, const char *name) {
    const clm_dtype type = t->device->backend->element_size == 8 ? CLM_F64 : CLM_F32;
    clm_policy *p = t->policy;
    char path[CLM_POLICY_PATH];
    clm_status status = CLM_OK;
    clm_archive *archive = NULL;
    CLM_TRY(checkpoint_path(path, t->log.directory, name));
    CLM_GOTO(clm_archive_create(&archive));
    CLM_GOTO(clm_policy_get(p, p->params));
    CLM_GOTO(clm_params_save(p->params, archive, type));
    if (p->options.outer == CLM_OUTER_VPG) CLM_GOTO(clm_optimizer_save(&p->optimizer, archive, type));
    CLM_GOTO(describe(archive, t));
    CLM_GOTO(describe_best(archive, t));
    CLM_GOTO(clm_archive_save(archive, path));
out:
    clm_archive_free(archive);
    return status;
}

static clm_status read_counters(clm_policy_trainer *t, const clm_archive *archive, const char *path) {
    const char *iteration = clm_archive_meta(archive, key_iteration), *text = clm_archive_meta(archive, key_best);
    CLM_TRY(clm_policy_record_check(clm_archive_meta(archive, key_record), t->record, path));
    json_t *best = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    t->iteration = iteration ? strtoull(iteration, NULL, 10) : 0;
    t->best_return = json_is_object(best) ? json_number_value(json_object_get(best, "return")) : NAN;
    t->best_iteration = (uint64_t)json_integer_value(json_object_get(best, "iteration"));
    json_decref(best);
    return iteration ? CLM_OK : clm_fail(CLM_E_FORMAT, "%s does not say of which iteration it is", path);
}

clm_status clm_policy_run_restore(clm_policy_trainer *t) {
    clm_policy *p = t->policy;
    char path[CLM_POLICY_PATH];
    clm_status status = CLM_OK;
    clm_archive *archive = NULL;
    CLM_GOTO(checkpoint_path(path, t->options.directory, "last"));
    CLM_GOTO(clm_archive_load(&archive, path));
    CLM_GOTO(read_counters(t, archive, path));
    CLM_GOTO(clm_params_load(p->params, archive));
    if (p->options.outer == CLM_OUTER_VPG) CLM_GOTO(clm_optimizer_restore(&p->optimizer, archive, true));
    CLM_GOTO(clm_policy_set(p, p->params));
    clm_archive_free(archive);
    archive = NULL;
    if (isnan(t->best_return)) goto out;
    CLM_GOTO(checkpoint_path(path, t->options.directory, "best"));
    CLM_GOTO(clm_archive_load(&archive, path));
    CLM_GOTO(clm_params_load(t->best, archive));
out:
    clm_archive_free(archive);
    return status;
}
