/* Weights of another program, by the names that PyTorch gives them.
 *
 * What stands before the names, "model." or "module.", is found out: of all that would make a name of the file one of the
 * model's, the one that serves most parameters, and of these the shortest. Everything is checked before anything changes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "clmaml/params.h"
#include "meta/internal.h"

enum { NAMES_MOST = 8 }; /* that a message lists */

typedef struct import {
    clm_params *params;
    const clm_archive *archive;
    size_t head, head_count; /* parameters of the last layer, where they are to stay */
    char prefix[64];
    char stored[192]; /* a name in the file */
    double *values;
} import;

static size_t count(const import *m) { return m->params->task.n_model; }
static const clm_entry *entry(const import *m, size_t i) { return &m->params->task.entries[i]; }
static const char *name_of(const import *m, size_t i) { return clm_model_param(m->params->task.model, i)->name; }
static bool stays(const import *m, size_t i) { return i >= m->head && i < m->head + m->head_count; }

static const clm_shape *find(import *m, const char *prefix, size_t i) {
    snprintf(m->stored, sizeof m->stored, "%s%s", prefix, name_of(m, i));
    return clm_archive_shape(m->archive, m->stored);
}

/* ---- the prefix ---- */

static size_t score(import *m, const char *prefix) {
    size_t found = 0;
    for (size_t i = 0; i < count(m); i++) found += find(m, prefix, i) != NULL;
    return found;
}

/* What stands before parameter i in a name of the file; false: it is another name. */
static bool split(const import *m, const char *stored, size_t i, char *prefix) {
    const size_t n = strlen(stored), own = strlen(name_of(m, i));
    if (n < own || n - own >= sizeof m->prefix || strcmp(stored + n - own, name_of(m, i)) != 0) return false;
    if (n > own && stored[n - own - 1] != '.') return false;
    memcpy(prefix, stored, n - own);
    prefix[n - own] = 0;
    return true;
}

static void find_prefix(import *m) {
    char other[sizeof m->prefix];
    size_t best = score(m, "");
    for (size_t k = 0; k < clm_archive_count(m->archive); k++)
        for (size_t i = 0; i < count(m); i++) {
            if (!split(m, clm_archive_name(m->archive, k), i, other)) continue;
            const size_t found = score(m, other);
            if (found < best || (found == best && strlen(other) >= strlen(m->prefix))) continue;
            best = found;
            memcpy(m->prefix, other, sizeof other);
        }
}

/* ---- lists of names ---- */

static void list(clm_text *text, size_t *n, const char *name) {
    if ((*n)++ < NAMES_MOST) clm_text_add(text, "%s%s", text->length ? ", " : "", name);
}

static const char *end_list(clm_text *text, size_t n) {
    if (n > NAMES_MOST) clm_text_add(text, " and %zu more", n - NAMES_MOST);
    return text->data ? text->data : "";
}

static clm_status check_missing(import *m) {
    clm_text missing = {0}, held = {0};
    size_t n = 0, all = 0;
    clm_status status = CLM_OK;
    for (size_t i = 0; i < count(m); i++)
        if (!stays(m, i) && !find(m, m->prefix, i)) list(&missing, &n, name_of(m, i));
    for (size_t k = 0; n && k < clm_archive_count(m->archive); k++) list(&held, &all, clm_archive_name(m->archive, k));
    if (n)
        status = clm_fail(CLM_E_FORMAT, "it lacks parameters of the model: %s; it holds %s", end_list(&missing, n),
                          all ? end_list(&held, all) : "nothing");
    clm_text_free(&missing);
    clm_text_free(&held);
    return status;
}

static bool is_statistic(const char *name) {
    static const char *const ends[] = {"running_mean", "running_var", "num_batches_tracked"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(dot + 1, ends[i]) == 0) return true;
    return false;
}

static bool is_taken(import *m, const char *stored) {
    for (size_t i = 0; i < count(m); i++)
        if (!stays(m, i) && find(m, m->prefix, i) && strcmp(m->stored, stored) == 0) return true;
    return false;
}

static clm_status report_unused(import *m, clm_import_report *report) {
    clm_text unused = {0};
    for (size_t k = 0; k < clm_archive_count(m->archive); k++) {
        const char *stored = clm_archive_name(m->archive, k);
        if (is_statistic(stored))
            report->statistics++;
        else if (!is_taken(m, stored))
            list(&unused, &report->unused_count, stored);
    }
    snprintf(report->unused, sizeof report->unused, "%s", end_list(&unused, report->unused_count));
    const clm_status status = unused.failed ? CLM_E_MEMORY : CLM_OK;
    clm_text_free(&unused);
    return status;
}

/* ---- values ---- */

static clm_status other_shape(const import *m, size_t i, const clm_shape *stored) {
    char have[96], want[96];
    size_t n;
    const size_t head = clm_model_head(m->params->task.model, &n);
    return clm_fail(CLM_E_SHAPE, "array \"%s\" has shape %s, the model's %s is %s%s", m->stored,
                    clm_shape_text(stored, have, sizeof have), name_of(m, i),
                    clm_shape_text(&entry(m, i)->shape, want, sizeof want),
                    i >= head && i < head + n ? "; it is of the last layer, which is drawn anew with new_head" : "");
}

/* An entry with a row for each inner step takes the same in all of them, or its own rows from a checkpoint. */
static clm_status read_entry(import *m, size_t i) {
    const clm_entry *e = entry(m, i);
    const clm_shape all = clm_entry_shape(e), *stored = find(m, m->prefix, i);
    const size_t row = clm_shape_size(&e->shape);
    double *values = m->values + e->at;
    if (clm_shape_equal(stored, &all)) {
        CLM_TRY(clm_archive_read(m->archive, m->stored, &all, values, e->size));
    } else if (clm_shape_equal(stored, &e->shape)) {
        CLM_TRY(clm_archive_read(m->archive, m->stored, &e->shape, values, row));
        for (size_t k = row; k < e->size; k++) values[k] = values[k - row];
    } else {
        return other_shape(m, i, stored);
    }
    for (size_t k = 0; k < e->size; k++)
        if (!isfinite(values[k])) return clm_fail(CLM_E_NUMERIC, "array \"%s\" has numbers that are not finite", m->stored);
    return CLM_OK;
}

static clm_status read_values(import *m, clm_import_report *report) {
    find_prefix(m);
    CLM_TRY(check_missing(m));
    for (size_t i = 0; i < count(m); i++) {
        if (stays(m, i)) continue;
        CLM_TRY(read_entry(m, i));
        report->taken++;
    }
    snprintf(report->prefix, sizeof report->prefix, "%s", m->prefix);
    return report_unused(m, report);
}

clm_status clm_params_import(clm_params *params, const clm_archive *archive, bool new_head, clm_import_report *report) {
    const size_t bytes = params->task.elements * sizeof *params->values;
    clm_import_report ignored, *r = report ? report : &ignored;
import m = {.params = params, .archive = archive };
    memset(r, 0, sizeof *r);
    if (new_head) m.head = clm_model_head(params->task.model, &m.head_count);
    if (!(m.values = clm_calloc(params->task.elements, sizeof *m.values))) return CLM_E_MEMORY;
    memcpy(m.values, params->values, bytes);
    const clm_status status = read_values(&m, r);
    if (status == CLM_OK) memcpy(params->values, m.values, bytes);
    free(m.values);
    return status;
}
