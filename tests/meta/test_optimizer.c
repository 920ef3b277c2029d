/* The outer optimiser by itself, on vectors that are views: its state outlives programs, is put back to the bit, and goes to archives and
 * back. Its rules are compared in test_update.c. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/backend.h"
#include "meta/optimizer/optimizer.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

enum { N = 37, GAP = 3, TASKS = 2, RULES = 7 };

/* ---- an optimiser on two views of one tensor ---- */

typedef struct rig {
    clm_tensor *whole, *params, *grad;
    clm_workspace *workspace;
    clm_optimizer o;
} rig;

static clm_optim_options options_of(int rule, double average) {
    clm_optim_options o = CLM_OPTIM_OPTIONS_INIT;
    o.rule = clm_optim_rule_name((size_t)rule);
    o.lr = 0.05;
    o.weight_decay = 0.1;
    o.clip_kind = CLM_CLIP_NORM;
    o.clip = 2;
    o.warmup = 2;
    o.schedule = "exponential";
    o.schedule_updates = 3;
    o.average = average;
    return o;
}

static void plan(rig *r, clm_device *device) {
    clm_optimizer_unplan(&r->o);
    clm_workspace_free(r->workspace);
    CLM_TEST_OK(clm_workspace_create(&r->workspace, device));
    CLM_TEST_OK(clm_optimizer_plan(&r->o, r->workspace));
    CLM_TEST_OK(clm_optimizer_prepare(&r->o));
}

static rig open_rig(clm_device *device, const clm_optim_options *options) {
    rig r = {0};
    double p[N];
    const clm_shape shape = clm_shape_of(1, N);
    CLM_TEST_OK(clm_tensor_create(&r.whole, device, clm_shape_of(1, 2 * N + GAP), 0));
    CLM_TEST_OK(clm_tensor_view(&r.params, r.whole, GAP, shape, 0));
    CLM_TEST_OK(clm_tensor_view(&r.grad, r.whole, GAP + N, shape, 0));
    for (int e = 0; e < N; e++) p[e] = cos(e + 1);
    CLM_TEST_OK(clm_tensor_write_f64(r.params, p, N));
    CLM_TEST_OK(clm_optimizer_init(&r.o, device, r.params, r.grad, options));
    plan(&r, device);
    return r;
}

static void close_rig(rig *r) {
    clm_optimizer_free(&r->o);
    clm_workspace_free(r->workspace);
    clm_tensor_free(r->params);
    clm_tensor_free(r->grad);
    clm_tensor_free(r->whole);
}

static void run(rig *r, int which) {
    double g[N];
    for (int e = 0; e < N; e++) g[e] = sin(1.7 * e + 3 * which) * (1 + which);
    CLM_TEST_OK(clm_tensor_write_f64(r->grad, g, N));
    CLM_TEST_OK(clm_optimizer_run(&r->o, TASKS));
}

static void update(rig *r, int from, int to) {
    for (int i = from; i < to; i++) {
        run(r, i);
        clm_optimizer_accept(&r->o);
    }
}

/* All state, absent parts as zeros. */
typedef struct snapshot {
    double of[CLM_STATES][N], t, averaged;
} snapshot;

static snapshot take(const rig *r) {
    snapshot s = {.t = (double)r->o.t, .averaged = r->o.averaged};
    for (int i = 0; i < CLM_STATES; i++)
        if (r->o.state[i]) CLM_TEST_OK(clm_tensor_read_f64(r->o.state[i], s.of[i], N));
    return s;
}

static void expect_same(const snapshot *a, const snapshot *b) { ck_assert_mem_eq(a, b, sizeof *a); }

/* ---- state ---- */

START_TEST(memory_is_as_said) {
    clm_device *device = clm_test_open(_i);
    const size_t element = device->backend->element_size;
    for (int rule = 0; rule < RULES; rule++) {
        size_t bytes[2];
        for (int averaged = 0; averaged < 2; averaged++) {
            const clm_optim_options options = options_of(rule, averaged ? 0.5 : 0);
            rig r = open_rig(device, &options);
            bytes[averaged] = clm_optimizer_bytes(&r.o);
            const size_t beside = clm_tensor_bytes(r.whole) + clm_workspace_bytes(r.workspace);
            ck_assert_uint_eq(clm_device_allocated(device), beside + bytes[averaged]);
            update(&r, 0, 2);
            ck_assert_uint_eq(clm_device_allocated(device), beside + bytes[averaged]);
            close_rig(&r);
            ck_assert_uint_eq(clm_device_allocated(device), 0);
        }
        /* the average, what it was, a scalar; the reference has nothing fused, and writes it beside the old one first */
        ck_assert_uint_eq(bytes[1] - bytes[0], ((_i ? 2 : 3) * N + 1) * element);
    }
    clm_device_close(device);
}
END_TEST

START_TEST(undoing_puts_every_bit_back) {
    clm_device *device = clm_test_open(_i / RULES);
    const clm_optim_options options = options_of(_i % RULES, 0.7);
    rig r = open_rig(device, &options), straight = open_rig(device, &options);
    for (int t = 0; t < 3; t++) {
        const snapshot before = take(&r);
        run(&r, 50 + t);
        const snapshot between = take(&r);
        for (int i = 0; i < CLM_STATES; i++)
            ck_assert_int_eq(memcmp(before.of[i], between.of[i], sizeof before.of[i]) != 0, r.o.state[i] != NULL);
        for (int time = 0; time < 2; time++) { /* the second has nothing to undo */
            CLM_TEST_OK(clm_optimizer_undo(&r.o));
            const snapshot after = take(&r);
            expect_same(&before, &after);
        }
        update(&r, t, t + 1);
        update(&straight, t, t + 1);
    }
    const snapshot a = take(&r), b = take(&straight);
    expect_same(&a, &b);
    close_rig(&r);
    close_rig(&straight);
    clm_device_close(device);
}
END_TEST

START_TEST(planning_anew_leaves_the_state_alone) {
    clm_device *device = clm_test_open(_i / RULES);
    const clm_optim_options options = options_of(_i % RULES, 0.7);
    rig straight = open_rig(device, &options);
    update(&straight, 0, 4);
    const snapshot expected = take(&straight);
    close_rig(&straight);
    rig r = open_rig(device, &options);
    update(&r, 0, 2);
    clm_test_count(device);
    const clm_test_counts before = clm_test_counted;
    plan(&r, device);
    ck_assert_uint_eq(clm_test_counted.transfers, before.transfers);
    update(&r, 2, 4);
    const snapshot after = take(&r);
    expect_same(&expected, &after);
    close_rig(&r);
    clm_device_close(device);
}
END_TEST

START_TEST(the_options_may_go) {
    clm_device *device = clm_test_open_host();
    char rule[16] = "momentum", schedule[16] = "cosine";
    clm_optim_options options = options_of(0, 0);
    options.rule = rule;
    options.schedule = schedule;
    rig r = open_rig(device, &options);
    memset(rule, 'x', sizeof rule - 1);
    memset(schedule, 'x', sizeof schedule - 1);
    plan(&r, device);
    update(&r, 0, 1);
    ck_assert_double_eq(clm_optimizer_rate(&r.o), clm_optim_rate(&r.o.options, 1));
    ck_assert_str_eq(r.o.options.rule, "momentum");
    ck_assert_str_eq(r.o.options.schedule, "cosine");
    close_rig(&r);
    clm_device_close(device);
}
END_TEST

/* ---- the average ---- */

START_TEST(average_is_as_written_out) {
    clm_device *device = clm_test_open(_i / RULES);
    const double d = 0.8, rounding = _i / RULES ? 1e-6 : 1e-14;
    const clm_optim_options options = options_of(_i % RULES, d);
    rig r = open_rig(device, &options);
    double expected[N], average[N], params[N];
    ck_assert_ptr_eq(clm_optimizer_average(&r.o), r.params);
    for (int t = 0; t < 5; t++) {
        update(&r, t, t + 1);
        CLM_TEST_OK(clm_tensor_read_f64(r.params, params, N));
        CLM_TEST_OK(clm_tensor_read_f64(clm_optimizer_average(&r.o), average, N));
        for (int e = 0; e < N; e++) expected[e] = t ? d * expected[e] + (1 - d) * params[e] : params[e];
        if (t == 0) ck_assert_mem_eq(average, params, sizeof params);
        ck_assert_double_le(clm_test_difference(average, expected, N), rounding);
    }
    close_rig(&r);
    clm_device_close(device);
}
END_TEST

START_TEST(without_an_average) {
    clm_device *device = clm_test_open_host();
    const clm_optim_options options = options_of(3, 0);
    rig r = open_rig(device, &options);
    update(&r, 0, 1);
    ck_assert_ptr_null(clm_optimizer_average(&r.o));
    close_rig(&r);
    clm_device_close(device);
}
END_TEST

/* ---- archives ---- */

static void move_params(rig *to, const rig *from) {
    double p[N];
    CLM_TEST_OK(clm_tensor_read_f64(from->params, p, N));
    CLM_TEST_OK(clm_tensor_write_f64(to->params, p, N));
}

START_TEST(saved_and_restored_to_the_bit) {
    clm_device *device = clm_test_open(_i / RULES);
    const clm_dtype dtype = _i / RULES ? CLM_F32 : CLM_F64;
    for (int updates = 0; updates < 4; updates += 3) {
        const clm_optim_options options = options_of(_i % RULES, 0.7);
        rig r = open_rig(device, &options), again = open_rig(device, &options);
        clm_archive *archive = NULL;
        CLM_TEST_OK(clm_archive_create(&archive));
        update(&r, 0, updates);
        CLM_TEST_OK(clm_optimizer_save(&r.o, archive, dtype));
        ck_assert_int_eq(clm_archive_shape(archive, "optim.average") != NULL, updates > 0);
        update(&again, 7, 9); /* other state, which goes */
        move_params(&again, &r);
        const snapshot before = take(&again), saved = take(&r);
        CLM_TEST_OK(clm_optimizer_restore(&again.o, archive, false));
        const snapshot looked = take(&again);
        expect_same(&before, &looked);
        CLM_TEST_OK(clm_optimizer_restore(&again.o, archive, true));
        const snapshot restored = take(&again);
        expect_same(&saved, &restored);
        update(&r, updates, updates + 2);
        update(&again, updates, updates + 2);
        const snapshot a = take(&r), b = take(&again);
        expect_same(&a, &b);
        clm_archive_free(archive);
        close_rig(&r);
        close_rig(&again);
    }
    clm_device_close(device);
}
END_TEST

/* The names of the first archives, which had no average: it starts anew, also where there was one. */
START_TEST(first_archives_are_read) {
    clm_device *device = clm_test_open(_i);
    const clm_optim_options options = options_of(3, 0.7);
    const clm_shape shape = clm_shape_of(1, N), scalar = {0};
    const double updates = 11;
    double first[N], second[N], params[N], average[N];
    clm_archive *archive = NULL;
    for (int e = 0; e < N; e++) {
        first[e] = e - 4.5;
        second[e] = 0.25 * e;
    }
    CLM_TEST_OK(clm_archive_create(&archive));
    CLM_TEST_OK(clm_archive_add(archive, "optim.first", CLM_F32, &shape, first));
    CLM_TEST_OK(clm_archive_add(archive, "optim.second", CLM_F32, &shape, second));
    CLM_TEST_OK(clm_archive_set_meta(archive, "optim.kind", "adam"));
    CLM_TEST_OK(clm_archive_add(archive, "optim.updates", CLM_I64, &scalar, &updates));
    rig r = open_rig(device, &options);
    update(&r, 0, 2);
    CLM_TEST_OK(clm_optimizer_restore(&r.o, archive, true));
    const snapshot s = take(&r);
    ck_assert_mem_eq(s.of[CLM_STATE_FIRST], first, sizeof first);
    ck_assert_mem_eq(s.of[CLM_STATE_SECOND], second, sizeof second);
    ck_assert_double_eq(s.t, updates);
    ck_assert_ptr_eq(clm_optimizer_average(&r.o), r.params);
    update(&r, 2, 3);
    CLM_TEST_OK(clm_tensor_read_f64(r.params, params, N));
    CLM_TEST_OK(clm_tensor_read_f64(clm_optimizer_average(&r.o), average, N));
    ck_assert_mem_eq(params, average, sizeof params);
    close_rig(&r);
    clm_archive_free(archive);
    clm_device_close(device);
}
END_TEST

/* Refused with nothing changed. */
START_TEST(archives_that_do_not_fit) {
    static const struct {
        const char *kind, *array;
        int elements;
        double updates;
        clm_status status;
    } rows[] = {{"lion", "optim.first", N, 1, CLM_E_ARG},   {"momentum", "optim.first", N + 1, 1, CLM_E_SHAPE},
                {"momentum", "optim.other", N, 1, CLM_OK},  {"momentum", "optim.first", N, -1, CLM_E_FORMAT},
                {"momentum", "optim.first", N, 1, CLM_OK},  {"momentum", "optim.first", N, 0x1p60, CLM_E_FORMAT},
                {"momentum", "optim.average", N, 1, CLM_OK}};
    clm_device *device = clm_test_open_host();
    const clm_optim_options options = options_of(1, 0);
    const double zeros[N + 1] = {0};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        const clm_shape shape = clm_shape_of(1, rows[row].elements), scalar = {0};
        const bool fits = rows[row].status == CLM_OK && strcmp(rows[row].array, "optim.first") == 0;
        clm_archive *archive = NULL;
        CLM_TEST_OK(clm_archive_create(&archive));
        CLM_TEST_OK(clm_archive_add(archive, rows[row].array, CLM_F64, &shape, zeros));
        CLM_TEST_OK(clm_archive_add(archive, "optim.updates", CLM_F64, &scalar, &rows[row].updates));
        CLM_TEST_OK(clm_archive_set_meta(archive, "optim.kind", rows[row].kind));
        rig r = open_rig(device, &options);
        update(&r, 0, 2);
        const snapshot before = take(&r);
        const clm_status status = clm_optimizer_restore(&r.o, archive, false);
        ck_assert_msg((status == CLM_OK) == fits, "row %zu: %s", row, clm_status_name(status));
        if (rows[row].status != CLM_OK) ck_assert_int_eq(status, rows[row].status);
        const snapshot after = take(&r);
        expect_same(&before, &after);
        close_rig(&r);
        clm_archive_free(archive);
    }
    clm_device_close(device);
}
END_TEST

/* ---- the rate ---- */

START_TEST(schedules_at_chosen_points) {
    static const struct {
        const char *schedule;
        uint64_t warmup, updates, t;
        double rate; /* at lr 0.4, lr_min 0.1, factor 0.25 */
    } rows[] = {
        {"constant", 0, 0, 0, 0.4},      {"constant", 0, 0, UINT64_MAX, 0.4},
        {"constant", 4, 0, 0, 0.1},      {"constant", 4, 0, 2, 0.3},
        {"constant", 4, 0, 3, 0.4},      {"constant", 4, 0, 4, 0.4},
        {"cosine", 0, 8, 0, 0.4},        {"cosine", 0, 8, 4, 0.25},
        {"cosine", 0, 8, 8, 0.1},        {"cosine", 0, 8, 1000, 0.1},
        {"cosine", 5, 8, 0, 0.08},       {"cosine", 5, 8, 4, 0.4},
        {"cosine", 5, 8, 5, 0.4},        {"cosine", 5, 8, 9, 0.25},
        {"cosine", 5, 8, 13, 0.1},       {"cosine", 0, 6, 2, 0.1 + 0.3 * 0.75},
        {"step", 0, 3, 0, 0.4},          {"step", 0, 3, 2, 0.4},
        {"step", 0, 3, 3, 0.1},          {"step", 0, 3, 5, 0.1},
        {"step", 0, 3, 6, 0.025},        {"step", 2, 3, 0, 0.2},
        {"step", 2, 3, 4, 0.4},          {"step", 2, 3, 5, 0.1},
        {"exponential", 0, 2, 0, 0.4},   {"exponential", 0, 2, 1, 0.2},
        {"exponential", 0, 2, 2, 0.1},   {"exponential", 0, 2, 4, 0.025},
        {"exponential", 10, 2, 0, 0.04}, {"exponential", 10, 2, 9, 0.4},
        {"exponential", 10, 2, 11, 0.2}, {"constant", 1, 0, 0, 0.4},
    };
    clm_optim_options o = CLM_OPTIM_OPTIONS_INIT;
    o.lr = 0.4;
    o.lr_min = 0.1;
    o.factor = 0.25;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        o.schedule = rows[row].schedule;
        o.warmup = rows[row].warmup;
        o.schedule_updates = rows[row].updates;
        const double rate = clm_optim_rate(&o, rows[row].t);
        ck_assert_msg(fabs(rate - rows[row].rate) <= 1e-15, "row %zu: %.17g", row, rate);
    }
    for (size_t i = 0; i < clm_optim_schedule_count(); i++) {
        bool found = false;
        for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
            found = found || (strcmp(rows[row].schedule, clm_optim_schedule_name(i)) == 0 && rows[row].warmup);
        ck_assert_msg(found, "%s has no row with a warm-up", clm_optim_schedule_name(i));
    }
    o.schedule_updates = 0;
    ck_assert(isnan(clm_optim_rate(&o, 3)) == (strcmp(o.schedule, "constant") != 0));
    o.schedule = "exponential";
    ck_assert(isnan(clm_optim_rate(&o, 3)));
    o.schedule = "none";
    ck_assert(isnan(clm_optim_rate(&o, 3)));
}
END_TEST

/* ---- the tables ---- */

typedef struct listing {
    size_t (*count)(void);
    const char *(*name)(size_t), *(*summary)(size_t);
    bool (*uses)(const char *, const char *);
} listing;

START_TEST(tables_say_what_there_is) {
    static const listing lists[] = {
        {clm_optim_rule_count, clm_optim_rule_name, clm_optim_rule_summary, clm_optim_rule_uses},
        {clm_optim_schedule_count, clm_optim_schedule_name, clm_optim_schedule_summary, clm_optim_schedule_uses}};
    ck_assert_uint_eq(clm_optim_rule_count(), RULES);
    for (const listing *l = lists; l < lists + 2; l++) {
        for (size_t i = 0; i < l->count(); i++) {
            ck_assert(l->name(i)[0] && l->summary(i)[0] && !strchr(l->summary(i), '\n'));
            for (size_t k = 0; k < i; k++) ck_assert_str_ne(l->name(i), l->name(k));
            ck_assert(l->uses(l->name(i), "lr") && !l->uses(l->name(i), "clip") && !l->uses(l->name(i), NULL));
        }
        ck_assert_ptr_null(l->name(l->count()));
        ck_assert_ptr_null(l->summary(l->count()));
        ck_assert(!l->uses("none", "lr") && !l->uses(NULL, "lr"));
    }
    static const struct {
        const char *rule, *uses; /* a letter for each of the options below */
    } rows[] = {{"sgd", "w"},      {"momentum", "mw"}, {"nesterov", "mw"}, {"adam", "12ew"},
                {"adamw", "12ew"}, {"rmsprop", "dew"}, {"lion", "12w"}};
    static const char *const options[] = {"momentum", "1beta1", "2beta2", "decay", "eps", "weight_decay"};
    for (size_t row = 0; row < RULES; row++)
        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
            const char letter = options[i][0], *option = options[i] + (letter < 'a');
            ck_assert_msg(clm_optim_rule_uses(rows[row].rule, option) == (strchr(rows[row].uses, letter) != NULL), "%s, %s",
                          rows[row].rule, option);
        }
    ck_assert(clm_optim_schedule_uses("cosine", "lr_min") && !clm_optim_schedule_uses("cosine", "factor"));
    ck_assert(clm_optim_schedule_uses("step", "factor") && clm_optim_schedule_uses("exponential", "schedule_updates"));
    ck_assert(!clm_optim_schedule_uses("constant", "schedule_updates") && clm_optim_schedule_uses("constant", "warmup"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("optimizer");
    TCase *tcase = tcase_create("optimizer");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, memory_is_as_said, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, undoing_puts_every_bit_back, 0, RULES * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, planning_anew_leaves_the_state_alone, 0, RULES * CLM_TEST_DEVICES);
    tcase_add_test(tcase, the_options_may_go);
    tcase_add_loop_test(tcase, average_is_as_written_out, 0, RULES * CLM_TEST_DEVICES);
    tcase_add_test(tcase, without_an_average);
    tcase_add_loop_test(tcase, saved_and_restored_to_the_bit, 0, RULES * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, first_archives_are_read, 0, CLM_TEST_DEVICES);
    tcase_add_test(tcase, archives_that_do_not_fit);
    tcase_add_test(tcase, schedules_at_chosen_points);
    tcase_add_test(tcase, tables_say_what_there_is);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
