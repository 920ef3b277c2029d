/* Layers on series and tokens, and residuals with a skip: parameters, shapes, initial values, heads, errors, and by hand what
 * the reference files do not hold. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "clmaml/model.h"
#include "graph/internal.h"
#include "ops/shape.h"
#include "support/run.h"

#define MODEL(in, layers) "{\"in_shape\": [" in "], \"layers\": [" layers "]}"
#define OP(name) "{\"op\": \"" name "\"}"
#define WITH(name, keys) "{\"op\": \"" name "\", " keys "}"
#define LINEAR(out) WITH("linear", "\"out\": " out)

static clm_model *parse(const char *json) {
    clm_model *model;
    CLM_TEST_OK(clm_model_parse(&model, json, NULL));
    return model;
}

/* ---- parameters, shapes, heads ---- */

static const struct {
    const char *json, *params, *out;
    size_t head, head_count;
} lists[] = {
    {MODEL("4, 17", WITH("conv1d", "\"out\": 6, \"kernel\": 5, \"stride\": 2, \"groups\": 2") ", " OP("batchnorm")),
     "0.weight [6, 2, 5]; 0.bias [6]; 1.weight [6]; 1.bias [6]; ", "[6, 9]", 0, 4},
    {MODEL("4, 17", WITH("conv1d", "\"out\": 6, \"dilation\": 3, \"pad\": 0, \"bias\": false") ", " OP("globalavgpool")),
     "0.weight [6, 4, 3]; ", "[6]", 0, 1},
    {MODEL("4, 17", WITH("maxpool", "\"kernel\": 2") ", " WITH("avgpool", "\"kernel\": 3, \"stride\": 1, \"pad\": 1")), "",
     "[4, 8]", 0, 0},
    {MODEL("7, 6", WITH("rnn", "\"out\": 5") ", " OP("meantokens")),
     "0.weight_ih_l0 [5, 6]; 0.weight_hh_l0 [5, 5]; 0.bias_ih_l0 [5]; 0.bias_hh_l0 [5]; ", "[5]", 0, 4},
    {MODEL("7, 6", WITH("gru", "\"out\": 5, \"last\": false") ", " WITH("gru", "\"out\": 2, \"last\": true")),
     "0.weight_ih_l0 [15, 6]; 0.weight_hh_l0 [15, 5]; 0.bias_ih_l0 [15]; 0.bias_hh_l0 [15]; 1.weight_ih_l0 [6, 5]; "
     "1.weight_hh_l0 [6, 2]; 1.bias_ih_l0 [6]; 1.bias_hh_l0 [6]; ",
     "[2]", 4, 4},
    {MODEL("7, 6", WITH("lstm", "\"out\": 5") ", " OP("lastnorm")),
     "0.weight_ih_l0 [20, 6]; 0.weight_hh_l0 [20, 5]; 0.bias_ih_l0 [20]; 0.bias_hh_l0 [20]; 1.weight [5]; 1.bias [5]; ",
     "[7, 5]", 0, 6},
    {MODEL("8", WITH("embedding", "\"count\": 11, \"out\": 6") ", " OP("positions") ", " OP("classtoken")),
     "0.weight [11, 6]; 1.weight [8, 6]; 2.weight [1, 6]; ", "[9, 6]", 0, 3},
    {MODEL("3, 4, 2", OP("tokens") ", " OP("positions") ", " WITH("multihead", "\"heads\": 3") ", " OP("firsttoken")),
     "1.weight [8, 3]; 2.in_proj_weight [9, 3]; 2.in_proj_bias [9]; 2.out_proj.weight [3, 3]; 2.out_proj.bias [3]; ", "[3]", 1,
     4},
    {MODEL("3, 8", OP("tokens") ", " OP("rmsnorm") ", " OP("softmax") ", " OP("mish")), "1.weight [3]; ", "[8, 3]", 0, 1},
    {MODEL("3, 4, 2", OP("positions") ", " OP("log_softmax") ", " OP("lastnorm") ", " WITH("reshape", "\"shape\": [6, 4]")),
     "0.weight [3, 4, 2]; 2.weight [2]; 2.bias [2]; ", "[6, 4]", 1, 2},
    {MODEL("6", LINEAR("6") ", " WITH(
                    "residual", "\"body\": [" LINEAR("4") "], \"skip\": [" LINEAR("9") ", " LINEAR("4") "]") ", " OP("relu6")),
     "0.weight [6, 6]; 0.bias [6]; 1.0.weight [4, 6]; 1.0.bias [4]; 1.skip.0.weight [9, 6]; 1.skip.0.bias [9]; 1.skip.1.weight "
     "[4, 9]; 1.skip.1.bias [4]; ",
     "[4]", 2, 6},
    /* a map in the skip alone makes a head of the whole residual */
    {MODEL("6",
           LINEAR("6") ", " WITH("residual", "\"body\": [" OP("rmsnorm") "], \"skip\": [" LINEAR("6") "]") ", " OP("rmsnorm")),
     "0.weight [6, 6]; 0.bias [6]; 1.0.weight [6]; 1.skip.0.weight [6, 6]; 1.skip.0.bias [6]; 2.weight [6]; ", "[6]", 2, 4},
    {MODEL("6", WITH("residual", "\"body\": [], \"skip\": [" LINEAR("6") ", " OP("hardtanh") "]")),
     "0.skip.0.weight [6, 6]; 0.skip.0.bias [6]; ", "[6]", 0, 2},
};
enum { LISTS = sizeof(lists) / sizeof(lists[0]) };

START_TEST(parameters) {
    char text[96];
    clm_text list = {0};
    size_t count = 77;
    clm_model *model = parse(lists[_i].json), *again = parse(clm_model_json(model));
    clm_text_add(&list, "%s", "");
    for (size_t i = 0; i < clm_model_param_count(again); i++) {
        const clm_param *p = clm_model_param(again, i);
        clm_text_add(&list, "%s %s; ", p->name, clm_shape_text(&p->shape, text, sizeof(text)));
    }
    ck_assert_str_eq(list.data, lists[_i].params);
    clm_shape out = clm_model_out_shape(model);
    ck_assert_str_eq(clm_shape_text(&out, text, sizeof(text)), lists[_i].out);
    ck_assert_uint_eq(clm_model_head(model, &count), lists[_i].head);
    ck_assert_uint_eq(count, lists[_i].head_count);
    clm_text_free(&list);
    clm_model_free(model);
    clm_model_free(again);
}
END_TEST

START_TEST(roles_within_a_skip) {
    clm_model *model =
        parse(MODEL("2, 8", WITH("residual", "\"body\": [" OP("batchnorm") "], \"skip\": [" WITH(
                                                 "conv1d", "\"out\": 2, \"bias\": false") ", " OP("batchnorm") "]")));
    static const clm_param_role want[] = {CLM_PARAM_BATCH_NORM, CLM_PARAM_BATCH_NORM, CLM_PARAM_WEIGHT, CLM_PARAM_BATCH_NORM,
                                          CLM_PARAM_BATCH_NORM};
    ck_assert_uint_eq(clm_model_param_count(model), 5);
    for (size_t i = 0; i < 5; i++) ck_assert_int_eq((int)clm_model_param(model, i)->role, (int)want[i]);
    clm_model_free(model);
}
END_TEST

/* ---- initial values ---- */

static const struct {
    const char *json;
    size_t param;
    double deviation, mean;
} drawn[] = {
    {MODEL("4, 9", WITH("conv1d", "\"out\": 64, \"kernel\": 5, \"groups\": 2")), 0, 0.44721359549995793, 0},
    {MODEL("4, 16", WITH("lstm", "\"out\": 25")), 0, 0.25, 0},
    {MODEL("4, 16", WITH("lstm", "\"out\": 25")), 1, 0.2, 0},
    {MODEL("4, 16", WITH("lstm", "\"out\": 25")), 2, 0, 0},
    {MODEL("4, 16", WITH("lstm", "\"out\": 25")), 3, 0, 0},
    {MODEL("4, 16", WITH("multihead", "\"heads\": 2")), 0, 0.25, 0},
    {MODEL("4, 16", WITH("multihead", "\"heads\": 2")), 1, 0, 0},
    {MODEL("4, 16", WITH("multihead", "\"heads\": 2")), 2, 0.25, 0},
    {MODEL("4, 16", WITH("multihead", "\"heads\": 2")), 3, 0, 0},
    {MODEL("4", WITH("embedding", "\"count\": 100, \"out\": 20")), 0, 1, 0},
    {MODEL("40, 50", OP("positions")), 0, 0.02, 0},
    {MODEL("1, 800", OP("classtoken")), 0, 0.02, 0},
    {MODEL("4, 16", OP("rmsnorm")), 0, 0, 1},
    {MODEL("4, 16", OP("lastnorm")), 0, 0, 1},
    {MODEL("4, 16", OP("lastnorm")), 1, 0, 0},
};
enum { DRAWN = sizeof(drawn) / sizeof(drawn[0]) };

START_TEST(initial_values) {
    clm_model *model = parse(drawn[_i].json);
    size_t n = clm_shape_size(&clm_model_param(model, drawn[_i].param)->shape);
    double *x = malloc(n * sizeof(*x)), sum = 0, squares = 0, deviation = drawn[_i].deviation;
    clm_model_init_param(model, drawn[_i].param, 7, x);
    for (size_t i = 0; i < n; i++) {
        sum += x[i] - drawn[_i].mean;
        squares += (x[i] - drawn[_i].mean) * (x[i] - drawn[_i].mean);
    }
    ck_assert_double_le(fabs(sum / (double)n), 5 * deviation / sqrt((double)n));
    ck_assert_double_le(fabs(sqrt(squares / (double)n) - deviation), 5 * deviation / sqrt(2 * (double)n));
    free(x);
    clm_model_free(model);
}
END_TEST

/* ---- layout ---- */

START_TEST(filters_of_series) {
    clm_shape oiw = clm_shape_of(3, 5, 4, 3), wio = clm_shape_of(3, 3, 4, 5);
    double from[120], to[120], back[120];
    clm_model *model = parse(MODEL("4, 9", WITH("conv1d", "\"out\": 5")));
    ck_assert_int_eq((int)clm_model_param(model, 0)->layout, (int)CLM_LAYOUT_OIW);
    ck_assert(clm_shape_equal(&clm_model_param(model, 0)->inner_shape, &wio));
    for (int i = 0; i < 120; i++) from[i] = i;
    clm_layout_to_inner(CLM_LAYOUT_OIW, &oiw, 2, from, to);
    for (int n = 0, k = 0; n < 2; n++)
        for (int w = 0; w < 3; w++)
            for (int i = 0; i < 4; i++)
                for (int o = 0; o < 5; o++) ck_assert_double_eq(to[k++], n * 60 + (o * 4 + i) * 3 + w);
    clm_layout_to_outer(CLM_LAYOUT_OIW, &oiw, 2, to, back);
    ck_assert_mem_eq(from, back, sizeof(from));
    clm_model_free(model);
}
END_TEST

/* ---- values by hand ---- */

/* y of the model for parameters and x, in inside order, from `data`. */
static void run_model(const char *json, int examples, const double *const *data, double *y, size_t size) {
    clm_graph *g;
    clm_value in[8];
    clm_model *model = parse(json);
    clm_device *host = clm_test_open_host();
    clm_shape x = {0}, one = clm_model_inner_in_shape(model);
    size_t n = clm_model_param_count(model);
    CLM_TEST_OK(clm_graph_create(&g));
    for (size_t i = 0; i < n; i++)
        in[i] = clm_input(g, clm_model_param(model, i)->name, clm_model_param(model, i)->inner_shape, false);
    x.rank = one.rank + 1;
    x.dim[0] = examples;
    memcpy(x.dim + 1, one.dim, (size_t)one.rank * sizeof(one.dim[0]));
    in[n] = clm_input(g, "x", x, true);
    clm_value out = clm_model_apply(model, g, in, in[n], NULL);
    CLM_TEST_OK(clm_graph_status(g));
    ck_assert_uint_eq(clm_test_elements(g, out, 1), size);
    CLM_TEST_OK(clm_test_run(host, g, 1, in, data, n + 1, &out, &y, 1));
    clm_graph_free(g);
    clm_device_close(host);
    clm_model_free(model);
}

static const double table[] = {1, 2, 3, 4, 5, 6}; /* three rows, or two channels of three */

static const struct {
    const char *json;
    int examples;
    const double *data[2];
    double y[6];
    size_t size;
} runs[] = {
    {MODEL("2, 3", WITH("maxpool", "\"kernel\": 2, \"stride\": 1")), 1, {table}, {2, 3, 5, 6}, 4},
    {MODEL("2, 3", WITH("avgpool", "\"kernel\": 3, \"stride\": 2, \"pad\": 1")), 1, {table}, {1, 5. / 3, 3, 11. / 3}, 4},
    {MODEL("2, 3", OP("globalavgpool")), 1, {table}, {2, 5}, 2},
    {MODEL("2, 3", OP("tokens")), 1, {table}, {1, 4, 2, 5, 3, 6}, 6},
    /* inside [h, w, c] = [1, 3, 2]: tokens are free, reshape takes the channels first */
    {MODEL("2, 1, 3", OP("tokens")), 1, {table}, {1, 2, 3, 4, 5, 6}, 6},
    {MODEL("2, 1, 3", WITH("reshape", "\"shape\": [6]")), 1, {table}, {1, 3, 5, 2, 4, 6}, 6},
    {MODEL("3", WITH("embedding", "\"count\": 3, \"out\": 2")), 1, {table, (const double[]){2, 3, 0}}, {5, 6, 0, 0, 1, 2}, 6},
    {MODEL("1", OP("relu6")), 6, {(const double[]){-1, 0, 1e-9, 5, 6, 7}}, {0, 0, 1e-9, 5, 6, 6}, 6},
    {MODEL("1", OP("hardtanh")), 4, {(const double[]){-2, -0.5, 1, 7}}, {-1, -0.5, 1, 1}, 4},
    {MODEL("1", OP("sign")), 4, {(const double[]){-2, -1e-9, 0, 7}}, {-1, -1, 0, 1}, 4},
    {MODEL("1", WITH("round", "\"gradient\": \"clip\"")),
     6,
     {(const double[]){-1.5, -0.4, 0.5, 1.5, 2.5, 7.6}},
     {-2, 0, 0, 2, 2, 8},
     6},
};
enum { RUNS = sizeof(runs) / sizeof(runs[0]) };

START_TEST(values) {
    double y[6];
    run_model(runs[_i].json, runs[_i].examples, runs[_i].data, y, runs[_i].size);
    for (size_t i = 0; i < runs[_i].size; i++) ck_assert_double_eq_tol(y[i], runs[_i].y[i], 1e-15);
}
END_TEST

/* PyTorch's: 0 at the bounds. */
START_TEST(derivative_at_the_bounds) {
    static const double x[] = {-1, 0, 3, 6, 7}, want[] = {0, 0, 1, 0, 0};
    clm_graph *g;
    double y[5], *results[] = {y};
    clm_device *host = clm_test_open_host();
    CLM_TEST_OK(clm_graph_create(&g));
    clm_value in = clm_input(g, "x", clm_shape_of(1, 5), false), gradient;
    CLM_TEST_OK(clm_grad(g, clm_sum_all(g, clm_hardtanh(g, in, 0, 6)), &in, 1, &gradient));
    CLM_TEST_OK(clm_test_run(host, g, 1, &in, (const double *const[]){x}, 1, &gradient, results, 1));
    ck_assert_mem_eq(y, want, sizeof(want));
    ck_assert_int_eq(clm_hardtanh(g, in, 1, 1), CLM_INVALID);
    ck_assert_int_eq(clm_graph_status(g), CLM_E_ARG);
    clm_graph_free(g);
    clm_device_close(host);
}
END_TEST

/* What pads write grows with tokens * log(tokens): with 64 tokens, 64 in each of 6 levels. */
START_TEST(splitting_many_tokens) {
    enum { TOKENS = 64 };
    clm_graph *g;
    clm_value parts[TOKENS], sum, gradient;
    size_t padded = 0;
    CLM_TEST_OK(clm_graph_create(&g));
    clm_value x = clm_input(g, "x", clm_shape_of(2, TOKENS, 1), true);
    ck_assert(clm_split(g, x, 0, parts));
    sum = clm_square(g, parts[0]);
    for (int t = 1; t < TOKENS; t++) sum = clm_add(g, sum, clm_square(g, parts[t]));
    CLM_TEST_OK(clm_grad(g, clm_sum_all(g, sum), &x, 1, &gradient));
    for (size_t v = 0; v < clm_graph_size(g); v++)
        if (clm_node_at(g, (clm_value)v)->op == CLM_OP_PAD) padded += clm_shape_size(&clm_node_at(g, (clm_value)v)->shape);
    ck_assert_uint_eq(padded, 2 * TOKENS * 6);
    clm_graph_free(g);
}
END_TEST

/* ---- errors ---- */

static const struct {
    const char *json;
    clm_status status;
    const char *says[3];
} faults[] = {
    {MODEL("6", WITH("conv1d", "\"out\": 4")), CLM_E_SHAPE, {"layer 0 (conv1d)", "[6]", "series"}},
    {MODEL("3, 8, 8", WITH("conv1d", "\"out\": 4")), CLM_E_SHAPE, {"layer 0 (conv1d)", "[3, 8, 8]", "series"}},
    {MODEL("3, 8", WITH("conv2d", "\"out\": 4")), CLM_E_SHAPE, {"layer 0 (conv2d)", "[3, 8]", "image"}},
    {MODEL("3, 8", WITH("conv1d", "\"out\": 4, \"groups\": 2")), CLM_E_SHAPE, {"layer 0 (conv1d)", "groups 2", "3 channels"}},
    {MODEL("3, 8", WITH("conv1d", "\"out\": 4, \"kernel\": 9, \"pad\": 0")),
     CLM_E_SHAPE,
     {"layer 0 (conv1d)", "window of 9", "8 places"}},
    {MODEL("3, 8", WITH("maxpool", "\"kernel\": 9")), CLM_E_SHAPE, {"layer 0 (maxpool)", "window of 9", "length"}},
    {MODEL("6", WITH("maxpool", "\"kernel\": 2")), CLM_E_SHAPE, {"layer 0 (maxpool)", "[6]", "series"}},
    {MODEL("6", WITH("lstm", "\"out\": 4")), CLM_E_SHAPE, {"layer 0 (lstm)", "[6]", "tokens"}},
    {MODEL("3, 6", OP("gru")), CLM_E_FORMAT, {"layer 0 (gru)", "\"out\" is missing"}},
    {MODEL("3, 6", WITH("rnn", "\"out\": 4, \"last\": 1")), CLM_E_FORMAT, {"layer 0 (rnn)", "\"last\"", "true or false"}},
    {MODEL("3, 6", WITH("lstm", "\"out\": 2147483647")), CLM_E_LIMIT, {"layer 0 (lstm)", "\"out\" 2147483647"}},
    {MODEL("3, 6", WITH("multihead", "\"heads\": 4")), CLM_E_SHAPE, {"layer 0 (multihead)", "heads 4", "width 6"}},
    {MODEL("3, 6", OP("multihead")), CLM_E_FORMAT, {"layer 0 (multihead)", "\"heads\" is missing"}},
    {MODEL("6", WITH("multihead", "\"heads\": 2")), CLM_E_SHAPE, {"layer 0 (multihead)", "[6]", "tokens"}},
    {MODEL("3, 6", WITH("embedding", "\"count\": 4, \"out\": 2")),
     CLM_E_SHAPE,
     {"layer 0 (embedding)", "[3, 6]", "whole numbers"}},
    {MODEL("6", WITH("embedding", "\"out\": 2")), CLM_E_FORMAT, {"layer 0 (embedding)", "\"count\" is missing"}},
    {MODEL("6", WITH("embedding", "\"count\": 0, \"out\": 2")), CLM_E_FORMAT, {"layer 0 (embedding)", "\"count\"", "from 1"}},
    {MODEL("6", OP("tokens")), CLM_E_SHAPE, {"layer 0 (tokens)", "[6]", "series"}},
    {MODEL("6", OP("classtoken")), CLM_E_SHAPE, {"layer 0 (classtoken)", "[6]", "tokens"}},
    {MODEL("3, 4, 2", OP("firsttoken")), CLM_E_SHAPE, {"layer 0 (firsttoken)", "[3, 4, 2]", "tokens"}},
    {MODEL("6", WITH("reshape", "\"shape\": [2, 4]")), CLM_E_SHAPE, {"layer 0 (reshape)", "[2, 4]", "[6]"}},
    {MODEL("6", WITH("reshape", "\"shape\": 6")), CLM_E_FORMAT, {"layer 0 (reshape)", "\"shape\"", "list of 1 to 3"}},
    {MODEL("6", WITH("reshape", "\"shape\": [3, 0]")), CLM_E_FORMAT, {"layer 0 (reshape)", "\"shape\"", "entry 1"}},
    {MODEL("6", WITH("reshape", "\"shape\": [6, 1, 1, 1]")), CLM_E_FORMAT, {"layer 0 (reshape)", "\"shape\"", "1 to 3"}},
    {MODEL("6", WITH("reshape", "\"shape\": [2147483647, 2147483647]")),
     CLM_E_LIMIT,
     {"layer 0 (reshape)", "\"shape\"", "2^31"}},
    {MODEL("6", WITH("residual", "\"body\": [], \"skip\": 3")), CLM_E_FORMAT, {"layer 0 (residual)", "\"skip\"", "list"}},
    {MODEL("6", WITH("residual", "\"skip\": []")), CLM_E_FORMAT, {"layer 0 (residual)", "\"body\" is missing"}},
    {MODEL("6", WITH("residual", "\"body\": [" LINEAR("4") "]")),
     CLM_E_SHAPE,
     {"layer 0 (residual)", "[4] of [6]", "\"skip\""}},
    {MODEL("6", WITH("residual", "\"body\": [" LINEAR("4") "], \"skip\": [" LINEAR("5") "]")),
     CLM_E_SHAPE,
     {"layer 0 (residual)", "[4] and [5]", "skip"}},
    {MODEL("6", OP("relu") ", " WITH("residual", "\"body\": [], \"skip\": [" OP("tanh") ", " OP("linear") "]")),
     CLM_E_FORMAT,
     {"layer 1.skip.1 (linear)", "\"out\""}},
    {MODEL("6", OP("gru6")), CLM_E_FORMAT, {"\"gru6\"", "multihead", "film"}},
    /* the remedy is said */
    {MODEL("1, 4, 4", OP("attention")), CLM_E_SHAPE, {"layer 0 (attention)", "[1, 4, 4]", "put tokens before it"}},
    {MODEL("6", OP("attention")), CLM_E_SHAPE, {"layer 0 (attention)", "[6]", "put reshape before it"}},
    {MODEL("1, 4, 4", WITH("context", "\"size\": 2")), CLM_E_SHAPE, {"layer 0 (context)", "[1, 4, 4]", "put flatten or"}},
    {MODEL("3, 6", WITH("embedding", "\"count\": 4, \"out\": 2")),
     CLM_E_SHAPE,
     {"(embedding)", "[3, 6]", "put flatten before it"}},
    {MODEL("3, 6", WITH("conv2d", "\"out\": 4")), CLM_E_SHAPE, {"layer 0 (conv2d)", "[3, 6]", "conv1d is for a series"}},
    {MODEL("3, 6, 6", WITH("conv1d", "\"out\": 4")), CLM_E_SHAPE, {"layer 0 (conv1d)", "[3, 6, 6]", "conv2d is for images"}},
    {MODEL("6", WITH("reshape", "\"shape\": [2, 4]")), CLM_E_SHAPE, {"layer 0 (reshape)", "[6]: it needs 6"}},
    {MODEL("6", WITH("linear", "\"outs\": 4")), CLM_E_FORMAT, {"layer 0 (linear)", "\"outs\"", "did you mean \"out\""}},
    {MODEL("6", OP("linear")), CLM_E_FORMAT, {"layer 0 (linear)", "\"out\" is missing; add it"}},
    {MODEL("2, 5, 6", WITH("maxpool", "\"kernel\": 9")),
     CLM_E_SHAPE,
     {"(maxpool)", "window of 9", "images of 10x9 would do (--size 9"}},
    {MODEL("2, 6, 6", WITH("maxpool", "\"kernel\": 4, \"pad\": 3")), CLM_E_SHAPE, {"(maxpool)", "pad 3", "at most 2"}},
};
enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

START_TEST(errors) {
    clm_model *model = (clm_model *)&model;
    ck_assert_msg(clm_model_parse(&model, faults[_i].json, NULL) == faults[_i].status, "%s: %s", faults[_i].json,
                  clm_last_error());
    ck_assert_ptr_null(model);
    for (int i = 0; i < 3; i++)
        ck_assert_msg(!faults[_i].says[i] || strstr(clm_last_error(), faults[_i].says[i]), "%s: \"%s\" lacks \"%s\"",
                      faults[_i].json, clm_last_error(), faults[_i].says[i]);
}
END_TEST

START_TEST(nested_skips_are_limited) {
    clm_text json = {0};
    clm_model *model = NULL;
    clm_text_add(&json, "{\"in_shape\": [2], \"layers\": ");
    for (int i = 0; i < 30; i++) clm_text_add(&json, "[{\"op\": \"residual\", \"body\": [], \"skip\": ");
    clm_text_add(&json, "[{\"op\": \"relu\"}]");
    for (int i = 0; i < 30; i++) clm_text_add(&json, "}]");
    clm_text_add(&json, "}");
    ck_assert_int_eq(clm_model_parse(&model, json.data, NULL), CLM_E_LIMIT);
    ck_assert_ptr_null(model);
    clm_text_free(&json);
}
END_TEST

/* Builders say what they were given. */
START_TEST(wrong_operands) {
    clm_graph *g;
    CLM_TEST_OK(clm_graph_create(&g));
    clm_value x = clm_input(g, "x", clm_shape_of(3, 2, 4, 3), false), w = clm_input(g, "w", clm_shape_of(2, 8, 3), false),
              u = clm_input(g, "u", clm_shape_of(2, 8, 3), false), b = clm_input(g, "b", clm_shape_of(1, 8), false);
    clm_recurrent_weights weights = {w, u, b, b};
    ck_assert_int_eq(clm_lstm(g, x, &weights, true), CLM_INVALID);
    ck_assert_int_eq(clm_graph_status(g), CLM_E_SHAPE);
    ck_assert(strstr(clm_last_error(), "lstm") && strstr(clm_last_error(), "[4 h, width]"));
    clm_graph_free(g);
    CLM_TEST_OK(clm_graph_create(&g));
    x = clm_input(g, "x", clm_shape_of(3, 2, 4, 3), false), w = clm_input(g, "w", clm_shape_of(2, 9, 3), false);
    ck_assert_int_eq(clm_multihead_attention(g, x, 2, w, CLM_INVALID, w, CLM_INVALID), CLM_INVALID);
    ck_assert(clm_graph_status(g) == CLM_E_SHAPE && strstr(clm_last_error(), "2 heads"));
    clm_graph_free(g);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model sequence");
    TCase *cases = tcase_create("layers on series and tokens");
    tcase_add_loop_test(cases, parameters, 0, LISTS);
    tcase_add_test(cases, roles_within_a_skip);
    tcase_add_loop_test(cases, initial_values, 0, DRAWN);
    tcase_add_test(cases, filters_of_series);
    tcase_add_loop_test(cases, values, 0, RUNS);
    tcase_add_test(cases, derivative_at_the_bounds);
    tcase_add_test(cases, splitting_many_tokens);
    tcase_add_loop_test(cases, errors, 0, FAULTS);
    tcase_add_test(cases, nested_skips_are_limited);
    tcase_add_test(cases, wrong_operands);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
