/* A table as a source of tasks: a task is a group of rows, an example a row or a window of rows. */
#include "data/table.h"

#include <stdlib.h>
#include <string.h>

#include "data/own.h"

static const clm_table_source *table_of(const clm_source *source) { return (const clm_table_source *)source; }

static const clm_table_group *group_of(const clm_source *source, clm_split split, uint64_t group) {
    const clm_table_source *s = table_of(source);
    return &s->groups[s->splits[split].groups[group]];
}

static size_t groups(const clm_source *source, clm_split split) { return table_of(source)->splits[split].count; }

static size_t examples(const clm_source *source, clm_split split, uint64_t group) {
    return group_of(source, split, group)->examples;
}

static void smallest(const clm_source *source, clm_split split, uint64_t *group) {
    *group = table_of(source)->splits[split].smallest;
}

static char *group_name(const clm_source *source, clm_split split, uint64_t group) {
    return clm_strdup(group_of(source, split, group)->name);
}

static size_t window_of(const clm_table_source *s) { return s->window ? (size_t)s->window : 1; }

/* Example e of a group is its rows e .. e + window - 1. */
static clm_status inputs(const clm_source *source, clm_split split, uint64_t group, uint64_t example, float *out) {
    const clm_table_source *s = table_of(source);
    const size_t rows = window_of(s), width = s->features;
    const float *from = s->x + (group_of(source, split, group)->first + (size_t)example) * width;
    if (!s->channels_first) {
        memcpy(out, from, rows * width * sizeof *out);
        return CLM_OK;
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < width; k++) out[k * rows + i] = from[i * width + k];
    return CLM_OK;
}

static clm_status target(const clm_source *source, clm_split split, uint64_t group, uint64_t example, float *y) {
    const clm_table_source *s = table_of(source);
    const size_t row = group_of(source, split, group)->first + (size_t)example + window_of(s) - 1 + (size_t)s->horizon;
    memcpy(y, s->y + row * s->targets, s->targets * sizeof *y);
    return CLM_OK;
}

static char *place(const clm_source *source, clm_split split, uint64_t group, uint64_t example, size_t number) {
    const clm_table_source *s = table_of(source);
    const size_t rows = window_of(s), width = s->features;
    const size_t row = s->channels_first ? number % rows : number / width;
    const size_t feature = s->channels_first ? number / rows : number % width;
    return clm_format("%s: line %u, column %s", s->path,
                      (unsigned)s->lines[group_of(source, split, group)->first + (size_t)example + row],
                      s->feature_names[feature]);
}

static const char *label_name(const clm_source *source, size_t label) { return table_of(source)->label_names[label]; }

static const char *feature_name(const clm_source *source, size_t feature) {
    return feature < table_of(source)->features ? table_of(source)->feature_names[feature] : NULL;
}

static void free_names(char **names, size_t count) {
    for (size_t i = 0; i < count && names; i++) free(names[i]);
    free(names);
}

static void destroy(clm_source *source) {
    clm_table_source *s = (clm_table_source *)source;
    for (size_t i = 0; i < s->n_groups; i++) free(s->groups[i].name);
    for (int i = 0; i < CLM_SPLITS; i++) free(s->splits[i].groups);
    free_names(s->feature_names, s->features);
    free_names(s->label_names, s->base.labels);
    free(s->groups);
    free(s->x);
    free(s->y);
    free(s->lines);
    free(s->path);
    free(s->mean);
    free(s->deviation);
    free(s);
}

static const clm_source_ops table_ops = {.classes = groups,
                                         .examples = examples,
                                         .smallest = smallest,
                                         .image = inputs,
                                         .class_name = group_name,
                                         .target = target,
                                         .label_name = label_name,
                                         .feature_name = feature_name,
                                         .place = place,
                                         .destroy = destroy};

/* ---- opening ---- */

static clm_shape shape_of(const clm_table_source *s) {
    const int width = (int)s->features;
    if (!s->window) return clm_shape_of(1, width);
    return s->channels_first ? clm_shape_of(2, width, s->window) : clm_shape_of(2, s->window, width);
}

static void describe_targets(clm_text *text, const clm_table_source *s, const clm_table *t) {
    if (t->options->labels) {
        clm_text_add(text, "%s of %zu classes", t->columns[t->targets[0]].name, s->base.labels);
        return;
    }
    for (size_t i = 0; i < t->n_targets; i++) clm_text_add(text, "%s%s", i ? ", " : "", t->columns[t->targets[i]].name);
}

static clm_status describe(clm_table_source *s, const clm_table *t) {
    const clm_table_options *o = t->options;
    clm_text text = {0};
    clm_text_add(&text, "table %s: %zu rows of %zu tasks by %s, %zu feature%s", t->path, t->rows, s->n_groups,
                 t->columns[t->task].name, s->features, s->features == 1 ? "" : "s");
    if (s->window) clm_text_add(&text, " in windows of %d rows", s->window);
    clm_text_add(&text, ", target%s ", t->n_targets == 1 ? "" : "s");
    describe_targets(&text, s, t);
    if (s->horizon) clm_text_add(&text, " %d row%s ahead", s->horizon, s->horizon == 1 ? "" : "s");
    clm_text_add(&text, "%s; tasks: %zu train, %zu validation, %zu test (drawn by split seed %llu)",
                 o->standardise ? ", standardised by the training tasks" : "", s->splits[CLM_SPLIT_TRAIN].count,
                 s->splits[CLM_SPLIT_VALIDATION].count, s->splits[CLM_SPLIT_TEST].count, (unsigned long long)o->split_seed);
    s->base.description = text.data;
    s->base.split_drawn = true;
    return text.failed || !text.data ? CLM_E_MEMORY : CLM_OK;
}

static clm_status check_strict(const clm_table *t) {
    return t->options->strict && t->left_out ? clm_own_refuse(t->path, &t->left, t->left_out) : CLM_OK;
}

static clm_status fill(clm_table_source *s, clm_table *t) {
    s->base.ops = &table_ops;
    s->base.name = "table";
    s->base.fingerprint = t->fingerprint;
    s->window = t->options->window;
    s->horizon = t->options->horizon;
    s->channels_first = t->options->channels_first;
    if (!(s->path = clm_strdup(t->path))) return CLM_E_MEMORY;
    if (t->options->standardise) s->base.scaled = "leave numbers as they are in the file (--standardise no)";
    CLM_TRY(clm_table_encode(s, t));
    CLM_TRY(clm_table_note_shared(s, t));
    s->base.shape = shape_of(s);
    CLM_TRY(check_strict(t));
    CLM_TRY(describe(s, t));
    if (t->notes.failed) return CLM_E_MEMORY;
    s->base.notes = t->notes.data;
    t->notes = (clm_text){0};
    return CLM_OK;
}

clm_status clm_source_table_open(clm_source **out, const char *path, const clm_table_options *options) {
    clm_table_source *s = NULL;
    clm_table table;
    *out = NULL;
    clm_status status = clm_table_read(&table, path, options);
    if (status == CLM_OK && !(s = clm_calloc(1, sizeof *s))) status = CLM_E_MEMORY;
    if (status == CLM_OK) status = fill(s, &table);
    if (status == CLM_OK) {
        *out = &s->base;
        s = NULL;
    }
    if (s && s->base.ops) clm_source_free(&s->base);
    clm_table_free(&table);
    return status;
}
