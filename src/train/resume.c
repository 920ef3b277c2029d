/* The run directory of a trainer: a new one is taken, one that holds a run is gone on with. What is lost in it, or another run's, is
 * told, and made up for where it is there a second time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"
#include "train/internal.h"
#include "train/record.h"

static clm_status compare_data(const clm_trainer *t, const clm_archive *archive, const char *path) {
    const char *then = clm_archive_meta(archive, "clmaml.source"), *now = clm_source_description(t->source);
    if (!then || strcmp(clm_train_said_of(then), clm_train_said_of(now)) == 0) return CLM_OK;
    return clm_fail(
        CLM_E_STATE,
        "%s: the data differ from those that the run was trained on, \"%s\", now \"%s\"; give it these, or begin another run",
        path, then, now);
}

/* Without a note of the caller's, what the last checkpoint says must be what the options and the model say. */
static clm_status compare(clm_trainer *t, const clm_archive *archive, const char *path) {
    clm_train_checkpoint said;
    const char *model = clm_model_json(t->model);
    const clm_status status = clm_train_read_checkpoint(archive, &said);
    if (status != CLM_OK) return clm_fail_in(status, "%s", path);
    CLM_TRY(compare_data(t, archive, path));
    if (*clm_train_data_changed(archive, t->source, t->data_changed, sizeof t->data_changed))
        clm_trainer_remark(t, "%s", t->data_changed);
    if (t->options.note) return CLM_OK;
    if (strcmp(said.note, t->note) != 0) return clm_fail(CLM_E_STATE, "%s is of another run than %s", path, t->run.directory);
    if (strcmp(said.model, model ? model : "") == 0) return CLM_OK;
    return clm_fail(CLM_E_STATE, "%s is of another run: its model is another one", path);
}

static bool is_there(const clm_run_ranked *there, const clm_ranked *ranked) {
    for (size_t i = 0; i < there->count; i++)
        if (clm_ranked_equal(&there->entry[i], ranked)) return true;
    return false;
}

/* A rank whose name is free, CLM_ENSEMBLE_MOST if none is: those of a run that was killed need not be at theirs. */
static size_t free_rank(const clm_trainer *t) {
    char path[CLM_TRAIN_PATH];
    size_t k = 0;
    while (k < CLM_ENSEMBLE_MOST && clm_run_checkpoint_path(path, t->run.directory, clm_rank_name(k).s) == CLM_OK &&
           clm_path_exists(path))
        k++;
    return k;
}

/* Is the state of a rank, whose file is gone, in a numbered checkpoint too? `reason`: what is wrong with the file. */
static clm_status put_back(clm_trainer *t, size_t rank, const char *reason, bool *done) {
    char from[CLM_TRAIN_PATH];
    const size_t to = free_rank(t);
    CLM_TRY(clm_run_find_state(from, &t->run, &t->ranking.entry[rank]));
    *done = from[0] && to < CLM_ENSEMBLE_MOST;
    if (!*done) return CLM_OK;
    CLM_TRY(clm_run_put_back(&t->run, to, from));
    clm_trainer_remark(t, "%s; %s is the same state, and takes its place", reason, from);
    return CLM_OK;
}

static clm_status set_aside(clm_trainer *t, size_t rank) {
    char kept[CLM_TRAIN_PATH];
    CLM_TRY(clm_run_set_aside(&t->run, rank, kept));
    if (kept[0])
        clm_trainer_remark(t, "%s.safetensors was not this run's, or is damaged: it is kept as %s", clm_rank_name(rank).s,
                           kept);
    return CLM_OK;
}

/* Of an ensemble those of another run make room. */
static clm_status set_foreign_aside(clm_trainer *t) {
    char path[CLM_TRAIN_PATH];
    for (size_t k = 0; k < CLM_ENSEMBLE_MOST; k++) {
        CLM_TRY(clm_run_checkpoint_path(path, t->run.directory, clm_rank_name(k).s));
        if (!clm_path_exists(path)) continue;
        const clm_status status = clm_run_look_at(path, t->run.identity);
        if (status == CLM_E_FORMAT)
            CLM_TRY(set_aside(t, k));
        else if (status != CLM_OK)
            return status;
    }
    return CLM_OK;
}

/* Of an ensemble those that are gone leave the ranking. A run that was killed may have put newer ones in place of the last, which it will
 * do again. */
static clm_status settle_ensemble(clm_trainer *t) {
    clm_ranking *ranking = &t->ranking;
    clm_run_ranked there;
    size_t newer = 0;
    CLM_TRY(set_foreign_aside(t));
    CLM_TRY(clm_run_ranked_there(&t->run, &there));
    for (size_t i = 0; i < there.count; i++) newer += there.entry[i].iteration > clm_meta_iteration(t->meta);
    for (size_t k = ranking->count; k-- > 0;) {
        char reason[CLM_TRAIN_PATH + 256];
        bool back;
        if (is_there(&there, &ranking->entry[k])) continue;
        snprintf(reason, sizeof reason,
                 "the checkpoint of iteration %llu, which was %zu of the best %zu of this run until now, is missing or damaged "
                 "in %s",
                 (unsigned long long)ranking->entry[k].iteration, k + 1, ranking->count, t->run.checkpoints);
        if (newer > 0) {
            newer--;
            continue;
        }
        CLM_TRY(put_back(t, k, reason, &back));
        if (back) continue;
        clm_trainer_remark(t, "%s; the best are chosen anew from here on", reason);
        memmove(&ranking->entry[k], &ranking->entry[k + 1], (ranking->count - k - 1) * sizeof ranking->entry[k]);
        ranking->count--;
        t->saves_anew = true;
    }
    return CLM_OK;
}

/* What was the best so far may have been taken away or damaged since, or another run's have been put there. */
static clm_status settle_best(clm_trainer *t) {
    char path[CLM_TRAIN_PATH], reason[CLM_TRAIN_PATH + 256];
    clm_ranking *ranking = &t->ranking;
    bool back;
    if (t->run.ensemble != 1) return settle_ensemble(t);
    if (ranking->count == 0) return CLM_OK;
    CLM_TRY(clm_run_checkpoint_path(path, t->run.directory, "best"));
    const clm_status status = clm_run_check_ranked(path, 0, ranking, clm_meta_iteration(t->meta), t->run.identity);
    if (status != CLM_E_FORMAT) return status;
    snprintf(reason, sizeof reason, "%s", clm_last_error());
    CLM_TRY(set_aside(t, 0));
    CLM_TRY(put_back(t, 0, reason, &back));
    if (back) return CLM_OK;
    clm_trainer_remark(t, "%s; the best is chosen anew from here on", reason);
    ranking->count = 0;
    t->saves_anew = true;
    return CLM_OK;
}

/* It is not `last` where that cannot be read, or is another run's. */
static clm_status remark_on_checkpoint(clm_trainer *t) {
    char last[CLM_TRAIN_PATH];
    CLM_TRY(clm_run_checkpoint_path(last, t->run.directory, "last"));
    if (strcmp(t->newest, last) == 0) return CLM_OK;
    const clm_status status = clm_run_look_at(last, clm_run_identity_of(t->run.directory));
    if (status != CLM_E_FORMAT) return status;
    clm_trainer_remark(t, "%s; the run goes on from %s instead", clm_last_error(), t->newest);
    t->saves_anew = true;
    return CLM_OK;
}

clm_status clm_trainer_restore(clm_trainer *t) {
    const char *path = t->newest;
    clm_archive *archive = NULL;
    clm_status status = CLM_OK;
    CLM_TRY(remark_on_checkpoint(t));
    CLM_TRY(clm_archive_load(&archive, path));
    CLM_GOTO(compare(t, archive, path));
    status = clm_meta_restore(t->meta, archive);
    if (status != CLM_OK) CLM_GOTO(strstr(clm_last_error(), path) ? status : clm_fail_in(status, "%s", path));
    clm_ranking_read(&t->ranking, archive);
    if (t->ranking.count) {
        t->run.metrics.best.known = true;
        t->run.metrics.best.iteration = t->ranking.entry[0].iteration;
        t->run.metrics.best.score = t->ranking.entry[0].score;
    }
    t->run.identity = clm_run_identity_in(archive);
    CLM_GOTO(settle_best(t));
    t->run.skipped = clm_run_read_skipped(archive);
    t->last_checkpoint = clm_meta_iteration(t->meta);
    if (t->last_checkpoint > t->options.iterations)
        status = clm_fail(CLM_E_ARG, "%s has made %llu iterations already, more than the %llu asked for", t->run.directory,
                          (unsigned long long)t->last_checkpoint, (unsigned long long)t->options.iterations);
out:
    clm_archive_free(archive);
    return status;
}

/* Did the run make updates? Before the first it has saved its state, so that something is lost where there is none to go on from. */
static clm_status check_lost(const clm_trainer *t) {
    char path[CLM_TRAIN_PATH], *text = NULL, **names = NULL;
    size_t count = 0;
    uint64_t iteration;
    bool trained = false;
    clm_run_ranked there;
    CLM_TRY(clm_train_path(path, t->run.directory, "metrics.jsonl"));
    if (clm_path_exists(path)) {
        CLM_TRY(clm_file_read(path, &text, NULL));
        trained = strstr(text, "\"train\"") != NULL;
        free(text);
    }
    CLM_TRY(clm_run_ranked_there(&t->run, &there));
    for (size_t i = 0; i < there.count; i++) trained |= there.entry[i].iteration > 0;
    if (clm_path_exists(t->run.checkpoints)) CLM_TRY(clm_directory_list(t->run.checkpoints, &names, &count));
    for (size_t i = 0; i < count; i++) trained |= clm_run_numbered(names[i], &iteration);
    clm_names_free(names, count);
    if (!trained) return CLM_OK;
    return clm_fail(
        CLM_E_STATE,
        "%s has made updates, but last.safetensors is missing in %s, and no numbered checkpoint there is whole: put "
        "one back, or begin another run "
        "in another directory (--init takes weights, such as those of best.safetensors)",
        t->run.directory, t->run.checkpoints);
}

/* What config.json says of the run, or, where that is lost, its newest checkpoint. */
static clm_status read_note(clm_trainer *t, char **out) {
    char reason[CLM_TRAIN_PATH + 128];
    const clm_status status = clm_run_read_note(&t->run, out);
    if (status == CLM_OK || !t->continues) return status;
    snprintf(reason, sizeof reason, "%s", clm_last_error());
    CLM_TRY(clm_run_read_note_of(t->newest, out));
    clm_trainer_remark(t, "%s; the settings are those of %s", reason, t->newest);
    return CLM_OK;
}

/* Is there a run to go on with, and is it this one? */
static clm_status find_run(clm_trainer *t, const clm_train_options *settled) {
    char *text = NULL;
    CLM_TRY(clm_train_checkpoint_path(t->newest, sizeof t->newest, t->run.directory, CLM_RANK_NEWEST));
    t->continues = clm_path_exists(t->newest);
    CLM_TRY(read_note(t, &text));
    const clm_status locked = clm_run_lock(&t->run);
    clm_status status = locked != CLM_OK ? locked : settled->note ? CLM_OK : clm_record_check(text, settled, t->run.directory);
    free(text);
    if (status == CLM_OK) status = clm_train_checkpoint_path(t->newest, sizeof t->newest, t->run.directory, CLM_RANK_NEWEST);
    t->continues = status == CLM_OK && clm_path_exists(t->newest);
    return status == CLM_OK && !t->continues ? check_lost(t) : status;
}

clm_status clm_trainer_open_directory(clm_trainer *t, const clm_train_options *settled) {
    if (!clm_trainer_leads(t)) return CLM_OK;
    if (!settled->directory) {
        if (settled->resume) return clm_fail(CLM_E_ARG, "resume: there is no directory to go on with");
        return CLM_OK;
    }
    t->note = settled->note ? clm_strdup(settled->note) : clm_record_write(settled);
    if (!t->note) return CLM_E_MEMORY;
    CLM_TRY(clm_archive_create(&t->described));
    clm_preparation preparation;
    CLM_TRY(clm_learner_describe(t->described, t->model, &settled->meta.task, settled->episodes.shots, t->test_steps,
                                 clm_source_get_preparation(t->source, &preparation) ? &preparation : NULL));
    CLM_TRY(clm_run_set(&t->run, settled->directory));
    t->run.note = t->note;
    t->run.source = t->source;
    t->run.model = t->model;
    t->run.described = t->described;
    t->run.bn_mode = settled->bn_mode;
    t->run.ensemble = (size_t)settled->ensemble;
    t->run.keep = (size_t)settled->keep;
    t->run.metrics.initialisations = t->n_starts > 1 ? (int)t->n_starts : 0;
    t->run.identity = clm_record_identity(settled);
    if (!t->run.identity) return CLM_E_MEMORY;
    t->run.identity = clm_hash_text(t->run.identity, clm_model_json(t->model) ? clm_model_json(t->model) : "");
    t->has_run = true;
    return settled->resume ? find_run(t, settled) : clm_train_check_directory(settled->directory);
}

/* Bits are those of a device and of its driver. */
static clm_status remark_on_devices(const clm_trainer *t) {
    char *before;
    CLM_TRY(clm_run_devices_before(&t->run, t->shares, t->n_shares, &before));
    if (before)
        clm_trainer_remark(t, "the run was on %s until now: from here on its bits are not those of a run that stays there",
                           before);
    free(before);
    return CLM_OK;
}

/* Rows of metrics that there were, up to the checkpoint that the run goes on from. */
static void remark_on_metrics(const clm_trainer *t) {
    const clm_metrics *m = &t->run.metrics;
    const uint64_t reached = t->last_checkpoint, every = t->options.log_every;
    const uint64_t logged = reached >= every ? reached - reached % every : reached > 0; /* after the first update too */
    uint64_t newest = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->rows[i].kind == CLM_ROW_TRAIN && m->rows[i].iteration > newest) newest = m->rows[i].iteration;
    if (m->foreign)
        clm_trainer_remark(t, "%s and metrics.csv are of another run: iteration %llu scored otherwise in this one",
                           m->jsonl_path, (unsigned long long)m->best.iteration);
    if (newest < logged)
        clm_trainer_remark(t,
                           "%s and metrics.csv are missing or cut: the last row is of iteration %llu, the checkpoint of "
                           "iteration %llu, and the "
                           "curve lacks what is between",
                           m->jsonl_path, (unsigned long long)newest, (unsigned long long)reached);
}

clm_status clm_trainer_begin_run(clm_trainer *t) {
    if (!t->has_run) return CLM_OK;
    if (t->continues) CLM_TRY(remark_on_devices(t));
    CLM_TRY(clm_run_open(&t->run, t->shares, t->n_shares, t->continues, t->last_checkpoint));
    if (!t->continues) return CLM_OK;
    remark_on_metrics(t);
    if (t->options.ensemble > 1) CLM_TRY(clm_run_rank(&t->run, &t->ranking));
    const clm_metrics *metrics = &t->run.metrics;
    for (size_t i = 0; i < metrics->count; i++)
        t->seconds_before = fmax(t->seconds_before, metrics->rows[i].value[CLM_METRIC_SECONDS]);
    return CLM_OK;
}
