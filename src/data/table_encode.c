/* A table becomes tasks and numbers.
 *
 * Means, deviations and categories are of the rows of all training tasks, those left out as too small included: so they
 * depend on the file, the split and its seed, and not on how many examples a task is asked for. Rows are summed in the order
 * of tasks. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "data/own.h"
#include "data/table.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF /* means are the same on every machine, see base/random.c */
#endif

enum { NOTES = 10 }; /* lines of one kind; the rest is counted */

/* ---- rows by task and time ---- */

typedef struct row_key {
    uint32_t task, time, row;
} row_key;

static int by_task_and_time(const void *a, const void *b) {
    const row_key *x = a, *y = b;
    if (x->task != y->task) return x->task < y->task ? -1 : 1;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static clm_status ranks_of(const clm_table *t, size_t column, uint32_t **out) {
    *out = NULL;
    if (column == CLM_TABLE_NONE) return CLM_OK;
    const clm_words *set = &t->columns[column].set;
    *out = clm_calloc(set->count, sizeof **out);
    return *out ? clm_words_rank(set, *out) : CLM_E_MEMORY;
}

static clm_status order_rows(const clm_table *t, row_key *rows) {
    uint32_t *task = NULL, *time = NULL;
    clm_status status = ranks_of(t, t->task, &task);
    assert(t->task != CLM_TABLE_NONE && (task || status != CLM_OK));
    if (status == CLM_OK) status = ranks_of(t, t->time, &time);
    for (size_t i = 0; i < t->rows && status == CLM_OK; i++)
        rows[i] = (row_key){task[t->columns[t->task].codes[i]], time ? time[t->columns[t->time].codes[i]] : 0, (uint32_t)i};
    if (status == CLM_OK) qsort(rows, t->rows, sizeof *rows, by_task_and_time);
    free(task);
    free(time);
    return status;
}

static clm_status make_groups(clm_table_source *s, const clm_table *t, const row_key *rows) {
    const clm_table_column *task = &t->columns[t->task];
    s->groups = clm_calloc(task->set.count, sizeof *s->groups);
    if (!s->groups) return CLM_E_MEMORY;
    for (size_t i = 0; i < t->rows; i++) {
        if (i == 0 || rows[i].task != rows[i - 1].task) {
            const char *name = task->set.word[task->codes[rows[i].row]];
            s->groups[s->n_groups] = (clm_table_group){.name = clm_strdup(name), .first = i, .split = -1};
            if (!s->groups[s->n_groups++].name) return CLM_E_MEMORY;
        }
        s->groups[s->n_groups - 1].rows++;
    }
    return CLM_OK;
}

/* ---- splits ---- */

static clm_status draw_split(clm_table_source *s, clm_table *t) {
    const clm_own_parts parts = {t->options->task_split, t->options->split_seed, 0};
    size_t counts[CLM_SPLITS] = {0}, at = 0;
    uint32_t *order = clm_calloc(s->n_groups, sizeof *order);
    clm_status status = order ? CLM_OK : CLM_E_MEMORY;
    if (order) clm_own_draw_split(s->n_groups, &parts, order, counts);
    for (int split = 0; split < CLM_SPLITS && status == CLM_OK; split++)
        for (size_t i = 0; i < counts[split]; i++) s->groups[order[at++]].split = split;
    free(order);
    if (status != CLM_OK) return status;
    if (at < s->n_groups)
        clm_table_remark(t, "%zu of %zu tasks are in no split: the task split asks for fewer (--task-split)", s->n_groups - at,
                         s->n_groups);
    if (counts[CLM_SPLIT_TRAIN]) return CLM_OK;
    return clm_fail(CLM_E_ARG,
                    "%s: no task is for training, whose rows say what is standardised and which categories there are; "
                    "give the training split some by the task split (--task-split A,B,C)",
                    t->path);
}

static void note_small(clm_table_source *s, clm_table *t, size_t least) {
    size_t small = 0;
    for (size_t i = 0; i < s->n_groups; i++) {
        const clm_table_group *g = &s->groups[i];
        if (g->examples >= least || g->split < 0) continue;
        if (small++ < NOTES)
            clm_table_left_out(t, "task %s has %zu row%s, which make %zu of the %zu examples it needs: it is left out", g->name,
                               g->rows, g->rows == 1 ? "" : "s", g->examples, least);
    }
    if (small > NOTES) clm_table_left_out(t, "and %zu more tasks are left out as too small", small - NOTES);
}

static clm_status list_split(clm_table_source *s, clm_split split, size_t least) {
    clm_table_split *to = &s->splits[split];
    if (!(to->groups = clm_calloc(s->n_groups, sizeof *to->groups))) return CLM_E_MEMORY;
    for (size_t i = 0; i < s->n_groups; i++) {
        if (s->groups[i].split != (int)split || s->groups[i].examples < least) continue;
        if (!to->count || s->groups[i].examples < s->groups[to->groups[to->smallest]].examples)
            to->smallest = (uint32_t)to->count;
        to->groups[to->count++] = (uint32_t)i;
    }
    return CLM_OK;
}

/* "a window of 50 rows and a horizon of 2" */
static const char *name_series(const clm_table_source *s, char *text, size_t size) {
    int used = 0;
    text[0] = 0;
    if (s->window) used = snprintf(text, size, "a window of %d row%s", s->window, s->window == 1 ? "" : "s");
    if (s->horizon) snprintf(text + used, size - (size_t)used, "%sa horizon of %d", used ? " and " : "", s->horizon);
    return text;
}

/* The longest task is too short; `lost`: rows of a task that begin no example. */
static clm_status refuse_short(const clm_table_source *s, const clm_table *t, const clm_table_group *longest, size_t least,
                               size_t lost) {
    char series[96];
    const char *rows = longest->rows == 1 ? "row" : "rows";
    name_series(s, series, sizeof series);
    if (!lost)
        return clm_fail(CLM_E_ARG,
                        "%s: no task has the %zu examples that shots and queries need; the largest, %s, has %zu; ask for "
                        "fewer, or add rows",
                        t->path, least, longest->name, longest->examples);
    if (!longest->examples)
        return clm_fail(
            CLM_E_ARG, "%s: %s needs %zu rows of a task, and the longest, %s, has %zu %s; give a shorter one (%s), or add rows",
            t->path, series, lost + 1, longest->name, longest->rows, rows,
            !s->window   ? "--horizon"
            : s->horizon ? "--window, --horizon"
                         : "--window");
    return clm_fail(
        CLM_E_ARG,
        "%s: no task has the %zu examples that shots and queries need; the longest, %s, has %zu in its %zu %s, for %s; ask "
        "for fewer, give a shorter one, or add rows",
        t->path, least, longest->name, longest->examples, longest->rows, rows, series);
}

/* Tasks with too few examples leave their splits. */
static clm_status choose_tasks(clm_table_source *s, clm_table *t) {
    const size_t least = t->options->least ? t->options->least : 1,
                 lost = (size_t)(s->window ? s->window - 1 : 0) + (size_t)s->horizon;
    size_t longest = 0;
    for (size_t i = 0; i < s->n_groups; i++) {
        clm_table_group *g = &s->groups[i];
        g->examples = g->rows > lost ? g->rows - lost : 0;
        if (g->rows > s->groups[longest].rows) longest = i;
    }
    if (s->groups[longest].examples < least) return refuse_short(s, t, &s->groups[longest], least, lost);
    note_small(s, t, least);
    for (int split = 0; split < CLM_SPLITS; split++) CLM_TRY(list_split(s, (clm_split)split, least));
    return CLM_OK;
}

/* ---- numbers ---- */

/* Rows in order, and which of them train. */
typedef struct ordered {
    const row_key *rows;
    size_t count;
    uint8_t *trains; /* [count] */
} ordered;

static void mark_training(const clm_table_source *s, ordered *o) {
    for (size_t i = 0; i < s->n_groups; i++)
        for (size_t k = 0; k < s->groups[i].rows; k++)
            o->trains[s->groups[i].first + k] = s->groups[i].split == CLM_SPLIT_TRAIN;
}

/* Mean and deviation of what training rows have; the deviation of a constant counts as 1. */
static clm_status measure(clm_table *t, const ordered *o, const clm_table_column *c, double *mean, double *deviation) {
    double sum = 0, squares = 0;
    size_t n = 0;
    for (size_t i = 0; i < o->count; i++) {
        const double v = c->numbers[o->rows[i].row];
        if (o->trains[i] && !isnan(v)) sum += v, n++;
    }
    if (!n) return clm_fail(CLM_E_FORMAT, "%s: column %s has no value in any training task; leave it out", t->path, c->name);
    *mean = sum / (double)n;
    for (size_t i = 0; i < o->count; i++) {
        const double v = c->numbers[o->rows[i].row] - *mean;
        if (o->trains[i] && !isnan(v)) squares += v * v;
    }
    *deviation = sqrt(squares / (double)n);
    if (*deviation > 1e-12 * fabs(*mean)) return CLM_OK;
    *deviation = 1;
    clm_table_remark(t, "column %s is the same in all training tasks", c->name);
    return CLM_OK;
}

/* How a column becomes numbers. */
typedef struct encoder {
    const clm_table_column *column;
    size_t first, count;    /* its place among the features */
    double mean, deviation; /* of numbers */
    uint32_t *places;       /* of words: by code, which of `count` is 1; CLM_TABLE_MISSING: none */
} encoder;

static clm_status add_name(clm_table_source *s, char *name) {
    if (!name) return CLM_E_MEMORY;
    s->feature_names[s->features++] = name;
    return CLM_OK;
}

/* Categories are those of training rows, in order; others have no place. */
static clm_status find_categories(clm_table_source *s, clm_table *t, const ordered *o, encoder *e) {
    const clm_table_column *c = e->column;
    uint32_t *rank = NULL, *code = clm_calloc(c->set.count ? c->set.count : 1, sizeof *code);
    clm_status status = CLM_OK;
    e->places = clm_calloc(c->set.count ? c->set.count : 1, sizeof *e->places);
    if (!code || !e->places) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(ranks_of(t, (size_t)(c - t->columns), &rank));
    assert(rank);
    for (size_t k = 0; k < c->set.count; k++) code[rank[k]] = (uint32_t)k, e->places[k] = CLM_TABLE_MISSING;
    for (size_t i = 0; i < o->count; i++) {
        const uint32_t value = c->codes[o->rows[i].row];
        if (o->trains[i] && value != CLM_TABLE_MISSING) e->places[value] = 0;
    }
    for (size_t k = 0; k < c->set.count; k++) {
        if (e->places[code[k]] == CLM_TABLE_MISSING) continue;
        if (e->count == CLM_TABLE_CATEGORIES)
            CLM_GOTO(clm_fail(CLM_E_LIMIT, "%s: column %s has more than %d categories; ignore it, or make them fewer", t->path,
                              c->name, CLM_TABLE_CATEGORIES));
        e->places[code[k]] = (uint32_t)e->count++;
        CLM_GOTO(add_name(s, clm_format("%s=%s", c->name, c->set.word[code[k]])));
    }
    if (!e->count)
        status = clm_fail(CLM_E_FORMAT, "%s: column %s has no value in any training task; leave it out", t->path, c->name);
out:
    free(rank);
    free(code);
    return status;
}

static void note_unseen(clm_table *t, const ordered *o, const encoder *e) {
    const clm_table_column *c = e->column;
    const char *example = NULL;
    size_t n = 0;
    for (size_t i = 0; i < o->count; i++) {
        const uint32_t value = c->codes[o->rows[i].row];
        if (value == CLM_TABLE_MISSING || e->places[value] != CLM_TABLE_MISSING) continue;
        if (!n++) example = c->set.word[value];
    }
    if (n)
        clm_table_remark(
            t, "column %s: %zu row%s of categories that no training task has, such as %.40s: all its numbers are 0 there",
            c->name, n, n == 1 ? " is" : "s are", example);
}

static void note_missing(clm_table *t, const encoder *e) {
    const clm_table_column *c = e->column;
    size_t n = 0;
    for (size_t i = 0; i < t->rows; i++) n += c->words ? c->codes[i] == CLM_TABLE_MISSING : (size_t)isnan(c->numbers[i]);
    if (n)
        clm_table_remark(t, "column %s: %zu missing value%s %s", c->name, n, n == 1 ? " is" : "s are",
                         c->words ? "of no category" : "the mean of the training tasks");
}

static clm_status make_encoder(clm_table_source *s, clm_table *t, const ordered *o, size_t column, encoder *e) {
    *e = (encoder){.column = &t->columns[column], .first = s->features, .count = 0, .deviation = 1};
    if (e->column->words) {
        CLM_TRY(find_categories(s, t, o, e));
        note_unseen(t, o, e);
    } else {
        double mean = 0, deviation = 1;
        CLM_TRY(measure(t, o, e->column, &mean, &deviation));
        CLM_TRY(add_name(s, clm_strdup(e->column->name)));
        e->mean = mean; /* for missing values too */
        if (t->options->standardise) e->deviation = deviation;
        e->count = 1;
    }
    note_missing(t, e);
    return CLM_OK;
}

/* What lies beyond all floats once it is in units of a deviation. */
static clm_status check_float(const clm_table *t, uint32_t row, const clm_table_column *c, double value) {
    if (isfinite((float)value)) return CLM_OK;
    return clm_fail(CLM_E_FORMAT,
                    "%s: line %u, column %s: %g is %g deviations of the training tasks from their mean, which no float holds; "
                    "correct it, or leave numbers as they are (--standardise no)",
                    t->path, (unsigned)t->lines[row], c->name, c->numbers[row], value);
}

static clm_status encode_column(const clm_table_source *s, const clm_table *t, const ordered *o, const encoder *e) {
    for (size_t i = 0; i < o->count; i++) {
        float *to = s->x + i * s->features + e->first;
        const uint32_t row = o->rows[i].row;
        if (e->column->words) {
            const uint32_t code = e->column->codes[row], place = code == CLM_TABLE_MISSING ? code : e->places[code];
            if (place != CLM_TABLE_MISSING) to[place] = 1;
            continue;
        }
        const double v = isnan(e->column->numbers[row]) ? e->mean : e->column->numbers[row];
        const double value = t->options->standardise ? (v - e->mean) / e->deviation : v;
        CLM_TRY(check_float(t, row, e->column, value));
        *to = (float)value;
    }
    return CLM_OK;
}

static clm_status check_room(const clm_table_source *s, const clm_table *t) {
    const double row = (double)(s->features + s->targets) * sizeof(float), need = (double)t->rows * row;
    uint64_t memory;
    if (s->features > CLM_TABLE_FEATURES)
        return clm_fail(CLM_E_LIMIT, "%s: %zu features of a row, categories included, are more than %d; use fewer columns",
                        t->path, s->features, CLM_TABLE_FEATURES);
    CLM_TRY(clm_host_memory(&memory));
    if (!memory || need <= 0.75 * (double)memory) return CLM_OK;
    return clm_fail(CLM_E_LIMIT,
                    "%s: %zu rows of %zu features take %s, more than three quarters of the memory (%s); %.0f rows would fit",
                    t->path, t->rows, s->features, clm_bytes_text(need).s, clm_bytes_text(0.75 * (double)memory).s,
                    floor(0.75 * (double)memory / row));
}

static clm_status encode_features(clm_table_source *s, clm_table *t, const ordered *o) {
    encoder *encoders = clm_calloc(t->n_features, sizeof *encoders);
    clm_status status = encoders ? CLM_OK : CLM_E_MEMORY;
    size_t most = 0;
    for (size_t i = 0; i < t->n_features; i++)
        most += t->columns[t->features[i]].words ? t->columns[t->features[i]].set.count : 1;
    s->feature_names = clm_calloc(most ? most : 1, sizeof *s->feature_names);
    if (!s->feature_names) status = CLM_E_MEMORY;
    for (size_t i = 0; i < t->n_features && status == CLM_OK; i++) status = make_encoder(s, t, o, t->features[i], &encoders[i]);
    if (status == CLM_OK) status = check_room(s, t);
    if (status == CLM_OK && !(s->x = clm_calloc(t->rows * s->features, sizeof *s->x))) status = CLM_E_MEMORY;
    for (size_t i = 0; i < t->n_features && status == CLM_OK; i++) status = encode_column(s, t, o, &encoders[i]);
    for (size_t i = 0; i < t->n_features && encoders; i++) free(encoders[i].places);
    free(encoders);
    return status;
}

/* ---- targets ---- */

/* Labels are the places of words in order, of the whole table. */
static clm_status encode_labels(clm_table_source *s, clm_table *t, const ordered *o) {
    const clm_table_column *c = &t->columns[t->targets[0]];
    uint32_t *rank = NULL;
    clm_status status = CLM_OK;
    if (c->set.count < 2 || c->set.count > CLM_TABLE_CATEGORIES)
        return clm_fail(CLM_E_FORMAT, "%s: column %s has %zu class%s: 2 to %d are possible; %s", t->path, c->name, c->set.count,
                        c->set.count == 1 ? "" : "es", CLM_TABLE_CATEGORIES,
                        c->set.count == 1 ? "choose another target"
                                          : "if they are numbers to predict, leave labels (--loss cross-entropy) out");
    if (2 * c->set.count > t->rows)
        clm_table_remark(
            t, "column %s has %zu classes in %zu rows: if they are numbers to predict, leave --loss cross-entropy out", c->name,
            c->set.count, t->rows);
    s->label_names = clm_calloc(c->set.count, sizeof *s->label_names);
    if (!s->label_names) return CLM_E_MEMORY;
    s->base.labels = c->set.count;
    CLM_GOTO(ranks_of(t, t->targets[0], &rank));
    assert(rank);
    for (size_t k = 0; k < c->set.count; k++)
        if (!(s->label_names[rank[k]] = clm_strdup(c->set.word[k]))) CLM_GOTO(CLM_E_MEMORY);
    for (size_t i = 0; i < o->count; i++) s->y[i] = (float)rank[c->codes[o->rows[i].row]];
out:
    free(rank);
    return status;
}

static clm_status encode_targets(clm_table_source *s, clm_table *t, const ordered *o) {
    s->targets = t->n_targets;
    s->y = clm_calloc(t->rows * s->targets, sizeof *s->y);
    if (!s->y) return CLM_E_MEMORY;
    if (t->options->labels) return encode_labels(s, t, o);
    s->mean = clm_calloc(s->targets, sizeof *s->mean);
    s->deviation = clm_calloc(s->targets, sizeof *s->deviation);
    if (!s->mean || !s->deviation) return CLM_E_MEMORY;
    for (size_t k = 0; k < s->targets; k++) {
        const clm_table_column *c = &t->columns[t->targets[k]];
        double mean = 0, deviation = 1;
        if (t->options->standardise) CLM_TRY(measure(t, o, c, &mean, &deviation));
        for (size_t i = 0; i < o->count; i++) {
            const double value = (c->numbers[o->rows[i].row] - mean) / deviation;
            CLM_TRY(check_float(t, o->rows[i].row, c, value));
            s->y[i * s->targets + k] = (float)value;
        }
        s->mean[k] = mean;
        s->deviation[k] = deviation;
    }
    s->base.targets = (int)s->targets;
    if (!t->options->standardise) return CLM_OK;
    s->base.target_mean = s->mean;
    s->base.deviation = s->deviation;
    return CLM_OK;
}

clm_status clm_table_encode(clm_table_source *s, clm_table *t) {
    row_key *rows = clm_calloc(t->rows, sizeof *rows);
    ordered o = {rows, t->rows, clm_calloc(t->rows, 1)};
    clm_status status = CLM_OK;
    if (!rows || !o.trains) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(order_rows(t, rows));
    CLM_GOTO(make_groups(s, t, rows));
    CLM_GOTO(draw_split(s, t));
    CLM_GOTO(choose_tasks(s, t));
    mark_training(s, &o);
    CLM_GOTO(encode_targets(s, t, &o));
    CLM_GOTO(encode_features(s, t, &o));
    if (!(s->lines = clm_calloc(t->rows, sizeof *s->lines))) CLM_GOTO(CLM_E_MEMORY);
    for (size_t i = 0; i < t->rows; i++) s->lines[i] = t->lines[rows[i].row];
out:
    free(rows);
    free(o.trains);
    return status;
}
