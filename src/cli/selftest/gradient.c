/* See gradient.h. */
#include "selftest/gradient.h"

#include <math.h>
#include <stdlib.h>

/* Of all tasks: support x, y, query x, y. */
typedef struct examples {
    float *data[4];
    clm_batch batch;
} examples;

static double number_at(size_t i) { return sin(0.7 * (double)i + 0.3) + 0.5 * cos(2.3 * (double)i); }

/* Element i of all examples: a number, or for an embedding of so many entries a token. */
static float input_at(size_t i, int tokens) { return tokens ? (float)(i * 7 % (size_t)tokens) : (float)number_at(i); }

static clm_status make_examples(examples *e, const clm_model *model, const clm_meta_options *o) {
    const clm_shape in = clm_model_in_shape(model);
    const size_t count[2] = {(size_t)o->tasks * (size_t)o->task.support, (size_t)o->tasks * (size_t)o->task.query};
    const int tokens = clm_model_token_count(model, NULL);
    clm_status status = CLM_OK;
    size_t next = 0;
    for (size_t part = 0; part < 2; part++) {
        float **x = &e->data[2 * part], **y = &e->data[2 * part + 1];
        const size_t numbers = count[part] * clm_shape_size(&in);
        CLI_NEW(*x, numbers);
        CLI_NEW(*y, count[part]);
        for (size_t i = 0; i < numbers; i++) (*x)[i] = input_at(next++, tokens);
        for (size_t i = 0; i < count[part]; i++) (*y)[i] = (float)(i % (size_t)o->task.ways);
    }
    e->batch = (clm_batch){.support_x = e->data[0], .support_y = e->data[1], .query_x = e->data[2], .query_y = e->data[3]};
out:
    return status;
}

/* What is compared, each kind by its own norm: the gradient of all parameters end to end, and what comes by queued transfers. */
static const struct {
    clm_quantity quantity;
    bool per_parameter;
} kinds[] = {{CLM_Q_GRAD, true}, {CLM_Q_SUPPORT_LOSS, false}, {CLM_Q_QUERY_LOSS, false}, {CLM_Q_QUERY_LOGITS, false}};
enum { KINDS = (int)CLI_COUNT(kinds) };

typedef struct numbers {
    double *data; /* kind after kind */
    size_t n[KINDS];
} numbers;

static size_t indices(const clm_meta *meta, int kind) { return kinds[kind].per_parameter ? clm_meta_param_count(meta) : 1; }

static clm_status compute(clm_device *device, const clm_model *model, const clm_meta_options *options, const clm_batch *batch,
                          numbers *out) {
    clm_status status = CLM_OK;
    clm_meta *meta = NULL;
    size_t room = 0, at = 0;
    CLI_GOTO(clm_meta_create(&meta, device, model, options));
    CLI_GOTO(clm_meta_gradient(meta, batch));
    for (int k = 0; k < KINDS; room += out->n[k++])
        for (size_t i = 0; i < indices(meta, k); i++) out->n[k] += clm_meta_quantity_size(meta, kinds[k].quantity, i);
    CLI_NEW(out->data, room);
    for (int k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < indices(meta, k); i++) {
            const size_t size = clm_meta_quantity_size(meta, kinds[k].quantity, i);
            if (size) CLI_GOTO(clm_meta_read(meta, kinds[k].quantity, i, out->data + at));
            at += size;
        }
    }
out:
    clm_meta_free(meta);
    return status;
}

/* The largest of the kinds' errors. A kind that this algorithm has not is none; a gradient of zeros is infinitely wrong. */
static double largest_error(const numbers *ours, const numbers *reference) {
    double largest = 0;
    size_t at = 0;
    for (int k = 0; k < KINDS; at += reference->n[k++]) {
        cli_error_norm norm = {0, 0};
        if (reference->n[k] == 0 && !kinds[k].per_parameter) continue;
        cli_error_add(&norm, ours->data + at, reference->data + at, reference->n[k]);
        const double error = cli_error_value(&norm);
        if (!isfinite(error) || (kinds[k].per_parameter && !(norm.reference > 0))) return INFINITY;
        if (error > largest) largest = error;
    }
    return largest;
}

clm_status cli_gradient_compare(clm_device *device, clm_device *host, const char *network, const clm_meta_options *options,
                                double *error) {
    clm_status status = CLM_OK;
    clm_model *model = NULL;
    examples e = {{NULL}, {0}};
    numbers ours = {NULL, {0}}, reference = {NULL, {0}};
    CLI_GOTO(clm_model_parse(&model, network, NULL));
    CLI_GOTO(make_examples(&e, model, options));
    CLI_GOTO(compute(device, model, options, &e.batch, &ours));
    CLI_GOTO(compute(host, model, options, &e.batch, &reference));
    *error = largest_error(&ours, &reference);
out:
    for (int i = 0; i < 4; i++) free(e.data[i]);
    clm_model_free(model);
    free(ours.data);
    free(reference.data);
    return status;
}
