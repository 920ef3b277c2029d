/* Uneven tasks: a task counts as if it were alone and its arrays were of its own length, whatever stands behind them, for every
 * algorithm and loss; what cannot be masked and sizes that there cannot be are refused. The files tests/golden/uneven_* have tasks of
 * fewer ways, from another program. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/family.h"
#include "support/launch.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 3, SUPPORT = 6, QUERY = 5 };
static const clm_task_size sizes[TASKS] = {{0, SUPPORT, QUERY}, {0, 3, 1}, {0, 4, 3}};

static size_t sets_of(const clm_test_problem *p) {
    return p->options.task.support_per_step ? (size_t)p->options.task.steps : 1;
}

/* Numbers of one example in array i of a batch of TASKS tasks. */
static size_t example_size(const clm_test_problem *p, int i) {
    const size_t examples = i < 2 ? sets_of(p) * (size_t)p->options.task.support : (size_t)p->options.task.query;
    return p->batch.count[i] / (size_t)p->options.tasks / examples;
}

static bool has_labels(const clm_test_problem *p) { return strcmp(p->options.task.loss.name, "cross-entropy") == 0; }

static void make(clm_test_problem *p, const char *algorithm, unsigned switches) {
    clm_test_choice c = clm_test_choice_of(algorithm);
    c.tasks = TASKS;
    c.steps = 2;
    c.switches = switches;
    clm_test_problem_make(p, &c, clm_test_seed() + 11);
    ck_assert_int_eq(p->options.task.support, SUPPORT);
    ck_assert_int_eq(p->options.task.query, QUERY);
    p->options.task.uneven = true;
    p->batch.batch.sizes = sizes;
}

typedef struct outcome {
    clm_test_vector gradient, support, query, right;
} outcome;

static outcome run(clm_device *device, const clm_test_problem *p) {
    outcome o;
    clm_meta *meta = clm_test_problem_meta(p, device);
    CLM_TEST_OK(clm_meta_gradient(meta, &p->batch.batch));
    o.gradient = clm_test_whole_gradient(meta);
    o.support = clm_test_read(meta, CLM_Q_SUPPORT_LOSS, 0);
    o.query = clm_test_read(meta, CLM_Q_QUERY_LOSS, 0);
    o.right = clm_test_read(meta, CLM_Q_QUERY_ACCURACY, 0);
    clm_meta_free(meta);
    return o;
}

static void outcome_free(outcome *o) {
    clm_test_vector_free(&o->gradient);
    clm_test_vector_free(&o->support);
    clm_test_vector_free(&o->query);
    clm_test_vector_free(&o->right);
}

/* ---- a task counts as if it were alone ---- */

/* Array i of task t alone, the examples that count one behind the other. */
static float *array_of(const clm_test_problem *p, int i, size_t t) {
    const size_t size = example_size(p, i), sets = i < 2 ? sets_of(p) : 1, most = i < 2 ? SUPPORT : QUERY;
    const size_t n = (size_t)(i < 2 ? sizes[t].support : sizes[t].query);
    float *out = calloc(sets * n * size, sizeof *out);
    for (size_t s = 0; s < sets; s++)
        memcpy(out + s * n * size, p->batch.data[i] + (t * sets + s) * most * size, n * size * sizeof *out);
    return out;
}

static outcome run_alone(clm_device *device, const clm_test_problem *p, size_t t) {
    clm_test_problem one = *p;
    float *data[4];
    for (int i = 0; i < 4; i++) data[i] = array_of(p, i, t);
    one.options.tasks = 1;
    one.options.task.support = sizes[t].support;
    one.options.task.query = sizes[t].query;
    one.options.task.uneven = false;
    one.batch.batch = (clm_batch){.support_x = data[0], .support_y = data[1], .query_x = data[2], .query_y = data[3]};
    const outcome o = run(device, &one);
    for (int i = 0; i < 4; i++) free(data[i]);
    return o;
}

static void compare_with_single_tasks(clm_device *device, const clm_test_problem *p, double most, const char *what) {
    outcome all = run(device, p);
    clm_test_vector mean = {calloc(all.gradient.n, sizeof(double)), all.gradient.n};
    for (size_t t = 0; t < TASKS; t++) {
        outcome one = run_alone(device, p, t);
        ck_assert_uint_eq(one.gradient.n, mean.n);
        for (size_t i = 0; i < mean.n; i++) mean.data[i] += one.gradient.data[i] / TASKS;
        ck_assert_msg(fabs(one.query.data[0] - all.query.data[t]) <= most * fabs(one.query.data[0]),
                      "%s: task %zu: %.17g, %.17g", what, t, one.query.data[0], all.query.data[t]);
        if (has_labels(p)) ck_assert_double_eq_tol(one.right.data[0], all.right.data[t], 1e-6);
        outcome_free(&one);
    }
    clm_test_expect_close(&all.gradient, &mean, most, what);
    ck_assert(clm_test_norm(mean.data, mean.n) > 0);
    clm_test_vector_free(&mean);
    outcome_free(&all);
}

START_TEST(a_task_counts_as_if_alone) {
    const char *name = clm_algorithm_name((size_t)_i);
    clm_device *host = clm_test_open_host();
    for (unsigned s = 0; s < CLM_TEST_SWITCHES; s = s ? 2 * s : 1) {
        clm_test_problem p;
        make(&p, name, s | (s ? CLM_TEST_NORM_PER_STEP : 0)); /* with batch-norm, where there can be */
        for (int how = CLM_CHECKPOINT_STORE; how <= CLM_CHECKPOINT_RECOMPUTE; how++) {
            p.options.checkpointing = clm_algorithm_uses(name, "first-order") ? (clm_checkpointing)how : CLM_CHECKPOINT_AUTO;
            compare_with_single_tasks(host, &p, 1e-10, name);
        }
        clm_test_problem_free(&p);
    }
    clm_device_close(host);
}
END_TEST

static const char vector_net[] = "{\"in_shape\": [3], \"layers\": [{\"op\": \"linear\", \"out\": 5}, {\"op\": \"batchnorm\"}, "
                                 "{\"op\": \"tanh\"}, {\"op\": \"linear\", \"out\": 2}]}";

/* Losses, both reductions, smoothing and class weights, on a network with batch-norm. */
static const struct {
    const char *loss;
    clm_reduction reduction;
    double smoothing;
    bool weighted;
} losses[] = {
    {"cross-entropy", CLM_REDUCE_MEAN, 0, false},
    {"cross-entropy", CLM_REDUCE_SUM, 0.1, true},
    {"cross-entropy", CLM_REDUCE_MEAN, 0.1, true},
    {"cross-entropy", CLM_REDUCE_MEAN, 0.2, false},
    {"mse", CLM_REDUCE_MEAN, 0, false},
    {"mse", CLM_REDUCE_SUM, 0, false},
    {"mae", CLM_REDUCE_MEAN, 0, false},
    {"huber", CLM_REDUCE_MEAN, 0, false},
    {"bce", CLM_REDUCE_SUM, 0, false},
    {"gaussian-policy", CLM_REDUCE_MEAN, 0, false},
};
enum { LOSSES = sizeof losses / sizeof *losses };

static void make_with_loss(clm_test_problem *p, size_t row) {
    static const double weights[2] = {0.7, 1.6};
    const clm_test_choice c = {.algorithm = "maml", .rule = "sgd", .tasks = TASKS, .steps = 2};
    make(p, c.algorithm, 0);
    clm_params_free(p->params);
    clm_model_free(p->model);
    CLM_TEST_OK(clm_model_parse(&p->model, vector_net, NULL));
    p->options.task.loss = (clm_loss_options)CLM_LOSS_OPTIONS_INIT;
    p->options.task.loss.name = losses[row].loss;
    p->options.task.loss.reduction = losses[row].reduction;
    p->options.task.loss.label_smoothing = losses[row].smoothing;
    p->options.task.loss.class_weights = losses[row].weighted ? weights : NULL;
    p->options.task.ways = 0;
    CLM_TEST_OK(clm_params_create(&p->params, p->model, &p->options.task));
    clm_test_draw_params(p->params, 0.1, clm_test_seed());
    clm_test_problem_draw(p, clm_test_seed() + row);
    p->batch.batch.sizes = sizes;
}

START_TEST(losses_count_as_if_alone) {
    clm_device *host = clm_test_open_host();
    clm_test_problem p;
    make_with_loss(&p, (size_t)_i);
    compare_with_single_tasks(host, &p, 1e-10, losses[_i].loss);
    clm_test_problem_free(&p);
    clm_device_close(host);
}
END_TEST

/* Every loss of the table is tried. */
START_TEST(losses_are_all_here) {
    for (size_t i = 0; i < clm_loss_count(); i++) {
        bool found = strcmp(clm_loss_name(i), "custom") == 0;
        for (size_t k = 0; k < LOSSES; k++) found = found || strcmp(losses[k].loss, clm_loss_name(i)) == 0;
        ck_assert_msg(found, "%s", clm_loss_name(i));
    }
}
END_TEST

/* ---- what does not count ---- */

static void fill_rest(clm_test_problem *p, float x, float y) {
    for (int i = 0; i < 4; i++) {
        const size_t size = example_size(p, i), sets = i < 2 ? sets_of(p) : 1, most = i < 2 ? SUPPORT : QUERY;
        for (size_t t = 0; t < TASKS; t++)
            for (size_t e = 0; e < sets * most; e++)
                for (size_t k = 0; k < size && e % most >= (size_t)(i < 2 ? sizes[t].support : sizes[t].query); k++)
                    p->batch.data[i][(t * sets * most + e) * size + k] = i % 2 ? y : x;
    }
}

static void expect_no_part(clm_device *device, clm_test_problem *p, const char *what) {
    outcome first = run(device, p);
    fill_rest(p, NAN, INFINITY);
    outcome other = run(device, p);
    clm_test_expect_same(&first.gradient, &other.gradient, what);
    clm_test_expect_same(&first.support, &other.support, what);
    clm_test_expect_same(&first.query, &other.query, what);
    if (has_labels(p)) clm_test_expect_same(&first.right, &other.right, what);
    outcome_free(&first);
    outcome_free(&other);
}

START_TEST(what_does_not_count_has_no_part) {
    const char *name = clm_algorithm_name((size_t)_i);
    clm_device *host = clm_test_open_host();
    clm_test_problem p;
    make(&p, name, CLM_TEST_NORM_PER_STEP | CLM_TEST_SUPPORT_PER_STEP | CLM_TEST_STEP_WEIGHTS);
    expect_no_part(host, &p, name);
    clm_test_problem_free(&p);
    clm_device_close(host);
}
END_TEST

START_TEST(what_does_not_count_on_opencl) {
    clm_device *device = clm_test_open(1);
    clm_test_problem p;
    make_with_loss(&p, 0);
    expect_no_part(device, &p, "OpenCL");
    compare_with_single_tasks(device, &p, 2e-5, "OpenCL");
    clm_test_problem_free(&p);
    clm_device_close(device);
}
END_TEST

/* ---- tasks that are all as large as can be ---- */

START_TEST(full_tasks_are_those_of_one_size) {
    const char *name = clm_algorithm_name((size_t)_i);
    clm_device *host = clm_test_open_host();
    clm_test_problem p;
    make(&p, name, CLM_TEST_NORM_PER_STEP);
    p.batch.batch.sizes = NULL;
    outcome masked = run(host, &p);
    p.options.task.uneven = false;
    outcome plain = run(host, &p);
    clm_test_expect_close(&masked.gradient, &plain.gradient, 1e-10, name);
    clm_test_expect_close(&masked.query, &plain.query, 1e-12, name);
    outcome_free(&masked);
    outcome_free(&plain);
    clm_test_problem_free(&p);
    clm_device_close(host);
}
END_TEST

/* ---- ways ---- */

/* Classes that a task has not do not exist: prototypical networks need no model of another size to show it. */
START_TEST(fewer_ways) {
    static const clm_task_size two[TASKS] = {{2, SUPPORT, QUERY}, {2, SUPPORT, QUERY}, {2, SUPPORT, QUERY}};
    clm_device *host = clm_test_open_host();
    clm_test_problem p;
    make(&p, "protonet", 0);
    for (int i = 1; i < 4; i += 2)
        for (size_t e = 0; e < p.batch.count[i]; e++) p.batch.data[i][e] = (float)(e % 2);
    p.batch.batch.sizes = two;
    p.options.task.ways = 4;
    outcome masked = run(host, &p);
    p.options.task.ways = 2;
    p.options.task.uneven = false;
    p.batch.batch.sizes = NULL;
    outcome plain = run(host, &p);
    clm_test_expect_close(&masked.gradient, &plain.gradient, 1e-10, "protonet");
    clm_test_expect_close(&masked.query, &plain.query, 1e-12, "protonet");
    clm_test_expect_close(&masked.right, &plain.right, 1e-12, "protonet");
    outcome_free(&masked);
    outcome_free(&plain);
    clm_test_problem_free(&p);
    clm_device_close(host);
}
END_TEST

/* Weights of an output that no task has get a gradient of 0, and inner steps leave them where they are. */
START_TEST(outputs_of_nobody) {
    static const clm_task_size one[TASKS] = {{1, SUPPORT, QUERY}, {1, 2, 3}, {1, 1, 1}};
    clm_device *host = clm_test_open_host();
    clm_test_problem p;
    make_with_loss(&p, 3);
    for (int i = 1; i < 4; i += 2) memset(p.batch.data[i], 0, p.batch.count[i] * sizeof(float));
    p.batch.batch.sizes = one;
    clm_meta *meta = clm_test_problem_meta(&p, host);
    CLM_TEST_OK(clm_meta_gradient(meta, &p.batch.batch));
    clm_test_vector weight = clm_test_read(meta, CLM_Q_GRAD, 4), adapted = clm_test_read(meta, CLM_Q_ADAPTED, 4);
    const double *began = clm_params_values(p.params, 4);
    ck_assert_uint_eq(weight.n, 2 * 5); /* of the last layer */
    for (size_t i = 5; i < 10; i++) {
        ck_assert_double_eq(weight.data[i], 0);
        for (size_t t = 0; t < TASKS; t++) ck_assert_double_eq(adapted.data[10 * t + i], began[i]);
    }
    clm_test_vector_free(&weight);
    clm_test_vector_free(&adapted);
    clm_meta_free(meta);
    clm_test_problem_free(&p);
    clm_device_close(host);
}
END_TEST

/* ---- the learner ---- */

/* Its steps are those of the meta-learner. */
START_TEST(a_learner_adapts_to_the_same) {
    clm_device *device = clm_test_open(_i);
    clm_learner_options o = CLM_LEARNER_OPTIONS_INIT;
    clm_learner *learner = NULL;
    clm_test_problem p;
    double out[TASKS * QUERY * 2];
    make_with_loss(&p, 0);
    fill_rest(&p, NAN, NAN);
    clm_meta *meta = clm_test_problem_meta(&p, device);
    CLM_TEST_OK(clm_meta_gradient(meta, &p.batch.batch));
    clm_test_vector scores = clm_test_read(meta, CLM_Q_QUERY_LOGITS, 0), adapted = clm_test_read(meta, CLM_Q_ADAPTED, 0);
    o.tasks = TASKS;
    o.task = p.options.task;
    CLM_TEST_OK(clm_learner_create(&learner, device, p.model, &o));
    CLM_TEST_OK(clm_learner_set_params(learner, p.params));
    CLM_TEST_OK(clm_learner_set_sizes(learner, sizes));
    CLM_TEST_OK(clm_learner_begin(learner, p.batch.data[0], p.batch.data[1]));
    for (int k = 0; k < 2; k++) CLM_TEST_OK(clm_learner_step(learner, NULL));
    CLM_TEST_OK(clm_learner_predict(learner, p.batch.data[2], QUERY, out));
    clm_test_vector own = {calloc(adapted.n, sizeof(double)), adapted.n};
    CLM_TEST_OK(clm_learner_get_adapted(learner, 0, own.data));
    clm_test_expect_close(&own, &adapted, clm_test_rounding(_i), "adapted");
    for (size_t t = 0; t < TASKS; t++)
        for (int i = 0; i < 2 * sizes[t].query; i++)
            ck_assert_double_eq_tol(out[t * QUERY * 2 + (size_t)i], scores.data[t * QUERY * 2 + (size_t)i], _i ? 1e-4 : 1e-10);
    clm_test_vector_free(&own);
    clm_test_vector_free(&scores);
    clm_test_vector_free(&adapted);
    clm_learner_free(learner);
    clm_meta_free(meta);
    clm_test_problem_free(&p);
    clm_device_close(device);
}
END_TEST

/* ---- what cannot be ---- */

static void expect_refused(clm_meta *meta, clm_test_problem *p, clm_task_size size, const char *says) {
    clm_task_size bad[TASKS];
    memcpy(bad, sizes, sizeof bad);
    bad[1] = size;
    p->batch.batch.sizes = bad;
    ck_assert_int_eq(clm_meta_gradient(meta, &p->batch.batch), CLM_E_ARG);
    CLM_TEST_SAYS("task 1");
    CLM_TEST_SAYS(says);
}

START_TEST(sizes_that_cannot_be) {
    clm_device *host = clm_test_open_host();
    clm_test_problem p;
    make_with_loss(&p, 0);
    clm_meta *meta = clm_test_problem_meta(&p, host);
    expect_refused(meta, &p, (clm_task_size){0, 0, 1}, "0 support examples");
    expect_refused(meta, &p, (clm_task_size){0, SUPPORT + 1, 1}, "7 support examples");
    expect_refused(meta, &p, (clm_task_size){0, 1, 0}, "0 query examples");
    expect_refused(meta, &p, (clm_task_size){0, 1, QUERY + 1}, "6 query examples");
    expect_refused(meta, &p, (clm_task_size){3, 1, 1}, "3 ways");
    expect_refused(meta, &p, (clm_task_size){-1, 1, 1}, "-1 ways");
    p.batch.data[1][SUPPORT + 1] = 1;
    expect_refused(meta, &p, (clm_task_size){1, 2, 1}, "classes are 0 to 0");
    clm_meta_free(meta);
    p.options.task.uneven = false;
    meta = clm_test_problem_meta(&p, host);
    p.batch.batch.sizes = sizes;
    ck_assert_int_eq(clm_meta_gradient(meta, &p.batch.batch), CLM_E_ARG);
    CLM_TEST_SAYS("clm_task_options.uneven");
    clm_meta_free(meta);
    clm_test_problem_free(&p);
    make_with_loss(&p, 4);
    meta = clm_test_problem_meta(&p, host);
    expect_refused(meta, &p, (clm_task_size){2, 1, 1}, "mse has no classes");
    clm_meta_free(meta);
    clm_test_problem_free(&p);
    clm_device_close(host);
}
END_TEST

static clm_value any_loss(void *user, clm_graph *g, clm_value out, clm_value target) {
    (void)user;
    return clm_mse(g, out, target, CLM_REDUCE_MEAN);
}

static clm_value own_model(void *user, clm_graph *g, const clm_value *params, clm_value x, clm_bn_stats *stats) {
    (void)user, (void)stats;
    return clm_mul(g, x, params[0]);
}

START_TEST(what_cannot_be_masked) {
    clm_device *host = clm_test_open_host();
    clm_param param = {.name = "scale", .shape = clm_shape_of(1, 2), .role = CLM_PARAM_BATCH_NORM};
    clm_shape in = clm_shape_of(1, 2);
    clm_model *own = NULL;
    clm_meta *meta = NULL;
    clm_test_problem p;
    make_with_loss(&p, 4);
    p.options.task.loss.name = "custom";
    p.options.task.loss.function = any_loss;
    p.options.task.loss.target_shape = in;
    ck_assert_int_eq(clm_meta_create(&meta, host, p.model, &p.options), CLM_E_ARG);
    CLM_TEST_SAYS("custom");
    p.options.task.loss = (clm_loss_options)CLM_LOSS_OPTIONS_INIT;
    CLM_TEST_OK(clm_model_custom(&own, &in, &param, 1, own_model, NULL));
    ck_assert_int_eq(clm_meta_create(&meta, host, own, &p.options), CLM_E_ARG);
    CLM_TEST_SAYS("batch-norm");
    clm_model_free(own);
    clm_test_problem_free(&p);
    clm_device_close(host);
}
END_TEST

START_TEST(a_learner_of_one_size) {
    clm_device *host = clm_test_open_host();
    clm_learner_options o = CLM_LEARNER_OPTIONS_INIT;
    clm_learner *learner = NULL;
    clm_test_problem p;
    make_with_loss(&p, 0);
    o.tasks = TASKS;
    o.task = p.options.task;
    CLM_TEST_OK(clm_learner_create(&learner, host, p.model, &o));
    CLM_TEST_OK(clm_learner_begin(learner, p.batch.data[0], p.batch.data[1]));
    CLM_TEST_OK(clm_learner_set_sizes(learner, NULL));
    ck_assert_int_eq(clm_learner_step(learner, NULL), CLM_E_STATE); /* another task begins first */
    clm_learner_free(learner);
    o.task.uneven = false;
    CLM_TEST_OK(clm_learner_create(&learner, host, p.model, &o));
    ck_assert_int_eq(clm_learner_set_sizes(learner, sizes), CLM_E_STATE);
    CLM_TEST_SAYS("clm_task_options.uneven");
    clm_learner_free(learner);
    clm_test_problem_free(&p);
    clm_device_close(host);
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("uneven");
    TCase *tcase = tcase_create("uneven");
    const int n = (int)clm_algorithm_count();
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, a_task_counts_as_if_alone, 0, n);
    tcase_add_loop_test(tcase, losses_count_as_if_alone, 0, LOSSES);
    tcase_add_test(tcase, losses_are_all_here);
    tcase_add_loop_test(tcase, what_does_not_count_has_no_part, 0, n);
    tcase_add_test(tcase, what_does_not_count_on_opencl);
    tcase_add_loop_test(tcase, full_tasks_are_those_of_one_size, 0, n);
    tcase_add_test(tcase, fewer_ways);
    tcase_add_test(tcase, outputs_of_nobody);
    tcase_add_loop_test(tcase, a_learner_adapts_to_the_same, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, sizes_that_cannot_be);
    tcase_add_test(tcase, what_cannot_be_masked);
    tcase_add_test(tcase, a_learner_of_one_size);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
