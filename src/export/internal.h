/* Inside an export. The model's layers become *steps*, plain operations on values in outside order (channels first), each with
 * the arrays it needs; a format writes steps. A layer that none of the kinds fits (recurrent ones, say) is a step of the kind
 * OTHER, which only a format that looks at arrays alone can write. */
#ifndef CLM_EXPORT_INTERNAL_H
#define CLM_EXPORT_INTERNAL_H

#include "base/error.h"
#include "base/memory.h"
#include "clmaml/data.h"
#include "clmaml/export.h"
#include "model/internal.h"

/* The kinds of steps; [..] are shapes of one example. A series [c, n] is an image [c, 1, n]. */
#define CLM_STEPS(X)                                                                                   \
    X(OTHER)   /* none of these */                                                                     \
    X(CONV)    /* weight, bias or none; kernel, stride, pad, dilation, groups */                       \
    X(LINEAR)  /* weight [out, in], bias or none; over the last axis */                                \
    X(NORM)    /* scale, shift, mean, var of a channel, eps: batch-norm with frozen statistics */      \
    X(SCALE)   /* x scale + shift, for a channel */                                                    \
    X(GROUP)   /* scale, shift, eps: each of `groups` runs of elements by its own mean and variance */ \
    X(RMS)     /* scale, eps: the last axis divided by its root mean square */                         \
    X(UNARY)   /* an activation of clm_export_unary, setting */                                        \
    X(SOFTMAX) /* over the last axis */                                                                \
    X(LOGSOFT) /* its logarithm */                                                                     \
    X(MAXPOOL) /* kernel, stride, pad */                                                               \
    X(AVGPOOL) /* the same; the padding counts */                                                      \
    X(MEAN)    /* [c, ..] -> [c] */                                                                    \
    X(SHAPE)   /* another shape of the same elements */                                                \
    X(APPEND)  /* [n] -> [n + size]: shift [size] behind it */                                         \
    X(ADD)     /* in[0] + in[1] */

typedef enum clm_step_kind {
#define CLM_STEP_ENUM(KIND) CLM_STEP_##KIND,
    CLM_STEPS(CLM_STEP_ENUM)
#undef CLM_STEP_ENUM
        CLM_STEP_COUNT
} clm_step_kind;

typedef struct clm_array {
    char name[96]; /* of a state dict: "4.0.weight", "1.running_mean" */
    clm_shape shape;
    size_t count;
    float *data;
    bool derived; /* computed here, no array of the model */
} clm_array;

#define CLM_NO_ARRAY SIZE_MAX

typedef struct clm_export_step {
    clm_step_kind kind;
    const clm_layer *layer;
    size_t in[2], out; /* values; 0 is the input, out of step i is i + 1 */
    clm_shape from, to;
    int kernel[2], stride[2], pad[2], dilation[2], groups; /* in height and in width */
    double eps, setting;                                   /* setting: alpha or slope of an activation */
    size_t weight, bias, scale, shift, mean, var;          /* arrays; CLM_NO_ARRAY: none */
    size_t inner;                                          /* element e of an example has scale and shift [e / inner % count] */
} clm_export_step;

typedef struct clm_steps {
    clm_model *model;
    clm_export_step *steps;
    size_t count, capacity;
    clm_array *arrays; /* those of the state dict first */
    size_t n_arrays, array_capacity, n_stats;
    const char *preparation, *classes; /* JSON; NULL: none */
    clm_preparation pictures;          /* what `preparation` says */
    char *classes_text;
    const char *name;
} clm_steps;

/* From an adapted model's archive, which must stay. */
clm_status clm_steps_create(clm_steps *s, const clm_archive *adapted, const char *name);
void clm_steps_free(clm_steps *s);

static inline const clm_array *clm_steps_array(const clm_steps *s, size_t i) {
    return i == CLM_NO_ARRAY ? NULL : &s->arrays[i];
}
/* Elements of one channel of a value: [c, h, w] has h w, [n] has 1. */
size_t clm_channel_size(const clm_shape *shape);

/* An activation: y as an expression in C99 of floats `x` and `p`, the setting; and as up to five nodes of ONNX, "Op y a b": `x`
 * comes in, the last node's `y` goes out, the other letters are in between, #1 is a constant, @alpha an attribute with the
 * setting. */
typedef struct clm_export_unary {
    const char *op, *c, *onnx[5];
} clm_export_unary;
const clm_export_unary *clm_export_unary_find(const char *op);

/* A format: what it can write of the kinds of steps, and how it writes a file. */
typedef struct clm_export_format {
    const char *name, *summary;
    bool (*has)(clm_step_kind kind);
    clm_status (*write)(const clm_steps *steps, const char *path);
} clm_export_format;
extern const clm_export_format clm_export_format_onnx, clm_export_format_safetensors, clm_export_format_c;

/* CLM_E_ARG with the layer, the format, and the formats that do have it. */
clm_status clm_export_check(const clm_steps *steps, const clm_export_format *format);

#endif
