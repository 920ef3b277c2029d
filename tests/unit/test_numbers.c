/* Numbers of images: the array that a source hands over and the numbers of a task give, bit for bit, the task's images; batches of
 * numbers made ahead are those of the tasks; sources without an array say so. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/memory.h"
#include "clmaml/data.h"
#include "data/image.h"
#include "support/pictures.h"
#include "support/run.h"

enum { SIZE = 9, AREA = SIZE * SIZE, WAYS = 4, SHOTS = 2, QUERY = 3, SUPPORT = WAYS * SHOTS, ASKED = WAYS * QUERY };

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

static char *directory;

static void set_up(void) { directory = clm_test_directory(); }
static void tear_down(void) { clm_test_remove(directory); }

/* ---- sources that have an array ---- */

static clm_source *open_omniglot(bool rotations, clm_omniglot_split split) {
    clm_source *source = NULL;
    clm_omniglot_options options = CLM_OMNIGLOT_OPTIONS_INIT;
    options.size = SIZE;
    options.rotations = rotations;
    options.test_rotations = rotations;
    options.split = split;
    clm_test_write_small_omniglot(directory);
    CLM_TEST_OK(clm_source_omniglot(&source, directory, &options));
    return source;
}

static clm_source *open_folder(bool invert) {
    static const char *const splits[] = {"train", "val", "test"};
    clm_source *source = NULL;
    for (int split = 0; split < 3; split++)
        for (int c = 0; c < WAYS + split; c++)
            for (int e = 0; e < SHOTS + QUERY + c; e++) {
                uint8_t pixels[AREA];
                size_t size;
                for (int i = 0; i < AREA; i++) pixels[i] = (uint8_t)(split * 71 + c * 31 + e * 7 + i * 3);
                uint8_t *png = clm_test_png(pixels, SIZE, SIZE, PNG_FORMAT_GRAY, &size);
                char *folder = clm_format("%s/%s/class%d", directory, splits[split], c),
                     *path = clm_format("%s/%d.png", folder, e);
                CLM_TEST_OK(clm_directory_make(folder));
                CLM_TEST_OK(clm_file_write(path, png, size));
                free(path);
                free(folder);
                free(png);
            }
    CLM_TEST_OK(clm_source_folder(&source, directory, SIZE, invert));
    return source;
}

enum { KINDS = 5 };
static clm_source *open_kind(int kind) {
    switch (kind) {
    case 0: return open_omniglot(true, CLM_OMNIGLOT_ALPHABETS);
    case 1: return open_omniglot(false, CLM_OMNIGLOT_ALPHABETS);
    case 2: return open_omniglot(true, CLM_OMNIGLOT_1200);
    case 3: return open_folder(true);
    default: return open_folder(false);
    }
}

static void check_image(const clm_images *images, int32_t number, const float *image) {
    uint8_t bytes[AREA];
    float turned[AREA];
    ck_assert_int_ge(number, 0);
    ck_assert_uint_lt((size_t)number / 4, images->count);
    memcpy(bytes, images->bytes + (size_t)(number / 4) * AREA, AREA);
    clm_image_turn(bytes, SIZE, number % 4, turned);
    ck_assert_msg(!memcmp(turned, image, sizeof turned), "number %d is another image", (int)number);
    for (int i = 0; i < AREA; i++)
        ck_assert_msg(!memcmp(&images->values[bytes[i]], &(float){(float)bytes[i] / 255.0f}, sizeof(float)), "byte %d",
                      bytes[i]);
}

static void check_task(const clm_source *source, const clm_images *images, clm_split split, uint64_t index, bool *turned) {
    float x[2][ASKED * AREA], y[2][ASKED], labels[2][ASKED];
    int32_t at[2][ASKED];
    const int n[2] = {SUPPORT, ASKED};
    CLM_TEST_OK(clm_source_sample(source, split, 5, index, WAYS, SHOTS, QUERY, x[0], y[0], x[1], y[1]));
    CLM_TEST_OK(clm_source_sample_at(source, split, 5, index, WAYS, SHOTS, QUERY, at[0], labels[0], at[1], labels[1]));
    for (int set = 0; set < 2; set++)
        for (int e = 0; e < n[set]; e++) {
            ck_assert(!memcmp(&y[set][e], &labels[set][e], sizeof(float)));
            check_image(images, at[set][e], x[set] + e * AREA);
            *turned = *turned || at[set][e] % 4;
        }
}

START_TEST(numbers_are_those_of_the_images) {
    clm_source *source = open_kind(_i);
    clm_images images;
    bool turned = false;
    ck_assert(clm_source_images(source, &images));
    ck_assert_int_eq(images.channels, 1);
    ck_assert_int_eq(images.height, SIZE);
    ck_assert_int_eq(images.width, SIZE);
    ck_assert_ptr_null(images.floats);
    for (int split = 0; split < 3; split++) {
        if (clm_source_classes(source, (clm_split)split) < WAYS) continue;
        for (uint64_t index = 0; index < 20; index++) check_task(source, &images, (clm_split)split, index, &turned);
    }
    ck_assert_int_eq(turned, _i == 0 || _i == 2);
    clm_source_free(source);
}
END_TEST

/* Any may be left out, and what remains is the same. */
START_TEST(parts_of_a_task) {
    clm_source *source = open_kind(0);
    int32_t at[2][ASKED], some[ASKED];
    float y[2][ASKED];
    CLM_TEST_OK(clm_source_sample_at(source, CLM_SPLIT_TRAIN, 1, 2, WAYS, SHOTS, QUERY, at[0], y[0], at[1], y[1]));
    CLM_TEST_OK(clm_source_sample_at(source, CLM_SPLIT_TRAIN, 1, 2, WAYS, SHOTS, QUERY, NULL, NULL, some, NULL));
    ck_assert_mem_eq(some, at[1], sizeof some);
    CLM_TEST_OK(clm_source_sample_at(source, CLM_SPLIT_TRAIN, 1, 2, WAYS, SHOTS, 0, some, NULL, NULL, NULL));
    ck_assert_mem_eq(some, at[0], SUPPORT * sizeof *some);
    clm_source_free(source);
}
END_TEST

/* ---- made ahead ---- */

START_TEST(batches_of_numbers_made_ahead) {
    static const uint64_t order[] = {0, 1, 2, 7, 6, 6, 8, 1};
    enum { TASKS = 3 };
    clm_source *source = open_kind(0);
    clm_prefetch *p = NULL;
    clm_prefetch_options o = CLM_PREFETCH_OPTIONS_INIT;
    const float *images[4], *labels[2];
    const int32_t *at[2];
    o.tasks = TASKS;
    o.ways = WAYS;
    o.shots = SHOTS;
    o.query = QUERY;
    o.seed = 3;
    o.numbers = true;
    CLM_TEST_OK(clm_prefetch_create(&p, source, &o));
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        CLM_TEST_OK(clm_prefetch_get_at(p, order[i], at, labels));
        for (uint64_t t = 0; t < TASKS; t++) {
            int32_t own[2][ASKED];
            float y[2][ASKED];
            CLM_TEST_OK(clm_source_sample_at(source, o.split, o.seed, order[i] * TASKS + t, WAYS, SHOTS, QUERY, own[0], y[0],
                                             own[1], y[1]));
            ck_assert_mem_eq(own[0], at[0] + t * SUPPORT, SUPPORT * sizeof **own);
            ck_assert_mem_eq(own[1], at[1] + t * ASKED, ASKED * sizeof **own);
            ck_assert_mem_eq(y[0], labels[0] + t * SUPPORT, SUPPORT * sizeof **y);
            ck_assert_mem_eq(y[1], labels[1] + t * ASKED, ASKED * sizeof **y);
        }
    }
    ck_assert_int_eq(clm_prefetch_get(p, 0, images), CLM_E_STATE);
    SAYS("clm_prefetch_get_at");
    clm_prefetch_free(p);
    o.numbers = false;
    CLM_TEST_OK(clm_prefetch_create(&p, source, &o));
    ck_assert_int_eq(clm_prefetch_get_at(p, 0, at, labels), CLM_E_STATE);
    clm_prefetch_free(p);
    clm_source_free(source);
}
END_TEST

/* ---- sources that have none ---- */

START_TEST(examples_without_numbers) {
    clm_source *source = NULL;
    clm_images images;
    clm_prefetch *p = NULL;
    clm_prefetch_options o = CLM_PREFETCH_OPTIONS_INIT;
    int32_t at[ASKED];
    CLM_TEST_OK(_i ? clm_source_glyphs(&source, 28) : clm_source_sine(&source));
    ck_assert(!clm_source_images(source, &images));
    ck_assert_int_eq(clm_source_sample_at(source, CLM_SPLIT_TRAIN, 1, 0, 1, 1, 1, at, NULL, at, NULL), CLM_E_ARG);
    SAYS(clm_source_name(source));
    SAYS("draw the examples");
    o.numbers = true;
    o.ways = 1;
    ck_assert_int_eq(clm_prefetch_create(&p, source, &o), CLM_E_ARG);
    ck_assert_ptr_null(p);
    clm_source_free(source);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("numbers of images");
    TCase *tc = tcase_create("numbers");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, numbers_are_those_of_the_images, 0, KINDS);
    tcase_add_test(tc, parts_of_a_task);
    tcase_add_test(tc, batches_of_numbers_made_ahead);
    tcase_add_loop_test(tc, examples_without_numbers, 0, 2);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
