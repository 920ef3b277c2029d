/* The learner: the inner loop alone, step by step, without anything that is needed for a meta-gradient.
 *
 * Parameters of all tasks live in two sets; a step reads one and writes the other. Four programs over one workspace: start
 * (shared parameters to every task), step from either set, predict from either set.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/internal.h"

struct clm_learner {
    clm_device *device;
    clm_learner_options options;
    clm_inner inner;
    clm_tensor *shared[CLM_MAX_PARAMS];
    clm_tensor *state[2][CLM_MAX_PARAMS]; /* adapted ones */
    clm_tensor *rate[CLM_MAX_PARAMS];     /* of the next step */
    double *rates;                        /* CLM_RATES_PER_STEP: [rate_steps, n] */
    clm_tensor *support;                  /* what the next two are views of, so that one transfer writes them */
    clm_tensor *support_x, *support_y, *query_x;
    clm_tensor *loss[2], *out[2];
    clm_workspace *workspace;
    clm_program *start, *step[2], *predict[2];
    int at;    /* the set that holds the current parameters */
    int taken; /* steps since begin */
    bool begun;
    float *staging;  /* for inputs that change layout */
    float *sending;  /* support x, y, query x on their way, where they are small; NULL: they are waited for */
    bool on_its_way; /* what is in `sending` may not have been read yet */
    float *reading;  /* predictions on their way, where they are small */
    const clm_dataset *data;
    clm_pick *pick[2]; /* support, query; where there are data */
};

typedef struct learner_graph {
    clm_graph *g;
    clm_value shared[CLM_MAX_PARAMS], theta[CLM_MAX_PARAMS], rate[CLM_MAX_PARAMS];
    clm_bind binds[4 * CLM_MAX_PARAMS + 8];
    size_t n_binds;
} learner_graph;

static void bind(learner_graph *b, clm_value v, clm_tensor *t) { b->binds[b->n_binds++] = (clm_bind){v, t}; }

/* theta: set `from` of the adapted parameters, the shared ones for the rest; from -1: all shared. */
static clm_status graph_begin(learner_graph *b, const clm_learner *l, int from) {
    memset(b, 0, sizeof *b);
    CLM_TRY(clm_graph_create(&b->g));
    for (size_t i = 0; i < l->inner.n; i++) {
        const clm_param *p = clm_model_param(l->inner.model, i);
        b->shared[i] = clm_input(b->g, p->name, p->inner_shape, false);
        bind(b, b->shared[i], l->shared[i]);
        b->theta[i] = clm_per_task(b->g, b->shared[i]);
        b->rate[i] = CLM_INVALID;
        if (!l->inner.adapted[i]) continue;
        if (from >= 0) {
            b->theta[i] = clm_input(b->g, "theta", p->inner_shape, true);
            bind(b, b->theta[i], l->state[from][i]);
        }
        if (l->rate[i]) {
            b->rate[i] = clm_input(b->g, "rate", clm_tensor_shape(l->rate[i]), false);
            bind(b, b->rate[i], l->rate[i]);
        }
    }
    return clm_graph_status(b->g);
}

static clm_status graph_end(learner_graph *b, clm_learner *l, const clm_value *outputs, size_t n, clm_program **out) {
    clm_program_options o = CLM_PROGRAM_OPTIONS_INIT;
    o.tasks = l->options.tasks;
    o.workspace = l->workspace;
    CLM_TRY(clm_graph_status(b->g));
    CLM_TRY(clm_program_create(out, l->device, b->g, outputs, n, &o));
    return clm_bind_all(*out, b->binds, b->n_binds);
}

/* A copy that is an output of its own. */
static clm_value copy_of(clm_graph *g, clm_value v, size_t index) {
    clm_attr attr = {{(int32_t)index + 1}, {1, 0}};
    return clm_graph_add(g, CLM_OP_AFFINE, &v, 1, clm_value_shape(g, v), &attr);
}

static clm_status build_start(clm_learner *l, learner_graph *b) {
    clm_value outputs[CLM_MAX_PARAMS];
    size_t n = 0;
    CLM_TRY(graph_begin(b, l, -1));
    for (size_t i = 0; i < l->inner.n; i++) {
        if (!l->inner.adapted[i]) continue;
        outputs[n] = copy_of(b->g, b->theta[i], i);
        bind(b, outputs[n++], l->state[0][i]);
    }
    return graph_end(b, l, outputs, n, &l->start);
}

static clm_status build_step(clm_learner *l, learner_graph *b, int from) {
    clm_value outputs[CLM_MAX_PARAMS + 1], grad[CLM_MAX_PARAMS], next[CLM_MAX_PARAMS];
    clm_scored s;
    size_t n = 0;
    CLM_TRY(graph_begin(b, l, from));
    clm_examples support = clm_inner_examples(&l->inner, b->g, "support", l->inner.support);
    bind(b, support.x, l->support_x);
    bind(b, support.y, l->support_y);
    CLM_TRY(clm_inner_step(&l->inner, b->g, b->theta, b->rate, support, &s, grad, next));
    bind(b, s.loss, l->loss[from]);
    outputs[n++] = s.loss;
    for (size_t i = 0; i < l->inner.n; i++) {
        if (!l->inner.adapted[i]) continue;
        outputs[n] = copy_of(b->g, next[i], i);
        bind(b, outputs[n++], l->state[1 - from][i]);
    }
    return graph_end(b, l, outputs, n, &l->step[from]);
}

static clm_status build_predict(clm_learner *l, learner_graph *b, int from) {
    clm_bn_stats stats = {0};
    CLM_TRY(graph_begin(b, l, from));
    clm_examples query = clm_inner_examples(&l->inner, b->g, "query", l->inner.query);
    bind(b, query.x, l->query_x);
    if (l->options.bn_mode == CLM_BN_SUPPORT_STATS) {
        clm_examples support = clm_inner_examples(&l->inner, b->g, "support", l->inner.support);
        bind(b, support.x, l->support_x);
        clm_model_apply(l->inner.model, b->g, b->theta, support.x, &stats);
        stats.use = true;
        stats.next = 0;
    }
    clm_value out = clm_per_task(b->g, clm_model_apply(l->inner.model, b->g, b->theta, query.x, stats.use ? &stats : NULL));
    CLM_TRY(clm_graph_status(b->g));
    out = copy_of(b->g, out, 0);
    bind(b, out, l->out[from]);
    return graph_end(b, l, &out, 1, &l->predict[from]);
}

/* ---- creation ---- */

static clm_status make_tensors(clm_learner *l) {
    clm_learner_options *o = &l->options;
    clm_graph *g = NULL;
    clm_status status = CLM_OK;
    for (size_t i = 0; i < l->inner.n; i++) {
        clm_shape s = clm_model_param(l->inner.model, i)->inner_shape;
        CLM_TRY(clm_tensor_create(&l->shared[i], l->device, s, 0));
        if (!l->inner.adapted[i]) continue;
        for (int k = 0; k < 2; k++) CLM_TRY(clm_tensor_create(&l->state[k][i], l->device, s, o->tasks));
        if (o->rates == CLM_RATES_PER_ELEMENT) CLM_TRY(clm_tensor_create(&l->rate[i], l->device, s, 0));
        if (o->rates == CLM_RATES_PER_STEP) CLM_TRY(clm_tensor_create(&l->rate[i], l->device, (clm_shape){0}, 0));
    }
    CLM_TRY(clm_graph_create(&g));
    clm_examples s = clm_inner_examples(&l->inner, g, "support", o->support),
                 q = clm_inner_examples(&l->inner, g, "query", o->query);
    clm_shape out = clm_model_out_shape(l->inner.model), many = {.rank = out.rank + 1, .dim = {o->query}};
    for (int i = 0; i < out.rank; i++) many.dim[i + 1] = out.dim[i];
    CLM_GOTO(clm_graph_status(g));
    const clm_shape x = clm_value_shape(g, s.x), y = clm_value_shape(g, s.y);
    const size_t size_x = clm_shape_size(&x) * (size_t)o->tasks, size_y = clm_shape_size(&y) * (size_t)o->tasks;
    if (size_x + size_y <= CLM_WRITE_TOGETHER) {
        CLM_GOTO(clm_tensor_create(&l->support, l->device, clm_shape_of(1, (int)(size_x + size_y)), 0));
        CLM_GOTO(clm_tensor_view(&l->support_x, l->support, 0, x, o->tasks));
        CLM_GOTO(clm_tensor_view(&l->support_y, l->support, size_x, y, o->tasks));
    } else {
        CLM_GOTO(clm_tensor_create(&l->support_x, l->device, x, o->tasks));
        CLM_GOTO(clm_tensor_create(&l->support_y, l->device, y, o->tasks));
    }
    CLM_GOTO(clm_tensor_create(&l->query_x, l->device, clm_value_shape(g, q.x), o->tasks));
    for (int k = 0; k < 2; k++) {
        CLM_GOTO(clm_tensor_create(&l->loss[k], l->device, (clm_shape){0}, o->tasks));
        CLM_GOTO(clm_tensor_create(&l->out[k], l->device, many, o->tasks));
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

static clm_status build_programs(clm_learner *l) {
    learner_graph *b = clm_calloc(1, sizeof *b);
    clm_status status = b ? CLM_OK : CLM_E_MEMORY;
    for (int i = 0; i < 5 && status == CLM_OK; i++) {
        if (i == 0)
            status = build_start(l, b);
        else if (i < 3)
            status = build_step(l, b, i - 1);
        else
            status = build_predict(l, b, i - 3);
        clm_graph_free(b->g);
        b->g = NULL;
    }
    free(b);
    clm_program *all[5] = {l->start, l->step[0], l->step[1], l->predict[0], l->predict[1]};
    for (int i = 0; i < 5 && status == CLM_OK; i++) status = clm_program_prepare(all[i]);
    return status;
}

static clm_status default_values(clm_learner *l) {
    for (size_t i = 0; i < l->inner.n; i++) {
        size_t n = clm_shape_size(&clm_model_param(l->inner.model, i)->shape);
        double *data = clm_calloc(n, sizeof *data);
        if (!data) return CLM_E_MEMORY;
        clm_model_init_param(l->inner.model, i, 0, data);
        clm_status status = clm_learner_set_param(l, i, data);
        for (size_t e = 0; e < n; e++) data[e] = l->options.inner_lr;
        if (status == CLM_OK && l->options.rates == CLM_RATES_PER_ELEMENT && l->inner.adapted[i])
            status = clm_param_write(l->inner.model, i, l->rate[i], data);
        free(data);
        CLM_TRY(status);
    }
    for (size_t k = 0; l->rates && k < (size_t)l->options.rate_steps * l->inner.n; k++) l->rates[k] = l->options.inner_lr;
    return CLM_OK;
}

clm_status clm_learner_create(clm_learner **out, clm_device *device, const clm_model *model, const clm_learner_options *options) {
    const clm_learner_options *o = options;
    clm_status status = CLM_OK;
    *out = NULL;
    if (o->version != CLM_LEARNER_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "learner: options of version %d; initialise them with CLM_LEARNER_OPTIONS_INIT", o->version);
    if (o->tasks < 1 || o->support < 1 || o->query < 1 || o->rate_steps < 1)
        return clm_fail(CLM_E_ARG, "learner: %d tasks of %d support and %d query examples: each must be at least 1", o->tasks,
                        o->support, o->query);
    clm_learner *l = clm_calloc(1, sizeof *l);
    if (!l) return CLM_E_MEMORY;
    l->device = device;
    l->options = *o;
    l->options.adapt = NULL;
    l->inner = (clm_inner){.support = o->support,
                           .query = o->query,
                           .rates = o->rates,
                           .inner_lr = o->inner_lr,
                           .loss = o->loss,
                           .reduction = o->reduction};
    CLM_GOTO(clm_inner_init(&l->inner, model, o->adapt, o->n_adapt));
    if (o->rates == CLM_RATES_PER_STEP) l->rates = clm_calloc((size_t)o->rate_steps * l->inner.n, sizeof *l->rates);
    CLM_GOTO(clm_workspace_create(&l->workspace, device));
    CLM_GOTO(make_tensors(l));
    CLM_GOTO(build_programs(l));
    CLM_GOTO(make_host_memory(l));
    if (o->rates == CLM_RATES_PER_STEP && !l->rates) {
        status = CLM_E_MEMORY;
        goto out;
    }
    CLM_GOTO(default_values(l));
    *out = l;
    l = NULL;
out:
    clm_learner_free(l);
    return status;
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
    for (size_t i = 0; i < l->inner.n; i++) {
        clm_tensor_free(l->shared[i]);
        clm_tensor_free(l->state[0][i]);
        clm_tensor_free(l->state[1][i]);
        clm_tensor_free(l->rate[i]);
    }
    clm_tensor_free(l->support_x);
    clm_tensor_free(l->support_y);
    clm_tensor_free(l->support);
    clm_tensor_free(l->query_x);
    clm_workspace_free(l->workspace);
    free(l->rates);
    free(l->staging);
    free(l->sending);
    free(l->reading);
    free(l);
}

/* ---- reports ---- */

clm_program_stats clm_learner_step_stats(const clm_learner *l) { return clm_program_get_stats(l->step[0]); }
clm_program_stats clm_learner_predict_stats(const clm_learner *l) { return clm_program_get_stats(l->predict[0]); }

clm_status clm_learner_profile(clm_learner *l, int runs, FILE *to) {
    clm_program *const programs[2] = {l->step[0], l->predict[0]};
    return clm_programs_profile(programs, 2, runs, to);
}

/* ---- use ---- */

clm_status clm_learner_set_param(clm_learner *l, size_t i, const double *data) {
    if (i >= l->inner.n) return clm_fail(CLM_E_ARG, "learner: parameter %zu of %zu", i, l->inner.n);
    return clm_param_write(l->inner.model, i, l->shared[i], data);
}

clm_status clm_learner_set_rate(clm_learner *l, size_t i, const double *data) {
    if (l->rates && i == 0) {
        memcpy(l->rates, data, (size_t)l->options.rate_steps * l->inner.n * sizeof *data);
        return CLM_OK;
    }
    if (l->options.rates != CLM_RATES_PER_ELEMENT || i >= l->inner.n || !l->inner.adapted[i])
        return clm_fail(CLM_E_ARG, "learner: there are no learned rates %zu", i);
    return clm_param_write(l->inner.model, i, l->rate[i], data);
}

static clm_status use(clm_learner *l, const clm_dataset *data) {
    const bool differs = clm_inner_input_differs(l->inner.model);
    for (int k = 0; k < 2; k++) clm_pick_free(l->pick[k]);
    l->pick[0] = l->pick[1] = NULL;
    l->data = data;
    if (!data) return CLM_OK;
    CLM_TRY(clm_pick_create(&l->pick[0], data, l->support_x, l->support_y, differs));
    return clm_pick_create(&l->pick[1], data, l->query_x, NULL, differs);
}

clm_status clm_learner_use_data(clm_learner *l, clm_dataset *data) {
    const clm_shape in = clm_model_in_shape(l->inner.model);
    if (data && clm_dataset_device(data) != l->device) return clm_fail(CLM_E_ARG, "learner: the data set is on another device");
    if (data) CLM_TRY(clm_dataset_check_shape(data, &in));
    clm_status status = use(l, data);
    if (status != CLM_OK) (void)use(l, NULL);
    return status;
}

static clm_status check_numbers(const clm_learner *l, const char *what, const int32_t *at, int examples) {
    if (l->data) return clm_dataset_check_numbers(l->data, l->options.tasks, what, at, examples);
    return clm_fail(CLM_E_STATE, "learner: numbers of images, but no data set; clm_learner_use_data comes first");
}

static clm_status start(clm_learner *l) {
    CLM_TRY(clm_program_run(l->start));
    l->at = l->taken = 0;
    l->begun = true;
    return CLM_OK;
}

clm_status clm_learner_begin(clm_learner *l, const float *support_x, const float *support_y) {
    size_t examples = (size_t)l->options.tasks * (size_t)l->options.support;
    CLM_TRY(clm_labels_check(&l->inner, l->options.tasks, "support", support_y, l->options.support));
    const float *x = clm_inner_input(l->inner.model, support_x, examples, l->staging);
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
    return start(l);
}

clm_status clm_learner_begin_at(clm_learner *l, const int32_t *support_at, const float *support_y) {
    CLM_TRY(clm_labels_check(&l->inner, l->options.tasks, "support", support_y, l->options.support));
    CLM_TRY(check_numbers(l, "support", support_at, l->options.support));
    CLM_TRY(clm_pick_run(l->pick[0], support_at, support_y));
    return start(l);
}

static clm_status check_begun(const clm_learner *l) {
    return l->begun ? CLM_OK : clm_fail(CLM_E_STATE, "learner: clm_learner_begin comes first");
}

clm_status clm_learner_step(clm_learner *l, double *support_loss) {
    CLM_TRY(check_begun(l));
    if (l->rates) {
        int row = l->taken < l->options.rate_steps ? l->taken : l->options.rate_steps - 1;
        for (size_t i = 0; i < l->inner.n; i++)
            if (l->rate[i]) CLM_TRY(clm_tensor_write_f64(l->rate[i], &l->rates[(size_t)row * l->inner.n + i], 1));
    }
    CLM_TRY(clm_program_run(l->step[l->at]));
    if (support_loss) CLM_TRY(clm_tensor_read_f64(l->loss[l->at], support_loss, (size_t)l->options.tasks));
    l->at = 1 - l->at;
    l->taken++;
    return CLM_OK;
}

static clm_status predict(clm_learner *l, double *out) {
    clm_tensor *from = l->out[l->at];
    const size_t size = clm_tensor_size(from);
    CLM_TRY(clm_program_run(l->predict[l->at]));
    if (!l->reading) return clm_tensor_read_f64(from, out, size);
    l->on_its_way = true;
    CLM_TRY(clm_tensor_read_later(from, l->reading, size));
    CLM_TRY(arrive(l));
    for (size_t i = 0; i < size; i++) out[i] = (double)l->reading[i];
    return CLM_OK;
}

clm_status clm_learner_predict(clm_learner *l, const float *query_x, double *out) {
    CLM_TRY(check_begun(l));
    size_t examples = (size_t)l->options.tasks * (size_t)l->options.query;
    const float *x = clm_inner_input(l->inner.model, query_x, examples, l->staging);
    const size_t size = clm_tensor_size(l->query_x);
    if (!l->sending) {
        CLM_TRY(clm_tensor_write(l->query_x, x, size));
        return predict(l, out);
    }
    /* Behind the support set, which may still be on its way; another query set has arrived with its prediction. */
    float *const query = l->sending + clm_tensor_size(l->support);
    memcpy(query, x, size * sizeof *x);
    l->on_its_way = true;
    clm_status status = clm_tensor_write_later(l->query_x, query, size);
    if (status == CLM_OK) status = predict(l, out);
    if (status != CLM_OK) (void)arrive(l);
    return status;
}

clm_status clm_learner_predict_at(clm_learner *l, const int32_t *query_at, double *out) {
    CLM_TRY(check_begun(l));
    CLM_TRY(check_numbers(l, "query", query_at, l->options.query));
    CLM_TRY(clm_pick_run(l->pick[1], query_at, NULL));
    return predict(l, out);
}

clm_status clm_learner_get_adapted(clm_learner *l, size_t i, double *out) {
    size_t tasks = (size_t)l->options.tasks;
    if (i >= l->inner.n) return clm_fail(CLM_E_ARG, "learner: parameter %zu of %zu", i, l->inner.n);
    CLM_TRY(check_begun(l));
    if (l->inner.adapted[i]) return clm_param_read(l->inner.model, i, l->state[l->at][i], tasks, 1, out);
    CLM_TRY(clm_param_read(l->inner.model, i, l->shared[i], 1, 1, out));
    size_t n = clm_shape_size(&clm_model_param(l->inner.model, i)->shape);
    for (size_t t = 1; t < tasks; t++) memcpy(out + t * n, out, n * sizeof *out);
    return CLM_OK;
}
