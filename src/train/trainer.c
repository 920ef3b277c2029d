/* Opening a run and planning its memory.
 *
 * Two things take device memory: the evaluator, whose chunk is halved until it takes at most a third of the limit (or, without
 * one, of clm_device_memory_room), and the meta-learner, which has the rest. It also plans the first-order gradient, to tell the share of the second-order term, unless
 * there is no room for that.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "train/internal.h"

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
    CLM_GOTO(clm_trainer_open_directory(t, &settled));
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
    if (t->continues) CLM_GOTO(clm_trainer_restore(t));
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
    CLM_TRY(clm_trainer_begin_run(t));
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
