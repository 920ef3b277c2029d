/* A trained model in use: a learner of one task that comes from a file.
 *
 * A checkpoint says what it was trained with (clmaml.task, written by clm_learner_describe). Of another number of classes the
 * last layer has as many rows: the first ones, or new ones where the algorithm makes them of the support set. What batch-norm
 * and a layer of prototypes take from the support set is made once after an adaptation and kept, so a prediction takes one pass
 * over its own examples and does not depend on how many there are. An adapted model's file is a plain model with these
 * statistics beside its parameters. */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "meta/exec/learner.h"
#include "meta/task_json.h"

static const char key_model[] = "clmaml.model", key_task[] = "clmaml.task", key_preparation[] = "clmaml.preparation",
                  key_adapted[] = "clmaml.adapted", key_version[] = "clmaml.version";

void clm_learner_use_free(clm_learner_use *u) {
    if (!u) return;
    for (size_t i = 0; i < CLM_MAX_STATS; i++) {
        clm_tensor_free(u->mean[i]);
        clm_tensor_free(u->var[i]);
    }
    for (int i = 0; i < 2; i++) clm_program_free(u->freeze[i]);
    clm_tensor_free(u->weight);
    clm_tensor_free(u->bias);
    for (int s = 0; u->starts && s < u->n_starts; s++) clm_params_free(u->starts[s]);
    free(u->starts);
    for (size_t i = 0; i < u->n_names; i++) free(u->names[i]);
    free(u->names);
    free(u->values);
    free(u->outputs);
    clm_model_free(u->model);
    free(u);
}

clm_status clm_learner_freeze(clm_learner *l) {
    if (!l->use->frozen && l->use->freeze[l->at]) CLM_TRY(clm_program_run(l->use->freeze[l->at]));
    l->use->frozen = true;
    return CLM_OK;
}

/* ---- metadata ---- */

static clm_status set_json(clm_archive *archive, const char *key, json_t *json) {
    char *text = json ? clm_json_text(json, JSON_COMPACT) : NULL;
    json_decref(json);
    const clm_status status = text ? clm_archive_set_meta(archive, key, text) : clm_fail(CLM_E_MEMORY, "out of memory");
    free(text);
    return status;
}

clm_status clm_learner_describe(clm_archive *archive, const clm_model *model, const clm_task_options *options, int shots,
                                int steps, const clm_preparation *preparation) {
    const clm_shape out = clm_model_out_shape(model);
    const char *json = clm_model_json(model);
    json_t *task = clm_task_to_json(options, options->ways ? (size_t)options->ways : (size_t)out.dim[out.rank - 1]);
    if (!task) return clm_fail(CLM_E_MEMORY, "out of memory");
    clm_json_set(task, "shots", json_integer(shots));
    clm_json_set(task, "classes", json_integer(shots > 0 ? options->support / shots : 0));
    clm_json_set(task, "test_steps", json_integer(steps));
    CLM_TRY(set_json(archive, key_task, task));
    if (preparation) CLM_TRY(set_json(archive, key_preparation, clm_preparation_to_json(preparation)));
    return json ? clm_archive_set_meta(archive, key_model, json) : CLM_OK;
}

/* NULL with an error for metadata that is no JSON. */
static clm_status get_json(const clm_archive *archive, const char *key, json_t **out) {
    const char *text = clm_archive_meta(archive, key);
    *out = text ? json_loads(text, 0, NULL) : NULL;
    return *out || !text ? CLM_OK : clm_fail(CLM_E_FORMAT, "its metadata \"%s\" is not JSON", key);
}

clm_status clm_archive_get_preparation(const clm_archive *archive, clm_preparation *out) {
    json_t *json = NULL;
    CLM_TRY(get_json(archive, key_preparation, &json));
    if (!json) return clm_fail(CLM_E_FORMAT, "the model does not learn from pictures");
    const clm_status status = clm_preparation_from_json(json, out);
    json_decref(json);
    return status;
}

/* ---- models of another number of classes ---- */

static bool makes_its_head(const char *algorithm) {
    return strcmp(algorithm, "protonet") == 0 || strcmp(algorithm, "protomaml") == 0 || strcmp(algorithm, "finetune") == 0;
}

static clm_status parse_model(const clm_archive *archive, clm_model **out) {
    const char *text = clm_archive_meta(archive, key_model);
    if (clm_archive_meta(archive, "clmaml.policy"))
        return clm_fail(CLM_E_FORMAT, "it is of a policy, which clm_policy_train goes on with, and takes no examples");
    if (!text || !*text) return clm_fail(CLM_E_FORMAT, "it holds no model");
    return clm_model_parse(out, text, NULL);
}

/* The same model with `ways` outputs. */
static clm_status resize(const clm_model *model, int ways, clm_model **out) {
    json_t *root = json_loads(clm_model_json(model), 0, NULL), *layers = json_object_get(root, "layers");
    json_t *last = json_array_get(layers, json_array_size(layers) - 1);
    const char *op = json_string_value(json_object_get(last, "op"));
    char *text = NULL;
    clm_status status = CLM_OK;
    if (!op || strcmp(op, "linear") != 0) {
        status = clm_fail(CLM_E_ARG, "the model's last layer is %s; %d ways need a linear one", op ? op : "none", ways);
    } else {
        clm_json_set(last, "out", json_integer(ways));
        text = clm_json_text(root, JSON_COMPACT);
        status = text ? clm_model_parse(out, text, NULL) : clm_fail(CLM_E_MEMORY, "out of memory");
    }
    free(text);
    json_decref(root);
    return status;
}

/* Rows of the first `to` has of what `from` has. */
static bool is_prefix(const clm_shape *from, const clm_shape *to) {
    if (from->rank != to->rank || !from->rank || from->dim[0] < to->dim[0]) return false;
    for (int i = 1; i < from->rank; i++)
        if (from->dim[i] != to->dim[i]) return false;
    return true;
}

static void take_values(clm_params *to, clm_params *from) {
    for (size_t i = 0; i < clm_params_count(to); i++) {
        const clm_params_info have = clm_params_get_info(to, i);
        const size_t k = clm_params_find(from, have.name);
        if (k == clm_params_count(from)) continue;
        const clm_params_info given = clm_params_get_info(from, k);
        if (is_prefix(&given.shape, &have.shape) || given.size == have.size)
            memcpy(clm_params_values(to, i), clm_params_values(from, k), have.size * sizeof(double));
    }
}

/* ---- loading a checkpoint ---- */

typedef struct loading {
    const clm_archive *archive;
    clm_load_options options;
    json_t *task, *preparation, *adapted;
    clm_model *trained; /* as in the file */
    clm_task_options given;
    clm_task_store store;
    clm_learner_use *use;
    int ways; /* 0: a regression */
} loading;

static clm_status choose_ways(loading *f) {
    int classes = 0;
    const clm_shape out = clm_model_out_shape(f->trained);
    const bool labels = strcmp(f->given.loss.name, "cross-entropy") == 0, makes = makes_its_head(f->given.algorithm);
    const int outputs = out.dim[out.rank - 1];
    CLM_TRY(clm_json_whole(f->task, "classes", CLM_TASK_WAYS, &classes));
    if (!labels && f->options.ways) return clm_fail(CLM_E_ARG, "%d ways: the model is a regression", f->options.ways);
    f->ways = !labels ? 0 : f->options.ways ? f->options.ways : classes;
    if (labels && (f->ways < 1 || (!makes && f->ways > outputs)))
        return clm_fail(CLM_E_ARG,
                        "%d ways: the model tells at most %d classes apart; train one with more ways (--ways), or by protonet, "
                        "protomaml or finetune, which take any number",
                        f->ways, outputs);
    if (f->given.ways) f->given.ways = f->ways;
    if (f->given.loss.class_weights && (int)f->store.n_class_weights < (f->ways > outputs ? f->ways : outputs))
        return clm_fail(CLM_E_FORMAT, "it has weights for %zu classes, and the model has %d", f->store.n_class_weights,
                        f->ways > outputs ? f->ways : outputs);
    if (!labels || f->ways == outputs || strcmp(f->given.algorithm, "protonet") == 0) return CLM_OK; /* features have no rows */
    return resize(f->trained, f->ways, &f->use->model);
}

static clm_status read_checkpoint(loading *f) {
    CLM_TRY(get_json(f->archive, key_task, &f->task));
    CLM_TRY(parse_model(f->archive, &f->trained));
    if (!f->task)
        return clm_fail(CLM_E_FORMAT,
                        "it does not say how it adapts: it was written by an earlier version, or is no checkpoint; "
                        "train --resume with more --iterations writes it anew");
    CLM_TRY(clm_params_check(f->trained, f->archive));
    return clm_task_from_json(f->task, &f->given, &f->store);
}

static clm_status load_values(loading *f, clm_learner *l) {
    clm_params *from = NULL, *to = NULL;
    clm_task_options trained = f->given;
    const clm_shape out = clm_model_out_shape(f->trained);
    clm_status status = CLM_OK;
    if (trained.ways && trained.ways != out.dim[0] && strcmp(trained.algorithm, "protonet") != 0) trained.ways = 0;
    const int starts = clm_archive_initialisations(f->archive);
    CLM_GOTO(clm_params_create(&from, f->trained, &trained));
    if (starts > 1 && !(l->use->starts = clm_calloc((size_t)starts, sizeof(clm_params *)))) CLM_GOTO(CLM_E_MEMORY);
    for (int s = 0; s < starts; s++) {
        CLM_GOTO(clm_params_load_of(from, f->archive, s));
        CLM_GOTO(clm_params_load_average_of(from, f->archive, s));
        CLM_GOTO(clm_params_create(&to, l->task.model, &f->given));
        take_values(to, from);
        if (s == 0) CLM_GOTO(clm_learner_set_params(l, to));
        if (starts == 1) break;
        l->use->starts[l->use->n_starts++] = to;
        to = NULL;
    }
out:
    clm_params_free(from);
    clm_params_free(to);
    return status;
}

static clm_status make(loading *f, clm_device *device, clm_learner_options *o, clm_learner **out) {
    clm_learner_use *u = f->use;
    if (!u->model) {
        u->model = f->trained;
        f->trained = NULL;
        CLM_TRY(parse_model(f->archive, &f->trained));
    }
    o->tasks = 1;
    o->bn_mode = CLM_BN_SUPPORT_STATS;
    o->task.query = f->options.query ? f->options.query : 16;
    f->use = NULL;
    return clm_learner_make(out, device, u->model, o, u);
}

static clm_status support_of(const loading *f, int *support) {
    const int ways = f->ways ? f->ways : 1;
    int shots;
    CLM_TRY(clm_json_whole(f->task, "shots", INT_MAX / ways, &shots));
    *support = f->options.support ? f->options.support : ways * shots;
    return CLM_OK;
}

static clm_status load_checkpoint(loading *f, clm_device *device, clm_learner **out) {
    clm_learner_options o = CLM_LEARNER_OPTIONS_INIT;
    CLM_TRY(read_checkpoint(f));
    CLM_TRY(choose_ways(f));
    f->given.support_per_step = false;
    o.task = f->given;
    CLM_TRY(support_of(f, &o.task.support));
    f->given.support = o.task.support;
    CLM_TRY(clm_json_whole(f->task, "test_steps", CLM_TASK_STEPS, &f->use->steps));
    if (f->options.steps >= 0) f->use->steps = f->options.steps;
    if (!clm_algorithm_uses(f->given.algorithm, "steps")) f->use->steps = 0;
    CLM_TRY(make(f, device, &o, out));
    return load_values(f, *out);
}

/* ---- loading an adapted model ---- */

static clm_status read_names(loading *f) {
    const json_t *names = json_object_get(f->adapted, "names");
    const size_t n = json_array_size(names);
    if (!n) return CLM_OK;
    if (!(f->use->names = clm_calloc(n, sizeof *f->use->names))) return CLM_E_MEMORY;
    for (; f->use->n_names < n; f->use->n_names++) {
        const char *name = json_string_value(json_array_get(names, f->use->n_names));
        if (!name) return clm_fail(CLM_E_FORMAT, "a name of its classes is no text");
        if (!(f->use->names[f->use->n_names] = clm_strdup(name))) return CLM_E_MEMORY;
    }
    return CLM_OK;
}

/* The model has an output for each class, and each class its name, or none has one. */
static clm_status check_classes(const loading *f) {
    const clm_shape out = clm_model_out_shape(f->trained);
    const size_t outputs = clm_shape_size(&out);
    if (f->ways && (size_t)f->ways != outputs)
        return clm_fail(CLM_E_FORMAT, "it is damaged: it says %d classes, and its model has %zu outputs", f->ways, outputs);
    if (f->ways && f->use->n_names && f->use->n_names != (size_t)f->ways)
        return clm_fail(CLM_E_FORMAT, "it is damaged: it has %d classes, and %zu names of classes", f->ways, f->use->n_names);
    return CLM_OK;
}

static clm_status load_statistic(const clm_archive *archive, const char *what, size_t i, clm_tensor *to) {
    char name[64];
    clm_status status = CLM_OK;
    const size_t n = clm_tensor_size(to);
    double *values = clm_calloc(n, sizeof *values);
    if (!values) return CLM_E_MEMORY;
    snprintf(name, sizeof name, "batch_norm.%zu.%s", i, what);
    CLM_GOTO(clm_archive_read(archive, name, NULL, values, n));
    CLM_GOTO(clm_tensor_write_f64(to, values, n));
out:
    free(values);
    return status;
}

static clm_status load_adapted(loading *f, clm_device *device, clm_learner **out) {
    clm_learner_options o = CLM_LEARNER_OPTIONS_INIT;
    CLM_TRY(parse_model(f->archive, &f->trained));
    CLM_TRY(clm_params_check(f->trained, f->archive));
    CLM_TRY(read_names(f));
    CLM_TRY(clm_json_whole(f->adapted, "ways", CLM_TASK_WAYS, &f->ways));
    CLM_TRY(check_classes(f));
    f->use->ways = f->ways;
    if (f->options.ways && f->options.ways != f->ways)
        return clm_fail(CLM_E_ARG, "%d ways: the model is adapted to %d classes", f->options.ways, f->ways);
    if (f->options.support || f->options.steps >= 0)
        return clm_fail(CLM_E_ARG, "the model is adapted already: support examples and steps say nothing to it");
    f->use->adapted = true;
    o.task.loss.name = "mse"; /* of no consequence */
    o.task.support = 1;
    CLM_TRY(make(f, device, &o, out));
    clm_learner *l = *out;
    f->given = o.task;
    CLM_TRY(load_values(f, l));
    for (size_t i = 0; i < l->use->n_stats; i++) {
        CLM_TRY(load_statistic(f->archive, "mean", i, l->use->mean[i]));
        CLM_TRY(load_statistic(f->archive, "var", i, l->use->var[i]));
    }
    CLM_TRY(clm_learner_restart(l));
    l->use->frozen = true;
    return CLM_OK;
}

/* ---- loading ---- */

static clm_status make_room(clm_learner *l) {
    size_t most = 1;
    for (size_t i = 0; i < l->task.n; i++)
        if (clm_shape_size(&l->task.entries[i].shape) > most) most = clm_shape_size(&l->task.entries[i].shape);
    for (size_t i = 0; i < l->use->n_stats; i++)
        if (clm_tensor_size(l->use->mean[i]) > most) most = clm_tensor_size(l->use->mean[i]);
    if (l->use->weight && clm_tensor_size(l->use->weight) > most) most = clm_tensor_size(l->use->weight);
    l->use->values = clm_calloc(most, sizeof *l->use->values);
    l->use->outputs = clm_calloc(clm_tensor_size(l->out[0]), sizeof *l->use->outputs);
    return l->use->values && l->use->outputs ? CLM_OK : CLM_E_MEMORY;
}

static clm_status load(loading *f, clm_device *device, clm_learner **out) {
    if (!(f->use = clm_calloc(1, sizeof *f->use))) return CLM_E_MEMORY;
    CLM_TRY(get_json(f->archive, key_adapted, &f->adapted));
    CLM_TRY(get_json(f->archive, key_preparation, &f->preparation));
    if (f->preparation) {
        CLM_TRY(clm_preparation_from_json(f->preparation, &f->use->preparation));
        f->use->pictures = true;
    }
    CLM_TRY(f->adapted ? load_adapted(f, device, out) : load_checkpoint(f, device, out));
    return make_room(*out);
}

clm_status clm_learner_load_archive(clm_learner **out, clm_device *device, const clm_archive *archive,
                                    const clm_load_options *options) {
    const clm_load_options usual = CLM_LOAD_OPTIONS_INIT;
    const clm_load_options *o = options ? options : &usual;
    *out = NULL;
    if (o->version != CLM_LOAD_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "load: options of version %d; initialise them with CLM_LOAD_OPTIONS_INIT", o->version);
    if (o->ways < 0 || o->support < 0 || o->query < 0 || o->steps < -1)
        return clm_fail(CLM_E_ARG, "load: %d ways, %d support and %d query examples, %d steps: none may be negative", o->ways,
                        o->support, o->query, o->steps);
    loading *f = clm_calloc(1, sizeof *f);
    if (!f) return CLM_E_MEMORY;
    f->archive = archive;
    f->options = *o;
    const clm_status status = load(f, device, out);
    if (status != CLM_OK) {
        clm_learner_free(*out);
        *out = NULL;
    }
    clm_model_free(f->trained);
    clm_learner_use_free(f->use);
    json_decref(f->task);
    json_decref(f->preparation);
    json_decref(f->adapted);
    free(f);
    return status;
}

/* The file that a path stands for. Free with free(); NULL: out of memory. */
static char *file_of(const char *path) {
    if (!clm_path_is_directory(path)) return clm_strdup(path);
    char *best = clm_format("%s/checkpoints/best.safetensors", path);
    if (!best || clm_path_exists(best)) return best;
    free(best);
    return clm_format("%s/checkpoints/last.safetensors", path);
}

clm_status clm_learner_load(clm_learner **out, clm_device *device, const char *path, const clm_load_options *options) {
    clm_archive *archive = NULL;
    char *file = file_of(path);
    *out = NULL;
    if (!file) return CLM_E_MEMORY;
    clm_status status = clm_archive_load(&archive, file);
    if (status == CLM_OK) {
        status = clm_learner_load_archive(out, device, archive, options);
        if (status != CLM_OK && !strstr(clm_last_error(), file)) status = clm_fail_in(status, "%s", file);
    }
    clm_archive_free(archive);
    free(file);
    return status;
}

/* ---- use ---- */

clm_learner_info clm_learner_get_info(const clm_learner *l) {
    const clm_learner_use *u = l->use;
    const clm_task_options *o = &l->task.options;
    const size_t outputs = clm_tensor_size(l->out[0]) / ((size_t)l->options.tasks * (size_t)o->query);
    return (clm_learner_info){.algorithm = l->task.algorithm->info.name,
                              .model = l->task.model,
                              .support = o->support,
                              .query = o->query,
                              .steps = u ? u->steps : o->steps,
                              .ways = u && u->adapted ? u->ways : clm_task_classes(&l->task),
                              .outputs = outputs,
                              .adapted = u && u->adapted,
                              .pictures = u && u->pictures,
                              .preparation = u ? u->preparation : (clm_preparation){0},
                              .target = clm_task_target_shape(&l->task),
                              .initialisations = u && u->starts ? u->n_starts : 1,
                              .chosen = u ? u->chosen : 0};
}

const char *clm_learner_class_name(const clm_learner *l, size_t i) {
    return l->use && i < l->use->n_names ? l->use->names[i] : NULL;
}

/* ---- saving ---- */

static clm_status save_tensor(clm_learner *l, clm_archive *archive, const char *name, clm_shape shape, clm_tensor *from) {
    CLM_TRY(clm_tensor_read_f64(from, l->use->values, clm_tensor_size(from)));
    return clm_archive_add(archive, name, CLM_F32, &shape, l->use->values);
}

static clm_status save_statistics(clm_learner *l, clm_archive *archive) {
    char name[64];
    for (size_t i = 0; i < l->use->n_stats; i++) {
        const clm_shape shape = clm_shape_of(1, (int)clm_tensor_size(l->use->mean[i]));
        snprintf(name, sizeof name, "batch_norm.%zu.mean", i);
        CLM_TRY(save_tensor(l, archive, name, shape, l->use->mean[i]));
        snprintf(name, sizeof name, "batch_norm.%zu.var", i);
        CLM_TRY(save_tensor(l, archive, name, shape, l->use->var[i]));
    }
    return CLM_OK;
}

/* The layer that the support set makes becomes the model's last. */
static clm_status save_head(clm_learner *l, clm_archive *archive, json_t *root) {
    json_t *layers = json_object_get(root, "layers");
    char name[64];
    if (!l->use->weight) return CLM_OK;
    const size_t at = json_array_size(layers);
    const clm_shape weight = clm_tensor_shape(l->use->weight), bias = clm_tensor_shape(l->use->bias);
    clm_json_append(layers, json_pack("{s:s, s:i}", "op", "linear", "out", (int)weight.dim[0]));
    snprintf(name, sizeof name, "param.%zu.weight", at);
    CLM_TRY(save_tensor(l, archive, name, weight, l->use->weight));
    snprintf(name, sizeof name, "param.%zu.bias", at);
    return save_tensor(l, archive, name, bias, l->use->bias);
}

static clm_status save_model(clm_learner *l, clm_archive *archive) {
    json_t *root = json_loads(clm_model_json(l->task.model), 0, NULL);
    clm_status status = root ? CLM_OK : clm_fail(CLM_E_MEMORY, "out of memory");
    for (size_t i = 0; i < l->task.n_model && status == CLM_OK; i++) {
        const clm_entry *e = &l->task.entries[i];
        status = clm_learner_get_adapted(l, i, l->use->values);
        if (status == CLM_OK) status = clm_archive_add(archive, e->name, CLM_F32, &e->shape, l->use->values);
    }
    if (status == CLM_OK) status = save_head(l, archive, root);
    if (status == CLM_OK) return set_json(archive, key_model, root);
    json_decref(root);
    return status;
}

static clm_status save_names(clm_archive *archive, const clm_learner_info *info, const char *const *names) {
    json_t *adapted = json_object(), *list = json_array();
    clm_status status = CLM_OK;
    for (int i = 0; names && i < info->ways && status == CLM_OK; i++)
        if (json_array_append_new(list, json_string(names[i])) != 0)
            status = clm_fail(CLM_E_ARG, "the name of class %d is not UTF-8: %s; rename it", i, names[i]);
    clm_json_set(adapted, "algorithm", json_string(info->algorithm));
    clm_json_set(adapted, "ways", json_integer(info->ways));
    clm_json_set(adapted, "steps", json_integer(info->steps));
    clm_json_set(adapted, "names", list);
    if (status == CLM_OK) return set_json(archive, key_adapted, adapted);
    json_decref(adapted);
    return status;
}

static clm_status fill(clm_learner *l, clm_archive *archive, const char *const *names) {
    const clm_learner_info info = clm_learner_get_info(l);
    CLM_TRY(clm_learner_freeze(l));
    CLM_TRY(clm_archive_set_meta(archive, key_version, clm_version()));
    CLM_TRY(save_names(archive, &info, names));
    if (info.pictures) CLM_TRY(set_json(archive, key_preparation, clm_preparation_to_json(&info.preparation)));
    CLM_TRY(save_model(l, archive));
    return save_statistics(l, archive);
}

clm_status clm_learner_save(clm_learner *l, const char *path, const char *const *names) {
    clm_archive *archive = NULL;
    if (!l->use) return clm_fail(CLM_E_STATE, "learner: it comes from no file; clm_learner_load makes one that can be saved");
    if (l->use->adapted) return clm_fail(CLM_E_STATE, "learner: the model of this file is adapted already; copy the file");
    if (!l->begun) return clm_fail(CLM_E_STATE, "learner: nothing has been learned yet; clm_learner_adapt comes first");
    clm_status status = clm_archive_create(&archive);
    if (status == CLM_OK) status = fill(l, archive, names);
    if (status == CLM_OK) status = clm_archive_save(archive, path);
    clm_archive_free(archive);
    return status;
}
