/* Models against PyTorch: with a reference file's adapted parameters, the query logits are those in the file. On the host
 * reference, in double precision, so layers, orders of axes and conversions agree to rounding or not at all. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "clmaml/checkpoint.h"
#include "clmaml/model.h"
#include "support/numbers.h"
#include "support/run.h"

static const char *const files[] = {"mlp_sine_1step",    "mlp_sine_5step",   "mlp_sine_metasgd", "conv4_c8_1step",
                                    "conv4_c8_5step",    "conv4_c8_anil",    "conv4_c8_metasgd", "conv4_c8_lslr_msl",
                                    "strided_gap_3step", "smooth_mix_2step", "attention_2step",  "image_layers_2step",
                                    "token_layers_2step"};
enum { FILES = sizeof(files) / sizeof(files[0]), MAX_PARAMS = 32 };

typedef struct problem {
    clm_archive *archive;
    clm_model *model;
    int tasks, query;
    clm_graph *g;
    clm_value inputs[MAX_PARAMS + 1]; /* parameters, then x */
    double *data[MAX_PARAMS + 1];
    size_t n_params;
} problem;

/* An array of the file as [count, shape..] in inside order. */
static double *read_inner(const clm_archive *archive, const char *name, clm_layout layout, const clm_shape *shape) {
    const clm_shape *whole = clm_archive_shape(archive, name);
    ck_assert_msg(whole != NULL, "no array %s", name);
    size_t size = clm_shape_size(whole);
    double *outer = malloc(size * sizeof(*outer)), *inner = malloc(size * sizeof(*inner));
    CLM_TEST_OK(clm_archive_read(archive, name, NULL, outer, size));
    clm_layout_to_inner(layout, shape, size / clm_shape_size(shape), outer, inner);
    free(outer);
    return inner;
}

static void open_problem(problem *p, const char *file) {
    char path[1200], name[96];
    const char *root = getenv("CLMAML_SOURCE_DIR");
    ck_assert_msg(root && root[0], "set CLMAML_SOURCE_DIR to the top of the source tree");
    snprintf(path, sizeof(path), "%s/tests/golden/%s.safetensors", root, file);
    CLM_TEST_OK(clm_archive_load(&p->archive, path));
    CLM_TEST_OK(clm_model_parse(&p->model, clm_archive_meta(p->archive, "case"), NULL));
    CLM_TEST_OK(clm_graph_create(&p->g));
    p->tasks = clm_archive_shape(p->archive, "query.x")->dim[0];
    p->query = clm_archive_shape(p->archive, "query.x")->dim[1];
    p->n_params = clm_model_param_count(p->model);
    ck_assert_uint_le(p->n_params, MAX_PARAMS);
    for (size_t i = 0; i < p->n_params; i++) {
        const clm_param *param = clm_model_param(p->model, i);
        snprintf(name, sizeof(name), "out.adapted.%s", param->name);
        p->data[i] = read_inner(p->archive, name, param->layout, &param->shape);
        p->inputs[i] = clm_input(p->g, param->name, param->inner_shape, true);
    }
    clm_shape in = clm_model_in_shape(p->model), x = clm_model_inner_in_shape(p->model);
    p->data[p->n_params] = read_inner(p->archive, "query.x", in.rank == 3 ? CLM_LAYOUT_CHW : CLM_LAYOUT_SAME, &in);
    memmove(x.dim + 1, x.dim, (size_t)x.rank * sizeof(x.dim[0]));
    x.dim[0] = p->query;
    x.rank++;
    p->inputs[p->n_params] = clm_input(p->g, "x", x, true);
}

static void close_problem(problem *p) {
    for (size_t i = 0; i <= p->n_params; i++) free(p->data[i]);
    clm_graph_free(p->g);
    clm_model_free(p->model);
    clm_archive_free(p->archive);
}

static double *evaluate(const problem *p, clm_value y, size_t *size) {
    clm_device *host = clm_test_open_host();
    CLM_TEST_OK(clm_graph_status(p->g));
    *size = clm_test_elements(p->g, y, p->tasks);
    double *out = malloc(*size * sizeof(*out));
    CLM_TEST_OK(clm_test_run(host, p->g, p->tasks, p->inputs, (const double *const *)p->data, p->n_params + 1, &y, &out, 1));
    clm_device_close(host);
    return out;
}

START_TEST(query_logits) {
    problem p = {0};
    size_t size;
    open_problem(&p, files[_i]);
    double *out = evaluate(&p, clm_model_apply(p.model, p.g, p.inputs, p.inputs[p.n_params], NULL), &size);
    double *expected = malloc(size * sizeof(*expected));
    CLM_TEST_OK(clm_archive_read(p.archive, "out.query_logits", NULL, expected, size));
    double difference = clm_test_difference(out, expected, size);
    ck_assert_msg(difference < 1e-12, "%s: logits differ by %g", files[_i], difference);
    free(out);
    free(expected);
    close_problem(&p);
}
END_TEST

/* Statistics recorded on a batch and used on the same batch change nothing. */
START_TEST(recorded_statistics) {
    problem p = {0};
    clm_bn_stats stats = {0};
    size_t size;
    open_problem(&p, "conv4_c8_1step");
    double *expected = evaluate(&p, clm_model_apply(p.model, p.g, p.inputs, p.inputs[p.n_params], &stats), &size);
    stats.use = true;
    double *out = evaluate(&p, clm_model_apply(p.model, p.g, p.inputs, p.inputs[p.n_params], &stats), &size);
    ck_assert_double_lt(clm_test_difference(out, expected, size), 1e-12);
    free(out);
    free(expected);
    close_problem(&p);
}
END_TEST

/* What leaves a model is in outside order: an image model of no effect gives back its input. */
START_TEST(images_come_out_in_outside_order) {
    problem p = {.tasks = 1};
    size_t size;
    double outer[24], inner[24];
    clm_shape chw = clm_shape_of(3, 3, 2, 4);
    for (int i = 0; i < 24; i++) outer[i] = i;
    clm_layout_to_inner(CLM_LAYOUT_CHW, &chw, 1, outer, inner);
    CLM_TEST_OK(clm_model_parse(&p.model, "{\"in_shape\": [3, 2, 4], \"layers\": [{\"op\": \"relu\"}]}", NULL));
    CLM_TEST_OK(clm_graph_create(&p.g));
    p.inputs[0] = clm_input(p.g, "x", clm_shape_of(4, 1, 2, 4, 3), true);
    p.data[0] = inner;
    double *out = evaluate(&p, clm_model_apply(p.model, p.g, NULL, p.inputs[0], NULL), &size);
    ck_assert_uint_eq(size, 24);
    ck_assert_mem_eq(out, outer, sizeof(outer));
    free(out);
    p.data[0] = NULL;
    close_problem(&p);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model outputs");
    TCase *cases = tcase_create("reference files");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, query_logits, 0, FILES);
    tcase_add_test(cases, recorded_statistics);
    tcase_add_test(cases, images_come_out_in_outside_order);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
