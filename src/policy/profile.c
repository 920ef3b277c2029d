/* Where the time of an iteration goes: tables of its programs' launches. */
#include <stdio.h>
#include <stdlib.h>

#include "policy/internal.h"

typedef struct profiled {
    const char *what;
    clm_program *const *programs; /* NULL: there are none */
    size_t count;
    const char *least; /* "at least ", or "" */
    int times;         /* in an iteration */
} profiled;

static clm_status write_tables(const clm_policy *p, int runs, FILE *to) {
    const clm_policy_programs *all = &p->programs;
    const clm_policy_options *o = &p->options;
    const size_t chunks = (size_t)(o->tasks / p->chunk);
    const profiled rows[] = {
        {"sampling step: the actions of a time step", &all->act, 1, "", (o->steps + 1) * p->environment.horizon},
        {"inner step of sampling", all->adapt[0], chunks, "", o->steps},
        {"gradient", all->gradient, chunks, "", 1},
        {"Fisher product", all->fisher, chunks, "", o->solver_steps},
        {"trial: a step of the line search", all->trial, chunks, "at least ", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const profiled *r = &rows[i];
        if (!r->programs) continue;
        fprintf(to, "%s%s, %s%d in an iteration\n", i ? "\n" : "", r->what, r->least, r->times);
        CLM_TRY(clm_programs_profile(r->programs, r->count, runs, to));
    }
    return CLM_OK;
}

/* The programs work on numbers that an iteration gives them. */
static clm_status iterate(clm_policy *p, double *values) {
    CLM_TRY(clm_params_reset(p->params, 1));
    CLM_TRY(clm_policy_set(p, p->params));
    CLM_TRY(clm_policy_sample(p, 1, 0));
    CLM_TRY(clm_policy_gradient(p, values));
    return p->programs.fisher ? clm_policy_fisher(p, values, values) : CLM_OK;
}

static clm_status profile(clm_device *device, const clm_environment *environment, const clm_model *model,
                          const clm_policy_options *options, int runs, FILE *to) {
    clm_policy *p = NULL;
    double *values = NULL;
    clm_status status = CLM_OK;
    CLM_GOTO(clm_policy_create(&p, device, environment, model, options));
    values = clm_calloc(p->elements, sizeof *values);
    CLM_GOTO(values ? iterate(p, values) : CLM_E_MEMORY);
    CLM_GOTO(write_tables(p, runs, to));
out:
    free(values);
    clm_policy_free(p);
    return status;
}

clm_status clm_policy_profile(clm_device *device, const clm_environment *environment, const clm_model *model,
                              const clm_policy_options *options, int runs, FILE *to) {
    CLM_IN_DEVICE(device, profile(device, environment, model, options, runs, to));
}
