/* Metrics files. Every row is flushed as it is written: a run killed at any moment leaves whole lines, but perhaps for the last.
 */
#include "train/metrics.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/files.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "train/events.h"

static const char *const metric_names[] = {
#define CLM_METRIC_NAME(NAME, name) #name,
    CLM_METRIC_LIST(CLM_METRIC_NAME)
#undef CLM_METRIC_NAME
};
static const char *const kind_names[] = {"train", "validation"};

clm_train_row clm_row_empty(clm_row_kind kind, uint64_t iteration) {
    clm_train_row row = {.iteration = iteration, .kind = kind};
    for (size_t i = 0; i < CLM_METRIC_COUNT; i++) row.value[i] = NAN;
    return row;
}

clm_status clm_train_path(char path[CLM_TRAIN_PATH], const char *directory, const char *name) {
    const size_t length = strlen(directory);
    const char *slash = length && directory[length - 1] == '/' ? "" : "/";
    if (snprintf(path, CLM_TRAIN_PATH, "%s%s%s", directory, slash, name) >= CLM_TRAIN_PATH)
        return clm_fail(CLM_E_LIMIT, "path too long: %s/%s", directory, name);
    return CLM_OK;
}

static clm_status remember(clm_metrics *m, const clm_train_row *row) {
    CLM_TRY(clm_grow(&m->rows, &m->capacity, m->count + 1, sizeof *m->rows));
    m->rows[m->count++] = *row;
    return CLM_OK;
}

/* Of several initialisations: the share of tasks that each serves, and how many serve none. */
static void print_shares(const clm_metrics *m, const clm_train_row *row) {
    const bool known = row->initialisations > 0;
    int unused = 0;
    for (int s = 0; s < m->initialisations; s++) {
        fprintf(m->jsonl, known ? "%s%.9g" : "%snull", s ? ", " : ", \"shares\": [", row->share[s]);
        fprintf(m->csv, known ? ",%.9g" : ",", row->share[s]);
        unused += known && row->share[s] == 0;
    }
    if (!m->initialisations) return;
    fprintf(m->jsonl, known ? "], \"unused\": %d" : "], \"unused\": null", unused);
    fprintf(m->csv, known ? ",%d" : ",", unused);
}

static void print_row(const clm_metrics *m, const clm_train_row *row) {
    void *place = clm_numbers_enter();
    fprintf(m->jsonl, "{\"iteration\": %llu, \"kind\": \"%s\"", (unsigned long long)row->iteration, kind_names[row->kind]);
    fprintf(m->csv, "%llu,%s", (unsigned long long)row->iteration, kind_names[row->kind]);
    for (size_t i = 0; i < CLM_METRIC_COUNT; i++) {
        bool known = isfinite(row->value[i]);
        if (known)
            fprintf(m->jsonl, ", \"%s\": %.9g", metric_names[i], row->value[i]);
        else
            fprintf(m->jsonl, ", \"%s\": null", metric_names[i]);
        if (known)
            fprintf(m->csv, ",%.9g", row->value[i]);
        else
            fputc(',', m->csv);
    }
    print_shares(m, row);
    fputs("}\n", m->jsonl);
    fputc('\n', m->csv);
    clm_numbers_leave(place);
    const double seconds = row->value[CLM_METRIC_SECONDS];
    clm_events_add(m->events, row, metric_names, kind_names[row->kind], m->began + (isfinite(seconds) ? seconds : 0));
}

static clm_status flush(FILE *file, const char *path) {
    errno = 0;
    if (fflush(file) == 0 && !ferror(file)) return CLM_OK;
    return clm_fail(CLM_E_IO, "cannot write %s: %s", path, strerror(errno));
}

static clm_status write_row(clm_metrics *m, const clm_train_row *row) {
    print_row(m, row);
    CLM_TRY(flush(m->jsonl, m->jsonl_path));
    CLM_TRY(flush(m->csv, m->csv_path));
    return flush(m->events, m->events_path);
}

clm_status clm_metrics_add(clm_metrics *m, const clm_train_row *row) {
    CLM_TRY(remember(m, row));
    return m->jsonl ? write_row(m, row) : CLM_OK;
}

static void parse_shares(clm_train_row *row, const json_t *shares) {
    const size_t n = json_array_size(shares);
    if (n > CLM_INITIALISATIONS_MOST || !json_is_number(json_array_get(shares, 0))) return;
    for (size_t s = 0; s < n; s++) row->share[s] = json_number_value(json_array_get(shares, s));
    row->initialisations = (int)n;
}

static bool parse_row(const char *line, size_t length, clm_train_row *row) {
    json_t *object = json_loadb(line, length, 0, NULL);
    const char *kind = json_string_value(json_object_get(object, "kind"));
    json_t *iteration = json_object_get(object, "iteration");
    bool good = json_is_integer(iteration) && kind;
    if (good) {
        *row = clm_row_empty(CLM_ROW_KINDS, (uint64_t)json_integer_value(iteration));
        for (size_t k = 0; k < CLM_ROW_KINDS; k++)
            if (strcmp(kind, kind_names[k]) == 0) row->kind = (clm_row_kind)k;
        for (size_t i = 0; i < CLM_METRIC_COUNT; i++) {
            json_t *value = json_object_get(object, metric_names[i]);
            if (json_is_number(value)) row->value[i] = json_number_value(value);
        }
        parse_shares(row, json_object_get(object, "shares"));
        good = row->kind != CLM_ROW_KINDS;
    }
    json_decref(object);
    return good;
}

/* A line that is cut short is one that a killed run was writing. One that cannot be read does not cost those behind it. */
static clm_status read_rows(clm_metrics *m, uint64_t upto) {
    char *text;
    if (!clm_path_exists(m->jsonl_path)) return CLM_OK;
    CLM_TRY(clm_file_read(m->jsonl_path, &text, NULL));
    clm_status status = CLM_OK;
    for (const char *line = text, *end; status == CLM_OK && (end = strchr(line, '\n')); line = end + 1) {
        clm_train_row row;
        if (!parse_row(line, (size_t)(end - line), &row))
            clm_log_write(CLM_LOG_INFO, "%s: a line cannot be read, and is left out", m->jsonl_path);
        else if (row.iteration <= upto)
            status = remember(m, &row);
    }
    free(text);
    return status;
}

/* The metric of a column by its head; CLM_METRIC_COUNT: another one. */
static size_t column_of(const char *head, size_t length) {
    size_t i = 0;
    while (i < CLM_METRIC_COUNT && (strlen(metric_names[i]) != length || memcmp(metric_names[i], head, length) != 0)) i++;
    return i;
}

/* A line of metrics.csv under its headline: "12,train,0.5,..". What is empty is not known. */
static bool parse_cells(const char *head, const char *line, clm_train_row *row) {
    char *end;
    const uint64_t iteration = strtoull(line, &end, 10);
    size_t kind = 0;
    if (end == line || *end != ',') return false;
    const char *cell = end + 1;
    for (; kind < CLM_ROW_KINDS && strncmp(cell, kind_names[kind], strcspn(cell, ",\n")) != 0;) kind++;
    if (kind == CLM_ROW_KINDS) return false;
    *row = clm_row_empty((clm_row_kind)kind, iteration);
    head += strcspn(head, ",\n"); /* behind the iteration */
    for (size_t share = 0; *head == ',';) {
        const char *number_end, *name = head + 1;
        const size_t length = strcspn(name, ",\n"), metric = column_of(name, length);
        const double value = clm_number_parse(cell, &number_end);
        const bool known = number_end > cell;
        if (metric < CLM_METRIC_COUNT && known) row->value[metric] = value;
        if (strncmp(name, "share_", 6) == 0 && known && share < CLM_INITIALISATIONS_MOST) row->share[share++] = value;
        row->initialisations = (int)share;
        head = name + length;
        cell += strcspn(cell, ",\n");
        cell += *cell == ',';
    }
    return true;
}

/* Do the rows say of the best validation what the checkpoints say? Those of another run hardly do. */
static bool agree(const clm_metrics *m) {
    for (size_t i = 0; i < m->count; i++) {
        const clm_train_row *row = &m->rows[i];
        const double score = row->value[CLM_METRIC_QUERY_AFTER];
        if (m->best.known && row->kind == CLM_ROW_VALIDATION && row->iteration == m->best.iteration)
            return fabs(score - m->best.score) <= 1e-8 * fabs(m->best.score);
    }
    return true;
}

static clm_status read_csv(clm_metrics *m, uint64_t upto) {
    char *text;
    clm_train_row row;
    if (!clm_path_exists(m->csv_path)) return CLM_OK;
    CLM_TRY(clm_file_read(m->csv_path, &text, NULL));
    clm_status status = CLM_OK;
    const char *line = strchr(text, '\n');
    for (const char *next; status == CLM_OK && line && (next = strchr(line + 1, '\n')); line = next)
        if (parse_cells(text, line + 1, &row) && row.iteration <= upto) status = remember(m, &row);
    free(text);
    return status;
}

/* Both files have the same rows: one of them may be lost, or another run's. */
static clm_status read_both(clm_metrics *m, uint64_t upto) {
    clm_metrics *other = clm_calloc(1, sizeof *other);
    if (!other) return CLM_E_MEMORY;
    *other = *m;
    clm_status status = read_rows(m, upto);
    if (status == CLM_OK) status = read_csv(other, upto);
    const bool own = agree(m), others = agree(other);
    if (status == CLM_OK && others && (!own || other->count > m->count)) {
        clm_train_row *rows = m->rows;
        m->rows = other->rows, m->count = other->count, m->capacity = other->capacity;
        other->rows = rows;
    }
    m->foreign = !agree(m);
    free(other->rows);
    free(other);
    return status;
}

/* The files are written anew from the rows that stay. Under temporary names first: a full disk must not cost what was there. */
enum { FILES = 3 };
typedef struct target {
    FILE **file;
    char *path;
    const char *name;
} target;

static clm_status open_target(const target *t, const char *directory, char temporary[CLM_TRAIN_PATH]) {
    char name[64];
    CLM_TRY(clm_train_path(t->path, directory, t->name));
    snprintf(name, sizeof name, "%s.tmp", t->name);
    CLM_TRY(clm_train_path(temporary, directory, name));
    *t->file = fopen(temporary, "wb");
    return *t->file ? CLM_OK : clm_fail(CLM_E_IO, "cannot write %s: %s", t->path, strerror(errno));
}

static void begin_files(clm_metrics *m) {
    const double seconds = m->count ? m->rows[m->count - 1].value[CLM_METRIC_SECONDS] : 0;
    m->began = (double)time(NULL) - (isfinite(seconds) ? seconds : 0);
    fputs("iteration,kind", m->csv);
    for (size_t i = 0; i < CLM_METRIC_COUNT; i++) fprintf(m->csv, ",%s", metric_names[i]);
    for (int s = 0; s < m->initialisations; s++) fprintf(m->csv, ",share_%d", s + 1);
    if (m->initialisations) fputs(",unused", m->csv);
    fputc('\n', m->csv);
    clm_events_begin(m->events, m->began);
}

clm_status clm_metrics_open(clm_metrics *m, const char *directory, bool resumed, uint64_t upto) {
    const target targets[FILES] = {{&m->jsonl, m->jsonl_path, "metrics.jsonl"},
                                   {&m->csv, m->csv_path, "metrics.csv"},
                                   {&m->events, m->events_path, "events.out.tfevents.clmaml"}};
    char temporary[FILES][CLM_TRAIN_PATH];
    *m = (clm_metrics){.initialisations = m->initialisations, .best = m->best};
    CLM_TRY(clm_train_path(m->jsonl_path, directory, "metrics.jsonl"));
    CLM_TRY(clm_train_path(m->csv_path, directory, "metrics.csv"));
    if (resumed) CLM_TRY(read_both(m, upto));
    for (size_t i = 0; i < FILES; i++) CLM_TRY(open_target(&targets[i], directory, temporary[i]));
    begin_files(m);
    for (size_t i = 0; i < m->count; i++) CLM_TRY(write_row(m, &m->rows[i]));
    for (size_t i = 0; i < FILES; i++) {
        CLM_TRY(flush(*targets[i].file, targets[i].path));
        if (rename(temporary[i], targets[i].path) != 0)
            return clm_fail(CLM_E_IO, "cannot write %s: %s", targets[i].path, strerror(errno));
    }
    return CLM_OK;
}

void clm_metrics_close(clm_metrics *m) {
    if (m->jsonl) fclose(m->jsonl);
    if (m->csv) fclose(m->csv);
    if (m->events) fclose(m->events);
    free(m->rows);
    memset(m, 0, sizeof *m);
}
