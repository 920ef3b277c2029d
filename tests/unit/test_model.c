/* Models: the parameters and shapes of layer lists, their JSON, layouts, initial values, errors, and the graphs they build. */
#include <check.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "clmaml/model.h"
#include "graph/internal.h"

#define OK(call)                                                               \
    do {                                                                       \
        clm_status ok_status = (call);                                         \
        ck_assert_msg(ok_status == CLM_OK, "%s: %s", #call, clm_last_error()); \
    } while (0)

/* ---- parameters of the layer lists of tests/golden/cases.json ---- */

#define MLP                                                                                                                   \
    "{\"loss\": \"mse\", \"ways\": 1, \"in_shape\": [1], \"name\": \"mlp\", \"layers\": [{\"op\": \"linear\", \"out\": 40}, " \
    "{\"op\": \"relu\"}, {\"op\": \"linear\", \"out\": 40}, {\"op\": \"relu\"}, {\"op\": \"linear\", \"out\": 1}]}"
#define POOLED(filters)                                                                                                    \
    "{\"op\": \"conv2d\", \"out\": " filters ", \"kernel\": 3, \"pad\": 1}, {\"op\": \"batchnorm\"}, {\"op\": \"relu\"}, " \
    "{\"op\": \"maxpool\", \"kernel\": 2}, "
#define CONV4(in, filters, ways)                                                             \
    "{\"in_shape\": [" in "], \"layers\": [" POOLED(filters) POOLED(filters) POOLED(filters) \
        POOLED(filters) "{\"op\": \"flatten\"}, {\"op\": \"linear\", \"out\": " ways "}]}"
#define CONV4_PARAMS(channels, filters, features, ways)                                                                   \
    "0.weight [" filters ", " channels ", 3, 3]; 0.bias [" filters "]; 1.weight [" filters "]; 1.bias [" filters "]; "    \
    "4.weight [" filters ", " filters ", 3, 3]; 4.bias [" filters "]; 5.weight [" filters "]; 5.bias [" filters "]; "     \
    "8.weight [" filters ", " filters ", 3, 3]; 8.bias [" filters "]; 9.weight [" filters "]; 9.bias [" filters "]; "     \
    "12.weight [" filters ", " filters ", 3, 3]; 12.bias [" filters "]; 13.weight [" filters "]; 13.bias [" filters "]; " \
    "17.weight [" ways ", " features "]; 17.bias [" ways "]; "
#define STRIDED                                                                                                      \
    "{\"op\": \"conv2d\", \"out\": 8, \"kernel\": 3, \"stride\": 2, \"pad\": 1}, {\"op\": \"batchnorm\"}, {\"op\": " \
    "\"relu\"}, "

static const struct {
    const char *json, *params, *out;
    size_t elements;
} lists[] = {
    {MLP, "0.weight [40, 1]; 0.bias [40]; 2.weight [40, 40]; 2.bias [40]; 4.weight [1, 40]; 4.bias [1]; ", "[1]", 1761},
    {CONV4("1, 28, 28", "8", "5"), CONV4_PARAMS("1", "8", "8", "5"), "[5]", 1941},
    {CONV4("1, 28, 28", "64", "5"), CONV4_PARAMS("1", "64", "64", "5"), "[5]", 112261},
    {CONV4("1, 28, 28", "8", "20"), CONV4_PARAMS("1", "8", "8", "20"), "[20]", 2076},
    {CONV4("3, 84, 84", "8", "5"), CONV4_PARAMS("3", "8", "200", "5"), "[5]", 3045},
    {"{\"in_shape\": [1, 28, 28], \"layers\": [" STRIDED STRIDED STRIDED STRIDED
     "{\"op\": \"globalavgpool\"}, {\"op\": \"linear\", \"out\": 5}]}",
     "0.weight [8, 1, 3, 3]; 0.bias [8]; 1.weight [8]; 1.bias [8]; 3.weight [8, 8, 3, 3]; 3.bias [8]; 4.weight [8]; 4.bias "
     "[8]; "
     "6.weight [8, 8, 3, 3]; 6.bias [8]; 7.weight [8]; 7.bias [8]; 9.weight [8, 8, 3, 3]; 9.bias [8]; 10.weight [8]; 10.bias "
     "[8]; "
     "13.weight [5, 8]; 13.bias [5]; ",
     "[5]", 1941},
    {"{\"in_shape\": [2, 12, 12], \"layers\": [{\"op\": \"conv2d\", \"out\": 6, \"kernel\": 5, \"pad\": 2}, "
     "{\"op\": \"groupnorm\", \"groups\": 2}, {\"op\": \"silu\"}, {\"op\": \"avgpool\", \"kernel\": 2}, {\"op\": \"residual\", "
     "\"body\": [{\"op\": \"conv2d\", \"out\": 6, \"kernel\": 3, \"pad\": 1, \"groups\": 2}, {\"op\": \"tanh\"}]}, "
     "{\"op\": \"conv2d\", \"out\": 8, \"kernel\": 3, \"pad\": 2, \"dilation\": 2, \"bias\": false}, {\"op\": \"gelu\"}, "
     "{\"op\": \"flatten\"}, {\"op\": \"linear\", \"out\": 5}]}",
     "0.weight [6, 2, 5, 5]; 0.bias [6]; 1.weight [6]; 1.bias [6]; 4.0.weight [6, 3, 3, 3]; 4.0.bias [6]; 5.weight [8, 6, 3, "
     "3]; "
     "8.weight [5, 288]; 8.bias [5]; ",
     "[5]", 2363},
    {"{\"in_shape\": [6, 16], \"layers\": [{\"op\": \"layernorm\"}, {\"op\": \"residual\", \"body\": [{\"op\": "
     "\"attention\"}]}, "
     "{\"op\": \"linear\", \"out\": 24}, {\"op\": \"softplus\"}, {\"op\": \"meantokens\"}, {\"op\": \"linear\", \"out\": 5}]}",
     "0.weight [6, 16]; 0.bias [6, 16]; 1.0.q.weight [16, 16]; 1.0.k.weight [16, 16]; 1.0.v.weight [16, 16]; 1.0.o.weight [16, "
     "16]; "
     "2.weight [24, 16]; 2.bias [24]; 5.weight [5, 24]; 5.bias [5]; ",
     "[5]", 1749},
    {"{\"in_shape\": [3, 4, 5], \"layers\": [{\"op\": \"film\", \"size\": 7}, {\"op\": \"globalavgpool\"}, "
     "{\"op\": \"context\", \"size\": 2}, {\"op\": \"linear\", \"out\": 5}]}",
     "0.context [7]; 0.weight [6, 7]; 0.bias [6]; 2.context [2]; 3.weight [5, 5]; 3.bias [5]; ", "[5]", 87},
    {"{\"in_shape\": [3, 4, 5], \"layers\": [{\"op\": \"dropout\", \"rate\": 0.2}, {\"op\": \"residual\", \"body\": [{\"op\": "
     "\"conv2d\", \"out\": 3, \"kernel\": 1}, {\"op\": \"dropout\", \"rate\": 0}], \"drop_path\": 0.1}, {\"op\": "
     "\"globalavgpool\"}, "
     "{\"op\": \"linear\", \"out\": 2}]}",
     "1.0.weight [3, 3, 1, 1]; 1.0.bias [3]; 3.weight [2, 3]; 3.bias [2]; ", "[2]", 20},
};
enum { LISTS = sizeof(lists) / sizeof(lists[0]) };

static clm_model *parse(const char *json) {
    clm_model *model;
    OK(clm_model_parse(&model, json, NULL));
    return model;
}

static void check_params(const clm_model *model, const char *expected) {
    char text[96];
    clm_text list = {0};
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        const clm_param *p = clm_model_param(model, i);
        clm_text_add(&list, "%s %s; ", p->name, clm_shape_text(&p->shape, text, sizeof(text)));
    }
    ck_assert_str_eq(list.data, expected);
    clm_text_free(&list);
}

START_TEST(parameters) {
    char text[96];
    clm_model *model = parse(lists[_i].json);
    check_params(model, lists[_i].params);
    ck_assert_uint_eq(clm_model_param_elements(model), lists[_i].elements);
    clm_shape out = clm_model_out_shape(model);
    ck_assert_str_eq(clm_shape_text(&out, text, sizeof(text)), lists[_i].out);
    clm_model_free(model);
}
END_TEST

START_TEST(json_makes_the_model_again) {
    clm_model *model = parse(lists[_i].json), *again = parse(clm_model_json(model));
    check_params(again, lists[_i].params);
    ck_assert_str_eq(clm_model_json(again), clm_model_json(model));
    clm_shape a = clm_model_in_shape(model), b = clm_model_in_shape(again);
    ck_assert(clm_shape_equal(&a, &b));
    clm_model_free(model);
    clm_model_free(again);
}
END_TEST

START_TEST(settings_survive_the_json) {
    clm_model *model = parse("{\"in_shape\": [4, 4], \"layers\": [{\"op\": \"elu\", \"alpha\": 0.1}, {\"op\": \"layernorm\", "
                             "\"eps\": 1e-3}, {\"op\": \"leaky_relu\", \"slope\": 0.3}]}");
    ck_assert(strstr(clm_model_json(model), "\"alpha\":0.1") != NULL);
    ck_assert(strstr(clm_model_json(model), "\"slope\":0.29999999999999999") || strstr(clm_model_json(model), "\"slope\":0.3"));
    clm_model_free(model);
}
END_TEST

START_TEST(in_shape_from_the_caller) {
    clm_model *model = NULL;
    clm_shape in = clm_shape_of(1, 7), want = clm_shape_of(2, 3, 7);
    OK(clm_model_parse(&model, "[{\"op\": \"linear\", \"out\": 3, \"bias\": false}]", &in));
    ck_assert_uint_eq(clm_model_param_count(model), 1);
    ck_assert(clm_shape_equal(&clm_model_param(model, 0)->shape, &want));
    clm_model_free(model);
}
END_TEST

START_TEST(inside_shapes) {
    clm_model *model = parse(
        "{\"in_shape\": [4, 6, 5], \"layers\": [{\"op\": \"conv2d\", \"out\": 8, \"groups\": 2}, {\"op\": \"layernorm\"}]}");
    clm_shape in = clm_model_inner_in_shape(model), hwc = clm_shape_of(3, 6, 5, 4);
    clm_shape hwio = clm_shape_of(4, 3, 3, 2, 8), norm = clm_shape_of(3, 6, 5, 8), out = clm_model_out_shape(model);
    ck_assert(clm_shape_equal(&in, &hwc));
    ck_assert(clm_shape_equal(&clm_model_param(model, 0)->inner_shape, &hwio));
    ck_assert(clm_shape_equal(&clm_model_param(model, 2)->inner_shape, &norm));
    ck_assert_int_eq(clm_model_param(model, 0)->layout, CLM_LAYOUT_OIHW);
    ck_assert_int_eq(clm_model_param(model, 2)->layout, CLM_LAYOUT_CHW);
    norm = clm_shape_of(3, 8, 6, 5);
    ck_assert(clm_shape_equal(&out, &norm)); /* outside order */
    clm_model_free(model);
}
END_TEST

/* ---- zoo ---- */

START_TEST(zoo) {
    clm_model *model;
    clm_conv4_options options = CLM_CONV4_OPTIONS_INIT;
    OK(clm_model_conv4(&model, &options));
    check_params(model, CONV4_PARAMS("1", "64", "64", "5"));
    clm_model_free(model);
    options.filters = 8;
    options.strided = true;
    OK(clm_model_conv4(&model, &options));
    check_params(model, lists[5].params);
    clm_model_free(model);
    OK(clm_model_mlp(&model, 1, (const int[]){40, 40}, 2, 1));
    check_params(model, lists[0].params);
    clm_model_free(model);
    OK(clm_model_mlp(&model, 3, NULL, 0, 2));
    check_params(model, "0.weight [2, 3]; 0.bias [2]; ");
    clm_model_free(model);
    options.strided = false;
    options.size = 8;
    ck_assert_int_eq(clm_model_conv4(&model, &options), CLM_E_SHAPE);
    ck_assert_ptr_null(model);
    options.ways = 0;
    ck_assert_int_eq(clm_model_conv4(&model, &options), CLM_E_ARG);
}
END_TEST

/* ---- initial values ---- */

START_TEST(initial_values) {
    clm_model *model = parse(CONV4("1, 28, 28", "64", "5"));
    size_t n = 64 * 64 * 9;
    double *a = malloc(n * sizeof(*a)), *b = malloc(n * sizeof(*b)), sum = 0, squares = 0;
    clm_model_init_param(model, 4, 7, a);
    clm_model_init_param(model, 4, 7, b);
    ck_assert_mem_eq(a, b, n * sizeof(*a));
    for (size_t i = 0; i < n; i++) {
        ck_assert_double_eq(a[i], (double)(float)a[i]);
        sum += a[i];
        squares += a[i] * a[i];
    }
    double std = sqrt(2.0 / (64 * 9));
    ck_assert_double_lt(fabs(sum / (double)n), 5 * std / sqrt((double)n));
    ck_assert_double_eq_tol(sqrt(squares / (double)n) / std, 1, 0.03);
    clm_model_init_param(model, 4, 8, b);
    ck_assert(memcmp(a, b, n * sizeof(*a)) != 0);
    clm_model_init_param(model, 8, 7, b);
    ck_assert(memcmp(a, b, n * sizeof(*a)) != 0);
    clm_model_init_param(model, 2, 7, b); /* scale of a norm */
    ck_assert_double_eq(b[63], 1);
    clm_model_init_param(model, 3, 7, b);
    ck_assert_double_eq(b[63], 0);
    clm_model_free(model);
    model = parse("{\"in_shape\": [2], \"layers\": [{\"op\": \"film\", \"size\": 100}]}");
    clm_model_init_param(model, 2, 7, b); /* gamma, then beta */
    ck_assert(b[0] == 1 && b[1] == 1 && b[2] == 0 && b[3] == 0);
    clm_model_init_param(model, 0, 7, b);
    ck_assert_double_eq(b[99], 0);
    free(a);
    free(b);
    clm_model_free(model);
}
END_TEST

/* ---- layouts ---- */

START_TEST(layouts) {
    clm_shape oihw = clm_shape_of(4, 5, 4, 3, 2), chw = clm_shape_of(3, 5, 4, 3);
    double from[240], to[240], back[240];
    for (int i = 0; i < 240; i++) from[i] = i;
    clm_layout_to_inner(CLM_LAYOUT_OIHW, &oihw, 2, from, to);
    for (int n = 0, k = 0; n < 2; n++)
        for (int h = 0; h < 3; h++)
            for (int w = 0; w < 2; w++)
                for (int i = 0; i < 4; i++)
                    for (int o = 0; o < 5; o++) ck_assert_double_eq(to[k++], n * 120 + ((o * 4 + i) * 3 + h) * 2 + w);
    clm_layout_to_outer(CLM_LAYOUT_OIHW, &oihw, 2, to, back);
    ck_assert_mem_eq(from, back, sizeof(from));
    clm_layout_to_inner(CLM_LAYOUT_CHW, &chw, 4, from, to);
    for (int n = 0, k = 0; n < 4; n++)
        for (int h = 0; h < 4; h++)
            for (int w = 0; w < 3; w++)
                for (int c = 0; c < 5; c++) ck_assert_double_eq(to[k++], n * 60 + (c * 4 + h) * 3 + w);
    clm_layout_to_outer(CLM_LAYOUT_CHW, &chw, 4, to, back);
    ck_assert_mem_eq(from, back, sizeof(from));
    clm_layout_to_inner(CLM_LAYOUT_SAME, &oihw, 2, from, to);
    ck_assert_mem_eq(from, to, sizeof(from));
}
END_TEST

/* ---- errors: one clear message each ---- */

#define IMAGE(layers) "{\"in_shape\": [3, 8, 8], \"layers\": [" layers "]}"

static const struct {
    const char *json;
    clm_status status;
    const char *says[3];
} faults[] = {
    {"[{\"op\": \"relu\"},\n {\"op\" \"relu\"}]", CLM_E_FORMAT, {"line 2", "column"}},
    {"", CLM_E_FORMAT, {"line"}},
    {"7", CLM_E_FORMAT, {"line 1"}},
    {"{\"in_shape\": [3]}", CLM_E_FORMAT, {"\"layers\""}},
    {"{\"in_shape\": [3], \"layers\": []}", CLM_E_FORMAT, {"empty"}},
    {"[{\"op\": \"relu\"}]", CLM_E_FORMAT, {"in_shape"}},
    {"{\"in_shape\": [3, 0], \"layers\": [{\"op\": \"relu\"}]}", CLM_E_FORMAT, {"in_shape", "entry 1"}},
    {"{\"in_shape\": [3, 4, 5, 6], \"layers\": [{\"op\": \"relu\"}]}", CLM_E_FORMAT, {"in_shape"}},
    {"{\"in_shape\": [100000, 100000], \"layers\": [{\"op\": \"relu\"}]}", CLM_E_LIMIT, {"input shape"}},
    {IMAGE("{\"op\": \"relu\"}, {\"op\": \"lrn\"}"), CLM_E_FORMAT, {"layer 1", "\"lrn\"", "conv2d"}},
    {IMAGE("{\"op\": \"relu\"}, {\"op\": \"dropout\"}"), CLM_E_FORMAT, {"layer 1 (dropout)", "\"rate\" is missing"}},
    {IMAGE("{\"op\": \"sign\", \"gradient\": \"clamp\"}"),
     CLM_E_FORMAT,
     {"layer 0 (sign)", "\"gradient\"", "must be \"clip\""}},
    {IMAGE("{\"op\": \"round\", \"gradient\": 1}"), CLM_E_FORMAT, {"layer 0 (round)", "\"gradient\"", "or \"identity\""}},
    {IMAGE("{\"op\": \"dropout\", \"rate\": 1}"),
     CLM_E_FORMAT,
     {"layer 0 (dropout)", "\"rate\"", "must be at least 0 and below 1"}},
    {IMAGE("{\"op\": \"dropout\", \"rate\": -0.1}"), CLM_E_FORMAT, {"layer 0 (dropout)", "below 1", "not -0.1"}},
    {IMAGE("{\"op\": \"dropout\", \"rate\": \"half\"}"), CLM_E_FORMAT, {"layer 0 (dropout)", "\"rate\"", "must be a number"}},
    {IMAGE("{\"op\": \"dropout\", \"rate\": 0.1, \"p\": 0.1}"), CLM_E_FORMAT, {"layer 0 (dropout)", "\"p\"", "\"rate\""}},
    {IMAGE("{\"op\": \"residual\", \"body\": [{\"op\": \"tanh\"}], \"drop_path\": 1.5}"),
     CLM_E_FORMAT,
     {"layer 0 (residual)", "\"drop_path\"", "not 1.5"}},
    {IMAGE("{\"op\": \"residual\", \"body\": [{\"op\": \"dropout\", \"rate\": 2}]}"),
     CLM_E_FORMAT,
     {"layer 0.0 (dropout)", "\"rate\"", "not 2"}},
    {IMAGE("{\"op\": \"conv2\", \"out\": 4}"), CLM_E_FORMAT, {"layer 0", "did you mean \"conv2d\"", "(clm_model_custom)"}},
    {IMAGE("{\"op\": \"relu\"}, {\"kernel\": 2}"), CLM_E_FORMAT, {"layer 1", "\"op\""}},
    {IMAGE("\"relu\""), CLM_E_FORMAT, {"layer 0", "object"}},
    {IMAGE("{\"op\": 3}"), CLM_E_FORMAT, {"layer 0", "\"op\""}},
    {IMAGE("{\"op\": \"relu\", \"op\": \"tanh\"}"), CLM_E_FORMAT, {"duplicate"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 4, \"kernal\": 3}"), CLM_E_FORMAT, {"layer 0 (conv2d)", "\"kernal\"", "\"kernel\""}},
    {IMAGE("{\"op\": \"relu\", \"kernel\": 3}"), CLM_E_FORMAT, {"layer 0 (relu)", "\"kernel\""}},
    {IMAGE("{\"op\": \"conv2d\"}"), CLM_E_FORMAT, {"layer 0 (conv2d)", "\"out\" is missing"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": \"4\"}"), CLM_E_FORMAT, {"layer 0 (conv2d)", "\"out\"", "whole number"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 4.0}"), CLM_E_FORMAT, {"layer 0 (conv2d)", "\"out\"", "whole number"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 0}"), CLM_E_FORMAT, {"layer 0 (conv2d)", "\"out\"", "from 1"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 4294967297}"), CLM_E_FORMAT, {"layer 0 (conv2d)", "\"out\""}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 4, \"pad\": -1}"), CLM_E_FORMAT, {"\"pad\"", "from 0"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 4, \"bias\": 1}"), CLM_E_FORMAT, {"\"bias\"", "true or false"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 4, \"groups\": 2}"), CLM_E_SHAPE, {"layer 0 (conv2d)", "groups 2", "3 channels"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 4, \"kernel\": 9, \"pad\": 0}"),
     CLM_E_SHAPE,
     {"layer 0 (conv2d)", "window of 9", "8 pixels"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 4, \"kernel\": 5, \"pad\": 0, \"dilation\": 2}"), CLM_E_SHAPE, {"window of 9"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 1000000, \"kernel\": 100, \"pad\": 99}"), CLM_E_LIMIT, {"layer 0", "0.weight"}},
    {IMAGE("{\"op\": \"conv2d\", \"out\": 4, \"kernel\": 2147483647, \"pad\": 2147483647, \"dilation\": 2147483647}"),
     CLM_E_SHAPE,
     {"window"}},
    {IMAGE("{\"op\": \"maxpool\", \"kernel\": 2, \"pad\": 2}"), CLM_E_SHAPE, {"layer 0 (maxpool)", "pad 2"}},
    {IMAGE("{\"op\": \"relu\"}, {\"op\": \"maxpool\", \"kernel\": 9}"), CLM_E_SHAPE, {"layer 1 (maxpool)", "window of 9"}},
    {IMAGE("{\"op\": \"maxpool\"}"), CLM_E_FORMAT, {"layer 0 (maxpool)", "\"kernel\" is missing"}},
    {IMAGE("{\"op\": \"groupnorm\", \"groups\": 2}"), CLM_E_SHAPE, {"layer 0 (groupnorm)", "3 channels"}},
    {IMAGE("{\"op\": \"batchnorm\", \"eps\": \"small\"}"), CLM_E_FORMAT, {"\"eps\"", "number"}},
    {IMAGE("{\"op\": \"batchnorm\", \"eps\": -1e-5}"), CLM_E_FORMAT, {"\"eps\"", "greater than 0"}},
    {IMAGE("{\"op\": \"attention\"}"), CLM_E_SHAPE, {"layer 0 (attention)", "[3, 8, 8]", "tokens"}},
    {IMAGE("{\"op\": \"flatten\"}, {\"op\": \"globalavgpool\"}"), CLM_E_SHAPE, {"layer 1 (globalavgpool)", "[192]", "image"}},
    {IMAGE("{\"op\": \"context\", \"size\": 2}"), CLM_E_SHAPE, {"layer 0 (context)", "[3, 8, 8]", "vector"}},
    {IMAGE("{\"op\": \"context\"}"), CLM_E_FORMAT, {"layer 0 (context)", "\"size\" is missing"}},
    {IMAGE("{\"op\": \"film\", \"size\": 0}"), CLM_E_FORMAT, {"layer 0 (film)", "\"size\"", "from 1"}},
    {IMAGE("{\"op\": \"flatten\"}, {\"op\": \"context\", \"size\": 2147483647}"),
     CLM_E_LIMIT,
     {"layer 1 (context)", "numbers"}},
    {IMAGE("{\"op\": \"meantokens\"}"), CLM_E_SHAPE, {"layer 0 (meantokens)"}},
    {IMAGE("{\"op\": \"residual\"}"), CLM_E_FORMAT, {"layer 0 (residual)", "\"body\" is missing"}},
    {IMAGE("{\"op\": \"residual\", \"body\": 3}"), CLM_E_FORMAT, {"layer 0 (residual)", "\"body\"", "list"}},
    {IMAGE("{\"op\": \"residual\", \"body\": [{\"op\": \"flatten\"}]}"),
     CLM_E_SHAPE,
     {"layer 0 (residual)", "[192]", "[3, 8, 8]"}},
    {IMAGE("{\"op\": \"relu\"}, {\"op\": \"residual\", \"body\": [{\"op\": \"tanh\"}, {\"op\": \"linear\"}]}"),
     CLM_E_FORMAT,
     {"layer 1.1 (linear)", "\"out\""}},
};
enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

START_TEST(errors) {
    clm_model *model = (clm_model *)&model;
    ck_assert_msg(clm_model_parse(&model, faults[_i].json, NULL) == faults[_i].status, "%s: %s", faults[_i].json,
                  clm_last_error());
    ck_assert_ptr_null(model);
    for (int i = 0; i < 3 && faults[_i].says[i]; i++)
        ck_assert_msg(strstr(clm_last_error(), faults[_i].says[i]) != NULL, "%s: \"%s\" lacks \"%s\"", faults[_i].json,
                      clm_last_error(), faults[_i].says[i]);
    ck_assert_msg(strstr(clm_last_error(), "layer") == NULL || strchr(clm_last_error(), '\n') == NULL, "more than one line");
}
END_TEST

START_TEST(nesting_is_limited) {
    clm_text json = {0};
    clm_model *model = NULL;
    clm_text_add(&json, "{\"in_shape\": [2], \"layers\": ");
    for (int i = 0; i < 100; i++) clm_text_add(&json, "[{\"op\": \"residual\", \"body\": ");
    clm_text_add(&json, "[{\"op\": \"relu\"}]");
    for (int i = 0; i < 100; i++) clm_text_add(&json, "}]");
    clm_text_add(&json, "}");
    ck_assert_int_eq(clm_model_parse(&model, json.data, NULL), CLM_E_LIMIT);
    ck_assert_ptr_null(model);
    clm_text_free(&json);
}
END_TEST

START_TEST(missing_file) {
    clm_model *model;
    ck_assert_int_eq(clm_model_load(&model, "/nowhere/model.json", NULL), CLM_E_IO);
    ck_assert(strstr(clm_last_error(), "/nowhere/model.json") != NULL);
}
END_TEST

/* ---- graphs ---- */

static size_t count_ops(const clm_graph *g, clm_opcode op) {
    size_t n = 0;
    for (size_t v = 0; v < clm_graph_size(g); v++) n += clm_node_at(g, (clm_value)v)->op == op;
    return n;
}

/* The model's output for per-task parameters and n examples. */
static clm_value apply(const clm_model *model, clm_graph *g, const char *prefix, int n, clm_bn_stats *stats) {
    clm_value params[64];
    char name[96];
    clm_shape shape = {0}, in = clm_model_inner_in_shape(model);
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        params[i] = clm_input(g, clm_model_param(model, i)->name, clm_model_param(model, i)->inner_shape, true);
    shape.rank = in.rank + 1;
    shape.dim[0] = n;
    memcpy(shape.dim + 1, in.dim, (size_t)in.rank * sizeof(in.dim[0]));
    snprintf(name, sizeof(name), "%s.x", prefix);
    return clm_model_apply(model, g, params, clm_input(g, name, shape, true), stats);
}

START_TEST(graph_has_the_output_shape) {
    clm_graph *g;
    clm_model *model = parse(lists[_i].json);
    OK(clm_graph_create(&g));
    clm_value y = apply(model, g, "query", 7, NULL);
    OK(clm_graph_status(g));
    clm_shape shape = clm_value_shape(g, y), out = clm_model_out_shape(model);
    ck_assert_int_eq(shape.rank, 2);
    ck_assert_int_eq(shape.dim[0], 7);
    ck_assert_int_eq(shape.dim[1], out.dim[0]);
    clm_graph_free(g);
    clm_model_free(model);
}
END_TEST

START_TEST(flatten_transposes_only_where_order_differs) {
    clm_graph *g;
    clm_model *spread = parse(IMAGE("{\"op\": \"flatten\"}"));
    clm_model *point = parse("{\"in_shape\": [3, 1, 1], \"layers\": [{\"op\": \"flatten\"}]}");
    clm_model *grey = parse("{\"in_shape\": [1, 8, 8], \"layers\": [{\"op\": \"flatten\"}]}");
    OK(clm_graph_create(&g));
    apply(point, g, "point", 2, NULL);
    apply(grey, g, "grey", 2, NULL);
    ck_assert_uint_eq(count_ops(g, CLM_OP_TRANSPOSE), 0);
    apply(spread, g, "spread", 2, NULL);
    ck_assert_uint_eq(count_ops(g, CLM_OP_TRANSPOSE), 1);
    OK(clm_graph_status(g));
    clm_graph_free(g);
    clm_model_free(spread);
    clm_model_free(point);
    clm_model_free(grey);
}
END_TEST

START_TEST(statistics_are_recorded_and_used) {
    clm_graph *g;
    clm_bn_stats stats = {0};
    clm_model *model = parse(CONV4("1, 28, 28", "8", "5"));
    OK(clm_graph_create(&g));
    apply(model, g, "support", 5, &stats);
    ck_assert_uint_eq(stats.count, 4);
    for (size_t i = 0; i < 4; i++) {
        clm_shape shape = clm_value_shape(g, stats.mean[i]);
        ck_assert_uint_eq(clm_shape_size(&shape), 8);
        shape = clm_value_shape(g, stats.var[i]);
        ck_assert_uint_eq(clm_shape_size(&shape), 8);
    }
    stats.use = true;
    apply(model, g, "query", 10, &stats);
    ck_assert_uint_eq(stats.next, 4);
    OK(clm_graph_status(g));
    apply(model, g, "query", 10, &stats); /* not rewound */
    ck_assert_int_eq(clm_graph_status(g), CLM_E_STATE);
    clm_graph_free(g);
    clm_model_free(model);
}
END_TEST

START_TEST(wrong_operands) {
    clm_graph *g;
    clm_model *model = parse(MLP);
    clm_value params[6];
    OK(clm_graph_create(&g));
    for (size_t i = 0; i < 6; i++)
        params[i] = clm_input(g, clm_model_param(model, i)->name, clm_model_param(model, i == 2 ? 0 : i)->inner_shape, true);
    ck_assert_int_eq(clm_model_apply(model, g, params, clm_input(g, "x", clm_shape_of(2, 3, 1), true), NULL), CLM_INVALID);
    ck_assert_int_eq(clm_graph_status(g), CLM_E_SHAPE);
    ck_assert(strstr(clm_last_error(), "2.weight") && strstr(clm_last_error(), "[40, 40]"));
    clm_graph_free(g);
    OK(clm_graph_create(&g));
    ck_assert_int_eq(clm_model_apply(model, g, params, clm_input(g, "x", clm_shape_of(2, 3, 2), true), NULL), CLM_INVALID);
    ck_assert(clm_graph_status(g) == CLM_E_SHAPE && strstr(clm_last_error(), "[3, 2]"));
    clm_graph_free(g);
    clm_model_free(model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model");
    TCase *lists_case = tcase_create("layer lists"), *errors_case = tcase_create("errors"), *graphs = tcase_create("graphs");
    tcase_add_loop_test(lists_case, parameters, 0, LISTS);
    tcase_add_loop_test(lists_case, json_makes_the_model_again, 0, LISTS);
    tcase_add_test(lists_case, settings_survive_the_json);
    tcase_add_test(lists_case, in_shape_from_the_caller);
    tcase_add_test(lists_case, inside_shapes);
    tcase_add_test(lists_case, zoo);
    tcase_add_test(lists_case, initial_values);
    tcase_add_test(lists_case, layouts);
    tcase_add_loop_test(errors_case, errors, 0, FAULTS);
    tcase_add_test(errors_case, nesting_is_limited);
    tcase_add_test(errors_case, missing_file);
    tcase_add_loop_test(graphs, graph_has_the_output_shape, 0, LISTS);
    tcase_add_test(graphs, flatten_transposes_only_where_order_differs);
    tcase_add_test(graphs, statistics_are_recorded_and_used);
    tcase_add_test(graphs, wrong_operands);
    suite_add_tcase(suite, lists_case);
    suite_add_tcase(suite, errors_case);
    suite_add_tcase(suite, graphs);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
