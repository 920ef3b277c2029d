/* CLBlast's kernel for large products, on what CLMAML_EMULATE makes a GPU of: that it is right for shapes drawn at random, the
 * default where the model of its cost says so and nowhere else, out of the way when it is absent, wrong or failing, and within
 * reach of a short budget of tuning.
 *
 * Needs CLBlast (Debian: libclblast1); where CLMAML_NO_CLBLAST switches it off, only the model is tested. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/tune.h"
#include "device/opencl/libraries.h"
#include "graph/internal.h"
#include "ops/choice.h"
#include "ops/product.h"
#include "program/internal.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"
#include "tune/clblast.h"

enum { TASKS = 2 };

/* A GPU of one unit without local memory of its own: a multiply-add costs our kernels three. */
static const char gpu[] = "type=gpu,compute_units=1";

static clm_device *device, *host;
static bool without; /* CLBlast */

static void setup(void) {
    const char *value = getenv("CLMAML_NO_CLBLAST");
    without = value && *value && strcmp(value, "0") != 0;
    device = clm_test_open_as(gpu);
    host = clm_test_open_host();
}

static void teardown(void) {
    clm_device_close(host);
    clm_device_close(device);
}

static void reopen_as(const char *emulation) {
    clm_device_close(device);
    device = clm_test_open_as(emulation);
}

static clm_random stream;

static int draw(int from, int to) { return from + (int)clm_random_below(&stream, (uint32_t)(to - from + 1)); }

/* ---- running ---- */

static int forced; /* times */

/* Forces the row, with the candidate that *user counts modulo their number, wherever it is offered. */
static bool force(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    int *candidate = user, count = 0;
    clm_choice *list = calloc(CLM_CHOICES_MOST, sizeof *list);
    ck_assert_ptr_nonnull(list);
    for (int i = 0, n = clm_choice_list(l, y, list); i < n; i++)
        if (!strcmp(list[i].impl->name, "clblast_large")) list[count++] = list[i];
    if (count) *choice = list[*candidate % count];
    free(list);
    forced += count > 0;
    return count > 0;
}

/* What computes y by default: "matmul tiled". */
static const char *implementation(clm_graph *g, clm_value y, char *text, size_t size) {
    clm_program *program;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;
    CLM_TEST_OK(clm_program_create(&program, device, g, &y, 1, &options));
    clm_program_implementation_names(program->implementations, text, size);
    clm_program_free(program);
    return text;
}

/* Runs y of in[0] and in[1] on the device and, in doubles, on the host, and compares. `candidate`: of the row, or NULL for what
 * is chosen. */
static void compare(clm_graph *g, const clm_value *in, clm_value y, int *candidate, const char *what) {
    double *data[2], *got, *want;
    const size_t size = clm_test_elements(g, y, TASKS);
    ck_assert_msg(y != CLM_INVALID, "%s: %s", what, clm_last_error());
    for (int i = 0; i < 2; i++) {
        const size_t n = clm_test_elements(g, in[i], TASKS);
        data[i] = calloc(n, sizeof *data[i]);
        ck_assert_ptr_nonnull(data[i]);
        for (size_t k = 0; k < n; k++) data[i][k] = clm_random_normal(&stream);
    }
    got = calloc(size, sizeof *got);
    want = calloc(size, sizeof *want);
    ck_assert(got && want);
    forced = 0;
    if (candidate) clm_choice_force(device, force, candidate);
    CLM_TEST_OK(clm_test_run(device, g, TASKS, in, (const double *const *)data, 2, &y, &got, 1));
    clm_choice_force(device, NULL, NULL);
    ck_assert_msg(!candidate || forced, "%s: the row is not offered", what);
    CLM_TEST_OK(clm_test_run(host, g, TASKS, in, (const double *const *)data, 2, &y, &want, 1));
    const double off = clm_test_difference(got, want, size);
    ck_assert_msg(off < 1e-5, "%s: off by %g", what, off);
    free(got);
    free(want);
    free(data[0]);
    free(data[1]);
}

/* [m, k] [k, n] with matrices b of each task's own. */
static clm_value product(clm_graph *g, int m, int n, int k, clm_value in[2]) {
    in[0] = clm_input(g, "a", clm_shape_of(2, m, k), true);
    in[1] = clm_input(g, "b", clm_shape_of(2, k, n), true);
    return clm_matmul(g, in[0], in[1], false, false);
}

static const char *product_by(int m, int n, int k, char *text, size_t size) {
    clm_graph *g;
    clm_value in[2];
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value y = product(g, m, n, k, in);
    implementation(g, y, text, size);
    clm_graph_free(g);
    return text;
}

/* ---- right ---- */

static void random_product(int run) {
    char what[160];
    clm_graph *g;
    clm_value in[2];
    const int m = draw(16, 150), n = draw(16, 150), k = draw(16, 150), batch = draw(2, 3), kind = run % 3,
              batched = run / 3 % 4;
    const bool ta = kind == 1, tb = kind == 2;
    const int a[2] = {ta ? k : m, ta ? m : k}, b[2] = {tb ? n : k, tb ? k : n};
    CLM_TEST_OK(clm_graph_create(&g));
    in[0] = clm_input(g, "a", batched & 1 ? clm_shape_of(3, batch, a[0], a[1]) : clm_shape_of(2, a[0], a[1]), draw(0, 1));
    in[1] = clm_input(g, "b", batched & 2 ? clm_shape_of(3, batch, b[0], b[1]) : clm_shape_of(2, b[0], b[1]), draw(0, 1));
    snprintf(what, sizeof what, "matmul of %dx%dx%d, batch %d of kind %d, transposed %d %d", m, n, k, batch, batched, ta, tb);
    compare(g, in, clm_matmul(g, in[0], in[1], ta, tb), &(int){run}, what);
    clm_graph_free(g);
}

static void random_convolution(int run) {
    char what[160];
    clm_graph *g;
    clm_value in[2], y;
    clm_conv_options o = CLM_CONV_INIT;
    o.groups = 1 + run / 3 % 2;
    const int n = draw(2, 4), h = draw(4, 7), w = draw(4, 7), ci = o.groups * draw(16, 20), co = o.groups * draw(16, 40);
    const int kh = draw(1, 3), kw = draw(1, 3), operation = run % 3;
    o.pad[0] = kh / 2, o.pad[1] = kw / 2;
    const int oh = h + 2 * o.pad[0] - kh + 1, ow = w + 2 * o.pad[1] - kw + 1;
    const clm_shape x = clm_shape_of(4, n, h, w, ci), dy = clm_shape_of(4, n, oh, ow, co);
    const clm_shape filter = clm_shape_of(4, kh, kw, ci / o.groups, co);
    CLM_TEST_OK(clm_graph_create(&g));
    in[0] = clm_input(g, "a", operation == 1 ? dy : x, draw(0, 1));
    in[1] = clm_input(g, "b", operation == 2 ? dy : filter, draw(0, 1));
    y = operation == 0   ? clm_conv2d(g, in[0], in[1], &o)
        : operation == 1 ? clm_conv2d_bwd_data(g, in[0], in[1], h, w, &o)
                         : clm_conv2d_bwd_filter(g, in[0], in[1], kh, kw, &o);
    snprintf(what, sizeof what, "convolution %d of %dx%dx%dx%d, %dx%d filters to %d, groups %d", operation, n, h, w, ci, kh, kw,
             co, o.groups);
    compare(g, in, y, &(int){run}, what);
    clm_graph_free(g);
}

/* By the data base's parameters and by sets of our own, whose tiles are larger: the memory for copies is enough for all. */
START_TEST(test_right) {
    static const int some[] = {-1, 0, 3};
    int tile[3];
    if (without) return;
    stream = clm_random_make(clm_test_seed(), 1);
    ck_assert(clm_large_product_tile(device, tile));
    for (int i = 0; i < 3; i++) ck_assert_msg(tile[i] > 0 && CLM_CLBLAST_SIDE % tile[i] == 0, "tile of %d", tile[i]);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        const int *set = clm_clblast_set_at(true, some[i]);
        if (set) CLM_TEST_OK(device->backend->library_set(device, CLM_LIBRARY_CLBLAST, true, set));
        CLM_TEST_OK(clm_large_product_good(device));
        for (int run = 0; run < (clm_test_tiny() || set ? 4 : 12); run++) random_product(run);
        for (int run = 0; run < (set ? 3 : 6); run++) random_convolution(run);
    }
    /* Beside the direct kernel, which CLBlast has to be told of again. */
    double error = 1;
    CLM_TEST_OK(clm_device_library_check(device, CLM_LIBRARY_CLBLAST - 1, &error));
    ck_assert_msg(error < 1e-5, "%g", error);
}
END_TEST

START_TEST(test_sets) {
    const int *p;
    int count = 0;
    for (; (p = clm_clblast_set_at(true, count)); count++) {
        const int items = p[3] * p[4];
        ck_assert_msg(p[0] % (p[3] * p[8]) == 0 && p[1] % (p[4] * p[9]) == 0 && p[0] % (p[5] * p[8]) == 0 &&
                          p[1] % (p[6] * p[9]) == 0 && p[2] % p[7] == 0 && items % p[5] == 0 && items % p[6] == 0 &&
                          p[2] % (items / p[5]) == 0 && p[2] % (items / p[6]) == 0,
                      "set %d breaks a rule of CLBlast's", count);
        ck_assert_msg(CLM_CLBLAST_SIDE % p[0] == 0 && CLM_CLBLAST_SIDE % p[1] == 0 && CLM_CLBLAST_SIDE % p[2] == 0,
                      "set %d has a tile that CLM_CLBLAST_SIDE is no multiple of", count);
        ck_assert_msg(4 * p[2] * (p[12] * p[0] + p[13] * p[1]) <= 32768, "set %d needs more than 32 KB", count);
    }
    ck_assert_int_gt(count, 0);
}
END_TEST

/* ---- the model ---- */

START_TEST(test_model) {
    clm_device_info card = {.type = CLM_DEVICE_GPU, .compute_units = 36, .dedicated_local_memory = true};
    const int wide[3] = {128, 128, 16}, small[3] = {64, 64, 32};
    const double tiled = 1.25 * 1.25; /* a tile of 8 x 8 sums, 512 lanes of a unit */
    const clm_product_sizes large = {.m = 4096, .n = 4096, .k = 4096, .batch = 1}, layer = {1600, 512, 512, 1, 0};
    snprintf(card.vendor, sizeof card.vendor, "NVIDIA Corporation");
    /* one that the data base has a wide tile for: large products alone */
    ck_assert(clm_large_pays(clm_large_gain_for(&card, wide, tiled, &large)));
    ck_assert(!clm_large_pays(clm_large_gain_for(&card, wide, tiled, &layer)));
    /* not known to it, or of a vendor whose cards reach less */
    ck_assert(!clm_large_pays(clm_large_gain_for(&card, small, tiled, &large)));
    snprintf(card.vendor, sizeof card.vendor, "Advanced Micro Devices, Inc.");
    ck_assert(!clm_large_pays(clm_large_gain_for(&card, wide, tiled, &large)));
    ck_assert(clm_large_worth_trying(clm_large_gain_for(&card, wide, tiled, &large)));
    ck_assert(!clm_large_worth_trying(clm_large_gain_for(&card, wide, tiled, &layer)));
    /* where ours has no tiles in local memory */
    ck_assert(clm_large_pays(clm_large_gain_for(&card, wide, 3, &large)));
    /* several of a batch are calls of their own; patches cost their writing */
    clm_product_sizes other = large;
    other.batch = 8;
    ck_assert_double_eq_tol(clm_large_gain_for(&card, wide, 3, &other), clm_large_gain_for(&card, wide, 3, &large), 1e-9);
    other.patches = 1e10;
    ck_assert(clm_large_gain_for(&card, wide, 3, &other) < clm_large_gain_for(&card, wide, 3, &large));
}
END_TEST

/* ---- the default ---- */

enum { SIDE = 640 }; /* of a product that the model gives to CLBlast on this device */

START_TEST(test_default) {
    char text[200];
    clm_graph *g;
    clm_value in[2];
    if (without) return;
    stream = clm_random_make(clm_test_seed(), 2);
    ck_assert_str_eq(product_by(SIDE, SIDE, SIDE, text, sizeof text), "matmul clblast_large");
    ck_assert_str_eq(product_by(64, 64, 64, text, sizeof text), "matmul direct");
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value y = product(g, SIDE, SIDE, SIDE, in);
    compare(g, in, y, NULL, "the default of a large product");
    ck_assert_int_eq(device->large_state, 1);
    clm_graph_free(g);
    /* our tiles */
    reopen_as("type=gpu,compute_units=1,dedicated_local=1");
    ck_assert_str_eq(product_by(SIDE, SIDE, SIDE, text, sizeof text), "matmul tiled");
    /* memory for its copies is not there, or the limits of the device are lowered */
    reopen_as("type=gpu,compute_units=1,max_allocation=16M");
    ck_assert_str_eq(product_by(SIDE, SIDE, SIDE, text, sizeof text), "matmul direct");
    reopen_as("type=gpu,compute_units=1,max_work_group=64");
    ck_assert_str_eq(product_by(SIDE, SIDE, SIDE, text, sizeof text), "matmul direct");
    /* a CPU */
    reopen_as("type=cpu,compute_units=1");
    ck_assert_str_eq(product_by(SIDE, SIDE, SIDE, text, sizeof text), "matmul direct");
    ck_assert(!clm_large_product_tile(device, (int[3]){0}));
}
END_TEST

static clm_test_vector gradient_on(clm_device *d, const clm_model *model, const clm_meta_options *o, char *text, size_t size) {
    clm_test_batch batch = clm_test_batch_make(model, o, 4);
    clm_meta *meta = clm_test_meta(d, model, o, 5);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    clm_test_vector v = clm_test_gradient(meta, model);
    clm_meta_implementations(meta, text, size);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    return v;
}

/* In whole meta-gradients: they are right with copies in the workspace, and the plan names what computes. */
START_TEST(test_plan) {
    char text[200];
    clm_model *model;
    clm_meta *meta;
    clm_meta_options o = clm_test_options(CLM_TEST_NET_REGRESSION, NULL, TASKS, 2);
    if (without) return;
    o.task.support = o.task.query = 32;
    CLM_TEST_OK(clm_model_mlp(&model, 1, (int[]){40, 36}, 2, 1));
    clm_choice_force(device, force, &(int){0});
    clm_test_vector got = gradient_on(device, model, &o, text, sizeof text);
    clm_choice_force(device, NULL, NULL);
    ck_assert_str_eq(text, "matmul clblast_large, direct"); /* one side of the others is 1 */
    clm_test_vector want = gradient_on(host, model, &o, text, sizeof text);
    clm_test_expect_close(&got, &want, 1e-5, "meta-gradient with CLBlast's products");
    clm_test_vector_free(&got);
    clm_test_vector_free(&want);
    clm_model_free(model);
    o.tasks = 1;
    o.task.support = o.task.query = 256;
    CLM_TEST_OK(clm_model_mlp(&model, 1, (int[]){1024, 1024}, 2, 1));
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &o));
    ck_assert_str_eq(clm_meta_implementations(meta, text, sizeof text), "matmul clblast_large, direct");
    clm_meta_free(meta);
    clm_model_free(model);
}
END_TEST

/* Absent, wrong, failing: ours computes, and the plan says so. */
START_TEST(test_fallback) {
    char text[200];
    clm_graph *g;
    clm_value in[2];
    if (without) return;
    stream = clm_random_make(clm_test_seed(), 3);
    if (_i == 0) ck_assert_int_eq(setenv("CLMAML_NO_CLBLAST", "1", 1), 0);
    if (_i > 0) clm_cl_spoilt_library = CLM_LIBRARY_CLBLAST;
    clm_cl_spoilt_fails = _i == 2;
    reopen_as(gpu);
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value y = product(g, SIDE, SIDE, SIDE, in);
    ck_assert_str_eq(implementation(g, y, text, sizeof text), "matmul direct");
    if (_i > 0) ck_assert_int_eq(device->large_state, -1);
    compare(g, in, y, NULL, "a large product without CLBlast");
    clm_graph_free(g);
}
END_TEST

/* ---- tuning ---- */

static void note_line(void *user, const clm_tune_line *line) { *(clm_tune_line *)user = *line; }

static void tune(int m, int n, int k, double budget, clm_tune_line *line) {
    clm_graph *g;
    clm_value in[2];
    clm_program *program;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    clm_tune_options how = CLM_TUNE_OPTIONS_INIT;
    options.tasks = TASKS;
    how.budget = budget;
    how.careful = true;
    how.progress = note_line;
    how.user = line;
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value y = product(g, m, n, k, in);
    CLM_TEST_OK(clm_program_create(&program, device, g, &y, 1, &options));
    CLM_TEST_OK(clm_tune_programs(&program, 1, &how, NULL));
    clm_program_free(program);
    clm_graph_free(g);
}

/* The budget of `train` reaches it where it may bring something, although no share of that would pay for its building. */
START_TEST(test_within_budget) {
    clm_tune_line line = {0};
    if (without) return;
    reopen_as("type=gpu,compute_units=1,dedicated_local=1");
    tune(100, 64, 64, 2, &line); /* small ones are not worth it */
    ck_assert_int_eq(device->large_state, 0);
    tune(1024, 1024, 768, 2, &line);
    ck_assert_int_eq(device->large_state, 1);
    ck_assert(clm_large_ready(device));
}
END_TEST

/* The quickest way through: its own parameters and one set. What is found is kept, and given to CLBlast by the next process. */
START_TEST(test_parameters) {
    clm_clblast_result r = {0};
    if (without) return;
    CLM_TEST_OK(clm_clblast_tune(device, true, 1e-9, &r));
    ck_assert_int_eq(r.tried, 1);
    ck_assert_int_eq(r.failed, 0);
    ck_assert_int_eq(r.best, r.seconds < r.stock ? 0 : -1);
    ck_assert_msg(r.seconds > 0 && r.seconds <= r.stock && isfinite(r.stock), "%g s, %g s", r.seconds, r.stock);
    reopen_as(gpu);
    CLM_TEST_OK(clm_clblast_parameters(device, true));
    CLM_TEST_OK(clm_large_product_good(device));
    /* too short for any: its own stay, once and for all */
    clm_clblast_tune_once(device, true, 0.1);
    /* a kernel that is wrong has none */
    clm_cl_spoilt_library = CLM_LIBRARY_CLBLAST;
    reopen_as(gpu);
    ck_assert_int_eq(clm_clblast_tune(device, true, 1e-9, &r), CLM_E_DEVICE);
    clm_cl_spoilt_library = CLM_LIBRARY_NONE;
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("large products");
    TCase *tests = tcase_create("large products");
    tcase_set_timeout(tests, 800);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_sets);
    tcase_add_test(tests, test_model);
    tcase_add_test(tests, test_right);
    tcase_add_test(tests, test_default);
    tcase_add_test(tests, test_plan);
    tcase_add_loop_test(tests, test_fallback, 0, 3);
    tcase_add_test(tests, test_within_budget);
    tcase_add_test(tests, test_parameters);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
