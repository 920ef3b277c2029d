/* What passes between the graphs of an executor: parts of the gradient that several add to, and slots, in tensors that are
 * shared by those whose lives do not overlap. */
#include <stdlib.h>

#include "base/memory.h"
#include "graph/internal.h"
#include "meta/exec/builder.h"

/* ---- the gradient ---- */

/* Adds a per-task value, summed over the tasks, to a part of the flat gradient; or leaves it as it is, for each task apart. */
static clm_status accumulate(clm_builder *b, clm_part *p, clm_value v, size_t leaf, clm_tensor *into) {
    if (b->m->exec.apart) return clm_part_output(p, clm_per_task(p->g, v), b->m->exec.apart_leaf[leaf]);
    if (b->m->exec.all_at_once) return clm_part_output(p, clm_sum_tasks(p->g, v, CLM_INVALID), into);
    clm_value sum = clm_input(p->g, "sum", clm_value_shape(p->g, v), false);
    CLM_TRY(clm_part_bind(p, sum, into));
    return clm_part_output(p, clm_sum_tasks(p->g, v, sum), into);
}

/* Of several initialisations each gets what its tasks give. */
static clm_status accumulate_all(clm_builder *b, clm_part *p, clm_value v, size_t leaf) {
    const clm_share *m = b->m;
    for (size_t start = 0; start < m->starts; start++) {
        const clm_value own = m->starts > 1 ? clm_mul(p->g, clm_part_belongs(p, start), v) : v;
        CLM_TRY(accumulate(b, p, own, leaf, m->gradient[start * m->task->n_leaves + leaf]));
    }
    return CLM_OK;
}

void clm_builder_enter(clm_builder *b, size_t index) {
    b->at = index;
    b->stages.g = b->parts[index].g;
}

/* What parts add to a leaf's gradient goes from part to part, and into the gradient at the last. */
static clm_status add_up_leaf(clm_builder *b, size_t leaf, bool *any) {
    clm_value total = CLM_INVALID;
    size_t last = 0;
    for (size_t c = 0; c < b->n_contributions; c++) {
        const clm_contribution k = b->contributions[c];
        if (k.leaf != leaf) continue;
        if (total != CLM_INVALID && k.part != last) {
            const clm_slot slot = {CLM_SLOT_GRADIENT, (int)last, leaf};
            clm_builder_enter(b, last);
            CLM_TRY(clm_stage_put(&b->stages, slot, clm_per_task(b->stages.g, total)));
            clm_builder_enter(b, k.part);
            total = clm_stage_get(&b->stages, slot);
        }
        clm_builder_enter(b, k.part);
        total = total == CLM_INVALID ? k.value : clm_add(b->stages.g, total, k.value);
        last = k.part;
    }
    *any = total != CLM_INVALID;
    return *any ? accumulate_all(b, &b->parts[last], total, leaf) : CLM_OK;
}

clm_status clm_builder_add_up(clm_builder *b) {
    for (size_t leaf = 0; leaf < b->m->task->n_leaves; leaf++) {
        bool any = false;
        CLM_TRY(add_up_leaf(b, leaf, &any));
        if (any || !b->m->task->leaves[leaf].learned) continue;
        if (b->m->exec.n_variants > 1) b->m->exec.clears = true;
        b->m->exec.apart_cleared = true;
    }
    return CLM_OK;
}

/* ---- memory between parts ---- */

static size_t last_part(const clm_builder *b, const clm_record *r) {
    size_t last = r->part;
    for (size_t i = 0; i < r->n_arrivals; i++)
        if (r->arrivals[i].part > last) last = r->arrivals[i].part;
    return r->kept ? b->n_parts : last;
}

/* A tensor that holds nothing that part `now` or a later one reads, or a new one. */
static clm_status find_place(clm_builder *b, clm_record *r, size_t now) {
    const clm_shape shape = clm_value_shape(b->parts[r->part].g, r->value);
    clm_place_of_slots *found = NULL;
    for (size_t k = 0; k < b->n_places && !found; k++) {
        const clm_shape had = clm_tensor_shape(b->places[k].tensor);
        if (b->places[k].busy_until < now && clm_shape_equal(&had, &shape)) found = &b->places[k];
    }
    if (!found) {
        CLM_TRY(clm_grow(&b->places, &b->places_capacity, b->n_places + 1, sizeof *b->places));
        found = &b->places[b->n_places];
        CLM_TRY(clm_exec_reserve(b->m, &found->tensor, shape, b->chunk));
        b->n_places++;
    }
    found->busy_until = last_part(b, r);
    r->tensor = found->tensor;
    return CLM_OK;
}

/* In order of the parts: what is put in one must not lie where what it reads does. */
clm_status clm_builder_place_slots(clm_builder *b) {
    for (size_t p = 0; p < b->n_parts; p++) {
        for (size_t k = 0; k < b->n_records; k++) {
            clm_record *r = &b->records[k];
            if (r->part != p || (!r->n_arrivals && !r->kept)) continue;
            CLM_TRY(find_place(b, r, p));
            CLM_TRY(clm_part_output(&b->parts[p], r->value, r->tensor));
            for (size_t i = 0; i < r->n_arrivals; i++)
                CLM_TRY(clm_part_bind(&b->parts[r->arrivals[i].part], r->arrivals[i].input, r->tensor));
        }
    }
    return CLM_OK;
}
