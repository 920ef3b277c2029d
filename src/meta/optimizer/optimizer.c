/* An outer optimiser's state, and how an update is run.
 *
 * The update is queued together with the gradient that it is made from, so that the device goes on without asking the host.
 * Numbers that are not finite are seen afterwards: the update keeps what it replaces, and is undone then.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "meta/optimizer/update.h"

/* ---- state ---- */

clm_status clm_optimizer_init(clm_optimizer *o, clm_device *device, clm_tensor *params, clm_tensor *grad,
                              const clm_optim_options *options) {
    const clm_shape shape = clm_tensor_shape(params);
    assert(shape.rank == 1 && clm_tensor_size(grad) == clm_tensor_size(params));
    *o = (clm_optimizer){.device = device, .options = *options, .grad = grad};
    CLM_TRY(clm_optim_check(options, &o->rule, &o->schedule));
    o->options.rule = o->rule->name;
    o->options.schedule = o->schedule->name;
    o->state[CLM_STATE_PARAMS] = params;
    for (int i = 0; i < o->rule->moments; i++) CLM_TRY(clm_tensor_reserve(&o->state[CLM_STATE_FIRST + i], device, shape, 0));
    if (options->average != 0) CLM_TRY(clm_tensor_reserve(&o->state[CLM_STATE_AVERAGE], device, shape, 0));
    for (int i = 0; i < CLM_STATES; i++)
        if (o->state[i]) CLM_TRY(clm_tensor_reserve(&o->kept[i], device, shape, 0));
    CLM_TRY(clm_tensor_reserve(&o->norm, device, (clm_shape){0}, 0));
    o->n_scalars = o->state[CLM_STATE_AVERAGE] ? CLM_SCALARS : CLM_SCALAR_KEEP;
    CLM_TRY(clm_tensor_reserve(&o->scalars, device, clm_shape_of(1, (int)o->n_scalars), 0));
    for (size_t i = 0; i < o->n_scalars; i++) CLM_TRY(clm_tensor_view(&o->scalar[i], o->scalars, i, (clm_shape){0}, 0));
    return CLM_OK;
}

/* All tensors that it owns, NULL among them. */
enum { OWNED = 2 * CLM_STATES + 1 };
static void list_owned(const clm_optimizer *o, clm_tensor *owned[OWNED]) {
    size_t n = 0;
    for (int i = CLM_STATE_FIRST; i < CLM_STATES; i++) owned[n++] = o->state[i];
    for (int i = 0; i < CLM_STATES; i++) owned[n++] = o->kept[i];
    owned[n++] = o->norm;
    owned[n++] = o->scalars;
    assert(n == OWNED);
}

void clm_optimizer_free(clm_optimizer *o) {
    clm_tensor *owned[OWNED];
    clm_optimizer_unplan(o);
    for (size_t i = 0; i < o->n_scalars; i++) clm_tensor_free(o->scalar[i]);
    list_owned(o, owned);
    for (size_t i = 0; i < OWNED; i++) clm_tensor_free(owned[i]);
    *o = (clm_optimizer){0};
}

/* ---- programs ---- */

clm_status clm_optimizer_plan(clm_optimizer *o, clm_workspace *workspace) {
    clm_optimizer_unplan(o);
    CLM_TRY(clm_measure_program(o, workspace));
    return clm_update_program(o, workspace);
}

void clm_optimizer_unplan(clm_optimizer *o) {
    clm_program_free(o->measure);
    clm_program_free(o->update);
    o->measure = o->update = NULL;
}

clm_status clm_optimizer_prepare(clm_optimizer *o) {
    clm_tensor *owned[OWNED];
    list_owned(o, owned);
    for (size_t i = 0; i < OWNED; i++)
        if (owned[i]) CLM_TRY(clm_tensor_commit(owned[i]));
    CLM_TRY(clm_program_prepare(o->measure));
    return clm_program_prepare(o->update);
}

size_t clm_optimizer_bytes(const clm_optimizer *o) {
    clm_tensor *owned[OWNED];
    size_t bytes = 0;
    list_owned(o, owned);
    for (size_t i = 0; i < OWNED; i++)
        if (owned[i]) bytes += clm_tensor_bytes(owned[i]);
    if (o->measure) bytes += clm_program_get_stats(o->measure).tensor_bytes;
    if (o->update) bytes += clm_program_get_stats(o->update).tensor_bytes;
    return bytes;
}

/* ---- an update ---- */

double clm_optimizer_rate(const clm_optimizer *o) { return clm_optim_schedule_rate(o->schedule, &o->options, o->t); }

static clm_status write_scalars(clm_optimizer *o, int tasks) {
    const double t = (double)(o->t + 1);
    const double v[CLM_SCALARS] = {clm_optimizer_rate(o), 1.0 / tasks, 1 - pow(o->options.beta1, t),
                                   1 - pow(o->options.beta2, t), o->averaged ? o->options.average : 0};
    if (!clm_tensor_reads_later(o->device)) return clm_tensor_write_f64(o->scalars, v, o->n_scalars);
    for (size_t i = 0; i < o->n_scalars; i++) o->values[i] = (float)v[i];
    return clm_tensor_write_later(o->scalars, o->values, o->n_scalars);
}

/* The norm is read last: once it is there, so is the update. */
static const float not_there = -1;

static clm_status queue(clm_optimizer *o, int tasks) {
    o->length = not_there;
    o->queued = false;
    CLM_TRY(write_scalars(o, tasks));
    CLM_TRY(clm_program_run(o->measure));
    CLM_TRY(clm_program_run(o->update));
    o->queued = true;
    return clm_tensor_reads_later(o->device) ? clm_tensor_read_later(o->norm, &o->length, 1) : CLM_OK;
}

clm_status clm_optimizer_run(clm_optimizer *o, int tasks) {
    char why[512];
    const clm_status status = queue(o, tasks);
    if (status != CLM_OK) snprintf(why, sizeof why, "%s", clm_last_error());
    const clm_status waited = clm_device_finish(o->device);
    if (status == CLM_OK && waited == CLM_OK) return CLM_OK;
    if (status == CLM_OK) snprintf(why, sizeof why, "%s", clm_last_error());
    o->queued = o->queued && (waited == CLM_OK || o->length != not_there); /* otherwise it was not made */
    (void)clm_optimizer_undo(o);
    return clm_fail(status == CLM_OK ? waited : status, "%s", why);
}

clm_status clm_optimizer_norm(const clm_optimizer *o, double *norm) {
    if (!clm_tensor_reads_later(o->device)) return clm_tensor_read_f64(o->norm, norm, 1);
    *norm = (double)o->length;
    return CLM_OK;
}

void clm_optimizer_accept(clm_optimizer *o) {
    o->t++;
    o->averaged = o->state[CLM_STATE_AVERAGE] != NULL;
    o->queued = false;
}

void clm_optimizer_skip(clm_optimizer *o) { o->t++; }

clm_status clm_optimizer_undo(clm_optimizer *o) {
    if (!o->queued) return CLM_OK;
    for (int i = 0; i < CLM_STATES; i++)
        if (o->kept[i]) CLM_TRY(clm_tensor_copy(o->state[i], o->kept[i]));
    CLM_TRY(clm_device_finish(o->device));
    o->queued = false;
    return CLM_OK;
}

clm_tensor *clm_optimizer_average(const clm_optimizer *o) {
    clm_tensor *average = o->state[CLM_STATE_AVERAGE];
    return average && !o->averaged ? o->state[CLM_STATE_PARAMS] : average;
}
