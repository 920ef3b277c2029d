/* See trial.h. One graph for all rows: leaves to fill, outputs by row and group. */
#include "selftest/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

enum {
    MAX_IN = CLM_CASE_MAX_INPUTS,
    MAX_OUTPUTS = (2 * MAX_IN + 2) * CLI_TRIAL_ROWS,
    MAX_LEAVES = (2 * MAX_IN + 1) * CLI_TRIAL_ROWS
};

const double cli_trial_tolerance[CLI_TRIAL_GROUPS] = {1e-5, 1e-5, 5e-5};

typedef struct leaf {
    clm_value value;
    clm_op_input content;
    float *data;
    size_t size, row;
} leaf;

typedef struct output {
    clm_value value;
    int group;
    size_t row;
} output;

struct cli_trial {
    clm_graph *graph;
    leaf leaves[MAX_LEAVES];
    output outputs[MAX_OUTPUTS];
    const clm_op_case *row[CLI_TRIAL_ROWS];
    size_t n_leaves, n_outputs, n_rows;
};

clm_status cli_trial_create(cli_trial **out) {
    cli_trial *t = NULL;
    clm_status status = CLM_OK;
    CLI_NEW(t, 1);
    CLI_GOTO(clm_graph_create(&t->graph));
out:
    if (status != CLM_OK) {
        free(t);
        t = NULL;
    }
    *out = t;
    return status;
}

void cli_trial_free(cli_trial *t) {
    if (!t) return;
    for (size_t i = 0; i < t->n_leaves; i++) free(t->leaves[i].data);
    clm_graph_free(t->graph);
    free(t);
}

size_t cli_trial_rows(const cli_trial *t) { return t->n_rows; }
const clm_op_case *cli_trial_row(const cli_trial *t, size_t i) { return t->row[i]; }

cli_text cli_trial_name(const clm_op_case *row) {
    cli_text text;
    int length = (int)strcspn(row->name, "/");
    const bool variant = row->name[length] != 0;
    snprintf(text.s, sizeof text.s, "%.*s%s%s", length, row->name, variant ? ", " : "", row->name + length + variant);
    return text;
}

/* ---- building ---- */

static clm_value add_leaf(cli_trial *t, const clm_op_input *content, bool per_task) {
    char name[16];
    leaf *l = &t->leaves[t->n_leaves];
    snprintf(name, sizeof name, "x%zu", t->n_leaves++);
    l->content = *content;
    l->row = t->n_rows;
    l->size = cli_elements(&content->shape, per_task ? CLI_TRIAL_TASKS : 0);
    return l->value = clm_input(t->graph, name, content->shape, per_task);
}

/* A tangent or cotangent of v. */
static clm_value add_direction(cli_trial *t, clm_value v) {
    clm_op_input normal = {clm_value_shape(t->graph, v), CLM_DRAW_NORMAL, 0};
    return add_leaf(t, &normal, clm_value_per_task(t->graph, v));
}

/* A value that is a leaf, or twice among the outputs, says nothing new. */
static void add_output(cli_trial *t, clm_value v, int group) {
    if (v == CLM_INVALID) return;
    for (size_t i = 0; i < t->n_leaves; i++)
        if (t->leaves[i].value == v) return;
    for (size_t i = 0; i < t->n_outputs; i++)
        if (t->outputs[i].value == v) return;
    t->outputs[t->n_outputs++] = (output){v, group, t->n_rows};
}

static clm_status add_derivatives(cli_trial *t, const clm_op_case *c, const clm_value *in, clm_value y) {
    clm_graph *g = t->graph;
    clm_value x[MAX_IN], tangent[MAX_IN], result[MAX_IN + 1], out[MAX_IN + 1];
    size_t n = 0;
    for (int i = 0; i < c->n_in; i++)
        if (clm_op_input_is_differentiable(&c->in[i])) x[n++] = in[i];
    clm_value cotangent = clm_mul(g, add_direction(t, y), clm_affine(g, y, 1, 1));
    result[0] = y;
    CLI_TRY(clm_vjp(g, &y, &cotangent, 1, x, n, result + 1));
    for (size_t i = 0; i < n; i++) {
        add_output(t, result[i + 1], CLI_TRIAL_ADJOINT);
        tangent[i] = add_direction(t, x[i]);
    }
    CLI_TRY(clm_jvp(g, x, tangent, n, result, n + 1, out));
    for (size_t i = 0; i <= n; i++) add_output(t, out[i], CLI_TRIAL_TANGENTS);
    return CLM_OK;
}

/* The numbers of a row depend on its name and on what is shared, not on the rows beside it. */
static clm_status fill_leaves(cli_trial *t, size_t first, uint64_t state) {
    double *numbers = NULL;
    clm_status status = CLM_OK;
    for (size_t i = first; i < t->n_leaves; i++) {
        leaf *l = &t->leaves[i];
        CLI_NEW(l->data, l->size);
        CLI_NEW(numbers, l->size);
        clm_draw_fill(l->content.draw, l->content.limit, &state, numbers, l->size);
        for (size_t j = 0; j < l->size; j++) l->data[j] = (float)numbers[j];
        free(numbers);
        numbers = NULL;
    }
out:
    free(numbers);
    return status;
}

clm_status cli_trial_add(cli_trial *t, const clm_op_case *c, bool all_per_task, bool derivatives) {
    clm_value in[MAX_IN];
    const size_t first = t->n_leaves;
    if (t->n_rows == CLI_TRIAL_ROWS) return cli_fail(CLM_E_LIMIT, "more than %d rows in one trial", CLI_TRIAL_ROWS);
    for (int i = 0; i < c->n_in; i++) in[i] = add_leaf(t, &c->in[i], all_per_task || (i == 0 && c->n_in > 1));
    clm_value y = c->build(t->graph, in);
    CLI_TRY(clm_graph_status(t->graph));
    add_output(t, y, CLI_TRIAL_VALUE);
    if (derivatives && !(c->flags & CLM_CASE_FLAT)) CLI_TRY(add_derivatives(t, c, in, y));
    CLI_TRY(clm_graph_status(t->graph));
    CLI_TRY(fill_leaves(t, first, clm_draw_start(all_per_task, c->name)));
    t->row[t->n_rows++] = c;
    return CLM_OK;
}

/* ---- running ---- */

/* The least of a few runs, waiting after each. */
static clm_status time_program(clm_program *program, clm_device *device, double *seconds) {
    enum { RUNS = 5 };
    for (int i = 0; i < RUNS; i++) {
        double began = cli_clock();
        CLI_TRY(clm_program_run(program));
        CLI_TRY(clm_device_finish(device));
        double took = cli_clock() - began;
        if (i == 0 || took < *seconds) *seconds = took;
    }
    return CLM_OK;
}

/* Runs the trial; results[i] newly allocated. `seconds` (may be NULL): its time. */
static clm_status run_trial(const cli_trial *t, clm_device *device, double **results, size_t *sizes, double *seconds) {
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    clm_program *program = NULL;
    clm_value values[MAX_OUTPUTS];
    clm_status status = CLM_OK;
    options.tasks = CLI_TRIAL_TASKS;
    for (size_t i = 0; i < t->n_outputs; i++) values[i] = t->outputs[i].value;
    CLI_GOTO(clm_program_create(&program, device, t->graph, values, t->n_outputs, &options));
    CLI_GOTO(clm_program_prepare(program));
    for (size_t i = 0; i < t->n_leaves; i++) {
        clm_tensor *tensor = clm_program_tensor(program, t->leaves[i].value);
        if (tensor) CLI_GOTO(clm_tensor_write(tensor, t->leaves[i].data, t->leaves[i].size)); /* none: nothing depends on it */
    }
    CLI_GOTO(clm_program_run(program));
    for (size_t i = 0; i < t->n_outputs; i++) {
        clm_tensor *tensor = clm_program_tensor(program, t->outputs[i].value);
        sizes[i] = clm_tensor_size(tensor);
        CLI_NEW(results[i], sizes[i]);
        CLI_GOTO(clm_tensor_read_f64(tensor, results[i], sizes[i]));
    }
    if (seconds) CLI_GOTO(time_program(program, device, seconds));
out:
    clm_program_free(program);
    return status;
}

/* The relative error of one row and group; NAN: it has no such output. */
static double error_of(const cli_trial *t, size_t row, int group, double *const *ours, double *const *reference,
                       const size_t *sizes) {
    cli_error_norm norm = {0, 0};
    bool present = false;
    for (size_t i = 0; i < t->n_outputs; i++) {
        if (t->outputs[i].row != row || t->outputs[i].group != group) continue;
        cli_error_add(&norm, ours[i], reference[i], sizes[i]);
        present = true;
    }
    if (!present) return NAN;
    const double e = cli_error_value(&norm);
    return isnan(e) ? INFINITY : e;
}

clm_status cli_trial_compare(const cli_trial *t, clm_device *device, clm_device *host, double (*error)[CLI_TRIAL_GROUPS],
                             double *seconds) {
    double *ours[MAX_OUTPUTS] = {NULL}, *reference[MAX_OUTPUTS] = {NULL};
    size_t sizes[MAX_OUTPUTS];
    clm_status status = CLM_OK;
    CLI_GOTO(run_trial(t, host, reference, sizes, NULL));
    CLI_GOTO(run_trial(t, device, ours, sizes, seconds));
    for (size_t row = 0; row < t->n_rows; row++)
        for (int k = 0; k < CLI_TRIAL_GROUPS; k++) error[row][k] = error_of(t, row, k, ours, reference, sizes);
out:
    for (size_t i = 0; i < MAX_OUTPUTS; i++) free(ours[i]), free(reference[i]);
    return status;
}
