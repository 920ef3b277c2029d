/* Builds the task source, the model and the options of the meta-learner that settings describe. */
#include "config/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "config/sources.h"

static bool is_model_file(const char *name) {
    size_t length = strlen(name);
    return length > 5 && strcmp(name + length - 5, ".json") == 0;
}

/* The "data" entry of a model file, or --data. */
static clm_status resolve_model_data(cli_settings *settings) {
    json_error_t error;
    char names[256];
    cli_names_join(&cli_source_names, "|", names, sizeof names);
    json_t *root = json_load_file(settings->model, 0, &error);
    if (!root) return cli_fail(CLM_E_FORMAT, "%s: line %d: %s", settings->model, error.line, error.text);
    const char *data = json_string_value(json_object_get(root, "data"));
    clm_status status = CLM_OK;
    if (data && !is_model_file(data))
        status = cli_setup_resolve(settings, data);
    else if (settings->data[0])
        status = cli_setup_resolve(settings, cli_source_is_omniglot(settings->data) ? "omniglot" : settings->data);
    else
        status = cli_usage("%s names no \"data\"; say what to train on: clmaml train %s|FOLDER --model %s", settings->model,
                           names, settings->model);
    json_decref(root);
    return status;
}

clm_status cli_setup_resolve(cli_settings *settings, const char *name) {
    char names[256];
    if (strlen(name) >= sizeof settings->source) return cli_usage("'%.40s..' is too long a name", name);
    if (cli_names_find(&cli_source_names, name) >= 0) {
        snprintf(settings->source, sizeof settings->source, "%s", name);
        return CLM_OK;
    }
    if (cli_is_directory(name)) {
        bool omniglot = cli_source_is_omniglot(name);
        if (omniglot) snprintf(settings->data, sizeof settings->data, "%s", name);
        snprintf(settings->source, sizeof settings->source, "%s", omniglot ? "omniglot" : name);
        return CLM_OK;
    }
    if (is_model_file(name)) {
        if (settings->model[0]) return cli_usage("'%s' and --model %s are both model files", name, settings->model);
        if (!cli_path_exists(name)) return cli_fail(CLM_E_IO, "model file %s does not exist", name);
        snprintf(settings->model, sizeof settings->model, "%s", name);
        return resolve_model_data(settings);
    }
    const char *nearest = cli_names_nearest(&cli_source_names, name);
    cli_names_join(&cli_source_names, ", ", names, sizeof names);
    return cli_usage("'%s' is neither %s, a folder of images nor a model file%s%s", name, names, nearest ? "; did you mean " : "",
                     nearest ? nearest : "");
}

clm_status cli_setup_source(clm_source **out, const cli_settings *s) { return cli_source_of(s->source)->open(out, s); }

/* A classifier has one output per way, a regression as many as the target. */
static clm_status check_output(const clm_model *model, const cli_settings *s, const clm_source *source) {
    clm_shape out = clm_model_out_shape(model);
    int32_t want = clm_source_is_regression(source) ? 1 : (int32_t)s->ways;
    char text[96];
    if (out.rank == 1 && out.dim[0] == want) return CLM_OK;
    return cli_fail(CLM_E_SHAPE, "%s: the model's output is %s for one example; --ways %lld needs [%d]",
                    s->model[0] ? s->model : "model", clm_shape_text(&out, text, sizeof text), (long long)s->ways, (int)want);
}

static clm_status build_model(clm_model **out, const cli_settings *s, const clm_source *source, const char *json) {
    clm_shape shape = clm_source_example_shape(source);
    if (json) return clm_model_parse(out, json, &shape);
    if (s->model[0]) {
        if (clm_model_load(out, s->model, &shape) == CLM_OK) return CLM_OK;
        return strstr(cli_message(), s->model) ? CLM_E_FORMAT : cli_fail_in(CLM_E_FORMAT, "%s", s->model);
    }
    if (clm_source_is_regression(source)) return clm_model_mlp(out, (int)shape.dim[0], (const int[]){40, 40}, 2, 1);
    clm_conv4_options options = CLM_CONV4_OPTIONS_INIT;
    options.filters = (int)s->filters;
    options.ways = (int)s->ways;
    options.channels = (int)shape.dim[0];
    options.size = (int)shape.dim[1];
    options.strided = s->network == CLI_NETWORK_CONV4_STRIDED;
    return clm_model_conv4(out, &options);
}

clm_status cli_setup_model(clm_model **out, const cli_settings *s, const clm_source *source, const char *json) {
    clm_model *model = NULL;
    *out = NULL;
    CLI_TRY(build_model(&model, s, source, json));
    clm_status status = check_output(model, s, source);
    if (status != CLM_OK) {
        clm_model_free(model);
        return status;
    }
    *out = model;
    return CLM_OK;
}

clm_status cli_setup_adapt(cli_adapt *adapt, const cli_settings *s, const clm_model *model) {
    size_t n_params = clm_model_param_count(model);
    memset(adapt, 0, sizeof *adapt);
    if (s->anil && n_params > 0) {
        const char *name = clm_model_param(model, n_params - 1)->name, *dot = strrchr(name, '.');
        snprintf(adapt->text, sizeof adapt->text, "%.*s", dot ? (int)(dot - name + 1) : (int)strlen(name), name);
    } else {
        memcpy(adapt->text, s->adapt, sizeof adapt->text);
    }
    for (char *at = strtok(adapt->text, ","); at; at = strtok(NULL, ",")) {
        bool found = false;
        for (size_t i = 0; i < n_params; i++) found = found || strncmp(clm_model_param(model, i)->name, at, strlen(at)) == 0;
        if (!found)
            return cli_usage("--adapt: no parameter's name begins with '%s'; the first is '%s'", at,
                             clm_model_param(model, 0)->name);
        if (adapt->count == CLI_COUNT(adapt->prefix))
            return cli_usage("--adapt: more than %zu prefixes", CLI_COUNT(adapt->prefix));
        adapt->prefix[adapt->count++] = at;
    }
    return CLM_OK;
}

static void set_optimizer(clm_optim_options *o, const cli_settings *s) {
    o->kind = (clm_optim_kind)s->optimizer;
    o->lr = s->outer_lr;
    o->momentum = s->momentum;
    o->weight_decay = s->weight_decay;
    o->clip_kind = s->clip_norm > 0 ? CLM_CLIP_NORM : s->clip_value > 0 ? CLM_CLIP_VALUE : CLM_CLIP_NONE;
    o->clip = s->clip_norm > 0 ? s->clip_norm : s->clip_value;
    o->cosine_iterations = s->cosine ? (uint64_t)s->cosine_over : 0;
    o->lr_min = s->lr_min;
}

clm_status cli_setup_meta_options(clm_meta_options *o, const cli_settings *s, const clm_source *source, const cli_adapt *adapt,
                                  double *weights) {
    const clm_meta_options initial = CLM_META_OPTIONS_INIT;
    size_t n_weights;
    *o = initial;
    CLI_TRY(cli_settings_step_weights(s, weights, &n_weights));
    o->tasks = (int)s->meta_batch;
    o->support = (int)(s->ways * s->shots);
    o->query = (int)(s->ways * s->query);
    o->steps = (int)s->steps;
    o->inner_lr = s->inner_lr;
    o->first_order = s->first_order;
    o->rates = (clm_rates)s->rates;
    o->step_weights = n_weights ? weights : NULL;
    o->adapt = adapt->count ? adapt->prefix : NULL;
    o->n_adapt = adapt->count;
    o->loss = clm_source_is_regression(source) ? CLM_LOSS_MSE : CLM_LOSS_CROSS_ENTROPY;
    o->reduction = (clm_reduction)s->reduction;
    o->checkpointing = (clm_checkpointing)s->checkpointing;
    o->memory_limit = (size_t)s->memory_limit;
    o->task_chunk = (int)s->task_chunk;
    set_optimizer(&o->optim, s);
    return CLM_OK;
}

clm_status cli_setup_sample(const clm_source *source, clm_split split, uint64_t seed, uint64_t first, int count, int ways,
                            int shots, int query, float *support_x, float *support_y, float *query_x, float *query_y) {
    clm_shape shape = clm_source_example_shape(source);
    size_t example = clm_shape_size(&shape), support = (size_t)ways * (size_t)shots, queries = (size_t)ways * (size_t)query;
    for (size_t t = 0; t < (size_t)count; t++)
        CLI_TRY(clm_source_sample(source, split, seed, first + t, ways, shots, query, support_x + t * support * example,
                                  support_y + t * support, query_x + t * queries * example, query_y + t * queries));
    return CLM_OK;
}

const char *cli_split_name(clm_split split) {
    static const char *const names[] = {"train", "validation", "test"};
    return names[split];
}
