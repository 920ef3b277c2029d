/* Pictures: every kind of PNG becomes the grey it should, damaged ones are refused; area resampling is the mean over areas;
 * turns. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "data/image.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

static void decode(clm_image *image, const uint8_t *pixels, int width, int height, png_uint_32 format, uint8_t paper) {
    size_t size;
    uint8_t *png = clm_test_png(pixels, width, height, format, &size);
    CLM_TEST_OK(clm_image_decode(image, png, size, paper));
    free(png);
}

/* Pixel i in grey. */
static int grey_of(const clm_image *image, int i) {
    uint8_t grey;
    if (image->channels == 1) return image->pixels[i];
    clm_image_luma(image->pixels + 3 * i, 1, &grey);
    return grey;
}

START_TEST(kinds_of_png) {
    const uint8_t grey[6] = {0, 50, 100, 150, 200, 255};
    const uint8_t colour[6] = {255, 255, 255, 0, 0, 0}, clear[8] = {0, 0, 0, 255, 0, 0, 0, 0};
    clm_image image = {0};
    decode(&image, grey, 3, 2, PNG_FORMAT_GRAY, 0);
    ck_assert_int_eq(image.width, 3);
    ck_assert_int_eq(image.height, 2);
    ck_assert_mem_eq(image.pixels, grey, 6);
    decode(&image, colour, 2, 1, PNG_FORMAT_RGB, 0);
    ck_assert_int_eq(grey_of(&image, 0), 255);
    ck_assert_int_eq(grey_of(&image, 1), 0);
    decode(&image, clear, 2, 1, PNG_FORMAT_RGBA, 255);
    ck_assert_int_eq(grey_of(&image, 0), 0);
    ck_assert_int_eq(grey_of(&image, 1), 255);
    clm_image_free(&image);
}
END_TEST

START_TEST(packed_kinds_of_png) {
    static const png_color palette[3] = {{255, 255, 255}, {0, 0, 0}, {90, 90, 90}};
    const uint8_t bits[6] = {0, 1, 1, 0, 0, 1}, indices[4] = {2, 0, 1, 2};
    clm_image image = {0};
    size_t size;
    uint8_t *png = clm_test_png_packed(bits, 3, 2, NULL, 0, &size);
    CLM_TEST_OK(clm_image_decode(&image, png, size, 0));
    for (int i = 0; i < 6; i++) ck_assert_int_eq(image.pixels[i], bits[i] ? 255 : 0);
    free(png);
    png = clm_test_png_packed(indices, 4, 1, palette, 3, &size);
    CLM_TEST_OK(clm_image_decode(&image, png, size, 0));
    for (int i = 0; i < 4; i++) ck_assert_int_eq(grey_of(&image, i), palette[indices[i]].red);
    free(png);
    clm_image_free(&image);
}
END_TEST

START_TEST(colours_by_luminance) {
    const uint8_t colour[9] = {255, 0, 0, 0, 255, 0, 0, 0, 255};
    clm_image image = {0};
    decode(&image, colour, 3, 1, PNG_FORMAT_RGB, 0);
    ck_assert_mem_eq(image.pixels, colour, sizeof colour);
    ck_assert(image.coloured);
    ck_assert_int_eq(grey_of(&image, 0), 76); /* 0.299, 0.587, 0.114 of 255 */
    ck_assert_int_eq(grey_of(&image, 1), 150);
    ck_assert_int_eq(grey_of(&image, 2), 29);
    clm_image_free(&image);
}
END_TEST

START_TEST(refuses_what_is_not_a_png) {
    static const uint8_t wide[9000];
    uint8_t noise[400];
    clm_image image = {0};
    size_t size;
    clm_random r = clm_random_make(3, 0);
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)clm_random_u32(&r);
    ck_assert_int_eq(clm_image_decode(&image, noise, sizeof noise, 0), CLM_E_FORMAT);
    SAYS("not a PNG");
    ck_assert_int_eq(clm_image_decode(&image, noise, 0, 0), CLM_E_FORMAT);
    uint8_t *png = clm_test_png(noise, 20, 20, PNG_FORMAT_GRAY, &size);
    for (size_t cut = 8; cut < size - 12; cut += 7) { /* the last twelve bytes hold nothing but the end mark */
        ck_assert_msg(clm_image_decode(&image, png, cut, 0) == CLM_E_FORMAT, "cut after %zu of %zu bytes", cut, size);
        SAYS("damaged");
    }
    free(png);
    png = clm_test_png(wide, 9000, 1, PNG_FORMAT_GRAY, &size);
    ck_assert_int_eq(clm_image_decode(&image, png, size, 0), CLM_E_LIMIT);
    SAYS("9000x1");
    free(png);
    clm_image_free(&image);
}
END_TEST

static clm_image random_image(int width, int height) {
    clm_image image = {width, height, malloc((size_t)width * (size_t)height), 0, 1, false};
    clm_random r = clm_random_make((uint64_t)width, (uint64_t)height);
    for (int i = 0; i < width * height; i++) image.pixels[i] = (uint8_t)clm_random_u32(&r);
    return image;
}

/* The mean over the area, by the definition, in floating point. */
static double area_mean(const clm_image *image, int size, int x, int y) {
    double sum = 0, x0 = (double)x * image->width / size, x1 = (double)(x + 1) * image->width / size;
    double y0 = (double)y * image->height / size, y1 = (double)(y + 1) * image->height / size;
    for (int v = 0; v < image->height; v++)
        for (int u = 0; u < image->width; u++) {
            double w = (u + 1 < x1 ? u + 1 : x1) - (u > x0 ? u : x0), h = (v + 1 < y1 ? v + 1 : y1) - (v > y0 ? v : y0);
            if (w > 0 && h > 0) sum += w * h * image->pixels[v * image->width + u];
        }
    return sum / ((x1 - x0) * (y1 - y0));
}

START_TEST(resampling_is_the_mean_over_areas) {
    static const int sizes[][3] = {{105, 105, 28}, {28, 28, 28}, {84, 84, 28}, {31, 57, 28}, {5, 7, 28},
                                   {200, 3, 16},   {1, 1, 9},    {3, 600, 2},  {700, 9, 1}};
    uint8_t out[28 * 28], inverted[28 * 28];
    clm_resample scratch = {0};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int size = sizes[k][2];
        clm_image image = random_image(sizes[k][0], sizes[k][1]);
        CLM_TEST_OK(clm_image_resample(&scratch, &image, size, false, out));
        CLM_TEST_OK(clm_image_resample(&scratch, &image, size, true, inverted));
        double whole = 0, sum = 0;
        for (int i = 0; i < image.width * image.height; i++) whole += image.pixels[i];
        for (int i = 0; i < size * size; i++) {
            ck_assert_double_eq_tol(out[i], area_mean(&image, size, i % size, i / size), 0.5 + 1e-6);
            ck_assert_int_eq(inverted[i], 255 - out[i]);
            sum += out[i];
        }
        ck_assert_double_eq_tol(sum / (size * size), whole / (image.width * image.height), 0.5);
        free(image.pixels);
    }
    clm_resample_free(&scratch);
}
END_TEST

START_TEST(turns_are_quarter_turns_anticlockwise) {
    const uint8_t in[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, turned[4][9] = {{1, 2, 3, 4, 5, 6, 7, 8, 9},
                                                                       {3, 6, 9, 2, 5, 8, 1, 4, 7},
                                                                       {9, 8, 7, 6, 5, 4, 3, 2, 1},
                                                                       {7, 4, 1, 8, 5, 2, 9, 6, 3}};
    float out[9];
    for (int turns = 0; turns < 8; turns++) {
        clm_image_turn(in, 3, turns, out);
        for (int i = 0; i < 9; i++) ck_assert(out[i] == (float)turned[turns % 4][i] / 255.0f);
    }
}
END_TEST

START_TEST(turning_and_resampling_commute) {
    enum { SIDE = 105, SIZE = 28 };
    clm_image image = random_image(SIDE, SIDE), turned = random_image(SIDE, SIDE);
    float big[SIDE * SIDE], after[SIZE * SIZE];
    uint8_t first[SIZE * SIZE], second[SIZE * SIZE];
    clm_resample scratch = {0};
    CLM_TEST_OK(clm_image_resample(&scratch, &image, SIZE, false, first));
    for (int turns = 1; turns < 4; turns++) {
        clm_image_turn(image.pixels, SIDE, turns, big);
        for (int i = 0; i < SIDE * SIDE; i++) turned.pixels[i] = (uint8_t)(big[i] * 255.0f + 0.5f);
        CLM_TEST_OK(clm_image_resample(&scratch, &turned, SIZE, false, second));
        clm_image_turn(first, SIZE, turns, after);
        for (int i = 0; i < SIZE * SIZE; i++) ck_assert(after[i] == (float)second[i] / 255.0f);
    }
    clm_resample_free(&scratch);
    free(image.pixels);
    free(turned.pixels);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("images");
    TCase *tc = tcase_create("images");
    tcase_add_test(tc, kinds_of_png);
    tcase_add_test(tc, packed_kinds_of_png);
    tcase_add_test(tc, colours_by_luminance);
    tcase_add_test(tc, refuses_what_is_not_a_png);
    tcase_add_test(tc, resampling_is_the_mean_over_areas);
    tcase_add_test(tc, turns_are_quarter_turns_anticlockwise);
    tcase_add_test(tc, turning_and_resampling_commute);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
