/* Colour pictures, normalised channel by channel, on devices: what is picked by the numbers of a task is, bit for bit, the task
 * itself. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program/dataset.h"
#include "support/launch.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

enum { SIZE = 8, CLASSES = 4, PICTURES = 6, WAYS = 2, SHOTS = 2, QUERY = 3, EXAMPLE = 3 * SIZE * SIZE };

static char *directory;

/* Class c: a hue. */
static void write_pictures(void) {
    static const uint8_t hues[CLASSES][3] = {{255, 20, 20}, {0, 153, 0}, {60, 90, 190}, {170, 60, 40}};
    char name[64];
    for (int c = 0; c < CLASSES; c++)
        for (int k = 0; k < PICTURES; k++) {
            uint8_t pixels[16 * 16 * 3];
            size_t size;
            for (int i = 0; i < 16 * 16; i++)
                for (int n = 0; n < 3; n++) pixels[3 * i + n] = (uint8_t)(hues[c][n] * (100 + (i * 7 + k * 31) % 60) / 160);
            uint8_t *png = clm_test_png(pixels, 16, 16, PNG_FORMAT_RGB, &size);
            snprintf(name, sizeof name, "train/c%d/%d.png", c, k);
            clm_test_write(directory, name, png, size);
            free(png);
        }
}

static void check_set(clm_device *device, const clm_dataset *data, const int32_t *at, const float *labels, const float *images,
                      int n, bool last) {
    clm_tensor *x = NULL, *y = NULL;
    clm_pick *pick = NULL;
    float *picked = calloc((size_t)n * EXAMPLE, sizeof *picked);
    CLM_TEST_OK(clm_tensor_create(&x, device, clm_shape_of(2, n, EXAMPLE), 1));
    CLM_TEST_OK(clm_tensor_create(&y, device, clm_shape_of(2, n, 1), 1));
    CLM_TEST_OK(clm_pick_create(&pick, data, x, y, last));
    CLM_TEST_OK(clm_pick_run(pick, at, labels));
    CLM_TEST_OK(clm_tensor_read(x, picked, (size_t)n * EXAMPLE));
    for (int e = 0; e < n; e++)
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < SIZE * SIZE; i++) {
                const float got = picked[e * EXAMPLE + (last ? i * 3 + c : c * SIZE * SIZE + i)];
                ck_assert(got == images[e * EXAMPLE + c * SIZE * SIZE + i]);
            }
    clm_pick_free(pick);
    clm_tensor_free(x);
    clm_tensor_free(y);
    free(picked);
}

START_TEST(picked_are_the_tasks) {
    directory = clm_test_directory();
    write_pictures();
    clm_folder_options o = CLM_FOLDER_OPTIONS_INIT;
    clm_source *source = NULL;
    clm_images images;
    clm_dataset *data = NULL;
    o.size = SIZE;
    o.normalise = _i % 2 ? CLM_NORMALISE_DATASET : CLM_NORMALISE_IMAGENET;
    CLM_TEST_OK(clm_source_folder_open(&source, directory, &o));
    clm_device *device = _i / 2 ? clm_test_open_opencl() : clm_test_open_host();
    ck_assert(clm_source_images(source, &images) && images.channels == 3 && images.tables == 3);
    CLM_TEST_OK(clm_dataset_create(&data, device, &images));
    for (uint64_t index = 0; index < 3; index++) {
        static float support[WAYS * SHOTS * EXAMPLE], query[WAYS * QUERY * EXAMPLE];
        float support_y[WAYS * SHOTS], query_y[WAYS * QUERY];
        int32_t support_at[WAYS * SHOTS], query_at[WAYS * QUERY];
        const clm_episode_options e = {CLM_EPISODE_OPTIONS_VERSION, WAYS, SHOTS, QUERY, 1, 0, 0, 0};
        const clm_episode all = {support, support_y, query, query_y, support_at, query_at, NULL};
        CLM_TEST_OK(clm_source_draw(source, CLM_SPLIT_TRAIN, 1, index, &e, &all));
        for (int last = 0; last < 2; last++) {
            check_set(device, data, support_at, support_y, support, WAYS * SHOTS, last);
            check_set(device, data, query_at, query_y, query, WAYS * QUERY, last);
        }
    }
    clm_dataset_free(data);
    clm_device_close(device);
    clm_source_free(source);
    clm_test_remove(directory);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("colour");
    TCase *tc = tcase_create("colour");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, picked_are_the_tasks, 0, 4);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
