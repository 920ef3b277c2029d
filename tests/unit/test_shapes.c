/* Builders of shape, index, pooling and matrix operations: bad shapes give an error that names the operation and both shapes and
 * stays the graph's error; operations that change nothing make no node; results have the shapes they should have. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/graph.h"
#include "graph/internal.h"
#include "ops/pool.h"
#include "ops/shape.h"

static clm_graph *g;

static void setup(void) { ck_assert_int_eq(clm_graph_create(&g), CLM_OK); }
static void teardown(void) { clm_graph_free(g); }

static clm_value in1(int a) { return clm_input(g, "x", clm_shape_of(1, a), true); }
static clm_value in2(int a, int b) { return clm_input(g, "x", clm_shape_of(2, a, b), true); }
static clm_value in3(int a, int b, int c) { return clm_input(g, "x", clm_shape_of(3, a, b, c), true); }
static clm_value in4(int a, int b, int c, int d) { return clm_input(g, "x", clm_shape_of(4, a, b, c, d), true); }

static const int32_t zeros[CLM_MAX_RANK], ones[CLM_MAX_RANK] = {1, 1, 1, 1, 1, 1}, minus[CLM_MAX_RANK] = {-1, 0, 0, 0, 0, 0};
static const int32_t huge[CLM_MAX_RANK] = {INT32_MAX, 0, 0, 0, 0, 0};
static const clm_pool_options pool2 = {{2, 2}, {2, 2}, {0, 0}}, pool9 = {{9, 9}, {9, 9}, {0, 0}},
                              stuck = {{2, 2}, {2, 0}, {0, 0}}, loose = {{2, 2}, {2, 2}, {0, 2}};

/* ---- errors ---- */

static clm_value reshape_count(void) { return clm_reshape(g, in2(3, 5), clm_shape_of(2, 4, 4)); }
static clm_value reshape_rank(void) { return clm_reshape(g, in2(3, 5), (clm_shape){.rank = 9, .dim = {15, 1, 1, 1, 1, 1}}); }
static clm_value transpose_twice(void) { return clm_transpose(g, in3(3, 5, 7), (int32_t[]){0, 2, 2}); }
static clm_value transpose_outside(void) { return clm_transpose(g, in3(3, 5, 7), (int32_t[]){0, 3, 1}); }
static clm_value slice_over(void) { return clm_slice(g, in2(3, 5), ones, clm_shape_of(2, 2, 5)); }
static clm_value slice_before(void) { return clm_slice(g, in2(3, 5), minus, clm_shape_of(2, 2, 5)); }
static clm_value slice_wraps(void) { return clm_slice(g, in2(3, 5), huge, clm_shape_of(2, 2, 5)); }
static clm_value slice_rank(void) { return clm_slice(g, in2(3, 5), zeros, clm_shape_of(1, 2)); }
static clm_value slice_empty(void) { return clm_slice(g, in2(3, 5), zeros, clm_shape_of(2, 0, 5)); }
static clm_value pad_negative(void) { return clm_pad(g, in2(3, 5), zeros, minus); }
static clm_value pad_wraps(void) { return clm_pad(g, in2(3, 5), huge, zeros); }
static clm_value concat_nothing(void) { return clm_concat(g, NULL, 0, 0); }
static clm_value concat_axis(void) { return clm_concat(g, (clm_value[]){in2(3, 5), in2(3, 5)}, 2, 2); }
static clm_value concat_other(void) { return clm_concat(g, (clm_value[]){in2(3, 5), in2(3, 5), in2(4, 6)}, 3, 1); }
static clm_value concat_rank(void) { return clm_concat(g, (clm_value[]){in2(3, 5), in1(5)}, 2, 0); }
static clm_value gather_axis(void) { return clm_gather(g, in2(3, 5), in1(4), 2); }
static clm_value gather_index(void) { return clm_gather(g, in2(3, 5), in2(4, 6), 0); }
static clm_value gather_scalar(void) { return clm_gather(g, in2(3, 5), clm_const(g, 1), 0); }
static clm_value scatter_length(void) { return clm_scatter_add(g, in2(3, 5), in1(4), 0, 7); }
static clm_value scatter_size(void) { return clm_scatter_add(g, in2(3, 5), in1(3), 0, 0); }
static clm_value one_hot_none(void) { return clm_one_hot(g, in1(6), 0); }
static clm_value one_hot_rank(void) { return clm_one_hot(g, clm_input(g, "x", clm_shape_of(6, 1, 2, 3, 1, 2, 3), false), 4); }
static clm_value argmax_scalar(void) { return clm_argmax(g, clm_const(g, 1)); }
static clm_value max_pool_rank(void) { return clm_max_pool(g, in3(4, 6, 8), &pool2); }
static clm_value max_pool_window(void) { return clm_max_pool(g, in4(1, 8, 9, 2), &pool9); }
static clm_value max_pool_stride(void) { return clm_max_pool(g, in4(1, 8, 9, 2), &stuck); }
static clm_value avg_pool_padding(void) { return clm_avg_pool(g, in4(1, 8, 9, 2), &loose); }
static clm_value avg_pool_options(void) { return clm_avg_pool(g, in4(1, 8, 9, 2), NULL); }
static clm_value pool_gather_index(void) { return clm_pool_gather(g, in4(1, 8, 9, 2), in4(1, 4, 5, 2), &pool2); }
static clm_value pool_scatter_image(void) { return clm_pool_scatter(g, in4(1, 4, 4, 2), in4(1, 4, 4, 2), 10, 9, &pool2); }
static clm_value pool_scatter_index(void) { return clm_pool_scatter(g, in4(1, 4, 4, 2), in4(1, 4, 3, 2), 8, 9, &pool2); }
static clm_value avg_pool_bwd_image(void) { return clm_avg_pool_bwd(g, in4(1, 4, 4, 2), 10, 9, &pool2); }
static clm_value matmul_vector(void) { return clm_matmul(g, in2(3, 5), in1(5), false, false); }
static clm_value matmul_inner(void) { return clm_matmul(g, in2(3, 5), in2(4, 6), false, false); }
static clm_value matmul_inner_ta(void) { return clm_matmul(g, in2(3, 5), in2(5, 6), true, false); }
static clm_value matmul_inner_tb(void) { return clm_matmul(g, in2(3, 5), in2(5, 6), false, true); }
static clm_value matmul_batch(void) { return clm_matmul(g, in3(2, 3, 5), in3(4, 5, 6), false, false); }
static clm_value matmul_batch_rank(void) { return clm_matmul(g, in3(2, 3, 5), in4(2, 2, 5, 6), false, false); }
static clm_value linear_weight(void) { return clm_linear(g, in2(3, 5), in2(6, 4), CLM_INVALID); }
static clm_value linear_bias(void) { return clm_linear(g, in2(3, 5), in2(6, 5), in1(5)); }
static clm_value linear_scalar(void) { return clm_linear(g, clm_const(g, 1), in2(6, 5), CLM_INVALID); }

#define MOST_WORDS 4
static const struct bad {
    const char *name;
    clm_value (*build)(void);
    clm_status status;
    const char *words[MOST_WORDS]; /* all of them stand in the message */
} bad[] = {
#define BAD(build, status, ...)                      \
    {                                                \
#build, build, CLM_##status, { __VA_ARGS__ } \
    }
    BAD(reshape_count, E_SHAPE, "reshape", "[3, 5]", "[4, 4]"),
    BAD(reshape_rank, E_SHAPE, "reshape", "[3, 5]"),
    BAD(transpose_twice, E_SHAPE, "transpose", "[3, 5, 7]", "[0, 2, 2]"),
    BAD(transpose_outside, E_SHAPE, "transpose", "[3, 5, 7]", "[0, 3, 1]"),
    BAD(slice_over, E_SHAPE, "slice", "[3, 5]", "[2, 5]", "[1, 1]"),
    BAD(slice_before, E_SHAPE, "slice", "[3, 5]", "[2, 5]", "[-1, 0]"),
    BAD(slice_wraps, E_SHAPE, "slice", "[3, 5]", "[2147483647, 0]"),
    BAD(slice_rank, E_SHAPE, "slice", "[3, 5]", "[2]"),
    BAD(slice_empty, E_SHAPE, "slice", "[3, 5]", "[0, 5]"),
    BAD(pad_negative, E_SHAPE, "pad", "[3, 5]", "[-1, 0]"),
    BAD(pad_wraps, E_SHAPE, "pad", "[3, 5]", "[2147483647, 0]"),
    BAD(concat_nothing, E_ARG, "concat"),
    BAD(concat_axis, E_SHAPE, "concat", "[3, 5]", "axis 2"),
    BAD(concat_other, E_SHAPE, "concat", "[3, 5]", "[4, 6]", "part 2"),
    BAD(concat_rank, E_SHAPE, "concat", "[3, 5]", "[5]"),
    BAD(gather_axis, E_SHAPE, "gather", "[3, 5]", "axis 2"),
    BAD(gather_index, E_SHAPE, "gather", "[3, 5]", "[4, 6]"),
    BAD(gather_scalar, E_SHAPE, "gather", "[3, 5]", "[]"),
    BAD(scatter_length, E_SHAPE, "scatter_add", "[3, 5]", "[4]"),
    BAD(scatter_size, E_ARG, "scatter_add", "0 entries"),
    BAD(one_hot_none, E_SHAPE, "one_hot", "[6]", "0 classes"),
    BAD(one_hot_rank, E_SHAPE, "one_hot", "[1, 2, 3, 1, 2, 3]", "4 classes"),
    BAD(argmax_scalar, E_SHAPE, "argmax", "[]"),
    BAD(max_pool_rank, E_SHAPE, "max_pool", "[4, 6, 8]", "[n, h, w, c]"),
    BAD(max_pool_window, E_SHAPE, "max_pool", "[1, 8, 9, 2]", "[9, 9]"),
    BAD(max_pool_stride, E_ARG, "max_pool", "[1, 8, 9, 2]", "stride [2, 0]"),
    BAD(avg_pool_padding, E_ARG, "avg_pool", "[1, 8, 9, 2]", "padding [0, 2]"),
    BAD(avg_pool_options, E_ARG, "avg_pool", "options"),
    BAD(pool_gather_index, E_SHAPE, "pool_gather", "[1, 4, 5, 2]", "[1, 4, 4, 2]"),
    BAD(pool_scatter_image, E_SHAPE, "pool_scatter", "[1, 10, 9, 2]", "[1, 5, 4, 2]", "[1, 4, 4, 2]"),
    BAD(pool_scatter_index, E_SHAPE, "pool_scatter", "[1, 8, 9, 2]", "[1, 4, 4, 2]", "[1, 4, 3, 2]"),
    BAD(avg_pool_bwd_image, E_SHAPE, "avg_pool_bwd", "[1, 10, 9, 2]", "[1, 5, 4, 2]", "[1, 4, 4, 2]"),
    BAD(matmul_vector, E_SHAPE, "matmul", "[3, 5]", "[5]", "reshape"),
    BAD(matmul_inner, E_SHAPE, "matmul", "[3, 5]", "[4, 6]"),
    BAD(matmul_inner_ta, E_SHAPE, "matmul", "[3, 5] transposed", "[5, 6]"),
    BAD(matmul_inner_tb, E_SHAPE, "matmul", "[3, 5]", "[5, 6] transposed"),
    BAD(matmul_batch, E_SHAPE, "matmul", "[2, 3, 5]", "[4, 5, 6]"),
    BAD(matmul_batch_rank, E_SHAPE, "matmul", "[2, 3, 5]", "[2, 2, 5, 6]"),
    BAD(linear_weight, E_SHAPE, "linear", "[3, 5]", "[6, 4]", "none"),
    BAD(linear_bias, E_SHAPE, "linear", "[3, 5]", "[6, 5]", "bias [5]"),
    BAD(linear_scalar, E_SHAPE, "linear", "[]", "[6, 5]"),
#undef BAD
};

START_TEST(test_errors) {
    const struct bad *b = &bad[_i];
    char first[512];
    ck_assert_msg(b->build() == CLM_INVALID, "%s was accepted", b->name);
    ck_assert_msg(clm_graph_status(g) == b->status, "%s: status %s", b->name, clm_status_name(clm_graph_status(g)));
    for (int i = 0; i < MOST_WORDS && b->words[i]; i++)
        ck_assert_msg(strstr(clm_last_error(), b->words[i]) != NULL, "%s: \"%s\" is not in \"%s\"", b->name, b->words[i],
                      clm_last_error());
    strncpy(first, clm_last_error(), sizeof first - 1);
    first[sizeof first - 1] = 0;
    /* a later error does not replace it */
    ck_assert_int_eq(clm_reshape(g, in1(7), clm_shape_of(1, 8)), CLM_INVALID);
    ck_assert_int_eq(clm_graph_status(g), b->status);
    ck_assert_str_eq(clm_last_error(), first);
}
END_TEST

/* CLM_INVALID in, CLM_INVALID out, and the first error stays. */
START_TEST(test_invalid_passes_through) {
    const clm_value none = reshape_count(), x = in4(1, 4, 4, 2);
    const clm_value built[] = {
        clm_reshape(g, none, clm_shape_of(1, 1)),
        clm_transpose(g, none, zeros),
        clm_slice(g, none, zeros, clm_shape_of(1, 1)),
        clm_pad(g, none, zeros, zeros),
        clm_concat(g, (clm_value[]){x, none}, 2, 0),
        clm_gather(g, none, x, 0),
        clm_gather(g, x, none, 0),
        clm_scatter_add(g, x, none, 0, 3),
        clm_one_hot(g, none, 3),
        clm_argmax(g, none),
        clm_max_pool(g, none, &pool2),
        clm_avg_pool(g, none, &pool2),
        clm_pool_gather(g, x, none, &pool2),
        clm_pool_scatter(g, none, x, 8, 8, &pool2),
        clm_matmul(g, x, none, false, false),
        clm_linear(g, none, x, CLM_INVALID),
        clm_linear(g, x, none, CLM_INVALID),
    };
    for (size_t i = 0; i < sizeof built / sizeof *built; i++) ck_assert_msg(built[i] == CLM_INVALID, "builder %zu", i);
    ck_assert_int_eq(clm_graph_status(g), CLM_E_SHAPE);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "[4, 4]"));
}
END_TEST

/* ---- shapes of results ---- */

static void expect_shape(clm_value v, clm_shape expected) {
    char text[80], want[80];
    const clm_shape s = clm_value_shape(g, v);
    clm_graph_status(g);
    ck_assert_msg(v != CLM_INVALID, "%s", clm_last_error());
    ck_assert_str_eq(clm_shape_text(&s, text, sizeof text), clm_shape_text(&expected, want, sizeof want));
}

START_TEST(test_result_shapes) {
    const clm_value x = in3(3, 5, 7), image = in4(2, 9, 10, 3);
    const clm_pool_options overlap = {{3, 2}, {2, 3}, {1, 0}};
    expect_shape(clm_reshape(g, x, clm_shape_of(2, 21, 5)), clm_shape_of(2, 21, 5));
    expect_shape(clm_transpose(g, x, (int32_t[]){2, 0, 1}), clm_shape_of(3, 7, 3, 5));
    expect_shape(clm_slice(g, x, ones, clm_shape_of(3, 2, 4, 6)), clm_shape_of(3, 2, 4, 6));
    expect_shape(clm_pad(g, x, (int32_t[]){0, 1, 2}, (int32_t[]){3, 0, 4}), clm_shape_of(3, 6, 6, 13));
    expect_shape(clm_concat(g, (clm_value[]){x, in3(3, 1, 7), in3(3, 2, 7)}, 3, 1), clm_shape_of(3, 3, 8, 7));
    expect_shape(clm_gather(g, x, in1(9), 1), clm_shape_of(3, 3, 9, 7));
    expect_shape(clm_scatter_add(g, x, in1(5), 1, 11), clm_shape_of(3, 3, 11, 7));
    expect_shape(clm_one_hot(g, in2(3, 5), 4), clm_shape_of(3, 3, 5, 4));
    expect_shape(clm_argmax(g, x), clm_shape_of(2, 3, 5));
    expect_shape(clm_max_pool(g, image, &pool2), clm_shape_of(4, 2, 4, 5, 3));
    expect_shape(clm_avg_pool(g, image, &overlap), clm_shape_of(4, 2, 5, 3, 3));
    expect_shape(clm_avg_pool_bwd(g, in4(2, 5, 3, 3), 9, 10, &overlap), clm_shape_of(4, 2, 9, 10, 3));
    expect_shape(clm_matmul(g, in2(5, 3), in2(4, 5), true, true), clm_shape_of(2, 3, 4));
    expect_shape(clm_matmul(g, in3(2, 3, 5), in2(5, 4), false, false), clm_shape_of(3, 2, 3, 4));
    expect_shape(clm_matmul(g, in2(3, 5), in3(2, 4, 5), false, true), clm_shape_of(3, 2, 3, 4));
    expect_shape(clm_linear(g, x, in2(4, 7), in1(4)), clm_shape_of(3, 3, 5, 4));
    expect_shape(clm_linear(g, in1(7), in2(4, 7), in1(4)), clm_shape_of(1, 4));
}
END_TEST

/* ---- what changes nothing makes no node ---- */

START_TEST(test_trivial_operations) {
    const clm_value x = in3(3, 5, 7), zero = clm_fill(g, clm_shape_of(2, 3, 4), 0);
    const clm_shape whole = clm_shape_of(3, 3, 5, 7), flat = clm_shape_of(1, 105), small = clm_shape_of(3, 2, 2, 2);
    const int32_t same[] = {0, 1, 2}, turn[] = {1, 2, 0}, back[] = {2, 0, 1};
    ck_assert_int_eq(clm_reshape(g, x, whole), x);
    ck_assert_int_eq(clm_reshape(g, clm_reshape(g, x, flat), whole), x);
    ck_assert_int_eq(clm_transpose(g, x, same), x);
    ck_assert_int_eq(clm_transpose(g, clm_transpose(g, x, turn), back), x);
    ck_assert_int_eq(clm_transpose(g, clm_transpose(g, x, turn), turn), clm_transpose(g, x, back));
    ck_assert_int_eq(clm_slice(g, x, zeros, whole), x);
    ck_assert_int_eq(clm_slice(g, clm_slice(g, x, ones, clm_shape_of(3, 2, 3, 5)), zeros, small), clm_slice(g, x, ones, small));
    ck_assert_int_eq(clm_pad(g, x, zeros, zeros), x);
    ck_assert_int_eq(clm_slice(g, clm_pad(g, x, ones, ones), ones, whole), x);
    ck_assert_int_eq(clm_concat(g, &x, 1, 2), x);
    ck_assert(clm_is_fill(g, clm_reshape(g, zero, clm_shape_of(1, 12)), NULL));
    ck_assert(clm_is_fill(g, clm_pad(g, zero, ones, ones), NULL));
    ck_assert(clm_is_fill(g, clm_matmul(g, zero, in2(4, 5), false, false), NULL));
    ck_assert(clm_is_fill(g, clm_gather(g, zero, in1(5), 0), NULL));
    ck_assert_int_eq(clm_graph_status(g), CLM_OK);
}
END_TEST

/* Padding with zeros is not the same as a constant once that constant is not zero. */
START_TEST(test_constants_are_kept) {
    const clm_value one = clm_fill(g, clm_shape_of(2, 3, 4), 1);
    ck_assert(!clm_is_fill(g, clm_pad(g, one, ones, zeros), NULL));
    ck_assert(clm_is_fill(g, clm_slice(g, one, ones, clm_shape_of(2, 2, 3)), NULL));
    ck_assert(!clm_is_fill(g, clm_gather(g, one, in1(5), 0), NULL)); /* an index may be out of range */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("shapes");
    TCase *tcase = tcase_create("builders");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_errors, 0, (int)(sizeof bad / sizeof *bad));
    tcase_add_test(tcase, test_invalid_passes_through);
    tcase_add_test(tcase, test_result_shapes);
    tcase_add_test(tcase, test_trivial_operations);
    tcase_add_test(tcase, test_constants_are_kept);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
