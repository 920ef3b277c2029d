/* Weights of another program: what stands before the names, element types, what is missing and left over, a last layer of another
 * size, parameters with a row for each inner step. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "clmaml/clmaml.h"
#include "support/pictures.h"
#include "support/run.h"

static const char net[] =
    "{\"in_shape\": [2, 5, 5], \"layers\": [{\"op\": \"conv2d\", \"out\": 3}, {\"op\": \"batchnorm\"}, {\"op\": \"residual\", "
    "\"body\": [{\"op\": \"conv2d\", \"out\": 3}]}, {\"op\": \"flatten\"}, {\"op\": \"linear\", \"out\": 4}]}";
enum { PARAMS = 8, HEAD = 6 };

static clm_model *model;
static clm_params *params;

static void set_up(void) {
    clm_task_options o = CLM_TASK_OPTIONS_INIT;
    CLM_TEST_OK(clm_model_parse(&model, net, NULL));
    o.steps = 1;
    o.support = o.query = 4;
    CLM_TEST_OK(clm_params_create(&params, model, &o));
    ck_assert_uint_eq(clm_model_param_count(model), PARAMS);
}

static void tear_down(void) {
    clm_params_free(params);
    clm_model_free(model);
}

static double value(size_t i, size_t k) { return (double)i + (double)k / 512; }

static void add(clm_archive *archive, const char *name, clm_dtype type, clm_shape shape, size_t i) {
    const size_t n = clm_shape_size(&shape);
    double values[1024];
    ck_assert_uint_le(n, 1024);
    for (size_t k = 0; k < n; k++) values[k] = value(i, k);
    CLM_TEST_OK(clm_archive_add(archive, name, type, &shape, values));
}

/* All parameters but `leave_out`, with running statistics beside them. */
static clm_archive *weights(const char *prefix, clm_dtype type, size_t leave_out) {
    clm_archive *archive;
    char name[128];
    CLM_TEST_OK(clm_archive_create(&archive));
    for (size_t i = 0; i < PARAMS; i++) {
        const clm_param *p = clm_model_param(model, i);
        snprintf(name, sizeof name, "%s%s", prefix, p->name);
        if (i != leave_out) add(archive, name, type, p->shape, i);
    }
    snprintf(name, sizeof name, "%s1.running_mean", prefix);
    add(archive, name, CLM_F32, clm_shape_of(1, 3), 0);
    snprintf(name, sizeof name, "%s1.num_batches_tracked", prefix);
    CLM_TEST_OK(clm_archive_add(archive, name, CLM_I64, &(clm_shape){0}, &(double){7}));
    return archive;
}

static void expect_taken(size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        const clm_params_info info = clm_params_get_info(params, i);
        for (size_t k = 0; k < info.size; k++) ck_assert_msg(clm_params_values(params, i)[k] == value(i, k), "%s", info.name);
    }
}

static void expect_as_before(size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        const clm_params_info info = clm_params_get_info(params, i);
        double initial[1024];
        clm_model_init_param(model, i, 0, initial);
        for (size_t k = 0; k < info.size; k++) ck_assert_msg(clm_params_values(params, i)[k] == initial[k], "%s", info.name);
    }
}

START_TEST(with_and_without_a_prefix) {
    static const char *const prefixes[] = {"", "model.", "module.", "module.model.backbone.", "2.", "param."};
    clm_import_report report;
    clm_archive *archive = weights(prefixes[_i], _i % 2 ? CLM_F64 : CLM_F32, PARAMS);
    CLM_TEST_OK(clm_params_import(params, archive, false, &report));
    expect_taken(0, PARAMS);
    ck_assert_uint_eq(report.taken, PARAMS);
    ck_assert_str_eq(report.prefix, prefixes[_i]);
    ck_assert_uint_eq(report.statistics, 2);
    ck_assert_uint_eq(report.unused_count, 0);
    ck_assert_str_eq(report.unused, "");
    clm_archive_free(archive);
}
END_TEST

/* Two networks in one file: that which has all. */
START_TEST(the_prefix_that_serves_most) {
    clm_import_report report;
    clm_archive *archive = weights("student.", CLM_F32, PARAMS);
    add(archive, "0.weight", CLM_F32, clm_shape_of(4, 3, 2, 3, 3), 9);
    add(archive, "teacher.0.weight", CLM_F32, clm_shape_of(4, 3, 2, 3, 3), 9);
    CLM_TEST_OK(clm_params_import(params, archive, false, &report));
    expect_taken(0, PARAMS);
    ck_assert_str_eq(report.prefix, "student.");
    ck_assert_uint_eq(report.unused_count, 2);
    ck_assert_ptr_nonnull(strstr(report.unused, "teacher.0.weight"));
    clm_archive_free(archive);
}
END_TEST

START_TEST(missing) {
    clm_archive *archive = weights("model.", CLM_F32, 1);
    ck_assert_int_eq(clm_params_import(params, archive, false, NULL), CLM_E_FORMAT);
    ck_assert_msg(strstr(clm_last_error(), "lacks parameters of the model: 0.bias; it holds model.0.weight"), "%s",
                  clm_last_error());
    expect_as_before(0, PARAMS);
    clm_archive_free(archive);
    CLM_TEST_OK(clm_archive_create(&archive));
    add(archive, "conv1.weight", CLM_F32, clm_shape_of(1, 4), 0);
    ck_assert_int_eq(clm_params_import(params, archive, true, NULL), CLM_E_FORMAT);
    ck_assert_msg(strstr(clm_last_error(), "0.weight, 0.bias, 1.weight, 1.bias, 2.0.weight, 2.0.bias; it holds conv1.weight"),
                  "%s", clm_last_error());
    clm_archive_free(archive);
}
END_TEST

START_TEST(another_last_layer) {
    clm_import_report report;
    clm_archive *archive = weights("", CLM_F32, PARAMS);
    add(archive, "4.weight", CLM_F32, clm_shape_of(2, 10, 75), HEAD);
    add(archive, "4.bias", CLM_F32, clm_shape_of(1, 10), HEAD + 1);
    ck_assert_int_eq(clm_params_import(params, archive, false, NULL), CLM_E_SHAPE);
    ck_assert_msg(
        strstr(clm_last_error(), "\"4.weight\" has shape [10, 75], the model's 4.weight is [4, 75]; it is of the last layer"),
        "%s", clm_last_error());
    expect_as_before(0, PARAMS);
    CLM_TEST_OK(clm_params_import(params, archive, true, &report));
    expect_taken(0, HEAD);
    expect_as_before(HEAD, PARAMS);
    ck_assert_uint_eq(report.taken, HEAD);
    ck_assert_uint_eq(report.unused_count, 2);
    add(archive, "0.bias", CLM_F32, clm_shape_of(1, 4), 1);
    ck_assert_int_eq(clm_params_import(params, archive, true, NULL), CLM_E_SHAPE);
    ck_assert_ptr_null(strstr(clm_last_error(), "last layer"));
    clm_archive_free(archive);
}
END_TEST

START_TEST(not_finite) {
    clm_archive *archive = weights("", CLM_F32, PARAMS);
    const clm_shape three = clm_shape_of(1, 3);
    CLM_TEST_OK(clm_archive_add(archive, "1.bias", CLM_F32, &three, (const double[]){0, INFINITY, 1}));
    ck_assert_int_eq(clm_params_import(params, archive, false, NULL), CLM_E_NUMERIC);
    ck_assert_ptr_nonnull(strstr(clm_last_error(), "1.bias"));
    expect_as_before(0, PARAMS);
    clm_archive_free(archive);
}
END_TEST

/* MAML++ has scale and shift of batch-norm for each inner step. */
START_TEST(rows_for_each_step) {
    clm_task_options o = CLM_TASK_OPTIONS_INIT;
    clm_params *rows;
    o.algorithm = "maml++";
    o.steps = 3;
    o.support = o.query = 4;
    CLM_TEST_OK(clm_params_create(&rows, model, &o));
    clm_archive *archive = weights("", CLM_F32, PARAMS);
    CLM_TEST_OK(clm_params_import(rows, archive, false, NULL));
    const clm_params_info info = clm_params_get_info(rows, 2);
    ck_assert(info.per_step && info.size % 3 == 0 && info.size > 3);
    for (size_t k = 0; k < info.size; k++) ck_assert(clm_params_values(rows, 2)[k] == value(2, k % 3));
    clm_archive_free(archive);
    clm_params_free(rows);
}
END_TEST

/* Files of other programs have F16 and BF16, which this one does not write: 1, -2.5 and 0.15625 in both. */
START_TEST(short_floats) {
    static const struct {
        const char *type;
        unsigned char bytes[6];
    } rows[] = {{"F16", {0x00, 0x3c, 0x00, 0xc1, 0x00, 0x31}}, {"BF16", {0x80, 0x3f, 0x20, 0xc0, 0x20, 0x3e}}};
    char *directory = clm_test_directory(), path[512], header[160], data[256];
    clm_archive *file;
    clm_model *small;
    clm_params *of_small;
    clm_task_options o = CLM_TASK_OPTIONS_INIT;
    CLM_TEST_OK(
        clm_model_parse(&small, "{\"in_shape\": [3], \"layers\": [{\"op\": \"linear\", \"out\": 1, \"bias\": false}]}", NULL));
    o.support = o.query = 2;
    o.loss.name = "mse";
    CLM_TEST_OK(clm_params_create(&of_small, small, &o));
    snprintf(path, sizeof path, "%s/file.safetensors", directory);
    for (int r = 0; r < 2; r++) {
        const size_t n = (size_t)snprintf(
            header, sizeof header, "{\"m.0.weight\":{\"dtype\":\"%s\",\"shape\":[1,3],\"data_offsets\":[0,6]}}", rows[r].type);
        memset(data, 0, 8);
        data[0] = (char)n;
        memcpy(data + 8, header, n);
        memcpy(data + 8 + n, rows[r].bytes, 6);
        CLM_TEST_OK(clm_file_write(path, data, 8 + n + 6));
        CLM_TEST_OK(clm_archive_load(&file, path));
        CLM_TEST_OK(clm_params_import(of_small, file, false, NULL));
        const double *got = clm_params_values(of_small, 0);
        ck_assert_msg(got[0] == 1 && got[1] == -2.5 && got[2] == 0.15625, "%s: %g %g %g", rows[r].type, got[0], got[1], got[2]);
        clm_archive_free(file);
    }
    clm_params_free(of_small);
    clm_model_free(small);
    clm_test_remove(directory);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("import");
    TCase *tcase = tcase_create("import");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, with_and_without_a_prefix, 0, 6);
    tcase_add_test(tcase, the_prefix_that_serves_most);
    tcase_add_test(tcase, missing);
    tcase_add_test(tcase, another_last_layer);
    tcase_add_test(tcase, not_finite);
    tcase_add_test(tcase, rows_for_each_step);
    tcase_add_test(tcase, short_floats);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
