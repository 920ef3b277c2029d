/* MAML (Finn et al. 2017) and what differs from it by masks, rates and weights alone.
 *
 *     theta_{k+1} = U_k(theta_k, g_k),   g_k = grad L_support(theta_k)                                     STEP k
 *     lambda_K = w_K grad L_query(theta_K)                                                                 QUERY
 *     (mu, v) = cotangents of theta_k and g_k through U_k, of lambda_{k+1}                                 ADJOINT k
 *     lambda_k = mu + H_k v + w_k grad L_query(theta_k),   H_k = hessian of L_support at theta_k
 *
 * For gradient descent U_k = theta_k - A g_k this is lambda_{k+1} - H_k (A lambda_{k+1}). The tangent that gives H_k v for the
 * adapted tensors gives the mixed term for those that are not adapted. First order drops H_k v.
 */
#include "meta/algorithm/algorithm.h"

#define MAML_TAKES                                                                                                       \
    (CLM_TAKES(STEPS) | CLM_TAKES(INNER) | CLM_TAKES(ORDER) | CLM_TAKES(RATES) | CLM_TAKES(WEIGHTS) | CLM_TAKES(MASKS) | \
     CLM_TAKES(SUPPORT_PER_STEP) | CLM_TAKES(NORM_PER_STEP))

size_t clm_maml_stages(const clm_task *t, clm_stage *list) {
    const int K = t->options.steps;
    size_t n = 0;
    const bool begins = t->algorithm->begin != NULL;
    for (int i = begins ? -1 : 0; i <= 2 * K + begins; i++, n++) {
        if (!list) continue;
        list[n] = i < 0        ? (clm_stage){CLM_STAGE_BEGIN, 0}
                  : i < K      ? (clm_stage){CLM_STAGE_STEP, i}
                  : i == K     ? (clm_stage){CLM_STAGE_QUERY, K}
                  : i <= 2 * K ? (clm_stage){CLM_STAGE_ADJOINT, 2 * K - i}
                               : (clm_stage){CLM_STAGE_BEGIN_ADJOINT, 0};
    }
    return n;
}

/* ---- the query loss ---- */

/* Parameters whose cotangent is wanted: what is adapted, and what is learned. */
static bool matters(const clm_entry *e) { return e->adapted || e->learned; }

/* Row r of a parameter with a row for each step goes to its gradient at once; the rest is carried on in lambda. */
static bool carried(const clm_entry *e) { return matters(e) && !e->rows; }

/* w_k grad L_query(theta_k), added to lambda; where `first`, lambda begins with it. */
static clm_status query_at(clm_stages *s, int k, bool first, clm_value *lambda) {
    const clm_task *t = s->task;
    clm_value theta[CLM_MAX_PARAMS], grad[CLM_MAX_PARAMS] = {0};
    const clm_value weight = clm_stage_weight(s, k);
    clm_scored scored;
    CLM_TRY(clm_stage_score_query(s, k, theta, &scored));
    CLM_TRY(clm_grad(s->g, scored.loss, theta, t->n, grad));
    for (size_t i = 0; i < t->n; i++) {
        const clm_entry *e = &t->entries[i];
        if (!matters(e)) continue;
        clm_value weighted = weight == CLM_INVALID ? grad[i] : clm_mul(s->g, grad[i], weight);
        if (e->rows)
            CLM_TRY(clm_stage_add_gradient(s, i, k - 1, clm_per_task(s->g, weighted)));
        else
            lambda[i] = first ? weighted : clm_add(s->g, lambda[i], weighted);
    }
    return clm_graph_status(s->g);
}

/* lambda_k for the next stage; lambda_0 is the gradient, or goes on to the adjoint of the beginning. */
static clm_status pass_on(clm_stages *s, int k, const clm_value *lambda) {
    const clm_task *t = s->task;
    for (size_t i = 0; i < t->n; i++) {
        if (!carried(&t->entries[i])) continue;
        const clm_value v = clm_per_task(s->g, lambda[i]);
        if (k > 0 || t->algorithm->begin)
            CLM_TRY(clm_stage_put(s, (clm_slot){CLM_SLOT_COTANGENT, k, i}, v));
        else
            CLM_TRY(clm_stage_add_gradient(s, i, 0, v));
    }
    return CLM_OK;
}

static clm_status build_query(clm_stages *s) {
    const int K = s->task->options.steps;
    clm_value lambda[CLM_MAX_PARAMS] = {0};
    clm_stage_prefer_memory(s);
    CLM_TRY(query_at(s, K, true, lambda));
    return pass_on(s, K, lambda);
}

/* ---- the adjoint of an inner step ---- */

/* Does the cotangent of carried state matter? In first order it reaches theta through weight decay alone. */
static bool carries_state(const clm_stages *s) { return !s->first_order || s->task->options.inner.weight_decay > 0; }

static void get_cotangents(clm_stages *s, int k, clm_inner_cotangents *c) {
    const clm_task *t = s->task;
    for (size_t i = 0; i < t->n; i++) {
        c->next[i] = carried(&t->entries[i]) ? clm_stage_get(s, (clm_slot){CLM_SLOT_COTANGENT, k + 1, i}) : CLM_INVALID;
        for (int n = 0; n < CLM_MAX_STATE; n++)
            c->next_state[n][i] = n < t->rule->state && t->entries[i].adapted && carries_state(s)
                                      ? clm_stage_get(s, (clm_slot){CLM_SLOT_STATE_COTANGENT + (clm_slot_kind)n, k + 1, i})
                                      : CLM_INVALID;
    }
}

/* lambda + H v, which is lambda - H (-v): then gradient descent needs no change of sign. */
static clm_status add_hessian_product(clm_stages *s, const clm_stage_step *st, const clm_inner_cotangents *c, int k,
                                      clm_value *lambda) {
    const clm_task *t = s->task;
    clm_value v[CLM_MAX_PARAMS], hv[CLM_MAX_PARAMS] = {0};
    for (size_t i = 0; i < t->n; i++)
        v[i] = t->entries[i].adapted && c->grad[i] != CLM_INVALID ? clm_neg(s->g, c->grad[i]) : CLM_INVALID;
    CLM_TRY(clm_jvp(s->g, st->theta, v, t->n, st->grad, t->n, hv));
    for (size_t i = 0; i < t->n; i++) {
        const clm_entry *e = &t->entries[i];
        if (hv[i] == CLM_INVALID || !matters(e)) continue;
        if (e->rows)
            CLM_TRY(clm_stage_add_gradient(s, i, k, clm_per_task(s->g, clm_neg(s->g, hv[i]))));
        else
            lambda[i] = lambda[i] == CLM_INVALID ? clm_neg(s->g, hv[i]) : clm_sub(s->g, lambda[i], hv[i]);
    }
    return clm_graph_status(s->g);
}

static clm_status build_adjoint(clm_stages *s, int k) {
    const clm_task *t = s->task;
    clm_value lambda[CLM_MAX_PARAMS] = {0};
    clm_inner_cotangents c;
    clm_stage_step st;
    get_cotangents(s, k, &c);
    CLM_TRY(clm_stage_open_step(s, k, &st));
    CLM_TRY(clm_inner_step_adjoint(t, s->g, &st.step, &c));
    for (size_t i = 0; i < t->n; i++) {
        lambda[i] = t->entries[i].adapted ? c.theta[i] : c.next[i];
        if (!t->entries[i].adapted) continue;
        if (c.rate[i] != CLM_INVALID) CLM_TRY(clm_stage_add_rate_gradient(s, i, k, c.rate[i]));
        for (int n = 0; k > 0 && n < t->rule->state; n++)
            if (c.state[n][i] != CLM_INVALID && carries_state(s))
                CLM_TRY(clm_stage_put(s, (clm_slot){CLM_SLOT_STATE_COTANGENT + (clm_slot_kind)n, k, i}, c.state[n][i]));
    }
    if (!s->first_order) CLM_TRY(add_hessian_product(s, &st, &c, k, lambda));
    if (k > 0 && t->weights) {
        clm_stage_prefer_memory(s);
        CLM_TRY(query_at(s, k, false, lambda));
    }
    return pass_on(s, k, lambda);
}

/* ---- where theta_0 is made from the support set ---- */

static clm_status begin_values(clm_stages *s, clm_value *theta, clm_value *out) {
    for (size_t i = 0; i < s->task->n; i++) out[i] = theta[i] = clm_stage_param(s, i, 0);
    return s->task->algorithm->begin(s->task, s->g, theta, clm_stage_support(s, 0), out);
}

static clm_status build_begin(clm_stages *s) {
    clm_value theta[CLM_MAX_PARAMS], out[CLM_MAX_PARAMS];
    CLM_TRY(begin_values(s, theta, out));
    for (size_t i = 0; i < s->task->n; i++)
        if (out[i] != theta[i]) CLM_TRY(clm_stage_put(s, (clm_slot){CLM_SLOT_THETA, 0, i}, out[i]));
    return clm_graph_status(s->g);
}

static clm_status build_begin_adjoint(clm_stages *s) {
    const clm_task *t = s->task;
    clm_value theta[CLM_MAX_PARAMS], out[CLM_MAX_PARAMS], made[CLM_MAX_PARAMS], of[CLM_MAX_PARAMS], grad[CLM_MAX_PARAMS];
    size_t n = 0;
    CLM_TRY(begin_values(s, theta, out));
    for (size_t i = 0; i < t->n; i++) {
        if (out[i] == theta[i]) continue;
        made[n] = out[i];
        of[n++] = clm_stage_get(s, (clm_slot){CLM_SLOT_COTANGENT, 0, i});
    }
    CLM_TRY(clm_vjp(s->g, made, of, n, theta, t->n, grad));
    for (size_t i = 0; i < t->n; i++) {
        const clm_entry *e = &t->entries[i];
        if (!e->learned) continue;
        if (!e->rows && out[i] == theta[i])
            grad[i] = clm_add(s->g, grad[i], clm_stage_get(s, (clm_slot){CLM_SLOT_COTANGENT, 0, i}));
        CLM_TRY(clm_stage_add_gradient(s, i, 0, clm_per_task(s->g, grad[i])));
    }
    return clm_graph_status(s->g);
}

clm_status clm_maml_build(clm_stages *s, const clm_stage *stage) {
    switch (stage->kind) {
    case CLM_STAGE_BEGIN: return build_begin(s);
    case CLM_STAGE_STEP: return clm_stage_make_step(s, stage->k);
    case CLM_STAGE_QUERY: return build_query(s);
    case CLM_STAGE_ADJOINT: return build_adjoint(s, stage->k);
    default: return build_begin_adjoint(s);
    }
}

/* ---- rows ---- */

static clm_status imply_first_order(clm_task_options *o) {
    o->first_order = true;
    return CLM_OK;
}

static clm_status imply_rates_per_element(clm_task_options *o) {
    if (o->rates == CLM_RATES_PER_STEP)
        return clm_fail(CLM_E_ARG, "metasgd learns a rate for each element; rates for each step contradict it");
    o->rates = CLM_RATES_PER_ELEMENT;
    return CLM_OK;
}

static clm_status imply_mamlpp(clm_task_options *o) {
    if (o->rates == CLM_RATES_FIXED) o->rates = CLM_RATES_PER_STEP;
    o->batch_norm_per_step = true;
    return CLM_OK;
}

/* A custom model's last layer is known by names alone. */
static clm_status check_head(const clm_task *t) {
    const size_t layers = clm_model_layer_count(t->model);
    if (!layers || clm_model_head_layer(t->model) < layers) return CLM_OK;
    return clm_fail(
        CLM_E_ARG,
        "adapt: %s goes by the last linear or convolution layer, and the model has none; end it with one, or name the "
        "parameters that are adapted",
        t->algorithm->info.name);
}

static clm_status adapt_head(clm_task *t) {
    if (!t->options.n_adapt) CLM_TRY(check_head(t));
    clm_task_adapt_all(t, false);
    clm_task_adapt_head(t, true);
    return CLM_OK;
}

static clm_status adapt_body(clm_task *t) {
    if (!t->options.n_adapt) CLM_TRY(check_head(t));
    clm_task_adapt_head(t, false);
    return CLM_OK;
}

static clm_status adapt_context(clm_task *t) {
    size_t found = 0;
    clm_task_adapt_all(t, false);
    for (size_t i = 0; i < t->n_model; i++) {
        if (clm_model_param(t->model, i)->role != CLM_PARAM_CONTEXT) continue;
        t->entries[i].adapted = true;
        t->entries[i].learned = false;
        found++;
    }
    if (found || t->options.n_adapt) return CLM_OK;
    return clm_fail(CLM_E_ARG, "cavia adapts context parameters, and the model has no layer \"context\" or \"film\"");
}

#define MEMORY_OF_MAML "grows with K, or with K parameters alone when it recomputes"

const clm_algorithm clm_algorithm_maml = {
    .info = {"maml", "Model-agnostic meta-learning", "Finn et al. 2017", "all parameters", "all parameters", "9 F K + 3 F",
             MEMORY_OF_MAML},
    .takes = MAML_TAKES,
    .stages = clm_maml_stages,
    .build = clm_maml_build,
};

const clm_algorithm clm_algorithm_fomaml = {
    .info = {"fomaml", "First-order MAML", "Finn et al. 2017", "all parameters", "all parameters", "3 F K + 3 F",
             "independent of K"},
    .takes = MAML_TAKES,
    .imply = imply_first_order,
    .stages = clm_maml_stages,
    .build = clm_maml_build,
};

const clm_algorithm clm_algorithm_anil = {
    .info = {"anil", "Almost no inner loop", "Raghu et al. 2020", "all parameters", "the last linear or convolution layer",
             "9 F K + 3 F at most", MEMORY_OF_MAML},
    .takes = MAML_TAKES,
    .declare = adapt_head,
    .stages = clm_maml_stages,
    .build = clm_maml_build,
};

const clm_algorithm clm_algorithm_boil = {
    .info = {"boil", "Body only update in inner loop", "Oh et al. 2021", "all parameters",
             "all but the last linear or convolution layer", "9 F K + 3 F", MEMORY_OF_MAML},
    .takes = MAML_TAKES,
    .declare = adapt_body,
    .stages = clm_maml_stages,
    .build = clm_maml_build,
};

const clm_algorithm clm_algorithm_metasgd = {
    .info = {"metasgd", "Meta-SGD", "Li et al. 2017", "all parameters, a rate for each of their elements", "all parameters",
             "9 F K + 3 F", MEMORY_OF_MAML},
    .takes = MAML_TAKES,
    .imply = imply_rates_per_element,
    .stages = clm_maml_stages,
    .build = clm_maml_build,
};

const clm_algorithm clm_algorithm_mamlpp = {
    .info = {"maml++", "How to train your MAML", "Antoniou et al. 2019",
             "all parameters, a rate for each tensor and step, batch-norm for each step", "all parameters but batch-norm's",
             "9 F K + 3 F, and 3 F for each further step with a query loss", MEMORY_OF_MAML},
    .takes = MAML_TAKES,
    .imply = imply_mamlpp,
    .stages = clm_maml_stages,
    .build = clm_maml_build,
};

const clm_algorithm clm_algorithm_cavia = {
    .info = {"cavia", "Fast context adaptation via meta-learning", "Zintgraf et al. 2019", "all parameters but the context",
             "the context, which begins at zero", "9 F K + 3 F", MEMORY_OF_MAML},
    .takes = MAML_TAKES,
    .declare = adapt_context,
    .stages = clm_maml_stages,
    .build = clm_maml_build,
};
