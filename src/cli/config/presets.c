/* Presets: the settings of published experiments, with the traps of reproducing them made explicit.
 *
 * The original MAML code sums the inner loss over the N ways and averages over the K shots only. Its inner rate a is therefore
 * N a under the mean over all N K examples, and a / K under their sum. A preset stores a; cli_presets_apply converts it for the
 * reduction and the ways at hand unless --inner-lr is given. The table is preset_table.c.
 */
#include "config/presets.h"

#include <stdlib.h>
#include <string.h>

#include "config/algorithms.h"
#include "config/preset_table.h"
#include "config/sources.h"

/* NULL: none, as for "". */
static const cli_preset *find_preset(const char *name) {
    for (size_t i = 0; i < cli_preset_rows; i++)
        if (strcmp(cli_preset_table[i].name, name) == 0) return &cli_preset_table[i];
    return NULL;
}

static size_t preset_count(void) { return cli_preset_rows; }
static const char *preset_name(size_t i) { return cli_preset_table[i].name; }
const char *cli_preset_published(size_t i) { return cli_preset_table[i].published; }
const cli_names cli_preset_names = {preset_count, preset_name, cli_preset_published, "clmaml help presets"};

/* NULL: it is of MAML and its relatives. */
static const char *names_algorithm(const cli_preset *p) {
    for (size_t i = 0; p->settings[i]; i += 2)
        if (strcmp(p->settings[i], "algorithm") == 0) return p->settings[i + 1];
    return NULL;
}

const char *cli_preset_algorithm(const cli_settings *settings) {
    const cli_preset *p = find_preset(settings->preset);
    if (!p) return NULL;
    return names_algorithm(p) ? names_algorithm(p) : cli_settings_defaults.algorithm;
}

/* The rate of the loss at hand that a preset's published one amounts to. */
static double converted_rate(const cli_settings *s, const cli_preset *p) {
    return s->reduction == CLM_REDUCE_SUM ? p->original_inner_lr / (double)s->shots : p->original_inner_lr * (double)s->ways;
}

double cli_preset_original_rate(const cli_settings *settings) {
    const cli_preset *p = find_preset(settings->preset);
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

static void convert_rate(cli_settings *s, const cli_preset *p, const bool *given, const bool *set) {
    const int row = cli_settings_row("inner-lr");
    if (p->original_inner_lr > 0 && !given[row] && !set[row]) s->inner_lr = converted_rate(s, p);
}

static clm_status apply_algorithm(cli_settings *s, const bool *given, bool *set) {
    cli_algorithm_settle(s);
    return apply_texts(s, cli_algorithm_defaults(s->algorithm, cli_source_of(s->source)->regression), given, set);
}

/* A preset of one algorithm has that one's numbers, and one of images nothing for a regression. */
static clm_status check_fit(const cli_settings *s, const cli_preset *p, const bool *given) {
    if (given[cli_settings_row("algorithm")] && names_algorithm(p) && strcmp(cli_preset_algorithm(s), s->algorithm) != 0)
        return cli_usage("--preset %s is of the algorithm %s; --algorithm %s contradicts it", p->name, cli_preset_algorithm(s),
                         s->algorithm);
    if (cli_source_of(s->source)->regression != cli_source_of(p->source)->regression)
        return cli_usage("--preset %s is for %s and the like; leave it out for %s", p->name, p->source, s->source);
    return CLM_OK;
}

/* What the preset learns from where nothing is named; pictures that a user has are given by --data as well. */
static clm_status take_source(cli_settings *s, const cli_preset *p) {
    const bool pictures = strcmp(p->source, CLI_PRESET_PICTURES) == 0;
    if (s->source[0]) return CLM_OK;
    if (pictures && !s->data[0])
        return cli_usage(
            "--preset %s learns from pictures of yours: name their FOLDER, or say --data FOLDER (layouts: docs/data.md)",
            p->name);
    snprintf(s->source, sizeof s->source, "%s", pictures ? s->data : p->source);
    return CLM_OK;
}

clm_status cli_presets_apply(cli_settings *settings, const bool *given) {
    bool set[CLI_MAX_OPTIONS] = {false};
    const cli_preset *p = find_preset(settings->preset);
    set[cli_settings_row("context")] = settings->model[0]; /* a model file has its own layers */
    set[cli_settings_row("network")] = settings->model[0];
    if (p) CLI_TRY(take_source(settings, p));
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
