/* From an adapted model's archive to steps: one walk over its layers, in the order in which they are applied. The arrays of the
 * model come first and have the names and shapes of PyTorch; what is computed here, the factors of a film layer, is behind. */
#include "export/internal.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clmaml/learner.h"

typedef struct walk {
    clm_steps *s;
    const clm_archive *archive;
    size_t value; /* what the next layer is given */
} walk;

size_t clm_channel_size(const clm_shape *shape) { return clm_shape_size(shape) / (size_t)shape->dim[0]; }

/* ---- arrays ---- */

static clm_status add_array(clm_steps *s, const char *layer, const char *name, clm_shape shape, size_t *at) {
    CLM_TRY(clm_grow(&s->arrays, &s->array_capacity, s->n_arrays + 1, sizeof *s->arrays));
    clm_array *a = &s->arrays[s->n_arrays];
    snprintf(a->name, sizeof a->name, "%s%s%s", layer, layer[0] ? "." : "", name);
    a->shape = shape;
    a->count = clm_shape_size(&shape);
    if (!(a->data = clm_calloc(a->count, sizeof *a->data))) return CLM_E_MEMORY;
    *at = s->n_arrays++;
    return CLM_OK;
}

/* The shape is that of the model, so a file that does not fit it is refused. */
static clm_status read_array(walk *w, const char *stored, const char *layer, const char *name, clm_shape shape, size_t *at) {
    clm_status status = CLM_OK;
    const clm_shape *there = clm_archive_shape(w->archive, stored);
    /* Before memory is taken: what a model says of its size costs a file nothing. */
    if (!there || !clm_shape_equal(there, &shape)) return clm_archive_read(w->archive, stored, &shape, NULL, 0);
    CLM_TRY(add_array(w->s, layer, name, shape, at));
    clm_array *a = &w->s->arrays[*at];
    double *values = clm_calloc(a->count, sizeof *values);
    if (!values) return CLM_E_MEMORY;
    CLM_GOTO(clm_archive_read(w->archive, stored, &shape, values, a->count));
    for (size_t i = 0; i < a->count; i++) {
        a->data[i] = (float)values[i];
        if (!isfinite(a->data[i])) CLM_GOTO(clm_fail(CLM_E_NUMERIC, "array \"%s\" has numbers that are not finite", stored));
    }
out:
    free(values);
    return status;
}

static clm_status read_params(walk *w) {
    char stored[sizeof((clm_param *)0)->name + 8];
    for (size_t i = 0, at; i < w->s->model->n_params; i++) {
        const clm_param *p = &w->s->model->params[i];
        snprintf(stored, sizeof stored, "param.%s", p->name);
        CLM_TRY(read_array(w, stored, "", p->name, p->shape, &at));
    }
    return CLM_OK;
}

static clm_status read_statistic(walk *w, const clm_layer *l, const char *what, const char *name, size_t *at) {
    char stored[48];
    snprintf(stored, sizeof stored, "batch_norm.%zu.%s", w->s->n_stats, what);
    return read_array(w, stored, l->path, name, clm_shape_of(1, (int)l->in.dim[0]), at);
}

/* ---- steps ---- */

static clm_export_step step_of(const walk *w, clm_step_kind kind, const clm_layer *l) {
    return (clm_export_step){.kind = kind,
                             .layer = l,
                             .in = {w->value, w->value},
                             .from = l->in,
                             .to = l->out,
                             .kernel = {1, 1},
                             .stride = {1, 1},
                             .dilation = {1, 1},
                             .groups = 1,
                             .eps = l->value[CLM_KEY_EPS],
                             .weight = CLM_NO_ARRAY,
                             .bias = CLM_NO_ARRAY,
                             .scale = CLM_NO_ARRAY,
                             .shift = CLM_NO_ARRAY,
                             .mean = CLM_NO_ARRAY,
                             .var = CLM_NO_ARRAY,
                             .inner = 1};
}

static clm_status add(walk *w, clm_export_step step) {
    clm_steps *s = w->s;
    CLM_TRY(clm_grow(&s->steps, &s->capacity, s->count + 1, sizeof *s->steps));
    step.out = s->count + 1;
    s->steps[s->count++] = step;
    w->value = step.out;
    return CLM_OK;
}

static size_t bias_of(const clm_layer *l) { return l->n_params > 1 ? l->first_param + 1 : CLM_NO_ARRAY; }

/* A series has height 1 and no window in it. */
static void set_window(clm_export_step *s, const clm_layer *l) {
    for (int i = l->in.rank == 2; i < 2; i++) {
        s->kernel[i] = (int)l->value[CLM_KEY_KERNEL];
        s->stride[i] = (int)l->value[CLM_KEY_STRIDE];
        s->pad[i] = (int)l->value[CLM_KEY_PAD];
    }
}

static clm_status walk_conv(walk *w, const clm_layer *l, clm_export_step s) {
    set_window(&s, l);
    for (int i = l->in.rank == 2; i < 2; i++) s.dilation[i] = (int)l->value[CLM_KEY_DILATION];
    s.groups = (int)l->value[CLM_KEY_GROUPS];
    s.weight = l->first_param;
    s.bias = bias_of(l);
    return add(w, s);
}

static clm_status walk_pool(walk *w, const clm_layer *l, clm_export_step s) {
    set_window(&s, l);
    return add(w, s);
}

static clm_status walk_linear(walk *w, const clm_layer *l, clm_export_step s) {
    s.weight = l->first_param;
    s.bias = bias_of(l);
    return add(w, s);
}

static void set_scale(clm_export_step *s, const clm_layer *l, size_t inner) {
    s->scale = l->first_param;
    s->shift = bias_of(l);
    s->inner = inner;
}

static clm_status walk_batch_norm(walk *w, const clm_layer *l, clm_export_step s) {
    set_scale(&s, l, clm_channel_size(&l->in));
    CLM_TRY(read_statistic(w, l, "mean", "running_mean", &s.mean));
    CLM_TRY(read_statistic(w, l, "var", "running_var", &s.var));
    w->s->n_stats++;
    const clm_array *var = &w->s->arrays[s.var];
    for (size_t i = 0; i < var->count; i++)
        if (!(var->data[i] + s.eps > 0))
            return clm_fail(CLM_E_NUMERIC, "array \"%s\": %g is no variance", var->name, (double)var->data[i]);
    return add(w, s);
}

static clm_status walk_layer_norm(walk *w, const clm_layer *l, clm_export_step s) {
    set_scale(&s, l, 1);
    return add(w, s);
}

static clm_status walk_group_norm(walk *w, const clm_layer *l, clm_export_step s) {
    set_scale(&s, l, clm_channel_size(&l->in));
    s.groups = (int)l->value[CLM_KEY_GROUPS];
    return add(w, s);
}

static clm_status walk_last_norm(walk *w, const clm_layer *l, clm_export_step s) {
    set_scale(&s, l, 1);
    s.groups = (int)(clm_shape_size(&l->in) / (size_t)l->in.dim[l->in.rank - 1]);
    return add(w, s);
}

static clm_status walk_plain(walk *w, const clm_layer *l, clm_export_step s) {
    s.setting = l->value[CLM_KEY_ALPHA] + l->value[CLM_KEY_SLOPE]; /* a layer has one of them, or none */
    return add(w, s);
}

static clm_status walk_context(walk *w, const clm_layer *l, clm_export_step s) {
    s.shift = l->first_param;
    return add(w, s);
}

/* (scale, shift) = weight context + bias, which no example has a part in. */
static clm_status walk_film(walk *w, const clm_layer *l, clm_export_step s) {
    const int channels = l->in.dim[0];
    size_t made[2];
    CLM_TRY(add_array(w->s, l->path, "scale", clm_shape_of(1, channels), &made[0]));
    CLM_TRY(add_array(w->s, l->path, "shift", clm_shape_of(1, channels), &made[1]));
    const clm_array *context = &w->s->arrays[l->first_param], *weight = context + 1, *bias = context + 2;
    for (size_t i = 0; i < weight->count / context->count; i++) {
        double sum = bias->data[i];
        for (size_t k = 0; k < context->count; k++) sum += (double)weight->data[i * context->count + k] * context->data[k];
        w->s->arrays[made[i / (size_t)channels]].data[i % (size_t)channels] = (float)sum;
    }
    for (int i = 0; i < 2; i++) w->s->arrays[made[i]].derived = true;
    s.scale = made[0];
    s.shift = made[1];
    s.inner = clm_channel_size(&l->in);
    return add(w, s);
}

/* Nothing is dropped by a model in use. */
static clm_status walk_dropout(walk *w, const clm_layer *l, clm_export_step s) {
    (void)w, (void)l, (void)s;
    return CLM_OK;
}

static clm_status walk_list(walk *w, const clm_layer *layers, size_t count);

static clm_status walk_residual(walk *w, const clm_layer *l, clm_export_step s) {
    const size_t given = w->value;
    CLM_TRY(walk_list(w, l->body, l->n_body));
    s.in[1] = w->value;
    w->value = given;
    CLM_TRY(walk_list(w, l->skip, l->n_skip));
    s.in[0] = w->value;
    s.from = l->out;
    return add(w, s);
}

static const struct {
    const char *op;
    clm_step_kind kind;
    clm_status (*walk)(walk *w, const clm_layer *l, clm_export_step s);
} rows[] = {
    {"conv2d", CLM_STEP_CONV, walk_conv},
    {"conv1d", CLM_STEP_CONV, walk_conv},
    {"linear", CLM_STEP_LINEAR, walk_linear},
    {"batchnorm", CLM_STEP_NORM, walk_batch_norm},
    {"layernorm", CLM_STEP_GROUP, walk_layer_norm},
    {"groupnorm", CLM_STEP_GROUP, walk_group_norm},
    {"lastnorm", CLM_STEP_GROUP, walk_last_norm},
    {"rmsnorm", CLM_STEP_RMS, walk_layer_norm},
    {"softmax", CLM_STEP_SOFTMAX, walk_plain},
    {"log_softmax", CLM_STEP_LOGSOFT, walk_plain},
    {"maxpool", CLM_STEP_MAXPOOL, walk_pool},
    {"avgpool", CLM_STEP_AVGPOOL, walk_pool},
    {"globalavgpool", CLM_STEP_MEAN, walk_plain},
    {"flatten", CLM_STEP_SHAPE, walk_plain},
    {"reshape", CLM_STEP_SHAPE, walk_plain},
    {"context", CLM_STEP_APPEND, walk_context},
    {"film", CLM_STEP_SCALE, walk_film},
    {"dropout", CLM_STEP_OTHER, walk_dropout},
    {"residual", CLM_STEP_ADD, walk_residual},
};

static clm_status walk_layer(walk *w, const clm_layer *l) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].op, l->kind->op) == 0) return rows[i].walk(w, l, step_of(w, rows[i].kind, l));
    return walk_plain(w, l, step_of(w, clm_export_unary_find(l->kind->op) ? CLM_STEP_UNARY : CLM_STEP_OTHER, l));
}

static clm_status walk_list(walk *w, const clm_layer *layers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const clm_status status = walk_layer(w, &layers[i]);
        if (status != CLM_OK) return status;
    }
    return CLM_OK;
}

/* ---- what is said beside the arrays ---- */

static clm_status read_classes(clm_steps *s, const char *text) {
    json_t *adapted = json_loads(text, 0, NULL), *names = json_object_get(adapted, "names");
    clm_status status = adapted ? CLM_OK : clm_fail(CLM_E_FORMAT, "its metadata \"clmaml.adapted\" is not JSON");
    const json_int_t ways = json_integer_value(json_object_get(adapted, "ways")), named = (json_int_t)json_array_size(names);
    const clm_shape out = clm_model_out_shape(s->model);
    const json_int_t outputs = (json_int_t)clm_shape_size(&out);
    if (ways && (ways != outputs || (named && named != ways)))
        status =
            clm_fail(CLM_E_FORMAT, "it is damaged: it says %lld classes, has %lld names of classes, and its model %lld outputs",
                     (long long)ways, (long long)named, (long long)outputs);
    if (json_array_size(names)) {
        s->classes = s->classes_text = json_dumps(names, JSON_COMPACT);
        if (!s->classes) status = clm_fail(CLM_E_MEMORY, "out of memory");
    }
    json_decref(adapted);
    return status;
}

static clm_status read_preparation(clm_steps *s, const clm_archive *archive) {
    s->preparation = clm_archive_meta(archive, "clmaml.preparation");
    return s->preparation ? clm_archive_get_preparation(archive, &s->pictures) : CLM_OK;
}

clm_status clm_steps_create(clm_steps *s, const clm_archive *archive, const char *name) {
    walk w = {.s = s, .archive = archive};
    const char *adapted = clm_archive_meta(archive, "clmaml.adapted"), *model = clm_archive_meta(archive, "clmaml.model");
    memset(s, 0, sizeof *s);
    s->name = name;
    if (!adapted)
        return clm_fail(CLM_E_ARG,
                        "export: the model is not adapted to classes; clm_learner_save (`clmaml adapt`) makes one that is");
    if (!model || !*model) return clm_fail(CLM_E_FORMAT, "export: the file holds no model");
    CLM_TRY(clm_model_parse(&s->model, model, NULL));
    CLM_TRY(read_classes(s, adapted));
    CLM_TRY(read_preparation(s, archive));
    CLM_TRY(read_params(&w));
    return walk_list(&w, s->model->layers, s->model->n_layers);
}

void clm_steps_free(clm_steps *s) {
    for (size_t i = 0; i < s->n_arrays; i++) free(s->arrays[i].data);
    free(s->arrays);
    free(s->steps);
    free(s->classes_text);
    clm_model_free(s->model);
    memset(s, 0, sizeof *s);
}
