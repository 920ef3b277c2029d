/* The metrics of a run, as JSON lines and as CSV. Every row is flushed as it is written; of a resumed run the rows up to its
 * checkpoint stay, and the files are written anew. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/number.h"
#include "policy/internal.h"

static const char *const metric_names[] = {
#define METRIC_NAME(NAME, name) #name,
    CLM_POLICY_METRIC_LIST(METRIC_NAME)
#undef METRIC_NAME
};
static const char *const kinds[] = {"train", "validation"};

clm_policy_row clm_policy_row_empty(uint64_t iteration, bool validation) {
    clm_policy_row row = {.iteration = iteration, .validation = validation};
    for (size_t i = 0; i < CLM_POLICY_METRIC_COUNT; i++) row.value[i] = NAN;
    return row;
}

clm_status clm_policy_path(char *path, const char *directory, const char *name) {
    const size_t length = strlen(directory);
    const char *slash = length && directory[length - 1] == '/' ? "" : "/";
    if (snprintf(path, CLM_POLICY_PATH, "%s%s%s", directory, slash, name) >= CLM_POLICY_PATH)
        return clm_fail(CLM_E_LIMIT, "path too long: %s/%s", directory, name);
    return CLM_OK;
}

/* ---- rows ---- */

static clm_status remember(clm_policy_log *log, const clm_policy_row *row) {
    CLM_TRY(clm_grow(&log->rows, &log->capacity, log->count + 1, sizeof *log->rows));
    log->rows[log->count++] = *row;
    return CLM_OK;
}

static void print_row(const clm_policy_log *log, const clm_policy_row *row) {
    const char *kind = kinds[row->validation];
    void *place = clm_numbers_enter();
    fprintf(log->jsonl, "{\"iteration\": %llu, \"kind\": \"%s\"", (unsigned long long)row->iteration, kind);
    fprintf(log->csv, "%llu,%s", (unsigned long long)row->iteration, kind);
    for (size_t i = 0; i < CLM_POLICY_METRIC_COUNT; i++) {
        if (isfinite(row->value[i])) {
            fprintf(log->jsonl, ", \"%s\": %.9g", metric_names[i], row->value[i]);
            fprintf(log->csv, ",%.9g", row->value[i]);
        } else {
            fprintf(log->jsonl, ", \"%s\": null", metric_names[i]);
            fputc(',', log->csv);
        }
    }
    fputs("}\n", log->jsonl);
    fputc('\n', log->csv);
    clm_numbers_leave(place);
}

static clm_status write_row(clm_policy_log *log, const clm_policy_row *row) {
    print_row(log, row);
    errno = 0;
    if (fflush(log->jsonl) == 0 && fflush(log->csv) == 0 && !ferror(log->jsonl) && !ferror(log->csv)) return CLM_OK;
    return clm_fail(CLM_E_IO, "cannot write the metrics in %s: %s", log->directory, strerror(errno));
}

clm_status clm_policy_log_add(clm_policy_log *log, const clm_policy_row *row) {
    CLM_TRY(remember(log, row));
    return log->jsonl ? write_row(log, row) : CLM_OK;
}

static bool parse_row(const char *line, size_t length, clm_policy_row *row) {
    json_t *object = json_loadb(line, length, 0, NULL);
    const char *kind = json_string_value(json_object_get(object, "kind"));
    const json_t *iteration = json_object_get(object, "iteration");
    const bool good = kind && json_is_integer(iteration);
    if (good) *row = clm_policy_row_empty((uint64_t)json_integer_value(iteration), strcmp(kind, kinds[1]) == 0);
    for (size_t i = 0; good && i < CLM_POLICY_METRIC_COUNT; i++) {
        const json_t *value = json_object_get(object, metric_names[i]);
        if (json_is_number(value)) row->value[i] = json_number_value(value);
    }
    json_decref(object);
    return good;
}

/* A line that is cut short is one that a killed run was writing: it and what follows are dropped. */
static clm_status read_rows(clm_policy_log *log, const char *path, uint64_t upto) {
    char *text;
    clm_status status = CLM_OK;
    if (!clm_path_exists(path)) return CLM_OK;
    CLM_TRY(clm_file_read(path, &text, NULL));
    for (const char *line = text, *end; status == CLM_OK && (end = strchr(line, '\n')); line = end + 1) {
        clm_policy_row row;
        if (!parse_row(line, (size_t)(end - line), &row)) break;
        if (row.iteration <= upto) status = remember(log, &row);
    }
    free(text);
    return status;
}

/* ---- files ---- */

static clm_status open_file(FILE **file, const char *directory, const char *name) {
    char path[CLM_POLICY_PATH], temporary[CLM_POLICY_PATH];
    CLM_TRY(clm_policy_path(path, directory, name));
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= CLM_POLICY_PATH)
        return clm_fail(CLM_E_LIMIT, "path too long: %s", path);
    *file = fopen(temporary, "wb");
    if (*file && rename(temporary, path) == 0) return CLM_OK;
    return clm_fail(CLM_E_IO, "cannot write %s: %s", path, strerror(errno));
}

clm_status clm_policy_log_open(clm_policy_log *log, const char *directory, bool resumed, uint64_t upto) {
    char path[CLM_POLICY_PATH];
    CLM_TRY(clm_policy_path(path, directory, "metrics.jsonl"));
    if (resumed) CLM_TRY(read_rows(log, path, upto));
    CLM_TRY(open_file(&log->jsonl, directory, "metrics.jsonl"));
    CLM_TRY(open_file(&log->csv, directory, "metrics.csv"));
    fputs("iteration,kind", log->csv);
    for (size_t i = 0; i < CLM_POLICY_METRIC_COUNT; i++) fprintf(log->csv, ",%s", metric_names[i]);
    fputc('\n', log->csv);
    for (size_t i = 0; i < log->count; i++) CLM_TRY(write_row(log, &log->rows[i]));
    return CLM_OK;
}

void clm_policy_log_close(clm_policy_log *log) {
    if (log->jsonl) fclose(log->jsonl);
    if (log->csv) fclose(log->csv);
    if (log->locked) clm_file_unlock(log->lock);
    free(log->rows);
    memset(log, 0, sizeof *log);
}
