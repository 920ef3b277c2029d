/* Tables: what is read of a file, and the source that is made of it.
 *
 *   csv.c  ->  table_columns.c (what the headline and the options make of the columns)  ->  table_rows.c (their values)
 *          ->  table_encode.c (tasks, splits, numbers)  ->  table_shared.c (what two splits have in common)
 *          ->  table.c (the source) */
#ifndef CLM_DATA_TABLE_H
#define CLM_DATA_TABLE_H

#include "base/memory.h"
#include "data/csv.h"
#include "data/source.h"
#include "data/words.h"

enum {
    CLM_TABLE_CATEGORIES = 1000, /* most of a column */
    CLM_TABLE_FEATURES = 65536,  /* most numbers of a row */
    CLM_TABLE_WINDOW = 65536
};
#define CLM_TABLE_MISSING UINT32_MAX
#define CLM_TABLE_NONE SIZE_MAX

/* Values of a column that is read, as words or as numbers. One that is needed as both is two. */
typedef struct clm_table_column {
    char *name;
    size_t field; /* its place in a record */
    bool words;
    bool feature, target; /* what it is used for */
    double *numbers;      /* [rows]; NaN: missing */
    uint32_t *codes;      /* [rows]: numbers of words; CLM_TABLE_MISSING */
    size_t capacity;
    clm_words set;
} clm_table_column;

typedef struct clm_table {
    const char *path;
    const clm_table_options *options;
    clm_table_column *columns;
    size_t n_columns, columns_capacity;
    size_t task, time; /* numbers of columns; CLM_TABLE_NONE */
    size_t *features, n_features, *targets, n_targets;
    size_t rows, dropped;
    uint64_t fingerprint; /* of the file */
    uint32_t *lines;      /* [rows] */
    size_t lines_capacity;
    clm_text notes;  /* lines */
    clm_text left;   /* those of them that say that something is not used */
    size_t left_out; /* how many */
} clm_table;

/* Checks the options, which must outlive the table, and reads a file. Free the table also after a failure. */
clm_status clm_table_read(clm_table *table, const char *path, const clm_table_options *options);
void clm_table_free(clm_table *table);

/* Lines for clm_source_notes: of what is left out, and of the rest. */
void clm_table_left_out(clm_table *table, const char *format, ...) CLM_PRINTF(2, 3);
void clm_table_remark(clm_table *table, const char *format, ...) CLM_PRINTF(2, 3);

/* ---- table_columns.c ---- */
clm_status clm_table_check_options(const clm_table_options *options);
/* `head` has the headline. */
clm_status clm_table_find_columns(clm_table *table, const clm_csv *head);

/* ---- the source ---- */

typedef struct clm_table_group {
    char *name; /* the value of the task column */
    size_t first, rows, examples;
    int split; /* -1: none */
} clm_table_group;

typedef struct clm_table_split {
    uint32_t *groups, smallest; /* the place in `groups` of the one with fewest examples */
    size_t count;
} clm_table_split;

typedef struct clm_table_source {
    clm_source base;
    int window, horizon;
    bool channels_first;
    size_t features, targets;
    float *x, *y;    /* [rows, features], [rows, targets]: rows by task, then in order */
    uint32_t *lines; /* [rows]: where a row stands in the file */
    char *path;      /* of the file */
    clm_table_group *groups;
    size_t n_groups;
    clm_table_split splits[CLM_SPLITS];
    char **feature_names, **label_names;
    double *mean, *deviation; /* [targets] */
} clm_table_source;

/* Fills a zeroed source; `base` gets labels and units. What it has is freed by its owner also after a failure. */
clm_status clm_table_encode(clm_table_source *source, clm_table *table);
/* Remarks how many rows of one split, or in windows how many tasks, are in another too, by their values. After clm_table_encode. */
clm_status clm_table_note_shared(const clm_table_source *source, clm_table *table);

#endif
