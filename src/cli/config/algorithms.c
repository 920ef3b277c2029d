/* Defaults of algorithms. The table of options has those of MAML; a row here has what its authors found to suit an algorithm, for images and
 * for a regression on sinusoids. */
#include "config/algorithms.h"

#include <stdio.h>
#include <string.h>

#include "config/sources.h"

/* ---- lists ---- */

static const char *algorithm_summary(size_t i) {
    static char text[160];
    const clm_algorithm_info info = clm_algorithm_get_info(i);
    snprintf(text, sizeof text, "%s (%s)", info.title, info.source);
    return text;
}

const cli_names cli_algorithm_names = {clm_algorithm_count, clm_algorithm_name, algorithm_summary, NULL};
const cli_names cli_inner_rule_names = {clm_inner_rule_count, clm_inner_rule_name, clm_inner_rule_summary, NULL};
const cli_names cli_optimizer_names = {clm_optim_rule_count, clm_optim_rule_name, clm_optim_rule_summary, NULL};
const cli_names cli_schedule_names = {clm_optim_schedule_count, clm_optim_schedule_name, clm_optim_schedule_summary, NULL};

static const char *network_summary(size_t i) {
    static const char *const takes[] = {"numbers", "numbers", "sequences", "images"};
    static char text[200];
    const clm_network_info info = clm_network_get_info(i);
    snprintf(text, sizeof text, "%s: %s (%s)", takes[info.rank], info.summary, info.source);
    return text;
}
const cli_names cli_network_names = {clm_network_count, clm_network_name, network_summary, NULL};

/* The library has more: no source of the program has targets of 0 and 1, or actions with advantages. */
static const struct {
    const char *name, *text;
    bool regression;
} losses[] = {
    {"cross-entropy", "cross-entropy", false},
    {"mse", "squared error", true},
    {"mae", "absolute error", true},
    {"huber", "Huber loss", true},
};

static size_t loss_count(void) { return CLI_COUNT(losses); }
static const char *loss_name(size_t i) { return losses[i].name; }
static const char *loss_summary(size_t i) {
    for (size_t k = 0; k < clm_loss_count(); k++)
        if (strcmp(clm_loss_name(k), losses[i].name) == 0) return clm_loss_summary(k);
    return "";
}
const cli_names cli_loss_names = {loss_count, loss_name, loss_summary, NULL};

/* ---- defaults ---- */

typedef struct row {
    const char *algorithm, *note, *gradient;
    const char *images[17], *regression[17]; /* option, text, .. */
} row;

static const row rows[] = {
    {.algorithm = "maml++",
     .note = "5 steps at 0.1, Adam along a cosine to 1e-5 (Antoniou et al. 2019). Their multi-step loss is annealed over 15 of "
             "100 epochs, and so are "
             "here the first-order updates, of which they make half",
     .images = {"steps", "5", "inner-lr", "0.1", "multi-step", "anneal", "first-order-until", "auto", "schedule", "cosine",
                "lr-min", "1e-5", NULL},
     .regression = {"steps", "5", "inner-lr", "0.01", "multi-step", "anneal", "first-order-until", "auto", "schedule", "cosine",
                    "lr-min", "1e-5", NULL}},
    {.algorithm = "cavia",
     .note = "100 numbers of context and 2 steps for images, 5 and 1 for sinusoids, at an inner rate of 1 (Zintgraf et al. "
             "2019); they have one film "
             "layer, in the third block, here every block has one",
     .images = {"context", "100", "steps", "2", "inner-lr", "1", NULL},
     .regression = {"context", "5", "steps", "1", "inner-lr", "1", NULL}},
    {.algorithm = "reptile",
     .note =
         "5 steps, each on other examples, without which Reptile is joint training, and an outer step of 1 that falls to 0 "
         "(Nichol et al. 2018): here along a cosine and by gradient descent on a support set of its own in each step, there "
         "linearly and by Adam on parts of ten shots. Sinusoids: they have one task at a time, 0.02 and 0.1",
     .gradient = "parameters before the inner loop less those behind it (Reptile)",
     .images = {"steps", "5", "support-per-step", "", "optimizer", "sgd", "outer-lr", "1", "schedule", "cosine", "inner-lr",
                "0.1", NULL},
     .regression = {"steps", "5", "optimizer", "sgd", "outer-lr", "1", "schedule", "cosine", "inner-lr", "0.01", NULL}},
    {.algorithm = "imaml",
     .note =
         "16 steps and 5 iterations of conjugate gradients (Rajeswaran et al. 2019, Omniglot 5-way). They have lambda 2, where "
         "their code leaves the proximal term out of the inner loop and adds 10 to lambda in the solver; here both are as "
         "the paper has them, and of 2, 0.5 and 0.2 the last learns fastest",
     .images = {"steps", "16", "inner-lr", "0.1", "proximal", "0.2", NULL},
     .regression = {"steps", "16", "inner-lr", "0.01", NULL}},
    {.algorithm = "finetune",
     .note = "100 steps for the last layer at test, with momentum 0.9, rate 0.01 and weight decay 0.001 (Chen et al. 2019, who "
             "take batches of 4 examples for each)",
     .gradient = "of the loss of all examples at once, without an inner loop",
     .images = {"steps", "100", "inner-rule", "momentum", "inner-lr", "0.01", "inner-weight-decay", "0.001", NULL},
     .regression = {"steps", "10", "inner-rule", "momentum", "inner-lr", "0.001", "inner-weight-decay", "0.001", NULL}},
    {.algorithm = "pretrain",
     .note =
         "10 steps of gradient descent at 0.01, as the sinusoids of Finn et al. 2017 are adapted at test, who tune the rate",
     .gradient = "of the loss of all examples at once, without an inner loop",
     .images = {"steps", "10", "inner-lr", "0.01", NULL},
     .regression = {"steps", "10", "inner-lr", "0.01", NULL}},
    {.algorithm = "protonet", .note = "a network without its last layer", .gradient = "of the query loss, exact"},
};

static const row *find(const char *algorithm) {
    for (size_t i = 0; i < CLI_COUNT(rows); i++)
        if (strcmp(rows[i].algorithm, algorithm) == 0) return &rows[i];
    return NULL;
}

const char *const *cli_algorithm_defaults(const char *algorithm, bool regression) {
    const row *r = find(algorithm);
    const char *const *texts = r ? regression ? r->regression : r->images : NULL;
    return texts && texts[0] ? texts : NULL;
}

const char *cli_algorithm_note(const char *algorithm) { return find(algorithm) ? find(algorithm)->note : NULL; }
const char *cli_algorithm_gradient(const char *algorithm) { return find(algorithm) ? find(algorithm)->gradient : NULL; }

void cli_algorithm_settle(cli_settings *s) {
    if (s->anil && strcmp(s->algorithm, "maml") == 0) snprintf(s->algorithm, sizeof s->algorithm, "anil");
}

/* ---- the loss ---- */

const char *cli_loss_name(const cli_settings *s) {
    return s->loss[0] ? s->loss : cli_source_of(s->source)->regression ? "mse" : "cross-entropy";
}

const char *cli_loss_text(const char *loss) {
    const int i = cli_names_find(&cli_loss_names, loss);
    return i >= 0 ? losses[i].text : loss;
}

clm_status cli_loss_check(const cli_settings *s) {
    const int i = cli_names_find(&cli_loss_names, cli_loss_name(s));
    const bool regression = cli_source_of(s->source)->regression;
    if (i < 0 || losses[i].regression == regression || cli_source_has_labels(s)) return CLM_OK;
    return cli_usage("--loss %s is for %s; %s has %s", s->loss, regression ? "classes" : "a regression", s->source,
                     regression ? "numbers to predict" : "classes");
}
