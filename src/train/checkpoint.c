/* Checkpoints of training.
 *
 * A checkpoint holds all that a continued run needs: the meta-learner's arrays and counters, the note, the model, the best
 * validation so far. It holds no time of day, so that the checkpoints of a resumed run are those of one never stopped, bit for
 * bit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/run.h"

static const char key_config[] = "clmaml.config", key_model[] = "clmaml.model", key_source[] = "clmaml.source",
                  key_best[] = "clmaml.best", key_iteration[] = "clmaml.iteration", key_bn[] = "clmaml.batch_norm",
                  key_version[] = "clmaml.version", key_skipped[] = "clmaml.skipped", key_data[] = "clmaml.data",
                  key_run[] = "clmaml.run";

clm_status clm_run_checkpoint_path(char *path, const char *directory, const char *name) {
    char file[128], checkpoints[CLM_TRAIN_PATH];
    snprintf(file, sizeof file, "%s.safetensors", name);
    CLM_TRY(clm_train_path(checkpoints, directory, "checkpoints"));
    return clm_train_path(path, checkpoints, file);
}

clm_rank_text clm_rank_name(size_t rank) {
    clm_rank_text text;
    snprintf(text.s, sizeof text.s, rank ? "best-%zu" : "best", rank + 1);
    return text;
}

bool clm_run_numbered(const char *name, uint64_t *iteration) {
    char *end;
    if (name[0] < '0' || name[0] > '9') return false;
    *iteration = strtoull(name, &end, 10);
    return strcmp(end, ".safetensors") == 0;
}

uint64_t clm_run_identity_in(const clm_archive *archive) {
    const char *text = clm_archive_meta(archive, key_run);
    return text ? strtoull(text, NULL, 16) : 0;
}

bool clm_run_is_foreign(const clm_archive *archive, uint64_t run) {
    const uint64_t own = clm_run_identity_in(archive);
    return run && own && own != run;
}

clm_status clm_run_load(clm_archive **archive, const char *path, uint64_t run) {
    *archive = NULL;
    if (!clm_path_exists(path)) return clm_fail(CLM_E_FORMAT, "%s is missing", path);
    if (clm_path_is_directory(path))
        return clm_fail(CLM_E_IO, "%s is a directory, where a checkpoint is to be: move it away", path);
    CLM_TRY(clm_archive_load(archive, path));
    if (!clm_run_is_foreign(*archive, run)) return CLM_OK;
    clm_archive_free(*archive);
    *archive = NULL;
    return clm_fail(CLM_E_FORMAT, "%s is of another run", path);
}

clm_status clm_run_look_at(const char *path, uint64_t run) {
    clm_archive *archive;
    const clm_status status = clm_run_load(&archive, path, run);
    clm_archive_free(archive);
    return status;
}

/* Numbered checkpoints of a run directory, from the newest on. */
typedef struct numbered {
    char directory[CLM_TRAIN_PATH], **names;
    size_t count;
    uint64_t before;
} numbered;

static clm_status open_numbered(numbered *n, const char *directory) {
    *n = (numbered){.before = UINT64_MAX};
    CLM_TRY(clm_train_path(n->directory, directory, "checkpoints"));
    return clm_path_exists(n->directory) ? clm_directory_list(n->directory, &n->names, &n->count) : CLM_OK;
}

/* False: there are no more. */
static bool next_numbered(numbered *n, char *path) {
    const char *newest = NULL;
    uint64_t iteration, most = 0;
    for (size_t i = 0; i < n->count; i++)
        if (clm_run_numbered(n->names[i], &iteration) && iteration < n->before && (!newest || iteration > most))
            newest = n->names[i], most = iteration;
    n->before = most;
    return newest && clm_train_path(path, n->directory, newest) == CLM_OK;
}

static clm_status find_newest(char *path, const char *directory) {
    char file[CLM_TRAIN_PATH];
    const uint64_t run = clm_run_identity_of(directory);
    numbered n;
    CLM_TRY(clm_run_checkpoint_path(path, directory, "last"));
    clm_status status = clm_run_look_at(path, run);
    if (status != CLM_E_FORMAT) return status;
    status = open_numbered(&n, directory);
    while (status == CLM_OK && next_numbered(&n, file)) {
        if (clm_run_look_at(file, run) != CLM_OK) continue;
        memcpy(path, file, strlen(file) + 1);
        break;
    }
    clm_names_free(n.names, n.count);
    return status;
}

clm_status clm_run_find_state(char *path, const clm_run *run, const clm_ranked *ranked) {
    char file[CLM_TRAIN_PATH];
    clm_archive *archive;
    clm_ranked found;
    numbered n;
    path[0] = 0;
    clm_status status = open_numbered(&n, run->directory);
    while (status == CLM_OK && !path[0] && next_numbered(&n, file)) {
        if (clm_run_load(&archive, file, run->identity) != CLM_OK) continue;
        if (clm_ranked_of(archive, &found) && clm_ranked_equal(&found, ranked)) memcpy(path, file, strlen(file) + 1);
        clm_archive_free(archive);
    }
    clm_names_free(n.names, n.count);
    return status;
}

clm_status clm_train_checkpoint_path(char *path, size_t size, const char *directory, int rank) {
    char whole[CLM_TRAIN_PATH];
    if (rank == CLM_RANK_NEWEST)
        CLM_TRY(find_newest(whole, directory));
    else
        CLM_TRY(clm_run_checkpoint_path(whole, directory, rank < 0 ? "last" : clm_rank_name((size_t)rank).s));
    if (strlen(whole) >= size) return clm_fail(CLM_E_LIMIT, "path too long: %s", whole);
    memcpy(path, whole, strlen(whole) + 1);
    return CLM_OK;
}

/* ---- reading ---- */

/* A count of updates as describe() writes it. */
static bool parse_count(const char *text, uint64_t *count) {
    const uint64_t most = 9007199254740992u; /* what JSON's numbers hold exactly */
    char *end;
    if (text[0] < '0' || text[0] > '9') return false;
    *count = strtoull(text, &end, 10);
    return !*end && *count <= most;
}

static bool parse_ranked(clm_ranking *ranking, const json_t *object) {
    const json_t *score = json_object_get(object, "score"), *iteration = json_object_get(object, "iteration");
    if (!json_is_number(score) || !json_is_integer(iteration) || json_integer_value(iteration) < 0) return false;
    if (ranking->count == CLM_ENSEMBLE_MOST) return false;
    ranking->entry[ranking->count++] = (clm_ranked){json_number_value(score), (uint64_t)json_integer_value(iteration)};
    return true;
}

/* False: the archive does not say it as describe() does. The score of a run that has not validated is null. */
static bool parse_ranking(clm_ranking *ranking, const char *text) {
    json_t *best = json_loads(text, 0, NULL);
    const json_t *others = json_object_get(best, "others");
    ranking->count = 0;
    bool whole = parse_ranked(ranking, best) || json_is_null(json_object_get(best, "score"));
    for (size_t i = 0; whole && i < json_array_size(others); i++) whole = parse_ranked(ranking, json_array_get(others, i));
    json_decref(best);
    return whole;
}

clm_status clm_train_read_checkpoint(const clm_archive *archive, clm_train_checkpoint *out) {
    const char *iteration = clm_archive_meta(archive, key_iteration), *best = clm_archive_meta(archive, key_best);
    clm_ranking ranking;
    out->note = clm_archive_meta(archive, key_config);
    out->model = clm_archive_meta(archive, key_model);
    if (!out->note || !out->model || !iteration || !best)
        return clm_fail(CLM_E_FORMAT, "no checkpoint of training: it lacks the settings of its run");
    if (!parse_count(iteration, &out->iteration))
        return clm_fail(CLM_E_FORMAT, "no checkpoint of training: its %s, \"%.40s\", is no number of updates", key_iteration,
                        iteration);
    if (parse_ranking(&ranking, best)) return CLM_OK;
    return clm_fail(CLM_E_FORMAT, "no checkpoint of training: its %s, \"%.40s\", is no score of validation", key_best, best);
}

const char *clm_train_said_of(const char *description) {
    const char *colon = description ? strstr(description, ": ") : NULL;
    return colon ? colon + 2 : description ? description : "";
}

const char *clm_train_data_changed(const clm_archive *archive, const clm_source *source, char *text, size_t size) {
    char now[32];
    const char *signed_then = clm_archive_meta(archive, key_data), *then = clm_archive_meta(archive, key_source);
    const char *is = clm_source_description(source);
    const bool both = signed_then && clm_source_fingerprint(source),
               told = then && strcmp(clm_train_said_of(then), clm_train_said_of(is)) != 0;
    snprintf(now, sizeof now, "%016llx", (unsigned long long)clm_source_fingerprint(source));
    text[0] = 0;
    if (both ? strcmp(signed_then, now) == 0 : !told) return text;
    if (told)
        snprintf(text, size, "the data differ from those that the run was trained on, \"%s\", now \"%s\"",
                 clm_train_said_of(then), clm_train_said_of(is));
    else
        snprintf(text, size, "the data differ from those that the run was trained on: as many, with other contents");
    return text;
}

clm_status clm_checkpoint_params(const clm_archive *archive, const char *path, bool average, int start, clm_params *params) {
    clm_status status = clm_params_load_of(params, archive, start);
    if (status == CLM_OK && average) status = clm_params_load_average_of(params, archive, start);
    return status == CLM_OK || strstr(clm_last_error(), path) ? status : clm_fail_in(status, "%s", path);
}

void clm_ranking_read(clm_ranking *ranking, const clm_archive *archive) {
    const char *text = clm_archive_meta(archive, key_best);
    if (!text || !parse_ranking(ranking, text)) ranking->count = 0;
}

/* As it was saved it ranked itself. A score is written with all of its digits. */
bool clm_ranked_of(const clm_archive *archive, clm_ranked *out) {
    clm_train_checkpoint said;
    clm_ranking ranking;
    if (clm_train_read_checkpoint(archive, &said) != CLM_OK) return false;
    clm_ranking_read(&ranking, archive);
    for (size_t i = 0; i < ranking.count; i++) {
        *out = ranking.entry[i];
        if (out->iteration == said.iteration) return true;
    }
    return false;
}

bool clm_ranked_equal(const clm_ranked *a, const clm_ranked *b) { return a->iteration == b->iteration && a->score == b->score; }

/* A run that was killed as it renamed them has those behind the first at other ranks. */
static bool is_chosen(const clm_ranking *chosen, size_t rank, const clm_ranked *found) {
    for (size_t i = 0; i < chosen->count && rank > 0; i++)
        if (clm_ranked_equal(found, &chosen->entry[i])) return true;
    return clm_ranked_equal(found, &chosen->entry[rank]);
}

clm_status clm_run_check_ranked(const char *path, size_t rank, const clm_ranking *chosen, uint64_t reached, uint64_t run) {
    clm_archive *archive;
    clm_ranked found;
    if (rank >= chosen->count) return CLM_OK;
    CLM_TRY(clm_run_load(&archive, path, run));
    const bool is_ranked = clm_ranked_of(archive, &found);
    clm_archive_free(archive);
    if (is_ranked && (found.iteration > reached || is_chosen(chosen, rank, &found))) return CLM_OK;
    return clm_fail(CLM_E_FORMAT, "%s is not the checkpoint of iteration %llu that validation chose in this run", path,
                    (unsigned long long)chosen->entry[rank].iteration);
}

/* What the run's own last checkpoint says; false where there is none that can be read. */
static bool read_last(const char *directory, uint64_t *run, clm_train_checkpoint *said, clm_ranking *chosen) {
    char path[CLM_TRAIN_PATH];
    clm_archive *archive;
    if (clm_run_checkpoint_path(path, directory, "last") != CLM_OK || clm_run_load(&archive, path, *run) != CLM_OK)
        return false;
    const bool known = clm_train_read_checkpoint(archive, said) == CLM_OK;
    clm_ranking_read(chosen, archive);
    if (!*run) *run = clm_run_identity_in(archive);
    clm_archive_free(archive);
    return known;
}

clm_status clm_train_check_best(const char *directory, int rank) {
    char path[CLM_TRAIN_PATH];
    clm_train_checkpoint said;
    clm_ranking chosen;
    uint64_t run = clm_run_identity_of(directory);
    if (rank < CLM_RANK_LAST) return clm_fail(CLM_E_ARG, "a rank of %d; the best has rank 0, the last %d", rank, CLM_RANK_LAST);
    CLM_TRY(clm_run_checkpoint_path(path, directory, rank < 0 ? "last" : clm_rank_name((size_t)rank).s));
    if (rank >= 0 && read_last(directory, &run, &said, &chosen))
        return clm_run_check_ranked(path, (size_t)rank, &chosen, said.iteration, run);
    return clm_path_exists(path) ? clm_run_look_at(path, run) : CLM_OK;
}

uint64_t clm_run_read_skipped(const clm_archive *archive) {
    const char *text = clm_archive_meta(archive, key_skipped);
    return text ? strtoull(text, NULL, 10) : 0;
}

/* ---- writing ---- */

static json_t *ranked_to_json(const clm_ranked *ranked) {
    json_t *object = json_object();
    clm_json_set(object, "score", ranked ? json_real(ranked->score) : json_null());
    clm_json_set(object, "iteration", json_integer(ranked ? (json_int_t)ranked->iteration : 0));
    return object;
}

static json_t *ranking_to_json(const clm_ranking *ranking) {
    json_t *best = ranked_to_json(ranking->count ? &ranking->entry[0] : NULL), *others = json_array();
    for (size_t i = 1; i < ranking->count; i++) clm_json_append(others, ranked_to_json(&ranking->entry[i]));
    if (ranking->count > 1)
        clm_json_set(best, "others", others);
    else
        json_decref(others);
    return best;
}

/* What a learner needs to know was settled as the run began. */
static clm_status copy_description(clm_archive *archive, const clm_archive *from) {
    static const char *const keys[] = {"clmaml.task", "clmaml.preparation"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (clm_archive_meta(from, keys[i])) CLM_TRY(clm_archive_set_meta(archive, keys[i], clm_archive_meta(from, keys[i])));
    return CLM_OK;
}

static clm_status describe(clm_archive *archive, const clm_run *run, uint64_t iteration, const clm_ranking *ranking) {
    clm_status status = CLM_OK;
    char number[32];
    json_t *best = ranking_to_json(ranking);
    char *best_text = clm_json_text(best, 0);
    const char *model = clm_model_json(run->model);
    snprintf(number, sizeof number, "%llu", (unsigned long long)iteration);
    if (!best_text) CLM_GOTO(clm_fail(CLM_E_MEMORY, "out of memory"));
    CLM_GOTO(clm_archive_set_meta(archive, key_version, clm_version()));
    CLM_GOTO(clm_archive_set_meta(archive, key_config, run->note));
    CLM_GOTO(clm_archive_set_meta(archive, key_best, best_text));
    CLM_GOTO(clm_archive_set_meta(archive, key_iteration, number));
    if (run->identity) CLM_GOTO(clm_archive_set_meta(archive, key_run, clm_run_identity_text(run).s));
    if (run->skipped > 0) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)run->skipped);
        CLM_GOTO(clm_archive_set_meta(archive, key_skipped, number));
    }
    CLM_GOTO(clm_archive_set_meta(archive, key_source, clm_source_description(run->source)));
    if (clm_source_fingerprint(run->source)) {
        snprintf(number, sizeof number, "%016llx", (unsigned long long)clm_source_fingerprint(run->source));
        CLM_GOTO(clm_archive_set_meta(archive, key_data, number));
    }
    CLM_GOTO(copy_description(archive, run->described));
    CLM_GOTO(clm_archive_set_meta(archive, key_bn, clm_model_bn_name(run->model, run->bn_mode)));
    CLM_GOTO(clm_archive_set_meta(archive, key_model, model ? model : ""));
out:
    json_decref(best);
    free(best_text);
    return status;
}

clm_status clm_run_save(clm_run *run, const char *name, clm_meta *meta, const clm_ranking *ranking) {
    char path[CLM_TRAIN_PATH];
    clm_status status = CLM_OK;
    clm_archive *archive = NULL;
    CLM_TRY(clm_run_checkpoint_path(path, run->directory, name));
    CLM_GOTO(clm_archive_create(&archive));
    CLM_GOTO(clm_meta_save(meta, archive));
    CLM_GOTO(describe(archive, run, clm_meta_iteration(meta), ranking));
    CLM_GOTO(clm_archive_save(archive, path));
out:
    clm_archive_free(archive);
    return status;
}
