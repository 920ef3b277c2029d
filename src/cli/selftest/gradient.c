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

static clm_status make_examples(examples *e, const clm_model *model, const clm_meta_options *o) {
    const clm_shape in = clm_model_in_shape(model);
    const size_t count[2] = {(size_t)o->tasks * (size_t)o->task.support, (size_t)o->tasks * (size_t)o->task.query};
    clm_status status = CLM_OK;
    size_t next = 0;
    for (size_t part = 0; part < 2; part++) {
        float **x = &e->data[2 * part], **y = &e->data[2 * part + 1];
        const size_t numbers = count[part] * clm_shape_size(&in);
        CLI_NEW(*x, numbers);
        CLI_NEW(*y, count[part]);
        for (size_t i = 0; i < numbers; i++) (*x)[i] = (float)number_at(next++);
        for (size_t i = 0; i < count[part]; i++) (*y)[i] = (float)(i % (size_t)o->task.ways);
    }
    e->batch = (clm_batch){.support_x = e->data[0], .support_y = e->data[1], .query_x = e->data[2], .query_y = e->data[3]};
out:
    return status;
}

/* All parameters end to end, newly allocated. */
static clm_status gradient(clm_device *device, const clm_model *model, const clm_meta_options *options, const clm_batch *batch,
                           double **out, size_t *n) {
    clm_status status = CLM_OK;
    clm_meta *meta = NULL;
    CLI_GOTO(clm_meta_create(&meta, device, model, options));
    CLI_GOTO(clm_meta_gradient(meta, batch));
    size_t room = 0;
    for (size_t i = 0; i < clm_meta_param_count(meta); i++) room += clm_meta_quantity_size(meta, CLM_Q_GRAD, i);
    CLI_NEW(*out, room);
    *n = 0;
    for (size_t i = 0; i < clm_meta_param_count(meta); i++) {
        const size_t size = clm_meta_quantity_size(meta, CLM_Q_GRAD, i);
        if (size) CLI_GOTO(clm_meta_read(meta, CLM_Q_GRAD, i, *out + *n));
        *n += size;
    }
out:
    clm_meta_free(meta);
    return status;
}

clm_status cli_gradient_compare(clm_device *device, clm_device *host, const char *network, const clm_meta_options *options,
                                double *error) {
    clm_status status = CLM_OK;
    clm_model *model = NULL;
    examples e = {{NULL}, {0}};
    double *ours = NULL, *reference = NULL;
    cli_error_norm norm = {0, 0};
    size_t n = 0;
    CLI_GOTO(clm_model_parse(&model, network, NULL));
    CLI_GOTO(make_examples(&e, model, options));
    CLI_GOTO(gradient(device, model, options, &e.batch, &ours, &n));
    CLI_GOTO(gradient(host, model, options, &e.batch, &reference, &n));
    cli_error_add(&norm, ours, reference, n);
    *error = cli_error_value(&norm);
    if (!isfinite(*error) || !(norm.reference > 0)) *error = INFINITY;
out:
    for (int i = 0; i < 4; i++) free(e.data[i]);
    clm_model_free(model);
    free(ours);
    free(reference);
    return status;
}
