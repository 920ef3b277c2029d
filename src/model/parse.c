/* Models from JSON: a list of layers, or an object that has one under "layers".
 *
 * Everything is checked here, shapes included, so that a model that parses can be built. An error names the layer by its path
 * ("4.0" is layer 0 of the body of layer 4, "4.skip.0" of its skip), its operation and what is wrong. */
#include "model/internal.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"

enum { MAX_NESTING = 16 };

typedef enum key_type { COUNT, WHOLE, BOOL, POSITIVE, REAL, RATE, BOUND, SHAPE, LAYERS } key_type;

static const struct {
    const char *name;
    key_type type;
} keys[] = {
#define KEY_ROW(KEY, name, type) {name, type},
    CLM_LAYER_KEYS(KEY_ROW)
#undef KEY_ROW
};

static clm_status read_whole(const json_t *json, int least, double *out) {
    if (!json_is_integer(json) || json_integer_value(json) < least || json_integer_value(json) > INT_MAX)
        return clm_fail(CLM_E_FORMAT, "must be a whole number from %d to %d", least, INT_MAX);
    *out = (double)json_integer_value(json);
    return CLM_OK;
}

static clm_status read_shape(const json_t *json, clm_shape *out) {
    if (!json_is_array(json) || json_array_size(json) < 1 || json_array_size(json) > 3)
        return clm_fail(CLM_E_FORMAT, "must be a list of 1 to 3 whole numbers");
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < json_array_size(json); i++) {
        double dim = 0;
        clm_status status = read_whole(json_array_get(json, i), 1, &dim);
        if (status != CLM_OK) return clm_fail_in(status, "entry %zu", i);
        out->dim[out->rank++] = (int32_t)dim;
    }
    return CLM_OK;
}

/* The derivative that stands for that of a step function: 1 where |x| is below the bound. */
static clm_status read_bound(const json_t *json, double *out) {
    static const struct {
        const char *word;
        double bound;
    } words[] = {{"clip", 1}, {"identity", HUGE_VAL}};
    const char *word = json_string_value(json);
    for (size_t i = 0; word && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].word, word) != 0) continue;
        *out = words[i].bound;
        return CLM_OK;
    }
    return clm_fail(CLM_E_FORMAT, "must be \"clip\", 1 within -1 .. 1 and 0 beyond, or \"identity\", 1 everywhere");
}

static clm_status read_value(clm_layer *l, const json_t *json, key_type type, double *out) {
    switch (type) {
    case COUNT: return read_whole(json, 1, out);
    case WHOLE: return read_whole(json, 0, out);
    case BOOL:
        if (!json_is_boolean(json)) return clm_fail(CLM_E_FORMAT, "must be true or false");
        *out = json_is_true(json);
        return CLM_OK;
    case POSITIVE:
    case REAL:
    case RATE:
        if (!json_is_number(json)) return clm_fail(CLM_E_FORMAT, "must be a number");
        *out = json_number_value(json);
        if (type == POSITIVE && *out <= 0) return clm_fail(CLM_E_FORMAT, "must be greater than 0");
        if (type == RATE && !(*out >= 0 && *out < 1))
            return clm_fail(CLM_E_FORMAT, "must be at least 0 and below 1, as it is the part that is dropped, not %g", *out);
        return CLM_OK;
    case BOUND: return read_bound(json, out);
    case SHAPE: return read_shape(json, &l->shape);
    case LAYERS: break;
    }
    return json_is_array(json) ? CLM_OK : clm_fail(CLM_E_FORMAT, "must be a list of layers");
}

static clm_status refuse_key(unsigned allowed, const char *name) {
    const char *words[CLM_KEY_COUNT];
    size_t n = 0;
    clm_text known = {0};
    for (int key = 0; key < CLM_KEY_COUNT; key++) {
        if (!(allowed & (1u << key))) continue;
        words[n++] = keys[key].name;
        clm_text_add(&known, ", \"%s\"", keys[key].name);
    }
    const char *nearest = clm_nearest_word(name, words, n);
    clm_status status =
        clm_fail(CLM_E_FORMAT, "unknown key \"%.40s\"%s%s%s; known: \"op\"%s", name, nearest ? "; did you mean \"" : "",
                 nearest ? nearest : "", nearest ? "\"" : "", known.data ? known.data : "");
    clm_text_free(&known);
    return status;
}

static clm_status read_key(clm_layer *l, const char *name, const json_t *value) {
    unsigned allowed = l->kind->required | l->kind->optional;
    for (int key = 0; key < CLM_KEY_COUNT; key++) {
        if (strcmp(keys[key].name, name) != 0 || !(allowed & (1u << key))) continue;
        l->given |= 1u << key;
        clm_status status = read_value(l, value, keys[key].type, &l->value[key]);
        return status == CLM_OK ? CLM_OK : clm_fail_in(status, "\"%s\"", name);
    }
    return refuse_key(allowed, name);
}

static clm_status read_keys(clm_layer *l, json_t *object) {
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        if (strcmp(name, "op") != 0) CLM_TRY(read_key(l, name, value));
    }
    for (int key = 0; key < CLM_KEY_COUNT; key++)
        if (l->kind->required & ~l->given & (1u << key))
            return clm_fail(CLM_E_FORMAT, "\"%s\" is missing; add it", keys[key].name);
    return CLM_OK;
}

static clm_status find_kind(clm_layer *l, json_t *object) {
    char known[800];
    if (!json_is_object(object)) return clm_fail(CLM_E_FORMAT, "must be an object such as {\"op\": \"relu\"}");
    const char *op = json_string_value(json_object_get(object, "op"));
    if (!op) return clm_fail(CLM_E_FORMAT, "has no \"op\", the name of its operation");
    l->kind = clm_layer_kind_find(op);
    if (l->kind) return CLM_OK;
    const char *nearest = clm_layer_kind_nearest(op);
    clm_layer_kind_names(known, sizeof(known));
    return clm_fail(CLM_E_FORMAT,
                    "unknown operation \"%.40s\"%s%s%s; known: %s; a model with layers of another kind is written in C "
                    "(clm_model_custom)",
                    op, nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"" : "", known);
}

static clm_status parse_list(clm_model *model, json_t *list, const char *prefix, int depth, clm_shape in, clm_layer **out,
                             size_t *count);

/* The lists of a residual layer. */
static clm_status parse_lists(clm_model *model, json_t *object, int depth, clm_layer *l) {
    char prefix[sizeof(l->path) + sizeof(".skip.")];
    snprintf(prefix, sizeof(prefix), "%s.", l->path);
    CLM_TRY(parse_list(model, json_object_get(object, "body"), prefix, depth, l->in, &l->body, &l->n_body));
    snprintf(prefix, sizeof(prefix), "%s.skip.", l->path);
    return parse_list(model, json_object_get(object, "skip"), prefix, depth, l->in, &l->skip, &l->n_skip);
}

/* The layer's own errors get its path and operation in front; those of its lists already have theirs. */
static clm_status parse_layer(clm_model *model, json_t *object, int depth, clm_layer *l) {
    clm_status status = find_kind(l, object);
    if (status != CLM_OK) return clm_fail_in(status, "layer %s", l->path);
    CLM_GOTO(read_keys(l, object));
    if (l->given & (1u << CLM_KEY_BODY)) CLM_TRY(parse_lists(model, object, depth + 1, l));
    l->first_param = model->n_params;
    l->out = l->in;
    if (l->kind->infer) CLM_GOTO(l->kind->infer(model, l));
    l->n_params = model->n_params - l->first_param;
    CLM_GOTO(clm_model_check_example(&l->out));
out:
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "layer %s (%s)", l->path, l->kind->op);
}

static clm_status parse_list(clm_model *model, json_t *list, const char *prefix, int depth, clm_shape in, clm_layer **out,
                             size_t *count) {
    size_t n = json_array_size(list);
    if (n == 0) return CLM_OK;
    if (depth > MAX_NESTING)
        return clm_fail(CLM_E_LIMIT, "layer %s0: residual layers are nested more than %d deep", prefix, MAX_NESTING);
    *out = clm_calloc(n, sizeof(**out));
    if (!*out) return CLM_E_MEMORY;
    *count = n;
    for (size_t i = 0; i < n; i++) {
        clm_layer *l = &(*out)[i];
        int length = snprintf(l->path, sizeof(l->path), "%s%zu", prefix, i);
        if (length < 0 || (size_t)length >= sizeof(l->path))
            return clm_fail(CLM_E_LIMIT, "layer %s%zu: nested too deeply", prefix, i);
        l->in = in;
        CLM_TRY(parse_layer(model, json_array_get(list, i), depth, l));
        in = l->out;
    }
    return CLM_OK;
}

static clm_status read_in_shape(const json_t *json, clm_shape *out) {
    if (!json)
        return clm_fail(CLM_E_FORMAT, "the input shape is not known: add \"in_shape\", [C, H, W] or [n], beside \"layers\" (or "
                                      "give clmaml model --in-shape)");
    clm_status status = read_shape(json, out);
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "\"in_shape\"");
}

/* What clm_model_json gives: shape and layers, nothing else of the object that was read. */
static clm_status write_json(clm_model *model, json_t *layers) {
    clm_status status = CLM_OK;
    json_t *shape = json_array(), *object = NULL;
    for (int i = 0; i < model->in.rank; i++) clm_json_append(shape, json_integer(model->in.dim[i]));
    object = json_pack("{s:o, s:O}", "in_shape", shape, "layers", layers);
    if (object) model->json = clm_json_text(object, JSON_COMPACT);
    if (!model->json) status = clm_fail(CLM_E_MEMORY, "out of memory for a model's JSON");
    json_decref(object);
    return status;
}

static clm_status build(clm_model *model, json_t *root, const clm_shape *in_shape) {
    json_t *layers = json_is_object(root) ? json_object_get(root, "layers") : root;
    if (!json_is_array(layers))
        return clm_fail(CLM_E_FORMAT, "a model is a list of layers, or an object with such a list under \"layers\"");
    if (json_array_size(layers) == 0) return clm_fail(CLM_E_FORMAT, "the list of layers is empty");
    if (in_shape)
        model->in = *in_shape;
    else
        CLM_TRY(read_in_shape(json_object_get(root, "in_shape"), &model->in));
    clm_status status = clm_model_check_example(&model->in);
    if (status != CLM_OK) return clm_fail_in(status, "input shape");
    model->inner_in = clm_layout_inner_shape(clm_layout_of_example(&model->in), &model->in);
    CLM_TRY(parse_list(model, layers, "", 0, model->in, &model->layers, &model->n_layers));
    model->out = model->layers[model->n_layers - 1].out;
    return write_json(model, layers);
}

/* What does not fit into a small image may fit into a larger one: says which. */
static clm_status try_larger(const json_t *root, clm_shape in, clm_status status) {
    enum { MORE = 64 }; /* pixels a side */
    char message[2048];
    if (status != CLM_E_SHAPE || in.rank != 3) return status;
    snprintf(message, sizeof(message), "%s", clm_last_error());
    for (int k = 1; k <= MORE; k++) {
        clm_shape larger = clm_shape_of(3, (int)in.dim[0], (int)in.dim[1] + k, (int)in.dim[2] + k);
        clm_model *model = clm_calloc(1, sizeof(*model));
        if (!model) return CLM_E_MEMORY;
        const bool fits = build(model, (json_t *)(uintptr_t)root, &larger) == CLM_OK;
        clm_model_free(model);
        if (fits)
            return clm_fail(status, "%s; images of %dx%d would do (--size %d, where pictures are resampled)", message,
                            (int)larger.dim[2], (int)larger.dim[1], (int)larger.dim[1]);
    }
    return clm_fail(status, "%s", message);
}

static clm_status parse(clm_model **out, const char *text, size_t size, const clm_shape *in_shape) {
    clm_status status = CLM_OK;
    json_error_t error;
    clm_model *model = NULL;
    const size_t mark = size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* that editors put in front of UTF-8 */
    json_t *root = json_loadb(text + mark, size - mark, JSON_REJECT_DUPLICATES, &error);
    if (!root) return clm_fail(CLM_E_FORMAT, "line %d, column %d: %s", error.line, error.column, error.text);
    model = clm_calloc(1, sizeof(*model));
    if (!model)
        status = CLM_E_MEMORY;
    else
        status = build(model, root, in_shape);
    if (model && status != CLM_OK) status = try_larger(root, model->in, status);
    json_decref(root);
    if (status != CLM_OK) {
        clm_model_free(model);
        return status;
    }
    *out = model;
    return CLM_OK;
}

clm_status clm_model_parse(clm_model **out, const char *json, const clm_shape *in_shape) {
    *out = NULL;
    if (!json) return clm_fail(CLM_E_ARG, "clm_model_parse: json must not be NULL");
    clm_status status = parse(out, json, strlen(json), in_shape);
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "model");
}

clm_status clm_model_load(clm_model **out, const char *path, const clm_shape *in_shape) {
    char *data = NULL;
    size_t size = 0;
    *out = NULL;
    if (!path) return clm_fail(CLM_E_ARG, "clm_model_load: path must not be NULL");
    CLM_TRY(clm_file_read(path, &data, &size));
    clm_status status = parse(out, data, size, in_shape);
    free(data);
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "%s", path);
}
