/* Data larger than the memory: kept in a file of the cache directory with the same bits, or refused before any work, with what
 * would fit. The machine is taken for a small one (CLMAML_HOST_MEMORY). */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/files.h"
#include "base/memory.h"
#include "data/imageset.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

enum { CLASSES = 4, EACH = 3, SIDE = 32, EXAMPLES = CLASSES * EACH, SIZE = 3 * SIDE * SIDE };

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

static char *directory, *cache, *data;
static clm_folder_options options;
static int calls;

static bool count_calls(void *context, size_t done, size_t total) {
    (void)context, (void)done, (void)total;
    calls++;
    return true;
}

static void set_up(void) {
    directory = clm_test_directory();
    cache = clm_path_join(directory, "cache");
    data = clm_path_join(directory, "data");
    unsetenv("CLMAML_NO_CACHE");
    unsetenv("CLMAML_HOST_MEMORY");
    setenv("CLMAML_CACHE_DIR", cache, 1);
    options = (clm_folder_options)CLM_FOLDER_OPTIONS_INIT;
    options.size = SIDE;
    options.progress = count_calls;
    calls = 0;
}

static void tear_down(void) {
    free(cache);
    free(data);
    clm_test_remove(directory);
}

/* EXAMPLES pictures, in colour or grey, no two alike. */
static void write_pictures(bool colour) {
    char name[64];
    uint8_t pixels[40 * 40 * 3];
    for (int k = 0; k < EXAMPLES; k++) {
        size_t size;
        for (int i = 0; i < 40 * 40; i++)
            for (int c = 0; c < 3; c++) pixels[3 * i + c] = (uint8_t)(i / 10 + 7 * k + (colour ? 60 * c : 0));
        uint8_t *png = clm_test_png(pixels, 40, 40, PNG_FORMAT_RGB, &size);
        snprintf(name, sizeof name, "data/train/c%d/%d.png", k / EACH, k % EACH);
        clm_test_write(directory, name, png, size);
        free(png);
    }
}

static clm_image_set *opened(const char *memory) {
    clm_source *source = NULL;
    setenv("CLMAML_HOST_MEMORY", memory, 1);
    CLM_TEST_OK(clm_source_folder_open(&source, data, &options));
    return (clm_image_set *)source;
}

static size_t files_in_cache(void) {
    char **names = NULL, *place = clm_path_join(cache, "pictures");
    size_t count = 0;
    if (clm_path_is_directory(place)) CLM_TEST_OK(clm_directory_list(place, &names, &count));
    clm_names_free(names, count);
    free(place);
    return count;
}

static void check_same(const clm_image_set *a, const clm_image_set *b) {
    const size_t area = (size_t)a->channels * (size_t)a->height * (size_t)a->width;
    ck_assert_uint_eq(a->images, b->images);
    ck_assert_int_eq(a->channels, b->channels);
    ck_assert_ptr_eq(a->floats == NULL ? NULL : a, b->floats == NULL ? NULL : a);
    if (a->floats)
        ck_assert_mem_eq(a->floats, b->floats, a->images * area * sizeof *a->floats);
    else
        ck_assert_mem_eq(a->pixels, b->pixels, a->images * area);
    for (size_t e = 0; e < EACH; e++) {
        float x[SIZE], y[SIZE];
        CLM_TEST_OK(clm_source_image(&a->base, CLM_SPLIT_TRAIN, 1, e, x));
        CLM_TEST_OK(clm_source_image(&b->base, CLM_SPLIT_TRAIN, 1, e, y));
        ck_assert_mem_eq(x, y, area * sizeof *x);
    }
}

START_TEST(mapped_pictures_are_the_same) {
    write_pictures(_i == 0); /* grey is found when all are decoded, and takes a third then */
    options.normalise = CLM_NORMALISE_DATASET;
    setenv("CLMAML_NO_CACHE", "1", 1);
    clm_image_set *held = opened("1G");
    ck_assert_ptr_nonnull(held->store.memory);
    unsetenv("CLMAML_NO_CACHE");
    clm_image_set *made = opened("16K");
    ck_assert_ptr_null(made->store.memory);
    ck_assert_int_eq(made->channels, _i == 0 ? 3 : 1);
    check_same(held, made);
    ck_assert_uint_eq(files_in_cache(), 1);
    const int before = calls;
    clm_image_set *again = opened("16K"), *read = opened("1G"); /* of the file that was made */
    ck_assert_int_eq(calls, before);
    ck_assert_ptr_null(again->store.memory);
    ck_assert_ptr_nonnull(read->store.memory);
    check_same(held, again);
    check_same(held, read);
    clm_test_remove(clm_strdup(cache)); /* whoever has it open keeps it */
    check_same(held, made);
    check_same(held, again);
    clm_source_free(&held->base);
    clm_source_free(&made->base);
    clm_source_free(&again->base);
    clm_source_free(&read->base);
    ck_assert_uint_eq(files_in_cache(), 0);
}
END_TEST

START_TEST(without_a_cache_memory_must_do) {
    write_pictures(true);
    setenv("CLMAML_NO_CACHE", "1", 1);
    clm_image_set *set = opened("60K"); /* 36 KiB of examples */
    ck_assert_ptr_nonnull(set->store.memory);
    clm_source_free(&set->base);
}
END_TEST

static void refused(const char *memory, const char *says, const char *says_too) {
    clm_source *source = NULL;
    setenv("CLMAML_HOST_MEMORY", memory, 1);
    ck_assert_int_eq(clm_source_folder_open(&source, data, &options), CLM_E_LIMIT);
    ck_assert_ptr_null(source);
    SAYS(says);
    SAYS(says_too);
    ck_assert_ptr_null(strchr(clm_last_error(), '\n'));
}

START_TEST(refused_before_work_with_what_fits) {
    write_pictures(true);
    clm_test_write_text(directory, "data/train/c0/0.png", "no picture"); /* would be the error if any were opened */
    setenv("CLMAML_NO_CACHE", "1", 1);
    refused("16K",
            "12 pictures of 3x32x32 take 36.0 KiB, more than three quarters of the memory (12.0 KiB), and there is no cache",
            "size 18 would fit");
    ck_assert_int_eq(calls, 0);
    write_pictures(true);
    options.size = 18;
    clm_image_set *set = opened("16K");
    clm_source_free(&set->base);
}
END_TEST

/* A disk that takes no file of this size. */
static void allow_files_of(rlim_t size) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
}

START_TEST(disk_without_room) {
    write_pictures(true);
    allow_files_of(8192);
    refused("16K", "more than three quarters of the memory (12.0 KiB), and no room for 36.1 KiB in ", "size 18 would fit");
    ck_assert_uint_eq(files_in_cache(), 0);
    clm_image_set *set = opened("60K");
    ck_assert_ptr_nonnull(set->store.memory);
    clm_source_free(&set->base);
}
END_TEST

START_TEST(memory_that_is_no_amount) {
    clm_source *source = NULL;
    write_pictures(true);
    setenv("CLMAML_HOST_MEMORY", "much", 1);
    ck_assert_int_eq(clm_source_folder_open(&source, data, &options), CLM_E_ARG);
    SAYS("CLMAML_HOST_MEMORY: \"much\"");
}
END_TEST

/* ---- arrays ---- */

static void write_array(const char *name, const char *type, const char *shape, const void *values, size_t bytes) {
    size_t size;
    uint8_t *npy = clm_test_npy(type, shape, values, bytes, &size);
    clm_test_write(directory, name, npy, size);
    free(npy);
}

static void write_arrays(bool floats) {
    static float x[EXAMPLES][3][SIDE][SIDE];
    static uint8_t bytes[sizeof x / sizeof(float)];
    uint8_t y[EXAMPLES], split[EXAMPLES] = {0};
    float *flat = &x[0][0][0][0];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7 + i / 251), flat[i] = (float)bytes[i] / 3;
    for (int i = 0; i < EXAMPLES; i++) y[i] = (uint8_t)(i % CLASSES);
    write_array("data/x.npy", floats ? "<f4" : "|u1", "(12, 3, 32, 32)", floats ? (void *)x : bytes,
                floats ? sizeof x : sizeof bytes);
    write_array("data/y.npy", "|u1", "(12,)", y, sizeof y);
    write_array("data/split.npy", "|u1", "(12,)", split, sizeof split);
}

START_TEST(mapped_arrays_are_the_same) {
    write_arrays(_i == 1);
    options.normalise = CLM_NORMALISE_DATASET;
    clm_image_set *held = opened("1G"), *mapped = opened("16K");
    ck_assert_ptr_nonnull(held->store.memory);
    ck_assert_ptr_null(mapped->store.memory);
    check_same(held, mapped);
    clm_source_free(&held->base);
    clm_source_free(&mapped->base);
    ck_assert_uint_eq(files_in_cache(), 0);
    setenv("CLMAML_NO_CACHE", "1", 1);
    refused("16K", "x: 12 examples take ", _i == 1 ? "; 1 would fit" : "; 4 would fit");
}
END_TEST

/* ---- omniglot ---- */

static clm_image_set *omniglot(int threads, const char *memory) {
    clm_omniglot_options o = CLM_OMNIGLOT_OPTIONS_INIT;
    clm_source *source = NULL;
    o.threads = threads;
    o.progress = count_calls;
    setenv("CLMAML_HOST_MEMORY", memory, 1);
    CLM_TEST_OK(clm_source_omniglot(&source, directory, &o));
    return (clm_image_set *)source;
}

START_TEST(omniglot_of_any_threads_and_mapped) {
    clm_test_write_small_omniglot(directory);
    clm_image_set *one = omniglot(1, "1G");
    ck_assert_int_gt(calls, 0);
    for (int k = 0; k < 3; k++) {
        clm_image_set *other = omniglot(k == 0 ? 0 : 5, k == 2 ? "16K" : "1G");
        ck_assert_ptr_eq(other->store.memory == NULL ? other : NULL, k == 2 ? other : NULL);
        ck_assert_uint_eq(one->images, other->images);
        ck_assert_mem_eq(one->pixels, other->pixels, one->images * 28 * 28);
        clm_source_free(&other->base);
    }
    clm_source_free(&one->base);
    clm_omniglot_options o = CLM_OMNIGLOT_OPTIONS_INIT;
    clm_source *source = NULL;
    o.threads = -1;
    ck_assert_int_eq(clm_source_omniglot(&source, directory, &o), CLM_E_ARG);
    SAYS("-1 threads");
    o.threads = 0;
    setenv("CLMAML_NO_CACHE", "1", 1);
    ck_assert_int_eq(clm_source_omniglot(&source, directory, &o), CLM_E_LIMIT);
    SAYS("would fit");
}
END_TEST

/* ---- tables ---- */

START_TEST(tables_say_what_fits) {
    static const char *const target[] = {"y"};
    clm_table_options o = CLM_TABLE_OPTIONS_INIT;
    clm_source *source = NULL;
    clm_text text = {0};
    o.task_column = "t";
    o.targets = target;
    o.n_targets = 1;
    clm_text_add(&text, "t,y,a,b,c,d,e,f\n");
    for (int i = 0; i < 100; i++) clm_text_add(&text, "%d,%d,1,2,3,4,5,6\n", i / 10, i);
    clm_test_write(directory, "table.csv", text.data, text.length);
    char *path = clm_path_join(directory, "table.csv");
    setenv("CLMAML_HOST_MEMORY", "3K", 1);
    ck_assert_int_eq(clm_source_table_open(&source, path, &o), CLM_E_LIMIT);
    SAYS("more than half of the memory; a table of 1.5 KiB would fit");
    setenv("CLMAML_HOST_MEMORY", "3500", 1);
    ck_assert_int_eq(clm_source_table_open(&source, path, &o), CLM_E_LIMIT);
    SAYS("100 rows of 6 features take 2.8 KiB, more than three quarters of the memory (2.6 KiB); 93 rows would fit");
    clm_text_free(&text);
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("large");
    TCase *tc = tcase_create("large");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, mapped_pictures_are_the_same, 0, 2);
    tcase_add_test(tc, without_a_cache_memory_must_do);
    tcase_add_test(tc, refused_before_work_with_what_fits);
    tcase_add_test(tc, disk_without_room);
    tcase_add_test(tc, memory_that_is_no_amount);
    tcase_add_loop_test(tc, mapped_arrays_are_the_same, 0, 2);
    tcase_add_test(tc, omniglot_of_any_threads_and_mapped);
    tcase_add_test(tc, tables_say_what_fits);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
