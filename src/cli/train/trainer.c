/* Opening a run and planning its memory.
 *
 * Two things take device memory: the evaluator, whose chunk is halved until it takes at most a third of the limit, and the meta-learner, which
 * has the rest. It also plans the first-order gradient, to tell the share of the second-order term, unless there is no room for that.
 */
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/drivers.h"
#include "base/system.h"
#include "tune/on_the_way.h"

static clm_status check_data(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    int ways = (int)s->ways, shots = (int)s->shots, query = (int)s->query;
    t->regression = clm_source_is_regression(t->source);
    if (t->regression && ways != 1) return cli_usage("--ways is 1 for a regression, not %d", ways);
    const clm_episode_options episodes = cli_setup_episodes(s);
    CLI_TRY(clm_source_check_episode(t->source, CLM_SPLIT_TRAIN, &episodes));
    t->validates = t->regression || clm_source_classes(t->source, CLM_SPLIT_VALIDATION) > 0;
    if (t->validates) CLI_TRY(clm_source_check(t->source, CLM_SPLIT_VALIDATION, ways, shots, query));
    if (!t->regression && clm_source_classes(t->source, CLM_SPLIT_TEST) == 0) {
        if (s->eval_tasks > 0) cli_note("%s has no test classes: nothing is tested at the end", clm_source_name(t->source));
        t->settings.eval_tasks = 0;
    }
    if (s->eval_tasks > 0) CLI_TRY(clm_source_check(t->source, CLM_SPLIT_TEST, ways, shots, query));
    if (!t->validates)
        cli_note("%s has no validation classes: the last checkpoint counts as the best", clm_source_name(t->source));
    return CLM_OK;
}

/* --memory-limit, else CLMAML_MEMORY_LIMIT; 0: neither. The variable is no part of the settings, which a run keeps. */
static clm_status find_memory_limit(cli_trainer *t) {
    const char *variable = getenv("CLMAML_MEMORY_LIMIT");
    cli_settings other = t->settings;
    t->memory_limit = t->settings.memory_limit;
    if (t->memory_limit || !variable || !*variable) return CLM_OK;
    const cli_option *option = &cli_settings_options[cli_settings_row("memory-limit")];
    clm_status status = cli_option_set(option, &other, variable);
    if (status != CLM_OK) return cli_fail_in(status, "CLMAML_MEMORY_LIMIT");
    t->memory_limit = other.memory_limit;
    return CLM_OK;
}

static clm_status open_evaluator(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    cli_evaluator_options options = {(int)s->ways, (int)s->shots, (int)s->query, 16, (clm_bn_mode)s->bn, true};
    for (;; options.chunk /= 2) {
        clm_status status = cli_evaluator_create(&t->evaluator, t->device, t->source, t->model, s, &options);
        if (status == CLM_E_MEMORY && options.chunk > 1) continue; /* the device may have less than it says */
        CLI_TRY(status);
        if (t->memory_limit == 0 || options.chunk == 1 || clm_device_allocated(t->device) <= (size_t)t->memory_limit / 3)
            return CLM_OK;
        cli_evaluator_free(t->evaluator);
        t->evaluator = NULL;
    }
}

/* Where the limit is from, which is where it can be raised. */
static const char *limit_name(const cli_trainer *t) {
    return t->settings.memory_limit ? "--memory-limit" : "CLMAML_MEMORY_LIMIT";
}

/* Examples whose numbers are on a device at a time. */
static size_t examples(const cli_trainer *t) {
    const cli_settings *s = &t->settings;
    return (size_t)s->meta_batch * (size_t)(s->ways * (s->shots * (s->support_per_step ? s->steps : 1) + s->query));
}

/* The memory of a device that a run uses; what the library takes without a limit. */
static size_t memory_of(const cli_trainer *t, const clm_device *device) {
    const uint64_t all = clm_device_get_info(device)->global_memory;
    return t->memory_limit ? (size_t)t->memory_limit : (size_t)(all - all / 10);
}

static clm_status limit_too_small(const cli_trainer *t, size_t taken, size_t images) {
    if (images)
        return cli_fail(
            CLM_E_LIMIT,
            "%s of memory are too little for --data-on device: the images take %s, evaluation %s; keep the images on the "
            "host (--data-on host)",
            cli_bytes((double)memory_of(t, t->device)).s, cli_bytes((double)images).s, cli_bytes((double)(taken - images)).s);
    return cli_fail(CLM_E_LIMIT, "%s of %s is too small: evaluating one task at a time takes %s alone; raise it", limit_name(t),
                    cli_bytes((double)t->memory_limit).s, cli_bytes((double)taken).s);
}

/* The library knows the rest of the limit alone, the user the whole. */
static clm_status rest_too_small(const cli_trainer *t, size_t taken, size_t images) {
    if (images)
        return cli_fail_in(
            CLM_E_LIMIT, "%s of memory less %s for evaluation and %s for images, which --data-on host would save",
            cli_bytes((double)memory_of(t, t->device)).s, cli_bytes((double)(taken - images)).s, cli_bytes((double)images).s);
    return cli_fail_in(CLM_E_LIMIT, "%s of %s less %s for evaluation", limit_name(t), cli_bytes((double)t->memory_limit).s,
                       cli_bytes((double)taken).s);
}

/* Plans the meta-learner in what the limit leaves on each device beside what is allocated and demanded images. */
static clm_status create(cli_trainer *t, const clm_meta_options *options) {
    const size_t reserve = cli_resident_reserve(&t->resident, t->device, examples(t));
    for (size_t i = 0; i < t->split.count; i++) {
        clm_meta_share *share = &t->split.shares[i];
        const size_t used = clm_device_allocated(share->device) + reserve;
        size_t limit = t->memory_limit || reserve ? memory_of(t, share->device) : 0;
        if (limit && used >= limit) return CLM_E_LIMIT;
        share->memory_limit = limit ? limit - used : 0;
    }
    return clm_meta_create_on(&t->meta, t->split.shares, t->split.count, t->model, options);
}

/* The meta-learner gets what the limit leaves it; its own error says how much it would need. */
static clm_status open_meta(cli_trainer *t) {
    clm_meta_options options;
    const size_t reserve = cli_resident_reserve(&t->resident, t->device, examples(t));
    size_t limit = (size_t)t->memory_limit, taken = clm_device_allocated(t->device) + reserve;
    cli_setup_meta_options(&options, &t->settings, &t->task);
    if ((limit || reserve) && taken >= memory_of(t, t->device)) return limit_too_small(t, taken, reserve);
    options.memory_limit = limit ? limit - taken : 0; /* of the trial */
    clm_meta_options trial = options;
    trial.both_orders = false;
    CLI_TRY(cli_split_tasks(&t->split, &t->settings, t->split_stored, t->model, &trial));
    clm_status status = create(t, &options);
    t->measures_share = status == CLM_OK && options.both_orders;
    if (status == CLM_E_LIMIT && options.both_orders && !options.first_order_until) {
        options.both_orders = false;
        status = create(t, &options);
        if (status == CLM_OK) cli_note("the memory limit leaves no room to measure the second-order share; it is not logged");
    }
    return status == CLM_E_LIMIT && (limit || reserve) ? rest_too_small(t, taken, reserve) : status;
}

/* ---- images on the devices ---- */

/* The devices in use, that which evaluates first, with what the plans leave of their memory. Returns how many. */
static size_t find_rooms(const cli_trainer *t, cli_room *rooms) {
    size_t n = 0, part = 0;
    for (size_t i = 0; i < t->split.count; i++) {
        clm_device *device = t->split.devices[i];
        const bool computes = t->split.shares[i].tasks > 0;
        size_t used = clm_device_allocated(device), limit = memory_of(t, device);
        if (computes) used += clm_meta_get_part(t->meta, part).plan.bytes;
        part += computes;
        if (computes || i == 0)
            rooms[n++] = (cli_room){device, (size_t)t->memory_limit, used < limit ? limit - used : 0,
                                    clm_meta_get_plan(t->meta).parts > 1};
    }
    return n;
}

/* n: of the data sets; 0: none any more. */
static clm_status use_images(cli_trainer *t, size_t n) {
    clm_dataset **datasets = t->resident.datasets;
    CLI_TRY(clm_meta_use_data(t->meta, datasets, n));
    return cli_evaluator_use_data(t->evaluator, n ? datasets[0] : NULL);
}

clm_status cli_trainer_load_images(cli_trainer *t) {
    cli_room rooms[CLI_MAX_DEVICES];
    cli_resident *r = &t->resident;
    CLI_TRY(cli_resident_load(r, rooms, find_rooms(t, rooms)));
    if (!r->count) return CLM_OK;
    clm_status status = use_images(t, r->count);
    if (status == CLM_OK || r->demanded) return status;
    cli_note("the images stay on the host: %s", cli_message());
    cli_forget();
    CLI_TRY(use_images(t, 0));
    cli_resident_close(r);
    return CLM_OK;
}

static clm_status allocate(cli_trainer *t) {
    clm_status status = CLM_OK;
    size_t all = 0;
    if (!t->measures_share) return CLM_OK;
    for (size_t i = 0; i < clm_meta_param_count(t->meta); i++) all += clm_meta_quantity_size(t->meta, CLM_Q_GRAD, i);
    CLI_NEW(t->gradient, all);
    CLI_NEW(t->other, all);
out:
    return status;
}

static clm_status initialise(cli_trainer *t) {
    CLI_TRY(clm_params_reset(t->params, (uint64_t)t->settings.seed));
    return clm_meta_set_params(t->meta, t->params);
}

clm_status cli_trainer_load_evaluator(cli_trainer *t, bool average) {
    const bool averaged = average && t->settings.average > 0;
    CLI_TRY(averaged ? clm_meta_get_average(t->meta, t->params) : clm_meta_get_params(t->meta, t->params));
    return cli_evaluator_load(t->evaluator, t->params);
}

clm_status cli_trainer_open(cli_trainer *t, const char *json) {
    CLI_TRY(cli_setup_source(&t->source, &t->settings));
    CLI_TRY(cli_resident_open(&t->resident, t->source, t->settings.data_on));
    cli_setup_classes(&t->settings, t->source);
    CLI_TRY(check_data(t));
    CLI_TRY(cli_setup_model(&t->model, &t->settings, t->source, json));
    CLI_TRY(cli_setup_task_options(&t->task, &t->settings, t->model));
    return clm_params_create(&t->params, t->model, &t->task.options);
}

/* Before anything is planned, so that all programs of a run make the same choices as those of a resumed one. */
static clm_status tune(cli_trainer *t) {
    const cli_settings *s = &t->settings;
    clm_meta_options options;
    cli_setup_meta_options(&options, s, &t->task);
    options.tasks = (int)((s->meta_batch + (int64_t)t->split.count - 1) / (int64_t)t->split.count);
    options.task_chunk = options.task_chunk < options.tasks ? options.task_chunk : options.tasks;
    for (size_t i = 0; i < t->split.count; i++)
        CLI_TRY(
            cli_tune_on_the_way(t->split.devices[i], t->model, &options, cli_tune_budget(t->split.devices[i], s->tune_budget)));
    return CLM_OK;
}

clm_status cli_trainer_plan(cli_trainer *t) {
    CLI_TRY(find_memory_limit(t));
    const cli_settings *s = &t->settings;
    CLI_TRY(cli_split_open(&t->split, s->device[0] ? s->device : NULL, (int)s->meta_batch, s->force));
    t->device = t->split.devices[0];
    CLI_TRY(tune(t));
    CLI_TRY(open_evaluator(t));
    t->evaluation_bytes = clm_device_allocated(t->device);
    CLI_TRY(open_meta(t));
    cli_room rooms[CLI_MAX_DEVICES];
    cli_resident_decide(&t->resident, rooms, find_rooms(t, rooms), examples(t));
    CLI_TRY(allocate(t));
    return initialise(t);
}

void cli_trainer_close(cli_trainer *t) {
    cli_run_close(&t->run);
    clm_meta_free(t->meta);
    cli_evaluator_free(t->evaluator);
    cli_resident_close(&t->resident);
    cli_split_close(&t->split);
    clm_params_free(t->params);
    clm_model_free(t->model);
    clm_prefetch_free(t->batches);
    clm_source_free(t->source);
    free(t->gradient);
    free(t->other);
    memset(t, 0, sizeof *t);
}
