/* Fusion: what should be one launch is one, and computes what the host reference computes, whatever becomes one with what.
 *
 * Each case runs on the device as it is and as a GPU, whose sums are cut into segments and end in a second kernel; losses also as one
 * whose work-groups are smaller than the rows are many.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/clmaml.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 3, MOST_VALUES = 24, AS_IS = 0, AS_GPU = 1, WAYS_TO_OPEN = 2, WITH_SMALL_GROUPS = 3 };

static const char *const ways_to_open[] = {"", "type=gpu", "type=gpu,max_work_group=6"};

/* A graph with numbers for its inputs. */
typedef struct sample {
    clm_graph *g;
    clm_value in[MOST_VALUES], out[MOST_VALUES];
    double *data[MOST_VALUES];
    size_t n_in, n_out;
} sample;

static sample sample_new(void) {
    sample s = {0};
    CLM_TEST_OK(clm_graph_create(&s.g));
    return s;
}

static clm_value input(sample *s, clm_random *r, clm_shape shape, bool per_task) {
    const clm_value v = s->in[s->n_in] = clm_input(s->g, "x", shape, per_task);
    const size_t n = clm_test_elements(s->g, v, TASKS);
    double *data = s->data[s->n_in++] = calloc(n, sizeof *data);
    for (size_t i = 0; i < n; i++) data[i] = clm_random_normal(r);
    return v;
}

static void sample_free(sample *s) {
    for (size_t i = 0; i < s->n_in; i++) free(s->data[i]);
    clm_graph_free(s->g);
}

static size_t outputs_size(const sample *s, int tasks) {
    size_t n = 0;
    for (size_t i = 0; i < s->n_out; i++) n += clm_test_elements(s->g, s->out[i], tasks);
    return n;
}

/* All outputs, one behind the other. `from`: the first task whose numbers are taken. */
static double *run(clm_device *d, sample *s, int tasks, int from, size_t *launches) {
    clm_program *p = NULL;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    double *all = calloc(outputs_size(s, tasks) + 1, sizeof *all), *at = all;
    options.tasks = tasks;
    options.poison = true;
    CLM_TEST_OK(clm_program_create(&p, d, s->g, s->out, s->n_out, &options));
    CLM_TEST_OK(clm_program_prepare(p));
    if (launches) *launches = clm_program_get_stats(p).launches;
    for (size_t i = 0; i < s->n_in; i++) {
        const bool per_task = clm_value_per_task(s->g, s->in[i]);
        CLM_TEST_OK(
            clm_test_feed(p, s->in[i], s->data[i] + (per_task ? (size_t)from * clm_test_elements(s->g, s->in[i], 1) : 0)));
    }
    CLM_TEST_OK(clm_program_run(p));
    for (size_t i = 0; i < s->n_out; i++) {
        CLM_TEST_OK(clm_test_fetch(p, s->out[i], at));
        at += clm_test_elements(s->g, s->out[i], tasks);
    }
    clm_program_free(p);
    return all;
}

/* NaN only where NaN is expected, infinities of the same sign, the rest close for its size. */
static void expect_close(const double *got, const double *expected, size_t n, const char *what) {
    for (size_t i = 0; i < n; i++) {
        if (isfinite(expected[i]))
            ck_assert_msg(fabs(got[i] - expected[i]) <= 2e-4 * (1 + fabs(expected[i])),
                          "%s: element %zu is %.9g, expected %.9g", what, i, got[i], expected[i]);
        else
            ck_assert_msg(isnan(expected[i]) ? isnan(got[i]) : got[i] == expected[i], "%s: element %zu is %g, expected %g",
                          what, i, got[i], expected[i]);
    }
}

/* The device against the host; a task by itself has the bits it has among others. Returns the launches. */
static size_t check(sample *s, int way, const char *what) {
    size_t launches = 0, n = outputs_size(s, TASKS);
    clm_device *device = clm_test_open_as(ways_to_open[way]), *host = clm_test_open_host();
    double *truth = run(host, s, TASKS, 0, NULL), *fused = run(device, s, TASKS, 0, &launches);
    expect_close(fused, truth, n, what);
    for (int task = 1; task < TASKS; task++) {
        double *alone = run(device, s, 1, task, NULL);
        size_t at = 0, at_alone = 0;
        for (size_t i = 0; i < s->n_out; i++) {
            const size_t each = clm_test_elements(s->g, s->out[i], 1);
            if (clm_value_per_task(s->g, s->out[i]))
                for (size_t e = 0; e < each; e++) {
                    const double a = alone[at_alone + e], b = fused[at + (size_t)task * each + e];
                    ck_assert_msg(a == b || (isnan(a) && isnan(b)), "%s: task %d alone gives %.17g, among others %.17g", what,
                                  task, a, b);
                }
            at += clm_test_elements(s->g, s->out[i], TASKS);
            at_alone += each;
        }
        free(alone);
    }
    free(truth);
    free(fused);
    clm_device_close(device);
    clm_device_close(host);
    return launches;
}

/* ---- softmax and cross-entropy ---- */

static const struct {
    int rows, ways;
    double first; /* the first logit of every task; 0: a number like the others */
} losses[] = {{5, 5, 0},  {1, 5, 0},   {7, 1, 0},   {7, 2, 0},   {3, 33, 0},       {33, 3, 0},
              {75, 5, 0}, {20, 20, 0}, {300, 2, 0}, {5, 5, NAN}, {5, 5, INFINITY}, {5, 5, -INFINITY}};

/* The loss, its gradient in the logits, the tangent of that, and how often the greatest logit is the label's. */
START_TEST(cross_entropy_is_one_launch) {
    const int kind = _i / WITH_SMALL_GROUPS, way = _i % WITH_SMALL_GROUPS;
    const int rows = losses[kind].rows, ways = losses[kind].ways;
    const size_t expected = way == WITH_SMALL_GROUPS - 1 && (rows + 3) / 4 * ways > 64 ? 2 : 1; /* too much for a group of 4 */
    clm_random r = clm_random_make(11, (uint64_t)_i);
    sample s = sample_new();
    clm_value logits = input(&s, &r, clm_shape_of(2, rows, ways), true), v = input(&s, &r, clm_shape_of(2, rows, ways), true);
    clm_value labels = input(&s, &r, clm_shape_of(1, rows), true);
    for (int i = 0; i < TASKS * rows; i++) s.data[2][i] = (double)clm_random_below(&r, (uint32_t)ways);
    s.data[2][rows] = kind % 3 - 1.0; /* also out of range, one class further, and with a fraction */
    s.data[2][TASKS * rows - 1] = kind % 2 ? ways : ways - 0.5;
    for (int t = 0; t < TASKS && losses[kind].first != 0; t++) s.data[0][t * rows * ways] = losses[kind].first;
    s.out[0] = clm_cross_entropy(s.g, logits, labels, kind % 4 == 3 ? CLM_REDUCE_SUM : CLM_REDUCE_MEAN);
    s.out[1] = clm_accuracy(s.g, logits, labels);
    CLM_TEST_OK(clm_grad(s.g, s.out[0], &logits, 1, &s.out[2]));
    CLM_TEST_OK(clm_hvp(s.g, s.out[0], &logits, &v, 1, &s.out[3]));
    s.n_out = 1;
    ck_assert_uint_eq(check(&s, way, "cross-entropy"), expected);
    s.n_out = 4;
    const size_t all = check(&s, way, "cross-entropy, accuracy, gradient and tangent");
    ck_assert_uint_ge(all, 1);
    ck_assert_uint_le(all, ways > 1 ? expected : 2);
    s.out[0] = clm_softmax(s.g, logits);
    s.n_out = 1;
    ck_assert_uint_eq(check(&s, way, "softmax"), 1);
    sample_free(&s);
}
END_TEST

/* ---- statistics ---- */

/* Mean, variance and the normalised array; its adjoint. Small: one launch each. Large on a GPU: sums in segments, whose second kernel does
 * the rest. */
START_TEST(statistics_end_in_their_sum) {
    static const int sizes[][4] = {{5, 3, 3, 8}, {2, 1, 5, 7}, {6, 17, 19, 48}};
    const int *size = sizes[_i / 2];
    const bool small = size[0] * size[1] * size[2] <= 64;
    clm_random r = clm_random_make(12, (uint64_t)_i);
    sample s = sample_new();
    clm_shape space = clm_shape_of(4, size[0], size[1], size[2], size[3]), channels = clm_shape_of(1, size[3]);
    clm_value x = input(&s, &r, space, true), scale = input(&s, &r, channels, false), shift = input(&s, &r, channels, true);
    clm_value mean, var, y = clm_batch_norm(s.g, x, scale, shift, 1e-3, &mean, &var);
    s.out[0] = mean, s.out[1] = var, s.out[2] = clm_relu(s.g, y);
    s.n_out = 3;
    const size_t launches = check(&s, _i % 2, "batch-norm");
    if (small || _i % 2 == AS_IS)
        ck_assert_uint_le(launches, 1);
    else
        ck_assert_uint_le(launches, 5);
    clm_value loss = clm_sum_all(s.g, clm_mul(s.g, s.out[2], s.out[2])), wrt[2] = {x, shift};
    CLM_TEST_OK(clm_grad(s.g, loss, wrt, 2, s.out));
    s.n_out = 2;
    check(&s, _i % 2, "adjoint of batch-norm");
    sample_free(&s);
}
END_TEST

/* What a map writes is added up on the way, along either axis, whatever the length of a row. */
START_TEST(maps_join_their_sum) {
    static const int sizes[][2] = {{4, 16}, {33, 31}, {1, 7}};
    const int *size = sizes[_i / 4];
    clm_random r = clm_random_make(13, (uint64_t)_i);
    sample s = sample_new();
    clm_value a = input(&s, &r, clm_shape_of(2, size[0], size[1]), true), b = input(&s, &r, clm_shape_of(2, 1, size[1]), true);
    s.out[0] = clm_mul(s.g, clm_sub(s.g, a, b), a);
    s.out[1] = clm_sum(s.g, s.out[0], _i / 2 % 2 ? 1 : 2, true);
    s.out[2] = clm_exp(s.g, clm_scale(s.g, s.out[1], -0.01));
    s.n_out = 3;
    ck_assert_uint_eq(check(&s, _i % 2, "a map and its sum"), 1);
    sample_free(&s);
}
END_TEST

/* On a CPU a map goes along with a sum of which it shares an array, whole rows of it at a time; elsewhere, and where rows are summed,
 * each is a launch. */
START_TEST(maps_go_along) {
    static const char *const kinds[] = {"type=cpu", "type=gpu"};
    static const int sizes[][2] = {{40, 48}, {9, 31}};
    const int *size = sizes[_i / 4], rows = _i / 2 % 2;
    clm_random r = clm_random_make(17, (uint64_t)_i);
    sample s = sample_new();
    clm_device *device = clm_test_open_as(kinds[_i % 2]), *host = clm_test_open_host();
    clm_value a = input(&s, &r, clm_shape_of(2, 100 * size[0], size[1]), true),
              b = input(&s, &r, clm_shape_of(2, 1, size[1]), true);
    size_t both = 0, sum = 0;
    s.out[0] = clm_mean(s.g, clm_mul(s.g, a, a), rows ? 2 : 1, true);
    s.out[1] = clm_mul(s.g, clm_tanh(s.g, a), b);
    s.n_out = 2;
    double *truth = run(host, &s, TASKS, 0, NULL), *fused = run(device, &s, TASKS, 0, &both);
    expect_close(fused, truth, outputs_size(&s, TASKS), "a map beside a sum");
    s.n_out = 1;
    free(run(device, &s, TASKS, 0, &sum));
    ck_assert_uint_eq(both - sum, rows || _i % 2 == 1);
    free(truth);
    free(fused);
    clm_device_close(device);
    clm_device_close(host);
    sample_free(&s);
}
END_TEST

/* ---- launches of unrelated arrays ---- */

START_TEST(updates_are_one_launch) {
    static const int sizes[] = {64, 1, 576, 37, 3 * 3 * 16 * 16};
    enum { N = sizeof sizes / sizeof *sizes };
    clm_random r = clm_random_make(14, (uint64_t)_i);
    sample s = sample_new();
    clm_value rate = input(&s, &r, (clm_shape){0}, false), p[N];
    for (int i = 0; i < N; i++) {
        p[i] = input(&s, &r, clm_shape_of(1, sizes[i]), i % 2);
        const clm_value g = input(&s, &r, clm_shape_of(1, sizes[i]), true);
        s.out[s.n_out++] = clm_sub(s.g, p[i], clm_mul(s.g, rate, g));
    }
    ck_assert_uint_eq(check(&s, _i % 2, "updates"), 1);
    for (int i = 0; i < N; i++) s.out[i] = clm_sum_tasks(s.g, s.out[i], i % 3 && i % 2 == 0 ? p[i] : CLM_INVALID);
    ck_assert_uint_eq(check(&s, _i % 2, "updates and sums over tasks"), 2);
    sample_free(&s);
}
END_TEST

/* ---- whatever comes ---- */

/* Elementwise operations, broadcasts and reductions at random over [n, h, w, c]. */
static void random_graph(sample *s, clm_random *r) {
    const int d[4] = {1 + (int)clm_random_below(r, 5), 1 + (int)clm_random_below(r, 6), 1 + (int)clm_random_below(r, 4),
                      1 + (int)clm_random_below(r, 20)};
    clm_value v[40];
    int n = 0;
    for (int i = 0; i < 5; i++) {
        clm_shape shape = clm_shape_of(4, d[0], d[1], d[2], d[3]);
        for (int a = 0; a < 4 && i > 1; a++)
            if (clm_random_below(r, 2)) shape.dim[a] = 1;
        v[n++] = input(s, r, shape, i != 2);
    }
    while (n < 40) {
        const clm_value a = v[clm_random_below(r, (uint32_t)n)], b = v[n - 1 - (int)clm_random_below(r, 3)];
        const unsigned axes =
            clm_random_below(r, 3) ? (clm_random_below(r, 2) ? 7u : 8u) : 1 + (unsigned)clm_random_below(r, 15);
        switch (clm_random_below(r, 8)) {
        case 0: v[n++] = clm_mul(s->g, clm_tanh(s->g, a), b); break;
        case 1: v[n++] = clm_sub(s->g, a, b); break;
        case 2: v[n++] = clm_sigmoid(s->g, b); break;
        case 3: v[n++] = clm_reduce_max(s->g, b, axes, true); break;
        case 4: v[n++] = clm_tanh(s->g, clm_add(s->g, a, b)); break;
        default: v[n++] = clm_mean(s->g, b, axes, true);
        }
    }
    for (int i = 0; i < 8; i++) s->out[s->n_out++] = v[n - 1 - (int)clm_random_below(r, 30)];
    s->out[s->n_out++] = v[n - 1];
}

static uint64_t seed;

START_TEST(random_graphs) {
    clm_random r = clm_random_make(seed, (uint64_t)_i);
    sample s = sample_new();
    random_graph(&s, &r);
    check(&s, _i % 2, "random graph");
    sample_free(&s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fusion");
    TCase *tcase = tcase_create("fusion");
    seed = clm_test_seed();
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, cross_entropy_is_one_launch, 0, WITH_SMALL_GROUPS * (int)(sizeof losses / sizeof *losses));
    tcase_add_loop_test(tcase, statistics_end_in_their_sum, 0, WAYS_TO_OPEN * 3);
    tcase_add_loop_test(tcase, maps_join_their_sum, 0, WAYS_TO_OPEN * 6);
    tcase_add_loop_test(tcase, maps_go_along, 0, 8);
    tcase_add_loop_test(tcase, updates_are_one_launch, 0, WAYS_TO_OPEN);
    tcase_add_loop_test(tcase, random_graphs, 0, WAYS_TO_OPEN * 3);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
