/* Convolution pairs, sums of two convolutions: one launch where the implementation supports pairs, by every implementation the
 * same as in double precision; and unchanged where a term is used elsewhere or the terms differ. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "ops/choice.h"
#include "ops/conv.h"
#include "ops/op.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 3, OPERANDS = 4, SAMPLE = 3 };

/* One of a row's terms: image, filter and options; `op` says which of the three operands is sought. */
static const struct {
    clm_opcode op;
    int n, h, w, ci, k, co;
    clm_conv_options options;
    unsigned shared; /* operands that all tasks share, by bits */
} rows[] = {
    {CLM_OP_CONV2D, 3, 7, 9, 16, 3, 32, {.stride = {1, 1}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 1}, 0},
    /* the default by short algorithms; a filter too large for them in pairs */
    {CLM_OP_CONV2D, 5, 14, 14, 64, 3, 64, {.stride = {1, 1}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 1}, 2},
    {CLM_OP_CONV2D, 1, 5, 4, 96, 3, 160, {.stride = {1, 1}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 1}, 0},
    {CLM_OP_CONV2D, 2, 11, 6, 20, 3, 12, {.stride = {1, 1}, .pad = {0, 2}, .dilation = {1, 1}, .groups = 1}, 9},
    {CLM_OP_CONV2D, 2, 6, 5, 5, 3, 6, {.stride = {2, 1}, .pad = {1, 0}, .dilation = {1, 2}, .groups = 1}, 2},
    {CLM_OP_CONV2D, 5, 3, 3, 8, 3, 8, {.stride = {1, 1}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 2}, 9},
    {CLM_OP_CONV2D_BWD_DATA, 3, 9, 7, 16, 3, 48, {.stride = {1, 1}, .pad = {1, 0}, .dilation = {1, 1}, .groups = 1}, 8},
    {CLM_OP_CONV2D_BWD_DATA, 2, 7, 8, 4, 3, 8, {.stride = {2, 2}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 1}, 0},
    {CLM_OP_CONV2D_BWD_FILTER, 3, 9, 7, 16, 3, 16, {.stride = {1, 1}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 1}, 0},
    {CLM_OP_CONV2D_BWD_FILTER, 2, 11, 6, 1, 3, 16, {.stride = {1, 1}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 1}, 4},
    {CLM_OP_CONV2D_BWD_FILTER, 3, 10, 11, 8, 3, 20, {.stride = {1, 1}, .pad = {1, 1}, .dilation = {1, 1}, .groups = 1}, 2},
    {CLM_OP_CONV2D_BWD_FILTER, 4, 5, 6, 6, 2, 3, {.stride = {2, 1}, .pad = {0, 1}, .dilation = {1, 1}, .groups = 3}, 0},
};
enum { ROWS = sizeof rows / sizeof *rows };

typedef struct sum {
    clm_graph *g;
    clm_value in[OPERANDS], term[2], y;
    double *data[OPERANDS];
} sum;

static clm_value term_of(sum *s, int row, const clm_value *in) {
    const clm_conv_options *o = &rows[row].options;
    switch (rows[row].op) {
    case CLM_OP_CONV2D: return clm_conv2d(s->g, in[0], in[1], o);
    case CLM_OP_CONV2D_BWD_DATA: return clm_conv2d_bwd_data(s->g, in[0], in[1], rows[row].h, rows[row].w, o);
    default: return clm_conv2d_bwd_filter(s->g, in[0], in[1], rows[row].k, rows[row].k, o);
    }
}

static sum make(int row, uint64_t seed) {
    sum s = {0};
    clm_random random = clm_random_make(seed, (uint64_t)row);
    const clm_conv_options *o = &rows[row].options;
    CLM_TEST_OK(clm_graph_create(&s.g));
    const clm_shape x = clm_shape_of(4, rows[row].n, rows[row].h, rows[row].w, rows[row].ci),
                    w = clm_shape_of(4, rows[row].k, rows[row].k, rows[row].ci / o->groups, rows[row].co);
    const clm_shape y = clm_value_shape(s.g, clm_conv2d(s.g, clm_input(s.g, "x", x, false), clm_input(s.g, "w", w, false), o));
    const clm_shape *shape[2] = {rows[row].op == CLM_OP_CONV2D_BWD_DATA ? &y : &x,
                                 rows[row].op == CLM_OP_CONV2D_BWD_FILTER ? &y : &w};
    for (int i = 0; i < OPERANDS; i++) {
        const bool per_task = !(rows[row].shared >> i & 1u);
        s.in[i] = clm_input(s.g, "operand", *shape[i % 2], per_task);
        const size_t n = clm_shape_size(shape[i % 2]) * (per_task ? TASKS : 1);
        s.data[i] = malloc(n * sizeof *s.data[i]);
        for (size_t k = 0; k < n; k++) s.data[i][k] = (double)(float)clm_random_normal(&random);
    }
    for (int i = 0; i < 2; i++) s.term[i] = term_of(&s, row, s.in + 2 * i);
    s.y = clm_add(s.g, s.term[0], s.term[1]);
    CLM_TEST_OK(clm_graph_status(s.g));
    return s;
}

static void discard(sum *s) {
    for (int i = 0; i < OPERANDS; i++) free(s->data[i]);
    clm_graph_free(s->g);
}

static size_t launches_of(clm_device *device, sum *s, const clm_value *outputs, size_t n) {
    clm_program *program = NULL;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = TASKS;
    CLM_TEST_OK(clm_program_create(&program, device, s->g, outputs, n, &options));
    const size_t launches = clm_program_get_stats(program).launches;
    clm_program_free(program);
    return launches;
}

static double *result_of(clm_device *device, sum *s) {
    double *y = malloc(clm_test_elements(s->g, s->y, TASKS) * sizeof *y);
    CLM_TEST_OK(clm_test_run(device, s->g, TASKS, s->in, (const double *const *)s->data, OPERANDS, &s->y, &y, 1));
    return y;
}

/* Launches of a pair: the adjoint in the data turns both filters first. */
static size_t in_pairs(int row) { return rows[row].op == CLM_OP_CONV2D_BWD_DATA ? 3 : 1; }

/* The choice that is forced, and what it was. */
typedef struct forced {
    int index, count;
    clm_choice list[CLM_CHOICES_MOST];
    clm_choice last;      /* of a term, or of the pair */
    const clm_impl *impl; /* of all terms so far */
    bool pairs;
} forced;

static bool choose(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    forced *f = user;
    f->count = clm_choice_list(l, y, f->list);
    *choice = f->list[f->index < f->count ? f->index : 0];
    for (int i = 0; i < f->count && clm_conv_terms(l, y) == 2 && choice->impl != f->impl; i++)
        *choice = f->list[i];                              /* a pair is made by what makes its terms */
    const bool same = !f->impl || f->impl == choice->impl; /* terms with other shared operands may have other choices */
    f->pairs = same && (!f->impl || f->pairs) && choice->impl->pairs && choice->impl->pairs(l, y);
    f->impl = choice->impl;
    f->last = *choice;
    return true;
}

static void check_choice(clm_device *device, sum *s, int row, forced *f, const double *exact) {
    char text[128];
    f->impl = NULL;
    const size_t launches = launches_of(device, s, &s->y, 1), n = clm_test_elements(s->g, s->y, TASKS);
    clm_choice_text(&f->last, text, sizeof text);
    if (f->pairs) { /* segments of sums are added up by a launch of their own; some read turned filters as they are */
        const size_t made = (f->last.impl->turns ? 1 : in_pairs(row)) + (strstr(text, "split=1") != NULL);
        ck_assert_msg(launches == made, "%s: %zu launches", text, launches);
    } else
        ck_assert_msg(launches > 2, "%s: %zu launches", text, launches);
    double *y = result_of(device, s);
    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        error += (y[i] - exact[i]) * (y[i] - exact[i]);
        norm += exact[i] * exact[i];
    }
    ck_assert_msg(sqrt(error / norm) <= 2e-5, "%s: off by %.2e", text, sqrt(error / norm));
    free(y);
}

START_TEST(sums_are_those_of_the_terms) {
    clm_device *device = clm_test_open_opencl(), *host = clm_test_open_host();
    sum s = make(_i, clm_test_seed());
    double *exact = result_of(host, &s);
    forced f = {0};
    int tried = 0;
    clm_choice_force(device, choose, &f);
    launches_of(device, &s, &s.y, 1); /* says what there is */
    for (f.index = 0; f.index < f.count; f.index++) {
        const bool first = f.index == 0 || f.list[f.index].impl != f.list[f.index - 1].impl;
        tried = first ? 0 : tried + 1;
        if (tried <= SAMPLE) check_choice(device, &s, _i, &f, exact);
    }
    clm_choice_force(device, NULL, NULL);
    free(exact);
    discard(&s);
    clm_device_close(device);
    clm_device_close(host);
}
END_TEST

/* The default choice of every row makes pairs on CPUs. */
START_TEST(default_is_one_launch) {
    clm_device *device = clm_test_open_opencl();
    forced f = {0};
    sum s = make(_i, 1);
    clm_choice_force(device, choose, &f);
    launches_of(device, &s, &s.y, 1);
    clm_choice_force(device, NULL, NULL);
    if (f.pairs)
        ck_assert_uint_le(launches_of(device, &s, &s.y, 1),
                          in_pairs(_i) + (clm_device_get_info(device)->type == CLM_DEVICE_GPU));
    if (clm_device_get_info(device)->type == CLM_DEVICE_CPU) ck_assert(f.pairs);
    discard(&s);
    clm_device_close(device);
}
END_TEST

START_TEST(left_alone) {
    clm_device *device = clm_test_open_opencl();
    sum s = make(0, 2);
    const clm_value wanted[2] = {s.y, s.term[0]};
    ck_assert_uint_eq(launches_of(device, &s, wanted, 2), 3); /* a term is an output as well */
    const clm_value used = clm_mul(s.g, s.y, s.term[1]);
    ck_assert_uint_eq(launches_of(device, &s, &used, 1), 3); /* and here it is used once more */
    const clm_value twice = clm_add(s.g, s.term[0], s.term[0]);
    ck_assert_uint_eq(launches_of(device, &s, &twice, 1), 2);
    discard(&s);
    clm_device_close(device);
}
END_TEST

/* The tangent of a convolution in both operands, and of its gradient: what pairs are for. */
START_TEST(tangents_are_pairs) {
    clm_device *device = clm_test_open_opencl();
    sum s = make(0, 3);
    clm_value tangent = CLM_INVALID;
    const clm_value at[2] = {s.in[0], s.in[1]}, along[2] = {s.in[2], s.in[3]};
    CLM_TEST_OK(clm_jvp(s.g, at, along, 2, &s.term[0], 1, &tangent));
    forced f = {0};
    clm_choice_force(device, choose, &f);
    const size_t launches = launches_of(device, &s, &tangent, 1);
    clm_choice_force(device, NULL, NULL);
    if (f.pairs) ck_assert_uint_eq(launches, 1);
    discard(&s);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("conv_pairs");
    TCase *t = tcase_create("conv_pairs");
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, sums_are_those_of_the_terms, 0, ROWS);
    tcase_add_loop_test(t, default_is_one_launch, 0, ROWS);
    tcase_add_test(t, left_alone);
    tcase_add_test(t, tangents_are_pairs);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
