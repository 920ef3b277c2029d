/* Photographs: one image in every kind of file gives the same bytes; upright by EXIF; CMYK, alpha, 16 bits; how pictures are
 * fitted; what is damaged, cut off, too large or of another kind is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "data/codec/codec.h"
#include "data/image.h"
#include "support/photos.h"
#include "support/pictures.h"
#include "support/run.h"

#define SAYS(text) ck_assert_msg(strstr(clm_last_error(), text) != NULL, "\"%s\" lacks \"%s\"", clm_last_error(), text)

enum { WIDTH = 37, HEIGHT = 23, AREA = WIDTH * HEIGHT };

static uint8_t photo[AREA * 3];

static void set_up(void) { clm_test_photo(WIDTH, HEIGHT, photo); }

/* Takes the data. */
static clm_image decoded(uint8_t *data, size_t size, uint8_t paper) {
    clm_image image = {0};
    CLM_TEST_OK(clm_image_decode(&image, data, size, paper));
    free(data);
    return image;
}

static void check_near(clm_image image, int tolerance, const char *what) {
    ck_assert_int_eq(image.width, WIDTH);
    ck_assert_int_eq(image.height, HEIGHT);
    ck_assert_int_eq(image.channels, 3);
    ck_assert(image.coloured);
    for (int i = 0; i < AREA * 3; i++)
        ck_assert_msg(abs(image.pixels[i] - photo[i]) <= tolerance, "%s: byte %d is %d, not %d", what, i, image.pixels[i],
                      photo[i]);
    clm_image_free(&image);
}

START_TEST(one_image_in_every_kind_of_file) {
    size_t size;
    uint8_t *data = clm_test_png(photo, WIDTH, HEIGHT, PNG_FORMAT_RGB, &size);
    check_near(decoded(data, size, 0), 0, "PNG");
    data = clm_test_png16(photo, WIDTH, HEIGHT, &size);
    check_near(decoded(data, size, 0), 0, "PNG of 16 bits, interlaced");
#ifdef CLMAML_HAVE_JPEG
    data = clm_test_jpeg(photo, WIDTH, HEIGHT, 3, 0, &size);
    check_near(decoded(data, size, 0), 3, "JPEG");           /* of single pixels, after YCbCr in whole numbers */
    data = clm_test_jpeg(photo, WIDTH, HEIGHT, 4, 0, &size); /* Adobe's CMYK without black: the colours themselves */
    check_near(decoded(data, size, 0), 2, "JPEG in CMYK");
#endif
#ifdef CLMAML_HAVE_WEBP
    data = clm_test_webp(photo, WIDTH, HEIGHT, 1, &size);
    check_near(decoded(data, size, 0), 0, "WebP, lossless");
#endif
    for (int top_down = 0; top_down < 2; top_down++) {
        data = clm_test_bmp(photo, WIDTH, HEIGHT, 24, top_down, &size);
        check_near(decoded(data, size, 0), 0, "BMP");
        data = clm_test_bmp(photo, WIDTH, HEIGHT, 32, top_down, &size);
        check_near(decoded(data, size, 0), 0, "BMP of 32 bits");
    }
}
END_TEST

/* As a source sees them: resampled. Lossy WebP has 220 levels of brightness and half the resolution of colours: of it the mean
 * is near. */
START_TEST(one_image_prepared) {
    enum { W = 240, H = 200, SIZE = 28, N = 3 * SIZE * SIZE };
    static uint8_t large[W * H * 3], first[N], other[N];
    clm_resample scratch = {0};
    const clm_preparation p = {.size = SIZE, .channels = 3, .fit = CLM_FIT_CROP};
    clm_test_photo(W, H, large);
    size_t sizes[5] = {0};
    uint8_t *files[5] = {clm_test_png(large, W, H, PNG_FORMAT_RGB, &sizes[0]), clm_test_png16(large, W, H, &sizes[1]), NULL,
                         NULL};
#ifdef CLMAML_HAVE_JPEG
    files[2] = clm_test_jpeg(large, W, H, 3, 0, &sizes[2]);
#endif
#ifdef CLMAML_HAVE_WEBP
    files[3] = clm_test_webp(large, W, H, 1, &sizes[3]);
    files[4] = clm_test_webp(large, W, H, 0, &sizes[4]);
#endif
    for (int k = 0; k < 5; k++) {
        int most = 0, sum = 0;
        if (!files[k]) continue;
        clm_image image = decoded(files[k], sizes[k], 0);
        CLM_TEST_OK(clm_image_prepare(&scratch, &image, &p, k ? other : first));
        for (int i = 0; k && i < N; i++) {
            const int difference = abs(other[i] - first[i]);
            sum += difference;
            if (difference > most) most = difference;
        }
        ck_assert_msg(most <= (k < 4 ? 2 : 4) && sum <= N, "file %d: differs by up to %d, %g in the mean", k, most,
                      (double)sum / N);
        clm_image_free(&image);
    }
    clm_resample_free(&scratch);
}
END_TEST

#ifdef CLMAML_HAVE_GIF
START_TEST(the_first_frame_of_a_gif) {
    static const uint8_t palette[4][3] = {{250, 0, 10}, {20, 240, 30}, {0, 0, 255}, {9, 9, 9}};
    uint8_t indices[AREA];
    size_t size;
    for (int i = 0; i < AREA; i++) indices[i] = (uint8_t)(i * 7 / 5 % 4);
    for (int k = 0; k < 4; k++) {
        const int transparent = k & 1 ? 2 : -1;
        uint8_t *data = clm_test_gif(indices, WIDTH, HEIGHT, palette, transparent, k / 2, &size);
        clm_image image = decoded(data, size, 77);
        ck_assert_int_eq(image.width, WIDTH);
        for (int i = 0; i < AREA; i++)
            for (int c = 0; c < 3; c++)
                ck_assert_int_eq(image.pixels[3 * i + c], indices[i] == transparent ? 77 : palette[indices[i]][c]);
        clm_image_free(&image);
    }
}
END_TEST
#endif

#ifdef CLMAML_HAVE_JPEG
/* Where the picture's corner and the pixel to the right of it go, EXIF 2.3's table in words. */
START_TEST(photographs_are_upright) {
    enum { W = 16, H = 8 };
    uint8_t pixels[W * H * 3];
    size_t size;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            memset(pixels + (y * W + x) * 3, y < H / 2 ? (x < W / 2 ? 10 : 90) : (x < W / 2 ? 170 : 250), 3);
    /* By corner: upper left, upper right, lower left, lower right of the upright picture. */
    static const int corners[9][4] = {{0},
                                      {10, 90, 170, 250},
                                      {90, 10, 250, 170},
                                      {250, 170, 90, 10},
                                      {170, 250, 10, 90},
                                      {10, 170, 90, 250},
                                      {170, 10, 250, 90},
                                      {250, 90, 170, 10},
                                      {90, 250, 10, 170}};
    for (int orientation = 1; orientation <= 8; orientation++) {
        uint8_t *data = clm_test_jpeg(pixels, W, H, 3, orientation, &size);
        clm_image image = decoded(data, size, 0);
        ck_assert_int_eq(image.width, orientation < 5 ? W : H);
        ck_assert_int_eq(image.height, orientation < 5 ? H : W);
        for (int k = 0; k < 4; k++) {
            const int x = k & 1 ? image.width - 1 : 0, y = k & 2 ? image.height - 1 : 0;
            const int value = image.pixels[(y * image.width + x) * 3];
            ck_assert_msg(abs(value - corners[orientation][k]) <= 2, "orientation %d, corner %d: %d", orientation, k, value);
        }
        clm_image_free(&image);
    }
}
END_TEST

START_TEST(grey_photographs_stay_grey) {
    size_t size;
    uint8_t *data = clm_test_jpeg(photo, WIDTH, HEIGHT, 1, 0, &size);
    clm_image image = decoded(data, size, 0);
    ck_assert_int_eq(image.channels, 1);
    ck_assert(!image.coloured);
    clm_image_free(&image);
}
END_TEST
#endif

START_TEST(alpha_mixes_what_is_stored) {
    const uint8_t pixels[8] = {200, 100, 0, 255, 200, 100, 0, 51};
    size_t size;
    uint8_t *data = clm_test_png(pixels, 2, 1, PNG_FORMAT_RGBA, &size);
    clm_image image = decoded(data, size, 255);
    const uint8_t expected[6] = {200, 100, 0, 244, 224, 204}; /* a fifth of the colour, four fifths of the paper */
    ck_assert_mem_eq(image.pixels, expected, sizeof expected);
    clm_image_free(&image);
}
END_TEST

/* Left half dark, right half light, twice as wide as high. */
START_TEST(pictures_are_fitted) {
    enum { W = 40, H = 20, SIZE = 10 };
    uint8_t pixels[W * H], out[SIZE * SIZE];
    clm_image image = {W, H, pixels, sizeof pixels, 1, false};
    clm_resample scratch = {0};
    for (int i = 0; i < W * H; i++) pixels[i] = i % W < W / 4 ? 0 : i % W < W / 2 ? 100 : 200;
    clm_preparation p = {.size = SIZE, .channels = 1, .fit = CLM_FIT_STRETCH, .background = 33};
    CLM_TEST_OK(clm_image_prepare(&scratch, &image, &p, out));
    ck_assert(out[0] == 0 && out[4] == 100 && out[5] == 200);
    p.fit = CLM_FIT_CROP; /* columns 10 to 29 */
    CLM_TEST_OK(clm_image_prepare(&scratch, &image, &p, out));
    ck_assert(out[0] == 100 && out[4] == 100 && out[5] == 200 && out[99] == 200);
    p.fit = CLM_FIT_PAD; /* rows 2 to 6 */
    CLM_TEST_OK(clm_image_prepare(&scratch, &image, &p, out));
    ck_assert(out[0] == 33 && out[19] == 33 && out[20] == 0 && out[69] == 200 && out[70] == 33 && out[99] == 33);
    p.invert = true;
    p.channels = 1;
    CLM_TEST_OK(clm_image_prepare(&scratch, &image, &p, out));
    ck_assert(out[0] == 222 && out[20] == 255 && out[69] == 55);
    clm_resample_free(&scratch);
}
END_TEST

START_TEST(channels_are_planes) {
    enum { SIZE = 4, N = SIZE * SIZE };
    uint8_t out[3 * N];
    clm_image image = {WIDTH, HEIGHT, photo, sizeof photo, 3, true}, grey = {WIDTH, HEIGHT, photo, sizeof photo, 1, false};
    clm_resample scratch = {0};
    clm_preparation p = {.size = SIZE, .channels = 3, .fit = CLM_FIT_STRETCH};
    uint8_t luma[N], one[N];
    CLM_TEST_OK(clm_image_prepare(&scratch, &image, &p, out));
    ck_assert_int_lt(out[0], out[SIZE - 1]);              /* red grows to the right */
    ck_assert_int_lt(out[N], out[N + SIZE * (SIZE - 1)]); /* green downwards */
    clm_image_luma(out, N, luma);
    p.channels = 1;
    CLM_TEST_OK(clm_image_prepare(&scratch, &image, &p, one));
    ck_assert_mem_eq(luma, one, N);
    CLM_TEST_OK(clm_image_prepare(&scratch, &grey, &p, one));
    p.channels = 3;
    CLM_TEST_OK(clm_image_prepare(&scratch, &grey, &p, out));
    for (int c = 0; c < 3; c++) ck_assert_mem_eq(out + c * N, one, N);
    clm_resample_free(&scratch);
}
END_TEST

/* ---- what is refused ---- */

static void refused(const uint8_t *data, size_t size, clm_status status, const char *says) {
    clm_image image = {0};
    const clm_status got = clm_image_decode(&image, data, size, 0);
    ck_assert_msg(got == status, "%s instead of %s (%s)", clm_status_name(got), clm_status_name(status), says);
    SAYS(says);
    clm_image_free(&image);
}

/* Cut anywhere but in the last bytes, which hold nothing but an end mark. */
static void refused_when_cut(uint8_t *data, size_t size, size_t from, size_t tail, const char *kind) {
    for (size_t cut = from; cut + tail < size; cut += size / 40 + 1) {
        uint8_t *part = malloc(cut);
        memcpy(part, data, cut);
        refused(part, cut, CLM_E_FORMAT, kind);
        free(part);
    }
    free(data);
}

START_TEST(cut_files_are_refused) {
    size_t size;
    uint8_t *data = clm_test_png16(photo, WIDTH, HEIGHT, &size);
    refused_when_cut(data, size, 8, 12, "PNG");
    data = clm_test_bmp(photo, WIDTH, HEIGHT, 24, 0, &size);
    refused_when_cut(data, size, 2, 0, "BMP");
    data = clm_test_bmp(photo, WIDTH, HEIGHT, 8, 0, &size);
    refused_when_cut(data, size, 2, 0, "BMP");
#ifdef CLMAML_HAVE_JPEG
    data = clm_test_jpeg(photo, WIDTH, HEIGHT, 3, 0, &size);
    refused_when_cut(data, size, 3, 8, "JPEG");
#endif
#ifdef CLMAML_HAVE_WEBP
    data = clm_test_webp(photo, WIDTH, HEIGHT, 0, &size);
    refused_when_cut(data, size, 12, 8, "WebP");
#endif
#ifdef CLMAML_HAVE_GIF
    static const uint8_t palette[4][3] = {{0}}, indices[AREA] = {0};
    data = clm_test_gif(indices, WIDTH, HEIGHT, palette, -1, 0, &size);
    refused_when_cut(data, size / 2, 4, 8, "GIF"); /* the second half is the frame that is not read */
#endif
}
END_TEST

/* Whatever bytes are wrong, decoding ends with a picture or a message. */
START_TEST(damage_is_survived) {
    enum { KINDS = 7, ROUNDS = 300 };
    uint8_t *files[KINDS] = {NULL};
    size_t sizes[KINDS] = {0};
    clm_image image = {0};
    clm_random r = clm_random_make(1, 2);
    files[0] = clm_test_png16(photo, WIDTH, HEIGHT, &sizes[0]);
    files[1] = clm_test_bmp(photo, WIDTH, HEIGHT, 8, 0, &sizes[1]);
    files[2] = clm_test_bmp(photo, WIDTH, HEIGHT, 32, 1, &sizes[2]);
#ifdef CLMAML_HAVE_JPEG
    files[3] = clm_test_jpeg(photo, WIDTH, HEIGHT, 3, 6, &sizes[3]);
    files[4] = clm_test_jpeg(photo, WIDTH, HEIGHT, 4, 0, &sizes[4]);
#endif
#ifdef CLMAML_HAVE_WEBP
    files[5] = clm_test_webp(photo, WIDTH, HEIGHT, 0, &sizes[5]);
#endif
#ifdef CLMAML_HAVE_GIF
    static const uint8_t palette[4][3] = {{9}, {200}, {0}, {77}}, indices[AREA] = {1, 2, 3};
    files[6] = clm_test_gif(indices, WIDTH, HEIGHT, palette, 1, 1, &sizes[6]);
#endif
    for (int k = 0; k < KINDS; k++)
        for (int round = 0; round < ROUNDS && files[k]; round++) {
            const size_t near = round % 2 && sizes[k] > 120 ? 120 : sizes[k]; /* headers every other time */
            uint8_t *copy = malloc(sizes[k]);
            memcpy(copy, files[k], sizes[k]);
            for (int i = 0; i <= round % 5; i++) copy[clm_random_below(&r, (uint32_t)near)] = (uint8_t)clm_random_u32(&r);
            if (clm_image_decode(&image, copy, sizes[k], 0) == CLM_OK) ck_assert(image.channels == 1 || image.channels == 3);
            free(copy);
        }
    for (int k = 0; k < KINDS; k++) free(files[k]);
    clm_image_free(&image);
}
END_TEST

START_TEST(hostile_sizes_are_refused) {
    uint8_t head[200];
    size_t size;
    uint8_t *data = clm_test_bmp(photo, WIDTH, HEIGHT, 24, 0, &size);
    memcpy(head, data, sizeof head);
    free(data);
    memset(head + 18, 0x7f, 3); /* the width */
    refused(head, sizeof head, CLM_E_LIMIT, "8355711x23");
#ifdef CLMAML_HAVE_GIF
    static const uint8_t palette[4][3] = {{0}}, indices[AREA] = {0};
    data = clm_test_gif(indices, WIDTH, HEIGHT, palette, -1, 0, &size);
    data[7] = data[9] = 255; /* the canvas */
    refused(data, size, CLM_E_LIMIT, "x65");
    free(data);
#endif
}
END_TEST

START_TEST(other_kinds_are_refused) {
    size_t size;
    uint8_t *data = clm_test_bmp(photo, WIDTH, HEIGHT, 8, 0, &size);
    data[30] = 1; /* run lengths */
    refused(data, size, CLM_E_FORMAT, "compressed BMP");
    free(data);
    refused((const uint8_t *)"<svg></svg>", 11, CLM_E_FORMAT, "not a PNG, JPEG, WebP");
    refused((const uint8_t *)"", 0, CLM_E_FORMAT, "an empty file; replace or remove it");
#ifndef CLMAML_HAVE_WEBP
    refused((const uint8_t *)"RIFF....WEBPVP8 ", 16, CLM_E_FORMAT, "libwebp");
#endif
#ifndef CLMAML_HAVE_JPEG
    refused((const uint8_t *)"\xff\xd8\xff\xe0", 4, CLM_E_FORMAT, "libjpeg-turbo");
#endif
#ifndef CLMAML_HAVE_GIF
    refused((const uint8_t *)"GIF89a", 6, CLM_E_FORMAT, "giflib");
#endif
}
END_TEST

START_TEST(names_say_what_is_a_picture) {
    static const char *const pictures[] = {"a.png", "b.JPG", "c.jpeg", "d.webp", "e.GIF", "f.bmp", "g.jfif"};
    static const char *const refused_names[] = {"a.heic", "b.HEIF", "c.avif", "d.pnm", "e.jp2", "f.jxl", "g.svg", "h.tiff"};
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
        ck_assert_int_eq(clm_file_kind_of(pictures[i]), CLM_FILE_PICTURE);
    for (size_t i = 0; i < sizeof refused_names / sizeof *refused_names; i++)
        ck_assert_int_eq(clm_file_kind_of(refused_names[i]), CLM_FILE_REFUSED);
    ck_assert_int_eq(clm_file_kind_of("notes.txt"), CLM_FILE_OTHER);
    ck_assert_int_eq(clm_file_kind_of("png"), CLM_FILE_OTHER);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("photos");
    TCase *tc = tcase_create("photos");
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, one_image_in_every_kind_of_file);
    tcase_add_test(tc, one_image_prepared);
#ifdef CLMAML_HAVE_GIF
    tcase_add_test(tc, the_first_frame_of_a_gif);
#endif
#ifdef CLMAML_HAVE_JPEG
    tcase_add_test(tc, photographs_are_upright);
    tcase_add_test(tc, grey_photographs_stay_grey);
#endif
    tcase_add_test(tc, alpha_mixes_what_is_stored);
    tcase_add_test(tc, pictures_are_fitted);
    tcase_add_test(tc, channels_are_planes);
    tcase_add_test(tc, cut_files_are_refused);
    tcase_add_test(tc, damage_is_survived);
    tcase_add_test(tc, hostile_sizes_are_refused);
    tcase_add_test(tc, other_kinds_are_refused);
    tcase_add_test(tc, names_say_what_is_a_picture);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
