/* `clmaml export`: an adapted model in the format of another program. */
#include <stdio.h>
#include <string.h>

#include "base/lines.h"
#include "base/names.h"
#include "base/options.h"
#include "base/outputs.h"
#include "base/system.h"
#include "config/checkpoint.h"
#include "use/kinds.h"
#include "use/use.h"

typedef struct export_settings {
    char format[CLI_PATH_MAX], out[CLI_PATH_MAX], name[CLI_PATH_MAX];
} export_settings;

#define AT(field) offsetof(export_settings, field)

static const cli_names formats = {clm_export_format_count, clm_export_format_name, clm_export_format_summary, NULL};

static const cli_option options[] = {
    {"Options", "format", CLI_NAME, 0, AT(format), 1, 0, &formats, "what to write"},
    {NULL, "out", CLI_TEXT, 0, AT(out), 0, 0, "FILE", "where it goes; an older one is replaced"},
    {NULL, "name", CLI_TEXT, 0, AT(name), 0, 0, "NAME",
     "what names in C begin with, NAME_predict; and the name of the ONNX graph"},
    {.name = NULL},
};
static const export_settings defaults = {.name = "model"};

/* Where the file goes from here. A format without a row has none. */
static const struct {
    const char *format, *next; /* %s: the file */
} next_steps[] = {
    {"onnx", "onnxruntime.InferenceSession(\"%s\") in Python, or another program that reads ONNX"},
    {"safetensors", "load_state_dict(safetensors.torch.load_file(\"%s\")) in PyTorch, or clmaml train .. --init"},
    {"c", "#include \"%s\" in a program; its head says how it is called"},
};

static void print_next(const char *format, const char *file) {
    for (size_t i = 0; i < CLI_COUNT(next_steps); i++) {
        if (strcmp(next_steps[i].format, format) != 0) continue;
        const char *at = strstr(next_steps[i].next, "%s");
        cli_line(stdout, "next: %.*s%s%s\n", (int)(at - next_steps[i].next), next_steps[i].next, cli_shown(file), at + 2);
    }
}

/* A run is adapted first, to classes in a folder where it is of pictures; so is one whose checkpoints cannot be read. */
static clm_status refuse_directory(const char *name, clm_archive **archive) {
    char path[CLI_PATH_MAX];
    CLI_TRY(cli_path(path, name, "config.json"));
    if (!cli_path_exists(path)) return cli_usage("%s is a directory; name a file that clmaml adapt wrote", name);
    CLI_TRY(clm_train_checkpoint_path(path, sizeof path, name, CLM_RANK_NEWEST));
    if (clm_archive_load(archive, path) == CLM_OK) CLI_TRY(cli_kinds_check(*archive, name, true));
    return cli_usage("%s is a run: adapt it to classes first, with clmaml adapt, and export the file that it writes", name);
}

static clm_status export_model(const cli_args *args, clm_archive **archive) {
    const export_settings *s = args->settings;
    clm_export_options o = CLM_EXPORT_OPTIONS_INIT;
    char names[256];
    cli_names_join(&formats, "|", names, sizeof names);
    if (args->n_positional == 0) return cli_usage("say what to export: clmaml export ADAPTED --format %s --out FILE", names);
    if (!s->format[0]) return cli_usage("give --format %s", names);
    CLI_TRY(cli_output_check(s->out, "the model"));
    if (cli_is_directory(args->positional[0])) return refuse_directory(args->positional[0], archive);
    if (cli_is_same_file(s->out, args->positional[0]))
        return cli_usage("--out %s is the adapted model itself; give another name", s->out);
    o.name = s->name;
    CLI_TRY(cli_model_load(archive, args->positional[0], "a file that `clmaml adapt` wrote"));
    CLI_TRY(cli_kinds_check(*archive, args->positional[0], true));
    const clm_status status = clm_export(*archive, s->format, s->out, &o);
    if (status != CLM_OK && !strstr(cli_message(), args->positional[0])) return cli_fail_in(status, "%s", args->positional[0]);
    if (status != CLM_OK) return status;
    cli_line(stdout, "%s: %s\n", cli_shown(s->out), s->format);
    print_next(s->format, s->out);
    return CLM_OK;
}

static int run_export(cli_args *args) {
    clm_archive *archive = NULL;
    const int exit_status = cli_exit(export_model(args, &archive));
    clm_archive_free(archive);
    return exit_status;
}

const cli_command cli_export = {
    .name = "export",
    .synopsis = "ADAPTED --format FORMAT --out FILE [--option value ..]",
    .summary = "write an adapted model for another program",
    .details =
        "Takes a model that `clmaml adapt` wrote. What is written computes the scores of `clmaml predict` from pictures that "
        "are prepared in the same way; how is said in the file.",
    .options = options,
    .settings_size = sizeof(export_settings),
    .defaults = &defaults,
    .max_positional = 1,
    .run = run_export,
};
