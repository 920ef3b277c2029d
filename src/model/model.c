/* Models as objects: parameters, initial values, custom models, application with its checks.
 *
 * Initial values (He et al. 2015 for convolutions, variance 1/fan-in for linear maps; biases 0, norms 1 and 0) are drawn from a
 * stream that belongs to the parameter's name, and rounded to float, so that every device and the host reference start from the
 * same numbers whatever the order in which parameters are asked for. */
#include "model/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "graph/internal.h"

const char *clm_bn_mode_name(clm_bn_mode mode) { return mode == CLM_BN_SUPPORT_STATS ? "support-stats" : "transductive"; }

static clm_status check_dims(const clm_shape *shape) {
    int64_t size = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1) return clm_fail(CLM_E_SHAPE, "dimension %d is %d; it must be at least 1", i, (int)shape->dim[i]);
        if (shape->dim[i] > INT32_MAX / size) return clm_fail(CLM_E_LIMIT, "more than 2^31 - 1 elements");
        size *= shape->dim[i];
    }
    return CLM_OK;
}

clm_status clm_model_check_example(const clm_shape *shape) {
    if (shape->rank < 1 || shape->rank > 3)
        return clm_fail(CLM_E_SHAPE, "an example has 1 to 3 axes ([n], [tokens, width] or [C, H, W]), not %d",
                        (int)shape->rank);
    return check_dims(shape);
}

static clm_status check_layout(clm_layout layout, const clm_shape *shape) {
    int need = layout == CLM_LAYOUT_SAME ? shape->rank : clm_layout_rank(layout);
    if (shape->rank < 0 || shape->rank > CLM_MAX_RANK)
        return clm_fail(CLM_E_SHAPE, "rank %d is not one of 0 to %d", (int)shape->rank, CLM_MAX_RANK);
    if (shape->rank != need) return clm_fail(CLM_E_SHAPE, "its layout needs %d axes, its shape has %d", need, (int)shape->rank);
    return check_dims(shape);
}

static clm_status append_param(clm_model *model, const clm_param *param) {
    clm_status status = check_layout(param->layout, &param->shape);
    if (status != CLM_OK) return clm_fail_in(status, "parameter %s", param->name);
    CLM_TRY(clm_grow(&model->params, &model->param_capacity, model->n_params + 1, sizeof(*model->params)));
    clm_param *p = &model->params[model->n_params++];
    *p = *param;
    p->inner_shape = clm_layout_inner_shape(p->layout, &p->shape);
    return CLM_OK;
}

clm_status clm_model_add_param(clm_model *model, const char *layer, const char *name, clm_shape shape, clm_layout layout,
                               clm_init init, double scale) {
    clm_param param = {.shape = shape, .layout = layout, .init = init, .init_scale = scale};
    int length = snprintf(param.name, sizeof(param.name), "%s.%s", layer, name);
    if (length < 0 || (size_t)length >= sizeof(param.name))
        return clm_fail(CLM_E_LIMIT, "the parameter name %s.%s is longer than %zu characters: nest less deeply", layer, name,
                        sizeof(param.name) - 1);
    return append_param(model, &param);
}

/* Builds the user's function once, in a graph of its own, to learn the shape of its output. */
static clm_status infer_custom(clm_model *model) {
    clm_status status = CLM_OK;
    clm_graph *g = NULL;
    clm_bn_stats stats = {0};
    clm_shape shape = model->inner_in;
    clm_value *params = clm_calloc(model->n_params + 1, sizeof(*params)), x, y;
    if (!params) return CLM_E_MEMORY;
    CLM_GOTO(clm_graph_create(&g));
    for (size_t i = 0; i < model->n_params; i++)
        params[i] = clm_input(g, model->params[i].name, model->params[i].inner_shape, false);
    /* A batch of three: a function that mixes up axes is not likely to give three rows by accident. */
    memmove(shape.dim + 1, shape.dim, (size_t)shape.rank * sizeof(shape.dim[0]));
    shape.dim[0] = 3;
    shape.rank++;
    x = clm_input(g, "x", shape, true);
    y = model->apply(model->user, g, params, x, &stats);
    CLM_GOTO(clm_graph_status(g));
    if (y < 0 || (size_t)y >= clm_graph_size(g)) {
        status = clm_fail(CLM_E_ARG, "custom model: its function returned no value of the graph");
        goto out;
    }
    model->out = clm_value_shape(g, y);
    if (model->out.rank < 2 || model->out.dim[0] != 3) {
        char text[96];
        status = clm_fail(CLM_E_SHAPE,
                          "custom model: for 3 examples its function gives shape %s; the first axis must be the examples, "
                          "followed by at least one more",
                          clm_shape_text(&model->out, text, sizeof(text)));
        goto out;
    }
    model->out.rank--;
    memmove(model->out.dim, model->out.dim + 1, (size_t)model->out.rank * sizeof(model->out.dim[0]));
    model->out.dim[model->out.rank] = 0;
out:
    clm_graph_free(g);
    free(params);
    return status;
}

static clm_status check_custom_param(const clm_model *model, const clm_param *param) {
    if (param->name[0] == 0 || !memchr(param->name, 0, sizeof(param->name)))
        return clm_fail(CLM_E_ARG, "custom model: parameter %zu has no name of 1 to %zu characters", model->n_params,
                        sizeof(param->name) - 1);
    for (size_t j = 0; j < model->n_params; j++)
        if (strcmp(model->params[j].name, param->name) == 0)
            return clm_fail(CLM_E_ARG, "custom model: two parameters are called %s", param->name);
    return CLM_OK;
}

clm_status clm_model_custom(clm_model **out, const clm_shape *in_shape, const clm_param *params, size_t n_params,
                            clm_model_apply_fn apply, void *user) {
    clm_status status = CLM_OK;
    *out = NULL;
    if (!in_shape || !apply || (!params && n_params > 0))
        return clm_fail(CLM_E_ARG, "clm_model_custom: in_shape, params and apply must not be NULL");
    status = clm_model_check_example(in_shape);
    if (status != CLM_OK) return clm_fail_in(status, "custom model: in_shape");
    clm_model *model = clm_calloc(1, sizeof(*model));
    if (!model) return CLM_E_MEMORY;
    model->in = *in_shape;
    model->inner_in = clm_layout_inner_shape(clm_layout_of_example(in_shape), in_shape);
    model->apply = apply;
    model->user = user;
    for (size_t i = 0; i < n_params; i++) {
        CLM_GOTO(check_custom_param(model, &params[i]));
        CLM_GOTO(append_param(model, &params[i]));
    }
    CLM_GOTO(infer_custom(model));
    *out = model;
    model = NULL;
out:
    clm_model_free(model);
    return status;
}

void clm_model_free(clm_model *model) {
    if (!model) return;
    clm_layers_free(model->layers, model->n_layers);
    free(model->params);
    free(model->json);
    free(model);
}

size_t clm_model_param_count(const clm_model *model) { return model->n_params; }

size_t clm_model_param_elements(const clm_model *model) {
    size_t sum = 0;
    for (size_t i = 0; i < model->n_params; i++) sum += clm_shape_size(&model->params[i].shape);
    return sum;
}

const clm_param *clm_model_param(const clm_model *model, size_t i) { return i < model->n_params ? &model->params[i] : NULL; }
clm_shape clm_model_in_shape(const clm_model *model) { return model->in; }
clm_shape clm_model_inner_in_shape(const clm_model *model) { return model->inner_in; }
clm_shape clm_model_out_shape(const clm_model *model) { return model->out; }
const char *clm_model_json(const clm_model *model) { return model->json; }

bool clm_model_has_batch_norm(const clm_model *model) {
    if (model->json) return strstr(model->json, "\"batchnorm\"") != NULL;
    for (size_t i = 0; i < clm_model_param_count(model); i++)
        if (clm_model_param(model, i)->role == CLM_PARAM_BATCH_NORM) return true;
    return false;
}

bool clm_model_has_dropout(const clm_model *model) { return model->n_drops > 0; }

int clm_model_token_count(const clm_model *model, const char **layer) {
    const clm_layer *l = clm_layers_tokens(model->layers, model->n_layers);
    if (layer) *layer = l ? l->path : NULL;
    return l ? (int)l->value[CLM_KEY_ENTRIES] : 0;
}

clm_status clm_model_check_tokens(const clm_model *model, const float *x, size_t n) {
    const char *layer = NULL;
    const int count = clm_model_token_count(model, &layer);
    const size_t example = clm_shape_size(&model->in);
    for (size_t i = 0; count && i < n; i++) {
        const bool whole = x[i] >= 0 && x[i] == floorf(x[i]);
        if (whole && x[i] < (float)count) continue;
        return clm_fail(
            CLM_E_ARG,
            "number %zu of example %zu is %g: layer %s (embedding) of \"count\" %d reads whole numbers from 0 to %d; %s",
            i % example, i / example, (double)x[i], layer, count, count - 1,
            whole ? "give the layer a larger \"count\", or number them anew"
                  : "give the places of words in a list of all, beginning with 0");
    }
    return CLM_OK;
}

const char *clm_model_bn_name(const clm_model *model, clm_bn_mode mode) {
    return clm_model_has_batch_norm(model) ? clm_bn_mode_name(mode) : "none (no batch-norm layer)";
}

size_t clm_model_layer_count(const clm_model *model) { return model->n_layers; }

clm_layer_info clm_model_layer(const clm_model *model, size_t i) {
    clm_layer_info info = {0};
    if (i >= model->n_layers) return info;
    const clm_layer *l = &model->layers[i];
    const size_t end = i + 1 < model->n_layers ? clm_layer_first_param(l + 1) : model->n_params;
    info = (clm_layer_info){l->kind->op, l->in, l->out, clm_layer_first_param(l), 0};
    info.n_params = end - info.first_param;
    return info;
}

/* A layer of a custom model is known by the names alone. */
static bool same_layer(const clm_param *a, const clm_param *last) {
    const char *dot = strrchr(last->name, '.');
    return a == last || (dot && strncmp(a->name, last->name, (size_t)(dot - last->name) + 1) == 0);
}

size_t clm_model_head(const clm_model *model, size_t *count) {
    size_t first = 0;
    if (clm_layers_head(model->layers, model->n_layers, &first)) {
        *count = model->n_params - first;
        return first;
    }
    first = model->n_params;
    while (first > 0 && same_layer(&model->params[first - 1], &model->params[model->n_params - 1])) first--;
    *count = model->n_params - first;
    return *count ? first : 0;
}

size_t clm_model_head_layer(const clm_model *model) { return clm_layers_head_layer(model->layers, model->n_layers); }

static double initial_value(const clm_param *p, size_t k, clm_random *random) {
    switch (p->init) {
    case CLM_INIT_NORMAL: return p->init_scale * clm_random_normal(random);
    case CLM_INIT_FIRST_HALF: return k < clm_shape_size(&p->shape) / 2 ? p->init_scale : 0;
    case CLM_INIT_CONSTANT: break;
    }
    return p->init_scale;
}

void clm_model_init_param(const clm_model *model, size_t i, uint64_t seed, double *out) {
    const clm_param *p = &model->params[i];
    size_t size = clm_shape_size(&p->shape);
    clm_random random = clm_random_make(seed, clm_hash_text(CLM_HASH_SEED, p->name));
    for (size_t k = 0; k < size; k++) out[k] = (float)initial_value(p, k, &random);
}

static bool check_input(const clm_model *model, clm_graph *g, clm_value x) {
    char have[96], want[96];
    clm_shape shape = clm_value_shape(g, x);
    bool same = shape.rank == model->inner_in.rank + 1;
    for (int i = 0; same && i < model->inner_in.rank; i++) same = shape.dim[i + 1] == model->inner_in.dim[i];
    if (!same)
        clm_graph_error(g, CLM_E_SHAPE, "model: the input has shape %s; it must be [n] followed by %s",
                        clm_shape_text(&shape, have, sizeof(have)), clm_shape_text(&model->inner_in, want, sizeof(want)));
    return same;
}

static bool check_params(const clm_model *model, clm_graph *g, const clm_value *params) {
    char have[96], want[96];
    for (size_t i = 0; i < model->n_params; i++) {
        const clm_param *p = &model->params[i];
        if (!clm_graph_valid(g, &params[i], 1)) return false;
        clm_shape shape = clm_value_shape(g, params[i]);
        if (clm_shape_equal(&shape, &p->inner_shape)) continue;
        clm_graph_error(g, CLM_E_SHAPE, "model: parameter %s has shape %s; inside it must be %s", p->name,
                        clm_shape_text(&shape, have, sizeof(have)), clm_shape_text(&p->inner_shape, want, sizeof(want)));
        return false;
    }
    return true;
}

static bool check_operands(const clm_model *model, clm_graph *g, const clm_value *params, clm_value x) {
    return clm_graph_valid(g, &x, 1) && check_input(model, g, x) && check_params(model, g, params);
}

clm_value clm_model_apply_dropout(const clm_model *model, clm_graph *g, const clm_value *params, clm_value x,
                                  clm_bn_stats *stats, const clm_dropout *dropout) {
    clm_bn_stats unused = {0};
    clm_layer_run run = {g, params, stats, dropout};
    if (!check_operands(model, g, params, x)) return CLM_INVALID;
    if (model->apply) return model->apply(model->user, g, params, x, stats ? stats : &unused);
    return clm_layers_output(&run, model, x);
}

clm_value clm_model_apply(const clm_model *model, clm_graph *g, const clm_value *params, clm_value x, clm_bn_stats *stats) {
    return clm_model_apply_dropout(model, g, params, x, stats, NULL);
}

clm_value clm_model_features_dropout(const clm_model *model, clm_graph *g, const clm_value *params, clm_value x,
                                     clm_bn_stats *stats, const clm_dropout *dropout) {
    clm_layer_run run = {g, params, stats, dropout};
    if (!check_operands(model, g, params, x)) return CLM_INVALID;
    if (model->apply)
        return clm_graph_error(g, CLM_E_ARG, "model: a custom model has no last layer, so what that is given is not known");
    return clm_layers_features(&run, model, x);
}

clm_value clm_model_features(const clm_model *model, clm_graph *g, const clm_value *params, clm_value x, clm_bn_stats *stats) {
    return clm_model_features_dropout(model, g, params, x, stats, NULL);
}
