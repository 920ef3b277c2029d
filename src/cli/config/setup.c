/* Builds the task source, the model and the options of the meta-learner that settings describe. */
#include "config/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "config/readers.h"
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
    return cli_usage("'%s' is neither %s, a folder of images nor a model file%s%s", name, names,
                     nearest ? "; did you mean " : "", nearest ? nearest : "");
}

clm_status cli_setup_source(clm_source **out, const cli_settings *s) { return cli_source_of(s->source)->open(out, s); }

/* Does the algorithm score classes by features, rather than by a last layer? */
static bool is_headless(const cli_settings *s) { return strcmp(s->algorithm, "protonet") == 0; }

bool cli_setup_is_joint(const cli_settings *s) { return strcmp(s->algorithm, "finetune") == 0; }

void cli_setup_classes(cli_settings *s, const clm_source *source) {
    enum { OF_ENDLESS = 200 };
    const size_t all = clm_source_classes(source, CLM_SPLIT_TRAIN);
    if (!cli_setup_is_joint(s) || s->classes) return;
    s->classes = all == SIZE_MAX ? OF_ENDLESS : (int64_t)all;
}

clm_episode_options cli_setup_episodes(const cli_settings *s) {
    clm_episode_options o = CLM_EPISODE_OPTIONS_INIT;
    o.ways = (int)s->ways;
    o.shots = (int)s->shots;
    o.query = (int)s->query;
    o.support_sets = s->support_per_step ? (int)s->steps : 1;
    o.joint_classes = cli_setup_is_joint(s) ? (size_t)s->classes : 0;
    return o;
}

/* A classifier has one output per way, a regression as many as the target. */
static int outputs(const cli_settings *s, const clm_source *source) {
    if (clm_source_is_regression(source)) return 1;
    return (int)(cli_setup_is_joint(s) ? s->classes : s->ways);
}

/* An embedding is any vector. */
static clm_status check_output(const clm_model *model, const cli_settings *s, const clm_source *source) {
    clm_shape out = clm_model_out_shape(model);
    const int want = outputs(s, source);
    char text[96];
    if (out.rank == 1 && (out.dim[0] == want || is_headless(s))) return CLM_OK;
    return cli_fail(CLM_E_SHAPE, "%s: the model's output is %s for one example; --%s %lld needs [%d]",
                    s->model[0] ? s->model : "model", clm_shape_text(&out, text, sizeof text),
                    cli_setup_is_joint(s) ? "classes" : "ways", (long long)(cli_setup_is_joint(s) ? s->classes : s->ways),
                    want);
}

/* ---- the network ---- */

static clm_status check_rank(const cli_settings *s, const clm_network_info *info, const clm_shape *shape) {
    static const char *const takes[] = {"", "", "sequences [length, width]", "images [C, H, W]"};
    char text[96];
    if (info->rank == 0 || info->rank == shape->rank) return CLM_OK;
    return cli_usage("--network %s takes %s; an example of %s is %s: leave it out for %s, or see `clmaml model`", info->name,
                     takes[info->rank], s->source, clm_shape_text(shape, text, sizeof text), clm_network_for(shape));
}

clm_status cli_setup_network(cli_settings *s, const clm_source *source) {
    const clm_shape shape = clm_source_example_shape(source);
    char names[256];
    if (s->model[0]) return CLM_OK;
    if (!s->network[0]) snprintf(s->network, sizeof s->network, "%s", clm_network_for(&shape));
    const clm_network_info info = clm_network_get_info(clm_network_find(s->network));
    CLI_TRY(check_rank(s, &info, &shape));
    if (s->context == 0 || info.context) return CLM_OK;
    cli_readers_of_network("context", names, sizeof names);
    return cli_usage("--algorithm %s adapts a context, and the network %s has no place for one; %s have", s->algorithm,
                     info.name, names);
}

static clm_status build_network(clm_model **out, const cli_settings *s, const clm_source *source, const clm_shape *shape) {
    clm_network_options options = CLM_NETWORK_OPTIONS_INIT;
    options.in_shape = *shape;
    options.outputs = outputs(s, source);
    if (cli_readers_read(s, "filters")) options.filters = (int)s->filters;
    if (cli_readers_read(s, "hidden")) options.hidden = (int)s->hidden;
    options.context = (int)s->context;
    options.headless = is_headless(s);
    return clm_model_network(out, s->network, &options);
}

static clm_status build_model(clm_model **out, const cli_settings *s, const clm_source *source, const char *json) {
    clm_shape shape = clm_source_example_shape(source);
    if (json) return clm_model_parse(out, json, &shape);
    if (s->model[0]) {
        if (clm_model_load(out, s->model, &shape) == CLM_OK) return CLM_OK;
        return strstr(cli_message(), s->model) ? CLM_E_FORMAT : cli_fail_in(CLM_E_FORMAT, "%s", s->model);
    }
    return build_network(out, s, source, &shape);
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

clm_status cli_setup_test_model(clm_model **out, const cli_settings *s, const clm_model *model) {
    *out = NULL;
    if (!cli_setup_is_joint(s)) return CLM_OK;
    json_t *root = json_loads(clm_model_json(model), 0, NULL), *layers = json_object_get(root, "layers");
    json_t *last = json_array_get(layers, json_array_size(layers) - 1);
    const char *op = json_string_value(json_object_get(last, "op"));
    clm_status status = CLM_OK;
    char *text = NULL;
    if (!op || strcmp(op, "linear") != 0) {
        status =
            cli_fail(CLM_E_ARG, "--algorithm finetune: the model's last layer is %s; a new one for each task must be linear",
                     op ? op : "none");
    } else {
        json_object_set_new(last, "out", json_integer(s->ways));
        text = json_dumps(root, JSON_COMPACT);
        status = text ? clm_model_parse(out, text, NULL) : cli_fail(CLM_E_MEMORY, "out of memory");
    }
    free(text);
    json_decref(root);
    return status;
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
