/* The named tensors of a task: which there are, which are learned and adapted, and where they are in the flat vector. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "meta/algorithm/algorithm.h"
#include "meta/loss.h"

/* ---- entries ---- */

static clm_entry *add_entry(clm_task *t) {
    if (clm_grow(&t->entries, &t->entries_capacity, t->n_entries + 1, sizeof *t->entries) != CLM_OK) return NULL;
    return &t->entries[t->n_entries++];
}

static clm_status add_model_params(clm_task *t) {
    const clm_model *model = t->model;
    for (size_t i = 0; i < t->n_model; i++) {
        const clm_param *p = clm_model_param(model, i);
        clm_entry *e = add_entry(t);
        if (!e) return CLM_E_MEMORY;
        *e = (clm_entry){
            .shape = p->shape, .inner_shape = p->inner_shape, .layout = p->layout, .learned = true, .adapted = true};
        snprintf(e->name, sizeof e->name, "param.%s", p->name);
        if (!t->options.batch_norm_per_step || p->role != CLM_PARAM_BATCH_NORM) continue;
        e->rows = t->options.steps;
        e->adapted = false;
    }
    return CLM_OK;
}

clm_status clm_task_add_param(clm_task *t, const char *name, clm_shape shape, bool learned, double constant,
                              const double *initial) {
    clm_entry *e = add_entry(t);
    if (!e) return CLM_E_MEMORY;
    *e = (clm_entry){.shape = shape,
                     .inner_shape = shape,
                     .layout = CLM_LAYOUT_SAME,
                     .learned = learned,
                     .adapted = learned,
                     .constant = constant,
                     .initial = initial};
    snprintf(e->name, sizeof e->name, "param.%s", name);
    return CLM_OK;
}

static clm_status add_rates(clm_task *t) {
    const clm_rates rates = t->options.rates;
    if (rates == CLM_RATES_PER_STEP) {
        clm_entry *e = add_entry(t);
        if (!e) return CLM_E_MEMORY;
        const clm_shape shape = clm_shape_of(2, t->options.steps, (int)t->n);
        *e = (clm_entry){.name = "alpha", .shape = shape, .inner_shape = shape, .learned = true, .rate = true};
        e->constant = t->options.inner_lr;
    }
    for (size_t i = 0; rates == CLM_RATES_PER_ELEMENT && i < t->n; i++) {
        const clm_entry of = t->entries[i];
        if (!of.adapted) continue;
        clm_entry *e = add_entry(t);
        if (!e) return CLM_E_MEMORY;
        *e = (clm_entry){.shape = of.shape, .inner_shape = of.inner_shape, .layout = of.layout, .learned = true, .rate = true};
        e->constant = t->options.inner_lr;
        snprintf(e->name, sizeof e->name, "alpha.%.80s", of.name + strlen("param."));
    }
    return CLM_OK;
}

/* Places in the flat vector, learned entries first, and the leaves. */
static clm_status lay_out(clm_task *t) {
    size_t at = 0, n_leaves = 0;
    for (int learned = 1; learned >= 0; learned--) {
        for (size_t i = 0; i < t->n_entries; i++) {
            clm_entry *e = &t->entries[i];
            const bool scalars = e->rate && t->options.rates == CLM_RATES_PER_STEP;
            if (e->learned != (bool)learned) continue;
            e->leaf_shape = scalars ? (clm_shape){0} : e->inner_shape;
            e->n_leaves = scalars ? clm_shape_size(&e->shape) : e->rows ? (size_t)e->rows : 1;
            e->size = clm_shape_size(&e->leaf_shape) * e->n_leaves;
            e->at = at;
            at += e->size;
            e->first_leaf = n_leaves;
            n_leaves += e->n_leaves;
        }
        if (learned) t->learned = at;
    }
    if (at > INT32_MAX)
        return clm_fail(CLM_E_LIMIT, "meta: %zu parameters and rates; fewer than 2^31 numbers are possible", at);
    if (!t->learned) return clm_fail(CLM_E_ARG, "meta: no parameter is learned");
    t->elements = at;
    t->n_leaves = n_leaves;
    t->leaves = clm_calloc(n_leaves + 1, sizeof *t->leaves);
    if (!t->leaves) return CLM_E_MEMORY;
    for (size_t i = 0; i < t->n_entries; i++) {
        const clm_entry *e = &t->entries[i];
        for (size_t k = 0; k < e->n_leaves; k++)
            t->leaves[e->first_leaf + k] = (clm_leaf){
                .entry = i, .at = e->at + k * clm_shape_size(&e->leaf_shape), .shape = e->leaf_shape, .learned = e->learned};
    }
    return CLM_OK;
}

/* ---- masks ---- */

static bool begins(const clm_task *t, size_t i, const char *prefix) {
    return strncmp(t->entries[i].name + strlen("param."), prefix, strlen(prefix)) == 0;
}

static void set_mask(clm_entry *e, clm_mask mask, bool value) {
    if (mask == CLM_MASK_LEARNED) {
        e->learned = value;
    } else if (!e->rows) { /* what has a row for each step is not adapted */
        e->adapted = value;
    }
}

clm_status clm_task_mask(clm_task *t, const char *option, const char *const *prefix, size_t n, clm_mask mask, bool value) {
    for (size_t k = 0; k < n; k++) {
        bool any = false;
        for (size_t i = 0; i < t->n; i++) {
            if (!begins(t, i, prefix[k])) continue;
            set_mask(&t->entries[i], mask, value);
            any = true;
        }
        if (!any) return clm_fail(CLM_E_ARG, "%s: no parameter's name begins with \"%s\"", option, prefix[k]);
    }
    return CLM_OK;
}

void clm_task_adapt_all(clm_task *t, bool adapted) {
    for (size_t i = 0; i < t->n; i++) set_mask(&t->entries[i], CLM_MASK_ADAPTED, adapted);
}

void clm_task_adapt_head(clm_task *t, bool adapted) {
    size_t count = 0, first = clm_model_head(t->model, &count);
    for (size_t i = first; i < first + count; i++) set_mask(&t->entries[i], CLM_MASK_ADAPTED, adapted);
}

bool clm_task_adapts(const clm_task *t) { return t->algorithm->takes & CLM_TAKES(STEPS); }

/* Class weights and the like are constants, whatever masks say. */
static void keep_constants(clm_task *t) {
    for (size_t i = t->n_model; i < t->n; i++)
        if (t->entries[i].initial) t->entries[i].learned = t->entries[i].adapted = false;
}

/* What is frozen must be adapted otherwise. Prefixes may overlap: all of them are looked at before any counts. */
static clm_status check_freeze(const clm_task *t, const clm_task_options *o) {
    for (size_t k = 0; k < o->n_freeze; k++) {
        const clm_entry *named = NULL;
        bool any = false;
        for (size_t i = 0; i < t->n && !any; i++) {
            if (!begins(t, i, o->freeze[k])) continue;
            named = &t->entries[i];
            any = named->adapted;
        }
        if (any || !named) continue; /* that there is no such name, clm_task_mask says */
        return clm_fail(CLM_E_ARG, "freeze: nothing that begins with \"%s\" is adapted%s; leave it out", o->freeze[k],
                        named->rows ? ", as batch-norm has a row for each step instead" : " as it is");
    }
    return CLM_OK;
}

static clm_status set_masks(clm_task *t, const clm_task_options *o) {
    size_t used = 0;
    if (!clm_task_adapts(t)) clm_task_adapt_all(t, false);
    if (t->algorithm->declare) CLM_TRY(t->algorithm->declare(t));
    if (o->n_adapt) {
        clm_task_adapt_all(t, false);
        CLM_TRY(clm_task_mask(t, "adapt", o->adapt, o->n_adapt, CLM_MASK_ADAPTED, true));
    }
    CLM_TRY(check_freeze(t, o));
    CLM_TRY(clm_task_mask(t, "freeze", o->freeze, o->n_freeze, CLM_MASK_ADAPTED, false));
    CLM_TRY(clm_task_mask(t, "unlearned", o->unlearned, o->n_unlearned, CLM_MASK_LEARNED, false));
    keep_constants(t);
    for (size_t i = 0; i < t->n; i++) used += t->entries[i].adapted;
    if (!used && clm_task_adapts(t)) return clm_fail(CLM_E_ARG, "no parameter is adapted: the inner loop would do nothing");
    return CLM_OK;
}

clm_status clm_task_list_entries(clm_task *t, const clm_task_options *given) {
    CLM_TRY(add_model_params(t));
    if (t->loss->declare) CLM_TRY(t->loss->declare(t));
    t->n = t->n_entries;
    if (t->n > CLM_MAX_PARAMS)
        return clm_fail(CLM_E_LIMIT, "the model has %zu parameter tensors; at most %d are possible", t->n, CLM_MAX_PARAMS);
    CLM_TRY(set_masks(t, given));
    CLM_TRY(add_rates(t));
    return lay_out(t);
}

/* ---- queries ---- */

size_t clm_task_param_leaf(const clm_task *t, size_t i, int step) {
    const clm_entry *e = &t->entries[i];
    const int row = step < e->rows ? step : e->rows - 1;
    return e->first_leaf + (row > 0 ? (size_t)row : 0);
}

size_t clm_task_rate_entry(const clm_task *t, size_t i) {
    if (t->options.rates == CLM_RATES_PER_STEP) return i == 0 ? t->n : t->n_entries;
    if (t->options.rates != CLM_RATES_PER_ELEMENT || i >= t->n || !t->entries[i].adapted) return t->n_entries;
    size_t at = t->n;
    for (size_t k = 0; k < i; k++) at += t->entries[k].adapted;
    return at;
}

size_t clm_task_rate_leaf(const clm_task *t, size_t i, int step) {
    if (t->options.rates == CLM_RATES_PER_STEP) {
        const int row = step < t->options.steps ? step : t->options.steps - 1;
        return t->entries[t->n].first_leaf + (size_t)row * t->n + i;
    }
    const size_t e = clm_task_rate_entry(t, i);
    return e < t->n_entries ? t->entries[e].first_leaf : SIZE_MAX;
}

int clm_task_classes(const clm_task *t) {
    const clm_shape out = clm_model_out_shape(t->model);
    if (!t->loss->labels) return 0;
    return t->options.ways ? t->options.ways : out.dim[out.rank - 1];
}

int clm_task_support(const clm_task *t) { return t->options.support * (t->options.support_per_step ? t->options.steps : 1); }

clm_shape clm_entry_shape(const clm_entry *e) {
    clm_shape s = e->shape;
    if (!e->rows) return s;
    for (int i = s.rank++; i > 0; i--) s.dim[i] = s.dim[i - 1];
    s.dim[0] = e->rows;
    return s;
}

void clm_entry_to_inner(const clm_entry *e, const double *outer, double *inner) {
    clm_layout_to_inner(e->layout, &e->shape, e->rows ? (size_t)e->rows : 1, outer, inner);
}

void clm_entry_to_outer(const clm_entry *e, const double *inner, double *outer) {
    clm_layout_to_outer(e->layout, &e->shape, e->rows ? (size_t)e->rows : 1, inner, outer);
}

void clm_task_initial(const clm_task *t, size_t i, uint64_t seed, double *outer) {
    const clm_entry *e = &t->entries[i];
    const size_t row = clm_shape_size(&e->shape);
    if (i < t->n_model) {
        clm_model_init_param(t->model, i, seed, outer);
        for (size_t k = row; k < e->size; k++) outer[k] = outer[k - row];
        return;
    }
    for (size_t k = 0; k < e->size; k++) outer[k] = e->initial ? e->initial[k] : e->constant;
}
