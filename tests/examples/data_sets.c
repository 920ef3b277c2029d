/* Writes a small data set of a published layout, or of one's own, for tests of the program: data_sets KIND DIRECTORY. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/photos.h"
#include "support/pictures.h"

enum { SIDE = 24, CLASSES = 24, EXAMPLES = 8 };

static const char *kind, *directory;

/* Deterministic noise from 0 to range - 1. */
static int noise(int range) {
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return (int)((state >> 16) % (uint32_t)range);
}

/* A colour of luma 128 (Rec. 601) whose hue is that of class `c`: only colour tells the classes apart. */
static void colour_of(int c, double rgb[3]) {
    const double angle = 2 * 3.14159265358979 * c / CLASSES, u = 45 * cos(angle), v = 45 * sin(angle); /* blue, red less luma */
    rgb[0] = 128 + 1.402 * v;
    rgb[1] = 128 - 0.344136 * u - 0.714136 * v;
    rgb[2] = 128 + 1.772 * u;
}

/* A picture of class `c`: its colour, with noise of brightness that is the same in all channels. */
static void paint(int c, uint8_t *pixels) {
    double rgb[3];
    colour_of(c, rgb);
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int bright = noise(31) - 15;
        for (int k = 0; k < 3; k++) pixels[3 * i + k] = (uint8_t)fmin(255, fmax(0, rgb[k] + bright + 0.5));
    }
}

/* A picture of class `c` in grey: a bar at an angle of its own. */
static void draw(int c, uint8_t *pixels) {
    const double angle = 3.14159265358979 * c / CLASSES, x0 = SIDE / 2.0 + noise(3) - 1, y0 = SIDE / 2.0 + noise(3) - 1;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const double across = fabs((x - x0) * sin(angle) - (y - y0) * cos(angle));
            for (int k = 0; k < 3; k++)
                pixels[3 * (y * SIDE + x) + k] = (uint8_t)(across < 3 ? 40 + noise(20) : 220 - noise(20));
        }
}

static void write_picture(const char *name, const uint8_t *pixels, int jpeg) {
    size_t size;
    uint8_t *data;
#ifdef CLMAML_HAVE_JPEG
    data = jpeg ? clm_test_jpeg(pixels, SIDE, SIDE, 3, 0, &size) : clm_test_png(pixels, SIDE, SIDE, PNG_FORMAT_RGB, &size);
#else
    data = clm_test_png(pixels, SIDE, SIDE, PNG_FORMAT_RGB, &size);
    (void)jpeg;
#endif
    clm_test_write(directory, name, data, size);
    free(data);
}

/* %1 is the split of a class, %2 its number, %3 an example, %4 the end of the name. */
static void write_pictures(const char *format, void (*make)(int, uint8_t *), int both) {
    static const char *const splits[] = {"train", "train", "val", "test"};
    uint8_t pixels[SIDE * SIDE * 3];
    char name[128];
    for (int c = 0; c < CLASSES; c++)
        for (int e = 0; e < EXAMPLES; e++) {
            const int jpeg = both && e % 2;
            make(c, pixels);
            snprintf(name, sizeof name, format, splits[c % 4], c, e, jpeg ? "jpg" : "png");
            write_picture(name, pixels, jpeg);
        }
}

static void mini_imagenet(void) {
    static const char *const splits[] = {"train", "val", "test"};
    uint8_t pixels[SIDE * SIDE * 3];
    char name[64], text[8192];
    for (int s = 0; s < 3; s++) {
        size_t n = (size_t)snprintf(text, sizeof text, "filename,label\n");
        for (int c = s; c < CLASSES; c += 3)
            for (int e = 0; e < EXAMPLES; e++) {
                snprintf(name, sizeof name, "images/n%02d%04d.jpg", c, e);
                draw(c, pixels);
                write_picture(name, pixels, 1);
                n += (size_t)snprintf(text + n, sizeof text - n, "%s,n%02d\n", name + strlen("images/"), c);
            }
        snprintf(name, sizeof name, "%s.csv", splits[s]);
        clm_test_write_text(directory, name, text);
    }
}

static void cifar_fs(void) {
    static const char *const splits[] = {"train", "val", "test"};
    char name[64], text[512];
    write_pictures("data/%.0s%02d-x/%d.%s", draw, 0);
    for (int s = 0; s < 3; s++) {
        size_t n = 0;
        for (int c = s; c < CLASSES; c += 3) n += (size_t)snprintf(text + n, sizeof text - n, "%02d-x\n", c);
        snprintf(name, sizeof name, "splits/bertinetto/%s.txt", splits[s]);
        clm_test_write_text(directory, name, text);
    }
}

/* x and y of `count` numbers an example: number i of class c is about sin((1 + c) i / 5). */
static void arrays(const char *shape, int numbers, int whole) {
    static float x[CLASSES * EXAMPLES * 64];
    static int64_t tokens[CLASSES * EXAMPLES * 64];
    int64_t y[CLASSES * EXAMPLES];
    size_t size;
    char text[64];
    for (int i = 0; i < CLASSES * EXAMPLES; i++) {
        const int c = i / EXAMPLES;
        y[i] = c;
        for (int k = 0; k < numbers; k++) {
            x[i * numbers + k] = (float)(sin((1 + c) * k / 5.0) + 0.02 * (noise(11) - 5));
            tokens[i * numbers + k] = noise(3) ? (c * 2 + k % 2) % 30 : noise(30);
        }
    }
    snprintf(text, sizeof text, "(%d, %s)", CLASSES * EXAMPLES, shape);
    uint8_t *data = whole ? clm_test_npy("<i8", text, tokens, sizeof(int64_t) * CLASSES * EXAMPLES * (size_t)numbers, &size)
                          : clm_test_npy("<f4", text, x, sizeof(float) * CLASSES * EXAMPLES * (size_t)numbers, &size);
    clm_test_write(directory, "x.npy", data, size);
    free(data);
    snprintf(text, sizeof text, "(%d,)", CLASSES * EXAMPLES);
    data = clm_test_npy("<i8", text, y, sizeof y, &size);
    clm_test_write(directory, "y.npy", data, size);
    free(data);
}

START_TEST(write) {
    if (!strcmp(kind, "colours")) write_pictures("%.0sclass%02d/%d.%s", paint, 1);
    if (!strcmp(kind, "split")) write_pictures("%s/class%02d/%d.%s", draw, 1);
    if (!strcmp(kind, "nested")) write_pictures("%.0salphabet/class%02d/%d.%s", draw, 0);
    if (!strcmp(kind, "miniimagenet")) mini_imagenet();
    if (!strcmp(kind, "cifar-fs")) cifar_fs();
    if (!strcmp(kind, "vectors")) arrays("16", 16, 0);
    if (!strcmp(kind, "series")) arrays("16, 4", 64, 0);
    if (!strcmp(kind, "tokens")) arrays("12", 12, 1);
}
END_TEST

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s colours|split|nested|miniimagenet|cifar-fs|vectors|series|tokens DIRECTORY\n", argv[0]);
        return EXIT_FAILURE;
    }
    kind = argv[1];
    directory = argv[2];
    Suite *suite = suite_create("data sets");
    TCase *tests = tcase_create("data");
    tcase_set_timeout(tests, 0); /* a busy machine takes its time */
    tcase_add_test(tests, write);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite); /* the helpers assert, which works inside a test alone */
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
