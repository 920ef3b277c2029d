/* Builds the task source, the model and the options of the meta-learner that settings describe. */
#include "config/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "config/beside.h"
#include "config/folders.h"
#include "config/readers.h"
#include "config/sources.h"

static bool is_model_file(const char *name) {
    size_t length = strlen(name);
    return length > 5 && strcmp(name + length - 5, ".json") == 0;
}

static bool is_table_file(const char *name) { return cli_ends_with(name, ".csv") || cli_ends_with(name, ".tsv"); }

/* Files that are brought as data, and what is to become of them first. */
static const struct {
    const char *endings[12], *what;
} others[] = {
    {{".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"},
     "an archive; unpack it, and name the folder or file in it"},
    {{".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic"},
     "a picture; name the folder that holds a folder of pictures for each class"},
    {{".xlsx", ".xls", ".ods", ".parquet", ".feather", ".arrow", ".sqlite", ".db"},
     "a table of another program; save it as CSV in UTF-8, and name FILE.csv"},
    {{".txt", ".dat", ".tab", ".data"},
     "no kind of file that is known by its name; of a table say so: clmaml train table FILE --task-column NAME --target NAME"},
    {{".h5", ".hdf5", ".mat", ".pkl", ".pickle", ".joblib", ".pt", ".pth", ".tfrecord"},
     "arrays of another program; save them by numpy.savez(FILE, x=.., y=..), and name FILE.npz"},
    {{".safetensors", ".onnx"}, "a model, no data; say what to train on, and begin with weights by --init FILE.safetensors"},
};

static clm_status refuse_other(const char *name) {
    for (size_t i = 0; i < CLI_COUNT(others); i++)
        for (size_t k = 0; k < CLI_COUNT(others[i].endings) && others[i].endings[k]; k++)
            if (cli_ends_with(name, others[i].endings[k])) return cli_usage("'%s' is %s", name, others[i].what);
    return CLM_OK;
}

/* Data that a model file names lie beside it, or where the program was called. */
static const char *beside_model(const char *model, const char *data, char *path) {
    const char *slash = strrchr(model, '/');
    if (!data || !slash || data[0] == '/' || cli_names_find(&cli_source_names, data) >= 0) return data;
    snprintf(path, CLI_PATH_MAX, "%.*s/%s", (int)(slash - model), model, data);
    return cli_path_exists(path) ? path : data;
}

/* The "data" entry of a model file, or --data. */
static clm_status resolve_model_data(cli_settings *settings) {
    char names[256];
    cli_names_join(&cli_source_names, "|", names, sizeof names);
    json_t *root = cli_json_load(settings->model);
    if (!root) return CLM_E_FORMAT;
    char beside[CLI_PATH_MAX];
    const char *data = beside_model(settings->model, json_string_value(json_object_get(root, "data")), beside);
    clm_status status = CLM_OK;
    if (data && !is_model_file(data))
        status = cli_setup_resolve(settings, data);
    else if (settings->data[0])
        status = cli_setup_resolve(settings, cli_source_is_omniglot(settings->data) ? "omniglot" : settings->data);
    else
        status = cli_usage("%s names no \"data\"; say what to train on: clmaml train %s|FOLDER --model %s", settings->model,
                           names, cli_pasted(settings->model));
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
        if (!omniglot) cli_path_make_absolute(settings->source);
        return CLM_OK;
    }
    if (cli_is_arrays(name)) {
        snprintf(settings->source, sizeof settings->source, "%s", name);
        cli_path_make_absolute(settings->source);
        return CLM_OK;
    }
    if (is_table_file(name)) {
        if (!cli_path_exists(name)) return cli_usage("table %s does not exist", name);
        if (name != settings->data) snprintf(settings->data, sizeof settings->data, "%s", name);
        snprintf(settings->source, sizeof settings->source, "table");
        return CLM_OK;
    }
    if (is_model_file(name)) {
        if (settings->model[0]) return cli_usage("'%s' and --model %s are both model files", name, settings->model);
        if (!cli_path_exists(name)) return cli_usage("model file %s does not exist", name);
        snprintf(settings->model, sizeof settings->model, "%s", name);
        return resolve_model_data(settings);
    }
    const char *nearest = cli_names_nearest(&cli_trained_names, name);
    cli_names_join(&cli_source_names, ", ", names, sizeof names);
    if (nearest && strcmp(nearest, name) == 0)
        return cli_usage("'%s' is for `clmaml train` alone: it has episodes, and no examples", name);
    if (!cli_path_exists(name))
        return cli_usage("'%s' does not exist, and is none of %s%s", name, names, cli_did_you_mean(nearest).s);
    CLI_TRY(refuse_other(name));
    return cli_usage("'%s' is neither %s, a folder of pictures, a .npz file, a table (.csv) nor a model file%s", name, names,
                     cli_did_you_mean(nearest).s);
}

/* `name`: the argument that says which source it is; `file`: what stands behind it. */
static clm_status resolve_file(cli_settings *s, const char *name, const char *file) {
    if (!cli_source_of(s->source)->takes_file || strcmp(s->source, name) != 0)
        return cli_usage("'%s' is one argument too many; '%s' says what to train on", file, name);
    if (strlen(file) >= sizeof s->data) return cli_usage("'%.40s..' is too long a name", file);
    snprintf(s->data, sizeof s->data, "%s", file);
    return CLM_OK;
}

clm_status cli_setup_arguments(cli_settings *s, const cli_option *options, cli_args *args) {
    const int data = cli_option_find(options, "data");
    const bool given = args->given[data];
    if (args->n_positional == 0) return CLM_OK;
    CLI_TRY(cli_setup_resolve(s, args->positional[0]));
    const bool is_file = is_table_file(args->positional[0]) && strcmp(s->source, "table") == 0;
    if (args->n_positional > 1) CLI_TRY(resolve_file(s, args->positional[0], args->positional[1]));
    if (!is_file && args->n_positional == 1) return CLM_OK;
    if (given) return cli_usage("--data and '%s' both name a table; leave one out", s->data);
    args->given[data] = true; /* a table that has moved since the run began */
    return CLM_OK;
}

clm_status cli_setup_source(clm_source **out, const cli_settings *s) {
    CLI_TRY(cli_source_of(s->source)->open(out, s));
    const clm_status status = cli_beside_open(out, s);
    if (status == CLM_OK) return status;
    clm_source_free(*out);
    *out = NULL;
    return status;
}

/* Does the algorithm score classes by features, rather than by a last layer? */
static bool is_headless(const cli_settings *s) { return strcmp(s->algorithm, "protonet") == 0; }

bool cli_setup_is_joint(const cli_settings *s) { return strcmp(s->algorithm, "finetune") == 0; }

clm_status cli_setup_check_ways(const cli_settings *s, const clm_source *source) {
    const bool classes = !clm_source_is_regression(source) && !clm_source_labels(source);
    if (classes && (s->ways == 1 || s->ways_least == 1))
        return cli_usage("--ways %s: with one class there is nothing to tell apart; give 2 at least",
                         cli_range_text(s->ways_least, s->ways).s);
    if (s->ways == 1) return CLM_OK;
    if (clm_source_is_regression(source)) return cli_usage("--ways is 1 for a regression, not %lld", (long long)s->ways);
    if (!clm_source_labels(source)) return CLM_OK;
    return cli_usage("--ways is 1 for a table, not %lld: a task is a group of rows, and its classes are those of --target",
                     (long long)s->ways);
}

clm_status cli_setup_check_split(const cli_settings *s, const clm_source *source, const cli_option *options,
                                 const bool *given) {
    const int row = cli_option_find(options, "split-seed");
    if (row < 0 || !given[row] || clm_source_split_drawn(source)) return CLM_OK;
    return cli_usage("--split-seed %lld says nothing to %s, which is split already; leave it out", (long long)s->split_seed,
                     s->data[0] ? s->data : s->source);
}

clm_status cli_setup_told(clm_status status) {
    static const char *const fields[] = {"adapt: ", "freeze: ", "unlearned: ", "functions: "};
    char text[1024];
    bool option = false;
    if (status != CLM_E_ARG || cli_is_usage_mistake()) return status;
    snprintf(text, sizeof text, "%s", cli_message());
    for (size_t i = 0; i < CLI_COUNT(fields); i++) option = option || strncmp(text, fields[i], strlen(fields[i])) == 0;
    return cli_usage("%s%s", option ? "--" : "", text);
}

clm_status cli_setup_classes(cli_settings *s, const clm_source *source) {
    enum { OF_ENDLESS = 200 };
    const size_t all = clm_source_classes(source, CLM_SPLIT_TRAIN);
    if (!cli_setup_is_joint(s)) return CLM_OK;
    if (s->classes && (size_t)s->classes > all)
        return cli_usage("--classes %lld: there are %zu training classes", (long long)s->classes, all);
    if (!s->classes) s->classes = all == SIZE_MAX ? OF_ENDLESS : (int64_t)all;
    return CLM_OK;
}

clm_episode_options cli_setup_episodes(const cli_settings *s) {
    clm_episode_options o = CLM_EPISODE_OPTIONS_INIT;
    o.ways = (int)s->ways;
    o.shots = (int)s->shots;
    o.query = (int)s->query;
    o.ways_least = (int)s->ways_least;
    o.shots_least = (int)s->shots_least;
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

int cli_setup_outputs(const cli_settings *s, const clm_source *source) { return clm_source_outputs(source, (int)s->ways); }

const char *cli_setup_drawn(const clm_source *source) {
    if (!clm_source_is_regression(source) && !clm_source_labels(source)) return "classes";
    return clm_source_groups(source, CLM_SPLIT_TRAIN) == SIZE_MAX ? "functions" : "groups";
}

const char *cli_setup_example(const clm_source *source) {
    return !source || clm_source_example_shape(source).rank == 3 ? "image" : "example";
}

bool cli_setup_has_tasks(const clm_source *source, clm_split split) {
    return clm_source_classes(source, split) > 0 || clm_source_groups(source, split) > 0;
}

/* Of the model that is trained: one that learns all classes at once has more. */
static int outputs(const cli_settings *s, const clm_source *source) {
    return cli_setup_is_joint(s) && s->classes ? (int)s->classes : cli_setup_outputs(s, source);
}

/* An embedding is any vector. */
static clm_status check_output(const clm_model *model, const cli_settings *s, const clm_source *source) {
    clm_shape out = clm_model_out_shape(model);
    int32_t want = (int32_t)outputs(s, source);
    char text[96], why[64];
    if (out.rank == 1 && (out.dim[0] == want || is_headless(s))) return CLM_OK;
    if (clm_source_is_regression(source))
        snprintf(why, sizeof why, "%d target%s", (int)want, want == 1 ? " needs" : "s need");
    else if (clm_source_labels(source))
        snprintf(why, sizeof why, "%d classes need", (int)want);
    else
        snprintf(why, sizeof why, cli_setup_is_joint(s) ? "training on %d classes needs" : "--ways %d needs", (int)want);
    return cli_fail(CLM_E_SHAPE, "%s: the model's output is %s for one example; %s [%d]: %s \"out\": %d",
                    s->model[0] ? s->model : "model", clm_shape_text(&out, text, sizeof text), why, (int)want,
                    out.rank == 1 ? "give its last layer, or one more linear layer," : "end it with flatten, and linear of",
                    (int)want);
}

/* ---- the network ---- */

static clm_status check_rank(const cli_settings *s, const clm_network_info *info, const clm_shape *shape) {
    static const char *const takes[] = {"", "", "sequences [length, width]", "images [C, H, W]"};
    char text[96];
    if (info->rank == 0 || info->rank == shape->rank) return CLM_OK;
    return cli_usage("--network %s takes %s; an example of %s is %s: leave it out for %s, or see `clmaml model`", info->name,
                     takes[info->rank], s->source, clm_shape_text(shape, text, sizeof text), clm_network_for(shape));
}

/* Networks of sequences take rows first; the other order has their size and means something else. */
static clm_status check_window(const cli_settings *s, const clm_network_info *info) {
    if (s->resume || !s->window || s->window_layout != CLI_WINDOW_CHANNELS || info->rank != 2) return CLM_OK;
    return cli_usage("--window-layout channels makes [features, length]; %s takes [length, width]: use --window-layout rows",
                     info->name);
}

clm_status cli_setup_network(cli_settings *s, const clm_source *source) {
    const clm_shape shape = clm_source_example_shape(source);
    char names[256];
    if (s->model[0]) return CLM_OK;
    if (!s->network[0]) snprintf(s->network, sizeof s->network, "%s", clm_network_for(&shape));
    const clm_network_info info = clm_network_get_info(clm_network_find(s->network));
    CLI_TRY(check_rank(s, &info, &shape));
    CLI_TRY(check_window(s, &info));
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

/* What a model file says of its input must be what the data have. */
static clm_status check_in_shape(const cli_settings *s, const clm_shape *shape) {
    char have[96], want[96];
    clm_shape in = {0};
    json_t *root = cli_json_load(s->model), *listed = json_object_get(root, "in_shape");
    cli_forget(); /* what is wrong with the file, its reader says */
    for (size_t i = 0; i < json_array_size(listed) && i < 4; i++)
        in.dim[in.rank++] = (int32_t)json_integer_value(json_array_get(listed, i));
    json_decref(root);
    if (!in.rank || clm_shape_equal(&in, shape)) return CLM_OK;
    return cli_fail(CLM_E_SHAPE, "%s: its in_shape is %s, but an example of %s is %s; change it, or leave it out", s->model,
                    clm_shape_text(&in, have, sizeof have), s->source, clm_shape_text(shape, want, sizeof want));
}

static clm_status build_model(clm_model **out, const cli_settings *s, const clm_source *source, const char *json) {
    clm_shape shape = clm_source_example_shape(source);
    if (json) return clm_model_parse(out, json, &shape);
    if (s->model[0]) {
        CLI_TRY(check_in_shape(s, &shape));
        if (clm_model_load(out, s->model, &shape) == CLM_OK) return CLM_OK;
        return strstr(cli_message(), s->model) ? CLM_E_FORMAT : cli_fail_in(CLM_E_FORMAT, "%s", s->model);
    }
    return build_network(out, s, source, &shape);
}

/* A larger --size is no way out where no source of the run has one. */
static clm_status without_size(clm_status status, const cli_settings *s) {
    char text[2048];
    if (cli_source_takes(cli_source_of(s->source), "size") || cli_beside_takes(s, "size") ||
        !cli_message_before(" (--size ", text, sizeof text))
        return status;
    return cli_fail(status, "%s; those of %s are taken as they are, so save larger ones, or take a network without pooling%s",
                    text, s->source, s->model[0] ? "" : " (--network mlp)");
}

clm_status cli_setup_model(clm_model **out, const cli_settings *s, const clm_source *source, const char *json) {
    clm_model *model = NULL;
    *out = NULL;
    clm_status status = build_model(&model, s, source, json);
    if (status != CLM_OK) return status == CLM_E_SHAPE ? without_size(status, s) : status;
    status = check_output(model, s, source);
    if (status != CLM_OK) {
        clm_model_free(model);
        return status;
    }
    *out = model;
    return CLM_OK;
}

clm_status cli_setup_check_images(const cli_settings *s, const clm_source *source, int data_on) {
    clm_images images;
    if (data_on != CLM_DATA_DEVICE || clm_source_images(source, &images)) return CLM_OK;
    if (s->beside[0])
        return cli_usage(
            "--data-on device: the host pads the pictures of several sources (--beside) to one shape; leave it out");
    return cli_usage("--data-on device: %s makes its examples when they are asked for, which is done on the host; leave it out",
                     clm_source_name(source));
}

const char *cli_split_name(clm_split split) {
    static const char *const names[] = {"train", "validation", "test"};
    return names[split];
}
