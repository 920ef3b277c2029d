/* Plans that were measured: found for every kind of model, kept, used by what comes later, and never in the way of what the options say,
 * of the limit on memory, or of a damaged file. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/files.h"
#include "device/opencl/opencl.h"
#include "meta/plan/plan.h"
#include "support/launch.h"
#include "support/meta_setup.h"
#include "support/numbers.h"

enum { TASKS = 4, STEPS = 2 };

/* Networks as single launches: compiling a task kernel for every plan takes long. */
static void setup(void) {
    clm_test_enter_cache();
    setenv("CLMAML_CHAIN", "never", 1);
    setenv("CLMAML_CPU_PARTS", "1", 1);
}

static clm_meta_options options_for(clm_test_net net, int tasks) {
    return clm_test_options(net, &clm_test_algorithms[0], tasks, STEPS);
}

/* What was reported. */
typedef struct seen {
    int plans, operations, tried, failed, known;
    double standard, best;
} seen;

static void see(void *user, const clm_tune_line *line) {
    seen *s = user;
    s->plans += line->plan;
    s->operations += !line->plan;
    if (!line->plan) return;
    s->tried += line->tried;
    s->failed += line->failed;
    s->known += line->known;
    s->standard = line->default_seconds;
    s->best = line->best_seconds;
}

static clm_tune_options tuning(seen *s) {
    clm_tune_options o = CLM_TUNE_OPTIONS_INIT;
    *s = (seen){0};
    o.what = CLM_TUNE_PLANS;
    o.progress = see;
    o.user = s;
    return o;
}

static clm_meta_plan plan_of(clm_device *device, const clm_model *model, const clm_meta_options *o) {
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, o));
    const clm_meta_plan plan = clm_meta_get_plan(meta);
    clm_meta_free(meta);
    return plan;
}

static void expect(clm_meta_plan p, clm_checkpointing how, int chunk, clm_plan_reason reason) {
    ck_assert_msg(p.checkpointing == how && p.task_chunk == chunk && p.reason == reason, "%s, %d tasks at a time, %s",
                  clm_checkpointing_name(p.checkpointing), p.task_chunk, clm_plan_reason_text(p.reason));
}

/* Puts a choice into the store, as if it had been measured for these options. */
static void store(clm_device *device, const clm_model *model, const clm_meta_options *o, clm_checkpointing how, int chunk) {
    const clm_tune_entry entry = {.seconds = 1, .default_seconds = 2, .tried = 5};
    clm_meta *meta = NULL;
    CLM_TEST_OK(clm_meta_create(&meta, device, model, o));
    CLM_TEST_OK(clm_plan_keep(meta->shares[0], (clm_plan_choice){how, chunk}, (clm_plan_choice){CLM_CHECKPOINT_STORE, o->tasks},
                              entry, true));
    clm_meta_free(meta);
}

/* ---- the measurement ---- */

/* Every network, of both orders: something is measured, kept, known the next time, and the gradient stays what it was. */
START_TEST(plans_are_measured) {
    static const clm_test_net nets[] = {CLM_TEST_NET_REGRESSION, CLM_TEST_NET_CLASSES, CLM_TEST_NET_CONV, CLM_TEST_NET_COLOUR};
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(nets[_i % 4]);
    clm_meta_options o = options_for(nets[_i % 4], TASKS);
    clm_test_batch batch = clm_test_batch_make(model, &o, 1);
    clm_test_vector gradient[2];
    seen s;
    o.task.first_order = _i >= 4;
    for (int tuned = 0; tuned < 2; tuned++) {
        clm_meta *meta = clm_test_meta(device, model, &o, 3);
        CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
        gradient[tuned] = clm_test_gradient(meta, model);
        ck_assert_int_eq(clm_meta_get_plan(meta).reason == CLM_PLAN_MEASURED, tuned);
        clm_meta_free(meta);
        if (tuned) break;
        for (int again = 0; again < 2; again++) {
            const clm_tune_options t = tuning(&s);
            CLM_TEST_OK(clm_meta_create(&meta, device, model, &o));
            CLM_TEST_OK(clm_meta_tune(meta, &t));
            ck_assert_int_eq(clm_meta_get_plan(meta).reason, CLM_PLAN_MEASURED);
            ck_assert_int_eq(s.plans, 1);
            ck_assert_int_eq(s.operations, 0);
            ck_assert_int_eq(s.known, again);
            ck_assert(again ? s.tried == 0 : s.tried >= 3);
            ck_assert_int_eq(s.failed, 0);
            ck_assert(s.best > 0 && s.standard >= s.best);
            ck_assert_uint_eq(clm_device_allocated(device), 0); /* what the trials took is given back */
            CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch)); /* and it works as ever */
            clm_meta_free(meta);
        }
        clm_device_close(device); /* by the file from now on */
        device = clm_test_open_opencl();
    }
    clm_test_expect_close(&gradient[0], &gradient[1], clm_test_rounding(1), "by the measured plan");
    for (int i = 0; i < 2; i++) clm_test_vector_free(&gradient[i]);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* What the options fix is not varied; where they fix everything, nothing is measured. */
START_TEST(only_what_is_open_is_measured) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    for (int fixed = 1; fixed < 4; fixed++) {
        clm_meta_options o = options_for(CLM_TEST_NET_CLASSES, TASKS);
        clm_meta *meta = NULL;
        seen s;
        const clm_tune_options t = tuning(&s);
        if (fixed & 1) o.checkpointing = CLM_CHECKPOINT_RECOMPUTE;
        if (fixed & 2) o.task_chunk = 2;
        CLM_TEST_OK(clm_meta_create(&meta, device, model, &o));
        CLM_TEST_OK(clm_meta_tune(meta, &t));
        const clm_meta_plan plan = clm_meta_get_plan(meta);
        ck_assert_int_eq(s.plans, fixed < 3);
        if (fixed & 1) ck_assert_int_eq(plan.checkpointing, CLM_CHECKPOINT_RECOMPUTE);
        if (fixed & 2) ck_assert_int_eq(plan.task_chunk, 2);
        ck_assert_int_eq(plan.reason, fixed < 3 ? CLM_PLAN_MEASURED : CLM_PLAN_ASKED);
        clm_meta_free(meta);
    }
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* A limit on memory, and a device that has less than it says: what does not fit is dropped, and one that fits is found. */
START_TEST(what_does_not_fit_is_dropped) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = options_for(CLM_TEST_NET_CONV, TASKS);
    const size_t whole = plan_of(device, model, &o).bytes;
    clm_meta *meta = NULL;
    seen s;
    clm_tune_options t = tuning(&s);
    if (_i == 0) o.memory_limit = whole * 2 / 3;
    if (_i == 1) clm_device_close(device), setenv("CLMAML_EMULATE", "memory_fails=launch", 1), device = clm_test_open_opencl();
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &o));
    if (_i == 1) clm_cl(device)->emulation.real_memory = whole * 2 / 3;
    CLM_TEST_OK(clm_meta_tune(meta, &t));
    const clm_meta_plan plan = clm_meta_get_plan(meta);
    ck_assert_int_ge(s.failed, 1);
    ck_assert_int_gt(s.tried, s.failed);
    ck_assert_int_eq(plan.reason, CLM_PLAN_MEASURED);
    ck_assert_uint_le(plan.bytes, whole * 2 / 3);
    CLM_TEST_OK(clm_meta_prepare(meta));
    clm_meta_free(meta);
    clm_model_free(model);
    clm_device_close(device);
    unsetenv("CLMAML_EMULATE");
}
END_TEST

/* On the way to something else: no time, no measurement, but what a run has begun with stays; asked for, it is measured after all. */
START_TEST(careful_tuning_settles_the_plan) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    const clm_meta_options o = options_for(CLM_TEST_NET_CLASSES, TASKS);
    const clm_meta_plan before = plan_of(device, model, &o);
    for (int round = 0; round < 3; round++) {
        clm_meta *meta = NULL;
        seen s;
        clm_tune_options t = tuning(&s);
        t.careful = round < 2;
        t.budget = round == 0 ? 1e-9 : round == 1 ? 60 : 0;
        CLM_TEST_OK(clm_meta_create(&meta, device, model, &o));
        CLM_TEST_OK(clm_meta_tune(meta, &t));
        ck_assert_int_eq(s.plans, 1);
        ck_assert_int_eq(s.known, round == 1);
        ck_assert(round < 2 ? s.tried == 0 : s.tried > 2);
        if (round < 2) expect(clm_meta_get_plan(meta), before.checkpointing, before.task_chunk, before.reason);
        clm_meta_free(meta);
    }
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Each device has a plan of its own tasks. */
START_TEST(every_device_is_tuned) {
    char spec[32];
    clm_device **devices = NULL, *one = clm_test_open_opencl();
    size_t count = 0;
    snprintf(spec, sizeof spec, "%d:%d/2", one->info.platform_index, one->info.device_index);
    clm_device_close(one);
    CLM_TEST_OK(clm_device_open_all(&devices, &count, spec));
    ck_assert_uint_eq(count, 2);
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    const clm_meta_options o = options_for(CLM_TEST_NET_CLASSES, 6);
    const clm_meta_share shares[2] = {{.device = devices[0], .tasks = 4}, {.device = devices[1], .tasks = 2}};
    clm_test_batch batch = clm_test_batch_make(model, &o, 1);
    clm_meta *meta = NULL;
    seen s;
    const clm_tune_options t = tuning(&s);
    CLM_TEST_OK(clm_meta_create_on(&meta, shares, 2, model, &o));
    CLM_TEST_OK(clm_meta_tune(meta, &t));
    ck_assert_int_eq(s.plans, 2);
    for (size_t i = 0; i < 2; i++) ck_assert_int_eq(clm_meta_get_part(meta, i).plan.reason, CLM_PLAN_MEASURED);
    CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close_all(devices, count);
}
END_TEST

/* Parts of a CPU are measured together, and all take what was found; with tasks that do not come out even, and again in a new process. */
START_TEST(parts_are_tuned_together) {
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    const clm_meta_options o = options_for(CLM_TEST_NET_CLASSES, 7);
    clm_test_vector gradient[3];
    setenv("CLMAML_CPU_PARTS", "2", 1);
    clm_device *device = clm_test_open_opencl();
    clm_test_batch batch = clm_test_batch_make(model, &o, 1);
    for (int round = 0; round < 3; round++) {
        clm_meta *meta = clm_test_meta(device, model, &o, 3);
        seen s;
        const clm_tune_options t = tuning(&s);
        if (round == 1) {
            clm_meta_free(meta);
            CLM_TEST_OK(clm_meta_create(&meta, device, model, &o));
            CLM_TEST_OK(clm_meta_tune(meta, &t));
            ck_assert_int_eq(s.plans, 1);
            ck_assert_int_eq(s.failed, 0);
            ck_assert_int_ge(s.tried, 3);
            clm_test_randomise(meta, model, &o, 3);
        }
        ck_assert_uint_eq(meta->n_shares, 2);
        for (size_t i = 0; i < 2; i++) ck_assert_int_eq(meta->shares[i]->exec.plan.reason == CLM_PLAN_MEASURED, round > 0);
        ck_assert_int_eq(meta->shares[0]->exec.plan.checkpointing, meta->shares[1]->exec.plan.checkpointing);
        CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
        gradient[round] = clm_test_gradient(meta, model);
        clm_meta_free(meta);
        if (round == 1) clm_device_close(device), device = clm_test_open_opencl();
    }
    clm_test_expect_same(&gradient[1], &gradient[2], "the next run");
    clm_test_expect_close(&gradient[0], &gradient[1], clm_test_rounding(1), "by the measured plan");
    for (int i = 0; i < 3; i++) clm_test_vector_free(&gradient[i]);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

START_TEST(nothing_is_kept_on_the_host) {
    clm_device *device = clm_test_open_host();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    const clm_meta_options o = options_for(CLM_TEST_NET_CLASSES, TASKS);
    clm_meta *meta = NULL;
    seen s;
    const clm_tune_options t = tuning(&s);
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &o));
    ck_assert_int_eq(clm_meta_tune(meta, &t), CLM_E_STATE);
    CLM_TEST_SAYS("cannot be kept");
    expect(clm_meta_get_plan(meta), CLM_CHECKPOINT_STORE, TASKS, CLM_PLAN_WHOLE);
    clm_meta_free(meta);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* ---- what is stored ---- */

START_TEST(stored_plans_are_used) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES), *other = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = options_for(CLM_TEST_NET_CLASSES, TASKS), fixed = o;
    store(device, model, &o, CLM_CHECKPOINT_RECOMPUTE, 2);
    clm_device_close(device);
    device = clm_test_open_opencl();
    expect(plan_of(device, model, &o), CLM_CHECKPOINT_RECOMPUTE, 2, CLM_PLAN_MEASURED);
    /* the options win */
    fixed.checkpointing = CLM_CHECKPOINT_STORE;
    expect(plan_of(device, model, &fixed), CLM_CHECKPOINT_STORE, TASKS, CLM_PLAN_ASKED);
    fixed.task_chunk = 1;
    expect(plan_of(device, model, &fixed), CLM_CHECKPOINT_STORE, 1, CLM_PLAN_ASKED);
    fixed.checkpointing = CLM_CHECKPOINT_AUTO;
    expect(plan_of(device, model, &fixed), CLM_CHECKPOINT_STORE, 1, CLM_PLAN_ASKED);
    /* another algorithm, another number of examples, another model */
    fixed = o;
    fixed.task.first_order = true;
    expect(plan_of(device, model, &fixed), CLM_CHECKPOINT_STORE, TASKS, CLM_PLAN_WHOLE);
    fixed = o;
    fixed.task.query++;
    expect(plan_of(device, model, &fixed), CLM_CHECKPOINT_STORE, TASKS, CLM_PLAN_WHOLE);
    fixed = options_for(CLM_TEST_NET_CONV, TASKS);
    expect(plan_of(device, other, &fixed), CLM_CHECKPOINT_STORE, TASKS, CLM_PLAN_WHOLE);
    clm_model_free(model);
    clm_model_free(other);
    clm_device_close(device);
}
END_TEST

/* A choice also serves other numbers of tasks, as far as it says anything about them. */
START_TEST(stored_plans_serve_other_numbers_of_tasks) {
    static const struct {
        int chunk, tasks, expected; /* measured for 8 tasks; 0: not by what was measured */
    } cases[] = {{2, 8, 2}, {2, 6, 2}, {2, 16, 2}, {4, 6, 3}, {4, 2, 2}, {4, 7, 0}, {8, 4, 4}, {8, 16, 0}};
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clm_meta_options o = options_for(CLM_TEST_NET_CLASSES, 8);
        store(device, model, &o, CLM_CHECKPOINT_RECOMPUTE, cases[i].chunk);
        o.tasks = cases[i].tasks;
        if (cases[i].expected)
            expect(plan_of(device, model, &o), CLM_CHECKPOINT_RECOMPUTE, cases[i].expected, CLM_PLAN_MEASURED);
        else
            expect(plan_of(device, model, &o), CLM_CHECKPOINT_STORE, o.tasks, CLM_PLAN_WHOLE);
    }
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Under a limit that it does not fit, the model decides as if nothing had been measured. */
START_TEST(a_stored_plan_that_does_not_fit) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options o = options_for(CLM_TEST_NET_CLASSES, TASKS), one = o;
    one.task_chunk = 1;
    one.checkpointing = CLM_CHECKPOINT_STORE;
    const size_t least = plan_of(device, model, &one).bytes;
    store(device, model, &o, CLM_CHECKPOINT_STORE, 2);
    o.memory_limit = least;
    expect(plan_of(device, model, &o), CLM_CHECKPOINT_STORE, 1, CLM_PLAN_MEMORY);
    o.memory_limit = 16 * least; /* what was measured without a limit serves where it fits */
    expect(plan_of(device, model, &o), CLM_CHECKPOINT_STORE, 2, CLM_PLAN_MEASURED);
    store(device, model, &o, CLM_CHECKPOINT_RECOMPUTE, 2); /* measured under this one */
    expect(plan_of(device, model, &o), CLM_CHECKPOINT_RECOMPUTE, 2, CLM_PLAN_MEASURED);
    o.memory_limit = 0;
    expect(plan_of(device, model, &o), CLM_CHECKPOINT_STORE, 2, CLM_PLAN_MEASURED);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* The only file of results. */
static void find_file(char *path, size_t size) {
    char folder[80], **names;
    size_t count;
    snprintf(folder, sizeof folder, "%s/tune", clm_test_cache);
    CLM_TEST_OK(clm_directory_list(folder, &names, &count));
    path[0] = 0;
    for (size_t i = 0; i < count; i++)
        if (strstr(names[i], ".json")) snprintf(path, size, "%s/%s", folder, names[i]);
    clm_names_free(names, count);
    ck_assert_int_ne(path[0], 0);
}

/* Files that are cut or hold nonsense, and choices that make none: as if nothing had been measured. */
START_TEST(damaged_plans_are_not_used) {
    static const clm_plan_choice choices[] = {{CLM_CHECKPOINT_STORE, 3}, {CLM_CHECKPOINT_STORE, 0}, {CLM_CHECKPOINT_STORE, -2},
                                              {CLM_CHECKPOINT_STORE, 8}, {CLM_CHECKPOINT_AUTO, 2},  {(clm_checkpointing)7, 2}};
    char path[400], *text = NULL;
    size_t size = 0;
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    const clm_meta_options o = options_for(CLM_TEST_NET_CLASSES, TASKS);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        store(device, model, &o, choices[i].checkpointing, choices[i].chunk);
        expect(plan_of(device, model, &o), CLM_CHECKPOINT_STORE, TASKS, CLM_PLAN_WHOLE);
    }
    store(device, model, &o, CLM_CHECKPOINT_RECOMPUTE, 2);
    find_file(path, sizeof path);
    CLM_TEST_OK(clm_file_read(path, &text, &size));
    for (size_t length = 0; length < size; length += size / 5) {
        CLM_TEST_OK(clm_file_write(path, text, length));
        clm_device_close(device);
        device = clm_test_open_opencl();
        expect(plan_of(device, model, &o), CLM_CHECKPOINT_STORE, TASKS, CLM_PLAN_WHOLE);
    }
    CLM_TEST_OK(clm_file_write(path, text, size));
    clm_device_close(device);
    device = clm_test_open_opencl();
    expect(plan_of(device, model, &o), CLM_CHECKPOINT_RECOMPUTE, 2, CLM_PLAN_MEASURED);
    free(text);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plans");
    const struct {
        const char *name;
        const TTest *test;
        int count;
    } cases[] = {{"measured", plans_are_measured, 8},
                 {"open", only_what_is_open_is_measured, 1},
                 {"memory", what_does_not_fit_is_dropped, 2},
                 {"careful", careful_tuning_settles_the_plan, 1},
                 {"devices", every_device_is_tuned, 1},
                 {"parts", parts_are_tuned_together, 1},
                 {"host", nothing_is_kept_on_the_host, 1},
                 {"used", stored_plans_are_used, 1},
                 {"tasks", stored_plans_serve_other_numbers_of_tasks, 1},
                 {"limit", a_stored_plan_that_does_not_fit, 1},
                 {"damage", damaged_plans_are_not_used, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *tc = tcase_create(cases[i].name);
        tcase_set_timeout(tc, 0); /* ctest has one */
        tcase_add_checked_fixture(tc, setup, clm_test_leave_cache);
        tcase_add_loop_test(tc, cases[i].test, 0, cases[i].count);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
