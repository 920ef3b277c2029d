/* Arrays of NumPy: the .npy format, versions 1 to 3. */
#ifndef CLM_DATA_NPY_H
#define CLM_DATA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { CLM_NPY_RANK = 8 };

typedef struct clm_npy {
    char kind; /* u, i, f, b (true or false), U (UCS-4 text), S (bytes of text) */
    int bytes; /* of an element */
    bool swap; /* its bytes stand the other way round */
    int rank;
    size_t dim[CLM_NPY_RANK], count;
    const uint8_t *data; /* in the memory that was parsed */
} clm_npy;

/* `where`: what messages call it, "FILE.npz: x". Refuses objects, complex numbers and Fortran order by name. */
clm_status clm_npy_parse(clm_npy *out, const char *where, const uint8_t *data, size_t size);

/* An element of a kind that is a number. */
double clm_npy_number(const clm_npy *array, size_t index);
/* An element of a kind that is text, in UTF-8. Free with free(). */
char *clm_npy_text(const clm_npy *array, size_t index);
bool clm_npy_is_text(const clm_npy *array);

#endif
