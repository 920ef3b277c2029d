/* What methods ask of a model: the roles of its parameters, its head, its features; the layers that have a context;
 * and models of the caller's own. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/model.h"
#include "support/run.h"

static clm_model *parse(const char *json) {
    clm_model *model;
    CLM_TEST_OK(clm_model_parse(&model, json, NULL));
    return model;
}

/* ---- roles ---- */

START_TEST(roles) {
    enum { WEIGHT = CLM_PARAM_WEIGHT, BN = CLM_PARAM_BATCH_NORM, CONTEXT = CLM_PARAM_CONTEXT };
    static const int want[] = {WEIGHT, BN, BN, CONTEXT, WEIGHT, WEIGHT, WEIGHT, WEIGHT, CONTEXT, WEIGHT, WEIGHT};
    clm_model *model =
        parse("{\"in_shape\": [3, 4, 5], \"layers\": [{\"op\": \"residual\", \"body\": [{\"op\": \"conv2d\", \"out\": 3, "
              "\"bias\": false}, {\"op\": \"batchnorm\"}]}, {\"op\": \"film\", \"size\": 4}, {\"op\": \"layernorm\"}, "
              "{\"op\": \"flatten\"}, {\"op\": \"context\", \"size\": 2}, {\"op\": \"linear\", \"out\": 5}]}");
    ck_assert_uint_eq(clm_model_param_count(model), sizeof(want) / sizeof(want[0]));
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        ck_assert_msg((int)clm_model_param(model, i)->role == want[i], "%s", clm_model_param(model, i)->name);
    clm_model_free(model);
}
END_TEST

/* ---- head ---- */

#define VECTOR(layers) "{\"in_shape\": [6], \"layers\": [" layers "]}"

static const struct {
    const char *json;
    size_t first, count;
} heads[] = {
    {VECTOR("{\"op\": \"linear\", \"out\": 3}, {\"op\": \"relu\"}, {\"op\": \"linear\", \"out\": 1}"), 2, 2},
    {VECTOR("{\"op\": \"relu\"}"), 0, 0},
    {VECTOR("{\"op\": \"linear\", \"out\": 3, \"bias\": false}, {\"op\": \"relu\"}"), 0, 1},
    {VECTOR("{\"op\": \"linear\", \"out\": 6}, {\"op\": \"residual\", \"body\": [{\"op\": \"linear\", \"out\": 6}, {\"op\": "
            "\"film\", "
            "\"size\": 2}, {\"op\": \"relu\"}]}, {\"op\": \"residual\", \"body\": []}"),
     2, 5},
    {VECTOR("{\"op\": \"linear\", \"out\": 6}, {\"op\": \"linear\", \"out\": 3}, {\"op\": \"layernorm\"}"), 2, 4},
    {VECTOR("{\"op\": \"linear\", \"out\": 6}, {\"op\": \"batchnorm\"}, {\"op\": \"linear\", \"out\": 3}, {\"op\": "
            "\"batchnorm\"}"),
     4, 4},
    {VECTOR("{\"op\": \"layernorm\"}"), 0, 2},
    {"{\"in_shape\": [6, 4], \"layers\": [{\"op\": \"layernorm\"}, {\"op\": \"attention\"}, {\"op\": \"meantokens\"}]}", 2, 4},
    /* another learned map behind the last linear or convolution layer is not what the head begins with */
    {"{\"in_shape\": [6, 4], \"layers\": [{\"op\": \"linear\", \"out\": 4}, {\"op\": \"lstm\", \"out\": 3, \"last\": true}]}",
     0, 6},
    {"{\"in_shape\": [2, 4, 4], \"layers\": [{\"op\": \"conv2d\", \"out\": 4}, {\"op\": \"tokens\"}, {\"op\": \"multihead\", "
     "\"heads\": 2}, {\"op\": \"lastnorm\"}, {\"op\": \"meantokens\"}]}",
     0, 8},
};
enum { HEADS = sizeof(heads) / sizeof(heads[0]) };

START_TEST(head) {
    clm_model *model = parse(heads[_i].json);
    size_t count = 77;
    ck_assert_uint_eq(clm_model_head(model, &count), heads[_i].first);
    ck_assert_uint_eq(count, heads[_i].count);
    clm_model_free(model);
}
END_TEST

static clm_value twice(void *user, clm_graph *g, const clm_value *params, clm_value x, clm_bn_stats *stats) {
    (void)user, (void)params, (void)stats;
    return clm_scale(g, x, 2);
}

/* By the names, from the last one on. */
START_TEST(head_of_a_custom_model) {
    static const struct {
        const char *names[3];
        size_t first, count;
    } named[] = {{{"in.weight", "out.weight", "out.bias"}, 1, 2},
                 {{"out.weight", "in.weight", "out.bias"}, 2, 1},
                 {{"a.b.weight", "a.c.weight", "a.c.bias"}, 1, 2},
                 {{"weight", "weight2", "bias"}, 2, 1}};
    const clm_shape shape = clm_shape_of(1, 6);
    for (size_t k = 0; k < sizeof(named) / sizeof(named[0]); k++) {
        clm_param params[3] = {{.shape = shape}, {.shape = shape}, {.shape = shape, .role = CLM_PARAM_CONTEXT}};
        clm_model *model;
        size_t count;
        for (int i = 0; i < 3; i++) strcpy(params[i].name, named[k].names[i]);
        CLM_TEST_OK(clm_model_custom(&model, &shape, params, 3, twice, NULL));
        ck_assert_uint_eq(clm_model_head(model, &count), named[k].first);
        ck_assert_uint_eq(count, named[k].count);
        ck_assert_int_eq(clm_model_param(model, 0)->role, CLM_PARAM_WEIGHT);
        ck_assert_int_eq(clm_model_param(model, 2)->role, CLM_PARAM_CONTEXT);
        clm_model_free(model);
    }
}
END_TEST

/* ---- features ---- */

/* Inputs for the parameters and for n examples (last). */
static size_t add_inputs(clm_graph *g, const clm_model *model, int n, clm_value *in) {
    size_t count = clm_model_param_count(model);
    clm_shape x = {0}, one = clm_model_inner_in_shape(model);
    for (size_t i = 0; i < count; i++)
        in[i] = clm_input(g, clm_model_param(model, i)->name, clm_model_param(model, i)->inner_shape, false);
    x.rank = one.rank + 1;
    x.dim[0] = n;
    memcpy(x.dim + 1, one.dim, (size_t)one.rank * sizeof(one.dim[0]));
    in[count] = clm_input(g, "x", x, true);
    return count;
}

/* The last layer on the features is the model: the same value of the graph. */
START_TEST(last_layer_on_features_is_the_model) {
    clm_graph *g;
    clm_value in[8];
    clm_model *model =
        parse("{\"in_shape\": [1, 8, 8], \"layers\": [{\"op\": \"conv2d\", \"out\": 3}, {\"op\": \"batchnorm\"}, {\"op\": "
              "\"flatten\"}, {\"op\": \"linear\", \"out\": 5}]}");
    CLM_TEST_OK(clm_graph_create(&g));
    size_t n = add_inputs(g, model, 7, in);
    clm_value features = clm_model_features(model, g, in, in[n], NULL), y = clm_model_apply(model, g, in, in[n], NULL);
    CLM_TEST_OK(clm_graph_status(g));
    clm_shape have = clm_value_shape(g, features), want = clm_shape_of(2, 7, 3 * 8 * 8);
    ck_assert(clm_shape_equal(&have, &want));
    ck_assert_int_eq(clm_linear(g, features, in[4], in[5]), y);
    clm_graph_free(g);
    clm_model_free(model);
}
END_TEST

static void expect_no_features(clm_model *model, const char *says) {
    clm_graph *g;
    clm_value in[8];
    CLM_TEST_OK(clm_graph_create(&g));
    size_t n = add_inputs(g, model, 2, in);
    ck_assert_int_eq(clm_model_features(model, g, in, in[n], NULL), CLM_INVALID);
    ck_assert_int_eq(clm_graph_status(g), CLM_E_ARG);
    ck_assert_msg(strstr(clm_last_error(), says) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), says);
    clm_graph_free(g);
    clm_model_free(model);
}

START_TEST(no_features) {
    const clm_shape shape = clm_shape_of(1, 6);
    clm_model *custom;
    expect_no_features(parse(VECTOR("{\"op\": \"linear\", \"out\": 3}, {\"op\": \"relu\"}")), "layer 1 (relu)");
    expect_no_features(parse("{\"in_shape\": [4, 6], \"layers\": [{\"op\": \"linear\", \"out\": 3}]}"),
                       "layer 0 (linear) on [4, 6]");
    expect_no_features(parse(VECTOR("{\"op\": \"residual\", \"body\": [{\"op\": \"linear\", \"out\": 6}]}")),
                       "layer 0 (residual)");
    CLM_TEST_OK(clm_model_custom(&custom, &shape, NULL, 0, twice, NULL));
    expect_no_features(custom, "custom model");
}
END_TEST

/* ---- layers with a context, by hand ---- */

/* y of the model of one layer for parameters and x from `data`. */
static void run_layer(const char *json, int examples, const double *const *data, double *y, size_t size) {
    clm_graph *g;
    clm_value in[8];
    clm_model *model = parse(json);
    clm_device *host = clm_test_open_host();
    CLM_TEST_OK(clm_graph_create(&g));
    size_t n = add_inputs(g, model, examples, in);
    clm_value out = clm_model_apply(model, g, in, in[n], NULL);
    CLM_TEST_OK(clm_graph_status(g));
    ck_assert_uint_eq(clm_test_elements(g, out, 1), size);
    CLM_TEST_OK(clm_test_run(host, g, 1, in, data, n + 1, &out, &y, 1));
    clm_graph_free(g);
    clm_device_close(host);
    clm_model_free(model);
}

/* weight context + bias = (2, 1, 10, 13): gamma (2, 1), beta (10, 13). The channels of x are its second axis, its first, and the
 * last one inside, which comes out in front. */
static const struct {
    const char *json;
    int examples;
    double y[4];
} films[] = {
    {"{\"in_shape\": [2], \"layers\": [{\"op\": \"film\", \"size\": 2}]}", 2, {12, 15, 16, 17}},
    {"{\"in_shape\": [2, 2], \"layers\": [{\"op\": \"film\", \"size\": 2}]}", 1, {12, 14, 16, 17}},
    {"{\"in_shape\": [2, 1, 2], \"layers\": [{\"op\": \"film\", \"size\": 2}]}", 1, {12, 16, 15, 17}},
};
enum { FILMS = sizeof(films) / sizeof(films[0]) };

START_TEST(film) {
    static const double context[] = {1, -2}, weight[] = {1, 0, 0.5, 0.25, 2, 1, -1, 3}, bias[] = {1, 1, 10, 20},
                        x[] = {1, 2, 3, 4};
    double y[4];
    run_layer(films[_i].json, films[_i].examples, (const double *const[]){context, weight, bias, x}, y, 4);
    for (int i = 0; i < 4; i++) ck_assert_double_eq(y[i], films[_i].y[i]);
}
END_TEST

START_TEST(context) {
    static const double numbers[] = {7, 8}, x[] = {1, 2, 3, 4, 5, 6}, want[] = {1, 2, 3, 7, 8, 4, 5, 6, 7, 8};
    double y[10];
    run_layer("{\"in_shape\": [3], \"layers\": [{\"op\": \"context\", \"size\": 2}]}", 2, (const double *const[]){numbers, x},
              y, 10);
    ck_assert_mem_eq(y, want, sizeof(want));
}
END_TEST

/* film behind pooling and in front of relu; an embedding has no last layer and asks for no classes. */
START_TEST(conv4_with_film) {
    clm_model *model;
    clm_conv4_options options = CLM_CONV4_OPTIONS_INIT;
    options.filters = 2;
    options.ways = 0;
    options.film_context = 3;
    options.headless = true;
    CLM_TEST_OK(clm_model_conv4(&model, &options));
    ck_assert_uint_eq(clm_model_param_count(model), 4 * 7);
    ck_assert_str_eq(clm_model_param(model, 4)->name, "3.context");
    ck_assert_str_eq(clm_model_param(model, 7)->name, "5.weight");
    ck_assert_ptr_nonnull(
        strstr(clm_model_json(model), "\"maxpool\",\"kernel\":2},{\"op\":\"film\",\"size\":3},{\"op\":\"relu\"}"));
    clm_shape out = clm_model_out_shape(model), want = clm_shape_of(1, 2);
    ck_assert(clm_shape_equal(&out, &want));
    clm_model_free(model);
    options.film_context = -1;
    ck_assert_int_eq(clm_model_conv4(&model, &options), CLM_E_ARG);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "film_context -1"));
    options = (clm_conv4_options){.filters = 2, .ways = 5, .channels = 1, .size = 28};
    ck_assert_int_eq(clm_model_conv4(&model, &options), CLM_E_ARG);
    ck_assert(strstr(clm_last_error(), "version 0") && strstr(clm_last_error(), "CLM_CONV4_OPTIONS_INIT"));
    ck_assert_ptr_null(model);
}
END_TEST

/* ---- custom models ---- */

static clm_value scaled(void *user, clm_graph *g, const clm_value *params, clm_value x, clm_bn_stats *stats) {
    ck_assert_ptr_nonnull(stats);
    return *(int *)user ? clm_mul(g, x, params[0]) : clm_sum(g, clm_mul(g, x, params[0]), 1, false);
}

START_TEST(custom) {
    int good = 1, bad = 0;
    clm_model *model;
    clm_shape in = clm_shape_of(1, 4), image = clm_shape_of(3, 3, 5, 6), hwc = clm_shape_of(3, 5, 6, 3);
    clm_param params[2] = {{.name = "s", .shape = in, .init = CLM_INIT_CONSTANT, .init_scale = 2}};
    CLM_TEST_OK(clm_model_custom(&model, &in, params, 1, scaled, &good));
    clm_shape out = clm_model_out_shape(model);
    ck_assert(clm_shape_equal(&out, &in));
    ck_assert_ptr_null(clm_model_json(model));
    ck_assert_uint_eq(clm_model_param_elements(model), 4);
    clm_model_free(model);
    ck_assert_int_eq(clm_model_custom(&model, &in, params, 1, scaled, &bad), CLM_E_SHAPE);
    ck_assert_ptr_null(model);
    params[1] = params[0];
    ck_assert_int_eq(clm_model_custom(&model, &in, params, 2, scaled, &good), CLM_E_ARG);
    ck_assert(strstr(clm_last_error(), "two parameters"));
    params[0].layout = CLM_LAYOUT_OIHW;
    ck_assert_int_eq(clm_model_custom(&model, &in, params, 1, scaled, &good), CLM_E_SHAPE);
    params[0] = (clm_param){.name = "s", .shape = image, .layout = CLM_LAYOUT_CHW};
    CLM_TEST_OK(clm_model_custom(&model, &image, params, 1, scaled, &good));
    ck_assert(clm_shape_equal(&clm_model_param(model, 0)->inner_shape, &hwc));
    clm_model_free(model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model parts");
    TCase *cases = tcase_create("parts");
    tcase_add_test(cases, roles);
    tcase_add_loop_test(cases, head, 0, HEADS);
    tcase_add_test(cases, head_of_a_custom_model);
    tcase_add_test(cases, last_layer_on_features_is_the_model);
    tcase_add_test(cases, no_features);
    tcase_add_loop_test(cases, film, 0, FILMS);
    tcase_add_test(cases, context);
    tcase_add_test(cases, conv4_with_film);
    tcase_add_test(cases, custom);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
