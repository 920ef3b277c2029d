/* An iteration's work with its results, for other programs to be compared with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/internal.h"

static clm_status add_tensor(clm_archive *archive, const char *name, clm_tensor *t) {
    const clm_shape one = clm_tensor_shape(t);
    clm_shape whole = {.rank = one.rank + 1, .dim = {(int32_t)clm_tensor_tasks(t)}};
    double *values = clm_calloc(clm_tensor_size(t), sizeof *values);
    if (!values) return CLM_E_MEMORY;
    memcpy(whole.dim + 1, one.dim, (size_t)one.rank * sizeof one.dim[0]);
    clm_status status = clm_tensor_read_f64(t, values, clm_tensor_size(t));
    if (status == CLM_OK) status = clm_archive_add(archive, name, CLM_F32, &whole, values);
    free(values);
    return status;
}

/* A flat vector, entry by entry, as "PREFIX.NAME". */
static clm_status add_vector(clm_archive *archive, const clm_policy *p, const char *prefix, const double *values) {
    char name[160];
    for (size_t i = 0; i < p->n_entries; i++) {
        const clm_policy_entry *e = &p->entries[i];
        const char *plain = strncmp(e->name, "param.", 6) == 0 ? e->name + 6 : e->name;
        snprintf(name, sizeof name, "%s.%s", prefix, plain);
        CLM_TRY(clm_archive_add(archive, name, CLM_F32, &e->shape, values + e->at));
    }
    return CLM_OK;
}

static clm_status add_sets(clm_archive *archive, const clm_policy *p) {
    char name[32];
    for (int k = 0; k <= p->options.steps; k++) {
        const struct {
            const char *what;
            clm_tensor *tensor;
        } parts[] = {{"x", p->sets[k].x}, {"y", p->sets[k].y}, {"weight", p->sets[k].weight}};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            snprintf(name, sizeof name, "set.%d.%s", k, parts[i].what);
            CLM_TRY(add_tensor(archive, name, parts[i].tensor));
        }
    }
    return CLM_OK;
}

static clm_status compute(clm_policy *p, uint64_t seed, double *values, double *product, clm_archive *archive) {
    CLM_TRY(clm_params_reset(p->params, seed));
    CLM_TRY(clm_policy_set(p, p->params));
    CLM_TRY(clm_tensor_read_f64(p->theta.whole, values, p->elements));
    CLM_TRY(add_vector(archive, p, "param", values));
    CLM_TRY(clm_policy_sample(p, seed, 0));
    CLM_TRY(add_sets(archive, p));
    CLM_TRY(clm_policy_gradient(p, values));
    CLM_TRY(add_tensor(archive, "loss", p->loss));
    CLM_TRY(add_vector(archive, p, "gradient", values));
    CLM_TRY(clm_policy_fisher(p, values, product));
    return add_vector(archive, p, "product", product);
}

static clm_status example(clm_device *device, const clm_environment *environment, const clm_model *model,
                          const clm_policy_options *options, uint64_t seed, clm_archive *archive) {
    clm_policy *p = NULL;
    double *values = NULL;
    clm_status status = CLM_OK;
    if (options->outer != CLM_OUTER_TRPO)
        return clm_fail(CLM_E_ARG, "outer is %s; Fisher products are those of CLM_OUTER_TRPO",
                        clm_policy_outer_name(options->outer));
    CLM_GOTO(clm_policy_create(&p, device, environment, model, options));
    values = clm_calloc(2 * p->elements, sizeof *values);
    CLM_GOTO(values ? compute(p, seed, values, values + p->elements, archive) : CLM_E_MEMORY);
out:
    free(values);
    clm_policy_free(p);
    return status;
}

clm_status clm_policy_example(clm_device *device, const clm_environment *environment, const clm_model *model,
                              const clm_policy_options *options, uint64_t seed, clm_archive *archive) {
    CLM_IN_DEVICE(device, example(device, environment, model, options, seed, archive));
}
