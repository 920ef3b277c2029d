/* Every operation, by mathematical property rather than by stored numbers; see src/check/op_cases.h for how to add one.
 *
 * In double precision on the host reference: tangents equal central differences, <c, J t> = <J^T c, t>, forward-over-reverse
 * equals reverse-over-reverse, <u, H v> = <v, H u>, Hessian-vector products equal differences of the gradient. On the OpenCL
 * device: value and derivatives equal the reference, fused and not, with memory shared (and poisoned) and not, T tasks in one
 * launch equal T runs of one task. Inputs are shared by the tasks or per task in several combinations.
 *
 * Environment: CLMAML_TEST_SEED, CLMAML_TEST_TINY (small shapes, one combination), CLMAML_TEST_SHARD=I/N (rows I, I+N, ..),
 * CLMAML_TEST_ROW (rows whose name starts so).
 */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/opencl/embedded.h"
#include "graph/internal.h"
#include "ops/choice.h"
#include "ops/op.h"
#include "program/internal.h"
#include "support/numbers.h"
#include "support/op_instance.h"
#include "support/report.h"
#include "support/run.h"

static const double tolerance_exact = 1e-10;     /* two ways to the same number in double precision */
static const double tolerance_difference = 1e-6; /* central differences with step 1e-5 */
static const double tolerance_device = 1e-5;     /* single precision against double */

static int task_count(void) { return clm_test_tiny() ? 2 : 3; }

static bool row_chosen(size_t i) {
    const clm_op_case *row = clm_op_case_at(i);
    unsigned shard = 0, shards = 1;
    const char *text = getenv("CLMAML_TEST_SHARD"), *only = getenv("CLMAML_TEST_ROW");
    if (text && text[0])
        ck_assert_msg(sscanf(text, "%u/%u", &shard, &shards) == 2 && shard < shards, "CLMAML_TEST_SHARD is I/N");
    if (only && strncmp(row->name, only, strlen(only))) return false;
    return i % shards == shard && !(clm_test_tiny() && (row->flags & CLM_CASE_LARGE));
}

/* Calls `property` for every chosen row and combination of shared and per-task inputs. */
typedef void (*property_fn)(clm_op_instance *instance, clm_device *device, clm_test_report *report);

static void for_every_instance(property_fn property, clm_device *device) {
    clm_test_report report = {0};
    for (size_t i = 0; i < clm_op_case_count(); i++) {
        if (!row_chosen(i)) continue;
        unsigned masks[4];
        size_t variants = clm_op_variants(clm_op_case_at(i), masks);
        for (size_t k = 0; k < variants; k++) {
            clm_op_instance o;
            clm_status status = clm_op_instance_make(&o, clm_op_case_at(i), masks[k], task_count());
            if (status == CLM_OK) status = clm_op_instance_draw(&o, clm_test_seed());
            report.where = o.name;
            if (clm_test_expect_ok(&report, status, "building the graph")) property(&o, device, &report);
            clm_op_instance_free(&o);
        }
    }
    clm_device_close(device);
    clm_test_report_finish(&report);
}

/* ---- sums over all inputs of a row ---- */

/* <outputs of a kind, leaves>: the leaves are t or u. */
static double dot_leaves(const clm_op_instance *o, const clm_op_results *r, clm_test_kind kind, const int *leaf) {
    double sum = 0;
    for (int k = 0; k < o->n_outputs; k++)
        if (o->output[k].kind == kind) sum += clm_test_dot(r->at[k], o->data[leaf[o->output[k].which]], o->output[k].size);
    return sum;
}

static double norm_of_kind(const clm_op_instance *o, const clm_op_results *r, clm_test_kind kind) {
    double sum = 0;
    for (int k = 0; k < o->n_outputs; k++)
        if (o->output[k].kind == kind) sum += clm_test_dot(r->at[k], r->at[k], o->output[k].size);
    return sqrt(sum);
}

static double norm_of_leaves(const clm_op_instance *o, const int *leaf) {
    double sum = 0;
    for (int i = 0; i < o->row->n_in; i++)
        if (leaf[i] >= 0) sum += clm_test_dot(o->data[leaf[i]], o->data[leaf[i]], o->size[leaf[i]]);
    return sqrt(sum);
}

static int find_output(const clm_op_instance *o, clm_test_kind kind, int which) {
    for (int k = 0; k < o->n_outputs; k++)
        if (o->output[k].kind == kind && o->output[k].which == which) return k;
    return -1;
}

static void expect_close(clm_test_report *report, const char *what, double difference, double scale, double tolerance) {
    /* The negation makes a NaN fail. */
    clm_test_expect(report, difference <= tolerance * scale, "%s: off by %.2e of %.2e (allowed: %.0e of it)", what, difference,
                    scale, tolerance);
}

/* ||a - b|| */
static double distance(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

/* ---- properties in double precision ---- */

/* A derivative that is silently zero would pass the other checks. With ties, an input may lose all of them. */
static void check_zeros(const clm_op_instance *o, const clm_op_results *r, clm_test_report *report) {
    bool flat = (o->row->flags & CLM_CASE_FLAT) != 0, ties = (o->row->flags & CLM_CASE_NO_DIFF) != 0;
    for (int k = 0; k < o->n_outputs; k++) {
        char name[48];
        double norm = clm_test_norm(r->at[k], o->output[k].size);
        bool value = o->output[k].kind == CLM_TEST_VALUE, zero = flat && !value;
        bool may_be_zero = ties || (flat && value);
        clm_test_expect(report, zero ? norm == 0 : (norm > 0 || may_be_zero) && isfinite(norm), "%s has norm %g, expected %s",
                        clm_op_output_name(&o->output[k], name), norm, zero ? "zero" : "a finite number that is not zero");
    }
}

static void check_identities(const clm_op_instance *o, const clm_op_results *r, clm_test_report *report) {
    const double *jt = r->at[find_output(o, CLM_TEST_JVP, -1)], *c = o->data[o->c_leaf];
    size_t n = o->size[o->c_leaf];
    expect_close(report, "<c, J t> = <J^T c, t>", fabs(clm_test_dot(c, jt, n) - dot_leaves(o, r, CLM_TEST_VJP, o->t_leaf)),
                 clm_test_norm(c, n) * clm_test_norm(jt, n), tolerance_exact);
    double curvature = norm_of_kind(o, r, CLM_TEST_HVP);
    expect_close(report, "<u, H t> = <t, H u>",
                 fabs(dot_leaves(o, r, CLM_TEST_HVP, o->u_leaf) - dot_leaves(o, r, CLM_TEST_HVP_U, o->t_leaf)),
                 curvature * norm_of_leaves(o, o->u_leaf), tolerance_exact);
    for (int i = 0; i < o->row->n_in; i++) {
        if (o->t_leaf[i] < 0) continue;
        int forward = find_output(o, CLM_TEST_HVP, i), reverse = find_output(o, CLM_TEST_REVERSE, i);
        expect_close(report, "forward-over-reverse = reverse-over-reverse",
                     distance(r->at[forward], r->at[reverse], o->output[forward].size), curvature, tolerance_exact);
    }
}

/* Compares `derivative` (JVP or HVP) with the central difference of `function` (VALUE or GRAD) along t. */
static void check_differences(const clm_op_instance *o, const clm_op_results *r, const clm_op_results *plus,
                              const clm_op_results *minus, double h, clm_test_kind function, clm_test_kind derivative,
                              clm_test_report *report) {
    /* Rounding of the function's value counts too, and that of sums that cancel. */
    double scale = norm_of_kind(o, r, derivative) + 1e-3 * (norm_of_kind(o, r, function) + norm_of_leaves(o, o->x_leaf));
    for (int k = 0; k < o->n_outputs; k++) {
        if (o->output[k].kind != derivative) continue;
        int f = find_output(o, function, o->output[k].which);
        double sum = 0;
        for (size_t e = 0; e < o->output[k].size; e++) {
            double difference = (plus->at[f][e] - minus->at[f][e]) / (2 * h) - r->at[k][e];
            sum += difference * difference;
        }
        char name[48], text[96];
        snprintf(text, sizeof text, "%s = central difference", clm_op_output_name(&o->output[k], name));
        expect_close(report, text, sqrt(sum), scale, tolerance_difference);
    }
}

static void host_properties(clm_op_instance *o, clm_device *host, clm_test_report *report) {
    const double h = 1e-5;
    const unsigned functions = CLM_TEST_KIND(CLM_TEST_VALUE) | CLM_TEST_KIND(CLM_TEST_GRAD);
    clm_op_results r = {0}, plus = {0}, minus = {0};
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = o->tasks;
    if (!clm_test_expect_ok(report, clm_op_instance_compute(o, host, &options, CLM_TEST_ALL_KINDS, &r), "host reference"))
        goto out;
    check_zeros(o, &r, report);
    if (o->c_leaf < 0) goto out;
    check_identities(o, &r, report);
    if (o->row->flags & (CLM_CASE_NO_DIFF | CLM_CASE_LARGE)) goto out; /* the function of a large row has a small one */
    clm_op_instance_shift(o, h);
    if (!clm_test_expect_ok(report, clm_op_instance_compute(o, host, &options, functions, &plus), "host reference at x + h t"))
        goto out;
    clm_op_instance_shift(o, -2 * h);
    if (!clm_test_expect_ok(report, clm_op_instance_compute(o, host, &options, functions, &minus), "host reference at x - h t"))
        goto out;
    check_differences(o, &r, &plus, &minus, h, CLM_TEST_VALUE, CLM_TEST_JVP, report);
    check_differences(o, &r, &plus, &minus, h, CLM_TEST_GRAD, CLM_TEST_HVP, report);
out:
    clm_op_results_free(&r);
    clm_op_results_free(&plus);
    clm_op_results_free(&minus);
}

START_TEST(properties_on_host) { for_every_instance(host_properties, clm_test_open_host()); }
END_TEST

/* ---- device against reference ---- */

/* What single precision is measured by: all results of a kind together, since sums over tasks or broadcast axes cancel; the
 * result of the next higher order, since it says what the rounding of x does; and a part of x, since a single sum cancels too. */
static double device_scale(const clm_op_instance *o, const clm_op_results *truth, clm_test_kind kind) {
    static const clm_test_kind beside[CLM_TEST_KINDS] = {[CLM_TEST_VALUE] = CLM_TEST_JVP,
                                                         [CLM_TEST_JVP] = CLM_TEST_VALUE,
                                                         [CLM_TEST_VJP] = CLM_TEST_VJP,
                                                         [CLM_TEST_GRAD] = CLM_TEST_HVP,
                                                         [CLM_TEST_HVP] = CLM_TEST_GRAD};
    double norm = fmax(norm_of_kind(o, truth, kind), norm_of_kind(o, truth, beside[kind]));
    return norm + 0.5 * norm_of_leaves(o, o->x_leaf);
}

/* third: of a Hessian product what the next higher order is to the others; 0: it is not known. */
static double allowed_scale(const clm_op_instance *o, const clm_op_results *truth, clm_test_kind kind, double third) {
    const double scale = device_scale(o, truth, kind);
    return kind == CLM_TEST_HVP ? fmax(scale, third) : scale;
}

static void expect_device_within(const clm_op_instance *o, const clm_op_results *r, const clm_op_results *truth, double third,
                                 const char *what, clm_test_report *report) {
    bool large = (o->row->flags & CLM_CASE_LARGE) != 0; /* long sums round more often */
    for (int k = 0; k < o->n_outputs; k++) {
        if (!r->at[k]) continue;
        char name[48], text[128];
        snprintf(text, sizeof text, "%s: %s", clm_op_output_name(&o->output[k], name), what);
        expect_close(report, text, distance(r->at[k], truth->at[k], o->output[k].size),
                     allowed_scale(o, truth, o->output[k].kind, third), large ? 4 * tolerance_device : tolerance_device);
    }
}

static void expect_device(const clm_op_instance *o, const clm_op_results *r, const clm_op_results *truth, const char *what,
                          clm_test_report *report) {
    expect_device_within(o, r, truth, 0, what, report);
}

/* ||the derivative of the Hessian products along t||, by a difference of references: a softmax of large logits may have a third derivative far
 * beyond the others, and the rounding of x moves the product by that. */
static double third_order(clm_op_instance *o, clm_device *host, const clm_op_results *truth) {
    const double h = 1e-5;
    clm_op_results moved = {0};
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    double sum = 0;
    options.tasks = o->tasks;
    clm_op_instance_shift(o, h);
    const clm_status status = clm_op_instance_compute(o, host, &options, CLM_TEST_KIND(CLM_TEST_HVP), &moved);
    clm_op_instance_shift(o, -h);
    for (int k = 0; status == CLM_OK && k < o->n_outputs; k++)
        if (o->output[k].kind == CLM_TEST_HVP) sum += pow(distance(moved.at[k], truth->at[k], o->output[k].size) / h, 2);
    clm_op_results_free(&moved);
    return sqrt(sum);
}

/* The third order costs another reference, so it is asked for where a product is off alone. */
static void expect_reference(clm_op_instance *o, clm_device *host, const clm_op_results *r, const clm_op_results *truth,
                             const char *what, clm_test_report *report) {
    double third = 0;
    for (int k = 0; k < o->n_outputs && third == 0; k++)
        if (o->output[k].kind == CLM_TEST_HVP && r->at[k] &&
            distance(r->at[k], truth->at[k], o->output[k].size) > tolerance_device * device_scale(o, truth, CLM_TEST_HVP))
            third = third_order(o, host, truth);
    expect_device_within(o, r, truth, third, what, report);
}

static void expect_bits(const clm_op_instance *o, const clm_op_results *a, const clm_op_results *b, const char *what,
                        clm_test_report *report) {
    for (int k = 0; k < o->n_outputs; k++) {
        if (!a->at[k]) continue;
        char name[48];
        clm_test_expect(report, memcmp(a->at[k], b->at[k], o->output[k].size * sizeof(double)) == 0,
                        "%s: %s: not the same bits, relative difference %.2e", clm_op_output_name(&o->output[k], name), what,
                        clm_test_difference(a->at[k], b->at[k], o->output[k].size));
    }
}

/* Puts output k of one task where it belongs: beside those of the other tasks, or, when a sum over tasks made it, on top. */
static clm_status add_part(const clm_op_instance *o, int k, int task, bool split, const double *one, clm_op_results *parts,
                           clm_op_results *sums) {
    const clm_op_output *out = &o->output[k];
    size_t part = clm_test_elements(o->graph, out->like, 1);
    bool per_task = clm_value_per_task(o->graph, out->like), adds = split && !per_task;
    double **to = adds ? &sums->at[k] : &parts->at[k];
    if (!*to && !(*to = clm_calloc(out->size + 1, sizeof(double)))) return CLM_E_MEMORY;
    double *at = *to + (per_task ? (size_t)task * part : 0);
    for (size_t e = 0; e < part; e++) at[e] = adds ? at[e] + one[e] : one[e];
    return CLM_OK;
}

/* Each task alone, with a program of one task: per-task results must have the same bits, shared ones add up. */
static void check_tasks(const clm_op_instance *o, clm_device *device, const clm_op_results *together, clm_test_report *report) {
    clm_program *program = NULL;
    clm_op_results one = {0}, parts = {0}, sums = {0};
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    clm_status status = clm_op_instance_program(o, device, &options, CLM_TEST_DEVICE_KINDS, &program);
    bool split = clm_value_per_task(o->graph, o->y);
    for (int task = 0; status == CLM_OK && task < o->tasks; task++) {
        status = clm_op_instance_run(o, program, task, CLM_TEST_DEVICE_KINDS, &one);
        for (int k = 0; status == CLM_OK && k < o->n_outputs; k++) {
            if (one.at[k]) status = add_part(o, k, task, split, one.at[k], &parts, &sums);
        }
    }
    if (clm_test_expect_ok(report, status, "one task at a time")) {
        expect_bits(o, &parts, together, "tasks one by one against all at once", report);
        expect_device(o, &sums, together, "sum of tasks one by one against all at once", report);
    }
    clm_program_free(program);
    clm_op_results_free(&one);
    clm_op_results_free(&parts);
    clm_op_results_free(&sums);
}

static void device_properties(clm_op_instance *o, clm_device *device, clm_test_report *report) {
    static clm_device *host;
    clm_op_results truth = {0}, planned = {0}, other = {0};
    clm_program *program = NULL;
    clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
    options.tasks = o->tasks;
    if (!host) host = clm_test_open_host();
    if (!clm_test_expect_ok(report, clm_op_instance_compute(o, host, &options, CLM_TEST_DEVICE_KINDS, &truth),
                            "host reference"))
        goto out;
    options.poison = true;
    clm_status status = clm_op_instance_program(o, device, &options, CLM_TEST_DEVICE_KINDS, &program);
    if (status == CLM_OK) status = clm_op_instance_run(o, program, -1, CLM_TEST_DEVICE_KINDS, &planned);
    if (!clm_test_expect_ok(report, status, "OpenCL device")) goto out;
    expect_reference(o, host, &planned, &truth, "device against reference", report);
    status = clm_op_instance_run(o, program, -1, CLM_TEST_DEVICE_KINDS, &other);
    if (clm_test_expect_ok(report, status, "second run")) expect_bits(o, &other, &planned, "second run against first", report);
    options.no_plan = true;
    status = clm_op_instance_compute(o, device, &options, CLM_TEST_DEVICE_KINDS, &other);
    if (clm_test_expect_ok(report, status, "no memory plan")) expect_bits(o, &other, &planned, "without a memory plan", report);
    if (o->mask == (1u << o->row->n_in) - 1u && !clm_test_tiny()) {
        options.no_fusion = true;
        status = clm_op_instance_compute(o, device, &options, CLM_TEST_DEVICE_KINDS, &other);
        if (clm_test_expect_ok(report, status, "no fusion"))
            expect_reference(o, host, &other, &truth, "unfused device against reference", report);
    }
    if (!(o->row->flags & CLM_CASE_TASKS)) check_tasks(o, device, &planned, report);
out:
    clm_program_free(program);
    clm_op_results_free(&truth);
    clm_op_results_free(&planned);
    clm_op_results_free(&other);
}

START_TEST(device_equals_reference) { for_every_instance(device_properties, clm_test_open_opencl()); }
END_TEST

/* ---- nothing left out ---- */

static void mark_reached(const clm_op_instance *o, bool *reached) {
    size_t n = clm_graph_size(o->graph);
    bool *needed = calloc(n, sizeof *needed);
    ck_assert_ptr_nonnull(needed);
    for (int k = 0; k < o->n_outputs; k++)
        if (CLM_TEST_DEVICE_KINDS & CLM_TEST_KIND(o->output[k].kind)) needed[o->output[k].v] = true;
    for (clm_value v = (clm_value)n - 1; v >= 0; v--) {
        const clm_node *node = clm_node_at(o->graph, v);
        if (!needed[v]) continue;
        reached[node->op] = true;
        for (int i = 0; i < node->n_in; i++)
            if (node->in[i] != CLM_INVALID) needed[node->in[i]] = true;
    }
    free(needed);
}

/* Also with the tiny set, which is what the slow checking implementations see. */
START_TEST(every_operation_has_a_row) {
    bool reached[CLM_OP_COUNT] = {false};
    for (size_t i = 0; i < clm_op_case_count(); i++) {
        const clm_op_case *row = clm_op_case_at(i);
        if (row->flags & CLM_CASE_LARGE) continue;
        clm_op_instance o; /* as in the tiny set */
        CLM_TEST_OK(clm_op_instance_make(&o, row, 1u, 2));
        mark_reached(&o, reached);
        clm_op_instance_free(&o);
    }
    for (int op = 0; op < CLM_OP_COUNT; op++)
        ck_assert_msg(reached[op], "no row of src/check/op_cases_*.c reaches operation '%s'", clm_ops[op]->name);
}
END_TEST

/* Of its name alone, which is what a device is examined with. */
static bool builder_has_row(const char *name) {
    for (size_t i = 0; i < clm_op_case_count(); i++)
        if (!strcmp(clm_op_case_at(i)->name, name)) return clm_op_case_is_examined(clm_op_case_at(i));
    return false;
}

START_TEST(every_builder_has_a_row) {
    const char *root = getenv("CLMAML_SOURCE_DIR");
    ck_assert_msg(root && root[0], "set CLMAML_SOURCE_DIR to the top of the source tree");
    char path[2048], line[2048], name[128];
    snprintf(path, sizeof path, "%s/include/clmaml/graph.h", root);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    int builders = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "CLM_API clm_value clm_%127[a-z0-9_]", name) != 1) continue;
        if (!strcmp(name, "input")) continue; /* every row has some */
        builders++;
        ck_assert_msg(builder_has_row(name), "clm_%s: no row of src/check/op_cases_*.c is named \"%s\"", name, name);
    }
    fclose(file);
    ck_assert_int_gt(builders, 60);
}
END_TEST

/* Kernel entry points that a program launches are struck off `missing` ("entry entry .. "). */
static void strike_kernels(const clm_program *program, char *missing) {
    for (size_t i = 0; i < program->n_steps; i++) {
        const clm_launch_spec *spec = &program->steps[i].spec;
        char word[96];
        if (!spec->file) continue; /* generated */
        snprintf(word, sizeof word, " %s ", spec->entry);
        char *at = strstr(missing, word);
        if (at) memset(at + 1, '-', strlen(word) - 2);
    }
}

/* Kernels that no row reaches: these work between calls of a library, which need not be there; pick images out of data sets
 * (meta/dataset); are not for CPUs (ops/tiled); play episodes and score them (policy/sampling). */
static bool is_tested_elsewhere(const char *file) {
    static const char *const files[] = {"im2col.cl",    "conv_fft.cl",   "images.cl",    "tiled.cl",
                                        "tiled_sum.cl", "navigation.cl", "advantage.cl", "winograd_tiled.cl"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!strcmp(file, files[i])) return true;
    return false;
}

/* " entry entry .. " of all other kernels/ files. */
static void list_kernels(char *out, size_t size) {
    static const char mark[] = "__kernel void ";
    size_t used = (size_t)snprintf(out, size, " ");
    for (const clm_embedded_kernel *k = clm_embedded_kernels; k->name; k++) {
        if (is_tested_elsewhere(k->name)) continue;
        for (const char *at = strstr(k->source, mark); at; at = strstr(at, mark)) {
            at += sizeof mark - 1;
            used += (size_t)snprintf(out + used, size - used, "%.*s ", (int)strcspn(at, "( \n"), at);
            ck_assert_uint_lt(used, size);
        }
    }
}

/* Takes the first candidate of implementation number *user, where there is one. */
static bool choose_numbered(void *user, const clm_lower *l, clm_value y, clm_choice *choice) {
    static clm_choice list[CLM_CHOICES_MOST];
    const int count = clm_choice_list(l, y, list);
    int number = *(const int *)user;
    for (int i = 0; i < count; i++) {
        if (i > 0 && list[i].impl == list[i - 1].impl) continue;
        *choice = list[i];
        if (number-- == 0) return true;
    }
    return false;
}

/* With the tiny set alone: it is what the checking implementations see. By every implementation of the heavy operations. */
START_TEST(every_kernel_has_a_row) {
    enum { IMPLEMENTATIONS = 6 };
    char missing[4096];
    list_kernels(missing, sizeof missing);
    ck_assert_uint_gt(strlen(missing), 100);
    clm_device *device = clm_test_open_opencl();
    for (size_t i = 0; i < clm_op_case_count(); i++) {
        if (clm_op_case_at(i)->flags & CLM_CASE_LARGE) continue;
        clm_op_instance o;
        clm_program *program;
        clm_program_options options = CLM_PROGRAM_OPTIONS_INIT;
        options.tasks = 2;
        CLM_TEST_OK(clm_op_instance_make(&o, clm_op_case_at(i), 1u, 2));
        clm_value outputs[CLM_TEST_MAX_OUTPUTS];
        size_t n = clm_op_instance_outputs(&o, CLM_TEST_DEVICE_KINDS, outputs);
        for (int number = 0; number < IMPLEMENTATIONS; number++) {
            clm_choice_force(device, choose_numbered, &number);
            CLM_TEST_OK(clm_program_create(&program, device, o.graph, outputs, n, &options));
            strike_kernels(program, missing);
            clm_program_free(program);
        }
        options.no_fusion = true; /* alone, as in programs that have nothing to join them with */
        CLM_TEST_OK(clm_program_create(&program, device, o.graph, outputs, n, &options));
        strike_kernels(program, missing);
        clm_program_free(program);
        clm_op_instance_free(&o);
    }
    clm_device_close(device);
    ck_assert_msg(missing[strspn(missing, " -")] == 0, "kernels that no row launches:%s", missing);
}
END_TEST

int main(void) {
    clm_test_seed();
    Suite *suite = suite_create("ops");
    const struct {
        const char *name;
        const TTest *test;
    } cases[] = {{"rows", every_operation_has_a_row},
                 {"builders", every_builder_has_a_row},
                 {"kernels", every_kernel_has_a_row},
                 {"host", properties_on_host},
                 {"device", device_equals_reference}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *tc = tcase_create(cases[i].name); /* a case each, so that CK_RUN_CASE can choose */
        tcase_set_timeout(tc, 0);                /* ctest has one */
        tcase_add_test(tc, cases[i].test);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
