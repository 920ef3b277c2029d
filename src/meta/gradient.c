/* The programs that compute a meta-gradient.
 *
 * store: one program with the K inner steps unrolled and the adjoint recursion behind them; the graph shares the forward and
 * gradient values of a step with its adjoint, so nothing is computed twice. recompute: K step programs, a query program and K
 * adjoint programs over one workspace; only theta_1 .. theta_K are kept, and an adjoint program makes its step's gradient again.
 * Both are made from the same pieces (inner.c).
 *
 * theta_0 is the shared parameters seen per task, so that step 0 reads one copy; what comes back to it, lambda_0, is summed over
 * tasks into the flat gradient.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "graph/internal.h"
#include "meta/internal.h"

/* One graph under construction with the memory of its inputs and outputs. */
typedef struct builder {
    clm_meta *m;
    clm_graph *g;
    int chunk;
    clm_bind *binds;
    size_t n_binds, binds_capacity;
    clm_value *outputs;
    size_t n_outputs, outputs_capacity;
    clm_readout *reads; /* become the meta's once the program exists */
    size_t n_reads, reads_capacity;
    clm_examples support, query;
    clm_value shared[CLM_MAX_PARAMS]; /* parameters as shared inputs */
    clm_value rate[CLM_MAX_PARAMS];   /* of the step at hand */
    clm_value *rate_input;            /* [n_rates] */
    clm_value *rate_total;            /* [n_rates] gradient so far, per task */
    bool thrifty;                     /* it has the query examples, the most of all, and is to take little memory */
} builder;

size_t clm_meta_rate_slot(const clm_meta *m, size_t k, size_t i) {
    return m->options.rates == CLM_RATES_PER_STEP ? k * m->inner.n + i : i;
}

static clm_status reserve(clm_meta *m, clm_tensor **out, clm_shape shape, int tasks) {
    uint64_t most = m->device->info.max_allocation;
    if (most && clm_shape_size(&shape) * (size_t)tasks > most / m->device->backend->element_size)
        return clm_fail(CLM_E_LIMIT,
                        "meta: %d tasks at a time need more in one piece than %s allows (%s); use fewer tasks at a time", tasks,
                        m->device->info.name, clm_bytes_text((double)most).s);
    CLM_TRY(clm_grow(&m->tensors, &m->tensors_capacity, m->n_tensors + 1, sizeof *m->tensors));
    CLM_TRY(clm_tensor_reserve(out, m->device, shape, tasks));
    m->tensors[m->n_tensors++] = *out;
    return CLM_OK;
}

/* ---- inputs and outputs of a graph ---- */

static clm_status bind(builder *b, clm_value v, clm_tensor *t) {
    CLM_TRY(clm_grow(&b->binds, &b->binds_capacity, b->n_binds + 1, sizeof *b->binds));
    b->binds[b->n_binds++] = (clm_bind){v, t};
    return CLM_OK;
}

/* A value that no other output is, and that a kernel writes: so that each output can have memory of its own. */
static clm_value own_value(builder *b, clm_value v) {
    if (v == CLM_INVALID) return v;
    bool taken = b->g->nodes[v].op == CLM_OP_INPUT || b->g->nodes[v].op == CLM_OP_FILL || b->g->nodes[v].op == CLM_OP_PER_TASK ||
                 b->g->nodes[v].op == CLM_OP_RESHAPE;
    for (size_t i = 0; i < b->n_outputs && !taken; i++) taken = b->outputs[i] == v;
    if (!taken) return v;
    clm_attr attr = {{(int32_t)b->n_outputs + 1}, {1, 0}};
    return clm_graph_add(b->g, CLM_OP_AFFINE, &v, 1, b->g->nodes[v].shape, &attr);
}

static clm_status output(builder *b, clm_value v, clm_tensor *t) {
    v = own_value(b, v);
    CLM_TRY(clm_graph_status(b->g));
    CLM_TRY(clm_grow(&b->outputs, &b->outputs_capacity, b->n_outputs + 1, sizeof *b->outputs));
    b->outputs[b->n_outputs++] = v;
    return t ? bind(b, v, t) : CLM_OK;
}

/* A per-task output of which the host keeps every task's numbers. */
static clm_status read_back(builder *b, clm_quantity what, size_t index, clm_value v, clm_tensor *t) {
    clm_shape shape = t ? clm_tensor_shape(t) : clm_value_shape(b->g, v);
    if (!t) {
        v = own_value(b, clm_per_task(b->g, v));
        CLM_TRY(output(b, v, NULL));
    }
    CLM_TRY(clm_grow(&b->reads, &b->reads_capacity, b->n_reads + 1, sizeof *b->reads));
    size_t count = clm_shape_size(&shape);
    double *host = clm_calloc(count * (size_t)b->m->options.tasks, sizeof *host);
    if (!host) return CLM_E_MEMORY;
    b->reads[b->n_reads++] = (clm_readout){.what = what, .index = index, .value = v, .tensor = t, .count = count, .host = host};
    return CLM_OK;
}

static clm_status begin(builder *b, clm_meta *m, int chunk) {
    char label[96];
    *b = (builder){.m = m, .chunk = chunk};
    CLM_TRY(clm_graph_create(&b->g));
    b->support = clm_inner_examples(&m->inner, b->g, "support", m->inner.support);
    b->query = clm_inner_examples(&m->inner, b->g, "query", m->inner.query);
    clm_value in[4] = {b->support.x, b->support.y, b->query.x, b->query.y};
    for (int i = 0; i < 4; i++) CLM_TRY(bind(b, in[i], m->batch[i]));
    for (size_t i = 0; i < m->inner.n; i++) {
        const clm_param *p = clm_model_param(m->inner.model, i);
        b->shared[i] = clm_input(b->g, p->name, p->inner_shape, false);
        CLM_TRY(bind(b, b->shared[i], m->param[i]));
    }
    b->rate_input = clm_calloc(m->n_rates + 1, sizeof *b->rate_input);
    b->rate_total = clm_calloc(m->n_rates + 1, sizeof *b->rate_total);
    if (!b->rate_input || !b->rate_total) return CLM_E_MEMORY;
    for (size_t s = 0; s < m->n_rates; s++) {
        b->rate_input[s] = b->rate_total[s] = CLM_INVALID;
        if (!m->rate[s]) continue;
        snprintf(label, sizeof label, "rate.%zu", s);
        b->rate_input[s] = clm_input(b->g, label, clm_tensor_shape(m->rate[s]), false);
        CLM_TRY(bind(b, b->rate_input[s], m->rate[s]));
    }
    return clm_graph_status(b->g);
}

static void end(builder *b) {
    clm_graph_free(b->g);
    for (size_t i = 0; i < b->n_reads; i++) free(b->reads[i].host);
    free(b->reads);
    free(b->binds);
    free(b->outputs);
    free(b->rate_input);
    free(b->rate_total);
}

static clm_status view(clm_meta *m, clm_tensor **out, clm_tensor *whole, size_t at, clm_shape shape, int tasks) {
    CLM_TRY(clm_grow(&m->tensors, &m->tensors_capacity, m->n_tensors + 1, sizeof *m->tensors));
    CLM_TRY(clm_tensor_view(out, whole, at, shape, tasks));
    m->tensors[m->n_tensors++] = *out;
    return CLM_OK;
}

/* One piece of memory for all that the host reads of a program. */
static clm_status gather_reads(builder *b) {
    clm_tensor *all = NULL;
    size_t size = 0;
    for (size_t i = 0; i < b->n_reads; i++) size += b->reads[i].tensor ? 0 : b->reads[i].count * (size_t)b->chunk;
    if (!size || size > CLM_READ_TOGETHER) return CLM_OK;
    CLM_TRY(reserve(b->m, &all, clm_shape_of(1, (int)size), 0));
    size = 0;
    for (size_t i = 0; i < b->n_reads; i++) {
        clm_readout *r = &b->reads[i];
        if (r->tensor) continue;
        CLM_TRY(view(b->m, &r->tensor, all, size, clm_value_shape(b->g, r->value), b->chunk));
        CLM_TRY(bind(b, r->value, r->tensor));
        r->all = all;
        r->at = size;
        size += r->count * (size_t)b->chunk;
    }
    return CLM_OK;
}

/* Makes the program, hands its readouts to the meta. */
static clm_status finish(builder *b) {
    clm_meta *m = b->m;
    clm_program_options o = CLM_PROGRAM_OPTIONS_INIT;
    o.tasks = b->chunk;
    o.workspace = m->workspace;
    o.thrifty = b->thrifty;
    CLM_TRY(gather_reads(b));
    CLM_TRY(clm_grow(&m->programs, &m->programs_capacity, m->n_programs + 1, sizeof *m->programs));
    CLM_TRY(clm_program_create(&m->programs[m->n_programs], m->device, b->g, b->outputs, b->n_outputs, &o));
    size_t index = m->n_programs++;
    CLM_TRY(clm_bind_all(m->programs[index], b->binds, b->n_binds));
    CLM_TRY(clm_grow(&m->readouts, &m->readouts_capacity, m->n_readouts + b->n_reads, sizeof *m->readouts));
    for (size_t i = 0; i < b->n_reads; i++) {
        b->reads[i].program = index;
        m->readouts[m->n_readouts++] = b->reads[i];
    }
    b->n_reads = 0;
    return CLM_OK;
}

/* ---- pieces ---- */

static void rates_of_step(builder *b, size_t k) {
    for (size_t i = 0; i < b->m->inner.n; i++)
        b->rate[i] = b->m->options.rates == CLM_RATES_FIXED ? CLM_INVALID : b->rate_input[clm_meta_rate_slot(b->m, k, i)];
}

static double weight_of(const clm_meta *m, int k) { /* of L_query(theta_k), k = 1 .. K */
    if (m->weights) return m->weights[k - 1];
    return k == m->options.steps ? 1.0 : 0.0;
}

/* Query loss at theta_k: adds w_k grad to lambda (sets it where `first`). */
static clm_status query_at(builder *b, int k, const clm_value *theta, bool first, clm_value *lambda) {
    clm_meta *m = b->m;
    clm_value grad[CLM_MAX_PARAMS];
    clm_scored s = clm_inner_score(&m->inner, b->g, theta, b->query, NULL);
    CLM_TRY(clm_graph_status(b->g));
    CLM_TRY(clm_grad(b->g, s.loss, theta, m->inner.n, grad));
    for (size_t i = 0; i < m->inner.n; i++) {
        clm_value weighted = clm_scale(b->g, grad[i], weight_of(m, k));
        lambda[i] = first ? weighted : clm_add(b->g, lambda[i], weighted);
    }
    CLM_TRY(read_back(b, CLM_Q_QUERY_LOSS, (size_t)k, s.loss, NULL));
    if (k < m->options.steps) return CLM_OK;
    if (s.accuracy != CLM_INVALID) CLM_TRY(read_back(b, CLM_Q_QUERY_ACCURACY, 0, s.accuracy, NULL));
    return read_back(b, CLM_Q_QUERY_LOGITS, 0, s.out, NULL);
}

static clm_status read_support(builder *b, int k, clm_scored s) {
    CLM_TRY(read_back(b, CLM_Q_SUPPORT_LOSS, (size_t)k, s.loss, NULL));
    if (k == 0 && s.accuracy != CLM_INVALID) CLM_TRY(read_back(b, CLM_Q_SUPPORT_ACCURACY, 0, s.accuracy, NULL));
    return CLM_OK;
}

static void add_rate_grads(builder *b, size_t k, const clm_value *rate_grad) {
    for (size_t i = 0; i < b->m->inner.n; i++) {
        if (rate_grad[i] == CLM_INVALID) continue;
        clm_value *total = &b->rate_total[clm_meta_rate_slot(b->m, k, i)];
        *total = *total == CLM_INVALID ? rate_grad[i] : clm_add(b->g, *total, rate_grad[i]);
    }
}

/* Adds a per-task value, summed over the tasks, to a tensor. */
static clm_status accumulate(builder *b, clm_value v, clm_tensor *into) {
    if (b->m->all_at_once) return output(b, clm_sum_tasks(b->g, v, CLM_INVALID), into);
    clm_value sum = clm_input(b->g, "sum", clm_value_shape(b->g, v), false);
    CLM_TRY(bind(b, sum, into));
    return output(b, clm_sum_tasks(b->g, v, sum), into);
}

static clm_status accumulate_rates(builder *b) {
    for (size_t s = 0; s < b->m->n_rates; s++)
        if (b->rate_total[s] != CLM_INVALID) CLM_TRY(accumulate(b, b->rate_total[s], b->m->rate_grad[s]));
    return CLM_OK;
}

static clm_status accumulate_params(builder *b, const clm_value *lambda) {
    for (size_t i = 0; i < b->m->inner.n; i++) CLM_TRY(accumulate(b, clm_per_task(b->g, lambda[i]), b->m->param_grad[i]));
    return CLM_OK;
}

/* ---- store ---- */

static clm_status build_unrolled(builder *b) {
    clm_meta *m = b->m;
    size_t n = m->inner.n;
    int K = m->options.steps;
    clm_value *theta = clm_calloc((size_t)(K + 1) * n, sizeof *theta), *grad = clm_calloc((size_t)K * n, sizeof *grad);
    clm_value lambda[CLM_MAX_PARAMS], rate_grad[CLM_MAX_PARAMS];
    clm_status status = CLM_OK;
    if (!theta || !grad) {
        status = CLM_E_MEMORY;
        goto out;
    }
    for (size_t i = 0; i < n; i++) theta[i] = clm_per_task(b->g, b->shared[i]);
    for (int k = 0; k < K; k++) {
        clm_scored s;
        rates_of_step(b, (size_t)k);
        CLM_GOTO(clm_inner_step(&m->inner, b->g, theta + (size_t)k * n, b->rate, b->support, &s, grad + (size_t)k * n,
                                theta + (size_t)(k + 1) * n));
        CLM_GOTO(read_support(b, k, s));
    }
    CLM_GOTO(query_at(b, K, theta + (size_t)K * n, true, lambda));
    for (int k = K - 1; k >= 0; k--) {
        rates_of_step(b, (size_t)k);
        CLM_GOTO(clm_inner_adjoint(&m->inner, b->g, theta + (size_t)k * n, b->rate, grad + (size_t)k * n, m->options.first_order,
                                   lambda, rate_grad));
        add_rate_grads(b, (size_t)k, rate_grad);
        if (k > 0 && m->weights) CLM_GOTO(query_at(b, k, theta + (size_t)k * n, false, lambda));
    }
    CLM_GOTO(accumulate_params(b, lambda));
    CLM_GOTO(accumulate_rates(b));
    for (size_t i = 0; m->options.keep_adapted && i < n; i++)
        if (m->inner.adapted[i]) CLM_GOTO(read_back(b, CLM_Q_ADAPTED, i, theta[(size_t)K * n + i], NULL));
out:
    free(theta);
    free(grad);
    return status;
}

static clm_status plan_store(clm_meta *m, int chunk) {
    builder b;
    clm_status status = CLM_OK;
    CLM_GOTO(begin(&b, m, chunk));
    CLM_GOTO(build_unrolled(&b));
    CLM_GOTO(finish(&b));
out:
    end(&b);
    return status;
}

/* ---- recompute ---- */

/* Memory between the programs: theta[k * n + i] for k = 1 .. K, and lambda of this and the next step. */
typedef struct between {
    clm_tensor **theta;
    clm_tensor *lambda[2][CLM_MAX_PARAMS];
} between;

static clm_status reserve_between(clm_meta *m, int chunk, between *w) {
    size_t n = m->inner.n;
    w->theta = clm_calloc((size_t)(m->options.steps + 1) * n, sizeof(clm_tensor *));
    if (!w->theta) return CLM_E_MEMORY;
    for (size_t i = 0; i < n; i++) {
        clm_shape s = clm_model_param(m->inner.model, i)->inner_shape;
        for (int k = 1; k <= m->options.steps && m->inner.adapted[i]; k++)
            CLM_TRY(reserve(m, &w->theta[(size_t)k * n + i], s, chunk));
        for (int k = 0; k < 2; k++) CLM_TRY(reserve(m, &w->lambda[k][i], s, chunk));
    }
    return CLM_OK;
}

/* theta_k of a replayed program. */
static clm_status theta_inputs(builder *b, const between *w, int k, clm_value *theta) {
    size_t n = b->m->inner.n;
    for (size_t i = 0; i < n; i++) {
        clm_tensor *t = w->theta[(size_t)k * n + i];
        theta[i] = t ? clm_input(b->g, "theta", clm_tensor_shape(t), true) : clm_per_task(b->g, b->shared[i]);
        if (t) CLM_TRY(bind(b, theta[i], t));
    }
    return CLM_OK;
}

static clm_status build_step(builder *b, const between *w, int k) {
    clm_meta *m = b->m;
    size_t n = m->inner.n;
    clm_value theta[CLM_MAX_PARAMS], grad[CLM_MAX_PARAMS], next[CLM_MAX_PARAMS];
    clm_scored s;
    CLM_TRY(theta_inputs(b, w, k, theta));
    rates_of_step(b, (size_t)k);
    CLM_TRY(clm_inner_step(&m->inner, b->g, theta, b->rate, b->support, &s, grad, next));
    CLM_TRY(read_support(b, k, s));
    for (size_t i = 0; i < n; i++) {
        if (!m->inner.adapted[i]) continue;
        clm_tensor *t = w->theta[(size_t)(k + 1) * n + i];
        CLM_TRY(output(b, clm_per_task(b->g, next[i]), t));
        if (k + 1 == m->options.steps && m->options.keep_adapted) CLM_TRY(read_back(b, CLM_Q_ADAPTED, i, CLM_INVALID, t));
    }
    return CLM_OK;
}

static clm_status build_query(builder *b, const between *w) {
    clm_value theta[CLM_MAX_PARAMS], lambda[CLM_MAX_PARAMS];
    int K = b->m->options.steps;
    b->thrifty = true;
    CLM_TRY(theta_inputs(b, w, K, theta));
    CLM_TRY(query_at(b, K, theta, true, lambda));
    for (size_t i = 0; i < b->m->inner.n; i++) CLM_TRY(output(b, clm_per_task(b->g, lambda[i]), w->lambda[K % 2][i]));
    return CLM_OK;
}

static clm_status build_adjoint(builder *b, const between *w, int k) {
    clm_meta *m = b->m;
    size_t n = m->inner.n;
    clm_value theta[CLM_MAX_PARAMS], grad[CLM_MAX_PARAMS], next[CLM_MAX_PARAMS], lambda[CLM_MAX_PARAMS],
        rate_grad[CLM_MAX_PARAMS];
    clm_scored s;
    CLM_TRY(theta_inputs(b, w, k, theta));
    for (size_t i = 0; i < n; i++) {
        clm_tensor *t = w->lambda[(k + 1) % 2][i];
        lambda[i] = clm_input(b->g, "lambda", clm_tensor_shape(t), true);
        CLM_TRY(bind(b, lambda[i], t));
    }
    rates_of_step(b, (size_t)k);
    CLM_TRY(clm_inner_step(&m->inner, b->g, theta, b->rate, b->support, &s, grad, next));
    CLM_TRY(clm_inner_adjoint(&m->inner, b->g, theta, b->rate, grad, m->options.first_order, lambda, rate_grad));
    add_rate_grads(b, (size_t)k, rate_grad);
    b->thrifty = k > 0 && m->weights;
    if (b->thrifty) CLM_TRY(query_at(b, k, theta, false, lambda));
    CLM_TRY(accumulate_rates(b));
    if (k == 0) return accumulate_params(b, lambda);
    for (size_t i = 0; i < n; i++) CLM_TRY(output(b, lambda[i], w->lambda[k % 2][i]));
    return CLM_OK;
}

static clm_status plan_recompute(clm_meta *m, int chunk) {
    between w = {0};
    builder b = {0};
    clm_status status = CLM_OK;
    int K = m->options.steps;
    CLM_GOTO(reserve_between(m, chunk, &w));
    for (int i = 0; i <= 2 * K; i++) {
        end(&b);
        CLM_GOTO(begin(&b, m, chunk));
        if (i < K)
            CLM_GOTO(build_step(&b, &w, i));
        else if (i == K)
            CLM_GOTO(build_query(&b, &w));
        else
            CLM_GOTO(build_adjoint(&b, &w, 2 * K - i));
        CLM_GOTO(finish(&b));
    }
out:
    end(&b);
    free(w.theta);
    return status;
}

/* ---- planning and running ---- */

void clm_gradient_free(clm_meta *m) {
    clm_feed_free(m);
    for (size_t i = 0; i < m->n_programs; i++) clm_program_free(m->programs[i]);
    for (size_t i = 0; i < m->n_tensors; i++) clm_tensor_free(m->tensors[i]);
    for (size_t i = 0; i < m->n_readouts; i++) free(m->readouts[i].host);
    free(m->programs);
    free(m->tensors);
    free(m->readouts);
    free(m->reading);
    clm_workspace_free(m->workspace);
    clm_gradient_detach(m);
}

void clm_gradient_detach(clm_meta *m) {
    m->pick[0] = m->pick[1] = NULL;
    m->programs = NULL;
    m->tensors = NULL;
    m->readouts = NULL;
    m->workspace = NULL;
    m->reading = NULL;
    m->n_programs = m->programs_capacity = m->n_tensors = m->tensors_capacity = m->n_readouts = m->readouts_capacity = 0;
}

static clm_status reserve_batch(clm_meta *m, int chunk) {
    clm_graph *g = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_graph_create(&g));
    clm_examples s = clm_inner_examples(&m->inner, g, "support", m->inner.support);
    clm_examples q = clm_inner_examples(&m->inner, g, "query", m->inner.query);
    CLM_GOTO(clm_graph_status(g));
    clm_value in[4] = {s.x, s.y, q.x, q.y};
    size_t at = 0, size = 0;
    for (int i = 0; i < 4; i++) {
        const clm_shape shape = clm_value_shape(g, in[i]);
        size += clm_shape_size(&shape) * (size_t)chunk;
    }
    m->packed = NULL;
    if (size <= CLM_WRITE_TOGETHER) CLM_GOTO(reserve(m, &m->packed, clm_shape_of(1, (int)size), 0));
    for (int i = 0; i < 4; i++) {
        const clm_shape shape = clm_value_shape(g, in[i]);
        CLM_GOTO(m->packed ? view(m, &m->batch[i], m->packed, at, shape, chunk) : reserve(m, &m->batch[i], shape, chunk));
        at += clm_shape_size(&shape) * (size_t)chunk;
    }
out:
    clm_graph_free(g);
    return status;
}

clm_status clm_gradient_plan(clm_meta *m, clm_checkpointing checkpointing, int chunk) {
    clm_gradient_free(m);
    m->all_at_once = checkpointing == CLM_CHECKPOINT_STORE && chunk == m->options.tasks;
    CLM_TRY(clm_workspace_create(&m->workspace, m->device));
    CLM_TRY(reserve_batch(m, chunk));
    CLM_TRY(checkpointing == CLM_CHECKPOINT_STORE ? plan_store(m, chunk) : plan_recompute(m, chunk));
    m->plan = (clm_meta_plan){.checkpointing = checkpointing, .task_chunk = chunk};
    int runs = m->options.tasks / chunk;
    for (size_t i = 0; i < m->n_programs; i++) {
        clm_program_stats s = clm_program_get_stats(m->programs[i]);
        m->plan.launches += s.launches * (size_t)runs;
        m->plan.kernels += s.kernels;
        m->plan.flops += s.flops * runs;
        m->plan.traffic += s.traffic * runs;
    }
    return CLM_OK;
}

size_t clm_gradient_bytes(const clm_meta *m) {
    size_t bytes = clm_workspace_bytes(m->workspace) + clm_feed_bytes(m);
    for (size_t i = 0; i < m->n_tensors; i++)
        if (m->tensors[i]->root == m->tensors[i]) bytes += clm_tensor_bytes(m->tensors[i]);
    for (size_t i = 0; i < m->n_programs; i++) bytes += clm_program_get_stats(m->programs[i]).tensor_bytes;
    return bytes;
}

const clm_readout *clm_gradient_readout(const clm_meta *m, clm_quantity what, size_t index) {
    for (size_t i = 0; i < m->n_readouts; i++)
        if (m->readouts[i].what == what && m->readouts[i].index == index) return &m->readouts[i];
    return NULL;
}
