/* Reading reference files. Nothing of a file is trusted: a missing entry, a wrong type or a wrong length names the file and
 * itself. */
#include "verify/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static clm_status malformed(const cli_reference *r, const char *what) {
    return cli_fail(CLM_E_FORMAT, "%s: %s", r->path, what);
}

static clm_status whole_number(const cli_reference *r, const char *key, int least, int most, int *out) {
    const json_t *value = json_object_get(r->description, key);
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return cli_fail(CLM_E_FORMAT, "%s: \"%s\" of the case is not a whole number from %d to %d", r->path, key, least, most);
    *out = (int)json_integer_value(value);
    return CLM_OK;
}

/* A word of the case that must be one of a list; `absent` is what a missing one means. */
static clm_status one_of(const cli_reference *r, const char *key, const char *const *words, size_t count, int absent,
                         int *out) {
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

/* A number of an object, or what it is when it is not given. */
static clm_status number(const cli_reference *r, const json_t *object, const char *key, double absent, double *out) {
    const json_t *value = json_object_get(object, key);
    *out = value ? json_number_value(value) : absent;
    return !value || json_is_number(value) ? CLM_OK
                                           : cli_fail(CLM_E_FORMAT, "%s: \"%s\" of the case is not a number", r->path, key);
}

static bool matches_parameter(const clm_model *model, const char *prefix) {
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        if (!strncmp(clm_model_param(model, i)->name, prefix, strlen(prefix))) return true;
    return false;
}

/* A list of prefixes. One that no parameter has (of a layer without parameters, say) says nothing. */
static clm_status read_prefixes(cli_reference *r, const char *key, int which, const char *const **list, size_t *count) {
    const json_t *names = json_object_get(r->description, key);
    *list = r->prefixes[which];
    if (!names || json_is_null(names)) return CLM_OK;
    for (size_t i = 0; json_is_array(names) && i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && !matches_parameter(r->model, name)) continue;
        if (!name || *count == CLI_REFERENCE_PREFIXES) break;
        r->prefixes[which][(*count)++] = name;
    }
    if (json_is_array(names) && *count > 0) return CLM_OK;
    return cli_fail(CLM_E_FORMAT, "%s: \"%s\" of the case is not a list of names of the model's parameters", r->path, key);
}

static clm_status read_weights(cli_reference *r) {
    const json_t *weights = json_object_get(r->description, "msl");
    clm_status status = CLM_OK;
    if (!weights || json_is_null(weights)) return CLM_OK;
    if (!json_is_array(weights) || json_array_size(weights) != (size_t)r->task.steps)
        return malformed(r, "\"msl\" of the case is not a list of one weight per step");
    CLI_NEW(r->step_weights, r->task.steps);
    for (size_t k = 0; k < (size_t)r->task.steps; k++) {
        const json_t *weight = json_array_get(weights, k);
        if (!json_is_number(weight)) return malformed(r, "\"msl\" of the case is not a list of one weight per step");
        r->step_weights[k] = json_number_value(weight);
    }
    r->task.step_weights = r->step_weights;
out:
    return status;
}

/* A key that is not known may change what was computed: it is refused, never ignored. */
static clm_status check_keys(const cli_reference *r, json_t *object, const char *where, const char *const *known,
                             size_t count) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        size_t i = 0;
        while (i < count && strcmp(known[i], key) != 0) i++;
        if (i == count)
            return cli_fail(CLM_E_FORMAT, "%s: the key \"%.60s\" of %s is not known to this version", r->path, key, where);
    }
    return CLM_OK;
}

static const char *const case_keys[] = {
    "name",  "seed", "layers",           "in_shape",     "ways", "tasks", "support", "query",     "steps",
    "alpha", "loss", "reduction",        "algorithm",    "msl",  "adapt", "freeze",  "unlearned", "inner",
    "lam",   "cg",   "support_per_step", "tokens_below", "sizes"};
static const char *const inner_keys[] = {"rule",     "momentum",     "betas",      "decay",    "eps",
                                         "eps_root", "weight_decay", "clip_value", "clip_norm"};

/* A key that nothing reads: what its author meant by it is not what was computed. */
static clm_status without_effect(const cli_reference *r, const json_t *object, const char *key, const char *what,
                                 const char *name) {
    if (!json_object_get(object, key)) return CLM_OK;
    return cli_fail(CLM_E_FORMAT, "%s: the key \"%s\" is without effect for the %s %s; leave it out", r->path, key, what, name);
}

static clm_status check_rule(const cli_reference *r, const json_t *inner) {
    static const char *const keys[][2] = {
        {"momentum", "momentum"}, {"betas", "betas"}, {"decay", "decay"}, {"eps", "eps"}, {"eps_root", "eps"}};
    size_t rule = 0;
    while (rule < clm_inner_rule_count() && strcmp(clm_inner_rule_name(rule), r->task.inner.rule) != 0) rule++;
    if (rule == clm_inner_rule_count()) return CLM_OK; /* which is another mistake */
    for (size_t i = 0; i < CLI_COUNT(keys); i++)
        if (!clm_inner_rule_uses(r->task.inner.rule, keys[i][1]))
            CLI_TRY(without_effect(r, inner, keys[i][0], "inner rule", r->task.inner.rule));
    return CLM_OK;
}

/* The rule's own numbers. */
static clm_status read_rule(cli_reference *r, const json_t *inner) {
    clm_inner_options *o = &r->task.inner;
    const json_t *betas = json_object_get(inner, "betas");
    CLI_TRY(check_rule(r, inner));
    if (clm_inner_rule_uses(o->rule, "momentum")) CLI_TRY(number(r, inner, "momentum", o->momentum, &o->momentum));
    if (clm_inner_rule_uses(o->rule, "decay")) CLI_TRY(number(r, inner, "decay", o->decay, &o->decay));
    if (clm_inner_rule_uses(o->rule, "eps")) {
        CLI_TRY(number(r, inner, "eps", o->eps, &o->eps));
        CLI_TRY(number(r, inner, "eps_root", 0, &o->eps_root));
    }
    if (!betas || !clm_inner_rule_uses(o->rule, "betas")) return CLM_OK;
    if (!json_is_number(json_array_get(betas, 0)) || !json_is_number(json_array_get(betas, 1)))
        return malformed(r, "\"betas\" of the inner update is not a list of two numbers");
    o->beta1 = json_number_value(json_array_get(betas, 0));
    o->beta2 = json_number_value(json_array_get(betas, 1));
    return CLM_OK;
}

/* "inner": the update rule; what it leaves out has PyTorch's values. */
static clm_status read_inner(cli_reference *r) {
    const json_t *inner = json_object_get(r->description, "inner");
    clm_inner_options *o = &r->task.inner;
    if (!inner || json_is_null(inner)) return CLM_OK;
    if (!json_is_object(inner)) return malformed(r, "\"inner\" of the case is not an object");
    CLI_TRY(check_keys(r, json_object_get(r->description, "inner"), "the inner update", inner_keys, CLI_COUNT(inner_keys)));
    const json_t *rule = json_object_get(inner, "rule");
    if (rule && !json_is_string(rule)) return malformed(r, "\"rule\" of the inner update is not a name");
    if (rule) o->rule = json_string_value(rule);
    CLI_TRY(number(r, inner, "weight_decay", 0, &o->weight_decay));
    CLI_TRY(number(r, inner, "clip_value", 0, &o->clip_value));
    CLI_TRY(number(r, inner, "clip_norm", 0, &o->clip_norm));
    return read_rule(r, inner);
}

/* The word of a case for a loss, and the library's. */
static const char *const losses[] = {"ce", "mse", "mae", "bce", "huber", "gaussian-policy"};
static const char *const loss_names[] = {"cross-entropy", "mse", "mae", "bce", "huber", "gaussian-policy"};

static clm_status read_loss(cli_reference *r) {
    static const char *const reductions[] = {"mean", "sum"};
    int loss, reduction;
    CLI_TRY(one_of(r, "loss", losses, CLI_COUNT(losses), 0, &loss));
    CLI_TRY(one_of(r, "reduction", reductions, CLI_COUNT(reductions), CLM_REDUCE_MEAN, &reduction));
    r->task.loss.name = loss_names[loss];
    /* The reduction is a matter of the cross-entropy: other losses are means. */
    if (reduction != CLM_REDUCE_MEAN && loss) return without_effect(r, r->description, "reduction", "loss", losses[loss]);
    r->task.loss.reduction = (clm_reduction)reduction;
    return CLM_OK;
}

static clm_status read_algorithm(cli_reference *r) {
    static const char *const names[] = {"maml", "lslr", "metasgd", "reptile", "imaml", "per-step-bn"};
    enum { MAML, LSLR, METASGD, REPTILE, IMAML, PER_STEP_BN };
    int algorithm;
    CLI_TRY(one_of(r, "algorithm", names, CLI_COUNT(names), MAML, &algorithm));
    r->unrolled = algorithm != REPTILE && algorithm != IMAML;
    r->task.algorithm = r->unrolled ? "maml" : names[algorithm];
    if (algorithm == LSLR) r->task.rates = CLM_RATES_PER_STEP;
    if (algorithm == METASGD) r->task.rates = CLM_RATES_PER_ELEMENT;
    r->task.batch_norm_per_step = algorithm == PER_STEP_BN;
    if (algorithm != IMAML) CLI_TRY(without_effect(r, r->description, "cg", "algorithm", names[algorithm]));
    if (algorithm != IMAML) return without_effect(r, r->description, "lam", "algorithm", names[algorithm]);
    CLI_TRY(whole_number(r, "cg", 1, 1 << 10, &r->task.solver_steps));
    return number(r, r->description, "lam", r->task.proximal, &r->task.proximal);
}

/* "sizes": [[ways, support, query], ..], one for each task. What there cannot be, the meta-learner says. */
static clm_status read_sizes(cli_reference *r) {
    const json_t *sizes = json_object_get(r->description, "sizes");
    clm_status status = CLM_OK;
    if (!sizes) return CLM_OK;
    if (!json_is_array(sizes) || json_array_size(sizes) != (size_t)r->tasks)
        return malformed(r, "\"sizes\" of the case is not a list with one size for each task");
    CLI_NEW(r->sizes, (size_t)r->tasks);
    for (size_t t = 0; t < (size_t)r->tasks; t++) {
        const json_t *size = json_array_get(sizes, t);
        int32_t *const to[3] = {&r->sizes[t].ways, &r->sizes[t].support, &r->sizes[t].query};
        for (size_t i = 0; i < 3; i++) {
            const json_t *value = json_array_get(size, i);
            const json_int_t n = json_integer_value(value);
            if (json_array_size(size) != 3 || !json_is_integer(value) || n < 0 || n > 1 << 20)
                return malformed(r, "\"sizes\" of the case holds what is no [ways, support, query]");
            *to[i] = (int32_t)n;
        }
    }
    r->task.uneven = true;
out:
    return status;
}

void cli_reference_clear_scores(const cli_reference *r, size_t count, double *scores) {
    const size_t task = count / (size_t)r->tasks, outputs = task / (size_t)r->task.query;
    for (size_t t = 0; r->sizes && t < (size_t)r->tasks; t++) {
        const clm_task_size *size = &r->sizes[t];
        const size_t ways = size->ways ? (size_t)size->ways : outputs;
        for (size_t i = 0; i < task; i++)
            if (i / outputs >= (size_t)size->query || i % outputs >= ways) scores[t * task + i] = 0;
    }
}

static clm_status read_case(cli_reference *r) {
    const clm_task_options initial = CLM_TASK_OPTIONS_INIT;
    r->task = initial;
    CLI_TRY(check_keys(r, r->description, "the case", case_keys, CLI_COUNT(case_keys)));
    CLI_TRY(whole_number(r, "tasks", 1, 1 << 16, &r->tasks));
    CLI_TRY(whole_number(r, "support", 1, 1 << 20, &r->task.support));
    CLI_TRY(whole_number(r, "query", 1, 1 << 20, &r->task.query));
    CLI_TRY(whole_number(r, "steps", 1, 1 << 10, &r->task.steps));
    CLI_TRY(read_sizes(r));
    CLI_TRY(read_loss(r));
    CLI_TRY(read_algorithm(r));
    CLI_TRY(read_inner(r));
    if (!json_is_number(json_object_get(r->description, "alpha"))) return malformed(r, "\"alpha\" of the case is not a number");
    r->task.inner_lr = json_number_value(json_object_get(r->description, "alpha"));
    r->task.support_per_step = json_is_true(json_object_get(r->description, "support_per_step"));
    CLI_TRY(read_prefixes(r, "adapt", 0, &r->task.adapt, &r->task.n_adapt));
    CLI_TRY(read_prefixes(r, "freeze", 1, &r->task.freeze, &r->task.n_freeze));
    CLI_TRY(read_prefixes(r, "unlearned", 2, &r->task.unlearned, &r->task.n_unlearned));
    return read_weights(r);
}

static clm_status open_description(cli_reference *r) {
    const char *text = clm_archive_meta(r->archive, "case");
    json_error_t error;
    if (!text) return malformed(r, "no reference file: its metadata has no \"case\"");
    r->description = json_loads(text, 0, &error);
    if (json_is_object(r->description)) return CLM_OK;
    return cli_fail(CLM_E_FORMAT, "%s: \"case\" is not JSON: %s", r->path, error.text);
}

/* Our name of parameter i: an entry's in an archive, without "param."; NULL for what is a rate. */
static const char *param_name(const cli_reference *r, size_t i) {
    const clm_params_info info = clm_params_get_info(r->params, i);
    return info.name && !info.rate ? info.name + strlen("param.") : NULL;
}

/* "params" must name our parameters in our order: rates per step are stored by position. */
static clm_status check_params(const cli_reference *r) {
    const char *text = clm_archive_meta(r->archive, "params");
    json_t *names = text ? json_loads(text, 0, NULL) : NULL;
    size_t count = 0;
    clm_status status = CLM_OK;
    while (param_name(r, count)) count++;
    if (!json_is_array(names)) status = malformed(r, "its metadata has no list \"params\"");
    if (status == CLM_OK && json_array_size(names) != count)
        status = cli_fail(CLM_E_FORMAT, "%s: \"params\" names %zu parameters, the layers have %zu", r->path,
                          json_array_size(names), count);
    for (size_t i = 0; i < count && status == CLM_OK; i++) {
        const char *name = json_string_value(json_array_get(names, i)), *ours = param_name(r, i);
        if (!name || strcmp(name, ours) != 0)
            status = cli_fail(CLM_E_FORMAT, "%s: parameter %zu of \"params\" is '%s', of the layers '%s'", r->path, i,
                              name ? name : "?", ours);
    }
    json_decref(names);
    return status;
}

static clm_status open_params(cli_reference *r) {
    clm_status fits = clm_params_check(r->model, r->archive);
    if (fits != CLM_OK) return cli_fail_in(fits, "%s", r->path);
    if (clm_params_create(&r->params, r->model, &r->task) != CLM_OK) return cli_fail_in(CLM_E_FORMAT, "%s", r->path);
    CLI_TRY(check_params(r));
    clm_status status = clm_params_load(r->params, r->archive);
    return status == CLM_OK || strstr(cli_message(), r->path) ? status : cli_fail_in(status, "%s", r->path);
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

/* Elements of one example's target; 0: of no loss that is known. */
static size_t target_size(const cli_reference *r) {
    const clm_shape out = clm_model_out_shape(r->model);
    if (strcmp(r->task.loss.name, "cross-entropy") == 0) return 1;
    return clm_shape_size(&out) + (strcmp(r->task.loss.name, "gaussian-policy") == 0);
}

static clm_status read_batch(cli_reference *r) {
    const clm_shape in = clm_model_in_shape(r->model), out = clm_model_out_shape(r->model);
    const size_t sets = r->task.support_per_step ? (size_t)r->task.steps : 1;
    const size_t support = (size_t)r->tasks * (size_t)r->task.support * sets, query = (size_t)r->tasks * (size_t)r->task.query;
    const size_t example = clm_shape_size(&in), target = target_size(r);
    CLI_TRY(read_floats(r, "support.x", support * example, &r->support_x));
    CLI_TRY(read_floats(r, "query.x", query * example, &r->query_x));
    CLI_TRY(read_floats(r, "support.y", support * target, &r->support_y));
    CLI_TRY(read_floats(r, "query.y", query * target, &r->query_y));
    if (strcmp(r->task.loss.name, "cross-entropy") != 0) return CLM_OK;
    if (out.rank != 1) return malformed(r, "a classifier's output must be one vector per example");
    CLI_TRY(check_labels(r, "support.y", r->support_y, support, out.dim[0]));
    return check_labels(r, "query.y", r->query_y, query, out.dim[0]);
}

/* The program that makes reference files computes these activations with PyTorch's defaults, whatever a layer says. */
static void drop_settings(json_t *layers) {
    size_t i;
    json_t *layer;
    json_array_foreach(layers, i, layer) {
        const char *op = json_string_value(json_object_get(layer, "op"));
        if (op && strcmp(op, "leaky_relu") == 0) json_object_del(layer, "slope");
        if (op && strcmp(op, "elu") == 0) json_object_del(layer, "alpha");
        drop_settings(json_object_get(layer, "body"));
        drop_settings(json_object_get(layer, "skip"));
    }
}

static clm_status open_model(cli_reference *r) {
    json_t *description = json_deep_copy(r->description);
    drop_settings(json_object_get(description, "layers"));
    char *text = json_dumps(description, JSON_COMPACT);
    json_decref(description);
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    clm_status status = clm_model_parse(&r->model, text, NULL);
    free(text);
    if (status != CLM_OK) return cli_fail_in(CLM_E_FORMAT, "%s", r->path);
    if (!clm_model_has_dropout(r->model)) return CLM_OK;
    return cli_fail(
        CLM_E_FORMAT,
        "%s: the layers have dropout, and another program drops something else; set \"rate\" and \"drop_path\" to 0", r->path);
}

clm_status cli_reference_open(cli_reference *r, const char *path) {
    memset(r, 0, sizeof *r);
    if (strlen(path) >= sizeof r->path) return cli_fail(CLM_E_LIMIT, "path too long: %s", path);
    memcpy(r->path, path, strlen(path) + 1);
    CLI_TRY(clm_archive_load(&r->archive, path));
    CLI_TRY(open_description(r));
    CLI_TRY(open_model(r));
    CLI_TRY(read_case(r));
    CLI_TRY(read_batch(r));
    return open_params(r);
}

void cli_reference_close(cli_reference *r) {
    clm_params_free(r->params);
    clm_model_free(r->model);
    clm_archive_free(r->archive);
    json_decref(r->description);
    free(r->step_weights);
    free(r->support_x);
    free(r->support_y);
    free(r->query_x);
    free(r->query_y);
    free(r->sizes);
    memset(r, 0, sizeof *r);
}

clm_status cli_reference_meta(const cli_reference *r, clm_device *device, bool first_order, clm_meta **out) {
    clm_meta_options o = CLM_META_OPTIONS_INIT;
    clm_meta *meta;
    *out = NULL;
    o.tasks = r->tasks;
    o.task = r->task;
    o.task.first_order = first_order;
    o.keep_adapted = !first_order;
    CLI_TRY(clm_meta_create(&meta, device, r->model, &o));
    clm_status status = clm_meta_set_params(meta, r->params);
    if (status == CLM_OK)
        *out = meta;
    else
        clm_meta_free(meta);
    return status;
}
