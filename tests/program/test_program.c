/* Programs: the memory plan, buffers of limited size, memory that is refused, what kernels depend on, mistakes. test_outputs.c has what they compute. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/clmaml.h"
#include "program/internal.h"
#include "support/meta_setup.h"
#include "support/program_setup.h"
#include "support/run.h"

enum { N = 7, TASKS = 3 };

/* ---- the memory plan ---- */

/* Gradient and Hessian-vector product of a small model: many values, long and short lives. */
typedef struct sample {
    clm_graph *g;
    clm_model *model;
    clm_value in[24], out[24];
    double *data[24];
    size_t n_in, n_out;
} sample;

static void sample_make(sample *s, clm_test_net net) {
    clm_random r = clm_random_make(17, 3);
    clm_value param[16], v[16], x, y;
    *s = (sample){.g = graph_new(), .model = clm_test_model(net)};
    size_t n = clm_model_param_count(s->model);
    clm_shape one = clm_model_inner_in_shape(s->model), many = {.rank = one.rank + 1, .dim = {4}};
    for (int k = 0; k < one.rank; k++) many.dim[k + 1] = one.dim[k];
    for (size_t i = 0; i < n; i++)
        param[i] = s->in[s->n_in++] = clm_input(s->g, "p", clm_model_param(s->model, i)->inner_shape, i % 2);
    for (size_t i = 0; i < n; i++)
        v[i] = s->in[s->n_in++] = clm_input(s->g, "v", clm_model_param(s->model, i)->inner_shape, true);
    x = s->in[s->n_in++] = clm_input(s->g, "x", many, true);
    y = s->in[s->n_in++] = clm_input(s->g, "y", clm_shape_of(1, 4), true);
    clm_value loss = clm_cross_entropy(s->g, clm_model_apply(s->model, s->g, param, x, NULL), y, CLM_REDUCE_MEAN);
    s->out[s->n_out++] = loss;
    CLM_TEST_OK(clm_grad(s->g, loss, param, n, s->out + 1));
    CLM_TEST_OK(clm_jvp(s->g, param, v, n, s->out + 1, n, s->out + 1 + n));
    s->n_out += 2 * n;
    for (size_t i = 0; i < s->n_in; i++) {
        size_t size = clm_test_elements(s->g, s->in[i], TASKS);
        s->data[i] = calloc(size, sizeof(double));
        for (size_t e = 0; e < size; e++)
            s->data[i][e] = s->in[i] == y ? (double)clm_random_below(&r, 3) : 0.5 * clm_random_normal(&r);
    }
}

static void sample_free(sample *s) {
    for (size_t i = 0; i < s->n_in; i++) free(s->data[i]);
    clm_model_free(s->model);
    clm_graph_free(s->g);
}

static clm_test_vector sample_run(clm_device *device, sample *s, clm_program_options options, size_t *buffers, size_t *bytes) {
    clm_test_vector v = {0};
    clm_program *p = NULL;
    options.tasks = TASKS;
    size_t before = clm_device_allocated(device);
    CLM_TEST_OK(clm_program_create(&p, device, s->g, s->out, s->n_out, &options));
    ck_assert_uint_eq(clm_device_allocated(device), before);
    CLM_TEST_OK(clm_program_prepare(p));
    clm_program_stats stats = clm_program_get_stats(p);
    ck_assert_uint_eq(clm_device_allocated(device) - before, stats.workspace_bytes + stats.tensor_bytes);
    if (buffers) *buffers = p->n_buffers;
    if (bytes) *bytes = stats.workspace_bytes;
    for (size_t i = 0; i < s->n_in; i++) CLM_TEST_OK(clm_test_feed(p, s->in[i], s->data[i]));
    for (int k = 0; k < 2; k++) CLM_TEST_OK(clm_program_run(p)); /* what the first run leaves must not matter */
    for (size_t i = 0; i < s->n_out; i++) {
        size_t size = clm_test_elements(s->g, s->out[i], TASKS);
        v.data = realloc(v.data, (v.n + size) * sizeof *v.data);
        CLM_TEST_OK(clm_test_fetch(p, s->out[i], v.data + v.n));
        v.n += size;
    }
    clm_program_free(p);
    ck_assert_uint_eq(clm_device_allocated(device), before);
    return v;
}

/* Shared memory, memory of its own for each value, and NaN in all of it before each run: the same bits. Fusion changes rounding
 * only. */
START_TEST(memory_plan_changes_nothing) {
    clm_device *device = clm_test_open(_i / 2);
    sample s;
    sample_make(&s, _i % 2 ? CLM_TEST_NET_COLOUR : CLM_TEST_NET_CLASSES);
    size_t shared = 0, separate = 0;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    clm_test_vector plain = sample_run(device, &s, options, NULL, &shared);
    for (int k = 1; k < 4; k++) {
        options.no_plan = k & 1;
        options.poison = k & 2;
        clm_test_vector v = sample_run(device, &s, options, NULL, k == 1 ? &separate : NULL);
        clm_test_expect_same(&plain, &v, options.poison ? "poisoned" : "without a plan");
        clm_test_vector_free(&v);
    }
    ck_assert_uint_lt(shared, separate);
    options = (clm_program_options)CLM_PROGRAM_OPTIONS_INIT;
    options.no_fusion = options.poison = true;
    clm_test_vector v = sample_run(device, &s, options, NULL, NULL);
    clm_test_expect_close(&plain, &v, clm_test_rounding(_i / 2), "one kernel per operation");
    clm_test_vector_free(&v);
    clm_test_vector_free(&plain);
    sample_free(&s);
    clm_device_close(device);
}
END_TEST

/* On a device that gives memory in small pieces only. */
START_TEST(workspace_in_several_buffers) {
    clm_device *device = clm_test_open(_i);
    sample s;
    sample_make(&s, CLM_TEST_NET_COLOUR);
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    size_t buffers = 0;
    options.poison = true;
    clm_test_vector one = sample_run(device, &s, options, &buffers, NULL);
    ck_assert_uint_eq(buffers, 2);                  /* of shared values and of tasks' */
    size_t largest = (size_t)TASKS * 4 * 5 * 4 * 4; /* activations [tasks, 4, 5, 4, 4] */
    device->info.max_allocation = (largest + 64) * device->backend->element_size;
    clm_test_count(device);
    clm_test_vector several = sample_run(device, &s, options, &buffers, NULL);
    ck_assert_uint_gt(buffers, 2);
    ck_assert_uint_le(clm_test_counted.largest, largest + 64);
    clm_test_expect_same(&one, &several, "one buffer and several");
    device->info.max_allocation = largest / 2 * device->backend->element_size;
    clm_program *p = NULL;
    options.tasks = TASKS;
    ck_assert_int_eq(clm_program_create(&p, device, s.g, s.out, s.n_out, &options), CLM_E_LIMIT);
    ck_assert_ptr_null(p);
    ck_assert_msg(strstr(clm_last_error(), "largest allocation") != NULL, "%s", clm_last_error());
    clm_test_vector_free(&one);
    clm_test_vector_free(&several);
    sample_free(&s);
    clm_device_close(device);
}
END_TEST

/* Programs of one workspace run one after the other in the same memory, as large as the largest needs. */
START_TEST(workspace_is_shared) {
    clm_device *device = clm_test_open(_i);
    clm_workspace *workspace = NULL;
    clm_program *p[2] = {NULL}, *late = NULL;
    sample s[2];
    size_t need[2];
    CLM_TEST_OK(clm_workspace_create(&workspace, device));
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;
    options.workspace = workspace;
    for (int i = 0; i < 2; i++) {
        sample_make(&s[i], i ? CLM_TEST_NET_COLOUR : CLM_TEST_NET_CLASSES);
        CLM_TEST_OK(clm_program_create(&p[i], device, s[i].g, s[i].out, s[i].n_out, &options));
        need[i] = clm_program_get_stats(p[i]).workspace_bytes;
    }
    ck_assert_uint_eq(clm_workspace_bytes(workspace), need[0] > need[1] ? need[0] : need[1]);
    for (int i = 0; i < 2; i++) {
        CLM_TEST_OK(clm_program_prepare(p[i]));
        for (size_t k = 0; k < s[i].n_in; k++) CLM_TEST_OK(clm_test_feed(p[i], s[i].in[k], s[i].data[k]));
    }
    ck_assert_int_eq(clm_program_create(&late, device, s[0].g, s[0].out, s[0].n_out, &options), CLM_E_STATE);
    ck_assert_ptr_null(late);
    double first[2], again[2];
    for (int k = 0; k < 4; k++) {
        double loss[TASKS];
        CLM_TEST_OK(clm_program_run(p[k % 2]));
        CLM_TEST_OK(clm_test_fetch(p[k % 2], s[k % 2].out[0], loss));
        *(k < 2 ? &first[k] : &again[k - 2]) = loss[TASKS - 1];
    }
    for (int i = 0; i < 2; i++) {
        ck_assert(first[i] > 0 && first[i] == again[i]);
        clm_program_free(p[i]);
        sample_free(&s[i]);
    }
    clm_workspace_free(workspace);
    ck_assert_uint_eq(clm_device_allocated(device), 0);
    clm_device_close(device);
}
END_TEST

/* ---- memory that is refused ---- */

START_TEST(program_survives_refused_allocations) {
    clm_device *device = clm_test_open(_i);
    sample s;
    sample_make(&s, CLM_TEST_NET_CLASSES);
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    clm_test_vector expected = sample_run(device, &s, options, NULL, NULL);
    options.tasks = TASKS;
    clm_test_count(device);
    size_t failures = 0;
    for (bool done = false; !done; failures++) {
        clm_program *p = NULL;
        double loss[TASKS];
        CLM_TEST_OK(clm_program_create(&p, device, s.g, s.out, s.n_out, &options));
        clm_test_counted = (clm_test_counts){.fail_at = failures + 1};
        clm_status status = clm_program_prepare(p);
        done = clm_test_counted.allocations <= failures;
        ck_assert_int_eq(status, done ? CLM_OK : CLM_E_MEMORY);
        if (!done) ck_assert_int_eq(clm_program_run(p), CLM_E_STATE);
        CLM_TEST_OK(clm_program_prepare(p));
        for (size_t i = 0; i < s.n_in; i++) CLM_TEST_OK(clm_test_feed(p, s.in[i], s.data[i]));
        CLM_TEST_OK(clm_program_run(p));
        CLM_TEST_OK(clm_test_fetch(p, s.out[0], loss));
        ck_assert_int_eq(memcmp(loss, expected.data, sizeof loss), 0);
        clm_program_free(p);
        ck_assert_uint_eq(clm_device_allocated(device), 0);
    }
    ck_assert_uint_gt(failures, s.n_in);
    clm_test_vector_free(&expected);
    sample_free(&s);
    clm_device_close(device);
}
END_TEST

/* ---- what kernels depend on ---- */

/* m = mean of a x + b over one axis and a x + b - m, of ramps, against sums in double precision. */
static void center(clm_device *device, clm_shape shape, int axis, double a, double b) {
    clm_graph *g = graph_new();
    const clm_value x = clm_input(g, "x", shape, false), y = clm_affine(g, x, a, b), m = clm_mean(g, y, 1u << axis, true);
    const clm_value out[] = {m, clm_sub(g, y, m)};
    clm_program *p = program_new(device, g, out, 2, 1);
    const int rows = shape.dim[0], columns = shape.dim[1], n = axis ? rows : columns;
    double *data = calloc((size_t)(rows * columns), sizeof *data), *mean = calloc((size_t)n, sizeof *mean),
           *got = calloc((size_t)(rows * columns), sizeof *got);
    for (int i = 0; i < rows * columns; i++) {
        data[i] = (i * 37 % 101 - 50) / 64.0;
        mean[axis ? i / columns : i % columns] += (a * data[i] + b) / shape.dim[axis];
    }
    CLM_TEST_OK(clm_program_prepare(p));
    CLM_TEST_OK(clm_test_feed(p, x, data));
    CLM_TEST_OK(clm_program_run(p));
    CLM_TEST_OK(clm_test_fetch(p, out[0], got));
    for (int i = 0; i < n; i++) ck_assert_double_eq_tol(got[i], mean[i], 2e-6);
    CLM_TEST_OK(clm_test_fetch(p, out[1], got));
    for (int i = 0; i < rows * columns; i++)
        ck_assert_double_eq_tol(got[i], a * data[i] + b - mean[axis ? i / columns : i % columns], 2e-6);
    clm_program_free(p);
    clm_graph_free(g);
    free(data);
    free(mean);
    free(got);
}

/* w - a g for two arrays, which are updated in one launch. */
static void update(clm_device *device, int size, double rate) {
    clm_graph *g = graph_new();
    clm_value w[2], d[2], out[2];
    double data[2][64], got[64];
    for (int k = 0; k < 2; k++) {
        w[k] = clm_input(g, "w", clm_shape_of(1, size), false);
        d[k] = clm_input(g, "d", clm_shape_of(1, size), false);
        out[k] = clm_sub(g, w[k], clm_scale(g, d[k], rate));
    }
    clm_program *p = program_new(device, g, out, 2, 1);
    CLM_TEST_OK(clm_program_prepare(p));
    ck_assert_uint_eq(clm_program_get_stats(p).launches, 1);
    for (int i = 0; i < 2 * size; i++) data[i % 2][i / 2] = (i * 37 % 101 - 50) / 64.0;
    for (int k = 0; k < 2; k++) {
        CLM_TEST_OK(clm_test_feed(p, w[k], data[k]));
        CLM_TEST_OK(clm_test_feed(p, d[k], data[1 - k]));
    }
    CLM_TEST_OK(clm_program_run(p));
    for (int k = 0; k < 2; k++) {
        CLM_TEST_OK(clm_test_fetch(p, out[k], got));
        for (int i = 0; i < size; i++) ck_assert_double_eq_tol(got[i], data[k][i] - rate * data[1 - k][i], 1e-6);
    }
    clm_program_free(p);
    clm_graph_free(g);
}

/* Neither on sizes, nor on what a mean is divided by, nor on factors such as learning rates: of a column, in segments, of a row. */
START_TEST(sizes_and_constants_share_kernels) {
    static const struct {
        int rows, columns, more_rows, more_columns, axis;
    } cases[] = {{10, 64, 14, 64, 0}, {40000, 16, 48000, 16, 0}, {6, 96, 9, 160, 1}};
    clm_device *device = clm_test_open_opencl();
    const int rows = cases[_i].rows, columns = cases[_i].columns;
    center(device, clm_shape_of(2, rows, columns), cases[_i].axis, 0.3, 0.1);
    const size_t built = clm_device_kernels_built(device);
    ck_assert_uint_gt(built, 0);
    center(device, clm_shape_of(2, rows, columns), cases[_i].axis, -0.7, 3);
    center(device, clm_shape_of(2, cases[_i].more_rows, cases[_i].more_columns), cases[_i].axis, 1.7, 0.05);
    ck_assert_uint_eq(clm_device_kernels_built(device), built);
    clm_device_close(device);
}
END_TEST

START_TEST(updates_share_kernels) {
    clm_device *device = clm_test_open_opencl();
    update(device, 48, 0.4);
    const size_t built = clm_device_kernels_built(device);
    ck_assert_uint_gt(built, 0);
    update(device, 48, 0.01);
    update(device, 64, 0.07);
    ck_assert_uint_eq(clm_device_kernels_built(device), built);
    clm_device_close(device);
}
END_TEST

/* ---- mistakes ---- */

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" does not say \"%s\"", clm_last_error(), text)

START_TEST(mistakes_are_named) {
    clm_device *device = clm_test_open_host(), *other = clm_test_open_host();
    clm_graph *g = graph_new();
    clm_shape shape = clm_shape_of(1, N);
    clm_value x = clm_input(g, "x", shape, true), y = clm_exp(g, x), bad = 1000;
    clm_program *p = NULL;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.version = 7;
    ck_assert_int_eq(clm_program_create(&p, device, g, &y, 1, &options), CLM_E_ARG);
    SAYS("CLM_PROGRAM_OPTIONS_INIT");
    options = (clm_program_options)CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = 0;
    ck_assert_int_eq(clm_program_create(&p, device, g, &y, 1, &options), CLM_E_ARG);
    ck_assert_int_eq(clm_program_create(&p, device, g, &bad, 1, NULL), CLM_E_ARG);
    ck_assert_ptr_null(p);
    p = program_new(device, g, &y, 1, TASKS);
    clm_tensor *right = tensor_new(device, shape, TASKS, NULL), *shared = tensor_new(device, shape, 0, NULL);
    clm_tensor *wrong = tensor_new(device, clm_shape_of(1, N + 1), TASKS, NULL),
               *foreign = tensor_new(other, shape, TASKS, NULL), *view;
    ck_assert_int_eq(clm_program_bind(p, x, wrong), CLM_E_SHAPE);
    SAYS("[7]");
    SAYS("[8]");
    ck_assert_int_eq(clm_program_bind(p, x, shared), CLM_E_SHAPE);
    ck_assert_int_eq(clm_program_bind(p, x, foreign), CLM_E_ARG);
    ck_assert_ptr_null(clm_program_tensor(p, y));
    ck_assert_int_eq(clm_program_run(p), CLM_E_STATE);
    CLM_TEST_OK(clm_program_prepare(p));
    ck_assert_int_eq(clm_program_bind(p, x, right), CLM_E_STATE);
    double data[TASKS * N + 1] = {0};
    ck_assert_int_eq(clm_tensor_write_f64(right, data, TASKS * N + 1), CLM_E_SHAPE);
    ck_assert_int_eq(clm_tensor_read_f64(right, data, N), CLM_E_SHAPE);
    ck_assert_int_eq(clm_tensor_copy(right, shared), CLM_E_SHAPE);
    ck_assert_int_eq(clm_tensor_view(&view, right, 15, shape, 0), CLM_E_SHAPE);
    ck_assert_ptr_null(view);
    clm_add(g, x, clm_input(g, "z", clm_shape_of(1, 5), false)); /* does not broadcast: the graph remembers */
    clm_program *late = NULL;
    ck_assert_int_eq(clm_program_create(&late, device, g, &y, 1, NULL), CLM_E_SHAPE);
    ck_assert_ptr_null(late);
    CLM_TEST_OK(clm_program_run(p)); /* made before */
    clm_program_free(p);
    clm_program_free(NULL);
    clm_tensor *tensors[] = {right, shared, wrong, foreign, NULL};
    for (int i = 0; i < 5; i++) clm_tensor_free(tensors[i]);
    clm_graph_free(g);
    clm_device_close(device);
    clm_device_close(other);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("program");
    TCase *tcase = tcase_create("program");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, memory_plan_changes_nothing, 0, 2 * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, workspace_in_several_buffers, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, workspace_is_shared, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, program_survives_refused_allocations, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, sizes_and_constants_share_kernels, 0, 3);
    tcase_add_test(tcase, updates_share_kernels);
    tcase_add_test(tcase, mistakes_are_named);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
