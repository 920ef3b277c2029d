/* CLBlast and clFFT: that they are found, that what they compute is right for shapes drawn at random, and that the rest works without
 * them, or when their results are wrong.
 *
 * Needs both installed (Debian: libclblast1, libclfft2); one that is switched off by CLMAML_NO_CLBLAST or CLMAML_NO_CLFFT is passed over. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/random.h"
#include "device/opencl/libraries.h"
#include "graph/internal.h"
#include "ops/choice.h"
#include "ops/conv.h"
#include "support/numbers.h"
#include "support/run.h"
#include "tune/clblast.h"
#include "tune/internal.h"

enum { TASKS = 3, MOST = 8 };

static clm_device *device, *host;

static void setup(void) {
    device = clm_test_open_opencl();
    host = clm_test_open_host();
}

static void teardown(void) {
    clm_device_close(host);
    clm_device_close(device);
}

static const char *const switches[] = {"CLMAML_NO_CLBLAST", "CLMAML_NO_CLFFT"};

static bool wanted(clm_library library) {
    const char *value = getenv(switches[library - 1]);
    return !value || !*value || strcmp(value, "0") == 0;
}

/* ---- where libraries are looked for ---- */

static const char *self; /* argv[0] */

/* A copy under another name beside this program is found there. */
START_TEST(test_beside) {
    clm_library_info info;
    char *data, path[600];
    size_t size;
    if (!wanted(CLM_LIBRARY_CLFFT) || !strchr(self, '/')) return;
    ck_assert(clm_device_library_at(device, CLM_LIBRARY_CLFFT - 1, &info));
    const char *const names[] = {"no-such-library.so", "clmaml-test-beside.so", NULL};
    snprintf(path, sizeof path, "%.*s/%s", (int)(strrchr(self, '/') - self), self, names[1]);
    CLM_TEST_OK(clm_file_read(info.path, &data, &size));
    CLM_TEST_OK(clm_file_write(path, data, size));
    clm_dynlib *library;
    int (*function)(void) = NULL;
    CLM_TEST_OK(clm_dynlib_open(&library, names));
    CLM_TEST_OK(clm_file_remove(path));
    ck_assert(clm_dynlib_function(library, "clfftTeardown", &function));
    ck_assert(function != NULL);
    ck_assert(!clm_dynlib_function(library, "no_such_function", &function));
    ck_assert_msg(strstr(clm_dynlib_path(library), names[1]) != NULL, "%s", clm_dynlib_path(library));
    clm_dynlib_close(library);
    free(data);
}
END_TEST

START_TEST(test_nowhere) {
    const char *const names[] = {"no-such-library.so", NULL};
    clm_dynlib *library;
    ck_assert_int_eq(clm_dynlib_open(&library, names), CLM_E_IO);
    ck_assert_ptr_null(library);
    ck_assert_msg(strstr(clm_last_error(), names[0]) != NULL, "%s", clm_last_error());
}
END_TEST

/* ---- found, and right in a small case ---- */

START_TEST(test_small_case) {
    clm_library_info info;
    double error = 1;
    ck_assert(clm_device_library_at(device, (size_t)_i - 1, &info));
    if (!wanted((clm_library)_i)) return;
    ck_assert_msg(info.usable, "%s: %s. Debian and Ubuntu: apt-get install libclblast1 libclfft2", info.name, info.reason);
    ck_assert_msg(info.path[0] == '/', "path %s", info.path);
    ck_assert_msg(info.version[0] >= '0' && info.version[0] <= '9', "version %s", info.version);
    CLM_TEST_OK(clm_device_library_check(device, (size_t)_i - 1, &error));
    ck_assert_msg(error < 1e-5, "%s: off by %g", info.name, error);
}
END_TEST

START_TEST(test_list_ends) {
    clm_library_info info;
    ck_assert(!clm_device_library_at(device, CLM_LIBRARY_COUNT - 1, &info));
    ck_assert_int_eq(clm_device_library_check(device, 9, NULL), CLM_E_ARG);
    ck_assert(clm_device_library_at(host, 0, &info));
    ck_assert(!info.usable);
    ck_assert_int_eq(clm_device_library_check(host, 0, NULL), CLM_E_DEVICE);
    ck_assert_msg(strstr(clm_last_error(), "CLBlast") != NULL, "%s", clm_last_error());
}
END_TEST

/* ---- operations ---- */

static clm_random stream;

static int draw(int from, int to) { return from + (int)clm_random_below(&stream, (uint32_t)(to - from + 1)); }

typedef struct forced {
    const char *name;
    int candidate; /* of those there are, modulo their number */
    int used;
} forced;

static bool force(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    forced *f = user;
    clm_choice *list = calloc(CLM_CHOICES_MOST, sizeof *list);
    ck_assert_ptr_nonnull(list);
    int count = 0;
    for (int i = 0, n = clm_choice_list(l, y, list); i < n; i++)
        if (!strcmp(list[i].impl->name, f->name)) list[count++] = list[i];
    if (count) {
        *choice = list[f->candidate % count];
        f->used++;
    }
    free(list);
    return count > 0;
}

/* Runs y by the row and on the host, and compares. */
static void compare(clm_graph *g, const clm_value *in, clm_value y, forced *f, const char *what) {
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
    const int before = f->used;
    clm_choice_force(device, force, f);
    CLM_TEST_OK(clm_test_run(device, g, TASKS, in, (const double *const *)data, 2, &y, &got, 1));
    clm_choice_force(device, NULL, NULL);
    CLM_TEST_OK(clm_test_run(host, g, TASKS, in, (const double *const *)data, 2, &y, &want, 1));
    const double off = clm_test_difference(got, want, size);
    ck_assert_msg(f->used > before, "%s: row %s was not applicable", what, f->name);
    ck_assert_msg(off < 1e-5, "%s by %s, candidate %d: off by %g", what, f->name, f->candidate, off);
    free(got);
    free(want);
    free(data[0]);
    free(data[1]);
}

static const char *const operations[] = {"conv2d", "conv2d_bwd_data", "conv2d_bwd_filter"};

/* Operation 0 .. 2 of a convolution of images [n, h, w, ci]; per_task: bit i for input i. */
static void check_conv(int operation, const int *size, const int *kernel, const clm_conv_options *o, unsigned per_task,
                       forced *f) {
    char what[256];
    clm_graph *g;
    clm_value in[2], y;
    const int n = size[0], h = size[1], w = size[2], ci = size[3], co = size[4];
    const int oh = (h + 2 * o->pad[0] - o->dilation[0] * (kernel[0] - 1) - 1) / o->stride[0] + 1;
    const int ow = (w + 2 * o->pad[1] - o->dilation[1] * (kernel[1] - 1) - 1) / o->stride[1] + 1;
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_shape x = clm_shape_of(4, n, h, w, ci), dy = clm_shape_of(4, n, oh, ow, co);
    const clm_shape filter = clm_shape_of(4, kernel[0], kernel[1], ci / o->groups, co);
    in[0] = clm_input(g, "a", operation == 1 ? dy : x, per_task & 1);
    in[1] = clm_input(g, "b", operation == 2 ? dy : filter, (per_task & 2) != 0);
    y = operation == 0   ? clm_conv2d(g, in[0], in[1], o)
        : operation == 1 ? clm_conv2d_bwd_data(g, in[0], in[1], h, w, o)
                         : clm_conv2d_bwd_filter(g, in[0], in[1], kernel[0], kernel[1], o);
    snprintf(what, sizeof what,
             "%s of %dx%dx%dx%d, %dx%d filters to %d, stride %dx%d, pad %dx%d, dilation %dx%d, groups %d, per task %u",
             operations[operation], n, h, w, ci, kernel[0], kernel[1], co, o->stride[0], o->stride[1], o->pad[0], o->pad[1],
             o->dilation[0], o->dilation[1], o->groups, per_task);
    compare(g, in, y, f, what);
    clm_graph_free(g);
}

/* Draws sizes and options for a filter of `kernel`. */
static void random_conv(int *size, const int *kernel, clm_conv_options *o, int groups) {
    *o = (clm_conv_options)CLM_CONV_INIT;
    o->groups = groups;
    for (int i = 0; i < 2; i++) {
        o->stride[i] = draw(1, 2);
        o->pad[i] = draw(0, kernel[i] / 2 + 1);
        o->dilation[i] = kernel[i] < 8 ? draw(1, 2) : 1;
        size[1 + i] = o->dilation[i] * (kernel[i] - 1) + 1 + draw(0, 6);
    }
    size[0] = draw(1, 4);
    size[3] = groups * draw(1, 5);
    size[4] = groups * draw(1, 6);
}

START_TEST(test_conv_clblast) {
    if (!wanted(CLM_LIBRARY_CLBLAST)) return;
    forced f = {.name = "clblast"};
    stream = clm_random_make(clm_test_seed(), (uint64_t)_i);
    for (int run = 0; run < (clm_test_tiny() ? 2 : 10); run++) {
        int size[5];
        clm_conv_options o;
        const int kernel[2] = {draw(1, 4), draw(1, 4)};
        random_conv(size, kernel, &o, run % 3 == 2 ? draw(2, 4) : 1);
        f.candidate = run;
        check_conv(_i, size, kernel, &o, (unsigned)run % 4, &f);
    }
    /* no patches */
    check_conv(_i, (int[]){2, 5, 4, 6, 9}, (int[]){1, 1}, &(clm_conv_options)CLM_CONV_INIT, 3, &f);
    clm_conv_options two = CLM_CONV_INIT;
    two.groups = 2;
    check_conv(_i, (int[]){2, 5, 4, 6, 4}, (int[]){1, 1}, &two, 1, &f);
}
END_TEST

START_TEST(test_conv_clfft) {
    if (!wanted(CLM_LIBRARY_CLFFT)) return;
    forced f = {.name = "clfft"};
    stream = clm_random_make(clm_test_seed(), 10 + (uint64_t)_i);
    const int kernels[][2] = {{6, 5}, {7, 7}, {3, 11}};
    for (int run = 0; run < (clm_test_tiny() ? 1 : 3); run++) { /* few: every size of a plane has kernels to be built */
        int size[5];
        clm_conv_options o;
        random_conv(size, kernels[run], &o, 1);
        /* both ways to fill a plane: many images, many channels */
        if (run == 1) size[0] = 5, size[3] = size[4] = 2;
        if (run == 2) size[0] = 1, size[3] = 4, size[4] = 7;
        f.candidate = run;
        check_conv(_i, size, kernels[run], &o, 3 - (unsigned)run, &f);
    }
}
END_TEST

START_TEST(test_matmul_clblast) {
    if (!wanted(CLM_LIBRARY_CLBLAST)) return;
    forced f = {.name = "clblast"};
    stream = clm_random_make(clm_test_seed(), 20);
    for (int run = 0; run < (clm_test_tiny() ? 3 : 24); run++) {
        char what[128];
        clm_graph *g;
        clm_value in[2];
        const int m = draw(1, 40), n = draw(1, 40), k = draw(1, 70), batch = draw(2, 5), kind = run % 3, batched = run / 3 % 4;
        const bool ta = kind == 1, tb = kind == 2;
        const int a[2] = {ta ? k : m, ta ? m : k}, b[2] = {tb ? n : k, tb ? k : n};
        CLM_TEST_OK(clm_graph_create(&g));
        in[0] = clm_input(g, "a", batched & 1 ? clm_shape_of(3, batch, a[0], a[1]) : clm_shape_of(2, a[0], a[1]), draw(0, 1));
        in[1] = clm_input(g, "b", batched & 2 ? clm_shape_of(3, batch, b[0], b[1]) : clm_shape_of(2, b[0], b[1]), draw(0, 1));
        snprintf(what, sizeof what, "matmul of %dx%dx%d, batch %d of kind %d, transposed %d %d", m, n, k, batch, batched, ta,
                 tb);
        compare(g, in, clm_matmul(g, in[0], in[1], ta, tb), &f, what);
        clm_graph_free(g);
    }
}
END_TEST

/* ---- without ---- */

/* What is offered for a product and for a convolution with a large filter when `force` looks. */
static bool count_libraries(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    clm_choice *list = calloc(CLM_CHOICES_MOST, sizeof *list);
    ck_assert_ptr_nonnull(list);
    const int n = clm_choice_list(l, y, list);
    for (int i = 0; i < n; i++) *(int *)user += !strcmp(list[i].impl->name, "clblast") || !strcmp(list[i].impl->name, "clfft");
    free(list);
    (void)choice;
    return false;
}

static int offered(void) {
    int count = 0;
    clm_graph *g;
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value x = clm_input(g, "x", clm_shape_of(4, 1, 8, 8, 2), true),
                    w = clm_input(g, "w", clm_shape_of(4, 7, 7, 2, 2), true);
    const clm_value in[2] = {x, w}, y = clm_conv2d(g, x, w, &(clm_conv_options)CLM_CONV_INIT);
    double data[128], filter[196], out[8];
    const double *const inputs[2] = {data, filter};
    double *const results[1] = {out};
    for (int i = 0; i < 128; i++) data[i] = i % 7;
    for (int i = 0; i < 196; i++) filter[i] = 1;
    clm_choice_force(device, count_libraries, &count);
    CLM_TEST_OK(clm_test_run(device, g, 1, in, inputs, 2, &y, results, 1));
    clm_choice_force(device, NULL, NULL);
    ck_assert_double_eq(out[0], out[1]); /* filters of ones */
    clm_graph_free(g);
    return count;
}

START_TEST(test_switched_off) {
    clm_library_info info;
    for (int i = 0; i < 2; i++) ck_assert_int_eq(setenv(switches[i], "1", 1), 0);
    ck_assert_int_eq(offered(), 0);
    for (size_t i = 0; i < 2; i++) {
        ck_assert(clm_device_library_at(device, i, &info));
        ck_assert(!info.usable);
        ck_assert_msg(strstr(info.reason, switches[i]) != NULL, "%s", info.reason);
        ck_assert_int_eq(clm_device_library_check(device, i, NULL), CLM_E_DEVICE);
    }
}
END_TEST

/* ---- wrong results ---- */

enum { SIDE = 8, KERNEL = 7 };

/* A convolution that both libraries can compute, of numbers so that all results are one. */
static clm_value small_case(clm_graph *g, clm_value *in, double *data, double *filter) {
    in[0] = clm_input(g, "x", clm_shape_of(4, 1, SIDE, SIDE, 1), true);
    in[1] = clm_input(g, "w", clm_shape_of(4, KERNEL, KERNEL, 1, 2), true);
    for (int i = 0; i < SIDE * SIDE; i++) data[i] = 1;
    for (int i = 0; i < KERNEL * KERNEL * 2; i++) filter[i] = 1.0 / (KERNEL * KERNEL);
    return clm_conv2d(g, in[0], in[1], &(clm_conv_options)CLM_CONV_INIT);
}

static clm_status run_small_case(double *out) {
    double data[SIDE * SIDE], filter[KERNEL * KERNEL * 2];
    const double *const inputs[2] = {data, filter};
    clm_graph *g;
    clm_value in[2];
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value y = small_case(g, in, data, filter);
    const clm_status status = clm_test_run(device, g, 1, in, inputs, 2, &y, &out, 1);
    clm_graph_free(g);
    return status;
}

static const char *const row_names[CLM_LIBRARY_COUNT] = {"", "clblast", "clfft"};

/* Stores the row as the fastest for the small case. */
static bool store_row(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    char key[512];
    clm_tune_entry entry = {.tasks = 1, .value = {1}, .tried = 1};
    (void)choice;
    snprintf(entry.implementation, sizeof entry.implementation, "%s", (const char *)user);
    CLM_TEST_OK(clm_tune_keep(device, clm_choice_key(l, y, key, sizeof key), &entry, true));
    return false;
}

/* A library that was chosen by tuning and has become wrong is not used; one that is asked for is an error. */
START_TEST(test_wrong_small_case) {
    if (!wanted((clm_library)_i)) return;
    double out[8] = {0};
    char name[16];
    snprintf(name, sizeof name, "%s", row_names[_i]);
    forced f = {.name = name};
    clm_cl_spoilt_library = (clm_library)_i;
    clm_choice_force(device, force, &f);
    ck_assert_int_eq(run_small_case(out), CLM_E_DEVICE);
    ck_assert_int_eq(f.used, 1);
    clm_choice_force(device, store_row, name);
    ck_assert_int_eq(run_small_case(out), CLM_E_DEVICE); /* as long as choices are forced there is no way round */
    clm_choice_force(device, NULL, NULL);
    CLM_TEST_OK(run_small_case(out));
    for (int i = 0; i < 8; i++) ck_assert_msg(fabs(out[i] - 1) < 1e-5, "%g", out[i]);
    ck_assert_int_eq(clm_device_library_check(device, (size_t)_i - 1, NULL), CLM_E_DEVICE);
    ck_assert_msg(strstr(clm_last_error(), "wrong") != NULL, "%s", clm_last_error());
    clm_cl_spoilt_library = CLM_LIBRARY_NONE;
}
END_TEST

static void note_line(void *user, const clm_tune_line *line) { *(clm_tune_line *)user = *line; }

/* One that is right in the small case but not for the shape at hand: the tuner drops it. */
START_TEST(test_wrong_for_shape) {
    if (!wanted((clm_library)_i)) return;
    double data[SIDE * SIDE], filter[KERNEL * KERNEL * 2];
    clm_graph *g;
    clm_program *program;
    clm_value in[2];
    clm_tune_line line = {0};
    clm_tune_options options = CLM_TUNE_OPTIONS_INIT;
    options.progress = note_line;
    options.user = &line;
    options.again = true;
    CLM_TEST_OK(clm_library_good(device, (clm_library)_i));
    ck_assert_int_eq(setenv(switches[2 - _i], "1", 1), 0); /* the other one is no matter here */
    clm_cl_spoilt_library = (clm_library)_i;
    CLM_TEST_OK(clm_graph_create(&g));
    const clm_value y = small_case(g, in, data, filter);
    CLM_TEST_OK(clm_program_create(&program, device, g, &y, 1, NULL));
    CLM_TEST_OK(clm_tune_programs(&program, 1, &options, NULL));
    ck_assert_msg(line.tried == line.candidates && line.failed >= 1, "%d of %d tried, %d failed", line.tried, line.candidates,
                  line.failed);
    clm_program_free(program);
    clm_graph_free(g);
    clm_cl_spoilt_library = CLM_LIBRARY_NONE;
}
END_TEST

/* ---- parameters ---- */

START_TEST(test_clblast_sets) {
    const int *p;
    int count = 0;
    for (; (p = clm_clblast_set_at(false, count)); count++) {
        const int wgd = p[0], threads = p[1] * p[2];
        ck_assert_msg(wgd % p[5] == 0 && wgd % (p[1] * p[6]) == 0 && wgd % (p[2] * p[7]) == 0 && wgd % (p[3] * p[6]) == 0 &&
                          wgd % (p[4] * p[7]) == 0 && threads % p[3] == 0 && threads % p[4] == 0 &&
                          wgd % (threads / p[3]) == 0 && wgd % (threads / p[4]) == 0,
                      "set %d breaks a rule of CLBlast's", count);
        ck_assert_msg(4 * (wgd * (wgd + p[8]) + wgd * (wgd + p[9])) <= 32768, "set %d needs more than 32 KB", count);
    }
    ck_assert_int_gt(count, 0);
    if (!wanted(CLM_LIBRARY_CLBLAST)) return;
    /* Another set, another kernel, the same numbers. */
    double error = 1;
    ck_assert(device->backend->library(device, CLM_LIBRARY_CLBLAST, NULL));
    CLM_TEST_OK(device->backend->library_set(device, CLM_LIBRARY_CLBLAST, false, clm_clblast_set_at(false, 8)));
    CLM_TEST_OK(clm_device_library_check(device, 0, &error));
    ck_assert_msg(error < 1e-5, "%g", error);
}
END_TEST

/* The quickest way through: its own parameters and one set. What is found is kept, and given to CLBlast by the next process. */
START_TEST(test_clblast_tuning) {
    clm_clblast_result r = {0};
    double error = 1;
    if (!wanted(CLM_LIBRARY_CLBLAST)) return;
    CLM_TEST_OK(clm_clblast_tune(device, false, 1e-9, &r));
    ck_assert_int_eq(r.tried, 1);
    ck_assert_int_eq(r.failed, 0);
    ck_assert_int_eq(r.best, r.seconds < r.stock ? 0 : -1);
    ck_assert_msg(r.seconds > 0 && r.seconds <= r.stock && isfinite(r.stock), "%g s, %g s", r.seconds, r.stock);
    teardown();
    setup();
    CLM_TEST_OK(clm_clblast_parameters(device, false));
    CLM_TEST_OK(clm_device_library_check(device, 0, &error));
    ck_assert_msg(error < 1e-5, "%g", error);
    /* a set that is wrong is no candidate */
    CLM_TEST_OK(clm_library_good(device, CLM_LIBRARY_CLBLAST));
    clm_cl_spoilt_library = CLM_LIBRARY_CLBLAST;
    teardown();
    setup();
    ck_assert_int_eq(clm_clblast_tune(device, false, 1e-9, &r), CLM_E_DEVICE);
    clm_cl_spoilt_library = CLM_LIBRARY_NONE;
}
END_TEST

START_TEST(test_lowered_limits) {
    ck_assert_int_eq(setenv("CLMAML_EMULATE", "max_work_group=4", 1), 0);
    clm_device *small = clm_test_open_opencl();
    clm_library_info info;
    ck_assert(clm_device_library_at(small, 0, &info));
    ck_assert(!info.usable);
    clm_device_close(small);
}
END_TEST

int main(int argc, char **argv) {
    self = argc > 0 ? argv[0] : "";
    clm_test_seed();
    Suite *suite = suite_create("libraries");
    TCase *tests = tcase_create("libraries");
    tcase_set_timeout(tests, 800);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_beside);
    tcase_add_test(tests, test_nowhere);
    tcase_add_loop_test(tests, test_small_case, 1, CLM_LIBRARY_COUNT);
    tcase_add_test(tests, test_list_ends);
    tcase_add_loop_test(tests, test_conv_clblast, 0, 3);
    tcase_add_loop_test(tests, test_conv_clfft, 0, 3);
    tcase_add_test(tests, test_matmul_clblast);
    tcase_add_test(tests, test_switched_off);
    tcase_add_loop_test(tests, test_wrong_small_case, 1, CLM_LIBRARY_COUNT);
    tcase_add_loop_test(tests, test_wrong_for_shape, 1, CLM_LIBRARY_COUNT);
    tcase_add_test(tests, test_clblast_sets);
    tcase_add_test(tests, test_clblast_tuning);
    tcase_add_test(tests, test_lowered_limits);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
