/* The zoo as a table: what every network is made of, what it reads, and the messages for what it does not take. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "clmaml/meta.h"
#include "support/run.h"

static clm_network_options options_for(const clm_network_info *info) {
    clm_network_options o = CLM_NETWORK_OPTIONS_INIT;
    o.in_shape = info->rank == 3 ? clm_shape_of(3, 3, 84, 84) : info->rank == 2 ? clm_shape_of(2, 128, 3) : clm_shape_of(1, 7);
    return o;
}

static clm_model *network(const char *name, const clm_network_options *options) {
    clm_model *model = NULL;
    CLM_TEST_OK(clm_model_network(&model, name, options));
    return model;
}

static size_t count_role(const clm_model *model, clm_param_role role) {
    size_t count = 0;
    for (size_t i = 0; i < clm_model_param_count(model); i++) count += clm_model_param(model, i)->role == role;
    return count;
}

static void check_same(const clm_model *a, const clm_model *b) {
    ck_assert_uint_eq(clm_model_param_count(a), clm_model_param_count(b));
    for (size_t i = 0; i < clm_model_param_count(a); i++) {
        ck_assert_str_eq(clm_model_param(a, i)->name, clm_model_param(b, i)->name);
        ck_assert(clm_shape_equal(&clm_model_param(a, i)->shape, &clm_model_param(b, i)->shape));
    }
    ck_assert_str_eq(clm_model_json(a), clm_model_json(b));
}

/* ---- every row ---- */

START_TEST(json_makes_the_network_again) {
    const clm_network_info info = clm_network_get_info((size_t)_i);
    const clm_network_options o = options_for(&info);
    clm_model *model = network(info.name, &o), *again = NULL;
    CLM_TEST_OK(clm_model_parse(&again, clm_model_json(model), NULL));
    check_same(model, again);
    ck_assert_uint_le(clm_model_param_count(model), 256); /* of a meta-learner */
    ck_assert_uint_le(count_role(model, CLM_PARAM_BATCH_NORM) / 2, sizeof(((clm_bn_stats *)0)->mean) / sizeof(clm_value));
    clm_model_free(model);
    clm_model_free(again);
}
END_TEST

START_TEST(numbers_of_the_row_are_the_network_s_own) {
    const clm_network_info info = clm_network_get_info((size_t)_i);
    clm_network_options o = options_for(&info);
    clm_model *own = network(info.name, &o);
    o.filters = info.filters;
    o.hidden = info.hidden;
    clm_model *said = network(info.name, &o);
    check_same(own, said);
    if (o.filters) o.filters = 4;
    if (o.hidden) o.hidden = 6;
    clm_model *small = network(info.name, &o);
    ck_assert_uint_lt(clm_model_param_elements(small), clm_model_param_elements(own));
    clm_model_free(own);
    clm_model_free(said);
    clm_model_free(small);
}
END_TEST

START_TEST(headless_is_the_network_without_its_last_layer) {
    const clm_network_info info = clm_network_get_info((size_t)_i);
    clm_network_options o = options_for(&info);
    clm_model *whole = network(info.name, &o);
    o.headless = true;
    o.outputs = 0;
    clm_model *headless = network(info.name, &o);
    const size_t n = clm_model_param_count(headless), layers = clm_model_layer_count(headless);
    ck_assert_uint_eq(clm_model_param_count(whole), n + 2);
    ck_assert_uint_eq(clm_model_layer_count(whole), layers + 1);
    for (size_t i = 0; i < n; i++) ck_assert_str_eq(clm_model_param(whole, i)->name, clm_model_param(headless, i)->name);
    const clm_layer_info last = clm_model_layer(whole, layers);
    const clm_shape out = clm_model_out_shape(headless), five = clm_shape_of(1, 5);
    ck_assert_str_eq(last.op, "linear");
    ck_assert(clm_shape_equal(&last.in, &out) && clm_shape_equal(&last.out, &five) && out.rank == 1);
    clm_model_free(whole);
    clm_model_free(headless);
}
END_TEST

START_TEST(layers_share_out_the_parameters) {
    const clm_network_info info = clm_network_get_info((size_t)_i);
    const clm_network_options o = options_for(&info);
    clm_model *model = network(info.name, &o);
    clm_shape shape = clm_model_in_shape(model);
    size_t at = 0;
    for (size_t i = 0; i < clm_model_layer_count(model); i++) {
        const clm_layer_info layer = clm_model_layer(model, i);
        char prefix[32];
        snprintf(prefix, sizeof prefix, "%zu.", i);
        ck_assert(clm_shape_equal(&layer.in, &shape));
        ck_assert_uint_eq(layer.first_param, at);
        for (size_t k = 0; k < layer.n_params; k++)
            ck_assert_ptr_eq(strstr(clm_model_param(model, at + k)->name, prefix), clm_model_param(model, at + k)->name);
        at += layer.n_params;
        shape = layer.out;
    }
    ck_assert_uint_eq(at, clm_model_param_count(model));
    ck_assert_ptr_null(clm_model_layer(model, clm_model_layer_count(model)).op);
    clm_model_free(model);
}
END_TEST

START_TEST(options_are_read_or_refused) {
    const clm_network_info info = clm_network_get_info((size_t)_i);
    const clm_network_options usual = options_for(&info);
    const struct {
        const char *name;
        bool reads;
        int filters, hidden, context;
    } rows[] = {
        {"filters", info.filters > 0, 8, 0, 0}, {"hidden", info.hidden > 0, 0, 8, 0}, {"context", info.context, 0, 0, 3}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        clm_network_options o = usual;
        clm_model *model = NULL;
        o.filters = rows[k].filters, o.hidden = rows[k].hidden, o.context = rows[k].context;
        const clm_status status = clm_model_network(&model, info.name, &o);
        ck_assert_int_eq(status, rows[k].reads ? CLM_OK : CLM_E_ARG);
        if (status != CLM_OK) ck_assert_ptr_nonnull(strstr(clm_last_error(), rows[k].name));
        if (model && o.context) ck_assert_uint_gt(count_role(model, CLM_PARAM_CONTEXT), 0);
        clm_model_free(model);
    }
}
END_TEST

/* ---- particular ones ---- */

#define BLOCK(stride, pool)                                                                                               \
    "{\"op\":\"conv2d\",\"out\":8,\"kernel\":3,\"stride\":" stride ",\"pad\":1},{\"op\":\"batchnorm\"},{\"op\":\"relu\"}" \
    "," pool
#define POOL "{\"op\":\"maxpool\",\"kernel\":2},"
#define FILM                                                                                         \
    "{\"op\":\"conv2d\",\"out\":8,\"kernel\":3,\"stride\":1,\"pad\":1},{\"op\":\"batchnorm\"}," POOL \
    "{\"op\":\"film\",\"size\":4},{\"op\":\"relu\"},"
#define FOUR(block) block block block block
#define LISTED(layers) "{\"in_shape\":[1,28,28],\"layers\":[" layers "]}"

/* What runs of before have stored. */
START_TEST(conv4_has_the_layers_that_it_had) {
    static const struct {
        const char *name, *json;
        bool headless;
        int context;
    } rows[] = {
        {"conv4", LISTED(FOUR(BLOCK("1", POOL)) "{\"op\":\"flatten\"},{\"op\":\"linear\",\"out\":5}"), false, 0},
        {"conv4-strided", LISTED(FOUR(BLOCK("2", "")) "{\"op\":\"globalavgpool\"},{\"op\":\"linear\",\"out\":5}"), false, 0},
        {"conv4", LISTED(FOUR(FILM) "{\"op\":\"flatten\"},{\"op\":\"linear\",\"out\":5}"), false, 4},
        {"conv4", LISTED(FOUR(BLOCK("1", POOL)) "{\"op\":\"flatten\"}"), true, 0},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        clm_network_options o = CLM_NETWORK_OPTIONS_INIT;
        clm_conv4_options c = CLM_CONV4_OPTIONS_INIT;
        clm_model *model = NULL, *same = NULL;
        o.in_shape = clm_shape_of(3, 1, 28, 28);
        o.filters = c.filters = 8;
        o.headless = c.headless = rows[k].headless;
        o.context = c.film_context = rows[k].context;
        c.strided = strcmp(rows[k].name, "conv4") != 0;
        model = network(rows[k].name, &o);
        CLM_TEST_OK(clm_model_conv4(&same, &c));
        ck_assert_str_eq(clm_model_json(model), rows[k].json);
        check_same(model, same);
        clm_model_free(model);
        clm_model_free(same);
    }
}
END_TEST

/* Without the last layer: by formula, which is what is published in round numbers. */
START_TEST(sizes) {
    static const struct {
        const char *name;
        int32_t in[3];
        size_t elements;
    } rows[] = {
        /* 4 blocks of 3 x 3 x (ci + 2 co) co + ci co + 8 co, from 3 channels to 64, 128, 256, 512: 8.0 M */
        {"resnet12", {3, 84, 84}, 7996800},
        /* stem 432, groups of (9 ci + 27 co) co + ci co and norms, 2 x 256 at the end: 2.7 M for CIFAR */
        {"wrn-16-4", {3, 32, 32}, 2746320},
        {"conv4", {3, 84, 84}, 113088},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        clm_network_options o = CLM_NETWORK_OPTIONS_INIT;
        o.in_shape = clm_shape_of(3, rows[k].in[0], rows[k].in[1], rows[k].in[2]);
        o.headless = true;
        clm_model *model = network(rows[k].name, &o);
        ck_assert_msg(clm_model_param_elements(model) == rows[k].elements, "%s: %zu", rows[k].name,
                      clm_model_param_elements(model));
        clm_model_free(model);
    }
}
END_TEST

START_TEST(sequences_of_any_length) {
    for (int length = 1; length <= 33; length += 4) {
        clm_network_options o = CLM_NETWORK_OPTIONS_INIT;
        o.in_shape = clm_shape_of(2, length, 2);
        clm_model_free(network("cnn1d", &o));
        clm_model_free(network("lstm", &o));
        clm_model_free(network("mlp", &o)); /* made flat */
    }
}
END_TEST

START_TEST(the_shape_says_what_to_begin_with) {
    const clm_shape image = clm_shape_of(3, 3, 84, 84), sequence = clm_shape_of(2, 50, 3), vector = clm_shape_of(1, 4);
    ck_assert_str_eq(clm_network_for(&image), "conv4");
    ck_assert_str_eq(clm_network_for(&sequence), "cnn1d");
    ck_assert_str_eq(clm_network_for(&vector), "mlp");
}
END_TEST

/* ---- mistakes ---- */

START_TEST(mistakes) {
    static const struct {
        const char *name;
        int rank, outputs, filters, version;
        clm_status status;
        const char *says;
    } rows[] = {
        {"resnet", 3, 5, 0, 1, CLM_E_ARG, "unknown network \"resnet\"; did you mean \"resnet12\"; known: conv4, "},
        {"diffusion-model", 3, 5, 0, 1, CLM_E_ARG, "unknown network \"diffusion-model\"; known: conv4, "},
        {"conv4", 1, 5, 0, 1, CLM_E_SHAPE, "conv4: it takes images [C, H, W], not [84]; mlp does"},
        {"lstm", 3, 5, 0, 1, CLM_E_SHAPE, "lstm: it takes sequences [length, width], not [84, 84, 84]; conv4 does"},
        {"conv4", 3, 0, 0, 1, CLM_E_ARG, "outputs"},
        {"conv4", 3, 5, -1, 1, CLM_E_ARG, "filters"},
        {"resnet12", 3, 5, 1 << 21, 1, CLM_E_LIMIT, "filters"},
        {"conv4", 3, 5, 0, 0, CLM_E_ARG, "CLM_NETWORK_OPTIONS_INIT"},
        {"conv4", 0, 5, 0, 1, CLM_E_SHAPE, "in_shape"},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        clm_network_options o = CLM_NETWORK_OPTIONS_INIT;
        clm_model *model = (clm_model *)&model;
        o.version = rows[k].version;
        o.in_shape = (clm_shape){rows[k].rank, {84, 84, 84}};
        o.outputs = rows[k].outputs;
        o.filters = rows[k].filters;
        ck_assert_msg(clm_model_network(&model, rows[k].name, &o) == rows[k].status, "row %zu: %s", k, clm_last_error());
        ck_assert_ptr_null(model);
        ck_assert_msg(strstr(clm_last_error(), rows[k].says), "\"%s\" is not in: %s", rows[k].says, clm_last_error());
    }
}
END_TEST

START_TEST(nearest_words) {
    static const char *const words[] = {"conv2d", "conv1d", "linear", "globalavgpool"};
    ck_assert_str_eq(clm_nearest_word("conv2", words, 4), "conv2d");
    ck_assert_str_eq(clm_nearest_word("Conv2D", words, 4), "conv2d");
    ck_assert_str_eq(clm_nearest_word("global", words, 4), "globalavgpool");
    ck_assert_str_eq(clm_nearest_word("liner", words, 4), "linear");
    ck_assert_ptr_null(clm_nearest_word("dropout", words, 4));
    ck_assert_ptr_null(clm_nearest_word("", words, 0));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("zoo");
    TCase *tcase = tcase_create("zoo");
    const int n = (int)clm_network_count();
    tcase_add_loop_test(tcase, json_makes_the_network_again, 0, n);
    tcase_add_loop_test(tcase, numbers_of_the_row_are_the_network_s_own, 0, n);
    tcase_add_loop_test(tcase, headless_is_the_network_without_its_last_layer, 0, n);
    tcase_add_loop_test(tcase, layers_share_out_the_parameters, 0, n);
    tcase_add_loop_test(tcase, options_are_read_or_refused, 0, n);
    tcase_add_test(tcase, conv4_has_the_layers_that_it_had);
    tcase_add_test(tcase, sizes);
    tcase_add_test(tcase, sequences_of_any_length);
    tcase_add_test(tcase, the_shape_says_what_to_begin_with);
    tcase_add_test(tcase, mistakes);
    tcase_add_test(tcase, nearest_words);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
