/* A square of numbers from -1 to 1 with names, as a table and as a picture. */
#ifndef CLI_EVAL_MATRIX_H
#define CLI_EVAL_MATRIX_H

#include "base/common.h"

enum { MATRIX_MOST = 128 };

typedef struct matrix {
    size_t n;
    const char *name[MATRIX_MOST];
    double value[MATRIX_MOST][MATRIX_MOST];
    char title[160], subtitle[160];
} matrix;

/* PREFIX.csv, quoted as RFC 4180 says and without formulas (cli_csv_guard), and PREFIX.svg. */
clm_status matrix_write(const matrix *m, const char *prefix);
void matrix_print(const matrix *m);

#endif
