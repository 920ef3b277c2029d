/* `clmaml verify`: our numbers against those of reference files.
 *
 * Each figure is ||x - ref|| / ||ref|| over all arrays of one kind laid end to end (all parameters' gradients as one vector): a
 * parameter whose exact gradient is zero, like a bias before batch-norm, has no relative error of its own. The absolute norm
 * stands where ||ref|| is 0.
 *
 * Float rounding alone has an error too, and a case may multiply it: near ties of pooling, divisions by nearly nothing. What it
 * comes to is shown by the host reference with every result rounded to float, for files that do not pass or for all.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/drivers.h"
#include "base/json.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/system.h"
#include "base/table.h"
#include "verify/reference.h"

typedef struct verify_settings {
    char device[CLI_PATH_MAX];
    double tolerance;
    bool verbose, rounding, json;
} verify_settings;

static const cli_option options[] = {
    {"Options", "device", CLI_TEXT, 0, offsetof(verify_settings, device), 0, 0, "WHICH",
     CLI_DEVICE_HELP "; host: the double-precision reference"},
    {NULL, "tolerance", CLI_REAL, 0, offsetof(verify_settings, tolerance), 0, 1e9, "X", "largest relative error that passes"},
    {NULL, "verbose", CLI_FLAG, 0, offsetof(verify_settings, verbose), 0, 0, "",
     "the relative error of every parameter's gradient too"},
    {NULL, "rounding", CLI_FLAG, 0, offsetof(verify_settings, rounding), 0, 0, "",
     "for all files, and not only those that do not pass: what rounding to float32 alone gives"},
    {NULL, "json", CLI_FLAG, 0, offsetof(verify_settings, json), 0, 0, "", "print JSON"},
    {.name = NULL},
};
static const verify_settings defaults = {.tolerance = 2e-5};

/* What is compared. `prefix`: the reference array, with the parameter's name after it when `per` is not WHOLE. */
typedef enum per { WHOLE, PER_PARAM, PER_ADAPTED, PER_RATE } per;
static const struct {
    const char *label, *key, *prefix; /* key: in JSON */
    clm_quantity quantity;
    per per;
    bool first_order;
} quantities[] = {
    {"sup.loss", "support_loss", "out.support_loss", CLM_Q_SUPPORT_LOSS, WHOLE, false},
    {"qry.loss", "query_loss", "out.query_loss", CLM_Q_QUERY_LOSS, WHOLE, false},
    {"logits", "query_logits", "out.query_logits", CLM_Q_QUERY_LOGITS, WHOLE, false},
    {"adapted", "adapted", "out.adapted.", CLM_Q_ADAPTED, PER_ADAPTED, false},
    {"1st order", "meta_grad_fo", "out.meta_grad_fo.", CLM_Q_GRAD, PER_PARAM, true},
    {"2nd order", "meta_grad", "out.meta_grad.", CLM_Q_GRAD, PER_PARAM, false},
    {"rates", "rate_grad", "out.alpha_grad", CLM_Q_RATE_GRAD, PER_RATE, false},
};
enum { N_QUANTITIES = (int)CLI_COUNT(quantities) };

typedef struct comparison {
    cli_error_norm norm[N_QUANTITIES];
    bool present[N_QUANTITIES];
} comparison;

static clm_status compare_array(const cli_reference *r, clm_meta *meta, size_t q, size_t index, const char *name, comparison *c,
                                bool verbose) {
    clm_status status = CLM_OK;
    size_t count = clm_meta_quantity_size(meta, quantities[q].quantity, index);
    double *ours = NULL, *reference = NULL;
    cli_error_norm one = {0, 0};
    CLI_GOTO(cli_reference_read(r, name, count, &reference));
    CLI_NEW(ours, count);
    CLI_GOTO(clm_meta_read(meta, quantities[q].quantity, index, ours));
    if (quantities[q].quantity == CLM_Q_QUERY_LOGITS) cli_reference_clear_scores(r, count, ours);
    cli_error_add(&c->norm[q], ours, reference, count);
    cli_error_add(&one, ours, reference, count);
    c->present[q] = true;
    if (verbose)
        cli_line(stdout, "    %-28s %10.2e   |ref| %.3e\n", cli_shown(name), cli_error_value(&one), sqrt(one.reference));
out:
    free(ours);
    free(reference);
    return status;
}

/* The mean of the query losses; files may leave it out. */
static clm_status compare_meta_loss(const cli_reference *r, clm_meta *meta, comparison *c) {
    enum { QUERY_LOSS = 1 };
    clm_status status = CLM_OK;
    const size_t count = clm_meta_quantity_size(meta, CLM_Q_QUERY_LOSS, 0);
    double *losses = NULL, *reference = NULL, mean = 0;
    if (!clm_archive_shape(r->archive, "out.meta_loss")) return CLM_OK;
    CLI_GOTO(cli_reference_read(r, "out.meta_loss", 1, &reference));
    CLI_NEW(losses, count);
    CLI_GOTO(clm_meta_read(meta, CLM_Q_QUERY_LOSS, 0, losses));
    for (size_t i = 0; i < count; i++) mean += losses[i] / (double)count;
    cli_error_add(&c->norm[QUERY_LOSS], &mean, reference, 1);
out:
    free(losses);
    free(reference);
    return status;
}

static bool wanted(clm_meta *meta, size_t q, size_t i) {
    switch (quantities[q].per) {
    case WHOLE: return i == 0;
    case PER_PARAM: return clm_meta_is_learned(meta, i);
    case PER_ADAPTED: return clm_meta_is_adapted(meta, i);
    case PER_RATE: return clm_meta_rate_size(meta, i) > 0;
    }
    return false;
}

static clm_status compare_quantity(const cli_reference *r, clm_meta *meta, size_t q, comparison *c, bool verbose) {
    for (size_t i = 0; i < clm_meta_param_count(meta); i++) {
        char name[160];
        if (!wanted(meta, q, i)) continue;
        bool by_name = quantities[q].per == PER_PARAM || quantities[q].per == PER_ADAPTED;
        bool rate_by_name = quantities[q].per == PER_RATE && r->task.rates == CLM_RATES_PER_ELEMENT;
        snprintf(name, sizeof name, "%s%s%s", quantities[q].prefix, rate_by_name ? "." : "",
                 by_name || rate_by_name ? clm_params_get_info(r->params, i).name + strlen("param.") : "");
        CLI_TRY(compare_array(r, meta, q, i, name, c, verbose));
    }
    return CLM_OK;
}

static clm_status verify_file(const char *path, clm_device *device, comparison *c, bool verbose) {
    clm_status status = CLM_OK;
    cli_reference r = {0};
    memset(c, 0, sizeof *c);
    CLI_GOTO(cli_reference_open(&r, path));
    clm_batch batch = {.support_x = r.support_x, .support_y = r.support_y, .query_x = r.query_x, .query_y = r.query_y};
    batch.sizes = r.sizes;
    for (int first_order = 0; first_order < (r.unrolled ? 2 : 1); first_order++) {
        clm_meta *meta = NULL;
        CLI_GOTO(cli_reference_meta(&r, device, first_order, &meta));
        status = clm_meta_gradient(meta, &batch);
        for (size_t q = 0; q < N_QUANTITIES && status == CLM_OK; q++)
            if (quantities[q].first_order == (bool)first_order) status = compare_quantity(&r, meta, q, c, verbose);
        if (status == CLM_OK && !first_order) status = compare_meta_loss(&r, meta, c);
        clm_meta_free(meta);
        if (status != CLM_OK) break;
    }
out:
    if (status != CLM_OK && !strstr(cli_message(), path)) cli_fail_in(status, "%s", path);
    cli_reference_close(&r);
    return status;
}

static const char *base_name(const char *path) { return strrchr(path, '/') ? strrchr(path, '/') + 1 : path; }

/* A name, an error of each kind, the verdict. */
static cli_table make_table(int width) {
    cli_table t = {.column = {{"relative error", -width}}, .count = N_QUANTITIES + 2, .gap = 1};
    for (size_t q = 0; q < N_QUANTITIES; q++) t.column[q + 1] = (cli_column){quantities[q].label, 9};
    t.column[N_QUANTITIES + 1] = (cli_column){"", -4};
    return t;
}

static void print_head(const clm_device *device, double tolerance, const cli_table *table) {
    const clm_device_info *info = clm_device_get_info(device);
    cli_line(stdout, "%s (%s), tolerance %g\n\n", info->name, info->platform, tolerance);
    cli_table_head(table, stdout);
}

/* An error that is not a number fails. */
static bool passes(const comparison *c, double tolerance) {
    for (size_t q = 0; q < N_QUANTITIES; q++)
        if (c->present[q] && !(cli_error_value(&c->norm[q]) <= tolerance)) return false;
    return true;
}

static void print_row(const char *name, const comparison *c, double tolerance, const cli_table *table, const char *verdict) {
    const char *cells[CLI_COLUMNS_MOST] = {name};
    cli_text text[N_QUANTITIES] = {{""}};
    for (size_t q = 0; q < N_QUANTITIES; q++) {
        const double error = cli_error_value(&c->norm[q]);
        snprintf(text[q].s, sizeof text[q].s, "-");
        if (c->present[q]) snprintf(text[q].s, sizeof text[q].s, "%.1e%s", error, error <= tolerance ? "" : "!");
        cells[q + 1] = text[q].s;
    }
    cells[N_QUANTITIES + 1] = verdict;
    cli_table_row(table, stdout, cells);
}

/* What came of one file. */
typedef struct outcome {
    clm_status status;
    bool passed, has_rounding;
    comparison device, rounding;
} outcome;

/* `rounded`: the host reference in single precision, NULL where it tells nothing. */
static void examine(const char *path, clm_device *device, clm_device *rounded, const verify_settings *s, outcome *o) {
    memset(o, 0, sizeof *o);
    o->status = verify_file(path, device, &o->device, s->verbose);
    if (o->status != CLM_OK) return;
    o->passed = passes(&o->device, s->tolerance);
    if (!rounded || (o->passed && !s->rounding)) return;
    o->status = verify_file(path, rounded, &o->rounding, false);
    o->has_rounding = o->status == CLM_OK;
}

/* ---- as a table ---- */

static const char rounding_label[] = "  float32 rounding";

static int table_width(const cli_args *args) {
    int width = (int)sizeof rounding_label;
    for (size_t i = 0; i < args->n_positional; i++) {
        const int length = (int)strlen(base_name(args->positional[i]));
        if (length > width) width = length;
    }
    return width;
}

static int print_table(const cli_args *args, clm_device *device, clm_device *rounded) {
    const verify_settings *s = args->settings;
    const cli_table table = make_table(table_width(args));
    int exit_status = CLI_EXIT_OK;
    size_t passed = 0, rounding = 0;
    print_head(device, s->tolerance, &table);
    for (size_t i = 0; i < args->n_positional; i++) {
        outcome o;
        examine(args->positional[i], device, rounded, s, &o);
        if (o.status == CLM_OK)
            print_row(cli_shown(base_name(args->positional[i])), &o.device, s->tolerance, &table, o.passed ? "PASS" : "FAIL");
        if (o.has_rounding) print_row(rounding_label, &o.rounding, s->tolerance, &table, "");
        if (o.status != CLM_OK)
            exit_status = cli_exit(o.status);
        else if (!o.passed)
            exit_status = CLI_EXIT_FAILURE;
        passed += o.status == CLM_OK && o.passed;
        rounding += o.has_rounding;
        cli_forget();
        fflush(stdout);
    }
    cli_line(stdout,
             "\n%zu of %zu pass. Errors are ||x - ref|| / ||ref||, with all arrays of a kind (all parameters) as one vector.\n",
             passed, args->n_positional);
    if (rounding)
        cli_line(stdout,
                 "float32 rounding: the double-precision reference with the result of every operation rounded to float32. An "
                 "error of about that size comes from rounding, not from a fault.\n");
    return exit_status;
}

/* ---- as JSON ---- */

/* null: not a number, or none of this kind in the file. */
static json_t *error_object(const comparison *c) {
    json_t *errors = json_object();
    for (size_t q = 0; q < N_QUANTITIES; q++) {
        const double error = cli_error_value(&c->norm[q]);
        cli_json_set(errors, quantities[q].key, c->present[q] && isfinite(error) ? json_real(error) : json_null());
    }
    return errors;
}

static json_t *file_object(const char *path, const outcome *o) {
    json_t *file = json_object();
    cli_json_set(file, "file", json_string_nocheck(path));
    cli_json_set(file, "passed", json_boolean(o->status == CLM_OK && o->passed));
    if (o->status == CLM_OK) cli_json_set(file, "errors", error_object(&o->device));
    if (o->has_rounding) cli_json_set(file, "float32_rounding", error_object(&o->rounding));
    if (o->status != CLM_OK) cli_json_set(file, "message", json_string_nocheck(cli_message()));
    return file;
}

static int print_json(const cli_args *args, clm_device *device, clm_device *rounded) {
    const verify_settings *s = args->settings;
    const clm_device_info *info = clm_device_get_info(device);
    int exit_status = CLI_EXIT_OK;
    json_t *root = json_object(), *files = json_array();
    cli_json_set(root, "device", json_string_nocheck(info->name));
    cli_json_set(root, "platform", json_string_nocheck(info->platform));
    cli_json_set(root, "tolerance", json_real(s->tolerance));
    for (size_t i = 0; i < args->n_positional; i++) {
        outcome o;
        examine(args->positional[i], device, rounded, s, &o);
        cli_json_append(files, file_object(args->positional[i], &o));
        if (o.status != CLM_OK)
            exit_status = cli_exit(o.status);
        else if (!o.passed)
            exit_status = CLI_EXIT_FAILURE;
        cli_forget();
    }
    cli_json_set(root, "files", files);
    char *text = cli_json_text(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return cli_exit(CLM_E_MEMORY);
    cli_stdout_print(text);
    cli_stdout_print("\n");
    free(text);
    return exit_status;
}

static int run_verify(cli_args *args) {
    const verify_settings *s = args->settings;
    clm_device *device = NULL, *rounded = NULL;
    if (args->n_positional == 0) return cli_exit(cli_usage("say what to verify: clmaml verify FILE.safetensors .."));
    for (size_t i = 0; i < args->n_positional; i++)
        if (cli_is_directory(args->positional[i]))
            return cli_exit(cli_usage("%s is a directory; name the files in it: clmaml verify %s/*.safetensors",
                                      args->positional[i], args->positional[i]));
    if (s->json && s->verbose) return cli_exit(cli_usage("--verbose adds lines to the table, which --json does not print"));
    clm_status status = cli_device_open(&device, s->device[0] ? s->device : NULL);
    /* The reference in double precision does not round: there, it only tells something when it is asked for. */
    if (status == CLM_OK && (s->rounding || clm_device_get_info(device)->type != CLM_DEVICE_HOST))
        status = clm_device_open(&rounded, "host-float");
    const int exit_status = status != CLM_OK ? cli_exit(status)
                            : s->json        ? print_json(args, device, rounded)
                                             : print_table(args, device, rounded);
    clm_device_close(rounded);
    clm_device_close(device);
    return exit_status;
}

const cli_command cli_verify = {
    .name = "verify",
    .synopsis = "FILE.safetensors .. [--device WHICH] [--tolerance X] [--rounding] [--json]",
    .summary = "compare meta-gradients with reference files",
    .details =
        "Computes losses, outputs, adapted parameters, first- and second-order meta-gradients and rate gradients of each "
        "file's case on the "
        "device and prints their relative errors. Exit status 1 when one is above the tolerance or a file cannot be used. For "
        "a "
        "file that does not pass, a second line says what rounding to float32 alone gives: a case may multiply it.",
    .options = options,
    .settings_size = sizeof(verify_settings),
    .defaults = &defaults,
    .max_positional = CLI_MAX_POSITIONALS,
    .run = run_verify,
};
