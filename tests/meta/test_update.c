/* The outer update: against optimisers written out in C, refused when a number is not finite, and resumed from a file. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

/* ---- optimisers in C ---- */

#define USING(rule_name, schedule_name) .version = CLM_OPTIM_OPTIONS_VERSION, .rule = rule_name, .schedule = schedule_name

static const clm_optim_options optimisers[] = {
    {USING("sgd", "constant"), .lr = 0.1},
    {USING("sgd", "constant"), .lr = 0.1, .weight_decay = 0.05, .clip_kind = CLM_CLIP_VALUE, .clip = 0.05},
    {USING("sgd", "cosine"), .lr = 0.1, .clip_kind = CLM_CLIP_NORM, .clip = 0.2, .schedule_updates = 3, .lr_min = 0.01},
    {USING("sgd", "constant"), .lr = 0.1, .clip_kind = CLM_CLIP_NORM, .clip = 1e6},
    {USING("momentum", "constant"), .lr = 0.05, .momentum = 0.9},
    {USING("momentum", "constant"), .lr = 0.05, .momentum = 0.8, .weight_decay = 0.1, .clip_kind = CLM_CLIP_NORM, .clip = 0.1},
    {USING("adam", "constant"), .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
    {USING("adam", "cosine"), .lr = 0.01, .beta1 = 0.5, .beta2 = 0.9, .eps = 1e-3, .weight_decay = 0.1, .schedule_updates = 10},
    {USING("adamw", "constant"), .lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.3},
    {USING("adamw", "cosine"), .lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1,
     .clip_kind = CLM_CLIP_VALUE, .clip = 0.02, .schedule_updates = 4, .lr_min = 0.005},
    {USING("nesterov", "constant"), .lr = 0.05, .momentum = 0.9},
    {USING("nesterov", "cosine"), .lr = 0.05, .momentum = 0.7, .weight_decay = 0.1, .clip_kind = CLM_CLIP_NORM, .clip = 0.1,
     .schedule_updates = 4},
    {USING("rmsprop", "constant"), .lr = 0.01, .decay = 0.99, .eps = 1e-8},
    {USING("rmsprop", "constant"), .lr = 0.01, .decay = 0.5, .eps = 1e-3, .weight_decay = 0.1, .clip_kind = CLM_CLIP_VALUE,
     .clip = 0.05, .warmup = 3},
    {USING("lion", "constant"), .lr = 0.003, .beta1 = 0.9, .beta2 = 0.99},
    {USING("lion", "cosine"), .lr = 0.01, .beta1 = 0.5, .beta2 = 0.8, .weight_decay = 0.3, .clip_kind = CLM_CLIP_NORM,
     .clip = 0.1, .warmup = 2, .schedule_updates = 2, .lr_min = 0.001, .average = 0.9},
    {USING("adam", "step"), .lr = 0.02, .beta1 = 0.7, .beta2 = 0.9, .eps = 1e-6, .weight_decay = 0.02,
     .clip_kind = CLM_CLIP_NORM, .clip = 0.3, .schedule_updates = 2, .factor = 0.5, .average = 0.5},
};
enum { OPTIMISERS = sizeof optimisers / sizeof *optimisers };

static double rate_at(const clm_optim_options *o, int t) {
    const int warmup = (int)o->warmup;
    if (t < warmup) return o->lr * (t + 1) / warmup;
    if (strcmp(o->schedule, "constant") == 0) return o->lr;
    double part = (double)(t - warmup) / (double)o->schedule_updates;
    if (strcmp(o->schedule, "step") == 0) return o->lr * pow(o->factor, floor(part));
    return part >= 1 ? o->lr_min : o->lr_min + (o->lr - o->lr_min) * (1 + cos(acos(-1.0) * part)) / 2;
}

static void clip(const clm_optim_options *o, double *g, size_t n) {
    double norm = clm_test_norm(g, n);
    for (size_t e = 0; e < n; e++) {
        if (o->clip_kind == CLM_CLIP_VALUE) g[e] = fmin(fmax(g[e], -o->clip), o->clip);
        if (o->clip_kind == CLM_CLIP_NORM && norm > o->clip) g[e] *= o->clip / norm;
    }
}

/* Rules for one element: what is subtracted at rate 1. m and v are its state, t counts from 1. */
static double move_sgd(const clm_optim_options *o, double t, double g, double *m, double *v) {
    (void)o, (void)t, (void)m, (void)v;
    return g;
}

static double move_momentum(const clm_optim_options *o, double t, double g, double *m, double *v) {
    (void)t, (void)v;
    return *m = o->momentum * *m + g;
}

static double move_nesterov(const clm_optim_options *o, double t, double g, double *m, double *v) {
    (void)t, (void)v;
    *m = o->momentum * *m + g;
    return g + o->momentum * *m;
}

static double move_adam(const clm_optim_options *o, double t, double g, double *m, double *v) {
    *m = o->beta1 * *m + (1 - o->beta1) * g;
    *v = o->beta2 * *v + (1 - o->beta2) * g * g;
    return *m / (1 - pow(o->beta1, t)) / (sqrt(*v / (1 - pow(o->beta2, t))) + o->eps);
}

static double move_rmsprop(const clm_optim_options *o, double t, double g, double *m, double *v) {
    (void)t, (void)m;
    *v = o->decay * *v + (1 - o->decay) * g * g;
    return g / (sqrt(*v) + o->eps);
}

static double move_lion(const clm_optim_options *o, double t, double g, double *m, double *v) {
    (void)t, (void)v;
    const double u = o->beta1 * *m + (1 - o->beta1) * g;
    *m = o->beta2 * *m + (1 - o->beta2) * g;
    return u > 0 ? 1 : u < 0 ? -1 : 0;
}

static const struct reference {
    const char *rule;
    bool decoupled;
    double (*move)(const clm_optim_options *o, double t, double g, double *m, double *v);
} references[] = {{"sgd", false, move_sgd},   {"momentum", false, move_momentum}, {"nesterov", false, move_nesterov},
                  {"adam", false, move_adam}, {"adamw", true, move_adam},         {"rmsprop", false, move_rmsprop},
                  {"lion", true, move_lion}};
enum { REFERENCES = sizeof references / sizeof *references };

static const struct reference *reference_of(const char *rule) {
    for (size_t i = 0; i < REFERENCES; i++)
        if (strcmp(references[i].rule, rule) == 0) return &references[i];
    ck_abort_msg("no reference for the rule %s", rule);
}

/* Update t of p by the gradient g, which is changed; m and v are the optimiser's state. */
static void update(const clm_optim_options *o, int t, double *p, double *g, double *m, double *v, size_t n) {
    const struct reference *r = reference_of(o->rule);
    const double lr = rate_at(o, t);
    clip(o, g, n);
    for (size_t e = 0; e < n; e++) {
        const double decay = o->weight_decay * p[e];
        const double move = r->move(o, t + 1, r->decoupled ? g[e] : g[e] + decay, &m[e], &v[e]);
        p[e] -= lr * (r->decoupled ? move + decay : move);
    }
}

/* Every rule is compared, also with weight decay and clipping. */
START_TEST(every_rule_is_compared) {
    for (size_t i = 0; i < clm_optim_rule_count(); i++) {
        int compared = 0, decayed = 0, clipped = 0;
        (void)reference_of(clm_optim_rule_name(i));
        for (size_t row = 0; row < OPTIMISERS; row++) {
            if (strcmp(optimisers[row].rule, clm_optim_rule_name(i)) != 0) continue;
            compared++;
            decayed += optimisers[row].weight_decay > 0;
            clipped += optimisers[row].clip_kind != CLM_CLIP_NONE;
        }
        ck_assert_msg(compared > 1 && decayed && clipped, "%s", clm_optim_rule_name(i));
    }
}
END_TEST

START_TEST(optimiser_is_as_written_out) {
    int row = _i % OPTIMISERS, device_index = _i / OPTIMISERS;
    clm_device *device = clm_test_open(device_index);
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_REGRESSION, &clm_test_algorithms[4], 2, 1);
    const clm_optim_options *o = &optimisers[row];
    options.optim = *o;
    clm_meta *meta = clm_test_meta(device, model, &options, 1);
    clm_test_vector p = clm_test_values(meta, model);
    double *m = calloc(p.n, sizeof *m), *v = calloc(p.n, sizeof *v);
    for (int t = 0; t < 5; t++) {
        clm_test_batch batch = clm_test_batch_make(model, &options, (uint64_t)t);
        clm_meta_report report;
        ck_assert_uint_eq(clm_meta_iteration(meta), (uint64_t)t);
        CLM_TEST_OK(clm_meta_step(meta, &batch.batch, &report));
        clm_test_vector g = clm_test_gradient(meta, model), now = clm_test_values(meta, model);
        double norm = clm_test_norm(g.data, g.n);
        ck_assert_double_le(fabs(report.grad_norm - norm), (device_index ? 1e-5 : 1e-12) * norm);
        ck_assert_double_le(fabs(report.lr - rate_at(o, t)), 1e-15);
        ck_assert_double_le(fabs(report.query_loss - clm_test_meta_loss(meta)), 1e-12 * report.query_loss);
        update(o, t, p.data, g.data, m, v, p.n);
        clm_test_expect_close(&now, &p, device_index ? 1e-5 : 1e-13, "parameters and rates after an update");
        clm_test_vector_free(&g);
        clm_test_vector_free(&now);
        clm_test_batch_free(&batch);
    }
    free(m);
    free(v);
    clm_test_vector_free(&p);
    clm_meta_free(meta);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

START_TEST(settings_that_make_no_sense) {
    static const struct {
        clm_optim_options optim;
        const char *says;
    } rows[] = {
        {{USING("sgd", "constant"), .lr = -1}, "rate"},
        {{USING("sgd", "constant"), .lr = NAN}, "rate"},
        {{USING("sgd", "constant"), .lr = INFINITY}, "rate"},
        {{.version = 17, .rule = "sgd", .schedule = "constant"}, "17"},
        {{USING("seventeen", "constant"), .lr = 1}, "'seventeen' is not known; there are sgd, momentum, nesterov, adam, adamw"},
        {{USING(NULL, "constant"), .lr = 1}, "there are sgd"},
        {{USING("sgd", "sine"), .lr = 1}, "'sine' is not known; there are constant, cosine, step, exponential"},
        {{USING("sgd", NULL), .lr = 1}, "there are constant"},
        {{USING("sgd", "cosine"), .lr = 1}, "schedule_updates"},
        {{USING("sgd", "constant"), .lr = 1, .momentum = 0.5}, "momentum: the outer rule sgd"},
        {{USING("momentum", "constant"), .lr = 1, .beta1 = 0.5}, "beta1"},
        {{USING("adam", "constant"), .lr = 1, .beta1 = 0.5, .beta2 = 0.5, .decay = 0.5}, "decay"},
        {{USING("lion", "constant"), .lr = 1, .beta1 = 0.5, .beta2 = 0.5, .eps = 0.5}, "eps"},
        {{USING("sgd", "constant"), .lr = 1, .lr_min = 0.5}, "lr_min: the outer rule sgd with schedule constant"},
        {{USING("sgd", "cosine"), .lr = 1, .factor = 0.5, .schedule_updates = 1}, "factor"},
        {{USING("sgd", "constant"), .lr = 1, .schedule_updates = 3}, "schedule_updates"},
        {{USING("sgd", "constant"), .lr = 1, .clip = 3}, "clip_kind"},
        {{USING("sgd", "step"), .lr = 1, .factor = 0.5}, "schedule_updates"},
        {{USING("sgd", "step"), .lr = 1, .factor = -0.5, .schedule_updates = 1}, "factor"},
        {{USING("sgd", "cosine"), .lr = 1, .lr_min = -0.5, .schedule_updates = 1}, "lr_min"},
        {{USING("sgd", "constant"), .lr = 1, .clip_kind = CLM_CLIP_NORM}, "clip"},
        {{USING("sgd", "constant"), .lr = 1, .clip_kind = (clm_clip)9, .clip = 1}, "clip"},
        {{USING("sgd", "constant"), .lr = 1, .weight_decay = NAN}, "weight_decay"},
        {{USING("sgd", "constant"), .lr = 1, .average = 1}, "average"},
        {{USING("adam", "constant"), .lr = 1, .beta1 = 1}, "beta"},
        {{USING("lion", "constant"), .lr = 1, .beta2 = -1}, "beta2"},
        {{USING("nesterov", "constant"), .lr = 1, .momentum = -1}, "momentum"},
        {{USING("rmsprop", "constant"), .lr = 1, .decay = 1}, "decay"},
    };
    clm_device *device = clm_test_open_host();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, NULL, 2, 1);
        clm_meta *meta = NULL;
        options.optim = rows[r].optim;
        ck_assert_int_eq(clm_meta_create(&meta, device, model, &options), CLM_E_ARG);
        ck_assert_ptr_null(meta);
        ck_assert_msg(strstr(clm_last_error(), rows[r].says) != NULL, "%s", clm_last_error());
    }
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- numbers that are not finite ---- */

/* Bad numbers in a batch: refused, with everything as it was, so that the run goes on as if the batch had not been. */
START_TEST(bad_numbers_change_nothing) {
    static const struct {
        clm_test_net net;
        int array;
        float value;
        clm_status status;
    } rows[] = {
        {CLM_TEST_NET_REGRESSION, 0, NAN, CLM_E_NUMERIC}, {CLM_TEST_NET_REGRESSION, 1, NAN, CLM_E_NUMERIC},
        {CLM_TEST_NET_REGRESSION, 2, NAN, CLM_E_NUMERIC}, {CLM_TEST_NET_REGRESSION, 3, INFINITY, CLM_E_NUMERIC},
        {CLM_TEST_NET_CLASSES, 0, NAN, CLM_E_NUMERIC},    {CLM_TEST_NET_CLASSES, 2, NAN, CLM_E_NUMERIC},
        {CLM_TEST_NET_CLASSES, 1, 3, CLM_E_ARG},          {CLM_TEST_NET_CLASSES, 3, -1, CLM_E_ARG},
        {CLM_TEST_NET_CLASSES, 3, NAN, CLM_E_ARG},        {CLM_TEST_NET_CLASSES, 1, 0.5f, CLM_E_ARG},
    };
    clm_device *device = clm_test_open(_i / 2);
    clm_test_net net = _i % 2 ? CLM_TEST_NET_CLASSES : CLM_TEST_NET_REGRESSION;
    clm_model *model = clm_test_model(net);
    clm_meta_options options = clm_test_options(net, &clm_test_algorithms[4], 2, 2);
    clm_test_batch good = clm_test_batch_make(model, &options, 2);
    clm_meta *meta = clm_test_meta(device, model, &options, 3), *other = clm_test_meta(device, model, &options, 3);
    CLM_TEST_OK(clm_meta_step(meta, &good.batch, NULL));
    CLM_TEST_OK(clm_meta_step(other, &good.batch, NULL));
    clm_test_vector before = clm_test_values(meta, model);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        if (rows[r].net != net) continue;
        clm_test_batch bad = clm_test_batch_make(model, &options, 4);
        bad.data[rows[r].array][bad.count[rows[r].array] - 1] = rows[r].value;
        ck_assert_msg(clm_meta_step(meta, &bad.batch, NULL) == rows[r].status, "row %zu", r);
        clm_test_vector after = clm_test_values(meta, model);
        clm_test_expect_same(&before, &after, "after a batch that was refused");
        ck_assert_uint_eq(clm_meta_iteration(meta), 1);
        clm_test_vector_free(&after);
        clm_test_batch_free(&bad);
    }
    CLM_TEST_OK(clm_meta_step(meta, &good.batch, NULL));
    CLM_TEST_OK(clm_meta_step(other, &good.batch, NULL));
    clm_test_vector a = clm_test_values(meta, model), b = clm_test_values(other, model);
    clm_test_expect_same(&a, &b, "two runs, one of which met bad batches");
    clm_test_vector_free(&before);
    clm_test_vector_free(&a);
    clm_test_vector_free(&b);
    clm_meta_free(meta);
    clm_meta_free(other);
    clm_test_batch_free(&good);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* A meta-step of all tasks at once asks for little: the batch, the scalars, what is read, and one wait for all of it. The gradient is not
 * cleared first, and the update is made where the parameters are. */
START_TEST(a_step_waits_once) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_REGRESSION, NULL, 2, 3);
    options.checkpointing = CLM_CHECKPOINT_STORE;
    options.task_chunk = _i ? 1 : options.tasks;
    options.optim.rule = "adam";
    clm_test_batch batch = clm_test_batch_make(model, &options, 5);
    clm_meta *meta = clm_test_meta(device, model, &options, 1);
    const clm_meta_plan plan = clm_meta_get_plan(meta);
    const size_t chunks = (size_t)(options.tasks / plan.task_chunk);
    clm_test_count(device);
    for (size_t k = 1; k <= 3; k++) {
        CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
        ck_assert_uint_eq(clm_test_counted.waits, k);
        /* For each chunk the batch and the results, beyond one the cleared gradient; scalars and norm. */
        ck_assert_uint_eq(clm_test_counted.transfers, k * (2 * chunks + (chunks > 1) + 2));
        ck_assert_uint_ge(clm_test_counted.launches, k * (plan.launches + 2)); /* the norm, the update */
        ck_assert_uint_le(clm_test_counted.launches, k * (plan.launches + 4)); /* each in segments */
    }
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Batches are the caller's again when a step returns. */
START_TEST(a_batch_may_change_after_its_step) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CONV, NULL, 4, 1);
    options.task_chunk = 1;
    clm_test_batch batch = clm_test_batch_make(model, &options, 5), once = clm_test_batch_make(model, &options, 5);
    clm_meta *meta = clm_test_meta(device, model, &options, 1), *other = clm_test_meta(device, model, &options, 1);
    CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
    CLM_TEST_OK(clm_meta_step(other, &once.batch, NULL));
    for (int a = 0; a < 4; a++)
        for (size_t e = 0; e < once.count[a]; e++) once.data[a][e] = 77;
    clm_test_vector a = clm_test_values(meta, model), b = clm_test_values(other, model);
    clm_test_expect_same(&a, &b, "parameters after a step");
    clm_test_vector_free(&a);
    clm_test_vector_free(&b);
    clm_meta_free(meta);
    clm_meta_free(other);
    clm_test_batch_free(&batch);
    clm_test_batch_free(&once);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* An inner rate so large that the inner loop leaves the floats. */
START_TEST(divergence_is_reported) {
    clm_device *device = clm_test_open(_i);
    clm_model *model = clm_test_model(CLM_TEST_NET_REGRESSION);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_REGRESSION, NULL, 2, 4);
    options.task.inner_lr = 1e200;
    clm_test_batch batch = clm_test_batch_make(model, &options, 5);
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &options));
    ck_assert_int_eq(clm_meta_step(meta, &batch.batch, NULL), CLM_E_NUMERIC);
    ck_assert_msg(strstr(clm_last_error(), "inner rate") != NULL, "%s", clm_last_error());
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- resumed ---- */

static void steps(clm_meta *meta, const clm_model *model, const clm_meta_options *options, int from, int to) {
    for (int t = from; t < to; t++) {
        clm_test_batch batch = clm_test_batch_make(model, options, 100 + (uint64_t)t);
        CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
        clm_test_batch_free(&batch);
    }
}

static void save_to(clm_meta *meta, const char *path) {
    clm_archive *archive = NULL;
    CLM_TEST_OK(clm_archive_create(&archive));
    CLM_TEST_OK(clm_meta_save(meta, archive));
    CLM_TEST_OK(clm_archive_save(archive, path));
    clm_archive_free(archive);
}

static clm_status restore_from(clm_meta *meta, const char *path) {
    clm_archive *archive = NULL;
    CLM_TEST_OK(clm_archive_load(&archive, path));
    clm_status status = clm_meta_restore(meta, archive);
    clm_archive_free(archive);
    return status;
}

static void temporary_path(char *path, size_t size) { snprintf(path, size, "test_update.%ld.safetensors", (long)getpid()); }

static const struct {
    clm_test_net net;
    int algorithm, optimiser;
} resumed[] = {
    {CLM_TEST_NET_CLASSES, 4, 2},    {CLM_TEST_NET_CLASSES, 4, 5},  {CLM_TEST_NET_CLASSES, 4, 7},
    {CLM_TEST_NET_REGRESSION, 6, 9}, {CLM_TEST_NET_CLASSES, 3, 6},  {CLM_TEST_NET_COLOUR, 4, 6},
    {CLM_TEST_NET_CLASSES, 4, 11},   {CLM_TEST_NET_CLASSES, 4, 13}, {CLM_TEST_NET_CLASSES, 4, 15},
};
enum { RESUMED = sizeof resumed / sizeof *resumed };

START_TEST(resumed_run_gives_the_same_bits) {
    int row = _i % RESUMED;
    char path[64];
    temporary_path(path, sizeof path);
    clm_device *device = clm_test_open(_i / RESUMED);
    clm_model *model = clm_test_model(resumed[row].net);
    clm_meta_options options = clm_test_options(resumed[row].net, &clm_test_algorithms[resumed[row].algorithm], 2, 2);
    options.optim = optimisers[resumed[row].optimiser];
    clm_meta *meta = clm_test_meta(device, model, &options, 6), *again = NULL;
    steps(meta, model, &options, 0, 3);
    save_to(meta, path);
    steps(meta, model, &options, 3, 6);
    CLM_TEST_OK(clm_meta_create(&again, device, model, &options));
    CLM_TEST_OK(restore_from(again, path));
    ck_assert_uint_eq(clm_meta_iteration(again), 3);
    steps(again, model, &options, 3, 6);
    clm_test_vector a = clm_test_values(meta, model), b = clm_test_values(again, model);
    clm_test_expect_same(&a, &b, "unbroken and resumed");
    ck_assert_uint_eq(clm_meta_iteration(again), 6);
    clm_test_vector_free(&a);
    clm_test_vector_free(&b);
    clm_meta_free(meta);
    clm_meta_free(again);
    remove(path);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* An archive that does not fit is refused before anything is changed. */
START_TEST(archive_that_does_not_fit) {
    static const struct {
        clm_test_net net;
        int algorithm;
        const char *rule;
    } rows[] = {
        {CLM_TEST_NET_REGRESSION, 4, "adam"},  /* another model */
        {CLM_TEST_NET_CLASSES, 0, "adam"},     /* no rates */
        {CLM_TEST_NET_CLASSES, 3, "adam"},     /* rates of another kind */
        {CLM_TEST_NET_CLASSES, 4, "momentum"}, /* less state */
        {CLM_TEST_NET_CLASSES, 4, "sgd"},
    };
    char path[64];
    temporary_path(path, sizeof path);
    clm_device *device = clm_test_open_host();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES), *other_model = clm_test_model(rows[_i].net);
    clm_meta_options options = clm_test_options(CLM_TEST_NET_CLASSES, &clm_test_algorithms[4], 2, 1);
    clm_meta_options other_options = clm_test_options(rows[_i].net, &clm_test_algorithms[rows[_i].algorithm], 2, 1);
    options.optim.rule = "adam";
    other_options.optim.rule = rows[_i].rule;
    clm_meta *meta = clm_test_meta(device, model, &options, 7), *other = clm_test_meta(device, other_model, &other_options, 8);
    steps(meta, model, &options, 0, 1);
    steps(other, other_model, &other_options, 0, 2);
    save_to(other, path);
    clm_test_vector before = clm_test_values(meta, model);
    clm_status status = restore_from(meta, path);
    ck_assert_msg(status == CLM_E_SHAPE || status == CLM_E_FORMAT || status == CLM_E_ARG, "%s: %s", clm_status_name(status),
                  clm_last_error());
    clm_test_vector after = clm_test_values(meta, model);
    clm_test_expect_same(&before, &after, "after an archive that was refused");
    ck_assert_uint_eq(clm_meta_iteration(meta), 1);
    clm_test_vector_free(&before);
    clm_test_vector_free(&after);
    clm_meta_free(meta);
    clm_meta_free(other);
    remove(path);
    clm_model_free(model);
    clm_model_free(other_model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("update");
    TCase *tcase = tcase_create("update");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, optimiser_is_as_written_out, 0, OPTIMISERS * CLM_TEST_DEVICES);
    tcase_add_test(tcase, every_rule_is_compared);
    tcase_add_test(tcase, settings_that_make_no_sense);
    tcase_add_loop_test(tcase, bad_numbers_change_nothing, 0, 2 * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, a_step_waits_once, 0, 2);
    tcase_add_loop_test(tcase, a_batch_may_change_after_its_step, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, divergence_is_reported, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, resumed_run_gives_the_same_bits, 0, RESUMED * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, archive_that_does_not_fit, 0, 5);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
