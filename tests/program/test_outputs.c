/* Outputs of programs: in the memory of their inputs, and of every kind. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "program/internal.h"
#include "support/meta_setup.h"
#include "support/program_setup.h"

enum { N = 7, TASKS = 3 };

static void expect(clm_tensor *t, const double *expected) {
    double data[64];
    size_t n = clm_tensor_size(t);
    CLM_TEST_OK(clm_tensor_read_f64(t, data, n));
    for (size_t e = 0; e < n; e++)
        ck_assert_msg(fabs(data[e] - expected[e]) <= 1e-5 * (1 + fabs(expected[e])), "element %zu: %g, expected %g", e, data[e],
                      expected[e]);
}

static const double counting[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21};

/* ---- outputs over inputs ---- */

/* x <- 2 x + sum(x), twice: the sum is of all of the old x. */
START_TEST(output_over_its_input) {
    clm_device *device = clm_test_open(_i);
    clm_graph *g = graph_new();
    clm_value x = clm_input(g, "x", clm_shape_of(1, N), false), y = clm_add(g, clm_scale(g, x, 2), clm_sum_all(g, x));
    clm_program *p = program_new(device, g, &y, 1, 1);
    clm_tensor *t = tensor_new(device, clm_shape_of(1, N), 0, counting);
    CLM_TEST_OK(clm_program_bind(p, x, t));
    CLM_TEST_OK(clm_program_bind(p, y, t));
    CLM_TEST_OK(clm_program_prepare(p));
    ck_assert_ptr_eq(clm_program_tensor(p, x), t);
    ck_assert_ptr_eq(clm_program_tensor(p, y), t);
    double now[N], sum;
    memcpy(now, counting, sizeof now);
    for (int k = 0; k < 2; k++) {
        CLM_TEST_OK(clm_program_run(p));
        sum = 0;
        for (int e = 0; e < N; e++) sum += now[e];
        for (int e = 0; e < N; e++) now[e] = 2 * now[e] + sum;
        expect(t, now);
    }
    clm_program_free(p);
    clm_tensor_free(t);
    clm_graph_free(g);
    ck_assert_uint_eq(clm_device_allocated(device), 0);
    clm_device_close(device);
}
END_TEST

/* (a, b) <- (2 b, 3 a) and, with no arithmetic at all, (a, b) <- (b, a). */
START_TEST(outputs_crosswise) {
    clm_device *device = clm_test_open(_i / 2);
    bool plain = _i % 2;
    clm_graph *g = graph_new();
    clm_shape shape = clm_shape_of(1, N), flat = clm_shape_of(2, N, 1);
    clm_value a = clm_input(g, "a", shape, true), b = clm_input(g, "b", shape, true), out[2];
    out[0] = plain ? clm_reshape(g, b, flat) : clm_reshape(g, clm_scale(g, b, 2), flat);
    out[1] = plain ? clm_reshape(g, a, flat) : clm_reshape(g, clm_scale(g, a, 3), flat);
    clm_program *p = program_new(device, g, out, 2, TASKS);
    double other[TASKS * N], twice[TASKS * N], thrice[TASKS * N];
    for (int e = 0; e < TASKS * N; e++) {
        other[e] = 0.5 - e;
        twice[e] = (plain ? 1 : 2) * other[e];
        thrice[e] = (plain ? 1 : 3) * counting[e];
    }
    clm_tensor *ta = tensor_new(device, shape, TASKS, counting), *tb = tensor_new(device, shape, TASKS, other), *va, *vb;
    CLM_TEST_OK(clm_tensor_view(&va, ta, 0, flat, TASKS));
    CLM_TEST_OK(clm_tensor_view(&vb, tb, 0, flat, TASKS));
    CLM_TEST_OK(clm_program_bind(p, a, ta));
    CLM_TEST_OK(clm_program_bind(p, b, tb));
    CLM_TEST_OK(clm_program_bind(p, out[0], va));
    CLM_TEST_OK(clm_program_bind(p, out[1], vb));
    CLM_TEST_OK(clm_program_prepare(p));
    CLM_TEST_OK(clm_program_run(p));
    expect(ta, twice);
    expect(tb, thrice);
    clm_program_free(p);
    clm_tensor *tensors[] = {va, vb, ta, tb};
    for (int i = 0; i < 4; i++) clm_tensor_free(tensors[i]);
    clm_graph_free(g);
    clm_device_close(device);
}
END_TEST

/* p <- p - 3 q, q <- p q, said in advance: without a copy, unless the second is a sum, which reads p for every element of q. */
START_TEST(output_in_place_of_an_input) {
    enum { MANY = 3 * N };
    clm_device *device = clm_test_open(_i / 2);
    const bool sum = _i % 2;
    clm_graph *g = graph_new();
    clm_shape shape = clm_shape_of(2, 3, N);
    clm_value p = clm_input(g, "p", shape, false), q = clm_input(g, "q", shape, false), out[3];
    out[0] = clm_sub(g, p, clm_scale(g, q, 3));
    out[1] = clm_mul(g, sum ? clm_broadcast(g, clm_sum_all(g, p), shape) : p, q);
    out[2] = clm_add(g, p, q);
    const clm_overwrite over[2] = {{out[0], p}, {out[1], q}};
    clm_program_options o = CLM_PROGRAM_OPTIONS_INIT;
    o.overwrite = over;
    o.n_overwrite = 2;
    clm_program *program = NULL;
    CLM_TEST_OK(clm_program_create(&program, device, g, out, 3, &o));
    double now[2][MANY], total[MANY];
    for (int e = 0; e < MANY; e++) {
        now[0][e] = 0.25 * e - 3;
        now[1][e] = 1.5 - 0.125 * e;
    }
    clm_tensor *tp = tensor_new(device, shape, 0, now[0]), *tq = tensor_new(device, shape, 0, now[1]);
    CLM_TEST_OK(clm_program_bind(program, p, tp));
    CLM_TEST_OK(clm_program_bind(program, out[0], tp));
    CLM_TEST_OK(clm_program_bind(program, q, tq));
    CLM_TEST_OK(clm_program_bind(program, out[1], tq));
    CLM_TEST_OK(clm_program_prepare(program));
    clm_test_count(device);
    for (int k = 0; k < 2; k++) {
        double all = 0;
        CLM_TEST_OK(clm_program_run(program));
        if (_i / 2 && !sum) ck_assert_uint_eq(clm_test_counted.transfers, 0);
        for (int e = 0; e < MANY; e++) all += now[0][e];
        for (int e = 0; e < MANY; e++) {
            const double a = now[0][e], b = now[1][e];
            now[0][e] = a - 3 * b;
            now[1][e] = (sum ? all : a) * b;
            total[e] = a + b;
        }
        expect(tp, now[0]);
        expect(tq, now[1]);
        expect(clm_program_tensor(program, out[2]), total);
        clm_test_count(device);
    }
    clm_program_free(program);
    clm_tensor_free(tp);
    clm_tensor_free(tq);
    clm_graph_free(g);
    ck_assert_uint_eq(clm_device_allocated(device), 0);
    clm_device_close(device);
}
END_TEST

/* The output's memory begins in the middle of the input's. */
START_TEST(output_over_part_of_an_input) {
    clm_device *device = clm_test_open(_i);
    clm_graph *g = graph_new();
    clm_shape shape = clm_shape_of(1, 5);
    clm_value x = clm_input(g, "x", shape, false), y = clm_scale(g, x, 10);
    clm_program *p = program_new(device, g, &y, 1, 1);
    clm_tensor *whole = tensor_new(device, clm_shape_of(1, 8), 0, counting), *in, *out;
    CLM_TEST_OK(clm_tensor_view(&in, whole, 0, shape, 0));
    CLM_TEST_OK(clm_tensor_view(&out, whole, 2, shape, 0));
    CLM_TEST_OK(clm_program_bind(p, x, in));
    CLM_TEST_OK(clm_program_bind(p, y, out));
    CLM_TEST_OK(clm_program_prepare(p));
    CLM_TEST_OK(clm_program_run(p));
    static const double expected[] = {1, 2, 10, 20, 30, 40, 50, 8};
    expect(whole, expected);
    clm_program_free(p);
    clm_tensor_free(in);
    clm_tensor_free(out);
    clm_tensor_free(whole);
    clm_graph_free(g);
    clm_device_close(device);
}
END_TEST

/* A sum over tasks that starts from the memory it is written to, with and without another reader of that memory. */
START_TEST(sum_over_tasks_in_place) {
    clm_device *device = clm_test_open(_i / 2);
    bool another = _i % 2;
    clm_graph *g = graph_new();
    clm_shape shape = clm_shape_of(1, N);
    clm_value x = clm_input(g, "x", shape, true), total = clm_input(g, "total", shape, false), out[2];
    out[0] = clm_sum_tasks(g, x, total);
    out[1] = clm_scale(g, total, 100);
    clm_program *p = program_new(device, g, out, another ? 2 : 1, TASKS);
    clm_tensor *t = tensor_new(device, shape, 0, counting);
    CLM_TEST_OK(clm_program_bind(p, total, t));
    CLM_TEST_OK(clm_program_bind(p, out[0], t));
    CLM_TEST_OK(clm_program_prepare(p));
    CLM_TEST_OK(clm_tensor_write_f64(clm_program_tensor(p, x), counting, TASKS * N));
    double now[N], before[N];
    memcpy(now, counting, sizeof now);
    for (int k = 0; k < 2; k++) {
        CLM_TEST_OK(clm_program_run(p));
        for (int e = 0; e < N; e++) {
            before[e] = 100 * now[e];
            for (int task = 0; task < TASKS; task++) now[e] += counting[task * N + e];
        }
        expect(t, now);
        if (another) expect(clm_program_tensor(p, out[1]), before);
    }
    clm_program_free(p);
    clm_tensor_free(t);
    clm_graph_free(g);
    clm_device_close(device);
}
END_TEST

/* ---- outputs of every kind ---- */

/* An input, a view of one, a constant, a shared value for every task, a value that others need, the same twice; an unused
 * input. */
START_TEST(outputs_of_every_kind) {
    clm_device *device = clm_test_open(_i);
    clm_graph *g = graph_new();
    clm_shape shape = clm_shape_of(1, N), column = clm_shape_of(2, N, 1);
    clm_value x = clm_input(g, "x", shape, false), unused = clm_input(g, "unused", shape, false);
    clm_value view = clm_reshape(g, x, column), constant = clm_fill(g, shape, 4.5), each = clm_per_task(g, x);
    clm_value square = clm_mul(g, x, x), more = clm_add(g, square, x), square_view = clm_reshape(g, square, column);
    clm_value dead = clm_exp(g, unused);
    clm_value out[] = {x, view, constant, each, square, more, square_view, square, x};
    size_t n = sizeof out / sizeof *out;
    clm_program *p = program_new(device, g, out, n, TASKS);
    ck_assert(clm_program_has(p, x) && !clm_program_has(p, unused));
    clm_tensor *t = tensor_new(device, shape, 0, counting);
    ck_assert_int_eq(clm_program_bind(p, unused, t), CLM_E_ARG);
    ck_assert_int_eq(clm_program_bind(p, dead, t), CLM_E_ARG);
    CLM_TEST_OK(clm_program_bind(p, x, t));
    CLM_TEST_OK(clm_program_prepare(p));
    ck_assert_ptr_null(clm_program_tensor(p, unused));
    ck_assert_ptr_null(clm_program_tensor(p, dead));
    ck_assert_ptr_eq(clm_program_tensor(p, x), t);
    for (int k = 0; k < 2; k++) {
        double in[N], fill[N], copies[TASKS * N], squares[N], sums[N];
        for (int e = 0; e < N; e++) {
            in[e] = counting[e] + 3 * k;
            fill[e] = 4.5;
            squares[e] = in[e] * in[e];
            sums[e] = squares[e] + in[e];
            for (int task = 0; task < TASKS; task++) copies[task * N + e] = in[e];
        }
        const double *expected[] = {in, in, fill, copies, squares, sums, squares, squares, in};
        CLM_TEST_OK(clm_tensor_write_f64(t, in, N));
        CLM_TEST_OK(clm_program_run(p));
        for (size_t i = 0; i < n; i++) {
            clm_tensor *result = clm_program_tensor(p, out[i]);
            ck_assert_msg(result != NULL, "output %zu has no tensor", i);
            clm_shape a = clm_tensor_shape(result), b = clm_value_shape(g, out[i]);
            ck_assert(clm_shape_equal(&a, &b));
            expect(result, expected[i]);
        }
    }
    clm_program_free(p);
    clm_tensor_free(t);
    clm_graph_free(g);
    ck_assert_uint_eq(clm_device_allocated(device), 0);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("outputs");
    TCase *tcase = tcase_create("outputs");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, output_over_its_input, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, output_in_place_of_an_input, 0, 2 * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, outputs_crosswise, 0, 2 * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, output_over_part_of_an_input, 0, CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, sum_over_tasks_in_place, 0, 2 * CLM_TEST_DEVICES);
    tcase_add_loop_test(tcase, outputs_of_every_kind, 0, CLM_TEST_DEVICES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
