/* Models: named parameters and a function from parameters and input to output, as values of a graph.
 *
 * A model comes from a list of layers (JSON), from the zoo, or from a function of the user's own. Parameters are named and laid
 * out as PyTorch would (convolution O I H W, linear [out, in]) wherever they cross the library's boundary; inside they are
 * channels-last. The same holds for inputs: C H W outside, H W C inside.
 */
#ifndef CLMAML_MODEL_H
#define CLMAML_MODEL_H

#include "graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clm_model clm_model;

/* How an outside array becomes an inside one. */
typedef enum clm_layout {
    CLM_LAYOUT_SAME,
    CLM_LAYOUT_OIHW, /* -> HWIO */
    CLM_LAYOUT_CHW,  /* -> HWC */
    CLM_LAYOUT_OIW   /* -> WIO */
} clm_layout;

typedef enum clm_init {
    CLM_INIT_NORMAL,    /* scale x standard normal */
    CLM_INIT_CONSTANT,  /* scale */
    CLM_INIT_FIRST_HALF /* scale in the first half of the elements, 0 in the second: factors, then offsets */
} clm_init;

/* What a parameter is, for methods that treat some in their own way. */
typedef enum clm_param_role {
    CLM_PARAM_WEIGHT,
    CLM_PARAM_BATCH_NORM, /* scale or shift of a batch-norm */
    CLM_PARAM_CONTEXT     /* the context vector of a context or film layer; film's weight and bias are weights */
} clm_param_role;

typedef struct clm_param {
    char name[64];
    clm_shape shape;       /* outside (PyTorch) shape */
    clm_shape inner_shape; /* inside shape */
    clm_layout layout;
    clm_init init;
    double init_scale;
    clm_param_role role;
} clm_param;

/* Where batch-norm takes its statistics from (named in every report):
 * transductive: from the batch at hand, query batches included; support-stats: from the support batch, at the same parameters. */
typedef enum clm_bn_mode { CLM_BN_TRANSDUCTIVE, CLM_BN_SUPPORT_STATS } clm_bn_mode;
CLM_API const char *clm_bn_mode_name(clm_bn_mode mode); /* "transductive", "support-stats" */

/* Statistics recorded by one application and used by another. Zero-initialise, then record, then use. */
typedef struct clm_bn_stats {
    bool use; /* false: record */
    size_t count, next;
    clm_value mean[64], var[64];
    /* Where `masked`: mask [n] is 1 for the examples that statistics are taken of and 0 for others (clm_masked_batch_norm). */
    bool masked;
    clm_value mask;
} clm_bn_stats;

/* From a JSON text: a list of layers, or an object {"layers": [..], "in_shape": [..], "ways": n, ..} as in a reference file's
 * "case". in_shape NULL: taken from the object. The layers, their keys and defaults, and the names of parameters ("0.weight",
 * "4.0.bias", "4.skip.0.bias"): docs/model-files.md. Errors name the layer, or line and column of what is not JSON. */
CLM_API clm_status clm_model_parse(clm_model **out, const char *json, const clm_shape *in_shape);
CLM_API clm_status clm_model_load(clm_model **out, const char *path, const clm_shape *in_shape);

/* ---- the zoo ----
 * Networks by name. Each is a list of layers, which clm_model_json gives and a model file may begin from. */
typedef struct clm_network_info {
    const char *name, *summary, *source; /* "conv4", what it is made of, its paper */
    int rank;            /* axes of an example: 3 image [C, H, W], 2 sequence [length, width]; 0: any, made flat */
    int filters, hidden; /* what the options of these names are unless told otherwise; 0: it does not read that option */
    bool context;        /* does it read `context`? */
} clm_network_info;
CLM_API size_t clm_network_count(void);
CLM_API clm_network_info clm_network_get_info(size_t i); /* all 0: no such network */
CLM_API const char *clm_network_name(size_t i);
CLM_API const char *clm_network_summary(size_t i);
/* The number of a network; clm_network_count() where there is none of that name. */
CLM_API size_t clm_network_find(const char *name);
/* What to begin with for examples of this shape: conv4 for images, cnn1d for sequences, mlp for anything else. */
CLM_API const char *clm_network_for(const clm_shape *in_shape);

typedef struct clm_network_options {
    int version;        /* CLM_NETWORK_OPTIONS_VERSION */
    clm_shape in_shape; /* one example, outside */
    int outputs;        /* of the last layer, which is linear; not looked at where headless */
    int filters;        /* of the first block, from which those of the others follow; 0: the network's own number */
    int hidden;         /* units of hidden layers, of the state, or of a token; 0: the network's own number */
    int context;        /* numbers of context, of a film layer in each block, or beside the input of mlp; 0: none */
    bool headless;      /* without the last layer: features */
} clm_network_options;
#define CLM_NETWORK_OPTIONS_VERSION 1
#define CLM_NETWORK_OPTIONS_INIT \
    { CLM_NETWORK_OPTIONS_VERSION, {0, {0}}, 5, 0, 0, 0, false }
/* CLM_E_ARG for an unknown name (the message has the nearest), options of another version, out of range, or that the network
 * does not read; CLM_E_SHAPE for examples that it does not take. */
CLM_API clm_status clm_model_network(clm_model **out, const char *name, const clm_network_options *options);

/* Four blocks of 3 x 3 convolution, batch-norm, relu and 2 x 2 max-pooling, then a linear layer (Vinyals et al. 2016). */
typedef struct clm_conv4_options {
    int version;                       /* CLM_CONV4_OPTIONS_VERSION */
    int filters, ways, channels, size; /* 64, 5, 1, 28 */
    bool strided;                      /* stride-2 convolutions and a spatial mean instead of max-pooling (Finn et al. 2017) */
    /* 0: none. Otherwise the size of the context of a film layer in every block, in front of relu and behind batch-norm and
     * max-pooling, where CAVIA's code has it (Zintgraf et al. 2019); that has one context for all its film layers, and by
     * default a film layer of 100 numbers in the third block alone. */
    int film_context;
    bool headless; /* no linear layer: an embedding [filters h w] or, strided, [filters]; `ways` is not looked at */
} clm_conv4_options;
#define CLM_CONV4_OPTIONS_VERSION 1
#define CLM_CONV4_OPTIONS_INIT \
    { CLM_CONV4_OPTIONS_VERSION, 64, 5, 1, 28, false, 0, false }
/* CLM_E_ARG for options of another version or out of range, CLM_E_SHAPE for an image too small to be pooled four times. */
CLM_API clm_status clm_model_conv4(clm_model **out, const clm_conv4_options *options);
/* Multi-layer perceptron with relu: in -> hidden[0] -> .. -> out */
CLM_API clm_status clm_model_mlp(clm_model **out, int in, const int *hidden, size_t n_hidden, int n_out);

/* A model of the user's own: `apply` builds the output from the parameters (inside shapes, in order) and the input. It returns
 * CLM_INVALID on failure. It is called once here, to learn the output's shape. Only name, shape, layout, init, init_scale and
 * role of `params` are read; inner_shape follows from them. `user` must outlive the model. stats is never NULL; models without
 * batch-norm ignore it. */
typedef clm_value (*clm_model_apply_fn)(void *user, clm_graph *g, const clm_value *params, clm_value x, clm_bn_stats *stats);
CLM_API clm_status clm_model_custom(clm_model **out, const clm_shape *in_shape, const clm_param *params, size_t n_params,
                                    clm_model_apply_fn apply, void *user);

CLM_API void clm_model_free(clm_model *model);

CLM_API size_t clm_model_param_count(const clm_model *model);    /* tensors */
CLM_API size_t clm_model_param_elements(const clm_model *model); /* numbers */
CLM_API const clm_param *clm_model_param(const clm_model *model, size_t i);
/* The parameters of the head: of the last layer that is linear or a convolution (linear, conv2d, conv1d), or a residual around
 * one, and of all layers behind it (a norm, say). Index of the first, and *count how many; a model without parameters: 0, *count
 * 0. Of a list without such a layer: of the last other learned map (rnn, gru, lstm, attention, multihead or embedding) and what is
 * behind it. Of a custom model, or one without a learned map: those at the end that share the last parameter's name up to its last
 * dot; without a dot, the last alone. */
CLM_API size_t clm_model_head(const clm_model *model, size_t *count);
/* The place in the list of the layer that is or holds the last linear layer or convolution; clm_model_layer_count where there is
 * none. */
CLM_API size_t clm_model_head_layer(const clm_model *model);
/* The layers of the list, without those inside residual ones; 0 for a custom model. */
typedef struct clm_layer_info {
    const char *op;               /* "conv2d" */
    clm_shape in, out;            /* of one example, outside */
    size_t first_param, n_params; /* its parameters, those of the lists of a residual layer included */
} clm_layer_info;
CLM_API size_t clm_model_layer_count(const clm_model *model);
CLM_API clm_layer_info clm_model_layer(const clm_model *model, size_t i); /* i: below the count */
CLM_API clm_shape clm_model_in_shape(const clm_model *model);             /* one example, outside (C H W) */
CLM_API clm_shape clm_model_inner_in_shape(const clm_model *model);       /* one example, inside (H W C) */
CLM_API clm_shape clm_model_out_shape(const clm_model *model);            /* one example */
/* The JSON that makes the model again; NULL for a custom one. Owned by the model. */
CLM_API const char *clm_model_json(const clm_model *model);
/* The same list of layers with so many outputs, and new parameters. CLM_E_ARG where the last layer is not linear, or the model
 * is no list of layers. */
CLM_API clm_status clm_model_with_outputs(clm_model **out, const clm_model *model, int outputs);

/* The operations that a list of layers may name. */
CLM_API size_t clm_layer_count(void);
CLM_API const char *clm_layer_name(size_t i); /* "conv2d"; NULL: there is no such one */
/* A small model to try a layer with, behind another that learns and before one of 3 outputs, as a model file; cut to `size` with
 * its end; "" where there is none. Returns `text`. */
CLM_API const char *clm_layer_trial(size_t i, char *text, size_t size);

/* Has it a batch-norm layer? Of a custom model: a parameter of that role. */
CLM_API bool clm_model_has_batch_norm(const clm_model *model);

/* Whole numbers 0 .. count-1 that the model's examples have to be, because an embedding reads them as they are, with nothing but
 * layers that change the shape before it; 0: any numbers will do. Of several embeddings the smallest counts; `layer` (may be NULL)
 * is its path, "0", owned by the model, or NULL. Of a custom model nothing is known: 0. */
CLM_API int clm_model_token_count(const clm_model *model, const char **layer);
/* Are these tokens of the model? x: n numbers of examples. CLM_E_ARG names the first that is none, its place and the layer. True of
 * any numbers where the model has no such layer. */
CLM_API clm_status clm_model_check_tokens(const clm_model *model, const float *x, size_t n);
/* clm_bn_mode_name, or "none (no batch-norm layer)". */
CLM_API const char *clm_model_bn_name(const clm_model *model, clm_bn_mode mode);

/* Output values [n, out_shape..] for inputs x [n, inner_in_shape..]; an image comes out in outside order (C H W), what a custom
 * model gives comes out as it is. stats may be NULL (transductive). */
CLM_API clm_value clm_model_apply(const clm_model *model, clm_graph *g, const clm_value *params, clm_value x,
                                  clm_bn_stats *stats);

/* The features, [n, width]: what the last layer of the list, which must be linear and on a vector, is given. Operands as for
 * clm_model_apply, the last layer's parameters included. Another last layer, or a custom model: CLM_E_ARG in the graph, with the
 * layer's name. */
CLM_API clm_value clm_model_features(const clm_model *model, clm_graph *g, const clm_value *params, clm_value x,
                                     clm_bn_stats *stats);

/* ---- dropout ----
 * Layers "dropout", and residual ones with a "drop_path" (stochastic depth), drop at random while a model is trained and nothing
 * otherwise. clm_meta does it in every pass that a meta-gradient makes; learners, evaluation and export never do. */

/* Does it drop anything? False where all rates are 0, and for a custom model, whose function is not told. */
CLM_API bool clm_model_has_dropout(const clm_model *model);

/* What is dropped in a pass: key [4] of clm_dropout_key, per task or shared; a number that no other pass of the task has. */
typedef struct clm_dropout {
    clm_value key;
    int pass;
} clm_dropout;
/* clm_model_apply and clm_model_features with what the layers drop; dropout NULL: nothing. */
CLM_API clm_value clm_model_apply_dropout(const clm_model *model, clm_graph *g, const clm_value *params, clm_value x,
                                          clm_bn_stats *stats, const clm_dropout *dropout);
CLM_API clm_value clm_model_features_dropout(const clm_model *model, clm_graph *g, const clm_value *params, clm_value x,
                                             clm_bn_stats *stats, const clm_dropout *dropout);

/* Initial parameter i in outside layout from a seed: deterministic, the same on every machine. */
CLM_API void clm_model_init_param(const clm_model *model, size_t i, uint64_t seed, double *out);

/* Converts `count` arrays of one parameter's (one example's) size between outside and inside layout. */
CLM_API void clm_layout_to_inner(clm_layout layout, const clm_shape *outer, size_t count, const double *from, double *to);
CLM_API void clm_layout_to_outer(clm_layout layout, const clm_shape *outer, size_t count, const double *from, double *to);

#ifdef __cplusplus
}
#endif
#endif
