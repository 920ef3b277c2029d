/* Inner update rules as rows. g has been clipped and has weight decay in it already.
 *
 *   sgd               theta - rate g
 *   momentum          b <- mu b + g,  theta - rate b                                      (Polyak 1964)
 *   nesterov          b <- mu b + g,  theta - rate (g + mu b)                             (Nesterov 1983, as PyTorch has it)
 *   adam              m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,
 *                     theta - rate (m / (1 - b1^j)) / (sqrt(v / (1 - b2^j) + eps_root) + eps),  j = 1, 2, ..   (Kingma and Ba
 *                     2015)
 *   rmsprop           v <- a v + (1 - a) g^2,  theta - rate g / (sqrt(v + eps_root) + eps)   (Tieleman and Hinton 2012)
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "meta/inner/rule.h"

static clm_value descend(clm_graph *g, const clm_rule_in *in, clm_value step) {
    return clm_sub(g, in->theta, clm_mul(g, in->rate, step));
}

/* a x + b y */
static clm_value mix(clm_graph *g, double a, clm_value x, double b, clm_value y) {
    return clm_add(g, clm_scale(g, x, a), clm_scale(g, y, b));
}

static void sgd(clm_graph *g, const clm_rule_in *in, clm_rule_out *out) { out->theta = descend(g, in, in->g); }

static void momentum(clm_graph *g, const clm_rule_in *in, clm_rule_out *out) {
    out->state[0] = clm_add(g, clm_scale(g, in->state[0], in->options->momentum), in->g);
    out->theta = descend(g, in, out->state[0]);
}

static void nesterov(clm_graph *g, const clm_rule_in *in, clm_rule_out *out) {
    const double mu = in->options->momentum;
    out->state[0] = clm_add(g, clm_scale(g, in->state[0], mu), in->g);
    out->theta = descend(g, in, clm_add(g, in->g, clm_scale(g, out->state[0], mu)));
}

/* x / (sqrt(v + eps_root) + eps) */
static clm_value normalised(clm_graph *g, const clm_inner_options *o, clm_value x, clm_value v) {
    return clm_div(g, x, clm_affine(g, clm_sqrt(g, clm_affine(g, v, 1, o->eps_root)), 1, o->eps));
}

static void adam(clm_graph *g, const clm_rule_in *in, clm_rule_out *out) {
    const clm_inner_options *o = in->options;
    out->state[0] = mix(g, o->beta1, in->state[0], 1 - o->beta1, in->g);
    out->state[1] = mix(g, o->beta2, in->state[1], 1 - o->beta2, clm_mul(g, in->g, in->g));
    clm_value m = clm_mul(g, out->state[0], in->scalar[0]), v = clm_mul(g, out->state[1], in->scalar[1]);
    out->theta = descend(g, in, normalised(g, o, m, v));
}

/* 1 / (1 - beta^j) */
static double adam_scalar(const clm_inner_options *o, int which, int step) {
    return 1 / (1 - pow(which == 0 ? o->beta1 : o->beta2, step));
}

static void rmsprop(clm_graph *g, const clm_rule_in *in, clm_rule_out *out) {
    const double a = in->options->decay;
    out->state[0] = mix(g, a, in->state[0], 1 - a, clm_mul(g, in->g, in->g));
    out->theta = descend(g, in, normalised(g, in->options, in->g, out->state[0]));
}

static const clm_inner_rule rules[] = {
    {"sgd", "theta - rate g", "", 0, 0, NULL, sgd},
    {"momentum", "b <- mu b + g, theta - rate b (Polyak 1964)", "momentum", 1, 0, NULL, momentum},
    {"nesterov", "b <- mu b + g, theta - rate (g + mu b) (Nesterov 1983)", "momentum", 1, 0, NULL, nesterov},
    {"adam", "moments of g and g^2, with bias correction (Kingma and Ba 2015)", "betas eps", 2, 2, adam_scalar, adam},
    {"rmsprop", "g over the root of its mean square (Tieleman and Hinton 2012)", "decay eps", 1, 0, NULL, rmsprop},
};
enum { RULES = sizeof rules / sizeof rules[0] };

const clm_inner_rule *clm_inner_rule_find(const char *name) {
    for (int i = 0; i < RULES; i++)
        if (strcmp(rules[i].name, name) == 0) return &rules[i];
    return NULL;
}

const char *clm_inner_rule_names(char *text, size_t size) {
    size_t length = 0;
    for (int i = 0; i < RULES && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "", rules[i].name);
    return text;
}

size_t clm_inner_rule_count(void) { return RULES; }
const char *clm_inner_rule_name(size_t i) { return i < RULES ? rules[i].name : NULL; }
const char *clm_inner_rule_summary(size_t i) { return i < RULES ? rules[i].summary : NULL; }

bool clm_inner_rule_uses(const char *rule, const char *option) {
    const clm_inner_rule *r = clm_inner_rule_find(rule);
    const char *at = r ? strstr(r->uses, option) : NULL;
    return at && (at[strlen(option)] == ' ' || !at[strlen(option)]);
}

/* An option of one rule that was given to another. 0 and the initial value say nothing. */
static clm_status check_unread(const clm_inner_rule *rule, const clm_inner_options *o) {
    const clm_inner_options initial = CLM_INNER_OPTIONS_INIT;
    const struct {
        const char *word, *name;
        double value, initial;
    } fields[] = {
        {"momentum", "inner.momentum", o->momentum, initial.momentum},
        {"betas", "inner.beta1", o->beta1, initial.beta1},
        {"betas", "inner.beta2", o->beta2, initial.beta2},
        {"decay", "inner.decay", o->decay, initial.decay},
        {"eps", "inner.eps", o->eps, initial.eps},
        {"eps", "inner.eps_root", o->eps_root, initial.eps_root},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value != 0 && fields[i].value != fields[i].initial && !clm_inner_rule_uses(rule->name, fields[i].word))
            return clm_fail_unread(fields[i].name, "inner rule", rule->name);
    return CLM_OK;
}

clm_status clm_inner_options_check(const clm_inner_rule *rule, const clm_inner_options *o) {
    CLM_TRY(check_unread(rule, o));
    if (!(o->momentum >= 0 && o->momentum <= 1 && o->decay >= 0 && o->decay < 1))
        return clm_fail(CLM_E_ARG, "inner rule: momentum %g must lie in [0, 1], decay %g in [0, 1)", o->momentum, o->decay);
    if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1))
        return clm_fail(CLM_E_ARG, "inner rule: betas %g and %g must lie in [0, 1)", o->beta1, o->beta2);
    if (!(o->eps >= 0 && o->eps_root >= 0))
        return clm_fail(CLM_E_ARG, "inner rule: eps %g and eps_root %g must not be negative", o->eps, o->eps_root);
    if (!(o->weight_decay >= 0 && o->clip_value >= 0 && o->clip_norm >= 0) || !isfinite(o->weight_decay))
        return clm_fail(CLM_E_ARG, "inner rule: weight decay %g and clipping at %g, %g must not be negative", o->weight_decay,
                        o->clip_value, o->clip_norm);
    return CLM_OK;
}
