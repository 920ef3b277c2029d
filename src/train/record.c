/* A table of the options that make two runs different ones. What may change on resuming, iterations and where things are, is
 * not in it. Real numbers are written with all their digits, so a comparison is exact. */
#include "train/record.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"

typedef enum kind { BOOL, WHOLE, LONG, SIZE, REAL, TEXT, WEIGHTS, PREFIXES } kind;

typedef struct field {
    const char *name;
    kind kind;
    size_t offset, count; /* count: where the number of PREFIXES is */
} field;

#define AT(member) offsetof(clm_train_options, member)
#define TASK(name, kind) \
    { "task." #name, kind, AT(meta.task.name), 0 }
#define OPTIM(name, kind) \
    { "optim." #name, kind, AT(meta.optim.name), 0 }
#define PREFIX(name) \
    { "task." #name, PREFIXES, AT(meta.task.name), AT(meta.task.n_##name) }
#define META(name, kind) \
    { #name, kind, AT(meta.name), 0 }
#define OWN(name, kind) \
    { #name, kind, AT(name), 0 }

#define SEEN(options, version)                                   \
    _Static_assert(CLM_##options##_OPTIONS_VERSION == (version), \
                   "a version that this table has not seen: give what is new in it a row, then the version here")
SEEN(TRAIN, 4);
SEEN(META, 4);
SEEN(TASK, 2);
SEEN(EPISODE, 2);
SEEN(OPTIM, 1);
SEEN(AUGMENT, 1);
_Static_assert(sizeof(clm_rates) == sizeof(int) && sizeof(clm_clip) == sizeof(int), "enumerations are kept as int");

static const field fields[] = {
    /* clang-format off */
    {"ways", WHOLE, AT(episodes.ways), 0}, {"shots", WHOLE, AT(episodes.shots), 0}, {"query", WHOLE, AT(episodes.query), 0},
    {"ways_least", WHOLE, AT(episodes.ways_least), 0}, {"shots_least", WHOLE, AT(episodes.shots_least), 0},
    {"joint_classes", SIZE, AT(episodes.joint_classes), 0},
    TASK(algorithm, TEXT), TASK(steps, WHOLE), TASK(inner_lr, REAL),
    TASK(inner.rule, TEXT), TASK(inner.momentum, REAL), TASK(inner.beta1, REAL), TASK(inner.beta2, REAL),
    TASK(inner.decay, REAL), TASK(inner.eps, REAL), TASK(inner.eps_root, REAL), TASK(inner.weight_decay, REAL), TASK(inner.clip_value, REAL),
    TASK(inner.clip_norm, REAL),
    TASK(loss.name, TEXT), TASK(loss.reduction, WHOLE), TASK(loss.label_smoothing, REAL), TASK(loss.delta, REAL),
    TASK(first_order, BOOL), TASK(rates, WHOLE), TASK(step_weights, WEIGHTS), PREFIX(adapt), PREFIX(freeze), PREFIX(unlearned),
    TASK(support_per_step, BOOL), TASK(batch_norm_per_step, BOOL), TASK(proximal, REAL), TASK(solver, WHOLE),
    TASK(solver_steps, WHOLE),
    META(tasks, WHOLE), META(initialisations, WHOLE), META(first_order_until, LONG), META(both_orders, BOOL), META(checkpointing, WHOLE),
    OPTIM(rule, TEXT), OPTIM(lr, REAL), OPTIM(momentum, REAL), OPTIM(beta1, REAL), OPTIM(beta2, REAL), OPTIM(decay, REAL),
    OPTIM(eps, REAL), OPTIM(weight_decay, REAL), OPTIM(clip_kind, WHOLE), OPTIM(clip, REAL), OPTIM(schedule, TEXT),
    OPTIM(warmup, LONG), OPTIM(schedule_updates, LONG), OPTIM(lr_min, REAL), OPTIM(factor, REAL), OPTIM(average, REAL),
    {"augment.flip", REAL, AT(augment.flip), 0}, {"augment.shift", REAL, AT(augment.shift), 0},
    {"augment.crop", REAL, AT(augment.crop), 0}, {"augment.jitter", REAL, AT(augment.jitter), 0},
    OWN(seed, LONG), OWN(validate_every, LONG), OWN(validation_tasks, WHOLE), OWN(test_tasks, WHOLE), OWN(test_steps, WHOLE),
    OWN(bn_mode, WHOLE), OWN(ensemble, WHOLE), OWN(checkpoint_every, LONG), OWN(keep, WHOLE), OWN(log_every, LONG),
    OWN(anneal_over, LONG), OWN(on_nan, WHOLE), OWN(balanced_until, LONG),
    /* clang-format on */
};
enum { FIELDS = sizeof fields / sizeof fields[0] };
static const char key_version[] = "clm_train_options";

static json_t *weights(const double *w, int count) {
    json_t *list = json_array();
    for (int i = 0; w && i < count; i++) clm_json_append(list, json_real(w[i]));
    return list;
}

static json_t *prefixes(const char *const *texts, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; texts && i < count; i++) clm_json_append(list, json_string(texts[i]));
    return list;
}

static json_t *value_of(const clm_train_options *o, const field *f) {
    const void *at = (const char *)o + f->offset, *count = (const char *)o + f->count;
    switch (f->kind) {
    case BOOL: return json_boolean(*(const bool *)at);
    case WHOLE: return json_integer(*(const int *)at);
    case LONG: return json_integer((json_int_t) * (const uint64_t *)at);
    case SIZE: return json_integer((json_int_t) * (const size_t *)at);
    case REAL: return json_real(*(const double *)at);
    case TEXT: return json_string(*(const char *const *)at);
    case WEIGHTS: return weights(*(const double *const *)at, o->meta.task.steps);
    case PREFIXES: return prefixes(*(const char *const *const *)at, *(const size_t *)count);
    }
    return NULL;
}

static char *write(const clm_train_options *options, size_t flags) {
    json_t *object = json_object();
    clm_json_set(object, key_version, json_integer(options->version));
    for (size_t i = 0; i < FIELDS; i++) clm_json_set(object, fields[i].name, value_of(options, &fields[i]));
    char *text = clm_json_text(object, flags);
    json_decref(object);
    if (!text) clm_fail(CLM_E_MEMORY, "out of memory");
    return text;
}

uint64_t clm_record_identity(const clm_train_options *options) {
    clm_train_options same = *options;
    same.meta.optim.schedule_updates = 0;
    char *text = write(&same, 0);
    const uint64_t hash = text ? clm_hash_text(CLM_HASH_SEED, text) : 0;
    free(text);
    return hash;
}

char *clm_record_write(const clm_train_options *options) { return write(options, 0); }
char *clm_record_lines(const clm_train_options *options) { return write(options, JSON_INDENT(1)); }

static clm_status differ(const field *f, const json_t *was, const json_t *is, const char *where) {
    const size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(15); /* 0.3 is 0.3 */
    char *before = json_dumps(was, flags), *now = json_dumps(is, flags);
    const clm_status status =
        clm_fail(CLM_E_STATE, "%s is of another run: %s was %s there and is %s now; resume with the same, or begin another run",
                 where, f->name, before ? before : "absent", now ? now : "absent");
    free(before);
    free(now);
    return status;
}

clm_status clm_record_check(const char *text, const clm_train_options *options, const char *where) {
    json_t *object = text ? json_loads(text, 0, NULL) : NULL;
    clm_status status = CLM_OK;
    if (!json_object_get(object, key_version))
        status = clm_fail(CLM_E_STATE, "%s is of another run: it was begun with a note, and records no options", where);
    for (size_t i = 0; i < FIELDS && status == CLM_OK; i++) { /* one that is absent is younger than the record */
        const json_t *was = json_object_get(object, fields[i].name);
        json_t *is = value_of(options, &fields[i]);
        if (was && !json_equal(was, is)) status = differ(&fields[i], was, is, where);
        json_decref(is);
    }
    json_decref(object);
    return status;
}
