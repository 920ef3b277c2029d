/* The table of algorithms, and the options that a row does not read. */
#include <stdio.h>
#include <string.h>

#include "meta/algorithm/algorithm.h"

/* X(row): clm_algorithm_<row>, defined in a file beside this one. */
#define ALGORITHM_LIST(X) \
    X(maml)               \
    X(fomaml)             \
    X(anil)               \
    X(boil)               \
    X(metasgd)            \
    X(mamlpp)             \
    X(cavia)              \
    X(reptile)            \
    X(imaml)              \
    X(protonet)           \
    X(protomaml)          \
    X(finetune)           \
    X(pretrain)

#define ALGORITHM_ROW(row) extern const clm_algorithm clm_algorithm_##row;
#define ALGORITHM_ADDRESS(row) &clm_algorithm_##row,
ALGORITHM_LIST(ALGORITHM_ROW)
static const clm_algorithm *const algorithms[] = {ALGORITHM_LIST(ALGORITHM_ADDRESS)};
enum { ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

const clm_algorithm *clm_algorithm_find(const char *name) {
    for (int i = 0; i < ALGORITHMS; i++)
        if (strcmp(algorithms[i]->info.name, name) == 0) return algorithms[i];
    return NULL;
}

size_t clm_algorithm_count(void) { return ALGORITHMS; }
const char *clm_algorithm_name(size_t i) { return i < ALGORITHMS ? algorithms[i]->info.name : NULL; }
clm_algorithm_info clm_algorithm_get_info(size_t i) { return i < ALGORITHMS ? algorithms[i]->info : (clm_algorithm_info){0}; }

static const char *const option_names[] = {
#define TAKES_NAME(NAME, text) [CLM_TAKES_BIT_##NAME] = text,
    CLM_TAKES_LIST(TAKES_NAME)
#undef TAKES_NAME
        [CLM_TAKES_BITS] = "inner-lr", /* that of the steps */
};

const char *clm_algorithm_option_name(size_t i) {
    return i < sizeof option_names / sizeof *option_names ? option_names[i] : NULL;
}

bool clm_algorithm_uses(const char *algorithm, const char *option) {
    const clm_algorithm *a = algorithm && option ? clm_algorithm_find(algorithm) : NULL;
    for (int bit = 0; a && bit < CLM_TAKES_BITS; bit++)
        if (strcmp(option_names[bit], option) == 0) return a->takes & (1u << bit);
    return a && strcmp(option, option_names[CLM_TAKES_BITS]) == 0 && (a->takes & CLM_TAKES(STEPS));
}

/* The first field of the options that the algorithm does not read and that is not as it is initially; NULL: none. `ways` may be
 * said to any algorithm: it is looked at with the model (task.c). */
static const char *unread(const clm_algorithm *a, const clm_task_options *o) {
    const clm_task_options initial = CLM_TASK_OPTIONS_INIT;
    const clm_inner_options *i = &o->inner;
#define FIELD(NAME, field, differs) \
    if (!(a->takes & CLM_TAKES(NAME)) && (differs)) return field;
#define NUMBER(NAME, field) FIELD(NAME, #field, o->field != 0 && o->field != initial.field)
    NUMBER(STEPS, steps)
    NUMBER(STEPS, inner_lr)
    FIELD(INNER, "inner.rule", i->rule && strcmp(i->rule, initial.inner.rule) != 0)
    NUMBER(INNER, inner.weight_decay)
    NUMBER(INNER, inner.clip_value)
    NUMBER(INNER, inner.clip_norm)
    NUMBER(ORDER, first_order)
    NUMBER(RATES, rates)
    FIELD(WEIGHTS, "step_weights", o->step_weights)
    FIELD(MASKS, "adapt", o->n_adapt)
    FIELD(MASKS, "freeze", o->n_freeze)
    FIELD(MASKS, "unlearned", o->n_unlearned)
    NUMBER(SUPPORT_PER_STEP, support_per_step)
    NUMBER(NORM_PER_STEP, batch_norm_per_step)
    NUMBER(PROXIMAL, proximal)
    NUMBER(PROXIMAL, solver)
    NUMBER(PROXIMAL, solver_steps)
#undef NUMBER
#undef FIELD
    return NULL;
}

clm_status clm_algorithm_check(const clm_algorithm *a, const clm_task_options *o) {
    const char *field = unread(a, o);
    return field ? clm_fail_unread(field, "algorithm", a->info.name) : CLM_OK;
}

static clm_status unknown(const char *name) {
    char known[400];
    size_t length = 0;
    known[0] = 0;
    for (int i = 0; i < ALGORITHMS && length < sizeof known; i++)
        length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "", algorithms[i]->info.name);
    return clm_fail(CLM_E_ARG, "unknown algorithm \"%.40s\"; known: %s", name, known);
}

clm_status clm_task_options_resolve(clm_task_options *o) {
    if (!o->algorithm) o->algorithm = "maml";
    const clm_algorithm *a = clm_algorithm_find(o->algorithm);
    if (!a) return unknown(o->algorithm);
    o->algorithm = a->info.name;
    return a->imply ? a->imply(o) : CLM_OK;
}

void clm_step_weights_annealed(int steps, uint64_t t, uint64_t over, double *weights) {
    const double K = steps, equal = 1 / K, least = 0.03 / K;
    const double done = over == 0 || t >= over ? 1 : (double)t / (double)over;
    for (int k = 0; k < steps; k++) weights[k] = equal + (least - equal) * done;
    weights[steps - 1] = 1 - (K - 1) * weights[0];
    if (steps == 1) weights[0] = 1;
}
