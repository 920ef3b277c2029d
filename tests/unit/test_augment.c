/* Augmentation: what each option does to a picture, and that the numbers come from seed, task and place alone. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/augment.h"
#include "support/run.h"

enum { SIZE = 12, AREA = SIZE * SIZE, WAYS = 3, SHOTS = 2, QUERY = 2, TASKS = 2 };

static clm_source *source;

static void set_up(void) { CLM_TEST_OK(clm_source_glyphs(&source, SIZE)); }
static void tear_down(void) { clm_source_free(source); }

static void draw(uint64_t task, float *x) { CLM_TEST_OK(clm_source_image(source, CLM_SPLIT_TRAIN, (size_t)task, 3, x)); }

static clm_augment_options with(double flip, double shift, double crop, double jitter) {
    clm_augment_options o = CLM_AUGMENT_OPTIONS_INIT;
    o.flip = flip;
    o.shift = shift;
    o.crop = crop;
    o.jitter = jitter;
    CLM_TEST_OK(clm_augment_check(&o, source));
    return o;
}

static void change(const clm_augment_options *o, uint64_t seed, uint64_t task, uint64_t example, float *x) {
    float scratch[AREA];
    clm_augment_picture(o, source, seed, task, example, x, scratch);
}

START_TEST(mirrored) {
    const clm_augment_options o = with(1, 0, 1, 0);
    float x[AREA], y[AREA];
    draw(1, x);
    memcpy(y, x, sizeof y);
    change(&o, 5, 1, 0, y);
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) ck_assert(y[i * SIZE + j] == x[i * SIZE + SIZE - 1 - j]);
    int times = 0;
    const clm_augment_options half = with(0.5, 0, 1, 0);
    for (uint64_t t = 0; t < 400; t++) {
        memcpy(y, x, sizeof y);
        change(&half, 5, t, 0, y);
        times += memcmp(x, y, sizeof y) != 0;
    }
    ck_assert_int_ge(times, 150);
    ck_assert_int_le(times, 250);
}
END_TEST

/* Whole pixels, with the edge repeated. */
START_TEST(moved) {
    const clm_augment_options o = with(0, 0.25, 1, 0);
    float x[AREA], y[AREA];
    bool seen[7][7] = {{false}};
    draw(2, x);
    for (uint64_t t = 0; t < 600; t++) {
        int found = 0;
        memcpy(y, x, sizeof y);
        change(&o, 7, t, 1, y);
        for (int down = -3; down <= 3; down++)
            for (int along = -3; along <= 3; along++) {
                bool same = true;
                for (int i = 0; i < SIZE && same; i++)
                    for (int j = 0; j < SIZE && same; j++) {
                        const int a = i + down < 0 ? 0 : i + down >= SIZE ? SIZE - 1 : i + down;
                        const int b = j + along < 0 ? 0 : j + along >= SIZE ? SIZE - 1 : j + along;
                        same = y[i * SIZE + j] == x[a * SIZE + b];
                    }
                found += same;
                seen[down + 3][along + 3] |= same;
            }
        ck_assert_int_ge(found, 1);
    }
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 7; j++) ck_assert_msg(seen[i][j], "never moved by %d, %d", i - 3, j - 3);
}
END_TEST

/* Interpolated pixels lie between those of the picture; a constant picture stays. */
START_TEST(cropped) {
    const clm_augment_options o = with(0.5, 0, 0.3, 0);
    float x[AREA], y[AREA];
    draw(3, x);
    int changed = 0;
    for (uint64_t t = 0; t < 50; t++) {
        memcpy(y, x, sizeof y);
        change(&o, 9, t, 2, y);
        for (int i = 0; i < AREA; i++) ck_assert(y[i] >= 0 && y[i] <= 1);
        changed += memcmp(x, y, sizeof y) != 0;
        for (int i = 0; i < AREA; i++) y[i] = 0.25f;
        change(&o, 9, t, 2, y);
        for (int i = 0; i < AREA; i++) ck_assert(y[i] == 0.25f);
    }
    ck_assert_int_ge(changed, 45);
}
END_TEST

/* One brightness, one contrast: the change of grey values is linear where nothing is clamped. */
START_TEST(jittered) {
    const clm_augment_options o = with(0, 0, 1, 0.2);
    float x[AREA], y[AREA];
    for (int i = 0; i < AREA; i++) x[i] = 0.3f + 0.4f * (float)i / AREA;
    for (uint64_t t = 0; t < 50; t++) {
        memcpy(y, x, sizeof y);
        change(&o, 9, t, 2, y);
        const double slope = (double)(y[AREA - 1] - y[0]) / (double)(x[AREA - 1] - x[0]);
        ck_assert(slope > 0.8 * 0.8 - 1e-6 && slope < 1.2 * 1.2 + 1e-6);
        for (int i = 0; i < AREA; i++)
            ck_assert_double_eq_tol((double)y[i], (double)y[0] + slope * (double)(x[i] - x[0]), 1e-6);
    }
}
END_TEST

/* Through prefetching: the same for the same seed from any batch, other pictures get other numbers, labels stay. */
START_TEST(of_counters) {
    const size_t n[4] = {TASKS * WAYS * SHOTS * AREA, TASKS * WAYS * SHOTS, TASKS * WAYS * QUERY * AREA, TASKS * WAYS * QUERY};
    clm_prefetch_options o = CLM_PREFETCH_OPTIONS_INIT;
    clm_prefetch *p[3];
    const float *batch[4];
    float *kept[3][4];
    o.tasks = TASKS, o.ways = WAYS, o.shots = SHOTS, o.query = QUERY, o.seed = 11;
    for (int k = 0; k < 3; k++) {
        o.first = k == 1 ? 4 : 0;
        if (k < 2) o.augment = with(0.5, 0.2, 0.5, 0.3);
        if (k == 2) o.augment = with(0, 0, 1, 0);
        CLM_TEST_OK(clm_prefetch_create(&p[k], source, &o));
        CLM_TEST_OK(clm_prefetch_get(p[k], 4, batch));
        for (int i = 0; i < 4; i++) {
            kept[k][i] = malloc(n[i] * sizeof(float));
            memcpy(kept[k][i], batch[i], n[i] * sizeof(float));
        }
        clm_prefetch_free(p[k]);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_mem_eq(kept[0][i], kept[1][i], n[i] * sizeof(float));
        ck_assert_int_eq(memcmp(kept[0][i], kept[2][i], n[i] * sizeof(float)) != 0, i % 2 == 0);
    }
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 4; i++) free(kept[k][i]);
}
END_TEST

START_TEST(refused) {
    static const clm_augment_options rows[] = {
        {1, 1.5, 0, 1, 0}, {1, 0, -0.1, 1, 0}, {1, 0, 0, 0, 0}, {1, 0, 0, 1, 1}, {7, 0, 0, 1, 0}};
    clm_source *sine;
    CLM_TEST_OK(clm_source_sine(&sine));
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) ck_assert_int_eq(clm_augment_check(&rows[r], source), CLM_E_ARG);
    const clm_augment_options o = with(1, 0, 1, 0);
    ck_assert_int_eq(clm_augment_check(&o, sine), CLM_E_ARG);
    ck_assert_msg(strstr(clm_last_error(), "sine are no pictures") != NULL, "%s", clm_last_error());
    clm_source_free(sine);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("augment");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, mirrored);
    tcase_add_test(tcase, moved);
    tcase_add_test(tcase, cropped);
    tcase_add_test(tcase, jittered);
    tcase_add_test(tcase, of_counters);
    tcase_add_test(tcase, refused);
    Suite *suite = suite_create("augment");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
