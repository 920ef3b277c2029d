/* Horizontal fusion: one kernel for several maps over separate arrays, or for several sums over tasks.
 *
 * The parts have consecutive ranges of work-items. Every distinct text of a part is a function; a part is a call
 * of it with its arrays, its size and its constants. Sums are y[i] = (initial[i]) + x[0][i] + x[1][i] + .., in task order, and y may be the
 * memory of `initial`.
 */
#include <stdlib.h>
#include <string.h>

#include "ops/op.h"
#include "program/codegen/codegen.h"

/* What the work-items of a part do. */
typedef struct part {
    clm_text before, text; /* of a function: before its name and after it */
    clm_value values[CLM_STEP_VALUES];
    int n_values, vectors, chunk;
    float constants[CLM_UNIT_CONSTANTS];
    int n_constants;
} part;

typedef struct group {
    clm_lower *l;
    clm_text functions, head, calls;
    part parts[CLM_STEP_VALUES]; /* those with texts that differ from all before */
    int n_parts;
    clm_value values[CLM_STEP_VALUES];
    int n_values;
    int ints[CLM_STEP_INTS];
    int n_ints;
    float constants[CLM_STEP_INTS]; /* each once */
    int n_constants;
    size_t items;
} group;

static void free_part(part *p) {
    clm_text_free(&p->before);
    clm_text_free(&p->text);
}

/* ---- parts ---- */

static void open_part(const clm_generator *g, part *p, const char *arguments, size_t elements) {
    p->vectors = (int)elements / g->width;
    p->chunk = clm_gen_chunk(g, g->width);
    clm_gen_vectors(g, &p->before);
    clm_text_add(&p->text, "(const int id, const int task, const int tasks, const int vectors%s) {\n", arguments);
    clm_gen_vector_type(g, &p->text);
    clm_text_add(&p->text,
                 "    const int first = id * %d, end = min(first + %d, vectors);\n    for (int j = first; j < end; j++) {\n"
                 "        const int e = j * %d;\n",
                 p->chunk, p->chunk, g->width);
}

static void close_part(part *p) {
    clm_text_add(&p->text, "    }\n}\n");
    clm_gen_forget_vectors(&p->text);
}

static clm_status map_part(clm_lower *l, const clm_unit *u, bool constants, part *p) {
    clm_generator g;
    clm_text arguments = {0};
    char name[32];
    clm_status status = CLM_OK;
    CLM_GOTO(clm_gen_begin(&g, l, u, constants));
    for (int k = 0; k < u->n_out; k++) {
        if (!g.takes_out[k]) continue;
        clm_text_add(&arguments, ", OUT(o%d)", k);
        p->values[p->n_values++] = u->out[k];
    }
    for (int i = 0; i < u->n_leaf; i++) {
        clm_text_add(&arguments, ", IN(l%d)", i);
        p->values[p->n_values++] = u->leaf[i];
    }
    for (int i = 0; i < g.n_constants; i++) {
        clm_text_add(&arguments, ", const float constant%d", i);
        p->constants[p->n_constants++] = clm_gen_constant(&g, i);
    }
    p->text.failed |= arguments.failed;
    open_part(&g, p, arguments.data ? arguments.data : "", clm_shape_size(&u->space));
    clm_gen_pointers(&g, &p->text, "        ");
    clm_text_join(&p->text, &g.body);
    for (int k = 0; k < u->n_out; k++) {
        if (!g.takes_out[k]) continue;
        clm_gen_name(&g, u->out[k], true, name, sizeof name);
        clm_gen_store(&g, &p->text, "        ", k, name, "e");
    }
    close_part(p);
out:
    clm_text_free(&arguments);
    clm_gen_end(&g);
    return status;
}

/* Nothing is `restrict`, see above. */
static void sum_part(clm_lower *l, const clm_unit *u, part *p) {
    clm_generator g = {.l = l, .p = l->program, .cpu = l->program->device->info.type == CLM_DEVICE_CPU};
    const clm_node *n = &g.p->nodes[u->out[0]];
    const size_t elements = clm_shape_size(&n->shape);
    const bool from = n->n_in == 2;
    g.width = clm_gen_width(&g, (int)elements);
    open_part(&g, p, from ? ", OUT_SHARED(y), IN(x), IN_SHARED(initial)" : ", OUT(y), IN(x)", elements);
    clm_text_add(&p->text, "        F sum = %s;\n", from ? "LOAD_FROM(PTR(initial, 0) + e)" : "(F)(0.0f)");
    clm_text_add(&p->text, "        for (int t = 0; t < tasks; t++) sum += LOAD_FROM(PTR(x, t) + e);\n"
                           "        STORE_TO(sum, PTR(y, 0) + e);\n");
    close_part(p);
    p->values[p->n_values++] = u->out[0];
    for (int i = 0; i < n->n_in; i++) p->values[p->n_values++] = n->in[i];
}

/* ---- the kernel ---- */

static bool same_text(const clm_text *a, const clm_text *b) { return a->data && b->data && strcmp(a->data, b->data) == 0; }

/* The number of the function for this part. Takes ownership of the part's texts. */
static int function_of(group *g, part *p) {
    for (int i = 0; i < g->n_parts; i++)
        if (same_text(&g->parts[i].before, &p->before) && same_text(&g->parts[i].text, &p->text)) {
            free_part(p);
            return i;
        }
    clm_text_add(&g->functions, "%sstatic void part%d%s", p->before.data ? p->before.data : "", g->n_parts,
                 p->text.data ? p->text.data : "");
    g->parts[g->n_parts] = *p;
    return g->n_parts++;
}

static int constant_index(group *g, float value) {
    int i = 0;
    while (i < g->n_constants && g->constants[i] != value) i++;
    if (i == g->n_constants) g->constants[g->n_constants++] = value;
    return i;
}

static clm_status add_part(group *g, part *p) {
    const int items = (p->vectors + p->chunk - 1) / p->chunk, at = g->n_ints / 2, n_values = p->n_values, first = g->n_values,
              n_constants = p->n_constants;
    const float *constants = p->constants;
    if (p->before.failed || p->text.failed) {
        free_part(p);
        return clm_fail(CLM_E_MEMORY, "code generation: out of memory");
    }
    for (int i = 0; i < n_values; i++) g->values[g->n_values++] = p->values[i];
    g->ints[g->n_ints++] = items;
    g->ints[g->n_ints++] = p->vectors;
    g->items += (size_t)items;
    clm_text_add(&g->calls, "    if (id < items%d) {\n        part%d(id, task, tasks, vectors%d", at, function_of(g, p), at);
    for (int i = first; i < g->n_values; i++) {
        clm_text_add(&g->head, "%s__global float *a%d_buf, const uint2 a%d_at", i ? ", " : "", i, i);
        clm_text_add(&g->calls, ", a%d_buf, a%d_at", i, i);
    }
    for (int i = 0; i < n_constants; i++) clm_text_add(&g->calls, ", constant%d", constant_index(g, constants[i]));
    clm_text_add(&g->calls, ");\n        return;\n    }\n    id -= items%d;\n", at);
    return CLM_OK;
}

static clm_status add_step(group *g, size_t first, bool per_task) {
    clm_launch_spec spec = {.entry = "group"};
    clm_text source = {0};
    clm_text_add(&source, "%s__kernel void group(%s", g->functions.data ? g->functions.data : "",
                 g->head.data ? g->head.data : "");
    clm_gen_quads(&source, g->n_ints + 1 + g->n_constants);
    clm_text_add(&source, ") {\n");
    for (int i = 0; 2 * i < g->n_ints; i++)
        clm_text_add(&source, "    const int items%d = q%d.s%d, vectors%d = q%d.s%d;\n", i, i / 2, i % 2 * 2, i, i / 2,
                     i % 2 * 2 + 1);
    clm_text_add(&source, "    const int tasks = q%d.s%d, task = get_global_id(2);\n    int id = get_global_id(0);\n",
                 g->n_ints / 4, g->n_ints % 4);
    g->ints[g->n_ints++] = g->l->program->tasks;
    for (int i = 0; i < g->n_constants; i++) {
        clm_gen_declare_constant(&source, i, g->n_ints);
        memcpy(&g->ints[g->n_ints++], &g->constants[i], sizeof(float));
    }
    clm_text_add(&source, "%s}\n", g->calls.data ? g->calls.data : "");
    if (source.failed || g->functions.failed || g->head.failed || g->calls.failed) {
        clm_text_free(&source);
        return clm_fail(CLM_E_MEMORY, "code generation: out of memory");
    }
    spec.global[0] = g->items;
    spec.global[1] = 1;
    spec.global[2] = (size_t)(per_task ? g->l->program->tasks : 1);
    return clm_lower_step(g->l, g->l->program->units[first].out[0], &spec, source.data, g->values, g->n_values, g->ints,
                          g->n_ints);
}

/* For constants of one more part, whatever parts follow: each has two ints and two values at least. */
static bool has_room(const group *g) { return g->n_constants + CLM_UNIT_CONSTANTS + CLM_STEP_VALUES + 1 <= CLM_STEP_INTS; }

clm_status clm_codegen_horizontal(clm_lower *l, size_t first) {
    clm_program *p = l->program;
    const bool sums = !p->units[first].fused;
    clm_status status = CLM_OK;
    group *g = clm_calloc(1, sizeof *g);
    if (!g) return CLM_E_MEMORY;
    g->l = l;
    for (size_t i = first; i < p->n_units; i++) {
        part one = {0};
        if (p->units[i].group != (int)first) continue;
        if (sums)
            sum_part(l, &p->units[i], &one);
        else
            status = map_part(l, &p->units[i], has_room(g), &one);
        if (status == CLM_OK)
            status = add_part(g, &one);
        else
            free_part(&one);
        if (status != CLM_OK) goto out;
    }
    CLM_GOTO(add_step(g, first, !sums && p->units[first].per_task));
out:
    for (int i = 0; i < g->n_parts; i++) free_part(&g->parts[i]);
    clm_text_free(&g->functions);
    clm_text_free(&g->head);
    clm_text_free(&g->calls);
    free(g);
    return status;
}
