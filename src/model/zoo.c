/* The zoo: networks everybody uses, written as the layer lists they are, so that they can be saved, read back and changed.
 *
 * A network is a function that writes its layers, and a row of the table. What it is given has been checked, and its numbers of
 * filters and hidden units have been settled. The last layer is linear, and is all that a headless one lacks. */
#include "model/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* ---- layers as text ---- */

static void next(clm_text *json) {
    if (json->length && json->data[json->length - 1] != '[') clm_text_add(json, ", ");
}

static void plain(clm_text *json, const char *op) {
    next(json);
    clm_text_add(json, "{\"op\": \"%s\"}", op);
}

static void with(clm_text *json, const char *op, const char *key, int value) {
    next(json);
    clm_text_add(json, "{\"op\": \"%s\", \"%s\": %d}", op, key, value);
}

static void convolution(clm_text *json, const char *op, int out, int kernel, int stride, int pad, bool bias) {
    next(json);
    clm_text_add(json, "{\"op\": \"%s\", \"out\": %d, \"kernel\": %d, \"stride\": %d, \"pad\": %d%s}", op, out, kernel, stride,
                 pad, bias ? "" : ", \"bias\": false");
}

static void body(clm_text *json) {
    next(json);
    clm_text_add(json, "{\"op\": \"residual\", \"body\": [");
}
static void skip(clm_text *json) { clm_text_add(json, "], \"skip\": ["); }
static void end(clm_text *json) { clm_text_add(json, "]}"); }

static void head(clm_text *json, const clm_network_options *o) {
    if (!o->headless) with(json, "linear", "out", o->outputs);
}

/* ---- conv4 and its like for sequences ---- */

/* Film is where CAVIA's code has it: as gamma may be negative, film before max-pooling would be another network. */
static void conv4_block(clm_text *json, const clm_network_options *o, const char *conv, int stride, bool pool) {
    convolution(json, conv, o->filters, 3, stride, 1, true);
    plain(json, "batchnorm");
    if (pool && o->context) with(json, "maxpool", "kernel", 2);
    if (o->context) with(json, "film", "size", o->context);
    plain(json, "relu");
    if (pool && !o->context) with(json, "maxpool", "kernel", 2);
}

static void write_conv4(clm_text *json, const clm_network_options *o) {
    for (int block = 0; block < 4; block++) conv4_block(json, o, "conv2d", 1, true);
    plain(json, "flatten");
    head(json, o);
}

static void write_conv4_strided(clm_text *json, const clm_network_options *o) {
    for (int block = 0; block < 4; block++) conv4_block(json, o, "conv2d", 2, false);
    plain(json, "globalavgpool");
    head(json, o);
}

/* Of a sequence too short to be halved four times the last blocks keep the length. */
static void write_cnn1d(clm_text *json, const clm_network_options *o) {
    int length = o->in_shape.dim[0];
    plain(json, "tokens"); /* [length, width] -> [width, length] */
    for (int block = 0; block<4; block++, length = length> 1 ? length / 2 : 1) conv4_block(json, o, "conv1d", 1, length > 1);
    plain(json, "globalavgpool");
    head(json, o);
}

/* ---- resnet12: blocks as in the code of Lee et al. 2019, three convolutions beside a projection, without its DropBlock;
 * widths 1, 2, 4, 8 as Oreshkin et al. 2018 have them (Lee et al.: 1, 2.5, 5, 10) ---- */

static void write_resnet12(clm_text *json, const clm_network_options *o) {
    for (int block = 0; block < 4; block++) {
        const int width = o->filters << block;
        body(json);
        for (int i = 0; i < 3; i++) {
            convolution(json, "conv2d", width, 3, 1, 1, false);
            plain(json, "batchnorm");
            if (i < 2) clm_text_add(json, ", {\"op\": \"leaky_relu\", \"slope\": 0.1}");
        }
        skip(json);
        convolution(json, "conv2d", width, 1, 1, 0, false);
        plain(json, "batchnorm");
        end(json);
        if (o->context) with(json, "film", "size", o->context);
        clm_text_add(json, ", {\"op\": \"leaky_relu\", \"slope\": 0.1}");
        with(json, "maxpool", "kernel", 2);
    }
    plain(json, "globalavgpool");
    head(json, o);
}

/* ---- wrn-16-4: three groups of two blocks, normalised before they are convolved; widths 1, 2, 4 behind a stem of 1/4. A
 * group's first block projects what it has normalised, as in the authors' code. Without dropout. ---- */

static void norm_relu(clm_text *json) {
    plain(json, "batchnorm");
    plain(json, "relu");
}

static void write_wide_group(clm_text *json, int width, int stride) {
    norm_relu(json);
    body(json);
    convolution(json, "conv2d", width, 3, stride, 1, false);
    norm_relu(json);
    convolution(json, "conv2d", width, 3, 1, 1, false);
    skip(json);
    convolution(json, "conv2d", width, 1, stride, 0, false);
    end(json);
    body(json);
    norm_relu(json);
    convolution(json, "conv2d", width, 3, 1, 1, false);
    norm_relu(json);
    convolution(json, "conv2d", width, 3, 1, 1, false);
    end(json);
}

static void write_wrn_16_4(clm_text *json, const clm_network_options *o) {
    convolution(json, "conv2d", o->filters < 4 ? 1 : o->filters / 4, 3, 1, 1, false);
    for (int group = 0; group < 3; group++) write_wide_group(json, o->filters << group, group ? 2 : 1);
    norm_relu(json);
    plain(json, "globalavgpool");
    head(json, o);
}

/* ---- vit-tiny: four layers, four heads where they divide a token's width, about 7 x 7 patches, the mean of the tokens instead
 * of a class token (Beyer et al. 2022). What is left of an image beside whole patches is not seen. ---- */

enum { VIT_LAYERS = 4, VIT_HEADS = 4, VIT_PATCHES = 7 };

static void write_vit_layer(clm_text *json, int width, int heads) {
    body(json);
    plain(json, "lastnorm");
    with(json, "multihead", "heads", heads);
    end(json);
    body(json);
    plain(json, "lastnorm");
    with(json, "linear", "out", 4 * width);
    plain(json, "gelu");
    with(json, "linear", "out", width);
    end(json);
}

static void write_vit_tiny(clm_text *json, const clm_network_options *o) {
    const int height = o->in_shape.dim[1], width = o->in_shape.dim[2], side = height < width ? height : width;
    const int patch = side < VIT_PATCHES ? 1 : side / VIT_PATCHES;
    int heads = VIT_HEADS;
    while (o->hidden % heads != 0) heads /= 2;
    convolution(json, "conv2d", o->hidden, patch, patch, 0, true);
    plain(json, "tokens");
    plain(json, "positions");
    for (int layer = 0; layer < VIT_LAYERS; layer++) write_vit_layer(json, o->hidden, heads);
    plain(json, "lastnorm");
    plain(json, "meantokens");
    head(json, o);
}

/* ---- mlp, lstm ---- */

static void write_mlp(clm_text *json, const clm_network_options *o) {
    if (o->in_shape.rank > 1) plain(json, "flatten");
    if (o->context) with(json, "context", "size", o->context);
    for (int i = 0; i < 2; i++) {
        with(json, "linear", "out", o->hidden);
        plain(json, "relu");
    }
    head(json, o);
}

static void write_lstm(clm_text *json, const clm_network_options *o) {
    next(json);
    clm_text_add(json, "{\"op\": \"lstm\", \"out\": %d, \"last\": true}", o->hidden);
    head(json, o);
}

/* ---- the table. Of the networks for as many axes the first is what clm_network_for gives. ---- */

enum { IMAGE = 3, SEQUENCE = 2, ANY = 0 };

static const struct network {
    clm_network_info info;
    void (*write)(clm_text *json, const clm_network_options *options);
} networks[] = {
    {{"conv4", "four blocks of 3 x 3 convolution, batch-norm, relu and 2 x 2 max-pooling", "Vinyals et al. 2016", IMAGE, 64, 0,
      true},
     write_conv4},
    {{"conv4-strided", "conv4 with stride-2 convolutions and a spatial mean instead of max-pooling, for Omniglot",
      "Finn et al. 2017", IMAGE, 64, 0, true},
     write_conv4_strided},
    {{"resnet12", "four residual blocks of three convolutions, 64-128-256-512 filters, 2 x 2 max-pooling, a spatial mean",
      "Oreshkin et al. 2018", IMAGE, 64, 0, true},
     write_resnet12},
    {{"wrn-16-4", "wide residual network, three groups of two blocks, 64-128-256 filters, normalised first, a spatial mean",
      "Zagoruyko and Komodakis 2016", IMAGE, 64, 0, false},
     write_wrn_16_4},
    {{"vit-tiny",
      "vision transformer of 4 layers, 4 heads and tokens of 64, about 7 x 7 patches, normalised first, mean of the "
      "tokens",
      "Dosovitskiy et al. 2021", IMAGE, 0, 64, false},
     write_vit_tiny},
    {{"mlp", "perceptron with two hidden layers of 40 and relu", "Finn et al. 2017", ANY, 0, 40, true}, write_mlp},
    {{"cnn1d", "conv4 in one dimension, with a mean over the length", "Wang et al. 2017", SEQUENCE, 64, 0, true}, write_cnn1d},
    {{"lstm", "one recurrent layer with a state of 64, of which the last is taken", "Hochreiter and Schmidhuber 1997", SEQUENCE,
      0, 64, false},
     write_lstm},
};
enum { NETWORKS = sizeof(networks) / sizeof(networks[0]) };

size_t clm_network_count(void) { return NETWORKS; }
clm_network_info clm_network_get_info(size_t i) { return i < NETWORKS ? networks[i].info : (clm_network_info){0}; }
const char *clm_network_name(size_t i) { return i < NETWORKS ? networks[i].info.name : NULL; }
const char *clm_network_summary(size_t i) { return i < NETWORKS ? networks[i].info.summary : NULL; }

size_t clm_network_find(const char *name) {
    size_t i = 0;
    while (i < NETWORKS && strcmp(networks[i].info.name, name) != 0) i++;
    return i;
}

const char *clm_network_for(const clm_shape *in_shape) {
    const char *otherwise = NULL;
    for (size_t i = 0; i < NETWORKS; i++) {
        if (networks[i].info.rank == in_shape->rank) return networks[i].info.name;
        if (networks[i].info.rank == ANY && !otherwise) otherwise = networks[i].info.name;
    }
    return otherwise;
}

/* ---- making one ---- */

static clm_status build(clm_model **out, const struct network *network, const clm_network_options *options) {
    clm_network_options o = *options;
    clm_text json = {0};
    if (!o.filters) o.filters = network->info.filters;
    if (!o.hidden) o.hidden = network->info.hidden;
    clm_text_add(&json, "{\"layers\": [");
    network->write(&json, &o);
    clm_text_add(&json, "]}");
    clm_status status = json.failed ? clm_fail(CLM_E_MEMORY, "out of memory") : clm_model_parse(out, json.data, &o.in_shape);
    clm_text_free(&json);
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "%s", network->info.name);
}

static clm_status unknown_network(const char *name) {
    const char *names[NETWORKS];
    clm_text known = {0};
    for (size_t i = 0; i < NETWORKS; i++) {
        names[i] = networks[i].info.name;
        clm_text_add(&known, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = clm_nearest_word(name, names, NETWORKS);
    clm_status status =
        clm_fail(CLM_E_ARG, "unknown network \"%.40s\"%s%s%s; known: %s", name, nearest ? "; did you mean \"" : "",
                 nearest ? nearest : "", nearest ? "\"" : "", known.data ? known.data : "");
    clm_text_free(&known);
    return status;
}

static clm_status check_options(const clm_network_info *info, const clm_network_options *o) {
    enum { MOST = 1 << 20 }; /* what follows from a number is at most eight times as large */
    static const char *const takes[] = {NULL, NULL, "sequences [length, width]", "images [C, H, W]"};
    char text[96];
    if (!o) return clm_fail(CLM_E_ARG, "options must not be NULL");
    if (o->version != CLM_NETWORK_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "options of version %d; initialise them with CLM_NETWORK_OPTIONS_INIT", o->version);
    clm_status status = clm_model_check_example(&o->in_shape);
    if (status != CLM_OK) return clm_fail_in(status, "in_shape");
    if (info->rank != ANY && o->in_shape.rank != info->rank)
        return clm_fail(CLM_E_SHAPE, "it takes %s, not %s; %s does", takes[info->rank],
                        clm_shape_text(&o->in_shape, text, sizeof(text)), clm_network_for(&o->in_shape));
    if ((o->outputs < 1 && !o->headless) || o->filters < 0 || o->hidden < 0 || o->context < 0)
        return clm_fail(CLM_E_ARG, "outputs must be at least 1, and filters, hidden and context at least 0");
    if (o->filters > MOST || o->hidden > MOST) return clm_fail(CLM_E_LIMIT, "filters and hidden are at most %d", MOST);
    if (o->filters && !info->filters) return clm_fail_unread("filters", "network", info->name);
    if (o->hidden && !info->hidden) return clm_fail_unread("hidden", "network", info->name);
    if (o->context && !info->context) return clm_fail_unread("context", "network", info->name);
    return CLM_OK;
}

clm_status clm_model_network(clm_model **out, const char *name, const clm_network_options *options) {
    *out = NULL;
    if (!name) return clm_fail(CLM_E_ARG, "clm_model_network: name must not be NULL");
    const size_t i = clm_network_find(name);
    if (i == NETWORKS) return unknown_network(name);
    clm_status status = check_options(&networks[i].info, options);
    if (status != CLM_OK) return clm_fail_in(status, "%s", name);
    return build(out, &networks[i], options);
}

static clm_status check_conv4(const clm_conv4_options *o) {
    if (!o) return clm_fail(CLM_E_ARG, "conv4: options must not be NULL");
    if (o->version != CLM_CONV4_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "conv4: options of version %d; initialise them with CLM_CONV4_OPTIONS_INIT", o->version);
    if (o->filters < 1 || (o->ways < 1 && !o->headless) || o->channels < 1 || o->size < 1)
        return clm_fail(CLM_E_ARG, "conv4: filters, ways, channels and size must be at least 1");
    if (o->film_context < 0) return clm_fail(CLM_E_ARG, "conv4: film_context %d is less than 0", o->film_context);
    return CLM_OK;
}

clm_status clm_model_conv4(clm_model **out, const clm_conv4_options *options) {
    clm_network_options o = CLM_NETWORK_OPTIONS_INIT;
    *out = NULL;
    CLM_TRY(check_conv4(options));
    o.in_shape = clm_shape_of(3, options->channels, options->size, options->size);
    o.outputs = options->ways;
    o.filters = options->filters;
    o.context = options->film_context;
    o.headless = options->headless;
    return build(out, &networks[clm_network_find(options->strided ? "conv4-strided" : "conv4")], &o);
}

clm_status clm_model_mlp(clm_model **out, int in, const int *hidden, size_t n_hidden, int n_out) {
    clm_text json = {0};
    *out = NULL;
    if (!hidden && n_hidden > 0) return clm_fail(CLM_E_ARG, "mlp: hidden must not be NULL");
    clm_text_add(&json, "{\"in_shape\": [%d], \"layers\": [", in);
    for (size_t i = 0; i < n_hidden; i++) {
        with(&json, "linear", "out", hidden[i]);
        plain(&json, "relu");
    }
    with(&json, "linear", "out", n_out);
    clm_text_add(&json, "]}");
    clm_status status = json.failed ? clm_fail(CLM_E_MEMORY, "out of memory") : clm_model_parse(out, json.data, NULL);
    clm_text_free(&json);
    return status == CLM_OK ? CLM_OK : clm_fail_in(status, "mlp");
}
