/* The operations, on odd shapes, device against host.
 *
 * For every case y = f(x): the value y, the cotangents f'^T c, and the tangents of both along random directions, which are what a
 * Hessian-vector product is made of. Each case runs twice: with every operand per task, and with the operands after the first
 * shared by all tasks (for one operand: shared). A row shows the worse of the two.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "doctor/parts.h"

enum { MAX_IN = 5, TASKS = 3, MAX_OUTPUTS = 24, MAX_LEAVES = 16, GROUPS = 3 };
static const double tolerance[GROUPS] = {1e-5, 1e-5, 5e-5}; /* value, adjoint, tangents */

/* Contents of an operand. */
typedef enum fill { NORMAL, POSITIVE, INDEX } fill;

typedef struct operand {
    fill content;
    int range; /* INDEX: whole numbers below it */
    int rank, dim[5];
} operand;

typedef struct op_case {
    const char *name;
    clm_value (*build)(clm_graph *g, const clm_value *in);
    int n_in;
    operand in[MAX_IN];
    bool constant; /* derivative zero everywhere: the value alone is compared */
} op_case;

#define BUILD(name, expression) \
    static clm_value build_##name(clm_graph *g, const clm_value *in) { return expression; }

BUILD(add, clm_add(g, in[0], in[1]))
BUILD(sub, clm_sub(g, in[0], in[1]))
BUILD(mul, clm_mul(g, in[0], in[1]))
BUILD(div, clm_div(g, in[0], in[1]))
BUILD(pow, clm_pow(g, in[0], in[1]))
BUILD(maximum, clm_maximum(g, in[0], in[1]))
BUILD(minimum, clm_minimum(g, in[0], in[1]))
BUILD(greater, clm_greater(g, in[0], in[1]))
BUILD(equal, clm_equal(g, in[0], in[1]))
BUILD(affine, clm_affine(g, clm_square(g, in[0]), -1.7, 0.3))
BUILD(abs, clm_abs(g, in[0]))
BUILD(sign, clm_sign(g, in[0]))
BUILD(step, clm_step(g, in[0]))
BUILD(exp, clm_exp(g, in[0]))
BUILD(log, clm_log(g, in[0]))
BUILD(sqrt, clm_sqrt(g, in[0]))
BUILD(rsqrt, clm_rsqrt(g, in[0]))
BUILD(power, clm_power(g, in[0], 2.5))
BUILD(sin, clm_sin(g, in[0]))
BUILD(cos, clm_cos(g, in[0]))
BUILD(tanh, clm_tanh(g, in[0]))
BUILD(sigmoid, clm_sigmoid(g, in[0]))
BUILD(erf, clm_erf(g, in[0]))
BUILD(softplus, clm_softplus(g, in[0]))
BUILD(relu, clm_relu(g, in[0]))
BUILD(leaky_relu, clm_leaky_relu(g, in[0], 0.1))
BUILD(elu, clm_elu(g, in[0], 1.3))
BUILD(gelu, clm_gelu(g, in[0]))
BUILD(silu, clm_silu(g, in[0]))
BUILD(stop_gradient, clm_mul(g, in[0], clm_stop_gradient(g, clm_sin(g, in[0]))))
BUILD(broadcast, clm_broadcast(g, clm_square(g, in[0]), clm_shape_of(3, 4, 5, 3)))
BUILD(reshape, clm_reshape(g, clm_square(g, in[0]), clm_shape_of(2, 5, 21)))
BUILD(transpose, clm_transpose(g, clm_square(g, in[0]), (const int32_t[]){2, 0, 1}))
BUILD(slice, clm_slice(g, clm_square(g, in[0]), (const int32_t[]){1, 2, 0}, clm_shape_of(3, 2, 3, 5)))
BUILD(pad, clm_pad(g, clm_square(g, in[0]), (const int32_t[]){1, 0, 2}, (const int32_t[]){0, 3, 1}))
BUILD(concat, clm_concat(g, in, 2, 1))
BUILD(gather, clm_gather(g, clm_square(g, in[0]), in[1], 1))
BUILD(scatter_add, clm_scatter_add(g, clm_square(g, in[0]), in[1], 0, 6))
BUILD(one_hot, clm_one_hot(g, in[0], 7))
BUILD(sum, clm_sum(g, clm_square(g, in[0]), 2U, false))
BUILD(sum_ends, clm_sum(g, clm_square(g, in[0]), 5U, true))
BUILD(mean_all, clm_mean_all(g, clm_square(g, in[0])))
BUILD(reduce_max, clm_reduce_max(g, clm_square(g, in[0]), 4U, false))
BUILD(sum_tasks, clm_sum_tasks(g, clm_square(g, in[0]), CLM_INVALID))
BUILD(matmul, clm_matmul(g, in[0], in[1], false, false))
BUILD(matmul_ta, clm_matmul(g, in[0], in[1], true, false))
BUILD(matmul_tb, clm_matmul(g, in[0], in[1], false, true))
BUILD(linear, clm_linear(g, in[0], in[1], in[2]))
BUILD(conv, clm_conv2d(g, in[0], in[1], &(const clm_conv_options){{1, 1}, {1, 1}, {1, 1}, 1}))
BUILD(conv_stride, clm_conv2d(g, in[0], in[1], &(const clm_conv_options){{2, 3}, {1, 0}, {1, 1}, 1}))
BUILD(conv_dilated, clm_conv2d(g, in[0], in[1], &(const clm_conv_options){{1, 1}, {2, 1}, {2, 1}, 1}))
BUILD(conv_groups, clm_conv2d(g, in[0], in[1], &(const clm_conv_options){{1, 1}, {1, 1}, {1, 1}, 3}))
BUILD(conv_data, clm_conv2d_bwd_data(g, in[0], in[1], 9, 7, &(const clm_conv_options){{2, 2}, {1, 1}, {1, 1}, 1}))
BUILD(conv_filter, clm_conv2d_bwd_filter(g, in[0], in[1], 3, 3, &(const clm_conv_options){{2, 2}, {1, 1}, {1, 1}, 1}))
BUILD(max_pool, clm_max_pool(g, clm_sin(g, in[0]), &(const clm_pool_options){{2, 2}, {2, 2}, {0, 0}}))
BUILD(max_pool_overlap, clm_max_pool(g, clm_sin(g, in[0]), &(const clm_pool_options){{3, 3}, {2, 2}, {1, 1}}))
BUILD(avg_pool, clm_avg_pool(g, clm_sin(g, in[0]), &(const clm_pool_options){{3, 2}, {2, 2}, {1, 0}}))
BUILD(global_avg_pool, clm_global_avg_pool(g, clm_sin(g, in[0])))
BUILD(batch_norm, clm_batch_norm(g, in[0], in[1], in[2], 1e-5, NULL, NULL))
BUILD(normalize, clm_normalize(g, in[0], in[3], in[4], in[1], in[2], 1e-5))
BUILD(layer_norm, clm_layer_norm(g, in[0], in[1], in[2], 1e-5))
BUILD(group_norm, clm_group_norm(g, in[0], 3, in[1], in[2], 1e-5))
BUILD(softmax, clm_softmax(g, in[0]))
BUILD(log_softmax, clm_log_softmax(g, in[0]))
BUILD(cross_entropy, clm_cross_entropy(g, in[0], in[1], CLM_REDUCE_MEAN))
BUILD(cross_entropy_sum, clm_cross_entropy(g, in[0], in[1], CLM_REDUCE_SUM))
BUILD(accuracy, clm_accuracy(g, in[0], in[1]))
BUILD(mse, clm_mse(g, in[0], in[1], CLM_REDUCE_MEAN))
BUILD(block,
      clm_max_pool(g,
                   clm_relu(g,
                            clm_batch_norm(g, clm_conv2d(g, in[0], in[1], &(const clm_conv_options){{1, 1}, {1, 1}, {1, 1}, 1}),
                                           in[2], in[3], 1e-5, NULL, NULL)),
                   &(const clm_pool_options){{2, 2}, {2, 2}, {0, 0}}))

#define N1(...) \
    { NORMAL, 0, __VA_ARGS__ }
#define P1(...) \
    { POSITIVE, 0, __VA_ARGS__ }
#define I1(range, ...) \
    { INDEX, range, __VA_ARGS__ }
#define D(...) \
    { __VA_ARGS__ }
#define UNARY(name) \
    { #name, build_##name, 1, {N1(2, D(7, 13)) }, false }
#define UNARY_POSITIVE(name) \
    { #name, build_##name, 1, {P1(2, D(7, 13)) }, false }

static const op_case cases[] = {
    {"add, broadcast", build_add, 2, {N1(3, D(4, 1, 3)), N1(2, D(5, 3))}, false},
    {"sub", build_sub, 2, {N1(2, D(7, 13)), N1(1, D(13))}, false},
    {"mul, broadcast", build_mul, 2, {N1(3, D(4, 1, 3)), N1(2, D(5, 1))}, false},
    {"div", build_div, 2, {N1(2, D(7, 13)), P1(2, D(7, 1))}, false},
    {"pow", build_pow, 2, {P1(2, D(7, 13)), N1(1, D(13))}, false},
    {"maximum", build_maximum, 2, {N1(2, D(7, 13)), N1(2, D(7, 13))}, false},
    {"minimum", build_minimum, 2, {N1(2, D(7, 13)), N1(1, D(13))}, false},
    {"greater", build_greater, 2, {N1(2, D(7, 13)), N1(1, D(13))}, true},
    {"equal", build_equal, 2, {I1(3, 2, D(7, 13)), I1(3, 1, D(13))}, true},
    UNARY(affine),
    UNARY(abs),
    {"sign", build_sign, 1, {N1(2, D(7, 13))}, true},
    {"step", build_step, 1, {N1(2, D(7, 13))}, true},
    UNARY(exp),
    UNARY_POSITIVE(log),
    UNARY_POSITIVE(sqrt),
    UNARY_POSITIVE(rsqrt),
    UNARY_POSITIVE(power),
    UNARY(sin),
    UNARY(cos),
    UNARY(tanh),
    UNARY(sigmoid),
    UNARY(erf),
    UNARY(softplus),
    UNARY(relu),
    UNARY(leaky_relu),
    UNARY(elu),
    UNARY(gelu),
    UNARY(silu),
    UNARY(stop_gradient),
    {"broadcast", build_broadcast, 1, {N1(2, D(5, 1))}, false},
    {"reshape", build_reshape, 1, {N1(3, D(3, 5, 7))}, false},
    {"transpose", build_transpose, 1, {N1(3, D(3, 5, 7))}, false},
    {"slice", build_slice, 1, {N1(3, D(3, 5, 7))}, false},
    {"pad", build_pad, 1, {N1(3, D(3, 5, 7))}, false},
    {"concat", build_concat, 2, {N1(2, D(3, 5)), N1(2, D(3, 8))}, false},
    {"gather", build_gather, 2, {N1(3, D(3, 6, 5)), I1(6, 1, D(9))}, false},
    {"scatter_add", build_scatter_add, 2, {N1(2, D(9, 5)), I1(6, 1, D(9))}, false},
    {"one_hot", build_one_hot, 1, {I1(7, 1, D(11))}, true},
    {"sum, one axis", build_sum, 1, {N1(3, D(5, 17, 3))}, false},
    {"sum, outer axes", build_sum_ends, 1, {N1(3, D(33, 5, 17))}, false},
    {"mean of all", build_mean_all, 1, {N1(3, D(19, 17, 13))}, false},
    {"reduce_max", build_reduce_max, 1, {N1(3, D(3, 5, 7))}, false},
    {"sum_tasks", build_sum_tasks, 1, {N1(2, D(7, 13))}, false},
    {"matmul", build_matmul, 2, {N1(2, D(7, 19)), N1(2, D(19, 11))}, false},
    {"matmul, batched, A^T", build_matmul_ta, 2, {N1(3, D(2, 19, 7)), N1(3, D(2, 19, 5))}, false},
    {"matmul, B^T", build_matmul_tb, 2, {N1(2, D(33, 65)), N1(2, D(17, 65))}, false},
    {"linear", build_linear, 3, {N1(2, D(5, 37)), N1(2, D(9, 37)), N1(1, D(9))}, false},
    {"conv2d, 1 channel in", build_conv, 2, {N1(4, D(2, 9, 7, 1)), N1(4, D(3, 3, 1, 8))}, false},
    {"conv2d", build_conv, 2, {N1(4, D(2, 7, 5, 16)), N1(4, D(3, 3, 16, 24))}, false},
    {"conv2d, odd channels", build_conv, 2, {N1(4, D(2, 6, 5, 5)), N1(4, D(3, 3, 5, 7))}, false},
    {"conv2d, stride", build_conv_stride, 2, {N1(4, D(2, 9, 8, 3)), N1(4, D(3, 2, 3, 5))}, false},
    {"conv2d, dilation", build_conv_dilated, 2, {N1(4, D(2, 8, 7, 3)), N1(4, D(3, 3, 3, 4))}, false},
    {"conv2d, groups", build_conv_groups, 2, {N1(4, D(2, 5, 6, 6)), N1(4, D(3, 3, 2, 9))}, false},
    {"conv2d_bwd_data", build_conv_data, 2, {N1(4, D(2, 5, 4, 6)), N1(4, D(3, 3, 4, 6))}, false},
    {"conv2d_bwd_filter", build_conv_filter, 2, {N1(4, D(2, 9, 7, 4)), N1(4, D(2, 5, 4, 6))}, false},
    {"max_pool", build_max_pool, 1, {N1(4, D(2, 7, 6, 5))}, false},
    {"max_pool, overlapping", build_max_pool_overlap, 1, {N1(4, D(2, 7, 6, 5))}, false},
    {"avg_pool", build_avg_pool, 1, {N1(4, D(2, 7, 6, 5))}, false},
    {"global_avg_pool", build_global_avg_pool, 1, {N1(4, D(2, 7, 6, 5))}, false},
    {"batch_norm", build_batch_norm, 3, {N1(4, D(3, 5, 4, 7)), N1(1, D(7)), N1(1, D(7))}, false},
    {"normalize", build_normalize, 5, {N1(4, D(3, 5, 4, 7)), N1(1, D(7)), N1(1, D(7)), N1(1, D(7)), P1(1, D(7))}, false},
    {"layer_norm", build_layer_norm, 3, {N1(3, D(4, 5, 6)), N1(2, D(5, 6)), N1(2, D(5, 6))}, false},
    {"group_norm", build_group_norm, 3, {N1(4, D(3, 4, 5, 6)), N1(1, D(6)), N1(1, D(6))}, false},
    {"softmax", build_softmax, 1, {N1(2, D(5, 11))}, false},
    {"log_softmax", build_log_softmax, 1, {N1(2, D(5, 11))}, false},
    {"cross_entropy", build_cross_entropy, 2, {N1(2, D(10, 5)), I1(5, 1, D(10))}, false},
    {"cross_entropy, summed", build_cross_entropy_sum, 2, {N1(2, D(7, 20)), I1(20, 1, D(7))}, false},
    {"accuracy", build_accuracy, 2, {N1(2, D(10, 3)), I1(3, 1, D(10))}, true},
    {"mse", build_mse, 2, {N1(2, D(10, 3)), N1(2, D(10, 3))}, false},
    {"conv-norm-relu-pool", build_block, 4, {N1(4, D(3, 6, 6, 4)), N1(4, D(3, 3, 4, 8)), P1(1, D(8)), N1(1, D(8))}, false},
};

/* One graph to run on both devices: leaves to fill, outputs by group. */
typedef struct trial {
    clm_graph *graph;
    clm_value leaf[MAX_LEAVES], output[MAX_OUTPUTS];
    operand content[MAX_LEAVES];
    float *data[MAX_LEAVES];
    size_t leaf_size[MAX_LEAVES];
    int group[MAX_OUTPUTS];
    size_t n_leaves, n_outputs;
} trial;

static clm_value add_leaf(trial *t, const operand *content, clm_shape shape, bool per_task) {
    char name[16];
    size_t i = t->n_leaves++;
    snprintf(name, sizeof name, "x%zu", i);
    t->content[i] = *content;
    t->leaf_size[i] = cli_elements(&shape, per_task ? TASKS : 0);
    return t->leaf[i] = clm_input(t->graph, name, shape, per_task);
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

static clm_shape operand_shape(const operand *o) {
    clm_shape shape = {o->rank, {0}};
    for (int i = 0; i < o->rank; i++) shape.dim[i] = o->dim[i];
    return shape;
}

static clm_status add_derivatives(trial *t, const op_case *c, const clm_value *in, clm_value y) {
    static const operand normal = {NORMAL, 0, 0, {0}};
    clm_graph *g = t->graph;
    clm_value x[MAX_IN], tangent[MAX_IN], result[MAX_IN + 1], out[MAX_IN + 1];
    size_t n = 0;
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i].content != INDEX) x[n++] = in[i];
    clm_value cotangent = add_leaf(t, &normal, clm_value_shape(g, y), clm_value_per_task(g, y));
    result[0] = y;
    CLI_TRY(clm_vjp(g, &y, &cotangent, 1, x, n, result + 1));
    for (size_t i = 0; i < n; i++) {
        add_output(t, result[i + 1], 1);
        tangent[i] = add_leaf(t, &normal, clm_value_shape(g, x[i]), clm_value_per_task(g, x[i]));
    }
    CLI_TRY(clm_jvp(g, x, tangent, n, result, n + 1, out));
    for (size_t i = 0; i <= n; i++) add_output(t, out[i], 2);
    return CLM_OK;
}

static clm_status build_trial(trial *t, const op_case *c, bool all_per_task) {
    clm_value in[MAX_IN];
    CLI_TRY(clm_graph_create(&t->graph));
    for (int i = 0; i < c->n_in; i++)
        in[i] = add_leaf(t, &c->in[i], operand_shape(&c->in[i]), all_per_task || (i == 0 && c->n_in > 1));
    clm_value y = c->build(t->graph, in);
    CLI_TRY(clm_graph_status(t->graph));
    add_output(t, y, 0);
    if (!c->constant) CLI_TRY(add_derivatives(t, c, in, y));
    return clm_graph_status(t->graph);
}

static clm_status fill_leaves(trial *t, uint64_t seed) {
    clm_status status = CLM_OK;
    uint64_t state = seed;
    for (size_t i = 0; i < t->n_leaves; i++) {
        CLI_NEW(t->data[i], t->leaf_size[i]);
        for (size_t j = 0; j < t->leaf_size[i]; j++) {
            const operand *o = &t->content[i];
            double value = o->content == INDEX      ? floor(cli_random(&state) * o->range)
                           : o->content == POSITIVE ? 0.5 + 1.5 * cli_random(&state)
                                                    : cli_random_normal(&state);
            t->data[i][j] = (float)value;
        }
    }
out:
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
static clm_status compare_variant(const op_case *c, bool all_per_task, clm_device *device, clm_device *host, double *error,
                                  double *seconds) {
    trial t = {0};
    double *ours[MAX_OUTPUTS] = {NULL}, *reference[MAX_OUTPUTS] = {NULL};
    size_t sizes[MAX_OUTPUTS];
    cli_error_norm norm[GROUPS] = {{0, 0}};
    bool present[GROUPS] = {false};
    clm_status status = CLM_OK;
    CLI_GOTO(build_trial(&t, c, all_per_task));
    CLI_GOTO(fill_leaves(&t, (uint64_t)(c - cases) * 2 + all_per_task));
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

static void check_case(cli_report *report, const op_case *c, clm_device *device, clm_device *host) {
    double error[GROUPS] = {NAN, NAN, NAN}, seconds = 0;
    char column[GROUPS][24];
    bool good = true;
    for (int variant = 0; variant < 2; variant++) {
        if (compare_variant(c, variant == 1, device, host, error, &seconds) == CLM_OK) continue;
        cli_report_check(report, false, c->name, "%s", cli_message());
        cli_forget();
        return;
    }
    for (int k = 0; k < GROUPS; k++) {
        good = good && (isnan(error[k]) || error[k] <= tolerance[k]);
        error_text(error[k], tolerance[k], column[k], sizeof column[k]);
    }
    cli_report_check(report, good, c->name, "%s %s %s %8.0f us", column[0], column[1], column[2], 1e6 * seconds);
}

void cli_doctor_operations(cli_report *report, clm_device *device, clm_device *host) {
    cli_report_line(report, "operations: relative error against the host reference; time of all that a row computes, %d tasks",
                    TASKS);
    cli_report_line(report, "  %-26s %9s  %9s  %9s  %11s", "", "value", "adjoint", "tangents", "time");
    cli_report_line(report, "  %-26s %9.0e  %9.0e  %9.0e", "allowed", tolerance[0], tolerance[1], tolerance[2]);
    for (size_t i = 0; i < CLI_COUNT(cases); i++) check_case(report, &cases[i], device, host);
}
