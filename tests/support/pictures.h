/* Small picture files made by the tests: PNGs in memory, zip files in the layout of Omniglot. */
#ifndef CLM_TEST_PICTURES_H
#define CLM_TEST_PICTURES_H

#include <stddef.h>
#include <stdint.h>

#include <png.h>

/* `format`: PNG_FORMAT_GRAY, _RGB, _RGBA. Free with free(). */
uint8_t *clm_test_png(const uint8_t *pixels, int width, int height, png_uint_32 format, size_t *size);
/* One bit a pixel: 0 black, anything else white. */
uint8_t *clm_test_png_1bit(const uint8_t *pixels, int width, int height, size_t *size);

/* Drawing `drawing` of character `number`: side x side pixels, white with black squares that no other drawing has; like Omniglot's
 * files, the squares of the character dominate. */
void clm_test_drawing(int number, int drawing, int side, uint8_t *pixels);

typedef struct clm_test_entry {
    const char *name;
    const void *data;
    size_t size;
} clm_test_entry;

typedef struct clm_test_omniglot {
    int alphabets, characters, drawings; /* of each alphabet, of each character */
    int first;                           /* number of the first character */
    int reversed;                        /* entries in the opposite order */
    int missing;                         /* the last character lacks so many drawings */
    clm_test_entry extra;                /* one more entry, when it has a name */
} clm_test_omniglot;

/* Writes PART.zip or, with `folder`, the folder PART into the directory. The part's name begins the entries of a zip file. */
void clm_test_write_omniglot(const char *directory, const char *part, const clm_test_omniglot *what, int folder);

/* A fresh directory under TMPDIR, and its removal with all that is in it. */
char *clm_test_directory(void);
void clm_test_remove(char *directory);

#endif
