/* Reading reference files. Nothing of a file is trusted: a missing entry, a wrong type or a wrong length names the file and
 * itself. */
#include "verify/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static clm_status malformed(const cli_reference *r, const char *what) { return cli_fail(CLM_E_FORMAT, "%s: %s", r->path, what); }

static clm_status whole_number(const cli_reference *r, const char *key, int least, int most, int *out) {
    const json_t *value = json_object_get(r->description, key);
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return cli_fail(CLM_E_FORMAT, "%s: \"%s\" of the case is not a whole number from %d to %d", r->path, key, least, most);
    *out = (int)json_integer_value(value);
    return CLM_OK;
}

/* A word of the case that must be one of a list; `absent` is what a missing one means. */
static clm_status one_of(const cli_reference *r, const char *key, const char *const *words, size_t count, int absent, int *out) {
    const json_t *value = json_object_get(r->description, key);
    *out = absent;
    if (!value) return CLM_OK;
    for (size_t i = 0; i < count && json_is_string(value); i++) {
        if (strcmp(json_string_value(value), words[i]) != 0) continue;
        *out = (int)i;
        return CLM_OK;
    }
    return cli_fail(CLM_E_FORMAT, "%s: \"%s\" of the case is none of the values known", r->path, key);
}

static clm_status read_lists(cli_reference *r) {
    const json_t *adapt = json_object_get(r->description, "adapt"), *weights = json_object_get(r->description, "msl");
    clm_status status = CLM_OK;
    if (adapt && !json_is_null(adapt)) {
        if (!json_is_array(adapt) || json_array_size(adapt) > CLI_REFERENCE_ADAPT)
            return malformed(r, "\"adapt\" of the case is not a list of names");
        for (; r->n_adapt < json_array_size(adapt); r->n_adapt++) {
            r->adapt[r->n_adapt] = json_string_value(json_array_get(adapt, r->n_adapt));
            if (!r->adapt[r->n_adapt]) return malformed(r, "\"adapt\" of the case is not a list of names");
        }
    }
    if (!weights || json_is_null(weights)) return CLM_OK;
    if (!json_is_array(weights) || json_array_size(weights) != (size_t)r->steps)
        return malformed(r, "\"msl\" of the case is not a list of one weight per step");
    CLI_NEW(r->step_weights, r->steps);
    for (size_t k = 0; k < (size_t)r->steps; k++) {
        const json_t *weight = json_array_get(weights, k);
        if (!json_is_number(weight)) return malformed(r, "\"msl\" of the case is not a list of one weight per step");
        r->step_weights[k] = json_number_value(weight);
    }
out:
    return status;
}

static clm_status read_case(cli_reference *r) {
    static const char *const losses[] = {"ce", "mse"}, *const reductions[] = {"mean", "sum"},
                             *const algorithms[] = {"maml", "lslr", "metasgd"};
    const char *text = clm_archive_meta(r->archive, "case");
    json_error_t error;
    int loss, reduction, algorithm;
    if (!text) return malformed(r, "no reference file: its metadata has no \"case\"");
    r->description = json_loads(text, 0, &error);
    if (!json_is_object(r->description)) return cli_fail(CLM_E_FORMAT, "%s: \"case\" is not JSON: %s", r->path, error.text);
    CLI_TRY(whole_number(r, "tasks", 1, 1 << 16, &r->tasks));
    CLI_TRY(whole_number(r, "support", 1, 1 << 20, &r->support));
    CLI_TRY(whole_number(r, "query", 1, 1 << 20, &r->query));
    CLI_TRY(whole_number(r, "steps", 1, 1 << 10, &r->steps));
    CLI_TRY(one_of(r, "loss", losses, CLI_COUNT(losses), CLM_LOSS_CROSS_ENTROPY, &loss));
    CLI_TRY(one_of(r, "reduction", reductions, CLI_COUNT(reductions), CLM_REDUCE_MEAN, &reduction));
    CLI_TRY(one_of(r, "algorithm", algorithms, CLI_COUNT(algorithms), CLM_RATES_FIXED, &algorithm));
    r->loss = (clm_loss)loss;
    /* A squared error is a mean whatever the case says of the reduction: that is a matter of the cross-entropy. */
    r->reduction = r->loss == CLM_LOSS_MSE ? CLM_REDUCE_MEAN : (clm_reduction)reduction;
    r->rates = (clm_rates)algorithm;
    const json_t *alpha = json_object_get(r->description, "alpha");
    if (!json_is_number(alpha)) return malformed(r, "\"alpha\" of the case is not a number");
    r->inner_lr = json_number_value(alpha);
    return read_lists(r);
}

/* "params" must name the model's parameters in its order: rates per step are stored by position. */
static clm_status check_params(const cli_reference *r) {
    const char *text = clm_archive_meta(r->archive, "params");
    json_t *names = text ? json_loads(text, 0, NULL) : NULL;
    size_t count = clm_model_param_count(r->model);
    clm_status status = CLM_OK;
    if (!json_is_array(names)) status = malformed(r, "its metadata has no list \"params\"");
    if (status == CLM_OK && json_array_size(names) != count)
        status = cli_fail(CLM_E_FORMAT, "%s: \"params\" names %zu parameters, the layers have %zu", r->path,
                          json_array_size(names), count);
    for (size_t i = 0; i < count && status == CLM_OK; i++) {
        const char *name = json_string_value(json_array_get(names, i)), *ours = clm_model_param(r->model, i)->name;
        if (!name || strcmp(name, ours) != 0)
            status = cli_fail(CLM_E_FORMAT, "%s: parameter %zu of \"params\" is '%s', of the layers '%s'", r->path, i,
                              name ? name : "?", ours);
    }
    json_decref(names);
    return status;
}

clm_status cli_reference_read(const cli_reference *r, const char *name, size_t count, double **out) {
    clm_status status = CLM_OK;
    const clm_shape *shape = clm_archive_shape(r->archive, name);
    double *values = NULL;
    *out = NULL;
    if (!shape) return cli_fail(CLM_E_FORMAT, "%s: there is no array '%s'", r->path, name);
    if (clm_shape_size(shape) != count)
        return cli_fail(CLM_E_FORMAT, "%s: array '%s' has %zu elements, the case makes it %zu", r->path, name,
                        clm_shape_size(shape), count);
    CLI_NEW(values, count);
    CLI_GOTO(clm_archive_read(r->archive, name, NULL, values, count));
    *out = values;
    values = NULL;
out:
    free(values);
    return status;
}

static clm_status read_floats(const cli_reference *r, const char *name, size_t count, float **out) {
    clm_status status = CLM_OK;
    double *values = NULL;
    CLI_GOTO(cli_reference_read(r, name, count, &values));
    CLI_NEW(*out, count);
    for (size_t i = 0; i < count; i++) (*out)[i] = (float)values[i];
out:
    free(values);
    return status;
}

static clm_status check_labels(const cli_reference *r, const char *name, const float *labels, size_t count, int classes) {
    for (size_t i = 0; i < count; i++)
        if (!(labels[i] >= 0 && labels[i] < (float)classes && labels[i] == floorf(labels[i])))
            return cli_fail(CLM_E_FORMAT, "%s: %s holds %g, which is no class of the model's %d outputs", r->path, name,
                            (double)labels[i], classes);
    return CLM_OK;
}

static clm_status read_batch(cli_reference *r) {
    clm_shape in = clm_model_in_shape(r->model), out = clm_model_out_shape(r->model);
    size_t support = (size_t)r->tasks * (size_t)r->support, query = (size_t)r->tasks * (size_t)r->query;
    size_t example = clm_shape_size(&in), target = r->loss == CLM_LOSS_MSE ? clm_shape_size(&out) : 1;
    CLI_TRY(read_floats(r, "support.x", support * example, &r->support_x));
    CLI_TRY(read_floats(r, "query.x", query * example, &r->query_x));
    CLI_TRY(read_floats(r, "support.y", support * target, &r->support_y));
    CLI_TRY(read_floats(r, "query.y", query * target, &r->query_y));
    if (r->loss == CLM_LOSS_MSE) return CLM_OK;
    if (out.rank != 1) return malformed(r, "a classifier's output must be one vector per example");
    CLI_TRY(check_labels(r, "support.y", r->support_y, support, out.dim[0]));
    return check_labels(r, "query.y", r->query_y, query, out.dim[0]);
}

clm_status cli_reference_open(cli_reference *r, const char *path) {
    memset(r, 0, sizeof *r);
    if (strlen(path) >= sizeof r->path) return cli_fail(CLM_E_LIMIT, "path too long: %s", path);
    memcpy(r->path, path, strlen(path) + 1);
    CLI_TRY(clm_archive_load(&r->archive, path));
    CLI_TRY(read_case(r));
    if (clm_model_parse(&r->model, clm_archive_meta(r->archive, "case"), NULL) != CLM_OK)
        return cli_fail_in(CLM_E_FORMAT, "%s", path);
    CLI_TRY(check_params(r));
    return read_batch(r);
}

void cli_reference_close(cli_reference *r) {
    clm_model_free(r->model);
    clm_archive_free(r->archive);
    json_decref(r->description);
    free(r->step_weights);
    free(r->support_x);
    free(r->support_y);
    free(r->query_x);
    free(r->query_y);
    memset(r, 0, sizeof *r);
}

static clm_status set_one(const cli_reference *r, clm_meta *meta, size_t i) {
    const clm_param *param = clm_model_param(r->model, i);
    char name[128];
    double *values;
    snprintf(name, sizeof name, "param.%s", param->name);
    CLI_TRY(cli_reference_read(r, name, clm_shape_size(&param->shape), &values));
    clm_status status = clm_meta_set_param(meta, i, values);
    free(values);
    size_t rates = clm_meta_rate_size(meta, i);
    if (status != CLM_OK || rates == 0) return status;
    if (r->rates == CLM_RATES_PER_STEP)
        snprintf(name, sizeof name, "alpha");
    else
        snprintf(name, sizeof name, "alpha.%s", param->name);
    CLI_TRY(cli_reference_read(r, name, rates, &values));
    status = clm_meta_set_rate(meta, i, values);
    free(values);
    return status;
}

static bool matches_parameter(const clm_model *model, const char *prefix) {
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        if (!strncmp(clm_model_param(model, i)->name, prefix, strlen(prefix))) return true;
    return false;
}

clm_status cli_reference_meta(const cli_reference *r, clm_device *device, bool first_order, clm_meta **out) {
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    const char *adapt[CLI_REFERENCE_ADAPT];
    clm_meta *meta;
    *out = NULL;
    o.tasks = r->tasks;
    o.support = r->support;
    o.query = r->query;
    o.steps = r->steps;
    o.inner_lr = r->inner_lr;
    o.first_order = first_order;
    o.rates = r->rates;
    o.step_weights = r->step_weights;
    /* In a reference file a prefix that no parameter has (of a layer without parameters, say) adapts nothing. */
    for (size_t k = 0; k < r->n_adapt; k++)
        if (matches_parameter(r->model, r->adapt[k])) adapt[o.n_adapt++] = r->adapt[k];
    o.adapt = o.n_adapt ? adapt : r->n_adapt ? r->adapt : NULL;
    if (!o.n_adapt) o.n_adapt = r->n_adapt;
    o.loss = r->loss;
    o.reduction = r->reduction;
    o.keep_adapted = !first_order;
    CLI_TRY(clm_meta_create(&meta, device, r->model, &o));
    clm_status status = CLM_OK;
    for (size_t i = 0; i < clm_model_param_count(r->model) && status == CLM_OK; i++) status = set_one(r, meta, i);
    if (status != CLM_OK) {
        clm_meta_free(meta);
        return status;
    }
    *out = meta;
    return CLM_OK;
}
