/* Every network of the zoo, small, and every layer as `clmaml doctor` tries it.
 *
 * device: the second-order meta-gradient of MAML against the host reference.
 * differences: (L(theta + h d) - L(theta - h d)) / 2h on the host against the gradient, by an algorithm for each kind of network:
 * with a last layer, without one, and with a context; of layers, which doctor has on the device, by MAML alone. Data and directions are fixed, so that no unit comes near its kink by
 * chance. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "clmaml/meta.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

/* Two filters, eight hidden units, the smallest image that can be halved four times, a sequence that cannot. */
static clm_model *small_network(const clm_network_info *info, bool headless, int context) {
    clm_network_options o = CLM_NETWORK_OPTIONS_INIT;
    clm_model *model = NULL;
    o.in_shape = info->rank == 3 ? clm_shape_of(3, 2, 16, 16) : info->rank == 2 ? clm_shape_of(2, 9, 3) : clm_shape_of(1, 4);
    o.outputs = 3;
    o.filters = info->filters ? 2 : 0;
    o.hidden = info->hidden ? 8 : 0;
    o.headless = headless;
    o.context = context;
    CLM_TEST_OK(clm_model_network(&model, info->name, &o));
    return model;
}

static clm_meta_options options_of(const char *algorithm) {
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    o.tasks = 2;
    o.task.algorithm = algorithm;
    o.task.support = 6;
    o.task.query = 6;
    o.task.loss.name = "cross-entropy";
    if (clm_algorithm_uses(algorithm, "steps")) o.task.steps = 1;
    if (clm_algorithm_uses(algorithm, "inner-lr")) o.task.inner_lr = 0.1;
    if (clm_algorithm_uses(algorithm, "ways")) o.task.ways = 3;
    return o;
}

/* Labels 0, 1, 2, 0, 1, 2: every class is there, for prototypes. */
static void label(clm_test_batch *batch) {
    for (int i = 1; i < 4; i += 2)
        for (size_t e = 0; e < batch->count[i]; e++) batch->data[i][e] = (float)(e % 3);
}

static clm_test_vector gradient_on(clm_device *device, const clm_model *model, const clm_meta_options *options,
                                   const clm_test_batch *batch) {
    clm_meta *meta = clm_test_meta(device, model, options, 21);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch->batch));
    clm_test_vector gradient = clm_test_gradient(meta, model);
    clm_meta_free(meta);
    return gradient;
}

START_TEST(gradient_is_that_of_the_host) {
    const clm_network_info info = clm_network_get_info((size_t)_i);
    clm_device *host = clm_test_open(0), *device = clm_test_open(1);
    clm_model *model = small_network(&info, false, 0);
    const clm_meta_options options = options_of("maml");
    clm_test_batch batch = clm_test_batch_make(model, &options, 22);
    clm_test_vector expected = gradient_on(host, model, &options, &batch), found = gradient_on(device, model, &options, &batch);
    ck_assert_msg(clm_test_norm(expected.data, expected.n) > 0, "%s: no gradient", info.name);
    clm_test_expect_close(&expected, &found, 2e-5, info.name);
    clm_test_vector_free(&expected);
    clm_test_vector_free(&found);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
    clm_device_close(host);
}
END_TEST

static double loss_at(clm_meta *meta, const clm_model *model, const clm_test_batch *batch, const clm_test_vector *values,
                      const double *direction, double h) {
    double *moved = calloc(values->n, sizeof *moved);
    for (size_t e = 0; e < values->n; e++) moved[e] = values->data[e] + h * direction[e];
    clm_test_set_values(meta, model, moved);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch->batch));
    free(moved);
    return clm_test_meta_loss(meta);
}

/* In the order of clm_test_values, 0 for a context, which is not learned. */
static double *slopes(clm_meta *meta, const clm_model *model, size_t n) {
    double *all = calloc(n, sizeof *all), *at = all;
    for (size_t i = 0; i < clm_model_param_count(model); i++) {
        const size_t size = clm_shape_size(&clm_model_param(model, i)->shape);
        if (clm_meta_quantity_size(meta, CLM_Q_GRAD, i)) CLM_TEST_OK(clm_meta_read(meta, CLM_Q_GRAD, i, at));
        at += size;
    }
    ck_assert_uint_eq((size_t)(at - all), n);
    return all;
}

/* Whole numbers, where an embedding reads them. */
static void make_tokens(clm_test_batch *batch, int tokens) {
    for (int i = 0; tokens && i < 4; i += 2)
        for (size_t e = 0; e < batch->count[i]; e++) batch->data[i][e] = (float)(e * 7 % (size_t)tokens);
}

static void check_slope(const char *name, const char *algorithm, clm_model *model) {
    clm_device *host = clm_test_open(0);
    const clm_meta_options options = options_of(algorithm);
    const double h = 1e-6;
    clm_test_batch batch = clm_test_batch_make(model, &options, 23);
    label(&batch);
    make_tokens(&batch, clm_model_token_count(model, NULL));
    clm_meta *meta = clm_test_meta(host, model, &options, 24);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    clm_test_vector values = clm_test_values(meta, model);
    double *gradient = slopes(meta, model, values.n), *direction = calloc(values.n, sizeof *direction);
    clm_random random = clm_random_make(25, 1);
    for (size_t e = 0; e < values.n; e++) direction[e] = gradient[e] != 0 ? clm_random_normal(&random) : 0;
    const double slope = clm_test_dot(gradient, direction, values.n),
                 scale = clm_test_norm(gradient, values.n) * clm_test_norm(direction, values.n);
    const double up = loss_at(meta, model, &batch, &values, direction, h),
                 down = loss_at(meta, model, &batch, &values, direction, -h), found = (up - down) / (2 * h);
    ck_assert_msg(scale > 0, "%s, %s: no gradient", name, algorithm);
    ck_assert_msg(fabs(slope - found) <= 1e-6 * scale, "%s, %s: %.12g, by differences %.12g", name, algorithm, slope, found);
    free(direction);
    free(gradient);
    clm_test_vector_free(&values);
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(host);
}

START_TEST(gradient_is_the_slope_of_the_loss) {
    const clm_network_info info = clm_network_get_info((size_t)_i);
    check_slope(info.name, "maml", small_network(&info, false, 0));
    check_slope(info.name, "protonet", small_network(&info, true, 0));
    if (info.context) check_slope(info.name, "cavia", small_network(&info, false, 3));
}
END_TEST

/* A derivative that is chosen is not the slope of the loss: what it makes of a meta-gradient is in tests/golden/straight_2step.safetensors. */
static bool has_chosen_derivative(const char *layer) { return !strcmp(layer, "sign") || !strcmp(layer, "round"); }

static void check_some_gradient(const char *name, clm_model *model) {
    clm_device *host = clm_test_open(0);
    const clm_meta_options options = options_of("maml");
    clm_test_batch batch = clm_test_batch_make(model, &options, 23);
    label(&batch);
    clm_test_vector gradient = gradient_on(host, model, &options, &batch);
    const size_t before = clm_shape_size(&clm_model_param(model, 0)->shape); /* the layer; 0 if nothing were chosen */
    ck_assert_msg(clm_test_norm(gradient.data, before) > 0, "%s: no gradient", name);
    clm_test_vector_free(&gradient);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(host);
}

/* The table of trials is whole, and what a device is compared with is right. */
START_TEST(layers) {
    const char *name = clm_layer_name((size_t)_i);
    char text[512], quoted[64];
    clm_model *model = NULL;
    clm_layer_trial((size_t)_i, text, sizeof text);
    snprintf(quoted, sizeof quoted, "{\"op\": \"%s\"", name);
    ck_assert_msg(strstr(text, quoted), "src/model/layers.c: the table of trials has no row for the layer %s", name);
    ck_assert_uint_lt(strlen(text), sizeof text - 1);
    CLM_TEST_OK(clm_model_parse(&model, text, NULL));
    ck_assert(clm_model_out_shape(model).rank == 1 && clm_model_out_shape(model).dim[0] == 3);
    if (has_chosen_derivative(name))
        check_some_gradient(name, model);
    else
        check_slope(name, "maml", model);
}
END_TEST

START_TEST(layers_that_there_are_none_of) {
    char text[16] = "x";
    ck_assert_ptr_null(clm_layer_name(clm_layer_count()));
    ck_assert_str_eq(clm_layer_trial(clm_layer_count(), text, sizeof text), "");
    ck_assert_uint_gt(clm_layer_count(), 35);
    ck_assert_str_eq(clm_layer_trial(0, text, sizeof text), "{\"in_shape\": [6");
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("zoo");
    TCase *tcase = tcase_create("zoo");
    const int n = (int)clm_network_count();
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, gradient_is_that_of_the_host, 0, n);
    tcase_add_loop_test(tcase, gradient_is_the_slope_of_the_loss, 0, n);
    tcase_add_loop_test(tcase, layers, 0, (int)clm_layer_count());
    tcase_add_test(tcase, layers_that_there_are_none_of);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
