/* Pictures for tests, written with libpng and libzip. */
#include "support/pictures.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "base/files.h"
#include "base/memory.h"

uint8_t *clm_test_png(const uint8_t *pixels, int width, int height, png_uint_32 format, size_t *size) {
    png_image png;
    memset(&png, 0, sizeof png);
    png.version = PNG_IMAGE_VERSION;
    png.width = (png_uint_32)width;
    png.height = (png_uint_32)height;
    png.format = format;
    png_alloc_size_t bytes = 0;
    ck_assert(png_image_write_to_memory(&png, NULL, &bytes, 0, pixels, 0, NULL));
    uint8_t *data = malloc(bytes);
    ck_assert(png_image_write_to_memory(&png, data, &bytes, 0, pixels, 0, NULL));
    *size = bytes;
    return data;
}

typedef struct buffer {
    uint8_t *data;
    size_t size;
} buffer;

static void append(png_structp png, png_bytep data, png_size_t size) {
    buffer *to = png_get_io_ptr(png);
    to->data = realloc(to->data, to->size + size);
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void flush(png_structp png) { (void)png; }

uint8_t *clm_test_png_packed(const uint8_t *pixels, int width, int height, const png_color *palette, int colours,
                             size_t *size) {
    buffer to = {NULL, 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &to, append, flush);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, palette ? 8 : 1,
                 palette ? PNG_COLOR_TYPE_PALETTE : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (palette) png_set_PLTE(png, info, palette, colours);
    png_write_info(png, info);
    if (!palette) png_set_packing(png); /* libpng squeezes eight pixels into a byte */
    uint8_t *row = malloc((size_t)width);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            uint8_t value = pixels[(size_t)y * (size_t)width + (size_t)x];
            row[x] = palette ? value : value != 0;
        }
        png_write_row(png, row);
    }
    free(row);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    *size = to.size;
    return to.data;
}

/* The bits of (number, drawing) as squares of a 5 x 5 board; the odd square at the corner tells the four turns apart. */
void clm_test_drawing(int number, int drawing, int side, uint8_t *pixels) {
    unsigned bits = 1u | (unsigned)number << 1 | (unsigned)drawing << 16;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) pixels[y * side + x] = bits >> (y * 5 / side * 5 + x * 5 / side) & 1u ? 0 : 255;
}

typedef struct writer {
    zip_t *zip;
    char *folder; /* without a zip file */
    const char *part;
} writer;

/* Takes `data`. */
static void write_entry(writer *to, const char *name, uint8_t *data, size_t size) {
    if (to->zip) {
        char *full = clm_format("%s/%s", to->part, name);
        zip_source_t *source = zip_source_buffer(to->zip, data, size, 1);
        zip_int64_t index = zip_file_add(to->zip, full, source, ZIP_FL_ENC_UTF_8);
        ck_assert_int_ge(index, 0);
        ck_assert_int_eq(zip_set_file_compression(to->zip, (zip_uint64_t)index, ZIP_CM_STORE, 0), 0);
        free(full);
        return;
    }
    char *path = clm_path_join(to->folder, name);
    *strrchr(path, '/') = 0;
    ck_assert_int_eq(clm_directory_make(path), CLM_OK);
    path[strlen(path)] = '/';
    ck_assert_int_eq(clm_file_write(path, data, size), CLM_OK);
    free(path);
    free(data);
}

static void write_drawing(writer *to, const clm_test_omniglot *what, int index) {
    enum { SIDE = 105 };
    uint8_t pixels[SIDE * SIDE];
    int drawing = index % what->drawings, character = index / what->drawings, last = what->alphabets * what->characters - 1;
    if (character == last && drawing >= what->drawings - what->missing) return;
    clm_test_drawing(what->first + character, drawing, SIDE, pixels);
    size_t size;
    uint8_t *png = clm_test_png_packed(pixels, SIDE, SIDE, NULL, 0, &size);
    char *name =
        clm_format("%s_%c/character%02d/%04d_%02d.png", what->first ? "Later" : "Early", 'A' + character / what->characters,
                   character % what->characters + 1, what->first + character, drawing + 1);
    write_entry(to, name, png, size);
    free(name);
}

void clm_test_write_omniglot(const char *directory, const char *part, const clm_test_omniglot *what, int folder) {
    writer to = {NULL, clm_path_join(directory, part), part};
    char *path = clm_format("%s.zip", to.folder);
    if (!folder) to.zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    ck_assert(folder || to.zip);
    int count = what->alphabets * what->characters * what->drawings;
    for (int i = 0; i < count; i++) write_drawing(&to, what, what->reversed ? count - 1 - i : i);
    if (what->extra.name) {
        uint8_t *data = malloc(what->extra.size);
        memcpy(data, what->extra.data, what->extra.size);
        write_entry(&to, what->extra.name, data, what->extra.size);
    }
    if (to.zip) ck_assert_int_eq(zip_close(to.zip), 0);
    free(path);
    free(to.folder);
}

const clm_test_omniglot clm_test_early = {.alphabets = 3, .characters = 10, .drawings = 6};
const clm_test_omniglot clm_test_late = {.alphabets = 2, .characters = 8, .drawings = 6, .first = 30};

void clm_test_write_small_omniglot(const char *directory) {
    clm_test_write_omniglot(directory, "images_background", &clm_test_early, 0);
    clm_test_write_omniglot(directory, "images_evaluation", &clm_test_late, 0);
}

char *clm_test_directory(void) {
    const char *base = getenv("TMPDIR");
    char *directory = clm_format("%s/clmaml-test-XXXXXX", base && base[0] ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    return directory;
}

static void remove_tree(const char *path) {
    char **names = NULL;
    size_t count = 0;
    if (!clm_path_is_directory(path)) {
        remove(path);
        return;
    }
    ck_assert_int_eq(clm_directory_list(path, &names, &count), CLM_OK);
    for (size_t i = 0; i < count; i++) {
        char *inside = clm_path_join(path, names[i]);
        remove_tree(inside);
        free(inside);
    }
    clm_names_free(names, count);
    rmdir(path);
}

void clm_test_remove(char *directory) {
    remove_tree(directory);
    free(directory);
}
