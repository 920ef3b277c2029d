/* One file of C99 that needs nothing but <math.h>: weights as constants, the functions that the model uses, and NAME_predict.
 * Values lie in one static array (places.h), so nothing is allocated and the function is not reentrant.
 *
 * Batch-norm becomes x a + b, with a = scale / sqrt(var + eps) and b = shift - mean a. */
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "export/c_helpers.h"
#include "export/internal.h"
#include "export/places.h"

typedef struct source {
    const clm_steps *steps;
    clm_places places;
    clm_text data, body; /* the constants, the body of NAME_predict */
    bool uses[CLM_C_HELPER_COUNT];
    char upper[64];
} source;

typedef struct c_name {
    char s[160];
} c_name;

/* ---- names and numbers ---- */

/* "model_4_0_weight" */
static c_name array_name(const source *c, const char *array) {
    c_name name;
    snprintf(name.s, sizeof name.s, "%s_%s", c->steps->name, array);
    for (char *at = name.s; *at; at++)
        if (*at == '.') *at = '_';
    return name;
}

static c_name name_of(const source *c, size_t array) {
    c_name none = {"0"};
    return array == CLM_NO_ARRAY ? none : array_name(c, c->steps->arrays[array].name);
}

static c_name value(const source *c, size_t i) {
    c_name name;
    if (c->places.at[i] == CLM_PLACE_INPUT)
        snprintf(name.s, sizeof name.s, "input");
    else
        snprintf(name.s, sizeof name.s, "values + %zu", c->places.at[i]);
    return name;
}

/* All digits of a float, with a point whatever the locale is. */
static c_name number(float x) {
    char text[64];
    c_name name = {""};
    size_t n = 0;
    bool whole = true;
    snprintf(text, sizeof text, "%.9g", (double)x);
    for (const char *at = text; *at; at++) {
        const bool known = strchr("0123456789+-e", *at) != NULL;
        if (known || name.s[n - 1] != '.') name.s[n++] = known ? *at : '.';
        whole = whole && (isdigit((unsigned char)*at) || at == text);
    }
    snprintf(name.s + n, sizeof name.s - n, whole ? ".0f" : "f");
    return name;
}

static void add_constants(source *c, const char *name, const float *data, size_t n) {
    enum { A_LINE = 8 };
    clm_text_add(&c->data, "static const float %s[%zu] = {", name, n);
    for (size_t i = 0; i < n; i++)
        clm_text_add(&c->data, "%s%s", i == 0 ? "\n    " : i % A_LINE ? ", " : ",\n    ", number(data[i]).s);
    clm_text_add(&c->data, "};\n");
}

static const char *array(source *c, size_t i, c_name *name) {
    const clm_array *a = clm_steps_array(c->steps, i);
    *name = name_of(c, i);
    if (a) add_constants(c, name->s, a->data, a->count);
    return name->s;
}

static void use(source *c, clm_c_helper helper) { c->uses[helper] = true; }

/* ---- steps: a call each, y and x as texts ---- */

static int height(const clm_shape *s) { return s->rank == 3 ? s->dim[1] : 1; }
static int width(const clm_shape *s) { return s->dim[s->rank - 1]; }

static void write_conv(source *c, const clm_export_step *s, const char *x, const char *y) {
    c_name weight, bias;
    use(c, CLM_C_CONV);
    array(c, s->weight, &weight);
    array(c, s->bias, &bias);
    clm_text_add(&c->body,
                 "    {\n        static const long s[15] = {%d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d};\n"
                 "        conv(%s, %s, %s, %s, s);\n    }\n",
                 (int)s->to.dim[0], height(&s->to), width(&s->to), (int)s->from.dim[0], height(&s->from), width(&s->from),
                 s->kernel[0], s->kernel[1], s->stride[0], s->stride[1], s->pad[0], s->pad[1], s->dilation[0], s->dilation[1],
                 s->groups, x, y, weight.s, bias.s);
}

static void write_pool(source *c, const clm_export_step *s, const char *x, const char *y) {
    const bool most = s->kind == CLM_STEP_MAXPOOL;
    use(c, most ? CLM_C_MAXPOOL : CLM_C_AVGPOOL);
    clm_text_add(&c->body,
                 "    {\n        static const long s[11] = {%d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d};\n        %s(%s, %s, "
                 "s);\n    }\n",
                 (int)s->to.dim[0], height(&s->to), width(&s->to), height(&s->from), width(&s->from), s->kernel[0],
                 s->kernel[1], s->stride[0], s->stride[1], s->pad[0], s->pad[1], most ? "maxpool" : "avgpool", x, y);
}

static size_t rows(const clm_export_step *s) { return clm_shape_size(&s->from) / (size_t)width(&s->from); }

static void write_linear(source *c, const clm_export_step *s, const char *x, const char *y) {
    c_name weight, bias;
    use(c, CLM_C_LINEAR);
    array(c, s->weight, &weight);
    array(c, s->bias, &bias);
    clm_text_add(&c->body, "    linear(%s, %s, %s, %s, %zu, %d, %d);\n", x, y, weight.s, bias.s, rows(s), width(&s->from),
                 width(&s->to));
}

static void call_scale(source *c, const clm_export_step *s, const char *x, const char *y, const char *a, const char *b,
                       size_t count) {
    use(c, CLM_C_SCALE);
    clm_text_add(&c->body, "    scale(%s, %s, %s, %s, %zu, %zu, %zu);\n", x, y, a, b, clm_shape_size(&s->from), s->inner,
                 count);
}

static void write_scale(source *c, const clm_export_step *s, const char *x, const char *y) {
    c_name a, b;
    array(c, s->scale, &a);
    array(c, s->shift, &b);
    call_scale(c, s, x, y, a.s, b.s, clm_steps_array(c->steps, s->scale)->count);
}

static void write_norm(source *c, const clm_export_step *s, const char *x, const char *y) {
    const clm_array *scale = clm_steps_array(c->steps, s->scale), *shift = clm_steps_array(c->steps, s->shift),
                    *mean = clm_steps_array(c->steps, s->mean), *var = clm_steps_array(c->steps, s->var);
    const c_name a = name_of(c, s->scale), b = name_of(c, s->shift);
    const size_t n = scale->count;
    float *both = clm_calloc(2 * n, sizeof *both);
    if (!both) {
        c->data.failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const double factor = (double)scale->data[i] / sqrt((double)var->data[i] + s->eps);
        both[i] = (float)factor;
        both[n + i] = (float)((double)shift->data[i] - factor * (double)mean->data[i]);
    }
    add_constants(c, a.s, both, n);
    add_constants(c, b.s, both + n, n);
    free(both);
    call_scale(c, s, x, y, a.s, b.s, n);
}

static void write_group(source *c, const clm_export_step *s, const char *x, const char *y) {
    use(c, CLM_C_GROUP);
    clm_text_add(&c->body, "    group(%s, %s, %d, %zu, %s);\n", x, y, s->groups, clm_shape_size(&s->from) / (size_t)s->groups,
                 number((float)s->eps).s);
    write_scale(c, s, y, y);
}

static void write_rms(source *c, const clm_export_step *s, const char *x, const char *y) {
    use(c, CLM_C_RMS);
    clm_text_add(&c->body, "    rms(%s, %s, %zu, %d, %s);\n", x, y, rows(s), width(&s->from), number((float)s->eps).s);
    write_scale(c, s, y, y);
}

static void write_unary(source *c, const clm_export_step *s, const char *x, const char *y) {
    clm_text_add(&c->body, "    apply_%s(%s, %s, %zu, %s);\n", s->layer->kind->op, x, y, clm_shape_size(&s->from),
                 number((float)s->setting).s);
}

static void write_softmax(source *c, const clm_export_step *s, const char *x, const char *y) {
    use(c, CLM_C_SOFTMAX);
    clm_text_add(&c->body, "    softmax(%s, %s, %zu, %d, %d);\n", x, y, rows(s), width(&s->from), s->kind == CLM_STEP_LOGSOFT);
}

static void write_mean(source *c, const clm_export_step *s, const char *x, const char *y) {
    use(c, CLM_C_MEAN);
    clm_text_add(&c->body, "    mean(%s, %s, %d, %zu);\n", x, y, (int)s->from.dim[0], clm_channel_size(&s->from));
}

/* The elements stay where they are. */
static void write_shape(source *c, const clm_export_step *s, const char *x, const char *y) {
    (void)c, (void)s, (void)x, (void)y;
}

static void write_append(source *c, const clm_export_step *s, const char *x, const char *y) {
    c_name tail;
    use(c, CLM_C_COPY);
    array(c, s->shift, &tail);
    clm_text_add(&c->body, "    copy(%s, %s, %d);\n    copy(%s, %s + %d, %d);\n", x, y, (int)s->from.dim[0], tail.s, y,
                 (int)s->from.dim[0], (int)(s->to.dim[0] - s->from.dim[0]));
}

static void write_add(source *c, const clm_export_step *s, const char *x, const char *y) {
    use(c, CLM_C_ADD);
    clm_text_add(&c->body, "    add(%s, %s, %s, %zu);\n", x, value(c, s->in[1]).s, y, clm_shape_size(&s->to));
}

static void (*const writers[CLM_STEP_COUNT])(source *c, const clm_export_step *s, const char *x, const char *y) = {
    [CLM_STEP_CONV] = write_conv,    [CLM_STEP_LINEAR] = write_linear,   [CLM_STEP_NORM] = write_norm,
    [CLM_STEP_SCALE] = write_scale,  [CLM_STEP_GROUP] = write_group,     [CLM_STEP_RMS] = write_rms,
    [CLM_STEP_UNARY] = write_unary,  [CLM_STEP_SOFTMAX] = write_softmax, [CLM_STEP_LOGSOFT] = write_softmax,
    [CLM_STEP_MAXPOOL] = write_pool, [CLM_STEP_AVGPOOL] = write_pool,    [CLM_STEP_MEAN] = write_mean,
    [CLM_STEP_SHAPE] = write_shape,  [CLM_STEP_APPEND] = write_append,   [CLM_STEP_ADD] = write_add,
};

static bool has(clm_step_kind kind) { return writers[kind] != NULL; }

static void write_steps(source *c) {
    const clm_steps *s = c->steps;
    for (size_t i = 0; i < s->count; i++)
        writers[s->steps[i].kind](c, &s->steps[i], value(c, s->steps[i].in[0]).s, value(c, s->steps[i].out).s);
    use(c, CLM_C_COPY);
    clm_text_add(&c->body, "    copy(%s, output, %zu);\n", value(c, s->count).s, clm_shape_size(&s->model->out));
}

/* ---- what stands around them ---- */

/* A C string: bytes beyond ASCII in octal, and no trigraphs. */
static void add_string(clm_text *to, const char *text) {
    clm_text_add(to, "\"");
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        const bool plain = *at >= 32 && *at < 127 && *at != '"' && *at != '\\' && *at != '?';
        clm_text_add(to, plain ? "%c" : "\\%03o", *at);
    }
    clm_text_add(to, "\"");
}

static void add_classes(const source *c, clm_text *to) {
    json_t *names = c->steps->classes ? json_loads(c->steps->classes, 0, NULL) : NULL;
    const size_t n = json_array_size(names);
    const char *name = c->steps->name;
    if (n)
        clm_text_add(to, "extern const char *const %s_classes[%zu]; /* names, UTF-8 */\nconst char *const %s_classes[%zu] = {",
                     name, n, name, n);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(names, i));
        clm_text_add(to, i ? ",\n    " : "\n    ");
        add_string(to, text ? text : "");
    }
    if (n) clm_text_add(to, "};\n");
    json_decref(names);
}

/* Numbers alone: nothing of a file's texts stands in a comment. */
static void add_preparation(const source *c, const clm_preparation *p, clm_text *to) {
    static const char *const fits[] = {"stretched to a square", "cut to the largest square in its middle",
                                       "padded to a square"};
    clm_text_add(to,
                 "/* A picture is %s, resampled to %d x %d pixels %s%s, by the mean over areas (a box\n"
                 " * filter); transparent parts and padding are grey %d. Then value = (byte / 255 - %s_MEAN) / %s_DEVIATION,\n"
                 " * a channel each. */\n",
                 fits[p->fit], p->size, p->size, p->channels == 1 ? "of grey" : "of red, green, blue",
                 p->invert ? ", every byte b made 255 - b" : "", p->background, c->upper, c->upper);
    for (int what = 0; what < 2; what++) {
        clm_text_add(to, "#define %s_%s {", c->upper, what ? "DEVIATION" : "MEAN");
        for (int k = 0; k < p->channels; k++)
            clm_text_add(to, "%s%s", k ? ", " : "", number((float)(what ? p->deviation[k] : p->mean[k])).s);
        clm_text_add(to, "}\n");
    }
}

static void add_head(const source *c, clm_text *to) {
    const clm_model *m = c->steps->model;
    static const char *const axes[3][3] = {{"N"}, {"CHANNELS", "LENGTH"}, {"CHANNELS", "HEIGHT", "WIDTH"}};
    char in[96], out[96];
    clm_text_add(to,
                 "/* Written by clMAML %s: an adapted model in C99.\n"
                 " *\n"
                 " *     void %s_predict(const float *input, float *output);\n"
                 " *\n"
                 " * input is one example %s in C order, output its scores %s. It keeps %zu floats of values in\n"
                 " * static memory, so it is not reentrant; nothing is allocated. */\n"
                 "#include <math.h>\n\n",
                 clm_version(), c->steps->name, clm_shape_text(&m->in, in, sizeof in), clm_shape_text(&m->out, out, sizeof out),
                 c->places.total);
    clm_text_add(to, "#define %s_INPUTS %zu\n#define %s_OUTPUTS %zu\n", c->upper, clm_shape_size(&m->in), c->upper,
                 clm_shape_size(&m->out));
    for (int i = 0; i < m->in.rank && m->in.rank > 1; i++)
        clm_text_add(to, "#define %s_%s %d\n", c->upper, axes[m->in.rank - 1][i], (int)m->in.dim[i]);
    if (c->steps->preparation) add_preparation(c, &c->steps->pictures, to);
    add_classes(c, to);
    clm_text_add(to, "void %s_predict(const float *input, float *output);\n\n", c->steps->name);
}

/* The functions in use, activations last. */
static void add_helpers(const source *c, clm_text *to) {
    const clm_steps *s = c->steps;
    for (int i = 0; i < CLM_C_HELPER_COUNT; i++)
        if (c->uses[i]) clm_text_add(to, "\n%s", clm_c_helpers[i]);
    for (size_t i = 0; i < s->count; i++) {
        bool before = s->steps[i].kind != CLM_STEP_UNARY;
        const char *op = s->steps[i].layer->kind->op;
        for (size_t k = 0; k < i && !before; k++) before = strcmp(s->steps[k].layer->kind->op, op) == 0;
        if (before) continue;
        clm_text_add(to,
                     "\nstatic void apply_%s(const float *from, float *to, long n, float p) {\n"
                     "    long i;\n"
                     "    (void)p;\n"
                     "    for (i = 0; i < n; i++) {\n"
                     "        const float x = from[i];\n"
                     "        to[i] = %s;\n"
                     "    }\n"
                     "}\n",
                     op, clm_export_unary_find(op)->c);
    }
}

static void assemble(const source *c, clm_text *to) {
    add_head(c, to);
    if (c->data.data) clm_text_add(to, "%s", c->data.data);
    add_helpers(c, to);
    if (c->places.total) clm_text_add(to, "\nstatic float values[%zu];\n", c->places.total);
    clm_text_add(to, "\nvoid %s_predict(const float *input, float *output) {\n%s}\n", c->steps->name, c->body.data);
}

static clm_status write(const clm_steps *s, const char *path) {
    source *c = clm_calloc(1, sizeof *c);
    clm_text text = {0};
    clm_status status = CLM_OK;
    if (!c) return CLM_E_MEMORY;
    c->steps = s;
    for (size_t i = 0; s->name[i] && i + 1 < sizeof c->upper; i++) c->upper[i] = (char)toupper((unsigned char)s->name[i]);
    CLM_GOTO(clm_places_create(&c->places, s));
    write_steps(c);
    if (!c->body.failed) assemble(c, &text);
    if (c->data.failed || c->body.failed || text.failed) CLM_GOTO(clm_fail(CLM_E_MEMORY, "out of memory for a file of C"));
    status = clm_file_write(path, text.data, text.length);
out:
    clm_places_free(&c->places);
    clm_text_free(&c->data);
    clm_text_free(&c->body);
    clm_text_free(&text);
    free(c);
    return status;
}

const clm_export_format clm_export_format_c = {"c", "one file of C99 that needs <math.h> alone, for microcontrollers", has,
                                               write};
