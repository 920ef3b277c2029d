/* Presets: the settings of published experiments, with the traps of reproducing them made explicit.
 *
 * The original MAML code sums the inner loss over the N ways and averages over the K shots only. Its inner rate a is therefore
 * N a under the mean over all N K examples, and a / K under their sum. A preset stores a; cli_presets_apply converts it for the
 * reduction and the ways at hand unless --inner-lr is given.
 */
#include "config/presets.h"

#include <stdlib.h>
#include <string.h>

#include "config/algorithms.h"
#include "config/sources.h"

typedef struct preset {
    const char *name, *source;
    double original_inner_lr; /* as published, loss summed over the ways; 0: nothing to convert */
    const char *published;
    const char *settings[64]; /* option, text, option, text, .. */
} preset;

#define OMNIGLOT                                                                                                        \
    "network", "conv4-strided", "filters", "64", "omniglot-split", "1200", "split-seed", "1623", "rotations", "yes",    \
        "test-rotations", "yes", "bn", "transductive", "optimizer", "adam", "outer-lr", "0.001", "iterations", "60000", \
        "val-every", "500", "val-tasks", "200", "eval-tasks", "600"

#define FIVE_WAY(shots) \
    "ways", "5", "shots", shots, "query", shots, "steps", "1", "test-steps", "3", "meta-batch", "32", OMNIGLOT
#define TWENTY_WAY(shots) \
    "ways", "20", "shots", shots, "query", shots, "steps", "5", "test-steps", "5", "meta-batch", "16", OMNIGLOT

/* The first-order figures are of the released code with MAML's settings. There batch-norm has no scale, and its shift is learned without being
 * adapted; in first order and at these rates that decides (docs/protocols.md). */
#define FIRST_ORDER "algorithm", "fomaml", "freeze", "1.,4.,7.,10.", "unlearned", "1.weight,4.weight,7.weight,10.weight"

/* As the released configurations have it; iterations are 100 epochs of 500, and the loss is annealed over ten of them. Theirs keeps running
 * statistics of batch-norm for each step, and has 50 validation classes where the split here has 100. */
#define OMNIGLOT_MAMLPP                                                                                                       \
    "algorithm", "maml++", "network", "conv4", "filters", "64", "omniglot-split", "1200", "split-seed", "1623", "rotations",  \
        "yes", "test-rotations", "yes", "bn", "transductive", "steps", "5", "inner-lr", "0.1", "multi-step", "anneal",        \
        "multi-step-over", "5000", "first-order-until", "0", "meta-batch", "8", "optimizer", "adam", "outer-lr", "0.001",     \
        "schedule", "cosine", "lr-min", "0.00001", "iterations", "50000", "val-every", "500", "val-tasks", "600", "ensemble", \
        "3", "eval-tasks", "600"

static const preset presets[] = {
    {"omniglot-5w1s", "omniglot", 0.4, "98.7 +- 0.4 % (Finn et al. 2017, second order, tested after 3 steps)", {FIVE_WAY("1")}},
    {"omniglot-5w5s", "omniglot", 0.4, "99.9 +- 0.1 % (Finn et al. 2017, second order, tested after 3 steps)", {FIVE_WAY("5")}},
    {"omniglot-20w1s",
     "omniglot",
     0.1,
     "95.8 +- 0.3 % (Finn et al. 2017, second order, tested after 5 steps)",
     {TWENTY_WAY("1")}},
    {"omniglot-20w5s",
     "omniglot",
     0.1,
     "98.9 +- 0.2 % (Finn et al. 2017, second order, tested after 5 steps)",
     {TWENTY_WAY("5")}},
    {"omniglot-5w1s-fo",
     "omniglot",
     0.4,
     "98.3 +- 0.5 % in first order, by the code of Finn et al. 2017 (Nichol et al. 2018)",
     {FIRST_ORDER, FIVE_WAY("1")}},
    {"omniglot-5w5s-fo",
     "omniglot",
     0.4,
     "99.2 +- 0.2 % in first order, by the code of Finn et al. 2017 (Nichol et al. 2018)",
     {FIRST_ORDER, FIVE_WAY("5")}},
    {"omniglot-20w1s-fo",
     "omniglot",
     0.1,
     "89.4 +- 0.5 % in first order, by the code of Finn et al. 2017 (Nichol et al. 2018)",
     {FIRST_ORDER, TWENTY_WAY("1")}},
    {"omniglot-20w5s-fo",
     "omniglot",
     0.1,
     "97.9 +- 0.1 % in first order, by the code of Finn et al. 2017 (Nichol et al. 2018)",
     {FIRST_ORDER, TWENTY_WAY("5")}},
    {"omniglot-mamlpp-5w1s",
     "omniglot",
     0.0,
     "99.47 %, an ensemble of the three best checkpoints (Antoniou et al. 2019); batch statistics here, per-step running ones "
     "there",
     {"ways", "5", "shots", "1", "query", "1", OMNIGLOT_MAMLPP}},
    {"omniglot-mamlpp-20w1s",
     "omniglot",
     0.0,
     "97.65 %, an ensemble of the three best checkpoints (Antoniou et al. 2019); batch statistics here, per-step running ones "
     "there",
     {"ways", "20", "shots", "1", "query", "1", OMNIGLOT_MAMLPP}},
    {"sine-cavia",
     "sine",
     0.0,
     "mean squared error after one step below that of MAML (Zintgraf et al. 2019, table 1)",
     {"algorithm", "cavia", "context",    "5",     "ways",      "1",    "shots",      "10",  "query",      "10",
      "steps",     "1",     "test-steps", "1",     "inner-lr",  "1",    "meta-batch", "25",  "optimizer",  "adam",
      "outer-lr",  "0.001", "iterations", "50000", "val-every", "1000", "val-tasks",  "200", "eval-tasks", "1000"}},
    {"sine-5s",
     "sine",
     0.0,
     "mean squared error 0.67, 0.38, 0.35 after 1, 5, 10 steps (Finn et al. 2017, 5 shots)",
     {"ways",       "1",        "shots",     "5",          "query",     "5",         "steps",      "1",        "test-steps",
      "10",         "inner-lr", "0.01",      "meta-batch", "25",        "optimizer", "adam",       "outer-lr", "0.001",
      "iterations", "70000",    "val-every", "1000",       "val-tasks", "200",       "eval-tasks", "600"}},
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

/* NULL: it is of MAML and its relatives. */
static const char *names_algorithm(const preset *p) {
    for (size_t i = 0; p->settings[i]; i += 2)
        if (strcmp(p->settings[i], "algorithm") == 0) return p->settings[i + 1];
    return NULL;
}

const char *cli_preset_algorithm(const cli_settings *settings) {
    const preset *p = find_preset(settings->preset);
    if (!p) return NULL;
    return names_algorithm(p) ? names_algorithm(p) : cli_settings_defaults.algorithm;
}

/* The rate of the loss at hand that a preset's published one amounts to. */
static double converted_rate(const cli_settings *s, const preset *p) {
    return s->reduction == CLM_REDUCE_SUM ? p->original_inner_lr / (double)s->shots : p->original_inner_lr * (double)s->ways;
}

double cli_preset_original_rate(const cli_settings *settings) {
    const preset *p = find_preset(settings->preset);
    return p && settings->inner_lr == converted_rate(settings, p) ? p->original_inner_lr : 0;
}

static clm_status apply_texts(cli_settings *settings, const char *const *texts, const bool *given, bool *set) {
    for (; texts && texts[0]; texts += 2) {
        int row = cli_settings_row(texts[0]);
        if (row < 0) return cli_fail(CLM_E_STATE, "a preset names the unknown option --%s", texts[0]);
        if (given[row] || set[row]) continue;
        CLI_TRY(cli_option_set(&cli_settings_options[row], settings, texts[1]));
        set[row] = true;
    }
    return CLM_OK;
}

static void convert_rate(cli_settings *s, const preset *p, const bool *given, const bool *set) {
    const int row = cli_settings_row("inner-lr");
    if (p->original_inner_lr > 0 && !given[row] && !set[row]) s->inner_lr = converted_rate(s, p);
}

static clm_status apply_algorithm(cli_settings *s, const bool *given, bool *set) {
    cli_algorithm_settle(s);
    return apply_texts(s, cli_algorithm_defaults(s->algorithm, cli_source_of(s->source)->regression), given, set);
}

/* A preset of one algorithm has that one's numbers, and one of images nothing for a regression. */
static clm_status check_fit(const cli_settings *s, const preset *p, const bool *given) {
    if (given[cli_settings_row("algorithm")] && names_algorithm(p) && strcmp(cli_preset_algorithm(s), s->algorithm) != 0)
        return cli_usage("--preset %s is of the algorithm %s; --algorithm %s contradicts it", p->name, cli_preset_algorithm(s),
                         s->algorithm);
    if (cli_source_of(s->source)->regression != cli_source_of(p->source)->regression)
        return cli_usage("--preset %s is for %s and the like; leave it out for %s", p->name, p->source, s->source);
    return CLM_OK;
}

clm_status cli_presets_apply(cli_settings *settings, const bool *given) {
    bool set[CLI_MAX_OPTIONS] = {false};
    const preset *p = find_preset(settings->preset);
    set[cli_settings_row("context")] = settings->model[0]; /* a model file has its own layers */
    set[cli_settings_row("network")] = settings->model[0];
    if (p && !settings->source[0]) snprintf(settings->source, sizeof settings->source, "%s", p->source);
    if (p) CLI_TRY(check_fit(settings, p, given));
    /* An algorithm that is asked for beside a preset wins over it with all that it brings. */
    if (given[cli_settings_row("algorithm")] || settings->anil) CLI_TRY(apply_algorithm(settings, given, set));
    if (p) {
        CLI_TRY(apply_texts(settings, p->settings, given, set));
        convert_rate(settings, p, given, set);
    }
    CLI_TRY(apply_algorithm(settings, given, set));
    return apply_texts(settings, cli_source_of(settings->source)->defaults, given, set);
}
