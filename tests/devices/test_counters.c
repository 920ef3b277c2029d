/* What the library asks of a driver, counted (clm_device_get_counters): nothing is copied to a device that shares the host's memory
 * but what is queued with a step, work is flushed on its way, and a step waits once. */
#include <check.h>
#include <stdlib.h>

#include "clmaml/dataset.h"
#include "clmaml/meta.h"
#include "support/launch.h"
#include "support/meta_setup.h"
#include "support/run.h"

enum { IMAGES = 40, SIZE = 12, TASKS = 4, STEPS = 3, HELD = 16 /* launches between flushes, at most: pieces.c */ };

static clm_model *network(void) {
    static const char text[] =
        "{\"in_shape\": [1, 12, 12], \"layers\": [{\"op\": \"conv2d\", \"out\": 8}, {\"op\": \"batchnorm\"}, "
        "{\"op\": \"relu\"}, {\"op\": \"maxpool\", \"kernel\": 4}, {\"op\": \"flatten\"}, {\"op\": \"linear\", \"out\": 3}]}";
    clm_model *model = NULL;
    CLM_TEST_OK(clm_model_parse(&model, text, NULL));
    return model;
}

/* What a step adds, after everything is on the device; `before`: what was copied until then. */
static clm_device_counters count_a_step(const char *emulate, clm_device_counters *before) {
    static uint8_t pixels[IMAGES * SIZE * SIZE];
    static float values[256];
    int32_t at[TASKS * 3];
    float labels[TASKS * 3];
    clm_images images = {.count = IMAGES, .channels = 1, .height = SIZE, .width = SIZE, .bytes = pixels, .values = values};
    clm_meta_options options = CLM_META_OPTIONS_INIT;
    clm_meta_report report;
    clm_dataset *data = NULL;
    clm_meta *meta = NULL;
    for (int i = 0; i < 256; i++) values[i] = (float)i / 255;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 37);
    for (int i = 0; i < TASKS * 3; i++) at[i] = i * 3 % IMAGES, labels[i] = (float)(i % 3);
    ck_assert_int_eq(setenv("CLMAML_EMULATE", emulate, 1), 0);
    clm_device *device = clm_test_open_opencl();
    clm_model *model = network();
    options.tasks = TASKS;
    options.task.steps = 1;
    options.task.support = options.task.query = 3;
    CLM_TEST_OK(clm_dataset_create(&data, device, &images));
    CLM_TEST_OK(clm_meta_create(&meta, device, model, &options));
    CLM_TEST_OK(clm_meta_prepare(meta));
    CLM_TEST_OK(clm_meta_use_data(meta, &data, 1));
    const clm_batch batch = {.support_y = labels, .query_y = labels, .support_at = at, .query_at = at};
    *before = clm_device_get_counters(device);
    CLM_TEST_OK(clm_meta_step(meta, &batch, &report));
    clm_device_counters after = clm_device_get_counters(device);
    const size_t launches = clm_meta_get_plan(meta).launches;
    ck_assert_uint_ge(after.launches - before->launches, launches);
    after.launches -= before->launches;
    after.flushes -= before->flushes;
    after.waits -= before->waits;
    after.copied -= before->copied;
    after.mapped -= before->mapped;
    clm_meta_free(meta);
    clm_dataset_free(data);
    clm_model_free(model);
    clm_device_close(device);
    return after;
}

START_TEST(shared_memory_is_not_copied) {
    clm_device_counters before;
    const clm_device_counters step = count_a_step("type=gpu,unified=1,dedicated_local=1", &before);
    ck_assert_uint_eq(before.copied, 0); /* data set and parameters */
    ck_assert_uint_ge(before.mapped, IMAGES * SIZE * SIZE);
    ck_assert_uint_le(step.copied, 4096); /* numbers of images, labels, results: queued with the step */
    ck_assert_uint_eq(step.waits, 1);
}
END_TEST

START_TEST(memory_of_its_own_is_copied_to) {
    clm_device_counters before;
    count_a_step("type=gpu,unified=0,dedicated_local=1", &before);
    ck_assert_uint_ge(before.copied, IMAGES * SIZE * SIZE);
}
END_TEST

START_TEST(work_is_flushed_on_its_way) {
    clm_device_counters before;
    const clm_device_counters step = count_a_step("type=gpu,unified=1,dedicated_local=0", &before);
    ck_assert_uint_ge(step.launches, HELD);
    ck_assert_uint_ge(step.flushes, step.launches / HELD - 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("counters");
    TCase *t = tcase_create("counters");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, clm_test_enter_cache, clm_test_leave_cache);
    tcase_add_test(t, shared_memory_is_not_copied);
    tcase_add_test(t, memory_of_its_own_is_copied_to);
    tcase_add_test(t, work_is_flushed_on_its_way);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
