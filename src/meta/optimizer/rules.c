/* Update rules as values of a graph, one function and one row each.
 *
 *   SGD        p - lr g
 *   momentum   m = mu m + g,                                      p - lr m
 *   Nesterov   m = mu m + g,                                      p - lr (g + mu m)
 *   Adam       m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,   p - lr (m / c1) / (sqrt(v / c2) + eps),  c_i = 1 - b_i^(t +
 *   1)
 *   RMSprop    v = a v + (1 - a) g^2,                             p - lr g / (sqrt(v) + eps)
 *   Lion       u = sign(b1 m + (1 - b1) g),  m = b2 m + (1 - b2) g,   p - lr u
 *
 * The order in which values are built is the order of the launches' arithmetic: a rule that changes it changes last bits.
 *
 * LAMB is not here: it takes norms of parameter tensors one by one, and an update knows the flat vector alone.
 */
#include <string.h>

#include "meta/optimizer/table.h"

/* b x + (1 - b) y */
static clm_value mix(clm_graph *g, double b, clm_value x, clm_value y) {
    return clm_add(g, clm_scale(g, x, b), clm_scale(g, y, 1 - b));
}

static clm_value sgd(clm_graph *g, clm_optim_step *s) {
    (void)g;
    return s->grad;
}

static clm_value momentum(clm_graph *g, clm_optim_step *s) {
    return s->next[0] = clm_add(g, clm_scale(g, s->old[0], s->options->momentum), s->grad);
}

static clm_value nesterov(clm_graph *g, clm_optim_step *s) {
    return clm_add(g, s->grad, clm_scale(g, momentum(g, s), s->options->momentum));
}

static clm_value adam(clm_graph *g, clm_optim_step *s) {
    s->next[0] = mix(g, s->options->beta1, s->old[0], s->grad);
    s->next[1] = mix(g, s->options->beta2, s->old[1], clm_mul(g, s->grad, s->grad));
    clm_value root = clm_sqrt(g, clm_div(g, s->next[1], s->correction[1]));
    return clm_div(g, clm_div(g, s->next[0], s->correction[0]), clm_affine(g, root, 1, s->options->eps));
}

static clm_value rmsprop(clm_graph *g, clm_optim_step *s) {
    s->next[0] = mix(g, s->options->decay, s->old[0], clm_mul(g, s->grad, s->grad));
    return clm_div(g, s->grad, clm_affine(g, clm_sqrt(g, s->next[0]), 1, s->options->eps));
}

static clm_value lion(clm_graph *g, clm_optim_step *s) {
    clm_value mixed = mix(g, s->options->beta1, s->old[0], s->grad);
    s->next[0] = mix(g, s->options->beta2, s->old[0], s->grad);
    return clm_sign(g, mixed);
}

enum {
    ALL = CLM_OPTIM_LR | CLM_OPTIM_WEIGHT_DECAY,
    BETAS = CLM_OPTIM_BETA1 | CLM_OPTIM_BETA2,
};

static const clm_optim_rule rules[] = {
    {"sgd", "stochastic gradient descent: p - lr g (Robbins and Monro 1951)", 0, false, ALL, sgd},
    {"momentum", "heavy ball: m = momentum m + g, p - lr m (Polyak 1964)", 1, false, ALL | CLM_OPTIM_MOMENTUM, momentum},
    {"nesterov", "accelerated gradient: m = momentum m + g, p - lr (g + momentum m) (Nesterov 1983; Sutskever et al. 2013)", 1,
     false, ALL | CLM_OPTIM_MOMENTUM, nesterov},
    {"adam", "mean over root of mean of squares, both corrected for their start; by beta1, beta2, eps (Kingma and Ba 2015)", 2,
     false, ALL | BETAS | CLM_OPTIM_EPS, adam},
    {"adamw", "Adam with decoupled weight decay; by beta1, beta2, eps (Loshchilov and Hutter 2019)", 2, true,
     ALL | BETAS | CLM_OPTIM_EPS, adam},
    {"rmsprop", "gradient over root of mean of squares; by decay, eps (Tieleman and Hinton 2012)", 1, false,
     ALL | CLM_OPTIM_DECAY | CLM_OPTIM_EPS, rmsprop},
    {"lion", "sign of a mix of mean and gradient, decoupled weight decay; by beta1, beta2 (Chen et al. 2023)", 1, true,
     ALL | BETAS, lion},
};
enum { RULES = sizeof rules / sizeof *rules };

const clm_optim_rule *clm_optim_rule_find(const char *name) {
    for (size_t i = 0; i < RULES && name; i++)
        if (strcmp(rules[i].name, name) == 0) return &rules[i];
    return NULL;
}

size_t clm_optim_rule_count(void) { return RULES; }
const char *clm_optim_rule_name(size_t i) { return i < RULES ? rules[i].name : NULL; }
const char *clm_optim_rule_summary(size_t i) { return i < RULES ? rules[i].summary : NULL; }

bool clm_optim_rule_uses(const char *name, const char *option) {
    const clm_optim_rule *rule = clm_optim_rule_find(name);
    return rule && (rule->uses & clm_optim_field_named(option));
}
