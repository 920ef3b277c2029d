/* Opening a run and planning its memory.
 *
 * Two things take device memory: the evaluator, whose chunk is halved until it takes at most a third of the limit (or, without
 * one, of clm_device_memory_room), and the meta-learner, which has the rest. It also plans the first-order gradient, to tell the share of the second-order term, unless
 * there is no room for that.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/files.h"
#include "base/hash.h"
#include "train/internal.h"
#include "train/record.h"

void clm_trainer_remark(const clm_trainer *t, const char *format, ...) {
    char text[2048];
    va_list args;
    if (!t->options.remark) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *at = text; (at = strchr(at, '\n'));) *at = ' ';
    t->options.remark(t->options.user, text);
}

/* ---- memory ---- */

static clm_status find_memory_limit(clm_trainer *t) {
    t->memory_limit = t->options.meta.memory_limit;
    if (t->memory_limit) return CLM_OK;
    CLM_TRY(clm_memory_limit(&t->memory_limit));
    t->limit_is_of_environment = t->memory_limit > 0;
    return CLM_OK;
}

/* Of a share; 0: none is set. */
static size_t limit_of(const clm_trainer *t, const clm_meta_share *share) {
    return share->memory_limit ? share->memory_limit : (size_t)t->memory_limit;
}

/* Where the limit is from, which is where it can be raised. */
static const char *limit_name(const clm_trainer *t) {
    return t->limit_is_of_environment && !t->shares[0].memory_limit ? "CLMAML_MEMORY_LIMIT" : "memory_limit";
}

/* Examples whose numbers are on a device at a time. */
static size_t examples(const clm_trainer *t) {
    const clm_episode_options *e = &t->options.episodes;
    return (size_t)t->options.meta.tasks * (size_t)(e->ways * (e->shots * e->support_sets + e->query));
}

/* The memory of a device that a run uses. */
static size_t memory_of(const clm_trainer *t, const clm_meta_share *share) {
    const size_t limit = limit_of(t, share);
    return limit ? limit : (size_t)clm_device_memory_room(share->device);
}

static clm_bytes_name amount(size_t bytes) { return clm_bytes_text((double)bytes); }

static clm_status limit_too_small(const clm_trainer *t, size_t taken, size_t images) {
    if (images)
        return clm_fail(
            CLM_E_LIMIT,
            "%s of memory are too little for data_on device: the images take %s, evaluation %s; keep the images on the "
            "host (data_on host)",
            amount(memory_of(t, t->shares)).s, amount(images).s, amount(taken - images).s);
    return clm_fail(CLM_E_LIMIT, "%s of %s is too small: evaluating one task at a time takes %s alone; raise it", limit_name(t),
                    amount(limit_of(t, t->shares)).s, amount(taken).s);
}

/* The meta-learner knows the rest of the limit alone, the user the whole. */
static clm_status rest_too_small(const clm_trainer *t, size_t taken, size_t images) {
    if (images)
        return clm_fail_in(CLM_E_LIMIT, "%s of memory less %s for evaluation and %s for images, which data_on host would save",
                           amount(memory_of(t, t->shares)).s, amount(taken - images).s, amount(images).s);
    return clm_fail_in(CLM_E_LIMIT, "%s of %s less %s for evaluation", limit_name(t), amount(limit_of(t, t->shares)).s,
                       amount(taken).s);
}

static clm_status open_evaluator(clm_trainer *t, const clm_task_options *task) {
    const clm_train_options *o = &t->options;
    const size_t limit = memory_of(t, t->shares);
    clm_evaluator_options options = CLM_EVALUATOR_OPTIONS_INIT;
    options.ways = o->episodes.ways;
    options.shots = o->episodes.shots;
    options.query = o->episodes.query;
    options.ways_least = o->episodes.ways_least;
    options.shots_least = o->episodes.shots_least;
    options.task = *task;
    options.bn_mode = o->bn_mode;
    options.with_support = true;
    options.stop = o->stop;
    options.user = o->user;
    options.comm = o->meta.comm;
    options.keep = o->test_tasks > 0 && (o->test_tasks <= CLM_TRAIN_SCORES_MOST || o->test_scores);
    for (;; options.chunk /= 2) {
        clm_status status = clm_evaluator_create(&t->evaluator, t->device, t->source, t->model, &options);
        if (status == CLM_E_MEMORY && options.chunk > 1) continue; /* the device may have less than it says */
        CLM_TRY(status);
        if (limit == 0 || options.chunk == 1 || clm_device_allocated(t->device) <= limit / 3) return CLM_OK;
        clm_evaluator_free(t->evaluator);
        t->evaluator = NULL;
    }
}

/* Plans the meta-learner in what the limit leaves on each device beside what is allocated and demanded images. */
static clm_status plan(clm_trainer *t, clm_meta_share *planned, const clm_meta_options *options) {
    const size_t reserve = clm_resident_reserve(&t->resident, t->device, examples(t));
    for (size_t i = 0; i < t->n_shares; i++) {
        clm_meta_share *share = &planned[i];
        *share = t->shares[i];
        const size_t used = clm_device_allocated(share->device) + reserve;
        size_t limit = limit_of(t, share) || reserve ? memory_of(t, share) : 0;
        if (limit && used >= limit) return CLM_E_LIMIT;
        share->memory_limit = limit ? limit - used : 0;
    }
    return clm_meta_create_on(&t->meta, planned, t->n_shares, t->model, options);
}

/* The meta-learner gets what the limit leaves it; its own error says how much it would need. */
static clm_status open_meta(clm_trainer *t, clm_meta_share *planned, const clm_meta_options *given) {
    clm_meta_options options = *given;
    const size_t reserve = clm_resident_reserve(&t->resident, t->device, examples(t));
    size_t limit = limit_of(t, t->shares), taken = clm_device_allocated(t->device) + reserve;
    if ((limit || reserve) && taken >= memory_of(t, t->shares)) return limit_too_small(t, taken, reserve);
    options.memory_limit = limit ? limit - taken : 0;
    clm_status status = plan(t, planned, &options);
    t->measures_share = status == CLM_OK && options.both_orders;
    if (status == CLM_E_LIMIT && options.both_orders && !options.first_order_until) {
        options.both_orders = false;
        status = plan(t, planned, &options);
        if (status == CLM_OK)
            clm_trainer_remark(t, "the memory limit leaves no room to measure the second-order share; it is not logged");
    }
    if (status == CLM_OK) clm_meta_set_dropout_seed(t->meta, t->options.seed);
    return status == CLM_E_LIMIT && (limit || reserve) ? rest_too_small(t, taken, reserve) : status;
}

/* ---- images on the devices ---- */

/* The devices in use, that which evaluates first, with what the plans leave of their memory. Returns how many. */
static size_t find_rooms(const clm_trainer *t, clm_room *rooms) {
    size_t n = 0, part = 0;
    for (size_t i = 0; i < t->n_shares; i++) {
        const clm_meta_share *share = &t->shares[i];
        const bool computes = share->tasks > 0;
        size_t used = clm_device_allocated(share->device), limit = memory_of(t, share);
        if (computes) used += clm_meta_get_part(t->meta, part).plan.bytes;
        part += computes;
        if (computes || i == 0)
            rooms[n++] = (clm_room){share->device, limit_of(t, share), used < limit ? limit - used : 0,
                                    clm_meta_get_plan(t->meta).parts > 1};
    }
    return n;
}

/* n: of the data sets; 0: none any more. */
static clm_status use_images(clm_trainer *t, size_t n) {
    clm_dataset **datasets = t->resident.datasets;
    CLM_TRY(clm_meta_use_data(t->meta, datasets, n));
    return clm_evaluator_use_data(t->evaluator, n ? datasets[0] : NULL);
}

/* After everything else is prepared. Where images are not demanded on the devices, they stay on the host if that fails. */
static clm_status load_images(clm_trainer *t) {
    clm_resident *r = &t->resident;
    clm_status status = CLM_OK;
    clm_room *rooms;
    CLM_NEW(rooms, t->n_shares);
    status = clm_resident_load(r, rooms, find_rooms(t, rooms));
    if (status != CLM_OK && r->demanded) CLM_GOTO(clm_fail_in(status, "data_on device"));
    if (status == CLM_OK && r->count) status = use_images(t, r->count);
    if (status == CLM_OK || r->demanded) goto out;
    clm_trainer_remark(t, "the images stay on the host: %s", clm_last_error());
    CLM_GOTO(use_images(t, 0));
    clm_resident_close(r);
out:
    free(rooms);
    return status;
}

static clm_status decide_images(clm_trainer *t) {
    clm_status status = CLM_OK;
    clm_room *rooms;
    CLM_NEW(rooms, t->n_shares);
    clm_resident_decide(&t->resident, rooms, find_rooms(t, rooms), examples(t));
out:
    free(rooms);
    return status;
}

/* ---- the run directory ---- */

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

/* A rank whose name is free: those of a run that was killed need not be at theirs. */
static size_t free_rank(const clm_trainer *t) {
    char path[CLM_TRAIN_PATH];
    size_t k = 0;
    while (k + 1 < CLM_ENSEMBLE_MOST && clm_run_checkpoint_path(path, t->run.directory, clm_rank_name(k).s) == CLM_OK &&
           clm_path_exists(path))
        k++;
    return k;
}

/* Is the state of a rank, whose file is gone, in a numbered checkpoint too? `reason`: what is wrong with the file. */
static clm_status put_back(clm_trainer *t, size_t rank, const char *reason, bool *done) {
    char from[CLM_TRAIN_PATH];
    CLM_TRY(clm_run_find_state(from, &t->run, &t->ranking.entry[rank]));
    *done = from[0];
    if (!*done) return CLM_OK;
    CLM_TRY(clm_run_put_back(&t->run, t->run.ensemble > 1 ? free_rank(t) : rank, from));
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

static clm_status restore(clm_trainer *t) {
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

static clm_status open_directory(clm_trainer *t, const clm_train_options *settled) {
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

static clm_status begin_run(clm_trainer *t) {
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

/* ---- the whole ---- */

static clm_status allocate(clm_trainer *t) {
    clm_status status = CLM_OK;
    size_t all = 0;
    CLM_NEW(t->weights, t->steps);
    if (t->n_starts > 1) {
        CLM_NEW(t->losses, t->n_starts * (size_t)t->options.meta.tasks);
        CLM_NEW(t->chosen, t->options.meta.tasks);
    }
    if (!t->measures_share) return CLM_OK;
    for (size_t i = 0; i < t->n_starts * clm_meta_param_count(t->meta); i++)
        all += clm_meta_quantity_size(t->meta, CLM_Q_GRAD, i);
    CLM_NEW(t->gradient, all);
    CLM_NEW(t->other, all);
out:
    return status;
}

static clm_status make_params(clm_trainer *t, const clm_task_options *task) {
    const size_t members = t->n_starts > 1 ? t->n_starts : (size_t)t->options.ensemble;
    for (size_t s = 0; s < t->n_starts; s++) CLM_TRY(clm_params_create(&t->params[s], t->model, task));
    for (size_t k = 0; k < members; k++) CLM_TRY(clm_params_create(&t->members[k], t->model, task));
    return CLM_OK;
}

static clm_status initialise(clm_trainer *t) {
    const uint64_t apart = 0x9e3779b97f4a7c15u; /* between the seeds of initialisations */
    for (size_t s = 0; s < t->n_starts; s++) {
        CLM_TRY(clm_params_reset(t->params[s], t->options.seed + s * apart));
        if (s == 0 && t->options.init) clm_params_copy(t->params[s], t->options.init);
        CLM_TRY(clm_meta_set_params_of(t->meta, (int)s, t->params[s]));
    }
    return CLM_OK;
}

clm_status clm_trainer_load_evaluator(clm_trainer *t, bool average) {
    const bool averaged = average && t->options.meta.optim.average > 0;
    for (size_t s = 0; s < t->n_starts && clm_trainer_leads(t); s++)
        CLM_TRY(averaged ? clm_meta_get_average_of(t->meta, (int)s, t->params[s])
                         : clm_meta_get_params_of(t->meta, (int)s, t->params[s]));
    for (size_t s = 0; s < t->n_starts; s++) CLM_TRY(clm_trainer_share_params(t, t->params[s]));
    return clm_evaluator_load_all(t->evaluator, t->params, t->n_starts);
}

static clm_status take_shares(clm_trainer *t, const clm_meta_share *shares, size_t n) {
    clm_status status = CLM_OK;
    if (n == 0) return clm_fail(CLM_E_ARG, "training needs a device");
    CLM_NEW(t->shares, n);
    memcpy(t->shares, shares, n * sizeof *shares);
    t->n_shares = n;
    t->device = shares[0].device;
out:
    return status;
}

static clm_status open_all(clm_trainer *t) {
    const clm_train_options settled = t->options;
    clm_status status = CLM_OK;
    clm_meta_share *planned = NULL;
    CLM_NEW(planned, t->n_shares);
    CLM_GOTO(clm_trainer_agree(t, &settled));
    CLM_GOTO(open_directory(t, &settled));
    CLM_GOTO(clm_trainer_entitle(t, &settled.meta.task));
    CLM_GOTO(clm_resident_open(&t->resident, t->source, settled.data_on));
    CLM_GOTO(make_params(t, &settled.meta.task));
    CLM_GOTO(find_memory_limit(t));
    CLM_GOTO(open_evaluator(t, &settled.meta.task));
    t->evaluation_bytes = clm_device_allocated(t->device);
    CLM_GOTO(open_meta(t, planned, &settled.meta));
    CLM_GOTO(decide_images(t));
    CLM_GOTO(allocate(t));
    CLM_GOTO(initialise(t));
    if (t->continues) CLM_GOTO(restore(t));
    status = clm_trainer_share_state(t);
out:
    free(planned);
    return status;
}

static void remark_on_data(const clm_trainer *t, const clm_train_options *given) {
    const char *name = clm_source_name(t->source);
    const char *drawn = clm_source_classes(t->source, CLM_SPLIT_TRAIN)             ? "classes"
                        : clm_source_groups(t->source, CLM_SPLIT_TRAIN) < SIZE_MAX ? "groups"
                                                                                   : "functions";
    if (given->test_tasks > 0 && t->options.test_tasks == 0)
        clm_trainer_remark(t, "%s has no test %s: nothing is tested at the end", name, drawn);
    if (!t->validates) clm_trainer_remark(t, "%s has no validation %s: the last checkpoint counts as the best", name, drawn);
}

clm_status clm_trainer_create(clm_trainer **out, const clm_meta_share *shares, size_t n, const clm_source *source,
                              const clm_model *model, const clm_train_options *options) {
    clm_status status = CLM_OK;
    clm_trainer *t = NULL;
    *out = NULL;
    CLM_NEW(t, 1);
    t->model = model;
    t->last_checkpoint = UINT64_MAX;
    CLM_GOTO(clm_trainer_settle(t, source, options));
    CLM_GOTO(clm_train_check_tokens(source, model, &t->options.episodes));
    CLM_GOTO(take_shares(t, shares, n));
    remark_on_data(t, options);
    CLM_GOTO(open_all(t));
    clm_trainer_sum_up(t);
    *out = t;
    t = NULL;
out:
    clm_trainer_free(t);
    return status;
}

clm_status clm_trainer_prepare(clm_trainer *t) {
    if (t->prepared) return CLM_OK;
    CLM_TRY(begin_run(t));
    CLM_TRY(clm_meta_prepare(t->meta));
    CLM_TRY(load_images(t));
    t->prepared = true;
    return CLM_OK;
}

void clm_trainer_free(clm_trainer *t) {
    if (!t) return;
    clm_run_close(&t->run);
    clm_meta_free(t->meta);
    clm_evaluator_free(t->evaluator);
    clm_resident_close(&t->resident);
    for (size_t s = 0; s < CLM_INITIALISATIONS_MOST; s++) clm_params_free(t->params[s]);
    for (size_t k = 0; k < CLM_ENSEMBLE_MOST; k++) clm_params_free(t->members[k]);
    clm_prefetch_free(t->batches);
    free(t->shares);
    free(t->gradient);
    free(t->other);
    free(t->weights);
    free(t->losses);
    free(t->chosen);
    free(t->note);
    clm_archive_free(t->described);
    free(t->title);
    free(t->subtitle);
    free(t);
}

clm_meta *clm_trainer_meta(clm_trainer *t) { return t->meta; }

clm_train_plan clm_trainer_get_plan(const clm_trainer *t) {
    const size_t bytes = clm_resident_bytes(&t->resident, t->meta);
    return (clm_train_plan){t->evaluation_bytes, bytes ? t->resident.images.count : 0, bytes, t->measures_share};
}

const clm_train_result *clm_trainer_result(const clm_trainer *t) { return &t->result; }

clm_status clm_train(clm_device *device, const clm_source *source, const clm_model *model, const clm_train_options *options,
                     clm_params *best, clm_train_result *result) {
    clm_meta_share share = {.device = device};
    int first;
    clm_comm_share(options->meta.comm, options->meta.tasks, &first, &share.tasks);
    clm_trainer *t = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_trainer_create(&t, &share, 1, source, model, options));
    CLM_GOTO(clm_trainer_prepare(t));
    CLM_GOTO(clm_trainer_run(t));
    if (!t->result.stopped) CLM_GOTO(clm_trainer_test(t));
    if (best) CLM_GOTO(clm_trainer_best(t, best));
    if (result) *result = t->result;
out:
    clm_trainer_free(t);
    return status;
}
