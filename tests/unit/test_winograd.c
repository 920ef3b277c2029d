/* 3x3 convolutions by short algorithms (src/ops/winograd.c): every row and candidate against the double-precision reference on
 * shapes that fit no tile, operands shared and per task, also where two convolutions are one launch
 * (program/fusion/conv_pairs.c); the candidates of a row give the same bits, for any number of tasks. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/graph.h"
#include "ops/choice.h"
#include "ops/op.h"
#include "support/numbers.h"
#include "support/run.h"

enum { TASKS = 3, INPUTS = 5, OUTPUTS = 4 };

extern const clm_impl clm_impl_winograd2, clm_impl_winograd4;

typedef struct problem {
    int n, h, w, ci, co, pad;
    int shared; /* the operand that is; INPUTS: none */
} problem;

/* What is forced: the last candidate that there is when `index` is beyond it. */
typedef struct forced {
    const clm_impl *row;
    int index, most, used;
    bool pairs; /* two convolutions are one launch */
} forced;

static bool force(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    static const clm_opcode served[] = {CLM_OP_CONV2D, CLM_OP_CONV2D_BWD_DATA, CLM_OP_CONV2D_BWD_FILTER};
    forced *f = user;
    clm_candidate list[CLM_CANDIDATES_MOST];
    for (size_t i = 0; i < sizeof served / sizeof *served; i++) {
        if (clm_node_at(clm_lower_graph(l), y)->op != served[i]) continue;
        const int n = clm_choice_candidates(l, y, f->row, list);
        ck_assert_int_ge(n, 1);
        if (n > f->most) f->most = n;
        *choice = (clm_choice){f->row, list[f->index < n ? f->index : n - 1]};
        f->used++;
        if (served[i] == CLM_OP_CONV2D) f->pairs = f->row->pairs(l, y);
        return true;
    }
    return false;
}

typedef struct setting {
    clm_graph *graph;
    clm_value in[INPUTS], out[OUTPUTS];
    double *data[INPUTS], *expected[OUTPUTS], *first[OUTPUTS], *found[OUTPUTS];
    size_t count[OUTPUTS];
} setting;

static double *zeros(size_t n) {
    double *a = calloc(n, sizeof *a);
    ck_assert_ptr_nonnull(a);
    return a;
}

static void make(setting *s, const problem *p, clm_random *r) {
    const clm_conv_options o = {{1, 1}, {p->pad, p->pad}, {1, 1}, 1};
    const int oh = p->h + 2 * p->pad - 2, ow = p->w + 2 * p->pad - 2;
    const clm_shape x = clm_shape_of(4, p->n, p->h, p->w, p->ci), w = clm_shape_of(4, 3, 3, p->ci, p->co);
    const clm_shape shapes[INPUTS] = {x, w, clm_shape_of(4, p->n, oh, ow, p->co), x, w};
    static const char *const names[INPUTS] = {"x", "w", "dy", "x'", "w'"};
    CLM_TEST_OK(clm_graph_create(&s->graph));
    for (int i = 0; i < INPUTS; i++) {
        const size_t size = clm_shape_size(&shapes[i]) * TASKS;
        s->in[i] = clm_input(s->graph, names[i], shapes[i], i != p->shared);
        s->data[i] = zeros(size);
        for (size_t j = 0; j < size; j++) s->data[i][j] = (double)(float)clm_random_normal(r);
    }
    s->out[0] = clm_conv2d(s->graph, s->in[0], s->in[1], &o);
    s->out[1] = clm_conv2d_bwd_data(s->graph, s->in[2], s->in[1], p->h, p->w, &o);
    s->out[2] = clm_conv2d_bwd_filter(s->graph, s->in[0], s->in[2], 3, 3, &o);
    s->out[3] = clm_add(s->graph, clm_conv2d(s->graph, s->in[0], s->in[4], &o), clm_conv2d(s->graph, s->in[3], s->in[1], &o));
    ck_assert_int_eq(clm_graph_status(s->graph), CLM_OK);
    for (int i = 0; i < OUTPUTS; i++) {
        s->count[i] = clm_test_elements(s->graph, s->out[i], TASKS);
        s->expected[i] = zeros(s->count[i]);
        s->first[i] = zeros(s->count[i]);
        s->found[i] = zeros(s->count[i]);
    }
}

static void discard(setting *s) {
    for (int i = 0; i < INPUTS; i++) free(s->data[i]);
    for (int i = 0; i < OUTPUTS; i++) {
        free(s->expected[i]);
        free(s->first[i]);
        free(s->found[i]);
    }
    clm_graph_free(s->graph);
}

static void compute(clm_device *device, setting *s, int tasks, double *const *results) {
    CLM_TEST_OK(clm_test_run(device, s->graph, tasks, s->in, (const double *const *)s->data, INPUTS, s->out, results, OUTPUTS));
}

/* One candidate of a row; if there are more to come, also the first one with fewer tasks. */
static void check_candidate(clm_device *device, const problem *p, setting *s, forced *f, bool more) {
    static const char *const names[OUTPUTS] = {"conv2d", "conv2d_bwd_data", "conv2d_bwd_filter", "sum of two conv2d"};
    f->used = 0;
    compute(device, s, TASKS, f->index ? s->found : s->first);
    ck_assert_int_eq(f->used, OUTPUTS + (f->pairs ? 2 : 3)); /* for every launch, and for the terms of the sum */
    for (int i = 0; i < OUTPUTS; i++) {
        const double difference = clm_test_difference(s->expected[i], f->index ? s->found[i] : s->first[i], s->count[i]);
        ck_assert_msg(difference < 4e-6, "%s %s, candidate %d: difference %g; %d images %dx%d, %d to %d channels, padding %d",
                      f->row->name, names[i], f->index, difference, p->n, p->h, p->w, p->ci, p->co, p->pad);
    }
    if (!more) return;
    if (!f->index) compute(device, s, 1, s->found);
    for (int i = 0; i < OUTPUTS; i++) {
        const size_t bytes = (f->index ? s->count[i] : clm_test_elements(s->graph, s->out[i], 1)) * sizeof(double);
        ck_assert_msg(!memcmp(s->first[i], s->found[i], bytes), "%s %s, candidate %d: other bits; %dx%dx%dx%d to %d channels",
                      f->row->name, names[i], f->index, p->n, p->h, p->w, p->ci, p->co);
    }
}

static void check_problem(clm_device *device, clm_device *host, const problem *p, clm_random *r, int most) {
    static const clm_impl *const rows[] = {&clm_impl_winograd2, &clm_impl_winograd4};
    setting s;
    make(&s, p, r);
    compute(host, &s, TASKS, s.expected);
    for (int i = 0; i < 2; i++) {
        forced f = {.row = rows[i], .most = 1};
        clm_choice_force(device, force, &f);
        for (f.index = 0; f.index < f.most && f.index < most; f.index++) check_candidate(device, p, &s, &f, most > 1);
    }
    clm_choice_force(device, NULL, NULL);
    discard(&s);
}

static int between(clm_random *r, int low, int high) { return low + (int)clm_random_below(r, (uint32_t)(high - low + 1)); }

/* Small ones for slow implementations. */
static problem draw(clm_random *r, bool tiny) {
    problem p;
    do {
        p = (problem){.n = between(r, 1, tiny ? 2 : 7),
                      .h = between(r, 1, tiny ? 6 : 15),
                      .w = between(r, 1, tiny ? 6 : 15),
                      .ci = between(r, 1, tiny ? 4 : 70),
                      .co = between(r, 1, tiny ? 4 : 70),
                      .pad = between(r, 0, 2),
                      .shared = between(r, 0, INPUTS)};
        if (between(r, 0, 1)) p.ci = (p.ci + 15) / 16 * 16; /* whole vectors */
        if (between(r, 0, 1)) p.co = (p.co + 15) / 16 * 16;
        if (tiny) p.ci = p.co = 1 << between(r, 0, 2);
    } while (p.h + 2 * p.pad < 3 || p.w + 2 * p.pad < 3);
    return p;
}

static void check_random(int problems, int most, uint64_t stream) {
    clm_device *device = clm_test_open_opencl(), *host = clm_test_open_host();
    clm_random r = clm_random_make(clm_test_seed(), stream);
    for (int i = 0; i < problems; i++) {
        const problem p = draw(&r, clm_test_tiny());
        check_problem(device, host, &p, &r, most);
    }
    clm_device_close(host);
    clm_device_close(device);
}

START_TEST(test_random_shapes) { check_random(clm_test_tiny() ? 1 : 3, 1, 0); }
END_TEST

START_TEST(test_candidates) { check_random(1, 3, 1); }
END_TEST

/* Many channels: the filter does not fit a slot whole. Many tiles: several blocks, the last one not full. */
static const problem special[] = {{1, 5, 4, 96, 160, 1, INPUTS}, {3, 31, 29, 16, 32, 1, 1}, {2, 1, 1, 64, 64, 1, 0}};

START_TEST(test_special_shapes) {
    clm_device *device = clm_test_open_opencl(), *host = clm_test_open_host();
    clm_random r = clm_random_make(clm_test_seed(), 2);
    check_problem(device, host, &special[_i], &r, 1);
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

/* Every number of outputs that is left at the ends of both axes, beside whole tiles and without any. */
START_TEST(test_short_tiles) {
    clm_device *device = clm_test_open_opencl(), *host = clm_test_open_host();
    clm_random r = clm_random_make(clm_test_seed(), 3);
    for (int side = 0; side < 16; side++) {
        const problem p = {2, 4 * _i + side / 4 + 1, 4 * _i + side % 4 + 1, 16, 32, 1, INPUTS};
        check_problem(device, host, &p, &r, side == 6 || side == 13 ? 3 : 1);
    }
    clm_device_close(host);
    clm_device_close(device);
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("winograd");
    TCase *tcase = tcase_create("winograd");
    tcase_set_timeout(tcase, 0); /* ctest has one */
    tcase_add_test(tcase, test_random_shapes);
    tcase_add_test(tcase, test_candidates);
    if (!clm_test_tiny()) tcase_add_loop_test(tcase, test_short_tiles, 0, 2);
    if (!clm_test_tiny()) tcase_add_loop_test(tcase, test_special_shapes, 0, (int)(sizeof special / sizeof *special));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
