/* Builds the task source, the model and the options of the meta-learner that settings describe. */
#include "config/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "config/folders.h"
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
    if (cli_is_arrays(name)) {
        snprintf(settings->source, sizeof settings->source, "%s", name);
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
    return cli_usage("'%s' is neither %s, a folder of pictures, a .npz file nor a model file%s%s", name, names,
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

clm_augment_options cli_setup_augment(const cli_settings *s) {
    clm_augment_options o = CLM_AUGMENT_OPTIONS_INIT;
    o.flip = s->flip;
    o.shift = s->shift;
    o.crop = s->crop;
    o.jitter = s->jitter;
    return o;
}

bool cli_setup_augments(const cli_settings *s) { return s->flip > 0 || s->shift > 0 || s->crop < 1 || s->jitter > 0; }

static int outputs(const cli_settings *s) { return (int)(cli_setup_is_joint(s) ? s->classes : s->ways); }

/* A classifier has one output per way, a regression as many as the target, an embedding any vector. */
static clm_status check_output(const clm_model *model, const cli_settings *s, const clm_source *source) {
    clm_shape out = clm_model_out_shape(model);
    int32_t want = clm_source_is_regression(source) ? 1 : (int32_t)outputs(s);
    char text[96];
    if (out.rank == 1 && (out.dim[0] == want || is_headless(s))) return CLM_OK;
    return cli_fail(CLM_E_SHAPE, "%s: the model's output is %s for one example; --%s %lld needs [%d]",
                    s->model[0] ? s->model : "model", clm_shape_text(&out, text, sizeof text),
                    cli_setup_is_joint(s) ? "classes" : "ways", (long long)outputs(s), (int)want);
}

/* 40-40 as Finn et al. 2017 have it; with a context beside the input as Zintgraf et al. 2019 do. */
static clm_status build_perceptron(clm_model **out, const cli_settings *s, int in) {
    char json[512];
    if (!s->context) return clm_model_mlp(out, in, (const int[]){40, 40}, 2, 1);
    snprintf(
        json, sizeof json,
        "{\"in_shape\": [%d], \"layers\": [{\"op\": \"context\", \"size\": %lld}, {\"op\": \"linear\", \"out\": 40}, {\"op\": "
        "\"relu\"}, {\"op\": \"linear\", \"out\": 40}, {\"op\": \"relu\"}, {\"op\": \"linear\", \"out\": 1}]}",
        in, (long long)s->context);
    return clm_model_parse(out, json, NULL);
}

static clm_status build_model(clm_model **out, const cli_settings *s, const clm_source *source, const char *json) {
    clm_shape shape = clm_source_example_shape(source);
    if (json) return clm_model_parse(out, json, &shape);
    if (s->model[0]) {
        if (clm_model_load(out, s->model, &shape) == CLM_OK) return CLM_OK;
        return strstr(cli_message(), s->model) ? CLM_E_FORMAT : cli_fail_in(CLM_E_FORMAT, "%s", s->model);
    }
    if (clm_source_is_regression(source)) return build_perceptron(out, s, (int)shape.dim[0]);
    clm_conv4_options options = CLM_CONV4_OPTIONS_INIT;
    options.filters = (int)s->filters;
    options.ways = outputs(s);
    options.channels = (int)shape.dim[0];
    options.size = (int)shape.dim[1];
    options.strided = s->network == CLI_NETWORK_CONV4_STRIDED;
    options.film_context = (int)s->context;
    options.headless = is_headless(s);
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

clm_status cli_setup_check_images(const clm_source *source, int data_on) {
    clm_images images;
    if (data_on != CLM_DATA_DEVICE || clm_source_images(source, &images)) return CLM_OK;
    return cli_usage("--data-on device: %s makes its examples when they are asked for, which is done on the host; leave it out",
                     clm_source_name(source));
}

const char *cli_split_name(clm_split split) {
    static const char *const names[] = {"train", "validation", "test"};
    return names[split];
}
