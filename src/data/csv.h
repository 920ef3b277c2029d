/* Texts of delimiter-separated values (RFC 4180), record by record.
 *
 * Records end with a line feed, with carriage return and line feed, or with a carriage return. A field may be quoted; inside,
 * quotes are written twice, and delimiters and line ends belong to the field. What goes beyond RFC 4180: a byte order mark is
 * passed over, so are empty lines; the delimiter is whichever of ',' ';' and tabulator the first line has most of; blanks
 * around a field go unless they are quoted. */
#ifndef CLM_DATA_CSV_H
#define CLM_DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { CLM_CSV_COLUMNS = 4096, CLM_CSV_FIELD = 65535 }; /* most fields of a record, most bytes of a field */

typedef struct clm_csv {
    const char *path; /* for messages: as given to clm_csv_open */
    char *text, *at, *end;
    char delimiter;
    char **fields; /* of the record at hand; valid until clm_csv_close */
    size_t count;
    uint64_t fingerprint; /* of the file */
    size_t line, next;    /* where the record at hand begins, and what follows it; from 1 */
} clm_csv;

/* Reads a file; `path` must outlive it. CLM_E_FORMAT for what is no text. Close also after a failure. */
clm_status clm_csv_open(clm_csv *csv, const char *path);
void clm_csv_close(clm_csv *csv);
/* The next record; *more false: there is none. Errors name file and line. */
clm_status clm_csv_next(clm_csv *csv, bool *more);

#endif
