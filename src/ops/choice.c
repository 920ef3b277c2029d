/* The choice among the implementations of a heavy operation: see choice.h. */
#include "ops/choice.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/integers.h"
#include "base/log.h"
#include "ops/implementations.h"
#include "ops/op.h"
#include "tune/database.h"
#include "tune/store.h"

_Static_assert((int)CLM_TUNE_VALUES == (int)CLM_CANDIDATE_VALUES, "the store keeps whole candidates");

/* ---- the table ---- */

#define CLM_IMPL_ROW(OP, row) extern const clm_impl clm_impl_##row;
CLM_IMPL_LIST(CLM_IMPL_ROW)
#undef CLM_IMPL_ROW

enum { ROWS_MOST = 12 };

#define CLM_IMPL_ENTRY(OP, row) {CLM_OP_##OP, &clm_impl_##row},
static const struct {
    clm_opcode op;
    const clm_impl *impl;
} table[] = {CLM_IMPL_LIST(CLM_IMPL_ENTRY)};
#undef CLM_IMPL_ENTRY
enum { TABLE_SIZE = sizeof table / sizeof *table };

bool clm_impl_always(const clm_lower *l, clm_value y) {
    (void)l;
    (void)y;
    return true;
}

/* Writes the rows of an operation; returns how many. */
static int rows_of(clm_opcode op, const clm_impl *out[ROWS_MOST]) {
    int n = 0;
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (table[i].op != op) continue;
        assert(n < ROWS_MOST);
        out[n++] = table[i].impl;
    }
    return n;
}

bool clm_choice_exists(clm_opcode op) {
    const clm_impl *rows[ROWS_MOST];
    return rows_of(op, rows) > 0;
}

static clm_opcode op_at(const clm_lower *l, clm_value y) { return clm_node_at(clm_lower_graph(l), y)->op; }

int clm_choice_candidates(const clm_lower *l, clm_value y, const clm_impl *impl, clm_candidate out[CLM_CANDIDATES_MOST]) {
    if (impl->applicable && !impl->applicable(l, y)) return 0;
    if (!impl->candidates) {
        out[0] = (clm_candidate){{0}};
        return 1;
    }
    const int n = impl->candidates(l, y, out);
    assert(n >= 1 && n <= CLM_CANDIDATES_MOST);
    return n;
}

bool clm_choice_may_turn(const clm_lower *l, clm_value y) {
    const clm_impl *rows[ROWS_MOST];
    const int n = rows_of(op_at(l, y), rows);
    for (int i = 0; i < n; i++)
        if (rows[i]->turns && (!rows[i]->applicable || rows[i]->applicable(l, y)) && rows[i]->turns(l, y)) return true;
    return false;
}

/* `except`: a row that turned out to be impossible, or NULL. */
static const clm_impl *preferred(const clm_lower *l, clm_value y, const clm_impl *except) {
    const clm_impl *rows[ROWS_MOST];
    const int n = rows_of(op_at(l, y), rows);
    for (int i = 0; i < n; i++)
        if (rows[i] != except && rows[i]->preferred && (!rows[i]->applicable || rows[i]->applicable(l, y)) &&
            rows[i]->preferred(l, y))
            return rows[i];
    assert(!"the last row of an operation serves everything");
    return rows[n - 1];
}

/* What the database has for y, if that is offered; parameters that are not: the row's best guess. */
static bool known(const clm_lower *l, clm_value y, clm_choice *choice) {
    const clm_impl *rows[ROWS_MOST];
    clm_candidate candidates[CLM_CANDIDATES_MOST];
    char text[512];
    clm_device *device = clm_lower_opened(l);
    const char *found = clm_tune_known(device, clm_choice_key(l, y, text, sizeof text), clm_lower_tasks(l, y));
    if (!found) return false;
    const int n = rows_of(op_at(l, y), rows);
    for (int i = 0; i < n; i++) {
        const size_t length = strlen(rows[i]->name);
        if (strncmp(rows[i]->name, found, length) != 0 || (found[length] && found[length] != ' ')) continue;
        const int count = clm_choice_candidates(l, y, rows[i], candidates);
        for (int k = count; k-- > 0;) {
            *choice = (clm_choice){rows[i], candidates[k]};
            if (!strcmp(clm_choice_text(choice, text, sizeof text), found)) break;
        }
        return count > 0;
    }
    return false;
}

/* Moves what the database has to the front of a list. */
static void put_known_first(const clm_lower *l, clm_value y, clm_choice *list, int n) {
    clm_choice choice;
    if (!known(l, y, &choice)) return;
    for (int i = 0; i < n; i++) {
        if (list[i].impl != choice.impl || memcmp(&list[i].candidate, &choice.candidate, sizeof choice.candidate) != 0)
            continue;
        memmove(list + 1, list, (size_t)i * sizeof *list);
        list[0] = choice;
        return;
    }
}

int clm_choice_list(const clm_lower *l, clm_value y, clm_choice out[CLM_CHOICES_MOST]) {
    const clm_impl *rows[ROWS_MOST], *first = preferred(l, y, NULL);
    clm_candidate candidates[CLM_CANDIDATES_MOST];
    const int n_rows = rows_of(op_at(l, y), rows);
    int n = 0;
    for (int i = -1; i < n_rows; i++) {
        const clm_impl *impl = i < 0 ? first : rows[i];
        if (i >= 0 && impl == first) continue;
        const int count = clm_choice_candidates(l, y, impl, candidates);
        for (int k = 0; k < count && n < CLM_CHOICES_MOST; k++) out[n++] = (clm_choice){impl, candidates[k]};
    }
    put_known_first(l, y, out, n);
    return n;
}

/* ---- the choice ---- */

static bool stored(const clm_lower *l, clm_value y, clm_choice *choice) {
    const clm_impl *rows[ROWS_MOST];
    clm_candidate candidates[CLM_CANDIDATES_MOST];
    clm_tune_entry entry;
    char key[512];
    clm_device *device = clm_lower_opened(l);
    const int tasks = clm_tune_tasks(clm_lower_tasks(l, y));
    if (!clm_tune_store_enabled(device) || !clm_tune_find(device, clm_choice_key(l, y, key, sizeof key), tasks, &entry))
        return false;
    const int n = rows_of(op_at(l, y), rows);
    for (int i = 0; i < n; i++) {
        if (strcmp(rows[i]->name, entry.implementation) != 0) continue;
        const int count = clm_choice_candidates(l, y, rows[i], candidates);
        if (!count) return false;
        /* Parameters that are no longer offered, or are not for this number of tasks: the row's best guess. */
        *choice = (clm_choice){rows[i], candidates[0]};
        for (int k = 0; k < count; k++)
            if (!memcmp(candidates[k].value, entry.value, sizeof entry.value)) choice->candidate = candidates[k];
        return true;
    }
    return false;
}

clm_choice clm_choice_for(const clm_lower *l, clm_value y) {
    clm_candidate candidates[CLM_CANDIDATES_MOST];
    const clm_device *device = clm_lower_opened(l);
    clm_choice choice;
    if (device->choose && device->choose(device->choose_user, l, y, &choice)) return choice;
    if (stored(l, y, &choice) || known(l, y, &choice)) return choice;
    choice.impl = preferred(l, y, NULL);
    clm_choice_candidates(l, y, choice.impl, candidates);
    choice.candidate = candidates[0];
    return choice;
}

_Static_assert((int)TABLE_SIZE <= 32, "clm_program.implementations has a bit for each row");

static void took(struct clm_lower *l, clm_value y, const clm_impl *impl) {
    for (int i = 0; i < (int)TABLE_SIZE; i++)
        if (table[i].impl == impl && table[i].op == op_at(l, y)) clm_lower_took(l, i);
}

const char *clm_choice_names(uint32_t rows, char *text, size_t size) {
    int used = 0;
    if (size) text[0] = 0;
    for (int i = 0; i < (int)TABLE_SIZE; i++) {
        int before = i;
        if (!(rows >> i & 1) || used >= (int)size) continue;
        while (before-- > 0 && !(rows >> before & 1)) continue;
        const bool more = before >= 0 && table[before].op == table[i].op;
        const char *name = clm_op_of(&(clm_node){.op = table[i].op})->name;
        used += snprintf(text + used, size - (size_t)used, "%s%s%s%s",
                         more   ? ""
                         : used ? "; "
                                : "",
                         more ? "" : name, more ? ", " : " ", table[i].impl->name);
    }
    return text;
}

clm_status clm_choice_lower(struct clm_lower *l, clm_value y) {
    CLM_TRY(clm_tune_known_check(clm_lower_opened(l)));
    const clm_choice choice = clm_choice_for(l, y);
    const clm_status status = choice.impl->lower(l, y, &choice.candidate);
    if (status == CLM_OK) took(l, y, choice.impl);
    if (status != CLM_E_DEVICE || clm_lower_opened(l)->choose) return status;
    /* A choice that turns out to be impossible, such as a library whose results are wrong. It has emitted nothing. */
    clm_candidate candidates[CLM_CANDIDATES_MOST];
    const clm_impl *impl = preferred(l, y, choice.impl);
    clm_log_write(CLM_LOG_INFO, "%s is not used: %s", choice.impl->name, clm_last_error());
    clm_choice_candidates(l, y, impl, candidates);
    took(l, y, impl);
    return impl->lower(l, y, &candidates[0]);
}

void clm_choice_force(clm_device *device, clm_choice_fn choose, void *user) {
    device->choose = choose;
    device->choose_user = user;
}

/* ---- texts ---- */

const char *clm_choice_text(const clm_choice *choice, char *text, size_t size) {
    const char *name = choice->impl->parameters;
    int used = snprintf(text, size, "%s", choice->impl->name);
    for (int i = 0; *name && i < CLM_CANDIDATE_VALUES; i++) {
        const int length = (int)strcspn(name, " ");
        if (used < (int)size)
            used += snprintf(text + used, size - (size_t)used, " %.*s=%d", length, name, (int)choice->candidate.value[i]);
        name += length;
        name += *name == ' ';
    }
    return text;
}

const char *clm_choice_stored_text(const char *key, const clm_tune_entry *e, char *text, size_t size) {
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        const char *op = clm_op_of(&(clm_node){.op = table[i].op})->name;
        const size_t length = strlen(op);
        clm_choice choice = {.impl = table[i].impl};
        if (strncmp(op, key, length) != 0 || key[length] != ' ' || strcmp(choice.impl->name, e->implementation) != 0) continue;
        memcpy(choice.candidate.value, e->value, sizeof choice.candidate.value);
        return clm_choice_text(&choice, text, size);
    }
    return NULL;
}

static int add_shape(char *text, size_t size, int used, const char *before, const clm_node *n) {
    char shape[80];
    clm_shape_text(&n->shape, shape, sizeof shape);
    if (used >= (int)size) return used;
    return used + snprintf(text + used, size - (size_t)used, "%s%s%s", before, shape, n->per_task ? "*" : "");
}

const char *clm_choice_key(const clm_lower *l, clm_value y, char *text, size_t size) {
    const clm_graph *g = clm_lower_graph(l);
    const clm_node *n = clm_node_at(g, y);
    int used = snprintf(text, size, "%s", clm_op_of(n)->name);
    for (int i = 0; i < clm_least(n->n_in, 2); i++) used = add_shape(text, size, used, " ", clm_node_at(g, n->in[i]));
    used = add_shape(text, size, used, " -> ", n);
    int last = CLM_ATTR_INTS;
    while (last > 0 && n->attr.i[last - 1] == 0) last--;
    for (int i = 0; i < last && used < (int)size; i++)
        used += snprintf(text + used, size - (size_t)used, " %d", (int)n->attr.i[i]);
    return text;
}
