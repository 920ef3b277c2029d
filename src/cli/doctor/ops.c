/* The operations, on odd shapes, device against host: those rows of check/op_cases.h that are for an examination.
 *
 * For every row y = f(x): the value y, the adjoint f'^T c (1 + y), and the tangents of both along random directions, which are
 * what a Hessian-vector product is made of; with y in the cotangent they are more than zero for a linear f. Each row runs twice:
 * with every operand per task, and with the operands after the first shared by all tasks (for one operand: shared). A line shows
 * the worse of the two.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "check/op_cases.h"
#include "doctor/parts.h"

enum { MAX_IN = CLM_CASE_MAX_INPUTS, TASKS = 3, MAX_OUTPUTS = 2 * MAX_IN + 2, MAX_LEAVES = 2 * MAX_IN + 1, GROUPS = 3 };
static const double tolerance[GROUPS] = {1e-5, 1e-5, 5e-5}; /* value, adjoint, tangents */

/* One graph to run on both devices: leaves to fill, outputs by group. */
typedef struct trial {
    clm_graph *graph;
    clm_value leaf[MAX_LEAVES], output[MAX_OUTPUTS];
    clm_op_input content[MAX_LEAVES];
    float *data[MAX_LEAVES];
    size_t leaf_size[MAX_LEAVES];
    int group[MAX_OUTPUTS];
    size_t n_leaves, n_outputs;
} trial;

static clm_value add_leaf(trial *t, const clm_op_input *content, bool per_task) {
    char name[16];
    size_t i = t->n_leaves++;
    snprintf(name, sizeof name, "x%zu", i);
    t->content[i] = *content;
    t->leaf_size[i] = cli_elements(&content->shape, per_task ? TASKS : 0);
    return t->leaf[i] = clm_input(t->graph, name, content->shape, per_task);
}

/* A tangent or cotangent of v. */
static clm_value add_direction(trial *t, clm_value v) {
    clm_op_input normal = {clm_value_shape(t->graph, v), CLM_DRAW_NORMAL, 0};
    return add_leaf(t, &normal, clm_value_per_task(t->graph, v));
}

/* A value that is a leaf, or twice among the outputs, says nothing new. */
static void add_output(trial *t, clm_value v, int group) {
    if (v == CLM_INVALID) return;
    for (size_t i = 0; i < t->n_leaves; i++)
        if (t->leaf[i] == v) return;
    for (size_t i = 0; i < t->n_outputs; i++)
        if (t->output[i] == v) return;
    t->output[t->n_outputs] = v;
    t->group[t->n_outputs++] = group;
}

static clm_status add_derivatives(trial *t, const clm_op_case *c, const clm_value *in, clm_value y) {
    clm_graph *g = t->graph;
    clm_value x[MAX_IN], tangent[MAX_IN], result[MAX_IN + 1], out[MAX_IN + 1];
    size_t n = 0;
    for (int i = 0; i < c->n_in; i++)
        if (clm_op_input_is_differentiable(&c->in[i])) x[n++] = in[i];
    clm_value cotangent = clm_mul(g, add_direction(t, y), clm_affine(g, y, 1, 1));
    result[0] = y;
    CLI_TRY(clm_vjp(g, &y, &cotangent, 1, x, n, result + 1));
    for (size_t i = 0; i < n; i++) {
        add_output(t, result[i + 1], 1);
        tangent[i] = add_direction(t, x[i]);
    }
    CLI_TRY(clm_jvp(g, x, tangent, n, result, n + 1, out));
    for (size_t i = 0; i <= n; i++) add_output(t, out[i], 2);
    return CLM_OK;
}

static clm_status build_trial(trial *t, const clm_op_case *c, bool all_per_task) {
    clm_value in[MAX_IN];
    CLI_TRY(clm_graph_create(&t->graph));
    for (int i = 0; i < c->n_in; i++) in[i] = add_leaf(t, &c->in[i], all_per_task || (i == 0 && c->n_in > 1));
    clm_value y = c->build(t->graph, in);
    CLI_TRY(clm_graph_status(t->graph));
    add_output(t, y, 0);
    if (!(c->flags & CLM_CASE_FLAT)) CLI_TRY(add_derivatives(t, c, in, y));
    return clm_graph_status(t->graph);
}

static clm_status fill_leaves(trial *t, uint64_t state) {
    double *numbers = NULL;
    clm_status status = CLM_OK;
    for (size_t i = 0; i < t->n_leaves; i++) {
        CLI_NEW(t->data[i], t->leaf_size[i]);
        CLI_NEW(numbers, t->leaf_size[i]);
        clm_draw_fill(t->content[i].draw, t->content[i].limit, &state, numbers, t->leaf_size[i]);
        for (size_t j = 0; j < t->leaf_size[i]; j++) t->data[i][j] = (float)numbers[j];
        free(numbers);
        numbers = NULL;
    }
out:
    free(numbers);
    return status;
}

/* The least of a few runs, waiting after each: everything that the case computes. */
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
static clm_status run_trial(const trial *t, clm_device *device, double **results, size_t *sizes, double *seconds) {
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    clm_program *program = NULL;
    clm_status status = CLM_OK;
    options.tasks = TASKS;
    CLI_GOTO(clm_program_create(&program, device, t->graph, t->output, t->n_outputs, &options));
    CLI_GOTO(clm_program_prepare(program));
    for (size_t i = 0; i < t->n_leaves; i++) {
        clm_tensor *tensor = clm_program_tensor(program, t->leaf[i]);
        if (tensor) CLI_GOTO(clm_tensor_write(tensor, t->data[i], t->leaf_size[i])); /* a leaf nothing depends on has none */
    }
    CLI_GOTO(clm_program_run(program));
    for (size_t i = 0; i < t->n_outputs; i++) {
        clm_tensor *tensor = clm_program_tensor(program, t->output[i]);
        sizes[i] = clm_tensor_size(tensor);
        CLI_NEW(results[i], sizes[i]);
        CLI_GOTO(clm_tensor_read_f64(tensor, results[i], sizes[i]));
    }
    if (seconds) CLI_GOTO(time_program(program, device, seconds));
out:
    clm_program_free(program);
    return status;
}

/* Raises error[group] to the errors of one variant; NAN where nothing was compared. */
static clm_status compare_variant(const clm_op_case *c, bool all_per_task, clm_device *device, clm_device *host, double *error,
                                  double *seconds) {
    trial t = {0};
    double *ours[MAX_OUTPUTS] = {NULL}, *reference[MAX_OUTPUTS] = {NULL};
    size_t sizes[MAX_OUTPUTS];
    cli_error_norm norm[GROUPS] = {{0, 0}};
    bool present[GROUPS] = {false};
    clm_status status = CLM_OK;
    CLI_GOTO(build_trial(&t, c, all_per_task));
    CLI_GOTO(fill_leaves(&t, clm_draw_start(all_per_task, c->name)));
    CLI_GOTO(run_trial(&t, host, reference, sizes, NULL));
    CLI_GOTO(run_trial(&t, device, ours, sizes, seconds));
    for (size_t i = 0; i < t.n_outputs; i++) {
        cli_error_add(&norm[t.group[i]], ours[i], reference[i], sizes[i]);
        present[t.group[i]] = true;
    }
    for (int k = 0; k < GROUPS; k++) {
        double e = cli_error_value(&norm[k]);
        if (present[k] && !(e <= error[k])) error[k] = isnan(e) ? INFINITY : e;
    }
out:
    for (size_t i = 0; i < MAX_OUTPUTS; i++) free(ours[i]), free(reference[i]);
    for (size_t i = 0; i < MAX_LEAVES; i++) free(t.data[i]);
    clm_graph_free(t.graph);
    return status;
}

static void error_text(double error, double limit, char *text, size_t size) {
    if (isnan(error))
        snprintf(text, size, "%9s ", "-");
    else
        snprintf(text, size, "%9.1e%c", error, error <= limit ? ' ' : '!');
}

/* "conv2d, grouped" */
static const char *shown_name(const clm_op_case *c, char *text, size_t size) {
    int length = (int)strcspn(c->name, "/");
    snprintf(text, size, "%.*s%s%s", length, c->name, c->name[length] ? ", " : "", c->name + length + (c->name[length] == '/'));
    return text;
}

static void check_case(cli_report *report, const clm_op_case *c, clm_device *device, clm_device *host) {
    double error[GROUPS] = {NAN, NAN, NAN}, seconds = 0;
    char column[GROUPS][24], name[64];
    bool good = true;
    for (int variant = 0; variant < 2; variant++) {
        if (compare_variant(c, variant == 1, device, host, error, &seconds) == CLM_OK) continue;
        cli_report_check(report, false, shown_name(c, name, sizeof name), "%s", cli_message());
        cli_forget();
        return;
    }
    for (int k = 0; k < GROUPS; k++) {
        good = good && (isnan(error[k]) || error[k] <= tolerance[k]);
        error_text(error[k], tolerance[k], column[k], sizeof column[k]);
    }
    cli_report_check(report, good, shown_name(c, name, sizeof name), "%s %s %s %8.0f us", column[0], column[1], column[2],
                     1e6 * seconds);
}

void cli_doctor_operations(cli_report *report, clm_device *device, clm_device *host) {
    cli_report_line(report, "operations: relative error against the host reference; time of all that a row computes, %d tasks",
                    TASKS);
    cli_report_line(report, "  %-26s %9s  %9s  %9s  %11s", "", "value", "adjoint", "tangents", "time");
    cli_report_line(report, "  %-26s %9.0e  %9.0e  %9.0e", "allowed", tolerance[0], tolerance[1], tolerance[2]);
    for (size_t i = 0; i < clm_op_case_count(); i++)
        if (clm_op_case_is_examined(clm_op_case_at(i))) check_case(report, clm_op_case_at(i), device, host);
}
