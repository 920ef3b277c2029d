/* What the columns of a table are for: the headline against the options. */
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "data/table.h"

/* ---- options by themselves ---- */

static clm_status check_names(const char *what, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!names || !names[i] || !*names[i]) return clm_fail(CLM_E_ARG, "table: %s %zu has no name", what, i);
    return CLM_OK;
}

static clm_status check_series(const clm_table_options *o) {
    const bool ordered = o->window > 0 || o->horizon > 0;
    if (o->window < 0 || o->window > CLM_TABLE_WINDOW || o->horizon < 0 || o->horizon > CLM_TABLE_WINDOW)
        return clm_fail(CLM_E_ARG, "table: a window of %d rows, a horizon of %d: 0 to %d are possible", o->window, o->horizon,
                        CLM_TABLE_WINDOW);
    if (o->time_column && !ordered)
        return clm_fail(CLM_E_ARG,
                        "table: the time column %s orders rows for a window or a horizon; give one (--window N, "
                        "--horizon N), or leave it out",
                        o->time_column);
    if (o->channels_first && !o->window)
        return clm_fail(CLM_E_ARG, "table: channels first is a layout of windows; give a window (--window N), or leave it out");
    if (o->missing == CLM_MISSING_DROP && ordered)
        return clm_fail(CLM_E_ARG, "table: --missing drop would join rows that do not follow one another, which a window or a "
                                   "horizon needs; take --missing mean, or fill the gaps in the file");
    return CLM_OK;
}

clm_status clm_table_check_options(const clm_table_options *o) {
    if (!o) return clm_fail(CLM_E_ARG, "table: options are needed; begin them with CLM_TABLE_OPTIONS_INIT");
    if (o->version != CLM_TABLE_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "table: options of version %d; begin them with CLM_TABLE_OPTIONS_INIT", o->version);
    if (!o->task_column || !*o->task_column)
        return clm_fail(CLM_E_ARG, "table: no task_column: name the column whose values say which task a row belongs to");
    if (o->n_targets < 1) return clm_fail(CLM_E_ARG, "table: no targets: name the column to predict, or several");
    if (o->labels && o->n_targets != 1)
        return clm_fail(CLM_E_ARG, "table: labels are of one target, not of %zu; give one (--target NAME)", o->n_targets);
    if ((unsigned)o->missing > CLM_MISSING_DROP)
        return clm_fail(CLM_E_ARG, "table: no way %d with missing values", (int)o->missing);
    if (o->n_features && o->n_ignore)
        return clm_fail(CLM_E_ARG, "table: features say which columns are used, so there is nothing to ignore; leave one out");
    CLM_TRY(check_names("target", o->targets, o->n_targets));
    CLM_TRY(check_names("feature", o->features, o->n_features));
    CLM_TRY(check_names("ignored column", o->ignore, o->n_ignore));
    CLM_TRY(check_names("categorical column", o->categorical, o->n_categorical));
    return check_series(o);
}

/* ---- the headline ---- */

typedef enum role { FREE, TASK, TIME, TARGET, IGNORED, ROLES } role;
static const char *const role_names[ROLES] = {"a feature", "the task column", "the time column", "a target", "ignored"};

typedef struct roles {
    const clm_table *table;
    const clm_csv *head;
    uint8_t *of;       /* [fields]: a role */
    uint8_t *features; /* [fields]: 1 is a feature, 2 a categorical one */
} roles;

/* "id, x, y": what there is, as far as there is room. */
static void list_columns(const clm_csv *head, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < head->count; i++) {
        const size_t length = strlen(head->fields[i]);
        if (used + length + 8 > size) {
            snprintf(text + used, size - used, "%s", used ? ", .." : "..");
            return;
        }
        if (!length) continue;
        if (used) memcpy(text + used, ", ", 2), used += 2;
        memcpy(text + used, head->fields[i], length + 1);
        used += length;
    }
}

/* A number is a value rather than a name. */
static bool is_number(const char *text) {
    const char *end;
    (void)clm_number_parse(text, &end);
    return end != text && !*end;
}

static clm_status find_field(const roles *r, const char *name, size_t *field) {
    char list[256];
    for (*field = 0; *field < r->head->count; ++*field)
        if (strcmp(r->head->fields[*field], name) == 0) return CLM_OK;
    list_columns(r->head, list, sizeof list);
    bool numbers = r->head->count > 0;
    for (size_t i = 0; i < r->head->count; i++) numbers = numbers && is_number(r->head->fields[i]);
    return clm_fail(CLM_E_ARG, "%s has no column '%.80s'; its columns are %s%s", r->table->path, name, list,
                    numbers ? ": is the headline missing?" : "");
}

static clm_status claim(roles *r, const char *name, role as, size_t *field) {
    CLM_TRY(find_field(r, name, field));
    const role is = (role)r->of[*field];
    r->of[*field] = (uint8_t)as;
    if (is == FREE) return CLM_OK;
    if (is == as) return clm_fail(CLM_E_ARG, "%s: column %.80s is named twice as %s", r->table->path, name, role_names[as]);
    return clm_fail(CLM_E_ARG, "%s: column %.80s cannot be %s and %s", r->table->path, name, role_names[is], role_names[as]);
}

static clm_status claim_feature(roles *r, const char *name, size_t *field) {
    CLM_TRY(find_field(r, name, field));
    const role is = (role)r->of[*field];
    if (r->features[*field]) return clm_fail(CLM_E_ARG, "%s: column %.80s is named twice as a feature", r->table->path, name);
    r->features[*field] = 1;
    if (is == FREE || is == TIME || (is == TARGET && r->table->options->horizon > 0)) return CLM_OK;
    return clm_fail(CLM_E_ARG, "%s: column %.80s is %s and cannot be a feature too%s", r->table->path, name, role_names[is],
                    is == TARGET ? ", unless the target lies ahead (--horizon N)" : "");
}

static clm_status claim_categorical(roles *r, const char *name) {
    size_t field;
    CLM_TRY(find_field(r, name, &field));
    if (r->features[field] == 2)
        return clm_fail(CLM_E_ARG, "%s: column %.80s is named twice as categorical", r->table->path, name);
    if (!r->features[field])
        return clm_fail(CLM_E_ARG, "%s: column %.80s is categorical, but no feature: it is %s; leave it out of one of the two",
                        r->table->path, name, r->of[field] == FREE ? "not used" : role_names[r->of[field]]);
    r->features[field] = 2;
    return CLM_OK;
}

static clm_status check_headline(clm_table *t, const clm_csv *head) {
    clm_words names = {0};
    clm_status status = CLM_OK;
    uint32_t number;
    for (size_t i = 0; i < head->count && status == CLM_OK; i++) {
        const char *name = head->fields[i];
        const size_t before = names.count;
        if (!*name) {
            clm_table_left_out(t, "column %zu has no name in the headline", i + 1);
            continue;
        }
        status = clm_words_add(&names, name, &number);
        if (status == CLM_OK && names.count == before)
            status = clm_fail(CLM_E_FORMAT, "%s: two columns are called %.80s; %s", t->path, name,
                              is_number(name) ? "is the headline missing? put the names of columns into the first line"
                                              : "rename one");
    }
    clm_words_free(&names);
    return status;
}

/* ---- columns ---- */

static clm_status add_column(clm_table *t, const clm_csv *head, size_t field, bool words, size_t *number) {
    for (*number = 0; *number < t->n_columns; ++*number)
        if (t->columns[*number].field == field && t->columns[*number].words == words) return CLM_OK;
    CLM_TRY(clm_grow(&t->columns, &t->columns_capacity, t->n_columns + 1, sizeof *t->columns));
    t->columns[t->n_columns++] = (clm_table_column){.name = clm_strdup(head->fields[field]), .field = field, .words = words};
    return t->columns[*number].name ? CLM_OK : CLM_E_MEMORY;
}

static clm_status add_features(clm_table *t, roles *r) {
    const clm_table_options *o = t->options;
    size_t field;
    for (size_t i = 0; i < o->n_features; i++) CLM_TRY(claim_feature(r, o->features[i], &field));
    for (field = 0; field < r->head->count && !o->n_features; field++)
        r->features[field] = r->of[field] == FREE && *r->head->fields[field];
    for (size_t i = 0; i < o->n_categorical; i++) CLM_TRY(claim_categorical(r, o->categorical[i]));
    for (field = 0; field < r->head->count; field++) /* in the order of the file, however they are named */
        if (r->features[field]) CLM_TRY(add_column(t, r->head, field, r->features[field] == 2, &t->features[t->n_features++]));
    if (t->n_features) return CLM_OK;
    return clm_fail(CLM_E_ARG, "%s: no column is left for the features; add columns, or ignore fewer", t->path);
}

static clm_status find_all(clm_table *t, roles *r) {
    const clm_table_options *o = t->options;
    size_t field;
    t->time = CLM_TABLE_NONE;
    CLM_TRY(claim(r, o->task_column, TASK, &field));
    CLM_TRY(add_column(t, r->head, field, true, &t->task));
    if (o->time_column) {
        CLM_TRY(claim(r, o->time_column, TIME, &field));
        CLM_TRY(add_column(t, r->head, field, true, &t->time));
    }
    for (size_t i = 0; i < o->n_targets; i++) {
        CLM_TRY(claim(r, o->targets[i], TARGET, &field));
        CLM_TRY(add_column(t, r->head, field, o->labels, &t->targets[t->n_targets++]));
    }
    for (size_t i = 0; i < o->n_ignore; i++) CLM_TRY(claim(r, o->ignore[i], IGNORED, &field));
    return add_features(t, r);
}

clm_status clm_table_find_columns(clm_table *t, const clm_csv *head) {
    roles r = {t, head, clm_calloc(head->count, 1), clm_calloc(head->count, 1)};
    clm_status status = CLM_OK;
    t->features = clm_calloc(head->count, sizeof *t->features);
    t->targets = clm_calloc(head->count, sizeof *t->targets);
    if (!r.of || !r.features || !t->features || !t->targets) CLM_GOTO(CLM_E_MEMORY);
    CLM_GOTO(check_headline(t, head));
    CLM_GOTO(find_all(t, &r));
    for (size_t i = 0; i < t->n_features; i++) t->columns[t->features[i]].feature = true;
    for (size_t i = 0; i < t->n_targets; i++) t->columns[t->targets[i]].target = true;
out:
    free(r.of);
    free(r.features);
    return status;
}
