/* A table of the options that make two runs different ones. Real numbers are written with all their digits. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "policy/train.h"

typedef enum kind { BOOL, WHOLE, LONG, REAL, TEXT } kind;

typedef struct field {
    const char *name;
    kind kind;
    size_t offset;
} field;

#define AT(member) offsetof(clm_policy_train_options, member)
#define POLICY(name, kind) \
    { #name, kind, AT(policy.name) }
#define OPTIM(name, kind) \
    { "optim." #name, kind, AT(policy.optim.name) }
#define OWN(name, kind) \
    { #name, kind, AT(name) }

#define SEEN(options, version)                                   \
    _Static_assert(CLM_##options##_OPTIONS_VERSION == (version), \
                   "a version that this table has not seen: give what is new in it a row, then the version here")
SEEN(POLICY_TRAIN, 2); /* eval_trajectories and eval_lr may change: they decide nothing that is trained */
SEEN(POLICY, 1);
SEEN(OPTIM, 1);
_Static_assert(sizeof(clm_policy_outer) == sizeof(int) && sizeof(clm_clip) == sizeof(int), "enumerations are kept as int");

static const field fields[] = {
    /* clang-format off */
    POLICY(tasks, WHOLE), POLICY(trajectories, WHOLE), POLICY(steps, WHOLE), POLICY(inner_lr, REAL), POLICY(first_order, BOOL),
    POLICY(discount, REAL), POLICY(gae_lambda, REAL), POLICY(outer, WHOLE), POLICY(trust_region, REAL),
    POLICY(solver_steps, WHOLE),
    POLICY(damping, REAL), POLICY(search_steps, WHOLE), POLICY(search_factor, REAL),
    OPTIM(rule, TEXT), OPTIM(lr, REAL), OPTIM(momentum, REAL), OPTIM(beta1, REAL), OPTIM(beta2, REAL), OPTIM(decay, REAL),
    OPTIM(eps, REAL), OPTIM(weight_decay, REAL), OPTIM(clip_kind, WHOLE), OPTIM(clip, REAL), OPTIM(schedule, TEXT),
    OPTIM(warmup, LONG), OPTIM(schedule_updates, LONG), OPTIM(lr_min, REAL), OPTIM(factor, REAL),
    OWN(seed, LONG), OWN(validate_every, LONG), OWN(log_every, LONG), OWN(validation_tasks, WHOLE), OWN(test_tasks, WHOLE),
    OWN(test_steps, WHOLE), OWN(test_lr, REAL),
    /* clang-format on */
};

static json_t *value_of(const clm_policy_train_options *o, const field *f) {
    const void *at = (const char *)o + f->offset;
    switch (f->kind) {
    case BOOL: return json_boolean(*(const bool *)at);
    case WHOLE: return json_integer(*(const int *)at);
    case LONG: return json_integer((json_int_t) * (const uint64_t *)at);
    case REAL: return json_real(*(const double *)at);
    case TEXT: return json_string(*(const char *const *)at);
    }
    return NULL;
}

char *clm_policy_record(const clm_policy_train_options *o, const clm_environment *e, const clm_model *model) {
    json_t *object = json_object();
    clm_json_set(object, "environment", json_string(e->name));
    clm_json_set(object, "horizon", json_integer(e->horizon));
    clm_json_set(object, "model", json_string(clm_model_json(model) ? clm_model_json(model) : "custom"));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) clm_json_set(object, fields[i].name, value_of(o, &fields[i]));
    char *text = clm_json_text(object, 0);
    json_decref(object);
    if (!text) clm_fail(CLM_E_MEMORY, "out of memory");
    return text;
}

clm_status clm_policy_record_check(const char *was, const char *is, const char *where) {
    json_t *before = was ? json_loads(was, 0, NULL) : NULL, *now = json_loads(is, 0, NULL);
    const char *key;
    json_t *value;
    clm_status status = CLM_OK;
    if (!before)
        status = clm_fail(CLM_E_FORMAT, "%s: no checkpoint of a policy's training: it lacks the options of its run", where);
    json_object_foreach(now, key, value) {
        const json_t *old = json_object_get(before, key);
        if (status != CLM_OK || json_equal(old, value)) continue;
        char *a = json_dumps(old, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)),
             *b = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        status = clm_fail(CLM_E_STATE,
                          "%s is of another run: %s was %s there and is %s now; resume with the same, or begin another run",
                          where, key, a ? a : "absent", b ? b : "absent");
        free(a);
        free(b);
    }
    json_decref(before);
    json_decref(now);
    return status;
}
