/* The rows of a table: its columns as numbers and words. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "data/notes.h"
#include "data/table.h"

/* ---- notes ---- */

static void add_note(clm_table *t, bool left, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    clm_note_add_list(&t->notes, format, arguments);
    if (left) clm_note_add_list(&t->left, format, again);
    va_end(again);
    t->notes.failed |= t->left.failed;
}

void clm_table_left_out(clm_table *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_note(t, true, format, arguments);
    va_end(arguments);
    t->left_out++;
}

void clm_table_remark(clm_table *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_note(t, false, format, arguments);
    va_end(arguments);
}

/* ---- values ---- */

static bool is_missing(const char *text) {
    static const char *const words[] = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0) return true;
    return false;
}

/* The mean stands for a feature alone. */
static bool may_be_filled(const clm_table *t, size_t column) {
    return t->columns[column].feature && !t->columns[column].target && column != t->time;
}

/* A missing value that the options do not allow. */
static clm_status refuse_missing(const clm_table *t, size_t line, size_t column) {
    const clm_table_column *c = &t->columns[column];
    const bool ordered = t->options->window > 0 || t->options->horizon > 0;
    const bool only_feature = may_be_filled(t, column);
    const char *remedy = ordered ? (only_feature ? "fill it in, or take the mean (--missing mean)" : "fill it in")
                         : only_feature
                             ? "fill it in, or take the mean (--missing mean) or leave such rows out (--missing drop)"
                             : "fill it in, or leave such rows out (--missing drop)";
    return clm_fail(CLM_E_FORMAT, "%s: line %zu, column %s: no value%s; %s", t->path, line, c->name,
                    t->options->missing == CLM_MISSING_MEAN ? ", and only features are given their mean" : "", remedy);
}

static clm_status refuse_number(const clm_table *t, size_t line, size_t column, const char *text) {
    const char *name = t->columns[column].name, *comma = strchr(text, ',');
    const char *remedy = comma && comma > text && comma[1] ? "numbers have a decimal point, not a comma"
                         : t->columns[column].target
                             ? "correct it, or if its values are classes, ask for labels (--loss cross-entropy)"
                             : "correct it, ignore the column (--ignore), or name it as categorical (--categorical)";
    return clm_fail(CLM_E_FORMAT, "%s: line %zu, column %s: '%.40s' is no number; %s", t->path, line, name, text, remedy);
}

static clm_status read_number(const clm_table *t, size_t line, size_t column, const char *text, double *to) {
    const char *end;
    *to = clm_number_parse(text, &end);
    if (end == text || *end) return refuse_number(t, line, column, text);
    if (fabs(*to) <= 1e30) return CLM_OK;
    return clm_fail(CLM_E_FORMAT, "%s: line %zu, column %s: %.40s is beyond 1e30; correct it, or choose another unit", t->path,
                    line, t->columns[column].name, text);
}

static clm_status read_value(clm_table *t, size_t line, size_t column, const char *text) {
    clm_table_column *c = &t->columns[column];
    const bool missing = is_missing(text);
    if (c->words) {
        CLM_TRY(clm_grow(&c->codes, &c->capacity, t->rows + 1, sizeof *c->codes));
        c->codes[t->rows] = CLM_TABLE_MISSING;
        return missing ? CLM_OK : clm_words_add(&c->set, text, &c->codes[t->rows]);
    }
    CLM_TRY(clm_grow(&c->numbers, &c->capacity, t->rows + 1, sizeof *c->numbers));
    c->numbers[t->rows] = NAN;
    return missing ? CLM_OK : read_number(t, line, column, text, &c->numbers[t->rows]);
}

/* A field is cut in two where its quotes lack; one too few was never written, or is behind another delimiter. */
static clm_status check_fields(const clm_table *t, const clm_csv *csv, size_t columns) {
    const char *name = csv->delimiter == '\t' ? "tabulator" : csv->delimiter == ';' ? "semicolon" : "comma";
    char remedy[128];
    if (csv->count == columns) return CLM_OK;
    if (csv->count > columns)
        snprintf(remedy, sizeof remedy, "a delimiter inside a field needs quotes");
    else
        snprintf(remedy, sizeof remedy,
                 "write %zu more; a field between two %ss, or behind the last, may be empty, which is a missing value",
                 columns - csv->count, name);
    return clm_fail(CLM_E_FORMAT, "%s: line %zu has %zu field%s, the headline %zu; %s", t->path, csv->line, csv->count,
                    csv->count == 1 ? "" : "s", columns, remedy);
}

static clm_status read_row(clm_table *t, const clm_csv *csv, size_t columns) {
    const clm_missing missing = t->options->missing;
    CLM_TRY(check_fields(t, csv, columns));
    for (size_t i = 0; i < t->n_columns; i++) { /* before any value is kept */
        if (!is_missing(csv->fields[t->columns[i].field])) continue;
        if (missing == CLM_MISSING_DROP) {
            t->dropped++;
            return CLM_OK;
        }
        if (missing == CLM_MISSING_MEAN && may_be_filled(t, i)) continue;
        return refuse_missing(t, csv->line, i);
    }
    if (t->rows >= INT32_MAX) return clm_fail(CLM_E_LIMIT, "%s: more than 2^31 rows; use fewer", t->path);
    for (size_t i = 0; i < t->n_columns; i++) CLM_TRY(read_value(t, csv->line, i, csv->fields[t->columns[i].field]));
    CLM_TRY(clm_grow(&t->lines, &t->lines_capacity, t->rows + 1, sizeof *t->lines));
    t->lines[t->rows] = csv->line < UINT32_MAX ? (uint32_t)csv->line : UINT32_MAX;
    t->rows++;
    return CLM_OK;
}

/* ---- times ---- */

static bool is_number(const char *text) {
    const char *end;
    (void)clm_number_parse(text, &end);
    return end != text && !*end;
}

/* Numbers are ordered as such only where all are: one slip of the pen would order the others bytewise. */
static clm_status check_times(clm_table *t) {
    const clm_table_column *c = t->time == CLM_TABLE_NONE ? NULL : &t->columns[t->time];
    size_t numbers = 0;
    for (size_t i = 0; c && i < t->rows; i++) numbers += is_number(c->set.word[c->codes[i]]);
    if (!numbers || numbers == t->rows) return CLM_OK;
    const bool most = 2 * numbers >= t->rows;
    size_t odd = 0;
    while (is_number(c->set.word[c->codes[odd]]) == most) odd++;
    return clm_fail(
        CLM_E_FORMAT,
        "%s: line %zu, column %s: '%.40s' is %s number, %zu of %zu times are %s; write all times as numbers, or none", t->path,
        (size_t)t->lines[odd], c->name, c->set.word[c->codes[odd]], most ? "no" : "a", most ? numbers : t->rows - numbers,
        t->rows, most ? "numbers" : "none");
}

/* As texts, 10:00 comes before 9:00. */
static void note_times(clm_table *t) {
    const clm_table_column *c = t->time == CLM_TABLE_NONE ? NULL : &t->columns[t->time];
    if (!c || !c->set.count || is_number(c->set.word[0])) return;
    for (size_t i = 1; i < c->set.count; i++) {
        if (strlen(c->set.word[i]) == strlen(c->set.word[0])) continue;
        clm_table_remark(t, "column %s: times are ordered as texts, bytewise, and their lengths differ (%.40s, %.40s)", c->name,
                         c->set.word[0], c->set.word[i]);
        return;
    }
}

/* ---- the file ---- */

static clm_status read_all(clm_table *t, clm_csv *csv) {
    bool more;
    CLM_TRY(clm_csv_next(csv, &more));
    if (!more) return clm_fail(CLM_E_FORMAT, "%s is empty; a table begins with a headline of column names", t->path);
    const size_t columns = csv->count;
    CLM_TRY(clm_table_find_columns(t, csv));
    for (;;) {
        CLM_TRY(clm_csv_next(csv, &more));
        if (!more) break;
        CLM_TRY(read_row(t, csv, columns));
    }
    if (t->dropped)
        clm_table_left_out(t, "%zu of %zu rows have missing values and are left out", t->dropped, t->rows + t->dropped);
    CLM_TRY(check_times(t));
    note_times(t);
    if (t->rows) return CLM_OK;
    return clm_fail(CLM_E_FORMAT, "%s has %s; add rows", t->path,
                    t->dropped ? "no row without a missing value" : "no rows below its headline");
}

clm_status clm_table_read(clm_table *t, const char *path, const clm_table_options *options) {
    clm_csv csv = {0};
    *t = (clm_table){.path = path, .options = options};
    clm_status status = clm_table_check_options(options);
    if (status == CLM_OK) status = clm_csv_open(&csv, path);
    t->fingerprint = csv.fingerprint;
    if (status == CLM_OK) status = read_all(t, &csv);
    clm_csv_close(&csv);
    return status;
}

void clm_table_free(clm_table *t) {
    for (size_t i = 0; i < t->n_columns; i++) {
        free(t->columns[i].name);
        free(t->columns[i].numbers);
        free(t->columns[i].codes);
        clm_words_free(&t->columns[i].set);
    }
    free(t->columns);
    free(t->features);
    free(t->targets);
    free(t->lines);
    clm_text_free(&t->notes);
    clm_text_free(&t->left);
    *t = (clm_table){0};
}
