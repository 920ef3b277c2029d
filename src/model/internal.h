/* Inside a model. Invariants: shapes of layers are those of one example in outside (C H W) order, the values that flow between
 * layers are [n, inside shape..]; parameters are listed in the order in which the layers ask for them. */
#ifndef CLM_MODEL_INTERNAL_H
#define CLM_MODEL_INTERNAL_H

#include "base/error.h"
#include "clmaml/model.h"

/* What a layer can be told, one line each: X(KEY, "name in JSON", type). */
#define CLM_LAYER_KEYS(X)          \
    X(OUT, "out", COUNT)           \
    X(KERNEL, "kernel", COUNT)     \
    X(STRIDE, "stride", COUNT)     \
    X(PAD, "pad", WHOLE)           \
    X(DILATION, "dilation", COUNT) \
    X(GROUPS, "groups", COUNT)     \
    X(BIAS, "bias", BOOL)          \
    X(EPS, "eps", POSITIVE)        \
    X(ALPHA, "alpha", REAL)        \
    X(SLOPE, "slope", REAL)        \
    X(SIZE, "size", COUNT)         \
    X(HEADS, "heads", COUNT)       \
    X(ENTRIES, "count", COUNT)     \
    X(LAST, "last", BOOL)          \
    X(RATE, "rate", RATE)          \
    X(DROP, "drop_path", RATE)     \
    X(GRADIENT, "gradient", BOUND) \
    X(SHAPE, "shape", SHAPE)       \
    X(BODY, "body", LAYERS)        \
    X(SKIP, "skip", LAYERS)

typedef enum clm_layer_key {
#define CLM_LAYER_KEY_ENUM(KEY, name, type) CLM_KEY_##KEY,
    CLM_LAYER_KEYS(CLM_LAYER_KEY_ENUM)
#undef CLM_LAYER_KEY_ENUM
        CLM_KEY_COUNT
} clm_layer_key;

typedef struct clm_layer {
    const struct clm_layer_kind *kind;
    char path[sizeof((clm_param *)0)->name]; /* index in the list, nested with dots: "4.0" */
    clm_shape in, out;                       /* of one example, outside */
    unsigned given;                          /* keys that were set, as bits */
    double value[CLM_KEY_COUNT];
    clm_shape shape;               /* what "shape" says */
    size_t first_param, n_params;  /* its own, without those of its lists */
    struct clm_layer *body, *skip; /* of a residual layer */
    size_t n_body, n_skip;
    int drop; /* its number among the layers that drop something, from 1; 0: it drops nothing */
} clm_layer;

typedef struct clm_layer_run {
    clm_graph *g;
    const clm_value *params;
    clm_bn_stats *stats;        /* may be NULL */
    const clm_dropout *dropout; /* NULL: nothing is dropped */
} clm_layer_run;

/* One row per operation of a layer list. `infer` checks the layer against its input shape, sets `out` (already equal to `in`) and
 * adds the parameters; it may be NULL. `apply` builds the output; elementwise layers without settings give `unary` instead. */
typedef struct clm_layer_kind {
    const char *op;
    unsigned required, optional; /* keys, as bits */
    clm_status (*infer)(clm_model *model, clm_layer *layer);
    clm_value (*apply)(const clm_layer_run *run, const clm_layer *layer, clm_value x);
    clm_value (*unary)(clm_graph *g, clm_value x);
    bool map; /* a learned map from features to outputs, which a head can be */
} clm_layer_kind;

struct clm_model {
    clm_shape in, inner_in, out;
    clm_param *params;
    size_t n_params, param_capacity;
    clm_layer *layers; /* of a parsed model */
    size_t n_layers;
    int n_drops; /* layers that drop something */
    char *json;
    clm_model_apply_fn apply; /* of a custom model */
    void *user;
};

/* The row of an operation; NULL when there is none. */
const clm_layer_kind *clm_layer_kind_find(const char *op);
/* "linear, conv2d, .." for messages. */
const char *clm_layer_kind_names(char *text, size_t size);
/* The operation that was probably meant, or NULL. */
const char *clm_layer_kind_nearest(const char *op);
/* Output of a parsed model, images in outside order; CLM_INVALID on failure, with the graph's error set. */
clm_value clm_layers_output(const clm_layer_run *run, const clm_model *model, clm_value x);
/* What the last layer, linear and on a vector, is given; CLM_INVALID otherwise, with the graph's error set. */
clm_value clm_layers_features(const clm_layer_run *run, const clm_model *model, clm_value x);
/* The last layer that is linear or a convolution, or whose lists have one; `count`: there is none. */
size_t clm_layers_head_layer(const clm_layer *layers, size_t count);
/* The first parameter of that layer, or without one of the last that is a learned map or whose lists have one. False: there is
 * none. */
bool clm_layers_head(const clm_layer *layers, size_t count, size_t *first);
/* The first parameter of a layer and its lists, or where it would be. */
size_t clm_layer_first_param(const clm_layer *layer);
/* The layer with the fewest entries of those that read the input as it is, as tokens; NULL: none does. */
const clm_layer *clm_layers_tokens(const clm_layer *layers, size_t count);
void clm_layers_free(clm_layer *layers, size_t count);

clm_status clm_model_add_param(clm_model *model, const char *layer, const char *name, clm_shape shape, clm_layout layout,
                               clm_init init, double scale);
/* One example's shape: rank 1 to 3, every dimension at least 1, at most 2^31 - 1 elements. */
clm_status clm_model_check_example(const clm_shape *shape);

/* The inside shape of an outside one; the rank must fit the layout. */
clm_shape clm_layout_inner_shape(clm_layout layout, const clm_shape *outer);
/* The rank that a layout needs; SAME: any, -1. */
int clm_layout_rank(clm_layout layout);
/* How examples of this outside shape are laid out: images are CHW. */
clm_layout clm_layout_of_example(const clm_shape *outer);

#endif
