/* `clmaml algorithms`: what there is to choose from, from the library's tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/system.h"
#include "config/algorithms.h"

typedef struct algorithms_settings {
    bool json;
} algorithms_settings;

static const cli_option options[] = {
    {"Options", "json", CLI_FLAG, 0, offsetof(algorithms_settings, json), 0, 0, "", "print JSON"},
    {.name = NULL},
};
static const algorithms_settings defaults = {false};

static const struct {
    const char *title, *option;
    cli_names names;
} lists[] = {
    {"inner update rules", "inner-rule", {clm_inner_rule_count, clm_inner_rule_name, clm_inner_rule_summary, NULL}},
    {"losses", "loss", {clm_loss_count, clm_loss_name, clm_loss_summary, NULL}},
    {"outer optimisers", "optimizer", {clm_optim_rule_count, clm_optim_rule_name, clm_optim_rule_summary, NULL}},
    {"schedules of the outer rate",
     "schedule",
     {clm_optim_schedule_count, clm_optim_schedule_name, clm_optim_schedule_summary, NULL}},
};

/* ---- text ---- */

static void print_defaults(const char *head, const char *const *texts) {
    if (!texts) return;
    FILE *to = cli_lines_begin(stdout);
    fprintf(to, "  %-9s ", head);
    for (size_t i = 0; texts[i]; i += 2) fprintf(to, "%s--%s %s", i ? " " : "", texts[i], texts[i + 1]);
    fprintf(to, "\n");
    cli_lines_end(to, stdout);
}

static void print_algorithm(size_t i) {
    const clm_algorithm_info info = clm_algorithm_get_info(i);
    cli_line(stdout, "%s: %s (%s)\n  learns    %s\n  adapts    %s\n  cost      %s\n  memory    %s\n", info.name, info.title,
             info.source, info.learns, info.adapts, info.cost, info.memory);
    print_defaults("images", cli_algorithm_defaults(info.name, false));
    print_defaults("numbers", cli_algorithm_defaults(info.name, true));
    if (cli_algorithm_note(info.name)) cli_print_wrapped("  from      ", cli_algorithm_note(info.name));
    printf("\n");
}

static void print_text(void) {
    cli_line(stdout, "algorithms (clmaml train SOURCE --algorithm NAME)\n"
                     "Cost is of a task: F is a forward pass over a set of examples, K the number of inner steps.\n"
                     "images, numbers: options that an algorithm begins with for images and for a regression.\n\n");
    for (size_t i = 0; i < clm_algorithm_count(); i++) print_algorithm(i);
    for (size_t i = 0; i < CLI_COUNT(lists); i++) {
        cli_line(stdout, "%s%s (--%s)\n", i ? "\n" : "", lists[i].title, lists[i].option);
        cli_names_print(&lists[i].names, 2);
    }
    cli_line(stdout, "\nThe losses bce, gaussian-policy and custom are for programs with data of their own.\n");
}

/* ---- JSON ---- */

static json_t *defaults_object(const char *const *texts) {
    json_t *object = json_object();
    for (; texts && texts[0]; texts += 2) cli_json_set(object, texts[0], json_string(texts[1]));
    return object;
}

static json_t *algorithm_object(size_t i) {
    const clm_algorithm_info info = clm_algorithm_get_info(i);
    json_t *reads = json_array();
    const char *option;
    for (size_t k = 0; (option = clm_algorithm_option_name(k)) != NULL; k++)
        if (clm_algorithm_uses(info.name, option)) cli_json_append(reads, json_string(option));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "name", info.name, "title", info.title, "source",
                     info.source, "learns", info.learns, "adapts", info.adapts, "cost", info.cost, "memory", info.memory,
                     "reads", reads, "defaults_for_images", defaults_object(cli_algorithm_defaults(info.name, false)),
                     "defaults_for_regression", defaults_object(cli_algorithm_defaults(info.name, true)));
}

static json_t *list_array(const cli_names *names) {
    json_t *array = json_array();
    for (size_t i = 0; i < names->count(); i++)
        cli_json_append(array, json_pack("{s:s, s:s}", "name", names->name(i), "summary", names->summary(i)));
    return array;
}

static clm_status print_json(void) {
    json_t *root = json_object(), *algorithms = json_array();
    for (size_t i = 0; i < clm_algorithm_count(); i++) cli_json_append(algorithms, algorithm_object(i));
    cli_json_set(root, "algorithm", algorithms);
    for (size_t i = 0; i < CLI_COUNT(lists); i++) cli_json_set(root, lists[i].option, list_array(&lists[i].names));
    char *text = cli_json_text(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) return cli_fail(CLM_E_MEMORY, "out of memory");
    cli_stdout_print(text);
    cli_stdout_print("\n");
    free(text);
    return CLM_OK;
}

static int run_algorithms(cli_args *args) {
    const algorithms_settings *s = args->settings;
    if (s->json) return cli_exit(print_json());
    print_text();
    return CLI_EXIT_OK;
}

const cli_command cli_algorithms = {
    .name = "algorithms",
    .synopsis = "[--json]",
    .summary = "what can be trained: algorithms, inner rules, losses, optimisers, schedules",
    .details =
        "Lists the algorithms with their papers, what each learns and adapts, cost and memory, and the options it begins "
        "with; then the rules, losses, optimisers and schedules.",
    .options = options,
    .settings_size = sizeof(algorithms_settings),
    .defaults = &defaults,
    .run = run_algorithms,
};
