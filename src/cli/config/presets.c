/* Presets: the settings of published experiments, with the traps of reproducing them made explicit.
 *
 * The original MAML code sums the inner loss over the N ways and averages over the K shots only. Its inner rate a is therefore
 * N a under the mean over all N K examples, and a / K under their sum. A preset stores a; cli_presets_apply converts it for the
 * reduction and the ways at hand unless --inner-lr is given.
 */
#include "config/presets.h"

#include <stdlib.h>
#include <string.h>

#include "config/sources.h"

typedef struct preset {
    const char *name, *source;
    double original_inner_lr; /* as published, loss summed over the ways; 0: a regression, nothing to convert */
    const char *published;
    const char *settings[40]; /* option, text, option, text, .. */
} preset;

#define OMNIGLOT                                                                                                        \
    "network", "conv4-strided", "filters", "64", "omniglot-split", "1200", "split-seed", "1623", "rotations", "yes",    \
        "test-rotations", "yes", "bn", "transductive", "optimizer", "adam", "outer-lr", "0.001", "iterations", "60000", \
        "test-steps", "10", "val-every", "500", "val-tasks", "200", "eval-tasks", "600"

static const preset presets[] = {
    {"omniglot-5w1s",
     "omniglot",
     0.4,
     "98.7 +- 0.4 % (Finn et al. 2017, second order); 98.3 +- 0.5 % first order",
     {"ways", "5", "shots", "1", "query", "1", "steps", "1", "meta-batch", "32", OMNIGLOT}},
    {"omniglot-5w5s",
     "omniglot",
     0.4,
     "99.9 +- 0.1 % (Finn et al. 2017, second order); 99.2 +- 0.2 % first order",
     {"ways", "5", "shots", "5", "query", "5", "steps", "1", "meta-batch", "32", OMNIGLOT}},
    {"omniglot-20w1s",
     "omniglot",
     0.1,
     "95.8 +- 0.3 % (Finn et al. 2017, second order); 89.4 +- 0.5 % first order",
     {"ways", "20", "shots", "1", "query", "1", "steps", "5", "meta-batch", "16", OMNIGLOT}},
    {"omniglot-20w5s",
     "omniglot",
     0.1,
     "98.9 +- 0.2 % (Finn et al. 2017, second order); 97.9 +- 0.1 % first order",
     {"ways", "20", "shots", "5", "query", "5", "steps", "5", "meta-batch", "16", OMNIGLOT}},
    {"sine",
     "sine",
     0.0,
     "mean squared error after 10 steps far below that before adaptation (Finn et al. 2017, figure 3)",
     {"ways",       "1",        "shots",     "10",         "query",     "10",        "steps",      "1",        "test-steps",
      "10",         "inner-lr", "0.01",      "meta-batch", "25",        "optimizer", "adam",       "outer-lr", "0.001",
      "iterations", "70000",    "val-every", "1000",       "val-tasks", "200",       "eval-tasks", "600"}},
};

/* NULL: none, as for "". */
static const preset *find_preset(const char *name) {
    for (size_t i = 0; i < CLI_COUNT(presets); i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    return NULL;
}

size_t cli_preset_count(void) { return CLI_COUNT(presets); }
const char *cli_preset_name(size_t i) { return presets[i].name; }
const char *cli_preset_published(size_t i) { return presets[i].published; }

static clm_status apply_texts(cli_settings *settings, const char *const *texts, const bool *given, bool *set) {
    for (; texts[0]; texts += 2) {
        int row = cli_settings_row(texts[0]);
        if (row < 0) return cli_fail(CLM_E_STATE, "a preset names the unknown option --%s", texts[0]);
        if (given[row] || set[row]) continue;
        CLI_TRY(cli_option_set(&cli_settings_options[row], settings, texts[1]));
        set[row] = true;
    }
    return CLM_OK;
}

clm_status cli_presets_apply(cli_settings *settings, const bool *given) {
    bool set[CLI_MAX_OPTIONS] = {false};
    const preset *p = find_preset(settings->preset);
    if (p) {
        if (!settings->source[0]) snprintf(settings->source, sizeof settings->source, "%s", p->source);
        CLI_TRY(apply_texts(settings, p->settings, given, set));
        if (p->original_inner_lr > 0 && !given[cli_settings_row("inner-lr")])
            settings->inner_lr = settings->reduction == CLM_REDUCE_SUM ? p->original_inner_lr / (double)settings->shots
                                                                       : p->original_inner_lr * (double)settings->ways;
    }
    const char *const *defaults = cli_source_of(settings->source)->defaults;
    return defaults ? apply_texts(settings, defaults, given, set) : CLM_OK;
}

const char *cli_bn_name(const clm_model *model, int bn) {
    const char *json = model ? clm_model_json(model) : NULL;
    if (json && !strstr(json, "\"batchnorm\"")) return "none (no batch-norm layer)";
    return clm_bn_mode_name((clm_bn_mode)bn);
}

static const char *word(const char *option, int index) {
    static cli_text text;
    text = cli_option_word(&cli_settings_options[cli_settings_row(option)], index);
    return text.s;
}

static void print_inner(FILE *to, const cli_settings *s, const preset *p, bool regression) {
    fprintf(to,
            "  inner loop  %lld step%s of gradient descent at rate %g under the %s of the %s over the support set; %lld step%s "
            "at test\n",
            (long long)s->steps, s->steps == 1 ? "" : "s", s->inner_lr, word("reduction", s->reduction),
            regression ? "squared error" : "cross-entropy", (long long)(s->test_steps ? s->test_steps : s->steps),
            (s->test_steps ? s->test_steps : s->steps) == 1 ? "" : "s");
    if (p && p->original_inner_lr > 0)
        fprintf(
            to,
            "              (published rate %g: there the loss is summed over the %lld ways and averaged over the shots only)\n",
            p->original_inner_lr, (long long)s->ways);
    if (s->rates)
        fprintf(to, "              inner rates learned %s\n",
                s->rates == CLM_RATES_PER_STEP ? "per layer and step" : "per element");
    if (s->anil || s->adapt[0]) fprintf(to, "              adapted: %s\n", s->anil ? "the last layer only (ANIL)" : s->adapt);
    if (s->multi_step[0]) fprintf(to, "              multi-step loss weights %s\n", s->multi_step);
    fprintf(to, "  gradient    %s\n", s->first_order ? "first order (FOMAML)" : "second order, exact");
}

static void print_outer(FILE *to, const cli_settings *s) {
    fprintf(to, "  outer loop  %lld iterations of %lld tasks, %s at %g", (long long)s->iterations, (long long)s->meta_batch,
            word("optimizer", s->optimizer), s->outer_lr);
    if (s->cosine)
        fprintf(to, ", cosine to %g over %lld", s->lr_min, (long long)(s->cosine_over ? s->cosine_over : s->iterations));
    if (s->weight_decay > 0) fprintf(to, ", weight decay %g", s->weight_decay);
    if (s->clip_norm > 0) fprintf(to, ", gradient norm clipped to %g", s->clip_norm);
    if (s->clip_value > 0) fprintf(to, ", gradient clipped to +-%g", s->clip_value);
    fprintf(to, ", seed %lld\n", (long long)s->seed);
}

static void print_data(FILE *to, const cli_settings *s, const clm_source *source) {
    fprintf(to, "  data        %s\n", source ? clm_source_description(source) : s->source);
    if (cli_source_takes(cli_source_of(s->source), "rotations"))
        fprintf(to, "              rotations as classes: training %s, test %s\n", s->rotations ? "yes" : "no",
                s->test_rotations ? "yes" : "no");
}

void cli_protocol_print(FILE *to, const cli_settings *s, const clm_source *source, const clm_model *model) {
    const preset *p = find_preset(s->preset);
    bool regression = source ? clm_source_is_regression(source) : cli_source_of(s->source)->regression;
    fprintf(to, "protocol%s%s\n", p ? " " : "", p ? p->name : "");
    print_data(to, s, source);
    if (regression)
        fprintf(to, "  task        regression, %lld support and %lld query points\n", (long long)s->shots, (long long)s->query);
    else
        fprintf(to, "  task        %lld-way %lld-shot, %lld query image%s per class\n", (long long)s->ways, (long long)s->shots,
                (long long)s->query, s->query == 1 ? "" : "s");
    if (s->model[0])
        fprintf(to, "  network     %s", s->model);
    else if (regression)
        fprintf(to, "  network     perceptron 1-40-40-1");
    else
        fprintf(to, "  network     %s, %lld filters", word("network", s->network), (long long)s->filters);
    if (model) fprintf(to, ", %zu parameters", clm_model_param_elements(model));
    fprintf(to, "\n");
    if (!regression) fprintf(to, "  batch-norm  training transductive; validation and test %s\n", cli_bn_name(model, s->bn));
    print_inner(to, s, p, regression);
    print_outer(to, s);
    fprintf(to, "  checkpoint  chosen by %lld tasks of validation classes; tested once, on %lld tasks of test classes\n",
            (long long)s->val_tasks, (long long)s->eval_tasks);
    if (p) fprintf(to, "  published   %s\n", p->published);
}
