/* Why JPEGs are decoded whole: libjpeg's decoding at 1/2 and 1/4 (scale_denom) beside whole decoding, both resampled to 84 x 84 by the mean over
 * areas, on pictures of 500 x 375. Prints how many levels the values differ by.
 *
 *   cc -O1 -o scaled_jpeg bench/scaled_jpeg.c -ljpeg -lm && ./scaled_jpeg */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { WIDTH = 500, HEIGHT = 375, SIDE = 84, VALUES = 3 * SIDE * SIDE, QUALITY = 90 };

typedef struct picture {
    unsigned char *rgb;
    int width, height;
} picture;

/* ---- pictures ---- */

static double smooth(int x, int y, int c) { return 128 + 60 * sin(x / 70.0 + c) + 60 * cos(y / 50.0 + 2 * c); }
static double texture(int x, int y, int c) { return 128 + 50 * sin(0.9 * x + c) + 50 * sin(0.7 * y + 0.1 * x + c); }
static double lines(int x, int y, int c) {
    const int ink = (x / 7 + y / 11) % 3 == 0 || (x + 2 * y) % 37 < 3;
    return ink ? (c == 0 ? 230 : 30) : (c == 1 ? 200 : 240);
}

static const struct {
    const char *name;
    double (*at)(int x, int y, int c);
} kinds[] = {{"smooth", smooth}, {"texture", texture}, {"lines", lines}};

static picture draw(double (*at)(int x, int y, int c)) {
    picture p = {malloc(3 * WIDTH * HEIGHT), WIDTH, HEIGHT};
    for (int i = 0; p.rgb && i < 3 * WIDTH * HEIGHT; i++)
        p.rgb[i] = (unsigned char)fmin(255, fmax(0, at(i / 3 % WIDTH, i / 3 / WIDTH, i % 3)));
    return p;
}

/* ---- JPEG ---- */

static unsigned char *encode(const picture *p, unsigned long *size) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *file = NULL;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &file, size);
    jpeg.image_width = (JDIMENSION)p->width;
    jpeg.image_height = (JDIMENSION)p->height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, QUALITY, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = p->rgb + 3 * (size_t)p->width * jpeg.next_scanline;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return file;
}

static picture decode(unsigned char *file, unsigned long size, unsigned denominator) {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, file, size);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    jpeg.scale_num = 1;
    jpeg.scale_denom = denominator;
    jpeg_start_decompress(&jpeg);
    picture p = {malloc(3ul * jpeg.output_width * jpeg.output_height), (int)jpeg.output_width, (int)jpeg.output_height};
    while (p.rgb && jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW row = p.rgb + 3ul * jpeg.output_width * jpeg.output_scanline;
        jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return p;
}

/* ---- the square in the middle, resampled ---- */

static double overlap(double from, double to, int i) { return fmin(to, i + 1) - fmax(from, i); }

static void resample(const picture *p, double *out) {
    const double scale = (double)p->height / SIDE, left = (p->width - p->height) / 2.0;
    for (int k = 0; k < SIDE * SIDE; k++) {
        const double x = left + scale * (k % SIDE), y = scale * (k / SIDE);
        double sum[3] = {0}, area = 0;
        for (int j = (int)y; j < y + scale && j < p->height; j++)
            for (int i = (int)x; i < x + scale && i < p->width; i++) {
                const double part = overlap(x, x + scale, i) * overlap(y, y + scale, j);
                for (int c = 0; c < 3; c++) sum[c] += part * p->rgb[3 * (j * p->width + i) + c];
                area += part;
            }
        for (int c = 0; c < 3; c++) out[3 * k + c] = round(sum[c] / area);
    }
}

static void compare(const char *name, unsigned denominator, const double *a, const double *b) {
    double most = 0;
    int beyond = 0;
    for (int i = 0; i < VALUES; i++) {
        const double d = fabs(a[i] - b[i]);
        most = fmax(most, d);
        beyond += d > 2;
    }
    printf("%-8s 1/%u: %2.0f levels at most, %.0f %% of the values by more than two\n", name, denominator, most,
           100.0 * beyond / VALUES);
}

int main(void) {
    static double whole[VALUES], scaled[VALUES];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        unsigned long size = 0;
        picture drawn = draw(kinds[k].at);
        unsigned char *file = encode(&drawn, &size);
        picture p = decode(file, size, 1);
        resample(&p, whole);
        for (unsigned denominator = 2; denominator <= 4; denominator *= 2) {
            picture q = decode(file, size, denominator);
            resample(&q, scaled);
            compare(kinds[k].name, denominator, whole, scaled);
            free(q.rgb);
        }
        free(drawn.rgb), free(p.rgb), free(file);
    }
    return 0;
}
