/* See op_instance.h. */
#include "support/op_instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "support/numbers.h"
#include "support/run.h"

size_t clm_op_variants(const clm_op_case *row, unsigned masks[4]) {
    unsigned all = (1u << row->n_in) - 1u;
    if (clm_test_tiny()) {
        masks[0] = 1u; /* the other inputs shared: sums over tasks are among the derivatives */
        return 1;
    }
    masks[0] = all;
    masks[1] = 0;
    masks[2] = 1u;
    masks[3] = all & ~1u;
    return row->n_in > 1 ? 4 : 2;
}

static int add_leaf(clm_op_instance *o, clm_value v) {
    o->leaf[o->n_leaves] = v;
    o->size[o->n_leaves] = clm_test_elements(o->graph, v, o->tasks);
    return o->n_leaves++;
}

static int add_input(clm_op_instance *o, const char *kind, int which, clm_value like) {
    char name[32];
    snprintf(name, sizeof name, "%s%d", kind, which);
    return add_leaf(o, clm_input(o->graph, name, clm_value_shape(o->graph, like), clm_value_per_task(o->graph, like)));
}

static void add_output(clm_op_instance *o, clm_test_kind kind, int which, clm_value v) {
    clm_op_output *out = &o->output[o->n_outputs++];
    out->kind = kind;
    out->which = which;
    out->v = v;
    out->like = which < 0 ? o->y : o->x[which];
    out->size = clm_test_elements(o->graph, out->like, o->tasks);
}

/* A tangent that is symbolically zero is none; here it becomes a value that can be read. */
static clm_value materialise(clm_graph *g, clm_value v, clm_value like) {
    return v == CLM_INVALID ? clm_fill(g, clm_value_shape(g, like), 0.0) : v;
}

typedef struct differentiable {
    int n, which[CLM_CASE_MAX_INPUTS];
    clm_value x[CLM_CASE_MAX_INPUTS], t[CLM_CASE_MAX_INPUTS], u[CLM_CASE_MAX_INPUTS];
} differentiable;

static void add_outputs(clm_op_instance *o, const differentiable *d, clm_test_kind kind, const clm_value *v) {
    for (int k = 0; k < d->n; k++) add_output(o, kind, d->which[k], materialise(o->graph, v[k], d->x[k]));
}

static clm_status add_derivatives(clm_op_instance *o, const differentiable *d) {
    clm_graph *g = o->graph;
    size_t n = (size_t)d->n;
    clm_value c = o->leaf[o->c_leaf], tangent, v[CLM_CASE_MAX_INPUTS], gradient[CLM_CASE_MAX_INPUTS];
    CLM_TRY(clm_jvp(g, d->x, d->t, n, &o->y, 1, &tangent));
    add_output(o, CLM_TEST_JVP, -1, materialise(g, tangent, o->y));
    CLM_TRY(clm_vjp(g, &o->y, &c, 1, d->x, n, v));
    add_outputs(o, d, CLM_TEST_VJP, v);
    clm_value scalar = clm_sum_all(g, clm_mul(g, c, clm_mul(g, clm_square(g, o->y), clm_affine(g, o->y, 0.5, 1.0))));
    CLM_TRY(clm_grad(g, scalar, d->x, n, gradient));
    add_outputs(o, d, CLM_TEST_GRAD, gradient);
    CLM_TRY(clm_hvp(g, scalar, d->x, d->t, n, v));
    add_outputs(o, d, CLM_TEST_HVP, v);
    CLM_TRY(clm_hvp(g, scalar, d->x, d->u, n, v));
    add_outputs(o, d, CLM_TEST_HVP_U, v);
    /* A gradient that happens to be the same for all tasks is kept once; here it must count once for every task. */
    for (size_t k = 0; k < n; k++)
        if (clm_value_per_task(g, d->x[k])) gradient[k] = clm_per_task(g, gradient[k]);
    CLM_TRY(clm_vjp(g, gradient, d->t, n, d->x, n, v));
    add_outputs(o, d, CLM_TEST_REVERSE, v);
    return CLM_OK;
}

static void add_inputs(clm_op_instance *o, differentiable *d) {
    const clm_op_case *row = o->row;
    for (int i = 0; i < row->n_in; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        o->x[i] = clm_input(o->graph, name, row->in[i].shape, (o->mask >> i & 1u) != 0);
        o->x_leaf[i] = add_leaf(o, o->x[i]);
        o->t_leaf[i] = o->u_leaf[i] = -1;
        if (!clm_op_input_is_differentiable(&row->in[i])) continue;
        o->t_leaf[i] = add_input(o, "t", i, o->x[i]);
        o->u_leaf[i] = add_input(o, "u", i, o->x[i]);
        d->which[d->n] = i;
        d->x[d->n] = o->x[i];
        d->t[d->n] = o->leaf[o->t_leaf[i]];
        d->u[d->n++] = o->leaf[o->u_leaf[i]];
    }
}

clm_status clm_op_instance_make(clm_op_instance *o, const clm_op_case *row, unsigned mask, int tasks) {
    *o = (clm_op_instance){.row = row, .mask = mask, .tasks = tasks, .c_leaf = -1};
    int used = snprintf(o->name, sizeof o->name, "%s (", row->name);
    for (int i = 0; i < row->n_in; i++)
        used += snprintf(o->name + used, sizeof o->name - (size_t)used, "%s%s", i ? ", " : "",
                         mask >> i & 1u ? "per task" : "shared");
    snprintf(o->name + used, sizeof o->name - (size_t)used, ")");
    CLM_TRY(clm_graph_create(&o->graph));
    differentiable d = {0};
    add_inputs(o, &d);
    o->y = row->build(o->graph, o->x);
    CLM_TRY(clm_graph_status(o->graph));
    add_output(o, CLM_TEST_VALUE, -1, o->y);
    if (d.n == 0) return CLM_OK;
    o->c_leaf = add_input(o, "c", 0, o->y);
    CLM_TRY(add_derivatives(o, &d));
    return clm_graph_status(o->graph);
}

clm_status clm_op_instance_draw(clm_op_instance *o, uint64_t seed) {
    uint64_t state = clm_draw_start(seed, o->name);
    for (int k = 0; k < o->n_leaves; k++) {
        o->data[k] = clm_calloc(o->size[k] + 1, sizeof(double));
        if (!o->data[k]) return CLM_E_MEMORY;
        clm_draw_fill(CLM_DRAW_NORMAL, 0, &state, o->data[k], o->size[k]);
    }
    for (int i = 0; i < o->row->n_in; i++) {
        int k = o->x_leaf[i];
        clm_draw_fill(o->row->in[i].draw, o->row->in[i].limit, &state, o->data[k], o->size[k]);
    }
    return CLM_OK;
}

void clm_op_instance_free(clm_op_instance *o) {
    for (int k = 0; k < o->n_leaves; k++) free(o->data[k]);
    clm_graph_free(o->graph);
    memset(o, 0, sizeof *o);
}

void clm_op_instance_shift(clm_op_instance *o, double h) {
    for (int i = 0; i < o->row->n_in; i++) {
        if (o->t_leaf[i] < 0) continue;
        double *x = o->data[o->x_leaf[i]];
        const double *t = o->data[o->t_leaf[i]];
        for (size_t k = 0; k < o->size[o->x_leaf[i]]; k++) x[k] += h * t[k];
    }
}

size_t clm_op_instance_outputs(const clm_op_instance *o, unsigned kinds, clm_value *out) {
    size_t n = 0;
    for (int k = 0; k < o->n_outputs; k++)
        if (kinds & CLM_TEST_KIND(o->output[k].kind)) out[n++] = o->output[k].v;
    return n;
}

clm_status clm_op_instance_program(const clm_op_instance *o, clm_device *device, const clm_program_options *options,
                                   unsigned kinds, clm_program **out) {
    clm_value outputs[CLM_TEST_MAX_OUTPUTS];
    *out = NULL;
    size_t n = clm_op_instance_outputs(o, kinds, outputs);
    CLM_TRY(clm_program_create(out, device, o->graph, outputs, n, options));
    return clm_program_prepare(*out);
}

/* Reads output k as one array of like's size: [tasks, shape..], or [shape..] when like is shared or only one task was run. */
static clm_status fetch(const clm_op_instance *o, clm_program *program, int task, int k, double **out) {
    const clm_op_output *output = &o->output[k];
    int tasks = task < 0 ? o->tasks : 1;
    size_t size = clm_test_elements(o->graph, output->like, tasks), own = clm_test_elements(o->graph, output->v, tasks);
    clm_shape shape = clm_value_shape(o->graph, output->v), like = clm_value_shape(o->graph, output->like);
    if (!clm_shape_equal(&shape, &like) || own > size)
        return clm_fail(CLM_E_SHAPE, "output value %d has %zu elements, what it belongs to has %zu", (int)output->v, own, size);
    free(*out);
    *out = clm_calloc(size + 1, sizeof(double));
    if (!*out) return CLM_E_MEMORY;
    CLM_TRY(clm_test_fetch(program, output->v, *out));
    for (size_t done = own; done < size; done += own) memcpy(*out + done, *out, own * sizeof(double));
    return CLM_OK;
}

clm_status clm_op_instance_run(const clm_op_instance *o, clm_program *program, int task, unsigned kinds,
                               clm_op_results *results) {
    for (int k = 0; k < o->n_leaves; k++) {
        bool part = task > 0 && clm_value_per_task(o->graph, o->leaf[k]);
        size_t one = o->size[k] / (size_t)o->tasks;
        CLM_TRY(clm_test_feed(program, o->leaf[k], o->data[k] + (part ? (size_t)task * one : 0)));
    }
    CLM_TRY(clm_program_run(program));
    for (int k = 0; k < o->n_outputs; k++)
        if (kinds & CLM_TEST_KIND(o->output[k].kind)) CLM_TRY(fetch(o, program, task, k, &results->at[k]));
    return CLM_OK;
}

clm_status clm_op_instance_compute(const clm_op_instance *o, clm_device *device, const clm_program_options *options,
                                   unsigned kinds, clm_op_results *results) {
    clm_program *program = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_op_instance_program(o, device, options, kinds, &program));
    CLM_GOTO(clm_op_instance_run(o, program, -1, kinds, results));
out:
    clm_program_free(program);
    return status;
}

void clm_op_results_free(clm_op_results *results) {
    for (int k = 0; k < CLM_TEST_MAX_OUTPUTS; k++) free(results->at[k]);
    memset(results, 0, sizeof *results);
}

const char *clm_op_output_name(const clm_op_output *output, char text[48]) {
    static const char *const names[CLM_TEST_KINDS] = {
        "value", "jvp", "vjp", "gradient", "forward-over-reverse hvp", "hvp u", "reverse-over-reverse hvp"};
    if (output->which < 0)
        snprintf(text, 48, "%s", names[output->kind]);
    else
        snprintf(text, 48, "%s of input %d", names[output->kind], output->which);
    return text;
}
