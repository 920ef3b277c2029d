/* The learner: the inner loop alone, step by step, without anything that is needed for a meta-gradient.
 *
 * Parameters of all tasks, and the carried state of the inner rule, live in two sets; a step reads one and writes the other.
 * Five programs over one workspace: start (shared parameters, or what the algorithm begins with, to every task), step from
 * either set, predict from either set. What differs from step to step (learned rates, rows of batch-norm, numbers of the rule)
 * is one small vector, which is written before a step.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/exec/learner.h"

/* ---- creation ---- */

/* One vector for what differs from step to step, in this order: rows of batch-norm, rates, numbers of the rule. */
static clm_status make_stepped(clm_learner *l) {
    const clm_task *t = &l->task;
    const bool rates = t->options.rates == CLM_RATES_PER_STEP;
    size_t at = 0;
    for (size_t i = 0; i < t->n; i++) {
        l->row_at[i] = at;
        if (t->entries[i].rows) at += clm_shape_size(&t->entries[i].inner_shape);
    }
    l->rates_at = at;
    at += rates ? t->n : 0;
    l->stepped_size = at + (size_t)t->rule->scalars;
    if (!l->stepped_size) return CLM_OK;
    l->values = clm_calloc((size_t)t->options.steps * l->stepped_size, sizeof *l->values);
    l->writing = clm_calloc(l->stepped_size, sizeof *l->writing);
    if (!l->values || !l->writing) return CLM_E_MEMORY;
    CLM_TRY(clm_tensor_create(&l->stepped, l->device, clm_shape_of(1, (int)l->stepped_size), 0));
    for (size_t i = 0; i < t->n; i++) {
        if (t->entries[i].rows) CLM_TRY(clm_tensor_view(&l->row[i], l->stepped, l->row_at[i], t->entries[i].inner_shape, 0));
        if (rates && clm_learner_adapts(l, i))
            CLM_TRY(clm_tensor_view(&l->rate[i], l->stepped, l->rates_at + i, (clm_shape){0}, 0));
    }
    for (size_t s = 0; s < (size_t)t->rule->scalars; s++)
        CLM_TRY(clm_tensor_view(&l->scalar[s], l->stepped, at + s, (clm_shape){0}, 0));
    return CLM_OK;
}

static clm_status make_params(clm_learner *l) {
    const clm_task *t = &l->task;
    CLM_TRY(make_stepped(l));
    for (size_t i = 0; i < t->n; i++) {
        const clm_shape s = t->entries[i].inner_shape;
        if (!t->entries[i].rows) CLM_TRY(clm_tensor_create(&l->shared[i], l->device, s, 0));
        if (!clm_learner_adapts(l, i)) continue;
        for (size_t c = 0; c < 2 * (1 + (size_t)l->task.rule->state); c++)
            CLM_TRY(clm_tensor_create(&l->set[c % 2][c / 2][i], l->device, s, l->options.tasks));
        if (t->options.rates == CLM_RATES_PER_ELEMENT) CLM_TRY(clm_tensor_create(&l->element_rate[i], l->device, s, 0));
    }
    return CLM_OK;
}

static clm_shape output_shape(const clm_task *t) {
    const clm_shape out = t->algorithm->output ? clm_shape_of(1, clm_task_classes(t)) : clm_model_out_shape(t->model);
    clm_shape many = {.rank = out.rank + 1, .dim = {t->options.query}};
    for (int i = 0; i < out.rank; i++) many.dim[i + 1] = out.dim[i];
    return many;
}

static clm_status make_examples(clm_learner *l) {
    const clm_task *t = &l->task;
    const int tasks = l->options.tasks;
    clm_graph *g = NULL;
    clm_status status = CLM_OK;
    CLM_TRY(clm_graph_create(&g));
    const clm_examples s = clm_task_examples(t, g, "support", t->options.support),
                       q = clm_task_examples(t, g, "query", t->options.query);
    CLM_GOTO(clm_graph_status(g));
    const clm_shape x = clm_value_shape(g, s.x), y = clm_value_shape(g, s.y);
    const size_t size_x = clm_shape_size(&x) * (size_t)tasks, size_y = clm_shape_size(&y) * (size_t)tasks;
    if (size_x + size_y <= CLM_WRITE_TOGETHER) {
        CLM_GOTO(clm_tensor_create(&l->support, l->device, clm_shape_of(1, (int)(size_x + size_y)), 0));
        CLM_GOTO(clm_tensor_view(&l->support_x, l->support, 0, x, tasks));
        CLM_GOTO(clm_tensor_view(&l->support_y, l->support, size_x, y, tasks));
    } else {
        CLM_GOTO(clm_tensor_create(&l->support_x, l->device, x, tasks));
        CLM_GOTO(clm_tensor_create(&l->support_y, l->device, y, tasks));
    }
    CLM_GOTO(clm_tensor_create(&l->query_x, l->device, clm_value_shape(g, q.x), tasks));
    for (int k = 0; k < 2; k++) {
        CLM_GOTO(clm_tensor_create(&l->loss[k], l->device, (clm_shape){0}, tasks));
        CLM_GOTO(clm_tensor_create(&l->out[k], l->device, output_shape(t), tasks));
    }
out:
    clm_graph_free(g);
    return status;
}

/* Where all is small, a copy on the host costs less than to wait for a transfer. */
static clm_status make_host_memory(clm_learner *l) {
    const size_t x = clm_tensor_size(l->support_x), y = clm_tensor_size(l->support_y), query = clm_tensor_size(l->query_x);
    const size_t out = clm_tensor_size(l->out[0]);
    const bool later = clm_tensor_reads_later(l->device);
    l->staging = clm_calloc(x > query ? x : query, sizeof *l->staging);
    if (!l->staging) return CLM_E_MEMORY;
    if (later && l->support && query <= CLM_WRITE_TOGETHER && !(l->sending = clm_calloc(x + y + query, sizeof *l->sending)))
        return CLM_E_MEMORY;
    if (later && out <= CLM_READ_TOGETHER && !(l->reading = clm_calloc(out, sizeof *l->reading))) return CLM_E_MEMORY;
    return CLM_OK;
}

static clm_status write_entry(clm_learner *l, size_t e, const double *data);

static clm_status default_values(clm_learner *l) {
    clm_status status = CLM_OK;
    for (size_t e = 0; e < l->task.n_entries && status == CLM_OK; e++) {
        double *data = clm_calloc(l->task.entries[e].size, sizeof *data);
        if (!data) return CLM_E_MEMORY;
        clm_task_initial(&l->task, e, 0, data);
        status = write_entry(l, e, data);
        free(data);
    }
    return status;
}

clm_status clm_learner_create(clm_learner **out, clm_device *device, const clm_model *model,
                              const clm_learner_options *options) {
    *out = NULL;
    if (options->bn_mode == CLM_BN_SUPPORT_STATS && !clm_model_has_batch_norm(model))
        return clm_fail(CLM_E_ARG, "learner: bn_mode says nothing to a model without batch-norm; leave it as it is initially");
    if (options->bn_mode == CLM_BN_SUPPORT_STATS && options->task.algorithm && clm_algorithm_find(options->task.algorithm) &&
        !clm_algorithm_uses(options->task.algorithm, "steps"))
        return clm_fail_unread("bn_mode", "algorithm", options->task.algorithm);
    return clm_learner_make(out, device, model, options, NULL);
}

static clm_status check_options(const clm_learner_options *options) {
    if (options->version != CLM_LEARNER_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "learner: options of version %d; initialise them with CLM_LEARNER_OPTIONS_INIT",
                        options->version);
    if (options->tasks < 1)
        return clm_fail(CLM_E_ARG, "learner: %d tasks of %d support and %d query examples: each must be at least 1",
                        options->tasks, options->task.support, options->task.query);
    if ((int)options->bn_mode < 0 || options->bn_mode > CLM_BN_SUPPORT_STATS)
        return clm_fail(CLM_E_ARG, "learner: bn_mode is %d; its values are those of clm_bn_mode", (int)options->bn_mode);
    return CLM_OK;
}

static clm_status make(clm_learner **out, clm_device *device, const clm_model *model, const clm_learner_options *options,
                       clm_learner_use *use) {
    clm_status status = CLM_OK;
    clm_learner *l = clm_calloc(1, sizeof *l);
    *out = NULL;
    if (!l) {
        clm_learner_use_free(use);
        return CLM_E_MEMORY;
    }
    l->use = use;
    l->device = device;
    CLM_GOTO(check_options(options));
    l->options = *options;
    l->written = -1;
    CLM_GOTO(clm_task_init(&l->task, model, &options->task));
    l->options.task = l->task.options;
    CLM_GOTO(clm_workspace_create(&l->workspace, device));
    CLM_GOTO(make_params(l));
    CLM_GOTO(make_examples(l));
    CLM_GOTO(clm_learner_make_counting(l));
    CLM_GOTO(clm_learner_build(l));
    CLM_GOTO(make_host_memory(l));
    CLM_GOTO(default_values(l));
    if (l->sizes) CLM_GOTO(clm_learner_set_sizes(l, NULL));
    *out = l;
    l = NULL;
out:
    clm_learner_free(l);
    return status;
}

clm_status clm_learner_make(clm_learner **out, clm_device *device, const clm_model *model, const clm_learner_options *options,
                            clm_learner_use *use) {
    CLM_IN_DEVICE(device, make(out, device, model, options, use));
}

/* Waits for what is on its way from the host's memory. */
static clm_status arrive(clm_learner *l) {
    const bool wait = l->on_its_way;
    l->on_its_way = false;
    return wait ? clm_device_finish(l->device) : CLM_OK;
}

void clm_learner_free(clm_learner *l) {
    if (!l) return;
    (void)arrive(l);
    for (int k = 0; k < 2; k++) clm_pick_free(l->pick[k]);
    clm_program_free(l->start);
    for (int k = 0; k < 2; k++) {
        clm_program_free(l->step[k]);
        clm_program_free(l->predict[k]);
        clm_tensor_free(l->loss[k]);
        clm_tensor_free(l->out[k]);
    }
    for (size_t i = 0; i < CLM_MAX_PARAMS; i++) {
        clm_tensor_free(l->shared[i]);
        clm_tensor_free(l->element_rate[i]);
        clm_tensor_free(l->row[i]);
        clm_tensor_free(l->rate[i]);
        for (size_t c = 0; c < 2 * (1 + (size_t)CLM_MAX_STATE); c++) clm_tensor_free(l->set[c % 2][c / 2][i]);
    }
    for (int i = 0; i < CLM_MAX_STATE; i++) clm_tensor_free(l->scalar[i]);
    clm_tensor_free(l->stepped);
    clm_tensor_free(l->support_x);
    clm_tensor_free(l->support_y);
    clm_tensor_free(l->support);
    clm_tensor_free(l->query_x);
    for (int i = 0; i < 3; i++) clm_tensor_free(l->counting[i]);
    free(l->sizes);
    clm_workspace_free(l->workspace);
    free(l->values);
    free(l->writing);
    clm_task_free(&l->task);
    free(l->staging);
    free(l->sending);
    free(l->reading);
    clm_learner_use_free(l->use);
    free(l);
}

/* ---- reports ---- */

clm_program_stats clm_learner_step_stats(const clm_learner *l) {
    return l->step[0] ? clm_program_get_stats(l->step[0]) : (clm_program_stats){0};
}

clm_program_stats clm_learner_predict_stats(const clm_learner *l) { return clm_program_get_stats(l->predict[0]); }

clm_status clm_learner_profile(clm_learner *l, int runs, FILE *to) {
    clm_program *const programs[2] = {l->predict[0], l->step[0]};
    return clm_programs_profile(programs, l->step[0] ? 2 : 1, runs, to);
}

/* ---- parameters and rates ---- */

/* Rows of every step, at `at` of what is written for a step. */
static void keep_rows(clm_learner *l, const double *rows, size_t size, size_t at) {
    for (size_t k = 0; k < (size_t)l->task.options.steps; k++)
        memcpy(l->values + k * l->stepped_size + at, rows + k * size, size * sizeof *rows);
    l->written = -1;
}

static clm_status write_entry(clm_learner *l, size_t e, const double *data) {
    const clm_task *t = &l->task;
    const clm_entry *entry = &t->entries[e];
    if (entry->rate && t->options.rates == CLM_RATES_PER_STEP) {
        keep_rows(l, data, t->n, l->rates_at);
        return CLM_OK;
    }
    if (entry->rows) {
        keep_rows(l, data, clm_shape_size(&entry->shape), l->row_at[e]); /* vectors: one layout */
        return CLM_OK;
    }
    if (!entry->rate) return clm_entry_write(entry, l->shared[e], data);
    for (size_t i = 0; i < t->n; i++)
        if (clm_task_rate_entry(t, i) == e) return clm_entry_write(entry, l->element_rate[i], data);
    return CLM_OK;
}

static clm_status set_param(clm_learner *l, size_t i, const double *data) {
    if (i >= l->task.n) return clm_fail(CLM_E_ARG, "learner: parameter %zu of %zu", i, l->task.n);
    return write_entry(l, i, data);
}

clm_status clm_learner_set_param(clm_learner *l, size_t i, const double *data) {
    CLM_IN_DEVICE(l->device, set_param(l, i, data));
}

static clm_status set_rate(clm_learner *l, size_t i, const double *data) {
    const size_t e = clm_task_rate_entry(&l->task, i);
    if (e >= l->task.n_entries) return clm_fail(CLM_E_ARG, "learner: there are no learned rates %zu", i);
    return write_entry(l, e, data);
}

clm_status clm_learner_set_rate(clm_learner *l, size_t i, const double *data) {
    CLM_IN_DEVICE(l->device, set_rate(l, i, data));
}

static clm_status set_params(clm_learner *l, clm_params *params) {
    for (size_t e = 0; e < l->task.n_entries; e++) {
        const size_t k = clm_params_find(params, l->task.entries[e].name);
        if (k < params->task.n_entries && params->task.entries[k].size == l->task.entries[e].size)
            CLM_TRY(write_entry(l, e, clm_params_values(params, k)));
    }
    return CLM_OK;
}

clm_status clm_learner_set_params(clm_learner *l, clm_params *params) { CLM_IN_DEVICE(l->device, set_params(l, params)); }

/* What differs from step to step, for step k = 0, 1, ..; the prediction after it uses the same rows. */
static clm_status write_step(clm_learner *l, int k) {
    const clm_task *t = &l->task;
    const int row = k < t->options.steps ? k : t->options.steps - 1;
    const size_t scalars = l->stepped_size - (size_t)t->rule->scalars;
    if (!l->stepped || (l->written == k)) return CLM_OK;
    memcpy(l->writing, l->values + (size_t)row * l->stepped_size, l->stepped_size * sizeof *l->writing);
    for (int s = 0; s < t->rule->scalars; s++) l->writing[scalars + (size_t)s] = t->rule->scalar(&t->options.inner, s, k + 1);
    l->written = k;
    return clm_tensor_write_f64(l->stepped, l->writing, l->stepped_size);
}

/* ---- use ---- */

static clm_status use(clm_learner *l, const clm_dataset *data) {
    const bool differs = clm_input_differs(l->task.model);
    for (int k = 0; k < 2; k++) clm_pick_free(l->pick[k]);
    l->pick[0] = l->pick[1] = NULL;
    l->data = data;
    if (!data) return CLM_OK;
    CLM_TRY(clm_pick_create(&l->pick[0], data, l->support_x, l->support_y, differs));
    return clm_pick_create(&l->pick[1], data, l->query_x, NULL, differs);
}

static clm_status use_data(clm_learner *l, clm_dataset *data) {
    const clm_shape in = clm_model_in_shape(l->task.model);
    if (data && clm_dataset_device(data) != l->device) return clm_fail(CLM_E_ARG, "learner: the data set is on another device");
    if (data) CLM_TRY(clm_dataset_check_shape(data, &in));
    clm_status status = use(l, data);
    if (status != CLM_OK) (void)use(l, NULL);
    return status;
}

clm_status clm_learner_use_data(clm_learner *l, clm_dataset *data) { CLM_IN_DEVICE(l->device, use_data(l, data)); }

/* One for all steps, whatever the meta-learner has. */
static clm_set support_set(const clm_learner *l) {
    clm_set set = clm_task_set(&l->task, false, l->sizes);
    set.examples = set.part;
    return set;
}

static clm_status check_numbers(const clm_learner *l, const char *what, const int32_t *at, int examples) {
    if (l->data) return clm_dataset_check_numbers(l->data, l->options.tasks, what, at, examples);
    return clm_fail(CLM_E_STATE, "learner: numbers of images, but no data set; clm_learner_use_data comes first");
}

clm_status clm_learner_restart(clm_learner *l) {
    CLM_TRY(write_step(l, 0));
    if (l->start) CLM_TRY(clm_program_run(l->start));
    l->at = l->taken = 0;
    l->begun = true;
    if (l->use) l->use->frozen = false;
    return CLM_OK;
}

static clm_status begin(clm_learner *l, const float *support_x, const float *support_y) {
    size_t examples = (size_t)l->options.tasks * (size_t)l->task.options.support;
    const clm_set set = support_set(l);
    CLM_TRY(clm_task_check_labels(&l->task, l->options.tasks, &set, support_y));
    CLM_TRY(clm_task_check_tokens(&l->task, l->options.tasks, &set, support_x));
    const float *x = clm_input_to_inner(l->task.model, support_x, examples, l->staging);
    const size_t size_x = clm_tensor_size(l->support_x), size_y = clm_tensor_size(l->support_y);
    if (l->sending) {
        CLM_TRY(arrive(l));
        memcpy(l->sending, x, size_x * sizeof *x);
        memcpy(l->sending + size_x, support_y, size_y * sizeof *support_y);
        l->on_its_way = true;
        CLM_TRY(clm_tensor_write_later(l->support, l->sending, size_x + size_y));
    } else {
        CLM_TRY(clm_tensor_write(l->support_x, x, size_x));
        CLM_TRY(clm_tensor_write(l->support_y, support_y, size_y));
    }
    return clm_learner_restart(l);
}

clm_status clm_learner_begin(clm_learner *l, const float *support_x, const float *support_y) {
    CLM_IN_DEVICE(l->device, begin(l, support_x, support_y));
}

static clm_status begin_at(clm_learner *l, const int32_t *support_at, const float *support_y) {
    const clm_set set = support_set(l);
    CLM_TRY(clm_task_check_labels(&l->task, l->options.tasks, &set, support_y));
    CLM_TRY(check_numbers(l, "support", support_at, l->task.options.support));
    CLM_TRY(clm_pick_run(l->pick[0], support_at, support_y));
    return clm_learner_restart(l);
}

clm_status clm_learner_begin_at(clm_learner *l, const int32_t *support_at, const float *support_y) {
    CLM_IN_DEVICE(l->device, begin_at(l, support_at, support_y));
}

static clm_status check_begun(const clm_learner *l) {
    return l->begun ? CLM_OK : clm_fail(CLM_E_STATE, "learner: clm_learner_begin comes first");
}

static clm_status step(clm_learner *l, double *support_loss) {
    CLM_TRY(check_begun(l));
    if (!l->step[0]) return clm_fail(CLM_E_STATE, "learner: the algorithm %s has no inner steps", l->task.algorithm->info.name);
    CLM_TRY(write_step(l, l->taken));
    CLM_TRY(clm_program_run(l->step[l->at]));
    if (support_loss) CLM_TRY(clm_tensor_read_f64(l->loss[l->at], support_loss, (size_t)l->options.tasks));
    l->at = 1 - l->at;
    l->taken++;
    if (l->use) l->use->frozen = false;
    return CLM_OK;
}

clm_status clm_learner_step(clm_learner *l, double *support_loss) { CLM_IN_DEVICE(l->device, step(l, support_loss)); }

/* The first n examples of each task. */
static clm_status predict(clm_learner *l, size_t n, double *out) {
    clm_tensor *from = l->out[l->at];
    const size_t size = clm_tensor_size(from), wanted = size / (size_t)l->task.options.query * n;
    if (l->use) CLM_TRY(clm_learner_freeze(l));
    CLM_TRY(clm_program_run(l->predict[l->at]));
    if (!l->reading && wanted == size) return clm_tensor_read_f64(from, out, size);
    if (!l->reading) {
        assert(l->use);
        CLM_TRY(clm_tensor_read_f64(from, l->use->outputs, size));
        memcpy(out, l->use->outputs, wanted * sizeof *out);
        return CLM_OK;
    }
    l->on_its_way = true;
    CLM_TRY(clm_tensor_read_later(from, l->reading, size));
    CLM_TRY(arrive(l));
    for (size_t i = 0; i < wanted; i++) out[i] = (double)l->reading[i];
    return CLM_OK;
}

/* Of a learner from a file every example is by itself, so that there may be fewer. */
static clm_status check_count(const clm_learner *l, size_t n) {
    const size_t planned = (size_t)l->task.options.query;
    if (n == planned || (l->use && n > 0 && n < planned)) return CLM_OK;
    return clm_fail(CLM_E_ARG, "learner: %zu query examples; it is planned for %s%zu", n, l->use ? "1 to " : "", planned);
}

static clm_status predict_examples(clm_learner *l, const float *query_x, size_t n, double *out) {
    CLM_TRY(check_begun(l));
    CLM_TRY(check_count(l, n));
    clm_set set = clm_task_set(&l->task, true, l->sizes);
    set.examples = set.part = (int)n;
    CLM_TRY(clm_task_check_tokens(&l->task, l->options.tasks, &set, query_x));
    const float *x = clm_input_to_inner(l->task.model, query_x, (size_t)l->options.tasks * n, l->staging);
    const size_t size = clm_tensor_size(l->query_x), given = size / (size_t)l->task.options.query * n;
    if (!l->sending) {
        if (given < size && x != l->staging)
            x = memcpy(l->staging, x, given * sizeof *x); /* what follows is of no consequence */
        CLM_TRY(clm_tensor_write(l->query_x, x, size));
        return predict(l, n, out);
    }
    /* Behind the support set, which may still be on its way; another query set has arrived with its prediction. */
    float *const query = l->sending + clm_tensor_size(l->support);
    memcpy(query, x, given * sizeof *x);
    l->on_its_way = true;
    clm_status status = clm_tensor_write_later(l->query_x, query, size);
    if (status == CLM_OK) status = predict(l, n, out);
    if (status != CLM_OK) (void)arrive(l);
    return status;
}

clm_status clm_learner_predict(clm_learner *l, const float *query_x, size_t n, double *out) {
    CLM_IN_DEVICE(l->device, predict_examples(l, query_x, n, out));
}

static clm_status predict_numbers(clm_learner *l, const int32_t *query_at, double *out) {
    CLM_TRY(check_begun(l));
    CLM_TRY(check_numbers(l, "query", query_at, l->task.options.query));
    CLM_TRY(clm_pick_run(l->pick[1], query_at, NULL));
    return predict(l, (size_t)l->task.options.query, out);
}

clm_status clm_learner_predict_at(clm_learner *l, const int32_t *query_at, double *out) {
    CLM_IN_DEVICE(l->device, predict_numbers(l, query_at, out));
}

static clm_status get_adapted(clm_learner *l, size_t i, double *out) {
    const size_t tasks = (size_t)l->options.tasks;
    if (i >= l->task.n) return clm_fail(CLM_E_ARG, "learner: parameter %zu of %zu", i, l->task.n);
    CLM_TRY(check_begun(l));
    const clm_entry *e = &l->task.entries[i];
    if (e->adapted) return clm_entry_read(e, l->set[l->at][0][i], tasks, 1, out);
    const size_t n = clm_shape_size(&e->shape);
    if (e->rows) /* the row in use */
        memcpy(out, l->writing + l->row_at[i], n * sizeof *out);
    else
        CLM_TRY(clm_entry_read(e, l->shared[i], 1, 1, out));
    for (size_t t = 1; t < tasks; t++) memcpy(out + t * n, out, n * sizeof *out);
    return CLM_OK;
}

clm_status clm_learner_get_adapted(clm_learner *l, size_t i, double *out) { CLM_IN_DEVICE(l->device, get_adapted(l, i, out)); }
