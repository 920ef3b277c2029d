/* A *block* holds one value, its reshaped views, and those that an elementwise step makes of it in place when it is read for
 * the last time. Blocks whose lives overlap lie beside each other: each, in the order in which they begin, at the lowest place
 * that is free. */
#include "export/places.h"

#include <stdlib.h>
#include <string.h>

typedef struct block {
    size_t first, last; /* steps from the one that writes it to the last that reads it */
    size_t size, at;
} block;

typedef struct planning {
    const clm_steps *steps;
    size_t *last_read; /* of each value: the last step that reads it */
    size_t *block_of;
    block *blocks; /* block 0 is the input, which is not ours */
    size_t n;
} planning;

static bool in_place(clm_step_kind kind) {
    return kind == CLM_STEP_NORM || kind == CLM_STEP_SCALE || kind == CLM_STEP_UNARY || kind == CLM_STEP_ADD;
}

static void find_reads(planning *p) {
    for (size_t i = 0; i < p->steps->count; i++)
        for (int k = 0; k < 2; k++) p->last_read[p->steps->steps[i].in[k]] = i;
    p->last_read[p->steps->count] = p->steps->count; /* the output */
}

static void assign(planning *p, size_t i) {
    const clm_export_step *s = &p->steps->steps[i];
    const size_t from = p->block_of[s->in[0]], last = p->last_read[s->out];
    const bool view = s->kind == CLM_STEP_SHAPE, takes = in_place(s->kind) && from && p->blocks[from].last == i;
    if (view || takes) {
        p->block_of[s->out] = from;
        if (last > p->blocks[from].last) p->blocks[from].last = last;
        return;
    }
    p->block_of[s->out] = p->n;
    p->blocks[p->n++] = (block){i, last, clm_shape_size(&s->to), 0};
}

/* A view may outlive what it is a view of. */
static void extend_by_views(planning *p) {
    for (size_t i = p->steps->count; i-- > 0;) {
        const clm_export_step *s = &p->steps->steps[i];
        if (s->kind == CLM_STEP_SHAPE && p->last_read[s->out] > p->last_read[s->in[0]])
            p->last_read[s->in[0]] = p->last_read[s->out];
    }
}

static bool overlap(const block *a, const block *b) {
    return a->first <= b->last && b->first <= a->last && a->at < b->at + b->size && b->at < a->at + a->size;
}

static void place(block *blocks, size_t i) {
    for (size_t k = 1; k < i; k++)
        if (overlap(&blocks[i], &blocks[k])) {
            blocks[i].at = blocks[k].at + blocks[k].size;
            k = 0; /* from the start again: the place only grows */
        }
}

static void run(planning *p, clm_places *out) {
    p->n = 1;
    find_reads(p);
    extend_by_views(p);
    for (size_t i = 0; i < p->steps->count; i++) assign(p, i);
    for (size_t i = 1; i < p->n; i++) {
        place(p->blocks, i);
        const size_t end = p->blocks[i].at + p->blocks[i].size;
        if (end > out->total) out->total = end;
    }
    for (size_t v = 0; v <= p->steps->count; v++) out->at[v] = p->block_of[v] ? p->blocks[p->block_of[v]].at : CLM_PLACE_INPUT;
}

clm_status clm_places_create(clm_places *out, const clm_steps *steps) {
    const size_t n = steps->count + 1;
    planning p = {.steps = steps};
    *out = (clm_places){.at = clm_calloc(n, sizeof *out->at)};
    p.last_read = clm_calloc(n, sizeof *p.last_read);
    p.block_of = clm_calloc(n, sizeof *p.block_of);
    p.blocks = clm_calloc(n, sizeof *p.blocks);
    const clm_status status = out->at && p.last_read && p.block_of && p.blocks ? CLM_OK : CLM_E_MEMORY;
    if (status == CLM_OK) run(&p, out);
    free(p.last_read);
    free(p.block_of);
    free(p.blocks);
    return status;
}

void clm_places_free(clm_places *p) {
    free(p->at);
    *p = (clm_places){0};
}
