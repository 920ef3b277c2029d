/* iMAML (Rajeswaran et al. 2019): the meta-gradient at the end of the inner loop, by the implicit function theorem.
 *
 *     theta_{k+1} = U(theta_k, g_k + lambda (theta_k - theta))                                   STEP k
 *     b = grad L_query(theta_K)                                                                  QUERY
 *     x solves (I + H / lambda) x = b,   H the hessian of L_support at theta_K                   SOLVE j
 *     meta-gradient: x for adapted tensors; for others b - (d/d other grad_adapted L_support)^T x / lambda      FINISH
 *
 * Conjugate gradients begin at x = 0 (Hestenes and Stiefel 1952); the Neumann series is x <- b - H x / lambda from x = b
 * (Lorraine et al. 2020). Each task has a system of its own. Nothing of the inner loop but theta_K is needed, so memory does
 * not depend on K.
 */
#include "meta/algorithm/algorithm.h"

static size_t stages(const clm_task *t, clm_stage *list) {
    const int K = t->options.steps, J = t->options.solver_steps;
    for (int k = 0; list && k < K; k++) list[k] = (clm_stage){CLM_STAGE_STEP, k};
    if (list) list[K] = (clm_stage){CLM_STAGE_QUERY, K};
    for (int j = 0; list && j < J; j++) list[K + 1 + j] = (clm_stage){CLM_STAGE_SOLVE, j};
    if (list) list[K + 1 + J] = (clm_stage){CLM_STAGE_FINISH, J};
    return (size_t)K + (size_t)J + 2;
}

static bool is_other(const clm_entry *e) { return e->learned && !e->adapted; }

static clm_value get(clm_stages *s, clm_slot_kind kind, int j, size_t i) { return clm_stage_get(s, (clm_slot){kind, j, i}); }

static clm_status put(clm_stages *s, clm_slot_kind kind, int j, size_t i, clm_value v) {
    return clm_stage_put(s, (clm_slot){kind, j, i}, clm_per_task(s->g, v));
}

/* Sum over the adapted tensors of a . b, for each task. */
static clm_value dot(clm_stages *s, const clm_value *a, const clm_value *b) {
    clm_value sum = CLM_INVALID;
    for (size_t i = 0; i < s->task->n; i++) {
        if (!s->task->entries[i].adapted) continue;
        clm_value product = clm_mul(s->g, a[i], b[i]);
        const int rank = clm_value_shape(s->g, product).rank;
        /* Rows first: the solver's rounding errors grow with those of its sums. */
        if (rank > 1) product = clm_sum(s->g, product, 1u << (rank - 1), false);
        clm_value term = clm_sum_all(s->g, product);
        sum = sum == CLM_INVALID ? term : clm_add(s->g, sum, term);
    }
    return sum;
}

/* a / b, and 0 where b is 0: a system that is solved exactly stays solved. */
static clm_value quotient(clm_graph *g, clm_value a, clm_value b) {
    return clm_div(g, a, clm_add(g, b, clm_equal(g, b, clm_const(g, 0))));
}

static clm_status build_query(clm_stages *s) {
    const clm_task *t = s->task;
    clm_value theta[CLM_MAX_PARAMS], b[CLM_MAX_PARAMS] = {0};
    clm_scored scored;
    clm_stage_prefer_memory(s);
    CLM_TRY(clm_stage_score_query(s, t->options.steps, theta, &scored));
    CLM_TRY(clm_grad(s->g, scored.loss, theta, t->n, b));
    for (size_t i = 0; i < t->n; i++) {
        if (is_other(&t->entries[i])) CLM_TRY(put(s, CLM_SLOT_QUERY_GRADIENT, 0, i, b[i]));
        if (!t->entries[i].adapted) continue;
        CLM_TRY(put(s, CLM_SLOT_RESIDUAL, 0, i, b[i]));
        if (t->options.solver == CLM_SOLVER_NEUMANN) CLM_TRY(put(s, CLM_SLOT_SOLUTION, 0, i, b[i]));
    }
    return t->options.solver == CLM_SOLVER_CG ? put(s, CLM_SLOT_RESIDUAL_SQUARE, 0, 0, dot(s, b, b)) : CLM_OK;
}

/* H v at theta_K for adapted tensors, and the mixed term for the others. */
static clm_status hessian_product(clm_stages *s, const clm_value *v, clm_value *hv) {
    const clm_task *t = s->task;
    clm_value theta[CLM_MAX_PARAMS], grad[CLM_MAX_PARAMS];
    CLM_TRY(clm_stage_theta(s, t->options.steps, 0, theta));
    const clm_scored scored = clm_task_score(t, s->g, theta, clm_stage_support(s, 0));
    CLM_TRY(clm_graph_status(s->g));
    CLM_TRY(clm_grad(s->g, scored.loss, theta, t->n, grad));
    CLM_TRY(clm_jvp(s->g, theta, v, t->n, grad, t->n, hv));
    for (size_t i = 0; i < t->n; i++)
        if (hv[i] == CLM_INVALID) hv[i] = clm_fill(s->g, t->entries[i].inner_shape, 0);
    return clm_graph_status(s->g);
}

/* d is the direction: of the first iteration, the residual. */
static clm_status build_cg(clm_stages *s, int j) {
    const clm_task *t = s->task;
    clm_graph *g = s->g;
    clm_value d[CLM_MAX_PARAMS] = {0}, r[CLM_MAX_PARAMS] = {0}, ad[CLM_MAX_PARAMS] = {0}, hd[CLM_MAX_PARAMS];
    for (size_t i = 0; i < t->n; i++) {
        d[i] = CLM_INVALID;
        if (!t->entries[i].adapted) continue;
        r[i] = get(s, CLM_SLOT_RESIDUAL, j, i);
        d[i] = j == 0 ? r[i] : get(s, CLM_SLOT_DIRECTION, j, i);
    }
    const clm_value rr = get(s, CLM_SLOT_RESIDUAL_SQUARE, j, 0);
    CLM_TRY(hessian_product(s, d, hd));
    for (size_t i = 0; i < t->n; i++)
        if (t->entries[i].adapted) ad[i] = clm_add(g, d[i], clm_scale(g, hd[i], 1 / t->options.proximal));
    const clm_value step = quotient(g, rr, dot(s, d, ad));
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        clm_value x = clm_mul(g, d[i], step);
        if (j > 0) x = clm_add(g, get(s, CLM_SLOT_SOLUTION, j, i), x);
        CLM_TRY(put(s, CLM_SLOT_SOLUTION, j + 1, i, x));
        r[i] = clm_sub(g, r[i], clm_mul(g, ad[i], step));
    }
    if (j + 1 == t->options.solver_steps) return clm_graph_status(g);
    const clm_value next = dot(s, r, r), beta = quotient(g, next, rr);
    CLM_TRY(put(s, CLM_SLOT_RESIDUAL_SQUARE, j + 1, 0, next));
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        CLM_TRY(put(s, CLM_SLOT_RESIDUAL, j + 1, i, r[i]));
        CLM_TRY(put(s, CLM_SLOT_DIRECTION, j + 1, i, clm_add(g, r[i], clm_mul(g, d[i], beta))));
    }
    return clm_graph_status(g);
}

static clm_status build_neumann(clm_stages *s, int j) {
    const clm_task *t = s->task;
    clm_value x[CLM_MAX_PARAMS], hx[CLM_MAX_PARAMS];
    for (size_t i = 0; i < t->n; i++) x[i] = t->entries[i].adapted ? get(s, CLM_SLOT_SOLUTION, j, i) : CLM_INVALID;
    CLM_TRY(hessian_product(s, x, hx));
    for (size_t i = 0; i < t->n; i++) {
        if (!t->entries[i].adapted) continue;
        clm_value b = get(s, CLM_SLOT_RESIDUAL, 0, i);
        CLM_TRY(put(s, CLM_SLOT_SOLUTION, j + 1, i, clm_sub(s->g, b, clm_scale(s->g, hx[i], 1 / t->options.proximal))));
    }
    return clm_graph_status(s->g);
}

static clm_status build_finish(clm_stages *s) {
    const clm_task *t = s->task;
    clm_value x[CLM_MAX_PARAMS], hx[CLM_MAX_PARAMS];
    bool others = false;
    for (size_t i = 0; i < t->n; i++) {
        x[i] = t->entries[i].adapted ? get(s, CLM_SLOT_SOLUTION, t->options.solver_steps, i) : CLM_INVALID;
        if (x[i] != CLM_INVALID) CLM_TRY(clm_stage_add_gradient(s, i, 0, x[i]));
        others |= is_other(&t->entries[i]);
    }
    if (!others) return CLM_OK;
    CLM_TRY(hessian_product(s, x, hx));
    for (size_t i = 0; i < t->n; i++) {
        if (!is_other(&t->entries[i])) continue;
        clm_value b = get(s, CLM_SLOT_QUERY_GRADIENT, 0, i);
        CLM_TRY(clm_stage_add_gradient(s, i, 0, clm_sub(s->g, b, clm_scale(s->g, hx[i], 1 / t->options.proximal))));
    }
    return clm_graph_status(s->g);
}

static clm_status build(clm_stages *s, const clm_stage *stage) {
    switch (stage->kind) {
    case CLM_STAGE_STEP: return clm_stage_make_step(s, stage->k);
    case CLM_STAGE_QUERY: return build_query(s);
    case CLM_STAGE_SOLVE:
        return s->task->options.solver == CLM_SOLVER_NEUMANN ? build_neumann(s, stage->k) : build_cg(s, stage->k);
    default: return build_finish(s);
    }
}

const clm_algorithm clm_algorithm_imaml = {
    .info = {"imaml", "MAML with implicit gradients", "Rajeswaran et al. 2019", "all parameters",
             "all parameters, held near the learned ones", "3 F K + 9 F J + 3 F for J solver steps", "independent of K"},
    .takes = CLM_TAKES(STEPS) | CLM_TAKES(INNER) | CLM_TAKES(MASKS) | CLM_TAKES(PROXIMAL),
    .stages = stages,
    .build = build,
    .one_inner_loss = true, /* whose implicit gradient it is */
};
