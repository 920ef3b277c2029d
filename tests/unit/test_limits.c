/* Where the library has to refuse, or to divide what it does: shapes and sizes out of bounds, derivatives with respect to values
 * that were simplified away, too many parameters, kernels that would grow too large, preparation that fails half-way. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/clmaml.h"
#include "program/internal.h"
#include "support/numbers.h"
#include "support/run.h"

static clm_graph *g;
static clm_device *host;

static void setup(void) {
    CLM_TEST_OK(clm_graph_create(&g));
    host = clm_test_open_host();
}

static void teardown(void) {
    clm_graph_free(g);
    clm_device_close(host);
}

/* ---- graphs ---- */

START_TEST(sum_over_an_axis_that_was_not_repeated) {
    clm_value x = clm_input(g, "x", clm_shape_of(3, 1, 1, 2), false), wide = clm_broadcast(g, x, clm_shape_of(3, 1, 4, 2));
    clm_value y[2] = {clm_sum(g, wide, 1u, true), clm_sum(g, wide, 1u | 2u | 4u, false)};
    double in[2] = {3, 5}, rows[8], all;
    CLM_TEST_OK(clm_test_run(host, g, 1, &x, (const double *[]){in}, 1, y, (double *[]){rows, &all}, 2));
    for (int e = 0; e < 8; e++) ck_assert_double_eq(rows[e], in[e % 2]);
    ck_assert_double_eq(all, 4 * (3 + 5));
}
END_TEST

START_TEST(shape_of_too_many_axes) {
    clm_value x = clm_input(g, "x", clm_shape_of(1, 3), false);
    clm_shape shape = {.rank = 1 << 20, .dim = {1, 1, 1, 1, 1, 3}};
    ck_assert_int_eq(clm_broadcast(g, x, shape), CLM_INVALID);
    ck_assert_int_eq(clm_graph_status(g), CLM_E_SHAPE);
    ck_assert_uint_eq(clm_shape_size(&shape), 3);
}
END_TEST

/* ---- derivatives with respect to intermediate values ---- */

static const int32_t turn[CLM_MAX_RANK] = {1, 0}, none[CLM_MAX_RANK], one[CLM_MAX_RANK] = {1, 1};
static clm_value twice(clm_value x) { return clm_scale(g, x, 2); }
static clm_value turned(clm_value x) { return clm_transpose(g, x, turn); }
static clm_value flat(clm_value x) { return clm_reshape(g, x, clm_shape_of(1, (int)clm_test_elements(g, x, 1))); }
static clm_value split(clm_value x) { return clm_reshape(g, x, clm_shape_of(2, 2, (int)clm_test_elements(g, x, 1) / 2)); }
static clm_value part(clm_value x) {
    clm_shape s = clm_value_shape(g, x);
    s.dim[0]--;
    return clm_slice(g, x, none, s);
}
static clm_value padded(clm_value x) { return clm_pad(g, x, one, one); }
static clm_value wide(clm_value x) {
    clm_shape s = clm_value_shape(g, x);
    for (int a = s.rank++; a > 0; a--) s.dim[a] = s.dim[a - 1];
    s.dim[0] = 3;
    return clm_broadcast(g, x, s);
}
static clm_value rows(clm_value x) { return clm_sum(g, x, 1u, true); }

/* z of y of x, where z is built on x; each is linear in what it is built on. */
static const struct {
    clm_value (*y)(clm_value), (*z)(clm_value);
} chains[] = {{twice, twice}, {turned, turned}, {flat, split}, {part, part}, {padded, padded}, {wide, wide}, {wide, rows}};

START_TEST(derivative_past_a_value) {
    clm_value x = clm_input(g, "x", clm_shape_of(2, 4, 6), false), y = chains[_i].y(x), z = clm_sum_all(g, chains[_i].z(y)), d;
    ck_assert_int_eq(clm_grad(g, z, &y, 1, &d), CLM_E_ARG);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "clm_identity"));
}
END_TEST

START_TEST(derivative_at_an_identity) {
    clm_value x = clm_input(g, "x", clm_shape_of(2, 4, 6), false), y = clm_identity(g, chains[_i].y(x));
    clm_value dy, dx, z = clm_sum_all(g, clm_mul(g, chains[_i].z(y), chains[_i].z(y)));
    CLM_TEST_OK(clm_grad(g, z, &y, 1, &dy));
    CLM_TEST_OK(clm_grad(g, z, &x, 1, &dx));
    /* z is of second degree: <y, dz/dy> = <x, dz/dx> = 2 z */
    clm_value out[3] = {clm_sum_all(g, clm_mul(g, y, dy)), clm_sum_all(g, clm_mul(g, x, dx)), z};
    double in[24], along_y, along_x, value;
    for (int e = 0; e < 24; e++) in[e] = e - 7.5;
    CLM_TEST_OK(clm_test_run(host, g, 1, &x, (const double *[]){in}, 1, out, (double *[]){&along_y, &along_x, &value}, 3));
    ck_assert_double_gt(value, 1);
    ck_assert_double_eq_tol(along_y, 2 * value, 1e-9 * value);
    ck_assert_double_eq_tol(along_x, 2 * value, 1e-9 * value);
}
END_TEST

/* ---- tensors and programs ---- */

START_TEST(tensors_out_of_bounds) {
    const clm_shape bad[] = {{.rank = 9}, {.rank = -1}, {1, {0}}, {2, {3, -3}}, {4, {65536, 65536, 65536, 65536}}};
    clm_tensor *t = NULL, *u = NULL, *view = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(clm_tensor_create(&t, host, bad[i], 0), CLM_E_SHAPE);
        ck_assert_ptr_null(t);
    }
    CLM_TEST_OK(clm_tensor_create(&t, host, clm_shape_of(1, 8), 0));
    ck_assert_int_eq(clm_tensor_view(&view, t, SIZE_MAX - 1, clm_shape_of(1, 3), 0), CLM_E_SHAPE);
    ck_assert_int_eq(clm_tensor_view(&view, t, 6, clm_shape_of(1, 3), 0), CLM_E_SHAPE);
    clm_device *other = clm_test_open_host();
    CLM_TEST_OK(clm_tensor_create(&u, other, clm_shape_of(1, 8), 0));
    ck_assert_int_eq(clm_tensor_copy(u, t), CLM_E_ARG);
    clm_tensor_free(t);
    clm_tensor_free(u);
    clm_device_close(other);
}
END_TEST

/* Preparation fails for want of memory; then the input is bound, and the tensor stays the caller's. */
START_TEST(binding_after_a_failed_preparation) {
    clm_value x = clm_input(g, "x", clm_shape_of(1, 4), false), y = clm_sum_all(g, clm_scale(g, x, 2));
    clm_value big = clm_broadcast(g, x, clm_shape_of(2, 64, 4)), out[2] = {y, clm_exp(g, big)};
    clm_program *p = NULL;
    clm_tensor *t = NULL;
    CLM_TEST_OK(clm_program_create(&p, host, g, out, 2, NULL));
    uint64_t most = host->info.max_allocation;
    host->info.max_allocation = 64 * 4 * sizeof(double) - 1;
    ck_assert_int_eq(clm_program_prepare(p), CLM_E_MEMORY);
    ck_assert_ptr_null(clm_program_tensor(p, x));
    host->info.max_allocation = most;
    CLM_TEST_OK(clm_tensor_create(&t, host, clm_shape_of(1, 4), 0));
    CLM_TEST_OK(clm_tensor_write_f64(t, (double[]){1, 2, 3, 4}, 4));
    CLM_TEST_OK(clm_program_bind(p, x, t));
    CLM_TEST_OK(clm_program_prepare(p));
    CLM_TEST_OK(clm_program_run(p));
    double sum;
    CLM_TEST_OK(clm_tensor_read_f64(clm_program_tensor(p, y), &sum, 1));
    ck_assert_double_eq(sum, 20);
    ck_assert_int_eq(clm_program_profile(p, 0, stdout), CLM_E_ARG);
    clm_program_free(p);
    clm_tensor_free(t);
    ck_assert_uint_eq(clm_device_allocated(host), 0);
}
END_TEST

/* Six sums of long expressions over one index space: more than one kernel holds. */
START_TEST(sums_too_many_for_a_kernel) {
    enum { LENGTH = 64, STEPS = 40, SUMS = 6 };
    clm_device *device = clm_test_open_opencl();
    clm_value x = clm_input(g, "x", clm_shape_of(1, LENGTH), false), y[SUMS];
    double in[LENGTH], expected[SUMS], result[2][SUMS];
    for (int e = 0; e < LENGTH; e++) in[e] = 0.01 * e;
    for (int s = 0; s < SUMS; s++) {
        clm_value v = x;
        for (int k = 0; k < STEPS; k++) v = clm_abs(g, clm_sub(g, v, clm_scale(g, x, 0.1 * s + 0.07 * k)));
        y[s] = clm_sum_all(g, v);
    }
    double *to_host[SUMS], *to_device[SUMS];
    for (int s = 0; s < SUMS; s++) to_host[s] = &result[0][s], to_device[s] = &result[1][s];
    CLM_TEST_OK(clm_test_run(host, g, 1, &x, (const double *[]){in}, 1, y, to_host, SUMS));
    CLM_TEST_OK(clm_test_run(device, g, 1, &x, (const double *[]){in}, 1, y, to_device, SUMS));
    for (int s = 0; s < SUMS; s++) {
        expected[s] = 0;
        for (int e = 0; e < LENGTH; e++) {
            double v = in[e];
            for (int k = 0; k < STEPS; k++) v = fabs(v - (0.1 * s + 0.07 * k) * in[e]);
            expected[s] += v;
        }
    }
    ck_assert_double_lt(clm_test_difference(result[0], expected, SUMS), 1e-12);
    ck_assert_double_lt(clm_test_difference(result[1], expected, SUMS), 1e-4);
    clm_device_close(device);
}
END_TEST

/* ---- meta-learners ---- */

enum { MANY = 5000 };

static clm_value sum_of_all(void *user, clm_graph *graph, const clm_value *params, clm_value x, clm_bn_stats *stats) {
    (void)stats;
    for (int i = 0; i < *(int *)user; i++) x = clm_mul(graph, x, params[i]);
    return x;
}

START_TEST(too_many_parameters) {
    clm_param *params = calloc(MANY, sizeof *params);
    clm_shape in = clm_shape_of(1, 1);
    clm_model *model = NULL;
    clm_meta *meta = NULL;
    clm_learner *learner = NULL;
    clm_meta_options mo = CLM_META_OPTIONS_INIT;
    clm_learner_options lo = CLM_LEARNER_OPTIONS_INIT;
    int count = MANY;
    ck_assert_ptr_nonnull(params);
    for (int i = 0; i < MANY; i++) {
        snprintf(params[i].name, sizeof params[i].name, "p%d", i);
        params[i].shape = clm_shape_of(1, 1);
    }
    mo.task.loss.name = lo.task.loss.name = "mse";
    CLM_TEST_OK(clm_model_custom(&model, &in, params, MANY, sum_of_all, &count));
    ck_assert_int_eq(clm_meta_create(&meta, host, model, &mo), CLM_E_LIMIT);
    ck_assert_int_eq(clm_learner_create(&learner, host, model, &lo), CLM_E_LIMIT);
    ck_assert_ptr_null(meta);
    ck_assert_ptr_null(learner);
    clm_model_free(model);
    free(params);
}
END_TEST

START_TEST(results_before_a_gradient_and_bad_counters) {
    clm_model *model = NULL;
    clm_meta *meta = NULL;
    clm_archive *archive = NULL;
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    const double bad[] = {-1, 0.5, 1e300};
    double loss[32];
    options.task.loss.name = "mse";
    CLM_TEST_OK(clm_model_mlp(&model, 1, (const int[]){2}, 1, 1));
    CLM_TEST_OK(clm_meta_create(&meta, host, model, &options));
    CLM_TEST_OK(clm_meta_prepare(meta));
    ck_assert_int_eq(clm_meta_read(meta, CLM_Q_QUERY_LOSS, 0, loss), CLM_E_STATE);
    CLM_TEST_OK(clm_archive_create(&archive));
    CLM_TEST_OK(clm_meta_save(meta, archive));
    CLM_TEST_OK(clm_meta_restore(meta, archive));
    for (int i = 0; i < 3; i++) {
        CLM_TEST_OK(clm_archive_add(archive, "optim.updates", CLM_F64, &(clm_shape){0}, &bad[i]));
        ck_assert_int_eq(clm_meta_restore(meta, archive), CLM_E_FORMAT);
    }
    ck_assert_uint_eq(clm_meta_iteration(meta), 0);
    clm_archive_free(archive);
    clm_meta_free(meta);
    clm_model_free(model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("limits");
    TCase *c = tcase_create("limits");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, sum_over_an_axis_that_was_not_repeated);
    tcase_add_test(c, shape_of_too_many_axes);
    tcase_add_loop_test(c, derivative_past_a_value, 0, (int)(sizeof chains / sizeof *chains));
    tcase_add_loop_test(c, derivative_at_an_identity, 0, (int)(sizeof chains / sizeof *chains));
    tcase_add_test(c, tensors_out_of_bounds);
    tcase_add_test(c, binding_after_a_failed_preparation);
    tcase_add_test(c, sums_too_many_for_a_kernel);
    tcase_add_test(c, too_many_parameters);
    tcase_add_test(c, results_before_a_gradient_and_bad_counters);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
