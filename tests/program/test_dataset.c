/* Data sets on devices: what is picked is, bit for bit, the images themselves, on every device, for bytes and floats, any
 * layout and any turn; and what fits. test_dataset_steps.c trains and adapts with what is picked. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "device/backend.h"
#include "support/image_pool.h"
#include "support/meta_setup.h"
#include "support/numbers.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

/* ---- what is picked ---- */

/* Values of their own to each channel. */
static void pool_tables(pool *p) {
    clm_random r = clm_random_make(seed, 11);
    const size_t area = (size_t)p->images.height * (size_t)p->images.width;
    p->images.tables = p->images.channels;
    for (int i = 0; i < p->images.channels * 256; i++) p->values[i] = (float)(clm_random_normal(&r) / 3);
    for (size_t i = 0; i < p->images.count * p->size; i++)
        p->floats[i] = p->values[i / area % (size_t)p->images.channels * 256 + p->bytes[i]];
}

static const struct {
    int tasks, examples, channels, height, width, labels;
    bool bytes, last, turn, tables;
} picks[] = {{3, 5, 1, 7, 7, 1, true, false, true, false},   {1, 1, 1, 1, 1, 0, true, false, true, false},
             {2, 3, 3, 5, 5, 1, true, true, true, false},    {2, 3, 3, 5, 5, 3, true, false, true, false},
             {4, 2, 2, 3, 9, 0, true, true, false, false},   {2, 4, 1, 6, 6, 1, false, false, true, false},
             {3, 2, 3, 4, 4, 2, false, true, true, false},   {1, 7, 1, 28, 28, 1, true, false, true, false},
             {2, 2, 5, 3, 2, 1, false, false, false, false}, {2, 129, 1, 13, 5, 1, true, true, false, false},
             {2, 3, 3, 5, 5, 1, true, true, true, true},     {2, 3, 3, 6, 4, 0, true, false, false, true},
             {3, 2, 5, 4, 4, 2, true, true, true, true}};
enum { PICKS = sizeof picks / sizeof *picks };

static void expect_picked(const pool *p, int row, const clm_tensor *x, const float *picked, const int32_t *at) {
    const size_t area = (size_t)picks[row].height * (size_t)picks[row].width, channels = (size_t)picks[row].channels;
    float *image = calloc(p->size, sizeof *image);
    for (size_t e = 0; e < clm_tensor_size(x) / p->size; e++) {
        pool_image(p, at[e], image);
        for (size_t c = 0; c < channels; c++)
            for (size_t i = 0; i < area; i++) {
                const float *got = picked + e * p->size + (picks[row].last ? i * channels + c : c * area + i);
                ck_assert_msg(!memcmp(got, &image[c * area + i], sizeof *got),
                              "row %d, example %zu, number %d, element %zu: %g, not %g", row, e, (int)at[e], i, (double)*got,
                              (double)image[c * area + i]);
            }
    }
    free(image);
}

START_TEST(picked_are_the_images) {
    enum { COUNT = 11 };
    const int row = _i % PICKS, tasks = picks[row].tasks, n = picks[row].examples, h = picks[row].height, w = picks[row].width;
    const size_t all = (size_t)tasks * (size_t)n, labels = all * (size_t)picks[row].labels;
    clm_device *device = clm_test_open(_i / PICKS);
    pool p = pool_make(COUNT, picks[row].channels, h, w, picks[row].bytes);
    if (picks[row].tables) pool_tables(&p);
    clm_random r = clm_random_make(seed, 8);
    clm_dataset *data = NULL;
    clm_tensor *x = NULL, *y = NULL;
    clm_pick *pick = NULL;
    int32_t *at = calloc(all, sizeof *at);
    float *values = calloc(labels + 1, sizeof *values), *back = calloc(labels + 1, sizeof *back),
          *picked = calloc(all * p.size, sizeof *picked);
    CLM_TEST_OK(clm_dataset_create(&data, device, pool_images(&p, picks[row].bytes)));
    CLM_TEST_OK(clm_tensor_create(&x, device, clm_shape_of(2, n, (int)p.size), tasks));
    if (labels) CLM_TEST_OK(clm_tensor_create(&y, device, clm_shape_of(2, n, picks[row].labels), tasks));
    const size_t before = clm_device_allocated(device);
    CLM_TEST_OK(clm_pick_create(&pick, data, x, y, picks[row].last));
    ck_assert_uint_eq(clm_device_allocated(device) - before, clm_pick_bytes(x, y));
    for (int run = 0; run < 3; run++) {
        for (size_t e = 0; e < all; e++)
            at[e] = (int32_t)clm_random_below(&r, COUNT) * 4 + (picks[row].turn ? (int32_t)clm_random_below(&r, 4) : 0);
        for (size_t e = 0; e < labels; e++) values[e] = (float)clm_random_normal(&r);
        CLM_TEST_OK(clm_dataset_check_numbers(data, tasks, "support", at, n));
        CLM_TEST_OK(clm_pick_run(pick, at, values));
        CLM_TEST_OK(clm_tensor_read(x, picked, all * p.size));
        expect_picked(&p, row, x, picked, at);
        if (y) CLM_TEST_OK(clm_tensor_read(y, back, labels));
        ck_assert(!labels || !memcmp(back, values, labels * sizeof *back));
    }
    clm_pick_free(pick);
    clm_tensor_free(x);
    clm_tensor_free(y);
    clm_dataset_free(data);
    ck_assert_uint_eq(clm_device_allocated(device), 0);
    clm_device_close(device);
    pool_free(&p);
    free(at);
    free(values);
    free(back);
    free(picked);
}
END_TEST

/* ---- memory ---- */

START_TEST(what_fits) {
    clm_device *device = clm_test_open_opencl();
    pool p = pool_make(100, 1, 64, 64, true);
    const clm_images *images = pool_images(&p, true);
    clm_dataset *data = NULL;
    const size_t bytes = clm_dataset_bytes(images);
    ck_assert_uint_eq(bytes, 1024 + 100 * 64 * 64);
    ck_assert(clm_dataset_fits(device, images, 2 * bytes));
    ck_assert(!clm_dataset_fits(device, images, 2 * bytes - 2)); /* more than half */
    clm_tensor *taken = NULL;
    CLM_TEST_OK(clm_tensor_create(&taken, device, clm_shape_of(1, (int)(bytes / 4 + 64)), 0));
    ck_assert(!clm_dataset_fits(device, images, 2 * bytes)); /* the rest is too small */
    clm_tensor_free(taken);
    device->info.max_allocation = bytes - 1;
    ck_assert(!clm_dataset_fits(device, images, 0));
    ck_assert_int_eq(clm_dataset_create(&data, device, images), CLM_E_LIMIT);
    ck_assert_ptr_null(data);
    SAYS("100 images of 1 x 64 x 64");
    SAYS("keep them on the host");
    ck_assert_uint_eq(clm_device_allocated(device), 0);
    clm_device_close(device);
    pool_free(&p);
}
END_TEST

int main(void) {
    seed = clm_test_seed();
    Suite *suite = suite_create("data sets on devices");
    TCase *pick = tcase_create("pick"), *memory = tcase_create("memory");
    tcase_set_timeout(pick, 300);
    tcase_add_loop_test(pick, picked_are_the_images, 0, CLM_TEST_DEVICES * PICKS);
    tcase_add_test(memory, what_fits);
    suite_add_tcase(suite, pick);
    suite_add_tcase(suite, memory);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
