/* `clmaml pretrained`: the models that come with the program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/system.h"
#include "config/pretrained.h"

typedef struct pretrained_settings {
    bool json;
} pretrained_settings;

static const cli_option options[] = {
    {"Options", "json", CLI_FLAG, 0, offsetof(pretrained_settings, json), 0, 0, "", "print JSON"},
    {.name = NULL},
};
static const pretrained_settings defaults = {false};

static clm_status print_text(const cli_pretrained_models *list) {
    if (!list->count) cli_line(stdout, "no pretrained models lie beside this program\n");
    for (size_t i = 0; i < list->count; i++) {
        char *summary, head[80];
        CLI_TRY(cli_pretrained_summary(list, list->name[i], &summary));
        snprintf(head, sizeof head, "%-14s  ", list->name[i]);
        cli_print_wrapped(head, cli_shown(summary));
        free(summary);
    }
    if (list->count)
        cli_line(stdout, "next: clmaml pretrained %s, or clmaml predict --model %s --support FOLDER PICTURE|FOLDER..\n",
                 list->name[0], list->name[0]);
    return CLM_OK;
}

/* { name, summary, file, card } */
static clm_status model_object(const cli_pretrained_models *list, const char *name, json_t **object) {
    char file[CLI_PATH_MAX], card[CLI_PATH_MAX], *summary;
    CLI_TRY(cli_pretrained_file(file, list, name, ".safetensors"));
    CLI_TRY(cli_pretrained_file(card, list, name, ".md"));
    CLI_TRY(cli_pretrained_summary(list, name, &summary));
    *object = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "summary", summary, "file", file, "card", card);
    free(summary);
    return *object ? CLM_OK : cli_fail(CLM_E_MEMORY, "out of memory");
}

static clm_status print_json(const cli_pretrained_models *list) {
    json_t *models = json_array();
    clm_status status = CLM_OK;
    char *text = NULL;
    for (size_t i = 0; i < list->count; i++) {
        json_t *object = NULL;
        CLI_GOTO(model_object(list, list->name[i], &object));
        cli_json_append(models, object);
    }
    if (!(text = models ? cli_json_text(models, JSON_INDENT(2)) : NULL)) CLI_GOTO(cli_fail(CLM_E_MEMORY, "out of memory"));
    cli_stdout_print(text);
    cli_stdout_print("\n");
out:
    free(text);
    json_decref(models);
    return status;
}

/* The card, and where the file is, for other commands and programs. */
static clm_status print_card(const cli_pretrained_models *list, const char *name) {
    char file[CLI_PATH_MAX], card[CLI_PATH_MAX], *text;
    CLI_TRY(cli_pretrained_find(file, list, name));
    CLI_TRY(cli_pretrained_file(card, list, name, ".md"));
    CLI_TRY(cli_file_read(card, &text));
    FILE *to = cli_lines_begin(stdout);
    fprintf(to, "%s\nfile: %s\n", text, cli_shown(file));
    cli_lines_end(to, stdout);
    free(text);
    return CLM_OK;
}

static clm_status pretrained(const cli_args *args) {
    const pretrained_settings *s = args->settings;
    cli_pretrained_models list = {.count = 0};
    if (s->json && args->n_positional) return cli_usage("--json is for the list; a card is text");
    clm_status status = cli_pretrained_list(&list);
    if (status == CLM_OK)
        status = args->n_positional ? print_card(&list, args->positional[0]) : s->json ? print_json(&list) : print_text(&list);
    cli_pretrained_free(&list);
    return status;
}

static int run_pretrained(cli_args *args) { return cli_exit(pretrained(args)); }

/* The names, for completion. They are looked for once. */
static const cli_pretrained_models *known(void) {
    static cli_pretrained_models list;
    static bool looked;
    if (!looked && cli_pretrained_list(&list) != CLM_OK) cli_forget();
    looked = true;
    return &list;
}

static size_t known_count(void) { return known()->count; }
static const char *known_name(size_t i) { return known()->name[i]; }

const cli_command cli_pretrained = {
    .name = "pretrained",
    .synopsis = "[NAME] [--json]",
    .summary = "models that come with the program, ready to be adapted",
    .details = "Lists the models that adapt, predict and eval take by --model NAME. With the name of one: prints its card, "
               "which says what "
               "it was trained on, by which protocol, what it reaches and its licence, and where its file is, for programs "
               "that load it.",
    .options = options,
    .settings_size = sizeof(pretrained_settings),
    .defaults = &defaults,
    .max_positional = 1,
    .words = CLI_NAMES(known_count, known_name, NULL),
    .run = run_pretrained,
};
