/* ONNX: a ModelProto with one graph of nodes, whose constants are initialisers. Opset 13, IR version 7.
 *
 * A value has the name of the layer that makes it, "4.0"; nodes in between have a letter behind it, "4.0/a". The input is
 * "input" [N, ..], the output "logits". The batch is never named in a shape: 0 in a Reshape keeps it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/number.h"
#include "clmaml/status.h"
#include "export/internal.h"
#include "export/protobuf.h"

enum { OPSET = 13, IR_VERSION = 7 };
/* Fields and codes of onnx.proto. */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_VERSION = 3, MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_METADATA = 14 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_FLOAT = 2, ATTRIBUTE_INT = 3, ATTRIBUTE_INTS = 8, ATTRIBUTE_TYPE = 20 };
enum { TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_INTS = 7 };                                              /* of attributes */
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9, FLOATS = 1, LONGS = 7 }; /* and of elements */

typedef struct value_name {
    char s[128];
} value_name;

typedef struct onnx {
    const clm_steps *steps;
    clm_proto graph, nodes; /* nodes: a message of its own, so that names of initialisers may come at any time */
    clm_proto attributes;   /* of the node to come */
} onnx;

/* ---- names ---- */

static value_name name_of(const onnx *o, size_t value) {
    value_name name;
    const char *text = value == 0 ? "input" : value == o->steps->count ? "logits" : o->steps->steps[value - 1].layer->path;
    snprintf(name.s, sizeof name.s, "%s", text);
    return name;
}

/* "4.0/a": between the nodes of a layer, and its constants. */
static value_name between(const clm_export_step *s, const char *what) {
    value_name name;
    snprintf(name.s, sizeof name.s, "%s/%s", s->layer->path, what);
    return name;
}

/* ---- constants ---- */

static value_name constant(onnx *o, value_name name, const clm_shape *shape, const float *data) {
    clm_proto tensor = {0};
    for (int i = 0; i < shape->rank; i++) clm_proto_integer(&tensor, TENSOR_DIMS, shape->dim[i]);
    clm_proto_integer(&tensor, TENSOR_TYPE, FLOATS);
    clm_proto_text(&tensor, TENSOR_NAME, name.s);
    clm_proto_floats(&tensor, TENSOR_RAW, data, clm_shape_size(shape));
    clm_proto_message(&o->graph, GRAPH_INITIALIZER, &tensor);
    return name;
}

static value_name scalar(onnx *o, value_name name, double value) {
    return constant(o, name, &(clm_shape){0}, &(float){(float)value});
}

static value_name longs(onnx *o, value_name name, const int64_t *values, size_t n) {
    clm_proto tensor = {0};
    clm_proto_integer(&tensor, TENSOR_DIMS, (int64_t)n);
    clm_proto_integer(&tensor, TENSOR_TYPE, LONGS);
    clm_proto_text(&tensor, TENSOR_NAME, name.s);
    clm_proto_longs(&tensor, TENSOR_RAW, values, n);
    clm_proto_message(&o->graph, GRAPH_INITIALIZER, &tensor);
    return name;
}

static value_name array_as(onnx *o, size_t i, const clm_shape *shape) {
    const clm_array *a = &o->steps->arrays[i];
    value_name name;
    snprintf(name.s, sizeof name.s, "%s", a->name);
    return constant(o, name, shape, a->data);
}

static value_name array(onnx *o, size_t i) { return array_as(o, i, &o->steps->arrays[i].shape); }

/* Scale or shift in a shape that is stretched over an example: all of it, its channels [c, 1, 1], or its last axis. */
static value_name stretched(onnx *o, const clm_export_step *s, size_t i) {
    const clm_array *a = &o->steps->arrays[i];
    clm_shape shape = s->from;
    for (int d = 1; d < shape.rank && s->inner > 1; d++) shape.dim[d] = 1;
    if (s->inner == 1 && a->count != clm_shape_size(&s->from)) shape = clm_shape_of(1, (int)a->count);
    return array_as(o, i, &shape);
}

/* ---- nodes ---- */

static clm_proto *attribute(clm_proto *a, const char *name, int type) {
    clm_proto_text(a, ATTRIBUTE_NAME, name);
    clm_proto_integer(a, ATTRIBUTE_TYPE, type);
    return a;
}

static void attribute_float(onnx *o, const char *name, double value) {
    clm_proto a = {0};
    clm_proto_float(attribute(&a, name, TYPE_FLOAT), ATTRIBUTE_FLOAT, (float)value);
    clm_proto_message(&o->attributes, NODE_ATTRIBUTE, &a);
}

static void attribute_int(onnx *o, const char *name, int64_t value) {
    clm_proto a = {0};
    clm_proto_integer(attribute(&a, name, TYPE_INT), ATTRIBUTE_INT, value);
    clm_proto_message(&o->attributes, NODE_ATTRIBUTE, &a);
}

static void attribute_ints(onnx *o, const char *name, const int *values, size_t n) {
    clm_proto a = {0};
    attribute(&a, name, TYPE_INTS);
    for (size_t i = 0; i < n; i++) clm_proto_integer(&a, ATTRIBUTE_INTS, values[i]);
    clm_proto_message(&o->attributes, NODE_ATTRIBUTE, &a);
}

/* op(in..) = out, with the attributes that were given before; returns out, which is its name too. */
static value_name node(onnx *o, const char *op, value_name out, const value_name *in, size_t n) {
    clm_proto message = {0};
    for (size_t i = 0; i < n; i++) clm_proto_text(&message, NODE_INPUT, in[i].s);
    clm_proto_text(&message, NODE_OUTPUT, out.s);
    clm_proto_text(&message, NODE_NAME, out.s);
    clm_proto_text(&message, NODE_OP, op);
    clm_proto_append(&message, &o->attributes);
    clm_proto_message(&o->nodes, GRAPH_NODE, &message);
    return out;
}

static value_name unary(onnx *o, const char *op, value_name out, value_name x) { return node(o, op, out, &x, 1); }
static value_name binary(onnx *o, const char *op, value_name out, value_name a, value_name b) {
    return node(o, op, out, (const value_name[]){a, b}, 2);
}

/* [N, dims..]; a dimension -1 is what is left. */
static value_name reshape(onnx *o, const clm_export_step *s, const char *what, value_name out, value_name x,
                          const clm_shape *to) {
    int64_t dims[CLM_MAX_RANK + 1] = {0};
    for (int i = 0; i < to->rank; i++) dims[i + 1] = to->dim[i];
    return binary(o, "Reshape", out, x, longs(o, between(s, what), dims, (size_t)to->rank + 1));
}

/* ---- steps ---- */

static void window(onnx *o, const clm_export_step *s) {
    const int first = s->from.rank == 2, axes = 2 - first;
    const int pads[4] = {s->pad[first], axes == 2 ? s->pad[1] : s->pad[first], s->pad[0], s->pad[1]};
    attribute_ints(o, "kernel_shape", s->kernel + first, (size_t)axes);
    attribute_ints(o, "strides", s->stride + first, (size_t)axes);
    attribute_ints(o, "pads", pads, 2 * (size_t)axes);
}

static void write_conv(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    const int first = s->from.rank == 2;
    const bool biased = s->bias != CLM_NO_ARRAY;
    value_name in[3] = {x, array(o, s->weight)};
    if (biased) in[2] = array(o, s->bias);
    window(o, s);
    attribute_ints(o, "dilations", s->dilation + first, (size_t)(2 - first));
    attribute_int(o, "group", s->groups);
    node(o, "Conv", y, in, biased ? 3 : 2);
}

/* Of rows of vectors: a product with the turned weight. */
static void write_rows(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    const clm_array *w = clm_steps_array(o->steps, s->weight);
    const size_t rows = (size_t)w->shape.dim[0], columns = (size_t)w->shape.dim[1];
    const clm_shape turned = clm_shape_of(2, (int)columns, (int)rows);
    const bool biased = s->bias != CLM_NO_ARRAY;
    value_name name = between(s, "weight");
    float *data = clm_calloc(w->count, sizeof *data);
    if (!data) {
        o->graph.failed = true;
        return;
    }
    for (size_t i = 0; i < w->count; i++) data[i % columns * rows + i / columns] = w->data[i];
    constant(o, name, &turned, data);
    free(data);
    binary(o, "MatMul", biased ? between(s, "a") : y, x, name);
    if (biased) binary(o, "Add", y, between(s, "a"), array(o, s->bias));
}

static void write_linear(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    const bool biased = s->bias != CLM_NO_ARRAY;
    value_name in[3] = {x};
    if (s->from.rank > 1) {
        write_rows(o, s, x, y);
        return;
    }
    in[1] = array(o, s->weight);
    if (biased) in[2] = array(o, s->bias);
    attribute_int(o, "transB", 1);
    node(o, "Gemm", y, in, biased ? 3 : 2);
}

static void write_norm(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    const value_name in[5] = {x, array(o, s->scale), array(o, s->shift), array(o, s->mean), array(o, s->var)};
    attribute_float(o, "epsilon", s->eps);
    node(o, "BatchNormalization", y, in, 5);
}

/* x scale + shift; one of them may be missing. */
static void write_scale(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    const bool shifted = s->shift != CLM_NO_ARRAY;
    x = binary(o, "Mul", shifted ? between(s, "scaled") : y, x, stretched(o, s, s->scale));
    if (shifted) binary(o, "Add", y, x, stretched(o, s, s->shift));
}

/* Instance-norm of [N, groups, elements], without scale and shift of its own. */
static void write_group(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    const clm_shape runs = clm_shape_of(2, s->groups, -1), each = clm_shape_of(1, s->groups);
    float *ones = clm_calloc(2 * (size_t)s->groups, sizeof *ones);
    if (!ones) {
        o->graph.failed = true;
        return;
    }
    for (int i = 0; i < s->groups; i++) ones[i] = 1;
    value_name in[3] = {reshape(o, s, "runs", between(s, "a"), x, &runs), constant(o, between(s, "ones"), &each, ones),
                        constant(o, between(s, "zeros"), &each, ones + s->groups)};
    free(ones);
    attribute_float(o, "epsilon", s->eps);
    x = node(o, "InstanceNormalization", between(s, "b"), in, 3);
    write_scale(o, s, reshape(o, s, "shape", between(s, "c"), x, &s->from), y);
}

static void write_rms(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    value_name square = binary(o, "Mul", between(s, "a"), x, x);
    attribute_ints(o, "axes", (const int[]){-1}, 1);
    square = unary(o, "ReduceMean", between(s, "b"), square);
    square = binary(o, "Add", between(s, "c"), square, scalar(o, between(s, "eps"), s->eps));
    x = binary(o, "Div", between(s, "e"), x, unary(o, "Sqrt", between(s, "d"), square));
    write_scale(o, s, x, y);
}

/* One node of an activation: "Mul y x a", "Clip y x #0 #6", "Elu y x @alpha". */
static void write_template(onnx *o, const clm_export_step *s, const char *text, int at, value_name x, value_name y) {
    char copy[64], *rest = copy, *word, *op, made[24];
    const char *end;
    value_name out, in[4];
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", text);
    op = strtok_r(rest, " ", &rest);
    word = strtok_r(rest, " ", &rest);
    out = word[0] == 'y' ? y : between(s, word);
    while ((word = strtok_r(rest, " ", &rest)) && n < 4) {
        snprintf(made, sizeof made, "constant%d.%zu", at, n);
        if (word[0] == '@')
            attribute_float(o, word + 1, s->setting);
        else if (word[0] == '#')
            in[n++] = scalar(o, between(s, made), clm_number_parse(word + 1, &end));
        else
            in[n++] = word[0] == 'x' ? x : between(s, word);
    }
    node(o, op, out, in, n);
}

static void write_unary(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    const clm_export_unary *u = clm_export_unary_find(s->layer->kind->op);
    for (int i = 0; i < 5 && u->onnx[i]; i++) write_template(o, s, u->onnx[i], i, x, y);
}

static void write_softmax(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    attribute_int(o, "axis", -1);
    unary(o, s->kind == CLM_STEP_SOFTMAX ? "Softmax" : "LogSoftmax", y, x);
}

static void write_pool(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    const bool average = s->kind == CLM_STEP_AVGPOOL;
    window(o, s);
    if (average) attribute_int(o, "count_include_pad", 1);
    unary(o, average ? "AveragePool" : "MaxPool", y, x);
}

static void write_mean(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    x = unary(o, "GlobalAveragePool", between(s, "a"), x);
    reshape(o, s, "shape", y, x, &s->to);
}

static void write_shape(onnx *o, const clm_export_step *s, value_name x, value_name y) { reshape(o, s, "shape", y, x, &s->to); }

/* Zeros behind x, to which the constants are added: a Concat would have to know N. */
static void write_append(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    const clm_array *tail = clm_steps_array(o->steps, s->shift);
    const size_t n = (size_t)s->from.dim[0];
    float *all = clm_calloc(n + tail->count, sizeof *all);
    if (!all) {
        o->graph.failed = true;
        return;
    }
    memcpy(all + n, tail->data, tail->count * sizeof *all);
    const int64_t pads[4] = {0, 0, 0, (int64_t)tail->count};
    x = binary(o, "Pad", between(s, "a"), x, longs(o, between(s, "pads"), pads, 4));
    binary(o, "Add", y, x, constant(o, between(s, "tail"), &s->to, all));
    free(all);
}

static void write_add(onnx *o, const clm_export_step *s, value_name x, value_name y) {
    binary(o, "Add", y, x, name_of(o, s->in[1]));
}

static void (*const writers[CLM_STEP_COUNT])(onnx *o, const clm_export_step *s, value_name x, value_name y) = {
    [CLM_STEP_CONV] = write_conv,    [CLM_STEP_LINEAR] = write_linear,   [CLM_STEP_NORM] = write_norm,
    [CLM_STEP_SCALE] = write_scale,  [CLM_STEP_GROUP] = write_group,     [CLM_STEP_RMS] = write_rms,
    [CLM_STEP_UNARY] = write_unary,  [CLM_STEP_SOFTMAX] = write_softmax, [CLM_STEP_LOGSOFT] = write_softmax,
    [CLM_STEP_MAXPOOL] = write_pool, [CLM_STEP_AVGPOOL] = write_pool,    [CLM_STEP_MEAN] = write_mean,
    [CLM_STEP_SHAPE] = write_shape,  [CLM_STEP_APPEND] = write_append,   [CLM_STEP_ADD] = write_add,
};

static bool has(clm_step_kind kind) { return writers[kind] != NULL; }

/* ---- the file ---- */

/* ValueInfoProto: name, type = {tensor_type = {elem_type, shape = {dim..}}}; the first dimension is the text "N". */
static void add_value(onnx *o, int field, const char *name, const clm_shape *shape) {
    clm_proto info = {0}, type = {0}, tensor = {0}, dims = {0};
    for (int i = -1; i < shape->rank; i++) {
        clm_proto dim = {0};
        if (i < 0)
            clm_proto_text(&dim, 2, "N");
        else
            clm_proto_integer(&dim, 1, shape->dim[i]);
        clm_proto_message(&dims, 1, &dim);
    }
    clm_proto_integer(&tensor, 1, FLOATS);
    clm_proto_message(&tensor, 2, &dims);
    clm_proto_message(&type, 1, &tensor);
    clm_proto_text(&info, 1, name);
    clm_proto_message(&info, 2, &type);
    clm_proto_message(&o->graph, field, &info);
}

static void add_metadata(clm_proto *model, const char *key, const char *value) {
    clm_proto entry = {0};
    if (!value) return;
    clm_proto_text(&entry, 1, key);
    clm_proto_text(&entry, 2, value);
    clm_proto_message(model, MODEL_METADATA, &entry);
}

static void add_graph(onnx *o, clm_proto *model) {
    const clm_steps *s = o->steps;
    for (size_t i = 0; i < s->count; i++)
        writers[s->steps[i].kind](o, &s->steps[i], name_of(o, s->steps[i].in[0]), name_of(o, s->steps[i].out));
    clm_proto_append(&o->graph, &o->nodes);
    clm_proto_text(&o->graph, GRAPH_NAME, s->name);
    add_value(o, GRAPH_INPUT, "input", &s->model->in);
    add_value(o, GRAPH_OUTPUT, "logits", &s->model->out);
    clm_proto_message(model, MODEL_GRAPH, &o->graph);
}

static clm_status write(const clm_steps *s, const char *path) {
    onnx o = {.steps = s};
    clm_proto model = {0}, opset = {0};
    clm_proto_integer(&model, MODEL_IR, IR_VERSION);
    clm_proto_text(&model, MODEL_PRODUCER, "clMAML");
    clm_proto_text(&model, MODEL_VERSION, clm_version());
    clm_proto_integer(&opset, 2, OPSET);
    clm_proto_message(&model, MODEL_OPSET, &opset);
    add_metadata(&model, "clmaml.preparation", s->preparation);
    add_metadata(&model, "clmaml.classes", s->classes);
    add_graph(&o, &model);
    clm_status status = model.failed ? clm_fail(CLM_E_MEMORY, "out of memory for an ONNX file") : CLM_OK;
    if (status == CLM_OK && model.length > INT32_MAX)
        status = clm_fail(CLM_E_LIMIT, "%s: the model takes %zu bytes; an ONNX file has less than 2 GiB", path, model.length);
    if (status == CLM_OK) status = clm_file_write(path, model.data, model.length);
    clm_proto_free(&model);
    return status;
}

const clm_export_format clm_export_format_onnx = {"onnx", "for ONNX Runtime and other programs that read ONNX, opset 13", has,
                                                  write};
