/* See family.h. */
#include "support/family.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/run.h"

/* ---- nets ---- */

#define LINEAR(out) "{\"op\": \"linear\", \"out\": " out "}"
#define REGRESSION "{\"in_shape\": [2], \"layers\": [" LINEAR("3") ", {\"op\": \"tanh\"}, " LINEAR("2") "]}"
#define CLASSES "{\"in_shape\": [3], \"layers\": [" LINEAR("4") ", {\"op\": \"tanh\"}, " LINEAR("3") "]}"
#define CONTEXT                                                                                                          \
    "{\"in_shape\": [2], \"layers\": [" LINEAR("3") ", {\"op\": \"tanh\"}, {\"op\": \"context\", \"size\": 2}, " LINEAR( \
        "2") "]}"
#define IMAGES                                                                                               \
    "{\"in_shape\": [2, 4, 3], \"layers\": [{\"op\": \"conv2d\", \"out\": 3, \"pad\": 1, \"bias\": false}, " \
    "{\"op\": \"batchnorm\"}, {\"op\": \"softplus\"}, {\"op\": \"globalavgpool\"}, " LINEAR("3") "]}"
#define CONTEXT_IMAGES                                                                                                        \
    "{\"in_shape\": [2, 4, 3], \"layers\": [{\"op\": \"conv2d\", \"out\": 3, \"pad\": 1, \"bias\": false}, "                  \
    "{\"op\": \"batchnorm\"}, {\"op\": \"film\", \"size\": 2}, {\"op\": \"softplus\"}, {\"op\": \"globalavgpool\"}, " LINEAR( \
        "3") "]}"

static const clm_test_kind kinds[] = {
    {"maml", CLM_TEST_UNROLLED, REGRESSION, "mse", 0, false},
    {"fomaml", CLM_TEST_UNROLLED, REGRESSION, "mse", 0, false},
    {"anil", CLM_TEST_UNROLLED, REGRESSION, "mse", 0, false},
    {"boil", CLM_TEST_UNROLLED, REGRESSION, "mse", 0, false},
    {"metasgd", CLM_TEST_UNROLLED, REGRESSION, "mse", 0, false},
    {"maml++", CLM_TEST_UNROLLED, IMAGES, "cross-entropy", 0, true},
    {"cavia", CLM_TEST_UNROLLED, CONTEXT, "mse", 0, false},
    {"protomaml", CLM_TEST_UNROLLED, CLASSES, "cross-entropy", 0, false},
    {"reptile", CLM_TEST_REPTILE, REGRESSION, "mse", 0, false},
    {"imaml", CLM_TEST_IMPLICIT, REGRESSION, "mse", 0, false},
    {"finetune", CLM_TEST_JOINT, CLASSES, "cross-entropy", 0, false},
    {"pretrain", CLM_TEST_JOINT, REGRESSION, "mse", 0, false},
    {"protonet", CLM_TEST_PROTOTYPES, CLASSES, "cross-entropy", 2, false},
};

const clm_test_kind *clm_test_kind_of(const char *algorithm) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].algorithm, algorithm) == 0) return &kinds[i];
    ck_abort_msg("the algorithm \"%s\" has no row in tests/support/family.c: it needs a network and a derivation", algorithm);
    return NULL;
}

/* ---- options ---- */

clm_test_choice clm_test_choice_of(const char *algorithm) {
    return (clm_test_choice){.algorithm = algorithm, .rule = "sgd", .tasks = 2, .steps = 3, .solver_steps = 4};
}

const char *clm_test_choice_text(const clm_test_choice *c, char *text, size_t size) {
    snprintf(text, size, "%s, %s, rates %d, switches %u, transform %d, solver %d of %d steps", c->algorithm, c->rule,
             (int)c->rates, c->switches, c->transform, (int)c->solver, c->solver_steps);
    return text;
}

static bool has(const clm_test_choice *c, unsigned a_switch, const char *option) {
    return (c->switches & a_switch) && clm_algorithm_uses(c->algorithm, option);
}

static void set_inner(clm_inner_options *inner, const clm_test_choice *c) {
    inner->rule = c->rule;
    if (clm_inner_rule_uses(c->rule, "momentum")) inner->momentum = 0.8;
    if (clm_inner_rule_uses(c->rule, "betas")) inner->beta1 = 0.8, inner->beta2 = 0.9;
    if (clm_inner_rule_uses(c->rule, "decay")) inner->decay = 0.7;
    if (clm_inner_rule_uses(c->rule, "eps")) inner->eps = 0.01, inner->eps_root = 1e-4;
    if (c->transform == 1 || c->transform == 3) inner->weight_decay = 0.05;
    if (c->transform == 1 || c->transform == 3) inner->clip_norm = 0.3;
    if (c->transform == 2 || c->transform == 3) inner->clip_value = 0.1;
}

static void set_options(clm_test_problem *p, const clm_test_choice *c) {
    static const double weights[] = {0.5, 0.25, 1.5, 0.75, 1, 2, 0.5, 0.125};
    static const char *const first_layer[] = {"0."}, *const first_bias[] = {"0.bias"}, *const first_weight[] = {"0.weight"};
    clm_task_options *t = &p->options.task;
    p->options = (clm_meta_options)CLM_META_OPTIONS_INIT;
    p->options.tasks = c->tasks;
    p->options.keep_adapted = true;
    t->algorithm = c->algorithm;
    t->support = 6;
    t->query = 5;
    if (clm_algorithm_uses(c->algorithm, "steps")) t->steps = c->steps;
    if (clm_algorithm_uses(c->algorithm, "inner-lr")) t->inner_lr = 0.1;
    t->ways = p->kind->ways;
    t->loss.name = p->kind->loss;
    if (clm_algorithm_uses(c->algorithm, "inner-rule")) set_inner(&t->inner, c);
    if (clm_algorithm_uses(c->algorithm, "rates")) t->rates = c->rates;
    t->first_order = has(c, CLM_TEST_FIRST_ORDER, "first-order");
    t->support_per_step = has(c, CLM_TEST_SUPPORT_PER_STEP, "support-per-step");
    t->batch_norm_per_step = has(c, CLM_TEST_NORM_PER_STEP, "batch-norm-per-step");
    if (has(c, CLM_TEST_STEP_WEIGHTS, "step-weights")) t->step_weights = weights;
    if (has(c, CLM_TEST_MASKS, "adapt")) {
        t->freeze = first_layer;
        t->unlearned = first_weight;
        t->n_freeze = t->n_unlearned = 1;
        if (strcmp(c->algorithm, "boil") == 0) { /* adapts no other layer: its bias, where it has one */
            t->freeze = first_bias;
            t->n_freeze = !has(c, CLM_TEST_NORM_PER_STEP, "batch-norm-per-step");
        }
        if (strcmp(c->algorithm, "anil") == 0 || strcmp(c->algorithm, "cavia") == 0) t->n_freeze = 0; /* it is not adapted */
    }
    if (!clm_algorithm_uses(c->algorithm, "proximal")) return;
    t->proximal = 2.5;
    t->solver = c->solver;
    t->solver_steps = c->solver_steps;
}

/* ---- numbers ---- */

void clm_test_draw_params(clm_params *params, double inner_lr, uint64_t seed) {
    clm_random r = clm_random_make(seed, 1);
    for (size_t i = 0; i < clm_params_count(params); i++) {
        const clm_params_info info = clm_params_get_info(params, i);
        double *values = clm_params_values(params, i);
        for (size_t e = 0; e < info.size; e++)
            values[e] = info.rate ? inner_lr * (0.5 + clm_random_uniform(&r)) : values[e] + 0.3 * clm_random_normal(&r);
    }
}

/* Elements of a target; 0 for a label. */
static size_t target_size(const clm_test_problem *p) {
    const clm_shape out = clm_model_out_shape(p->model);
    const char *loss = p->options.task.loss.name;
    if (strcmp(loss, "cross-entropy") == 0) return 0;
    if (strcmp(loss, "custom") == 0) return clm_shape_size(&p->options.task.loss.target_shape);
    return clm_shape_size(&out) + (strcmp(loss, "gaussian-policy") == 0);
}

/* Labels of every class in turn, so that each has an example. */
static float draw_target(const clm_test_problem *p, clm_random *r, size_t e) {
    const clm_shape out = clm_model_out_shape(p->model);
    const int classes = p->options.task.ways ? p->options.task.ways : out.dim[out.rank - 1];
    if (!target_size(p)) return (float)((e + clm_random_below(r, 2) * (e % 5 == 4)) % (size_t)classes);
    if (strcmp(p->options.task.loss.name, "bce") == 0) return (float)clm_random_below(r, 2);
    return (float)clm_random_normal(r);
}

void clm_test_problem_draw(clm_test_problem *p, uint64_t seed) {
    const clm_task_options *t = &p->options.task;
    const clm_shape in = clm_model_in_shape(p->model);
    const size_t x = clm_shape_size(&in), y = target_size(p) ? target_size(p) : 1;
    clm_random r = clm_random_make(seed, 2);
    clm_test_batch *b = &p->batch;
    clm_test_batch_free(b);
    for (int i = 0; i < 4; i++) {
        const size_t sets = i < 2 && t->support_per_step ? (size_t)t->steps : 1;
        const size_t examples = (size_t)p->options.tasks * sets * (size_t)(i < 2 ? t->support : t->query);
        b->count[i] = examples * (i % 2 ? y : x);
        b->data[i] = calloc(b->count[i], sizeof *b->data[i]);
        for (size_t e = 0; e < b->count[i]; e++) b->data[i][e] = i % 2 ? draw_target(p, &r, e) : (float)clm_random_normal(&r);
    }
    b->batch = (clm_batch){.support_x = b->data[0], .support_y = b->data[1], .query_x = b->data[2], .query_y = b->data[3]};
}

/* ---- problems ---- */

static const char *net_of(const clm_test_kind *kind, const clm_test_choice *c) {
    if (kind->convolutional || !has(c, CLM_TEST_NORM_PER_STEP, "batch-norm-per-step")) return kind->net;
    return strcmp(kind->net, CONTEXT) == 0 ? CONTEXT_IMAGES : IMAGES;
}

void clm_test_problem_make(clm_test_problem *p, const clm_test_choice *c, uint64_t seed) {
    memset(p, 0, sizeof *p);
    p->kind = clm_test_kind_of(c->algorithm);
    const char *net = net_of(p->kind, c);
    CLM_TEST_OK(clm_model_parse(&p->model, net, NULL));
    set_options(p, c);
    if (net != p->kind->net) p->options.task.loss.name = "cross-entropy";
    CLM_TEST_OK(clm_params_create(&p->params, p->model, &p->options.task));
    clm_test_draw_params(p->params, p->options.task.inner_lr, seed);
    clm_test_problem_draw(p, seed);
}

void clm_test_problem_free(clm_test_problem *p) {
    clm_test_batch_free(&p->batch);
    clm_params_free(p->params);
    clm_model_free(p->model);
}

clm_meta *clm_test_problem_meta(const clm_test_problem *p, clm_device *device) {
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create(&meta, device, p->model, &p->options));
    CLM_TEST_OK(clm_meta_set_params(meta, p->params));
    return meta;
}

/* ---- what a meta-learner gives ---- */

static void append(clm_test_vector *v, clm_meta *meta, clm_quantity what, size_t index) {
    const size_t n = clm_meta_quantity_size(meta, what, index);
    if (!n) return;
    v->data = realloc(v->data, (v->n + n) * sizeof *v->data);
    CLM_TEST_OK(clm_meta_read(meta, what, index, v->data + v->n));
    v->n += n;
}

static clm_test_vector all_of(clm_meta *meta, clm_quantity what) {
    clm_test_vector v = {0};
    for (size_t i = 0; i < clm_meta_param_count(meta); i++) append(&v, meta, what, i);
    return v;
}

clm_test_vector clm_test_parameter_gradient(clm_meta *meta) { return all_of(meta, CLM_Q_GRAD); }
clm_test_vector clm_test_rate_gradient(clm_meta *meta) { return all_of(meta, CLM_Q_RATE_GRAD); }

clm_test_vector clm_test_whole_gradient(clm_meta *meta) {
    clm_test_vector v = all_of(meta, CLM_Q_GRAD);
    for (size_t i = 0; i < clm_meta_param_count(meta); i++) append(&v, meta, CLM_Q_RATE_GRAD, i);
    return v;
}

clm_test_vector clm_test_read(clm_meta *meta, clm_quantity what, size_t index) {
    clm_test_vector v = {0};
    append(&v, meta, what, index);
    return v;
}

clm_test_vector clm_test_all_values(clm_meta *meta, const clm_test_problem *p) {
    clm_test_vector v = {0};
    clm_params *params = NULL;
    CLM_TEST_OK(clm_params_create(&params, p->model, &p->options.task));
    CLM_TEST_OK(clm_meta_get_params(meta, params));
    for (size_t i = 0; i < clm_params_count(params); i++) {
        const size_t n = clm_params_get_info(params, i).size;
        v.data = realloc(v.data, (v.n + n) * sizeof *v.data);
        memcpy(v.data + v.n, clm_params_values(params, i), n * sizeof *v.data);
        v.n += n;
    }
    clm_params_free(params);
    return v;
}
