/* Dropout and stochastic depth: which elements the masks drop, that plans, chunks and devices change none of them, that a run goes on
 * with the same after a checkpoint, and that nothing is dropped outside a meta-gradient. test_exact.c has the derivatives. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "meta/internal.h"
#include "meta/plan/plan.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

#define LAYERS(rate, path)                                                                                              \
    "{\"in_shape\": [4], \"layers\": [{\"op\": \"linear\", \"out\": 12}, {\"op\": \"tanh\"}, {\"op\": \"dropout\", "    \
    "\"rate\": " rate                                                                                                   \
    "}, {\"op\": \"residual\", \"body\": [{\"op\": \"linear\", \"out\": 12}, {\"op\": \"tanh\"}], \"drop_path\": " path \
    "}, {\"op\": \"linear\", \"out\": 3}]}"

static clm_model *parse(const char *json) {
    clm_model *model = NULL;
    CLM_TEST_OK(clm_model_parse(&model, json, NULL));
    return model;
}

/* ---- masks ---- */

/* The mask of [n] elements for each of `tasks` keys [4]. */
static double *mask_of(clm_device *device, const double *keys, int tasks, int n, double rate, int pass, int layer) {
    clm_graph *g = NULL;
    double *out = calloc((size_t)tasks * (size_t)n, sizeof *out);
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value key = clm_input(g, "key", clm_shape_of(1, 4), true);
    const clm_value mask = clm_dropout_mask(g, key, clm_shape_of(1, n), rate, pass, layer);
    CLM_TEST_OK(clm_test_run(device, g, tasks, &key, &keys, 1, &mask, &out, 1));
    clm_graph_free(g);
    return out;
}

static void make_keys(double *keys, int tasks, uint64_t seed, uint64_t iteration) {
    for (int t = 0; t < tasks; t++) {
        float key[4];
        clm_dropout_key(seed, iteration, (uint32_t)t, key);
        for (int i = 0; i < 4; i++) keys[4 * t + i] = (double)key[i];
    }
}

/* The words of the generator from its own stream: counter (e / 4, layer, pass, 0). */
START_TEST(masks_are_philox) {
    enum { TASKS = 3, N = 1021 };
    clm_device *device = clm_test_open(_i);
    double keys[4 * TASKS];
    make_keys(keys, TASKS, clm_test_seed(), 7);
    for (int k = 0; k < 3; k++) {
        const double rate = (double[]){0.3, 1e-9, 0.999}[k];
        const int pass = (int[]){0, 5, 131071}[k], layer = (int[]){1, 2, 70000}[k];
        double *mask = mask_of(device, keys, TASKS, N, rate, pass, layer);
        for (int t = 0; t < TASKS; t++) {
            uint64_t key = 0;
            for (int i = 0; i < 4; i++) {
                ck_assert(keys[4 * t + i] >= 0 && keys[4 * t + i] < 65536 && keys[4 * t + i] == floor(keys[4 * t + i]));
                key |= (uint64_t)keys[4 * t + i] << 16 * i;
            }
            clm_random r = clm_random_make(key, (uint64_t)pass);
            r.next = (uint64_t)layer << 32;
            for (int e = 0; e < N; e++) {
                const bool dropped = clm_random_u32(&r) <= rate * 4294967296.0 - 1;
                const double is = mask[t * N + e], kept = 1 / (1 - rate);
                ck_assert_msg(dropped ? is == 0 : fabs(is - kept) <= 1e-6 * kept, "rate %g, task %d, element %d: %g", rate, t,
                              e, is);
            }
        }
        free(mask);
    }
    clm_device_close(device);
}
END_TEST

/* Correlation of what is dropped, as a number of its standard deviations. */
static double correlation(const double *a, const double *b, size_t n, double rate) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((a[i] == 0) - rate) * ((b[i] == 0) - rate);
    return sum / (rate * (1 - rate) * sqrt((double)n));
}

/* Means are as the rate says, and masks of other tasks, passes, layers, iterations, seeds and neighbouring elements know nothing of
 * each other: within five standard deviations. */
START_TEST(masks_are_random) {
    enum { TASKS = 2, N = 100000 };
    const double rate = (double[]){0.1, 0.5, 0.8}[_i];
    clm_device *host = clm_test_open_host();
    double keys[2][4 * TASKS], *masks[5];
    make_keys(keys[0], TASKS, 1, 5);
    make_keys(keys[1], TASKS, 1, 6);
    masks[0] = mask_of(host, keys[0], TASKS, N, rate, 2, 1);
    masks[1] = mask_of(host, keys[0], TASKS, N, rate, 3, 1);
    masks[2] = mask_of(host, keys[0], TASKS, N, rate, 2, 2);
    masks[3] = mask_of(host, keys[1], TASKS, N, rate, 2, 1);
    make_keys(keys[1], TASKS, 2, 5);
    masks[4] = mask_of(host, keys[1], TASKS, N, rate, 2, 1);
    for (int k = 0; k < 5; k++) {
        double dropped = 0;
        for (int e = 0; e < N; e++) dropped += masks[k][e] == 0;
        ck_assert_double_lt(fabs(dropped - rate * N), 5 * sqrt(rate * (1 - rate) * N));
        if (k > 0) ck_assert_double_lt(fabs(correlation(masks[0], masks[k], N, rate)), 5);
    }
    ck_assert_double_lt(fabs(correlation(masks[0], masks[0] + N, N, rate)), 5); /* the other task */
    for (size_t lag = 1; lag < 9; lag++) ck_assert_double_lt(fabs(correlation(masks[0], masks[0] + lag, N, rate)), 5);
    for (int k = 0; k < 5; k++) free(masks[k]);
    clm_device_close(host);
}
END_TEST

START_TEST(bad_masks_are_refused) {
    static const struct {
        double rate;
        int pass, width;
        const char *says;
    } rows[] = {{1, 0, 4, "the rate is 1;"},
                {-0.5, 0, 4, "the rate is -0.5;"},
                {NAN, 0, 4, "at least 0 and below 1"},
                {0.5, -1, 4, "pass -1"},
                {0.5, 0, 3, "must be [4]"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clm_graph *g = NULL;
        CLM_TEST_OK(clm_graph_create(&g));
        const clm_value key = clm_input(g, "key", clm_shape_of(1, rows[i].width), true);
        ck_assert_int_eq(clm_dropout_mask(g, key, clm_shape_of(1, 5), rows[i].rate, rows[i].pass, 0), CLM_INVALID);
        ck_assert(clm_graph_status(g) != CLM_OK);
        ck_assert_msg(strstr(clm_last_error(), rows[i].says) != NULL, "%s", clm_last_error());
        clm_graph_free(g);
    }
}
END_TEST

/* ---- the meta-gradient ---- */

typedef struct outcome {
    clm_test_vector gradient, results;
} outcome;

static outcome outcome_of(clm_meta *meta, const clm_model *model, const clm_test_batch *batch) {
    outcome o;
    CLM_TEST_OK(clm_meta_gradient(meta, &batch->batch));
    o.gradient = clm_test_gradient(meta, model);
    o.results = clm_test_results(meta, model, false);
    return o;
}

static void outcome_free(outcome *o) {
    clm_test_vector_free(&o->gradient);
    clm_test_vector_free(&o->results);
}

/* Convolutions on the host; on OpenCL, where building kernels takes its time, a perceptron, and always with the same options. */
static clm_model *model_for(int device_index) {
    return device_index ? parse(LAYERS("0.4", "0.4")) : clm_test_model(CLM_TEST_NET_DROPOUT);
}
static clm_meta_options options_for(void) { return clm_test_options(CLM_TEST_NET_DROPOUT, NULL, 4, 2); }

/* Chunks give the same bits; stored or recomputed, what is dropped is the same. */
START_TEST(plans_change_nothing) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = model_for(_i);
    clm_meta_options options = options_for();
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    outcome first = {0};
    for (int k = 0; k < (_i ? 4 : 6); k++) {
        options.checkpointing = k < 3 ? CLM_CHECKPOINT_STORE : CLM_CHECKPOINT_RECOMPUTE;
        options.task_chunk = (int[]){4, 2, 1}[k % 3];
        clm_meta *meta = clm_test_meta(device, model, &options, 3);
        outcome o = outcome_of(meta, model, &batch);
        clm_meta_free(meta);
        if (k == 0) {
            first = o;
            continue;
        }
        if (k < 3) {
            clm_test_expect_same(&first.gradient, &o.gradient, "chunks, gradient");
            clm_test_expect_same(&first.results, &o.results, "chunks, results");
        }
        clm_test_expect_close(&first.gradient, &o.gradient, clm_test_rounding(_i), "recomputed, gradient");
        clm_test_expect_close(&first.results, &o.results, clm_test_rounding(_i), "recomputed, results");
        outcome_free(&o);
    }
    outcome_free(&first);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Two devices that share the tasks, and the parts of one, have the results of one device to the bit; the gradient is a sum of sums. */
START_TEST(devices_change_nothing) {
    enum { TASKS = 4 };
    const bool parts = _i == 2;
    clm_device *one = clm_test_open(_i > 0), *two = clm_test_open(_i > 0);
    clm_model *model = model_for(_i);
    clm_meta_options options = options_for();
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    setenv("CLMAML_CPU_PARTS", "1", 1);
    clm_meta *whole = clm_test_meta(one, model, &options, 3), *shared = NULL;
    setenv("CLMAML_CPU_PARTS", parts ? "2" : "1", 1);
    const clm_meta_share shares[] = {{one, 1, 0}, {two, TASKS - 1, 0}};
    if (parts)
        CLM_TEST_OK(clm_meta_create(&shared, two, model, &options));
    else
        CLM_TEST_OK(clm_meta_create_on(&shared, shares, 2, model, &options));
    unsetenv("CLMAML_CPU_PARTS");
    clm_test_randomise(shared, model, &options, 3);
    outcome a = outcome_of(whole, model, &batch), b = outcome_of(shared, model, &batch);
    if (parts) ck_assert_int_eq(clm_meta_get_plan(shared).parts, 2);
    clm_test_expect_same(&a.results, &b.results, "several devices, results");
    clm_test_expect_close(&a.gradient, &b.gradient, clm_test_rounding(_i > 0), "several devices, gradient");
    outcome_free(&a);
    outcome_free(&b);
    clm_meta_free(whole);
    clm_meta_free(shared);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(two);
    clm_device_close(one);
}
END_TEST

/* A meta-learner that is restored from a checkpoint goes on with the same bits; another seed, and the next update, drop otherwise. */
START_TEST(resumed_to_the_bit) {
    enum { STEPS = 4, STOPPED = 2 };
    clm_device *device = clm_test_open(_i);
    clm_model *model = model_for(_i);
    clm_meta_options options = options_for();
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    clm_meta *meta = clm_test_meta(device, model, &options, 3), *again = clm_test_meta(device, model, &options, 4);
    clm_archive *archive = NULL;
    CLM_TEST_OK(clm_archive_create(&archive));
    clm_meta_set_dropout_seed(meta, 17);
    for (int i = 0; i < STEPS; i++) {
        if (i == STOPPED) CLM_TEST_OK(clm_meta_save(meta, archive));
        CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
    }
    clm_meta_set_dropout_seed(again, 17);
    CLM_TEST_OK(clm_meta_restore(again, archive));
    for (int i = STOPPED; i < STEPS; i++) CLM_TEST_OK(clm_meta_step(again, &batch.batch, NULL));
    clm_test_vector a = clm_test_values(meta, model), b = clm_test_values(again, model);
    clm_test_expect_same(&a, &b, "resumed");
    outcome now = outcome_of(meta, model, &batch), repeated = outcome_of(again, model, &batch);
    clm_test_expect_same(&now.gradient, &repeated.gradient, "the same update");
    clm_meta_set_dropout_seed(again, 18);
    outcome other = outcome_of(again, model, &batch);
    ck_assert_double_gt(clm_test_difference(now.results.data, other.results.data, now.results.n), 1e-3);
    clm_test_set_values(again, model, a.data);
    clm_meta_set_dropout_seed(again, 17);
    CLM_TEST_OK(clm_meta_restore(again, archive)); /* its number of updates, */
    clm_test_set_values(again, model, a.data);     /* and the later parameters */
    outcome earlier = outcome_of(again, model, &batch);
    ck_assert_double_gt(clm_test_difference(now.results.data, earlier.results.data, now.results.n), 1e-3);
    outcome_free(&now);
    outcome_free(&repeated);
    outcome_free(&other);
    outcome_free(&earlier);
    clm_test_vector_free(&a);
    clm_test_vector_free(&b);
    clm_archive_free(archive);
    clm_meta_free(meta);
    clm_meta_free(again);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- every algorithm ---- */

static clm_meta_options options_of(const char *algorithm, double rate) {
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    o.tasks = 3;
    o.task.algorithm = algorithm;
    o.task.support = o.task.query = 6;
    if (strcmp(algorithm, "protonet") == 0) o.task.ways = 3;
    if (clm_algorithm_uses(algorithm, "steps")) {
        o.task.steps = 3;
        o.task.inner_lr = rate;
    }
    return o;
}

/* Some on OpenCL too, which takes its time. */
static void check_on_opencl(const clm_model *model, const clm_meta_options *options, const clm_test_batch *batch,
                            const outcome *expected) {
    clm_device *device = clm_test_open_opencl();
    clm_meta *meta = clm_test_meta(device, model, options, 3);
    outcome o = outcome_of(meta, model, batch);
    clm_test_expect_close(&expected->gradient, &o.gradient, 2e-5, options->task.algorithm);
    clm_test_expect_close(&expected->results, &o.results, 2e-5, options->task.algorithm);
    outcome_free(&o);
    clm_meta_free(meta);
    clm_device_close(device);
}

static clm_status set_rates(clm_meta *meta, const clm_model *model, double rate) {
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        const size_t n = clm_meta_rate_size(meta, i);
        double *values = calloc(n + 1, sizeof *values);
        for (size_t e = 0; e < n; e++) values[e] = rate;
        const clm_status status = n ? clm_meta_set_rate(meta, i, values) : CLM_OK;
        free(values);
        if (status != CLM_OK) return status;
    }
    return CLM_OK;
}

/* With an inner rate of 0 the support loss of a task changes from step to step by what is dropped alone: it does, but for imaml, whose
 * inner steps descend one function. */
static void check_steps(clm_device *host, const clm_model *model, const char *algorithm, const clm_test_batch *batch) {
    enum { STEPS = 3, TASKS = 3 };
    const bool same = strcmp(algorithm, "imaml") == 0;
    const clm_meta_options options = options_of(algorithm, 0);
    double loss[TASKS * STEPS];
    clm_meta *meta = clm_test_meta(host, model, &options, 3);
    CLM_TEST_OK(set_rates(meta, model, 0));
    CLM_TEST_OK(clm_meta_gradient(meta, &batch->batch));
    ck_assert_uint_eq(clm_meta_quantity_size(meta, CLM_Q_SUPPORT_LOSS, 0), TASKS * STEPS);
    CLM_TEST_OK(clm_meta_read(meta, CLM_Q_SUPPORT_LOSS, 0, loss));
    for (int t = 0; t < TASKS; t++)
        for (int k = 1; k < STEPS; k++)
            ck_assert_msg((loss[t * STEPS + k] == loss[t * STEPS]) == same, "%s, task %d, step %d", algorithm, t, k);
    clm_meta_free(meta);
}

START_TEST(every_algorithm_drops) {
    static const char *const on_opencl[] = {"imaml", "protonet", "protomaml"};
    const char *algorithm = clm_algorithm_name((size_t)_i);
    if (strcmp(algorithm, "cavia") == 0) return; /* needs a context */
    clm_device *host = clm_test_open_host();
    clm_model *model = parse(LAYERS("0.4", "0.4")), *plain = parse(LAYERS("0", "0"));
    const clm_meta_options options = options_of(algorithm, 0.1);
    clm_test_batch batch = clm_test_batch_make(model, &options, 1);
    clm_meta *meta = clm_test_meta(host, model, &options, 3), *without = clm_test_meta(host, plain, &options, 3);
    outcome a = outcome_of(meta, model, &batch), b = outcome_of(without, plain, &batch);
    ck_assert_double_gt(clm_test_difference(a.gradient.data, b.gradient.data, b.gradient.n), 1e-2);
    for (size_t k = 0; k < sizeof on_opencl / sizeof *on_opencl; k++)
        if (strcmp(algorithm, on_opencl[k]) == 0) check_on_opencl(model, &options, &batch, &a);
    if (clm_algorithm_uses(algorithm, "steps") && strcmp(algorithm, "finetune") != 0)
        check_steps(host, model, algorithm, &batch);
    clm_meta_free(meta);
    clm_meta_free(without);
    outcome_free(&a);
    outcome_free(&b);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_model_free(plain);
    clm_device_close(host);
}
END_TEST

/* ---- where nothing is dropped ---- */

static void hand_over(clm_learner *learner, clm_meta *meta, const clm_model *model) {
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        double *data = calloc(clm_shape_size(&clm_model_param(model, i)->shape), sizeof *data);
        CLM_TEST_OK(clm_meta_get_param(meta, i, data));
        CLM_TEST_OK(clm_learner_set_param(learner, i, data));
        free(data);
    }
}

/* A learner with dropout adapts and predicts as one whose rates are 0, to the bit; and with rates of 0 a meta-gradient is that of a
 * model without such layers. */
START_TEST(off_at_test) {
    enum { STEPS = 2, MOST = 256 };
    static const char *const json[] = {
        LAYERS("0.4", "0.4"), LAYERS("0", "0"),
        "{\"in_shape\": [4], \"layers\": [{\"op\": \"linear\", \"out\": 12}, {\"op\": \"tanh\"}, {\"op\": \"residual\", "
        "\"body\": "
        "[{\"op\": \"linear\", \"out\": 12}, {\"op\": \"tanh\"}]}, {\"op\": \"linear\", \"out\": 3}]}"};
    clm_device *device = clm_test_open_host();
    clm_meta_options options = options_of("maml", 0.1);
    double out[3][MOST], loss[3][8];
    outcome trained[3];
    for (int k = 0; k < 3; k++) {
        clm_model *model = parse(json[k]);
        ck_assert_int_eq(clm_model_has_dropout(model), k == 0);
        clm_test_batch batch = clm_test_batch_make(model, &options, 1);
        clm_learner_options lo = CLM_LEARNER_OPTIONS_INIT;
        clm_learner *learner = NULL;
        clm_meta *meta = clm_meta_create(&meta, device, model, &options) == CLM_OK ? meta : NULL;
        ck_assert_ptr_nonnull(meta);
        double values[MOST];
        clm_random r = clm_random_make(5, 1);
        for (int i = 0; i < MOST; i++) values[i] = 0.5 * clm_random_normal(&r);
        ck_assert_uint_le(clm_model_param_elements(model), MOST);
        clm_test_set_values(meta, model, values); /* names differ, and what is drawn by them */
        lo.tasks = options.tasks;
        lo.task = options.task;
        CLM_TEST_OK(clm_learner_create(&learner, device, model, &lo));
        hand_over(learner, meta, model);
        CLM_TEST_OK(clm_learner_begin(learner, batch.data[0], batch.data[1]));
        for (int s = 0; s < STEPS; s++) CLM_TEST_OK(clm_learner_step(learner, loss[k]));
        CLM_TEST_OK(clm_learner_predict(learner, batch.data[2], (size_t)options.task.query, out[k]));
        trained[k] = outcome_of(meta, model, &batch);
        clm_learner_free(learner);
        clm_meta_free(meta);
        clm_test_batch_free(&batch);
        clm_model_free(model);
    }
    const size_t n = (size_t)options.tasks * (size_t)options.task.query * 3;
    for (int k = 1; k < 3; k++) {
        ck_assert_mem_eq(out[0], out[k], n * sizeof(double));
        ck_assert_mem_eq(loss[0], loss[k], (size_t)options.tasks * sizeof(double));
    }
    clm_test_expect_same(&trained[1].gradient, &trained[2].gradient, "rates of 0");
    ck_assert_double_gt(clm_test_difference(trained[0].gradient.data, trained[2].gradient.data, trained[2].gradient.n), 1e-2);
    for (int k = 0; k < 3; k++) outcome_free(&trained[k]);
    clm_device_close(device);
}
END_TEST

/* Plans that were measured are told apart by the rates, and by nothing else of dropout. */
START_TEST(plans_see_the_rates) {
    clm_device *host = clm_test_open_host();
    char key[4][512];
    for (int k = 0; k < 4; k++) {
        clm_model *model = parse(k < 2 ? LAYERS("0.4", "0.4") : k == 2 ? LAYERS("0.3", "0.4") : LAYERS("0.4", "0"));
        clm_meta_options options = options_of("maml", 0.1);
        clm_meta *meta = clm_test_meta(host, model, &options, 3);
        clm_meta_set_dropout_seed(meta, (uint64_t)k);
        ck_assert_ptr_nonnull(clm_plan_key(meta->shares[0], 0, key[k], sizeof key[k]));
        clm_meta_free(meta);
        clm_model_free(model);
    }
    ck_assert_str_eq(key[0], key[1]);
    ck_assert_str_ne(key[0], key[2]);
    ck_assert_str_ne(key[0], key[3]);
    clm_device_close(host);
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("dropout");
    const struct {
        const char *name; /* a case each, so that CK_RUN_CASE can choose */
        const TTest *test;
        int count;
    } cases[] = {{"philox", masks_are_philox, CLM_TEST_DEVICES},
                 {"random", masks_are_random, 3},
                 {"refused", bad_masks_are_refused, 1},
                 {"plans", plans_change_nothing, CLM_TEST_DEVICES},
                 {"devices", devices_change_nothing, 3},
                 {"resumed", resumed_to_the_bit, CLM_TEST_DEVICES},
                 {"algorithms", every_algorithm_drops, (int)clm_algorithm_count()},
                 {"off", off_at_test, 1},
                 {"rates", plans_see_the_rates, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        TCase *tcase = tcase_create(cases[i].name);
        tcase_set_timeout(tcase, 300);
        tcase_add_loop_test(tcase, cases[i].test, 0, cases[i].count);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
