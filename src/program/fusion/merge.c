/* Which units become one kernel.
 *
 * A unit joins the earliest unit before which all its operands exist, or that computes them:
 *
 *   maps and reductions over the same index space share their reads;
 *   a map joins the reduction that reads it: the sum is accumulated as the map is written;
 *   an array of a reduction's shape that is computed from it joins it: mean, variance, 1 / sqrt(variance) end in the launch of
 *   a sum;
 *   where a result has few elements, the work-item (on a GPU the work-group) that sums them passes over them again, for reductions and maps that need the
 *   result: a softmax with its derivatives is one launch, and so are the statistics of a small image. Every pass computes
 *   elements again from what is in memory;
 *   on a CPU a map goes along with a reduction of which it shares an array, where nothing else has a place for it;
 *   where a task has few results, their total joins them: the loss of a batch is the sum over rows of the rows'
 *   cross-entropies, and ends, with its scale, in their launch.
 *
 * An array that only its own unit reads is never written.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/op.h"
#include "program/internal.h"

enum {
    LOOK_BACK = 400,
    SMALL_SPACE = 4096, /* elements: the launch costs more than the reading */
    MOST_PASSES = 4,
    MOST_ARRAYS = 28 /* arguments of a kernel; three parameters each, of which a device must take 1024 bytes */
};

/* Elements of one result over which a work-item may pass more than once, or which it may write in sequence. */
enum { GPU_ELEMENTS = 64, CPU_ELEMENTS = 4096, CPU_UNITS = 8 };

/* Where rows' results are summed in their launch, one core of a CPU computes a task, and may be the only core that has one: so
 * the limit is 1 / CPU_SHARE of the above. Elsewhere a work-group computes the task and its items share the rows: with few
 * elements for each that costs less than another launch. */
enum { CPU_SHARE = 4 };

typedef struct merger {
    const clm_program *p;
    int *unit_of; /* the unit that writes a value */
    int *seen;    /* the count in which a value was last visited */
    int counts;
    bool along; /* the unit found no place otherwise: it may go along with what it only shares operands with */
} merger;

/* How unit b becomes part of unit a. */
typedef struct joining {
    unsigned axes;
    clm_level level;
    int pass;
    bool depends; /* on an output of a */
} joining;

/* ---- shapes ---- */

/* The same elements in the same order, axis by axis. */
static bool same_but_ones(const clm_shape *a, const clm_shape *b) {
    int i = 0, k = 0;
    for (;; i++, k++) {
        while (i < a->rank && a->dim[i] == 1) i++;
        while (k < b->rank && b->dim[k] == 1) k++;
        if (i == a->rank || k == b->rank) return i == a->rank && k == b->rank;
        if (a->dim[i] != b->dim[k]) return false;
    }
}

/* Repeated over `space`, is an array of shape `a` the same as one of shape `b`? */
static bool repeats_alike(const clm_shape *a, const clm_shape *b) {
    for (int i = 1; i <= a->rank || i <= b->rank; i++)
        if ((i <= a->rank ? a->dim[a->rank - i] : 1) != (i <= b->rank ? b->dim[b->rank - i] : 1)) return false;
    return true;
}

static size_t elements_of_result(const clm_shape *space, unsigned axes) {
    size_t n = 1;
    for (int i = 0; i < space->rank; i++)
        if (axes >> i & 1) n *= (size_t)space->dim[i];
    return n;
}

/* One work-item processes these in sequence, which must not leave the rest of the device idle. */
static bool is_few(const clm_program *p, size_t each) {
    const clm_device_info *info = &p->device->info;
    const size_t units = info->compute_units;
    if (info->type != CLM_DEVICE_CPU) return each <= GPU_ELEMENTS;
    return each <= (units > CPU_UNITS ? CPU_ELEMENTS * (size_t)CPU_UNITS / units : CPU_ELEMENTS);
}

/* On a GPU the items of a work-group can share them, but for rows whose results are summed. */
static bool is_short(const clm_program *p, const clm_unit *a, unsigned axes) {
    const size_t each = elements_of_result(&a->space, axes);
    return is_few(p, each) || (!a->totals && each <= clm_shared_elements(p->device));
}

/* The innermost axis is summed, and the items that share the rows of a task have few elements each. */
static bool has_few_rows(const clm_program *p, const clm_unit *a) {
    const clm_shape result = clm_shape_kept(a->space, a->axes);
    const size_t rows = clm_shape_size(&result), items = (size_t)clm_total_items(p, a);
    int last = a->space.rank - 1;
    while (last > 0 && a->space.dim[last] == 1) last--;
    if (a->windowed || a->pooling || !(a->axes >> last & 1)) return false;
    const size_t each = (rows + items - 1) / items * elements_of_result(&a->space, a->axes);
    return is_few(p, p->device->info.type == CLM_DEVICE_CPU ? CPU_SHARE * each : each);
}

/* ---- limits of one kernel ---- */

/* Values that the kernel computes for v, without those counted before. */
static int count_computed(merger *m, clm_value v, bool root) {
    const clm_node *n = &m->p->nodes[v];
    if ((!root && m->p->homes[v].materialized) || m->seen[v] == m->counts) return 0;
    m->seen[v] = m->counts;
    int count = n->op != CLM_OP_BROADCAST;
    for (int i = 0; i < n->n_in; i++) count += count_computed(m, n->in[i], false);
    return count;
}

static int count_unit(merger *m, const clm_unit *u) {
    int count = 0;
    for (int k = 0; k < u->n_out; k++)
        count += u->level[k] == CLM_LEVEL_REDUCED || u->level[k] == CLM_LEVEL_TOTAL
                     ? count_computed(m, m->p->nodes[u->out[k]].in[0], false)
                     : count_computed(m, u->out[k], true);
    return count;
}

/* Its values and its int parameters, see codegen/codegen.c. */
static bool kernel_holds(merger *m, const clm_unit *a, const clm_unit *b, int strides) {
    if (a->space.rank + 7 + strides + CLM_UNIT_CONSTANTS > CLM_STEP_INTS) return false;
    m->counts++;
    return count_unit(m, a) + count_unit(m, b) <= CLM_UNIT_NODES;
}

/* ---- may b join a? ---- */

static bool same_window(const clm_unit *a, const clm_unit *b) {
    return !a->windowed || !b->windowed || (a->window[0] == b->window[0] && a->window[1] == b->window[1]);
}

/* The level of a unit that is not over the index space of a: of the results' shape, a total of them, or computed from
 * totals. */
static bool level_of_results(const clm_unit *a, const clm_unit *b, joining *j) {
    const clm_shape result = clm_shape_kept(a->space, a->axes);
    if (!a->axes || b->windowed || b->indexed) return false;
    j->level = CLM_LEVEL_END;
    if (a->totals && !b->axes && clm_shape_size(&b->space) == 1) return true;
    if (!same_but_ones(&result, &b->space)) return false;
    j->level = b->axes ? CLM_LEVEL_TOTAL : CLM_LEVEL_RESULT;
    return !b->axes || (clm_shape_size(&result) > 1 && elements_of_result(&b->space, b->axes) == clm_shape_size(&result));
}

/* A map over what a has pooled. Where memory has priority it has a launch of its own, after which the image is gone. */
static bool is_map_of_pooled(const clm_program *p, const clm_unit *a, const clm_unit *b) {
    return !p->thrifty && a->pooling && !b->pooling && !b->axes && !b->windowed && !b->indexed &&
           clm_shape_equal(&p->nodes[a->out[0]].shape, &b->space);
}

/* The level that b has in a, judged by index spaces only. */
static bool level_in(const clm_program *p, const clm_unit *a, const clm_unit *b, joining *j) {
    if (!a->fused || !b->fused || a->per_task != b->per_task) return false;
    if (is_map_of_pooled(p, a, b)) return *j = (joining){.level = CLM_LEVEL_RESULT}, true;
    if (a->pooling != b->pooling || !same_window(a, b)) return false;
    if (a->totals && b->windowed) return false;
    *j = (joining){.axes = a->axes ? a->axes : b->axes};
    if (level_of_results(a, b, j)) return true;
    j->level = b->level[0];
    if (a->axes && b->axes && a->axes != b->axes) return false;
    return clm_shape_equal(&a->space, &b->space);
}

/* Output k of a, read by b as `leaf`: is it available where b needs it? */
static bool reads_member(const clm_program *p, const clm_unit *a, int k, const clm_unit *b, int leaf, joining *j) {
    const clm_shape *shape = &p->nodes[b->leaf[leaf]].shape;
    int pass = a->pass[k];
    if ((a->level[k] >= CLM_LEVEL_TOTAL) != (j->level == CLM_LEVEL_END)) return false;
    if (a->level[k] == CLM_LEVEL_SPACE) {
        if (j->level >= CLM_LEVEL_RESULT || b->leaf[leaf] != a->out[k] || b->pooled[leaf]) return false;
        if (!clm_shape_equal(shape, &b->space)) return false;
    } else if (j->level >= CLM_LEVEL_RESULT) {
        if (!same_but_ones(shape, &b->space)) return false;
    } else {
        const clm_shape result = clm_shape_kept(a->space, a->axes);
        if (b->pooled[leaf] || !repeats_alike(shape, &result)) return false;
        pass++;
    }
    if (pass > j->pass) j->pass = pass;
    j->depends = true;
    return true;
}

/* The kernel that finds the greatest elements of windows takes what is gathered by their places along. */
static bool is_gathered_by(const merger *m, const clm_unit *b, clm_value leaf) {
    const clm_node *n = &m->p->nodes[b->out[0]];
    return n->op == CLM_OP_POOL_GATHER && n->in[1] == leaf && m->p->nodes[leaf].op == CLM_OP_MAX_POOL_ARGMAX;
}

static bool is_available(const merger *m, const clm_unit *a, const clm_unit *b, int leaf, joining *j) {
    const int k = clm_unit_member(m->p, a, b->leaf[leaf]);
    if (k < 0) return false;
    if (!a->pooling) return reads_member(m->p, a, k, b, leaf, j);
    j->depends = true;
    return j->level == CLM_LEVEL_RESULT || is_gathered_by(m, b, b->leaf[leaf]);
}

/* An array that has not the results' shape must have one element or, beside pooled values, one for each channel. */
static bool readable_at_results(const clm_program *p, const clm_unit *a, const clm_unit *b, clm_value leaf) {
    const clm_shape *shape = &p->nodes[leaf].shape;
    const bool row = shape->rank && clm_shape_size(shape) == (size_t)shape->dim[shape->rank - 1];
    if (clm_shape_size(shape) == 1 || same_but_ones(shape, &b->space)) return true;
    return a->pooling && row && shape->dim[shape->rank - 1] == b->space.dim[b->space.rank - 1];
}

/* Is there an array over the index space that both read? */
static bool share_array(const clm_program *p, const clm_unit *a, const clm_unit *b) {
    for (int i = 0; i < a->n_leaf; i++)
        for (int k = 0; k < b->n_leaf; k++)
            if (a->leaf[i] == b->leaf[k] && clm_shape_equal(&p->nodes[a->leaf[i]].shape, &a->space)) return true;
    return false;
}

/* A map beside a reduction that keeps the innermost axis, of which a core of a CPU takes whole rows in both. */
static bool map_goes_along(const merger *m, const clm_unit *a, const clm_unit *b, unsigned axes) {
    const bool rows = axes >> (a->space.rank - 1) & 1;
    return m->along && !rows && share_array(m->p, a, b);
}

/* What one work-item has to compute alone pays for short results only. */
static bool is_worth(const merger *m, const clm_unit *a, const clm_unit *b, const joining *j) {
    const clm_program *p = m->p;
    const bool mixed = !a->axes != !b->axes && j->level < CLM_LEVEL_RESULT;
    if (j->level == CLM_LEVEL_TOTAL && !has_few_rows(p, a)) return false;
    if (mixed && !j->depends && !map_goes_along(m, a, b, j->axes)) return false;
    if (j->pass >= MOST_PASSES) return false;
    if (j->pass > 0 && j->pass + 1 > a->passes) return is_short(p, a, j->axes);
    if (mixed && p->device->info.type != CLM_DEVICE_CPU) return is_short(p, a, j->axes);
    return true;
}

static bool can_merge(merger *m, const clm_unit *a, int at, const clm_unit *b, joining *j) {
    const clm_program *p = m->p;
    if (a->n_out + b->n_out > CLM_UNIT_OUTPUTS || !level_in(p, a, b, j)) return false;
    int leaves = a->n_leaf, common = 0, strides = 0;
    for (int i = 0; i < a->n_leaf; i++) strides += clm_unit_strides(p, a->leaf[i]);
    for (int i = 0; i < b->n_leaf; i++) {
        bool found = false;
        if (is_available(m, a, b, i, j)) {
            common++;
            continue;
        }
        if (m->unit_of[p->homes[b->leaf[i]].root] >= at) return false;
        if (j->level >= CLM_LEVEL_RESULT && !readable_at_results(p, a, b, b->leaf[i])) return false;
        for (int k = 0; k < a->n_leaf; k++) found |= a->leaf[k] == b->leaf[i];
        leaves += !found;
        strides += found ? 0 : clm_unit_strides(p, b->leaf[i]);
        common += found;
    }
    if (j->level >= CLM_LEVEL_RESULT && !j->depends) return false;
    const bool small = clm_shape_size(&a->space) <= SMALL_SPACE;
    return leaves <= CLM_UNIT_LEAVES && leaves + a->n_out + b->n_out <= MOST_ARRAYS && (common || small) &&
           is_worth(m, a, b, j) && kernel_holds(m, a, b, strides);
}

/* ---- merging ---- */

static void add_leaf(clm_unit *u, clm_value v, bool pooled) {
    for (int i = 0; i < u->n_leaf; i++)
        if (u->leaf[i] == v) {
            u->pooled[i] |= pooled;
            return;
        }
    u->pooled[u->n_leaf] = pooled;
    u->leaf[u->n_leaf++] = v;
}

static void join(merger *m, clm_unit *a, const clm_unit *b, const joining *j) {
    for (int i = 0; i < b->n_leaf; i++)
        if (clm_unit_member(m->p, a, b->leaf[i]) < 0) add_leaf(a, b->leaf[i], b->pooled[i]);
    a->level[a->n_out] = j->level;
    a->pass[a->n_out] = j->pass;
    a->out[a->n_out++] = b->out[0];
    a->axes = j->axes;
    if (a->passes <= j->pass) a->passes = j->pass + 1;
    a->indexed |= b->indexed;
    a->totals |= j->level == CLM_LEVEL_TOTAL;
    if (b->windowed) {
        a->windowed = true;
        memcpy(a->window, b->window, sizeof a->window);
    }
}

/* Marks outputs that no other unit reads and that are not outputs of the program. `read` has room for a mark on every value. */
static void hide(clm_program *p, const clm_value *outputs, size_t n_outputs, int *read) {
    memset(read, 0, p->count * sizeof *read);
    for (size_t i = 0; i < n_outputs; i++) read[p->homes[outputs[i]].root] = 1;
    for (size_t i = 0; i < p->n_units; i++) {
        const clm_unit *u = &p->units[i];
        for (int k = 0; k < clm_unit_operands(p, u); k++) read[clm_unit_operand(p, u, k)] = 1;
    }
    for (size_t i = 0; i < p->n_units; i++)
        for (int k = 0; k < p->units[i].n_out; k++)
            if (p->units[i].fused && p->units[i].n_out > 1) p->units[i].hidden[k] = !read[p->units[i].out[k]];
}

clm_status clm_program_merge(clm_program *p, const clm_value *outputs, size_t n_outputs) {
    merger m = {.p = p, .unit_of = clm_calloc(p->count + 1, sizeof(int)), .seen = clm_calloc(p->count + 1, sizeof(int))};
    size_t kept = 0;
    const int rounds = p->no_fusion ? 0 : p->device->info.type == CLM_DEVICE_CPU ? 2 : 1;
    if (!m.unit_of || !m.seen) {
        free(m.unit_of);
        free(m.seen);
        return CLM_E_MEMORY;
    }
    for (size_t v = 0; v < p->count; v++) m.unit_of[v] = -1;
    for (size_t i = 0; i < p->n_units; i++) {
        const clm_unit b = p->units[i];
        size_t host = kept;
        joining j, found = {0};
        for (int round = 0; b.fused && round < rounds && host == kept; round++) {
            m.along = round > 0;
            for (size_t k = kept; k-- > 0 && k + LOOK_BACK > kept;)
                if (can_merge(&m, &p->units[k], (int)k, &b, &j)) {
                    host = k;
                    found = j;
                }
        }
        m.unit_of[b.out[0]] = (int)host;
        if (host < kept)
            join(&m, &p->units[host], &b, &found);
        else
            p->units[kept++] = b;
    }
    p->n_units = kept;
    hide(p, outputs, n_outputs, m.seen);
    free(m.unit_of);
    free(m.seen);
    return CLM_OK;
}
