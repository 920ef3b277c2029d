/* Horizontal fusion: independent launches become one.
 *
 * Candidates are updates of parameters and sums over tasks, one for each tensor: flat arrays of different sizes. One launch
 * processes several of them, their work-items in consecutive ranges (codegen/horizontal.c). A unit joins the earliest such
 * launch before which all its operands exist.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "ops/op.h"
#include "program/internal.h"

/* Every part adds to the kernel's text. */
enum { LOOK_BACK = 400, MOST_LEAVES = 8, MOST_PARTS = 20 };

static bool is_sum_over_tasks(const clm_program *p, const clm_unit *u) { return p->nodes[u->out[0]].op == CLM_OP_SUM_TASKS; }

/* Every operand is one number or has the elements of the space in their order. */
static bool is_flat(const clm_program *p, const clm_unit *u) {
    if (is_sum_over_tasks(p, u)) return true;
    if (!u->fused || u->axes || u->pooling || u->windowed || u->indexed || u->n_leaf > MOST_LEAVES) return false;
    for (int i = 0; i < u->n_leaf; i++) {
        const size_t size = clm_shape_size(&p->nodes[u->leaf[i]].shape);
        if (size != 1 && size != clm_shape_size(&u->space)) return false;
    }
    return true;
}

static int arrays_of(const clm_program *p, const clm_unit *u) {
    return is_sum_over_tasks(p, u) ? 1 + p->nodes[u->out[0]].n_in : u->n_out + u->n_leaf;
}

static int operand(const clm_program *p, const clm_unit *u, int i) {
    if (!is_sum_over_tasks(p, u)) return i < u->n_leaf ? u->leaf[i] : CLM_INVALID;
    return i < p->nodes[u->out[0]].n_in ? p->nodes[u->out[0]].in[i] : CLM_INVALID;
}

/* The group that a flat unit heads, while groups are formed. */
typedef struct group {
    int parts, arrays;
} group;

clm_status clm_program_fuse_horizontally(clm_program *p) {
    const bool host = p->device->info.type == CLM_DEVICE_HOST;
    clm_status status = CLM_OK;
    int *unit_of = clm_calloc(p->count + 1, sizeof *unit_of); /* the launch that writes a value */
    group *groups = clm_calloc(p->n_units + 1, sizeof *groups);
    if (!unit_of || !groups) {
        status = CLM_E_MEMORY;
        goto out;
    }
    for (size_t v = 0; v < p->count; v++) unit_of[v] = -1;
    for (size_t i = 0; i < p->n_units; i++) {
        clm_unit *u = &p->units[i];
        u->group = (int)i;
        if (!host && !p->no_fusion && is_flat(p, u)) {
            const int arrays = arrays_of(p, u);
            int after = -1;
            for (int k = 0; operand(p, u, k) != CLM_INVALID; k++) {
                const int writer = unit_of[p->homes[operand(p, u, k)].root];
                if (writer > after) after = writer;
            }
            for (size_t k = i > LOOK_BACK ? i - LOOK_BACK : 0; k < i && u->group == (int)i; k++) {
                const clm_unit *head = &p->units[k];
                if ((int)k <= after || !groups[k].parts || groups[k].parts == MOST_PARTS) continue;
                if (groups[k].arrays + arrays > CLM_STEP_VALUES || head->per_task != u->per_task) continue;
                if (is_sum_over_tasks(p, head) == is_sum_over_tasks(p, u)) u->group = (int)k;
            }
            groups[u->group].parts++;
            groups[u->group].arrays += arrays;
        }
        for (int k = 0; k < u->n_out; k++) unit_of[u->out[k]] = u->group;
    }
out:
    free(unit_of);
    free(groups);
    return status;
}
