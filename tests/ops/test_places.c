/* In-place results, also in units that sum what they write, and rematerialised arrays: the results are the same bits as where
 * every array has memory of its own, and agree with the host reference.
 *
 * Every case transposes on the way in and out, so that all values in between are in the workspace, which is filled with NaN
 * before each run.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/clmaml.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 2, MOST = 8, WAYS_TO_OPEN = 2 };

static const char *const ways_to_open[WAYS_TO_OPEN] = {"", "type=gpu"};

typedef struct sample {
    clm_graph *g;
    clm_random random;
    clm_value in[MOST], out[MOST];
    double *data[MOST];
    size_t n_in, n_out;
} sample;

static sample sample_new(int number) {
    sample s = {.random = clm_random_make(21, (uint64_t)number)};
    CLM_TEST_OK(clm_graph_create(&s.g));
    return s;
}

static void sample_free(sample *s) {
    for (size_t i = 0; i < s->n_in; i++) free(s->data[i]);
    clm_graph_free(s->g);
}

static clm_value input(sample *s, clm_shape shape) {
    const clm_value v = s->in[s->n_in] = clm_input(s->g, "x", shape, true);
    const size_t n = clm_test_elements(s->g, v, TASKS);
    double *data = s->data[s->n_in++] = calloc(n, sizeof *data);
    for (size_t i = 0; i < n; i++) data[i] = (double)(float)clm_random_normal(&s->random);
    return v;
}

/* Axes in reverse, by an operation that has a kernel of its own. */
static clm_value turned(sample *s, clm_value v) {
    static const int32_t perm[][4] = {{0}, {1, 0}, {2, 1, 0}, {3, 2, 1, 0}};
    return clm_transpose(s->g, v, perm[clm_value_shape(s->g, v).rank - 1]);
}

/* An array in the workspace. */
static clm_value inside(sample *s, clm_shape shape) {
    clm_shape reverse = shape;
    for (int i = 0; i < shape.rank; i++) reverse.dim[i] = shape.dim[shape.rank - 1 - i];
    return turned(s, input(s, reverse));
}

static void output(sample *s, clm_value v) { s->out[s->n_out++] = v; }

static size_t outputs_size(const sample *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->n_out; i++) n += clm_test_elements(s->g, s->out[i], TASKS);
    return n;
}

typedef enum plan { APART, PLACED, THRIFTY } plan;

/* All outputs, one behind the other; bytes of the workspace. */
static double *run(clm_device *d, sample *s, plan how, size_t *workspace) {
    clm_program *p = NULL;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    double *all = calloc(outputs_size(s) + 1, sizeof *all), *at = all;
    options.tasks = TASKS;
    options.poison = true;
    options.no_plan = how == APART;
    options.thrifty = how == THRIFTY;
    CLM_TEST_OK(clm_program_create(&p, d, s->g, s->out, s->n_out, &options));
    CLM_TEST_OK(clm_program_prepare(p));
    *workspace = clm_program_get_stats(p).workspace_bytes;
    for (size_t i = 0; i < s->n_in; i++) CLM_TEST_OK(clm_test_feed(p, s->in[i], s->data[i]));
    for (int again = 0; again < 2; again++) CLM_TEST_OK(clm_program_run(p));
    for (size_t i = 0; i < s->n_out; i++) {
        CLM_TEST_OK(clm_test_fetch(p, s->out[i], at));
        at += clm_test_elements(s->g, s->out[i], TASKS);
    }
    clm_program_free(p);
    return all;
}

/* `arrays`: of the size of `space`, that the workspace may hold; the rest is small. */
static void check_as(sample *s, plan how, int way, clm_shape space, double arrays, const char *what) {
    const size_t n = outputs_size(s);
    size_t shared, apart, ignored;
    clm_device *device = clm_test_open_as(ways_to_open[way]), *host = clm_test_open_host();
    double *truth = run(host, s, how, &ignored), *plain = run(device, s, APART, &apart), *placed = run(device, s, how, &shared);
    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(placed[i] == plain[i], "%s: element %zu is %.17g, apart from others %.17g", what, i, placed[i], plain[i]);
        ck_assert_msg(fabs(placed[i] - truth[i]) <= 2e-4 * (1 + fabs(truth[i])), "%s: element %zu is %.9g, expected %.9g", what,
                      i, placed[i], truth[i]);
    }
    const double each = (double)(clm_shape_size(&space) * TASKS * sizeof(float));
    ck_assert_msg((double)shared < (arrays + 0.5) * each, "%s: %.2f arrays, apart %.2f", what, (double)shared / each,
                  (double)apart / each);
    free(truth);
    free(plain);
    free(placed);
    clm_device_close(device);
    clm_device_close(host);
}

static void check(sample *s, int way, clm_shape space, double arrays, const char *what) {
    check_as(s, PLACED, way, space, arrays, what);
}

/* ---- a map beside its sum ---- */

static const struct {
    clm_shape shape;
    unsigned axes;
} sums[] = {
    {{.rank = 4, .dim = {3, 37, 41, 7}}, 7}, {{.rank = 4, .dim = {20, 60, 60, 8}}, 7}, /* in segments */
    {{.rank = 4, .dim = {5, 9, 11, 32}}, 7}, {{.rank = 4, .dim = {5, 9, 11, 32}}, 5},  {{.rank = 4, .dim = {5, 9, 11, 16}}, 15},
    {{.rank = 2, .dim = {65, 67}}, 2},       {{.rank = 2, .dim = {130, 64}}, 2},       {{.rank = 3, .dim = {64, 3, 48}}, 2},
};

START_TEST(beside_its_sum) {
    const clm_shape shape = sums[_i / WAYS_TO_OPEN].shape;
    const unsigned axes = sums[_i / WAYS_TO_OPEN].axes;
    sample s = sample_new(_i);
    const clm_value a = inside(&s, shape), b = input(&s, clm_shape_of(1, shape.dim[shape.rank - 1]));
    const clm_value y = clm_add(s.g, clm_mul(s.g, clm_tanh(s.g, a), b), a), sum = clm_mean(s.g, y, axes, true);
    output(&s, turned(&s, y));
    output(&s, clm_exp(s.g, sum));
    check(&s, _i % WAYS_TO_OPEN, shape, 1, "a map beside its sum");
    sample_free(&s);
}
END_TEST

/* ---- several passes ---- */

static const struct {
    clm_shape shape;
    unsigned axes;
} passes[] = {{{.rank = 2, .dim = {500, 17}}, 2},
              {{.rank = 2, .dim = {9, 500}}, 1},
              {{.rank = 3, .dim = {40, 7, 33}}, 2},
              {{.rank = 2, .dim = {300, 16}}, 2}};

/* What the last pass writes may take the operand's place. */
START_TEST(by_the_last_pass) {
    const clm_shape shape = passes[_i / WAYS_TO_OPEN].shape;
    const unsigned axes = passes[_i / WAYS_TO_OPEN].axes;
    sample s = sample_new(100 + _i);
    const clm_value a = inside(&s, shape), e = clm_exp(s.g, clm_sub(s.g, a, clm_reduce_max(s.g, a, axes, true)));
    const clm_value q = clm_div(s.g, e, clm_sum(s.g, e, axes, true));
    output(&s, turned(&s, q));
    check(&s, _i % WAYS_TO_OPEN, shape, 1, "what the last pass writes");
    sample_free(&s);
}
END_TEST

/* What an earlier one writes may not: the next reads the operand again. */
START_TEST(by_an_earlier_pass) {
    const clm_shape shape = passes[_i / WAYS_TO_OPEN].shape;
    const unsigned axes = passes[_i / WAYS_TO_OPEN].axes;
    sample s = sample_new(200 + _i);
    const clm_value a = inside(&s, shape), e = clm_exp(s.g, clm_sub(s.g, a, clm_reduce_max(s.g, a, axes, true)));
    const clm_value sum = clm_sum(s.g, e, axes, true);
    output(&s, turned(&s, e));
    output(&s, clm_mean(s.g, clm_mul(s.g, clm_tanh(s.g, clm_div(s.g, e, sum)), a), axes, true));
    check(&s, _i % WAYS_TO_OPEN, shape, 2, "what an earlier pass writes");
    sample_free(&s);
}
END_TEST

/* ---- windows ---- */

/* The adjoint of a layer in its image: what comes back through the windows is written over the image and added up on the
 * way. */
START_TEST(through_windows) {
    static const int sizes[][4] = {{3, 18, 22, 8}, {2, 23, 31, 5}, {25, 21, 21, 32}};
    const int *size = sizes[_i / WAYS_TO_OPEN];
    const clm_shape shape = clm_shape_of(4, size[0], size[1], size[2], size[3]), channels = clm_shape_of(1, size[3]);
    const clm_pool_options pool = {.kernel = {2, 2}, .stride = {2, 2}};
    sample s = sample_new(300 + _i);
    const clm_value a = inside(&s, shape), wrt[3] = {clm_identity(s.g, a), input(&s, channels), input(&s, channels)};
    clm_value y = clm_batch_norm(s.g, wrt[0], wrt[1], wrt[2], 1e-2, NULL, NULL), grad[3];
    y = clm_max_pool(s.g, clm_relu(s.g, y), &pool);
    CLM_TEST_OK(clm_grad(s.g, clm_mean_all(s.g, clm_mul(s.g, y, y)), wrt, 3, grad));
    grad[0] = clm_scale(s.g, grad[0], (double)clm_shape_size(&shape));
    output(&s, clm_mean(s.g, grad[0], 7, false));
    output(&s, turned(&s, grad[0]));
    output(&s, grad[1]);
    output(&s, grad[2]);
    check(&s, _i % WAYS_TO_OPEN, shape, 1.8,
          "an adjoint through windows"); /* pooled values, their places, and their gradient */
    sample_free(&s);
}
END_TEST

/* ---- rematerialisation ---- */

static clm_value layer(sample *s, clm_value x, clm_value filter) {
    clm_conv_options conv = CLM_CONV_INIT;
    const clm_pool_options pool = {.kernel = {2, 2}, .stride = {2, 2}};
    conv.pad[0] = conv.pad[1] = 1;
    x = clm_batch_norm(s->g, clm_conv2d(s->g, x, filter, &conv), CLM_INVALID, CLM_INVALID, 1e-2, NULL, NULL);
    return clm_max_pool(s->g, clm_relu(s->g, x), &pool);
}

/* The image of the first layer is let go of while the others have their turn. */
START_TEST(first_layer_is_rematerialised) {
    static const int sizes[][4] = {{4, 20, 20, 8}, {3, 25, 33, 5}};
    const int *size = sizes[_i / WAYS_TO_OPEN];
    const clm_shape shape = clm_shape_of(4, size[0], size[1], size[2], size[3]);
    sample s = sample_new(400 + _i);
    clm_value w[3], grad[3], y = input(&s, clm_shape_of(4, size[0], size[1], size[2], 2));
    for (int i = 0; i < 3; i++) {
        w[i] = input(&s, clm_shape_of(4, 3, 3, i ? size[3] : 2, size[3]));
        y = layer(&s, y, w[i]);
    }
    CLM_TEST_OK(clm_grad(s.g, clm_mean_all(s.g, clm_mul(s.g, y, y)), w, 3, grad));
    for (int i = 0; i < 3; i++) output(&s, grad[i]);
    size_t kept, thrifty;
    clm_device *device = clm_test_open_as(ways_to_open[_i % WAYS_TO_OPEN]);
    free(run(device, &s, PLACED, &kept));
    free(run(device, &s, THRIFTY, &thrifty));
    clm_device_close(device);
    ck_assert_msg(thrifty < kept - kept / 10, "%zu bytes, and %zu where everything is kept", thrifty, kept);
    check_as(&s, THRIFTY, _i % WAYS_TO_OPEN, shape, 2, "a rematerialised layer");
    sample_free(&s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("places");
    TCase *tcase = tcase_create("places");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, beside_its_sum, 0, WAYS_TO_OPEN * (int)(sizeof sums / sizeof *sums));
    tcase_add_loop_test(tcase, by_the_last_pass, 0, WAYS_TO_OPEN * (int)(sizeof passes / sizeof *passes));
    tcase_add_loop_test(tcase, by_an_earlier_pass, 0, WAYS_TO_OPEN * (int)(sizeof passes / sizeof *passes));
    tcase_add_loop_test(tcase, through_windows, 0, WAYS_TO_OPEN * 3);
    tcase_add_loop_test(tcase, first_layer_is_rematerialised, 0, WAYS_TO_OPEN * 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
