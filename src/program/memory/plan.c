/* Memory plan: an offset in the workspace for every materialised value that is neither input nor output.
 *
 * Values whose lifetimes (first write to last read, in units) overlap never share memory. Largest first, each at the lowest
 * offset that is free over its whole lifetime; where the device's largest allocation is reached, the workspace gets another
 * buffer.
 *
 * In-place results: an array over the index space of a unit may replace an operand of its size that nothing reads afterwards,
 * as each element is read before it is written, by the same work-item. Such a sequence of values has one offset, from the first
 * write of its first value to the last read of its last. In a reduction this holds for what its last pass writes: every pass
 * computes its expressions from memory again, so an operand must outlive all passes but the one that overwrites it. An output
 * may replace an input in the same way.
 *
 * A rematerialised value (rematerialise.c) is not in memory in between, but returns to the same offset.
 *
 * A buffer holds either shared values or per-task values. The latter is laid out task by task: the memory of a task is reused
 * by that task only, so that tasks may run through a program at different speeds (task kernels).
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "ops/op.h"
#include "program/internal.h"

enum {
    ALIGN = 32, /* elements: 128 bytes of floats, a cache line or two */
    MOST_BUFFERS = CLM_MOST_BUFFERS,
    IN_PLACE = 4096 /* elements: below that a kernel of its own does not pay */
};

/* Of all offsets: libraries get sub-buffers (backend.h), which must begin where the device allows. */
static size_t alignment(const clm_program *p) {
    const size_t device = p->device->info.base_alignment_bits / 8 / p->device->backend->element_size;
    return device > ALIGN ? device : ALIGN;
}

static void touch(clm_program *p, clm_value v, int unit, bool write) {
    clm_home *h = &p->homes[p->homes[v].root];
    if (write && h->first >= 0) {
        h->released = h->last;
        h->rematerialised = unit;
    }
    if (write && h->first < 0) h->first = unit;
    if (unit > h->last) h->last = unit;
    if (unit > h->released && unit < h->rematerialised) h->released = unit;
}

static void find_lifetimes(clm_program *p) {
    for (size_t v = 0; v < p->count; v++) {
        clm_home *h = &p->homes[v];
        h->before = h->next = CLM_INVALID;
        h->first = h->last = -1;
        h->released = h->rematerialised = 0;
    }
    for (size_t i = 0; i < p->n_units; i++) {
        const clm_unit *u = &p->units[i];
        for (int k = 0; k < u->n_out; k++)
            if (!u->hidden[k]) touch(p, u->out[k], u->group, true);
        for (int k = 0; k < clm_unit_operands(p, u); k++) touch(p, clm_unit_operand(p, u, k), u->group, false);
    }
}

bool clm_program_in_workspace(const clm_program *p, clm_value v) {
    const clm_home *h = &p->homes[v];
    return h->live && h->materialized && h->root == v && h->tensor < 0 && h->first >= 0;
}

/* Can output `out` of unit `at` replace leaf k in its memory, judged by elements and lifetimes? */
static bool replaces(const clm_program *p, int at, clm_value out, int k) {
    const clm_unit *u = &p->units[at];
    const clm_value root = p->homes[u->leaf[k]].root;
    if (p->homes[root].last != at || p->homes[root].next >= 0 || u->pooled[k]) return false;
    if (p->nodes[root].per_task != p->nodes[out].per_task) return false;
    if (!clm_shape_equal(&p->nodes[u->leaf[k]].shape, &u->space) || !clm_shape_equal(&p->nodes[out].shape, &u->space))
        return false;
    for (int i = 0; i < u->n_leaf; i++)
        if (i != k && p->homes[u->leaf[i]].root == root) return false;
    return true;
}

/* Is output o written in the last pass, where the unit reads its operands at the current element only? What is read when sums
 * are complete has their shape, which is smaller: no sum is of one element. */
static bool written_last(const clm_unit *u, int o) {
    return u->fused && !u->pooling && u->level[o] == CLM_LEVEL_SPACE && u->pass[o] == u->passes - 1;
}

/* In the workspace the planner decides; an output overwrites an input only on request (clm_overwrite). */
static bool is_wanted(const clm_program *p, const clm_unit *u, clm_value out, clm_value in) {
    if (clm_program_in_workspace(p, out)) return clm_program_in_workspace(p, in) && clm_shape_size(&u->space) >= IN_PLACE;
    for (size_t i = 0; i < p->n_overwrite; i++)
        if (p->overwrite[i].output == out && p->overwrite[i].input == in) return p->homes[out].tensor >= 0;
    return false;
}

clm_status clm_program_find_places(clm_program *p) {
    find_lifetimes(p);
    for (size_t i = 0; i < p->n_units && !p->no_plan; i++) {
        const clm_unit *u = &p->units[i];
        if (clm_group_size(p, (size_t)u->group) > 1) continue; /* work-items of another part may read the operand */
        for (int o = 0; o < u->n_out; o++) {
            const clm_value out = u->out[o];
            clm_value best = CLM_INVALID; /* the oldest: what has come later may then lie where other values were */
            if (!written_last(u, o)) continue;
            for (int k = 0; k < u->n_leaf; k++) {
                const clm_value in = p->homes[u->leaf[k]].root;
                if (!is_wanted(p, u, out, in) || !replaces(p, (int)i, out, k)) continue;
                if (best == CLM_INVALID || p->homes[in].first < p->homes[best].first) best = in;
            }
            if (best == CLM_INVALID) continue;
            p->homes[out].before = best;
            p->homes[best].next = out;
        }
    }
    return CLM_OK;
}

/* ---- places in the workspace ---- */

/* Units during which a value is in memory: one interval, or two with a gap between them. */
typedef struct interval {
    int first, last;
} interval;

static int intervals(const clm_home *h, interval out[2]) {
    out[0] = (interval){h->first, h->rematerialised ? h->released : h->last};
    out[1] = (interval){h->rematerialised, h->last};
    return h->rematerialised ? 2 : 1;
}

static bool meet(const clm_home *a, const clm_home *b) {
    interval of_a[2], of_b[2];
    const int n_a = intervals(a, of_a), n_b = intervals(b, of_b);
    for (int i = 0; i < n_a; i++)
        for (int k = 0; k < n_b; k++)
            if (of_a[i].first <= of_b[k].last && of_b[k].first <= of_a[i].last) return true;
    return false;
}

/* With the lifetimes of the values that replace it. */
static clm_home with_successors(const clm_program *p, clm_value v) {
    clm_home h = p->homes[v];
    for (clm_value next = h.next; next >= 0; next = p->homes[next].next) h.last = p->homes[next].last;
    return h;
}

clm_status clm_program_peak(const clm_program *p, size_t *peak) {
    size_t *alive = clm_calloc(p->n_units + 2, sizeof *alive), now = 0; /* alive: the change before every unit, modulo 2^64 */
    if (!alive) return CLM_E_MEMORY;
    for (size_t v = 0; v < p->count; v++) {
        if (!clm_program_in_workspace(p, (clm_value)v) || p->homes[v].before >= 0) continue;
        const clm_home h = with_successors(p, (clm_value)v);
        interval of_h[2];
        for (int i = intervals(&h, of_h); i-- > 0;) {
            alive[of_h[i].first] += clm_shape_size(&p->nodes[v].shape);
            alive[of_h[i].last + 1] -= clm_shape_size(&p->nodes[v].shape);
        }
    }
    *peak = 0;
    for (size_t i = 0; i < p->n_units; i++) {
        now += alive[i];
        if (now > *peak) *peak = now;
    }
    free(alive);
    return CLM_OK;
}

typedef struct item {
    clm_value value;
    size_t size;
} item;

static int by_size(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x->value < y->value ? -1 : x->value > y->value;
}

static int by_offset(const void *a, const void *b) {
    const clm_home *const *x = a, *const *y = b;
    return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

/* Lowest free offset in `buffer` for h among the `placed` items. `clash` has room for all of them. */
static size_t lowest_gap(const clm_program *p, const item *items, size_t placed, const clm_home *h, int buffer,
                         const clm_home **clash) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < placed; i++) {
        const clm_home *o = &p->homes[items[i].value];
        if (o->buffer == buffer && (p->no_plan || meet(o, h))) clash[n++] = o;
    }
    qsort(clash, n, sizeof *clash, by_offset);
    for (size_t i = 0; i < n; i++) {
        if (at + h->size <= clash[i]->offset) break;
        if (clash[i]->offset + clash[i]->size > at) at = clash[i]->offset + clash[i]->size;
    }
    return at;
}

clm_status clm_program_plan_memory(clm_program *p) {
    const size_t align = alignment(p);
    size_t n = 0, most = p->device->info.max_allocation / p->device->backend->element_size;
    item *items = clm_calloc(p->count + 1, sizeof *items);
    const clm_home **clash = clm_calloc(p->count + 1, sizeof *clash);
    clm_status status = CLM_OK;
    if (most > INT32_MAX || most == 0) most = INT32_MAX; /* kernels count elements in 32 bits */
    p->buffer_need = clm_calloc(MOST_BUFFERS, sizeof *p->buffer_need);
    if (!items || !clash || !p->buffer_need) {
        status = CLM_E_MEMORY;
        goto out;
    }
    for (size_t v = 0; v < p->count; v++) {
        clm_home *h = &p->homes[v];
        if (!clm_program_in_workspace(p, (clm_value)v)) continue;
        h->place = CLM_PLACE_WORKSPACE;
        h->size = (clm_shape_size(&p->nodes[v].shape) + align - 1) / align * align; /* of one task */
        *h = with_successors(p, (clm_value)v);
        if (h->before < 0) items[n++] = (item){(clm_value)v, h->size};
    }
    qsort(items, n, sizeof *items, by_size);
    for (size_t i = 0; i < n; i++) {
        clm_home *h = &p->homes[items[i].value];
        const bool per_task = p->nodes[items[i].value].per_task;
        const size_t room = per_task ? most / (size_t)p->tasks : most;
        int buffer = 0;
        size_t at = 0;
        for (; buffer < MOST_BUFFERS; buffer++) {
            if ((size_t)buffer < p->n_buffers && p->buffer_per_task[buffer] != per_task) continue;
            at = lowest_gap(p, items, i, h, buffer, clash);
            if (at + h->size <= room) break;
        }
        if (buffer == MOST_BUFFERS) {
            status = clm_fail(CLM_E_LIMIT,
                              "%s: a value of %s is larger than the largest allocation of the device (%s); use fewer tasks "
                              "at a time or a smaller model",
                              clm_op_of(&p->nodes[items[i].value])->name,
                              clm_bytes_text((double)h->size * (double)p->device->backend->element_size).s,
                              clm_bytes_text((double)p->device->info.max_allocation).s);
            goto out;
        }
        for (clm_home *o = h;; o = &p->homes[o->next]) {
            o->buffer = buffer;
            o->offset = at;
            if (o->next < 0) break;
        }
        p->buffer_per_task[buffer] = per_task;
        if (at + h->size > p->buffer_stride[buffer]) p->buffer_stride[buffer] = at + h->size;
        if ((size_t)buffer + 1 > p->n_buffers) p->n_buffers = (size_t)buffer + 1;
    }
    for (size_t b = 0; b < p->n_buffers; b++)
        p->buffer_need[b] = p->buffer_stride[b] * (p->buffer_per_task[b] ? (size_t)p->tasks : 1);
out:
    free(items);
    free(clash);
    return status;
}
