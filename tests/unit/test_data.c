/* Task sources: tasks are a function of (source, split, seed, index); classes and examples of a task differ; sine, glyphs,
 * folders of pictures; what is missing, damaged or too small names itself. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"
#include "clmaml/data.h"
#include "data/source.h"
#include "support/pictures.h"
#include "support/run.h"

enum { SIZE = 28, AREA = SIZE * SIZE, MOST = 400 };

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

static char *directory;

static void set_up(void) { directory = clm_test_directory(); }
static void tear_down(void) { clm_test_remove(directory); }

static clm_source *small_omniglot(void) {
    clm_source *source = NULL;
    clm_test_write_small_omniglot(directory);
    CLM_TEST_OK(clm_source_omniglot(&source, directory, NULL));
    return source;
}

static clm_source *glyphs(void) {
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_glyphs(&source, SIZE));
    return source;
}

/* ---- tasks ---- */

typedef struct task {
    float support_x[MOST * AREA], support_y[MOST], query_x[MOST * AREA], query_y[MOST];
} task;

static task first, second;

static void sample(const clm_source *source, clm_split split, uint64_t seed, uint64_t index, int ways, int shots, int query,
                   task *to) {
    memset(to, 0, sizeof *to);
    CLM_TEST_OK(clm_source_sample(source, split, seed, index, ways, shots, query, to->support_x, to->support_y, to->query_x,
                                  to->query_y));
}

static int same(const task *a, const task *b) { return memcmp(a, b, sizeof *a) == 0; }

static void check_function_of_its_name(const clm_source *source) {
    sample(source, CLM_SPLIT_TRAIN, 5, 9, 3, 2, 2, &first);
    sample(source, CLM_SPLIT_TRAIN, 5, 10, 3, 2, 2, &second);
    ck_assert(!same(&first, &second));
    sample(source, CLM_SPLIT_TRAIN, 6, 9, 3, 2, 2, &second);
    ck_assert(!same(&first, &second));
    sample(source, CLM_SPLIT_TEST, 5, 9, 3, 2, 2, &second);
    ck_assert(!same(&first, &second));
    sample(source, CLM_SPLIT_TRAIN, 5, 9, 3, 2, 2, &second);
    ck_assert(same(&first, &second));
    sample(source, CLM_SPLIT_TRAIN, 5, 9, 3, 2, 4, &second); /* more queries: the same support set */
    ck_assert_mem_eq(first.support_x, second.support_x, sizeof first.support_x);
    ck_assert_mem_eq(first.support_y, second.support_y, sizeof first.support_y);
    CLM_TEST_OK(clm_source_sample(source, CLM_SPLIT_TRAIN, 5, 9, 3, 2, 4, NULL, NULL, NULL, second.support_y));
    ck_assert_mem_eq(second.support_y, second.query_y, 12 * sizeof(float));
}

START_TEST(tasks_are_a_function_of_their_name) {
    clm_source *source = glyphs();
    check_function_of_its_name(source);
    clm_source_free(source);
    source = small_omniglot();
    check_function_of_its_name(source);
    clm_source_free(source);
}
END_TEST

static uint64_t picture_hash(const float *x) { return clm_hash(CLM_HASH_SEED, x, AREA * sizeof *x); }

/* No picture twice, and every label equally often; returns whether the labels are in order. */
static int check_set(const float *x, const float *y, int ways, int count, uint64_t *hashes) {
    int seen[MOST] = {0}, ordered = 1;
    for (int i = 0; i < ways * count; i++) {
        ck_assert(y[i] >= 0 && y[i] < (float)ways && y[i] == floorf(y[i]));
        seen[(int)y[i]]++;
        hashes[i] = picture_hash(x + i * AREA);
        if (i && y[i] < y[i - 1]) ordered = 0;
    }
    for (int k = 0; k < ways; k++) ck_assert_int_eq(seen[k], count);
    return ordered;
}

static void check_episodes(const clm_source *source, int ways, int shots, int query) {
    uint64_t hashes[2 * MOST];
    int ordered = 0, n = ways * (shots + query);
    for (uint64_t index = 0; index < 20; index++) {
        sample(source, CLM_SPLIT_TRAIN, 1, index, ways, shots, query, &first);
        ordered += check_set(first.support_x, first.support_y, ways, shots, hashes);
        ordered += check_set(first.query_x, first.query_y, ways, query, hashes + ways * shots);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++) ck_assert_msg(hashes[i] != hashes[j], "examples %d and %d are one picture", i, j);
    }
    ck_assert_int_lt(ordered, 10);
}

START_TEST(episodes_are_balanced_and_disjoint) {
    clm_source *source = glyphs();
    check_episodes(source, 5, 2, 3);
    clm_source_free(source);
    source = small_omniglot();
    check_episodes(source, 10, 2, 4); /* all there is of a class */
    clm_source_free(source);
}
END_TEST

/* Labels belong to classes: support and query of one label are drawings of one character, which the test's drawings reveal. */
START_TEST(labels_follow_classes_and_are_drawn) {
    clm_source *source = small_omniglot();
    size_t classes = clm_source_classes(source, CLM_SPLIT_TEST);
    ck_assert_uint_eq(classes, 16);
    uint64_t known[16][6];
    for (size_t c = 0; c < classes; c++)
        for (size_t e = 0; e < 6; e++) {
            CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TEST, c, e, first.support_x));
            known[c][e] = picture_hash(first.support_x);
        }
    int label_of_class[16][4] = {{0}};
    for (uint64_t index = 0; index < 200; index++) {
        int class_of_label[4] = {-1, -1, -1, -1};
        sample(source, CLM_SPLIT_TEST, 2, index, 4, 1, 3, &first);
        for (int i = 0; i < 16; i++) {
            const float *x = i < 4 ? first.support_x + i * AREA : first.query_x + (i - 4) * AREA;
            int label = (int)(i < 4 ? first.support_y[i] : first.query_y[i - 4]), found = -1;
            for (int c = 0; c < 16; c++)
                for (int e = 0; e < 6; e++)
                    if (known[c][e] == picture_hash(x)) found = c;
            ck_assert_int_ge(found, 0);
            if (class_of_label[label] < 0) class_of_label[label] = found;
            ck_assert_int_eq(class_of_label[label], found);
        }
        for (int k = 0; k < 4; k++) label_of_class[class_of_label[k]][k]++;
    }
    for (int c = 0; c < 16; c++)
        for (int k = 0; k < 4; k++) ck_assert_msg(label_of_class[c][k] > 0, "class %d never had label %d in 200 tasks", c, k);
    clm_source_free(source);
}
END_TEST

/* ---- sources ---- */

/* More support sets: the first and the query set stay, no image comes twice. Joint labels: the class's number, for every image. */
START_TEST(support_sets_and_joint_classes) {
    enum { WAYS = 3, SHOTS = 2, QUERY = 2, SETS = 3, N = WAYS * SHOTS };
    clm_source *source = glyphs();
    clm_episode_options o = CLM_EPISODE_OPTIONS_INIT;
    o.ways = WAYS, o.shots = SHOTS, o.query = QUERY, o.support_sets = SETS;
    sample(source, CLM_SPLIT_TRAIN, 5, 9, WAYS, SHOTS, QUERY, &first);
    memset(&second, 0, sizeof second);
    const clm_episode out = {second.support_x, second.support_y, second.query_x, second.query_y, NULL, NULL, NULL};
    CLM_TEST_OK(clm_source_draw(source, CLM_SPLIT_TRAIN, 5, 9, &o, &out));
    ck_assert_mem_eq(first.support_x, second.support_x, N * AREA * sizeof(float));
    ck_assert_mem_eq(first.support_y, second.support_y, N * sizeof(float));
    ck_assert_mem_eq(first.query_x, second.query_x, sizeof first.query_x);
    ck_assert_mem_eq(first.query_y, second.query_y, sizeof first.query_y);
    for (int i = 0; i < SETS * N; i++) {
        int of_class = 0;
        for (int k = 0; k < N; k++) of_class += second.support_y[i / N * N + k] == second.support_y[i];
        ck_assert_int_eq(of_class, SHOTS);
        for (int k = 0; k < i; k++) ck_assert(memcmp(second.support_x + i * AREA, second.support_x + k * AREA, AREA * 4) != 0);
    }
    o.support_sets = 1;
    o.joint_classes = 4;
    bool seen[4] = {false};
    for (uint64_t index = 0; index < 20; index++) {
        float image[AREA];
        CLM_TEST_OK(clm_source_draw(source, CLM_SPLIT_TRAIN, 5, index, &o, &out));
        for (int i = 0; i < N; i++) {
            ck_assert(second.support_y[i] >= 0 && second.support_y[i] < 4);
            seen[(int)second.support_y[i]] = true;
        }
        CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, (size_t)second.query_y[0], 0, image));
    }
    for (int c = 0; c < 4; c++) ck_assert(seen[c]);
    o.ways = 5;
    ck_assert_int_eq(clm_source_check_episode(source, CLM_SPLIT_TRAIN, &o), CLM_E_ARG);
    SAYS("4 classes");
    o.version = 9;
    ck_assert_int_eq(clm_source_check_episode(source, CLM_SPLIT_TRAIN, &o), CLM_E_ARG);
    clm_source_free(source);
}
END_TEST

START_TEST(sine_is_a_sine) {
    clm_source *source = NULL;
    CLM_TEST_OK(clm_source_sine(&source));
    ck_assert(clm_source_is_regression(source));
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TRAIN), 0);
    for (uint64_t index = 0; index < 100; index++) {
        sample(source, CLM_SPLIT_TRAIN, 3, index, 1, 10, 20, &first);
        /* y = b sin x + c cos x through the first two points must hold at all others */
        double s0 = sin(first.support_x[0]), c0 = cos(first.support_x[0]), s1 = sin(first.support_x[1]),
               c1 = cos(first.support_x[1]);
        double det = s0 * c1 - s1 * c0;
        if (fabs(det) < 0.05) continue;
        double b = (first.support_y[0] * c1 - first.support_y[1] * c0) / det,
               c = (s0 * first.support_y[1] - s1 * first.support_y[0]) / det;
        double amplitude = sqrt(b * b + c * c), phase = atan2(-c, b);
        ck_assert(amplitude > 0.1 - 1e-3 && amplitude < 5 + 1e-3 && phase > -1e-2 && phase < 3.1416 + 1e-2);
        for (int i = 0; i < 20; i++) {
            ck_assert(fabsf(first.query_x[i]) <= 5);
            ck_assert_double_eq_tol(first.query_y[i], b * sin(first.query_x[i]) + c * cos(first.query_x[i]), 1e-4);
        }
    }
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TRAIN, 2, 5, 5), CLM_E_ARG);
    SAYS("regression");
    ck_assert_int_eq(clm_source_image(source, CLM_SPLIT_TRAIN, 0, 0, first.support_x), CLM_E_ARG);
    clm_source_free(source);
}
END_TEST

/* Of the polynomial through the first points. */
static double polynomial_at(const float *x, const float *y, int degree, double at) {
    double sum = 0;
    for (int i = 0; i <= degree; i++) {
        double term = (double)y[i];
        for (int j = 0; j <= degree; j++)
            if (j != i) term *= (at - (double)x[j]) / ((double)x[i] - (double)x[j]);
        sum += term;
    }
    return sum;
}

/* Every point is on the line through the leftmost or on that through the rightmost one, which rise and fall alike. */
static void check_corner(const float *x, const float *y, int n) {
    double steepest = 0;
    int left = 0, right = 0, fits[2] = {0};
    for (int i = 0; i < n; i++) {
        if (x[i] < x[left]) left = i;
        if (x[i] > x[right]) right = i;
        for (int j = 0; j < n; j++)
            if (x[j] > x[i] + 0.5f) steepest = fmax(steepest, fabs((double)(y[j] - y[i]) / (double)(x[j] - x[i])));
    }
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < n; i++) {
            const double slope = k ? steepest : -steepest, from_left = y[left] + slope * (double)(x[i] - x[left]),
                         from_right = y[right] - slope * (double)(x[i] - x[right]);
            fits[k] += fabs(y[i] - from_left) < 1e-3 || fabs(y[i] - from_right) < 1e-3;
        }
    ck_assert(fits[0] == n || fits[1] == n);
    ck_assert(steepest > 0.5 - 1e-3 && steepest < 1.5 + 1e-3);
}

static void check_kind(const char *kind, const task *e) {
    const int degree = strcmp(kind, "line") == 0 ? 1 : strcmp(kind, "parabola") == 0 ? 2 : 0;
    if (strcmp(kind, "absolute") == 0) check_corner(e->query_x, e->query_y, 20);
    for (int i = 0; i < 20 && degree; i++) {
        double spread = 1;
        for (int a = 0; a <= degree; a++)
            for (int b = 0; b < a; b++) spread *= fabs((double)(e->support_x[a] - e->support_x[b]));
        if (spread < 0.2) continue;
        ck_assert_double_eq_tol((double)e->query_y[i], polynomial_at(e->support_x, e->support_y, degree, (double)e->query_x[i]),
                                1e-2);
    }
}

START_TEST(functions_are_of_their_kinds) {
    clm_source *source = NULL;
    int count[4] = {0};
    CLM_TEST_OK(clm_source_functions(&source, NULL));
    ck_assert(clm_source_is_regression(source));
    for (uint64_t index = 0; index < 2000; index++) {
        const char *kind = clm_source_function(source, CLM_SPLIT_TRAIN, 3, index);
        size_t i = 0;
        while (clm_function_name(i) && strcmp(clm_function_name(i), kind) != 0) i++;
        ck_assert_uint_lt(i, 4);
        count[i]++;
        sample(source, CLM_SPLIT_TRAIN, 3, index, 1, 10, 20, &first);
        check_kind(kind, &first);
    }
    for (int i = 0; i < 4; i++) ck_assert(count[i] > 400 && count[i] < 600);
    ck_assert_ptr_null(clm_function_name(4));
    clm_source_free(source);
}
END_TEST

START_TEST(one_kind_of_functions_is_that_alone) {
    clm_source *source = NULL, *sine = NULL;
    CLM_TEST_OK(clm_source_functions(&source, "sine"));
    CLM_TEST_OK(clm_source_sine(&sine));
    ck_assert_ptr_nonnull(strstr(clm_source_description(source), "sin"));
    ck_assert_ptr_null(strstr(clm_source_description(source), "|x"));
    for (uint64_t index = 0; index < 20; index++) {
        sample(source, CLM_SPLIT_TEST, 3, index, 1, 10, 20, &first);
        sample(sine, CLM_SPLIT_TEST, 3, index, 1, 10, 20, &second);
        ck_assert_mem_eq(first.support_y, second.support_y, 10 * sizeof(float));
        ck_assert_mem_eq(first.query_y, second.query_y, 20 * sizeof(float));
    }
    clm_source_free(source);
    clm_source_free(sine);
    static const char *const wrong[][2] = {{"sine,cube", "'cube' is none of sine, line, parabola, absolute"},
                                           {"line,line", "line is named twice"},
                                           {"line,", "ends with a comma"},
                                           {",line", "'' is none of"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(clm_source_functions(&source, wrong[i][0]), CLM_E_ARG);
        SAYS(wrong[i][1]);
        ck_assert_ptr_null(source);
    }
}
END_TEST

START_TEST(glyphs_differ_by_class_example_and_split) {
    clm_source *source = glyphs();
    ck_assert(clm_source_classes(source, CLM_SPLIT_TEST) == SIZE_MAX);
    enum { CLASSES = 20, EXAMPLES = 5, ALL = CLM_SPLITS * CLASSES * EXAMPLES };
    uint64_t hashes[ALL];
    for (int i = 0; i < ALL; i++) {
        size_t class_index = (size_t)(i / EXAMPLES % CLASSES), example = (size_t)(i % EXAMPLES);
        float *x = first.support_x, ink = 0;
        CLM_TEST_OK(clm_source_image(source, (clm_split)(i / (CLASSES * EXAMPLES)), class_index, example, x));
        for (int p = 0; p < AREA; p++) {
            ck_assert(x[p] >= 0 && x[p] <= 1);
            ink += x[p];
        }
        ck_assert_msg(ink > 3 && ink < AREA / 2, "class %zu, example %zu: ink %g", class_index, example, (double)ink);
        hashes[i] = picture_hash(x);
        for (int j = 0; j < i; j++) ck_assert(hashes[i] != hashes[j]);
    }
    clm_source_free(source);
}
END_TEST

/* Pixels alone must neither solve the problem nor be useless: chance is 20 %. */
START_TEST(glyphs_are_neither_trivial_nor_noise) {
    clm_source *source = glyphs();
    int right = 0, all = 0;
    for (uint64_t index = 0; index < 200; index++) {
        sample(source, CLM_SPLIT_TEST, 4, index, 5, 1, 3, &first);
        for (int q = 0; q < 15; q++, all++) {
            double best = HUGE_VAL;
            float label = -1;
            for (int s = 0; s < 5; s++) {
                double distance = 0;
                for (int p = 0; p < AREA; p++) {
                    double d = (double)first.query_x[q * AREA + p] - (double)first.support_x[s * AREA + p];
                    distance += d * d;
                }
                if (distance < best) best = distance, label = first.support_y[s];
            }
            right += label == first.query_y[q];
        }
    }
    ck_assert_msg(right * 100 > all * 32 && right * 100 < all * 55, "nearest neighbours: %d of %d", right, all);
    clm_source_free(source);
}
END_TEST

START_TEST(glyphs_of_other_sizes) {
    clm_source *source = NULL;
    static float x[84 * 84];
    CLM_TEST_OK(clm_source_glyphs(&source, 84));
    ck_assert_int_eq(clm_source_example_shape(source).dim[2], 84);
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 0, 0, x));
    clm_source_free(source);
    ck_assert_int_eq(clm_source_glyphs(&source, 2), CLM_E_ARG);
    SAYS("2x2");
    ck_assert_ptr_null(source);
}
END_TEST

/* ---- folders of pictures ---- */

static void write_picture(const char *name, int width, int height, uint8_t value) {
    char *path = clm_path_join(directory, name);
    uint8_t *pixels = malloc((size_t)width * (size_t)height);
    memset(pixels, value, (size_t)width * (size_t)height);
    size_t size;
    uint8_t *png = clm_test_png(pixels, width, height, PNG_FORMAT_GRAY, &size);
    char *slash = strrchr(path, '/');
    *slash = 0;
    CLM_TEST_OK(clm_directory_make(path));
    *slash = '/';
    CLM_TEST_OK(clm_file_write(path, png, size));
    free(pixels);
    free(png);
    free(path);
}

static void write_file(const char *name, const char *text) {
    char *path = clm_path_join(directory, name);
    CLM_TEST_OK(clm_file_write(path, text, strlen(text)));
    free(path);
}

static void write_folder(void) {
    write_picture("train/cat/1.png", 40, 30, 255);
    write_picture("train/cat/2.PNG", 7, 9, 51);
    write_picture("train/dog/1.png", 28, 28, 0);
    write_picture("train/dog/2.png", 28, 28, 102);
    write_picture("train/dog/3.png", 28, 28, 153);
    write_picture("test/owl/1.png", 28, 28, 204);
}

START_TEST(folder_of_pictures) {
    clm_source *source = NULL;
    float *x = first.support_x;
    write_folder();
    write_file("train/cat/notes.txt", "not a picture");
    CLM_TEST_OK(clm_source_folder(&source, directory, SIZE, false));
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TRAIN), 2);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_VALIDATION), 0);
    ck_assert_uint_eq(clm_source_classes(source, CLM_SPLIT_TEST), 1);
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, 0, 1, x));
    for (int i = 0; i < AREA; i++) ck_assert(x[i] == 51.0f / 255.0f);
    clm_source_free(source);
    CLM_TEST_OK(clm_source_folder(&source, directory, SIZE, true));
    CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TEST, 0, 0, x));
    ck_assert(x[0] == 51.0f / 255.0f);
    clm_source_free(source);
}
END_TEST

START_TEST(too_few_images_names_the_class) {
    clm_source *source = NULL;
    write_folder();
    CLM_TEST_OK(clm_source_folder(&source, directory, SIZE, false));
    CLM_TEST_OK(clm_source_check(source, CLM_SPLIT_TRAIN, 2, 1, 1));
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TRAIN, 2, 1, 2), CLM_E_ARG);
    SAYS("class cat has 2");
    ck_assert_int_eq(clm_source_sample(source, CLM_SPLIT_TRAIN, 0, 0, 1, 1, 2, NULL, NULL, NULL, NULL), CLM_E_ARG);
    SAYS("class cat has 2");
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TRAIN, 3, 1, 1), CLM_E_ARG);
    SAYS("train split has 2 classes");
    SAYS(directory);
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_VALIDATION, 1, 1, 1), CLM_E_ARG);
    SAYS("the validation split has no classes in");
    SAYS("; train has 2, test 1; take one that has");
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TRAIN, 0, 1, 1), CLM_E_ARG);
    ck_assert_int_eq(clm_source_check(source, CLM_SPLIT_TRAIN, 2, 1, 1 << 30), CLM_E_LIMIT);
    ck_assert_int_eq(clm_source_image(source, CLM_SPLIT_TRAIN, 2, 0, first.support_x), CLM_E_ARG);
    ck_assert_int_eq(clm_source_image(source, CLM_SPLIT_TRAIN, 0, 2, first.support_x), CLM_E_ARG);
    clm_source_free(source);
}
END_TEST

START_TEST(folder_errors) {
    clm_source *source = NULL;
    ck_assert_int_eq(clm_source_folder(&source, "/no/such/folder", SIZE, false), CLM_E_IO);
    SAYS("/no/such/folder");
    ck_assert_int_eq(clm_source_folder(&source, directory, SIZE, false), CLM_E_FORMAT);
    SAYS("train/");
    write_folder();
    write_file("test/owl/2.png", "this is text");
    write_file("train/dog/4.jpeg", "a photograph");
    CLM_TEST_OK(clm_source_folder(&source, directory, SIZE, false)); /* what cannot be read is left out, and named */
    const char *notes = clm_source_notes(source);
    ck_assert_msg(strstr(notes, "test/owl: 1 of 2 pictures is left out: 2.png") && strstr(notes, "4.jpeg"), "%s", notes);
    clm_source_free(source);
    clm_folder_options strict = CLM_FOLDER_OPTIONS_INIT;
    strict.strict = true;
    ck_assert_int_eq(clm_source_folder_open(&source, directory, &strict), CLM_E_FORMAT);
    SAYS("2.png");
    SAYS("4.jpeg");
    ck_assert_ptr_null(source);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("data");
    TCase *tc = tcase_create("data");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, tasks_are_a_function_of_their_name);
    tcase_add_test(tc, episodes_are_balanced_and_disjoint);
    tcase_add_test(tc, labels_follow_classes_and_are_drawn);
    tcase_add_test(tc, support_sets_and_joint_classes);
    tcase_add_test(tc, sine_is_a_sine);
    tcase_add_test(tc, functions_are_of_their_kinds);
    tcase_add_test(tc, one_kind_of_functions_is_that_alone);
    tcase_add_test(tc, glyphs_differ_by_class_example_and_split);
    tcase_add_test(tc, glyphs_are_neither_trivial_nor_noise);
    tcase_add_test(tc, glyphs_of_other_sizes);
    tcase_add_test(tc, folder_of_pictures);
    tcase_add_test(tc, too_few_images_names_the_class);
    tcase_add_test(tc, folder_errors);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
