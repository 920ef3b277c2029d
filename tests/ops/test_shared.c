/* Sums of which the items of a work-group share the elements (src/program/codegen/reduce.c): columns and rows, over one axis and
 * over several, with passes that need the sums of earlier ones and maps beside them, against the double-precision reference; the
 * same bits for any number of tasks and in pieces; and one launch where it is to be one. The device is taken for a GPU. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/graph.h"
#include "device/opencl/opencl.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 3 };

/* Axis 0 and others are summed; `row`: the last one too, so that results are scalars of rows. */
static const struct {
    const char *name;
    int n, h, w, c;
    unsigned axes;
} rows[] = {
    {"pixels, as in batch-norm", 5, 7, 9, 16, 7},
    {"channels that are no multiple of a vector", 3, 8, 5, 7, 7},
    {"one channel", 4, 9, 11, 1, 7},
    {"axes apart", 6, 3, 17, 8, 5},
    {"rows", 3, 2, 1, 200, 8},
    {"rows of several axes", 2, 3, 19, 12, 12},
    {"all", 2, 5, 9, 4, 15},
    {"few", 1, 3, 5, 8, 7},
};
enum { ROWS = sizeof rows / sizeof *rows };

static const char *const devices[] = {"type=gpu,dedicated_local=1",
                                      "type=gpu,dedicated_local=1,max_work_group=16,vector_width=1",
                                      "type=gpu,dedicated_local=1,max_work_group=2,local_memory=8K"};
enum { DEVICES = sizeof devices / sizeof *devices };

typedef struct setting {
    clm_graph *g;
    clm_value in[2], out[4];
    size_t count[2], results[4];
    double *data[2], *expected[4], *found[4], *other[4];
} setting;

/* Mean and variance, the normalised values, and the greatest: three passes, and a map in the last. */
static void make(setting *s, int row, uint64_t seed) {
    clm_random r = clm_random_make(seed, (uint64_t)row);
    const clm_shape shape = clm_shape_of(4, rows[row].n, rows[row].h, rows[row].w, rows[row].c);
    memset(s, 0, sizeof *s);
    CLM_TEST_OK(clm_graph_create(&s->g));
    s->in[0] = clm_input(s->g, "x", shape, true);
    s->in[1] = clm_input(s->g, "y", shape, false);
    const clm_value x = clm_mul(s->g, s->in[0], clm_per_task(s->g, s->in[1])), mean = clm_mean(s->g, x, rows[row].axes, true);
    const clm_value off = clm_sub(s->g, x, mean), variance = clm_mean(s->g, clm_mul(s->g, off, off), rows[row].axes, true);
    const clm_value normal = clm_mul(s->g, off, clm_rsqrt(s->g, clm_affine(s->g, variance, 1, 1e-3)));
    s->out[0] = mean;
    s->out[1] = variance;
    s->out[2] = normal;
    s->out[3] = clm_reduce_max(s->g, clm_affine(s->g, x, 2, 1), rows[row].axes, true);
    CLM_TEST_OK(clm_graph_status(s->g));
    for (int i = 0; i < 2; i++) {
        s->count[i] = clm_test_elements(s->g, s->in[i], TASKS);
        s->data[i] = calloc(s->count[i] + 1, sizeof(double));
        for (size_t k = 0; k < s->count[i]; k++) s->data[i][k] = (double)(float)clm_random_normal(&r);
    }
    for (int i = 0; i < 4; i++) {
        s->results[i] = clm_test_elements(s->g, s->out[i], TASKS);
        s->expected[i] = calloc(s->results[i] + 1, sizeof(double));
        s->found[i] = calloc(s->results[i] + 1, sizeof(double));
        s->other[i] = calloc(s->results[i] + 1, sizeof(double));
    }
}

static void discard(setting *s) {
    for (int i = 0; i < 2; i++) free(s->data[i]);
    for (int i = 0; i < 4; i++) {
        free(s->expected[i]);
        free(s->found[i]);
        free(s->other[i]);
    }
    clm_graph_free(s->g);
}

static void compute(clm_device *device, setting *s, int tasks, double **results) {
    CLM_TEST_OK(clm_test_run(device, s->g, tasks, s->in, (const double *const *)s->data, 2, s->out, results, 4));
}

static void expect_same(setting *s, int row, int tasks, const char *what) {
    for (int i = 0; i < 4; i++)
        ck_assert_msg(!memcmp(s->found[i], s->other[i], clm_test_elements(s->g, s->out[i], tasks) * sizeof(double)),
                      "%s: output %d: other bits %s", rows[row].name, i, what);
}

START_TEST(sums_are_right) {
    const int row = _i / DEVICES;
    setting s;
    ck_assert_int_eq(setenv("CLMAML_EMULATE", devices[_i % DEVICES], 1), 0);
    clm_device *device = clm_test_open_opencl(), *host = clm_test_open_host();
    make(&s, row, clm_test_seed());
    compute(host, &s, TASKS, s.expected);
    compute(device, &s, TASKS, s.found);
    for (int i = 0; i < 4; i++) {
        const double difference = clm_test_difference(s.expected[i], s.found[i], s.results[i]);
        ck_assert_msg(difference < 2e-6, "%s: output %d: difference %g", rows[row].name, i, difference);
    }
    compute(device, &s, 1, s.other);
    expect_same(&s, row, 1, "for one task");
    clm_device_close(device);
    ck_assert_int_eq(setenv("CLMAML_MAX_LAUNCH_MS", "0.00001", 1), 0);
    device = clm_test_open_opencl();
    compute(device, &s, TASKS, s.other);
    ck_assert_uint_ge(clm_cl(device)->watchdog.pieces, 1);
    expect_same(&s, row, TASKS, "in pieces");
    discard(&s);
    clm_device_close(device);
    clm_device_close(host);
}
END_TEST

static size_t launches(const char *emulate, int row) {
    setting s;
    clm_program *program;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;
    setenv("CLMAML_EMULATE", emulate, 1);
    clm_device *device = clm_test_open_opencl();
    make(&s, row, 1);
    CLM_TEST_OK(clm_program_create(&program, device, s.g, s.out, 4, &options));
    const size_t n = clm_program_get_stats(program).launches;
    clm_program_free(program);
    discard(&s);
    clm_device_close(device);
    return n;
}

/* With local memory, and where a group could share nothing: the statistics of an image are then several launches. */
START_TEST(statistics_are_one_launch) {
    ck_assert_uint_eq(launches("type=gpu,dedicated_local=1", 0), 1);
    ck_assert_uint_gt(launches("type=gpu,dedicated_local=0", 0), 1);
    ck_assert_uint_gt(launches("type=gpu,dedicated_local=1,max_work_group=1", 0), 1);
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("shared");
    TCase *t = tcase_create("shared");
    tcase_set_timeout(t, 0); /* ctest has one */
    tcase_add_loop_test(t, sums_are_right, 0, ROWS * DEVICES);
    tcase_add_test(t, statistics_are_one_launch);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
