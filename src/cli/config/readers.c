/* The table of options that are not everybody's. The library's tables say what an algorithm, a rule or a schedule reads; a row here says by
 * what word they know an option. An option with several rows needs all of them. */
#include "config/readers.h"

#include <stdio.h>
#include <string.h>

#include "config/algorithms.h"
#include "config/protocol.h"
#include "config/sources.h"

/* ---- what the library's tables do not say ---- */

static bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }

static bool algorithm_uses(const char *name, const char *word) {
    if (is(word, "context")) return is(name, "cavia");
    if (is(word, "classes")) return is(name, "finetune");
    if (is(word, "initialisations")) return clm_algorithm_uses(name, "steps") && !is(name, "finetune") && !is(name, "pretrain");
    if (is(word, "prototypes")) return is(name, "protonet") || is(name, "protomaml");
    if (is(word, "anil")) return is(name, "maml") || is(name, "anil");
    if (is(word, "gradient through steps")) return clm_algorithm_uses(name, "first-order");
    if (is(word, "second-order")) return clm_algorithm_uses(name, "first-order") && !is(name, "fomaml");
    return clm_algorithm_uses(name, word);
}

static bool loss_uses(const char *name, const char *word) {
    return is(name, is(word, "huber-delta") ? "huber" : "cross-entropy");
}
/* A network is not known before the data are: "" reads everything. */
bool cli_network_reads(const char *name, const char *word) {
    const size_t i = clm_network_find(name);
    if (i == clm_network_count()) return true;
    const clm_network_info info = clm_network_get_info(i);
    return is(word, "filters") ? info.filters > 0 : is(word, "hidden") ? info.hidden > 0 : info.context;
}

static bool multi_step_uses(const char *name, const char *word) { return is(name, word); }
static size_t multi_step_count(void) { return 1; }
static const char *multi_step_name(size_t i) { return i == 0 ? "anneal" : NULL; }

/* ---- what was chosen ---- */

static const char *chosen_algorithm(const cli_settings *s) { return s->algorithm; }
static const char *chosen_inner_rule(const cli_settings *s) { return s->inner_rule; }
static const char *chosen_optimizer(const cli_settings *s) { return s->optimizer; }
static const char *chosen_schedule(const cli_settings *s) { return s->cosine ? "cosine" : s->schedule; }
static const char *chosen_network(const cli_settings *s) { return s->network; }
static const char *chosen_multi_step(const cli_settings *s) { return s->multi_step[0] ? s->multi_step : "the plain loss"; }

typedef struct choice {
    const char *option, *what; /* "the algorithm" */
    const cli_names *names;
    bool (*uses)(const char *name, const char *word);
    const char *(*chosen)(const cli_settings *settings);
} choice;

static const cli_names multi_step_names = {multi_step_count, multi_step_name, NULL, NULL};
static const choice algorithm = {"algorithm", "algorithm", &cli_algorithm_names, algorithm_uses, chosen_algorithm},
                    inner_rule = {"inner-rule", "inner rule", &cli_inner_rule_names, clm_inner_rule_uses, chosen_inner_rule},
                    loss = {"loss", "loss", &cli_loss_names, loss_uses, cli_loss_name},
                    optimizer = {"optimizer", "optimiser", &cli_optimizer_names, clm_optim_rule_uses, chosen_optimizer},
                    network = {"network", "network", &cli_network_names, cli_network_reads, chosen_network},
                    schedule = {"schedule", "schedule", &cli_schedule_names, clm_optim_schedule_uses, chosen_schedule},
                    multi_step = {"multi-step", "multi-step loss", &multi_step_names, multi_step_uses, chosen_multi_step};

/* ---- the table ---- */

static const struct {
    const char *option;
    const choice *by;
    const char *word;
} rows[] = {
    {"context", &algorithm, "context"},
    {"context", &network, "context"},
    {"filters", &network, "filters"},
    {"hidden", &network, "hidden"},
    {"classes", &algorithm, "classes"},
    {"initialisations", &algorithm, "initialisations"},
    {"support-per-step", &algorithm, "support-per-step"},
    {"first-order", &algorithm, "first-order"},
    {"first-order-until", &algorithm, "second-order"},
    {"anil", &algorithm, "anil"},
    {"checkpointing", &algorithm, "gradient through steps"},
    {"adapt", &algorithm, "adapt"},
    {"freeze", &algorithm, "adapt"},
    {"unlearned", &algorithm, "adapt"},
    {"rates", &algorithm, "rates"},
    {"batch-norm-per-step", &algorithm, "batch-norm-per-step"},
    {"multi-step", &algorithm, "step-weights"},
    {"multi-step-over", &algorithm, "step-weights"},
    {"multi-step-over", &multi_step, "anneal"},
    {"proximal", &algorithm, "proximal"},
    {"solver", &algorithm, "proximal"},
    {"solver-steps", &algorithm, "proximal"},
    {"steps", &algorithm, "steps"},
    {"test-steps", &algorithm, "steps"},
    {"inner-lr", &algorithm, "inner-lr"},
    {"bn", &algorithm, "steps"}, /* without an inner loop each set is normalised by itself */
    {"inner-rule", &algorithm, "inner-rule"},
    {"inner-momentum", &algorithm, "inner-rule"},
    {"inner-betas", &algorithm, "inner-rule"},
    {"inner-decay", &algorithm, "inner-rule"},
    {"inner-eps", &algorithm, "inner-rule"},
    {"inner-eps-root", &algorithm, "inner-rule"},
    {"inner-weight-decay", &algorithm, "inner-rule"},
    {"inner-clip-value", &algorithm, "inner-rule"},
    {"inner-clip-norm", &algorithm, "inner-rule"},
    {"inner-momentum", &inner_rule, "momentum"},
    {"inner-betas", &inner_rule, "betas"},
    {"inner-decay", &inner_rule, "decay"},
    {"inner-eps", &inner_rule, "eps"},
    {"inner-eps-root", &inner_rule, "eps"},
    {"label-smoothing", &loss, "label-smoothing"},
    {"class-weights", &loss, "class-weights"},
    {"huber-delta", &loss, "huber-delta"},
    {"momentum", &optimizer, "momentum"},
    {"betas", &optimizer, "beta1"},
    {"decay", &optimizer, "decay"},
    {"eps", &optimizer, "eps"},
    {"schedule-updates", &schedule, "schedule_updates"},
    {"schedule-factor", &schedule, "factor"},
    {"cosine-over", &schedule, "lr_min"},
    {"lr-min", &schedule, "lr_min"},
};

static bool reads(const choice *by, const cli_settings *s, const char *word) { return by->uses(by->chosen(s), word); }

bool cli_readers_read(const cli_settings *s, const char *option) {
    bool all = true;
    for (size_t i = 0; i < CLI_COUNT(rows); i++)
        if (is(rows[i].option, option)) all = all && reads(rows[i].by, s, rows[i].word);
    return all;
}

/* "momentum, nesterov": who reads it. */
static size_t readers(const choice *by, const char *word, char *text, size_t size) {
    size_t used = 0, n = 0;
    text[0] = 0;
    for (size_t i = 0; i < by->names->count() && used < size; i++) {
        if (!by->uses(by->names->name(i), word)) continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s", n++ ? ", " : "", by->names->name(i));
    }
    return n;
}

void cli_readers_help(const char *option, char *text, size_t size) {
    text[0] = 0;
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        if (!is(rows[i].option, option)) continue;
        const size_t n = readers(rows[i].by, rows[i].word, text, size);
        if (2 * n <= rows[i].by->names->count()) return;
        text[0] = 0;
    }
}

static clm_status check_row(size_t i, const cli_settings *s) {
    const choice *by = rows[i].by;
    char text[256];
    if (reads(by, s, rows[i].word)) return CLM_OK;
    const size_t n = readers(by, rows[i].word, text, sizeof text);
    return cli_usage("--%s is for the %s%s %s (--%s); it says nothing to %s", rows[i].option, by->what, n == 1 ? "" : "s", text,
                     by->option, by->chosen(s));
}

/* An algorithm whose name says that rates are learned does not take `fixed`, nor one with a rate for each element others. */
static clm_status check_rates(const cli_settings *s) {
    clm_task_options options = CLM_TASK_OPTIONS_INIT;
    options.algorithm = s->algorithm;
    CLI_TRY(clm_task_options_resolve(&options));
    if (s->rates == CLM_RATES_FIXED && options.rates != CLM_RATES_FIXED)
        return cli_usage("--rates fixed contradicts --algorithm %s, which learns its inner rates", s->algorithm);
    options.rates = (clm_rates)s->rates;
    if (clm_task_options_resolve(&options) == CLM_OK) return CLM_OK;
    return cli_usage("--rates %s contradicts --algorithm %s: leave it out",
                     cli_option_word(&cli_settings_options[cli_settings_row("rates")], s->rates).s, s->algorithm);
}

/* ---- the network ---- */

void cli_readers_of_network(const char *option, char *text, size_t size) { readers(&network, option, text, size); }

static bool is_of_network(const char *option) {
    for (size_t i = 0; i < CLI_COUNT(rows); i++)
        if (is(rows[i].option, option) && rows[i].by == &network) return true;
    return is(option, "network");
}

static clm_status check_network(const cli_settings *s, const char *option) {
    if (!s->model[0] || !is_of_network(option)) return CLM_OK;
    return cli_usage("--%s is for the networks of the program; %s has its own layers", option, s->model);
}

/* "the network of sine, mlp" */
static void describe(const cli_settings *s, char *text, size_t size) {
    if (s->model[0])
        snprintf(text, size, "the model %.200s", s->model);
    else
        snprintf(text, size, "the network of %.200s, %.40s", s->source, s->network);
}

clm_status cli_readers_check_model(const cli_settings *s, const clm_model *model, const cli_option *options,
                                   const bool *given) {
    char text[320], names[256];
    describe(s, text, sizeof text);
    for (size_t k = 0; options[k].name; k++) {
        const char *option = options[k].name;
        if (!given[k]) continue;
        if ((is(option, "bn") || is(option, "batch-norm-per-step")) && !clm_model_has_batch_norm(model))
            return cli_usage("--%s says nothing to %s, which is without batch-norm", option, text);
        if (s->model[0] || !is_of_network(option) || is(option, "network") || cli_network_reads(s->network, option)) continue;
        cli_readers_of_network(option, names, sizeof names);
        return cli_usage("--%s says nothing to %s; it is for %s", option, text, names);
    }
    return CLM_OK;
}

/* ---- classes ---- */

/* Prototypes are means of classes. */
static clm_status check_classes(const cli_settings *s, const cli_option *options, const bool *given) {
    if (!cli_source_of(s->source)->regression) return CLM_OK;
    for (size_t k = 0; options[k].name; k++)
        if (given[k] && is(options[k].name, "classes"))
            return cli_usage("--classes says nothing to %s, which is a regression%s", s->source,
                             cli_source_has_labels(s) ? " or a table with classes of its own" : "");
    if (!algorithm_uses(s->algorithm, "prototypes")) return CLM_OK;
    if (cli_source_has_labels(s))
        return cli_usage(
            "--algorithm %s needs examples of every class in a task, and a task of %s is a group of rows; take another "
            "algorithm",
            s->algorithm, s->source);
    return cli_usage("--algorithm %s needs classes, and %s is a regression; take another algorithm, or a source of images",
                     s->algorithm, s->source);
}

/* What tells inner steps apart says nothing of one. */
static clm_status check_steps(const cli_settings *s, const cli_option *options, const bool *given) {
    const bool weighs = is(s->multi_step, "even") || is(s->multi_step, "anneal");
    for (size_t k = 0; options[k].name && s->steps == 1; k++) {
        const char *option = options[k].name;
        if (!given[k]) continue;
        if (is(option, "support-per-step") || is(option, "multi-step-over") || (is(option, "multi-step") && weighs))
            return cli_usage("--%s%s%s says nothing to a single inner step (--steps 1)", option,
                             is(option, "multi-step") ? " " : "", is(option, "multi-step") ? s->multi_step : "");
    }
    return CLM_OK;
}

clm_status cli_readers_check(const cli_settings *s, const cli_option *options, const bool *given) {
    for (size_t k = 0; options[k].name; k++) {
        if (!given[k]) continue;
        CLI_TRY(check_network(s, options[k].name));
        for (size_t i = 0; i < CLI_COUNT(rows); i++)
            if (is(rows[i].option, options[k].name)) CLI_TRY(check_row(i, s));
        if (is(options[k].name, "rates")) CLI_TRY(check_rates(s));
    }
    const int balanced = cli_option_find(options, "balanced-until");
    if (balanced >= 0 && given[balanced] && s->initialisations == 1)
        return cli_usage("--balanced-until says nothing to a single set of initial parameters (--initialisations 1)");
    if (balanced >= 0 && given[balanced] && !s->resume && s->balanced_until > s->iterations)
        return cli_usage("--balanced-until %lld is more than --iterations %lld: give as many at most",
                         (long long)s->balanced_until, (long long)s->iterations);
    CLI_TRY(check_steps(s, options, given));
    return check_classes(s, options, given);
}
