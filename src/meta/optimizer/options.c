/* The options of an outer optimiser are looked at before anything is made of them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "meta/optimizer/table.h"

static const struct field {
    const char *name;
    unsigned bit;     /* of the rows that read it; 0: it always counts */
    const char *what; /* NULL: a count, of which anything goes */
    size_t at;
    double below; /* values lie in [0, below) */
} fields[] = {
    {"lr", CLM_OPTIM_LR, "outer rate", offsetof(clm_optim_options, lr), INFINITY},
    {"momentum", CLM_OPTIM_MOMENTUM, "part of the last move", offsetof(clm_optim_options, momentum), INFINITY},
    {"beta1", CLM_OPTIM_BETA1, "decay of the mean", offsetof(clm_optim_options, beta1), 1},
    {"beta2", CLM_OPTIM_BETA2, "decay of the second moment", offsetof(clm_optim_options, beta2), 1},
    {"decay", CLM_OPTIM_DECAY, "decay of the mean of squares", offsetof(clm_optim_options, decay), 1},
    {"eps", CLM_OPTIM_EPS, "what is added to the root", offsetof(clm_optim_options, eps), INFINITY},
    {"weight_decay", CLM_OPTIM_WEIGHT_DECAY, "weight decay", offsetof(clm_optim_options, weight_decay), INFINITY},
    {"lr_min", CLM_OPTIM_LR_MIN, "least outer rate", offsetof(clm_optim_options, lr_min), INFINITY},
    {"factor", CLM_OPTIM_FACTOR, "factor of the outer rate", offsetof(clm_optim_options, factor), INFINITY},
    {"warmup", CLM_OPTIM_WARMUP, NULL, 0, 0},
    {"schedule_updates", CLM_OPTIM_UPDATES, NULL, 0, 0},
    {"average", 0, "decay of the moving average", offsetof(clm_optim_options, average), 1},
};
enum { FIELDS = sizeof fields / sizeof *fields };

unsigned clm_optim_field_named(const char *name) {
    if (!name) return 0;
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(fields[i].name, name) == 0) return fields[i].bit;
    return 0;
}

static clm_status check_field(const clm_optim_options *o, const struct field *f) {
    double value = 0;
    if (!f->what) return CLM_OK;
    memcpy(&value, (const char *)o + f->at, sizeof value);
    if (value >= 0 && value < f->below) return CLM_OK; /* not so for NaN */
    if (isinf(f->below)) return clm_fail(CLM_E_ARG, "%s %g: the %s must be a number and not negative", f->name, value, f->what);
    return clm_fail(CLM_E_ARG, "%s %g: the %s must lie in [0, %g)", f->name, value, f->what, f->below);
}

static clm_status unread_by(char *pair, size_t size, const clm_optim_options *o, const struct field *f) {
    snprintf(pair, size, "%s with schedule %s", o->rule, o->schedule);
    return clm_fail_unread(f->name, "outer rule", pair);
}

/* A number that neither the rule nor the schedule reads. 0 and the initial value say nothing. */
static clm_status check_unread(const clm_optim_options *o, const struct field *f) {
    const clm_optim_options initial = CLM_OPTIM_OPTIONS_INIT;
    double value = 0, usual = 0;
    char pair[96];
    if (!f->what) return o->schedule_updates && f->bit == CLM_OPTIM_UPDATES ? unread_by(pair, sizeof pair, o, f) : CLM_OK;
    memcpy(&value, (const char *)o + f->at, sizeof value);
    memcpy(&usual, (const char *)&initial + f->at, sizeof usual);
    return value == 0 || value == usual ? CLM_OK : unread_by(pair, sizeof pair, o, f);
}

/* "the outer rule 'adm' is not known; there are sgd, momentum, .." */
static clm_status unknown(const char *what, const char *name, size_t count, const char *(*nth)(size_t)) {
    char list[256] = "";
    for (size_t i = 0, at = 0; i < count && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", nth(i));
    return clm_fail(CLM_E_ARG, "the outer optimiser's %s '%s' is not known; there are %s", what, name ? name : "", list);
}

clm_status clm_optim_check(const clm_optim_options *o, const clm_optim_rule **rule, const clm_optim_schedule **schedule) {
    if (o->version != CLM_OPTIM_OPTIONS_VERSION)
        return clm_fail(CLM_E_ARG, "optimiser: options of version %d; initialise them with CLM_OPTIM_OPTIONS_INIT", o->version);
    *rule = clm_optim_rule_find(o->rule);
    if (!*rule) return unknown("rule", o->rule, clm_optim_rule_count(), clm_optim_rule_name);
    *schedule = clm_optim_schedule_find(o->schedule);
    if (!*schedule) return unknown("schedule", o->schedule, clm_optim_schedule_count(), clm_optim_schedule_name);
    const unsigned uses = (*rule)->uses | (*schedule)->uses;
    for (size_t i = 0; i < FIELDS; i++)
        CLM_TRY(!fields[i].bit || (fields[i].bit & uses) ? check_field(o, &fields[i]) : check_unread(o, &fields[i]));
    if ((uses & CLM_OPTIM_UPDATES) && o->schedule_updates == 0)
        return clm_fail(CLM_E_ARG, "the schedule %s needs schedule_updates: over how many updates it goes", (*schedule)->name);
    if (o->clip_kind < CLM_CLIP_NONE || o->clip_kind > CLM_CLIP_NORM)
        return clm_fail(CLM_E_ARG, "unknown way of clipping %d", (int)o->clip_kind);
    if (o->clip_kind == CLM_CLIP_NONE && o->clip != 0)
        return clm_fail(CLM_E_ARG, "clip %g without a clip_kind: say whether values or the norm are clipped", o->clip);
    if (o->clip_kind != CLM_CLIP_NONE && !(o->clip > 0))
        return clm_fail(CLM_E_ARG, "clipping at %g: it must be above 0", o->clip);
    return CLM_OK;
}
