/* Task options as JSON: a table of numbers, and what is not a number. A key that is not there leaves the initial value. */
#include "meta/task_json.h"

#include "base/json.h"

#include <stddef.h>
#include <string.h>

static const struct number {
    const char *group, *key; /* group NULL: the object itself */
    size_t at;
} numbers[] = {
    {NULL, "inner_lr", offsetof(clm_task_options, inner_lr)},
    {NULL, "proximal", offsetof(clm_task_options, proximal)},
    {"inner", "momentum", offsetof(clm_task_options, inner.momentum)},
    {"inner", "beta1", offsetof(clm_task_options, inner.beta1)},
    {"inner", "beta2", offsetof(clm_task_options, inner.beta2)},
    {"inner", "decay", offsetof(clm_task_options, inner.decay)},
    {"inner", "eps", offsetof(clm_task_options, inner.eps)},
    {"inner", "eps_root", offsetof(clm_task_options, inner.eps_root)},
    {"inner", "weight_decay", offsetof(clm_task_options, inner.weight_decay)},
    {"inner", "clip_value", offsetof(clm_task_options, inner.clip_value)},
    {"inner", "clip_norm", offsetof(clm_task_options, inner.clip_norm)},
    {"loss", "label_smoothing", offsetof(clm_task_options, loss.label_smoothing)},
    {"loss", "delta", offsetof(clm_task_options, loss.delta)},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static const char *const lists[] = {"adapt", "freeze", "unlearned"}, *const rates[] = {"fixed", "per-step", "per-element"},
                         *const reductions[] = {"mean", "sum"};

static json_t *strings(const char *const *text, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) clm_json_append(list, json_string(text[i]));
    return list;
}

json_t *clm_task_to_json(const clm_task_options *o, size_t classes) {
    json_t *root = json_object(), *inner = json_object(), *loss = json_object();
    clm_json_set(root, "algorithm", json_string(o->algorithm ? o->algorithm : "maml"));
    clm_json_set(root, "steps", json_integer(o->steps));
    clm_json_set(root, "rates", json_string(rates[o->rates]));
    clm_json_set(root, "batch_norm_per_step", json_boolean(o->batch_norm_per_step));
    clm_json_set(root, "ways", json_integer(o->ways));
    clm_json_set(root, lists[0], strings(o->adapt, o->n_adapt));
    clm_json_set(root, lists[1], strings(o->freeze, o->n_freeze));
    clm_json_set(root, lists[2], strings(o->unlearned, o->n_unlearned));
    clm_json_set(inner, "rule", json_string(o->inner.rule ? o->inner.rule : "sgd"));
    clm_json_set(loss, "name", json_string(o->loss.name ? o->loss.name : "cross-entropy"));
    clm_json_set(loss, "reduction", json_string(reductions[o->loss.reduction]));
    if (o->loss.class_weights) {
        json_t *weights = json_array();
        for (size_t i = 0; i < classes; i++) clm_json_append(weights, json_real(o->loss.class_weights[i]));
        clm_json_set(loss, "class_weights", weights);
    }
    clm_json_set(root, "inner", inner);
    clm_json_set(root, "loss", loss);
    for (size_t i = 0; i < NUMBERS; i++) {
        double value;
        memcpy(&value, (const char *)o + numbers[i].at, sizeof value);
        clm_json_set(numbers[i].group ? json_object_get(root, numbers[i].group) : root, numbers[i].key, json_real(value));
    }
    return root;
}

static clm_status malformed(const char *key) { return clm_fail(CLM_E_FORMAT, "its task options have no valid \"%s\"", key); }

clm_status clm_json_whole(const json_t *json, const char *key, int most, int *out) {
    const json_t *value = json_object_get(json, key);
    *out = 0;
    if (!value) return CLM_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > most)
        return clm_fail(CLM_E_FORMAT, "its \"%s\" is not a whole number from 0 to %d", key, most);
    *out = (int)json_integer_value(value);
    return CLM_OK;
}

static clm_status word_of(const json_t *json, const char *key, const char *const *words, int count, int *out) {
    const char *text = json_string_value(json_object_get(json, key));
    for (int i = 0; text && i < count; i++) {
        if (strcmp(text, words[i]) != 0) continue;
        *out = i;
        return CLM_OK;
    }
    return malformed(key);
}

static clm_status read_list(const json_t *json, const char *key, const char **to, const char *const **list, size_t *n) {
    const json_t *from = json_object_get(json, key);
    *n = json_array_size(from);
    *list = to;
    if (*n > CLM_TASK_PREFIXES) return malformed(key);
    for (size_t i = 0; i < *n; i++)
        if (!(to[i] = json_string_value(json_array_get(from, i)))) return malformed(key);
    return CLM_OK;
}

static clm_status read_numbers(const json_t *json, clm_task_options *o) {
    for (size_t i = 0; i < NUMBERS; i++) {
        const json_t *value =
            json_object_get(numbers[i].group ? json_object_get(json, numbers[i].group) : json, numbers[i].key);
        if (!value) continue;
        if (!json_is_number(value)) return malformed(numbers[i].key);
        const double number = json_number_value(value);
        memcpy((char *)o + numbers[i].at, &number, sizeof number);
    }
    return CLM_OK;
}

static clm_status read_class_weights(const json_t *loss, clm_task_options *o, clm_task_store *store) {
    const json_t *weights = json_object_get(loss, "class_weights");
    if (!weights) return CLM_OK;
    if (json_array_size(weights) > CLM_TASK_WEIGHTS) return malformed("class_weights");
    for (size_t i = 0; i < json_array_size(weights); i++)
        store->class_weights[i] = json_number_value(json_array_get(weights, i));
    store->n_class_weights = json_array_size(weights);
    o->loss.class_weights = store->class_weights;
    return CLM_OK;
}

clm_status clm_task_from_json(const json_t *json, clm_task_options *o, clm_task_store *store) {
    const json_t *inner = json_object_get(json, "inner"), *loss = json_object_get(json, "loss");
    int rate = 0, reduction = 0;
    *o = (clm_task_options)CLM_TASK_OPTIONS_INIT;
    if (!(o->algorithm = json_string_value(json_object_get(json, "algorithm")))) return malformed("algorithm");
    if (!(o->inner.rule = json_string_value(json_object_get(inner, "rule")))) return malformed("rule");
    if (!(o->loss.name = json_string_value(json_object_get(loss, "name")))) return malformed("name");
    CLM_TRY(word_of(json, "rates", rates, 3, &rate));
    CLM_TRY(word_of(loss, "reduction", reductions, 2, &reduction));
    CLM_TRY(read_numbers(json, o));
    CLM_TRY(read_class_weights(loss, o, store));
    o->rates = (clm_rates)rate;
    o->loss.reduction = (clm_reduction)reduction;
    CLM_TRY(clm_json_whole(json, "steps", CLM_TASK_STEPS, &o->steps));
    CLM_TRY(clm_json_whole(json, "ways", CLM_TASK_WAYS, &o->ways));
    o->batch_norm_per_step = json_is_true(json_object_get(json, "batch_norm_per_step"));
    CLM_TRY(read_list(json, lists[0], store->prefix[0], &o->adapt, &o->n_adapt));
    CLM_TRY(read_list(json, lists[1], store->prefix[1], &o->freeze, &o->n_freeze));
    return read_list(json, lists[2], store->prefix[2], &o->unlearned, &o->n_unlearned);
}

/* ---- preparation ---- */

enum { PREPARED_MOST = 1 << 16 }; /* pixels a side; the data have a limit of their own */

static const char *const fits[] = {"stretch", "crop", "pad"};

json_t *clm_preparation_to_json(const clm_preparation *p) {
    json_t *mean = json_array(), *deviation = json_array();
    for (int c = 0; c < p->channels; c++) {
        clm_json_append(mean, json_real(p->mean[c]));
        clm_json_append(deviation, json_real(p->deviation[c]));
    }
    return json_pack("{s:i, s:i, s:s, s:b, s:i, s:o, s:o}", "size", p->size, "channels", p->channels, "fit", fits[p->fit],
                     "invert", p->invert, "background", p->background, "mean", mean, "deviation", deviation);
}

clm_status clm_preparation_from_json(const json_t *json, clm_preparation *p) {
    const json_t *mean = json_object_get(json, "mean"), *deviation = json_object_get(json, "deviation");
    int fit = 0;
    *p = (clm_preparation)CLM_PREPARATION_INIT;
    CLM_TRY(clm_json_whole(json, "size", PREPARED_MOST, &p->size));
    CLM_TRY(clm_json_whole(json, "channels", 3, &p->channels));
    CLM_TRY(clm_json_whole(json, "background", 255, &p->background));
    p->invert = json_is_true(json_object_get(json, "invert"));
    if (word_of(json, "fit", fits, 3, &fit) != CLM_OK || p->size < 1 || (p->channels != 1 && p->channels != 3))
        return clm_fail(CLM_E_FORMAT, "its preparation of pictures is not valid");
    p->fit = (clm_fit)fit;
    for (int c = 0; c < p->channels; c++) {
        if (!json_is_number(json_array_get(mean, (size_t)c)) || !json_is_number(json_array_get(deviation, (size_t)c)))
            return clm_fail(CLM_E_FORMAT, "its preparation of pictures is not valid");
        p->mean[c] = json_number_value(json_array_get(mean, (size_t)c));
        p->deviation[c] = json_number_value(json_array_get(deviation, (size_t)c));
    }
    return CLM_OK;
}
