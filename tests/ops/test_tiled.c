/* Products by tiles in local memory (src/ops/tiled.c, winograd_tiled.c): a sample of the candidates against the
 * double-precision reference on shapes that fit no tile, operands shared and per task and where vectors are not aligned; all of
 * them give the same bits, for any number of tasks, whole or in pieces (test_tiled_offers.c: where they are offered). The device
 * is taken for a GPU unless CLMAML_EMULATE says something else. CLMAML_TEST_CANDIDATES=all: every candidate. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/graph.h"
#include "device/opencl/opencl.h"
#include "ops/choice.h"
#include "ops/op.h"
#include "support/numbers.h"
#include "support/tiled_setup.h"

extern const clm_impl clm_impl_tiled, clm_impl_winograd_tiled;

static const tiled_row products = {&clm_impl_tiled, 7}, winograd = {&clm_impl_winograd_tiled, 5};

enum { SAMPLE = 2 }; /* candidates of a problem */

static void compute(clm_device *device, const setting *s, int tasks, double *result) {
    CLM_TEST_OK(clm_test_run(device, s->graph, tasks, s->in, (const double *const *)s->data, 2, &s->out, &result, 1));
}

static void expect_same(const setting *s, const forced *f, size_t count, const char *what) {
    char text[128];
    clm_choice_text(&(clm_choice){f->row->impl, f->candidate}, text, sizeof text);
    ck_assert_msg(!memcmp(s->first, s->found, count * sizeof(double)), "%s: %s: other bits %s", s->text, text, what);
}

/* One candidate, of the same bits as the first. */
static void check_candidate(clm_device *device, const setting *s, forced *f) {
    double *result = f->index ? s->found : s->first;
    char text[128];
    f->used = 0;
    compute(device, s, TASKS, result);
    ck_assert_int_ge(f->used, 1); /* asked twice where the filter may be read turned */
    clm_choice_text(&(clm_choice){f->row->impl, f->candidate}, text, sizeof text);
    const double difference = clm_test_difference(s->expected, result, s->results);
    ck_assert_msg(difference < 4e-6, "%s: %s: difference %g", s->text, text, difference);
    if (f->index) expect_same(s, f, s->results, "than the first candidate");
}

/* The first candidate, `sample` others, and one with segments in groups of their own; the last for one task alone. Is there one
 * with such groups? */
static bool check_problem(clm_device *device, clm_device *host, const tiled_row *row, const problem *p, clm_random *r,
                          int sample) {
    const char *which = getenv("CLMAML_TEST_CANDIDATES");
    const bool every = which && !strcmp(which, "all");
    setting s;
    forced f = {.row = row, .most = 1};
    make(&s, p, r);
    compute(host, &s, TASKS, s.expected);
    clm_choice_force(device, force, &f);
    check_candidate(device, &s, &f);
    for (int i = 1; i < f.most && (every || i <= sample); i++) {
        f.index = every ? i : 1 + (int)clm_random_below(r, (uint32_t)(f.most - 1));
        check_candidate(device, &s, &f);
    }
    f.index = f.split;
    if (f.split > 0 && f.split < f.most) check_candidate(device, &s, &f);
    if (f.split == f.most) f.index = 0;
    compute(device, &s, 1, s.found);
    expect_same(&s, &f, clm_test_elements(s.graph, s.out, 1), "for one task");
    clm_choice_force(device, NULL, NULL);
    discard(&s);
    return f.split < f.most;
}

static void open_both(clm_device **device, clm_device **host) {
    /* with memory of its own: all tiles are offered */
    ck_assert_int_eq(setenv("CLMAML_EMULATE", "type=gpu,dedicated_local=1,unified=0", 0), 0);
    *device = clm_test_open_opencl();
    *host = clm_test_open_host();
}

/* ---- numbers ---- */

static int between(clm_random *r, int low, int high) { return low + (int)clm_random_below(r, (uint32_t)(high - low + 1)); }

static int channels(clm_random *r, bool tiny) {
    static const int some[] = {1, 3, 4, 6, 8, 16, 33};
    return some[between(r, 0, tiny ? 4 : 6)];
}

static problem draw(clm_random *r, kind what, bool tiny) {
    problem p;
    do {
        p = (problem){.kind = what,
                      .n = between(r, 1, tiny ? 2 : 3),
                      .h = between(r, 1, tiny ? 6 : 9),
                      .w = between(r, 1, tiny ? 6 : 9),
                      .kh = between(r, 1, 4),
                      .kw = between(r, 1, 4),
                      .stride = between(r, 1, 2),
                      .pad = between(r, 0, 2),
                      .dilation = between(r, 1, 2),
                      .groups = between(r, 0, 2) ? 1 : 2,
                      .shared = between(r, 0, 2)};
        p.ci = channels(r, tiny) * p.groups;
        p.co = channels(r, tiny) * p.groups;
        if (what == DATA) { /* wide padding: the others are convolutions */
            p.kh = between(r, 1, 2);
            p.kw = between(r, 1, 2);
            p.pad = between(r, 2, 3);
            p.stride = p.dilation = 1;
        }
        if (what >= NN) {
            p.h = between(r, 1, tiny ? 20 : 40);
            p.w = between(r, 1, tiny ? 20 : 600);
            p.co = between(r, 1, tiny ? 20 : 40);
        }
        if (what >= NN && between(r, 0, 1)) p.h = (p.h + 3) / 4 * 4, p.w = (p.w + 3) / 4 * 4, p.co = (p.co + 3) / 4 * 4;
    } while (what < NN && (p.h + 2 * p.pad <= p.dilation * (p.kh - 1) || p.w + 2 * p.pad <= p.dilation * (p.kw - 1)));
    return p;
}

START_TEST(random_shapes) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), (uint64_t)_i);
    open_both(&device, &host);
    const problem p = draw(&r, (kind)_i, clm_test_tiny());
    check_problem(device, host, &products, &p, &r, clm_test_tiny() ? 1 : SAMPLE);
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

/* Several segments, several tiles either way, none of them full. */
static const problem special[] = {
    {CONV, 2, 7, 6, 12, 20, 3, 3, 1, 1, 1, 1, 2},    {CONV, 3, 9, 8, 3, 36, 3, 3, 2, 1, 1, 1, 1},
    {FILTER, 3, 10, 11, 8, 20, 3, 3, 1, 1, 1, 1, 2}, {FILTER, 2, 13, 14, 1, 16, 3, 3, 1, 1, 1, 1, 0},
    {NN, 1, 37, 530, 0, 36, 0, 0, 0, 0, 0, 1, 2},    {TN, 2, 36, 530, 0, 18, 0, 0, 0, 0, 0, 1, 2},
    {NT, 2, 33, 77, 0, 35, 0, 0, 0, 0, 0, 1, 2}};

/* As small as there can be segments. */
static const problem deep[] = {{FILTER, 1, 18, 17, 1, 3, 2, 2, 1, 0, 1, 1, 2}, {NN, 1, 3, 520, 0, 5, 0, 0, 0, 0, 0, 1, 2}};

START_TEST(deep_products) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 104);
    open_both(&device, &host);
    ck_assert(check_problem(device, host, &products, &deep[_i], &r, 0));
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

START_TEST(special_shapes) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 100);
    open_both(&device, &host);
    check_problem(device, host, &products, &special[_i], &r, SAMPLE);
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

/* ---- short algorithms ---- */

START_TEST(short_random_shapes) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 200 + (uint64_t)_i);
    open_both(&device, &host);
    problem p = draw(&r, (kind)_i, clm_test_tiny());
    p.kh = p.kw = 3;
    p.h += 2;
    p.w += 2;
    p.stride = p.dilation = 1;
    p.ci /= p.groups;
    p.co /= p.groups;
    p.groups = 1;
    check_problem(device, host, &winograd, &p, &r, clm_test_tiny() ? 1 : SAMPLE);
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

/* Several groups either way and several segments, none of them full; borders without padding and beyond the filter. */
static const problem short_special[] = {
    {CONV, 3, 13, 15, 20, 36, 3, 3, 1, 1, 1, 1, 2},   {CONV, 2, 9, 8, 9, 35, 3, 3, 1, 0, 1, 1, 1},
    {DATA, 2, 8, 7, 34, 12, 3, 3, 1, 3, 1, 1, 2},     {CONV, 1, 4, 3, 3, 5, 3, 3, 1, 2, 1, 1, 0},
    {FILTER, 3, 13, 15, 20, 36, 3, 3, 1, 1, 1, 1, 2}, {FILTER, 2, 19, 12, 35, 33, 3, 3, 1, 0, 1, 1, 0}};

/* As small as there can be segments. */
START_TEST(short_deep_product) {
    static const problem deep_filter = {FILTER, 1, 17, 18, 1, 3, 3, 3, 1, 1, 1, 1, 2};
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 202);
    open_both(&device, &host);
    ck_assert(check_problem(device, host, &winograd, &deep_filter, &r, 0));
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

START_TEST(short_special_shapes) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 201);
    open_both(&device, &host);
    check_problem(device, host, &winograd, &short_special[_i], &r, SAMPLE);
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

/* Where a lane has few registers: the same bits. */
static const problem short_few[] = {{CONV, 1, 4, 3, 9, 5, 3, 3, 1, 2, 1, 1, 0}, {FILTER, 1, 17, 18, 1, 3, 3, 3, 1, 1, 1, 1, 2}};

START_TEST(short_few_registers) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 203);
    setting s;
    forced f = {.row = &winograd};
    open_both(&device, &host);
    clm_device_close(host);
    make(&s, &short_few[_i], &r);
    clm_choice_force(device, force, &f);
    compute(device, &s, TASKS, s.first);
    device->few_registers = true;
    compute(device, &s, TASKS, s.found);
    ck_assert_int_ge(f.used, 2);
    expect_same(&s, &f, s.results, "where registers are few");
    discard(&s);
    clm_device_close(device);
}
END_TEST

/* ---- launches in pieces, and operands that begin anywhere ---- */

/* A program whose operands and result are parts of larger tensors. */
static void compute_shifted(clm_device *device, const setting *s, double *result) {
    clm_program *program;
    clm_tensor *whole[3], *part[3];
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;
    CLM_TEST_OK(clm_program_create(&program, device, s->graph, &s->out, 1, &options));
    for (int i = 0; i < 3; i++) {
        const clm_value v = i < 2 ? s->in[i] : s->out;
        const int tasks = clm_value_per_task(s->graph, v) ? TASKS : 0;
        const size_t size = clm_test_elements(s->graph, v, TASKS);
        CLM_TEST_OK(clm_tensor_create(&whole[i], device, clm_shape_of(1, (int)size + 8), 1));
        CLM_TEST_OK(clm_tensor_view(&part[i], whole[i], (size_t)(2 * i + 1), clm_value_shape(s->graph, v), tasks));
        CLM_TEST_OK(clm_program_bind(program, v, part[i]));
    }
    CLM_TEST_OK(clm_program_prepare(program));
    for (int i = 0; i < 2; i++) CLM_TEST_OK(clm_tensor_write_f64(part[i], s->data[i], s->count[i]));
    CLM_TEST_OK(clm_program_run(program));
    CLM_TEST_OK(clm_tensor_read_f64(part[2], result, s->results));
    clm_program_free(program);
    for (int i = 0; i < 3; i++) {
        clm_tensor_free(part[i]);
        clm_tensor_free(whole[i]);
    }
}

static void check_places(const tiled_row *row, const problem *p) {
    clm_device *device, *host;
    clm_random r = clm_random_make(clm_test_seed(), 101);
    setting s;
    forced f = {.row = row};
    open_both(&device, &host);
    clm_device_close(host);
    make(&s, p, &r);
    clm_choice_force(device, force, &f);
    compute(device, &s, TASKS, s.first);
    compute_shifted(device, &s, s.found);
    expect_same(&s, &f, s.results, "at odd places in memory");
    ck_assert_uint_eq(clm_cl(device)->watchdog.pieces, 0);
    clm_device_close(device);
    setenv("CLMAML_MAX_LAUNCH_MS", "0.00001", 1);
    device = clm_test_open_opencl();
    clm_choice_force(device, force, &f);
    compute(device, &s, TASKS, s.found);
    ck_assert_uint_gt(clm_cl(device)->watchdog.pieces, 1);
    expect_same(&s, &f, s.results, "in pieces");
    discard(&s);
    clm_device_close(device);
}

START_TEST(anywhere_and_in_pieces) { check_places(&products, &special[_i]); }
END_TEST

START_TEST(short_anywhere_and_in_pieces) { check_places(&winograd, &short_special[_i]); }
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("tiled");
    TCase *numbers = tcase_create("numbers"), *shorts = tcase_create("short");
    tcase_set_timeout(numbers, 0); /* ctest has one */
    tcase_set_timeout(shorts, 0);
    tcase_add_loop_test(numbers, random_shapes, 0, KINDS);
    tcase_add_loop_test(shorts, short_random_shapes, 0, FILTER + 1);
    tcase_add_test(shorts, short_deep_product);
    tcase_add_loop_test(shorts, short_few_registers, 0, (int)(sizeof short_few / sizeof *short_few));
    tcase_add_loop_test(numbers, deep_products, 0, (int)(sizeof deep / sizeof *deep));
    if (!clm_test_tiny()) {
        tcase_add_loop_test(numbers, special_shapes, 0, (int)(sizeof special / sizeof *special));
        tcase_add_loop_test(numbers, anywhere_and_in_pieces, 0, (int)(sizeof special / sizeof *special));
        tcase_add_loop_test(shorts, short_special_shapes, 0, (int)(sizeof short_special / sizeof *short_special));
        tcase_add_loop_test(shorts, short_anywhere_and_in_pieces, 0, (int)(sizeof short_special / sizeof *short_special));
    }
    suite_add_tcase(suite, numbers);
    suite_add_tcase(suite, shorts);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
