/* The part of a meta-learner on one device, planned under a memory limit; parameters and rates. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/internal.h"

/* ---- creation ---- */

clm_status clm_meta_check_options(const clm_meta_options *o) {
    if (o->version != CLM_META_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "meta: options of version %d; initialise them with CLM_META_OPTIONS_INIT", o->version);
    if (o->tasks < 1 || o->support < 1 || o->query < 1 || o->steps < 1)
        return clm_fail(CLM_E_ARG, "meta: %d tasks of %d support and %d query examples, %d inner steps: each must be at least 1",
                        o->tasks, o->support, o->query, o->steps);
    if (!isfinite(o->inner_lr)) return clm_fail(CLM_E_ARG, "meta: the inner rate is not a number");
    if (o->task_chunk < 0 || (o->task_chunk > 0 && o->tasks % o->task_chunk))
        return clm_fail(CLM_E_ARG, "meta: %d tasks cannot be run %d at a time; choose a divisor", o->tasks, o->task_chunk);
    return CLM_OK;
}

/* Offsets of parameters and rates in the flat vector. */
static clm_status lay_out(clm_meta *m) {
    const clm_model *model = m->inner.model;
    size_t at = 0, n = m->inner.n, K = (size_t)m->options.steps;
    for (size_t i = 0; i < n; i++) {
        m->param_at[i] = at;
        at += clm_shape_size(&clm_model_param(model, i)->inner_shape);
    }
    m->param_at[n] = m->rates_at = at;
    if (m->options.rates == CLM_RATES_PER_STEP) at += m->n_rates = K * n;
    if (m->options.rates == CLM_RATES_PER_ELEMENT) {
        m->n_rates = n;
        for (size_t i = 0; i < n; i++)
            if (m->inner.adapted[i]) at += m->param_at[i + 1] - m->param_at[i];
    }
    if (at > INT32_MAX) return clm_fail(CLM_E_LIMIT, "meta: %zu parameters and rates; fewer than 2^31 numbers are possible", at);
    m->elements = at;
    CLM_TRY(clm_tensor_reserve(&m->params, m->device, clm_shape_of(1, (int)at), 0));
    return clm_tensor_reserve(&m->grad, m->device, clm_shape_of(1, (int)at), 0);
}

static clm_status view_both(clm_meta *m, clm_tensor **value, clm_tensor **grad, size_t at, clm_shape shape) {
    CLM_TRY(clm_tensor_view(value, m->params, at, shape, 0));
    return clm_tensor_view(grad, m->grad, at, shape, 0);
}

static clm_status make_views(clm_meta *m) {
    size_t n = m->inner.n, at = m->rates_at;
    m->rate = clm_calloc(m->n_rates + 1, sizeof(clm_tensor *));
    m->rate_grad = clm_calloc(m->n_rates + 1, sizeof(clm_tensor *));
    if (!m->rate || !m->rate_grad) return CLM_E_MEMORY;
    for (size_t i = 0; i < n; i++)
        CLM_TRY(view_both(m, &m->param[i], &m->param_grad[i], m->param_at[i], clm_model_param(m->inner.model, i)->inner_shape));
    for (size_t s = 0; s < m->n_rates; s++) {
        bool element = m->options.rates == CLM_RATES_PER_ELEMENT;
        if (element && !m->inner.adapted[s]) continue;
        clm_shape shape = element ? clm_model_param(m->inner.model, s)->inner_shape : (clm_shape){0};
        CLM_TRY(view_both(m, &m->rate[s], &m->rate_grad[s], at, shape));
        at += clm_shape_size(&shape);
    }
    return CLM_OK;
}

clm_status clm_meta_create_share(clm_meta **out, clm_device *device, const clm_model *model, const clm_meta_options *options,
                                 bool head) {
    clm_status status = CLM_OK;
    *out = NULL;
    CLM_TRY(clm_meta_check_options(options));
    clm_meta *m = clm_calloc(1, sizeof *m);
    if (!m) return CLM_E_MEMORY;
    if (head && !(m->shares = clm_calloc(1, sizeof(clm_meta *)))) CLM_GOTO(CLM_E_MEMORY);
    if (head) m->shares[m->n_shares++] = m;
    m->tasks = options->tasks;
    m->device = device;
    m->options = *options;
    m->options.adapt = NULL;
    m->options.step_weights = NULL;
    m->inner = (clm_inner){.support = options->support,
                           .query = options->query,
                           .rates = options->rates,
                           .inner_lr = options->inner_lr,
                           .loss = options->loss,
                           .reduction = options->reduction};
    CLM_GOTO(clm_inner_init(&m->inner, model, options->adapt, options->n_adapt));
    if (options->step_weights) {
        m->weights = clm_calloc((size_t)options->steps, sizeof *m->weights);
        if (!m->weights) {
            status = CLM_E_MEMORY;
            goto out;
        }
        memcpy(m->weights, options->step_weights, (size_t)options->steps * sizeof *m->weights);
    }
    CLM_GOTO(lay_out(m));
    CLM_GOTO(make_views(m));
    if (head) CLM_GOTO(clm_optimizer_init(&m->outer, device, m->params, m->grad, &options->optim));
    m->options.optim = m->outer.options; /* the caller's strings may go */
    CLM_GOTO(clm_meta_plan_share(m));
    *out = m;
    m = NULL;
out:
    clm_meta_free_share(m);
    return status;
}

void clm_meta_free_share(clm_meta *m) {
    if (!m) return;
    clm_optimizer_free(&m->outer);
    clm_gradient_free(m);
    for (size_t i = 0; i < m->inner.n; i++) {
        clm_tensor_free(m->param[i]);
        clm_tensor_free(m->param_grad[i]);
    }
    for (size_t s = 0; s < m->n_rates; s++) {
        if (m->rate) clm_tensor_free(m->rate[s]);
        if (m->rate_grad) clm_tensor_free(m->rate_grad[s]);
    }
    clm_tensor_free(m->params);
    clm_tensor_free(m->grad);
    free(m->rate);
    free(m->rate_grad);
    free(m->weights);
    free(m->staging);
    free(m->packing);
    free(m->shares);
    free(m->values);
    free(m->sum);
    free(m);
}

clm_status clm_meta_write_initial(clm_meta *m) {
    double *data = clm_calloc(m->elements, sizeof *data);
    clm_status status = CLM_OK;
    if (!data) return CLM_E_MEMORY;
    for (size_t e = m->rates_at; e < m->elements; e++) data[e] = m->options.inner_lr;
    for (size_t i = 0; i < m->inner.n; i++) {
        const clm_param *p = clm_model_param(m->inner.model, i);
        double *outer = clm_calloc(clm_shape_size(&p->shape), sizeof *outer);
        if (!outer) {
            status = CLM_E_MEMORY;
            goto out;
        }
        clm_model_init_param(m->inner.model, i, 0, outer);
        clm_layout_to_inner(p->layout, &p->shape, 1, outer, data + m->param_at[i]);
        free(outer);
    }
    status = clm_tensor_write_f64(m->params, data, m->elements);
out:
    free(data);
    return status;
}

clm_status clm_meta_prepare_share(clm_meta *m) {
    if (m->prepared) return CLM_OK;
    CLM_TRY(clm_fit_prepare(m));
    if (m->shares) CLM_TRY(clm_meta_write_initial(m));
    m->prepared = m->moved = true;
    return CLM_OK;
}

clm_status clm_meta_prepare(clm_meta *m) {
    for (size_t s = 0; s < m->n_shares; s++) {
        clm_status status = clm_meta_prepare_share(m->shares[s]);
        if (status != CLM_OK && m->n_shares > 1) return clm_fail_in(status, "%s", m->shares[s]->device->info.name);
        CLM_TRY(status);
    }
    return clm_split_prepare(m);
}

clm_status clm_meta_profile(clm_meta *m, int runs, FILE *to) {
    CLM_TRY(clm_meta_prepare(m));
    for (size_t s = 0; s < m->n_shares; s++) {
        clm_meta *share = m->shares[s];
        if (m->n_shares > 1) fprintf(to, "%s, %d of %d tasks\n", share->device->info.name, share->options.tasks, m->tasks);
        CLM_TRY(clm_programs_profile(share->programs, share->n_programs, runs, to));
    }
    return CLM_OK;
}

uint64_t clm_meta_iteration(const clm_meta *m) { return m->outer.t; }

/* ---- parameters and rates ---- */

static clm_status check_param(const clm_meta *m, size_t i) {
    if (i < m->inner.n) return CLM_OK;
    return clm_fail(CLM_E_ARG, "meta: parameter %zu of %zu", i, m->inner.n);
}

clm_status clm_meta_set_param(clm_meta *m, size_t i, const double *data) {
    CLM_TRY(check_param(m, i));
    CLM_TRY(clm_meta_prepare(m));
    m->moved = true;
    return clm_param_write(m->inner.model, i, m->param[i], data);
}

clm_status clm_meta_get_param(clm_meta *m, size_t i, double *data) {
    CLM_TRY(check_param(m, i));
    CLM_TRY(clm_meta_prepare(m));
    return clm_param_read(m->inner.model, i, m->param[i], 1, 1, data);
}

bool clm_meta_is_adapted(const clm_meta *m, size_t i) { return i < m->inner.n && m->inner.adapted[i]; }

size_t clm_meta_rate_size(const clm_meta *m, size_t i) {
    if (m->options.rates == CLM_RATES_PER_STEP) return i == 0 ? m->n_rates : 0;
    if (m->options.rates == CLM_RATES_PER_ELEMENT && clm_meta_is_adapted(m, i)) return m->param_at[i + 1] - m->param_at[i];
    return 0;
}

static clm_status check_rate(clm_meta *m, size_t i) {
    if (clm_meta_rate_size(m, i) == 0) return clm_fail(CLM_E_ARG, "meta: there are no learned rates %zu", i);
    return clm_meta_prepare(m);
}

clm_status clm_meta_step_rates(clm_meta *m, clm_tensor *flat, const double *in, double scale, double *out) {
    clm_tensor *view = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_tensor_view(&view, flat, m->rates_at, clm_shape_of(1, (int)m->n_rates), 0));
    if (in) CLM_GOTO(clm_tensor_write_f64(view, in, m->n_rates));
    if (out) CLM_GOTO(clm_tensor_read_f64(view, out, m->n_rates));
    for (size_t s = 0; out && s < m->n_rates; s++) out[s] *= scale;
out:
    clm_tensor_free(view);
    return status;
}

clm_status clm_meta_set_rate(clm_meta *m, size_t i, const double *data) {
    CLM_TRY(check_rate(m, i));
    m->moved = true;
    if (m->options.rates == CLM_RATES_PER_STEP) return clm_meta_step_rates(m, m->params, data, 1, NULL);
    return clm_param_write(m->inner.model, i, m->rate[i], data);
}

clm_status clm_meta_get_rate(clm_meta *m, size_t i, double *data) {
    CLM_TRY(check_rate(m, i));
    if (m->options.rates == CLM_RATES_PER_STEP) return clm_meta_step_rates(m, m->params, NULL, 1, data);
    return clm_param_read(m->inner.model, i, m->rate[i], 1, 1, data);
}
