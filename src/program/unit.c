/* Questions about units, values and steps that several passes ask. Nothing here changes a program. */
#include "ops/choice.h"
#include "program/internal.h"

/* So few elements are no work for a group: one item takes them, and a task kernel may take the item. */
enum { MOST_TOTAL_ITEMS = 256, FEW_ELEMENTS = 64, MOST_SHARED = 8192 };

size_t clm_program_elements(const clm_program *p, clm_value v) {
    return clm_shape_size(&p->nodes[v].shape) * (size_t)(p->nodes[v].per_task ? p->tasks : 1);
}

double clm_program_step_traffic(const clm_program *p, const clm_program_step *s) {
    double elements = 0;
    for (int i = 0; i < s->n_values; i++) elements += (double)clm_program_elements(p, p->homes[s->values[i]].root);
    return elements * (double)p->device->backend->element_size;
}

int clm_unit_member(const clm_program *p, const clm_unit *u, clm_value v) {
    for (int k = 0; k < u->n_out; k++)
        if (u->out[k] == p->homes[v].root) return k;
    return -1;
}

int clm_unit_operands(const clm_program *p, const clm_unit *u) { return u->fused ? u->n_leaf : p->nodes[u->out[0]].n_in; }

clm_value clm_unit_operand(const clm_program *p, const clm_unit *u, int k) {
    return p->homes[u->fused ? u->leaf[k] : p->nodes[u->out[0]].in[k]].root;
}

bool clm_unit_reads(const clm_program *p, const clm_unit *u, clm_value v) {
    for (int k = 0; k < clm_unit_operands(p, u); k++)
        if (clm_unit_operand(p, u, k) == p->homes[v].root) return true;
    return false;
}

int clm_unit_strides(const clm_program *p, clm_value leaf) {
    const clm_shape *s = &p->nodes[leaf].shape;
    int strides = 0;
    for (int i = 0; i + 1 < s->rank; i++) strides += s->dim[i] != 1;
    return strides;
}

size_t clm_group_size(const clm_program *p, size_t unit) {
    size_t n = 0;
    for (size_t i = unit; i < p->n_units; i++) n += p->units[i].group == (int)unit;
    return n;
}

bool clm_unit_writes(const clm_program *p, size_t unit, clm_value v) {
    for (size_t i = unit; i < p->n_units; i++)
        for (int k = 0; p->units[i].group == (int)unit && k < p->units[i].n_out; k++)
            if (p->units[i].out[k] == v) return true;
    return false;
}

int clm_total_items(const clm_program *p, const clm_unit *u) {
    const clm_device_info *info = &p->device->info;
    size_t items = 1, rows = 1;
    for (int i = 0; i < u->space.rank; i++)
        if (!(u->axes >> i & 1)) rows *= (size_t)u->space.dim[i];
    if (info->type == CLM_DEVICE_CPU || clm_shape_size(&u->space) <= FEW_ELEMENTS) return 1;
    while (items < rows && items < MOST_TOTAL_ITEMS && items * 2 <= info->max_work_group_size) items *= 2;
    return (int)items;
}

size_t clm_shared_elements(const clm_device *device) {
    const clm_device_info *info = &device->info;
    const bool shares = info->type != CLM_DEVICE_CPU && info->type != CLM_DEVICE_HOST && info->dedicated_local_memory;
    return shares && info->max_work_group_size > 1 ? MOST_SHARED : 0;
}

void clm_program_ask_few_passes(const clm_device *device, clm_graph *g) {
    g->few_passes = device->info.type != CLM_DEVICE_HOST;
    g->one_pass = clm_shared_elements(device);
}

const char *clm_program_implementation_names(uint32_t implementations, char *text, size_t size) {
    return clm_choice_names(implementations, text, size);
}
