/* Small picture files made by the tests: PNGs in memory, zip files in the layout of Omniglot. */
#ifndef CLM_TEST_PICTURES_H
#define CLM_TEST_PICTURES_H

#include <stddef.h>
#include <stdint.h>

#include <png.h>

/* `format`: PNG_FORMAT_GRAY, _RGB, _RGBA. Free with free(). */
uint8_t *clm_test_png(const uint8_t *pixels, int width, int height, png_uint_32 format, size_t *size);
/* Without a palette one bit a pixel: 0 black, anything else white. With one, 8-bit indices. */
uint8_t *clm_test_png_packed(const uint8_t *pixels, int width, int height, const png_color *palette, int colours, size_t *size);

/* Drawing `drawing` of character `number`: side x side pixels, white with black squares that no other drawing has; like
 * Omniglot's files, the squares of the character dominate. */
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

/* Both parts as zip files: 3 x 10 and 2 x 8 characters, 6 drawings each. */
extern const clm_test_omniglot clm_test_early, clm_test_late;
void clm_test_write_small_omniglot(const char *directory);

/* A fresh directory under TMPDIR, and its removal with all that is in it. */
char *clm_test_directory(void);
void clm_test_remove(char *directory);

#endif
