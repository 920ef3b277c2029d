/* The directory of a sweep:
 *
 *     plan.json               the file as it was when the sweep began; another one is refused
 *     NN_OPTION=VALUE_../     a run's directory, as train makes it, and in it log.txt: what train said
 *     sweep.json, sweep.csv   the table
 *     .failed-NN..            of a run that has failed: why
 *     .lock..                 taken by the processes at work */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/system.h"
#include "sweep/sweep.h"

/* ---- the file of before ---- */

static void shorten(const json_t *value, char *text, size_t size) {
    char *whole = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf(text, size, "%.*s%s", 60, whole ? whole : "nothing", whole && strlen(whole) > 60 ? ".." : "");
    free(whole);
}

static clm_status differs(const sweep *s, const char *where, const json_t *was, const json_t *is) {
    char before[80], now[80];
    shorten(was, before, sizeof before);
    shorten(is, now, sizeof now);
    return cli_fail(CLM_E_STATE,
                    "%s is a sweep of another file than %s: %s is %s there and %s here; put it back, or give another --out",
                    s->directory, s->path, where, before, now);
}

/* The first key, from the outside in, whose value is another. */
static clm_status compare(const sweep *s, const char *where, const json_t *was, const json_t *is) {
    const char *key;
    json_t *value;
    char inside[512];
    if (!json_is_object(was) || !json_is_object(is)) return json_equal(was, is) ? CLM_OK : differs(s, where, was, is);
    for (int side = 0; side < 2; side++) json_object_foreach((json_t *)(side ? was : is), key, value) {
            snprintf(inside, sizeof inside, "%.300s%s%.100s", where, *where ? "." : "", key);
            CLI_TRY(compare(s, inside, json_object_get(was, key), json_object_get(is, key)));
        }
    return CLM_OK;
}

/* Numbers of runs follow from the order of keys. */
static clm_status compare_order(const sweep *s, const json_t *was, const json_t *is) {
    char *a = json_dumps(was, JSON_COMPACT), *b = json_dumps(is, JSON_COMPACT);
    const bool same = a && b && strcmp(a, b) == 0;
    const bool lacks = !a || !b;
    free(a);
    free(b);
    if (lacks) return cli_fail(CLM_E_MEMORY, "out of memory");
    if (same) return CLM_OK;
    return cli_fail(
        CLM_E_STATE,
        "%s is a sweep of another file than %s: options stand in another order there; put them back, or give another --out",
        s->directory, s->path);
}

static void count_name(void *user, const char *name) {
    size_t *count = user;
    *count += name[0] != '.';
}

clm_status sweep_directory_look(sweep *s, bool *is_new) {
    char path[CLI_PATH_MAX];
    size_t names = 0;
    *is_new = true;
    CLI_TRY(cli_path(path, s->directory, "plan.json"));
    if (!cli_path_exists(path)) {
        if (!cli_path_exists(s->directory)) return CLM_OK;
        CLI_TRY(cli_directory_visit(s->directory, count_name, &names));
        if (names == 0) return CLM_OK;
        return cli_fail(CLM_E_STATE, "%s holds something else than a sweep: there is no %s; give another --out", s->directory,
                        path);
    }
    *is_new = false;
    json_t *plan = cli_json_load(path);
    if (!plan) return CLM_E_FORMAT;
    const json_t *was = json_object_get(plan, "file");
    clm_status status = compare(s, "", was, s->file);
    if (status == CLM_OK) status = compare_order(s, was, s->file);
    json_decref(plan);
    return status;
}

clm_status sweep_directory_begin(const sweep *s) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_directory_make(s->directory));
    CLI_TRY(cli_path(path, s->directory, "plan.json"));
    json_t *plan = json_pack("{s:s, s:O}", "clmaml", clm_version(), "file", s->file);
    char *text = plan ? cli_json_text(plan, JSON_INDENT(2)) : NULL;
    clm_status status = text ? cli_file_write(path, text, strlen(text)) : cli_fail(CLM_E_MEMORY, "out of memory");
    free(text);
    json_decref(plan);
    return status;
}

clm_status sweep_directory_lock(const sweep *s, int part, int parts) {
    char name[64], path[CLI_PATH_MAX];
    bool taken = false;
    CLI_TRY(cli_path(path, s->directory, ".lock"));
    CLI_TRY(cli_lock_take(path, part > 0, &taken));
    if (taken && part) {
        snprintf(name, sizeof name, ".lock-%d-of-%d", part, parts);
        CLI_TRY(cli_path(path, s->directory, name));
        CLI_TRY(cli_lock_take(path, false, &taken));
    }
    if (taken) return CLM_OK;
    return cli_fail(CLM_E_STATE, "%s: another process works on this sweep; wait for its end, or give another --out",
                    s->directory);
}

/* ---- what a run has reached ---- */

static bool is_better(double a, double b, bool regression) {
    if (!isfinite(a) || !isfinite(b)) return isfinite(a);
    return regression ? a < b : a > b;
}

static double number_of(const json_t *row, const char *key) {
    const json_t *value = json_object_get(row, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

typedef struct reading {
    const sweep *s;
    sweep_run *run;
} reading;

static void take_row(void *user, const json_t *row) {
    const reading *of = user;
    const sweep *s = of->s;
    sweep_run *run = of->run;
    const char *kind = json_string_value(json_object_get(row, "kind"));
    sweep_result *r = &run->result;
    if (!kind || strcmp(kind, "validation") != 0) return;
    const sweep_score score = {true, number_of(row, "query_after"), number_of(row, "interval"),
                               json_integer_value(json_object_get(row, "iteration"))};
    if (s->by_last || r->iterations < 0 || is_better(score.mean, r->now.mean, run->regression)) r->now = score;
    r->iterations = score.iteration;
    for (int round = 0; round < s->rounds; round++)
        if (sweep_target(s, run, round) == score.iteration) r->at[round] = r->now;
}

/* Of a run that has made its last update: is it tested, too, if it is to be? */
static clm_status is_finished(const char *directory, bool *finished) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_path(path, directory, "result.json"));
    *finished = cli_path_exists(path);
    if (*finished) return CLM_OK;
    CLI_TRY(cli_path(path, directory, "config.json"));
    json_t *config = cli_json_load(path);
    if (!config) return CLM_E_FORMAT;
    *finished = json_integer_value(json_object_get(json_object_get(config, "settings"), "eval-tasks")) == 0;
    json_decref(config);
    return CLM_OK;
}

static clm_status failure_path(const sweep *s, const sweep_run *run, char *path) {
    char name[SWEEP_NAME + 16];
    snprintf(name, sizeof name, ".failed-%s", run->name);
    return cli_path(path, s->directory, name);
}

static clm_status read_failure(const sweep *s, sweep_run *run) {
    char path[CLI_PATH_MAX], *text = NULL;
    CLI_TRY(failure_path(s, run, path));
    if (!cli_path_exists(path)) return CLM_OK;
    CLI_TRY(cli_file_read(path, &text));
    snprintf(run->result.why, sizeof run->result.why, "%.*s", (int)strcspn(text, "\n"), text);
    if (!run->result.why[0]) snprintf(run->result.why, sizeof run->result.why, "it does not say why");
    free(text);
    return CLM_OK;
}

clm_status sweep_result_read(const sweep *s, sweep_run *run) {
    char directory[CLI_PATH_MAX], config[CLI_PATH_MAX], metrics[CLI_PATH_MAX];
    sweep_result *r = &run->result;
    sweep_score *last = &r->at[s->rounds - 1];
    *r = (sweep_result){.iterations = -1, .now = {false, NAN, NAN, 0}};
    for (int round = 0; round < s->rounds; round++) r->at[round] = r->now;
    CLI_TRY(sweep_run_path(s, run, directory));
    CLI_TRY(read_failure(s, run));
    CLI_TRY(cli_path(config, directory, "config.json"));
    if (!cli_path_exists(config)) return CLM_OK;
    CLI_TRY(cli_path(metrics, directory, "metrics.jsonl"));
    CLI_TRY(cli_json_lines(metrics, take_row, &(reading){s, run}, NULL));
    if (last->reached) CLI_TRY(is_finished(directory, &last->reached));
    return CLM_OK;
}

clm_status sweep_failure_write(const sweep *s, const sweep_run *run, const char *why) {
    char path[CLI_PATH_MAX], text[SWEEP_WHY + 2];
    CLI_TRY(failure_path(s, run, path));
    snprintf(text, sizeof text, "%.*s\n", SWEEP_WHY - 1, why);
    return cli_file_write(path, text, strlen(text));
}

clm_status sweep_failure_forget(const sweep *s, const sweep_run *run) {
    char path[CLI_PATH_MAX];
    CLI_TRY(failure_path(s, run, path));
    cli_file_remove(path);
    return CLM_OK;
}
