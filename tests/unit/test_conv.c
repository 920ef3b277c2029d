/* Convolution and its adjoints: builders' errors and what they emit; values on the host reference and on the device against the
 * formula, written out, for shapes and options drawn at random, among them the ones that the register tiles are made for. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "graph/internal.h"
#include "ops/conv.h"
#include "support/numbers.h"
#include "support/run.h"

static clm_graph *g;

static void setup(void) { ck_assert_int_eq(clm_graph_create(&g), CLM_OK); }
static void teardown(void) { clm_graph_free(g); }

static clm_value in4(int a, int b, int c, int d) { return clm_input(g, "x", clm_shape_of(4, a, b, c, d), true); }

static const clm_conv_options plain = CLM_CONV_INIT, same = {{1, 1}, {1, 1}, {1, 1}, 1}, strided = {{2, 2}, {1, 1}, {1, 1}, 1},
                              still = {{1, 0}, {0, 0}, {1, 1}, 1}, negative = {{1, 1}, {0, -1}, {1, 1}, 1},
                              pairs = {{1, 1}, {0, 0}, {1, 1}, 2}, wide = {{1, 1}, {3, 3}, {1, 1}, 1};

/* ---- errors ---- */

static clm_value rank_3(void) {
    return clm_conv2d(g, clm_input(g, "x", clm_shape_of(3, 5, 6, 2), true), in4(3, 3, 2, 4), &plain);
}
static clm_value no_options(void) { return clm_conv2d(g, in4(1, 5, 6, 2), in4(3, 3, 2, 4), NULL); }
static clm_value stride_0(void) { return clm_conv2d(g, in4(1, 5, 6, 2), in4(3, 3, 2, 4), &still); }
static clm_value padding_negative(void) { return clm_conv2d(g, in4(1, 5, 6, 2), in4(3, 3, 2, 4), &negative); }
static clm_value channels(void) { return clm_conv2d(g, in4(1, 5, 6, 2), in4(3, 3, 3, 4), &plain); }
static clm_value groups_in(void) { return clm_conv2d(g, in4(1, 5, 6, 4), in4(3, 3, 4, 4), &pairs); }
static clm_value groups_out(void) { return clm_conv2d(g, in4(1, 5, 6, 4), in4(3, 3, 2, 5), &pairs); }
static clm_value filter_large(void) { return clm_conv2d(g, in4(1, 5, 6, 2), in4(6, 3, 2, 4), &plain); }
static clm_value data_size(void) { return clm_conv2d_bwd_data(g, in4(1, 5, 6, 4), in4(3, 3, 2, 4), 6, 6, &same); }
static clm_value data_channels(void) { return clm_conv2d_bwd_data(g, in4(1, 5, 6, 3), in4(3, 3, 2, 4), 5, 6, &same); }
static clm_value filter_size(void) { return clm_conv2d_bwd_filter(g, in4(1, 5, 6, 2), in4(1, 5, 6, 4), 5, 3, &same); }
static clm_value filter_none(void) { return clm_conv2d_bwd_filter(g, in4(1, 5, 6, 2), in4(1, 5, 6, 4), 0, 3, &same); }
static clm_value filter_images(void) { return clm_conv2d_bwd_filter(g, in4(2, 5, 6, 2), in4(1, 5, 6, 4), 3, 3, &same); }
static clm_value flip_groups(void) { return clm_flip_filter(g, in4(3, 3, 2, 5), 2); }

static const struct bad {
    clm_value (*build)(void);
    clm_status status;
    const char *words[3]; /* all of them stand in the message */
} bad[] = {
    {rank_3, CLM_E_SHAPE, {"conv2d", "[5, 6, 2]", "[3, 3, 2, 4]"}},
    {no_options, CLM_E_ARG, {"conv2d", "options"}},
    {stride_0, CLM_E_ARG, {"conv2d", "stride 1x0"}},
    {padding_negative, CLM_E_ARG, {"conv2d", "padding 0x-1"}},
    {channels, CLM_E_SHAPE, {"conv2d", "[1, 5, 6, 2]", "[3, 3, 3, 4]"}},
    {groups_in, CLM_E_SHAPE, {"conv2d", "[3, 3, 4, 4]", "2 groups"}},
    {groups_out, CLM_E_SHAPE, {"conv2d", "[3, 3, 2, 5]", "2 groups"}},
    {filter_large, CLM_E_SHAPE, {"conv2d", "[6, 3, 2, 4]", "larger"}},
    {data_size, CLM_E_SHAPE, {"conv2d_bwd_data", "[1, 6, 6, 2]", "[1, 5, 6, 4]"}},
    {data_channels, CLM_E_SHAPE, {"conv2d_bwd_data", "[1, 5, 6, 3]"}},
    {filter_size, CLM_E_SHAPE, {"conv2d_bwd_filter", "[5, 3, 2, 4]"}},
    {filter_none, CLM_E_ARG, {"conv2d_bwd_filter", "0x3"}},
    {filter_images, CLM_E_SHAPE, {"conv2d_bwd_filter", "[2, 5, 6, 2]", "[1, 5, 6, 4]"}},
    {flip_groups, CLM_E_SHAPE, {"flip_filter", "[3, 3, 2, 5]", "2 groups"}},
};

START_TEST(test_errors) {
    const struct bad *b = &bad[_i];
    ck_assert_int_eq(b->build(), CLM_INVALID);
    ck_assert_int_eq(clm_graph_status(g), b->status);
    for (int i = 0; i < 3 && b->words[i]; i++)
        ck_assert_msg(strstr(clm_last_error(), b->words[i]) != NULL, "\"%s\" is not in \"%s\"", b->words[i], clm_last_error());
}
END_TEST

/* ---- what the builders emit ---- */

START_TEST(test_adjoint_is_convolution) {
    const clm_value dy = in4(2, 5, 6, 4), w = in4(3, 3, 2, 4);
    const clm_value dx = clm_conv2d_bwd_data(g, dy, w, 5, 6, &same);
    ck_assert_int_eq(clm_node_at(g, dx)->op, CLM_OP_CONV2D);
    ck_assert_int_eq(clm_node_at(g, dx)->in[1], clm_flip_filter(g, w, 1));
    /* strides have a node of their own, and so has padding beyond the filter's reach */
    ck_assert_int_eq(clm_node_at(g, clm_conv2d_bwd_data(g, dy, w, 9, 11, &strided))->op, CLM_OP_CONV2D_BWD_DATA);
    ck_assert_int_eq(clm_node_at(g, clm_conv2d_bwd_data(g, dy, w, 1, 2, &wide))->op, CLM_OP_CONV2D_BWD_DATA);
    ck_assert_int_eq(clm_graph_status(g), CLM_OK);
}
END_TEST

START_TEST(test_flip_is_its_own_inverse) {
    const clm_value w = in4(3, 5, 2, 6), f = clm_flip_filter(g, w, 3);
    const clm_shape turned = clm_shape_of(4, 3, 5, 2, 6), one = clm_shape_of(4, 3, 5, 6, 2);
    ck_assert(clm_shape_equal(&clm_node_at(g, f)->shape, &turned));
    ck_assert(clm_shape_equal(&clm_node_at(g, clm_flip_filter(g, w, 1))->shape, &one));
    ck_assert_int_eq(clm_flip_filter(g, f, 3), w);
}
END_TEST

/* ---- values ---- */

enum { TASKS = 2, INPUTS = 3, OUTPUTS = 3 };

typedef struct problem {
    clm_conv_options o;
    int n, h, w, cig, cog, kh, kw, oh, ow;
} problem;

static problem draw(clm_random *r) {
    static const int kernels[] = {1, 2, 3, 5}, channels_in[] = {1, 2, 3, 4, 7, 8, 16},
                     channels_out[] = {1, 3, 5, 8, 12, 16, 32, 64};
    problem p;
    do {
        p = (problem){
            .n = 1 + (int)clm_random_below(r, 7), .h = 1 + (int)clm_random_below(r, 12), .w = 1 + (int)clm_random_below(r, 15)};
        p.cig = channels_in[clm_random_below(r, 7)];
        p.cog = channels_out[clm_random_below(r, 8)];
        p.kh = kernels[clm_random_below(r, 4)];
        p.kw = kernels[clm_random_below(r, 4)];
        p.o.groups = clm_random_below(r, 3) ? 1 : 2 + (int)clm_random_below(r, 2);
        const bool unit = clm_random_below(r, 2);
        for (int k = 0; k < 2; k++) {
            p.o.stride[k] = unit ? 1 : 1 + (int)clm_random_below(r, 3);
            p.o.pad[k] = (int)clm_random_below(r, 4);
            p.o.dilation[k] = 1 + (int)clm_random_below(r, 2);
        }
        p.oh = p.h + 2 * p.o.pad[0] - p.o.dilation[0] * (p.kh - 1);
        p.ow = p.w + 2 * p.o.pad[1] - p.o.dilation[1] * (p.kw - 1);
    } while (p.oh < 1 || p.ow < 1);
    p.oh = (p.oh - 1) / p.o.stride[0] + 1;
    p.ow = (p.ow - 1) / p.o.stride[1] + 1;
    return p;
}

/* One task's three results: every product of an entry of x with an entry of w goes to one entry of y, and so on in turn. */
static void formula(const problem *p, const double *x, const double *w, const double *dy, double *y, double *dx, double *dw) {
    const int ci = p->cig * p->o.groups, co = p->cog * p->o.groups;
    for (int n = 0; n < p->n; n++)
        for (int oy = 0; oy < p->oh; oy++)
            for (int ox = 0; ox < p->ow; ox++)
                for (int o = 0; o < co; o++)
                    for (int ky = 0; ky < p->kh; ky++)
                        for (int kx = 0; kx < p->kw; kx++) {
                            const int iy = oy * p->o.stride[0] - p->o.pad[0] + ky * p->o.dilation[0];
                            const int ix = ox * p->o.stride[1] - p->o.pad[1] + kx * p->o.dilation[1];
                            if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
                            for (int c = 0; c < p->cig; c++) {
                                const size_t at_y = ((size_t)(n * p->oh + oy) * p->ow + ox) * co + o;
                                const size_t at_x = ((size_t)(n * p->h + iy) * p->w + ix) * ci + o / p->cog * p->cig + c;
                                const size_t at_w = ((size_t)(ky * p->kw + kx) * p->cig + c) * co + o;
                                y[at_y] += x[at_x] * w[at_w];
                                dx[at_x] += dy[at_y] * w[at_w];
                                dw[at_w] += dy[at_y] * x[at_x];
                            }
                        }
}

static double *zeros(size_t n) {
    double *a = calloc(n, sizeof *a);
    ck_assert_ptr_nonnull(a);
    return a;
}

/* All three operations of a problem, by the formula and on a device. Of x, w and dy one is shared by the tasks, or none. */
static void check_problem(clm_device *device, const problem *p, clm_random *r, double tolerance) {
    static const char *const names[OUTPUTS] = {"conv2d", "conv2d_bwd_data", "conv2d_bwd_filter"};
    const int groups = p->o.groups, shared = (int)clm_random_below(r, INPUTS + 1);
    const clm_shape shapes[INPUTS] = {clm_shape_of(4, p->n, p->h, p->w, p->cig * groups),
                                      clm_shape_of(4, p->kh, p->kw, p->cig, p->cog * groups),
                                      clm_shape_of(4, p->n, p->oh, p->ow, p->cog * groups)};
    const int result_shape[OUTPUTS] = {2, 0, 1};
    clm_value in[INPUTS];
    double *data[INPUTS], *expected[OUTPUTS], *found[OUTPUTS];
    size_t size[INPUTS];
    for (int i = 0; i < INPUTS; i++) {
        size[i] = clm_shape_size(&shapes[i]);
        in[i] = clm_input(g, i == 0 ? "x" : i == 1 ? "w" : "dy", shapes[i], i != shared);
        data[i] = zeros(TASKS * size[i]);
        for (size_t j = 0; j < TASKS * size[i]; j++) data[i][j] = (double)(float)clm_random_normal(r);
    }
    for (int i = 0; i < OUTPUTS; i++) {
        expected[i] = zeros(TASKS * size[result_shape[i]]);
        found[i] = zeros(TASKS * size[result_shape[i]]);
    }
    for (size_t t = 0; t < TASKS; t++) {
        const double *at[INPUTS];
        for (int i = 0; i < INPUTS; i++) at[i] = data[i] + (i == shared ? 0 : t * size[i]);
        formula(p, at[0], at[1], at[2], expected[0] + t * size[2], expected[1] + t * size[0], expected[2] + t * size[1]);
    }
    const clm_value out[OUTPUTS] = {clm_conv2d(g, in[0], in[1], &p->o), clm_conv2d_bwd_data(g, in[2], in[1], p->h, p->w, &p->o),
                                    clm_conv2d_bwd_filter(g, in[0], in[2], p->kh, p->kw, &p->o)};
    CLM_TEST_OK(clm_test_run(device, g, TASKS, in, (const double *const *)data, INPUTS, out, found, OUTPUTS));
    for (int i = 0; i < OUTPUTS; i++) {
        const size_t count = clm_test_elements(g, out[i], TASKS);
        const double difference = clm_test_difference(expected[i], found[i], count);
        ck_assert_msg(difference < tolerance,
                      "%s: difference %g; %d images %dx%d, filter %dx%d, %d groups of %d to %d, stride %dx%d, padding %dx%d, "
                      "dilation %dx%d",
                      names[i], difference, p->n, p->h, p->w, p->kh, p->kw, groups, p->cig, p->cog, p->o.stride[0],
                      p->o.stride[1], p->o.pad[0], p->o.pad[1], p->o.dilation[0], p->o.dilation[1]);
    }
    for (int i = 0; i < INPUTS; i++) free(data[i]);
    for (int i = 0; i < OUTPUTS; i++) {
        free(expected[i]);
        free(found[i]);
    }
}

static void check_random(clm_device *device, int problems, double tolerance) {
    clm_random r = clm_random_make(clm_test_seed(), 0);
    for (int i = 0; i < problems; i++) {
        const problem p = draw(&r);
        teardown();
        setup();
        check_problem(device, &p, &r, tolerance);
    }
    clm_device_close(device);
}

START_TEST(test_random_host) { check_random(clm_test_open_host(), 60, 1e-13); }
END_TEST

START_TEST(test_random_device) { check_random(clm_test_open_opencl(), clm_test_tiny() ? 2 : 15, 3e-6); }
END_TEST

/* The layers of Conv-4 and their relatives, whose tiles are the large ones. */
static const problem layers[] = {
    {{{1, 1}, {1, 1}, {1, 1}, 1}, 5, 28, 28, 1, 64, 3, 3, 28, 28},
    {{{1, 1}, {1, 1}, {1, 1}, 1}, 5, 14, 14, 64, 64, 3, 3, 14, 14},
    {{{1, 1}, {1, 1}, {1, 1}, 1}, 5, 3, 3, 64, 64, 3, 3, 3, 3},
    {{{1, 1}, {1, 1}, {1, 1}, 1}, 1, 14, 14, 32, 64, 3, 3, 14, 14},
    {{{1, 1}, {1, 1}, {1, 1}, 1}, 3, 42, 42, 3, 32, 3, 3, 42, 42},
    {{{2, 2}, {1, 1}, {1, 1}, 1}, 11, 14, 14, 24, 48, 3, 3, 7, 7},
};

START_TEST(test_layers_device) {
    clm_device *device = clm_test_open_opencl();
    clm_random r = clm_random_make(clm_test_seed(), 1);
    check_problem(device, &layers[_i], &r, 3e-6);
    clm_device_close(device);
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("conv");
    TCase *tcase = tcase_create("conv");
    tcase_set_timeout(tcase, 600);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_errors, 0, (int)(sizeof bad / sizeof *bad));
    tcase_add_test(tcase, test_adjoint_is_convolution);
    tcase_add_test(tcase, test_flip_is_its_own_inverse);
    tcase_add_test(tcase, test_random_host);
    tcase_add_test(tcase, test_random_device);
    if (!clm_test_tiny()) tcase_add_loop_test(tcase, test_layers_device, 0, (int)(sizeof layers / sizeof *layers));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
