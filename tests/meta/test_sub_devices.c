/* A CPU divided into parts for the tasks of a meta-batch: the numbers of the whole, the same bits every time, counted as one device,
 * and only where it is worth it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/dataset.h"
#include "device/opencl/opencl.h"
#include "meta/internal.h"
#include "support/meta_setup.h"
#include "support/run.h"

enum { TASKS = 5 };

static clm_meta *created(clm_device *device, const clm_model *model, const clm_meta_options *options, const char *parts) {
    clm_meta *meta = NULL;
    setenv("CLMAML_CPU_PARTS", parts, 1);
    CLM_TEST_OK(clm_meta_create(&meta, device, model, options));
    unsetenv("CLMAML_CPU_PARTS");
    return meta;
}

/* Two parts where the device has two compute units that its driver gives apart. */
static size_t shares_wanted(clm_device *device) {
    const clm_device_info *info = clm_device_get_info(device);
    return info->type == CLM_DEVICE_CPU && info->compute_units > 1 ? 2 : 1;
}

static const struct {
    clm_test_net net;
    int algorithm, steps, chunk;
    clm_checkpointing checkpointing;
} rows[] = {
    {CLM_TEST_NET_REGRESSION, 3, 3, 0, CLM_CHECKPOINT_STORE},
    {CLM_TEST_NET_CLASSES, 7, 2, 1, CLM_CHECKPOINT_RECOMPUTE},
    {CLM_TEST_NET_CONV, 0, 2, 0, CLM_CHECKPOINT_AUTO},
    {CLM_TEST_NET_COLOUR, 5, 1, 5, CLM_CHECKPOINT_AUTO},
};

START_TEST(divided_is_the_whole) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(rows[_i].net);
    clm_meta_options o = clm_test_options(rows[_i].net, &clm_test_algorithms[rows[_i].algorithm], TASKS, rows[_i].steps);
    o.checkpointing = rows[_i].checkpointing;
    o.task_chunk = rows[_i].chunk;
    o.keep_adapted = true;
    clm_test_batch batch = clm_test_batch_make(model, &o, 5);
    clm_test_vector gradient[3], results[3];
    for (int i = 0; i < 3; i++) {
        clm_meta *meta = created(device, model, &o, i == 0 ? "1" : "2");
        ck_assert_uint_eq(meta->n_shares, i == 0 ? 1 : shares_wanted(device));
        clm_test_randomise(meta, model, &o, 3);
        CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
        gradient[i] = clm_test_gradient(meta, model);
        results[i] = clm_test_results(meta, model, true);
        clm_meta_free(meta);
        ck_assert_uint_eq(clm_device_allocated(device), 0);
    }
    clm_test_expect_close(&gradient[0], &gradient[1], 1e-5, "gradient");
    clm_test_expect_close(&results[0], &results[1], 1e-5, "results of tasks");
    clm_test_expect_same(&gradient[1], &gradient[2], "gradient once more");
    clm_test_expect_same(&results[1], &results[2], "results once more");
    for (int i = 0; i < 3; i++) {
        clm_test_vector_free(&gradient[i]);
        clm_test_vector_free(&results[i]);
    }
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* The chunk that a part takes at a time is no part of the sum. */
START_TEST(chunks_give_the_same_bits) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_CONV, NULL, 8, 2);
    clm_test_batch batch = clm_test_batch_make(model, &o, 6);
    clm_test_vector first = {0};
    for (int chunk = 1; chunk <= 8; chunk *= 2) {
        o.task_chunk = chunk;
        clm_meta *meta = created(device, model, &o, "2");
        clm_test_randomise(meta, model, &o, 4);
        CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
        clm_test_vector v = clm_test_gradient(meta, model);
        if (chunk > 1) clm_test_expect_same(&first, &v, "another chunk");
        if (chunk > 1) clm_test_vector_free(&v);
        if (chunk == 1) first = v;
        clm_meta_free(meta);
    }
    clm_test_vector_free(&first);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

START_TEST(counts_as_one_device) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_CONV, NULL, TASKS, 2);
    o.optim.rule = "adam";
    clm_test_batch batch = clm_test_batch_make(model, &o, 1);
    clm_meta *meta = created(device, model, &o, "2");
    ck_assert_uint_eq(meta->n_shares, shares_wanted(device));
    CLM_TEST_OK(clm_meta_prepare(meta));
    for (int k = 0; k < 3; k++) CLM_TEST_OK(clm_meta_step(meta, &batch.batch, NULL));
    ck_assert_uint_eq(clm_meta_part_count(meta), 1);
    clm_meta_part part = clm_meta_get_part(meta, 0);
    ck_assert_ptr_eq(part.device, device);
    ck_assert_int_eq(part.first, 0);
    ck_assert_int_eq(part.tasks, TASKS);
    ck_assert_double_gt(part.seconds, 0);
    ck_assert_uint_eq(part.plan.bytes, clm_device_allocated(device));
    ck_assert_uint_eq(clm_meta_get_plan(meta).bytes, clm_device_allocated(device));
    ck_assert_uint_ge(clm_device_peak_allocated(device), clm_device_allocated(device));
    clm_meta_free(meta);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Numbers of images of a data set on the device: the parts have copies. */
START_TEST(images_on_the_device) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_COLOUR);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_COLOUR, NULL, TASKS, 1);
    clm_test_batch batch = clm_test_batch_make(model, &o, 8);
    const clm_shape in = clm_model_in_shape(model);
    const size_t size = clm_shape_size(&in), n[2] = {batch.count[0] / size, batch.count[2] / size};
    float *images = malloc((n[0] + n[1]) * size * sizeof *images);
    int32_t *at = malloc((n[0] + n[1]) * sizeof *at);
    for (int i = 0; i < 2; i++)
        memcpy(images + (i ? batch.count[0] : 0), batch.data[2 * i], batch.count[2 * i] * sizeof *images);
    for (size_t i = 0; i < n[0] + n[1]; i++) at[i] = 4 * (int32_t)i; /* not turned */
    clm_images source = {
        .count = n[0] + n[1], .channels = in.dim[0], .height = in.dim[1], .width = in.dim[2], .floats = images};
    clm_dataset *dataset = NULL;
    CLM_TEST_OK(clm_dataset_create(&dataset, device, &source));
    clm_meta *meta = created(device, model, &o, "2");
    ck_assert_uint_eq(meta->n_shares, shares_wanted(device));
    clm_test_randomise(meta, model, &o, 2);
    CLM_TEST_OK(clm_meta_gradient(meta, &batch.batch));
    clm_test_vector sent = clm_test_gradient(meta, model);
    CLM_TEST_OK(clm_meta_use_data(meta, &dataset, 1));
    clm_batch numbers = {.support_at = at, .support_y = batch.data[1], .query_at = at + n[0], .query_y = batch.data[3]};
    CLM_TEST_OK(clm_meta_gradient(meta, &numbers));
    clm_test_vector picked = clm_test_gradient(meta, model);
    clm_test_expect_same(&sent, &picked, "picked by number");
    clm_meta_free(meta);
    clm_dataset_free(dataset);
    ck_assert_uint_eq(clm_device_allocated(device), 0);
    clm_test_vector_free(&sent);
    clm_test_vector_free(&picked);
    free(images);
    free(at);
    clm_test_batch_free(&batch);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* Half of what is there is too little for a half: the device stays whole rather than compute things twice or fail. */
START_TEST(tight_memory_keeps_it_whole) {
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CONV);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_CONV, NULL, 4, 3);
    o.task_chunk = 1;
    clm_meta *one = created(device, model, &o, "1"), *two = created(device, model, &o, "2");
    clm_meta_plan whole = clm_meta_get_plan(one);
    ck_assert_uint_eq(two->n_shares, shares_wanted(device));
    clm_meta_free(two);
    o.memory_limit = whole.bytes + whole.bytes / 8;
    clm_meta *tight = created(device, model, &o, "2");
    ck_assert_uint_eq(tight->n_shares, 1);
    ck_assert_int_eq(clm_meta_get_plan(tight).checkpointing, whole.checkpointing);
    clm_meta_free(tight);
    clm_meta_free(one);
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

/* A launch of a kernel that writes a number. */
static clm_launch launch_of(char *text, size_t size, int number) {
    snprintf(text, size, "__kernel void put(__global float *y) { y[0] = %d; }\n", number);
    return (clm_launch){.label = "put", .entry = "put", .source = text};
}

/* PoCL keeps what it compiled under the text of a whole program: a part takes the programs of the whole, with all their kernels. */
START_TEST(parts_take_programs_of_the_whole) {
    enum { KERNELS = 5, FIRST = 3 }; /* the whole has so many, a part wants all but the first */
    clm_device *device = clm_test_open_opencl();
    char text[KERNELS][96];
    clm_launch launches[KERNELS];
    if (shares_wanted(device) == 1 || !(clm_cl(device)->avoid & CLM_AVOID_ONE_PROCESS)) {
        clm_device_close(device);
        return;
    }
    for (int i = 0; i < KERNELS; i++) launches[i] = launch_of(text[i], sizeof text[i], 7001 + i);
    CLM_TEST_OK(clm_cl_build(device, launches, FIRST));
    ck_assert_uint_eq(clm_device_kernels_built(device), 1);
    CLM_TEST_OK(clm_device_open_sub_devices(device, 2));
    clm_device *part = device->sub_devices[0];
    CLM_TEST_OK(clm_cl_build(part, launches + 1, KERNELS - 1));
    ck_assert_uint_eq(clm_device_kernels_built(part), 2);
    for (int i = 0; i < KERNELS; i++) {
        const clm_cl_program *theirs = clm_cl_program_find(clm_cl(device), text[i], ""),
                             *ours = clm_cl_program_find(clm_cl(part), text[i], "");
        ck_assert_ptr_nonnull(ours);
        ck_assert(!theirs == (i >= FIRST));
        if (theirs) ck_assert_str_eq(ours->suffix, theirs->suffix);
    }
    clm_device_close(device);
}
END_TEST

START_TEST(large_tasks_are_divided_and_small_ones_not) {
    clm_device *device = clm_test_open_opencl();
    clm_conv4_options net = CLM_CONV4_OPTIONS_INIT;
    clm_model *large = NULL, *small = clm_test_model(CLM_TEST_NET_REGRESSION);
    CLM_TEST_OK(clm_model_conv4(&large, &net));
    clm_meta_options o = clm_test_options(CLM_TEST_NET_REGRESSION, NULL, 32, 5);
    clm_meta *meta = created(device, small, &o, "auto");
    ck_assert_uint_eq(meta->n_shares, 1);
    clm_meta_free(meta);
    o = (clm_meta_options)CLM_META_OPTIONS_INIT;
    const unsigned units = clm_device_get_info(device)->compute_units;
    meta = created(device, large, &o, "auto");
    if (shares_wanted(device) > 1 && units % 2 == 0) ck_assert_uint_gt(meta->n_shares, 1);
    ck_assert_uint_le(meta->n_shares, 4);
    ck_assert_ptr_eq(clm_meta_get_part(meta, 0).device, device);
    clm_meta_free(meta);
    o.tasks = 1;
    meta = created(device, large, &o, "auto");
    ck_assert_uint_eq(meta->n_shares, 1);
    clm_meta_free(meta);
    clm_model_free(large);
    clm_model_free(small);
    clm_device_close(device);
}
END_TEST

START_TEST(not_a_number_of_parts) {
    static const char *const bad[] = {"0", "-1", "two", "2x", "1025"};
    clm_device *device = clm_test_open_opencl();
    clm_model *model = clm_test_model(CLM_TEST_NET_CLASSES);
    clm_meta_options o = clm_test_options(CLM_TEST_NET_CLASSES, NULL, 2, 1);
    clm_meta *meta = NULL;
    setenv("CLMAML_CPU_PARTS", bad[_i], 1);
    ck_assert_int_eq(clm_meta_create(&meta, device, model, &o), CLM_E_ARG);
    unsetenv("CLMAML_CPU_PARTS");
    ck_assert_ptr_null(meta);
    ck_assert_msg(strstr(clm_last_error(), "CLMAML_CPU_PARTS") && strstr(clm_last_error(), bad[_i]), "%s", clm_last_error());
    clm_model_free(model);
    clm_device_close(device);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sub-devices");
    TCase *t = tcase_create("parts");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, divided_is_the_whole, 0, sizeof rows / sizeof *rows);
    tcase_add_test(t, chunks_give_the_same_bits);
    tcase_add_test(t, counts_as_one_device);
    tcase_add_test(t, images_on_the_device);
    tcase_add_test(t, tight_memory_keeps_it_whole);
    tcase_add_test(t, parts_take_programs_of_the_whole);
    tcase_add_test(t, large_tasks_are_divided_and_small_ones_not);
    tcase_add_loop_test(t, not_a_number_of_parts, 0, 5);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
