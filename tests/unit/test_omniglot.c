/* Omniglot: the same from zip files and folders in any order; splits are disjoint and published; what is missing or damaged names
 * itself. On small files of the test's own making, which have the layout of the real ones.
 *
 * The whole Omniglot is read too where it is at hand: CLMAML_TEST_OMNIGLOT, else ../shared/data/omniglot beside the source. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"
#include "clmaml/data.h"
#include "data/imageset.h"
#include "support/pictures.h"
#include "support/run.h"

enum { SIZE = 28, AREA = SIZE * SIZE };

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

static char *directory;

static void set_up(void) { directory = clm_test_directory(); }
static void tear_down(void) { clm_test_remove(directory); }

static clm_source *open_omniglot(const clm_omniglot_options *options) {
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_omniglot(&source, directory, options));
    return source;
}

static clm_source *small_omniglot(clm_omniglot_split split) {
    clm_omniglot_options options = CLM_OMNIGLOT_OPTIONS_INIT;
    options.split = split;
    clm_test_write_small_omniglot(directory);
    return open_omniglot(&options);
}

static float picture[AREA];

static uint64_t picture_hash(const float *x) { return clm_hash(CLM_HASH_SEED, x, AREA * sizeof *x); }

/* Every picture of every class of the three splits is met once, unless a class stands in several turns. */
static void check_splits_disjoint(const clm_source *source, size_t drawings) {
    enum { ALL = 4 * 46 * 6 };
    uint64_t hashes[ALL];
    int n = 0;
    for (int split = 0; split < CLM_SPLITS; split++)
        for (size_t c = 0; c < clm_source_classes(source, (clm_split)split); c++)
            for (size_t e = 0; e < drawings; e++, n++) {
                ck_assert_int_lt(n, ALL);
                CLM_TEST_OK(clm_source_image(source, (clm_split)split, c, e, picture));
                hashes[n] = picture_hash(picture);
                for (int i = 0; i < n; i++) ck_assert(hashes[i] != hashes[n]);
            }
}

START_TEST(omniglot_alphabets) {
    clm_source *source = small_omniglot(CLM_OMNIGLOT_ALPHABETS);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TRAIN), 4 * 27);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_VALIDATION), 4 * 3);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TEST), 16);
    ck_assert_ptr_nonnull(
        strstr(clm_source_description(source), "30 background + 16 evaluation characters of 3 + 2 alphabets, 6 drawings"));
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "incomplete"));
    check_splits_disjoint(source, 6);
    clm_source_free(source);
}
END_TEST

START_TEST(omniglot_1200) {
    clm_source *source = small_omniglot(CLM_OMNIGLOT_1200);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TRAIN), 4 * 31); /* 46 * 1100 / 1623 */
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_VALIDATION), 4 * 2);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TEST), 13);
    check_splits_disjoint(source, 6);
    clm_source_free(source);
}
END_TEST

/* Which test character, and which of its drawings, a picture is. */
static void find_test_picture(const clm_source *source, const float *wanted, size_t *class_index, size_t *drawing) {
    float x[AREA];
    for (*class_index = 0; *class_index < 16; ++*class_index)
        for (*drawing = 0; *drawing < 6; ++*drawing) {
            CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TEST, *class_index, *drawing, x));
            if (memcmp(x, wanted, sizeof x) == 0) return;
        }
    ck_abort_msg("a picture of a task is none of the test split");
}

/* One alphabet, one person's drawings to learn from, two others' to tell apart. Of 16 characters, the first 8 are of one alphabet. */
START_TEST(omniglot_within_alphabet) {
    enum { WAYS = 5, QUERY = 2, TASKS = 40 };
    clm_omniglot_options options = CLM_OMNIGLOT_OPTIONS_INIT;
    float support[WAYS * AREA], query[WAYS * QUERY * AREA], support_y[WAYS], query_y[WAYS * QUERY];
    int met[2] = {0, 0};
    clm_test_write_small_omniglot(directory);
    options.within_alphabet = true;
    clm_source *source = open_omniglot(&options);
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "test tasks within an alphabet"));
    for (uint64_t t = 0; t < TASKS; t++) {
        size_t of_label[WAYS], person[1 + QUERY] = {6, 6, 6}, c, d;
        CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TEST, 3, t, WAYS, 1, QUERY, support, support_y, query, query_y));
        for (int i = 0; i < WAYS; i++) {
            find_test_picture(source, support + (size_t)i * AREA, &c, &d);
            of_label[(int)support_y[i]] = c;
            if (i == 0) person[0] = d;
            ck_assert_uint_eq(d, person[0]);
            ck_assert_uint_eq(c / 8, of_label[(int)support_y[0]] / 8);
        }
        for (int i = 0; i < WAYS * QUERY; i++) {
            find_test_picture(source, query + (size_t)i * AREA, &c, &d);
            ck_assert_uint_eq(c, of_label[(int)query_y[i]]);
            size_t k = 1;
            while (k < QUERY && person[k] != 6 && person[k] != d) k++;
            if (person[k] == 6) person[k] = d;
            ck_assert_uint_eq(d, person[k]);
            ck_assert_uint_ne(d, person[0]);
        }
        met[of_label[0] / 8]++;
    }
    ck_assert_int_gt(met[0], TASKS / 5);
    ck_assert_int_gt(met[1], TASKS / 5);
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TEST, 9, 1, 1), CLM_E_ARG);
    SAYS("9 ways within an alphabet, but the largest of the test split has 8 characters");
    CLM_TEST_OK(clm_source_check(source, CLM_SPLIT_TRAIN, 9, 1, 1));
    clm_source_free(source);
    options.test_rotations = true;
    ck_assert_int_eq(clm_source_omniglot(&source, directory, &options), CLM_E_ARG);
    SAYS("leave out test_rotations");
}
END_TEST

START_TEST(omniglot_ink_is_one_and_turns_are_classes) {
    clm_source *source = small_omniglot(CLM_OMNIGLOT_ALPHABETS);
    float *x = picture, turned[AREA];
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 0, 0, x));
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 1, 0, turned));
    ck_assert(x[0] == 1.0f); /* the square at the corner of every drawing */
    for (int i = 0; i < AREA; i++) ck_assert(turned[(SIZE - 1 - i % SIZE) * SIZE + i / SIZE] == x[i]);
    clm_source_free(source);
}
END_TEST

static uint64_t source_hash(const clm_source *source) {
    uint64_t hash = CLM_HASH_SEED;
    for (int split = 0; split < CLM_SPLITS; split++)
        for (size_t c = 0; c < clm_source_classes(source, (clm_split)split); c++)
            for (size_t e = 0; e < 6; e++) {
                CLM_TEST_OK(clm_source_image(source, (clm_split)split, c, e, picture));
                hash = clm_hash(hash, picture, AREA * sizeof(float));
            }
    return hash;
}

START_TEST(omniglot_from_folders_and_in_any_order) {
    clm_source *source = small_omniglot(CLM_OMNIGLOT_1200);
    uint64_t expected = source_hash(source);
    clm_source_free(source);
    clm_omniglot_options options = CLM_OMNIGLOT_OPTIONS_INIT;
    options.split = CLM_OMNIGLOT_1200;
    clm_test_omniglot other = clm_test_early;
    other.reversed = 1;
    other.extra = (clm_test_entry){"__MACOSX/A/character01/._0001_01.png", "junk", 4};
    clm_test_write_omniglot(directory, "images_background", &other, 0);
    source = open_omniglot(&options);
    ck_assert(source_hash(source) == expected);
    clm_source_free(source);
    char *zip = clm_path_join(directory, "images_evaluation.zip");
    CLM_TEST_OK(clm_file_remove(zip));
    free(zip);
    other = clm_test_late;
    other.extra = (clm_test_entry){".DS_Store", "junk", 4};
    clm_test_write_omniglot(directory, "images_evaluation", &other, 1);
    source = open_omniglot(&options);
    ck_assert(source_hash(source) == expected);
    options.split_seed++;
    clm_source_free(source);
    source = open_omniglot(&options);
    ck_assert(source_hash(source) != expected);
    clm_source_free(source);
}
END_TEST

static uint64_t names_hash(const clm_source *source, clm_split split) {
    const clm_image_set *set = (const clm_image_set *)source;
    uint64_t hash = CLM_HASH_SEED;
    for (size_t i = 0; i < set->splits[split].count; i++)
        hash = clm_hash_text(hash, set->classes[set->splits[split].classes[i]].name);
    return hash;
}

static char *find_omniglot(void) {
    const char *named = getenv("CLMAML_TEST_OMNIGLOT"), *source = getenv("CLMAML_SOURCE_DIR");
    if (named && *named) return clm_strdup(named);
    char *beside = clm_path_join(source && *source ? source : ".", "../shared/data/omniglot");
    if (clm_path_is_directory(beside)) return beside;
    free(beside);
    return NULL;
}

/* The published splits: these numbers change only when runs before and after can no longer be compared. */
START_TEST(omniglot_whole) {
    static const struct {
        clm_omniglot_split split;
        size_t counts[CLM_SPLITS];
        uint64_t names[CLM_SPLITS];
    } published[] = {
        {CLM_OMNIGLOT_ALPHABETS,
         {868, 96, 659},
         {UINT64_C(0x1ac63dc0547143d3), UINT64_C(0x607baf019913041a), UINT64_C(0x6fd0a012a9b82240)}},
        {CLM_OMNIGLOT_1200,
         {1100, 100, 423},
         {UINT64_C(0xc0517be1b3650e7d), UINT64_C(0xbc41093b8099ebd9), UINT64_C(0xdc8d63dacc28ffbf)}},
    };
    char *where = find_omniglot();
    for (size_t k = 0; k < 2; k++) {
        clm_omniglot_options options = CLM_OMNIGLOT_OPTIONS_INIT;
        clm_source *source = NULL;
        options.split = published[k].split;
        CLM_TEST_OK(clm_source_omniglot(&source, where, &options));
        ck_assert_ptr_nonnull(strstr(clm_source_description(source),
                                     "964 background + 659 evaluation characters of 30 + 20 alphabets, "
                                     "20 drawings each;"));
        for (int split = 0; split < CLM_SPLITS; split++) {
            size_t turns = split == CLM_SPLIT_TEST ? 1 : 4;
            ck_assert_uint_eq(clm_source_classes(source, (clm_split)split), turns * published[k].counts[split]);
            ck_assert_msg(names_hash(source, (clm_split)split) == published[k].names[split],
                          "split %zu, %d: names hash to 0x%llx", k, split,
                          (unsigned long long)names_hash(source, (clm_split)split));
        }
        CLM_TEST_OK(clm_source_check(source, CLM_SPLIT_TEST, 20, 5, 15));
        ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TEST, 5, 10, 11), CLM_E_ARG);
        SAYS("20");
        clm_source_free(source);
    }
    free(where);
}
END_TEST

/* ---- what can be wrong with Omniglot ---- */

static void refuses_omniglot(clm_status expected, const char *says, const char *says_too) {
    clm_source *source = NULL;
    ck_assert_int_eq(clm_source_omniglot(&source, directory, NULL), expected);
    ck_assert_ptr_null(source);
    SAYS(says);
    SAYS(says_too);
    ck_assert_ptr_null(strchr(clm_last_error(), '\n'));
}

START_TEST(omniglot_missing) {
    clm_source *source = NULL;
    ck_assert_int_eq(clm_source_omniglot(&source, "/no/such/folder", NULL), CLM_E_IO);
    SAYS("/no/such/folder");
    refuses_omniglot(CLM_E_IO, "images_background.zip", directory);
    clm_test_write_omniglot(directory, "images_background", &clm_test_early, 0);
    refuses_omniglot(CLM_E_IO, "images_evaluation.zip", directory);
    clm_omniglot_options options = CLM_OMNIGLOT_OPTIONS_INIT;
    options.version = 77;
    ck_assert_int_eq(clm_source_omniglot(&source, directory, &options), CLM_E_ARG);
    SAYS("77");
}
END_TEST

/* Cuts the file at `at`, or flips bits of the byte there. */
static void damage(const char *name, size_t at, int cut) {
    char *path = clm_path_join(directory, name), *data = NULL;
    size_t size = 0;
    CLM_TEST_OK(clm_file_read(path, &data, &size));
    ck_assert_uint_lt(at, size);
    if (!cut) data[at] ^= 0x55;
    CLM_TEST_OK(clm_file_write(path, data, cut ? at : size));
    free(data);
    free(path);
}

/* Size of the file; in `mark`, where `what` first is after half of it. */
static size_t measure(const char *name, const char *what, size_t *mark) {
    char *path = clm_path_join(directory, name), *data = NULL;
    size_t size = 0, length = strlen(what);
    CLM_TEST_OK(clm_file_read(path, &data, &size));
    for (*mark = size / 2; *mark + length < size && memcmp(data + *mark, what, length) != 0; ++*mark) continue;
    free(data);
    free(path);
    return size;
}

START_TEST(omniglot_damaged) {
    clm_test_write_omniglot(directory, "images_evaluation", &clm_test_late, 0);
    static const size_t parts[] = {0, 10, 50, 99}; /* of 100 */
    size_t mark;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        clm_test_write_omniglot(directory, "images_background", &clm_test_early, 0);
        damage("images_background.zip", measure("images_background.zip", "IDAT", &mark) * parts[i] / 100, 1);
        refuses_omniglot(CLM_E_FORMAT, "images_background.zip", "fetch it again");
    }
    clm_test_write_omniglot(directory, "images_background", &clm_test_early, 0);
    clm_test_omniglot other = clm_test_late;
    other.extra = (clm_test_entry){"Odd/character01/0099_01.png", "GIF89a, really", 14};
    clm_test_write_omniglot(directory, "images_evaluation", &other, 0);
    refuses_omniglot(CLM_E_FORMAT, "images_evaluation.zip/images_evaluation/Odd/character01/0099_01.png", "not a PNG");
    other = (clm_test_omniglot){.alphabets = 0, .extra = {"readme.png", "x", 1}};
    clm_test_write_omniglot(directory, "images_evaluation", &other, 0);
    refuses_omniglot(CLM_E_FORMAT, "images_evaluation.zip", "is this Omniglot?");
}
END_TEST

/* A flipped bit anywhere is noticed or harmless (a date), and among the picture's own bytes noticed by the entry's checksum. */
START_TEST(omniglot_flipped_bits) {
    size_t mark = 0;
    clm_test_write_small_omniglot(directory);
    size_t size = measure("images_background.zip", "IDAT", &mark);
    damage("images_background.zip", mark + 7, 0);
    refuses_omniglot(CLM_E_FORMAT, "images_background.zip: entry images_background/Early_", "damaged");
    for (size_t at = 0; at < size; at += size / 12 + 1) {
        clm_source *source = NULL;
        clm_test_write_omniglot(directory, "images_background", &clm_test_early, 0);
        damage("images_background.zip", at, 0);
        if (clm_source_omniglot(&source, directory, NULL) != CLM_OK) SAYS("images_background.zip");
        clm_source_free(source);
    }
}
END_TEST

START_TEST(omniglot_too_few_drawings) {
    clm_test_omniglot other = clm_test_late;
    other.missing = 4;
    clm_test_write_omniglot(directory, "images_background", &clm_test_early, 0);
    clm_test_write_omniglot(directory, "images_evaluation", &other, 0);
    clm_source *source = open_omniglot(NULL);
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "2 to 6 drawings each"));
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TEST, 5, 1, 2), CLM_E_ARG);
    SAYS("class Later_B/character08 has 2");
    CLM_TEST_OK(clm_source_check(source, CLM_SPLIT_TRAIN, 5, 1, 5));
    clm_source_free(source);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("omniglot");
    TCase *tc = tcase_create("omniglot");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, omniglot_alphabets);
    tcase_add_test(tc, omniglot_1200);
    tcase_add_test(tc, omniglot_within_alphabet);
    tcase_add_test(tc, omniglot_ink_is_one_and_turns_are_classes);
    tcase_add_test(tc, omniglot_from_folders_and_in_any_order);
    char *whole = find_omniglot();
    if (whole) tcase_add_test(tc, omniglot_whole);
    free(whole);
    tcase_add_test(tc, omniglot_missing);
    tcase_add_test(tc, omniglot_damaged);
    tcase_add_test(tc, omniglot_flipped_bits);
    tcase_add_test(tc, omniglot_too_few_drawings);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
